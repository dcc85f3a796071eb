"""Inputs from real calls: runs the user's command or test, and keeps what the function was called with."""

import ast
import json
import os
import shlex
import shutil
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from vecml import child
from vecml.errors import DataError, MeasureError, SettingError
from vecml.foreign_text import clean
from vecml.numbers import count
from vecml.optimize.call_files import CALL
from vecml.optimize.finding import definition
from vecml.optimize.finding import found as found_in
from vecml.optimize.module_text import first_line
from vecml.optimize.recorder import CALLS, CONFIG, COUNTS, ELSEWHERE, KEPT, META
from vecml.optimize.target import Place, parsed

MOST_BYTES = 512 * 2**20  # of the arguments of a call, and of all that are kept
TAIL_BYTES = 64 * 2**10  # of what the command says
PYTEST_HINT = "pip install pytest"
OTHERWISE = (
    "--inputs FILE.py:make_inputs gives arguments that you make; --pytest and --call record those of other calls"
)
# Runs as `sitecustomize` of every Python that the command starts; the user's own, if there is one, runs after it.
HOOK = """import importlib.machinery, importlib.util, os, sys
_here = os.path.dirname(os.path.abspath(__file__))
sys.path[:] = [one for one in sys.path if os.path.abspath(one) != _here]
def _run(spec):
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module
if sys.version_info >= (3, 11):
    import pathlib
    _file = {file!r}
    _run(importlib.util.spec_from_file_location("_vecml_recorder", _file)).start(pathlib.Path(_here))
_own = importlib.machinery.PathFinder.find_spec("sitecustomize")
if _own is not None:
    _run(_own)
"""


@dataclass(frozen=True)
class Command:
    """Holds what the user gave to record calls from.

    Attributes:
        words: the program and its arguments.
        text: as the user typed it, with its flag: `--call 'python script.py'`.
    """

    words: tuple[str, ...]
    text: str


@dataclass(frozen=True)
class RecordedCall:
    """A call that was kept.

    Attributes:
        number: of the call in its process, from 1.
        seconds: that it took, wall time.
        bytes: of its arguments, about.
        process: the process's id, where it is one that the command started; None: the command itself.
        thread: the thread's name.
    """

    number: int
    seconds: float
    bytes: int
    process: int | None
    thread: str

    @property
    def text(self) -> str:
        return f"recorded call {self.number}" + ("" if self.process is None else f" of process {self.process}")


@dataclass(frozen=True)
class Recording:
    """The calls of the function that a command made.

    Attributes:
        source: the command, with its flag.
        calls: how many began, without those within another one.
        looked_at: how many of them had their arguments copied.
        kept: the calls whose arguments are the inputs, the longest first: it is measured, candidates are held to all.
        remarks: what the user should know of them, a sentence each without its full stop.
    """

    source: str
    calls: int
    looked_at: int
    kept: tuple[RecordedCall, ...]
    remarks: tuple[str, ...]


@dataclass(frozen=True)
class _Ran:
    """How the command ended: its exit code, None where its time was up, and the end of what it said."""

    code: int | None
    said: str


def command_of(pytest: str | None, call: str | None) -> Command:
    """The command that one of the two flags names.

    Raises SettingError for text that is no command, a program that is not there, and without pytest.
    """
    flag, given = ("--pytest", pytest) if call is None else ("--call", call)
    text = f"{flag} {shlex.quote(given or '')}"
    try:
        words = shlex.split(given or "")
    except ValueError as error:
        raise SettingError(
            f"{text}: {str(error).lower()}", "for example --call 'python script.py --its args'"
        ) from None
    if not words:
        raise SettingError(
            f"{flag} is empty", "for example --pytest tests/test_x.py::test_y, or --call 'python script.py'"
        )
    if call is None or words[0] in ("pytest", "py.test"):
        if find_spec("pytest") is None:
            raise SettingError(f"{text}: pytest is not installed beside vecml", PYTEST_HINT)
        return Command((sys.executable, "-m", "pytest", *(words if call is None else words[1:])), text)
    if words[0] in ("python", "python3"):
        return Command((sys.executable, *words[1:]), text)
    if words[0].endswith(".py") and Path(words[0]).is_file():
        return Command((sys.executable, *words), text)
    if shutil.which(words[0]) is None:
        raise SettingError(
            f"{text}: there is no program {words[0]}", "for example --call 'python script.py --its args'"
        )
    return Command(tuple(words), text)


def record(target: Place, command: Command, folder: Path, limit_seconds: float) -> tuple[Recording, Place]:
    """Run the command in the user's folder and environment, and record the calls of the target.

    Args:
        target: the function.
        command: what calls it.
        folder: for what is recorded, files that run no code when they are read; it must not be there yet.
        limit_seconds: that the command may take; what was recorded by then counts.

    Returns:
        What was recorded, and the place of the inputs that `make_inputs` takes.

    Raises:
        DataError: the function was not called, or no call of it can be used; the error says why.
        MeasureError: watching itself failed.
    """
    (folder / CALLS).mkdir(parents=True)
    function, where = found_in(parsed(target), target.name)
    bound = where.in_class and any(ast.unparse(one) == "classmethod" for one in function.decorator_list)
    line = None if target.cell else first_line(function)
    config = {"file": target.file, "name": target.name, "line": line, "bound": bound}
    config |= {"root": child.ROOT, "most_bytes": MOST_BYTES, "parent": os.getpid()}
    (folder / CONFIG).write_text(json.dumps(config), encoding="utf-8")
    hook = HOOK.format(file=str(Path(__file__).with_name("recorder.py")))
    (folder / "sitecustomize.py").write_text(hook, encoding="utf-8")
    ran = _run(command, folder, limit_seconds)
    begun, ended, raised, within, looked_at, failed = _counts(folder)
    if said := _fault(folder, failed):
        raise MeasureError(f"{command.text}: its calls of {target.text} cannot be recorded: {said}", OTHERWISE)
    calls = sorted(_calls(folder), key=lambda one: -one[0].seconds)
    if not calls:
        raise _nothing(target, command, folder, ran, limit_seconds)
    remarks = list(_remarks(ran, limit_seconds, raised, within, begun - ended - raised))
    if (refused := _refused(folder)) is not None:
        remarks.append(f"some calls are not recorded: {refused[0]} {refused[1]}")
    files = [_moved(path, folder / "kept" / f"{at} {one.text}") for at, (one, path) in enumerate(calls[:KEPT])]
    kept = tuple(one for one, _ in calls[:KEPT])
    recording = Recording(command.text, begun, looked_at, kept, tuple(remarks))
    return recording, Place(str(files[0]), kept[0].text, str(files[0].parent))


def _fault(folder: Path, failed: int) -> str:
    """Why the recorder itself failed, where it did; empty where it did not."""
    files = [one for one in sorted(folder.glob("*.fault")) if one.is_file()]
    traces = [trace for one in files if (trace := one.read_text(encoding="utf-8"))]
    if traces:
        return child.cause(traces[0])
    return f"writing down {count(failed, 'call')} failed, and so did writing down why" if failed else ""


def _run(command: Command, folder: Path, limit_seconds: float) -> _Ran:
    path = os.pathsep.join(part for part in (str(folder), os.environ.get("PYTHONPATH")) if part)
    running = child.spawn(command.words, {**os.environ, "PYTHONPATH": path}, errors_too=True)
    end, said, content = time.monotonic() + limit_seconds, b"", b"."
    try:
        running.send(b"", last=True)
        while content and time.monotonic() < end:
            content = b"."
            if running.readable(min(0.2, end - time.monotonic())):
                content = running.read()
                said = (said + content)[-TAIL_BYTES:]
            elif running.code is not None:
                break  # what it started may hold its output open
        while running.code is None and time.monotonic() < end:
            time.sleep(0.02)
        return _Ran(running.code, said.decode(errors="replace"))
    finally:
        running.close()


def _counts(folder: Path) -> tuple[int, ...]:
    """Calls begun, ended, left by an error, within others, looked at, and the recorder's faults, in all processes."""
    rows = [COUNTS.unpack(file.read_bytes()) for file in folder.glob("*.counts") if file.stat().st_size == COUNTS.size]
    return tuple(map(sum, zip(*rows, strict=True))) if rows else (0,) * 6


def _calls(folder: Path) -> Iterator[tuple[RecordedCall, Path]]:
    """The calls that were written completely, each with its folder."""
    for path in (folder / CALLS).iterdir():
        if (path / META).is_file():
            meta = json.loads((path / META).read_text(encoding="utf-8"))
            process = meta["process"] if meta["child"] else None
            yield RecordedCall(meta["number"] + 1, meta["seconds"], meta["bytes"], process, meta["thread"]), path


def _moved(path: Path, new: Path) -> Path:
    new.parent.mkdir(exist_ok=True)
    return path.rename(new) / CALL


def _refused(folder: Path) -> Sequence[str] | None:
    """The place of an argument that cannot be recorded, why not, and what to do; None where each could be."""
    found = sorted(folder.glob("*.refused"))
    return json.loads(found[0].read_text(encoding="utf-8")) if found else None


def _remarks(ran: _Ran, limit_seconds: float, raised: int, within: int, open_: int) -> Iterator[str]:
    if ran.code is None:
        yield f"it did not end within {limit_seconds:g} s; what it had called by then is recorded"
    elif ran.code:
        yield f"it {_ended(ran)}"
    if raised:
        yield f"{count(raised, 'call')} raised, and {'is' if raised == 1 else 'are'} left out"
    if open_ > 0:
        yield f"{count(open_, 'call')} did not end, and {'is' if open_ == 1 else 'are'} left out"
    if within:
        yield f"{count(within, 'call')} of itself within a call {'is' if within == 1 else 'are'} part of that call"


def _nothing(target: Place, command: Command, folder: Path, ran: _Ran, limit_seconds: float) -> DataError:
    """Why there is no call to take arguments from."""
    begun, ended, raised, *_ = _counts(folder)
    if begun and (refused := _refused(folder)) is not None:
        place, what, hint = refused
        return DataError(f"{command.text}: {target.text}: the argument {place} {what}: not recorded", hint)
    if raised and not ended:
        said = f": {_last_line(ran.said)}" if ran.code else ""
        return DataError(f"{command.text}: {target.text} raises in {_every(raised)}{said}", OTHERWISE)
    if begun:
        within = "its first call" if begun == 1 else "every call"
        return DataError(
            f"{command.text}: {within} of {target.text} did not end within {limit_seconds:g} s",
            "smaller inputs, or a larger --limit",
        )
    if ran.code is None:
        said = f"did not end within {limit_seconds:g} s, and had not called {target.text} by then"
        return DataError(f"{command.text} {said}", "a larger --limit, or a command that calls it sooner")
    if ran.code:
        said = f"did not call {target.text}, and {_ended(ran)}"
        return DataError(f"{command.text} {said}", f"run it by itself: {shlex.join(command.words)}")
    if not list(folder.glob("*.counts")):
        return DataError(f"{command.text} starts no Python 3.11 or newer that heeds PYTHONPATH", OTHERWISE)
    return DataError(f"{command.text} never calls {target.text}{_why(target, folder)}", OTHERWISE)


def _why(target: Place, folder: Path) -> str:
    elsewhere = folder / ELSEWHERE
    if elsewhere.is_file():
        return f"; it calls {elsewhere.read_text(encoding='utf-8')}"
    if decorators := definition(parsed(target), target.name).decorator_list:
        return f", or @{ast.unparse(decorators[0])} calls something compiled in its place"
    return ""


def _every(number: int) -> str:
    return "its only call" if number == 1 else f"each of its {number:,} calls"


def _ended(ran: _Ran) -> str:
    """How a command failed: with which code or by which signal, and its last line."""
    code = ran.code or 0
    how = f"ended with {code}" if code > 0 else f"was ended by {signal.Signals(-code).name}"
    return f"{how}: {_last_line(ran.said)}"


def _last_line(said: str) -> str:
    """The line that says best why a command failed."""
    lines = [line.strip() for line in said.splitlines()]
    marked = [line.removeprefix("E  ").strip() for line in lines if line.startswith(("E  ", "ERROR: "))]
    return clean(child.cause("\n".join(marked) if marked else said))

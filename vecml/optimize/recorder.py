"""In the user's own process: sees the calls of one function, and writes down the arguments of the longest ones.

It starts with Python itself, in every Python that the user's command starts, before any code of the user's; it imports
nothing but the standard library until the function is called. The function is told by its file and its name, whoever
imported it, by whatever name; calls are seen by the interpreter's profiling hook, threads included. The arguments are
copied before the call, so that what a call changes in place is what it was; a call that raises is not kept.
"""

import contextlib
import dis
import json
import mmap
import os
import shutil
import struct
import sys
import threading
import time
import traceback
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

MOST_CALLS = 100  # are looked at one by one; then every second one, and so on
KEPT = 5  # the longest calls
COUNTS = struct.Struct("<6q")  # begun, ended, raised, within another call of it, looked at, faults of this module
CONFIG = "config.json"
ELSEWHERE = "elsewhere"  # holds what is called of the same name
CALLS, META = "calls", "meta.json"
CALLED_BY_NAME = (
    "is given by name alone, and with --inputs or here arguments go by their places",
    "take the * out of its signature, or make what it is given its default",
)
ON_SUBCLASS = "record calls of the class itself, or give --inputs of a function that calls the subclass"


class Recorder:
    """Holds what is seen of the function in this process; after a fork, the child has one of its own."""

    def __init__(self, folder: Path) -> None:
        config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        self.file, self.name = config["file"], config["name"]
        self._line = config["line"]  # where it begins, decorators included; None where that is not known
        self._bound = config["bound"]  # its first argument is the class, which its callers do not give
        self._folder, self._root, self._most_bytes = folder, config["root"], config["most_bytes"]
        self.parent = config["parent"]
        self._start = str(Path.cwd())
        self._known: dict[int, tuple[CodeType, bool]] = {}  # by the id of the code, which is held
        self.begin()

    def begin(self) -> None:
        """Begin to count in this process."""
        self._lock = threading.RLock()
        self._active: dict[int, tuple[int, int, Any, float]] = {}  # by thread: frame, number, arguments, begin
        self._kept: list[tuple[float, int, Path]] = []
        self._stride, self._left = 1, MOST_CALLS
        with (self._folder / f"{os.getpid()}.counts").open("w+b") as file:
            file.truncate(COUNTS.size)
            self._counts = mmap.mmap(file.fileno(), COUNTS.size)  # survives whatever ends this process

    def is_target(self, code: CodeType) -> bool:
        """Whether a piece of code of the function's name is the function."""
        known = self._known.get(id(code))
        if known is None:
            file = os.path.realpath(os.path.join(self._start, code.co_filename))  # noqa: PTH118 -- as Python names it
            named = code.co_qualname == self.name and Path(file).name == Path(self.file).name
            here = file == self.file
            is_it = named and here and self._line in (None, code.co_firstlineno)
            if named and not is_it:
                said = f"the definition at line {code.co_firstlineno}" if here else f"{code.co_name} of {file}"
                (self._folder / ELSEWHERE).write_text(said, encoding="utf-8")
            known = self._known[id(code)] = (code, is_it)
        return known[1]

    def call(self, frame: FrameType) -> None:
        """Hear that a call of the function begins."""
        thread = threading.get_ident()
        with self._lock:
            if thread in self._active and _is_within(frame):
                self._add(3)
                return
            number = self._add(0)
            looked = number % self._stride == 0
            if looked:
                self._add(4)
                self._left -= 1
                if not self._left:
                    self._stride, self._left = 2 * self._stride, MOST_CALLS
        captured = self._captured(frame) if looked else None
        self._active[thread] = (id(frame), number, captured, time.perf_counter())

    def end(self, frame: FrameType) -> None:
        """Hear that a call of the function ends."""
        end = time.perf_counter()
        thread = threading.get_ident()
        active = self._active.get(thread)
        if active is None or active[0] != id(frame):
            return
        del self._active[thread]
        _, number, captured, start = active
        with self._lock:
            if not _returns(frame):
                self._add(2)
                return
            self._add(1)
            if captured is not None:
                self._offer(end - start, number, captured)

    def _captured(self, frame: FrameType) -> Any:
        """The arguments as they are now; None where they cannot be recorded, which is noted."""
        call_files = self._call_files()
        try:
            given = _arguments(frame, self.name, call_files)
            if self._bound and given:
                self._refuse_subclass(*given[0], call_files)
            return call_files.capture(given[1:] if self._bound else given, self._most_bytes)
        except call_files.CannotRecordError as error:
            refused = self._folder / f"{os.getpid()}.refused"
            if not refused.exists():
                refused.write_text(json.dumps([error.place, error.what, error.hint]), encoding="utf-8")
            return None

    def _refuse_subclass(self, place: str, owner: Any, call_files: Any) -> None:
        """Raise CannotRecordError where a class method is called on a subclass: another call is of the class itself."""
        if owner.__qualname__ != self.name.rpartition(".")[0]:
            raise call_files.CannotRecordError(place, f"is the subclass {owner.__qualname__}", ON_SUBCLASS)

    def _offer(self, seconds: float, number: int, captured: Any) -> None:
        """Write a call down where it is one of the longest."""
        if len(self._kept) == KEPT and seconds <= self._kept[-1][0]:
            return
        while self._kept and (len(self._kept) == KEPT or self._written() + captured.bytes > self._most_bytes):
            if seconds <= self._kept[-1][0]:
                return
            shutil.rmtree(self._kept.pop()[2], ignore_errors=True)
        if self._written() + captured.bytes > self._most_bytes:
            return  # other processes have written it
        path = self._folder / CALLS / f"{os.getpid()}-{number}-{captured.bytes}"
        self._call_files().write(captured, path)
        meta = {"number": number, "seconds": seconds, "bytes": captured.bytes, "process": os.getpid()}
        meta |= {"child": os.getppid() != self.parent, "thread": threading.current_thread().name}
        (path / META).write_text(json.dumps(meta), encoding="utf-8")  # last: without it, the call is not whole
        self._kept = sorted([*self._kept, (seconds, number, path)], key=lambda one: -one[0])

    def _written(self) -> int:
        """Bytes of all calls that are kept, of every process."""
        return sum(int(one.name.rpartition("-")[2]) for one in (self._folder / CALLS).iterdir())

    def _add(self, at: int) -> int:
        """Count one more; returns the count before."""
        counts: list[int] = list(COUNTS.unpack_from(self._counts))
        counts[at] += 1
        COUNTS.pack_into(self._counts, 0, *counts)
        return counts[at] - 1

    def _call_files(self) -> Any:
        """The module that writes arguments: vecml's, also where this Python does not find vecml by itself."""
        found = sys.modules.get("vecml.optimize.call_files")
        if found is None:
            sys.path.append(self._root)
            try:
                from vecml.optimize import call_files as found  # noqa: PLC0415 -- NumPy with it
            finally:
                with contextlib.suppress(ValueError):
                    sys.path.remove(self._root)
        return found

    def fault(self) -> None:
        """Note an error of this module, which must not reach the user's code, with its trace.

        It is counted too: where the disk is what failed, its trace cannot be written.
        """
        with self._lock:
            self._add(5)
        with contextlib.suppress(OSError):
            (self._folder / f"{os.getpid()}.fault").write_text(traceback.format_exc(), encoding="utf-8")


def start(folder: Path) -> None:
    """Watch this process from now on.

    Args:
        folder: has the file `config.json`; what is found is written there.
    """
    recorder = Recorder(folder)
    if os.getppid() == recorder.parent:
        _end_with_parent()
    os.register_at_fork(after_in_child=recorder.begin)
    name, is_target = recorder.name.rpartition(".")[2], recorder.is_target

    def hear(frame: FrameType, event: str, _: Any) -> None:
        code = frame.f_code
        if code.co_name != name:
            return
        try:
            if not is_target(code):
                return
            if event == "call":
                recorder.call(frame)
            elif event == "return":
                recorder.end(frame)
        except Exception:  # noqa: BLE001 -- the user's code goes on, whatever fails here
            recorder.fault()

    threading.setprofile(hear)
    sys.setprofile(hear)


def _is_within(frame: FrameType) -> bool:
    """Whether a call of the same code is under way further out."""
    outer = frame.f_back
    while outer is not None:
        if outer.f_code is frame.f_code:
            return True
        outer = outer.f_back
    return False


def _returns(frame: FrameType) -> bool:
    """Whether a frame that ends returns a value; it is left by an error otherwise."""
    name = dis.opname[frame.f_code.co_code[frame.f_lasti]]
    return name in ("RETURN_VALUE", "RETURN_CONST")


def _arguments(frame: FrameType, name: str, call_files: Any) -> list[tuple[str, Any]]:
    """The arguments of a call that begins, in the order of their places, each with its name.

    The last ones are left out where they are their parameter's default and neither a number, text nor an array.
    """
    code, values = frame.f_code, frame.f_locals
    names = code.co_varnames
    count, alone = code.co_argcount, code.co_kwonlyargcount
    function = _function(frame, name)
    own = getattr(function, "__kwdefaults__", None) or {}
    at = count + alone
    many = values.get(names[at], ()) if code.co_flags & 0x04 else ()
    by_name = values.get(names[at + bool(code.co_flags & 0x04)], {}) if code.co_flags & 0x08 else {}
    for one in names[count:at]:
        if one not in own or not _same(values[one], own[one]):
            raise call_files.CannotRecordError(one, *CALLED_BY_NAME)
    if by_name:
        raise call_files.CannotRecordError(next(iter(by_name)), *CALLED_BY_NAME)
    given = [(one, values[one]) for one in names[:count]]
    defaults = getattr(function, "__defaults__", None) or ()
    while not many and defaults and given[-1][1] is defaults[-1] and not isinstance(defaults[-1], int | float | str):
        given, defaults = given[:-1], defaults[:-1]
    return given + [(f"{names[at]}[{number}]", one) for number, one in enumerate(many)]


def _function(frame: FrameType, name: str) -> Any:
    """The function whose call this is; None where its module has another thing of that name."""
    first, *rest = name.split(".")
    found: Any = frame.f_globals.get(first)
    for one in rest:
        found = getattr(found, one, None)
    found = getattr(found, "__func__", found)
    while hasattr(found, "__wrapped__"):
        found = found.__wrapped__
    return found if getattr(found, "__code__", None) is frame.f_code else None


def _same(value: Any, default: Any) -> bool:
    plain = isinstance(value, bool | int | float | str) and type(value) is type(default)
    return value is default or (plain and bool(value == default))


def _end_with_parent() -> None:
    """Let the kernel end this process with vecml's, if that is killed; elsewhere than on Linux it goes on."""
    if sys.platform == "linux":
        import ctypes  # noqa: PLC0415 -- for this alone

        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None, use_errno=True).prctl(1, 9, 0, 0, 0)

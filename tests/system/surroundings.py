"""Surroundings that people have, the commands that are run in each, and what is wrong with how one ends there.

What is found wrong: exit code 70 or a signal, a foreign traceback, a command that does not end, an error where the
command works elsewhere, a line on standard error that is none of ours, other results than in plain surroundings, and
what is left in a folder for temporary files.
"""

import contextlib
import csv
import json
import os
import re
import resource
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.system.conftest import BIN, ROOT, free_port
from tests.system.forked_commands import Commands
from tests.unprivileged import drop_powers

SECONDS = 240
NOBODY = 12_345  # a user whom no list of users knows, as in many containers
UNREAD = 141  # as other programs end whose reader has


CALL = 'exec "$@"'


@dataclass(frozen=True)
class Surrounding:
    """What a shell, a service or a container may give.

    Attributes:
        variables: of the environment; None takes one away. `{here}` is the working folder, `{aside}` one beside it.
        call: how the command is called, `"$@"`.
        prepare: is called with the working folder and the one beside it before the command.
        powers: whether it is run with root's powers, for which permissions do not count.
        nobody: whether it is run as a user whom the system does not know.
        refuses: of commands that cannot work there, what their error says.
        script: the command itself, in place of the installed script.
        folder: name of the working folder.
        heard: whether what it says can be read.
        fresh: whether it is about the start of Python, or of an import, so that the process has to be a new one.
        inside: the same as `call` for a process that is forked: `closed` and `full` streams by number, `umask`,
            `limits`, `ignored` signals. Without it a `call` needs a new process.
    """

    variables: Mapping[str, str | None] = field(default_factory=dict)
    call: str = CALL
    prepare: Callable[[Path, Path], None] = lambda _here, _aside: None
    powers: bool = True
    nobody: bool = False
    refuses: Mapping[str, str] = field(default_factory=dict)
    script: tuple[str, ...] = (str(BIN / "vecml"),)
    folder: str = "work"
    heard: bool = True
    fresh: bool = False
    inside: Mapping[str, Any] = field(default_factory=dict)

    @property
    def forks(self) -> bool:
        """Whether a process that has made its imports can be put into it."""
        return not (self.fresh or self.nobody or self.script != PLAIN.script or (self.call != CALL and not self.inside))


def _unwritable(folder: Path) -> None:
    for path in (folder, *folder.rglob("*")):
        if not path.is_symlink():
            path.chmod(path.stat().st_mode & ~0o222)


def _users_modules(folder: Path, names: tuple[str, ...]) -> None:
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / f"{name}.py").write_text("raise SystemExit('a file of the user was run')\n")
    for name in ("flows", "tasks"):
        (folder / name).mkdir()
        (folder / name / "__init__.py").write_text("raise SystemExit('a package of the user was run')\n")


STANDARD = ("random", "numpy", "types", "logging", "string", "token", "queue", "copy", "tasks_", "utils", "torch")
READ_ONLY = "cannot|may not|not be written|read-only|Read-only|Permission denied"
WRITERS = ("run", "compare", "ladder", "lab", "optimize", "import", "champion-run", "qualify", "up")
NO_HOME = dict.fromkeys(("run", "compare"), "Prefect cannot keep its database in")

PLAIN = Surrounding()
ALL: dict[str, Surrounding] = {
    "tmpdir-missing": Surrounding({"TMPDIR": "{aside}/none"}),
    "tmpdir-read-only": Surrounding(
        {"TMPDIR": "{aside}/tmp"}, prepare=lambda _, aside: _unwritable(aside / "tmp"), powers=False
    ),
    "tmpdir-relative": Surrounding({"TMPDIR": "a tmp"}, prepare=lambda here, _: (here / "a tmp").mkdir()),
    "tmpdir-odd": Surrounding(
        {"TMPDIR": "{aside}/tmp ü %41 #?"}, prepare=lambda _, aside: (aside / "tmp ü %41 #?").mkdir()
    ),
    "home-unset-nobody": Surrounding({"HOME": None, "PREFECT_HOME": None}, nobody=True, refuses=NO_HOME, fresh=True),
    "home-missing": Surrounding(
        {"HOME": "/nonexistent/home", "PREFECT_HOME": None}, nobody=True, refuses=NO_HOME, fresh=True
    ),
    "home-read-only": Surrounding(
        {"PREFECT_HOME": None},
        prepare=lambda _, aside: _unwritable(aside / "home"),
        powers=False,
        refuses=NO_HOME,
        fresh=True,
    ),
    "home-empty": Surrounding({"HOME": ""}),
    "home-relative": Surrounding({"HOME": "my home"}, prepare=lambda here, _: (here / "my home").mkdir()),
    "folder-odd": Surrounding(folder="Übung ☃ {x} 'q\" $HOME; [b]&=1"),
    "folder-read-only": Surrounding(
        prepare=lambda here, _: _unwritable(here), powers=False, refuses=dict.fromkeys((*WRITERS, "ui"), READ_ONLY)
    ),
    "store-elsewhere": Surrounding(
        {"VECML_HOME": "{aside}/store"},
        prepare=lambda here, aside: (
            (aside / "store").mkdir(),
            shutil.move(here / "mlruns", aside / "store"),
            _unwritable(here),
        )[0],
        powers=False,
    ),
    "warnings-are-errors": Surrounding({"PYTHONWARNINGS": "error"}, fresh=True),
    "stdout-closed": Surrounding(call='exec "$@" >&-', heard=False, inside={"closed": [1]}),
    "stderr-closed": Surrounding(call='exec "$@" 2>&-', inside={"closed": [2]}),
    "stdin-closed": Surrounding(call='exec "$@" <&-', inside={"closed": [0]}),
    "all-closed": Surrounding(call='exec "$@" <&- >&- 2>&-', heard=False, inside={"closed": [0, 1, 2]}),
    "stdout-full": Surrounding(
        call='exec "$@" >/dev/full', heard=False, refuses={"": "No space left on device"}, inside={"full": [1]}
    ),
    "stderr-full": Surrounding(call='exec "$@" 2>/dev/full', inside={"full": [2]}),
    "reader-gone": Surrounding(call='"$@" | true; exit "${PIPESTATUS[0]}"', heard=False, refuses={"": ""}),
    "optimised": Surrounding({"PYTHONOPTIMIZE": "2"}, fresh=True),
    "dev-mode": Surrounding({"PYTHONDEVMODE": "1"}, fresh=True),
    "term-dumb": Surrounding({"TERM": "dumb"}),
    "term-unset": Surrounding({"TERM": None}),
    "term-nonsense": Surrounding({"TERM": "nonsense"}),
    "no-color": Surrounding({"NO_COLOR": "1", "FORCE_COLOR": "1", "PY_COLORS": "1"}),
    "columns-20": Surrounding({"COLUMNS": "20", "LINES": "1"}),
    "columns-0": Surrounding({"COLUMNS": "0", "LINES": "0"}),
    "columns-nonsense": Surrounding({"COLUMNS": "²", "LINES": "-3"}),
    "columns-huge": Surrounding({"COLUMNS": "99999999999999999999"}),
    "hash-seed": Surrounding({"PYTHONHASHSEED": "0"}, fresh=True),
    "umask-077": Surrounding(call='umask 077; exec "$@"', inside={"umask": 0o077}),
    "umask-000": Surrounding(call='umask 000; exec "$@"', inside={"umask": 0}),
    "umask-777": Surrounding(
        call='umask 0277; exec "$@"', powers=False, refuses={"": READ_ONLY}, inside={"umask": 0o277}
    ),
    "lang-c": Surrounding({"LANG": "C", "LC_ALL": "C"}, fresh=True),
    "ascii-names": Surrounding({"LANG": "C", "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}, fresh=True),
    "lang-missing": Surrounding({"LANG": "tr_TR.UTF-8", "LC_ALL": "tr_TR.UTF-8"}, fresh=True),
    "ascii-streams": Surrounding({"PYTHONIOENCODING": "ascii", "LANG": None, "LC_ALL": None}, fresh=True),
    "utf16-streams": Surrounding({"PYTHONIOENCODING": "cp037"}, heard=False, fresh=True),
    "tz-odd": Surrounding({"TZ": "Asia/Kathmandu"}),
    "tz-nonsense": Surrounding({"TZ": ":/no such/Zone"}),
    "socks-proxy": Surrounding(dict.fromkeys(("ALL_PROXY", "all_proxy", "HTTPS_PROXY"), "socks5h://127.0.0.1:9")),
    "http-proxy": Surrounding(
        dict.fromkeys(("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy"), "http://127.0.0.1:9")
    ),
    "proxy-nonsense": Surrounding({"ALL_PROXY": "nonsense", "http_proxy": "::", "NO_PROXY": "*,[::1],,"}),
    "certificates-missing": Surrounding(
        {"SSL_CERT_FILE": "/none.pem", "SSL_CERT_DIR": "/none", "REQUESTS_CA_BUNDLE": "/none", "CURL_CA_BUNDLE": "/n"}
    ),
    "modules-here": Surrounding(
        prepare=lambda here, _: _users_modules(here, STANDARD), fresh=True, refuses={"optimize": "masked_clip.py"}
    ),
    "modules-here-by-module": Surrounding(
        prepare=lambda here, _: _users_modules(here, STANDARD), script=(sys.executable, "-P", "-m", "vecml")
    ),
    "modules-on-path": Surrounding(
        {"PYTHONPATH": "{aside}/lib:{root}"}, prepare=lambda _, aside: _users_modules(aside / "lib", ()), fresh=True
    ),
    "safe-path": Surrounding({"PYTHONSAFEPATH": "1", "PYTHONNOUSERSITE": "1", "PYTHONUNBUFFERED": "1"}, fresh=True),
    "few-files": Surrounding(call='ulimit -n 64; exec "$@"', inside={"limits": {"NOFILE": 64}}),
    "few-threads": Surrounding(
        call='ulimit -u 60; exec "$@"', nobody=True, variables={"HOME": "{aside}/home"}, fresh=True
    ),
    "little-space": Surrounding(call='ulimit -v 3000000; exec "$@"', refuses={"": "memory|alloc"}, fresh=True),
    "no-core-and-small-stack": Surrounding(
        call='ulimit -c 0; ulimit -s 1024; exec "$@"', inside={"limits": {"STACK": 1 << 20}}
    ),
    "threads-nonsense": Surrounding(
        {"OMP_NUM_THREADS": "nonsense", "MKL_NUM_THREADS": "-1", "OPENBLAS_NUM_THREADS": "x", "NUMBA_NUM_THREADS": "1"},
        fresh=True,
    ),
    "threads-0": Surrounding({"OMP_NUM_THREADS": "0", "OPENBLAS_NUM_THREADS": "0"}, fresh=True),
    "by-link": Surrounding(prepare=lambda here, _: (here / "link").symlink_to(BIN / "vecml"), script=("./link",)),
    "by-module": Surrounding(script=(sys.executable, "-m", "vecml")),
    "without-path": Surrounding({"PATH": "/nonexistent"}),
    "mlflow-of-another": Surrounding(
        {"MLFLOW_EXPERIMENT_NAME": "theirs", "MLFLOW_RUN_ID": "0" * 32, "MLFLOW_EXPERIMENT_ID": "77"}
    ),
    "prefect-of-another": Surrounding(
        {"PREFECT_LOGGING_LEVEL": "DEBUG", "PREFECT_PROFILE": "none", "PREFECT_RESULTS_PERSIST_BY_DEFAULT": "true"},
        fresh=True,
    ),
    "matplotlib-of-jupyter": Surrounding(
        {"MPLBACKEND": "module://matplotlib_inline.backend_inline", "MPLCONFIGDIR": "/nonexistent", "DISPLAY": ":77"},
        fresh=True,
    ),
    "gpu-nonsense": Surrounding({"CUDA_VISIBLE_DEVICES": "nonsense", "TORCH_LOGS": "", "NVIDIA_VISIBLE_DEVICES": "x"}),
    "ci": Surrounding({"CI": "true", "GITHUB_ACTIONS": "true", "BROWSER": "false"}, fresh=True),
    "hangup-ignored": Surrounding(
        call="trap '' HUP INT TERM PIPE CHLD; exec \"$@\"", inside={"ignored": ["HUP", "INT", "TERM", "PIPE", "CHLD"]}
    ),
}

LIGHT: dict[str, tuple[str, ...]] = {
    "help": ("--help",),
    "version": ("--version",),
    "leaderboard": ("leaderboard",),
    "history": ("history", "--json"),
    "doctor": ("doctor",),
    "champion": ("champion", "--json"),
    "champion-run": ("champion", "second", "--json"),
    "report": ("report", "second", "--no-open", "--out", "{out}/report.html"),
    "export": ("export", "second", "{out}/second.zip"),
    "import": ("import", "theirs.zip"),
    "predict": ("predict", "--model", "second", "--data", "new.csv", "--out", "{out}/labels.csv"),
    "diff": ("diff", "first", "second", "--json"),
    "trigger": ("trigger", "--queues", "cpu"),
    "compare-from": ("compare", "--from", "{recorded}"),
}
HEAVY: dict[str, tuple[str, ...]] = {
    "run": ("run", "--data", "table.csv", "--target", "label", "--epochs", "1", "--name", "made"),
    "compare": ("compare", "--rows", "2000", "--quick", "--budget", "5s", "--name", "made"),
    "ladder": ("ladder", "--quick", "--rows", "2000", "--picture", "{out}/ladder.png"),
    "lab": ("lab", "broadcasting", "--quick", "--out", "{out}/lab"),
    "optimize": (
        "optimize", "masked_clip.py:masked_clip", "--inputs", "masked_clip.py:make_inputs", "--budget", "quick",
    ),
    "qualify": ("qualify", "--minutes", "0.5", "--no-keep", "--report", "{out}/qualify.md"),
    "ui": ("ui", "--port", "{port}"),
    "up": ("up", "--no-deploy", "--prefect-port", "{port}", "--mlflow-port", "{port2}"),
}  # fmt: skip
STOPPED_AFTER = {"qualify": 12.0, "ui": 20.0, "up": 40.0}  # seconds
ALWAYS_REFUSED = {"trigger": "no Prefect server is named"}
# What vecml says, and libgomp and bash, which name what is wrong with a variable.
OURS = re.compile(
    r"(\x1b\[[\d;]*m)*(VML0\d\d |error:|hint:| |$|quick: |interrupted|\d of \d: |libgomp: "
    r"|/bin/bash: warning: setlocale)"
)


FAILURES = (
    "Traceback (most", "vecml failed", "Exception ignored", "Fatal Python", "Segmentation", "of the user was run",
)  # fmt: skip


@dataclass(frozen=True)
class Ended:
    """How a command ended: its exit code (None: it did not end), what it said, and what it made."""

    code: int | None
    out: str
    err: str
    made: dict[str, object]
    left: list[str]


def can_be_nobody() -> bool:
    """Whether a user whom the system does not know reaches this Python, vecml and the folder for temporary files."""
    places = (Path(sys.executable).resolve(), BIN / "vecml", ROOT / "vecml", Path(tempfile.gettempdir()))
    return os.getuid() == 0 and all(
        parent.stat().st_mode & 0o001 for place in places for parent in place.resolve().parents
    )


def lay(template: Path, folder: Path) -> None:
    """The folder in which the commands run is `folder/work`; beside it lie a home, a TMPDIR and what they write."""
    shutil.rmtree(folder, ignore_errors=True)
    for name in ("home", "tmp", "out", "prefect"):
        (folder / name).mkdir(parents=True)
    shutil.copytree(template / "work", folder / "work", symlinks=True)
    if (template / "prefect.db").exists():
        shutil.copy(template / "prefect.db", folder / "prefect")


def variables_of(around: tuple[Surrounding, ...], base: Mapping[str, str], places: Mapping[str, str]) -> dict[str, str]:
    """The environment of a command."""
    found: dict[str, str | None] = {
        **base,
        "HOME": "{aside}/home",
        "TMPDIR": "{aside}/tmp",
        "PREFECT_HOME": "{aside}/prefect",
        "VECML_CACHE": None,
        "PYTHONWARNINGS": None,
        "DO_NOT_TRACK": None,
        "PYTHONDONTWRITEBYTECODE": None,
        "VECML_TEST_MARK": "{aside}",
    }
    for one in around:
        found |= one.variables
    kept = {name: value for name, value in found.items() if value is not None and not name.startswith("PYTEST_")}
    for name, value in kept.items():
        kept[name] = _filled(value, places)
    return kept


def run_in(
    around: tuple[Surrounding, ...],
    name: str,
    template: Path,
    folder: Path,
    base: Mapping[str, str],
    forked: Commands | None = None,
) -> Ended:
    """Run a command in surroundings, in a folder laid anew; by `forked` where all of them allow it."""
    lay(template, folder)
    here = folder / "work"
    for one in around:
        if one.folder != "work":
            here = here.rename(folder / one.folder)
    places = {
        "aside": str(folder), "here": str(here), "root": str(ROOT), "out": str(folder / "out"),
        "recorded": str(ROOT / "tests/data_of_before/comparison.json"),
        "port": str(free_port()), "port2": str(free_port()),
    }  # fmt: skip
    variables = variables_of(around, base, places)
    nobody = any(one.nobody for one in around)
    if nobody:
        for path in (folder, *folder.rglob("*")):
            os.lchown(path, NOBODY, NOBODY)
    for one in around:
        one.prepare(here, folder)
    arguments = [_filled(part, places) for part in {**LIGHT, **HEAVY}[name]]
    if forked is not None and forks(around, name):
        code = forked.inside(_inside(around, variables, folder), arguments, here)
        return _seen(code, name, folder, here, variables)
    script = next((one.script for one in around if one.script != PLAIN.script), PLAIN.script)
    shell = 'exec "$@"'
    for one in around:
        if one.call != shell:
            shell = f'bash -c {shlex.quote(shell)} vecml "$@"' if "|" in one.call else shell
            shell = one.call if shell == 'exec "$@"' else one.call.replace('exec "$@"', shell)

    def before() -> None:
        if nobody:
            os.setgroups([])
            os.setresgid(NOBODY, NOBODY, NOBODY)
            os.setresuid(NOBODY, NOBODY, NOBODY)
        elif not all(one.powers for one in around):
            drop_powers()
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

    out, err = folder / "out.txt", folder / "err.txt"
    with out.open("wb") as said, err.open("wb") as wrong:
        process = subprocess.Popen(
            ["/bin/bash", "-c", shell, "vecml", *script, *arguments],
            cwd=here, env=variables, stdin=subprocess.DEVNULL, stdout=said, stderr=wrong,
            preexec_fn=before, start_new_session=True,  # noqa: PLW1509 -- this process has no threads of its own
        )  # fmt: skip
        code = _ended(process, STOPPED_AFTER.get(name))
    return _seen(code, name, folder, here, variables)


def forks(around: tuple[Surrounding, ...], name: str) -> bool:
    """Whether a command in these surroundings can be forked from a process that has made the imports."""
    return name not in STOPPED_AFTER and all(one.forks for one in around)


def _inside(around: tuple[Surrounding, ...], variables: Mapping[str, str], folder: Path) -> dict[str, Any]:
    """The surroundings as `forked_commands` takes them."""
    streams: list[str | None] = [os.devnull, str(folder / "out.txt"), str(folder / "err.txt")]
    place: dict[str, Any] = {"umask": 0o022, "limits": {"CORE": 0}, "ignored": []}
    for one in around:
        for number in one.inside.get("full", ()):
            streams[number] = "/dev/full"
        for number in one.inside.get("closed", ()):
            streams[number] = None
        place["umask"] = one.inside.get("umask", place["umask"])
        place["limits"] |= one.inside.get("limits", {})
        place["ignored"] += one.inside.get("ignored", [])
    return {**place, "streams": streams, "variables": variables, "powers": all(one.powers for one in around)}


def _seen(code: int | None, name: str, folder: Path, here: Path, variables: Mapping[str, str]) -> Ended:
    """How a command ended, what it said and made, and what it left in the folder for temporary files."""
    made = _made(folder / "out", name)
    temporary = Path(variables.get("TMPDIR", "/tmp"))
    temporary = temporary if temporary.is_absolute() else here / temporary
    left = [path.name for path in temporary.glob("vecml-*")] if temporary.is_dir() else []
    files = [folder / "out.txt", folder / "err.txt"]
    shown = [file.read_text(errors="replace") if file.exists() else "" for file in files]
    return Ended(code, shown[0], shown[1], made, [one for one in left if not one.startswith("vecml-measuring")])


def _filled(part: str, places: Mapping[str, str]) -> str:
    for place, path in places.items():
        part = part.replace(f"{{{place}}}", path)
    return part


def _ended(process: "subprocess.Popen[bytes]", stop_after: float | None) -> int | None:
    try:
        code = process.wait(stop_after or SECONDS)
    except subprocess.TimeoutExpired:
        if stop_after:
            process.send_signal(signal.SIGINT)
            try:
                code = process.wait(60)
                return 0 if code in (0, 130, -2) else code
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGTERM)
        try:
            code = process.wait(30)
        except subprocess.TimeoutExpired:
            code = None
        with contextlib.suppress(ProcessLookupError):  # it has ended meanwhile
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return None
    return code


def _made(out: Path, name: str) -> dict[str, object]:
    """What a command wrote, as far as it is the same each time."""
    if name == "predict" and (out / "labels.csv").exists():
        with (out / "labels.csv").open(encoding="utf-8") as file:
            return {"labels": [row[-1] for row in csv.reader(file)]}
    if name == "export" and (out / "second.zip").exists():
        with zipfile.ZipFile(out / "second.zip") as packed:
            return {"entries": sorted(packed.namelist())}
    if name == "report" and (out / "report.html").exists():
        return {"page": (out / "report.html").read_bytes().rstrip().endswith(b"</html>")}
    return {"files": sorted(path.name for path in out.iterdir())}


def wrong(around: tuple[Surrounding, ...], name: str, ended: Ended, plain: Ended) -> list[str]:
    """What is wrong with how a command ended in surroundings; `plain` is how it ends without them."""
    said = ended.out + ended.err
    found = []
    if ended.code is None:
        found.append("it does not end")
    elif ended.code == UNREAD and any("| true" in one.call for one in around):
        return found
    elif ended.code in (70, 120) or ended.code < 0 or ended.code > 128:
        found.append(f"exit code {ended.code}")
    # A module of the user's that a file of the user's imports is to be run; it says so, and is refused.
    beside = name == "optimize" and any(one in (ALL["modules-here"], ALL["modules-here-by-module"]) for one in around)
    signs = FAILURES[:-1] if beside else FAILURES
    found += [f"it says {sign!r}" for sign in signs if sign in said]
    if "\x1b[" in said and not any("NO_COLOR" in one.variables for one in around):
        found.append("it says escapes")
    allowed = [one.refuses.get(name, one.refuses.get("")) for one in around] + [ALWAYS_REFUSED.get(name)]
    error = re.findall(r"^error: .*", ended.err.replace("\x1b[1;31m", "").replace("\x1b[0m", ""), flags=re.MULTILINE)
    if not found and ended.code != plain.code:
        heard = all("2>" not in one.call for one in around)
        if not any(allowed) or (heard and not any(re.search(one, " ".join(error)) for one in allowed if one)):
            found.append(f"exit code {ended.code}")
    if not found and ended.code == 0 and ended.made != plain.made:
        found.append(f"it made {ended.made} and not {plain.made}")
    if len(error) > 1:
        found.append("several errors")
    if all(one.heard for one in around) and name != "ui":  # whose place MLflow's server has taken, and its log
        found += [f"noise: {line}" for line in ended.err.splitlines() if not OURS.match(line)][:3]
    found += [f"left: {one}" for one in ended.left]
    return found


def as_line(around: str, name: str, ended: Ended, faults: list[str]) -> str:
    """One combination as a line of JSON, for the log."""
    return json.dumps([around, name, ended.code, faults, ended.out[-300:], ended.err[-700:]], ensure_ascii=False)

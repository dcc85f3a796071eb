"""A process that has imported what the commands need, and forks itself for each that it is asked to run.

A command spends ten of its twelve seconds of CPU in Python's imports of torch, MLflow and Prefect, which are the same
each time. Here they are made once for a worker of the test run; a command is still a process of its own, with its own
arguments, folder, streams, signals and exit code, and from `vecml.cli.app.main` on nothing differs from a user's.
Before the first fork nothing is computed, so that no library has threads that a fork would lose.

Run as `python forked_commands.py PROGRAM`: a line of JSON on standard input for each command, as `Commands` writes it,
and a line with its exit code as the answer.
"""

import atexit
import contextlib
import ctypes
import gc
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

LIMIT_SECONDS = 240.0
POLL_SECONDS = 0.01
# In a command's order. The last are what torch.export and the pictures import when they are first used.
IMPORTED = (
    "torch", "mlflow", "flows.pipeline", "flows.compare", "mlflow.store.tracking.sqlalchemy_store", "vecml.cli.launch",
    "tasks.tracking.pt2", "tasks.tracking.comparison", "vecml.report.summary", "vecml.report.course_picture",
    "matplotlib.backends.backend_agg", "torch.export._trace", "torch._dynamo.convert_frame",
    "torch._functorch.aot_autograd", "torch._inductor.codecache", "mlflow.pytorch", "mlflow.pyfunc", "sklearn.datasets",
)  # fmt: skip


class Commands:
    """Runs `vecml`, or a script, in processes that are forked from one with all imports made; `end` ends that one."""

    def __init__(self, program: Path, environment: dict[str, str], limit: float = LIMIT_SECONDS) -> None:
        self._program = program
        self._environment = environment
        self._limit = limit
        self._process: subprocess.Popen[str] | None = None

    def __call__(
        self, arguments: tuple[str, ...], folder: Path, env: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run the command in a folder, with these variables as well; return what it said, as subprocess.run does."""
        return self._done({"arguments": arguments, "env": env or {}}, folder)

    @property
    def pid(self) -> int | None:
        """The process that commands are forked from, if it was started."""
        return None if self._process is None else self._process.pid

    def inside(self, place: Mapping[str, Any], arguments: Sequence[str], folder: Path) -> int | None:
        """Run the command in surroundings, as `_surround` takes them; its exit code, None if it did not end."""
        code = self._answer({"arguments": list(arguments), "place": dict(place), "folder": str(folder)})
        return None if code == "late" else int(code)

    def script(self, code: str, folder: Path) -> subprocess.CompletedProcess[str]:
        """Run a text of Python in a folder, as `python -c` does."""
        return self._done({"code": code}, folder)

    def _done(self, what: dict[str, Any], folder: Path) -> subprocess.CompletedProcess[str]:
        with tempfile.TemporaryDirectory() as streams:
            code = self._answer({**what, "folder": str(folder), "streams": streams})
            out, err = ((Path(streams) / name).read_text(encoding="utf-8") for name in ("out", "err"))
        if code == "late":
            raise subprocess.TimeoutExpired(str(what), self._limit, out, err)
        return subprocess.CompletedProcess(str(what), int(code), out, err)

    def _answer(self, what: dict[str, Any]) -> str:
        if self._process is None or self._process.poll() is not None:
            self._process = self._started()
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({**what, "limit": self._limit}) + "\n")
        self._process.stdin.flush()
        code = self._process.stdout.readline().strip()
        assert code, "the process that commands are forked from has ended"
        return code

    def _started(self) -> subprocess.Popen[str]:
        # As the command does before it imports Prefect.
        environment = {"PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL", **self._environment}
        return subprocess.Popen(
            [sys.executable, __file__, str(self._program)],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def end(self) -> None:
        """End the process that commands are forked from."""
        if self._process is not None:
            assert self._process.stdin is not None
            assert self._process.stdout is not None
            self._process.stdin.close()
            self._process.wait(15)
            self._process.stdout.close()


def _surround(place: dict[str, Any]) -> None:
    """Take on surroundings: the whole environment, umask, limits, ignored signals, and no more powers than a user."""
    os.environ.clear()
    os.environ.update(place["variables"])
    time.tzset()
    os.umask(place["umask"])
    for name, limit in place["limits"].items():
        resource.setrlimit(getattr(resource, f"RLIMIT_{name}"), (limit, limit))
    for name in place["ignored"]:
        signal.signal(getattr(signal, f"SIG{name}"), signal.SIG_IGN)
    if not place["powers"]:
        sys.path.append(os.fspath(Path(__file__).parents[2]))
        from tests.unprivileged import drop_powers

        del sys.path[-1]
        drop_powers()


def _become(program: str, asked: dict[str, Any]) -> None:
    """Take the command's place: its folder, its arguments and its streams."""
    os.setsid()  # as `subprocess.run(start_new_session=True)`: what kills its group kills nothing else
    os.chdir(asked["folder"])
    os.environ.update(asked.get("env", {}))
    tempfile.tempdir = None  # it is looked for in each process
    if "FAULT_COUNT" in os.environ:
        ctypes.CDLL(None).fault_begin()  # tests/faults/shim.c, which the first process was loaded with
    place = asked.get("place")
    paths = place["streams"] if place else [os.devnull, f"{asked.get('streams')}/out", f"{asked.get('streams')}/err"]
    for number, path in enumerate(paths):
        if path is None:
            os.close(number)
            continue
        opened = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND)
        os.dup2(opened, number)
        os.close(opened)
    if place:
        _surround(place)
    closed = [path is None for path in paths]
    # They stay open. One that is closed is None, as Python has it.
    sys.stdin = None if closed[0] else open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stdout = None if closed[1] else open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = None if closed[2] else open(2, "w", encoding="utf-8", closefd=False, buffering=1)  # noqa: SIM115
    sys.__stderr__ = sys.stderr
    if "code" in asked:
        sys.argv, sys.path[0] = ["-c"], ""
        del sys.modules["__main__"].__file__
    else:
        sys.argv, sys.path[0] = [program, *asked["arguments"]], os.path.dirname(program)  # noqa: PTH120
        sys.modules["__main__"].__file__ = program


def _ended(pid: int, seconds: float) -> str:
    """The exit code of a child, negative for a signal; `late` for one that had to be killed."""
    limit = time.monotonic() + seconds
    while time.monotonic() < limit:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return str(os.waitstatus_to_exitcode(status))
        time.sleep(POLL_SECONDS)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return "late"


def _next_command(program: str) -> dict[str, Any] | None:
    """Fork for each command that is asked for; what was asked in such a child, None at the end of all."""
    while line := sys.stdin.readline():
        pid = os.fork()
        if pid == 0:
            asked: dict[str, Any] = json.loads(line)
            _become(program, asked)
            return asked
        print(_ended(pid, json.loads(line)["limit"]), flush=True)  # noqa: T201 -- the answer
    return None


def _end_at_once(end: SystemExit) -> None:
    """End as Python does, but for giving all objects back, which costs a forked process more than the command itself.

    For the thousands of commands of tests/faults, where a test holds their changes of files against a fresh process's.
    """
    threading._shutdown()  # type: ignore[attr-defined] -- as multiprocessing's own children end
    atexit._run_exitfuncs()
    sys.stdout.flush()
    os._exit(end.code if isinstance(end.code, int) else 1)


def _import_all() -> None:
    gc.disable()  # as the command does
    for name in IMPORTED:
        with contextlib.suppress(ModuleNotFoundError):  # then the command says so
            import_module(name)
    gc.freeze()
    gc.enable()


if __name__ == "__main__":
    _import_all()
    command = _next_command(sys.argv[1])
    if command is not None and "code" in command:
        exec(compile(command["code"], "<string>", "exec"), {"__name__": "__main__"})  # noqa: S102 -- a test's own
    elif command is not None:
        from vecml.cli.app import main

        try:
            main()
        except SystemExit as end:
            if "FAULT_COUNT" not in os.environ:
                raise
            _end_at_once(end)

"""A child process: how vecml starts one, talks with it, notices its end, and makes sure that it ends.

The child's own modules are found wherever the user is, and the user's files of the same names are not run.
"""

import contextlib
import ctypes
import os
import re
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Protocol

ROOT = str(Path(__file__).resolve().parents[1])
LAST_WORDS_SECONDS = 5.0


class SilentError(Exception):
    """The child did not answer in time; it still runs."""


class EndedError(Exception):
    """The child ended without an answer. The text says how: by which signal, or with which exit code and last words."""


class Process(Protocol):
    """The part of `subprocess.Popen` that a forked process has as well."""

    @property
    def pid(self) -> int: ...
    @property
    def returncode(self) -> int | None: ...
    @property
    def stdin(self) -> IO[bytes] | None: ...
    @property
    def stdout(self) -> IO[bytes] | None: ...
    def poll(self) -> int | None: ...
    def wait(self, timeout: float | None = None) -> int: ...


class Child:
    """A child process that leads a session of its own, with a pipe to it and a pipe from it.

    Ctrl-C in a terminal therefore reaches this process only, and a signal to the child also reaches what it started.

    Attributes:
        process: what was started.
    """

    def __init__(self, start: Callable[[IO[bytes]], Process]) -> None:
        """Start the child.

        Args:
            start: is called with an open file for the child's standard error, and returns the running process.
        """
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 -- `close` closes it
        try:
            self.process = start(self._errors)
        except BaseException:
            self._errors.close()
            raise
        self._buffer = b""

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def code(self) -> int | None:
        """The exit code, negative for the signal that ended the child; None while it runs."""
        return self.process.poll()

    def send(self, message: bytes, *, last: bool = False) -> None:
        """Write `message` to the child's standard input, and close that after the `last` one.

        A child that has ended is no error here: `receive` tells how it ended.
        """
        pipe = self.process.stdin
        if pipe is None or pipe.closed:
            return
        with contextlib.suppress(BrokenPipeError):
            pipe.write(message)
            pipe.flush()
        if last:
            with contextlib.suppress(BrokenPipeError):
                pipe.close()

    def receive(self, seconds: float) -> bytes:
        """The next line of the child's standard output, without its end.

        Raises:
            SilentError: no whole line came within `seconds`.
            EndedError: the child ended, or closed its output, before the line was whole.
        """
        limit = time.monotonic() + seconds
        while b"\n" not in self._buffer:
            if not self.readable(limit - time.monotonic()):
                raise SilentError
            content = self.read()
            if not content:
                raise EndedError(self.last_words())
            self._buffer += content
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line

    def readable(self, seconds: float) -> bool:
        """Whether `read` would return at once, after waiting for that for at most `seconds`."""
        ready, _, _ = select.select([self.fileno()], [], [], max(0.0, seconds))
        return bool(ready)

    def read(self) -> bytes:
        """Wait for output of the child, and give what it wrote since the last call; empty once the output has ended."""
        return os.read(self.fileno(), 1 << 16)

    def fileno(self) -> int:
        """The number of the pipe that the child writes to, as `select` wants it."""
        if self.process.stdout is None:
            raise RuntimeError("the child was started without a pipe from it")
        return self.process.stdout.fileno()

    def last_words(self) -> str:
        """How the child ended, in words for the user; ends a child that only closed its output."""
        try:
            code = self.process.wait(LAST_WORDS_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            return "it closed its answers and went on, and was ended"
        if code == -signal.SIGKILL:
            return "its process was killed (SIGKILL), which is what the system does when memory runs out"
        if code < 0:
            return f"its process was ended by {signal.Signals(-code).name}"
        self._errors.seek(0)
        return f"its process ended with {code} and said: {cause(self._errors.read().decode(errors='replace'))}"

    def signal(self, number: int) -> None:
        """Send a signal to the child and to what it has started in its session; does nothing once it has ended."""
        if self.process.returncode is not None:
            return  # it was waited for, so its number may belong to another process now
        try:
            os.killpg(self.pid, number)
        except (ProcessLookupError, PermissionError):  # a forked child may not lead its session yet
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        """End the child at once, with what it has started in its session."""
        self.signal(signal.SIGKILL)

    def close(self, patience_seconds: float = 0.0) -> None:
        """End the child and close the pipes; returns when it has ended. May be called again.

        Args:
            patience_seconds: how long it has to end by itself once its input is closed and SIGTERM is sent; 0 kills it.
        """
        try:
            if patience_seconds:
                self.send(b"", last=True)
                self.signal(signal.SIGTERM)
                with contextlib.suppress(subprocess.TimeoutExpired, KeyboardInterrupt):
                    self.process.wait(patience_seconds)
        finally:
            self.kill()
            with contextlib.suppress(KeyboardInterrupt):  # at a second Ctrl-C it has been killed already
                self.process.wait()
            for pipe in (self.process.stdin, self.process.stdout, self._errors):
                if pipe is not None:
                    with contextlib.suppress(BrokenPipeError):
                        pipe.close()


def spawn(
    command: Sequence[str],
    variables: Mapping[str, str] | None = None,
    *,
    folder: Path | None = None,
    errors_too: bool = False,
    descriptors: Sequence[int] = (),
) -> Child:
    """Start a program as a child.

    Args:
        command: the program and its arguments; see `python`.
        variables: the whole environment; None: `environment()`.
        folder: the child's current folder; None: this process's.
        errors_too: its standard error goes into the same pipe as its standard output, and not into a file.
        descriptors: open files that the child inherits.
    """
    return Child(
        lambda errors: subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT if errors_too else errors,
            env=environment() if variables is None else variables,
            cwd=folder,
            pass_fds=descriptors,
            start_new_session=True,
        )
    )


def python(module: str, *arguments: str) -> list[str]:
    """The command that runs a module in this interpreter, without the current folder on its path (`-P`)."""
    return [sys.executable, "-P", "-m", module, *arguments]


def end_with_parent() -> None:
    """Let the kernel kill this child when the thread ends that started it; elsewhere it ends when its input is closed.

    For a child that computes for long and reads nothing meanwhile: a parent that was killed would leave it behind.
    """
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None, use_errno=True).prctl(1, signal.SIGKILL, 0, 0, 0)  # 1: PR_SET_PDEATHSIG


def environment(**extra: str) -> dict[str, str]:
    """This process's environment for a child, with the folder that vecml was imported from first on Python's path.

    Without the user's wish that warnings be errors: other people's packages do warn, and a server would not start.
    """
    path = os.pathsep.join(part for part in (ROOT, os.environ.get("PYTHONPATH")) if part)
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONWARNINGS"}
    return {**inherited, "PYTHONPATH": path, **extra}


def cause(said: str) -> str:
    """The last line of a process's output that names an error, else its last line (300 characters at most)."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    errors = [line for line in lines if re.match(r"[\w.]*(Error|Exception)\b", line)]
    return (errors or lines or ["nothing"])[-1][:300]

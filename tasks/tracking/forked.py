"""A forked child, which shares what its parent has imported; it has as much of `subprocess.Popen` as `Child` needs.

Both processes need imports that take two seconds; with a fork they are made once. A fork is safe only while the parent
has a single Python thread, so ask `can_fork` first; where it is not safe, start a new interpreter for the same work.
"""

import gc
import os
import signal
import subprocess
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import IO

ENDING = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
POLL_SECONDS = 0.02


def can_fork() -> bool:
    """Whether this process may fork now: on Linux, with one Python thread."""
    return sys.platform == "linux" and threading.active_count() == 1


@contextmanager
def ending_held() -> Iterator[None]:
    """Let the signals of `ENDING` wait until the `with` block is over, so that nothing in it is left half made.

    A mask would not do: it holds for this thread alone, and the system may give a signal to a thread of OpenBLAS, after
    which Python runs the handler in the main thread all the same. Outside the main thread nothing is done.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []

    def hold(number: int, _frame: FrameType | None) -> None:
        came.append(number)

    before = {number: signal.getsignal(number) for number in ENDING}
    try:
        for number, handler in before.items():
            if handler is not None:  # None: it was not set from Python, and Python could not set it again
                signal.signal(number, hold)
        yield
    finally:
        for number, handler in before.items():
            if handler is not None:
                signal.signal(number, handler)
        if came:
            signal.raise_signal(came[0])


class ForkedProcess:
    """A forked child that runs `work(question, answer)` in a session of its own; make it inside `ending_held`.

    Args:
        work: is called in the child with the reading end of the question pipe and the writing end of the answer pipe.
        errors: an open file for the child's standard error.

    Attributes:
        pid: its process id.
        stdin: the question is written to it; closing it is the end of the question.
        stdout: the answer is read from it.
        returncode: the exit code, negative for the signal that ended it; None until `poll` or `wait` has seen the end.
    """

    def __init__(self, work: Callable[[IO[bytes], IO[bytes]], None], errors: IO[bytes]) -> None:
        question_read, question_write = os.pipe()
        answer_read, answer_write = os.pipe()
        gc.freeze()  # or the child's first collection copies every page
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # from 3.12, for OpenBLAS's threads, which bear a fork
            self.pid = os.fork()
        if self.pid == 0:
            _child(work, question_read, answer_write, errors.fileno())
        os.close(question_read)
        os.close(answer_write)
        self.stdin: IO[bytes] = os.fdopen(question_write, "wb")
        self.stdout: IO[bytes] = os.fdopen(answer_read, "rb")
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """Give the exit code; None while the process runs."""
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the exit code; raises subprocess.TimeoutExpired after `timeout` seconds."""
        limit = None if timeout is None else time.monotonic() + timeout
        while (code := self.poll()) is None:
            if timeout is not None and limit is not None and time.monotonic() > limit:
                raise subprocess.TimeoutExpired("a forked process", timeout)
            time.sleep(POLL_SECONDS)
        return code


def _child(work: Callable[[IO[bytes], IO[bytes]], None], question: int, answer: int, errors: int) -> None:
    """Run in the child from the fork to its exit, which skips the parent's exit handlers."""
    code = 1
    try:
        os.setsid()  # Ctrl-C is for the run, which ends this process by closing its question
        for number in ENDING:
            signal.signal(number, signal.SIG_DFL)
        os.dup2(question, 0)
        os.dup2(answer, 1)
        os.dup2(errors, 2)
        os.closerange(3, os.sysconf("SC_OPEN_MAX") if hasattr(os, "sysconf") else 4096)
        with os.fdopen(0, "rb", closefd=False) as asked, os.fdopen(1, "wb", closefd=False) as answered:
            work(asked, answered)
        code = 0
    except BaseException:  # noqa: BLE001 -- a child must not run on in its parent's code; the parent reads this text
        os.write(2, traceback.format_exc().encode())
    finally:
        os._exit(code)

"""A child that shares what its parent has imported: `subprocess.Popen`'s interface, as far as needed, round a fork.

Two seconds of imports that both sides need are paid once. It is safe only while the parent has a single Python thread,
so `can_fork` asks first; elsewhere a new interpreter does the same work.
"""

import gc
import os
import signal
import sys
import threading
import traceback
import warnings
from collections.abc import Callable
from typing import IO

ENDING = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)


def can_fork() -> bool:
    """Whether this process may fork now: on Linux, with one Python thread."""
    return sys.platform == "linux" and threading.active_count() == 1


class Forked:
    """A forked child running `work(ask, answer)`, with pipes to it, in a session of its own.

    Args:
        work: called in the child with the end of the question pipe to read and that of the answer pipe to write.
        said: an open file that gets the child's standard error.

    Attributes:
        stdin: to write the question to; closing it is the end of the question.
        stdout: to read the answer from.
    """

    def __init__(self, work: Callable[[IO[bytes], IO[bytes]], None], said: IO[bytes]) -> None:
        question_read, question_write = os.pipe()
        answer_read, answer_write = os.pipe()
        gc.freeze()  # or the child's first collection copies every page
        # A signal between the fork and the child's own first steps would run the parent's handlers in the child.
        held = signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # from 3.12, for OpenBLAS's threads, which bear a fork
            self._pid = os.fork()
        if self._pid == 0:
            _child(work, question_read, answer_write, said.fileno(), held)
        signal.pthread_sigmask(signal.SIG_SETMASK, held)
        os.close(question_read)
        os.close(answer_write)
        self.stdin: IO[bytes] = os.fdopen(question_write, "wb")
        self.stdout: IO[bytes] = os.fdopen(answer_read, "rb")
        self._ended = False

    def terminate(self) -> None:
        """Ask it to end; nothing if it has."""
        if not self._ended:
            os.kill(self._pid, signal.SIGTERM)

    def wait(self) -> None:
        """Return when it has ended."""
        if not self._ended:
            os.waitpid(self._pid, 0)
            self._ended = True


def _child(
    work: Callable[[IO[bytes], IO[bytes]], None], question: int, answer: int, said: int, mask: set[int | signal.Signals]
) -> None:
    """Everything of the child; it leaves here, without its parent's exit handlers."""
    code = 1
    try:
        os.setsid()  # Ctrl-C is for the run, which ends this process by closing its question
        for number in ENDING:
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        os.dup2(question, 0)
        os.dup2(answer, 1)
        os.dup2(said, 2)
        os.closerange(3, os.sysconf("SC_OPEN_MAX") if hasattr(os, "sysconf") else 4096)
        with os.fdopen(0, "rb", closefd=False) as asked, os.fdopen(1, "wb", closefd=False) as answered:
            work(asked, answered)
        code = 0
    except BaseException:  # noqa: BLE001 -- a child must not run on in its parent's code; the parent reads this text
        os.write(2, traceback.format_exc().encode())
    finally:
        os._exit(code)

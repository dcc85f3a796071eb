"""torch's own threads out of the way of the block loop: it divides the work, and torch must not divide it again.

The count is the process's for threads that begin later, so the holders are counted: the first one remembers what it
was, the others give that back. A thread that asked in between would take 1 for what the user had set.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch


class _Hold:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._holders = 0
        self._before = 1

    def take(self) -> int:
        """The count of the calling thread is 1 from now on; what it was before anybody held it."""
        with self._lock:
            if self._holders == 0:
                self._before = torch.get_num_threads()
            self._holders += 1
            torch.set_num_threads(1)
            return self._before

    def give_back(self, count: int) -> None:
        """The calling thread, and those that begin later, have `count` again; the block loop's set 1 for themselves."""
        with self._lock:
            self._holders -= 1
            torch.set_num_threads(count)


_hold = _Hold()


@contextmanager
def one_torch_thread() -> Iterator[None]:
    """Make torch compute on the calling thread alone, during the `with` block."""
    before = _hold.take()
    try:
        yield
    finally:
        _hold.give_back(before)

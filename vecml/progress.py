"""How far a long computation is, told to whoever listens: the command line draws bars, a worker hears nothing.

The library calls `track(...)` or `stage(...)`; it knows neither terminal nor timer. One listener at a time, kept in a
context variable, so that two runs in two threads do not mix.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol

Advance = Callable[[float], None]


class Listener(Protocol):
    """Hears of stages. `begin` returns what `advance` and `end` are called with."""

    def begin(self, name: str, total: float | None) -> object:
        """A stage begins; `total` units of work (rows, epochs, bytes), or None where it cannot be told."""

    def advance(self, stage: object, amount: float) -> None:
        """`amount` more units are done."""

    def end(self, stage: object) -> None:
        """The stage is over, done or not."""


_listener: ContextVar[Listener | None] = ContextVar("vecml_progress", default=None)


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Report every stage to `listener` during the `with` block."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


@contextmanager
def stage(name: str, total: float | None = None) -> Iterator[Advance]:
    """A stretch of work called `name`, of `total` units; yields the function that reports units done.

    >>> with stage("training", 5) as advance:
    ...     advance(1)
    """
    listener = _listener.get()
    if listener is None:
        yield _ignore
        return
    handle = listener.begin(name, total)
    try:
        yield lambda amount: listener.advance(handle, amount)
    finally:
        listener.end(handle)


def _ignore(amount: float) -> None:
    pass

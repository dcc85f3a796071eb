"""The result of a call with the seconds that it took; every task returns it, so that its overhead does not count."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, ParamSpec, TypeVar

T = TypeVar("T")
P = ParamSpec("P")


@dataclass(frozen=True)
class Timed(Generic[T]):
    """The result of a call, and the wall time in seconds that it took."""

    value: T
    seconds: float


def timed(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Timed[T]:
    """Call `function` and measure its time; an exception of the function passes through."""
    start = time.perf_counter()
    value = function(*args, **kwargs)
    return Timed(value, time.perf_counter() - start)

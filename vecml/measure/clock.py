"""A call and the seconds it took: what every task returns, so that its time is that of its computation."""

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
    """Call `function` and take its time; what it raises passes through."""
    start = time.perf_counter()
    value = function(*args, **kwargs)
    return Timed(value, time.perf_counter() - start)

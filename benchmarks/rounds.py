"""How the arms of a benchmark are timed: interleaved, every round in a new random order, and judged by ratios.

A machine drifts by a factor of two within a minute; two arms of one round meet the same weather. So the figure is the
median over the rounds of the ratio within a round, with the least and the greatest beside it.
"""

import random
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Floor:
    """What a figure must reach.

    Attributes:
        bound: the limit itself still counts as reached, unless `strict`.
        at_least: whether more is better.
        strict: the limit itself does not count.
    """

    bound: float
    at_least: bool = True
    strict: bool = False

    def reached(self, value: float) -> bool:
        """Whether `value` is on the right side."""
        if self.strict and value == self.bound:
            return False
        return value >= self.bound if self.at_least else value <= self.bound

    def __str__(self) -> str:
        return f"{'>' if self.at_least else '<'}{'' if self.strict else '='} {self.bound:g}"


@dataclass(frozen=True)
class Figure:
    """A benchmark's answer.

    Attributes:
        what: in words.
        values: one a round; none where there is nothing but the `detail`.
        floor: what their median must reach, or None.
        unit: behind the number.
        detail: the times behind it, in words.
    """

    what: str
    values: tuple[float, ...]
    floor: Floor | None = None
    unit: str = "x"
    detail: str = ""

    @property
    def median(self) -> float:
        """Over the rounds."""
        return statistics.median(self.values)

    @property
    def reached(self) -> bool:
        """Whether the median reaches the floor; one without a floor does."""
        return self.floor is None or self.floor.reached(self.median)

    def __str__(self) -> str:
        if not self.values:
            return f"{self.what:<52} {self.detail}"
        spread = f"({min(self.values):.2f} to {max(self.values):.2f})"
        verdict = f"  floor {self.floor}: {'reached' if self.reached else 'missed'}" if self.floor else ""
        return f"{self.what:<52} {self.median:6.2f} {self.unit} {spread}{verdict}  {self.detail}".rstrip()


def wall(function: Callable[[], object]) -> Callable[[], float]:
    """An arm that takes the wall seconds of `function`."""

    def arm() -> float:
        start = time.perf_counter()
        function()
        return time.perf_counter() - start

    return arm


def interleave(arms: Mapping[str, Callable[[], float]], rounds: int, seed: int = 0) -> dict[str, tuple[float, ...]]:
    """The seconds that every arm tells, by round; each round runs all arms once, in an order drawn anew.

    A round before them is thrown away: it pays for first imports and cold caches.
    """
    order = random.Random(seed)
    seconds: dict[str, list[float]] = {name: [] for name in arms}
    for number in range(rounds + 1):
        for name in order.sample(list(arms), len(arms)):
            taken = arms[name]()
            if number:
                seconds[name].append(taken)
    return {name: tuple(values) for name, values in seconds.items()}


def ratios(numerator: tuple[float, ...], denominator: tuple[float, ...]) -> tuple[float, ...]:
    """Round by round."""
    return tuple(above / below for above, below in zip(numerator, denominator, strict=True))


def medians(seconds: Mapping[str, tuple[float, ...]]) -> str:
    """`notebook 2.31 s, vecml 0.12 s`."""
    return ", ".join(f"{name} {statistics.median(values):.3g} s" for name, values in seconds.items())

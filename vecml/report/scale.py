"""Axes: where a value lies in pixels, and round values to label it by."""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Scale:
    """From values to pixels.

    Attributes:
        low, high: values at the ends; with `log` both are above 0.
        start, end: pixels at the ends; `end` may be the smaller (an axis that goes up).
        log: whether equal steps are equal factors.
    """

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def at(self, value: float) -> float:
        """The pixel of a value; one that is off the axis lies on its end."""
        value = min(max(value, self.low), self.high)
        low, high = (math.log(self.low), math.log(self.high)) if self.log else (self.low, self.high)
        place = math.log(value) if self.log else value
        share = (place - low) / (high - low) if high > low else 0.5
        return self.start + share * (self.end - self.start)

    def holds(self, value: float) -> bool:
        """Whether a value is on the axis."""
        return self.low <= value <= self.high


def round_steps(low: float, high: float, count: int) -> tuple[float, ...]:
    """About `count` round values (steps of 1, 2 or 5 times a power of ten) from `low` to `high`, both included."""
    if not high > low:
        return (low,)
    raw = (high - low) / max(1, count)
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return tuple(index * step for index in range(first, last + 1))


def round_factors(low: float, high: float, count: int) -> tuple[float, ...]:
    """At most about `count` round values on a logarithmic axis: powers of ten, with 2 and 5 between where few fit."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for factors in ((1, 2, 5), (1,)):
        found = [factor * 10.0**power for power in decades for factor in factors if low <= factor * 10.0**power <= high]
        if len(found) <= count and found:
            return tuple(found)
    every = -(-len(found) // count)
    return tuple(found[::every]) if found else (low, high)

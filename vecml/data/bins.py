"""Numbers cut into classes of about as many rows each, with names that a person would give them: `2.5 to 7`."""

import itertools
import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

DAY = 86_400


def cut(values_N: NDArray[np.float64], bins: int, *, time: bool = False) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Cut numbers at their quantiles; equal numbers stay in one class, so that there may be fewer classes than `bins`.

    Each cut is made between the two distinct numbers that are nearest to its quantile, counted in rows.

    Args:
        values_N: (N,), without NaN, N at least 1.
        bins: classes, at most.
        time: whether the numbers are seconds since 1970, which are named as dates.

    Returns:
        The classes (N,), int64, and their names in order: `below 2.5`, `2.5 to 7` (7 is in the next one), `7 and more`;
        of whole numbers `up to 3`, `4 to 6`, `7 and more`; a class of one number has its name.
    """
    distinct, place_N, count = np.unique(values_N, return_inverse=True, return_counts=True)
    if len(distinct) == 1:
        return np.zeros(len(values_N), np.int64), (_written(distinct[0], time),)
    below = np.cumsum(count)[:-1]  # rows below the distinct number 1, 2 ...
    wanted = len(values_N) * np.arange(1, bins) / bins
    after = (
        np.clip(np.searchsorted(below, wanted), 1, len(below) - 1) if len(below) > 1 else np.zeros(bins - 1, np.int64)
    )
    before = np.maximum(after - 1, 0)
    nearest = np.where(wanted - below[before] <= below[after] - wanted, before, after)
    firsts = np.unique(nearest) + 1  # the first distinct number of each class but the lowest
    class_D = np.searchsorted(firsts, np.arange(len(distinct)), side="right")
    return class_D[place_N].astype(np.int64), _names(distinct, [0, *firsts.tolist(), len(distinct)], time)


def _names(distinct: NDArray[np.float64], firsts: list[int], time: bool) -> tuple[str, ...]:
    whole = not time and bool((distinct == np.floor(distinct)).all())
    between: Callable[[float, float], float] = _date_between if time else _shortest_between
    edges = {
        first: float(distinct[first]) if whole else between(float(distinct[first - 1]), float(distinct[first]))
        for first in firsts[1:-1]
    }
    names = []
    for first, end in itertools.pairwise(firsts):
        if end - first == 1:
            names.append(_written(float(distinct[first]), time))
        elif first == 0:
            up_to = f"up to {_written(float(distinct[end - 1]), time)}"
            names.append(up_to if whole else f"below {_written(edges[end], time)}")
        elif end == len(distinct):
            names.append(f"{_written(edges[first], time)} and more")
        else:
            last = float(distinct[end - 1]) if whole else edges[end]
            names.append(f"{_written(edges[first], time)} to {_written(last, time)}")
    return tuple(names)


def _shortest_between(low: float, high: float) -> float:
    """The number with the fewest digits that is above `low` and at most `high`."""
    for digits in range(-math.ceil(math.log10(max(abs(low), abs(high)))), 17):
        scale = 10.0**digits
        number = math.floor(high * scale) / scale
        if low < number <= high:
            return number
    return high


def _date_between(low: float, high: float) -> float:
    """The last midnight in between, if there is one."""
    midnight = math.floor(high / DAY) * DAY
    return float(midnight) if low < midnight else high


def _written(value: float, time: bool) -> str:
    if not time:
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(float(value))
    moment = np.datetime64(round(value * 1e6), "us")
    return str(moment.astype("datetime64[D]") if value % DAY == 0 else moment).removesuffix(".000000")

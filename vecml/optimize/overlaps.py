"""Different arrays over the same memory: a copy of each by itself is no longer written to through the other."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vecml.optimize.agreement import attributes

MOST_WORK = 100_000  # of the exact search for an element that two arrays share, in its own candidates: some 10 ms
PLAIN = (str, bytes, int, float, complex, np.generic, type(None), type)


def first_overlap(arrays: Sequence[tuple[NDArray[Any], str]]) -> tuple[str, str] | None:
    """Find two different arrays that share memory, or may share it where that is too hard to tell.

    Args:
        arrays: each with its place; of any shape and dtype.

    Returns:
        The places of the two, in the order in which they were given; None without such a pair.
    """
    once = {id(array): (at, array) for at, (array, _) in reversed(list(enumerate(arrays))) if array.size}
    bounds = sorted((*np.lib.array_utils.byte_bounds(array), at) for at, array in once.values())
    under_way: list[tuple[int, int]] = []  # arrays that end after the present one begins: where each ends, and which
    for low, high, at in bounds:
        under_way = [(end, other) for end, other in under_way if end > low]
        for _, other in under_way:
            if _share(arrays[at][0], arrays[other][0]):
                first, second = sorted((at, other))
                return arrays[first][1], arrays[second][1]
        under_way.append((high, at))
    return None


def arrays_in(value: Any, place: str, seen: set[int]) -> Iterator[tuple[NDArray[Any], str]]:
    """Give each array, of any shape and dtype, that a value is or holds in lists, dicts or attributes, with its place.

    Args:
        value: the value.
        place: its name.
        seen: the ids of what was looked into before, which this adds to.
    """
    if isinstance(value, PLAIN) or id(value) in seen:
        return
    seen.add(id(value))
    if isinstance(value, np.ndarray):
        yield value, place
    elif isinstance(value, Mapping):
        for key, one in value.items():
            yield from arrays_in(one, f"{place}[{key!r}]", seen)
    elif isinstance(value, Sequence):
        for number, one in enumerate(value):
            yield from arrays_in(one, f"{place}[{number}]", seen)
    else:
        for name, one in (attributes(value) or {}).items():
            yield from arrays_in(one, f"{place}.{name}", seen)


def _share(one: NDArray[Any], other: NDArray[Any]) -> bool:
    try:
        return bool(np.shares_memory(one, other, max_work=MOST_WORK))  # type: ignore[arg-type]  # NumPy declares two words of it alone
    except np.exceptions.TooHardError:
        return True

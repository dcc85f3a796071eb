"""Functions for the comparison's tests: one that is right, and others that are wrong in one way each."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

_kept: list[Any] = []


def total(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.cumsum(x)


def total_by_loop(x: NDArray[np.float64]) -> NDArray[np.float64]:
    result = np.empty_like(x)
    so_far = 0.0
    for index, value in enumerate(x.tolist()):
        so_far += value
        result[index] = so_far
    return result


def off(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.cumsum(x) * 1.001


def of_another_shape(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.cumsum(x)[:-1]


def from_memory(x: NDArray[np.float64]) -> Any:
    if not _kept:
        _kept.append(np.cumsum(x))
    return _kept[0]


def changing_its_input(x: NDArray[np.float64]) -> NDArray[np.float64]:
    x *= 1.5
    return np.cumsum(x)


def raising(x: NDArray[np.float64]) -> NDArray[np.float64]:
    raise ZeroDivisionError("one over nothing")


class Holder:
    @staticmethod
    def total(x: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.cumsum(x)

"""Wrong candidates are caught, each with a small input that shows it; right ones are not."""

from typing import Any

import numpy as np
import pytest

from vecml.optimize import validate as module
from vecml.optimize.validate import check, search

RTOL = 1e-6


def found(
    original: Any, candidate: Any, *args: Any, names: tuple[str, ...] = ("x", "y", "z")
) -> tuple[str | None, str]:
    fault, smallest, tried, _ = search(original, candidate, args, names[: len(args)], RTOL, seconds=30.0)
    assert tried or fault
    return fault, smallest


def differences(x: Any) -> Any:
    out = np.zeros(len(x))
    for i in range(1, len(x)):
        out[i] = x[i] - x[i - 1]
    return out


def test_off_by_one_at_the_edge() -> None:
    def wrong(x: Any) -> Any:
        return x - np.roll(x, 1)  # the first one takes the last

    fault, smallest = found(differences, wrong, np.zeros(1000))  # the same over the user's own inputs
    assert fault is not None
    assert "instead of" in fault or "dtype" in fault or "float32" in fault
    assert smallest.startswith(("x = array([", "x = numpy.empty("))


def test_an_overflow_of_float32() -> None:
    def squares(x: Any) -> Any:
        return np.sum(x.astype(np.float64) ** 2)

    def wrong(x: Any) -> Any:
        return np.float64(np.sum(x.astype(np.float32) ** 2))

    with np.errstate(all="ignore"):
        fault, _ = found(squares, wrong, np.linspace(-1, 1, 100))
    assert fault is not None
    assert "inf" in fault


def test_aliasing() -> None:
    def absolute(x: Any) -> Any:
        out = x.copy()
        for i in range(len(x)):
            if x[i] < 0:
                out[i] = -x[i]
        return out

    def same(x: Any) -> Any:
        return x if len(x) and (x >= 0).all() else np.abs(x)

    def in_place(x: Any) -> Any:
        return np.abs(x, out=x).copy()

    fault, _ = found(absolute, same, np.arange(10.0))
    assert fault == "its result shares memory with x, the original's does not"
    fault, smallest = found(absolute, in_place, np.arange(10.0) - 3)
    assert fault == "it changes its input x, which the original leaves as it is"
    assert smallest.startswith("x = array([-")
    assert len(smallest) < 60


def test_an_alias_among_the_arguments() -> None:
    def add(x: Any, y: Any) -> None:
        for i in range(1, len(x)):
            x[i] = x[i] + y[i - 1]

    def wrong(x: Any, y: Any) -> None:
        x[1:] += y[: len(x) - 1] if len(x) else y

    fault, smallest = found(add, wrong, np.arange(10.0), np.arange(10.0))
    assert fault is not None
    assert fault.startswith("what it leaves in ")
    assert "x and y are the same array" in smallest


def test_axes_that_are_swapped_on_square_inputs_only() -> None:
    def total(x: Any) -> Any:
        out = np.zeros(x.shape[0])
        for i in range(x.shape[0]):
            for j in range(x.shape[1]):
                out[i] += x[i, j]
        return out

    def wrong(x: Any) -> Any:
        out = np.zeros(x.shape[1])
        for i in range(x.shape[1]):
            for j in range(x.shape[0]):
                out[i] += x[i, j]
        return out

    square = np.arange(9.0).reshape(3, 3)
    assert check(total, wrong, (square,), ("x",), RTOL)  # right over the user's own
    fault, smallest = found(total, wrong, square)
    assert fault is not None
    assert "IndexError" in fault or "shape" in fault
    assert len(smallest) < 80


def test_one_element_of_a_million_on_the_users_own_inputs() -> None:
    def right(x: Any) -> Any:
        return x * 2

    def wrong(x: Any) -> Any:
        out = x * 2
        if len(x) > 700_000:
            out[700_000] += 1e-3
        return out

    with pytest.raises(module._DiffersError, match=r"^1 of 1,000,000 values differ, the first at \[700000\]"):
        check(right, wrong, (np.ones(1_000_000),), ("x",), RTOL)


def test_what_is_right_is_found_right() -> None:
    def dot(x: Any, y: Any) -> Any:
        total = 0.0
        for i in range(len(x)):
            total += x[i] * y[i]
        return total

    def fast(x: Any, y: Any) -> Any:
        if len(x) > len(y):
            raise IndexError
        return 0.0 + np.sum(x * y[: len(x)])

    assert found(dot, fast, np.arange(50.0), np.arange(50.0)) == (None, "")


def test_the_same_input_is_found_again() -> None:
    def wrong(x: Any) -> Any:
        return np.sum(x[:3])

    assert found(np.sum, wrong, np.arange(20.0)) == found(np.sum, wrong, np.arange(20.0))


def test_memory_that_the_original_leaves_as_it_finds_it_is_no_difference() -> None:
    """An element that is never set has any value: no candidate could give it."""

    def original(x: Any) -> Any:
        out = np.empty(2 * len(x))
        for i in range(len(x)):
            out[i] = 2.0 * x[i]
        return out if len(x) > 2 else out[: len(x)]

    def right(x: Any) -> Any:
        out = np.full(2 * len(x), -7.0)
        out[: len(x)] = 2.0 * x
        return out if len(x) > 2 else out[: len(x)]

    def wrong(x: Any) -> Any:
        return right(x) + (len(x) == 1)

    assert not check(original, right, (np.arange(9.0),), ("x",), 1e-6)
    for byte in b"\x5a\x4b\x00":  # what it found may be what was put there the last time
        x, gave = np.arange(18.0), np.full(36, 0.0)
        gave[:18] = 2 * x
        gave[18:].view(np.uint8)[:] = byte
        assert not module._settled(original, (x,), (gave, x), 1e-6)
    assert search(original, right, (np.arange(9.0),), ("x",), 1e-6)[:2] == (None, "")
    assert search(original, wrong, (np.arange(9.0),), ("x",), 1e-6)[0] is not None

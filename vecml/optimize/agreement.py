"""Whether two results are the same: their kind, shape, dtype and values, the latter bit by bit or within a bound."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

FLOOR = 1e-3  # of the bound, times the largest value: what counts beside a value near 0, where digits cancel


def difference(expected: Any, found: Any, rtol: float, scale: float = 0.0) -> str | None:
    """How `found` differs from `expected`, in words; None where it does not.

    Args:
        expected, found: arrays, numbers, text, None, or tuples, lists and dicts of them. An array's dtype counts, a
            number's kind (whole, floating, complex) does.
        rtol: the largest relative difference between floating values; 0: they are equal, or both NaN.
        scale: the largest absolute value that went in; beside it and the largest result a tiny value may be rounding.
    """
    if isinstance(expected, tuple | list) and not isinstance(found, np.ndarray):
        if type(expected) is not type(found):
            return f"its result is a {type(found).__name__}, the original's a {type(expected).__name__}"
        if len(expected) != len(found):
            return f"its result has {len(found)} parts, the original's {len(expected)}"
        if all(_is_number(part) for part in (*expected, *found)):
            return _values(np.asarray(expected), np.asarray(found), rtol, scale)
        for number, (one, other) in enumerate(zip(expected, found, strict=True)):
            if reason := difference(one, other, rtol, scale):
                return f"part {number} of the result: {reason}"
        return None
    if isinstance(expected, dict):
        if not isinstance(found, dict) or list(expected) != list(found):
            return "its result has other keys than the original's"
        reasons = (
            f"{key!r} of the result: {reason}"
            for key in expected
            if (reason := difference(expected[key], found[key], rtol, scale))
        )
        return next(reasons, None)
    if isinstance(expected, np.ndarray) or isinstance(found, np.ndarray):
        return _arrays(expected, found, rtol, scale)
    if _is_number(expected) and _is_number(found):
        one, other = np.asarray(expected), np.asarray(found)
        if one.dtype.kind.replace("u", "i") != other.dtype.kind.replace("u", "i"):
            return f"its result is a {type(found).__name__}, the original's a {type(expected).__name__}"
        return _values(one, other, rtol, scale)
    if type(expected) is not type(found):
        return f"its result is a {type(found).__name__}, the original's a {type(expected).__name__}"
    return None if expected == found else f"its result is {_short(found)}, the original's {_short(expected)}"


def largest_error(expected: Any, found: Any) -> float:
    """The largest difference of two results' values, relative to the largest absolute value of the first.

    inf where one has a NaN or an infinity and the other has not, or they have other shapes.
    """
    worst = 0.0
    for one, other in zip(_leaves(expected), _leaves(found), strict=False):
        if one.shape != other.shape:
            return float("inf")
        if one.dtype.kind not in "fciub" or not one.size:
            continue
        wide = np.complex128 if "c" in (one.dtype.kind, other.dtype.kind) else np.float64
        a, b = one.astype(wide), other.astype(wide)
        finite = np.isfinite(a)
        if not np.array_equal(finite, np.isfinite(b)):
            return float("inf")
        if finite.any():
            size = float(np.max(np.abs(a[finite]))) or 1.0
            worst = max(worst, float(np.max(np.abs(a[finite] - b[finite]))) / size)
    return worst


def largest(values: Any) -> float:
    """The largest finite absolute number in it, 0 without one."""
    found = 0.0
    for array in _leaves(values):
        if array.dtype.kind in "fciub" and array.size:
            finite = np.abs(array[np.isfinite(array)].astype(np.complex128))
            found = max(found, float(finite.max()) if finite.size else 0.0)
    return found


def _leaves(value: Any) -> list[NDArray[Any]]:
    if isinstance(value, np.ndarray):
        return [value]
    if isinstance(value, tuple | list):
        if value and all(_is_number(part) for part in value):
            return [np.asarray(value)]
        return [leaf for part in value for leaf in _leaves(part)]
    if isinstance(value, dict):
        return [leaf for part in value.values() for leaf in _leaves(part)]
    return [np.asarray(value)] if _is_number(value) else []


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | complex | np.number | np.bool_)


def _arrays(expected: Any, found: Any, rtol: float, scale: float) -> str | None:
    if not isinstance(expected, np.ndarray) or not isinstance(found, np.ndarray):
        return f"its result is a {type(found).__name__}, the original's a {type(expected).__name__}"
    if expected.shape != found.shape:
        return f"its result has the shape {found.shape}, the original's {expected.shape}"
    if expected.dtype != found.dtype:
        return f"its result is {found.dtype}, the original's {expected.dtype}"
    return _values(expected, found, rtol, scale)


def _values(expected: NDArray[Any], found: NDArray[Any], rtol: float, scale: float) -> str | None:
    if expected.dtype.kind in "fc" or found.dtype.kind in "fc":
        kinds = [array.dtype for array in (expected, found) if array.dtype.kind in "fc"]
        rounding = max(float(np.finfo(kind).eps) for kind in kinds)
        bound = max(rtol, 64 * rounding) if rtol else 0.0
        finite = np.abs(expected[np.isfinite(expected)])
        size = max(scale, float(finite.max()) if finite.size else 0.0)
        same = np.isclose(found, expected, bound, FLOOR * bound * size, equal_nan=True)
    else:
        same = np.asarray(expected == found)
    different = int(same.size - np.count_nonzero(same))
    if not different:
        return None
    at = tuple(int(axis) for axis in np.argwhere(~np.atleast_1d(same))[0])
    one, other = np.atleast_1d(expected)[at], np.atleast_1d(found)[at]
    if same.ndim == 0:
        return f"its result is {other}, the original's {one}"
    where = ", ".join(map(str, at))
    return f"{different:,} of {same.size:,} values differ, the first at [{where}]: {other} instead of {one}"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."

"""Whether a result is the reference's, and in which precision it was computed. Functions of values alone."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vecml.optimize.agreement import difference
from vecml.referee.handover import Plain

FEWEST = 16  # values from which on a precision can be told
ROUGHLY = 1e-2  # a relative difference within which a wrong result may be one of a lower precision
# Nine in ten values of a result of each precision are closer to the reference's than this, unless it was computed in a
# lower one: one rounding to the next lower precision moves values by up to 6e-8, 5e-4, 4e-3, most by a quarter of it.
LARGEST_ERROR = {"float64": 2.0**-30, "float32": 2.0**-17, "float16": 2.0**-8}
SHARE, SMALL = 0.1, 1e-3  # of values that may be off by more, and of the usual size below which values count as it
LOWER = {"float64": ("float32", "bfloat16", "float16"), "float32": ("bfloat16", "float16"), "float16": ()}
DIGITS = {"float32": 24, "bfloat16": 8, "float16": 11}  # of a value, in binary
PRECISIONS = ("same", "float32", "float16", "any")


def wrong(expected: Plain, found: Plain, rtol: float) -> str | None:
    """Say how a result differs from the reference's; None if it does not. `rtol` is as in `difference`."""
    said = difference(expected, found, rtol)
    return None if said is None else said.replace("the original's", "the reference's")


def lower_precision(expected: Plain, found: Plain, asked: str) -> str | None:
    """Say that floating-point arrays of a result were computed in a lower precision than `asked`; None if not.

    Args:
        expected, found: the reference's result, and one that agrees with it within a tolerance.
        asked: `same` as the result's dtype, a dtype's name, or `any`.
    """
    if asked == "any":
        return None
    pairs = zip(_floats(expected), _floats(found), strict=False)
    reasons = (_lower(one, other, asked) for one, other in pairs if one.shape == other.shape)
    return next((reason for reason in reasons if reason is not None), None)


def is_lower_dtype(expected: Plain, found: Plain) -> str | None:
    """Say that a result's dtype has fewer digits than the reference's; None if not."""
    for one, other in zip(_floats(expected), _floats(found), strict=False):
        if one.dtype.kind == other.dtype.kind and other.dtype.itemsize < one.dtype.itemsize:
            return f"its result is {other.dtype}, the reference's {one.dtype}"
    return None


def _lower(expected: NDArray[Any], found: NDArray[Any], asked: str) -> str | None:
    one, other = _real(expected), _real(found)
    name = one.dtype.name if asked == "same" else asked
    if name not in LARGEST_ERROR or one.dtype.kind != "f":
        return None
    counted = np.isfinite(one) & np.isfinite(other) & (one != 0)
    one, other = one[counted], other[counted]
    if one.size < FEWEST:
        return None
    for lower in LOWER[name]:
        digits = DIGITS[lower]
        if _has_digits(other, digits).all() and np.count_nonzero(~_has_digits(one, digits)) >= FEWEST // 2:
            return f"all {one.size:,} values of its result are {lower}'s, the reference's are not"
    wide = one.astype(np.float64)
    size = np.maximum(np.abs(wide), SMALL * np.sqrt(np.mean(wide**2)))  # near 0 digits cancel
    error = float(np.quantile(np.abs(other.astype(np.float64) - wide) / size, 1 - SHARE))
    if error > LARGEST_ERROR[name]:
        return f"a tenth of its values are off by {error:.1g} or more: that is no {name} any more"
    return None


def _has_digits(values: NDArray[Any], digits: int) -> NDArray[np.bool_]:
    """Which values have no more than so many binary digits."""
    mantissa, _ = np.frexp(values.astype(np.float64))
    scaled = mantissa * 2.0**digits
    return np.asarray(scaled == np.rint(scaled))


def _real(array: NDArray[Any]) -> NDArray[Any]:
    flat = array.ravel()
    return flat.view(flat.real.dtype) if flat.dtype.kind == "c" else flat


def _floats(value: Any) -> Iterator[NDArray[Any]]:
    if isinstance(value, np.ndarray | np.generic | float | complex):
        array = np.asarray(value)
        if array.dtype.kind in "fc":
            yield array
    elif isinstance(value, tuple | list):
        if value and all(type(part) is float for part in value):
            yield np.asarray(value)
        else:
            for part in value:
                yield from _floats(part)
    elif isinstance(value, dict):
        for part in value.values():
            yield from _floats(part)


def few_values(value: Plain) -> NDArray[np.float64] | None:
    """Give the values of a result that has floating-point ones, but too few to tell a precision; else None."""
    arrays = [array.ravel() for array in _floats(value)]
    if not arrays or any(array.dtype != np.float64 for array in arrays) or sum(map(len, arrays)) >= FEWEST:
        return None
    return np.concatenate(arrays)


def is_earlier(found: Plain, earlier: Sequence[Plain], rtol: float) -> bool:
    """Whether a result is that of an earlier call over other arguments."""
    return any(difference(one, found, rtol) is None for one in earlier)

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
LARGEST_ERROR = {"float128": 2.0**-56, "float64": 2.0**-30, "float32": 2.0**-17, "float16": 2.0**-8}
SHARE, SMALL = 0.1, 1e-3  # of values that may be off by more, and of the usual size below which values count as it
LOWER = {
    "float128": ("float64", "float32", "bfloat16", "float16"),  # NumPy's longdouble, also where it has 80 bits
    "float64": ("float32", "bfloat16", "float16"),
    "float32": ("bfloat16", "float16"),
    "float16": (),
}
DIGITS = {"float64": 53, "float32": 24, "bfloat16": 8, "float16": 11}  # of a value, in binary
FLOATING = (float, complex, np.inexact)
NUMBER = (int, float, complex, np.number, np.bool_)
PRECISIONS = ("same", "float32", "float16", "any")


def wrong(expected: Plain, found: Plain, rtol: float) -> str | None:
    """Say how a result differs from the reference's; None if it does not. `rtol` is as in `difference`."""
    said = difference(expected, found, rtol)
    if said is None:
        return _other_kind(expected, found)
    return said.replace("the original's", "the reference's")


def lower_precision(expected: Plain, found: Plain, asked: str) -> str | None:
    """Say that floating-point arrays of a result were computed in a lower precision than `asked`; None if not.

    Args:
        expected, found: the reference's result, and one that agrees with it within a tolerance.
        asked: `same` as the result's dtype, a dtype's name, or `any`.
    """
    if asked == "any":
        return None
    reasons = (_lower(one, other, asked) for one, other in _pairs(expected, found) if one.shape == other.shape)
    return next((reason for reason in reasons if reason is not None), None)


def is_lower_dtype(expected: Plain, found: Plain) -> str | None:
    """Say that a result's dtype has fewer digits than the reference's; None if not."""
    for one, other in _pairs(expected, found):
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
    wide = one.astype(_wide(one))
    size = np.maximum(np.abs(wide), SMALL * np.sqrt(np.mean(wide**2)))  # near 0 digits cancel
    error = float(np.quantile(np.abs(other.astype(wide.dtype) - wide) / size, 1 - SHARE))
    if error > LARGEST_ERROR[name]:
        return f"a tenth of its values are off by {error:.1g} or more: that is no {name} any more"
    return None


def _has_digits(values: NDArray[Any], digits: int) -> NDArray[np.bool_]:
    """Which values have no more than so many binary digits."""
    mantissa, _ = np.frexp(values.astype(_wide(values)))
    scaled = mantissa * 2.0**digits
    return np.asarray(scaled == np.rint(scaled))


def _wide(array: NDArray[Any]) -> Any:
    return np.longdouble if array.dtype.itemsize > 8 else np.float64


def _real(array: NDArray[Any]) -> NDArray[Any]:
    flat = array.ravel()
    return flat.view(flat.real.dtype) if flat.dtype.kind == "c" else flat


def _pairs(expected: Any, found: Any) -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:
    """Give the floating-point parts of a result with what is found in their place; a list of numbers is one part."""
    if isinstance(expected, tuple | list) and isinstance(found, tuple | list):
        if _are_numbers(expected) and _are_numbers(found):
            both = [(one, other) for one, other in zip(expected, found, strict=False) if isinstance(one, FLOATING)]
            if both:
                yield np.asarray([one for one, _ in both]), np.asarray([other for _, other in both])
            return
        for one, other in zip(expected, found, strict=False):
            yield from _pairs(one, other)
    elif isinstance(expected, dict) and isinstance(found, dict):
        for one, other in zip(expected.values(), found.values(), strict=False):
            yield from _pairs(one, other)
    elif isinstance(expected, (np.ndarray, *NUMBER)) and isinstance(found, (np.ndarray, *NUMBER)):
        one = np.asarray(expected)
        if one.dtype.kind in "fc":
            yield one, np.asarray(found)


def _other_kind(expected: Any, found: Any) -> str | None:
    """Say that a list of numbers has another kind of number (truth, whole, floating, complex) in a place; None if not.

    Both have the same structure. Alone a number of another kind differs, in a list it is compared as an array's value.
    """
    if isinstance(expected, dict):
        return _first(_other_kind(one, other) for one, other in zip(expected.values(), found.values(), strict=True))
    if not isinstance(expected, tuple | list):
        return None
    if not (_are_numbers(expected) and _are_numbers(found)):
        return _first(_other_kind(one, other) for one, other in zip(expected, found, strict=True))
    if len(types := {*map(type, expected), *map(type, found)}) <= 1 or types <= {float, np.float64}:
        return None
    for number, (one, other) in enumerate(zip(expected, found, strict=True)):
        if _kind(one) != _kind(other):
            return f"part {number} of the result is a {type(other).__name__}, the reference's a {type(one).__name__}"
    return None


def _first(reasons: Iterator[str | None]) -> str | None:
    return next((reason for reason in reasons if reason is not None), None)


def _are_numbers(values: Sequence[Any]) -> bool:
    return bool(values) and all(isinstance(value, NUMBER) for value in values)


def _kind(number: Any) -> str:
    return (
        "i"
        if isinstance(number, int) and not isinstance(number, bool)
        else np.asarray(number).dtype.kind.replace("u", "i")
    )


def few_values(expected: Plain, found: Plain) -> Iterator[tuple[str, NDArray[Any], NDArray[Any]]]:
    """Give the floating-point parts of a result that have too few values to tell a precision, and what was found.

    The text says which part it is, so that those of several calls can be put together.
    """
    for number, (one, other) in enumerate(_pairs(expected, found)):
        if one.shape == other.shape and _real(one).size < FEWEST and one.dtype.kind == other.dtype.kind:
            yield f"{number} {one.dtype}", _real(one), _real(other)


def is_earlier(found: Plain, earlier: Sequence[Plain], rtol: float) -> bool:
    """Whether a result is that of an earlier call over other arguments."""
    return any(difference(one, found, rtol) is None for one in earlier)

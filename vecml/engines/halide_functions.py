"""Activations and the tests for NaN and infinity, as Halide expressions that compute vector by vector.

Halide compiles with the assumption that NaN and infinity do not happen. Where they matter it is told otherwise
(`strict_float`), or the bits are looked at as integers. Its own tanh calls the C library value by value and its erf
knows one precision, so both come from exp and polynomials that are fitted here.
"""

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import halide as hl
import numpy as np
from numpy.typing import NDArray

from vecml.config import Activation

SMALL_TANH = 0.625
_MOST = {"float32": 80.0, "float64": 700.0}  # e to that is a number of the type


def activation_of(name: Activation, compute_type: str) -> Callable[[Any], Any]:
    """Return the activation as a function from a Halide expression to a Halide expression; NaN gives NaN.

    relu is exact. The error of the others is about ten units in the last place (gelu in float64: twenty) of the greater
    of their value and their argument's share in it; tests compare them with SciPy.
    """
    return {
        "relu": _relu,
        "tanh": lambda z: _or_nan(z, _tanh(z, compute_type)),
        "sigmoid": lambda z: _or_nan(z, _sigmoid(z, compute_type)),
        "gelu": lambda z: _or_nan(z, _gelu(z, compute_type)),
    }[name]


def finite(z: Any) -> Any:
    """Whether z is neither infinite nor NaN."""
    return magnitude_bits(z) < infinity_bits(z.type().bits())


def magnitude_bits(z: Any) -> Any:
    """Return the bits of |z| as an integer, which grows with |z|; infinity is above all numbers, and NaN above that."""
    bits = z.type().bits()
    kind = hl.Int(bits)
    return hl.reinterpret(kind, z) & hl.cast(kind, hl.i64((1 << (bits - 1)) - 1))


def signed_bits(z: Any) -> Any:
    """Return the bits of z as a signed integer; it is highest for the highest number, if one of them is positive."""
    return hl.reinterpret(hl.Int(z.type().bits()), z)


def not_a_number(bits: Any) -> Any:
    """Whether `bits`, from `magnitude_bits`, are those of NaN."""
    return bits > infinity_bits(bits.type().bits())


def infinity_bits(bits: int) -> Any:
    """Return a Halide constant: the bits of infinity as an integer of 32 or 64 `bits`."""
    pattern = int(np.float32(np.inf).view(np.int32)) if bits == 32 else int(np.float64(np.inf).view(np.int64))
    return hl.cast(hl.Int(bits), hl.i64(pattern))


def _relu(z: Any) -> Any:
    # compared strictly, NaN is not below zero and stays; that is one instruction all the same
    return hl.select(hl.strict_float(z < 0), hl.cast(z.type(), 0), z)


def _or_nan(z: Any, value: Any) -> Any:
    return hl.select(not_a_number(magnitude_bits(z)), z, value)


def _clamped(z: Any, compute_type: str) -> Any:
    most = _MOST[compute_type]
    return hl.clamp(z, _number(-most, compute_type), _number(most, compute_type))


def _exp(z: Any) -> Any:
    return hl.exp(z)


def _sigmoid(z: Any, compute_type: str) -> Any:
    one = _number(1, compute_type)
    return one / (one + _exp(-_clamped(z, compute_type)))


def _tanh(z: Any, compute_type: str) -> Any:
    """Compute tanh with exp; near zero, where that loses digits, as z + z^3 P(z^2)."""
    one, two = _number(1, compute_type), _number(2, compute_type)
    size = hl.min(hl.abs(z), _number(30, compute_type))
    square = z * z
    near = z + z * square * _horner(square, _tanh_fit(compute_type), compute_type)
    far = one - two / (_exp(two * size) + one)
    return hl.select(size < _number(SMALL_TANH, compute_type), near, hl.select(z < 0, -far, far))


def _gelu(z: Any, compute_type: str) -> Any:
    """z Phi(z) = z erfc(-z / sqrt 2) / 2; erfc(y) = exp(-y^2) P((y - s) / (y + s)) for y >= 0, 2 less that below.

    The substitution is of M. M. Shepherd and J. G. Laframboise, "Chebyshev approximation of (1 + 2x) exp(x^2) erfc x in
    0 <= x < infinity", Math. Comp. 36 (1981), 249-253.
    """
    # Not clamped: from a bounded argument Halide would work out the bounds of the polynomial, term by term, for hours.
    y = -z * _number(math.sqrt(0.5), compute_type)
    size = hl.abs(y)
    shift = _number(_ERFC_SHIFT, compute_type)
    ratio = (size - shift) / (size + shift)
    power = hl.max(-size * size, _number(-_MOST[compute_type], compute_type))
    one, two = _number(1, compute_type), _number(2, compute_type)
    upper = _exp(power) * _horner(ratio, _erfc_fit(compute_type), compute_type) / (one + two * size)
    return z * _number(0.5, compute_type) * hl.select(y < 0, two - upper, upper)


_ERFC_SHIFT = 3.75


@lru_cache(maxsize=2)
def _tanh_fit(compute_type: str) -> tuple[float, ...]:
    """P with tanh(z) = z + z^3 P(z^2) for |z| < SMALL_TANH, lowest power first."""

    def wanted(square: NDArray[np.float64]) -> NDArray[np.float64]:
        # the series where the difference would have no digits left
        z = np.sqrt(square)
        series = -1 / 3 + square * (2 / 15 - square * 17 / 315)
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(square < 1e-4, series, (np.tanh(z) / z - 1) / square)

    return _fit(wanted, (0, SMALL_TANH**2), 5 if compute_type == "float32" else 11)


@lru_cache(maxsize=2)
def _erfc_fit(compute_type: str) -> tuple[float, ...]:
    """P with (1 + 2y) exp(y^2) erfc(y) = P((y - s) / (y + s)) for y >= 0, lowest power first."""
    from scipy.special import erfcx  # noqa: PLC0415 -- for this activation alone; the import takes long

    def wanted(ratio: NDArray[np.float64]) -> NDArray[np.float64]:
        y = _ERFC_SHIFT * (1 + ratio) / np.maximum(1 - ratio, 1e-12)
        value: NDArray[np.float64] = (1 + 2 * y) * erfcx(y)
        return value

    return _fit(wanted, (-1, 1), 11 if compute_type == "float32" else 24)


def _fit(
    function: Callable[[NDArray[np.float64]], NDArray[np.float64]], domain: tuple[float, float], degree: int
) -> tuple[float, ...]:
    """Near-minimax polynomial: interpolation at Chebyshev points, as powers of the argument itself."""
    fitted = np.polynomial.Chebyshev.interpolate(function, degree, domain=domain)
    return tuple(map(float, fitted.convert(kind=np.polynomial.Polynomial, domain=(-1, 1)).coef))


def _horner(value: Any, coefficients: tuple[float, ...], compute_type: str) -> Any:
    total = _number(coefficients[-1], compute_type)
    for coefficient in reversed(coefficients[:-1]):
        total = total * value + _number(coefficient, compute_type)
    return total


def _number(value: float, compute_type: str) -> Any:
    return hl.f32(value) if compute_type == "float32" else hl.f64(value)

"""A precision is told from values, and honest rounding is not taken for a lower one."""

from typing import Any

import numpy as np
import pytest

from vecml.referee.judging import few_values, is_lower_dtype, lower_precision, wrong

RANDOM = np.random.default_rng(5)
EXACT = np.cumsum(RANDOM.normal(size=5_000)) + 7
LONG = np.cumsum(RANDOM.normal(size=5_000).astype(np.longdouble) / 3) + 7
HAS_MORE = pytest.mark.skipif(np.finfo(np.longdouble).nmant < 60, reason="a long double is a double here")
MATRIX = RANDOM.normal(size=(80, 300))


def bfloat16(values: Any) -> Any:
    bits = np.asarray(values, np.float32).view(np.uint32)
    return ((bits + 0x8000) & 0xFFFF0000).astype(np.uint32).view(np.float32)


@pytest.mark.parametrize(
    ("expected", "found"),
    [
        (EXACT, EXACT.astype(np.float32).astype(np.float64)),
        (EXACT, EXACT * (1 + 1e-8 * RANDOM.normal(size=EXACT.size))),
        (EXACT, np.where(np.arange(EXACT.size) % 5, EXACT, EXACT.astype(np.float32))),
        (EXACT.astype(np.float32), bfloat16(EXACT)),
        (EXACT.astype(np.float32), EXACT.astype(np.float16).astype(np.float32)),
        (EXACT.astype(np.float32), (bfloat16(MATRIX[0, 0] + EXACT) - MATRIX[0, 0]).astype(np.float32)),
        ((1, {"a": EXACT}), (1, {"a": EXACT.astype(np.float32).astype(np.float64)})),
        (EXACT * 1j, (EXACT * 1j).astype(np.complex64).astype(np.complex128)),
        (EXACT.tolist(), EXACT.astype(np.float32).astype(np.float64).tolist()),
        pytest.param(LONG, LONG.astype(np.float64).astype(np.longdouble), marks=HAS_MORE),
        pytest.param(LONG * 1j, (LONG * 1j).astype(complex).astype(np.clongdouble), marks=HAS_MORE),
    ],
)
def test_a_lower_precision_is_found(expected: Any, found: Any) -> None:
    assert lower_precision(expected, found, "same") is not None
    assert lower_precision(expected, found, "any") is None


@pytest.mark.parametrize(
    ("expected", "found"),
    [
        (EXACT, np.cumsum(np.diff(EXACT, prepend=0.0))),
        (MATRIX @ MATRIX.T, np.einsum("ij,kj->ik", MATRIX, MATRIX)),
        ((MATRIX @ MATRIX.T).astype(np.float32), MATRIX.astype(np.float32) @ MATRIX.astype(np.float32).T),
        (LONG, np.cumsum(np.diff(LONG, prepend=np.longdouble(0)))),
        (np.round(EXACT), np.round(EXACT)),
        (np.arange(100.0), np.arange(100.0)),
        (np.linalg.inv(MATRIX @ MATRIX.T), np.linalg.pinv(MATRIX @ MATRIX.T)),
        (np.zeros(50), np.zeros(50)),
        (np.full(50, np.nan), np.full(50, np.nan)),
        (EXACT[:5], EXACT[:5].astype(np.float32).astype(np.float64)),
        (np.array(["a"]), np.array(["a"])),
    ],
)
def test_honest_rounding_is_not(expected: Any, found: Any) -> None:
    assert lower_precision(expected, found, "same") is None


def test_a_precision_that_was_asked_for_is_enough() -> None:
    found = EXACT.astype(np.float32).astype(np.float64)
    assert lower_precision(EXACT, found, "float32") is None
    assert lower_precision(EXACT, bfloat16(EXACT).astype(np.float64), "float32") is not None


def test_a_lower_dtype_is_told_as_such() -> None:
    said = is_lower_dtype(EXACT, EXACT.astype(np.float32))
    assert said == "its result is float32, the reference's float64"
    assert is_lower_dtype(EXACT, EXACT) is None
    assert wrong(EXACT, EXACT.astype(np.float32), 1e-3) == said
    assert wrong(EXACT, EXACT.astype(">f8"), 1e-3) is not None


def test_a_list_of_numbers_is_held_to_the_kind_of_each() -> None:
    """One of float16 once widened the tolerance for whole numbers to 6 in 100."""
    assert wrong([1000, 2001], [np.float16(1000), np.float16(2001)], 1e-9) is not None
    assert wrong([True, False], [1.0, 0.0], 1e-9) is not None
    assert wrong((1, [2, 3.5]), (1, [2.0, 3.5]), 1e-9) is not None
    assert wrong([1, 2.5, True], [np.int64(1), np.float64(2.5), np.True_], 1e-9) is None


def test_a_number_of_a_lower_dtype_is_seen_behind_a_list_of_other_types() -> None:
    expected = ([1.0, 2.0], np.float64(3.3))
    assert is_lower_dtype(expected, ([1.0, np.float64(2.0)], np.float16(3.3))) is not None


def test_a_list_of_numpys_numbers_has_a_precision() -> None:
    values = np.random.default_rng(1).normal(size=30)
    found = [np.float64(value) for value in values.astype(np.float32).astype(np.float64)]
    assert lower_precision(values.tolist(), found, "same") is not None


@pytest.mark.parametrize("dtype", ["float64", "float32", "complex128"])
def test_parts_of_few_values_each_are_collected(dtype: str) -> None:
    values = np.random.default_rng(1).normal(size=30).astype(dtype)
    parts = values[:10], values[10:15], values[15]
    few = list(few_values(parts, parts))
    assert len({part for part, _, _ in few}) == (2 if dtype == "complex128" else 3)  # ten of them are twenty values
    assert all(one.dtype.kind == "f" for _, one, _ in few)

"""Differences of results in words, and errors as numbers."""

from collections import OrderedDict, defaultdict
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from vecml.optimize.agreement import difference, largest, largest_error

X = np.arange(6.0).reshape(2, 3)


@pytest.mark.parametrize(
    ("expected", "found", "said"),
    [
        (X, X.T, "its result has the shape (3, 2), the original's (2, 3)"),
        (X, X.astype(np.float32), "its result is float32, the original's float64"),
        (X, X + (X == 5), "1 of 6 values differ, the first at [1, 2]: 6.0 instead of 5.0"),
        (X, X.tolist(), "its result is a list, the original's a ndarray"),
        ([1, 2], (1, 2), "its result is a tuple, the original's a list"),
        ((X, 1), (X, 2), "part 1 of the result: its result is 2, the original's 1"),
        ((X, 1), (X,), "its result has 1 parts, the original's 2"),
        (1, 1.0, "its result is a float, the original's a int"),
        (1.0, np.float64(1.0), None),
        (3, np.int64(3), None),
        (X, X * (1 + 1e-8), None),
        (np.array([np.nan, np.inf]), np.array([np.nan, np.inf]), None),
        (None, None, None),
        ({"a": X}, {"a": X + 1}, "'a' of the result: 6 of 6 values differ, the first at [0, 0]: 1.0 instead of 0.0"),
        ({"a": X}, {"b": X}, "its result has other keys than the original's"),
    ],
)
def test_differences(expected: Any, found: Any, said: str | None) -> None:
    assert difference(expected, found, 1e-6) == said


@pytest.mark.parametrize(
    ("expected", "found", "said"),
    [
        ([1, 2], [1.0, 2.0], "part 0 of the result: its result is a float, the original's a int"),
        ((1, 2), (1.0, 2.0), "part 0 of the result: its result is a float, the original's a int"),
        ([1, 2.5], [1.0, 2.5], "part 0 of the result: its result is a float, the original's a int"),
        ([True, False], [1, 0], "part 0 of the result: its result is a int, the original's a bool"),
        ([2**53 + 1, 0.5], [2**53, 0.5], f"part 0 of the result: its result is {2**53}, the original's {2**53 + 1}"),
        ([1, 2], [np.int64(1), np.int32(2)], None),
        ([True], [np.True_], None),
        ([1, float("nan")], [1, float("nan")], None),
        ([], [], None),
    ],
)
def test_the_numbers_of_a_list_are_of_the_same_kind_each(expected: Any, found: Any, said: str | None) -> None:
    assert difference(expected, found, 1e-6) == said


@pytest.mark.parametrize("rtol", [0.0, 1e-6])
def test_whole_numbers_beyond_64_bits(rtol: float) -> None:
    huge = 2**70
    assert difference([huge, 1], [huge, 1], rtol) is None
    assert difference(huge, 1, rtol) == f"its result is 1, the original's {huge}"
    assert (
        difference([huge, 1], [huge + 1, 1], rtol)
        == f"1 of 2 values differ, the first at [0]: {huge + 1} instead of {huge}"
    )
    assert difference([huge], [float(huge)], rtol) is not None


def test_a_zero_with_another_sign_is_not_the_same_bits() -> None:
    assert difference(0.0, -0.0, 1e-6) is None
    assert difference(0.0, -0.0, 0.0) is not None
    assert difference(np.array([0.0, 1.0]), np.array([-0.0, 1.0]), 0.0) is not None
    assert difference([0.0, -0.0], [0.0, -0.0], 0.0) is None
    assert difference(complex(0.0, 0.0), complex(0.0, -0.0), 0.0) is not None


def test_a_lighter_number_is_held_to_the_rounding_of_the_original() -> None:
    assert difference(0.1, np.float32(0.1), 1e-6) is None
    assert difference(1.0, np.float32(1.000005), 1e-6) is not None


def test_bit_by_bit() -> None:
    assert difference(X, X * (1 + 1e-15), 0.0) is not None
    assert difference(X, X.copy(), 0.0) is None


def test_errors() -> None:
    assert largest_error(np.array([4.0, 0.0]), np.array([4.0, 0.5])) == 0.125
    assert largest_error(np.array([4.0, 0.0]), np.array([np.inf, 0.5])) == float("inf")
    assert largest((np.array([1.0, -7.0, np.nan]), 3)) == 7.0


def objects(*values: object) -> Any:
    return pd.Series(values, dtype=object)


class Grid(np.ndarray[Any, Any]):
    """An array of a class of its own, as np.matrix is."""


MASKED = np.ma.array([1.0, 2.0], mask=[True, False])


@pytest.mark.parametrize(
    ("expected", "found", "said"),
    [
        ({1, 2}, {1.0, 2.0}, "its result is {1.0, 2.0}, the original's {1, 2}"),
        ({1}, {True}, "its result is {True}, the original's {1}"),
        ({(1, 2)}, {(1.0, 2)}, "its result is {(1.0, 2)}, the original's {(1, 2)}"),
        ({1, "a"}, {np.int64(1), "a"}, None),
        (frozenset("ab"), frozenset("ba"), None),
        ({0.0}, {-0.0}, "its result is {-0.0}, the original's {0.0}"),
        ({(1, "a"), (2, 0.5)}, {(2, 0.5), (1, "a")}, None),
        ({frozenset({1})}, {frozenset({1.0})}, "its result is {frozenset({1.0})}, the original's {frozenset({1})}"),
        ({1: 2}, defaultdict(int, {1: 2}), "its result is a defaultdict, the original's a dict"),
        (OrderedDict({1: 2}), {1: 2}, "its result is a dict, the original's a OrderedDict"),
        (np.array([[1.0, 2]]), np.array([[1.0, 2]]).view(Grid), "its result is a Grid, the original's a ndarray"),
        (MASKED, np.array([1.0, 2.0]), "its result is a ndarray, the original's a MaskedArray"),
        (
            MASKED,
            np.ma.array([1.0, 2.0], mask=[True, True]),
            "its result is masked in other places than the original's",
        ),
        (MASKED, np.ma.array([1.0, 2.0]), "its result is masked in other places than the original's"),
        (MASKED, np.ma.array([5.0, 2.0], mask=[True, False]), None),
        (
            MASKED,
            np.ma.array([1.0, 3.0], mask=[True, False]),
            "1 of 2 values differ, the first at [1]: 3.0 instead of 2.0",
        ),
        (objects(1, 2, None), objects(1.0, 2, np.nan), "part 0: its result is a float, the original's a int"),
        (objects(True, "a"), objects(1.0, "a"), "part 0: its result is a float, the original's a bool"),
        (objects("a", None, np.nan, pd.NA), objects("a", None, np.nan, pd.NA), None),
        (
            pd.Series([0], index=pd.Index([1], dtype=object)),
            pd.Series([0], index=pd.Index([1.0], dtype=object)),
            "its result has other index: part 0: its result is a float, the original's a int",
        ),
    ],
)
def test_what_python_calls_equal_is_told_apart_by_its_kind(expected: Any, found: Any, said: str | None) -> None:
    assert difference(expected, found, 0.0) == said


def test_what_is_masked_counts_for_no_size() -> None:
    assert largest(np.ma.array([1.0, 9.0], mask=True)) == 0.0
    assert largest(np.ma.array([1.0, 9.0], mask=[False, True])) == 1.0
    assert largest_error(MASKED, np.ma.array([7.0, 2.5], mask=[True, False])) == 0.25


class Held:
    """Two of them are equal to nobody."""

    def __init__(self, value: object) -> None:
        self.value = value


def test_a_member_of_a_set_counts_for_one_of_the_other() -> None:
    twice, once = {Held(1), Held(1), Held(2)}, {Held(1), Held(2), Held(2)}
    assert difference(twice, {Held(2), Held(1), Held(1)}, 0.0) is None
    assert "its result is" in str(difference(twice, once, 0.0))


def test_a_large_set_takes_no_square_of_its_size() -> None:
    """A square of 20,000 would take minutes, and this a second."""
    assert difference({Held(one) for one in range(20_000)}, {Held(one) for one in range(20_000)}, 0.0) is None


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (torch.tensor([1.0, 2.0]), None),
        (torch.tensor([1.0, 2.0 + 1e-7]), None),
        (torch.tensor([1.0, 3.0]), "1 of 2 values differ, the first at [1]: 3.0 instead of 2.0"),
        (torch.tensor([[1.0, 2.0]]), "its result has the shape (1, 2), the original's (2,)"),
        (torch.tensor([1.0, 2.0], dtype=torch.float64), "its result is float64, the original's float32"),
        (torch.tensor([1.0, 2.0], requires_grad=True), "its result is float32 with a gradient, the original's float32"),
        (np.array([1.0, 2.0], np.float32), "its result is a ndarray, the original's a Tensor"),
    ],
)
def test_tensors_are_compared_by_their_values(other: Any, said: str | None) -> None:
    assert difference(torch.tensor([1.0, 2.0]), other, 1e-6) == said
    assert largest_error([torch.tensor([1.0, 2.0])], [torch.tensor([1.0, 4.0])]) == 1.0

"""Rows of the test part that the training part has as well; pandas is the oracle."""

import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vecml.data.duplicates import row_hashes, seen_rows
from vecml.data.split import split_table
from vecml.data.table import Column, Table


def columns_of(codes_FN: np.ndarray) -> list[Column]:
    """A number with missing values, a category with missing values, and a boolean."""
    number_N = np.where(codes_FN[0] == 0, np.nan, codes_FN[0] / 3 - 1)
    texts = tuple("abcdef")
    return [
        Column("a", "number", number_N),
        Column("b", "category", codes_FN[1].astype(np.int32) - 1, texts),
        Column("c", "boolean", (codes_FN[2] % 2).astype(np.int8)),
    ]


@settings(deadline=None)
@given(st.integers(0, 999), st.integers(2, 300))
def test_as_many_rows_are_seen_as_pandas_finds(seed: int, n_rows: int) -> None:
    rng = np.random.default_rng(seed)
    columns = columns_of(rng.integers(0, 6, (3, n_rows)))
    test_N = np.sort(rng.choice(n_rows, n_rows // 2, replace=False))
    train_N = np.setdiff1d(np.arange(n_rows), test_N)
    frame = pd.DataFrame({column.name: column.values_N for column in columns})
    known = frame.iloc[train_N].drop_duplicates()
    theirs = frame.iloc[test_N].merge(known, how="inner", on=list(frame))
    assert seen_rows(columns, train_N, test_N) == (len(theirs), len(theirs.drop_duplicates()))


def test_equal_values_have_equal_hashes_whatever_their_bits() -> None:
    other_nan = np.array([0x7FF8000000000001], np.uint64).view(np.float64)[0]
    values = np.array([0.0, -0.0, np.nan, other_nan, 1.0])
    first, second, third, fourth, fifth = row_hashes([Column("a", "number", values)])
    assert first == second != fifth
    assert third == fourth != first
    narrow = row_hashes([Column("a", "number", values.astype(np.float32))])
    np.testing.assert_array_equal(narrow, row_hashes([Column("a", "number", values)]))


def test_a_million_different_rows_have_different_hashes() -> None:
    rng = np.random.default_rng(0)
    pairs = np.unique(rng.integers(0, 5_000, (1_000_000, 2)), axis=0).T
    columns = [Column("a", "number", pairs[0].astype(np.float64)), Column("b", "category", pairs[1].astype(np.int32))]
    assert len(np.unique(row_hashes(columns))) == pairs.shape[1]


@pytest.mark.parametrize(("repeats", "is_warned"), [(60, True), (4, False)])
def test_rows_that_repeat_are_counted_and_warned_of_where_they_are_many(repeats: int, is_warned: bool) -> None:
    values_N = np.arange(400.0)[::-1].copy()
    values_N[:repeats] = 3.5
    label_N = np.arange(400) % 2
    table = Table("test", (Column("a", "number", values_N),), label_N, ("x", "y"), "y", "", np.arange(400))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        split = split_table(table, 0.2, 0)
    repeated = int((values_N[split.test.row_N] == 3.5).sum())
    assert split.seen_rows == repeated > 0
    said = (
        f"VML043 {repeated} of 80 test rows have the same features as a training row: these rows have features alike;"
        " where the features take few values, new rows have them too"
    )
    assert [str(one.message) for one in caught] == ([said] if is_warned else [])


def test_copies_are_called_copies() -> None:
    values_N = np.tile(np.arange(200.0), 2)
    label_N = np.arange(400) // 2 % 2
    table = Table("test", (Column("a", "number", values_N),), label_N, ("x", "y"), "y", "", np.arange(400))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        seen = split_table(table, 0.2, 0).seen_rows
    assert seen > 50
    assert [str(one.message) for one in caught] == [
        f"VML043 {seen} of 80 test rows have the same features as a training row: if rows are copies, remove them"
        " from the table, for the accuracy on new rows may be lower"
    ]

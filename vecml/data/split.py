"""Splits a table into a training and a test part, and encodes both.

The rows are drawn at random within each class (stratified), so that each class has its share in both parts to within
a row, and at least one row in each. The encoding is fitted on the training rows alone.
"""

import dataclasses
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from vecml.data.advice import Advice
from vecml.data.classes import rows_for_testing
from vecml.data.duplicates import seen_rows
from vecml.data.encoding import Encoding
from vecml.data.table import Column, Table
from vecml.numbers import count
from vecml.progress import stage
from vecml.warnings import warn

SMALL_TEST_ROWS = 30
MANY_SEEN = 0.05
ROWS_A_FORM = 5  # test rows for each different set of features from which on these are few, and not copied


@dataclass(frozen=True)
class Part:
    """The encoded rows of the training or of the test part.

    Attributes:
        x_FN: float32 (F, N) in C order; F encoded features of N rows.
        label_N: int64 class indices.
        row_N: int64 row indices in the source of the table, for example its file; from 0, ascending.
        unseen_categories: how many values became zeros because the training part does not have their category.
    """

    x_FN: NDArray[np.float32] = field(repr=False)
    label_N: NDArray[np.int64] = field(repr=False)
    row_N: NDArray[np.int64] = field(repr=False)
    unseen_categories: int = 0

    @property
    def n_rows(self) -> int:
        return len(self.label_N)


@dataclass(frozen=True)
class Split:
    """Both parts of a table, and the encoding that was fitted on the training part alone.

    Attributes:
        train, test: the parts.
        encoding: how their columns became features.
        classes: the names of the classes.
        seen_rows: rows of the test part that have the same features as a row of the training part.
    """

    train: Part
    test: Part
    encoding: Encoding
    classes: tuple[str, ...]
    seen_rows: int = 0


def split_table(table: Table, test_fraction: float, seed: int) -> Split:
    """Draw a test part of `test_fraction` of the rows (rounded), stratified by class, and encode both parts.

    The same table, fraction and seed give the same parts. Warns of a small test part (VML005), of categories that only
    it has (VML003), and where at least one in twenty of its rows is in the training part as well (VML043). Raises
    DataError when a class has a single row, or the fraction leaves a part without some class.
    """
    return split_columns(table, list(table.columns), test_fraction, seed)


def split_columns(table: Table, columns: list[Column], test_fraction: float, seed: int) -> Split:
    """Split as `split_table` does; the columns are in `columns`, which is empty afterwards, and not in `table`.

    Where nobody else keeps the columns, they and the features made of them are not in memory together.

    Args:
        table: all of it but the columns.
        columns: the raw features.
        test_fraction: share of the rows for the test part, 0 to 1.
        seed: of the draw.
    """
    with stage("splitting"):
        advice = table.advice and dataclasses.replace(table.advice, columns=tuple(columns))
        train_N, test_N = split_rows(table.label_N, table.classes, test_fraction, seed, advice)
        del advice
        encoding = Encoding.fit(columns, train_N, table.target, table.classes)
    with stage("comparing parts"):  # before the features are made: both need memory
        seen, different = seen_rows(columns, train_N, test_N)
    if len(test_N) < SMALL_TEST_ROWS:
        rows = count(len(test_N), "row")
        warn("VML005", f"the test part has {rows}: too few to say much about the accuracy")
    made = encoding.transform_parts(columns, [train_N, test_N], table.row_N)
    train, test = (_part(table, row_N, *features) for row_N, features in zip((train_N, test_N), made, strict=True))
    if test.unseen_categories:
        values = count(test.unseen_categories, "value")
        warn("VML003", f"in the test part, {values} of a category that the training part has not: encoded as zeros")
    if seen >= MANY_SEEN * len(test_N):
        warn("VML043", _seen(seen, different, len(test_N)))
    return Split(train, test, encoding, table.classes, seen)


def _seen(seen: int, different: int, n_test: int) -> str:
    """Say how many test rows the network has seen, and what that means."""
    said = f"{seen:,} of {count(n_test, 'test row')} have the same features as a training row"
    if seen >= ROWS_A_FORM * different:
        rows = "features alike" if different == 1 else f"{different:,} different sets of features"
        return f"{said}: these rows have {rows}; where the features take few values, new rows have them too"
    return f"{said}: if rows are copies, remove them from the table, for the accuracy on new rows may be lower"


def split_rows(
    label_N: NDArray[np.int64],
    classes: tuple[str, ...],
    test_fraction: float,
    seed: int,
    advice: Advice | None = None,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Draw the rows of the training part and of the test part, stratified by class.

    Args:
        label_N: the label codes (N,), int64.
        classes: their names, by code.
        test_fraction: share of the rows for the test part, 0 to 1.
        seed: of the random numbers.
        advice: for the hint of a refusal.

    Returns:
        The row numbers of the training part and of the test part, int64, both ascending.

    Raises:
        DataError: a class has too few rows, as `split_table` explains.
    """
    count_C = np.bincount(label_N, minlength=len(classes))
    test_C = rows_for_testing(count_C, classes, test_fraction, advice)
    rng = np.random.default_rng(seed)
    # A narrow type, so that numpy sorts by radix: the rows of every class, each in ascending order.
    narrow = np.uint16 if len(classes) <= np.iinfo(np.uint16).max else np.int64
    by_class_N = np.argsort(label_N.astype(narrow), kind="stable")
    is_test_N = np.zeros(len(label_N), np.bool_)
    first = 0
    for n_rows, n_test in zip(count_C, test_C, strict=True):
        rows = by_class_N[first : first + n_rows]
        is_test_N[rows[rng.choice(n_rows, n_test, replace=False, shuffle=False)]] = True
        first += n_rows
    return np.flatnonzero(~is_test_N), np.flatnonzero(is_test_N)


def _part(table: Table, row_N: NDArray[np.int64], x_FN: NDArray[np.float32], unseen: int) -> Part:
    is_whole = table.row_N[-1] == table.n_rows - 1  # they ascend: no row of the source was left out
    return Part(x_FN, table.label_N[row_N], row_N if is_whole else table.row_N[row_N], unseen)

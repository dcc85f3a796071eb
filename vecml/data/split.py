"""Splits a table into a training and a test part, and encodes both.

The rows are drawn at random within each class (stratified), so that each class has its share in both parts to within
a row, and at least one row in each. The encoding is fitted on the training rows alone.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from vecml.data.encoding import Encoding
from vecml.data.table import Table
from vecml.errors import DataError
from vecml.numbers import count
from vecml.progress import stage
from vecml.warnings import warn

SMALL_TEST_ROWS = 30


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
    """Both parts of a table, the encoding that was fitted on the training part alone, and the names of the classes."""

    train: Part
    test: Part
    encoding: Encoding
    classes: tuple[str, ...]


def split_table(table: Table, test_fraction: float, seed: int) -> Split:
    """Draw a test part of `test_fraction` of the rows (rounded), stratified by class, and encode both parts.

    The same table, fraction and seed give the same parts. Warns of a small test part (VML005) and of categories that
    only it has (VML003). Raises DataError when a class has a single row, or the fraction leaves a part without some
    class.
    """
    with stage("splitting"):
        train_N, test_N = split_rows(table.label_N, table.classes, test_fraction, seed)
        encoding = Encoding.fit(table.columns, train_N, table.target, table.classes)
    if len(test_N) < SMALL_TEST_ROWS:
        rows = count(len(test_N), "row")
        warn("VML005", f"the test part has {rows}: too few to say much about the accuracy")
    train = _part(table, encoding, train_N)
    test = _part(table, encoding, test_N)
    if test.unseen_categories:
        values = count(test.unseen_categories, "value")
        warn("VML003", f"in the test part, {values} of a category that the training part has not: encoded as zeros")
    return Split(train, test, encoding, table.classes)


def split_rows(
    label_N: NDArray[np.int64], classes: tuple[str, ...], test_fraction: float, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Draw the rows of the training part and of the test part, stratified by class.

    Args:
        label_N: the label codes (N,), int64.
        classes: their names, by code.
        test_fraction: share of the rows for the test part, 0 to 1.
        seed: of the random numbers.

    Returns:
        The row numbers of the training part and of the test part, int64, both ascending.

    Raises:
        DataError: a class has too few rows, as `split_table` explains.
    """
    count_C = np.bincount(label_N, minlength=len(classes))
    test_C = _test_counts(count_C, classes, test_fraction)
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


def _test_counts(count_C: NDArray[np.int64], classes: tuple[str, ...], test_fraction: float) -> NDArray[np.int64]:
    """Count the test rows of each class (C,): its share by largest remainder, at least 1 and at most all but 1."""
    n_rows, n_classes = int(count_C.sum()), len(classes)
    few = [f"{name!r} has {count}" for name, count in zip(classes, count_C, strict=True) if count < 2]
    if few:
        raise DataError(_too_few(few), "add rows of it, or leave them out: empty labels are dropped")
    n_test = round(n_rows * test_fraction)
    n_train = n_rows - n_test
    given = f"--test-fraction {test_fraction:g}"
    if n_test < n_classes:
        raise DataError(
            f"{given}: a test part of {count(n_test, 'row')} cannot hold {n_classes} classes",
            f"use at least --test-fraction {_short_fraction(n_classes / n_rows, math.ceil)}",
        )
    if n_train < n_classes:
        raise DataError(
            f"{given}: a training part of {count(n_train, 'row')} cannot hold {n_classes} classes",
            f"use at most --test-fraction {_short_fraction(1 - n_classes / n_rows, math.floor)}",
        )
    share_C = count_C * (n_test / n_rows)
    test_C: NDArray[np.int64] = np.clip(np.floor(share_C).astype(np.int64), 1, count_C - 1)
    while (short := n_test - int(test_C.sum())) != 0:
        # The class furthest from its share gains or loses a row, as long as it may; the first of several.
        may = test_C < count_C - 1 if short > 0 else test_C > 1
        gap_C = np.where(may, np.sign(short) * (share_C - test_C), -np.inf)
        test_C[gap_C.argmax()] += np.sign(short)
    return test_C


def _too_few(few: list[str]) -> str:
    if len(few) == 1:
        return f"class {few[0]} row; the split needs at least 2"
    shown = ", ".join(few[:5]) + (f" and {len(few) - 5} more classes" if len(few) > 5 else "")
    return f"classes with fewer than 2 rows cannot be split: {shown}"


def _short_fraction(fraction: float, direction: Callable[[float], int]) -> float:
    """Round a fraction up or down (math.ceil or math.floor) to few digits, but not to 0 or 1, nor far off."""
    for digits in range(2, 12):
        rounded: float = direction(fraction * 10**digits) / 10**digits
        if 0 < rounded < 1 and abs(rounded - fraction) < 0.25 * min(fraction, 1 - fraction):
            return rounded
    return fraction


def _part(table: Table, encoding: Encoding, row_N: NDArray[np.int64]) -> Part:
    x_FN, unseen = encoding.transform(table.columns, row_N, table.row_N)
    return Part(x_FN, table.label_N[row_N], table.row_N[row_N], unseen)

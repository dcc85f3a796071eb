"""Columns that give the label away: a count of the rows, a copy of the label, and what says nearly all by itself.

The first two are dropped. The third may be a strong feature and right; it is named with what it gives alone. All looks
are vectorised and cheap: a look at the first rows rules out nearly every column, and what a column gives alone is
measured on a sample.
"""

from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray

from vecml.data.findings import Findings
from vecml.data.table import MISSING_CODE, Column
from vecml.numbers import percent

FIRST_ROWS = 1_000
FEWEST_ROWS = 20  # in fewer, a column may agree with the label by chance
FEWEST_CLASS_ROWS = 5
RISES_BY_ONE = 0.5
SAMPLE_ROWS, SAMPLE_CELLS = 20_000, 2_000_000
FOLDS = 5
ROWS_A_VALUE, MOST_BINS, MOST_COUNTS = 4, 64, 1_000_000
SUSPICIOUS_ERROR, SHARE_OF_ERROR = 0.02, 0.1


def without_leaks(
    columns: Sequence[Column],
    label_N: NDArray[np.int64],
    n_classes: int,
    keep: Collection[str],
    findings: Findings,
) -> tuple[Column, ...]:
    """The columns without those that count the rows or copy the label; all that are suspicious are told.

    Where nothing else would be left, and where `keep` names it, such a column stays and is told as well.

    Args:
        columns: of the features, neither empty nor constant.
        label_N: class indices (N,), of the rows in the order of the source.
        n_classes: how many classes there are.
        keep: names of columns that stay.
        findings: is told.
    """
    if len(label_N) < FEWEST_ROWS:
        return tuple(columns)
    alone = _Alone(label_N, n_classes, len(columns))
    leaks = {column.name: why for column in columns if (why := _leak(column, label_N))}
    left = tuple(column for column in columns if column.name not in leaks or column.name in keep)
    for column in columns:
        why = leaks.get(column.name)
        gives = alone.accuracy(column)
        if why is not None and left and column.name not in keep:
            findings.dropped("VML041", column.name, f"{why}; {alone.said(gives)}")
        elif why is not None or alone.is_suspicious(gives) or _follows(column, label_N):
            said = why or ("" if alone.is_suspicious(gives) else "each class has one value of it")
            instead = {} if column.name in keep else {"drop": (column.name,)} if left else None
            reasons = "; ".join(part for part in (said, alone.said(gives)) if part)
            findings.decided("VML042", column.name, f"may give the label away: {reasons}", instead)
    return left or tuple(columns)


def _leak(column: Column, label_N: NDArray[np.int64]) -> str | None:
    if counts_rows(column):
        return "it counts the rows"
    return "a copy of the label" if _copies(column, label_N) else None


def counts_rows(column: Column) -> bool:
    """Whether a column numbers the rows: whole numbers that rise with every row, by one in most.

    It begins between 0 and the number of rows, since some rows may have been left out before (a year does not).
    """
    values_N = column.values_N
    if column.kind != "number" or not _rises(values_N[:FIRST_ROWS]):
        return False
    return _rises(values_N)


def _rises(values_N: NDArray[np.generic]) -> bool:
    step_N = np.diff(values_N.astype(np.float64))
    first = float(values_N[0])
    is_count = 0 <= first <= len(values_N) and first.is_integer() and bool((step_N >= 1).all())
    return is_count and bool((step_N == np.floor(step_N)).all()) and float((step_N == 1).mean()) >= RISES_BY_ONE


def _copies(column: Column, label_N: NDArray[np.int64]) -> bool:
    """Whether each class has one value of the column, and no other class has it."""
    value_C = _value_of_class(column, label_N)
    return value_C is not None and len(np.unique(value_C)) == len(value_C)


def _follows(column: Column, label_N: NDArray[np.int64]) -> bool:
    """Whether each class has one value of the column, and the classes with a rarer value have some rows."""
    value_C = _value_of_class(column, label_N)
    if value_C is None:
        return False
    count_C = np.unique(label_N, return_counts=True)[1]
    values, place_C = np.unique(value_C, return_inverse=True)
    rows_V = np.bincount(place_C, weights=count_C)
    rarer = place_C != rows_V.argmax()
    return len(values) < len(value_C) and bool((count_C[rarer] >= FEWEST_CLASS_ROWS).all())


def _value_of_class(column: Column, label_N: NDArray[np.int64]) -> NDArray[np.float64] | None:
    """The one value of each class that occurs (infinite where it is missing); None where a class has several."""
    for rows in (FIRST_ROWS, len(label_N)):
        values_N = column.values_N[:rows].astype(np.float64)
        values_N[np.isnan(values_N)] = np.inf
        classes, first_C, place_N = np.unique(label_N[:rows], return_index=True, return_inverse=True)
        value_C: NDArray[np.float64] = values_N[first_C]
        if not np.array_equal(values_N, value_C[place_N]):
            return None
    # Where hardly a class repeats, any two columns agree.
    return value_C if len(classes) > 1 and len(label_N) - len(classes) >= FEWEST_ROWS else None


class _Alone:
    """What a column would give alone: a table of its values, or of bins of them, with the commonest class of each.

    Each fifth of a sample of the rows is predicted by the table of the others.
    """

    def __init__(self, label_N: NDArray[np.int64], n_classes: int, n_columns: int) -> None:
        rng = np.random.default_rng(0)
        most = int(np.clip(SAMPLE_CELLS // max(1, n_columns), FIRST_ROWS, SAMPLE_ROWS))
        self._rows = np.arange(len(label_N)) if len(label_N) <= most else rng.choice(len(label_N), most, replace=False)
        self._label = label_N[self._rows]
        self._fold = rng.permutation(len(self._rows)) % FOLDS
        self._classes = n_classes
        self.majority = float(np.bincount(self._label).max() / len(self._label))

    def accuracy(self, column: Column) -> float:
        """Share of the rows that are right by this column alone; the majority's where it has too many values."""
        return max(
            self._right(*places) for places in self._places(column.values_N[self._rows], column.kind == "number")
        )

    def _right(self, place: NDArray[np.int64], n_values: int) -> float:
        """Share of the rows that are right by the place that each has in a table of n_values."""
        if n_values * self._classes > MOST_COUNTS:
            return self.majority
        cell = place * self._classes + self._label
        size = n_values * self._classes
        by_fold = np.bincount(self._fold * size + cell, minlength=FOLDS * size).reshape(FOLDS, n_values, -1)
        others = by_fold.sum(axis=0) - by_fold
        commonest = others.sum(axis=1).argmax(axis=1)
        said = np.where(others.any(axis=2), others.argmax(axis=2), commonest[:, None])
        return float((said[self._fold, place] == self._label).mean())

    def _places(self, values: NDArray[np.generic], is_number: bool) -> list[tuple[NDArray[np.int64], int]]:
        """The place of each value among the distinct ones, or its bin, and how many there are; missing ones have one.

        Numbers of which some are rare are placed in both ways: of a value that no other row has, its neighbours tell.
        """
        if not is_number:
            codes = values.astype(np.int64) - MISSING_CODE
            return [(codes, int(codes.max()) + 1)]
        distinct, place, rows = np.unique(values, return_inverse=True, return_counts=True)
        bins = int(np.clip(len(values) // (2 * FOLDS), 2, MOST_BINS))
        binned = place * bins // len(distinct), bins
        if len(distinct) <= MOST_BINS // 4:
            return [(place, len(distinct))]
        if len(distinct) * ROWS_A_VALUE > len(values):
            return [binned]
        return [(place, len(distinct)), binned] if rows.min() < 2 * FOLDS else [(place, len(distinct))]

    def is_suspicious(self, accuracy: float) -> bool:
        """Whether hardly any error is left, also compared with always guessing the commonest class."""
        return 1 - accuracy <= min(SUSPICIOUS_ERROR, SHARE_OF_ERROR * (1 - self.majority))

    def said(self, accuracy: float) -> str:
        """Say in words how accurate a column is alone."""
        guess = percent(self.majority)
        return f"by it alone {percent(accuracy)} of held-out rows are right (guessing the commonest class: {guess})"

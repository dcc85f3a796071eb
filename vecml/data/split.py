"""Splits a table into a training and a test part, and encodes both.

The rows are drawn at random within each class (stratified), so that each class has its share in both parts to within
a row, and at least one row in each. The encoding is fitted on the training rows alone. Of more than 20 million rows
each is drawn by a hash of its number, which needs no list of the rows of a class (`vecml.data.row_hash`).
"""

import dataclasses
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from vecml.data.advice import Advice
from vecml.data.classes import rows_for_testing
from vecml.data.disk import Disk, placed
from vecml.data.duplicates import seen_rows
from vecml.data.encoding import Encoding
from vecml.data.remedy import flags
from vecml.data.row_hash import drawn_by_hash
from vecml.data.table import Column, Table
from vecml.errors import SettingError
from vecml.numbers import count
from vecml.progress import stage
from vecml.warnings import warn

MANY_ROWS = 20_000_000
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
        disk: where the features of both parts lie; None: in memory.
    """

    train: Part
    test: Part
    encoding: Encoding
    classes: tuple[str, ...]
    seen_rows: int = 0
    disk: Disk | None = field(default=None, repr=False, compare=False)


def split_table(table: Table, test_fraction: float, seed: int, sample: int | None = None) -> Split:
    """Draw a test part of `test_fraction` of the rows (rounded), stratified by class, and encode both parts.

    The same table, fraction and seed give the same parts. Warns of a small test part (VML005), of categories that only
    it has (VML003), and where at least one in twenty of its rows is in the training part as well (VML043). Raises
    DataError when a class has a single row, or the fraction leaves a part without some class. Of the training part so
    many rows as `sample` says are drawn, each class by its share; the encoding is fitted on them alone.
    """
    return split_columns(table, list(table.columns), test_fraction, seed, sample)


def split_columns(
    table: Table, columns: list[Column], test_fraction: float, seed: int, sample: int | None = None
) -> Split:
    """Split as `split_table` does; the columns are in `columns`, which is empty afterwards, and not in `table`.

    Where nobody else keeps the columns, they and the features made of them are not in memory together.

    Args:
        table: all of it but the columns.
        columns: the raw features.
        test_fraction: share of the rows for the test part, 0 to 1.
        seed: of the draw.
        sample: rows of the training part to train on; None: all of them.
    """
    disk = table.disk
    with stage("splitting"):
        advice = table.advice and dataclasses.replace(table.advice, columns=tuple(columns))
        train_N, test_N = split_rows(table.label_N, table.classes, test_fraction, seed, advice)
        del advice
        if sample is not None:
            train_N = sampled_rows(table.label_N, train_N, table.classes, sample, seed)
        train_N, test_N = placed(disk, train_N), placed(disk, test_N)
        encoding = Encoding.fit(columns, train_N, table.target, table.classes)
    with stage("comparing parts"):  # before the features are made: both need memory
        seen, different = seen_rows(columns, train_N, test_N, disk)
    if len(test_N) < SMALL_TEST_ROWS:
        rows = count(len(test_N), "row")
        warn("VML005", f"the test part has {rows}: too few to say much about the accuracy")
    made = encoding.transform_parts(columns, [train_N, test_N], table.row_N, disk)
    train, test = (_part(table, row_N, *features) for row_N, features in zip((train_N, test_N), made, strict=True))
    if test.unseen_categories:
        values = count(test.unseen_categories, "value")
        warn("VML003", f"in the test part, {values} of a category that the training part has not: encoded as zeros")
    if seen >= MANY_SEEN * len(test_N):
        warn("VML043", _seen(seen, different, len(test_N)))
    return Split(train, test, encoding, table.classes, seen, disk)


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
    if len(label_N) > MANY_ROWS:
        is_test_N = drawn_by_hash(label_N, len(classes), test_fraction, seed)
    else:
        is_test_N = _drawn(label_N, count_C, test_C, seed)
    return np.flatnonzero(~is_test_N), np.flatnonzero(is_test_N)


def _drawn(
    label_N: NDArray[np.int64], count_C: NDArray[np.int64], quota_C: NDArray[np.int64], seed: int
) -> NDArray[np.bool_]:
    """Mark the rows that are drawn, as many of each class as its quota says."""
    rng = np.random.default_rng(seed)
    # A narrow type, so that numpy sorts by radix: the rows of every class, each in ascending order.
    narrow = np.uint16 if len(count_C) <= np.iinfo(np.uint16).max else np.int64
    by_class_N = np.argsort(label_N.astype(narrow), kind="stable")
    is_drawn_N = np.zeros(len(label_N), np.bool_)
    first = 0
    for n_rows, quota in zip(count_C, quota_C, strict=True):
        rows = by_class_N[first : first + n_rows]
        is_drawn_N[rows[rng.choice(n_rows, quota, replace=False, shuffle=False)]] = True
        first += n_rows
    return is_drawn_N


def sampled_rows(
    label_N: NDArray[np.int64], train_N: NDArray[np.int64], classes: tuple[str, ...], sample: int, seed: int
) -> NDArray[np.int64]:
    """Draw rows of the training part, each class by its share, and one row of each at least.

    Args:
        label_N: the label codes of the table (N,), int64.
        train_N: rows of the training part, int64, ascending.
        classes: their names, by code.
        sample: how many rows to draw.
        seed: of the random numbers.

    Returns:
        int64, ascending; all of `train_N` where `sample` is as many or more.

    Raises:
        SettingError: there are more classes than rows to draw.
    """
    if sample >= len(train_N):
        return train_N
    if sample < len(classes):
        raise SettingError(
            f"{flags({'sample': sample})}: so few rows cannot hold {len(classes)} classes",
            f"at least {flags({'sample': len(classes)})}",
        )
    label_T = label_N[train_N]
    if len(label_T) > MANY_ROWS:
        return train_N[drawn_by_hash(label_T, len(classes), sample / len(train_N), seed + 1)]
    count_C = np.bincount(label_T, minlength=len(classes))
    return train_N[_drawn(label_T, count_C, _quotas(count_C, sample), seed + 1)]


def _quotas(count_C: NDArray[np.int64], sample: int) -> NDArray[np.int64]:
    """How many rows of each class are in a sample: its share by largest remainder, and one at least."""
    share_C = count_C * (sample / int(count_C.sum()))
    quota_C: NDArray[np.int64] = np.clip(np.floor(share_C).astype(np.int64), np.minimum(1, count_C), count_C)
    while (short := sample - int(quota_C.sum())) != 0:
        may_C = quota_C < count_C if short > 0 else quota_C > 1
        quota_C[np.where(may_C, np.sign(short) * (share_C - quota_C), -np.inf).argmax()] += np.sign(short)
    return quota_C


def _part(table: Table, row_N: NDArray[np.int64], x_FN: NDArray[np.float32], unseen: int) -> Part:
    is_whole = table.row_N[-1] == table.n_rows - 1  # they ascend: no row of the source was left out
    disk = table.disk
    return Part(
        x_FN, placed(disk, table.label_N[row_N]), row_N if is_whole else placed(disk, table.row_N[row_N]), unseen
    )

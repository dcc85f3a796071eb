"""How one raw column becomes features: a number filled in and perhaps shifted, a category one-hot.

That a value is missing is information: where more than a few are, one more feature is 1 for them and 0 otherwise.

Fitted on training rows alone. Nothing is standardised here: that is learnt in training and folded into the network's
first layer. Only a column whose variation float32 could not hold is shifted (timestamps, say) or scaled (numbers of
1e-40, say), before it is narrowed.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from vecml.data.reading import PLAIN_READING, Reading
from vecml.data.table import MISSING_CODE, Column, Kind, has_one_value, is_missing_told
from vecml.errors import DataError

OFFSET_DEVIATIONS = 100.0
# float32 ends at 3e38, and below 1e-38 it loses digits: beyond these, neither the features nor the weights that are
# divided by their deviation would be safe in it.
SMALLEST_DEVIATION = 1e-30
LARGEST_DEVIATION = 1e30
OTHER = "other"
SLICE_ROWS = 1 << 18


@dataclass(frozen=True)
class ColumnEncoding:
    """How one raw column becomes features: a number x as float32((x - offset) / scale), a category one for each value.

    Attributes:
        name: the raw column's.
        kind: the raw column's.
        impute: what a missing value counts as: a number's median, 0 or 1, or an index into `categories`.
        offset: subtracted from a number, in float64; 0.0 for nearly all of them.
        scale: then divides it, in float64; 1.0 for nearly all of them, otherwise another power of two, above zero.
        categories: of a category: those of the training part, sorted; each is a feature.
        other: the name of the one feature for all values that are not in `categories`; empty where there is none.
        indicator: whether a last feature says that the value is missing.
        constant: whether that is its only feature, since there is but one value.
        reading: how the column's text is read.
    """

    name: str
    kind: Kind
    impute: float
    offset: float = 0.0
    scale: float = 1.0
    categories: tuple[str, ...] = ()
    other: str = ""
    indicator: bool = False
    constant: bool = False
    reading: Reading = PLAIN_READING

    @property
    def feature_names(self) -> tuple[str, ...]:
        """The features it makes: `age`, or `colour=red`, `colour=blue`, `colour=other`; then `age is missing`."""
        values = (*self.categories, self.other) if self.other else self.categories
        names = () if self.constant else tuple(f"{self.name}={value}" for value in values) or (self.name,)
        return (*names, f"{self.name} is missing") if self.indicator else names


def fit_column(column: Column) -> ColumnEncoding:
    """Learn from all rows of a column that has values and is not constant; `Encoding.fit` says what is learnt."""
    constant = has_one_value(column)
    if column.kind != "number":
        fitted = _fit_codes(column)
    elif constant:
        fitted = ColumnEncoding(column.name, "number", float(np.fmin.reduce(column.values_N)))
    else:
        fitted = _fit_number(column)
    return replace(fitted, indicator=is_missing_told(column), constant=constant, reading=column.reading)


def encode_column(
    encoding: ColumnEncoding,
    column: Column,
    row_N: NDArray[np.int64] | None,
    x_KN: NDArray[np.float32],
    source_row_T: Sequence[int] | NDArray[np.int64] | None = None,
) -> int:
    """Write the column's K features of the rows `row_N` (None: all) into `x_KN`; returns how many values were unseen.

    The column must be of the encoding's kind. Raises DataError for a number that is infinite or too large for float32;
    `source_row_T` (whole numbers, for each row of the column; None: the same) is what its row is called there, from 0.
    """
    if encoding.indicator:
        values_N = column.values_N if row_N is None else column.values_N[row_N]
        x_KN[-1] = np.isnan(values_N) if encoding.kind == "number" else values_N == MISSING_CODE
        x_KN = x_KN[:-1]
        if encoding.constant:
            return 0
    if encoding.kind != "number":
        return _encode_codes(encoding, column, row_N, x_KN)
    _encode_number(encoding, column, row_N, x_KN[0], source_row_T)
    return 0


def _fit_number(column: Column) -> ColumnEncoding:
    present = column.values_N[~np.isnan(column.values_N)]
    mean = float(present.mean(dtype=np.float64))
    deviation = _deviation(present, mean)
    # The median, by selection in this copy and in float64, so that it does not depend on how the file kept the column.
    middle, odd = divmod(len(present), 2)
    present.partition((middle - 1, middle))
    median = float(present[middle]) if odd else 0.5 * (float(present[middle - 1]) + float(present[middle]))
    scale = 1.0
    if not SMALLEST_DEVIATION <= deviation <= LARGEST_DEVIATION:
        # By the range, which unlike the deviation needs no squares that underflow; a power of two costs no digit.
        scale = math.ldexp(0.5, math.frexp(float(present.max()) - float(present.min()))[1])
        scaled = np.divide(present, scale, dtype=np.float64)
        mean, deviation = float(scaled.mean()), float(scaled.std())
    shifted = abs(mean) > OFFSET_DEVIATIONS * deviation
    return ColumnEncoding(column.name, "number", median, offset=median if shifted else 0.0, scale=scale)


def _deviation(value_N: NDArray[np.generic], mean: float) -> float:
    """The standard deviation of the values, by slices: numpy's own makes a copy of all of them in float64."""
    squares = 0.0
    for start in range(0, len(value_N), SLICE_ROWS):
        away_N = np.subtract(value_N[start : start + SLICE_ROWS], mean, dtype=np.float64)
        squares += float(np.dot(away_N, away_N))
    return math.sqrt(squares / len(value_N))


def _fit_codes(column: Column) -> ColumnEncoding:
    codes = column.values_N[column.values_N != MISSING_CODE]
    count = np.bincount(codes, minlength=len(column.categories))
    if column.kind == "boolean":
        return ColumnEncoding(column.name, "boolean", float(count.argmax()))
    seen = np.flatnonzero(count)
    other = ""
    if column.max_categories is not None and len(column.categories) > column.max_categories:
        # The commonest of the training part; of equally common ones the first.
        seen = np.sort(seen[np.argsort(-count[seen], kind="stable")[: column.max_categories]])
        other = _name_of_others({column.categories[code] for code in seen})
    categories = tuple(column.categories[code] for code in seen)
    return ColumnEncoding(column.name, "category", float(count[seen].argmax()), categories=categories, other=other)


def _name_of_others(kept: set[str]) -> str:
    """A name for all values that are not kept; one that is called so itself does not share it."""
    name, number = OTHER, 1
    while name in kept:
        number += 1
        name = f"{OTHER} ({number})"
    return name


def _encode_number(
    encoding: ColumnEncoding,
    column: Column,
    row_N: NDArray[np.int64] | None,
    x_N: NDArray[np.float32],
    source_row_T: Sequence[int] | NDArray[np.int64] | None,
) -> None:
    values_N = column.values_N if row_N is None else column.values_N[row_N]
    with np.errstate(over="ignore"):  # what does not fit becomes infinite, and is refused below
        if encoding.scale != 1.0:
            np.divide(
                np.subtract(values_N, encoding.offset, dtype=np.float64), encoding.scale, out=x_N, casting="same_kind"
            )
        elif encoding.offset:
            np.subtract(values_N, encoding.offset, out=x_N, dtype=np.float64, casting="same_kind")
        else:
            x_N[:] = values_N
    if np.isfinite(x_N).all():  # one pass for what is nearly always so
        return
    if np.isinf(np.fmin.reduce(x_N)) or np.isinf(np.fmax.reduce(x_N)):
        first = int(np.isinf(x_N).argmax())
        row = first if row_N is None else int(row_N[first])
        row = (row if source_row_T is None else int(source_row_T[row])) + 1
        value = float(values_N[first])
        if np.isinf(value):
            message = f"column {encoding.name!r} has an infinite value in row {row}"
        elif encoding.scale != 1.0:
            message = f"column {encoding.name!r} has {value!r} in row {row}, too far from the training part's values"
        else:
            message = f"column {encoding.name!r} has {value!r} in row {row}, more than float32 can hold"
        raise DataError(message, "mend it, or leave it empty")
    x_N[np.isnan(x_N)] = (encoding.impute - encoding.offset) / encoding.scale


def _encode_codes(
    encoding: ColumnEncoding, column: Column, row_N: NDArray[np.int64] | None, x_KN: NDArray[np.float32]
) -> int:
    """Write a boolean's or a category's features; returns how many values were unseen categories."""
    code_N = column.values_N if row_N is None else column.values_N[row_N]
    if encoding.kind == "boolean":
        x_KN[0] = code_N
        x_KN[0][code_N == MISSING_CODE] = encoding.impute
        return 0
    index = {value: i for i, value in enumerate(encoding.categories)}
    # Models of earlier versions have categories with blanks at their ends, which are cut off now.
    index = {value.strip(): i for value, i in index.items()} | index
    unseen_code = len(encoding.categories)
    # From the column's vocabulary to the training part's; the last place is where code -1 looks.
    recode = np.array([index.get(value, unseen_code) for value in column.categories] + [int(encoding.impute)], np.int32)
    seen_N = recode[code_N]
    for k, x_N in enumerate(x_KN):
        np.equal(seen_N, k, out=x_N)
    return 0 if encoding.other else int(np.count_nonzero(seen_N == unseen_code))

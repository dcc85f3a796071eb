"""What is read from a source: `Table`, a labelled table, and `Column`, one of its raw columns."""

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from vecml.data.disk import Disk
from vecml.data.findings import Decision
from vecml.data.reading import PLAIN_READING, Reading

if TYPE_CHECKING:
    from vecml.data.advice import Advice

Kind = Literal["number", "boolean", "category"]

MISSING_CODE = -1
# Where values are missing is a feature like any other: it must be seen in some rows, and not in a handful of many.
FEWEST_MISSING = 5
FEWEST_MISSING_SHARE = 0.01


@dataclass(frozen=True)
class Column:
    """One raw column, as read.

    Attributes:
        name: as the file calls it.
        kind: `number` (dates count as seconds since 1970), `boolean` or `category`.
        values_N: number: float64 or float32, NaN where missing. boolean: int8 0/1, category: int32 index into
            `categories`; both -1 where missing.
        categories: the distinct values of a category, sorted; empty otherwise.
        reading: how its text is read, where the same column comes as text.
        max_categories: of a category: if it has more values, only so many of the commonest are categories of their own
            and the others are one; None: each is its own.
    """

    name: str
    kind: Kind
    values_N: NDArray[np.generic] = field(repr=False)
    categories: tuple[str, ...] = ()
    reading: Reading = PLAIN_READING
    max_categories: int | None = None


def is_missing(column: Column) -> bool:
    """Whether the column has no value in any row (one without rows has none)."""
    if not len(column.values_N):
        return True
    if column.kind == "number":
        return bool(np.isnan(np.fmin.reduce(column.values_N)))
    return bool(column.values_N.max() == MISSING_CODE)


def missing_rows(column: Column) -> int:
    """How many rows have no value."""
    if column.kind == "number":
        return int(np.count_nonzero(np.isnan(column.values_N)))
    return int(np.count_nonzero(column.values_N == MISSING_CODE))


def is_missing_told(column: Column) -> bool:
    """Whether so many values are missing, and so many not, that it is information where they are."""
    n_rows, missing = len(column.values_N), missing_rows(column)
    return min(missing, n_rows - missing) >= max(FEWEST_MISSING, FEWEST_MISSING_SHARE * n_rows)


def has_one_value(column: Column) -> bool:
    """Whether the column has one distinct value, missing ones not counted."""
    if is_missing(column):
        return False
    if column.kind == "number":
        return bool(np.fmin.reduce(column.values_N) == np.fmax.reduce(column.values_N))
    present = column.values_N[column.values_N != MISSING_CODE]
    return bool(present.min() == present.max())


def is_constant(column: Column) -> bool:
    """Whether the column says nothing: it has one distinct value, and few rows or nearly all are without it."""
    return has_one_value(column) and not is_missing_told(column)


@dataclass(frozen=True)
class Table:
    """A labelled table as it was read: raw features by column, labels as class indices.

    Attributes:
        source: where it comes from, for people: a file's name, `sklearn:digits`, `synthetic`.
        columns: the raw features, in the source's order.
        label_N: int64 index into `classes`.
        classes: the labels' names, numbers in numeric order, text sorted.
        target: the name of the label's column.
        digest: hash of every value and name (see `vecml.data.digest`), the same for the same data in any file format.
        row_N: int64 row numbers in the source, from 0 and ascending; not all of them where rows were left out.
        decisions: what was decided for the user while it was read.
        advice: for the hint where the split is refused; without columns.
        disk: where the columns lie, and what is made of them; None: in memory.
    """

    source: str
    columns: tuple[Column, ...] = field(repr=False)
    label_N: NDArray[np.int64] = field(repr=False)
    classes: tuple[str, ...]
    target: str
    digest: str
    row_N: NDArray[np.int64] = field(repr=False)
    decisions: tuple[Decision, ...] = field(default=(), repr=False)
    advice: "Advice | None" = field(default=None, repr=False, compare=False)
    disk: Disk | None = field(default=None, repr=False, compare=False)

    @property
    def n_rows(self) -> int:
        return len(self.label_N)


def take_rows(column: Column, row_N: NDArray[np.int64]) -> Column:
    """The column at the int64 rows row_N (N,); a category keeps only the values that are left."""
    values_N = column.values_N[row_N]
    if column.kind != "category":
        return replace(column, values_N=values_N)
    used = np.bincount(values_N.astype(np.int64) + 1, minlength=len(column.categories) + 1)[1:] > 0
    # The last place is where code -1 looks, so that missing stays missing.
    recode = np.full(len(used) + 1, MISSING_CODE, np.int32)
    recode[:-1][used] = np.arange(used.sum(), dtype=np.int32)
    left = tuple(value for value, kept in zip(column.categories, used, strict=True) if kept)
    return replace(column, values_N=recode[values_N], categories=left)

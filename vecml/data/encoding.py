"""Turns raw columns into float32 features: missing values are filled in, and categories become one-hot.

An `Encoding` is fitted on training rows alone. It has everything that a saved model must know of its data, and it can
be written to JSON and read back exactly.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vecml.data.column_encoding import ColumnEncoding, encode_column, fit_column
from vecml.data.disk import Disk
from vecml.data.encoding_json import from_json, to_json
from vecml.data.selection import listed, listed_columns, no_such_column
from vecml.data.table import Column, Kind, is_constant, is_missing
from vecml.errors import DataError
from vecml.progress import stage
from vecml.warnings import warn

KIND_IN_WORDS = {"number": "a number", "boolean": "a boolean", "category": "a category"}


@dataclass(frozen=True)
class Encoding:
    """How raw columns become features, in the features' order, and labels class indices.

    Attributes:
        columns: the raw columns that are used.
        target: the name of the label's column.
        classes: names of the classes; the index of each is its label.
    """

    columns: tuple[ColumnEncoding, ...]
    target: str = ""
    classes: tuple[str, ...] = ()

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Names of the encoded features, in the order of `transform`'s rows."""
        return tuple(name for column in self.columns for name in column.feature_names)

    @property
    def n_features(self) -> int:
        """F, the number of encoded features."""
        return sum(len(column.feature_names) for column in self.columns)

    @classmethod
    def fit(
        cls,
        columns: Sequence[Column],
        row_N: NDArray[np.int64] | None = None,
        target: str = "",
        classes: tuple[str, ...] = (),
    ) -> "Encoding":
        """Learn from the rows `row_N` of `columns` (None: all of them); `target` and `classes` are kept as they are.

        A number's missing values become its median there, a boolean's or category's the most frequent value (the first
        of several). A number whose mean is more than 100 standard deviations from zero is shifted by its median; one
        whose standard deviation is below 1e-30 or above 1e30 is divided by the power of two just below its range.

        Of a category with more values than its column's `max_categories`, the commonest stay and the others are one.
        A column of which 5 values and 1 % are missing (and as many not) gets a feature more, which says where. If the
        column has but one value, that is its only feature.

        Columns without a value in these rows are left out with VML004, constant ones with VML001. Raises DataError when
        none is left.
        """
        fitted, empty, constant = [], [], []
        for column in columns:
            values_N = column.values_N if row_N is None else column.values_N[row_N]
            taken = replace(column, values_N=values_N)
            if is_missing(taken):
                empty.append(column.name)
            elif is_constant(taken):
                constant.append(column.name)
            else:
                fitted.append(fit_column(taken))
        if not fitted:
            raise DataError(
                "no feature column is left: in the training part each is constant or has no value",
                f"columns: {listed([*empty, *constant])}",
            )
        if empty:
            warn("VML004", f"{listed_columns(empty)} dropped: no value in the training part")
        if constant:
            warn("VML001", f"{listed_columns(constant)} dropped: constant in the training part")
        return cls(tuple(fitted), target, classes)

    def transform(
        self,
        columns: Sequence[Column],
        row_N: NDArray[np.int64] | None = None,
        source_row_T: Sequence[int] | NDArray[np.int64] | None = None,
    ) -> tuple[NDArray[np.float32], int]:
        """The features x_FN (float32, by column, contiguous) of the rows `row_N` (None: all), and how many values were
        categories that the fit had not seen; those are zero in all features of their column.

        Columns are found by name; others than the fitted ones do not matter. Raises DataError when one is missing, of
        another kind, or has a number that is infinite or that float32 cannot hold; `source_row_T` (whole numbers from
        0, for each of the columns' rows; None: the same) is what its row is called there.
        """
        ((x_FN, unseen),) = self.transform_parts(list(columns), [row_N], source_row_T)
        return x_FN, unseen

    def transform_parts(
        self,
        columns: list[Column],
        parts: Sequence[NDArray[np.int64] | None],
        source_row_T: Sequence[int] | NDArray[np.int64] | None = None,
        disk: Disk | None = None,
    ) -> list[tuple[NDArray[np.float32], int]]:
        """Give what `transform` gives, for each of `parts`.

        Args:
            columns: is empty afterwards: each column is given up as soon as its features are made, so that raw columns
                and features are not in memory together, unless somebody else keeps the columns.
            parts: the `row_N` of each.
            source_row_T: as for `transform`.
            disk: where the features are put; None: in memory.
        """
        by_name = {column.name: column for column in columns}
        columns.clear()
        for encoding in self.columns:
            _check_kind(encoding, by_name.get(encoding.name), tuple(by_name))
        by_name = {encoding.name: by_name[encoding.name] for encoding in self.columns}
        n_rows = len(by_name[self.columns[0].name].values_N)
        make = np.empty if disk is None else disk.empty
        xs = [make((self.n_features, n_rows if row_N is None else len(row_N)), np.float32) for row_N in parts]
        unseen, first = [0] * len(parts), 0
        with stage("encoding", len(self.columns)) as advance:
            for encoding in self.columns:
                column = by_name.pop(encoding.name)
                last = first + len(encoding.feature_names)
                for index, (row_N, x_FN) in enumerate(zip(parts, xs, strict=True)):
                    unseen[index] += encode_column(encoding, column, row_N, x_FN[first:last], source_row_T)
                first = last
                if disk is not None:
                    disk.forget()
                advance(1)
        return list(zip(xs, unseen, strict=True))

    def to_json_dict(self) -> dict[str, Any]:
        """The encoding in JSON's own types, with the version of the format; `from_json_dict` is the inverse."""
        return to_json(self.columns, self.target, self.classes)

    @classmethod
    def from_json_dict(cls, content: object) -> "Encoding":
        """Read what `to_json_dict` gave; raises ModelError for another format version and for malformed content."""
        return cls(*from_json(content))


def changed_kind(name: str, kind: Kind, fitted: Kind) -> DataError:
    """The error for a column that is of one kind now and was of another when the encoding was fitted."""
    return DataError(
        f"column {name!r} is {KIND_IN_WORDS[kind]}, but was {KIND_IN_WORDS[fitted]} in training",
        "give it values of the kind that the model was trained on",
    )


def _check_kind(encoding: ColumnEncoding, column: Column | None, names: tuple[str, ...]) -> None:
    if column is None:
        raise no_such_column(encoding.name, names, "the data")
    if column.kind != encoding.kind:
        raise changed_kind(encoding.name, column.kind, encoding.kind)

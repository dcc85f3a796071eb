"""Text columns of a CSV's blocks as the numbers or truth values that the model was trained on."""

import numpy as np
import pyarrow as pa

from vecml.data.column_encoding import ColumnEncoding
from vecml.data.data_file import DataFile, count_rows_from
from vecml.data.encoding import KIND_IN_WORDS, Encoding
from vecml.data.raw import raw_columns
from vecml.data.reading import PLAIN_READING, UNKNOWN
from vecml.data.table import MISSING_CODE
from vecml.data.text_values import read_texts
from vecml.errors import DataError


class Typing:
    """Text columns as the numbers or truth values that they are to the model.

    In a file a column is of one sort: where the model does not know whether text says numbers or dates (an old one),
    all blocks must say the same.
    """

    def __init__(self, file: DataFile) -> None:
        self._columns = tuple(enumerate(file.encoding.columns))
        self._filled = file.filled
        self._sorts: dict[str, str] = {}
        self._rows = 0

    def typed(self, table: "pa.Table") -> "pa.Table":
        """The next block, its columns by place: float64 for numbers, booleans, and text for categories."""
        for place, column in self._columns:
            values = table.column(place)
            if column.kind == "category":
                continue
            if pa.types.is_string(values.type):
                table = table.set_column(place, column.name, self._convert(column, values))
            elif values.null_count < len(values):
                self._sorts.setdefault(column.name, "plain")
        self._rows += table.num_rows
        return table

    def _convert(self, column: ColumnEncoding, values: "pa.ChunkedArray") -> "pa.Array":
        try:
            (made,) = raw_columns(pa.table({column.name: values}), Encoding((column,)), self._filled)
        except DataError as error:
            raise count_rows_from(error, self._rows) from None
        if column.reading.date == UNKNOWN:
            self._check_sort(column, values)
        if column.kind == "boolean":
            return pa.array(made.values_N == 1, mask=made.values_N == MISSING_CODE)
        return pa.array(made.values_N)

    def _check_sort(self, column: ColumnEncoding, values: "pa.ChunkedArray") -> None:
        """Raise DataError where a block's texts are numbers and those of one before it dates, or the reverse."""
        texts = values.drop_null().combine_chunks().cast(pa.large_string())
        numbers_N, odd_N = read_texts("number", PLAIN_READING, texts)
        if odd_N.all() and len(odd_N):
            sort = "date"
        elif np.isnan(numbers_N).all():
            return
        else:
            sort = "plain"
        if self._sorts.setdefault(column.name, sort) != sort:
            row = self._rows + int(values.is_valid().to_numpy().argmax())
            raise DataError(
                f"column {column.name!r} was {KIND_IN_WORDS[column.kind]} in training: row {row + 1} has a number, and"
                " rows before it dates or times, or the reverse",
                "write all of its values in one way",
            )

"""Text columns of a CSV's blocks as the numbers or truth values that the model was trained on."""

import re
from io import BytesIO

import pyarrow as pa
from pyarrow import csv

from vecml.data.column_encoding import ColumnEncoding
from vecml.data.data_file import DataFile, count_rows_from
from vecml.data.encoding import KIND_IN_WORDS, Encoding
from vecml.data.raw import raw_columns
from vecml.data.table import MISSING_CODE
from vecml.errors import DataError


class Typing:
    """Text columns as the numbers or truth values that they are to the model; by Arrow's inference where not plainly.

    In a file a column is of one sort: of a whole one Arrow would not infer dates where some values are numbers, and so
    it must not be done for a block either.
    """

    def __init__(self, file: DataFile) -> None:
        self._columns = tuple(enumerate(file.encoding.columns))
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
        encoding, sort = Encoding((column,)), "plain"
        try:
            (made,) = raw_columns(pa.table({column.name: values}), encoding)
        except DataError as error:
            found = _infer(values)
            kind = "text" if found is None else str(found.type)
            sort = "date" if kind.startswith(("date", "timestamp")) else kind
            if found is None or self._sorts.setdefault(column.name, sort) != sort:
                raise count_rows_from(error, self._rows) from None
            (made,) = raw_columns(pa.table({column.name: found}), encoding)
        if values.null_count < len(values) and self._sorts.setdefault(column.name, sort) != sort:
            row = self._rows + int(values.is_valid().to_numpy().argmax())
            raise DataError(
                f"column {column.name!r} was {KIND_IN_WORDS[column.kind]} in training: row {row + 1} has a number, and"
                " rows before it dates or times",
                "write all of its values in one way",
            )
        if column.kind == "boolean":
            return pa.array(made.values_N == 1, mask=made.values_N == MISSING_CODE)
        return pa.array(made.values_N)


def _infer(values: "pa.ChunkedArray") -> "pa.ChunkedArray | None":
    """Convert texts to the type that Arrow's CSV reader infers for them; None if that type is text."""
    texts = values.to_pylist()
    if any(value is not None and re.search(r'[",\r\n]', value) for value in texts):
        return None
    content = "\n".join(["x", *("" if value is None else value for value in texts), ""]).encode()
    found = csv.read_csv(
        BytesIO(content),
        read_options=csv.ReadOptions(block_size=len(content) + 16, use_threads=False),
        parse_options=csv.ParseOptions(ignore_empty_lines=False),
    ).column(0)
    return None if pa.types.is_string(found.type) or pa.types.is_binary(found.type) else found

"""The first sheet of an Excel file, through calamine (Rust; `pip install "vecml[excel]"`)."""

import datetime as dt
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow as pa

from vecml.data.memory_limit import MemoryLimit
from vecml.data.selection import listed, shortened
from vecml.data.titles import LOOKED_AT, rows_of_titles
from vecml.data.zipped import ZIP_DAMAGES, unpacked_bytes
from vecml.errors import DataError, one_line
from vecml.numbers import count


def read_excel(path: Path) -> "tuple[pa.Table, str | None]":
    """The first sheet that has rows; its first row names the columns, or the one below titles. And what is to be told.

    A column of numbers, truth values or dates is that; one that mixes them with text is text. An empty cell is missing.
    Raises DataError where calamine is not installed, or the file cannot be read or has no rows.
    """
    try:
        import python_calamine  # noqa: PLC0415 -- an extra
    except ImportError:
        raise DataError(
            f"{path.name}: reading an Excel file needs python-calamine", "pip install 'vecml[excel]', or save it as CSV"
        ) from None
    n_bytes = 0
    with suppress(*ZIP_DAMAGES):  # calamine says better what is wrong with it
        n_bytes = unpacked_bytes(path)
    MemoryLimit(path.name).check(expected=n_bytes)
    try:
        book = python_calamine.CalamineWorkbook.from_path(str(path))
        sheets = {name: book.get_sheet_by_name(name).to_python(skip_empty_area=True) for name in book.sheet_names}
    except (python_calamine.CalamineError, OSError, ValueError) as error:
        raise DataError(
            f"{path.name} cannot be read as Excel: {one_line(error)}", "is it complete? Copy or write it again"
        ) from None
    filled = [name for name, rows in sheets.items() if len(rows) > 1]
    if not filled:
        raise DataError(f"{path.name} has no sheet with a header and rows", "the first row must name the columns")
    content = sheets[filled[0]]
    titles = rows_of_titles([[_written(value).strip() for value in row] for row in content[:LOOKED_AT]])
    header, *rows = content[titles:]
    rows = [row for row in rows if any(value != "" for value in row)]
    columns = [_column([row[place] for row in rows]) for place in range(len(header))]
    table = pa.table(columns, names=[_written(value) for value in header])
    said = []
    if len(filled) > 1:
        said.append(f"the sheet {filled[0]!r} was taken; there are others: {listed(filled[1:])}")
    if titles:
        first = next(_written(value) for row in content for value in row if value != "")
        said.append(f"{count(titles, 'row')} above its header left out: {shortened(first)}")
    return table, "; ".join(said) or None


def _column(values: Sequence[Any]) -> "pa.Array":
    given = [None if value == "" else value for value in values]
    kinds = {type(value) for value in given if value is not None}
    if kinds <= {int, float}:
        return pa.array(given, pa.float64())
    if kinds <= {dt.date, dt.datetime}:
        moments = [
            dt.datetime(value.year, value.month, value.day) if type(value) is dt.date else value for value in given
        ]
        return pa.array(moments, pa.timestamp("us"))
    if kinds in ({bool}, {dt.time}, {dt.timedelta}):
        return pa.array(given)
    return pa.array([None if value is None else _written(value) for value in given], pa.string())


def _written(value: Any) -> str:
    """A cell as a person would write it: 3, not 3.0."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)

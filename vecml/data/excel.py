"""The first sheet of an Excel file, through calamine (Rust; `pip install "vecml[excel]"`)."""

import datetime as dt
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from vecml.data.selection import listed
from vecml.errors import DataError, one_line


def read_excel(path: Path) -> "tuple[pa.Table, str | None]":
    """The first sheet that has rows; its first row names the columns. And which sheet it is, where there are several.

    A column of numbers, truth values or dates is that; one that mixes them with text is text. An empty cell is missing.
    Raises DataError where calamine is not installed, or the file cannot be read or has no rows.
    """
    try:
        import python_calamine  # noqa: PLC0415 -- an extra
    except ImportError:
        raise DataError(
            f"{path.name}: reading an Excel file needs python-calamine", "pip install 'vecml[excel]', or save it as CSV"
        ) from None
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
    header, *rows = sheets[filled[0]]
    rows = [row for row in rows if any(value != "" for value in row)]
    columns = [_column([row[place] for row in rows]) for place in range(len(header))]
    table = pa.table(columns, names=[_written(value) for value in header])
    rest = listed(filled[1:])
    return table, f"the sheet {filled[0]!r} was taken; there are others: {rest}" if len(filled) > 1 else None


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

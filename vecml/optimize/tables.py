"""Tables of pandas as inputs and results: what is compared, how one is cut, and others that are like it."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

TABLES = ("DataFrame", "Series")


def is_table(value: Any) -> bool:
    """Whether it is a DataFrame or a Series of pandas; pandas is not imported for that."""
    kind = type(value)
    return kind.__module__.partition(".")[0] == "pandas" and kind.__name__ in TABLES


def numbers_in(table: Any) -> list[NDArray[Any]]:
    """List the columns of numbers as arrays of shape (rows,) with the dtypes that they have."""
    columns = [table.iloc[:, at] for at in range(table.shape[1])] if table.ndim == 2 else [table]
    return [one.to_numpy() for one in columns if isinstance(one.dtype, np.dtype) and one.dtype.kind in "fciub"]


def table_difference(
    expected: Any,
    found: Any,
    values: Callable[[NDArray[Any], NDArray[Any]], str | None],
    cells: Callable[[Any, Any], str | None],
) -> str | None:
    """Say how two tables of one type differ: in columns, index, dtypes or values; None if they do not.

    Args:
        expected, found: both DataFrames, or both Series.
        values: says how two arrays of shape (rows,) of numbers differ.
        cells: says how two cells or labels that are Python objects differ.
    """
    if expected.shape != found.shape:
        return f"its result has the shape {found.shape}, the original's {expected.shape}"
    if reason := _labels(expected.index, found.index, "index", cells):
        return reason
    if expected.ndim == 1:
        if expected.name != found.name:
            return f"its result has the name {found.name!r}, the original's {expected.name!r}"
        return _column(expected, found, values, cells)
    if reason := _labels(expected.columns, found.columns, "columns", cells):
        return reason
    for at, name in enumerate(expected.columns):
        if reason := _column(expected.iloc[:, at], found.iloc[:, at], values, cells):
            return f"column {name!r}: {reason}"
    return None


def _labels(expected: Any, found: Any, what: str, cells: Callable[[Any, Any], str | None]) -> str | None:
    if expected.dtype != found.dtype or list(expected.names) != list(found.names) or not expected.equals(found):
        return f"its result has other {what}: {_short(found)} instead of {_short(expected)}"
    if expected.dtype == object and (reason := _each(expected, found, cells)):
        return f"its result has other {what}: {reason}"
    return None


def _column(
    expected: Any,
    found: Any,
    values: Callable[[NDArray[Any], NDArray[Any]], str | None],
    cells: Callable[[Any, Any], str | None],
) -> str | None:
    if expected.dtype != found.dtype:
        return f"its result is {found.dtype}, the original's {expected.dtype}"
    if isinstance(expected.dtype, np.dtype) and expected.dtype.kind in "fciub":
        return values(expected.to_numpy(), found.to_numpy())
    if expected.dtype == object:
        return _each(expected, found, cells)
    return None if expected.equals(found) else f"its result is {_short(found)}, the original's {_short(expected)}"


def _each(expected: Any, found: Any, cells: Callable[[Any, Any], str | None]) -> str | None:
    """Say how Python objects differ, each from the one in its place: to pandas, 1 and 1.0 are equal, and so is True."""
    for number, (one, other) in enumerate(zip(expected, found, strict=True)):
        same = one is other or (type(one) is str is type(other) and one == other)
        if not same and (reason := cells(one, other)):
            return f"part {number}: {reason}"
    return None


def _short(value: Any) -> str:
    text = " ".join(str(getattr(value, "tolist", lambda: value)()).split())
    return text if len(text) <= 60 else f"{text[:57]}..."


def dtypes_as_text(table: Any) -> str:
    """The dtypes of a DataFrame's columns by their names, as JSON; of a Series, by an empty name."""
    if table.ndim == 1:
        return json.dumps({"": str(table.dtype)})
    return json.dumps({str(name): str(table.dtypes.iloc[at]) for at, name in enumerate(table.columns)})


def like_table(
    table: Any, rows: int, numbers: Callable[[NDArray[Any]], NDArray[Any]], choose: Callable[[int], int]
) -> Any:
    """Return a table with the same columns and dtypes, and other values.

    Args:
        table: the user's.
        rows: how many.
        numbers: gives an array of shape (rows,) of numbers like those of an array, with its dtype.
        choose: gives a whole number from 0 to below its argument.
    """
    if table.ndim == 1:
        column = _like_column(table, rows, numbers, choose)
        column.index = _like_index(table.index, rows, choose)
        return column
    made = table.iloc[[0] * rows if len(table) else []].copy()
    made.index = _like_index(table.index, rows, choose)
    for at in range(table.shape[1]):
        column = _like_column(table.iloc[:, at], rows, numbers, choose)
        column.index = made.index
        made.isetitem(at, column)
    return made


def _like_column(
    column: Any, rows: int, numbers: Callable[[NDArray[Any]], NDArray[Any]], choose: Callable[[int], int]
) -> Any:
    if isinstance(column.dtype, np.dtype) and column.dtype.kind in "fciub":
        made = column.iloc[[0] * rows if len(column) else []].copy()
        made[:] = numbers(column.to_numpy())
        return made
    return column.iloc[[choose(len(column)) for _ in range(rows)] if len(column) else []].copy()


def _like_index(index: Any, rows: int, choose: Callable[[int], int]) -> Any:
    """Labels as many as the rows: the first ones, in their order or in another; as unique as the user's are."""
    rows = min(rows, len(index)) if index.is_unique else rows
    if not index.is_unique:
        return index[[choose(len(index)) for _ in range(rows)]]
    first = index[:rows]
    return first[::-1] if rows > 1 and choose(4) == 3 else first

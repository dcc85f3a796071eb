"""Tables that Python holds: data frames of pandas and Polars, Arrow tables, arrays by name.

They follow the same rules as files. Columns are made one by one, so that nobody converts what is not used.
"""

import math
import sys
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa

from vecml.data.arrays import arrow_array
from vecml.data.tensors import is_tensor, plain_array
from vecml.errors import DataError

WRITTEN_KINDS = ("IntervalDtype", "PeriodDtype")  # of pandas.cut, and of spans of time

MakeColumn = Callable[[], "pa.ChunkedArray"]


def columns_of(data: object) -> tuple[str, list[tuple[str, MakeColumn]]]:
    """A name for the data, and each column's name with a function that makes the column.

    `data` is a data frame of pandas, Polars or another library with Arrow's interface, a pyarrow Table, or a mapping
    from names to arrays (N,) or lists. Raises DataError for anything else; a function raises it for its column.
    """
    pandas = sys.modules.get("pandas")  # a data frame of it means that it is loaded already
    if pandas is not None and isinstance(data, pandas.DataFrame):
        source = "the data frame"
        return source, [
            (str(name), partial(_column, str(name), _plain_series(data.iloc[:, i]), source))
            for i, name in enumerate(data)
        ]
    if pandas is not None and isinstance(data, pandas.Series):
        raise DataError(
            f"a pandas Series cannot be read: it is one column, {data.name!r}",
            "give a data frame: series.to_frame() for one column, series.to_frame().T for one row",
        )
    if isinstance(data, Mapping):
        source = "the mapping"
        return source, [(str(name), partial(_column, str(name), values, source)) for name, values in data.items()]
    if not isinstance(data, pa.Table) and hasattr(data, "__arrow_c_stream__"):
        try:
            data = pa.table(data)
        except pa.ArrowInvalid:  # a stream of values and not of rows
            raise DataError(
                f"a {type(data).__name__} cannot be read: it is one column", "give a data frame: x.to_frame()"
            ) from None
    if not isinstance(data, pa.Table):
        raise DataError(f"data of type {type(data).__name__} cannot be read", _as_table(data))
    return "the table", [(name, partial(_stored, data.column(i))) for i, name in enumerate(data.column_names)]


def arrow_of(data: object, is_idle: Callable[[str], bool] | None = None) -> "pa.Table":
    """The data as an Arrow table.

    `is_idle` says whether a column of that name is not used: where Arrow has no type for its values, they are missing.

    Raises DataError as `columns_of` does, and where columns differ in length.
    """
    source, columns = columns_of(data)
    made: list[tuple[str, pa.ChunkedArray | None]] = []
    for name, make in columns:
        try:
            made.append((name, make()))
        except DataError:
            if is_idle is None or not is_idle(name):
                raise
            made.append((name, None))
    lengths = {name: len(column) for name, column in made if column is not None}
    if len(set(lengths.values())) > 1:
        shown = ", ".join(f"{name!r} {length:,}" for name, length in list(lengths.items())[:5])
        raise DataError(f"columns of {source} differ in length: {shown}", "give every column a value for every row")
    n_rows = next(iter(lengths.values()), 0)
    return pa.table(
        [pa.nulls(n_rows) if column is None else column for _, column in made], names=[name for name, _ in made]
    )


def stored(table: "pa.Table") -> "pa.Table":
    """The table with each column as it is stored, without extensions of Arrow's types."""
    return pa.table([_stored(column) for column in table.columns], names=table.column_names)


def _as_table(data: object) -> str:
    """What to give instead of `data`, which is no table; where it is certain, as an expression of it, `x`."""
    dtype, shape = getattr(data, "dtype", None), getattr(data, "shape", ())
    if getattr(dtype, "names", None):
        return "give its fields by name: {name: x[name] for name in x.dtype.names}"
    if len(shape) == 2 and not hasattr(data, "toarray"):
        return "give its columns by name: {f'x{i}': x[:, i] for i in range(x.shape[1])}"
    if callable(getattr(data, "collect", None)):
        return "give its rows: x.collect()"
    if isinstance(data, list) and data and all(isinstance(row, Mapping) for row in data):
        return "give a data frame of its rows: pandas.DataFrame(x)"
    return "give a path, a data frame, a pyarrow table, or a mapping from column names to arrays"


def _stored(column: "pa.ChunkedArray") -> "pa.ChunkedArray":
    """A column without an extension of Arrow's types, which stands for what it is stored as, and without views."""
    if isinstance(column.type, pa.BaseExtensionType):
        return pa.chunked_array([chunk.storage for chunk in column.chunks], type=column.type.storage_type)
    if pa.types.is_dictionary(column.type) and pa.types.is_string_view(column.type.value_type):
        chunks = [
            pa.DictionaryArray.from_arrays(chunk.indices, chunk.dictionary.cast(pa.large_string()))
            for chunk in column.chunks
        ]
        return pa.chunked_array(chunks, pa.dictionary(column.type.index_type, pa.large_string()))
    return column


def _plain_series(series: Any) -> Any:
    """A pandas Series; intervals and periods, for which Arrow has no type, as the texts that a CSV has for them."""
    kind = series.dtype
    if type(kind).__name__ == "CategoricalDtype":
        if type(kind.categories.dtype).__name__ not in WRITTEN_KINDS:
            return series
        kind = kind.categories.dtype
    if type(kind).__name__ not in WRITTEN_KINDS:
        return series
    missing_N = series.isna().to_numpy()
    return pa.array(series.astype(str).to_numpy(object), pa.string(), mask=missing_N)


def _column(name: str, values: Any, source: str) -> "pa.ChunkedArray":
    """A column of values; where they are of several plain kinds, what each is written as."""
    what = f"column {name!r} in {source}"
    if is_tensor(values):
        values = plain_array(values, what)
    elif hasattr(values, "__array__") and not hasattr(values, "__arrow_c_stream__") and np.ndim(values) > 0:
        # An array of JAX is read value by value else; a masked one keeps its mask, pandas and Arrow have their own way.
        values = values if isinstance(values, np.ndarray) or _is_known(values) else np.asarray(values)
    if isinstance(values, int | float | complex | np.generic):
        raise DataError(f"{what} is one value, {values}", "give a list with a value for each row: [x]")
    try:
        array = arrow_array(name, values, source)
    except DataError:
        texts = _written(values)
        if texts is None:
            raise
        array = texts
    return array if isinstance(array, pa.ChunkedArray) else pa.chunked_array([array])


def _is_known(values: Any) -> bool:
    """Whether it is of a library whose columns Arrow reads as they are."""
    return type(values).__module__.partition(".")[0] in ("pandas", "polars", "pyarrow")


def _written(values: Any) -> "pa.Array | None":
    """Texts, numbers and truth values beside each other as texts, as in a CSV; None where there is anything else."""
    listed = list(values) if np.ndim(values) == 1 else []
    kinds = {type(value) for value in listed if not _is_missing(value)}
    plain = (str, bool, int, float, np.str_, np.bool_, np.integer, np.floating)
    if not listed or not all(issubclass(kind, plain) for kind in kinds):
        return None
    return pa.array([None if _is_missing(value) else _text(value) for value in listed], pa.string())


def _is_missing(value: Any) -> bool:
    """Whether the value is None, NaN, NaT or pandas' NA."""
    return (
        value is None
        or type(value).__name__ in ("NAType", "NaTType")
        or (isinstance(value, float) and math.isnan(value))
    )


def _text(value: Any) -> str:
    if isinstance(value, bool | np.bool_):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)

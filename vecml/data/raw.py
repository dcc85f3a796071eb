"""New data for a saved model: a file, a data frame, an Arrow table or arrays, without a label, as a model's columns.

Kinds come from the model's encoding, not from what the new data happens to look like: a category column whose values
are all digits here is still a category.
"""

import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from vecml.data.arrays import arrow_array
from vecml.data.categories import numeric_text
from vecml.data.column_names import UNNAMED, typeable_names
from vecml.data.columns import column_from_arrow, is_numeric, is_text, numbers, plain, shortened_type
from vecml.data.encoding import KIND_IN_WORDS, Encoding, changed_kind
from vecml.data.files import read_file
from vecml.data.labels import distinct_values, value_names
from vecml.data.selection import no_such_column, shortened
from vecml.data.table import MISSING_CODE, Column, Kind, Table
from vecml.errors import DataError


def raw_columns(data: object, encoding: Encoding) -> tuple[Column, ...]:
    """The columns of `data` that `encoding` was fitted on, in its order, for `encoding.transform`.

    `data` is the path of a file that `vecml.data.files` reads, a pandas or other data frame, a pyarrow Table, a mapping
    from names to arrays or lists, or a `Table`. Further columns do not matter, and there may be no row. Any number of
    distinct texts is allowed.

    Text in a number column is parsed, numbers and booleans in a category column are written as text, 0 and 1 in a
    boolean column are booleans. Raises DataError for a column that is missing or does not fit its kind, and for what is
    wrong with a file.
    """
    if isinstance(data, Table):
        by_name = {column.name: column for column in data.columns}
        return tuple(_found(by_name, entry.name, data.source) for entry in encoding.columns)
    kinds = {entry.name: entry.kind for entry in encoding.columns}
    source, arrays = _arrays(data, kinds)
    columns = []
    for name, kind in kinds.items():
        array = _found(arrays, name, source)
        columns.append(_as_kind(name, plain(array()), kind))
    if len({len(column.values_N) for column in columns}) > 1:
        lengths = ", ".join(f"{column.name!r} {len(column.values_N):,}" for column in columns[:5])
        raise DataError(f"columns of {source} differ in length: {lengths}", "give every column a value for every row")
    return tuple(columns)


def _found(columns: "Mapping[str, Any]", name: str, source: str) -> Any:
    if name not in columns and not name.strip():
        name = UNNAMED + "1"  # an older model calls the column as its file did
    if name not in columns:
        raise no_such_column(name, tuple(columns), source)
    return columns[name]


def _arrays(data: object, kinds: Mapping[str, Kind]) -> tuple[str, "dict[str, Callable[[], pa.ChunkedArray]]"]:
    """Return a name for the source of the data, and by each column's name a function that makes the column."""
    pandas = sys.modules.get("pandas")  # a data frame of it means that it is loaded already
    if isinstance(data, str | Path):
        path = Path(data).expanduser()
        data = read_file(path, text=[name for name, kind in kinds.items() if kind == "category"])
        source = path.name
    elif pandas is not None and isinstance(data, pandas.DataFrame):
        source = "the data frame"
        names = typeable_names([str(name) for name in data.columns])
        return source, {name: partial(_chunked, name, data.iloc[:, i], source) for i, name in enumerate(names)}
    elif isinstance(data, Mapping):
        source = "the mapping"
        return source, {str(name): partial(_chunked, str(name), values, source) for name, values in data.items()}
    else:
        source = "the table"
    if not isinstance(data, pa.Table) and hasattr(data, "__arrow_c_stream__"):
        data = pa.table(data)
    if not isinstance(data, pa.Table):
        raise DataError(
            f"data of type {type(data).__name__} cannot be read",
            "give a path, a data frame, a pyarrow table, or a mapping from column names to arrays",
        )
    names = typeable_names(data.column_names)
    return source, {name: partial(data.column, i) for i, name in enumerate(names)}


def _chunked(name: str, values: Any, source: str) -> "pa.ChunkedArray":
    array = arrow_array(name, values, source)
    return array if isinstance(array, pa.ChunkedArray) else pa.chunked_array([array])


def _as_kind(name: str, column: "pa.ChunkedArray", kind: Kind) -> Column:
    """The column as the kind that it had in training, where its values allow it; transform looks at numbers' range."""
    if pa.types.is_null(column.type):
        column = column.cast({"number": pa.float64(), "boolean": pa.bool_(), "category": pa.string()}[kind])
    text, numeric, boolean = is_text(column.type), is_numeric(column.type), pa.types.is_boolean(column.type)
    if not (text or numeric or boolean):
        raise DataError(
            f"column {name!r} holds {shortened_type(column.type)}, but was {KIND_IN_WORDS[kind]} in training",
            "give it values of the kind that the model was trained on",
        )
    match kind:
        case "number":
            if boolean:
                raise changed_kind(name, "boolean", kind)
            return Column(name, kind, numbers(_parsed(name, column) if text else column))
        case "boolean":
            return column_from_arrow(name, column if boolean else _booleans(name, column))
        case "category":
            return column_from_arrow(name, column) if text else _texts(name, column)


def _parsed(name: str, column: "pa.ChunkedArray") -> "pa.ChunkedArray":
    """Text that says numbers, as float64."""
    text = column.cast(pa.large_string()).combine_chunks()
    other_N = ~numeric_text(text) & text.is_valid().to_numpy(zero_copy_only=False)
    if other_N.any():
        row = int(other_N.argmax())
        raise DataError(
            f"column {name!r} was a number in training: {shortened(text[row].as_py())} in row {row + 1} is not one",
            "mend it, or leave it empty",
        )
    bare = pc.utf8_ltrim(pc.utf8_trim_whitespace(text), characters="+")  # Arrow parses no leading plus
    return pa.chunked_array([bare.cast(pa.float64())])


def _booleans(name: str, column: "pa.ChunkedArray") -> "pa.ChunkedArray":
    """Numbers 0 and 1, or text that says true, false, 0 or 1, as booleans."""
    made = _texts(name, column) if is_numeric(column.type) else column_from_arrow(name, column)
    meaning = {"0": 0, "1": 1, "false": 0, "true": 1}
    code_V = np.array([meaning.get(value.strip().lower(), 2) for value in made.categories] + [-1], np.int8)
    value_N = code_V[made.values_N]
    if (value_N == 2).any():
        row = int((value_N == 2).argmax())
        value = shortened(made.categories[int(made.values_N[row])])
        raise DataError(
            f"column {name!r} was a boolean in training: {value} in row {row + 1} is not one",
            "write true or false, or leave it empty",
        )
    return pa.chunked_array([pa.array(value_N == 1, mask=value_N == MISSING_CODE)])


def _texts(name: str, column: "pa.ChunkedArray") -> Column:
    """Numbers, times or booleans as a category of what they are written as."""
    code_N, values = distinct_values(column)
    names = value_names(values)
    order = sorted(range(len(names)), key=names.__getitem__)
    rank_V = np.full(len(names) + 1, MISSING_CODE, np.int32)
    rank_V[order] = np.arange(len(names), dtype=np.int32)
    return Column(name, "category", rank_V[code_N], tuple(names[i] for i in order))

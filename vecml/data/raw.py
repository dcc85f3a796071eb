"""New data for a saved model: a file, a data frame, an Arrow table or arrays, without a label, as a model's columns.

Kinds come from the model's encoding, not from what the new data happens to look like: a category column whose values
are all digits here is still a category.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from vecml.data.arrow_types import is_date, is_numeric, is_text, numbers, plain, shortened_type
from vecml.data.categories import category_codes
from vecml.data.column_encoding import ColumnEncoding
from vecml.data.column_names import UNNAMED, is_unnamed, typeable_names
from vecml.data.columns import written
from vecml.data.dialect import LOOK
from vecml.data.encoding import KIND_IN_WORDS, Encoding, changed_kind
from vecml.data.files import warn_of
from vecml.data.filled import Filled
from vecml.data.frames import columns_of
from vecml.data.lines import name_lines, names_row
from vecml.data.origin import is_text_file, read_data
from vecml.data.reading import UNKNOWN
from vecml.data.selection import no_such_column, shortened
from vecml.data.table import MISSING_CODE, Column, Table
from vecml.data.text_column import category
from vecml.data.text_stream import find_dialect
from vecml.data.text_values import missing_numbers, read_texts
from vecml.errors import DataError


def raw_columns(data: object, encoding: Encoding, filled: Filled | None = None) -> tuple[Column, ...]:
    """The columns of `data` that `encoding` was fitted on, in its order, for `encoding.transform`.

    `data` is the path of a file or folder that `vecml.data.origin` reads, a pandas or other data frame, a pyarrow
    Table, a mapping from names to arrays or lists, or a `Table`. Further columns do not matter, and there may be no
    row. Any number of distinct texts is allowed.

    Text is read as it was in training (`vecml.data.reading`). Numbers and booleans in a category column are written as
    text, 0 and 1 in a boolean column are booleans. `filled` counts the markers of missing values among numbers and
    booleans. Raises DataError for a column that is missing or does not fit its kind, and for what is wrong with a file.
    """
    if isinstance(data, Table):
        by_name = {column.name: column for column in data.columns}
        return tuple(_found(by_name, entry.name, data.source) for entry in encoding.columns)
    source, arrays = _arrays(data, encoding)
    columns = [
        _as_kind(plain(_found(arrays, entry.name, source)()), entry, filled or Filled()) for entry in encoding.columns
    ]
    if len({len(column.values_N) for column in columns}) > 1:
        lengths = ", ".join(f"{column.name!r} {len(column.values_N):,}" for column in columns[:5])
        raise DataError(f"columns of {source} differ in length: {lengths}", "give every column a value for every row")
    return tuple(columns)


def features_of_columns(
    data: object, encoding: Encoding, filled: Filled | None = None
) -> tuple[NDArray[np.float32], int]:
    """The features x_FN of `data`, as `raw_columns` takes it, and how many values are of a category that is unknown.

    Raises DataError as `raw_columns` and `Encoding.transform` do; for a text file it names the line beside the row.
    """
    try:
        return encoding.transform(raw_columns(data, encoding, filled))
    except DataError as error:
        if isinstance(data, str | Path) and names_row(error) and is_text_file(str(data)):
            path = Path(data).expanduser()
            name_lines(error, path, find_dialect(path, LOOK))
        raise


def _found(columns: "Mapping[str, Any]", name: str, source: str) -> Any:
    if name not in columns and is_unnamed(name):
        name = UNNAMED + "1"  # an older model calls the column as its file did
    if name not in columns:
        raise no_such_column(name, tuple(columns), source)
    return columns[name]


def word_names(encoding: Encoding) -> tuple[str, ...]:
    """The columns in which `NA` without quotes is a word in a text file; elsewhere it is a missing value."""
    return tuple(entry.name for entry in encoding.columns if entry.reading.na_is_word)


def read_as_text(encoding: Encoding) -> list[str]:
    """The columns of a text file that must be read as text: what they say is known, and need not be inferred."""
    return [
        entry.name
        for entry in encoding.columns
        if entry.kind != "number" or not (entry.reading.is_plain or entry.reading.date == UNKNOWN)
    ]


def _arrays(data: object, encoding: Encoding) -> tuple[str, "dict[str, Callable[[], pa.ChunkedArray]]"]:
    """Return a name for the source of the data, and by each column's name a function that makes the column."""
    if isinstance(data, str | Path):
        needed = [entry.name for entry in encoding.columns]
        data, source = read_data(str(data), None, read_as_text(encoding), LOOK, warn_of, word_names(encoding), needed)
        _, columns = columns_of(data)
    else:
        source, columns = columns_of(data)
    names = typeable_names([name for name, _ in columns])
    return source, {name: make for name, (_, make) in zip(names, columns, strict=True)}


def _as_kind(column: "pa.ChunkedArray", entry: ColumnEncoding, filled: Filled) -> Column:
    """The column as the kind that it had in training, where its values allow it; transform looks at numbers' range."""
    name, kind, reading = entry.name, entry.kind, entry.reading
    if pa.types.is_null(column.type):
        column = column.cast({"number": pa.float64(), "boolean": pa.bool_(), "category": pa.string()}[kind])
    text, numeric, boolean = is_text(column.type), is_numeric(column.type), pa.types.is_boolean(column.type)
    if not (text or numeric or boolean):
        raise DataError(
            f"column {name!r} holds {shortened_type(column.type)}, but was {KIND_IN_WORDS[kind]} in training",
            "give it values of the kind that the model was trained on",
        )
    if kind == "category":
        return category(name, *category_codes(column if text else written(column)), reading)
    if kind == "boolean":
        if boolean:
            return Column(name, kind, column.cast(pa.int8()).fill_null(MISSING_CODE).to_numpy(), (), reading)
        truth_N = _read(column if text else written(column), entry, filled)
        return Column(name, kind, np.where(np.isnan(truth_N), MISSING_CODE, truth_N).astype(np.int8), (), reading)
    if boolean:
        raise changed_kind(name, "boolean", kind)
    if text:
        return Column(name, kind, _read(column, entry, filled), (), reading)
    if not reading.date and is_date(column.type):
        raise DataError(
            f"column {name!r} holds dates, but was a number in training",
            "give it values of the kind that the model was trained on",
        )
    return Column(name, kind, missing_numbers(numbers(column), reading.missing), (), reading)


def _read(column: "pa.ChunkedArray", entry: ColumnEncoding, filled: Filled) -> NDArray[np.float64]:
    """Text (N,) as the numbers, dates or truth values that the entry reads in it: float64, NaN where missing."""
    code_N, values = category_codes(column)
    values_D, odd_D = read_texts(entry.kind, entry.reading, values.cast(pa.large_string()))
    filled.count(entry, values, np.bincount(code_N + 1, minlength=len(values) + 1)[1:])
    odd_N = np.append(odd_D, False)[code_N]
    if odd_N.any():
        row = int(odd_N.argmax())
        was, hint = KIND_IN_WORDS[entry.kind], "mend it, or leave it empty"
        if entry.reading.date not in ("", UNKNOWN):
            was = f"a date written {entry.reading.date}"
        if entry.kind == "boolean":
            hint = "write true or false, or leave it empty"
        value = shortened(values[int(code_N[row])].as_py())
        raise DataError(f"column {entry.name!r} was {was} in training: {value} in row {row + 1} is not one", hint)
    values_N: NDArray[np.float64] = np.append(values_D, np.nan)[code_N]
    return values_N

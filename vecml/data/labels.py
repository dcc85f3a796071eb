"""From the target column to class indices: any type, as long as it takes few distinct values.

Classes are sorted by value, not by spelling, and named as a person would write them: "3", "0.5", "true", "2024-05-01".
"""

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from vecml.data.categories import category_codes
from vecml.data.columns import is_numeric, is_text, numbers, plain, shortened_type
from vecml.data.table import MISSING_CODE
from vecml.errors import DataError

MOST_NUMBERS = 100
MOST_CLASSES = 1_000


def labels_from_arrow(target: str, column: "pa.ChunkedArray") -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Class indices (int64, -1 where the label is missing) and the class names that occur, sorted.

    Raises DataError when it looks like regression (more than 100 distinct numbers), has more than 1,000 distinct
    values, holds an infinite number, or is of a type that cannot be a label.
    """
    column = plain(column)
    if is_text(column.type):
        text_N, values = category_codes(column)
        _check_count(target, len(values))
        return text_N.astype(np.int64), tuple(values.to_pylist())
    if not (is_numeric(column.type) or pa.types.is_boolean(column.type)):
        raise DataError(
            f"target {target!r} holds {shortened_type(column.type)}, which is no number, text, time or boolean",
            "name another column with --target",
        )
    code_N, distinct = distinct_values(column)
    _check_finite(target, distinct, code_N)
    _check_count(target, len(distinct), is_number=is_numeric(column.type) and distinct.dtype.kind != "M")
    return code_N, value_names(distinct, utc=getattr(column.type, "tz", None) is not None)


def distinct_values(column: "pa.ChunkedArray") -> tuple[NDArray[np.int64], NDArray[np.generic]]:
    """Codes (int64, -1 where missing or NaN) and the sorted distinct values of a numeric, time or boolean column.

    Integers stay exact, dates and timestamps are datetime64, other times float64 seconds; 0.0 and -0.0 are one value.
    """
    encoded = column.dictionary_encode().combine_chunks()
    raw_N = encoded.indices.cast(pa.int64()).fill_null(MISSING_CODE).to_numpy()
    values = pa.chunked_array([encoded.dictionary])
    t = pa.types
    exact = t.is_integer(values.type) or t.is_boolean(values.type) or t.is_date(values.type)
    keys_D = values.to_numpy() if exact or t.is_timestamp(values.type) else numbers(values)
    present_D = ~np.isnan(keys_D) if keys_D.dtype.kind == "f" else np.ones(len(keys_D), np.bool_)
    distinct, code_D = np.unique(keys_D[present_D], return_inverse=True)
    # The last place is where code -1 looks, so that missing stays missing.
    recode_D = np.full(len(keys_D) + 1, MISSING_CODE, np.int64)
    recode_D[:-1][present_D] = code_D
    return recode_D[raw_N], distinct


def value_names(values: NDArray[np.generic], utc: bool = False) -> tuple[str, ...]:
    """How distinct values (D,) of any dtype are written: integral numbers as "3", dates as ISO, booleans lower-case."""
    return tuple(_name(value, utc) for value in values)


def _name(value: np.generic, utc: bool) -> str:
    if isinstance(value, np.datetime64):
        text = str(value)
        if "." in text:  # the same instant has the same name whatever unit its file keeps
            text = text.rstrip("0").removesuffix(".")
        return text + "Z" if utc else text
    if isinstance(value, np.bool_):
        return str(value).lower()
    if isinstance(value, np.floating):
        return str(int(value)) if float(value).is_integer() else str(value)
    return str(value)


def _check_finite(target: str, distinct: NDArray[np.generic], code_N: NDArray[np.int64]) -> None:
    if distinct.dtype.kind != "f":
        return
    infinite = np.flatnonzero(np.isinf(distinct.astype(np.float64)))
    if len(infinite):
        row = int(np.isin(code_N, infinite).argmax())
        raise DataError(
            f"target {target!r} has an infinite value in row {row + 1}", "a label is a class: mend it or leave it empty"
        )


def _check_count(target: str, count: int, *, is_number: bool = False) -> None:
    if is_number and count > MOST_NUMBERS:
        raise DataError(
            f"target {target!r} looks like regression: it has {count:,} distinct numbers",
            f"vecml trains classifiers: choose a target of at most {MOST_NUMBERS} numbers, or bin this one first",
        )
    if count > MOST_CLASSES:
        raise DataError(
            f"target {target!r} has {count:,} distinct values; a classifier takes at most {MOST_CLASSES:,} classes",
            "name another column with --target",
        )

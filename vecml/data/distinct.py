"""The distinct values of a numeric, time or boolean column, and how a person would write them."""

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from vecml.data.arrow_types import numbers
from vecml.data.table import MISSING_CODE


def distinct_values(column: "pa.ChunkedArray") -> tuple[NDArray[np.int64], NDArray[np.generic]]:
    """Codes (int64, -1 where missing or NaN) and the sorted distinct values of a numeric, time or boolean column.

    Integers stay exact, dates and timestamps are datetime64, other times float64 seconds; 0.0 and -0.0 are one value.
    """
    encoded = column.dictionary_encode().combine_chunks()
    raw_N = encoded.indices.fill_null(MISSING_CODE).to_numpy()
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

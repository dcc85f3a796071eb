"""Text columns as int32 codes into the sorted distinct values, the same whatever a file keeps."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from vecml.data.table import MISSING_CODE


def category_codes(column: "pa.ChunkedArray") -> tuple[NDArray[np.int32], "pa.Array"]:
    """Codes (int32, -1 where missing) and the distinct values that occur, sorted as UTF-8, which is by code point."""
    once = not pa.types.is_dictionary(column.type)
    if once:
        column = column.dictionary_encode()
    merged = column.unify_dictionaries().combine_chunks()
    raw_N = merged.indices.cast(pa.int32()).fill_null(MISSING_CODE).to_numpy()
    given = merged.dictionary
    values = _trimmed(given)
    once = once and values is given
    once_D = np.arange(len(values), dtype=np.int32)
    if not once:
        # A dictionary may hold unused, repeated and null values; encoded once more it holds each value once.
        distinct = values.dictionary_encode()
        once_D = distinct.indices.fill_null(MISSING_CODE).to_numpy()
        used_D = np.bincount(raw_N.astype(np.int64) + 1, minlength=len(once_D) + 1)[1:] > 0
        used = np.bincount(once_D[used_D] + 1, minlength=len(distinct.dictionary) + 1)[1:] > 0
        left = np.flatnonzero(used)
        rank_V = np.full(len(used) + 1, MISSING_CODE, np.int32)
        rank_V[left] = np.arange(len(left))
        once_D, values = rank_V[once_D], distinct.dictionary.take(pa.array(left))
    order = pc.array_sort_indices(values).to_numpy()
    rank_V = np.full(len(values) + 1, MISSING_CODE, np.int32)
    rank_V[order] = np.arange(len(order), dtype=np.int32)
    # The last place of both tables is where code -1 looks, so that missing stays missing.
    recode_D = np.append(rank_V[once_D], np.int32(MISSING_CODE))
    return recode_D[raw_N], values.take(pa.array(order))


def _trimmed(values: "pa.Array") -> "pa.Array":
    """Texts without the blanks at their ends, which tell nothing apart, and missing where nothing else is left."""
    trimmed = pc.utf8_trim_whitespace(values)
    if trimmed.equals(values):
        return values
    emptied = pc.and_(pc.equal(trimmed, ""), pc.not_equal(values, ""))
    return pc.if_else(emptied, pa.scalar(None, trimmed.type), trimmed)

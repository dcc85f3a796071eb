"""Text columns as int32 codes into the sorted distinct values, the same whatever a file keeps."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from vecml.data.table import MISSING_CODE


def category_codes(column: "pa.ChunkedArray") -> tuple[NDArray[np.int32], "pa.Array"]:
    """Codes (int32, -1 where missing) and the distinct values that occur, sorted as UTF-8, which is by code point."""
    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    merged = column.unify_dictionaries().combine_chunks()
    raw_N = merged.indices.cast(pa.int64()).fill_null(MISSING_CODE).to_numpy()
    # A dictionary may hold unused, repeated and null values; encoded once more it holds each value once.
    distinct = merged.dictionary.dictionary_encode()
    once_D = distinct.indices.fill_null(MISSING_CODE).to_numpy()
    used_D = np.bincount(raw_N + 1, minlength=len(once_D) + 1)[1:] > 0
    used = np.unique(once_D[used_D])
    values = distinct.dictionary.take(pa.array(used[used >= 0]))
    order = pc.array_sort_indices(values).to_numpy()
    rank_V = np.full(len(distinct.dictionary) + 1, MISSING_CODE, np.int32)
    rank_V[used[used >= 0][order]] = np.arange(len(order), dtype=np.int32)
    # The last place of both tables is where code -1 looks, so that missing stays missing.
    recode_D = np.append(rank_V[once_D], np.int32(MISSING_CODE)).astype(np.int32)
    return recode_D[raw_N], values.take(pa.array(order))

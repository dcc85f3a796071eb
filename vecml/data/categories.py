"""Text columns as categories: int32 codes into the sorted distinct values, the same whatever a file keeps.

A column with too many distinct values is no category; where nearly all of it is numbers, the error names the value
that made it text.
"""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from vecml.data.selection import drop_flag, shortened
from vecml.data.table import MISSING_CODE, Column
from vecml.errors import DataError

NUMBER_PATTERN = r"^\s*[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?\s*$"
MOSTLY_NUMBERS = 0.9


def category_column(name: str, column: "pa.ChunkedArray", max_categories: int | None) -> Column:
    """A text column (or a dictionary of text) as a category.

    Raises DataError when it has more than `max_categories` distinct values; None bounds nothing.
    """
    code_N, values = category_codes(column)
    if max_categories is not None and len(values) > max_categories:
        raise _too_many(name, code_N, values, max_categories)
    return Column(name, "category", code_N, tuple(values.to_pylist()))


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


def numeric_text(values: "pa.Array") -> NDArray[np.bool_]:
    """Whether each of the texts (N,) is written as a number: bool (N,), False for a missing one."""
    matches: NDArray[np.bool_] = (
        pc.match_substring_regex(values, NUMBER_PATTERN).fill_null(False).to_numpy(zero_copy_only=False)
    )
    return matches


def _too_many(name: str, code_N: NDArray[np.int32], values: "pa.Array", max_categories: int) -> DataError:
    numeric_V = numeric_text(values)
    present_N = code_N != MISSING_CODE
    other_N = present_N & ~np.append(numeric_V, False)[code_N]
    others = int(other_N.sum())
    if 0 < others <= (1 - MOSTLY_NUMBERS) * int(present_N.sum()):
        row = int(other_N.argmax())
        value = shortened(values[int(code_N[row])].as_py())
        return DataError(
            f"column {name!r} is text: {value} in row {row + 1} is not a number",
            f"mend it or leave it empty; or {drop_flag(name)}, or raise --max-categories",
        )
    return DataError(
        f"column {name!r} is text with {len(values):,} distinct values; a category has at most {max_categories:,}",
        f"leave it out with {drop_flag(name)}, or raise --max-categories",
    )

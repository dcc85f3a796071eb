"""A hash of what a table says, not of how a file says it: CSV, Parquet and Feather of the same data agree.

Numbers count as float64, whatever type kept them; a missing value is a missing value; names, kinds and order count too.
That float64 is exact for integers and floats (reading refuses a 64-bit integer that is not, an id, say); a decimal, and
a time with more digits than it has, count as the nearest.
"""

import hashlib
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from vecml.data.table import Column

SLICE_ROWS = 1 << 18


def table_digest(columns: Iterable[Column], label_N: NDArray[np.int64], classes: Sequence[str], target: str) -> str:
    """Hash a table with BLAKE2b into 16 bytes: names, kinds, values, vocabularies and labels.

    Numbers are hashed as little-endian float64 (float32 is widened, which is exact), NaN as one bit pattern, -0.0 as
    itself; booleans as int8; categories and labels as int32 codes and their names. Every part is preceded by its
    length, so that no two tables run together. Memory beside the columns: a slice of 262,144 rows.

    Args:
        columns: of the features, in order.
        label_N: codes of the labels (N,), int64.
        classes: names of the labels, by code.
        target: name of the label column.

    Returns:
        32 hexadecimal digits.
    """
    digest = hashlib.blake2b(digest_size=16)
    for column in columns:
        _add_texts(digest, (column.name, column.kind))
        _add_values(digest, column.values_N, {"number": "<f8", "boolean": "<i1", "category": "<i4"}[column.kind])
        _add_texts(digest, column.categories)
    _add_texts(digest, (target, "label"))
    _add_values(digest, label_N, "<i4")
    _add_texts(digest, classes)
    return digest.hexdigest()


def _add_texts(digest: "hashlib.blake2b", texts: Sequence[str]) -> None:
    digest.update(len(texts).to_bytes(8, "little"))
    for text in texts:
        encoded = text.encode()
        digest.update(len(encoded).to_bytes(8, "little"))
        digest.update(encoded)


def _add_values(digest: "hashlib.blake2b", values_N: NDArray[np.generic], dtype: str) -> None:
    digest.update(len(values_N).to_bytes(8, "little"))
    for start in range(0, len(values_N), SLICE_ROWS):
        part = np.ascontiguousarray(values_N[start : start + SLICE_ROWS], dtype=dtype)
        if part.dtype.kind == "f":
            missing = np.isnan(part)
            if missing.any():
                part = np.where(missing, np.nan, part).astype(dtype, copy=False)
        digest.update(part.data)

"""How many rows of the test part have the same features as a row of the training part: the network has seen them."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vecml.data.table import Column

SLICE_ROWS = 1 << 18
ODD = np.uint64(0x9E3779B97F4A7C15)
SHIFT = np.uint64(29)


def seen_rows(columns: Sequence[Column], train_N: NDArray[np.int64], test_N: NDArray[np.int64]) -> int:
    """Count the rows of `test_N` whose features, all of them, are also those of a row of `train_N`.

    Rows are compared by a hash of 64 bits; of ten million rows two different ones share it once in 400,000 tables.
    """
    hash_N = row_hashes(columns)
    return int(np.isin(hash_N[test_N], hash_N[train_N]).sum())


def row_hashes(columns: Sequence[Column]) -> NDArray[np.uint64]:
    """A hash of each row's values (N,); a missing value is a value, and 0.0 and -0.0 are one."""
    hash_N = np.zeros(len(columns[0].values_N), np.uint64)
    for column in columns:
        for start in range(0, len(hash_N), SLICE_ROWS):
            part = hash_N[start : start + SLICE_ROWS]
            part ^= _bits(column.values_N[start : start + SLICE_ROWS], column.kind == "number")
            part *= ODD  # modulo 2**64
            part ^= part >> SHIFT
    return hash_N


def _bits(values_N: NDArray[np.generic], is_number: bool) -> NDArray[np.uint64]:
    if not is_number:
        return values_N.astype(np.int64).view(np.uint64)
    numbers_N = values_N.astype(np.float64) + 0.0
    numbers_N[np.isnan(numbers_N)] = np.nan  # there are many of them
    return numbers_N.view(np.uint64)

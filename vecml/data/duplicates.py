"""How many rows of the test part have the same features as a row of the training part: the network has seen them."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from vecml.data.disk import Disk
from vecml.data.table import Column

SLICE_ROWS = 1 << 18
MOST_MARK_BITS = 25
ODD = np.uint64(0x9E3779B97F4A7C15)
SHIFT = np.uint64(29)


def seen_rows(
    columns: Sequence[Column], train_N: NDArray[np.int64], test_N: NDArray[np.int64], disk: Disk | None = None
) -> tuple[int, int]:
    """Count the rows of `test_N` whose features, all of them, are also those of a row of `train_N`.

    And how many different sets of features these rows have.

    Args:
        columns: the features.
        train_N, test_N: int64 numbers of rows.
        disk: where the hashes are put; None: in memory.

    Rows are compared by a hash of 64 bits; of ten million rows two different ones share it once in 400,000 tables.
    """
    hash_N = row_hashes(columns, disk)
    # Nearly every row is ruled out by a table of marks, so that few hashes have to be sorted.
    n_marks = 1 << min(MOST_MARK_BITS, int(8 * len(hash_N)).bit_length())
    marks = _marks(hash_N, train_N, n_marks)
    near = np.concatenate([part[_hits(part, marks)] for part in _parts(hash_N, test_N)])
    of_test = np.unique(near)
    marks[:] = False
    marks[_places(of_test, n_marks)] = True
    of_train = [part[_hits(part, marks)] for part in _parts(hash_N, train_N)]
    seen = np.intersect1d(of_test, np.concatenate(of_train))
    return int(np.isin(near, seen).sum()), len(seen)


def _parts(hash_N: NDArray[np.uint64], row_N: NDArray[np.int64]) -> Iterator[NDArray[np.uint64]]:
    for start in range(0, max(1, len(row_N)), SLICE_ROWS):
        yield hash_N[row_N[start : start + SLICE_ROWS]]


def _marks(hash_N: NDArray[np.uint64], row_N: NDArray[np.int64], n_marks: int) -> NDArray[np.bool_]:
    """A table (n_marks,) with a mark at the place of each row's hash."""
    marks = np.zeros(n_marks, np.bool_)
    for part in _parts(hash_N, row_N):
        marks[_places(part, n_marks)] = True
    return marks


def _hits(hash_N: NDArray[np.uint64], marks: NDArray[np.bool_]) -> NDArray[np.bool_]:
    return marks[_places(hash_N, len(marks))]


def _places(hash_N: NDArray[np.uint64], n_marks: int) -> NDArray[np.int64]:
    return (hash_N & np.uint64(n_marks - 1)).astype(np.int64)


def row_hashes(columns: Sequence[Column], disk: Disk | None = None) -> NDArray[np.uint64]:
    """A hash of each row's values (N,); a missing value is a value, 0.0 and -0.0 are one. On the `disk`, if any."""
    shape = (len(columns[0].values_N),)
    hash_N: NDArray[np.uint64] = np.zeros(shape, np.uint64) if disk is None else disk.empty(shape, np.uint64)
    for column in columns:
        for start in range(0, len(hash_N), SLICE_ROWS):
            part = hash_N[start : start + SLICE_ROWS]
            part ^= _bits(column.values_N[start : start + SLICE_ROWS], column.kind == "number")
            part *= ODD  # modulo 2**64
            part ^= part >> SHIFT
        if disk is not None:
            disk.forget()
    return hash_N


def _bits(values_N: NDArray[np.generic], is_number: bool) -> NDArray[np.uint64]:
    if not is_number:
        return values_N.astype(np.int64).view(np.uint64)
    numbers_N = values_N.astype(np.float64) + 0.0
    numbers_N[np.isnan(numbers_N)] = np.nan  # there are many of them
    return numbers_N.view(np.uint64)

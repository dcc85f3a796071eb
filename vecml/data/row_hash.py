"""Rows drawn by a hash of their number: one pass, the same rows however the table is cut into files."""

import numpy as np
from numpy.typing import NDArray

from vecml.data.disk import slices

ODD = np.uint64(0x9E3779B97F4A7C15)


def row_hash(first: int, stop: int, seed: int) -> NDArray[np.uint64]:
    """A hash (N,) of each number from `first` to `stop`, as splitmix64 does it (Steele, Lea and Flood 2014)."""
    hash_N = np.arange(first + 1, stop + 1, dtype=np.uint64)
    with np.errstate(over="ignore"):
        hash_N += np.uint64(seed) * np.uint64(0xD1B54A32D192ED03)
        hash_N *= ODD
        hash_N ^= hash_N >> np.uint64(30)
        hash_N *= np.uint64(0xBF58476D1CE4E5B9)
        hash_N ^= hash_N >> np.uint64(27)
        hash_N *= np.uint64(0x94D049BB133111EB)
        hash_N ^= hash_N >> np.uint64(31)
    return hash_N


def drawn_by_hash(label_N: NDArray[np.int64], n_classes: int, share: float, seed: int) -> NDArray[np.bool_]:
    """Mark about a share of the rows; of each class with two rows or more at least one, and not all.

    Args:
        label_N: the label codes (N,), int64.
        n_classes: how many there are.
        share: above 0, below 1; of each class it is met as closely as N draws meet it.
        seed: of the hash.
    """
    bound = np.uint64(min(int(share * 2.0**64), 2**64 - 1))
    is_drawn_N = np.empty(len(label_N), np.bool_)
    count_C, drawn_C = np.zeros(n_classes, np.int64), np.zeros(n_classes, np.int64)
    ends_C = np.full((2, n_classes), -1, np.int64)  # the rows with the least and with the greatest hash of each class
    hashes_C = np.array([np.full(n_classes, 2**64 - 1, np.uint64), np.zeros(n_classes, np.uint64)])
    for part in slices(len(label_N)):
        hash_N, label = row_hash(part.start, part.stop, seed), label_N[part]
        drawn_N = hash_N < bound
        is_drawn_N[part] = drawn_N
        count_C += np.bincount(label, minlength=n_classes)
        drawn_C += np.bincount(label[drawn_N], minlength=n_classes)
        one_sided_C = (drawn_C == 0) | (drawn_C == count_C)  # a class that ends so was so all the time
        some_N = np.flatnonzero(one_sided_C[label])
        for end in (0, 1) if len(some_N) else ():
            rank_N = hash_N[some_N] if end else ~hash_N[some_N]
            order_N = some_N[np.argsort(rank_N)]  # the last of each class is its greatest, or its least
            last_C = np.full(n_classes, -1, np.int64)
            last_C[label[order_N]] = order_N
            there = np.flatnonzero(last_C >= 0)
            found = hash_N[last_C[there]]
            better = found >= hashes_C[end][there] if end else found <= hashes_C[end][there]
            hashes_C[end][there[better]] = found[better]
            ends_C[end][there[better]] = last_C[there[better]] + part.start
    is_drawn_N[ends_C[0][(drawn_C == 0) & (count_C > 1)]] = True
    is_drawn_N[ends_C[1][(drawn_C == count_C) & (count_C > 1)]] = False
    return is_drawn_N

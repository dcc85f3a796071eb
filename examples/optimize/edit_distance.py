"""The edit distance of two texts: a table in which every cell needs the one before it."""

import numpy as np


def edit_distance(first, second):
    """The fewest insertions, deletions and replacements; `first` and `second` are arrays of codes."""
    table = np.zeros((len(first) + 1, len(second) + 1), dtype=np.int64)
    for i in range(len(first) + 1):
        table[i, 0] = i
    for j in range(len(second) + 1):
        table[0, j] = j
    for i in range(1, len(first) + 1):
        for j in range(1, len(second) + 1):
            cost = 0 if first[i - 1] == second[j - 1] else 1
            table[i, j] = min(table[i - 1, j] + 1, table[i, j - 1] + 1, table[i - 1, j - 1] + cost)
    return table[len(first), len(second)]


def make_inputs():
    """Two texts of four letters, 400 and 350 long."""
    rng = np.random.default_rng(0)
    return rng.integers(0, 4, 400), rng.integers(0, 4, 350)

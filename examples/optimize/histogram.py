"""How many values fall into each bin."""

import numpy as np


def histogram(values, low, high, bins):
    """Counts of the values from `low` up to `high`, int64 (bins,); values outside are left out."""
    counts = np.zeros(bins, dtype=np.int64)
    width = (high - low) / bins
    for value in values:
        if low <= value < high:
            place = int((value - low) / width)
            if place < bins:
                counts[place] += 1
    return counts


def make_inputs():
    """300,000 values of a normal distribution, in 50 bins."""
    return np.random.default_rng(0).normal(size=300_000), -3.0, 3.0, 50

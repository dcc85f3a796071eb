"""The moving average of a series, window by window."""

import numpy as np


def moving_average(series, width):
    """The mean of every `width` neighbours."""
    averages = np.zeros(len(series) - width + 1)
    for start in range(len(averages)):
        total = 0.0
        for offset in range(width):
            total += series[start + offset]
        averages[start] = total / width
    return averages


def make_inputs():
    """A random walk of 20,000 steps, and a window of 30."""
    return np.cumsum(np.random.default_rng(0).normal(size=20_000)), 30

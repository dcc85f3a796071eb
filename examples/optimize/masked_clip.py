"""A picture clipped, but only where a mask says so."""

import numpy as np


def masked_clip(picture, mask, low, high):
    """A copy of `picture` with the values under `mask` brought between `low` and `high`."""
    clipped = picture.copy()
    for row in range(picture.shape[0]):
        for column in range(picture.shape[1]):
            if mask[row, column]:
                if picture[row, column] < low:
                    clipped[row, column] = low
                elif picture[row, column] > high:
                    clipped[row, column] = high
    return clipped


def make_inputs():
    """700 by 600 values, half of them under the mask."""
    rng = np.random.default_rng(0)
    return rng.normal(size=(700, 600)), rng.random((700, 600)) < 0.5, -1.0, 1.0

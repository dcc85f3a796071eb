"""Labels as one-hot rows, multiplied by a table of weights."""

import numpy as np


def one_hot_product(label, weights):
    """The product of the one-hot rows and `weights`, float64 (len(label), weights.shape[1])."""
    n, classes, width = len(label), weights.shape[0], weights.shape[1]
    hot = np.zeros((n, classes))
    for i in range(n):
        for c in range(classes):
            if label[i] == c:
                hot[i, c] = 1.0
    product = np.zeros((n, width))
    for i in range(n):
        for j in range(width):
            for c in range(classes):
                product[i, j] += hot[i, c] * weights[c, j]
    return product


def make_inputs():
    """2,000 labels of 12 classes, and 16 weights for each."""
    rng = np.random.default_rng(0)
    return rng.integers(0, 12, 2_000), rng.normal(size=(12, 16))

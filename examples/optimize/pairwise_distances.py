"""The distance of every point of one set to every point of another."""

import math

import numpy as np


def pairwise_distances(points, others):
    """Euclidean distances, float64 (len(points), len(others))."""
    n, dims = points.shape
    m = others.shape[0]
    distances = np.zeros((n, m))
    for i in range(n):
        for j in range(m):
            total = 0.0
            for k in range(dims):
                gap = points[i, k] - others[j, k]
                total += gap * gap
            distances[i, j] = math.sqrt(total)
    return distances


def make_inputs():
    """300 points and 250 others in three dimensions."""
    rng = np.random.default_rng(0)
    return rng.normal(size=(300, 3)), rng.normal(size=(250, 3))

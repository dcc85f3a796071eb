"""One step of k-means: each point to its nearest centre, and each centre to the middle of its points."""

import numpy as np


def kmeans_step(points, centres):
    """The new centres, float64 (k, dims), and each point's centre, int64 (n,)."""
    n, dims = points.shape
    k = centres.shape[0]
    nearest = np.zeros(n, dtype=np.int64)
    for i in range(n):
        best = np.inf
        for c in range(k):
            total = 0.0
            for d in range(dims):
                gap = points[i, d] - centres[c, d]
                total += gap * gap
            if total < best:
                best = total
                nearest[i] = c
    sums = np.zeros((k, dims))
    counts = np.zeros(k)
    for i in range(n):
        counts[nearest[i]] += 1.0
        for d in range(dims):
            sums[nearest[i], d] += points[i, d]
    moved = centres.astype(np.float64)
    for c in range(k):
        if counts[c] > 0:
            for d in range(dims):
                moved[c, d] = sums[c, d] / counts[c]
    return moved, nearest


def make_inputs():
    """6,000 points in four dimensions, and 8 centres."""
    rng = np.random.default_rng(0)
    points = rng.normal(size=(6_000, 4))
    return points, points[:8].copy()

"""Functions that a reviewer wrote before reading the rewrite: neighbours that are written out, and what they showed."""

import itertools
import math

import numpy as np

AROUND = ((-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1))


def life_on_a_torus(board):
    rows, cols = board.shape
    new = np.zeros_like(board)
    for r in range(rows):
        for c in range(cols):
            n = 0
            for dx in (-1, 0, 1):
                for dy in (-1, 0, 1):
                    if dx == 0 and dy == 0:
                        continue
                    n += board[(r + dx) % rows, (c + dy) % cols]
            if board[r, c] == 1 and n in (2, 3):
                new[r, c] = 1
            elif board[r, c] == 0 and n == 3:
                new[r, c] = 1
    return new


def life_on_a_torus_inputs():
    return (np.random.default_rng(0).integers(0, 2, (30, 31)),)


def neighbours_within(grid):
    h, w = grid.shape
    out = np.zeros((h, w), dtype=int)
    for i in range(h):
        for j in range(w):
            for di in [-1, 0, 1]:
                for dj in [-1, 0, 1]:
                    if (di, dj) != (0, 0) and 0 <= i + di < h and 0 <= j + dj < w:
                        out[i, j] += grid[i + di, j + dj]
    return out


def neighbours_within_inputs():
    return (np.random.default_rng(0).integers(0, 2, (30, 31)),)


def heat_in_three_axes(u, alpha):
    new = u.copy()
    for i in range(1, u.shape[0] - 1):
        for j in range(1, u.shape[1] - 1):
            for k in range(1, u.shape[2] - 1):
                lap = -6 * u[i, j, k]
                for ax, ay, az in ((1, 0, 0), (-1, 0, 0), (0, 1, 0), (0, -1, 0), (0, 0, 1), (0, 0, -1)):
                    lap += u[i + ax, j + ay, k + az]
                new[i, j, k] = u[i, j, k] + alpha * lap
    return new


def heat_in_three_axes_inputs():
    return np.random.default_rng(0).random((7, 8, 9)), 0.1


def highest_around(grid):
    h, w = grid.shape
    out = np.zeros_like(grid)
    for y in range(1, h - 1):
        for x in range(1, w - 1):
            best = grid[y, x]
            for dy, dx in AROUND:
                if grid[y + dy, x + dx] > best:
                    best = grid[y + dy, x + dx]
            out[y, x] = best
    return out


def highest_around_inputs():
    return (np.random.default_rng(0).random((20, 21)),)


def alike_around(grid):
    h, w = grid.shape
    c = 0
    for y in range(h):
        for x in range(w):
            for dy, dx in itertools.product((-1, 0, 1), repeat=2):
                if dy == dx == 0:
                    continue
                yy, xx = y + dy, x + dx
                if yy < 0 or xx < 0 or yy >= h or xx >= w:
                    continue
                if grid[yy, xx] == grid[y, x]:
                    c += 1
    return c


def alike_around_inputs():
    return (np.random.default_rng(0).integers(0, 3, (20, 21)),)


def mean_around(grid):
    h, w = grid.shape
    out = np.zeros((h, w))
    for y in range(h):
        for x in range(w):
            s, k = 0.0, 0
            for dy in range(-1, 2):
                for dx in range(-1, 2):
                    if 0 <= y + dy < h and 0 <= x + dx < w:
                        s += grid[y + dy, x + dx]
                        k += 1
            out[y, x] = s / k
    return out


def mean_around_inputs():
    return (np.random.default_rng(0).random((20, 21)),)


def weights_written_out(x):
    out = np.zeros(len(x), dtype=np.float32)
    for i in range(len(x)):
        for j, w in enumerate((0.5, 0.25, -0.25)):
            if w < 0.3 and x[i] > 0.8:
                continue
            out[i] += w * x[i - j] ** 2
    return out


def weights_written_out_inputs():
    return (np.random.default_rng(0).random(60).astype(np.float32),)


def among_others(x, good):
    out = []
    n = 0
    for v in x:
        if v in (1, 2, 5) or v not in [3, 4, 7]:
            n += 1
        out.append(v in good)
    return np.array(out), n


def among_others_inputs():
    return np.random.default_rng(0).integers(0, 9, 50), np.array([1, 2, 5])


def weighted_rows(table):
    out = np.zeros(len(table))
    for i, row in enumerate(table):
        for j, v in enumerate(row):
            out[i] += v * j / len(row)
    return out


def weighted_rows_inputs():
    return (np.random.default_rng(0).random((20, 15)),)


def largest_fall(equity):
    peak = equity[0]
    worst = 0.0
    start = end = cand = 0
    for i in range(len(equity)):
        if equity[i] > peak:
            peak = equity[i]
            cand = i
        dd = (peak - equity[i]) / peak
        if dd > worst:
            worst = dd
            start, end = cand, i
    return worst, start, end


def largest_fall_inputs():
    return (np.cumsum(np.random.default_rng(0).normal(size=80)) + 200.0,)


def _attraction(r, *, sigma, eps=1.0):
    s6 = (sigma / r) ** 6
    return 4 * eps * (s6 * s6 - s6)


def potential(pos, cutoff):
    n = len(pos)
    e = 0.0
    for i in range(n - 1):
        for j in range(i + 1, n):
            d = pos[i] - pos[j]
            r = np.sqrt((d**2).sum())
            if r < cutoff:
                e += _attraction(r, sigma=0.5)
    return e


def potential_inputs():
    return np.random.default_rng(0).random((20, 3)) * 6, 2.5


def group_means(keys, values):
    sums = {}
    counts = {}
    for k, v in zip(keys, values, strict=False):
        sums[k] = sums.get(k, 0.0) + v
        counts[k] = counts.get(k, 0) + 1
    return {k: sums[k] / counts[k] for k in sums}


def group_means_inputs():
    r = np.random.default_rng(0)
    return r.integers(0, 9, 60), r.random(60)


def smoothed_into(x, y):
    for i in range(1, len(x) - 1):
        y[i] = (x[i - 1] + x[i] + x[i + 1]) / 3
    return y


def smoothed_into_inputs():
    r = np.random.default_rng(0)
    return r.random(40), r.random(40)


def smoothed_into_itself(x, y):
    for i in range(1, len(x) - 1):
        y[i] = (x[i - 1] + x[i] + x[i + 1]) / 3
    return y


def smoothed_into_itself_inputs():
    x = np.random.default_rng(0).random(40)
    return x, x


def moving_average(prices, alpha):
    out = [float(prices[0])]
    for p in prices[1:]:
        out.append(alpha * float(p) + (1 - alpha) * out[-1])
    return np.array(out)


def moving_average_inputs():
    return np.random.default_rng(0).random(60), math.sqrt(0.02)


def taxed(income):
    def rate(x):
        if x <= 10000:
            return 0
        if x <= 40000:
            return (x - 10000) * 0.2
        return 6000 + (x - 40000) * 0.4

    return np.vectorize(rate)(income)


def taxed_inputs():
    return (np.random.default_rng(0).uniform(11000, 90000, 60),)


def graded(scores):
    return np.vectorize(lambda one: "good" if one > 0.5 else "not so good")(scores)


def graded_inputs():
    return (np.random.default_rng(0).random((6, 7)),)


def marked(scores):
    out = []
    for one in scores:
        if one > 0.5:
            out.append("good")
        else:
            out.append("not so good")
    return out


def marked_inputs():
    return (np.random.default_rng(0).random(40),)


def weighted_around(img, kernel):
    h, w = img.shape
    out = np.zeros((h, w))
    for y in range(1, h - 1):
        for x in range(1, w - 1):
            s = 0.0
            for ky in range(-1, 2):
                for kx in range(-1, 2):
                    s += kernel[ky + 1, kx + 1] * img[y + ky, x + kx]
            out[y, x] = s
    return out


def weighted_around_inputs():
    r = np.random.default_rng(0)
    return r.random((20, 21)), r.random((3, 3))

"""Loops as people write them before they ask how to do without: fifteen written first and looked at only at the end."""

import numpy as np


def damped(x, y):
    out = np.zeros(len(x))
    for i in range(len(x)):
        if x[i] > 0 and y[i] > 0:
            if x[i] > y[i]:
                out[i] = x[i] - y[i]
            elif x[i] == y[i]:
                out[i] = 1.0
            else:
                out[i] = (y[i] - x[i]) / 2
        elif x[i] < 0 or y[i] < -1:
            out[i] = -x[i] * y[i]
        else:
            out[i] = np.exp(-abs(y[i]))
    return out


def damped_inputs():
    rng = np.random.default_rng(2)
    return rng.normal(0, 1, 20_000), rng.normal(0, 1, 20_000)


def valid_logs(x):
    kept = []
    for i in range(len(x)):
        if x[i] > 0:
            kept.append(np.log(x[i]) + 1)
    return np.array(kept)


def valid_logs_inputs():
    return (np.random.default_rng(2).normal(0, 2, 20_000),)


def spread_of_rows(table):
    def spread(row):
        return row.max() - row.min()

    return np.apply_along_axis(spread, 1, table)


def spread_of_rows_inputs():
    return (np.random.default_rng(2).normal(0, 1, (3_000, 6)),)


def highest_so_far(price):
    highest = price[0]
    out = np.zeros(len(price))
    for i in range(len(price)):
        if price[i] > highest:
            highest = price[i]
        out[i] = highest
    return out


def highest_so_far_inputs():
    return (np.cumsum(np.random.default_rng(2).normal(0, 1, 20_000)),)


def run_lengths(flag):
    out = np.zeros(len(flag), dtype=np.int64)
    count = 0
    for i in range(len(flag)):
        if flag[i]:
            count += 1
        else:
            count = 0
        out[i] = count
    return out


def run_lengths_inputs():
    return (np.random.default_rng(2).random(20_000) < 0.7,)


def balances(payments, start, rate):
    balance = start
    out = np.zeros(len(payments))
    for month, payment in enumerate(payments):
        balance = balance * (1 + rate) - payment
        out[month] = balance
    return out


def balances_inputs():
    return np.random.default_rng(2).uniform(90, 110, 2_000), 20_000.0, 0.0005


def rolling_max(x, k):
    out = np.empty(len(x) - k + 1)
    for i in range(k - 1, len(x)):
        out[i - k + 1] = max(x[i - k + 1 : i + 1])
    return out


def rolling_max_inputs():
    return np.random.default_rng(2).normal(0, 1, 5_000), 10


def life(cells):
    rows, columns = cells.shape
    new = np.zeros((rows, columns), dtype=np.int64)
    for i in range(1, rows - 1):
        for j in range(1, columns - 1):
            alive = (
                cells[i - 1, j - 1]
                + cells[i - 1, j]
                + cells[i - 1, j + 1]
                + cells[i, j - 1]
                + cells[i, j + 1]
                + cells[i + 1, j - 1]
                + cells[i + 1, j]
                + cells[i + 1, j + 1]
            )
            if cells[i, j] == 1 and (alive == 2 or alive == 3):
                new[i, j] = 1
            elif cells[i, j] == 0 and alive == 3:
                new[i, j] = 1
    return new


def life_inputs():
    return (np.random.default_rng(2).integers(0, 2, (60, 70)),)


def means_by_label(labels, values):
    total = {}
    count = {}
    for i in range(len(labels)):
        label = labels[i]
        if label not in total:
            total[label] = 0.0
            count[label] = 0
        total[label] += values[i]
        count[label] += 1
    out = np.zeros(len(labels))
    for i in range(len(labels)):
        out[i] = values[i] - total[labels[i]] / count[labels[i]]
    return out


def means_by_label_inputs():
    rng = np.random.default_rng(2)
    return rng.integers(100, 120, 10_000), rng.normal(0, 1, 10_000)


def counts_of_labels(labels):
    counts = {}
    for label in labels:
        counts[label] = counts.get(label, 0) + 1
    keys = sorted(counts)
    return np.array([counts[key] for key in keys])


def counts_of_labels_inputs():
    return (np.random.default_rng(2).integers(0, 50, 20_000),)


def recoloured(image, palette):
    height, width = image.shape
    out = np.zeros((height, width, 3))
    for y in range(height):
        for x in range(width):
            for c in range(3):
                out[y, x, c] = palette[image[y, x], c]
    return out


def recoloured_inputs():
    rng = np.random.default_rng(2)
    return rng.integers(0, 8, (50, 60)), rng.uniform(0, 1, (8, 3))


def distances(points):
    n = len(points)
    out = np.zeros((n, n))
    for i in range(n):
        for j in range(i + 1, n):
            total = 0.0
            for k in range(points.shape[1]):
                total += (points[i, k] - points[j, k]) ** 2
            out[i, j] = np.sqrt(total)
            out[j, i] = out[i, j]
    return out


def distances_inputs():
    return (np.random.default_rng(2).normal(0, 1, (90, 3)),)


def is_sorted(x):
    for i in range(len(x) - 1):
        if x[i] > x[i + 1]:
            return False
    return True


def is_sorted_inputs():
    return (np.sort(np.random.default_rng(2).normal(0, 1, 20_000)),)


def product(a, b):
    n, m, p = a.shape[0], a.shape[1], b.shape[1]
    out = np.zeros((n, p))
    for i in range(n):
        for j in range(p):
            for k in range(m):
                out[i, j] += a[i, k] * b[k, j]
    return out


def product_inputs():
    rng = np.random.default_rng(2)
    return rng.normal(0, 1, (30, 25)), rng.normal(0, 1, (25, 20))


def stacked(x, lags):
    out = np.empty((0, lags))
    for i in range(len(x) - lags + 1):
        out = np.vstack([out, x[i : i + lags]])
    return out


def stacked_inputs():
    return np.random.default_rng(2).normal(0, 1, 600), 5

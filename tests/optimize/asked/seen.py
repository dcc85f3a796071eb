"""Loops as people write them before they ask how to do without: the fifteen that were looked at while building."""

import numpy as np


def grades(score):
    out = np.zeros(len(score))
    for i in range(len(score)):
        if score[i] >= 90:
            out[i] = 4.0
        elif score[i] >= 80:
            if score[i] >= 85:
                out[i] = 3.5
            else:
                out[i] = 3.0
        elif score[i] >= 70:
            out[i] = 2.0
        else:
            out[i] = 0.0
    return out


def grades_inputs():
    return (np.random.default_rng(1).uniform(40, 100, 20_000),)


def signed_roots(x):
    return np.array([np.sqrt(v) if v >= 0 else -np.sqrt(-v) for v in x])


def signed_roots_inputs():
    return (np.random.default_rng(1).normal(0, 3, 20_000),)


def tariff(kwh):
    def price(one):
        if one < 10:
            return one * 0.2
        if one < 50:
            return 2.0 + (one - 10) * 0.15
        return 8.0 + (one - 50) * 0.1

    return np.vectorize(price)(kwh)


def tariff_inputs():
    return (np.random.default_rng(1).uniform(0, 90, 20_000),)


def running_total(x):
    out = np.empty(len(x))
    total = 0.0
    for i in range(len(x)):
        total += x[i]
        out[i] = total
    return out


def running_total_inputs():
    return (np.random.default_rng(1).normal(0, 1, 20_000),)


def wealth(returns):
    value = [1.0]
    for r in returns:
        value.append(value[-1] * (1 + r))
    return np.array(value)


def wealth_inputs():
    return (np.random.default_rng(1).normal(0, 0.001, 5_000),)


def smoothed(x, alpha):
    out = np.zeros_like(x)
    out[0] = x[0]
    for i in range(1, len(x)):
        out[i] = alpha * x[i] + (1 - alpha) * out[i - 1]
    return out


def smoothed_inputs():
    return np.random.default_rng(1).normal(0, 1, 20_000), 0.3


def filled_forward(x):
    out = x.copy()
    for i in range(1, len(out)):
        if np.isnan(out[i]):
            out[i] = out[i - 1]
    return out


def filled_forward_inputs():
    rng = np.random.default_rng(1)
    x = rng.normal(0, 1, 20_000)
    x[rng.random(20_000) < 0.4] = np.nan
    return (x,)


def moving_average(x, width):
    out = np.zeros(len(x) - width + 1)
    for i in range(len(x) - width + 1):
        out[i] = np.mean(x[i : i + width])
    return out


def moving_average_inputs():
    return np.random.default_rng(1).normal(0, 1, 8_000), 12


def slopes(x, t):
    out = np.zeros(len(x))
    for i in range(1, len(x)):
        out[i] = (x[i] - x[i - 1]) / (t[i] - t[i - 1])
    return out


def slopes_inputs():
    rng = np.random.default_rng(1)
    return rng.normal(0, 1, 20_000), np.cumsum(rng.uniform(0.5, 1.5, 20_000))


def heat(grid, steps):
    now = grid.copy()
    new = grid.copy()
    for _ in range(steps):
        for i in range(1, now.shape[0] - 1):
            for j in range(1, now.shape[1] - 1):
                new[i, j] = now[i, j] + 0.1 * (
                    now[i - 1, j] + now[i + 1, j] + now[i, j - 1] + now[i, j + 1] - 4 * now[i, j]
                )
        now, new = new, now
    return now


def heat_inputs():
    return np.random.default_rng(1).uniform(0, 1, (40, 50)), 10


def sums_by_group(values, group, count):
    out = np.zeros(count)
    for i in range(len(values)):
        out[group[i]] += values[i]
    return out


def sums_by_group_inputs():
    rng = np.random.default_rng(1)
    return rng.normal(0, 1, 20_000), rng.integers(0, 30, 20_000), 30


def best_by_group(values, group, count):
    best = np.full(count, -np.inf)
    for v, g in zip(values, group):
        if v > best[g]:
            best[g] = v
    return best


def best_by_group_inputs():
    rng = np.random.default_rng(1)
    return rng.normal(0, 1, 20_000), rng.integers(0, 30, 20_000), 30


def prices_of(codes):
    price = {0: 1.5, 1: 2.25, 2: 9.0, 3: 4.0}
    out = np.zeros(len(codes))
    for i, code in enumerate(codes):
        out[i] = price[code]
    return out


def prices_of_inputs():
    return (np.random.default_rng(1).integers(0, 4, 20_000),)


def close_pairs(x, limit):
    count = 0
    for i in range(len(x)):
        for j in range(i + 1, len(x)):
            if abs(x[i] - x[j]) < limit:
                count += 1
    return count


def close_pairs_inputs():
    return np.random.default_rng(1).normal(0, 1, 300), 0.1


def first_above(x, limit):
    for i in range(len(x)):
        if x[i] > limit:
            return i
    return -1


def first_above_inputs():
    return np.random.default_rng(1).uniform(0, 1, 20_000), 0.9999

"""Loops as people write them before they ask how to do without: the other thirty, written when the mechanism stood."""

import numpy as np


def clipped(x, low, high):
    out = x.copy()
    for i in range(len(x)):
        if out[i] < low[i]:
            out[i] = low[i]
        elif out[i] > high[i]:
            out[i] = high[i]
    return out


def clipped_inputs():
    rng = np.random.default_rng(3)
    low = rng.normal(-1, 0.2, 20_000)
    return rng.normal(0, 1, 20_000), low, low + 1.5


def leap_days(years):
    count = np.zeros(len(years), dtype=np.int64)
    for i in range(len(years)):
        if years[i] % 400 == 0 or (years[i] % 4 == 0 and years[i] % 100 != 0):
            count[i] = 366
        else:
            count[i] = 365
    return count


def leap_days_inputs():
    return (np.random.default_rng(3).integers(1800, 2100, 20_000),)


def both_positive(x, y):
    xs, ys = [], []
    for a, b in zip(x, y):
        if a > 0 and b > 0:
            xs.append(a)
            ys.append(b)
    return np.array(xs), np.array(ys)


def both_positive_inputs():
    rng = np.random.default_rng(3)
    return rng.normal(0, 1, 20_000), rng.normal(0, 1, 20_000)


def thresholded(image, limit):
    out = np.zeros(image.shape)
    for i in range(image.shape[0]):
        for j in range(image.shape[1]):
            if image[i, j] > limit:
                out[i, j] = 255.0
            elif image[i, j] > limit / 2:
                out[i, j] = 128.0
    return out


def thresholded_inputs():
    return np.random.default_rng(3).uniform(0, 1, (120, 150)), 0.7


def drawdowns(price):
    peak = price[0]
    worst = 0.0
    for p in price:
        if p > peak:
            peak = p
        drop = (peak - p) / peak
        if drop > worst:
            worst = drop
    return worst


def drawdowns_inputs():
    return (np.exp(np.cumsum(np.random.default_rng(3).normal(0, 0.01, 20_000))),)


def streak(flag):
    longest = 0
    current = 0
    for f in flag:
        if f:
            current += 1
            longest = max(longest, current)
        else:
            current = 0
    return longest


def streak_inputs():
    return (np.random.default_rng(3).random(20_000) < 0.8,)


def smoothed_inside(x):
    out = x.copy()
    for i in range(1, len(x) - 1):
        out[i] = (x[i - 1] + 2 * x[i] + x[i + 1]) / 4
    return out


def smoothed_inside_inputs():
    return (np.random.default_rng(3).normal(0, 1, 20_000),)


def convolved(x, kernel):
    n, k = len(x), len(kernel)
    out = np.zeros(n - k + 1)
    for i in range(n - k + 1):
        for j in range(k):
            out[i] += x[i + j] * kernel[j]
    return out


def convolved_inputs():
    rng = np.random.default_rng(3)
    return rng.normal(0, 1, 5_000), rng.normal(0, 1, 9)


def rolling_spread(x, width):
    out = []
    for i in range(width, len(x)):
        window = x[i - width : i]
        out.append(window.std())
    return np.array(out)


def rolling_spread_inputs():
    return np.random.default_rng(3).normal(0, 1, 4_000), 15


def laplace(field):
    nx, ny, nz = field.shape
    out = np.zeros((nx, ny, nz))
    for i in range(1, nx - 1):
        for j in range(1, ny - 1):
            for k in range(1, nz - 1):
                out[i, j, k] = (
                    field[i - 1, j, k]
                    + field[i + 1, j, k]
                    + field[i, j - 1, k]
                    + field[i, j + 1, k]
                    + field[i, j, k - 1]
                    + field[i, j, k + 1]
                    - 6 * field[i, j, k]
                )
    return out


def laplace_inputs():
    return (np.random.default_rng(3).normal(0, 1, (22, 24, 26)),)


def counts_in_cells(x, y, nx, ny):
    cells = np.zeros((nx, ny), dtype=np.int64)
    for i in range(len(x)):
        a = int(x[i] * nx)
        b = int(y[i] * ny)
        cells[a, b] += 1
    return cells


def counts_in_cells_inputs():
    rng = np.random.default_rng(3)
    return rng.uniform(0, 1, 20_000), rng.uniform(0, 1, 20_000), 12, 15


def charged(balance, account, amount):
    new = balance.copy()
    for k in range(len(account)):
        new[account[k]] -= amount[k]
    return new


def charged_inputs():
    rng = np.random.default_rng(3)
    return rng.uniform(0, 1e4, 200), rng.integers(0, 200, 20_000), rng.uniform(0, 10, 20_000)


def confusion(truth, guess, classes):
    table = np.zeros((classes, classes), dtype=np.int64)
    for t, g in zip(truth, guess):
        table[t, g] += 1
    return table


def confusion_inputs():
    rng = np.random.default_rng(3)
    return rng.integers(0, 10, 20_000), rng.integers(0, 10, 20_000), 10


def changes(x):
    starts = [0]
    for i in range(1, len(x)):
        if x[i] != x[i - 1]:
            starts.append(i)
    return np.array(starts)


def changes_inputs():
    return (np.repeat(np.random.default_rng(3).integers(0, 4, 4_000), 5),)


def one_hot(labels, classes):
    out = np.zeros((len(labels), classes))
    for i, label in enumerate(labels):
        out[i, label] = 1.0
    return out


def one_hot_inputs():
    return np.random.default_rng(3).integers(0, 12, 20_000), 12


def bracket_of(income, edges):
    out = np.zeros(len(income), dtype=np.int64)
    for i in range(len(income)):
        for k in range(len(edges)):
            if income[i] >= edges[k]:
                out[i] = k + 1
    return out


def bracket_of_inputs():
    return np.random.default_rng(3).uniform(0, 100, 5_000), np.array([10.0, 20.0, 40.0, 80.0])


def gaps(a, b):
    out = np.zeros((len(a), len(b)))
    for i in range(len(a)):
        for j in range(len(b)):
            out[i, j] = np.sqrt((a[i, 0] - b[j, 0]) ** 2 + (a[i, 1] - b[j, 1]) ** 2)
    return out


def gaps_inputs():
    rng = np.random.default_rng(3)
    return rng.normal(0, 1, (120, 2)), rng.normal(0, 1, (130, 2))


def nearest(points, x, y):
    best = np.inf
    at = -1
    for i in range(len(points)):
        d = (points[i, 0] - x) ** 2 + (points[i, 1] - y) ** 2
        if d < best:
            best = d
            at = i
    return at


def nearest_inputs():
    return np.random.default_rng(3).normal(0, 1, (20_000, 2)), 0.3, -0.2


def energy(charge, place):
    total = 0.0
    for i in range(len(charge)):
        for j in range(i):
            total += charge[i] * charge[j] / abs(place[i] - place[j])
    return total


def energy_inputs():
    rng = np.random.default_rng(3)
    return rng.normal(0, 1, 250), np.cumsum(rng.uniform(0.5, 1.5, 250))


def gram(x):
    n, d = x.shape
    out = np.zeros((n, n))
    for i in range(n):
        for j in range(n):
            s = 0.0
            for k in range(d):
                s += x[i, k] * x[j, k]
            out[i, j] = s
    return out


def gram_inputs():
    return (np.random.default_rng(3).normal(0, 1, (50, 12)),)


def covariance(x):
    n, d = x.shape
    mean = np.zeros(d)
    for j in range(d):
        for i in range(n):
            mean[j] += x[i, j]
        mean[j] /= n
    out = np.zeros((d, d))
    for a in range(d):
        for b in range(d):
            for i in range(n):
                out[a, b] += (x[i, a] - mean[a]) * (x[i, b] - mean[b])
            out[a, b] /= n - 1
    return out


def covariance_inputs():
    return (np.random.default_rng(3).normal(0, 1, (400, 6)),)


def last_before(times, limit):
    found = -1
    for i in range(len(times)):
        if times[i] < limit:
            found = i
    return found


def last_before_inputs():
    return np.random.default_rng(3).uniform(0, 1, 20_000), 0.5


def first_crossing(x, level):
    at = -1
    for i in range(1, len(x)):
        if x[i - 1] < level and x[i] >= level:
            at = i
            break
    return at


def first_crossing_inputs():
    return np.cumsum(np.random.default_rng(3).normal(0.001, 0.1, 20_000)), 3.0


def spent_until(cost, budget):
    total = 0.0
    for i, c in enumerate(cost):
        total += c
        if total > budget:
            return i
    return len(cost)


def spent_until_inputs():
    return np.random.default_rng(3).uniform(0, 1, 20_000), 9_000.0


def polynomial(x, coefficients):
    out = np.zeros(len(x))
    for i in range(len(x)):
        power = 1.0
        for c in coefficients:
            out[i] += c * power
            power *= x[i]
    return out


def polynomial_inputs():
    return np.random.default_rng(3).uniform(-1, 1, 4_000), np.array([1.0, -2.0, 0.5, 3.0])


def normalised(table):
    out = np.zeros(table.shape)
    for i in range(table.shape[0]):
        total = 0.0
        for j in range(table.shape[1]):
            total += table[i, j]
        for j in range(table.shape[1]):
            out[i, j] = table[i, j] / total
    return out


def normalised_inputs():
    return (np.random.default_rng(3).uniform(0.5, 1, (300, 40)),)


def quadratic(rows, matrix):
    out = np.zeros(len(rows))
    for n in range(len(rows)):
        for i in range(matrix.shape[0]):
            for j in range(matrix.shape[1]):
                out[n] += rows[n, i] * matrix[i, j] * rows[n, j]
    return out


def quadratic_inputs():
    rng = np.random.default_rng(3)
    return rng.normal(0, 1, (600, 5)), rng.normal(0, 1, (5, 5))


def grown(x, y):
    out = np.array([])
    for i in range(len(x)):
        out = np.append(out, x[i] * y[i])
    return out


def grown_inputs():
    rng = np.random.default_rng(3)
    return rng.normal(0, 1, 5_000), rng.normal(0, 1, 5_000)


def table_of(x, y):
    return np.array([[a * b + 1 for b in y] for a in x])


def table_of_inputs():
    rng = np.random.default_rng(3)
    return rng.normal(0, 1, 150), rng.normal(0, 1, 160)


def wins(rows):
    count = 0
    for row in rows:
        if row.sum() > 0 and row.max() < 2:
            count += 1
    return count


def wins_inputs():
    return (np.random.default_rng(3).normal(0, 1, (5_000, 6)),)

"""Intervals and tests as pure functions, each with its source. The ground floor for model, measure and history.

They take numbers and give numbers: nothing is read, and nothing is drawn at random.
The edges (no trial, no spread, ties) are defined, documented and tested.

Values are finite numbers, usually log-ratios: log(b / a) is as far from 0 as log(a / b), and a mean of them is that of
the ratios' geometric mean.

SciPy is imported by the functions that need it, and only then: importing it takes as long as importing NumPy, or much
longer, and who needs but a Wilson interval need not wait for it.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist, median

import numpy as np
from numpy.typing import NDArray

from vecml.errors import DataError

Values = Sequence[float] | NDArray[np.float64]

# Percentiles that people ask for; the median needs no tail.
_TAIL_PERCENTILES = (0.9, 0.95, 0.97, 0.99, 0.999)

# Pairs of up to so many values are kept: those of 100 take 80 kB, and making those of 10 as long as four estimates.
_PAIRS_KEPT_TO = 100


def bonferroni(level: float, comparisons: int) -> float:
    """The level of each of several tests, so that with `level` at most any of them is found where nothing is.

    O. J. Dunn, "Multiple comparisons among means", JASA 56 (1961), 52-64. It holds however the tests depend on each
    other, and is strict for it.

    Args:
        level: of all tests together, between 0 and 1, both excluded.
        comparisons: how many tests there are, 1 or more; with 1 the level stays as it is.

    Raises:
        DataError: a level outside (0, 1), or less than one comparison.
    """
    _check_between("level", level, 0, 1)
    if not comparisons >= 1:
        raise DataError(f"{comparisons} comparisons: must be at least 1")
    return level / comparisons


def hodges_lehmann(value_N: Values) -> float:
    """The centre of values by ranks: the median of all averages of two of them, each with itself as well.

    J. L. Hodges and E. L. Lehmann, "Estimates of location based on rank tests", Annals of Mathematical Statistics 34
    (1963), 598-611. For normal values it is nearly as exact as the mean (95 %), and up to 29 % of them may be far off.

    Args:
        value_N: 1 value or more. One is its own centre, two have their mean. Time and memory grow with N squared.

    Raises:
        DataError: no value, or one that is not finite.
    """
    value_L = _numbers(value_N, 1, "a Hodges-Lehmann estimate")
    value_N = np.array(value_L)
    first_P, second_P = _pairs_kept(len(value_N)) if len(value_N) <= _PAIRS_KEPT_TO else np.triu_indices(len(value_N))
    sum_P = value_N[first_P] + value_N[second_P]
    # By hand: np.median alone takes four times as long for so few. Halved last, so that equal values stay as they are.
    middle = len(sum_P) // 2
    if len(sum_P) % 2:
        return float(np.partition(sum_P, middle)[middle]) / 2
    sum_P.partition((middle - 1, middle))
    return float(sum_P[middle - 1] + sum_P[middle]) / 4


def robust_sd(value_N: Values) -> float:
    """The standard deviation by medians: 1.4826 times the median distance from the median.

    F. R. Hampel, "The influence curve and its role in robust estimation", JASA 69 (1974), 383-393. Of normal values it
    gives the standard deviation, and nearly half of the values may be far off.

    Args:
        value_N: 1 value or more. It is 0 for one value, and where more than half of them are the same.

    Raises:
        DataError: no value, or one that is not finite.
    """
    value_L = _numbers(value_N, 1, "a spread")
    centre = median(value_L)
    return 1.4826 * median([abs(value - centre) for value in value_L])


def t_interval(value_N: Values, confidence: float = 0.95) -> tuple[float, float]:
    """The interval of the mean of normal values, two-sided.

    Student, "The probable error of a mean", Biometrika 6 (1908), 1-25: mean +- t s / sqrt(n).

    Args:
        value_N: 2 values or more.
        confidence: coverage that is aimed at, between 0 and 1, both excluded.

    Returns:
        Low and high end; both are the mean where all values are the same.

    Raises:
        DataError: fewer than 2 values, one that is not finite, or a confidence outside (0, 1).
    """
    _check_between("confidence", confidence, 0, 1)
    return _interval(_numbers(value_N, 2, "Student's interval"), (1 - confidence) / 2)


def t_test(value_N: Values) -> float:
    """The two-sided p-value of normal values having mean 0: how rarely chance alone gives a mean as far from it.

    Student, "The probable error of a mean", Biometrika 6 (1908), 1-25. p < level just where 0 lies outside of
    `t_interval(value_N, 1 - level)`.

    Args:
        value_N: 2 values or more. Where all are the same, p is 1.0 if they are 0, otherwise 0.0.

    Raises:
        DataError: fewer than 2 values, or one that is not finite.
    """
    value_L = _numbers(value_N, 2, "Student's test")
    mean, error = _mean_and_error(value_L)
    if error == 0:
        return 1.0 if mean == 0 else 0.0
    from scipy.special import stdtr  # noqa: PLC0415 -- see the module's docstring

    return float(2 * stdtr(len(value_L) - 1, -abs(mean / error)))


def equivalence_interval(value_N: Values, level: float = 0.05) -> tuple[float, float]:
    """The interval that has to lie within the bounds for two one-sided tests to find equivalence.

    D. J. Schuirmann, "A comparison of the two one-sided tests procedure and the power approach for assessing the
    equivalence of average bioavailability", Journal of Pharmacokinetics and Biopharmaceutics 15 (1987), 657-680: both
    tests at `level` reject just where Student's interval of confidence 1 - 2 level lies within the bounds.

    Args:
        value_N: 2 values or more.
        level: of each test, and so of finding equivalence where there is none; between 0 and 0.5, both excluded.

    Returns:
        Low and high end; both are the mean where all values are the same.

    Raises:
        DataError: fewer than 2 values, one that is not finite, or a level outside (0, 0.5).
    """
    _check_between("level", level, 0, 0.5)
    return _interval(_numbers(value_N, 2, "a test of equivalence"), level)


def welch_interval(first_N: Values, second_N: Values, confidence: float = 0.95) -> tuple[float, float]:
    """The interval of the difference of two means, second less first, of normal values with spreads of their own.

    B. L. Welch, "The generalization of 'Student's' problem when several different population variances are involved",
    Biometrika 34 (1947), 28-35, with his approximate degrees of freedom.

    Args:
        first_N, second_N: 2 values or more of each, not paired.
        confidence: coverage that is aimed at, between 0 and 1, both excluded.

    Returns:
        Low and high end; both are the difference where neither side has any spread.

    Raises:
        DataError: fewer than 2 values, one that is not finite, or a confidence outside (0, 1).
    """
    _check_between("confidence", confidence, 0, 1)
    first_L = _numbers(first_N, 2, "Welch's interval")
    second_L = _numbers(second_N, 2, "Welch's interval")
    first_mean, first_error = _mean_and_error(first_L)
    second_mean, second_error = _mean_and_error(second_L)
    difference, error = second_mean - first_mean, math.hypot(first_error, second_error)
    if error == 0:
        return difference, difference
    # shares of the error's square, so that tiny errors do not vanish when they are squared twice
    shares = ((first_error / error) ** 2, (second_error / error) ** 2)
    freedom = 1 / (shares[0] ** 2 / (len(first_L) - 1) + shares[1] ** 2 / (len(second_L) - 1))
    half = _t_critical(freedom, (1 - confidence) / 2) * error
    return difference - half, difference + half


def detection_power(difference: float, sd: float, n: int, level: float = 0.05, gate: float = 0.0) -> float:
    """How probable it is to find a difference, and on the right side, by a mean of normal values.

    It is found where Student's two-sided interval at `level` lies above 0 and the mean exceeds `gate`. Without a gate
    that is the upper tail of the noncentral t distribution: N. L. Johnson and B. L. Welch, "Applications of the
    non-central t-distribution", Biometrika 31 (1940), 362-389. With a gate it is integrated over the chi distribution
    of the standard deviation, of which the mean is independent: R. A. Fisher, "Applications of 'Student's'
    distribution", Metron 5 (1925), 90-104. The error is below 1e-8.

    Args:
        difference: the true mean, as a log-ratio, 0 or more. At 0, and without a gate, the result is level / 2.
        sd: the values' true standard deviation, 0 or more. At 0 the result is 1.0 above the gate, otherwise 0.0.
        n: how many values there are, 2 or more.
        level: of the test, between 0 and 1, both excluded.
        gate: what the estimate has to exceed, as a log-ratio, 0 or more.

    Raises:
        DataError: an argument outside of its range.
    """
    _check_size("difference", difference)
    _check_design(sd, n, level, gate)
    if sd == 0:
        return 1.0 if difference > gate else 0.0
    scale = math.sqrt(n) / sd
    return _power(difference * scale, gate * scale, _t_critical(n - 1, level / 2), n - 1)


def smallest_detectable(sd: float, n: int, level: float = 0.05, power: float = 0.9, gate: float = 0.0) -> float:
    """The smallest difference that is found with probability `power`: where `detection_power` reaches it.

    Args:
        sd: the values' true standard deviation, 0 or more. At 0 whatever exceeds the gate is found: it is the gate.
        n: how many values there are, 2 or more.
        level: of the test, between 0 and 1, both excluded.
        power: between 0 and 1, both excluded. The result is 0.0 where no difference at all is found so often.
        gate: what the estimate has to exceed, as a log-ratio, 0 or more.

    Returns:
        The difference as a log-ratio.

    Raises:
        DataError: an argument outside of its range.
    """
    _check_between("power", power, 0, 1)
    _check_design(sd, n, level, gate)
    if sd == 0:
        return gate
    from scipy.optimize import brentq  # noqa: PLC0415 -- see the module's docstring

    # In standard errors, so that brentq's absolute tolerance suits spreads of any size.
    scale = math.sqrt(n) / sd
    critical = _t_critical(n - 1, level / 2)

    def missing(shift: float) -> float:
        return _power(shift, gate * scale, critical, n - 1) - power

    if missing(0.0) >= 0:
        return 0.0
    low, high = 0.0, max(1.0, gate * scale)
    while missing(high) < 0:
        low, high = high, 2 * high
    return float(brentq(missing, low, high)) / scale


@dataclass(frozen=True)
class Trend:
    """A straight line's slope through points, and whether there is one at all.

    Attributes:
        slope: change of y with one step of x; the median of the slopes between two points.
        p_value: two-sided: how rarely chance alone gives an order of y along x as strict as this one.
    """

    slope: float
    p_value: float


def theil_sen(x_N: Values, y_N: Values) -> Trend:
    """The slope of Theil and Sen and the p-value of Kendall's tau-b: a trend that a few odd points do not make.

    H. Theil, "A rank-invariant method of linear and polynomial regression analysis", Proceedings of the Royal
    Netherlands Academy of Sciences 53 (1950), 386-392, 521-525 and 1397-1412, and P. K. Sen, "Estimates of the
    regression coefficient based on Kendall's tau", JASA 63 (1968), 1379-1389, for pairs with the same x, which have no
    slope; M. G. Kendall, "The treatment of ties in ranking problems", Biometrika 33 (1945), 239-251. The p-value is
    exact for few points without ties (33 in SciPy 1.17), otherwise that of the normal distribution.

    Args:
        x_N: where the points are, such as times; they need no order. Time and memory grow with N squared.
        y_N: their values, as many. Fewer than 3 points, or the same x or the same y throughout, have slope 0.0, p 1.0.

    Raises:
        DataError: not as many x as y, or one that is not finite.
    """
    x_L, y_L = _numbers(x_N, 0, "a trend"), _numbers(y_N, 0, "a trend")
    if len(x_L) != len(y_L):
        raise DataError(f"{len(x_L)} x and {len(y_L)} y: a trend needs as many of either")
    if len(x_L) < 3 or min(x_L) == max(x_L) or min(y_L) == max(y_L):
        return Trend(0.0, 1.0)
    from scipy.stats import kendalltau  # noqa: PLC0415 -- see the module's docstring

    # In the order of x, so that with i < j no step is negative.
    order_N = np.argsort(x_L, kind="stable")
    x_N, y_N = np.array(x_L)[order_N], np.array(y_L)[order_N]
    first_P, second_P = np.triu_indices(len(x_N), 1)
    step_P = x_N[second_P] - x_N[first_P]
    rise_P = y_N[second_P] - y_N[first_P]
    differs_P = step_P > 0
    return Trend(float(np.median(rise_P[differs_P] / step_P[differs_P])), float(kendalltau(x_N, y_N).pvalue))


def queries_for_percentile(percentile: float, confidence: float = 0.99) -> int:
    """How many queries MLPerf's load generator needs for a tail percentile of latency.

    V. J. Reddi et al., "MLPerf Inference Benchmark", ISCA (2020), 446-459: so many that the share of queries within the
    percentile is known to +- a twentieth of the tail, by the normal interval of a proportion; rounded up to a multiple
    of 2^13. At 99 % confidence that is 24,576 for the 90th percentile and 270,336 for the 99th.

    Args:
        percentile: as a share, between 0 and 1, both excluded.
        confidence: of that interval, between 0 and 1, both excluded.

    Raises:
        DataError: a percentile or a confidence outside (0, 1).
    """
    _check_between("percentile", percentile, 0, 1)
    _check_between("confidence", confidence, 0, 1)
    margin = (1 - percentile) / 20
    z = NormalDist().inv_cdf((1 - confidence) / 2)
    queries = z * z * percentile * (1 - percentile) / margin**2
    # At least one block: a confidence or percentile next to 0 would need no query.
    return max(1, math.ceil(queries / 2**13)) * 2**13


def supported_percentiles(n: int) -> tuple[float, ...]:
    """List the percentiles of latency that n samples support, by `queries_for_percentile`.

    Args:
        n: how many samples there are. The median, 0.5, needs just one; none support nothing.

    Returns:
        As shares, ascending: those of 0.5, 0.9, 0.95, 0.97, 0.99 and 0.999 that are supported.

    Raises:
        DataError: a negative number.
    """
    if not n >= 0:
        raise DataError(f"{n} samples cannot be")
    if n == 0:
        return ()
    return 0.5, *(percentile for percentile in _TAIL_PERCENTILES if n >= queries_for_percentile(percentile))


def _numbers(value_N: Values, least: int, user: str) -> list[float]:
    """Return a list of floats, which sums faster than a small array; raise DataError for NaN or too few values."""
    value_L: list[float] = np.asarray(value_N, dtype=np.float64).tolist()
    if len(value_L) < least:
        count = f"{len(value_L)} value" if len(value_L) == 1 else f"{len(value_L)} values"
        raise DataError(f"{count}: {user} needs at least {least}")
    if not all(map(math.isfinite, value_L)):
        wrong = next(value for value in value_L if not math.isfinite(value))
        raise DataError(f"value {wrong}: {user} needs finite numbers")
    return value_L


def _check_between(name: str, value: float, low: float, high: float) -> None:
    if not low < value < high:
        raise DataError(f"{name} {value}: must lie between {low} and {high}")


def _check_size(name: str, value: float) -> None:
    if not 0 <= value < math.inf:
        raise DataError(f"{name} {value}: must be finite and not negative")


def _check_design(sd: float, n: int, level: float, gate: float) -> None:
    _check_size("sd", sd)
    if not n >= 2:
        raise DataError(f"n {n}: must be at least 2")
    _check_between("level", level, 0, 1)
    _check_size("gate", gate)


@lru_cache(maxsize=_PAIRS_KEPT_TO)
def _pairs_kept(n: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The pairs i <= j below n, each array int64 of shape (n (n + 1) / 2)."""
    return np.triu_indices(n)


def _mean_and_error(value_L: list[float]) -> tuple[float, float]:
    """The mean and its standard error, which is exactly 0 where all values are the same."""
    # Not by the residuals: the mean of equal values may differ from them in its last digit.
    if min(value_L) == max(value_L):
        return value_L[0], 0.0
    n = len(value_L)
    # fsum: whatever the order of the values, the mean is the same.
    mean = math.fsum(value_L) / n
    return mean, math.hypot(*[value - mean for value in value_L]) / math.sqrt(n * (n - 1))


def _interval(value_L: list[float], tail: float) -> tuple[float, float]:
    """Student's interval of the mean with probability `tail` beyond either end."""
    mean, error = _mean_and_error(value_L)
    if error == 0:
        return mean, mean
    half = _t_critical(len(value_L) - 1, tail) * error
    return mean - half, mean + half


def _t_critical(freedom: float, tail: float) -> float:
    """Return the value that Student's t exceeds with probability `tail`."""
    from scipy.special import stdtrit  # noqa: PLC0415 -- see the module's docstring

    return -float(stdtrit(freedom, tail))


@lru_cache(maxsize=1)
def _nodes() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Nodes and weights of Gauss and Legendre on 0 to 1, each of shape (64,)."""
    node_Q, weight_Q = np.polynomial.legendre.leggauss(64)
    return (node_Q + 1) / 2, weight_Q / 2


def _power(shift: float, floor: float, critical: float, freedom: int) -> float:
    """P(Z + shift > max(floor, critical S)), Z normal and S an independent chi of mean square 1: in standard errors."""
    from scipy.special import chdtr, ndtr  # noqa: PLC0415 -- see the module's docstring

    # Given S it is a normal tail: constant as long as the floor is the greater one, and but for 1e-18 it is 1 or 0 with
    # critical S 9 away from the shift. Only what is in between is integrated, and only where S is, 9.5 / sqrt(freedom)
    # around 1 but for 1e-18: there both factors are smooth. Over all of S the tail may be next to a step, at which
    # fixed nodes err by their spacing.
    turn = max(floor, shift - 9) / critical
    below = chdtr(freedom, freedom * turn * turn) * ndtr(min(shift - floor, 9.0))
    reach = 9.5 / math.sqrt(freedom)
    low, high = max(turn, 1 - reach), min((shift + 9) / critical, 1 + reach)
    if low >= high:
        return float(below)
    node_Q, weight_Q = _nodes()
    chi_Q = low + (high - low) * node_Q
    # The density of S, with what is large in both parts of its logarithm taken out of them.
    half = freedom / 2
    norm = math.log(2) + half * math.log(half) - half - math.lgamma(half)
    log_Q = np.log(chi_Q)
    density_Q = np.exp(norm + freedom * (log_Q - (chi_Q * chi_Q - 1) / 2) - log_Q)
    within = (high - low) * (weight_Q @ (density_Q * ndtr(shift - critical * chi_Q)))
    return min(1.0, float(below + within))

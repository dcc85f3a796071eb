"""Each function against SciPy or brute force, at its edges, and as a property; smallest differences by simulation."""

import itertools
import math
import statistics
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vecml.errors import DataError
from vecml.statistics import (
    Trend,
    bonferroni,
    equivalence_interval,
    hodges_lehmann,
    queries_for_percentile,
    robust_sd,
    supported_percentiles,
    t_interval,
    t_test,
    theil_sen,
    welch_interval,
)

# Multiples of 2^-10, so that sums and differences are exact and a property need not hold but for rounding.
exact = st.integers(-(2**20), 2**20).map(lambda count: count / 1024)
values = st.lists(exact, min_size=2, max_size=30)
spread_values = values.filter(lambda value_N: len(set(value_N)) > 1)

ONE_SAMPLE = [hodges_lehmann, robust_sd, t_interval, t_test, equivalence_interval]


def drawn(n: int, seed: int = 0) -> np.ndarray:
    """Log-ratios such as are measured: a difference of 2 % and a spread of 3 %."""
    return np.random.default_rng(seed).normal(0.02, 0.03, n)


def test_scipy_is_imported_where_it_is_needed_only() -> None:
    program = (
        "import sys; from vecml.statistics import *; from vecml.proportions import *\n"
        "wilson_interval(1, 2), hodges_lehmann([1, 2]), robust_sd([1, 2]), supported_percentiles(9), mcnemar(1, 2)\n"
        "print([m for m in sys.modules if m.startswith('scipy')])\n"
        "t_test([1, 2]), equivalence_interval([1, 2]), detection_power(1, 1, 5)\n"
        "print('scipy.special' in sys.modules, 'scipy.stats' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["[]", "True False"]


@pytest.mark.parametrize("function", ONE_SAMPLE)
def test_lists_tuples_and_arrays_are_the_same(function: Callable[[Any], Any]) -> None:
    value_N = drawn(9)
    kept_N = value_N.copy()
    assert function(value_N) == function(value_N.tolist()) == function(tuple(value_N)) == function(list(value_N))
    assert function(np.array([1, 2, 4])) == function([1.0, 2.0, 4.0])
    np.testing.assert_array_equal(value_N, kept_N)


@pytest.mark.parametrize("function", ONE_SAMPLE)
@pytest.mark.parametrize("wrong", [math.nan, math.inf, -math.inf])
def test_a_value_that_is_not_finite_is_named(function: Callable[[Any], Any], wrong: float) -> None:
    with pytest.raises(DataError, match=f"^value {wrong}: .* needs finite numbers$"):
        function([1.0, wrong, 2.0])


@pytest.mark.parametrize(
    ("function", "count", "message"),
    [
        (hodges_lehmann, 0, "0 values: a Hodges-Lehmann estimate needs at least 1"),
        (robust_sd, 0, "0 values: a spread needs at least 1"),
        (t_interval, 0, "0 values: Student's interval needs at least 2"),
        (t_interval, 1, "1 value: Student's interval needs at least 2"),
        (t_test, 1, "1 value: Student's test needs at least 2"),
        (equivalence_interval, 1, "1 value: a test of equivalence needs at least 2"),
    ],
)
def test_too_few_values_are_counted(function: Callable[[Any], Any], count: int, message: str) -> None:
    with pytest.raises(DataError, match=f"^{message}$"):
        function([0.5] * count)


@given(values, st.randoms(use_true_random=False))
def test_the_order_of_values_is_nothing(value_N: list[float], random: Any) -> None:
    shuffled_N = random.sample(value_N, len(value_N))
    for function in (hodges_lehmann, robust_sd, t_interval, t_test):
        assert function(shuffled_N) == pytest.approx(function(value_N), rel=1e-12)


# Hodges-Lehmann


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 10, 11, 40, 100, 101, 102])  # pairs of up to 100 are kept
def test_hodges_lehmann_is_the_median_of_walsh_averages(n: int) -> None:
    for value_N in (drawn(n), np.round(drawn(n, 1), 2)):  # the second with ties
        average_P = [(a + b) / 2 for a, b in itertools.combinations_with_replacement(value_N.tolist(), 2)]
        assert hodges_lehmann(value_N) == pytest.approx(statistics.median(average_P), rel=1e-14)


def test_hodges_lehmann_by_hand() -> None:
    assert hodges_lehmann([7.5]) == 7.5
    assert hodges_lehmann([1, 2]) == 1.5
    assert hodges_lehmann([0, 1, 5]) == 1.75  # 0 0.5 1 2.5 3 5
    assert hodges_lehmann([0.1] * 7) == 0.1
    # One of ten values far off moves it by little, wherever it is.
    assert abs(hodges_lehmann([*range(9), 1e9]) - 4) <= 1


@given(values, exact, st.sampled_from([-4.0, -1.0, 0.5, 2.0]))
def test_hodges_lehmann_moves_with_its_values(value_N: list[float], shift: float, scale: float) -> None:
    centre = hodges_lehmann(value_N)
    assert min(value_N) <= centre <= max(value_N)
    assert hodges_lehmann([scale * value + shift for value in value_N]) == scale * centre + shift
    assert hodges_lehmann([*value_N, *(-value for value in value_N)]) == 0


# The spread by medians


@pytest.mark.parametrize("n", [1, 2, 3, 10, 501])
def test_robust_sd_agrees_with_scipy(n: int) -> None:
    from scipy.stats import median_abs_deviation

    value_N = drawn(n)
    # SciPy's scale is exact, 1.482602...
    assert robust_sd(value_N) == pytest.approx(median_abs_deviation(value_N, scale="normal"), rel=1e-5)


def test_robust_sd_by_hand() -> None:
    assert robust_sd([3.0]) == 0
    assert robust_sd([0.1] * 3) == 0
    assert robust_sd([1, 1, 1, 8, 9]) == 0  # more than half are the same
    assert robust_sd([1, 2, 3, 4, 1000]) == 1.4826
    assert robust_sd(np.random.default_rng(0).normal(5, 3, 20_000)) == pytest.approx(3, rel=0.02)


@given(values, exact, st.sampled_from([-4.0, -1.0, 0.5, 2.0]))
def test_robust_sd_moves_with_the_scale_only(value_N: list[float], shift: float, scale: float) -> None:
    expected = abs(scale) * robust_sd(value_N)
    assert robust_sd([scale * value + shift for value in value_N]) == pytest.approx(expected, rel=1e-14)


# Student


@pytest.mark.parametrize("n", [2, 3, 5, 10, 40, 1000])
@pytest.mark.parametrize("confidence", [0.5, 0.9, 0.95, 0.99, 0.999999])
def test_t_interval_agrees_with_scipy(n: int, confidence: float) -> None:
    from scipy import stats

    value_N = drawn(n)
    expected = stats.t.interval(confidence, n - 1, loc=np.mean(value_N), scale=stats.sem(value_N))
    assert t_interval(value_N, confidence) == pytest.approx(expected, rel=1e-9)
    if confidence >= 0.9:
        expected = stats.ttest_1samp(value_N, 0).confidence_interval(confidence)
        assert t_interval(value_N, confidence) == pytest.approx((expected.low, expected.high), rel=1e-9)


@pytest.mark.parametrize("n", [2, 3, 5, 10, 40, 1000])
@pytest.mark.parametrize("offset", [0.0, -0.02, 0.1, 10.0])
def test_t_test_agrees_with_scipy(n: int, offset: float) -> None:
    from scipy.stats import ttest_1samp

    value_N = drawn(n) + offset
    assert t_test(value_N) == pytest.approx(ttest_1samp(value_N, 0).pvalue, rel=1e-8, abs=1e-300)


def test_without_spread_the_mean_is_all() -> None:
    for value in (0.1, 0.7, -1 / 3, 1e-300):
        for n in (2, 3, 7, 49):  # by sums the mean of 49 equal values may not be that value
            assert t_interval([value] * n) == (value, value)
            assert equivalence_interval([value] * n) == (value, value)
            assert t_test([value] * n) == 0.0
    assert t_interval([0.0, 0.0]) == (0.0, 0.0)
    assert t_test([0.0, 0.0]) == 1.0
    assert t_test([0.0, -0.0]) == 1.0


def test_tiny_spreads_are_spreads() -> None:
    # Their squares are 0.
    assert t_test([1e-200, 2e-200, 3e-200]) == pytest.approx(t_test([1.0, 2.0, 3.0]))
    assert t_interval([1e-200, 2e-200]) == pytest.approx([1e-200 * end for end in t_interval([1.0, 2.0])])


def test_t_test_at_its_ends() -> None:
    assert t_test([-1.0, 1.0]) == 1.0
    assert t_test([-3.0, 1.0, 2.0]) == 1.0
    assert t_test([1.0, 1.0 + 1e-15] * 20) < 1e-300


@given(spread_values, exact, st.sampled_from([0.5, 2.0, 1024.0]), st.floats(0.01, 0.99))
def test_t_interval_moves_with_its_values(value_N: list[float], shift: float, scale: float, confidence: float) -> None:
    low, high = t_interval(value_N, confidence)
    assert low < statistics.fmean(value_N) < high
    moved = t_interval([scale * value + shift for value in value_N], confidence)
    assert moved == pytest.approx((scale * low + shift, scale * high + shift), rel=1e-9, abs=1e-9)
    mirrored = t_interval([-value for value in value_N], confidence)
    assert mirrored == (-high, -low)


@given(spread_values, st.floats(0.001, 0.5))
def test_t_test_is_the_intervals(value_N: list[float], level: float) -> None:
    p = t_test(value_N)
    assert 0 <= p <= 1
    assert t_test([-value for value in value_N]) == p
    assert t_test([64 * value for value in value_N]) == p
    low, high = t_interval(value_N, 1 - level)
    if abs(p - level) > 1e-9:  # at p = level it is rounding that decides
        assert (p < level) == (not low <= 0 <= high)


@pytest.mark.parametrize("confidence", [0, 1, -0.5, 95, math.nan])
def test_a_confidence_outside_0_and_1_is_named(confidence: float) -> None:
    with pytest.raises(DataError, match=f"^confidence {confidence}: must lie between 0 and 1$"):
        t_interval([1.0, 2.0], confidence)


# Several tests at once


def test_bonferroni() -> None:
    assert bonferroni(0.05, 1) == 0.05
    assert bonferroni(0.05, 10) == 0.005
    with pytest.raises(DataError, match=r"^0 comparisons: must be at least 1$"):
        bonferroni(0.05, 0)
    for level in (0, 1, -0.1, math.nan):
        with pytest.raises(DataError, match=f"^level {level}: must lie between 0 and 1$"):
            bonferroni(level, 3)


# Equivalence


def equivalent(value_N: Any, bound: float, level: float = 0.05) -> bool:
    """Whether the interval shows that the ratio lies within 1 / (1 + bound) and 1 + bound."""
    low, high = equivalence_interval(value_N, level)
    return -math.log(1 + bound) <= low and high <= math.log(1 + bound)


@pytest.mark.parametrize("n", [2, 3, 10, 40])
@pytest.mark.parametrize("level", [0.001, 0.05, 0.2])
def test_equivalence_is_two_one_sided_tests(n: int, level: float) -> None:
    from scipy.stats import ttest_1samp

    value_N = drawn(n)
    assert equivalence_interval(value_N, level) == pytest.approx(t_interval(value_N, 1 - 2 * level), rel=1e-12)
    for bound in (0.001, 0.02, 0.03, 0.04, 0.06, 0.1, 1.0, 100.0):
        limit = math.log(1 + bound)
        above = ttest_1samp(value_N, -limit, alternative="greater").pvalue
        below = ttest_1samp(value_N, limit, alternative="less").pvalue
        assert equivalent(value_N, bound, level) == bool(max(above, below) <= level)


def test_equivalence_at_its_bounds() -> None:
    for ratio, bound in ((1.05, 0.05), (1.01, 0.01), (1.5, 0.5), (2.0, 1.0)):
        assert equivalent([math.log(ratio)] * 3, bound)
        assert equivalent([-math.log(ratio)] * 3, bound)
        assert not equivalent([math.log(ratio + 1e-9)] * 3, bound)
        assert not equivalent([-math.log(ratio + 1e-9)] * 3, bound)
    assert equivalent([0.0, 0.0], 0)
    assert not equivalent([0.0, 1e-9], 0)
    # The same mean: it is the spread that does not show equivalence.
    assert equivalent([-0.001, 0.001] * 5, 0.05)
    assert not equivalent([-0.2, 0.2] * 5, 0.05)


@given(values, st.floats(0, 10), st.floats(0.001, 0.49))
def test_equivalence_does_not_ask_which_came_first(value_N: list[float], bound: float, level: float) -> None:
    found = equivalent(value_N, bound, level)
    assert equivalent([-value for value in value_N], bound, level) == found
    if found:
        assert equivalent(value_N, 2 * bound, level)


def test_equivalence_names_what_is_wrong() -> None:
    for level in (0, 0.5, 0.95, math.nan):
        with pytest.raises(DataError, match=f"^level {level}: must lie between 0 and 0.5$"):
            equivalent([0.0, 1.0], 0.05, level)


# Trends


@pytest.mark.parametrize("n", [3, 4, 10, 33, 34, 200])
@pytest.mark.parametrize("ties", [False, True])
def test_trend_agrees_with_scipy(n: int, ties: bool) -> None:
    from scipy.stats import kendalltau, theilslopes

    rng = np.random.default_rng(n)
    x_N, y_N = rng.uniform(0, 10, n), rng.normal(size=n)
    y_N += 0.1 * x_N
    if ties:
        x_N, y_N = np.round(x_N / 3), np.round(y_N, 1)
        x_N[:2] = 0, 1  # not all the same
        y_N[:2] = 0, 1
    found = theil_sen(x_N, y_N)
    assert found.slope == pytest.approx(theilslopes(y_N, x_N).slope, rel=1e-12)
    assert found.p_value == pytest.approx(kendalltau(x_N, y_N).pvalue, rel=1e-9)


def test_trend_by_hand() -> None:
    straight = theil_sen([0, 1, 2, 3], [1.0, 3.0, 5.0, 7.0])
    assert straight == Trend(2.0, pytest.approx(2 / 24))  # of the 24 orders two are as strict
    assert theil_sen([3, 1, 0, 2], [7.0, 3.0, 1.0, 5.0]) == straight
    assert theil_sen([0, 0, 1], [0.0, 4.0, 1.0]).slope == -1.0  # of 1 and -3; two points at 0 have no slope
    y_N = np.arange(600.0)
    y_N[100] = 1e9
    found = theil_sen(np.arange(600), y_N)
    assert found.slope == pytest.approx(1.0)
    assert found.p_value < 1e-100


def test_a_trend_needs_three_points_and_differences() -> None:
    nothing = Trend(0.0, 1.0)
    assert theil_sen([], []) == nothing
    assert theil_sen([1.0], [2.0]) == nothing
    assert theil_sen([1.0, 2.0], [2.0, 3.0]) == nothing
    assert theil_sen([1.0, 1.0, 1.0], [1.0, 2.0, 3.0]) == nothing
    assert theil_sen([1.0, 2.0, 3.0], [0.1, 0.1, 0.1]) == nothing


def test_trend_names_what_is_wrong() -> None:
    with pytest.raises(DataError, match=r"^3 x and 2 y: a trend needs as many of either$"):
        theil_sen([1, 2, 3], [1, 2])
    with pytest.raises(DataError, match=r"^value nan: a trend needs finite numbers$"):
        theil_sen([1, 2, math.nan], [1, 2, 3])
    with pytest.raises(DataError, match=r"^value -inf: a trend needs finite numbers$"):
        theil_sen([1, 2, 3], [1, 2, -math.inf])


@given(st.lists(st.tuples(exact, exact), min_size=3, max_size=30), exact, st.sampled_from([0.5, 2.0, 8.0]))
def test_trend_moves_with_its_points(points: list[tuple[float, float]], shift: float, scale: float) -> None:
    x_N, y_N = zip(*points, strict=True)
    found = theil_sen(x_N, y_N)
    assert 0 <= found.p_value <= 1
    assert theil_sen(x_N[::-1], y_N[::-1]) == Trend(found.slope, pytest.approx(found.p_value))
    assert theil_sen(x_N, [scale * y + shift for y in y_N]) == Trend(scale * found.slope, found.p_value)
    assert theil_sen([scale * x + shift for x in x_N], y_N) == Trend(found.slope / scale, found.p_value)
    assert theil_sen(x_N, [-y for y in y_N]) == Trend(-found.slope, pytest.approx(found.p_value))


# Percentiles


@pytest.mark.parametrize(("percentile", "queries"), [(0.9, 24_576), (0.95, 57_344), (0.97, 90_112), (0.99, 270_336)])
def test_queries_are_those_of_mlperf(percentile: float, queries: int) -> None:
    assert queries_for_percentile(percentile) == queries


def test_queries_follow_the_formula() -> None:
    # MLPerf's rules, "Early Stopping Criterion": 23,886 inferences for 99 % confidence and a margin of 0.5 %.
    from scipy.special import ndtri

    assert round(ndtri(0.005) ** 2 * 0.9 * 0.1 / 0.005**2) == 23_886
    assert 23_886 <= queries_for_percentile(0.9) < 23_886 + 2**13
    assert queries_for_percentile(0.9, 0.95) < queries_for_percentile(0.9)
    assert queries_for_percentile(1e-9) == queries_for_percentile(0.9, 1e-9) == 2**13
    assert queries_for_percentile(0.9, 1e-17) == 2**13


@given(st.floats(0.01, 0.99999), st.floats(0.01, 0.99999))
def test_queries_are_whole_blocks_and_more_for_a_thinner_tail(first: float, second: float) -> None:
    low, high = sorted((first, second))
    assert queries_for_percentile(low) <= queries_for_percentile(high)
    assert queries_for_percentile(low) % 2**13 == 0
    assert queries_for_percentile(low) >= 2**13


def test_supported_percentiles() -> None:
    assert supported_percentiles(0) == ()
    assert supported_percentiles(1) == supported_percentiles(24_575) == (0.5,)
    assert supported_percentiles(24_576) == (0.5, 0.9)
    assert supported_percentiles(57_344) == (0.5, 0.9, 0.95)
    assert supported_percentiles(270_335) == (0.5, 0.9, 0.95, 0.97)
    assert supported_percentiles(270_336) == (0.5, 0.9, 0.95, 0.97, 0.99)
    assert supported_percentiles(queries_for_percentile(0.999)) == (0.5, 0.9, 0.95, 0.97, 0.99, 0.999)
    with pytest.raises(DataError, match=r"^-1 samples cannot be$"):
        supported_percentiles(-1)


@pytest.mark.parametrize("wrong", [0, 1, 99, -0.5, math.nan])
def test_a_percentile_that_is_no_share_is_named(wrong: float) -> None:
    with pytest.raises(DataError, match=f"^percentile {wrong}: must lie between 0 and 1$"):
        queries_for_percentile(wrong)
    with pytest.raises(DataError, match=f"^confidence {wrong}: must lie between 0 and 1$"):
        queries_for_percentile(0.9, wrong)


@given(spread_values, spread_values, st.floats(0.5, 0.999))
def test_welchs_interval_is_scipys(first: list[float], second: list[float], confidence: float) -> None:
    from scipy.stats import ttest_ind

    expected = ttest_ind(second, first, equal_var=False).confidence_interval(confidence)
    assert welch_interval(first, second, confidence) == pytest.approx((expected.low, expected.high), rel=1e-6, abs=1e-6)


def test_welchs_interval_of_values_without_spread_is_their_difference() -> None:
    assert welch_interval([1.0, 1.0], [3.0, 3.0, 3.0]) == (2.0, 2.0)


def test_welchs_interval_asks_for_two_values_of_each() -> None:
    with pytest.raises(DataError, match="Welch's interval"):
        welch_interval([1.0], [1.0, 2.0])

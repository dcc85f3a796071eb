"""Each function against SciPy or brute force, at its edges, and as a property; smallest differences by simulation."""

import itertools
import math
import re
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
    detection_power,
    equivalence_interval,
    hodges_lehmann,
    is_equivalent,
    loss_excluded,
    mcnemar,
    queries_for_percentile,
    robust_sd,
    smallest_detectable,
    supported_percentiles,
    t_interval,
    t_test,
    trend,
    welch_interval,
    wilson_interval,
)

# Multiples of 2^-10, so that sums and differences are exact and a property need not hold but for rounding.
exact = st.integers(-(2**20), 2**20).map(lambda count: count / 1024)
values = st.lists(exact, min_size=2, max_size=30)
spread_values = values.filter(lambda value_N: len(set(value_N)) > 1)

ONE_SAMPLE = [hodges_lehmann, robust_sd, t_interval, t_test, equivalence_interval]


def drawn(n: int, seed: int = 0) -> np.ndarray:
    """Log-ratios such as are measured: a difference of 2 % and a spread of 3 %."""
    return np.random.default_rng(seed).normal(0.02, 0.03, n)


@pytest.mark.parametrize("confidence", [0.5, 0.9, 0.95, 0.99, 0.999999])
@pytest.mark.parametrize(
    ("successes", "trials"), [(0, 1), (1, 1), (0, 1000), (1000, 1000), (1, 2), (7, 10), (3, 10**9)]
)
def test_agrees_with_scipy(successes: int, trials: int, confidence: float) -> None:
    from scipy.stats import binomtest

    expected = binomtest(successes, trials).proportion_ci(confidence, method="wilson")
    # abs: at 0 successes scipy leaves a rounding error of 1e-17 where the end is exactly 0.
    assert wilson_interval(successes, trials, confidence) == pytest.approx((expected.low, expected.high), abs=1e-13)


def test_published_example() -> None:
    # R. G. Newcombe, Statistics in Medicine 17 (1998), 857-872, table I: 81 of 263, Wilson without correction.
    low, high = wilson_interval(81, 263)
    assert (round(low, 4), round(high, 4)) == (0.2553, 0.3662)


def test_edges_are_exact() -> None:
    assert wilson_interval(0, 0) == (0.0, 1.0)
    for trials in range(1, 500):
        assert wilson_interval(0, trials)[0] == 0.0
        assert wilson_interval(trials, trials)[1] == 1.0


@given(st.integers(1, 10**7).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), st.floats(0.01, 0.9999))
def test_holds_the_share_and_mirrors(counts: tuple[int, int], confidence: float) -> None:
    successes, trials = counts
    low, high = wilson_interval(successes, trials, confidence)
    assert 0 <= low <= successes / trials + 1e-15
    assert successes / trials - 1e-15 <= high <= 1
    mirrored_low, mirrored_high = wilson_interval(trials - successes, trials, confidence)
    assert (1 - mirrored_high, 1 - mirrored_low) == pytest.approx((low, high), abs=1e-12)


@given(st.integers(0, 100), st.floats(0.01, 0.98))
def test_more_confidence_is_wider(successes: int, confidence: float) -> None:
    low, high = wilson_interval(successes, 100, confidence)
    wider_low, wider_high = wilson_interval(successes, 100, confidence + 0.01)
    assert wider_low <= low < high <= wider_high


@pytest.mark.parametrize(("successes", "trials"), [(-1, 5), (6, 5), (0, -1)])
def test_impossible_counts_are_named(successes: int, trials: int) -> None:
    with pytest.raises(DataError, match=f"{successes} successes in {trials} trials"):
        wilson_interval(successes, trials)


@pytest.mark.parametrize("confidence", [0, 1, -0.5, 95, float("nan")])
def test_confidence_outside_0_and_1_is_named(confidence: float) -> None:
    with pytest.raises(DataError, match=f"confidence {confidence}"):
        wilson_interval(1, 2, confidence)


def test_scipy_is_imported_where_it_is_needed_only() -> None:
    program = (
        "import sys; from vecml.statistics import *\n"
        "wilson_interval(1, 2), hodges_lehmann([1, 2]), robust_sd([1, 2]), supported_percentiles(9), mcnemar(1, 2)\n"
        "print([m for m in sys.modules if m.startswith('scipy')])\n"
        "t_test([1, 2]), is_equivalent([1, 2], 0.1), mcnemar(1, 3), detection_power(1, 1, 5)\n"
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
        assert is_equivalent(value_N, bound, level) == bool(max(above, below) <= level)


def test_equivalence_at_its_bounds() -> None:
    for ratio, bound in ((1.05, 0.05), (1.01, 0.01), (1.5, 0.5), (2.0, 1.0)):
        assert is_equivalent([math.log(ratio)] * 3, bound)
        assert is_equivalent([-math.log(ratio)] * 3, bound)
        assert not is_equivalent([math.log(ratio + 1e-9)] * 3, bound)
        assert not is_equivalent([-math.log(ratio + 1e-9)] * 3, bound)
    assert is_equivalent([0.0, 0.0], 0)
    assert not is_equivalent([0.0, 1e-9], 0)
    # The same mean: it is the spread that does not show equivalence.
    assert is_equivalent([-0.001, 0.001] * 5, 0.05)
    assert not is_equivalent([-0.2, 0.2] * 5, 0.05)


@given(values, st.floats(0, 10), st.floats(0.001, 0.49))
def test_equivalence_does_not_ask_which_came_first(value_N: list[float], bound: float, level: float) -> None:
    found = is_equivalent(value_N, bound, level)
    assert is_equivalent([-value for value in value_N], bound, level) == found
    if found:
        assert is_equivalent(value_N, 2 * bound, level)


def test_equivalence_names_what_is_wrong() -> None:
    for level in (0, 0.5, 0.95, math.nan):
        with pytest.raises(DataError, match=f"^level {level}: must lie between 0 and 0.5$"):
            is_equivalent([0.0, 1.0], 0.05, level)
    for bound in (-0.05, math.nan, math.inf):
        with pytest.raises(DataError, match=f"^bound {bound}: must be finite and not negative$"):
            is_equivalent([0.0, 1.0], bound)


# Power


@pytest.mark.parametrize("n", [2, 3, 5, 10, 40, 1000])
@pytest.mark.parametrize("level", [1e-6, 0.05 / 30, 0.05, 0.5])
def test_power_without_a_gate_is_a_noncentral_t(n: int, level: float) -> None:
    from scipy.stats import nct, t

    sd = 0.03
    for shift in (0.0, 0.1, 0.5, 1.0, 2.0, 3.0, 5.0, 8.0, 15.0):
        expected = nct.sf(t.isf(level / 2, n - 1), n - 1, shift)
        assert detection_power(shift * sd / math.sqrt(n), sd, n, level) == pytest.approx(expected, abs=1e-8)


@pytest.mark.parametrize("n", [2, 3, 10, 200])
@pytest.mark.parametrize("gate", [0.001, 0.01, 0.03, 0.2])
def test_power_with_a_gate_is_an_integral_over_the_mean(n: int, gate: float) -> None:
    # The other way round: over the mean above the gate, of how often the standard deviation is small enough for it.
    from scipy.integrate import quad
    from scipy.stats import chi2, norm, t

    sd, level = 0.02, 0.01
    error = sd / math.sqrt(n)
    critical = t.isf(level / 2, n - 1)
    for difference in (0.0, 0.005, 0.02, 0.05, 0.3):

        def density(mean: float, centre: float = difference) -> float:
            small = chi2.cdf((n - 1) * (mean / critical / error) ** 2, n - 1)
            return float(norm.pdf(mean, centre, error) * small)

        start = max(gate, difference - 10 * error)
        expected = quad(density, start, max(start, difference) + 10 * error, limit=200, epsabs=1e-9)[0]
        assert detection_power(difference, sd, n, level, gate) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("n", "level", "gate"), [(5, 0.05, 0.0), (10, 0.05 / 12, 0.0), (10, 0.05, 0.02), (3, 0.2, 0.05)]
)
def test_smallest_detectable_is_found_as_often_as_it_says(n: int, level: float, gate: float) -> None:
    sd = 0.03
    difference = smallest_detectable(sd, n, level, 0.9, gate)
    # 20,000 draws know a share of 0.9 to +- 0.002; vectorised, and so with the formulas written out.
    value_DN = np.random.default_rng(n).normal(difference, sd, (20_000, n))
    low, _ = np.array([t_interval(value_N, 1 - level) for value_N in value_DN[:200]]).T
    mean_D = value_DN.mean(axis=1)
    from scipy.stats import t

    low_D = mean_D - t.isf(level / 2, n - 1) * value_DN.std(axis=1, ddof=1) / math.sqrt(n)
    np.testing.assert_allclose(low_D[:200], low, rtol=1e-9, atol=1e-12)
    found_D = (low_D > 0) & (mean_D > gate)
    assert found_D.mean() == pytest.approx(0.9, abs=0.02)
    assert detection_power(difference, sd, n, level, gate) == pytest.approx(found_D.mean(), abs=0.02)


@given(
    st.floats(0.001, 0.5),
    st.integers(2, 60),
    st.floats(0.0001, 0.5),
    st.floats(0.5, 0.999),
    st.just(0.0) | st.floats(0.001, 0.3),
)
def test_smallest_detectable_has_the_power(sd: float, n: int, level: float, power: float, gate: float) -> None:
    difference = smallest_detectable(sd, n, level, power, gate)
    assert detection_power(difference, sd, n, level, gate) == pytest.approx(power, abs=1e-9)
    # More values, less spread, no gate and a test that is less strict find as little or less. (Not below a power of a
    # half: there it is by chance only that a mean exceeds the gate, and more spread helps.)
    most = difference * (1 + 1e-9)
    assert smallest_detectable(sd, 2 * n, level, power, gate) <= most
    assert smallest_detectable(sd / 2, n, level, power, gate) <= most
    assert smallest_detectable(sd, n, level, power) <= most
    assert smallest_detectable(sd, n, level * 1.9, power, gate) <= most
    assert smallest_detectable(4 * sd, n, level, power, 4 * gate) == pytest.approx(4 * difference, rel=1e-9)


@given(
    st.floats(0, 1), st.floats(0, 1), st.floats(0.001, 1), st.integers(2, 100), st.floats(1e-6, 0.9), st.floats(0, 1)
)
def test_power_rises_with_the_difference_and_falls_with_the_gate(
    first: float, second: float, sd: float, n: int, level: float, gate: float
) -> None:
    small, large = sorted((first, second))
    low, high = detection_power(small, sd, n, level, gate), detection_power(large, sd, n, level, gate)
    assert 0 <= low <= high + 1e-12 <= 1 + 1e-12
    assert high <= detection_power(large, sd, n, level) + 1e-12


def test_power_at_its_edges() -> None:
    # Nothing to be found is found on this side by half of the level.
    assert detection_power(0.0, 0.1, 7, 0.05) == pytest.approx(0.025, abs=1e-12)
    assert detection_power(0.0, 0.1, 7, 0.001) == pytest.approx(0.0005, abs=1e-12)
    assert detection_power(50.0, 0.1, 7) == 1.0
    # At a gate that every significant mean exceeds by far it says nothing; where all are significant it is all.
    assert detection_power(0.1, 0.1, 3, 0.01, 1e-9) == pytest.approx(detection_power(0.1, 0.1, 3, 0.01), abs=1e-9)
    assert detection_power(0.5, 0.01, 100, 0.05, 0.5) == pytest.approx(0.5, abs=1e-12)
    assert detection_power(0.1, 0.01, 100, 0.05, 0.5) == 0.0
    # No spread.
    assert detection_power(0.02, 0.0, 2) == 1.0
    assert detection_power(0.0, 0.0, 2) == 0.0
    assert detection_power(0.02, 0.0, 2, 0.05, 0.02) == 0.0
    assert detection_power(0.021, 0.0, 2, 0.05, 0.02) == 1.0
    assert smallest_detectable(0.0, 2) == 0.0
    assert smallest_detectable(0.0, 2, gate=0.02) == 0.02
    # A spread of rounding only.
    assert smallest_detectable(1e-17, 10, gate=0.02) == pytest.approx(0.02, abs=1e-16)
    assert detection_power(0.03, 1e-17, 10, gate=0.02) == 1.0
    assert detection_power(0.01, 1e-17, 10, gate=0.02) == 0.0


def test_a_power_that_nothing_has_takes_no_difference() -> None:
    assert smallest_detectable(0.1, 5, level=0.5, power=0.2) == 0.0
    assert smallest_detectable(0.1, 5, level=0.5, power=0.26) > 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sd": -0.1}, "sd -0.1: must be finite and not negative"),
        ({"sd": math.nan}, "sd nan: must be finite and not negative"),
        ({"sd": math.inf}, "sd inf: must be finite and not negative"),
        ({"n": 1}, "n 1: must be at least 2"),
        ({"sd": 0.0, "n": 1}, "n 1: must be at least 2"),
        ({"level": 0}, "level 0: must lie between 0 and 1"),
        ({"level": 1.5}, "level 1.5: must lie between 0 and 1"),
        ({"gate": -0.01}, "gate -0.01: must be finite and not negative"),
        ({"gate": math.inf}, "gate inf: must be finite and not negative"),
    ],
)
def test_power_names_what_is_wrong(change: dict[str, Any], message: str) -> None:
    arguments: dict[str, Any] = {"sd": 0.1, "n": 5} | change
    with pytest.raises(DataError, match=f"^{re.escape(message)}$"):
        detection_power(0.1, **arguments)
    with pytest.raises(DataError, match=f"^{re.escape(message)}$"):
        smallest_detectable(**arguments)


def test_a_difference_or_power_that_cannot_be_is_named() -> None:
    with pytest.raises(DataError, match=r"^difference -0\.1: must be finite and not negative$"):
        detection_power(-0.1, 0.1, 5)
    for power in (0, 1, 90, math.nan):
        with pytest.raises(DataError, match=f"^power {power}: must lie between 0 and 1$"):
            smallest_detectable(0.1, 5, power=power)


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
    found = trend(x_N, y_N)
    assert found.slope == pytest.approx(theilslopes(y_N, x_N).slope, rel=1e-12)
    assert found.p_value == pytest.approx(kendalltau(x_N, y_N).pvalue, rel=1e-9)


def test_trend_by_hand() -> None:
    straight = trend([0, 1, 2, 3], [1.0, 3.0, 5.0, 7.0])
    assert straight == Trend(2.0, pytest.approx(2 / 24))  # of the 24 orders two are as strict
    assert trend([3, 1, 0, 2], [7.0, 3.0, 1.0, 5.0]) == straight
    assert trend([0, 0, 1], [0.0, 4.0, 1.0]).slope == -1.0  # of 1 and -3; two points at 0 have no slope
    y_N = np.arange(600.0)
    y_N[100] = 1e9
    found = trend(np.arange(600), y_N)
    assert found.slope == pytest.approx(1.0)
    assert found.p_value < 1e-100


def test_a_trend_needs_three_points_and_differences() -> None:
    nothing = Trend(0.0, 1.0)
    assert trend([], []) == nothing
    assert trend([1.0], [2.0]) == nothing
    assert trend([1.0, 2.0], [2.0, 3.0]) == nothing
    assert trend([1.0, 1.0, 1.0], [1.0, 2.0, 3.0]) == nothing
    assert trend([1.0, 2.0, 3.0], [0.1, 0.1, 0.1]) == nothing


def test_trend_names_what_is_wrong() -> None:
    with pytest.raises(DataError, match=r"^3 x and 2 y: a trend needs as many of either$"):
        trend([1, 2, 3], [1, 2])
    with pytest.raises(DataError, match=r"^value nan: a trend needs finite numbers$"):
        trend([1, 2, math.nan], [1, 2, 3])
    with pytest.raises(DataError, match=r"^value -inf: a trend needs finite numbers$"):
        trend([1, 2, 3], [1, 2, -math.inf])


@given(st.lists(st.tuples(exact, exact), min_size=3, max_size=30), exact, st.sampled_from([0.5, 2.0, 8.0]))
def test_trend_moves_with_its_points(points: list[tuple[float, float]], shift: float, scale: float) -> None:
    x_N, y_N = zip(*points, strict=True)
    found = trend(x_N, y_N)
    assert 0 <= found.p_value <= 1
    assert trend(x_N[::-1], y_N[::-1]) == Trend(found.slope, pytest.approx(found.p_value))
    assert trend(x_N, [scale * y + shift for y in y_N]) == Trend(scale * found.slope, found.p_value)
    assert trend([scale * x + shift for x in x_N], y_N) == Trend(found.slope / scale, found.p_value)
    assert trend(x_N, [-y for y in y_N]) == Trend(-found.slope, pytest.approx(found.p_value))


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


# McNemar


@pytest.mark.parametrize(
    "counts", [(0, 1), (0, 5), (1, 0), (2, 9), (5, 6), (10, 10), (7, 40), (400, 500), (10**6, 10**6 + 3000)]
)
def test_mcnemar_agrees_with_scipy(counts: tuple[int, int]) -> None:
    from scipy.stats import binomtest

    expected = binomtest(counts[0], sum(counts), 0.5).pvalue
    assert mcnemar(*counts) == pytest.approx(expected, rel=1e-9)


def test_mcnemar_at_its_edges() -> None:
    assert mcnemar(0, 0) == mcnemar(1, 1) == mcnemar(500, 500) == mcnemar(0, 1) == mcnemar(5, 6) == 1.0
    assert mcnemar(0, 6) == 2 / 2**6
    for counts in ((-1, 3), (3, -1)):
        with pytest.raises(DataError, match=f"^{counts[0]} and {counts[1]} discordant rows cannot be$"):
            mcnemar(*counts)


@given(st.integers(0, 10**6), st.integers(0, 10**6))
def test_mcnemar_is_symmetric_and_falls_with_the_difference(first: int, second: int) -> None:
    p = mcnemar(first, second)
    assert 0 <= p <= 1
    assert mcnemar(second, first) == p
    assert mcnemar(min(first, second), max(first, second) + 1) <= p * (1 + 1e-9)


@pytest.mark.parametrize("margin", [0.01, 0.05, 0.3])
@pytest.mark.parametrize("counts", [(0, 0, 100), (1, 0, 100), (5, 2, 50), (0, 9, 300), (40, 41, 90), (12, 0, 12)])
def test_an_excluded_loss_is_by_the_likeliest_shares_of_that_loss(counts: tuple[int, int, int], margin: float) -> None:
    """Its variance is that of the shares that a numeric search finds likeliest."""
    from scipy.optimize import minimize_scalar
    from scipy.special import xlogy
    from scipy.stats import norm

    first, second, n = counts

    def unlikely(share: float) -> float:
        rest = max(0.0, 1 - 2 * share - margin)
        return -float(xlogy(first, share + margin) + xlogy(second, share) + xlogy(n - first - second, rest))

    found = minimize_scalar(unlikely, bounds=(0, (1 - margin) / 2), method="bounded", options={"xatol": 1e-12})
    ends = [0.0, (1 - margin) / 2]
    share = min([found.x, *ends], key=unlikely)
    deviation = math.sqrt(n * (2 * share + margin * (1 - margin)))
    expected = norm.cdf((first - second - n * margin) / deviation)
    assert loss_excluded(first, second, n, margin) == pytest.approx(expected, rel=1e-4)


def test_an_excluded_loss_holds_its_level() -> None:
    """Of rows that do lose the margin it is excluded about as seldom as the level says."""
    rng = np.random.default_rng(0)
    draws = rng.multinomial(2_000, [0.03, 0.02, 0.95], size=4_000)
    share = np.mean([loss_excluded(int(first), int(second), 2_000, 0.01) < 0.05 for first, second, _ in draws])
    assert 0.03 < share < 0.065


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((-1, 3, 10, 0.01), "-1 and 3 discordant rows cannot be"),
        ((3, 4, 6, 0.01), "3 and 4 discordant rows of 6 cannot be"),
        ((0, 0, 0, 0.01), "0 and 0 discordant rows of 0 cannot be"),
        ((1, 1, 5, 0.0), "margin 0.0: must lie between 0 and 1"),
    ],
)
def test_an_excluded_loss_refuses_what_cannot_be(arguments: tuple[int, int, int, float], message: str) -> None:
    with pytest.raises(DataError, match=f"^{re.escape(message)}$"):
        loss_excluded(*arguments)


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

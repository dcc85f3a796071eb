"""Intervals of comparisons that stop by their width: what they cover, simulated launch by launch, and a mutation."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from tests.measure.made_verdicts import SPREAD, base, fast, geometric, verdict_of
from vecml.comparison.budget import AUTO_FIRST, AUTO_LAUNCHES
from vecml.measure.records import Plan
from vecml.measure.verdict import STOPPED_BY_WIDTH, Rules, shared_level

COMPARISONS = 20_000
# of a launch's log-ratio: smaller ones stop at the first chance, larger ones never do
SPREADS = (0.03, 0.04, 0.045, 0.05, 0.055, 0.06, 0.065, 0.07, 0.08)


def coverage(sd: float, level: float) -> float:
    """The share of intervals that hold the truth, where launches are added until the interval is narrow enough."""
    value_NL: NDArray[np.float64] = np.random.default_rng(1).normal(0.0, sd, (COMPARISONS, AUTO_LAUNCHES))
    going_N = np.ones(COMPARISONS, bool)
    covered = 0
    for launches in range(AUTO_FIRST, AUTO_LAUNCHES + 1):
        mean_N = value_NL[:, :launches].mean(axis=1)
        error_N = value_NL[:, :launches].std(axis=1, ddof=1) / math.sqrt(launches)
        half_N = stats.t.ppf(1 - level / 2, launches - 1) * error_N
        narrow_N = half_N <= math.log1p(Rules().equivalence)
        ends_N = going_N & (narrow_N | (launches == AUTO_LAUNCHES))
        covered += int(np.count_nonzero(np.abs(mean_N[ends_N]) <= half_N[ends_N]))
        going_N &= ~ends_N
    return covered / COMPARISONS


@pytest.mark.parametrize("sd", SPREADS)
def test_intervals_cover_what_they_say_wherever_they_stop(sd: float) -> None:
    error = math.sqrt(0.05 * 0.95 / COMPARISONS)
    assert coverage(sd, shared_level(Rules(), 1, stops_by_width=True)) >= 0.95 - 2 * error


def test_the_whole_level_is_caught() -> None:
    assert min(coverage(sd, Rules().level) for sd in SPREADS) < 0.94


def test_the_level_of_a_comparison_that_may_stop_is_smaller() -> None:
    plan = Plan(launches=AUTO_FIRST, most_launches=AUTO_LAUNCHES)
    found = verdict_of(base(), fast("other", SPREAD), plan=plan)
    value_N = np.log(SPREAD)
    wide = 1 - 0.05 * STOPPED_BY_WIDTH
    low, high = stats.t.interval(wide, len(value_N) - 1, np.mean(value_N), stats.sem(value_N))
    assert found.ratio == pytest.approx(geometric(SPREAD), rel=1e-12)
    assert (found.ratio_low, found.ratio_high) == pytest.approx((math.exp(low), math.exp(high)), rel=1e-9)
    p_value = stats.ttest_1samp(value_N, 0).pvalue
    assert found.p_value == pytest.approx(p_value / STOPPED_BY_WIDTH, rel=1e-6)

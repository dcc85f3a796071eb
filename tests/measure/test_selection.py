"""The best of seven equal settings is picked by the figures that it is praised by: what its interval covers then."""

import math

import numpy as np
import pytest

from tests.measure.made_verdicts import fast, record
from vecml.measure.verdict import Rules, judge
from vecml.statistics import bonferroni, t_interval

ARMS, LAUNCHES, ROUNDS = 7, 5, 2
COMPARISONS = 250
SD = 0.03  # of a process's own luck, log scale; the baseline has its own in each launch, which all ratios share


def claimed(seed: int) -> tuple[float, float, float, np.ndarray]:
    """The ratio with its interval of the arm with the highest ratio, and that arm's log-ratios, a launch each."""
    luck_AL = np.random.default_rng(seed).normal(0.0, SD, (ARMS + 1, LAUNCHES))
    baseline, *arms = [
        fast(f"arm {number}", list(np.exp(luck_L)), "arm" if number else "baseline", rounds=ROUNDS)
        for number, luck_L in enumerate(luck_AL)
    ]
    (family,) = judge(record(baseline, *arms), Rules())
    best = max(family.verdicts, key=lambda verdict: verdict.ratio or 0.0)
    assert best.ratio is not None
    assert best.ratio_low is not None
    assert best.ratio_high is not None
    number = int(best.arm.removeprefix("arm "))
    return best.ratio, best.ratio_low, best.ratio_high, luck_AL[number] - luck_AL[0]


@pytest.fixture(scope="module")
def comparisons() -> list[tuple[float, float, float, np.ndarray]]:
    return [claimed(seed) for seed in range(COMPARISONS)]


def test_the_claimed_interval_covers_the_truth(comparisons: list[tuple[float, float, float, np.ndarray]]) -> None:
    covered = sum(low <= 1.0 <= high for _, low, high, _ in comparisons)
    assert covered / COMPARISONS >= 0.94


def test_an_interval_that_forgets_the_selection_is_caught(
    comparisons: list[tuple[float, float, float, np.ndarray]],
) -> None:
    """The mutation: the level is not shared by the seven."""
    assert bonferroni(0.05, ARMS) == pytest.approx(0.05 / 7)
    covered = 0
    for _, _, _, value_L in comparisons:
        low, high = t_interval(value_L, 0.95)
        covered += low <= 0.0 <= high
    assert covered / COMPARISONS < 0.90


def test_the_claimed_ratio_itself_is_too_high(comparisons: list[tuple[float, float, float, np.ndarray]]) -> None:
    """What is measured once praises its winner: by about one standard error of an arm, which the interval holds."""
    excess = float(np.mean([math.log(ratio) for ratio, _, _, _ in comparisons]))
    assert 0.01 < excess < 0.03

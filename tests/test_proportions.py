"""Each test and interval of counts against SciPy or brute force, at its edges, and as a property."""

import math
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vecml.errors import DataError
from vecml.proportions import loss_excluded, mcnemar, wilson_interval


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

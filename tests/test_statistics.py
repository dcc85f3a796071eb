"""The Wilson interval against scipy, at its edges, and as a property."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vecml.errors import DataError
from vecml.statistics import wilson_interval


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

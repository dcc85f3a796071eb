"""Evidence against sums made by other means: every level and spread, the likelihood written out."""

import math

import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import expon, lognorm, norm

from vecml.history import evidence as module
from vecml.history.evidence import Evidence, total


def log_density(distance: np.ndarray, sd: float) -> np.ndarray:
    """The mixture, from scipy's own densities."""
    slow = 0.085 * expon(scale=0.30).pdf(-distance)
    fast = 0.015 * expon(scale=0.10).pdf(distance)
    return np.log(0.9 * norm(scale=sd).pdf(distance) + slow + fast)


def slowly(values: np.ndarray, place: int) -> tuple[float, float]:
    """Both log Bayes factors of a change at `place`, level by level."""
    made = Evidence(values)
    prior = norm.pdf(np.log(module.SD_S), math.log(module.SD_CENTRE), math.log(2))
    prior /= prior.sum()
    levels = made.level_G
    apart = np.abs(levels[:, None] - levels)
    size = lognorm(math.log(1.6), scale=0.10).logpdf(np.maximum(apart, 1e-9))
    rounded = np.round((values[:, None] - levels) / module.STEP) * module.STEP
    whole, slower, faster = [], [], []
    for sd, weight in zip(module.SD_S, prior, strict=True):
        each = log_density(rounded, sd)
        before, after = each[:place].sum(axis=0), each[place:].sum(axis=0)
        whole += list(before + after + math.log(weight))
        for i, j in np.ndindex(apart.shape):
            if apart[i, j] >= module.LEAST_SHIFT:
                joint = before[i] + after[j] + math.log(weight) + math.log(made.spacing) + size[i, j]
                (slower if levels[i] > levels[j] else faster).append(joint)
    return logsumexp(slower) - logsumexp(whole), logsumexp(faster) - logsumexp(whole)


@pytest.mark.parametrize("place", [3, 6, 8])
def test_a_split_is_what_a_sum_over_all_levels_gives(place: int) -> None:
    values = 5 + np.random.default_rng(3).normal(0, 0.02, 11)
    values[6:] -= 0.08
    values[2] -= 0.4
    found = Evidence(values).split(0, 11, np.array([place]))
    slower, faster = slowly(values, place)
    assert found.slower_J[0] == pytest.approx(slower, abs=0.02)
    assert found.faster_J[0] == pytest.approx(faster, abs=0.02)


def test_evidence_does_not_depend_on_the_unit() -> None:
    values = np.random.default_rng(1).normal(0, 0.03, 20)
    places = np.arange(8, 18)
    here = Evidence(values).split(0, 20, places)
    there = Evidence(values + math.log(1000)).split(0, 20, places)
    assert here.slower_J == pytest.approx(there.slower_J, abs=0.1)


def test_one_outlier_says_little_and_three_sittings_that_agree_say_much() -> None:
    values = np.random.default_rng(2).normal(0, 0.02, 20)
    last = np.append(values, -0.3)
    assert Evidence(last).split(0, 21, np.array([20])).slower_J[0] < 2
    agreeing = np.append(values, [-0.3, -0.29, -0.31])
    assert Evidence(agreeing).split(0, 23, np.array([20])).slower_J[0] > 8
    apart = np.append(values, [-0.3, -0.7, -0.02])
    assert Evidence(apart).split(0, 23, np.array([20])).slower_J[0] < 2


def test_a_level_is_the_mean_of_clean_sittings_with_its_error() -> None:
    values = np.random.default_rng(4).normal(1.0, 0.03, 40)
    values[::10] -= 0.5
    found = Evidence(values).level(0, 40)
    clean = np.delete(values, slice(None, None, 10))
    assert found.mean == pytest.approx(clean.mean(), abs=0.004)
    assert found.sd == pytest.approx(0.03 / math.sqrt(36), rel=0.3)


def test_the_edges() -> None:
    same = Evidence(np.full(12, 7.0))
    found = same.split(0, 12, np.array([8]))
    assert np.isfinite(found.slower_J).all()
    assert found.slower_J[0] < 0
    assert same.level(0, 12).mean == pytest.approx(7.0, abs=0.003)
    wild = Evidence(np.log(np.array([1.0, 1e6] * 10)))  # 400 levels, wide apart
    assert len(wild.level_G) <= module.MOST_LEVELS + 20
    assert not np.isnan(wild.split(0, 20, np.array([8, 10])).slower_J).any()
    assert Evidence(np.array([3.0])).level(0, 1).mean == pytest.approx(3.0, abs=0.01)


def test_the_sum_of_odds() -> None:
    assert total(np.array([math.log(2), math.log(3)])) == pytest.approx(math.log(5))
    assert total(np.array([])) == -math.inf
    assert total(np.array([-math.inf])) == -math.inf

"""Bayes factors: how much more likely the sittings are with a change of level at a place than without a change.

Most sittings are clean: normally distributed about their level. One in ten is an outlier: exponentially far off, mostly
slow. Levels and spread are not known, so they are integrated out; the ratio of the two evidences is a Bayes factor. One
outlier changes it little, because the outliers' density explains it; several in a row that agree with each other are a
new level.

Sources: P. Fearnhead, "Exact and efficient Bayesian inference for multiple changepoint problems", Statistics and
Computing 16 (2006), 203-213 (evidence of a segment with its level integrated out); P. Fearnhead and G. Rigaill,
"Changepoint detection in the presence of outliers", JASA 114 (2019), 169-183 (a bounded loss, or outliers are taken
for changes); G. E. P. Box and G. C. Tiao, "A Bayesian approach to some outlier problems", Biometrika 55 (1968), 119-129
(the mixture).
"""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Places = NDArray[np.intp]

SLOW_SHARE, SLOW_MEAN = 0.085, 0.30  # outliers, and how far off they are in the mean, in logarithms
FAST_SHARE, FAST_MEAN = 0.015, 0.10
SD_S = np.array([0.010, 0.0165, 0.027, 0.045, 0.075, 0.125, 0.21])  # of clean sittings; finer than 1 % is taken for 1 %
SD_CENTRE, SD_FACTOR = 0.03, 2.0  # the prior's middle, and its one standard deviation
SPACING = 0.006  # of the levels that are summed over, under two thirds of the least spread
MOST_LEVELS = 400
MARGIN = 0.04  # beyond the outermost medians of three
SHIFT_CENTRE, SHIFT_FACTOR = 0.10, 1.6  # prior of a change's size: lognormal about it, with this one standard deviation
LEAST_SHIFT = 0.02  # a smaller change is none: two settings within 3 % of each other are equivalent
STEP = 0.001  # of the table of densities
FARTHEST = 4.0  # in the table; what is farther off counts as this far


@dataclass(frozen=True)
class Split:
    """The evidence for a change at each of several places, as natural logarithms of Bayes factors.

    Attributes:
        place_J: intp; the first sitting of the new level.
        slower_J, faster_J: float64; evidence for a change to a lower rate, and to a higher rate.
    """

    place_J: Places
    slower_J: Floats
    faster_J: Floats


@dataclass(frozen=True)
class Level:
    """A level with its uncertainty: mean and standard deviation of its posterior, in logarithms."""

    mean: float
    sd: float


class Evidence:
    """The likelihoods of a sequence of sittings, stored as sums so that any part of it can be split quickly."""

    def __init__(self, value_N: Floats) -> None:
        """value_N: float64, logarithms of rates, in the order of time; at least one."""
        low, high = _range(value_N)
        self.spacing = max(SPACING, (high - low) / MOST_LEVELS)
        self.level_G: Floats = np.arange(low, high + self.spacing, self.spacing, dtype=np.float64)
        kept_S = 1.5 * self.spacing <= SD_S
        kept_S[-1] = True
        step_NG = np.rint((value_N[:, None] - self.level_G) / STEP)
        edge = round(FARTHEST / STEP)
        place_NG = np.clip(step_NG, -edge, edge).astype(np.intp) + edge
        self._sum_NGS = np.zeros((len(value_N) + 1, len(self.level_G), int(kept_S.sum())))
        np.cumsum(_densities()[place_NG][:, :, kept_S], axis=0, out=self._sum_NGS[1:])
        self._prior_S = _sd_prior()[kept_S] / _sd_prior()[kept_S].sum()
        index_G: Places = np.arange(len(self.level_G))
        prior_G = _shift_prior(index_G.astype(np.float64) * self.spacing) * self.spacing
        self._slower_GG = np.where(index_G[:, None] > index_G, prior_G[np.abs(index_G[:, None] - index_G)], 0.0)

    def split(self, start: int, end: int, place_J: Places) -> Split:
        """Weigh a change at each of place_J (intp) between `start` and `end`, from the sittings before `end`."""
        before_JGS = self._sum_NGS[place_J] - self._sum_NGS[start]
        after_JGS = self._sum_NGS[end] - self._sum_NGS[place_J]
        top_before_J = before_JGS.max(axis=(1, 2))
        top_after_J = after_JGS.max(axis=(1, 2))
        before_JGS = np.exp(before_JGS - top_before_J[:, None, None])
        after_JGS = np.exp(after_JGS - top_after_J[:, None, None])
        slower_JS = ((self._slower_GG @ after_JGS) * before_JGS).sum(axis=1)
        faster_JS = ((self._slower_GG.T @ after_JGS) * before_JGS).sum(axis=1)
        whole_GS = self._sum_NGS[end] - self._sum_NGS[start]
        top = float(whole_GS.max())
        without = math.log(float((np.exp(whole_GS - top).sum(axis=0) * self._prior_S).sum())) + top
        scale_J = top_before_J + top_after_J - without
        with np.errstate(divide="ignore"):
            slower_J, faster_J = np.log(slower_JS @ self._prior_S), np.log(faster_JS @ self._prior_S)
        return Split(place_J, slower_J + scale_J, faster_J + scale_J)

    def level(self, start: int, end: int) -> Level:
        """Estimate the level of the sittings from `start` to before `end`; their spread is integrated out."""
        whole_GS = self._sum_NGS[end] - self._sum_NGS[start]
        weight_G = np.exp(whole_GS - whole_GS.max()) @ self._prior_S
        weight_G /= weight_G.sum()
        mean = float(weight_G @ self.level_G)
        return Level(mean, math.sqrt(float(weight_G @ (self.level_G - mean) ** 2)))


def total(log_J: Floats) -> float:
    """Give the logarithm of the sum of exp(log_J), float64; -inf where log_J is empty."""
    if not len(log_J) or not np.isfinite(log_J.max()):
        return -math.inf
    top = float(log_J.max())
    return top + math.log(float(np.exp(log_J - top).sum()))


def _range(value_N: Floats) -> tuple[float, float]:
    """Give the range of levels: between the extreme medians of three neighbours, so one outlier does not widen it."""
    if len(value_N) < 3:
        middle_N = value_N
    else:  # the last one stays, as the first of a new level
        middle_N = np.median(np.stack([value_N[:-2], value_N[1:-1], value_N[2:]]), axis=0)
        middle_N = np.append(middle_N, value_N[-1])
    return float(middle_N.min()) - MARGIN, float(middle_N.max()) + MARGIN


def _shift_prior(shift_G: Floats) -> Floats:
    """Give the prior density of a change's size; 0 for a change that is too small."""
    size_G, sd = np.maximum(shift_G, LEAST_SHIFT), math.log(SHIFT_FACTOR)
    log_G = -0.5 * (np.log(size_G / SHIFT_CENTRE) / sd) ** 2 - np.log(size_G * sd * math.sqrt(2 * math.pi))
    return np.where(shift_G >= LEAST_SHIFT, np.exp(log_G), 0.0)


@lru_cache(maxsize=1)
def _densities() -> Floats:
    """Tabulate the logarithm of a sitting's density by distance from its level (in STEP) and by spread."""
    distance_D = np.arange(-round(FARTHEST / STEP), round(FARTHEST / STEP) + 1) * STEP
    outlier_D = np.where(
        distance_D < 0,
        SLOW_SHARE / SLOW_MEAN * np.exp(distance_D / SLOW_MEAN),
        FAST_SHARE / FAST_MEAN * np.exp(-distance_D / FAST_MEAN),
    )
    clean_DS = np.exp(-0.5 * (distance_D[:, None] / SD_S) ** 2) / (SD_S * math.sqrt(2 * math.pi))
    table_DS: Floats = np.log((1 - SLOW_SHARE - FAST_SHARE) * clean_DS + outlier_D[:, None])
    return table_DS


@lru_cache(maxsize=1)
def _sd_prior() -> Floats:
    weight_S = np.exp(-0.5 * (np.log(SD_S / SD_CENTRE) / math.log(SD_FACTOR)) ** 2)
    prior_S: Floats = weight_S / weight_S.sum()
    return prior_S

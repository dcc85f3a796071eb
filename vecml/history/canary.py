"""The canary as a control variate: correct the rates for the machine's speed, and name the cause of a change.

The canary is a fixed piece of work that every sitting does. A machine that runs 5 % slower today slows canary and
program alike. Once twenty sittings show that the two move together, the part of the rate that the canary explains is
subtracted, and the rest spreads less. Before that nothing is subtracted: a slope from few sittings adds more noise than
it removes. Until it is clear whether they move together, a change counts as one of the program only if it shows both in
the rate itself and in the rate corrected with a slope of 1.

Source: B. L. Nelson, "Control variate remedies", Operations Research 38 (1990), 974-992 (and what an estimated slope
costs). The slope is that of `vecml.statistics.theil_sen`, with the normal distribution of Kendall's S, which is exact
enough for twenty values and needs no SciPy; it is drawn towards 1, what a machine's speed does to a program
that computes, the more so the less sure it is (a normal prior).
"""

import math
from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from vecml.statistics import robust_sd

Floats = NDArray[np.float64]
Cause = Literal["program", "machine", "canary", "unknown"]

FEWEST_SITTINGS = 20
LEVEL = 0.05  # one-sided: a canary that is faster where the program is slower explains nothing
LEAST_SLOPE, MOST_SLOPE = 0.3, 1.25
PRIOR_SD = 0.25  # of the slope, about 1
LOOKED_BACK = 200  # latest sittings that the slope is estimated from, by pairs
BESIDE = 12  # sittings on either side that a shift is estimated from
COMPARABLE = (0.5, 2.0)  # bounds of the canary's shift over the rate's, for a changed machine
ALONE = 0.4  # share of the corrected shift that the rate itself must show; with less only the canary changed


@dataclass(frozen=True)
class Control:
    """The correction of a series of rates by its canary.

    Attributes:
        slope: slope of the rate's logarithm on the canary's; 0 where the rates are not corrected.
        sittings: number of sittings with a canary that the slope was estimated from.
        is_open: whether it is not clear yet if the canary explains anything.
    """

    slope: float
    sittings: int
    is_open: bool = False

    def applied(self, rate_N: Floats, canary_N: Floats) -> Floats:
        """Correct rate_N by canary_N, both float64 logarithms; a rate without a canary (NaN) stays as it is."""
        if self.slope == 0:
            return rate_N
        away_N = canary_N - np.nanmedian(canary_N)
        return rate_N - self.slope * np.where(np.isnan(away_N), 0.0, away_N)


def control(rate_N: Floats, canary_N: Floats) -> Control:
    """Estimate the correction from rate_N and canary_N, float64 logarithms; NaN where a sitting has no canary."""
    known_N = np.flatnonzero(~np.isnan(canary_N))
    if len(known_N) < FEWEST_SITTINGS:
        return Control(0.0, len(known_N), is_open=len(known_N) > len(rate_N) // 2)
    latest_N = known_N[-LOOKED_BACK:]
    spread = float(np.std(canary_N[latest_N]))
    if spread == 0:
        return Control(0.0, len(known_N))
    slope, z = _theil_sen(canary_N[latest_N], rate_N[latest_N])
    left_N = rate_N[latest_N] - slope * canary_N[latest_N]
    variance = (robust_sd(left_N) / spread) ** 2 / len(latest_N)
    if slope < LEAST_SLOPE or z < NormalDist().inv_cdf(1 - LEVEL):
        return Control(0.0, len(known_N), is_open=slope + 2 * math.sqrt(variance) >= 1)
    weight = variance / (variance + PRIOR_SD**2)
    return Control(min(weight + (1 - weight) * slope, MOST_SLOPE), len(known_N))


@lru_cache(maxsize=4)
def _pairs(n: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    return np.triu_indices(n, 1)


def _theil_sen(x_N: Floats, y_N: Floats) -> tuple[float, float]:
    """Give the Theil-Sen slope of y on x, and Kendall's S over its standard deviation; x must not be constant."""
    n = len(x_N)
    first_P, second_P = _pairs(n)
    run_P, rise_P = x_N[second_P] - x_N[first_P], y_N[second_P] - y_N[first_P]
    differs_P = run_P != 0
    slope = float(np.median(rise_P[differs_P] / run_P[differs_P]))
    concordant = float((np.sign(run_P) * np.sign(rise_P)).sum())
    return slope, concordant / math.sqrt(n * (n - 1) * (2 * n + 5) / 18)


def shift(value_N: Floats, start: int, place: int, end: int) -> float | None:
    """Give the median of value_N (float64) after `place` minus the median before it, `BESIDE` values on either side.

    Only values from `start` to before `end` count. Returns None where a side has no value that is a number.
    """
    before_N, after_N = value_N[max(start, place - BESIDE) : place], value_N[place : min(end, place + BESIDE)]
    before_N, after_N = before_N[~np.isnan(before_N)], after_N[~np.isnan(after_N)]
    if not len(before_N) or not len(after_N):
        return None
    return float(np.median(after_N) - np.median(before_N))


def comparable(of_rate: float, of_canary: float | None) -> bool:
    """Whether the canary moved as the rate did: the same way, and neither twice as far as the other."""
    if of_canary is None or of_rate == 0:
        return False
    return COMPARABLE[0] <= of_canary / of_rate <= COMPARABLE[1]


def cause(rate_N: Floats, canary_N: Floats, slope: float, start: int, place: int, end: int) -> Cause:
    """Name the cause of a change at `place`, within the sittings from `start` to before `end`.

    Args:
        rate_N, canary_N: float64 logarithms, not corrected; NaN where there is no canary.
        slope: slope of the correction under which the change was found.

    Returns:
        `machine` where the canary changed as well, `canary` where only the canary did, `program` where only the rate
        did, `unknown` without a canary.
    """
    of_rate, of_canary = shift(rate_N, start, place, end), shift(canary_N, start, place, end)
    if of_canary is None or of_rate is None:
        return "unknown"
    if comparable(of_rate, of_canary):
        return "machine"
    left = of_rate - slope * of_canary
    alone = slope > 0 and left != 0 and of_rate / left < ALONE
    return "canary" if alone else "program"

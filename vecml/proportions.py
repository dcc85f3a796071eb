"""Intervals and tests of counts, as pure functions with their sources: shares, and two classifiers on the same rows.

They stand apart from `vecml.statistics`, which is about samples of numbers. SciPy is imported only where it is needed.
"""

import math
from statistics import NormalDist

from vecml.errors import DataError


def wilson_interval(successes: int, trials: int, confidence: float = 0.95) -> tuple[float, float]:
    """The score interval of a proportion, two-sided.

    E. B. Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22 (1927), 209-212: those
    proportions p that a normal test at sqrt(p (1 - p) / n) does not reject. Unlike p +- z sqrt(p (1 - p) / n) it stays
    within 0 and 1 and has a width at 0 and at all successes.

    Args:
        successes: how many of them, 0 to `trials`.
        trials: how many were tried; 0 says nothing, and the interval is (0, 1).
        confidence: coverage that is aimed at, between 0 and 1, both excluded.

    Returns:
        Low and high end: exactly 0 at no success, exactly 1 at successes only.

    Raises:
        DataError: counts that cannot be, or a confidence outside (0, 1).
    """
    if not 0 <= successes <= trials:
        raise DataError(f"{successes} successes in {trials} trials cannot be")
    if not 0 < confidence < 1:
        raise DataError(f"confidence {confidence}: must lie between 0 and 1", "0.95 is usual")
    if trials == 0:
        return 0.0, 1.0
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    share = successes / trials
    shrink = 1 + z * z / trials
    centre = (share + z * z / (2 * trials)) / shrink
    half = z / shrink * math.sqrt(share * (1 - share) / trials + (z / (2 * trials)) ** 2)
    # At the edges centre and half are equal but for rounding; in between rounding could leave [0, 1] by an ulp.
    low = 0.0 if successes == 0 else max(0.0, centre - half)
    high = 1.0 if successes == trials else min(1.0, centre + half)
    return low, high


def mcnemar(only_first: int, only_second: int) -> float:
    """The exact two-sided p-value of two classifiers being right equally often, by those rows where just one is.

    Q. McNemar, "Note on the sampling error of the difference between correlated proportions or percentages",
    Psychometrika 12 (1947), 153-157, with the binomial distribution in place of its normal approximation. The smaller
    tail is doubled.

    Args:
        only_first: how many rows only the first one has right.
        only_second: how many only the second one has. Where both are 0 nothing tells them apart, and p is 1.0.

    Raises:
        DataError: a negative count.
    """
    if not (only_first >= 0 and only_second >= 0):
        raise DataError(f"{only_first} and {only_second} discordant rows cannot be")
    if abs(only_first - only_second) <= 1:
        return 1.0  # both tails are a half or more, which rounding need not hit
    from scipy.special import betainc  # noqa: PLC0415 -- see the module's docstring

    # The binomial tail as an incomplete beta function: of a million rows bdtr has 9 digits only.
    return min(1.0, 2 * float(betainc(max(only_first, only_second), min(only_first, only_second) + 1, 0.5)))


def loss_excluded(only_first: int, only_second: int, n: int, margin: float) -> float:
    """The p-value of the second classifier being worse than the first by `margin` or more, on the same n rows.

    T. Tango, "Equivalence test and confidence interval for the difference in proportions for the paired-sample design",
    Statistics in Medicine 17 (1998), 891-908: the score test, its variance from the likeliest proportions that differ
    by just the margin. Small says that a loss of that size is excluded; it is no test of whether there is any loss.

    Args:
        only_first: how many rows only the first one has right.
        only_second: how many only the second one has.
        n: rows, 1 or more.
        margin: as a share of the rows, between 0 and 1, both excluded.

    Raises:
        DataError: a negative count, more discordant rows than rows, or a margin outside (0, 1).
    """
    if not (only_first >= 0 and only_second >= 0):
        raise DataError(f"{only_first} and {only_second} discordant rows cannot be")
    if not max(1, only_first + only_second) <= n:
        raise DataError(f"{only_first} and {only_second} discordant rows of {n} cannot be")
    if not 0 < margin < 1:
        raise DataError(f"margin {margin}: must lie between 0 and 1")
    # The likeliest share of rows that only the second has, given that only the first has `margin` more of them.
    linear = (2 * n - only_first + only_second) * margin - only_first - only_second
    constant = only_second * margin * (1 - margin)
    share = (math.sqrt(linear * linear + 8 * n * constant) - linear) / (4 * n)
    deviation = math.sqrt(n * (2 * share + margin * (1 - margin)))
    return NormalDist().cdf((only_first - only_second - n * margin) / deviation)

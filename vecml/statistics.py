"""Intervals and tests as pure functions, each with its source. The ground floor for model, measure and history.

They take numbers and give numbers: nothing is read, and nothing is drawn at random.
The edges (no trial, no spread, ties) are defined, documented and tested.
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

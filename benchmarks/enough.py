"""How many launches a comparison of the bench gets: as many as its intervals need, within a bound of time.

The number is computed once, from the first launches' spread (C. Stein, "A two-sample test for a linear hypothesis whose
power is independent of the variance", Ann. Math. Statist. 16 (1945), 243-258). It depends on how wide the intervals
are, never on where they lie.
"""

import dataclasses
import math
import time
from collections.abc import Callable, Mapping
from statistics import NormalDist

from vecml.comparison.compare import Job, compare_settings, plan_comparison
from vecml.comparison.comparison import Comparison, figures
from vecml.comparison.settings import Chosen
from vecml.measure.records import Measured

FIRST_LAUNCHES = 8
MOST_LAUNCHES = 60
ROUNDS = 14  # of a launch
HALF_WIDTH = math.log(1.10)
SPARE = 1.1  # the spread of eight launches may have come out too small
Compare = Callable[[int, Measured | None], Comparison]


def within(low: float, high: float) -> bool:
    """Whether an interval of a ratio is no wider than 10 % to either side of its middle."""
    return math.log(high / low) <= 2 * HALF_WIDTH * 1.0001


def launches_needed(half_widths: Mapping[str, float], launches: int) -> int:
    """The launches that bring every one of `half_widths` (of log-ratios, after so many launches) to `HALF_WIDTH`."""
    widest = max(half_widths.values(), default=0.0)
    if widest <= HALF_WIDTH:
        return launches
    return min(MOST_LAUNCHES, math.ceil(SPARE * launches * (widest / HALF_WIDTH) ** 2 * _shrinks(launches) ** 2))


def _shrinks(launches: int) -> float:
    """The normal quantile over Student's for so few launches: more of them need a smaller one (Cornish and Fisher)."""
    z, df = NormalDist().inv_cdf(0.975), max(1, launches - 1)
    return z / (z + (z**3 + z) / (4 * df) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * df**2))


def compare_until_narrow(
    job: Job, chosen: Chosen, openers: Mapping[str, str], most_seconds: float, first: int = FIRST_LAUNCHES
) -> Comparison:
    """Compare with `first` launches, and then with those that are needed or that `most_seconds` allow."""
    budget = plan_comparison(chosen, "auto")

    def compare(launches: int, resumed: Measured | None) -> Comparison:
        plan = dataclasses.replace(
            budget.plan, launches=launches, most_launches=0, budget_seconds=None, rounds=ROUNDS, patience_seconds=120.0
        )
        planned = dataclasses.replace(budget, plan=plan, text=f"{launches} launches")
        return compare_settings(job, chosen, planned, openers, resumed=resumed)

    return extended(compare, most_seconds, first)


def extended(
    compare: Compare, most_seconds: float, first: int, clock: Callable[[], float] = time.perf_counter
) -> Comparison:
    """The comparison of `compare` after the launches that its intervals need; see `compare_until_narrow`."""
    begun = clock()
    found = compare(first, None)
    each = (clock() - begun) / first
    wanted = min(launches_needed(half_widths(found), first), max(first, int(most_seconds / each)))
    return compare(wanted, found.measured) if wanted > first else found


def half_widths(comparison: Comparison) -> dict[str, float]:
    """Half the width of each ratio's interval, in logarithms; an arm without one is left out: it needs no launches."""
    return {
        arm.name: math.log(arm.verdict.ratio_high / arm.verdict.ratio_low) / 2
        for arm in figures(comparison)
        if arm.verdict is not None and arm.verdict.ratio_low and arm.verdict.ratio_high and arm.failure is None
    }

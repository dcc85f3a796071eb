"""A finalist in a launch of its own: does it run at another rate where no other setting takes turns with it?

Between the blocks of a comparison the neighbours use the caches and warm the processor. That is the same for all of
them, so that the ratios hold; but who runs the setting alone may get another rate.
"""

import math
import statistics

from vecml.measure.pairs import disturbance, seconds_per_call
from vecml.measure.records import ArmMeasurement, Measured
from vecml.statistics import t_interval

LEVEL = 0.01  # of the test; a remark of this kind should be rare where nothing is behind it


def alone_ratio(beside: ArmMeasurement, alone: Measured, gate: float, arms: int = 1) -> float | None:
    """The rate of an arm in a launch of its own over its rate beside others; None where they do not differ for certain.

    Args:
        beside: the arm's launches beside others; three or more.
        alone: one launch in which it was alone, perhaps with such launches of other arms.
        gate: the relative difference that is never told, because the same code reaches it against itself.
        arms: number of arms of which the same is asked, which share the level.

    The rate must lie outside the prediction interval for a further launch by the spread of those beside others, as it
    is and also in units of the canary: a machine that became faster as a whole says nothing about neighbours.
    """
    own = next((arm for arm in alone.arms if arm.name == beside.name and arm.failure is None and arm.blocks), None)
    if own is None or any(disturbance(seen, own.cpus) for seen in alone.windows if seen.group == own.group):
        return None
    rates, rate = _log_rates(beside), _log_rates(own)
    canaries = {one.launch: math.log(one.canary_seconds) for one in beside.launches}
    ours = {one.launch: math.log(one.canary_seconds) for one in own.launches}
    if not rates.keys() <= canaries.keys() or not rate.keys() <= ours.keys() or len(rates) < 3:
        return None
    (launch, value), *_ = rate.items()
    plain = _outside(value, list(rates.values()), gate, arms)
    by_canary = [one + canaries[number] for number, one in rates.items()]
    scaled = _outside(value + ours[launch], by_canary, gate, arms)
    return math.exp(plain) if plain * scaled > 0 else None


def _log_rates(arm: ArmMeasurement) -> dict[int, float]:
    """The logarithm of each launch's rate, in calls a second at its median block."""
    taken: dict[int, list[float]] = {}
    for (launch, _), seconds in seconds_per_call(arm).items():
        taken.setdefault(launch, []).append(seconds)
    return {launch: -math.log(statistics.median(found)) for launch, found in taken.items()}


def _outside(value: float, others: list[float], gate: float, arms: int) -> float:
    """How far `value` is from the mean of `others`, where it lies outside their prediction interval; else 0."""
    off = value - statistics.fmean(others)
    low, high = t_interval(others, 1 - LEVEL / arms)
    half = (high - low) / 2 * math.sqrt(len(others) + 1)
    return off if abs(off) > max(half, math.log1p(gate)) else 0.0

"""How the thresholds of `vecml.history` were chosen: quiet histories under another noise model than the tests'.

Student's t with 4 degrees of freedom and an SD of 2 to 4 % that differs from history to history; one sitting in twelve
an outlier, lognormal, 25 % slow in the median; a machine that drifts by a first-order autoregression with an SD of 2 %;
a canary that is read with 0.8 %. `python -m tests.history.calibration` prints which threshold gives which false alarms.
"""

import math
import sys
from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import NDArray

from tests.history.nightly import nightly
from tests.history.planted import Planted
from vecml.history import detection, watch
from vecml.history.detection import hindsight, nights

Floats = NDArray[np.float64]
SEEDS = range(50_000, 50_300)
DAYS = 60
LEAST_SD, MOST_SD, DRIFT_SD, CANARY_SD = 0.02, 0.04, 0.02, 0.008


def quiet(seed: int) -> tuple[Planted, Callable[[int], tuple[float, float]]]:
    """A history in which nothing changes, and more sittings of its days."""
    rng = np.random.default_rng(seed)
    sd = math.exp(rng.uniform(math.log(LEAST_SD), math.log(MOST_SD)))
    drift_N = np.zeros(DAYS)
    value = rng.normal(0, DRIFT_SD)
    for day in range(DAYS):
        drift_N[day] = value
        value = 0.93 * value + rng.normal(0, DRIFT_SD * math.sqrt(1 - 0.93**2))

    def sitting(day: int) -> tuple[float, float]:
        rate = 14 + drift_N[day] + rng.standard_t(4) / math.sqrt(2) * sd
        if rng.random() < 1 / 12:
            rate -= math.exp(rng.normal(math.log(0.25), 0.7))
        return float(rate), float(drift_N[day] + rng.normal(0, CANARY_SD))

    rates, canaries = zip(*map(sitting, range(DAYS)), strict=True)
    return Planted(np.array(rates), np.array(canaries)), sitting


def highest(seeds: Iterable[int] = SEEDS) -> tuple[Floats, Floats]:
    """Of every quiet history: the highest odds of a slowdown on any night, and those of a change in hindsight."""
    nightly_odds, later_odds = [], []
    for seed in seeds:
        made, _ = quiet(seed)
        nightly_odds.append(max(night.slower for night in nights(made.rate_N, made.canary_N)))
        _, evidence, _ = hindsight(made.rate_N, made.canary_N)
        later_odds.append(detection.odds_within(evidence, 0, DAYS))
    return np.array(nightly_odds), np.array(later_odds)


def main() -> None:
    """Print it."""
    for threshold in (4.0, 4.5, 5.0, 5.5):
        watch.CONFIRMED = threshold
        found = [nightly(*_days(seed)) for seed in SEEDS]
        share = np.mean([one.alarm is not None for one in found])
        fresh = sum(one.fresh for one in found) / len(found) / (DAYS - detection.LEAST_BEFORE)
        sys.stdout.write(f"confirmed {threshold}: {share:.1%} of histories alarm, {fresh:.2f} fresh sittings a night\n")
    detection.ALARM = math.inf
    alarm, later = highest()
    for share in (0.10, 0.07, 0.05, 0.02):
        at, then = np.quantile(alarm, 1 - share), np.quantile(later, 1 - share)
        sys.stdout.write(f"{share:.0%} of histories: alarm {at:.2f}, hindsight {then:.2f}\n")


def _days(seed: int) -> tuple[Planted, range, Callable[[int], tuple[float, float]]]:
    made, again = quiet(seed)
    return made, range(detection.LEAST_BEFORE + 1, DAYS), again


if __name__ == "__main__":
    main()

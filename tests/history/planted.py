"""Histories with a known change, for the proof that changes are found: one sitting a day.

3 % from sitting to sitting after the canary; one sitting in ten an outlier, most of them slow by 10 to 150 %
(exponentially distributed), one in ten of them fast by up to 10 %; a drift of the machine of 5 % from end to end that
canary and rate have in common; a canary that is read with 0.5 %.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from vecml.history.series import Point, Series

Floats = NDArray[np.float64]

DAYS = 60
SD, CANARY_SD, DRIFT = 0.03, 0.005, 0.05
OUTLIERS, FAST_OF_THEM = 0.10, 0.1
LEVEL = math.log(1e6)
FIRST = datetime(2026, 1, 1, 2, tzinfo=UTC)
SETTING = (("engine", "numpy"), ("threads", "2"))


@dataclass(frozen=True)
class Planted:
    """A history and what was planted: rate_N and canary_N are logarithms."""

    rate_N: Floats
    canary_N: Floats


def planted(seed: int, day: int | None = None, slower: float = 0.0, machine: float = 0.0, days: int = DAYS) -> Planted:
    """From `day` on every sitting takes `slower` more time, and canary and sitting `machine` more."""
    rng = np.random.default_rng(seed)
    day_N = np.arange(days)
    drift_N = DRIFT / 2 * np.sin(2 * math.pi * (day_N / rng.uniform(20, 60) + rng.uniform()))
    rate_N = LEVEL + drift_N + outliers(rng, days) + rng.normal(0, SD, days)
    canary_N = drift_N + rng.normal(0, CANARY_SD, days)
    if day is not None:
        rate_N[day:] -= math.log1p(slower) + math.log1p(machine)
        canary_N[day:] -= math.log1p(machine)
    return Planted(rate_N, canary_N)


def slowed(share: float) -> float:
    """The extra time that lowers the rate by `share`: what a slowdown of 8 % means where rates are shown."""
    return 1 / (1 - share) - 1


def again(made: Planted, seed: int, day: int | None, slower: float) -> Callable[[int], tuple[float, float]]:
    """More sittings of a day of `planted(seed, day, slower)`: the day's drift, and noise of their own."""
    rng = np.random.default_rng(1_000_000 + seed)

    def sitting(today: int) -> tuple[float, float]:
        drift = float(made.canary_N[today])
        rate = LEVEL + drift + rng.normal(0, SD) + float(outliers(rng, 1)[0])
        if day is not None and today >= day:
            rate -= math.log1p(slower)
        return rate, drift + rng.normal(0, CANARY_SD)

    return sitting


def outliers(rng: np.random.Generator, days: int) -> Floats:
    """What the outliers add to the logarithms: 0 for nine in ten."""
    slow_N = -np.log1p(np.minimum(0.10 + rng.exponential(0.35, days), 1.50))
    fast_N = rng.uniform(0.05, 0.10, days)
    size_N = np.where(rng.random(days) < FAST_OF_THEM, fast_N, slow_N)
    return np.where(rng.random(days) < OUTLIERS, size_N, 0.0)


def series(made: Planted, software: int | None = None) -> Series:
    """The history as a series; from the sitting `software` on another numpy is installed."""
    points = tuple(
        Point(
            at=FIRST + timedelta(days=index),
            log_rate=float(rate),
            log_canary=float(canary),
            software_key="a" if software is None or index < software else "b",
            libraries={"numpy": "2.3.5" if software is None or index < software else "2.4.6", "torch": "2.13.0"},
            run_id=f"run{index}",
        )
        for index, (rate, canary) in enumerate(zip(made.rate_N, made.canary_N, strict=True))
    )
    return Series(SETTING, "machine", "architecture", 1_000_000, "a processor, 2 CPUs", "a processor", points)

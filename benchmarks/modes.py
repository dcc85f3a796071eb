"""Whether an arm has two speeds, and what else differed between them: page faults and huge pages.

Source of the test: the best split of the sorted values into two groups (W. D. Fisher, "On grouping for maximum
homogeneity", JASA 53 (1958), 789-798); how far apart two groups of one normal distribution come to lie is simulated.
"""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from vecml.measure.records import ArmMeasurement

LEVEL = 0.01
LEAST_APART = math.log(1.10)  # modes closer than 10 % do not widen an interval that anybody minds
LEAST_SHARE = 0.15  # of the values that the smaller group must have: a few slow ones are outliers
FEWEST = 6
DRAWS = 2_000


@dataclass(frozen=True)
class Mode:
    """One of the speeds of an arm.

    Attributes:
        rows_per_s: its median.
        share: of the launches, or of the blocks.
        faults_per_call: page faults of a call, in the mean; None where they are not counted.
        huge_page_bytes: bytes in huge pages at the end, in the mean over its launches; None where unknown.
    """

    rows_per_s: float
    share: float
    faults_per_call: float | None
    huge_page_bytes: float | None

    def __str__(self) -> str:
        told = [f"{self.rows_per_s / 1e6:.3g} Mrow/s in {self.share:.0%}"]
        if self.faults_per_call is not None:
            told.append(f"{self.faults_per_call:,.0f} page faults a call")
        if self.huge_page_bytes is not None:
            told.append(f"{self.huge_page_bytes / 2**20:,.0f} MiB in huge pages")
        return ", ".join(told)


@dataclass(frozen=True)
class Modes:
    """Two speeds of an arm, the slower one first.

    Attributes:
        of: `launches` where each launch has one of the speeds, `blocks` where they change within launches.
        slow, fast: the speeds.
    """

    of: str
    slow: Mode
    fast: Mode

    def __str__(self) -> str:
        return f"two modes by {self.of}: {self.slow}; {self.fast}"


def modes_of(arm: ArmMeasurement, n_rows: int) -> Modes | None:
    """The two speeds of an arm that labels `n_rows` rows a call, or None where there is one.

    Launches are looked at first: their medians, then the blocks, each beside the median of its launch.
    """
    launch_N = np.array(arm.blocks.launch)
    log_N = np.log(np.array(arm.blocks.seconds) / np.array(arm.blocks.calls, float))
    faults_N = _faults(arm)
    launches = sorted(set(launch_N.tolist()))
    median_L = np.array([np.median(log_N[launch_N == launch]) for launch in launches])
    threshold = split(median_L)
    if threshold is not None:
        slow_N = np.isin(
            launch_N, [launch for launch, value in zip(launches, median_L, strict=True) if value > threshold]
        )
        return _told("launches", arm, n_rows, log_N, faults_N, slow_N, float((median_L > threshold).mean()))
    beside_N = log_N - median_L[np.searchsorted(launches, launch_N)] if launches else log_N
    threshold = split(beside_N)
    if threshold is None:
        return None
    slow_N = beside_N > threshold
    return _told("blocks", arm, n_rows, log_N, faults_N, slow_N, float(slow_N.mean()))


def split(value_N: NDArray[np.float64]) -> float | None:
    """The value between two groups of value_N, or None where one group explains them."""
    n = len(value_N)
    least = max(2, math.ceil(LEAST_SHARE * n))
    if n < max(FEWEST, 2 * least):
        return None
    ordered_N = np.sort(value_N)
    place, apart = _best_split(ordered_N, least)
    if apart <= _critical(n, least):
        return None
    low, high = ordered_N[:place].mean(), ordered_N[place:].mean()
    return float((ordered_N[place - 1] + ordered_N[place]) / 2) if high - low >= LEAST_APART else None


def _best_split(ordered_N: NDArray[np.float64], least: int) -> tuple[int, float]:
    """Where the two groups have the smallest sum of squares; and their distance in standard deviations within them."""
    n = len(ordered_N)
    place_P = np.arange(least, n - least + 1)
    sum_N, square_N = np.cumsum(ordered_N), np.cumsum(ordered_N**2)
    low_P, high_P = sum_N[place_P - 1] / place_P, (sum_N[-1] - sum_N[place_P - 1]) / (n - place_P)
    within_P = square_N[-1] - place_P * low_P**2 - (n - place_P) * high_P**2
    best = int(within_P.argmin())
    sd = math.sqrt(max(float(within_P[best]), 0.0) / max(1, n - 2))
    return int(place_P[best]), float(high_P[best] - low_P[best]) / max(sd, 1e-12)


@lru_cache(maxsize=64)
def _critical(n: int, least: int) -> float:
    """The distance that values of one normal distribution exceed in `LEVEL` of the draws."""
    random = np.random.default_rng(n)
    drawn = [_best_split(np.sort(random.normal(size=n)), least)[1] for _ in range(DRAWS)]
    return float(np.quantile(drawn, 1 - LEVEL))


def _faults(arm: ArmMeasurement) -> NDArray[np.float64]:
    """Page faults of a call, by block; NaN where they were not counted."""
    by_launch = {launch.launch: list(launch.facts.get("page_faults") or ()) for launch in arm.launches}
    found, seen = [], dict.fromkeys(by_launch, 0)
    for launch, calls in zip(arm.blocks.launch, arm.blocks.calls, strict=True):
        counts, index = by_launch.get(launch, []), seen.get(launch, 0)
        seen[launch] = index + 1
        count = counts[index] if index < len(counts) else None
        found.append(math.nan if count is None else count / calls)
    return np.array(found, np.float64)


def faults_per_call(arm: ArmMeasurement) -> float | None:
    """Page faults of a call in the median block; None where they were not counted."""
    known = [float(value) for value in _faults(arm) if not math.isnan(value)]
    return statistics.median(known) if known else None


def _told(
    of: str,
    arm: ArmMeasurement,
    n_rows: int,
    log_N: NDArray[np.float64],
    faults_N: NDArray[np.float64],
    slow_N: NDArray[np.bool_],
    share: float,
) -> Modes:
    huge = {launch.launch: launch.facts.get("huge_page_bytes") for launch in arm.launches}

    def mode(chosen_N: NDArray[np.bool_], part: float) -> Mode:
        faults = faults_N[chosen_N & ~np.isnan(faults_N)]
        launches = sorted({launch for launch, chosen in zip(arm.blocks.launch, chosen_N, strict=True) if chosen})
        bytes_of: Sequence[float] = [float(value) for one in launches if (value := huge.get(one)) is not None]
        return Mode(
            rows_per_s=n_rows / math.exp(float(np.median(log_N[chosen_N]))),
            share=part,
            faults_per_call=float(faults.mean()) if len(faults) else None,
            huge_page_bytes=statistics.fmean(bytes_of) if bytes_of else None,
        )

    return Modes(of, mode(slow_N, share), mode(~slow_N, 1 - share))

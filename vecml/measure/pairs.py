"""Paired log-ratios from raw blocks: the blocks of one round make a pair, and pairs of a disturbed round are left out.

Whether a round was disturbed is decided by the machine's counters (throttled time, stolen time, other processes), never
by the times of the blocks.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vecml.measure.records import ArmMeasurement, Window
from vecml.statistics import hodges_lehmann, t_test

STEAL_SHARE = 0.10
THROTTLED_SHARE = 0.02
CROWDED = "other processes used the CPUs"
STOLEN = "the hypervisor gave the CPUs to others"
THROTTLED = "the control group's CPU quota held the workers back"
BY_OTHERS = (CROWDED, STOLEN, THROTTLED)  # the disturbances that are not the measurement's own
CROWDED_CPUS = 0.5  # of the CPUs that a pair needs, so much may be taken by others
QUIET_CPUS = 0.1  # the same in a quiet stretch of a machine that others use at times: a burst at its edge is seen


@dataclass(frozen=True)
class Pairs:
    """Log-ratios of an arm against its baseline: log(baseline's seconds a call / the arm's); above 0: it is faster.

    Attributes:
        launch_N: int64, the launch of every pair.
        round_N: int64, its round.
        log_ratio_N: float64.
        dropped: number of pairs that were left out.
        disturbance: the commonest reason for that, in words; None where no pair was left out.
    """

    launch_N: NDArray[np.int64]
    round_N: NDArray[np.int64]
    log_ratio_N: NDArray[np.float64]
    dropped: int
    disturbance: str | None

    @property
    def dropped_share(self) -> float:
        """The share of all pairs that was left out."""
        total = self.dropped + len(self.log_ratio_N)
        return self.dropped / total if total else 0.0

    def by_launch(self) -> dict[int, NDArray[np.float64]]:
        """The log-ratios (float64) of every launch, in the order of time."""
        return {int(launch): self.log_ratio_N[self.launch_N == launch] for launch in np.unique(self.launch_N)}

    def rounds(self) -> dict[int, NDArray[np.int64]]:
        """The rounds (int64) that count, by launch."""
        return {int(launch): self.round_N[self.launch_N == launch] for launch in np.unique(self.launch_N)}

    def of_launches_with(self, rounds: int) -> "Pairs":
        """The pairs of the launches that have so many or more; those of the others count as left out."""
        launch_N, count_N = np.unique(self.launch_N, return_counts=True)
        kept_N = np.isin(self.launch_N, launch_N[count_N >= rounds])
        return Pairs(
            launch_N=self.launch_N[kept_N],
            round_N=self.round_N[kept_N],
            log_ratio_N=self.log_ratio_N[kept_N],
            dropped=self.dropped + int(np.count_nonzero(~kept_N)),
            disturbance=self.disturbance,
        )

    def estimates(self) -> dict[int, float]:
        """The Hodges-Lehmann estimate of the log-ratio, by launch."""
        return {launch: hodges_lehmann(value_N) for launch, value_N in self.by_launch().items()}


def seconds_per_call(arm: ArmMeasurement) -> dict[tuple[int, int], float]:
    """Seconds a call of every block, by launch and round."""
    blocks = arm.blocks
    return {
        (launch, number): seconds / calls
        for launch, number, seconds, calls in zip(
            blocks.launch, blocks.round, blocks.seconds, blocks.calls, strict=True
        )
    }


def paired(
    baseline: ArmMeasurement,
    arm: ArmMeasurement,
    windows: Iterable[Window],
    *,
    crowded_cpus: float = CROWDED_CPUS,
    under_load: bool = False,
) -> Pairs:
    """Pair the blocks of two arms that were measured in the same group.

    Args:
        baseline, arm: what was measured of them.
        windows: the machine's counters meanwhile.
        crowded_cpus: rounds count in which others take up to so many of the CPUs that the pair needs.
        under_load: all rounds count but those in which another worker's threads did not come to rest, because these
            are the measurement's own.
    """
    cpus = max(baseline.cpus, arm.cpus)
    disturbed: dict[tuple[int, int], str] = {}
    for seen in windows:
        if seen.group == arm.group and not under_load and (reason := disturbance(seen, cpus, crowded_cpus)):
            for number in range(seen.first_round, seen.last_round + 1):
                disturbed[seen.launch, number] = reason
    restless = {key for one in (baseline, arm) for key in _restless(one)}
    ours, theirs = seconds_per_call(arm), seconds_per_call(baseline)
    kept: list[tuple[int, int]] = []
    reasons: list[str] = []
    for key in ours:
        if key not in theirs or ours[key] <= 0 or theirs[key] <= 0:
            continue
        if key in disturbed:
            reasons.append(disturbed[key])
        elif key in restless:
            reasons.append("another worker's threads did not come to rest")
        else:
            kept.append(key)
    return Pairs(
        launch_N=np.array([launch for launch, _ in kept], np.int64),
        round_N=np.array([number for _, number in kept], np.int64),
        log_ratio_N=np.array([math.log(theirs[key] / ours[key]) for key in kept]),
        dropped=len(reasons),
        disturbance=max(set(reasons), key=lambda reason: (reasons.count(reason), reason)) if reasons else None,
    )


def disturbance(seen: Window, cpus: int, crowded_cpus: float = CROWDED_CPUS) -> str | None:
    """Return the reason why blocks of arms that need `cpus` CPUs do not count in this window; None if they count."""
    if seen.steal_share is not None and seen.steal_share > STEAL_SHARE:
        return STOLEN
    if seen.throttled_seconds is not None and seen.throttled_seconds > THROTTLED_SHARE * seen.seconds:
        return THROTTLED
    needed = min(cpus, seen.usable_cpus)
    if seen.foreign_cpus is not None and seen.usable_cpus - seen.foreign_cpus < needed - crowded_cpus:
        return CROWDED
    return None


def undisturbed_blocks(arm: ArmMeasurement, windows: Iterable[Window], crowded_cpus: float = CROWDED_CPUS) -> list[int]:
    """The places of the blocks of an arm in whose rounds the counters show nothing that disturbs so many CPUs."""
    disturbed = {
        (seen.launch, number)
        for seen in windows
        if seen.group == arm.group and disturbance(seen, arm.cpus, crowded_cpus)
        for number in range(seen.first_round, seen.last_round + 1)
    }
    places = zip(arm.blocks.launch, arm.blocks.round, strict=True)
    return [index for index, place in enumerate(places) if place not in disturbed]


def _restless(arm: ArmMeasurement) -> Iterable[tuple[int, int]]:
    blocks = arm.blocks
    for launch, number, idle in zip(blocks.launch, blocks.round, blocks.idle, strict=True):
        if not idle:
            yield launch, number


def slow_call_excesses(arm: ArmMeasurement, rounds: Mapping[int, NDArray[np.int64]] | None = None) -> dict[int, float]:
    """The excess of an arm's mean call over the median of its blocks, by launch; rare slow calls make it large.

    0.1 is 10 %. Each launch is taken by itself, because the machine drifts between them. `rounds` are the rounds
    (int64) of each launch that count; None: all.
    """
    excesses = {}
    blocks = arm.blocks
    counting = None if rounds is None else {launch: set(round_N.tolist()) for launch, round_N in rounds.items()}
    for launch in dict.fromkeys(blocks.launch):
        chosen = [
            index
            for index, found in enumerate(blocks.launch)
            if found == launch and (counting is None or blocks.round[index] in counting.get(launch, ()))
        ]
        if chosen:
            total = sum(blocks.seconds[index] for index in chosen) / sum(blocks.calls[index] for index in chosen)
            median = float(np.median([blocks.seconds[index] / blocks.calls[index] for index in chosen]))
            excesses[launch] = total / median - 1 if median > 0 else 0.0
    return excesses


def significant_mean(value_N: Sequence[float], size: float, level: float) -> float:
    """The mean of the launches' values where it is significant and above `size` in absolute value; else 0.

    Significant means: Student's two-sided test rejects a mean of zero at twice `level`. On a noisy machine the mean
    call of any code is some per cent above its median call in one launch and not in the next; code that sleeps now and
    then shows it in every launch.
    """
    if len(value_N) < 2:
        return 0.0
    mean = float(np.mean(value_N))
    return mean if abs(mean) > size and t_test(np.array(value_N)) < 2 * level else 0.0

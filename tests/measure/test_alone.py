"""A setting that runs at another rate where it has no neighbours is told of, and one that does not is not."""

from dataclasses import replace
from random import Random
from typing import Any

import pytest

from vecml.measure.alone import alone_ratio
from vecml.measure.coordinator import measure
from vecml.measure.records import Arm, ArmMeasurement, Measured, Plan, Window
from vecml.measure.simulation import Machine, Noise, SimulatedCrew

PLAN = Plan(launches=3, budget_seconds=None, rounds=9)
GATE = 0.05
CALM = Noise(drift=0.002, step_chance=0.0)


class Crowded(Machine):
    """A machine on which neighbours take the caches: a call takes longer by `share` where there is one."""

    share = 0.0

    def start(self, arms: Any, plan: Plan, launch: int, group: int) -> SimulatedCrew:
        crew = super().start(arms, plan, launch, group)
        if len(arms) > 1:
            for worker in crew.workers.values():
                worker._cost += self.share
        return crew


def measured(seed: int, share: float = 0.0, noise: Noise = CALM) -> tuple[ArmMeasurement, Measured]:
    """An arm beside its baseline in three launches, and alone in one."""
    machine = Crowded(noise, Random(f"alone {seed}"))
    machine.share = share
    base, arm = Arm("base", "", role="baseline"), Arm("arm", "")
    beside = measure([[base, arm]], PLAN, machine, clock=machine.clock, random=machine.random)
    alone = measure([[arm]], replace(PLAN, launches=1), machine, clock=machine.clock, random=machine.random)
    return beside.arms[1], alone


@pytest.mark.parametrize("noise", [CALM, Noise(), Noise(slow_chance=0.1)], ids=["calm", "stepping", "slow workers"])
def test_chance_is_not_told(noise: Noise) -> None:
    told = sum(alone_ratio(*measured(seed, noise=noise), GATE) is not None for seed in range(150))
    assert told <= 0.04 * 150


def test_neighbours_that_cost_are_told_with_their_size() -> None:
    found = [alone_ratio(*measured(seed, share=0.4), GATE) for seed in range(20)]
    told = [one for one in found if one is not None]
    assert len(told) >= 16
    assert 1.4 < sorted(told)[len(told) // 2] < 1.6  # exp(0.4)


def test_a_machine_that_became_faster_as_a_whole_is_not_told() -> None:
    """The canary became faster as well; a rule that forgets it is caught by the second half."""
    beside, alone = measured(1, share=0.4)
    assert alone_ratio(beside, alone, GATE) is not None
    (own,) = alone.arms
    (launch,) = own.launches
    faster = replace(own, launches=(replace(launch, canary_seconds=launch.canary_seconds / 1.5),))
    assert alone_ratio(beside, replace(alone, arms=(faster,)), GATE) is None


def test_a_disturbed_launch_tells_nothing() -> None:
    beside, alone = measured(1, share=0.4)
    seen = Window(0, 0, 0, 8, 1.5, 0.0, 0.0, 1.9, 2)
    assert alone_ratio(beside, replace(alone, windows=(seen,)), GATE) is None


def test_what_was_not_measured_tells_nothing() -> None:
    beside, alone = measured(1, share=0.4)
    assert alone_ratio(replace(beside, name="another"), alone, GATE) is None
    assert alone_ratio(beside, replace(alone, arms=(replace(alone.arms[0], failure="it hung"),)), GATE) is None
    assert alone_ratio(replace(beside, launches=beside.launches[:2]), alone, GATE) is None

"""Which settings of a comparison are measured afresh, and how much of the time that is left that takes."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

from vecml.comparison.budget import TURN_SECONDS, launches_within
from vecml.measure.coordinator import FEWEST_LAUNCHES
from vecml.measure.finals import finalists
from vecml.measure.records import Arm, Measured, Plan
from vecml.measure.verdict import Family

ALONE_ROUNDS = 12  # of the one launch in which a finalist is alone
REST_SECONDS = TURN_SECONDS - Plan.block_seconds  # of a turn, beside its block


@dataclass(frozen=True)
class Finals:
    """Holds how much is measured of the finalists.

    Attributes:
        groups: a group for each family that has finalists, its baseline first.
        plan: of the fresh launches of these groups.
        alone: each finalist as a group of its own; empty where there is no time for that.
        alone_plan: of the one launch of each of them.
    """

    groups: list[list[Arm]]
    plan: Plan
    alone: list[list[Arm]]
    alone_plan: Plan


def plan_finals(
    groups: Sequence[Sequence[Arm]], families: Sequence[Family], measured: Measured, seconds: float
) -> Finals | None:
    """Plan the fresh launches of the finalists, and a launch of each of them alone.

    Args:
        groups: the arms of the measurement.
        families: its verdicts.
        measured: the measurement, which shows how long a launch takes.
        seconds: that are left.

    Where three launches of all finalists take longer than that, those with the lowest ratios stay as they are. None
    where there is no finalist, or no time for one of each family.
    """
    named = {family.baseline: list(names) for family in families if (names := finalists(family))}
    if not named:
        return None
    while FEWEST_LAUNCHES * _launch_seconds(measured, named, measured.plan.fewest_rounds) > seconds:
        longest = max(named, key=lambda baseline: len(named[baseline]))
        if len(named[longest]) == 1:
            return None
        named[longest].pop()
    least = _launch_seconds(measured, named, measured.plan.fewest_rounds)
    count = sum(map(len, named.values()))
    by_itself = count * _worker_seconds(measured, ALONE_ROUNDS)
    isolates = FEWEST_LAUNCHES * least + by_itself <= seconds
    seconds -= by_itself if isolates else 0.0
    launches = launches_within(seconds, least, _launch_seconds(measured, named, measured.plan.rounds))
    plan = dataclasses.replace(measured.plan, launches=launches, most_launches=0, budget_seconds=seconds)
    arms = {(arm.role, arm.name): arm for group in groups for arm in group}
    chosen = [[arms["baseline", baseline], *(arms["arm", name] for name in names)] for baseline, names in named.items()]
    alone = [[arm] for _, *others in chosen for arm in others] if isolates else []
    alone_plan = dataclasses.replace(plan, launches=1, budget_seconds=None, rounds=ALONE_ROUNDS)
    return Finals(chosen, plan, alone, alone_plan)


def more_launches(measured: Measured, seconds: float) -> Plan | None:
    """Plan to go on with a measurement for as many further launches as fit into `seconds`; None where none does."""
    launches = int(seconds * measured.launches / measured.seconds) if measured.seconds > 0 else 0
    if launches < 1 or measured.plan.most_launches > measured.plan.launches:
        return None
    return dataclasses.replace(
        measured.plan, launches=measured.launches + launches, budget_seconds=measured.seconds + seconds
    )


def _launch_seconds(measured: Measured, named: dict[str, list[str]], rounds: int) -> float:
    """The time of a launch of all these settings and their baselines, with so many rounds, by what was measured."""
    return sum(1 + len(names) for names in named.values()) * _worker_seconds(measured, rounds)


def _worker_seconds(measured: Measured, rounds: int) -> float:
    """The time that a worker takes for its start and so many rounds, by what was measured."""
    turns = sum(len(arm.blocks) for arm in measured.arms)
    workers = sum(len(arm.launches) for arm in measured.arms)
    turn = sum(sum(arm.blocks.seconds) for arm in measured.arms) / max(1, turns) + REST_SECONDS
    start = max(0.0, measured.seconds - turns * turn) / max(1, workers)
    return start + rounds * turn

"""Run a lab experiment: its ways are measured in worker processes, and their results compared with the plain twin's.

A group of arms is one point of the experiment, with the plain twin as the baseline.
"""

import dataclasses
import statistics
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from vecml.comparison.arms import null_name, thread_variables
from vecml.comparison.budget import Budget
from vecml.comparison.comparison import median_call_seconds
from vecml.comparison.sitting import Sitting, alone, sit
from vecml.device import usable_cpus
from vecml.environment import describe
from vecml.lab.experiment import Cell, Experiment, Outcome, Point, Way
from vecml.lab.work import OPENER, difference
from vecml.measure.limits import Limits, fraction_of_limit, machine_limits
from vecml.measure.records import Arm, ArmMeasurement, Plan, Role
from vecml.measure.verdict import Verdict, judge

QUICK = Plan(
    launches=3, budget_seconds=None, rounds=5, fewest_rounds=5, block_seconds=0.01, warm_calls=2, warm_seconds=0.03
)
FULL = Plan(
    launches=5, budget_seconds=None, rounds=10, fewest_rounds=10, block_seconds=0.03, warm_calls=2, warm_seconds=0.2
)


def run(experiment: Experiment, *, quick: bool) -> Outcome:
    """Measure an experiment on this machine.

    Args:
        experiment: what is measured.
        quick: measure fewer points, in three launches with shorter blocks instead of five.

    Raises MeasureError when another measurement does not end. A way that fails is invalid; the others go on.
    """
    plan = experiment.plan(quick)
    environment = describe()
    outcome = Outcome(
        name=experiment.name,
        title=experiment.title,
        idea=experiment.idea,
        axis=experiment.axis,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        quick=quick,
        cells=(),
        skipped=plan.skipped,
        limits=Limits(),
        launches=0,
        environment=environment.to_json_dict(),
    )
    if not plan.points:
        return outcome
    with alone():
        limits = machine_limits(environment.machine_key, 1, "float32")
    budget = Budget(QUICK if quick else FULL, "quick" if quick else "full", None, "default")
    sitting = sit(make_groups(experiment, plan.points), budget)
    outcome = dataclasses.replace(
        outcome,
        created=sitting.created,
        cells=tuple(cells(plan.points, sitting, limits)),
        limits=limits,
        launches=sitting.measured.launches,
        environment=sitting.environment,
        load_before=sitting.load_before,
        load_after=sitting.load_after,
    )
    if sitting.change is not None:
        return dataclasses.replace(outcome, sentences=(f"No result counts: {sitting.change}.", "Measure again."))
    return dataclasses.replace(outcome, sentences=experiment.tell(outcome)) if outcome.of() else outcome


def make_groups(experiment: Experiment, points: tuple[Point, ...]) -> list[list[Arm]]:
    """A group of arms for each point; the first group also has a copy of its baseline, as the null arm."""
    groups = []
    for index, point in enumerate(points):

        def arm(way: Way, role: Role, point: Point = point) -> Arm:
            name = arm_name(point, way)
            payload = {
                "experiment": experiment.name,
                "way": dict(way.payload),
                "allocations": experiment.allocations and role != "null",
            }
            variables = {**thread_variables(way.threads), **way.environment}
            label = null_name(name) if role == "null" else name
            return Arm(label, OPENER, payload, role, min(way.threads, usable_cpus()), variables)

        plain, *others = point.ways
        group = [arm(plain, "baseline"), *(arm(way, "arm") for way in others)]
        if index == 0:
            group.append(arm(plain, "null"))
        groups.append(group)
    return groups


def arm_name(point: Point, way: Way) -> str:
    """The name of the arm that does a point's work in this way."""
    return f"{way.name}, {point.label}"


def cells(points: tuple[Point, ...], sitting: Sitting, limits: Limits) -> list[Cell]:
    """The figures and the verdict of every way at every point; the same arguments give the same cells."""
    arms = {arm.name: arm for arm in sitting.measured.arms if arm.role != "null"}
    wrong = {name: fault for point in points for name, fault in _faults(point, arms).items()}
    faults = sitting.faults(arms, wrong)
    families = judge(sitting.measured, sitting.rules, faults)
    verdicts = {verdict.arm: verdict for family in families for verdict in family.verdicts}
    return [
        _cell(point, way, arms, limits, verdicts.get(arm_name(point, way)), faults.get(arm_name(point, way)))
        for point in points
        for way in point.ways
        if arm_name(point, way) in arms
    ]


def _faults(point: Point, arms: Mapping[str, ArmMeasurement]) -> dict[str, str]:
    """Return, by the arm's name, what is wrong with each arm whose results differ too much from the plain twin's."""
    found = {}
    for way in point.ways[1:]:
        error = _error(point, way, arms)
        if error is not None and not error <= way.tolerance:
            found[arm_name(point, way)] = (
                f"its results are off by {error:.2g} of the largest, more than {way.tolerance:.2g}"
            )
    return found


def _error(point: Point, way: Way, arms: Mapping[str, ArmMeasurement]) -> float | None:
    plain, other = _facts(arms, arm_name(point, point.ways[0])), _facts(arms, arm_name(point, way))
    if not plain or not other:
        return None
    return difference(plain["samples"], other["samples"])


def _facts(arms: Mapping[str, ArmMeasurement], name: str) -> Mapping[str, Any]:
    arm = arms.get(name)
    return {} if arm is None or not arm.launches else arm.launches[-1].facts


def _cell(
    point: Point,
    way: Way,
    arms: Mapping[str, ArmMeasurement],
    limits: Limits,
    verdict: Verdict | None,
    fault: str | None,
) -> Cell:
    arm = arms[arm_name(point, way)]
    seconds = median_call_seconds(arm)
    failure = arm.failure or fault
    if verdict is not None and verdict.verdict == "invalid":
        failure = verdict.reason
    moved = point.bytes_per_call if way.bytes_per_call is None else way.bytes_per_call
    gemm, copy = limits.gemm("float32", 1), limits.copy(1)
    share = None
    if seconds and gemm and copy and (moved or point.flops_per_call):
        share = fraction_of_limit(point.flops_per_call, moved, 0, 1, seconds, gemm, copy)
    allocated = [launch.facts.get("allocated_bytes") for launch in arm.launches]
    known = [int(value) for value in allocated if value is not None]
    return Cell(
        point=point.label,
        x=point.x,
        way=way.name,
        plain=way is point.ways[0],
        seconds=seconds,
        verdict=verdict,
        failure=failure,
        bytes_per_call=moved,
        flops_per_call=point.flops_per_call,
        fraction_of_limit=share,
        allocated_bytes=int(statistics.median(known)) if known else None,
        error=_error(point, way, arms),
    )

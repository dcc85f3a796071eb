"""`vecml qualify`: a test of the measuring itself on this machine, with differences that are known beforehand.

Four arms are measured: the numpy engine on a network of 10-32-2, its copy, and the same with 5 % and 2 % more rows in
every call. Comparisons are formed from separate launches and counted, beside comparisons on a simulated machine.
"""

import dataclasses
import math
import os
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from vecml import cache
from vecml.comparison.arms import OPENER, thread_variables
from vecml.comparison.budget import GATES, ROUNDS, Budget, launches_for
from vecml.comparison.compare import Job, write_files
from vecml.comparison.comparison import Record
from vecml.comparison.files import shared_folder
from vecml.comparison.sitting import Sitting, sit
from vecml.config import Setting
from vecml.device import usable_cpus
from vecml.errors import MeasureError
from vecml.measure.pairs import paired
from vecml.measure.proof import (
    COMPARISONS,
    LEAST_FOUND,
    MOST_FOUND,
    Figure,
    Tally,
    bias,
    coverage,
    false_alarms,
    large_verdicts,
    prove,
)
from vecml.measure.records import Arm, Blocks, Measured, Plan, Role
from vecml.measure.verdict import Rules, judge
from vecml.model.network import Architecture, Layer, Model
from vecml.numbers import percent
from vecml.progress import stage
from vecml.proportions import wilson_interval
from vecml.statistics import detection_power, smallest_detectable

ROWS = 400_000
PLANTED = (0.05, 0.02)
SHORT, LONG = 60.0, 300.0
GATE_LAUNCHES = (3, 5, 10, 20)
GATE_SHARE = 0.95
FEWEST_FOR_A_QUANTILE = 20
NORMAL_QUANTILE = 1.96
FEWEST_LAUNCHES = 6
SIMULATED_PER_MINUTE = 500

# A development machine may have them set; they choose NumPy's kernels, and the proof is about the machine.
CHOOSING_KERNELS = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")


@dataclass(frozen=True, kw_only=True)
class Qualification(Record):
    """How well this machine measures.

    Attributes:
        minutes: time of the real measurement.
        launches: number of complete launches.
        replaced: number of launches that were replaced because of a slow canary.
        figures: of the real and the simulated comparisons, each beside its target.
        launch_sd: standard deviation of a launch's log-ratio of the same code against itself.
        gates: by number of launches, the |ratio - 1| that the same code against itself exceeds in one comparison of 20.
        resolves: by budget in seconds, the difference that is found nine times in ten.
        launches_for: by budget in seconds, the number of launches of a comparison of two arms.
    """

    minutes: float
    launches: int
    replaced: int
    figures: tuple[Figure, ...]
    launch_sd: float
    gates: Mapping[int, float]
    resolves: Mapping[float, float]
    launches_for: Mapping[float, int]

    @property
    def status(self) -> str:
        """`met`, or the worst of the figures: `missed`, else `undecided`."""
        found = {figure.status for figure in self.figures}
        return next((word for word in ("missed", "undecided") if word in found), "met")


def qualify(minutes: float, *, keep: bool = True, seed: int = 0) -> Qualification:
    """Measure, simulate and count, and keep this machine's A/A gates for its verdicts.

    Args:
        minutes: time of the real measurement.
        keep: whether the gates are written to the cache.
        seed: of the simulated machines.

    Raises MeasureError when the minutes give too few launches, an arm fails, or the environment changes meanwhile.
    """
    sitting = _measure_for(minutes)
    measured = sitting.measured
    sd, gates = launch_spread(measured)
    rules = Rules(gate=_gate_for(gates, launches_for(SHORT, 3)), gate_source="qualified")
    figures = real_figures(measured, rules, sd)
    simulated = max(200, min(COMPARISONS, round(SIMULATED_PER_MINUTE * minutes)))
    with stage("simulating", 2 * simulated) as advance:
        figures += prove(simulated, seed, advance)
    counts = {budget: launches_for(budget, 3) for budget in (SHORT, LONG)}
    resolves = {
        budget: math.expm1(smallest_detectable(sd, count, rules.level, gate=math.log1p(_gate_for(gates, count))))
        for budget, count in counts.items()
    }
    if keep:
        by_count = {str(count): gate for count, gate in gates.items()}
        content = {"launch_sd": sd, "gates": by_count, "created": sitting.created}
        cache.write(GATES, sitting.machine_key, content)
    return Qualification(
        **sitting.recorded(),
        minutes=minutes,
        launches=measured.launches,
        replaced=len(measured.replaced),
        figures=tuple(figures),
        launch_sd=sd,
        gates=gates,
        resolves=resolves,
        launches_for=counts,
    )


def _measure_for(minutes: float) -> Sitting:
    """Measure launches until the time is over, whatever they show; raises MeasureError as `qualify` does."""
    for name in CHOOSING_KERNELS:
        os.environ.pop(name, None)
    plan = Plan(launches=3, most_launches=10**6, budget_seconds=60 * minutes, rounds=ROUNDS, fewest_rounds=ROUNDS)
    with shared_folder(4 * ROWS * 10 * 4) as folder:
        sitting = sit([_arms(folder)], Budget(plan, "", None, ""), enough=lambda _measured, _rules: False)
    if sitting.change is not None:
        raise MeasureError(sitting.change, "run it again, and change nothing on the machine before it ends")
    for arm in sitting.measured.arms:
        if arm.failure is not None:
            raise MeasureError(f"the qualification's arm {arm.name!r} failed: {arm.failure}", "run it again")
    if sitting.measured.launches < FEWEST_LAUNCHES:
        raise MeasureError(
            f"--minutes {minutes:g} gave {sitting.measured.launches} launches, and {FEWEST_LAUNCHES} are needed",
            "give it more time",
        )
    return sitting


def part_of(measured: Measured, launches: Sequence[int]) -> Measured:
    """Return a copy of the measurement with these launches only."""
    chosen = set(launches)
    arms = []
    for arm in measured.arms:
        kept = [index for index, launch in enumerate(arm.blocks.launch) if launch in chosen]
        columns = {
            name: tuple(getattr(arm.blocks, name)[index] for index in kept) for name in Blocks.__dataclass_fields__
        }
        launched = tuple(launch for launch in arm.launches if launch.launch in chosen)
        arms.append(dataclasses.replace(arm, blocks=Blocks(**columns), launches=launched))
    windows = tuple(seen for seen in measured.windows if seen.launch in chosen)
    plan = dataclasses.replace(measured.plan, launches=len(chosen))
    return dataclasses.replace(measured, plan=plan, arms=tuple(arms), launches=len(chosen), windows=windows)


def disjoint(measured: Measured, size: int) -> list[Measured]:
    """Separate comparisons of `size` launches each, in the order of time; no launch is in two of them."""
    return [part_of(measured, range(first, first + size)) for first in range(0, measured.launches - size + 1, size)]


def launch_spread(measured: Measured) -> tuple[float, dict[int, float]]:
    """Compute from an A/A comparison how much its launches differ: their spread, and a gate for each launch count.

    The spread is the standard deviation of a launch's log-ratio of the two equal arms. 95 % of the A/A comparisons with
    so many launches differ by less than the gate (0.02 is 2 %). Raises MeasureError if too few launches gave pairs.
    """
    baseline = _arm(measured, "baseline")
    estimates = list(paired(baseline, _arm(measured, "null"), measured.windows).estimates().values())
    if len(estimates) < FEWEST_LAUNCHES:
        raise MeasureError(
            f"only {len(estimates)} of {measured.launches} launches gave pairs: the machine was disturbed",
            "run it with nothing else running",
        )
    sd = statistics.stdev(estimates)
    gates = {}
    for size in GATE_LAUNCHES:
        means = [
            abs(statistics.fmean(estimates[first : first + size]))
            for first in range(0, len(estimates) - size + 1, size)
        ]
        gate = (
            float(np.quantile(means, GATE_SHARE))
            if len(means) >= FEWEST_FOR_A_QUANTILE
            else NORMAL_QUANTILE * sd / math.sqrt(size)
        )
        gates[size] = math.expm1(gate)
    return sd, gates


def real_figures(measured: Measured, rules: Rules, sd: float) -> list[Figure]:
    """The figures of the real measurement: the same code against itself, and the planted differences."""
    size = launches_for(SHORT, 3)
    null = _tally([_as_arm(one) for one in disjoint(measured, size)], "A'", 0.0, rules)
    what = f"real A/A, {size} launches"
    figures = [
        false_alarms(what, null, None),
        coverage(what, null, None),
        large_verdicts(what, null),
        bias(what, null),
    ]
    for planted in PLANTED:
        name = _name(planted)
        truth = -math.log1p(planted)
        covered = _tally(disjoint(measured, size), name, truth, rules)
        figures += [
            coverage(f"real, {percent(planted, 0)} planted, {size} launches", covered, None),
            bias(f"real, {percent(planted, 0)} planted", covered),
            _power(measured, planted, rules, sd),
        ]
    return figures


def _power(measured: Measured, planted: float, rules: Rules, sd: float) -> Figure:
    """Measure how often comparisons find a planted difference, with the fewest launches that should find it."""
    size = next(
        (
            count
            for count in range(3, measured.launches // 3 + 1)
            if math.expm1(smallest_detectable(sd, count, rules.level, gate=_gate(sd, count))) <= planted
        ),
        max(3, measured.launches // 3),
    )
    # A difference within 3 % would be called equivalent even where it is found, so nothing counts as equivalent here.
    rules = dataclasses.replace(rules, gate=math.expm1(_gate(sd, size)), equivalence=0.0)
    tally = _tally(disjoint(measured, size), _name(planted), -math.log1p(planted), rules)
    expected = detection_power(math.log1p(planted), sd, size, rules.level, _gate(sd, size))
    low, high = wilson_interval(tally.found, tally.comparisons)
    what = f"real, {percent(planted, 0)} planted, {size} launches: found ({percent(expected, 0)} expected)"
    return Figure(
        what,
        tally.found / max(1, tally.comparisons),
        low,
        high,
        LEAST_FOUND,
        MOST_FOUND if expected <= MOST_FOUND else None,
        tally.comparisons,
    )


def _gate(sd: float, launches: int) -> float:
    """The A/A gate on the log scale if the estimates were normal."""
    return NORMAL_QUANTILE * sd / math.sqrt(launches)


def _gate_for(gates: Mapping[int, float], launches: int) -> float:
    """The gate of the largest number of launches that was qualified and is at most `launches`."""
    return gates[max(count for count in gates if count <= max(launches, min(gates)))]


def _tally(comparisons: Sequence[Measured], arm: str, truth: float, rules: Rules) -> Tally:
    tally = Tally(truth=truth)
    for one in comparisons:
        # Alone against the baseline: the level is not shared with the other arms, which answer other questions.
        arms = tuple(found for found in one.arms if found.role in ("baseline", "null") or found.name == arm)
        for verdict in judge(dataclasses.replace(one, arms=arms), rules)[0].verdicts:
            tally.add(verdict)
    return tally


def _as_arm(measured: Measured) -> Measured:
    """The baseline and its copy alone, the copy as an arm, so that it gets a verdict like any other."""
    arms = tuple(
        dataclasses.replace(arm, role="arm", name="A'") if arm.role == "null" else arm
        for arm in measured.arms
        if arm.role in ("baseline", "null")
    )
    return dataclasses.replace(measured, arms=arms)


def _arm(measured: Measured, role: Role) -> Any:
    return next(arm for arm in measured.arms if arm.role == role)


def _arms(folder: Path) -> list[Arm]:
    """The arms: A, its copy, and A with more rows. Each input has a folder of its own, which its workers share."""
    random = np.random.default_rng(0)
    widths = (10, 32, 2)
    layers = tuple(
        Layer(
            (random.standard_normal((fan_out, fan_in)) / math.sqrt(fan_in)).astype(np.float32),
            random.standard_normal(fan_out).astype(np.float32),
        )
        for fan_in, fan_out in pairwise(widths)
    )
    model = Model(Architecture(10, (32,), 2, "relu"), layers, ("0", "1"))
    threads = usable_cpus()
    setting = Setting("numpy", threads=threads)

    def arm(name: str, role: Role, planted: float) -> Arm:
        place = folder / f"{planted}"
        if not place.exists():
            place.mkdir()
            x_FN = random.standard_normal((10, round(ROWS * (1 + planted))), dtype=np.float32)
            write_files(Job(model, x_FN), {"numpy": setting}, place)
        payload = {"folder": str(place), "setting": dataclasses.asdict(setting), "probe": None}
        return Arm(name, OPENER, payload, role, threads, thread_variables(threads))

    return [arm("A", "baseline", 0.0), arm("A'", "null", 0.0), *(arm(_name(share), "arm", share) for share in PLANTED)]


def _name(planted: float) -> str:
    return f"A + {percent(planted, 0)}"

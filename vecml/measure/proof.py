"""A test of the protocol where the truth is known: whole comparisons on a simulated machine are counted.

A comparison promises that its verdicts are not wrong more often than it says, and that it finds the differences that it
says it can find. Each figure of these promises has a target.
"""

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random

from vecml.measure.coordinator import measure
from vecml.measure.pairs import paired
from vecml.measure.records import Arm, Measured, Plan
from vecml.measure.simulation import CALL_SECONDS, Contention, Machine, Noise
from vecml.measure.verdict import Rules, Verdict, judge
from vecml.numbers import percent
from vecml.proportions import wilson_interval
from vecml.statistics import smallest_detectable

COMPARISONS = 5_000
PLANTED = 1_000
SLOW_CHANCE = 0.10
PLAN = Plan(launches=5, budget_seconds=None, rounds=9)
MOST_FALSE_ALARMS, LEAST_FALSE_ALARMS = 0.069, 0.031
LEAST_COVERAGE, MOST_COVERAGE = 0.93, 0.97
LEAST_FOUND, MOST_FOUND = 0.85, 0.95
MOST_BIAS = 0.005
LARGE = 0.05


@dataclass(frozen=True)
class Figure:
    """A measured figure and its target.

    Attributes:
        what: the figure in words.
        value: the figure; shares are 0 to 1.
        low, high: its 95 % interval; the value itself where it is no estimate.
        least, most: the target; None: no bound on that side. Where both are None there is no target.
        count: number of comparisons that it is counted over.
    """

    what: str
    value: float
    low: float
    high: float
    least: float | None
    most: float | None
    count: int

    @property
    def status(self) -> str:
        """`met`, `missed` (the whole interval is outside), `undecided` (only the value is), or `no target`."""
        if self.least is None and self.most is None:
            return "no target"
        least = -math.inf if self.least is None else self.least
        most = math.inf if self.most is None else self.most
        if least <= self.value <= most:
            return "met"
        return "missed" if self.high < least or self.low > most else "undecided"


@dataclass
class Tally:
    """Counts over many comparisons of one kind.

    Attributes:
        truth: the true log-ratio.
        comparisons: number of comparisons with an interval; all counts are of these.
        alarms: number of intervals that do not contain a ratio of 1.
        covered: number of intervals that contain the truth.
        large: number of verdicts `faster` or `slower` by 5 % or more.
        found: number of verdicts `faster` or `slower` on the side of the truth.
        invalid: number of verdicts `invalid`.
        busy: number of verdicts `busy`; their words count as those of the others do.
        wrong: number of verdicts `faster` or `slower` without a condition that are not on the side of the truth.
        wrong_while_busy: the same of the verdicts that have a condition.
        estimates: the log-ratios.
        variances: by comparison, the variance of its launches' estimates.
    """

    truth: float = 0.0
    comparisons: int = 0
    alarms: int = 0
    covered: int = 0
    large: int = 0
    found: int = 0
    invalid: int = 0
    busy: int = 0
    wrong: int = 0
    wrong_while_busy: int = 0
    estimates: list[float] = field(default_factory=list)
    variances: list[float] = field(default_factory=list)

    def add(self, verdict: Verdict) -> None:
        """Count one comparison's verdict."""
        if verdict.ratio is None or verdict.ratio_low is None or verdict.ratio_high is None:
            return
        low, high, estimate = math.log(verdict.ratio_low), math.log(verdict.ratio_high), math.log(verdict.ratio)
        self.comparisons += 1
        self.alarms += not low <= 0 <= high
        self.covered += low <= self.truth <= high
        differs = (verdict.while_busy or verdict.verdict) in ("faster", "slower")
        self.large += differs and abs(estimate) >= math.log1p(LARGE)
        self.found += differs and estimate * self.truth > 0
        off = differs and estimate * self.truth <= 0
        self.wrong += off and verdict.is_valid
        self.wrong_while_busy += off and not verdict.is_valid
        self.invalid += verdict.verdict == "invalid"
        self.busy += verdict.verdict == "busy"
        self.estimates.append(estimate)

    @property
    def bias(self) -> float:
        """The relative error of the ratio by the mean estimate; NaN without an estimate."""
        return math.nan if not self.estimates else math.expm1(statistics.fmean(self.estimates) - self.truth)


def false_alarms(what: str, tally: Tally, least: float | None) -> Figure:
    """Share of intervals that exclude a ratio of 1, where 1 is the truth."""
    return _share(f"{what}: false alarms", tally.alarms, tally.comparisons, least, MOST_FALSE_ALARMS)


def coverage(what: str, tally: Tally, most: float | None) -> Figure:
    """Share of intervals that contain the truth."""
    return _share(f"{what}: coverage", tally.covered, tally.comparisons, LEAST_COVERAGE, most)


def large_verdicts(what: str, tally: Tally) -> Figure:
    """Number of false verdicts of 5 % and more."""
    low, high = wilson_interval(tally.large, tally.comparisons)
    count = tally.comparisons
    return Figure(f"{what}: false verdicts of 5 % or more", tally.large, low * count, high * count, None, 0, count)


def found(what: str, tally: Tally) -> Figure:
    """Share of comparisons that found the planted difference."""
    return _share(f"{what}: found", tally.found, tally.comparisons, LEAST_FOUND, MOST_FOUND)


def bias(what: str, tally: Tally) -> Figure:
    """The ratio's bias, with twice its standard error on both sides."""
    spread = (
        statistics.stdev(tally.estimates) / math.sqrt(len(tally.estimates)) if len(tally.estimates) > 1 else math.inf
    )
    value = tally.bias
    return Figure(
        f"{what}: bias of the ratio",
        value,
        value - 2 * spread,
        value + 2 * spread,
        -MOST_BIAS,
        MOST_BIAS,
        tally.comparisons,
    )


def simulate(  # noqa: PLR0913 -- by keyword
    comparisons: int,
    noise: Noise,
    *,
    planted: float = 0.0,
    seed: int = 0,
    plan: Plan = PLAN,
    rules: Rules = Rules(),  # noqa: B008 -- frozen
    shared: frozenset[str] = frozenset(),
    contention: Contention | None = None,
    cpus: tuple[int, int] = (1, 1),
    run: Callable[[Sequence[Sequence[Arm]], Plan, Machine], Measured] | None = None,
) -> Tally:
    """Count whole comparisons of an arm `b` with an arm `a` and its null copy, each on a simulated machine of its own.

    Args:
        comparisons: number of comparisons.
        noise: of the machines.
        planted: how much slower `b` is, relative to `a`.
        seed: of all machines together.
        plan, rules: of every comparison.
        shared: names of arms that share a process, to simulate such a fault of the protocol.
        contention: others that use the machines' CPUs.
        cpus: that `a` and `b` need.
        run: measures instead of the coordinator, to simulate other faults of the protocol.
    """
    tally = Tally(truth=-math.log1p(planted))
    ours, theirs = cpus
    group = [
        Arm("a", "", role="baseline", cpus=ours),
        Arm("a'", "", role="null", cpus=ours),
        Arm("b", "", cpus=theirs),
    ]
    for number in range(comparisons):
        random = Random(f"{seed} {number}")  # noqa: S311 -- noise, no secret
        machine = Machine(noise, random, {"b": CALL_SECONDS * (1 + planted)}, shared, contention)
        measured = (run or _measure)([group], plan, machine)
        verdict = judge(measured, rules)[0].verdicts[0]
        tally.add(verdict)
        tally.variances.append(launch_variance(measured))
    return tally


def prove(
    comparisons: int = COMPARISONS, seed: int = 0, advance: Callable[[float], None] = lambda _amount: None
) -> list[Figure]:
    """The figures of simulated comparisons, as in the table of docs/comparison.md.

    The planted slowdown is the smallest detectable difference, as a comparison would print it, by the spread of these
    machines' launches. `advance` is called with the number of comparisons that were made.
    """
    quiet = simulate(comparisons, Noise(), seed=seed)
    advance(comparisons)
    slow = simulate(comparisons, Noise(slow_chance=SLOW_CHANCE), seed=seed + 1)
    advance(comparisons)
    rules = Rules()
    sd = math.sqrt(statistics.fmean(quiet.variances))
    smallest = math.expm1(smallest_detectable(sd, PLAN.launches, rules.level, gate=math.log1p(rules.gate)))
    number = max(100, comparisons * PLANTED // COMPARISONS)
    planted = simulate(number, Noise(), planted=smallest, seed=seed + 2)
    advance(number)
    what, slow_what = "simulated A/A", f"simulated A/A, {percent(SLOW_CHANCE, 0)} of the workers slow"
    return [
        false_alarms(what, quiet, LEAST_FALSE_ALARMS),
        coverage(what, quiet, MOST_COVERAGE),
        large_verdicts(what, quiet),
        bias(what, quiet),
        false_alarms(slow_what, slow, None),
        coverage(slow_what, slow, None),
        large_verdicts(slow_what, slow),
        found(f"simulated, {percent(smallest)} planted", planted),
        bias(f"simulated, {percent(smallest)} planted", planted),
    ]


def launch_variance(measured: Measured) -> float:
    """Variance of the launches' log-ratios of the first arm against its baseline; 0 with fewer than two."""
    baseline = next(arm for arm in measured.arms if arm.role == "baseline")
    arm = next(arm for arm in measured.arms if arm.role == "arm" and arm.group == baseline.group)
    estimates = list(paired(baseline, arm, measured.windows).estimates().values())
    return statistics.variance(estimates) if len(estimates) > 1 else 0.0


def _measure(groups: Sequence[Sequence[Arm]], plan: Plan, machine: Machine) -> Measured:
    return measure(groups, plan, machine, clock=machine.clock, random=machine.random)


def _share(what: str, number: int, total: int, least: float | None, most: float | None) -> Figure:
    low, high = wilson_interval(number, total)
    return Figure(what, number / total if total else math.nan, low, high, least, most, total)

"""The record of a comparison, and the figures of every setting that are computed from it.

The record holds what was measured; verdicts and figures are functions of it, so that a file of the record gives the
same verdicts and figures again, bit for bit.
"""

import math
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from vecml.config import Setting
from vecml.measure.alone import alone_ratio
from vecml.measure.claim import claim_of
from vecml.measure.coordinator import FEWEST_LAUNCHES
from vecml.measure.finals import with_finals
from vecml.measure.latency import merged, percentiles
from vecml.measure.limits import Limits, fraction_of_limit, minimal_work
from vecml.measure.load import mean_load
from vecml.measure.pairs import paired, significant_mean, slow_call_excesses, undisturbed_blocks
from vecml.measure.quiet import FREE_ENOUGH_CPUS
from vecml.measure.records import ArmMeasurement, Measured
from vecml.measure.verdict import DISTURBED, Family, Rules, Verdict, judge
from vecml.numbers import percent
from vecml.statistics import t_interval

FUNCTIONS, COMMANDS = "functions", "commands"  # in place of a data source, where no model is run

FEWEST_QUIET_BLOCKS = 3  # of a limit


@dataclass(frozen=True)
class Subject:
    """The model and the data that a comparison ran.

    Attributes:
        data_source: the file's name, `sklearn:NAME`, `synthetic`, `functions`, or `commands`.
        n_rows: number of rows that were inferred; 1 for functions and commands.
        widths: the widths of the network's layers, its input first; of a module of the user's own only the number of
            features; empty for functions and commands.
        n_classes: number of classes; 0 for functions and commands.
        value_bytes: bytes of a feature in the input; 0 for functions and commands.
        data_digest, architecture_digest, model_digest: `none` where there is none.
        run_id: the tracked run that the model comes from, or None.
    """

    data_source: str
    n_rows: int
    widths: tuple[int, ...] = ()
    n_classes: int = 0
    value_bytes: int = 0
    data_digest: str = "none"
    architecture_digest: str = "none"
    model_digest: str = "none"
    run_id: str | None = None


@dataclass(frozen=True)
class Load:
    """How busy the machine was while vecml ran nothing.

    Attributes:
        average: the system's load average over a minute; None where the system has none.
        foreign_cpus: CPU seconds per second that other processes used, over half a second; None where it is unknown.
    """

    average: float | None
    foreign_cpus: float | None


@dataclass(frozen=True, kw_only=True)
class Record:
    """The part that the records of all measurements have alike.

    Attributes:
        created: when it began: ISO 8601, UTC.
        vecml: the version that measured.
        environment: the machine and the libraries (`Environment.to_json_dict`).
        load_before, load_after: how busy other programs kept the machine.
        measured: every raw block.
    """

    created: str
    vecml: str
    environment: Mapping[str, Any] = field(repr=False)
    load_before: Load
    load_after: Load
    measured: Measured = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class Comparison(Record):
    """Several settings, functions or commands, measured beside each other.

    Attributes:
        budget: as the user gave it.
        subject: the model and the data.
        settings: by the arm's name; empty for functions and commands.
        skipped: by the name of each setting that could not run, the reason.
        simplest: the arms' names, the simplest first; among tied arms the simplest is recommended.
        rules: the bounds and levels of the verdicts.
        faults: by an arm's name, why it is invalid however fast it is.
        finals: fresh launches of the baselines and the finalists, raw; None where nothing was measured afresh.
        alone: a launch of each finalist with no other arm beside it, raw; None where there was none.
    """

    budget: str
    subject: Subject
    settings: Mapping[str, Setting] = field(default_factory=dict)
    skipped: Mapping[str, str] = field(default_factory=dict)
    simplest: tuple[str, ...]
    rules: Rules
    faults: Mapping[str, str]
    finals: Measured | None = field(default=None, repr=False)
    alone: Measured | None = field(default=None, repr=False)

    @property
    def noun(self) -> str:
        """Say what an arm is: a `setting`, a `function` or a `command`."""
        if self.settings:
            return "setting"
        return "command" if self.subject.data_source == COMMANDS else "function"


@dataclass(frozen=True)
class ArmFigures:
    """The figures of one setting, function or command.

    Attributes:
        name: the arm's name.
        setting: None for a function or a command.
        verdict: against its baseline; None for the baseline itself.
        failure: why it failed or is invalid; None where it is valid.
        rows_per_s: rows a second at the median block; of a function calls, and of a command starts a second.
        rows_per_s_low, rows_per_s_high: its 95 % interval over the launches; None where there are too few of them.
        load_seconds: time to load the model into the engine; the median of the launches.
        peak_rss_bytes: the most memory that a worker used, the input included.
        rows_scored, flips: number of labels of the timed calls that were compared with the reference, and number of
            those that differ.
        accuracy: share of labels that are true; None where the true labels are not known.
        fraction_of_limit: share of the rate that the machine allows, by the matrix product and the copy that were
            measured in the same launches; None where they were not.
        break_even_rows: number of rows from which on the time to load it pays; None where it is not faster.
        percentile_seconds: percentiles of single calls, by share (0.5, 0.9 ...); empty where calls were not timed.
        canary_seconds: median time of the fixed piece of work in its workers.
        slow_call_excess: how far its mean call is above its median block (0.1 is 10 %), where that is significantly
            more than `rules.rare_size`, so that it has rare slow calls; else 0.
        cpus_used: CPU time over wall time in its blocks; None where it is unknown.
        precision_used: the precision in which it really computed.
        facts: what its last launch reported: thread pools and checks; of a command what all its launches did.
        fresh_rows_per_s: rows a second at the median block of its fresh launches, which its verdict comes from; None
            where it was not measured afresh.
        alone_ratio: its rate in a launch of its own over that of its fresh launches; None where it was not measured
            so, or where the two do not differ for certain.
    """

    name: str
    setting: Setting | None
    verdict: Verdict | None
    failure: str | None
    rows_per_s: float | None
    rows_per_s_low: float | None = None
    rows_per_s_high: float | None = None
    load_seconds: float | None = None
    peak_rss_bytes: int | None = None
    rows_scored: int = 0
    flips: int = 0
    accuracy: float | None = None
    fraction_of_limit: float | None = None
    break_even_rows: float | None = None
    percentile_seconds: Mapping[float, float] = field(default_factory=dict)
    canary_seconds: float | None = None
    slow_call_excess: float = 0.0
    cpus_used: float | None = None
    precision_used: str | None = None
    facts: Mapping[str, Any] = field(default_factory=dict, repr=False)
    fresh_rows_per_s: float | None = None
    alone_ratio: float | None = None


def families(comparison: Comparison) -> tuple[Family, ...]:
    """The verdicts, in one family for each baseline; each size of request has a baseline of its own.

    The verdicts on finalists are those of their fresh launches.
    """
    found = judge(comparison.measured, comparison.rules, comparison.faults)
    if comparison.finals is None:
        return found
    fresh = {one.baseline: one for one in judge(comparison.finals, comparison.rules, comparison.faults)}
    return tuple(with_finals(one, fresh.get(one.baseline)) for one in found)


def recommended(comparison: Comparison, family: Family) -> str | None:
    """The simplest of the arms of which one may be the fastest; None where no verdict shows which these are."""
    order = {name: place for place, name in enumerate(comparison.simplest)}
    return min(claim_of(family).leading, key=lambda name: order.get(name, len(order)), default=None)


def is_right(comparison: Comparison, name: str) -> bool:
    """Whether an arm ran and gave right answers, even if the machine was disturbed meanwhile."""
    failed = any(arm.name == name and arm.failure is not None for arm in comparison.measured.arms)
    return name not in comparison.faults and not failed


def names_in(family: Family) -> tuple[str, ...]:
    """The names of a family's settings, its baseline first."""
    return (family.baseline, *(verdict.arm for verdict in family.verdicts))


def disturbed(comparison: Comparison, name: str) -> str | None:
    """Why too many of an arm's rounds were disturbed to count as those of a quiet machine; None where they were not."""
    arm = next(one for one in comparison.measured.arms if one.name == name)
    baseline = next(one for one in comparison.measured.arms if one.role == "baseline" and one.group == arm.group)
    pairs = paired(baseline, arm, comparison.measured.windows)
    if pairs.dropped_share <= comparison.rules.dropped_share:
        return None
    return f"{percent(pairs.dropped_share, 0)} {DISTURBED}: {pairs.disturbance}"


def figures(comparison: Comparison) -> tuple[ArmFigures, ...]:
    """The figures of every arm, in the order of measuring; a baseline that is in several groups is there once."""
    judged = families(comparison)
    verdicts = {verdict.arm: verdict for family in judged for verdict in family.verdicts}
    afresh = {verdict.arm for family in judged for verdict in family.first}
    found: dict[str, ArmFigures] = {}
    baselines: dict[int, ArmFigures] = {}
    for arm in comparison.measured.arms:
        if arm.role == "baseline" and arm.name in found:
            baselines[arm.group] = found[arm.name]
        elif arm.role in ("baseline", "arm"):
            found[arm.name] = _figures(comparison, arm, verdicts.get(arm.name), baselines.get(arm.group))
            if arm.role == "baseline":
                baselines[arm.group] = found[arm.name]
    for name in afresh & found.keys():
        found[name] = replace(found[name], **_fresh_figures(comparison, name, len(afresh)))
    return tuple(found.values())


def _fresh_figures(comparison: Comparison, name: str, finalists: int) -> dict[str, Any]:
    """The figures of an arm's fresh launches, and of its launch alone, as fields of `ArmFigures`."""
    arms = () if comparison.finals is None else comparison.finals.arms
    own = next(arm for arm in arms if arm.name == name)
    seconds = median_call_seconds(own)
    alone = comparison.alone
    return {
        "fresh_rows_per_s": _rows_of_a_call(comparison, name) / seconds if seconds else None,
        "alone_ratio": None if alone is None else alone_ratio(own, alone, comparison.rules.gate, finalists),
    }


def _rows_of_a_call(comparison: Comparison, name: str) -> int:
    setting = comparison.settings.get(name)
    return 1 if setting is None else setting.request_rows or comparison.subject.n_rows


def _figures(
    comparison: Comparison, arm: ArmMeasurement, verdict: Verdict | None, baseline: ArmFigures | None
) -> ArmFigures:
    setting = comparison.settings.get(arm.name)
    rows = _rows_of_a_call(comparison, arm.name)
    seconds = median_call_seconds(arm)
    rate = None if seconds is None else rows / seconds if seconds > 0 else math.inf
    facts = arm.launches[-1].facts if arm.launches else {}
    load = statistics.median(launch.load_seconds for launch in arm.launches) if arm.launches else None
    failure = arm.failure or comparison.faults.get(arm.name)
    if verdict is not None and verdict.verdict == "invalid":
        failure = verdict.reason
    right, scored = facts.get("right"), int(facts.get("rows", 0))
    return ArmFigures(
        name=arm.name,
        setting=setting,
        verdict=verdict,
        failure=failure,
        rows_per_s=rate,
        **_rate_interval(arm, rows),
        load_seconds=load,
        peak_rss_bytes=max((launch.peak_rss_bytes or 0 for launch in arm.launches), default=0) or None,
        rows_scored=scored,
        flips=max((int(launch.facts.get("flips", 0)) for launch in arm.launches), default=0),
        accuracy=None if right is None or not scored else right / scored,
        fraction_of_limit=None if setting is None or not rate else _fraction(comparison, setting, rows, rate),
        break_even_rows=None if verdict is None else _break_even(verdict, load, rate, baseline),
        percentile_seconds=percentiles(merged(launch.facts.get("latency", {}) for launch in arm.launches)),
        canary_seconds=statistics.median(launch.canary_seconds for launch in arm.launches) if arm.launches else None,
        slow_call_excess=_slow_calls(comparison, arm),
        cpus_used=_cpus_used(arm),
        precision_used=facts.get("precision_used"),
        facts=facts if "starts" not in facts else {**facts, **_of_all_starts(comparison, arm)},
    )


def _of_all_starts(comparison: Comparison, arm: ArmMeasurement) -> dict[str, Any]:
    """What the kernel counted of a command's timed starts, as the mean of a start; and how all its starts ended.

    How they ended is told of the fresh launches as well.
    """
    counted = [(launch.facts, int(launch.facts["starts"])) for launch in arm.launches]
    starts = max(1, sum(number for _, number in counted))
    parts = [part for part in (comparison.finals, comparison.alone) if part is not None]
    again = [one for part in parts for one in part.arms if one.name == arm.name and one.role == arm.role]
    ended = [launch.facts for one in (arm, *again) for launch in one.launches]
    return {
        "starts": starts,
        **{
            name: sum(facts[name] * number for facts, number in counted) / starts
            for name in ("user_seconds", "system_seconds")
        },
        "exit_codes": sorted({code for facts in ended for code in facts["exit_codes"]}),
        "left_processes": sum(facts["left_processes"] for facts in ended),
    }


def _rate_interval(arm: ArmMeasurement, rows: int) -> dict[str, float]:
    """Student's interval over the logarithms of the launches' rates; a launch's rate is that of its median block."""
    medians = list(launch_medians(arm, call_seconds(arm)).values())
    if len(medians) < FEWEST_LAUNCHES or not all(value > 0 for value in medians):
        return {}
    low, high = t_interval([math.log(rows / value) for value in medians])
    return {"rows_per_s_low": math.exp(low), "rows_per_s_high": math.exp(high)}


def launch_medians(arm: ArmMeasurement, values: Sequence[float]) -> dict[int, float]:
    """The median of each launch's values, of which there is one for every block."""
    taken: dict[int, list[float]] = {}
    for launch, value in zip(arm.blocks.launch, values, strict=True):
        taken.setdefault(launch, []).append(value)
    return {launch: statistics.median(found) for launch, found in taken.items()}


def median_call_seconds(arm: ArmMeasurement) -> float | None:
    """Seconds of a call at the median of all blocks; None without blocks."""
    return statistics.median(call_seconds(arm)) if len(arm.blocks) else None


def call_seconds(arm: ArmMeasurement) -> list[float]:
    """Seconds of a call in every block."""
    return [seconds / calls for seconds, calls in zip(arm.blocks.seconds, arm.blocks.calls, strict=True)]


def _slow_calls(comparison: Comparison, arm: ArmMeasurement) -> float:
    rules = comparison.rules
    kept = paired(arm, arm, comparison.measured.windows).rounds()
    above = [excess - rules.rare_size for excess in slow_call_excesses(arm, kept).values()]
    found = significant_mean(above, 0.0, rules.rare_level)
    return found + rules.rare_size if found > 0 else 0.0


def _cpus_used(arm: ArmMeasurement) -> float | None:
    known = [
        (cpu, wall) for cpu, wall in zip(arm.blocks.cpu_seconds, arm.blocks.seconds, strict=True) if cpu is not None
    ]
    wall = sum(seconds for _, seconds in known)
    return sum(cpu for cpu, _ in known) / wall if wall > 0 else None


def _fraction(comparison: Comparison, setting: Setting, rows: int, rate: float) -> float | None:
    """The fraction of the limits that were measured in the same launches; None where there are none for the setting."""
    limits = measured_limits(comparison.measured, statistics.median)
    gemm, copy = limits.gemm(setting.precision, setting.threads), limits.copy(setting.threads)
    if gemm is None or copy is None or len(comparison.subject.widths) < 2:  # functions, a module of the user's own
        return None
    work = minimal_work(comparison.subject.widths, comparison.subject.value_bytes)
    return fraction_of_limit(*work, rows, rows / rate, gemm, copy)


def measured_limits(measured: Measured, of: Callable[[Iterable[float]], float]) -> Limits:
    """The machine's limits, from the arms that measure them, in rounds in which others left the CPUs alone.

    A limit that was measured under load is too low. One that fewer than three quiet blocks are left of is not there.

    Args:
        measured: a measurement with such arms, or without.
        of: chooses a time from the times of a limit's blocks: `min` for the best rate, `statistics.median`.
    """
    products: dict[str, float] = {}
    copies: dict[str, float] = {}
    for arm in measured.arms:
        if arm.role == "limit" and arm.failure is None and arm.launches and len(arm.blocks):
            facts = arm.launches[-1].facts
            if "kernel" not in facts:  # the price of a process's start
                continue
            taken, quiet = call_seconds(arm), undisturbed_blocks(arm, measured.windows, FREE_ENOUGH_CPUS)
            if len(quiet) < min(FEWEST_QUIET_BLOCKS, len(taken)):
                continue
            rate = float(facts["work_per_call"]) / of(taken[index] for index in quiet)
            if facts["kernel"] == "gemm":
                products[f"{facts['precision']}/{facts['threads']}"] = rate
            else:
                copies[str(facts["threads"])] = rate
    return Limits(products, copies)


def limits_under_load(measured: Measured) -> str | None:
    """Say what others did while limits were measured that are left out for it, to be read after "while"; None: none."""
    arms = [arm for arm in measured.arms if arm.role == "limit" and arm.failure is None and len(arm.blocks)]
    arms = [arm for arm in arms if any("kernel" in launch.facts for launch in arm.launches)]
    for arm in arms:
        quiet = undisturbed_blocks(arm, measured.windows, FREE_ENOUGH_CPUS)
        if len(quiet) < min(FEWEST_QUIET_BLOCKS, len(arm.blocks)):
            return mean_load(seen for seen in measured.windows if seen.group == arm.group).words
    return None


def _break_even(
    verdict: Verdict, load_seconds: float | None, rate: float | None, baseline: ArmFigures | None
) -> float | None:
    """The number of rows after which the time to load the engine is saved; None where it saves nothing."""
    if verdict.verdict != "faster" or load_seconds is None or not rate or baseline is None or not baseline.rows_per_s:
        return None
    saving = 1 / baseline.rows_per_s - 1 / rate
    return load_seconds / saving if saving > 0 else None


def order_of(names: Sequence[str], settings: Mapping[str, Setting], engines: Sequence[str]) -> tuple[str, ...]:
    """The names in the order of the registry's engines, then by fewer threads; the simplest is first."""
    place = {engine: index for index, engine in enumerate(engines)}
    return tuple(sorted(names, key=lambda name: (place.get(settings[name].engine, len(place)), settings[name].threads)))

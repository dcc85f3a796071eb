"""The verdict on each arm that was measured beside a baseline, always with its reason.

In this order: invalid (with what is wrong), equivalent, faster or slower, undetected (with the smallest difference that
could have been seen). Where others used the CPUs in more rounds than allowed, the quiet stretches are used if there are
enough of them; else the verdict is `busy`: what can be said while others used the CPUs, and only that.

A ratio is exp of the Hodges-Lehmann estimates of the paired log-ratios within each launch; its interval is Student's
over the launches, because blocks of one process share its luck: in simulation with an effect of 1 % per process, pooled
blocks gave 44 % false alarms at a nominal 5 %.
"""

import math
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from vecml.measure.coordinator import FEWEST_LAUNCHES
from vecml.measure.load import mean_load
from vecml.measure.pairs import QUIET_CPUS, Pairs, paired, significant_mean, slow_call_excesses
from vecml.measure.records import ArmMeasurement, Measured
from vecml.numbers import count, percent
from vecml.statistics import (
    bonferroni,
    equivalence_interval,
    smallest_detectable,
    t_interval,
    t_test,
    theil_sen,
)

Word = Literal["invalid", "busy", "equivalent", "faster", "slower", "undetected"]
# Parts of reasons by which `vecml.measure.claim` tells what kept a comparison from counting, in old records too.
DISTURBED = "of its rounds were disturbed"
UNTRUSTED = "this machine cannot be trusted now"
NO_COPY = "and there is no copy of the baseline to judge that by"
TOO_FEW_LAUNCHES = "launches gave pairs, and a verdict needs"

# Of the level, where a comparison stops by the widths of its intervals: it stops sooner where they came out too narrow.
# Simulated, from the eighth launch on: they cover 93.2 % at worst under a label of 95 at the whole level, 95.2 at 0.7.
STOPPED_BY_WIDTH = 0.7


@dataclass(frozen=True)
class Rules:
    """The bounds and levels by which a verdict is found. Differences are relative: 0.05 is 5 %.

    Attributes:
        level: significance level of the tests; all arms against one baseline share it.
        equivalence: difference within which two arms count as the same.
        gate: the machine's A/A gate: the same code against itself differs by more in one comparison of twenty.
        gate_source: `default` or `qualified`.
        null_level: significance level at which a difference of the null arm makes its whole group invalid.
        dropped_share: share of an arm's pairs that may be left out before only its quiet stretches count.
        quiet_rounds: pairs that a launch needs to count as a quiet stretch; where fewer than three launches have so
            many, the verdict is `busy`.
        drift_level, drift_size: an arm is "not steady" where its ratio has a trend within the launches that is
            significant at this level and at least this large.
        rare_size, rare_level: how far the mean call may be above the median one because of rare slow calls, and the
            level of the one-sided test over the launches that decides whether it is more than chance.
    """

    level: float = 0.05
    equivalence: float = 0.03
    gate: float = 0.05
    gate_source: str = "default"
    null_level: float = 0.001
    dropped_share: float = 0.20
    quiet_rounds: int = 6
    drift_level: float = 0.01
    drift_size: float = 0.02
    rare_size: float = 0.02
    rare_level: float = 0.01


@dataclass(frozen=True)
class Verdict:
    """The verdict on one arm against its baseline, and its figures.

    Attributes:
        arm, baseline: names.
        group: the group that the arm was measured in.
        verdict: None where there are too few launches for one: one ("quick") or two.
        reason: one sentence.
        ratio, ratio_low, ratio_high: the arm's rate over the baseline's with its interval; None where there is none.
        p_value: of a ratio of 1, times the number of arms that share the level (Bonferroni), 1 at most.
        smallest_detectable: the relative difference that this comparison would have found nine times in ten.
        pairs, dropped: numbers of pairs that count, and of pairs that were left out.
        while_busy: of a `busy` verdict, what holds while others use the CPUs as they did; None for every other one.
        condition: of a `busy` verdict, what others did, to be read after "while": "others used 0.9 of 2 CPUs".
    """

    arm: str
    baseline: str
    group: int
    verdict: Word | None
    reason: str
    ratio: float | None = None
    ratio_low: float | None = None
    ratio_high: float | None = None
    p_value: float | None = None
    smallest_detectable: float | None = None
    pairs: int = 0
    dropped: int = 0
    while_busy: Word | None = None
    condition: str | None = None

    @property
    def is_valid(self) -> bool:
        """Whether its figures hold without a condition. Those of a quick look do, as far as they go."""
        return self.verdict not in ("invalid", "busy")


@dataclass(frozen=True)
class Family:
    """The verdicts of all arms against one baseline.

    Attributes:
        baseline: its name.
        verdicts: one an arm, in the arms' order.
        null_verdicts: verdicts on the baseline's copies, one for each group that has a copy.
        best: the valid arm with the highest estimate, or the baseline; None where nothing is valid. Whether it may be
            called the fastest, `vecml.measure.claim` says.
        tied: `best` and the arms that do not differ from it significantly, in the arms' order, the baseline first.
        first: of the arms whose verdicts come from fresh launches, the verdicts of the measurement that picked them;
            empty where nothing was measured afresh, or where that does not count (`vecml.measure.finals`).
    """

    baseline: str
    verdicts: tuple[Verdict, ...]
    null_verdicts: tuple[Verdict, ...] = ()
    best: str | None = None
    tied: tuple[str, ...] = ()
    first: tuple[Verdict, ...] = ()


@dataclass(frozen=True)
class _Evidence:
    """One arm's pairs, and its estimate of the log-ratio in each launch.

    Attributes:
        arm: what was measured of it.
        pairs: those that count.
        estimates: by launch.
        condition: what others did meanwhile, where the pairs are those of a machine that others used; else None.
        quiet: whether only the quiet stretches count, because too many rounds were disturbed.
    """

    arm: ArmMeasurement
    pairs: Pairs
    estimates: Mapping[int, float] = field(default_factory=dict)
    condition: str | None = None
    quiet: bool = False

    @property
    def values(self) -> np.ndarray:
        return np.array(list(self.estimates.values()))


def judge(measured: Measured, rules: Rules, faults: Mapping[str, str] | None = None) -> tuple[Family, ...]:
    """The verdicts, a family for each baseline, in the order in which the baselines were measured.

    Args:
        measured: raw blocks.
        rules: bounds and levels.
        faults: by an arm's name, why it is invalid however fast it is (wrong labels, say).

    The same arguments give the same verdicts, to the last bit.
    """
    faults = faults or {}
    names = dict.fromkeys(arm.name for arm in measured.arms if arm.role == "baseline")
    return tuple(_family(name, measured, rules, faults) for name in names)


def shared_level(rules: Rules, arms: int, *, stops_by_width: bool) -> float:
    """The significance level of one of `arms` arms against one baseline."""
    return bonferroni(rules.level * (STOPPED_BY_WIDTH if stops_by_width else 1.0), max(1, arms))


def narrow_enough(measured: Measured, rules: Rules, faults: Mapping[str, str] | None = None) -> bool:
    """Whether every arm's interval is no wider than the equivalence on both sides, so that more launches add little.

    Only the intervals' widths count, never what lies in them: to stop at the first significant difference would give
    false alarms in a quarter of all comparisons.
    """
    for family in judge(measured, rules, faults):
        for verdict in family.verdicts:
            if verdict.verdict in (None, "invalid") or verdict.ratio_low is None or verdict.ratio_high is None:
                continue
            if math.log(verdict.ratio_high / verdict.ratio_low) / 2 > math.log1p(rules.equivalence):
                return False
    return True


def _family(name: str, measured: Measured, rules: Rules, faults: Mapping[str, str]) -> Family:
    baselines = {arm.group: arm for arm in measured.arms if arm.role == "baseline" and arm.name == name}
    arms = [arm for arm in measured.arms if arm.group in baselines and arm.role == "arm"]
    nulls = [arm for arm in measured.arms if arm.group in baselines and arm.role == "null"]
    level = shared_level(rules, len(arms), stops_by_width=measured.plan.most_launches > measured.plan.launches)
    of_nulls = {null.group: _evidence(baselines[null.group], null, measured, rules) for null in nulls}
    null_verdicts = tuple(
        _verdict(found, baselines[group], rules, rules.level, None, measured, 0.0) for group, found in of_nulls.items()
    )
    offs = _offs(baselines, nulls, measured)
    condemned = {verdict.group: reason for verdict in null_verdicts if (reason := _condemns(verdict, rules))}
    verdicts, evidence = [], {}
    for arm in arms:
        baseline = baselines[arm.group]
        found = _evidence(baseline, arm, measured, rules)
        fault = faults.get(name) and f"the baseline {name} is invalid: {faults[name]}"
        fault = faults.get(arm.name) or fault or condemned.get(arm.group)
        verdict = _verdict(found, baseline, rules, level, fault, measured, offs.get(arm.group))
        verdicts.append(verdict)
        if verdict.is_valid:
            evidence[arm.name] = found
    untrusted = name in faults or all(baseline.failure for baseline in baselines.values())
    if untrusted or condemned.keys() == baselines.keys():
        return Family(name, tuple(verdicts), null_verdicts)
    words = {verdict.arm: verdict.verdict for verdict in verdicts}
    steady = {arm for arm, found in evidence.items() if _excess(found, baselines[found.arm.group], rules) <= 0}
    best, tied = _best(name, evidence, words, steady, level, rules)
    return Family(name, tuple(verdicts), null_verdicts, best, tied)


def _evidence(baseline: ArmMeasurement, arm: ArmMeasurement, measured: Measured, rules: Rules) -> _Evidence:
    """The pairs of the whole measurement, of its quiet stretches, or of all of it under the load of others.

    Counters decide which, never the times of the blocks.
    """
    pairs = paired(baseline, arm, measured.windows)
    if pairs.dropped_share <= rules.dropped_share or measured.plan.launches < FEWEST_LAUNCHES:
        return _Evidence(arm, pairs, pairs.estimates())
    loaded = paired(baseline, arm, measured.windows, under_load=True)
    if loaded.dropped_share > rules.dropped_share:  # by our own workers
        return _Evidence(arm, pairs, pairs.estimates())
    quiet = paired(baseline, arm, measured.windows, crowded_cpus=QUIET_CPUS).of_launches_with(rules.quiet_rounds)
    if len(quiet.by_launch()) >= FEWEST_LAUNCHES:
        return _Evidence(arm, quiet, quiet.estimates(), quiet=True)
    windows = [seen for seen in measured.windows if seen.group == arm.group]
    return _Evidence(arm, loaded, loaded.estimates(), condition=mean_load(windows).words)


def _offs(
    baselines: Mapping[int, ArmMeasurement], nulls: Sequence[ArmMeasurement], measured: Measured
) -> dict[int, float]:
    """By group, how far the baseline's own copy came out from the baseline under the load of others, as a log-ratio."""
    offs = {}
    for null in nulls:
        estimates = paired(baselines[null.group], null, measured.windows, under_load=True).estimates()
        if len(estimates) >= FEWEST_LAUNCHES and null.failure is None:
            offs[null.group] = abs(float(np.mean(list(estimates.values()))))
    return offs


def _verdict(
    found: _Evidence,
    baseline: ArmMeasurement,
    rules: Rules,
    level: float,
    fault: str | None,
    measured: Measured,
    off: float | None,
) -> Verdict:
    """`off` is by how much a verdict under load is widened; None: there is no null arm, so that none can be given."""
    arm, pairs, values = found.arm, found.pairs, found.values
    wider = (off or 0.0) if found.condition else 0.0
    figures = _figures(values, level, rules, wider)
    word: Word | None
    invalid = fault or _invalid(found, baseline, rules, rules.drift_level * level / rules.level)
    if invalid is None and measured.plan.launches >= FEWEST_LAUNCHES and len(values) < FEWEST_LAUNCHES:
        invalid = f"{len(values)} of {measured.launches} {TOO_FEW_LAUNCHES} {FEWEST_LAUNCHES}"
    if invalid is None and found.condition and off is None:
        invalid = f"while it was measured, {found.condition}, {NO_COPY}"
    while_busy: Word | None = None
    if invalid is not None:
        word, reason = "invalid", invalid
    elif len(values) < FEWEST_LAUNCHES:
        launches = count(len(values), "launch")
        word, reason = None, f"quick: {launches} can give figures, but no verdict"
    else:
        excess = _excess(found, baseline, rules)
        by_mean = _by_mean_call(found, baseline) if excess else values
        word, reason = _classify(values, level, rules, excess, by_mean, figures["smallest_detectable"], wider)
        if found.quiet:
            share = percent(1 - pairs.dropped_share, 0)
            reason += f"; only the quiet {share} of its rounds count, in {count(len(values), 'launch')}"
        if found.condition:
            while_busy, word, reason = word, "busy", f"{word}, while {found.condition}: {reason}"
    return Verdict(
        arm=arm.name,
        baseline=baseline.name,
        group=arm.group,
        verdict=word,
        reason=reason,
        pairs=len(pairs.log_ratio_N),
        dropped=pairs.dropped,
        while_busy=while_busy,
        condition=found.condition if while_busy else None,
        **figures,
    )


def _figures(values: np.ndarray, level: float, rules: Rules, wider: float) -> dict[str, Any]:
    """Ratio, interval, p-value and smallest detectable difference, as far as there are launches enough for each.

    The interval reaches `wider` (a log-ratio) further on both sides, and the p-value is that of a ratio nearer to 1.
    """
    if not len(values):
        return {}
    mean = float(np.mean(values))
    figures: dict[str, float | None] = {"ratio": math.exp(mean)}
    if len(values) > 1:
        low, high = t_interval(values, 1 - level)
        sd = float(np.std(values, ddof=1))
        smallest = smallest_detectable(sd, len(values), level, gate=math.log1p(rules.gate)) + wider
        nearer = values - math.copysign(min(abs(mean), wider), mean)
        figures |= {
            "ratio_low": math.exp(low - wider),
            "ratio_high": math.exp(high + wider),
            "p_value": min(1.0, t_test(nearer) * rules.level / level),
            "smallest_detectable": math.expm1(smallest),
        }
    return figures


def _invalid(found: _Evidence, baseline: ArmMeasurement, rules: Rules, drift_level: float) -> str | None:
    arm, pairs = found.arm, found.pairs
    if arm.failure is not None:
        return arm.failure
    if baseline.failure is not None:
        return f"the baseline {baseline.name} is invalid: {baseline.failure}"
    if pairs.dropped_share > rules.dropped_share and not found.quiet:
        return f"{percent(pairs.dropped_share, 0)} {DISTURBED}: {pairs.disturbance}"
    return _unsteady(pairs, rules, drift_level)


def _unsteady(pairs: Pairs, rules: Rules, level: float) -> str | None:
    """A trend of the ratio within the launches, over all of them: the arm, or the baseline, was still changing."""
    if len(pairs.log_ratio_N) < 8:
        return None
    centred_N = np.concatenate([value_N - np.median(value_N) for value_N in pairs.by_launch().values()])
    round_N = np.concatenate([pairs.round_N[pairs.launch_N == launch] for launch in np.unique(pairs.launch_N)])
    found = theil_sen(round_N.astype(np.float64), centred_N)
    change = found.slope * float(np.ptp(round_N))
    if found.p_value < level and abs(change) > math.log1p(rules.drift_size):
        size = f"{percent(math.expm1(abs(change)))}"
        return f"not steady: within its launches the ratio changed by {size}, so a longer warm-up is needed"
    return None


def _classify(
    values: np.ndarray,
    level: float,
    rules: Rules,
    excess: float,
    by_mean: np.ndarray,
    smallest: float | None,
    wider: float,
) -> tuple[Word, str]:
    """The verdict of an arm that is not invalid, and the reason.

    `excess` is how much further the arm's mean call is above its median call than the baseline's. Where that speaks
    against the verdict, the log-ratios of mean calls, `by_mean` by launch, have to show it too. `wider` is by how much,
    as a log-ratio, the intervals reach further on both sides.
    """
    same, gate = math.log1p(rules.equivalence), math.log1p(rules.gate) + wider
    low, high = equivalence_interval(values, level)
    low, high = low - wider, high + wider
    mean = float(np.mean(values))
    if -same <= low and high <= same and not excess:
        return "equivalent", (
            f"the {1 - 2 * level:.3g} interval of the ratio, {math.exp(low):.3f} to {math.exp(high):.3f}, lies within"
            f" {percent(rules.equivalence, 0)} of 1"
        )
    low, high = t_interval(values, 1 - level)
    low, high = low - wider, high + wider
    interval = f"the interval {math.exp(low):.3f} to {math.exp(high):.3f}"
    seen = math.nan if smallest is None else smallest
    could = f"this could have seen {percent(seen)} or more"
    if excess and abs(mean) <= max(same, gate):
        slow = "it has" if excess > 0 else "the baseline has"
        return (
            "undetected",
            f"{slow} rare slow calls: about as fast by the median, but the mean call is {percent(abs(excess))} above"
            " that",
        )
    if low <= 0 <= high:
        return "undetected", f"{interval} of the ratio holds 1; {could}"
    if abs(mean) <= gate:
        source = "A/A gate" if rules.gate_source == "qualified" else "A/A gate (not measured yet: vecml qualify)"
        return (
            "undetected",
            f"{math.exp(mean):.3f} is within this machine's {source} of {percent(math.expm1(gate))}; {could}",
        )
    also = ""
    if excess * mean > 0:
        slow = f"{'it has' if excess > 0 else 'the baseline has'} rare slow calls"
        low, high = t_interval(by_mean, 1 - level)
        average, low, high = float(np.mean(by_mean)), low - wider, high + wider
        if low <= 0 <= high or abs(average) <= gate or average * mean <= 0:
            return "undetected", (
                f"{slow}: by the median it is {math.exp(mean):.3f} times as fast, but the mean call is"
                f" {percent(abs(excess))} above that"
            )
        also = f"; {slow}, and by the mean call it is {math.exp(average):.3f} times as fast"
        also += f" ({math.exp(low):.3f} to {math.exp(high):.3f})"
    word: Word = "faster" if mean > 0 else "slower"
    beyond = f"{math.exp(mean):.3f} is beyond the A/A gate of {percent(math.expm1(gate))}"
    return word, f"{interval} of the ratio excludes 1, and {beyond}{also}"


def _condemns(verdict: Verdict, rules: Rules) -> str | None:
    """Say why the verdict on the null arm makes its group invalid; None if it does not."""
    if verdict.ratio is None or verdict.p_value is None or verdict.verdict == "invalid":
        return None
    if verdict.p_value < rules.null_level and abs(math.log(verdict.ratio)) > math.log1p(rules.equivalence):
        return (
            f"the baseline's own copy came out {verdict.ratio:.3f} times as fast as the baseline"
            f" (p {verdict.p_value:.1g}): {UNTRUSTED}"
        )
    return None


def _excess(found: _Evidence, baseline: ArmMeasurement, rules: Rules) -> float:
    """Compute how much rare slow calls add to the arm's mean call, as a share, more than to the baseline's.

    Only rounds that count are used. It is 0 if the difference is at most `rare_size`, or is not significant.
    """
    kept = found.pairs.rounds()
    ours, theirs = slow_call_excesses(found.arm, kept), slow_call_excesses(baseline, kept)
    return significant_mean([ours[launch] - theirs[launch] for launch in ours], rules.rare_size, rules.rare_level)


def _by_mean_call(found: _Evidence, baseline: ArmMeasurement) -> np.ndarray:
    """The log-ratios of the arm's rate to the baseline's, by launch, from their mean calls in place of medians."""
    kept = found.pairs.rounds()
    ours, theirs = slow_call_excesses(found.arm, kept), slow_call_excesses(baseline, kept)
    return np.array(
        [value - math.log1p(ours.get(at, 0)) + math.log1p(theirs.get(at, 0)) for at, value in found.estimates.items()]
    )


def _best(
    baseline: str,
    evidence: Mapping[str, _Evidence],
    words: Mapping[str, Word | None],
    steady: Set[str],
    level: float,
    rules: Rules,
) -> tuple[str, tuple[str, ...]]:
    """The fastest of the baseline and the arms without rare slow calls, and those that do not differ from it.

    The verdicts say which arms differ from the baseline; two arms are compared in the launches that both have.
    """
    means = {name: float(np.mean(found.values)) for name, found in evidence.items() if len(found.values)}
    best = max((name for name in means if name in steady), key=lambda name: means[name], default=baseline)
    if best != baseline and means[best] <= 0:
        best = baseline

    def tied(name: str) -> bool:
        if baseline in (best, name):
            return words[name if best == baseline else best] in ("undetected", "equivalent", None)
        return _is_tie(evidence[best].estimates, evidence[name].estimates, level, rules)

    return best, tuple(name for name in (baseline, *means) if name == best or tied(name))


def _is_tie(best: Mapping[int, float], other: Mapping[int, float], level: float, rules: Rules) -> bool:
    differences: Sequence[float] = [best[launch] - other[launch] for launch in best if launch in other]
    if len(differences) < FEWEST_LAUNCHES:
        return True
    low, _ = t_interval(np.array(differences), 1 - level)
    return low <= 0 or float(np.mean(differences)) <= math.log1p(max(rules.gate, rules.equivalence))

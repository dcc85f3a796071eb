"""Compare recorded runs of different days and machines: `vecml diff`.

The sittings of two runs are not paired: the interval has to contain how a machine differs from sitting to sitting. So a
verdict needs several sittings on either side; with fewer, the figures are indicative.
"""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from vecml.history.recorded import CHOSEN, NONE, RecordedSetting
from vecml.measure.verdict import Rules
from vecml.numbers import count, percent
from vecml.proportions import mcnemar
from vecml.statistics import bonferroni, welch_interval

SITTINGS = 5  # of either side, for a verdict
ACCURACY_LEVEL = 0.05
NOT_COMPARED = ("created", "load_before", "load_after")
Word = Literal["equivalent", "faster", "slower", "undetected", "indicative"]
MATCHES = (  # what two settings must have in common, the closest match first
    ("engine", "device", "device_index", "precision", "layout", "isa", "threads", "request_rows", "scope"),
    ("engine", "precision", "layout", "request_rows", "scope"),
    ("engine", "request_rows", "scope"),
)


@dataclass(frozen=True)
class Answers:
    """The labels that a run gave, right or wrong by row, for a paired test of two accuracies.

    Attributes:
        row_N: indices of the rows in the file.
        right_N: whether the label of each of these rows is right.
    """

    row_N: tuple[int, ...]
    right_N: tuple[bool, ...]


@dataclass(frozen=True)
class Side:
    """A recorded run that takes part in a diff.

    Attributes:
        name, run_id: name and id of the run in MLflow.
        kind: `pipeline`, `compare`, `setting`.
        settings: the run's settings with their figures.
        facts: facts of the environment, for people; empty where they were not stored.
        answers: the answers for each row; None where they were not stored.
        error: why the run failed or was killed, or None.
    """

    name: str
    run_id: str
    kind: str
    settings: tuple[RecordedSetting, ...]
    facts: Mapping[str, Any] = field(default_factory=dict, repr=False)
    answers: Answers | None = field(default=None, repr=False)
    error: str | None = None


@dataclass(frozen=True)
class Difference:
    """How a setting of a later run differs from the setting of the first run that it is matched with.

    Attributes:
        first, other: names of the two settings.
        rates: rows a second of both, each the median of its sittings.
        sittings: number of sittings of both.
        word: the verdict, or `indicative`.
        reason: the reason for it, one sentence.
        ratio, low, high: rate of the other over rate of the first; its interval, None where there is none.
        accuracies: accuracy of both; None where it is not known.
        fields: params in which the two settings differ, as `threads: 1, 2`.
    """

    first: str
    other: str
    rates: tuple[float, float]
    sittings: tuple[int, int]
    word: Word
    reason: str
    ratio: float
    low: float | None = None
    high: float | None = None
    accuracies: tuple[float | None, float | None] = (None, None)
    fields: tuple[str, ...] = ()


@dataclass(frozen=True)
class Against:
    """The result of comparing a later run with the first run.

    Attributes:
        first, other: names of the two runs.
        refusals: reasons why they cannot be compared, each with what to do about it; then `differences` is empty.
        remarks: what else differs between the runs: other weights, other numbers of rows.
        facts: facts of the environment that differ, as `numpy: 2.3.5, 2.4.6`.
        differences: one for each pair of settings.
        left_out: settings without a partner in the other run, and settings that do not count, each with the reason.
        accuracy: result of the paired test of the accuracies, or why there is no test; None without stored answers.
    """

    first: str
    other: str
    refusals: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    facts: tuple[str, ...] = ()
    differences: tuple[Difference, ...] = ()
    left_out: tuple[str, ...] = ()
    accuracy: str | None = None


def diff(
    sides: Sequence[Side], others: Sequence[RecordedSetting] = (), rules: Rules | None = None
) -> tuple[Against, ...]:
    """Compare every later run with the first one.

    Args:
        sides: two runs or more.
        others: more recorded settings; those with the same environment, architecture, data and params as a setting of
            a run count as further sittings of it.
        rules: level, equivalence and gate of a verdict; None takes the default ones.
    """
    first, *later = sides
    return tuple(_against(first, side, others, rules or Rules()) for side in later)


def _against(first: Side, other: Side, others: Sequence[RecordedSetting], rules: Rules) -> Against:
    facts = tuple(_differing(first.facts, other.facts))
    refusals = tuple(_refusals(first, other))
    if refusals:
        return Against(first.name, other.name, refusals, facts=facts)
    pairs, left_out = _matched(first.settings, other.settings)
    level = bonferroni(rules.level, max(1, len(pairs)))
    found = tuple(_difference(one, two, others, level, rules) for one, two in pairs)
    return Against(
        first.name,
        other.name,
        remarks=tuple(_remarks(first, other)),
        facts=facts,
        differences=found,
        left_out=tuple(left_out),
        accuracy=_accuracy(first, other),
    )


def _refusals(first: Side, other: Side) -> list[str]:
    """List the reasons why the figures of the two runs may not be compared."""
    found = []
    for side in (first, other):
        if side.error is not None and not side.settings:
            found.append(f"run {side.name} has no figures: {side.error}")
    for key, what, lift in (
        ("architecture_digest", "networks", "train both with the same --hidden, --activation and features"),
        ("data_digest", "data", "read the same file in both, or generate the same --rows with the same --seed"),
    ):
        ours, theirs = _keys(first, key), _keys(other, key)
        if ours and theirs and not ours & theirs:
            found.append(f"they ran different {what} ({key} {_shown(ours)} and {_shown(theirs)}): {lift}")
    ours, theirs = ({one.setting.get("scope", "host") for one in side.settings} for side in (first, other))
    if ours and theirs and not ours & theirs:
        found.append(f"one was timed in scope {_shown(ours)}, the other in {_shown(theirs)}: time both alike")
    return found


def _remarks(first: Side, other: Side) -> list[str]:
    found = []
    if _keys(first, "model_digest") != _keys(other, "model_digest"):
        found.append("the weights differ, the architecture is the same: speeds compare, labels need not be equal")
    rows = [{one.n_rows for one in side.settings if one.n_rows} for side in (first, other)]
    if all(rows) and rows[0] != rows[1]:
        ours, theirs = (", ".join(f"{count:,}" for count in sorted(one)) for one in rows)
        found.append(f"they inferred {ours} and {theirs} rows: rates of tables of other sizes, no verdict")
    for side in (first, other):
        if side.error is not None and side.settings:
            found.append(f"run {side.name} did not come to its end: {side.error}")
    return found


def _matched(
    first: Sequence[RecordedSetting], other: Sequence[RecordedSetting]
) -> tuple[list[tuple[RecordedSetting, RecordedSetting]], list[str]]:
    """Pair the settings that are most alike, each in one pair at most.

    Returns the pairs, and a line with the reason for each setting that is in none.
    """
    lines = [
        f"{one.name}: invalid in run {one.run_id}: {one.invalid}" for one in (*first, *other) if one.invalid is not None
    ]
    ours, theirs = ([one for one in side if one.invalid is None] for side in (first, other))
    order = {id(one): place for place, one in enumerate(ours)}
    pairs: list[tuple[RecordedSetting, RecordedSetting]] = []
    for names in MATCHES:
        for setting in list(ours):
            alike = [one for one in theirs if all(one.setting.get(n) == setting.setting.get(n) for n in names)]
            if alike:
                pairs.append((setting, alike[0]))
                ours.remove(setting)
                theirs.remove(alike[0])
    if not pairs and len(ours) == len(theirs) == 1:  # two runs of one setting each: that is what was asked for
        pairs, ours, theirs = [(ours[0], theirs[0])], [], []
    lines += [f"{one.name}: in the first run only" for one in ours]
    lines += [f"{one.name}: in the other run only" for one in theirs]
    return sorted(pairs, key=lambda pair: order[id(pair[0])]), lines


def _difference(
    first: RecordedSetting, other: RecordedSetting, others: Sequence[RecordedSetting], level: float, rules: Rules
) -> Difference:
    same = _repeated_as(first) == _repeated_as(other)
    ours, theirs = (_rates(one, [] if same else others) for one in (first, other))
    rates = (statistics.median(ours), statistics.median(theirs))
    indicative = Difference(
        first=first.name,
        other=other.name,
        rates=rates,
        sittings=(len(ours), len(theirs)),
        word="indicative",
        reason="",
        ratio=rates[1] / rates[0],
        accuracies=(first.accuracy, other.accuracy),
        fields=tuple(_differing(first.setting, other.setting)),
    )
    if first.n_rows != other.n_rows and None not in (first.n_rows, other.n_rows):
        return replace(indicative, reason="the tables have other sizes")
    if first.in_one_process or other.in_one_process:
        return replace(
            indicative, reason="a figure of one process; vecml compare --run measures one that can be compared"
        )
    if same:
        return replace(
            indicative,
            reason="the same setting, machine and libraries: whether it changed with the days, vecml history tells",
        )
    if min(indicative.sittings) < SITTINGS:
        counts = f"{count(len(ours), 'sitting')} and {count(len(theirs), 'sitting')}"
        return replace(indicative, reason=f"{counts}, and a verdict across sittings takes {SITTINGS} of each")
    logs = [math.log(rate) for rate in ours], [math.log(rate) for rate in theirs]
    mean = statistics.fmean(logs[1]) - statistics.fmean(logs[0])
    low, high = welch_interval(*logs, 1 - level)
    narrow = welch_interval(*logs, 1 - 2 * level)
    word, reason = _classify(mean, (low, high), narrow, rules)
    return replace(indicative, word=word, reason=reason, ratio=math.exp(mean), low=math.exp(low), high=math.exp(high))


def _classify(
    mean: float, interval: tuple[float, float], narrow: tuple[float, float], rules: Rules
) -> tuple[Word, str]:
    """The verdict and its reason, by the rules of `vecml.measure.verdict`, but over sittings instead of launches.

    Args:
        mean: logarithm of the ratio of the rates.
        interval: its interval at the level of the verdict.
        narrow: its interval at twice that level, for equivalence (two one-sided tests).
        rules: equivalence and gate.
    """
    same, (low, high) = math.log1p(rules.equivalence), interval
    shown = f"the interval {math.exp(low):.3f} to {math.exp(high):.3f} of the ratio, over sittings,"
    if -same <= narrow[0] and narrow[1] <= same:
        return "equivalent", f"the ratio lies within {percent(rules.equivalence, 0)} of 1"
    if low <= 0 <= high:
        return "undetected", f"{shown} holds 1"
    if abs(mean) <= math.log1p(rules.gate):
        return "undetected", f"{math.exp(mean):.3f} is within the A/A gate of {percent(rules.gate)}"
    return ("faster" if mean > 0 else "slower"), f"{shown} excludes 1"


def _repeated_as(one: RecordedSetting) -> tuple[object, ...]:
    """Return a key; two recorded settings with the same key are sittings of the same setting.

    The block size is not in the key: vecml may have chosen another one on another day.
    """
    setting = tuple(sorted((name, value) for name, value in one.setting.items() if name != CHOSEN))
    keys = (one.environment_key, one.architecture_digest, one.data_digest)
    return (*keys, one.n_rows, one.in_one_process, setting)


def _rates(setting: RecordedSetting, others: Sequence[RecordedSetting]) -> list[float]:
    """List the rates of the setting (first) and of the runs among `others` that repeat it, one rate for each run."""
    rates = {setting.run_id: setting.rows_per_s or math.nan}
    for one in others:
        if one.rows_per_s and one.invalid is None and _repeated_as(one) == _repeated_as(setting):
            rates.setdefault(one.run_id, one.rows_per_s)
    return list(rates.values())


def _accuracy(first: Side, other: Side) -> str | None:
    """Test the accuracies on the rows that both runs answered; None where a run did not store its answers."""
    ours, theirs = first.answers, other.answers
    if ours is None or theirs is None:
        return None
    right = dict(zip(ours.row_N, ours.right_N, strict=True))
    both = [(right[row], answer) for row, answer in zip(theirs.row_N, theirs.right_N, strict=True) if row in right]
    if not both or not _keys(first, "data_digest") & _keys(other, "data_digest"):
        return "accuracies: they have no test row in common, so there is no paired test"
    only_first = sum(one and not two for one, two in both)
    only_other = sum(two and not one for one, two in both)
    p_value = mcnemar(only_first, only_other)
    word = (
        "no difference was detected"
        if p_value >= ACCURACY_LEVEL
        else (f"{other.name if only_other > only_first else first.name} is more accurate")
    )
    return (
        f"accuracies on the {len(both):,} test rows that both have: {word} (McNemar p {p_value:.2g}: right in"
        f" {first.name} alone {only_first:,}, in {other.name} alone {only_other:,})"
    )


def _differing(first: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """List the fields that both have and whose values differ, as `name: first, other`."""
    if not first or not other:
        return []
    names = [name for name in first if name in other and name not in NOT_COMPARED and not name.endswith("_key")]
    return [f"{name}: {_text(first[name])}, {_text(other[name])}" for name in names if first[name] != other[name]]


def _text(value: Any) -> str:
    if value is None:
        return "none"
    return " ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _keys(side: Side, key: str) -> set[str]:
    return {getattr(one, key) for one in side.settings} - {NONE, ""}


def _shown(values: set[str]) -> str:
    return " and ".join(value[:16] for value in sorted(values))

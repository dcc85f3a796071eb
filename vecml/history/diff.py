"""Runs of different days and machines held against each other: a verdict where one is allowed, else what there is.

Sittings are not paired: a machine's own spread from sitting to sitting belongs into the interval, so a verdict takes
several sittings of either side. With fewer, figures are indicative.
"""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from vecml.measure.verdict import Rules
from vecml.numbers import count, percent
from vecml.statistics import bonferroni, mcnemar, welch_interval

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
class Sitting:
    """One setting's figures from one sitting.

    Attributes:
        run_id: of the tracked run.
        name: the setting's.
        setting: its params, as they are logged.
        keys: `machine_key`, `software_key`, `environment_key`, `architecture_digest`, `data_digest`, `model_digest`.
        n_rows: rows that were inferred; None where it is not known.
        rows_per_s: None where it did not run.
        accuracy: None where the truth is not known.
        invalid: why it does not count, or None.
        blocks: whether it comes from worker processes; a pipeline run's is one figure of its own process.
    """

    run_id: str
    name: str
    setting: Mapping[str, str]
    keys: Mapping[str, str]
    n_rows: int | None = None
    rows_per_s: float | None = None
    accuracy: float | None = None
    invalid: str | None = None
    blocks: bool = True

    @property
    def series(self) -> tuple[object, ...]:
        """What another sitting must have in common to count as the same, on another day."""
        keys = ("environment_key", "architecture_digest", "data_digest")
        setting = tuple(sorted((name, value) for name, value in self.setting.items() if name != "block_rows"))
        return (*(self.keys.get(key) for key in keys), self.n_rows, self.blocks, setting)


@dataclass(frozen=True)
class Answers:
    """What a run answered, row by row: for a paired test of two accuracies.

    Attributes:
        row_N, right_N: the rows of the file and whether the label of each is right, as tuples of one length.
    """

    row_N: tuple[int, ...]
    right_N: tuple[bool, ...]


@dataclass(frozen=True)
class Side:
    """A recorded run that takes part.

    Attributes:
        name, run_id: MLflow's.
        kind: `pipeline`, `compare`, `setting`.
        sittings: its settings' figures.
        facts: of the environment, readable; empty where it was not kept.
        answers: by row, where they are kept.
        error: why the run failed or was killed, or None.
    """

    name: str
    run_id: str
    kind: str
    sittings: tuple[Sitting, ...]
    facts: Mapping[str, Any] = field(default_factory=dict, repr=False)
    answers: Answers | None = field(default=None, repr=False)
    error: str | None = None


@dataclass(frozen=True)
class Difference:
    """One setting of a later side against the one of the first side that it is matched with.

    Attributes:
        first, other: the settings' names.
        rates: rows a second of both: medians of the sittings.
        sittings: how many of each there are.
        word: the verdict, or `indicative`.
        reason: one sentence.
        ratio, low, high: the other's rate over the first's, with its interval where there is one.
        accuracies: of both, None where not known.
        fields: in which the two settings differ, as `threads: 1, 2`.
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
    """A later side against the first.

    Attributes:
        first, other: the runs' names.
        refusals: why they cannot be compared, each with what would lift it; then there are no differences.
        remarks: what to know of the comparison: other weights, other rows.
        facts: fields of the environment that differ, as `numpy: 2.3.5, 2.4.6`.
        differences: setting by setting.
        left_out: settings of either side without a partner, or that do not count, with the reason.
        accuracy: the paired test of the two accuracies in a sentence, or why there is none.
    """

    first: str
    other: str
    refusals: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    facts: tuple[str, ...] = ()
    differences: tuple[Difference, ...] = ()
    left_out: tuple[str, ...] = ()
    accuracy: str | None = None


def diff(sides: Sequence[Side], others: Sequence[Sitting] = (), rules: Rules | None = None) -> tuple[Against, ...]:
    """Every later side against the first.

    Args:
        sides: at least two.
        others: further sittings on record; those of the same environment, architecture, data and setting count as
            sittings of a side.
        rules: level, equivalence and gate; None: the default ones.
    """
    first, *later = sides
    return tuple(_against(first, side, others, rules or Rules()) for side in later)


def _against(first: Side, other: Side, others: Sequence[Sitting], rules: Rules) -> Against:
    facts = tuple(_differing(first.facts, other.facts))
    refusals = tuple(_refusals(first, other))
    if refusals:
        return Against(first.name, other.name, refusals, facts=facts)
    pairs, left_out = _matched(first.sittings, other.sittings)
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
    """Why no figure of one may be held against one of the other."""
    found = []
    for side in (first, other):
        if side.error is not None and not side.sittings:
            found.append(f"run {side.name} has no figures: {side.error}")
    for key, what, lift in (
        ("architecture_digest", "networks", "train both with the same --hidden, --activation and features"),
        ("data_digest", "data", "read the same file in both, or generate the same --rows with the same --seed"),
    ):
        ours, theirs = _keys(first, key), _keys(other, key)
        if ours and theirs and not ours & theirs:
            found.append(f"they ran different {what} ({key} {_shown(ours)} and {_shown(theirs)}): {lift}")
    ours, theirs = ({sitting.setting.get("scope", "host") for sitting in side.sittings} for side in (first, other))
    if ours and theirs and not ours & theirs:
        found.append(f"one was timed in scope {_shown(ours)}, the other in {_shown(theirs)}: time both alike")
    return found


def _remarks(first: Side, other: Side) -> list[str]:
    found = []
    if _keys(first, "model_digest") != _keys(other, "model_digest"):
        found.append("the weights differ, the architecture is the same: speeds compare, labels need not be equal")
    rows = [{sitting.n_rows for sitting in side.sittings if sitting.n_rows} for side in (first, other)]
    if all(rows) and rows[0] != rows[1]:
        told = [", ".join(f"{count:,}" for count in sorted(one)) for one in rows]
        found.append(f"they inferred {told[0]} and {told[1]} rows: rates of tables of other sizes, no verdict")
    for side in (first, other):
        if side.error is not None and side.sittings:
            found.append(f"run {side.name} did not come to its end: {side.error}")
    return found


def _matched(first: Sequence[Sitting], other: Sequence[Sitting]) -> tuple[list[tuple[Sitting, Sitting]], list[str]]:
    """Pairs of settings that are most alike, each in one pair; and what is left, with the reason."""
    left = []
    ours: list[Sitting] = []
    theirs: list[Sitting] = []
    for sittings, kept in ((first, ours), (other, theirs)):
        for sitting in sittings:
            if sitting.invalid is not None or not sitting.rows_per_s:
                left.append(f"{sitting.name}: invalid in run {sitting.run_id}: {sitting.invalid or 'it did not run'}")
            else:
                kept.append(sitting)
    pairs: list[tuple[Sitting, Sitting]] = []
    for names in MATCHES:
        for sitting in list(ours):
            alike = [one for one in theirs if all(one.setting.get(n) == sitting.setting.get(n) for n in names)]
            if alike:
                pairs.append((sitting, alike[0]))
                ours.remove(sitting)
                theirs.remove(alike[0])
    if not pairs and len(ours) == len(theirs) == 1:  # two runs of one setting each: that is what was asked for
        pairs, ours, theirs = [(ours[0], theirs[0])], [], []
    left += [f"{sitting.name}: in the first run only" for sitting in ours]
    left += [f"{sitting.name}: in the other run only" for sitting in theirs]
    order = {id(sitting): place for place, sitting in enumerate(first)}
    return sorted(pairs, key=lambda pair: order[id(pair[0])]), left


def _difference(first: Sitting, other: Sitting, others: Sequence[Sitting], level: float, rules: Rules) -> Difference:
    same = first.series == other.series
    ours, theirs = (_series(one, [] if same else others) for one in (first, other))
    rates = (statistics.median(ours), statistics.median(theirs))
    made = Difference(
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
        return replace(made, reason="the tables have other sizes")
    if not (first.blocks and other.blocks):
        return replace(made, reason="a figure of one process; vecml compare --run measures one that can be compared")
    if same:
        return replace(
            made,
            reason="the same setting, machine and libraries: whether it changed with the days, vecml history tells",
        )
    if min(made.sittings) < SITTINGS:
        told = f"{_count(len(ours))} and {_count(len(theirs))}"
        return replace(made, reason=f"{told}, and a verdict across sittings takes {SITTINGS} of each")
    logs = [math.log(rate) for rate in ours], [math.log(rate) for rate in theirs]
    mean = statistics.fmean(logs[1]) - statistics.fmean(logs[0])
    low, high = welch_interval(*logs, 1 - level)
    narrow = welch_interval(*logs, 1 - 2 * level)
    word, reason = _word(mean, (low, high), narrow, rules)
    return replace(made, word=word, reason=reason, ratio=math.exp(mean), low=math.exp(low), high=math.exp(high))


def _word(mean: float, interval: tuple[float, float], narrow: tuple[float, float], rules: Rules) -> tuple[Word, str]:
    """As in `vecml.measure.verdict`, over sittings."""
    same, (low, high) = math.log1p(rules.equivalence), interval
    told = f"the interval {math.exp(low):.3f} to {math.exp(high):.3f} of the ratio, over sittings,"
    if -same <= narrow[0] and narrow[1] <= same:
        return "equivalent", f"the ratio lies within {percent(rules.equivalence, 0)} of 1"
    if low <= 0 <= high:
        return "undetected", f"{told} holds 1"
    if abs(mean) <= math.log1p(rules.gate):
        return "undetected", f"{math.exp(mean):.3f} is within the A/A gate of {percent(rules.gate)}"
    return ("faster" if mean > 0 else "slower"), f"{told} excludes 1"


def _series(sitting: Sitting, others: Sequence[Sitting]) -> list[float]:
    """The rates of its series' sittings, itself among them, each run once."""
    found = {sitting.run_id: sitting.rows_per_s or math.nan}
    for one in others:
        if one.series == sitting.series and one.rows_per_s and one.invalid is None:
            found.setdefault(one.run_id, one.rows_per_s)
    return list(found.values())


def _accuracy(first: Side, other: Side) -> str | None:
    """The paired test of the rows that both answered; None where neither run kept its answers."""
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
    """Fields that are in both and differ, as `name: first, other`."""
    if not first or not other:
        return []
    names = [name for name in first if name in other and name not in NOT_COMPARED and not name.endswith("_key")]
    return [f"{name}: {_text(first[name])}, {_text(other[name])}" for name in names if first[name] != other[name]]


def _text(value: Any) -> str:
    if value is None:
        return "none"
    return " ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _keys(side: Side, key: str) -> set[str]:
    return {value for sitting in side.sittings if (value := sitting.keys.get(key)) not in (None, "none", "")}


def _shown(values: set[str]) -> str:
    return " and ".join(value[:16] for value in sorted(values))


def _count(sittings: int) -> str:
    return count(sittings, "sitting")

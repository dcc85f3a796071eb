"""Which settings are worth having: those that no other is certainly faster than without being less accurate.

A plain Pareto set takes chance for a difference: of two settings that are alike it keeps the luckier one. Here a
setting is left out only by a difference that the comparison's own rules call real; ties stay.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from vecml.comparison.comparison import ArmFigures
from vecml.measure.coordinator import FEWEST_LAUNCHES
from vecml.measure.pairs import paired
from vecml.measure.records import Measured
from vecml.measure.verdict import Family, Rules
from vecml.report.content import Content
from vecml.statistics import bonferroni, t_interval

EXPLAINED = (
    "A setting is off the set only if another one is certainly faster, by the rules of the verdicts, and labels at"
    " least as many rows right. Ties stay."
)


@dataclass(frozen=True)
class Trade:
    """One setting's place.

    Attributes:
        name: the setting's.
        rows_per_s: at the median block.
        rows_per_s_low, rows_per_s_high: its interval; None where there are too few launches.
        share: of labels that are right, or that are the reference's where the truth is not known.
        beaten_by: the fastest of those that it is off the set for; None where it is on the set.
    """

    name: str
    rows_per_s: float
    rows_per_s_low: float | None
    rows_per_s_high: float | None
    share: float
    beaten_by: str | None


def knows_truth(content: Content) -> bool:
    """Whether true labels were there; else the share is of labels that are the float64 reference's."""
    return any(arm.accuracy is not None for arm in content.arms.values())


def trades(content: Content, family: Family) -> tuple[Trade, ...]:
    """The valid settings of a family whose labels were counted, the fastest first."""
    found, rules = content.arms, content.comparison.rules
    truth = knows_truth(content)
    names = [family.baseline, *(verdict.arm for verdict in family.verdicts)]
    shares = {name: share for name in names if (share := _share(found[name], truth)) is not None}
    rates = {name: found[name].rows_per_s or 0.0 for name in shares}
    order = sorted(shares, key=lambda name: -rates[name])
    logs = log_ratios(content.comparison.measured, family.baseline)
    level = bonferroni(rules.level, max(1, len(family.verdicts)))

    def beaten_by(name: str) -> str | None:
        for other in order:
            if (
                other != name
                and shares[other] >= shares[name]
                and found[other].slow_call_excess <= 0
                and is_faster(other, name, family, logs, level, rules)
            ):
                return other
        return None

    return tuple(
        Trade(
            name=name,
            rows_per_s=rates[name],
            rows_per_s_low=found[name].rows_per_s_low,
            rows_per_s_high=found[name].rows_per_s_high,
            share=shares[name],
            beaten_by=beaten_by(name),
        )
        for name in order
    )


def log_ratios(measured: Measured, baseline: str) -> Mapping[str, Mapping[int, float]]:
    """By arm and launch, the log of its rate over the baseline's (Hodges-Lehmann over the launch's pairs)."""
    baselines = {arm.group: arm for arm in measured.arms if arm.role == "baseline" and arm.name == baseline}
    return {
        arm.name: paired(baselines[arm.group], arm, measured.windows).estimates()
        for arm in measured.arms
        if arm.role == "arm" and arm.group in baselines
    }


def is_faster(
    name: str,
    other: str,
    family: Family,
    logs: Mapping[str, Mapping[int, float]],
    level: float,
    rules: Rules,
) -> bool:
    """Whether `name` is certainly faster than `other` in this `family`: by its verdict where `other` is the baseline.

    Elsewhere Student's interval, at this `level`, of the differences of `logs` over the launches that both have must
    exclude 0, and their mean must be beyond the machine's A/A gate and the equivalence of the `rules`.
    """
    words = {verdict.arm: verdict.verdict for verdict in family.verdicts}
    if other == family.baseline:
        return words.get(name) == "faster"
    if name == family.baseline:
        return words.get(other) == "slower"
    ours, theirs = logs.get(name, {}), logs.get(other, {})
    differences = [ours[launch] - theirs[launch] for launch in ours if launch in theirs]
    if len(differences) < FEWEST_LAUNCHES:
        return False
    low, _ = t_interval(np.array(differences), 1 - level)
    return low > 0 and float(np.mean(differences)) > math.log1p(max(rules.gate, rules.equivalence))


def _share(arm: ArmFigures, truth: bool) -> float | None:
    if arm.failure is not None or arm.rows_per_s is None or not math.isfinite(arm.rows_per_s):
        return None
    if truth:
        return arm.accuracy
    return 1 - arm.flips / arm.rows_scored if arm.rows_scored and arm.setting is not None else None

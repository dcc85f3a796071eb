"""The settings worth considering: those that no other setting beats in speed without losing accuracy.

A plain Pareto set mistakes chance for a difference: of two equal settings it keeps the luckier one. Here a setting is
left out only if the comparison's own rules call the difference in speed real, so settings that tie stay.
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
    "A setting is left out of the set only if another one is certainly faster, by the rules of the verdicts, and labels"
    " at least as many rows correctly. Settings that tie stay in the set."
)


@dataclass(frozen=True)
class Trade:
    """The speed and accuracy of one setting.

    Attributes:
        name: the setting's.
        rows_per_s: at the median block.
        rows_per_s_low, rows_per_s_high: its interval; None where there are too few launches.
        share: the share of right labels; if true labels are unknown, of labels that equal the reference's.
        beaten_by: the fastest setting that keeps it off the set; None for a setting on the set.
    """

    name: str
    rows_per_s: float
    rows_per_s_low: float | None
    rows_per_s_high: float | None
    share: float
    beaten_by: str | None


def knows_truth(content: Content) -> bool:
    """Whether true labels were known; otherwise labels are compared with those of the float64 reference."""
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
    """The log of each arm's rate over the baseline's, by arm and launch (Hodges-Lehmann over the launch's pairs)."""
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
    """Whether `name` is certainly faster than `other`.

    If one of them is the baseline, the verdict decides. Otherwise the rule of the verdicts is applied to the launches
    that both have: Student's interval of the log ratios must exclude 0, and their mean must exceed both the A/A gate
    and what counts as equivalent.

    Args:
        name, other: two settings of the family.
        family: the verdicts.
        logs: the result of `log_ratios`.
        level: the significance level of this one test.
        rules: the rules of the comparison.
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

"""Families of verdicts made by hand, of every kind; and which of their settings may be called the fastest."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from vecml.measure.verdict import Family, Verdict, Word

BASELINE = "base"
ARMS = ("one", "two", "three", "four")
RATIOS = {"much faster": 4.0, "faster": 2.0, "slower": 0.5, "equivalent": 1.0, "undetected": 1.01, "busy": 9.0}
KINDS = ("faster", "much faster", "slower", "equivalent", "undetected", "invalid", "busy", "quick")
PLAIN = ("faster", "much faster", "slower", "equivalent", "undetected")
CONDITION = "others used 0.9 of 2 CPUs"
DISTURBED = "62 % of its rounds were disturbed: other processes used the CPUs"


def verdict_of(kind: str, arm: str, baseline: str = BASELINE, reason: str = DISTURBED) -> Verdict:
    """A verdict of one of `KINDS`: `quick` has no verdict, `busy` a faster one with a condition."""
    if kind == "invalid":
        return Verdict(arm, baseline, 0, "invalid", reason, 9.0)
    words: dict[str, Word | None] = {"much faster": "faster", "quick": None}
    ratio, word = RATIOS.get(kind, 3.0), words.get(kind, kind)  # type: ignore[arg-type]
    low, high = (None, None) if kind == "quick" else (ratio / 1.02, ratio * 1.02)
    found = Verdict(arm, baseline, 0, word, "by the intervals", ratio, low, high)
    return replace(found, while_busy="faster", condition=CONDITION) if kind == "busy" else found


def family_of(
    kinds: Sequence[str], reason: str = DISTURBED, baseline: str = BASELINE, arms: Sequence[str] = ARMS
) -> Family:
    """The family of a baseline and an arm for each kind; arms of one kind cannot be told apart."""
    verdicts = tuple(verdict_of(kind, arm, baseline, reason) for kind, arm in zip(kinds, arms, strict=False))
    counting = {one.arm: kind for one, kind in zip(verdicts, kinds, strict=True) if kind not in ("invalid", "busy")}
    ratios = {baseline: 1.0, **{arm: RATIOS.get(kind, 3.0) for arm, kind in counting.items()}}
    if verdicts and all(one.verdict == "invalid" and one.reason.startswith("the baseline") for one in verdicts):
        return Family(baseline, verdicts)
    best = max(ratios, key=lambda name: ratios[name])

    def tied(name: str) -> bool:
        if baseline in (best, name):
            return counting[name if best == baseline else best] in ("undetected", "equivalent", "quick")
        return counting[name] == "quick" or ratios[name] >= ratios[best] / 1.05

    return Family(baseline, verdicts, (), best, tuple(name for name in ratios if name == best or tied(name)))


def may_be_called_fastest(kinds: Mapping[str, str], baseline: str = BASELINE) -> set[str]:
    """The settings of which the fastest is one, by the verdicts alone: `kinds` are those of the arms, by name.

    It is empty where nothing is shown to be faster than the baseline, unless all that count are slower than it.
    """
    plain = {name: kind for name, kind in kinds.items() if kind in PLAIN}
    for kind in ("much faster", "faster"):
        if kind in plain.values():
            return {name for name, own in plain.items() if own == kind}
    return {baseline} if plain and set(plain.values()) == {"slower"} else set()

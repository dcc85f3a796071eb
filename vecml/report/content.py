"""The comparison that a report shows, with its figures and verdicts computed once; and the sign of each verdict."""

from collections.abc import Mapping
from dataclasses import dataclass

from vecml.comparison.comparison import ArmFigures, Comparison, families, figures
from vecml.measure.claim import Claim, claim_of
from vecml.measure.verdict import Family
from vecml.report.drawing import Shape

# Colour alone never shows a verdict: pictures have its shape (and whether it is hollow), text has its character.
SHAPES: Mapping[str, tuple[Shape, bool, str]] = {
    "baseline": ("diamond", False, "◆"),
    "faster": ("up", False, "▲"),
    "slower": ("down", False, "▼"),
    "equivalent": ("square", False, "■"),
    "undetected": ("circle", True, "○"),
    "no verdict": ("circle", True, "○"),
    "busy": ("circle", False, "◐"),
    "invalid": ("cross", False, "✕"),
}


@dataclass(frozen=True)
class Content:
    """A comparison and what is computed from it.

    Attributes:
        comparison: the record.
        arms: figures by name, in the order of measuring.
        families: the verdicts, one family a baseline.
    """

    comparison: Comparison
    arms: Mapping[str, ArmFigures]
    families: tuple[Family, ...]

    @property
    def unit(self) -> str:
        """Return what the rates count: a `row`, a `call` of a function, or a `start` of a command."""
        return {"setting": "row", "function": "call", "command": "start"}[self.comparison.noun]

    @property
    def is_latency(self) -> bool:
        return any(arm.percentile_seconds for arm in self.arms.values())

    @property
    def claims(self) -> tuple[Claim, ...]:
        """Return what may be said of each family."""
        return tuple(map(claim_of, self.families))

    @property
    def leading(self) -> set[str]:
        """The settings that verdicts put before all others of their family, or leave beside its baseline."""
        return {name for claim in self.claims for name in claim.leading}

    def names(self, family: Family) -> tuple[str, ...]:
        return (family.baseline, *(verdict.arm for verdict in family.verdicts))


def content_of(comparison: Comparison) -> Content:
    """Compute the figures and verdicts of a comparison."""
    return Content(comparison, {arm.name: arm for arm in figures(comparison)}, families(comparison))


def word(arm: ArmFigures) -> str:
    """The verdict's word, a key of `SHAPES`; a baseline's is `baseline`, unless it is invalid."""
    if arm.failure is not None:
        return "invalid"
    if arm.verdict is None:
        return "baseline"
    return arm.verdict.verdict or "no verdict"

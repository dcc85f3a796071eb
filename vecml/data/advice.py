"""What the hint of a refusal can offer: the command that was given with changes, or another column as the target."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from vecml.config import TrainingConfig
from vecml.data.findings import Findings, put_together
from vecml.data.remedy import Follow, command, flags
from vecml.data.table import MISSING_CODE, Column, is_constant, is_missing

MOST_CLASSES_OFFERED = 20
FEWEST_ROWS_OFFERED = 2
OFFERED_BINS = 4
USUAL_NAMES = frozenset({"label", "labels", "class", "target", "y", "outcome", "species", "diagnosis", "category"})


@dataclass(frozen=True)
class Advice:
    """Everything that is known of a table where something of it is refused; nothing without a configuration.

    Attributes:
        config: what was asked for, its columns written as the source writes them.
        names: of all columns of the source.
        columns: those that may be features, as far as they can be.
        findings: a command leaves out the columns that are refused there.
        follow, given: as for `vecml.data.remedy.command`.
    """

    config: TrainingConfig | None = None
    names: tuple[str, ...] = ()
    columns: Sequence[Column] = ()
    findings: Findings = field(default_factory=Findings)
    follow: Follow | None = None
    given: TrainingConfig | None = None

    def command(self, changes: Mapping[str, Any]) -> str:
        """Write the command with `changes`; without a configuration only their flags."""
        if self.config is None:
            return flags(changes)
        together = put_together([changes, self.findings.mended()])
        return command(self.config, together, self.names, self.follow, self.given)

    def another_target(self, words: str = "name another column", *, unusable: bool = False) -> str:
        """A hint to choose another column as the target, with a command where one is there to be chosen.

        Args:
            words: stand before the command.
            unusable: the target is of a type that cannot be a feature either.
        """
        if self.config is not None and self.config.data is None:
            return f"generate more rows: {self.command({'rows': None})}"
        offered, bins = _classes_column(self.columns), None
        if offered is None and len(self.columns) > 1:
            offered, bins = _numbers_column(self.columns), OFFERED_BINS
        if offered is None or self.config is None:
            return "name another column as the target: one with a few values that repeat"
        drop = (self.config.target,) if unusable and self.config.target else ()
        return f"{words}: {self.command({'target': offered, 'drop': drop, 'bins': bins})}"


def _numbers_column(columns: Sequence[Column]) -> str | None:
    """The last column of numbers that vary, which can be cut into classes."""
    numbers = [one.name for one in columns if one.kind == "number" and not (is_missing(one) or is_constant(one))]
    return numbers[-1] if numbers else None


def _classes_column(columns: Sequence[Column]) -> str | None:
    """The column of 2 to 20 values, each in two rows or more, that is likeliest to hold a label.

    That is one with a usual name for a label, else the one with the fewest values, the last of several.
    """
    best: tuple[bool, int, int] | None = None
    for place, column in enumerate(columns):
        values_N = column.values_N
        if column.kind == "number":
            present_N = values_N[~np.isnan(values_N)]
            if len(np.unique(present_N[:1_000])) > MOST_CLASSES_OFFERED:
                continue
            _, count = np.unique(present_N, return_counts=True)
        else:
            count = np.bincount(values_N[values_N != MISSING_CODE])
            count = count[count > 0]
        if 2 <= len(count) <= MOST_CLASSES_OFFERED and count.min() >= FEWEST_ROWS_OFFERED:
            rank = column.name.strip().lower() in USUAL_NAMES, -len(count), place
            best = rank if best is None else max(best, rank)
    return None if best is None else columns[best[2]].name

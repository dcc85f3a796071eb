"""What is found while a table is read: decisions taken for the user, and columns that only the user can decide about.

They are collected, so that one message names all columns of a kind, and one error names everything that is refused,
with one command that leads to a run.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from vecml.data.handed import is_python
from vecml.data.remedy import flags, is_on_trial
from vecml.data.selection import listed_columns
from vecml.errors import DataError
from vecml.warnings import warn

SHOWN_REASONS = 5

# The command, or the flags, that make these changes: a list names columns to add, any other value is a new one.
Remedy = Callable[[Mapping[str, Any]], str]


@dataclass(frozen=True)
class Decision:
    """Something that was decided for the user.

    Attributes:
        code: of the warning that says it, a key of `vecml.warnings.CODES`.
        column: which it is about; None where it is about the table.
        what: a predicate that reads after any list of columns ("dropped: constant"); without a column a sentence.
        instead: the settings that say the same openly, so that nothing is left to decide: `{"drop": ("a",)}`. Empty
            where it was asked for, and None where no setting says it.
        steps: what the user can do about it.
    """

    code: str
    column: str | None
    what: str
    instead: Mapping[str, Any] | None = None
    steps: tuple["Step", ...] = ()


@dataclass(frozen=True)
class Step:
    """A setting that decides otherwise, and what it does.

    Attributes:
        changes: the setting, as for `vecml.data.remedy.flags`; lists of several decisions are put together.
        does: a predicate: "makes numbers of it".
    """

    changes: Mapping[str, Any]
    does: str


@dataclass
class Findings:
    """Collects decisions and refusals while a table is read; `settle` tells them.

    Attributes:
        decisions: in the order in which they were taken.
        refusals: why a column cannot be used, by the column's name.
        mends: the settings with which a refused column can be used, by its name; others have to be left out.
    """

    decisions: list[Decision] = field(default_factory=list)
    refusals: dict[str, str] = field(default_factory=dict)
    mends: dict[str, Mapping[str, Any]] = field(default_factory=dict)

    def decided(
        self,
        code: str,
        column: str | None,
        what: str,
        instead: Mapping[str, Any] | None = None,
        steps: tuple[Step, ...] = (),
    ) -> None:
        """Note a decision.

        Args:
            code, column, what, instead, steps: as in `Decision`.
        """
        self.decisions.append(Decision(code, column, what, instead, steps))

    def dropped(self, code: str, column: str, why: str) -> None:
        """Note that a column is left out, and why ("constant"); `--drop` says the same openly."""
        self.decided(code, column, f"dropped: {why}", {"drop": (column,)})

    def refused(self, column: str, why: str, mend: Mapping[str, Any] | None = None) -> None:
        """Note that a column cannot be used.

        Args:
            column: its name.
            why: a predicate ("has an infinite value in row 3").
            mend: settings with which it can; None where it has to be left out.
        """
        self.refusals.setdefault(column, why)
        if mend is not None:
            self.mends.setdefault(column, mend)

    def mended(self) -> dict[str, Any]:
        """The settings with which nothing is refused."""
        return put_together(self.mends.get(name, {"drop": (name,)}) for name in self.refusals)

    def told(self) -> str:
        """All that was decided, in one line."""
        return "; ".join(_sentences(self.decisions))

    def settle(self, strict: bool = False, remedy: Remedy | None = None, *, is_rest_useful: bool = True) -> None:
        """Refuse or warn, once for all that was found.

        Args:
            strict: decisions are refused as well.
            remedy: writes the hint's command; by default only the flag is written.
            is_rest_useful: whether a feature is left without the refused columns.

        Raises:
            DataError: a column was refused, or `strict` and something was decided. It names every such column.
        """
        write = remedy or flags
        if self.refusals:
            raise DataError(_refusal(self.refusals), self._hint(write, is_rest_useful=is_rest_useful))
        taken = [decision for decision in self.decisions if decision.instead != {}]
        if strict and taken:
            said = "; ".join(_sentences(taken))
            strictly = "strict=True" if is_python() else "--strict"
            raise DataError(f"{strictly}: vecml would decide this: {said}", f"say it: {write(_said_openly(taken))}")
        if is_on_trial():
            return
        for code in dict.fromkeys(decision.code for decision in self.decisions):
            told = [decision for decision in self.decisions if decision.code == code]
            for sentence, about in _grouped(told):
                warn(code, sentence + _next_step(code, about))

    def _hint(self, write: Remedy, *, is_rest_useful: bool) -> str:
        """What to do about the refused columns, with the command."""
        it, mended = "them" if len(self.refusals) > 1 else "it", self.mended()
        if not self.mends:
            return f"leave {it} out: {write(mended)}" if is_rest_useful else f"mend {it}: no other column is left"
        words = "count infinite values as missing"
        if "drop" in mended:
            return f"{words}, and leave out what stays bad: {write(mended)}"
        drop = f" (or leave {it} out with {flags({'drop': tuple(self.refusals)})})" if is_rest_useful else ""
        return f"{words}{drop}: {write(mended)}"


def _refusal(refusals: Mapping[str, str]) -> str:
    """Write which columns are refused: all names, and the reasons of the first few."""
    reasons = [f"column {name!r} {why}" for name, why in refusals.items()]
    if len(reasons) == 1:
        return reasons[0]
    names = ", ".join(map(repr, refusals))
    rest = len(reasons) - SHOWN_REASONS
    told = "; ".join(reasons[:SHOWN_REASONS]) + (f"; and {rest:,} more" if rest > 0 else "")
    return f"{len(reasons):,} columns cannot be used: {names}: {told}"


def _next_step(code: str, decisions: Sequence[Decision]) -> str:
    """What to do about the decisions of a sentence: settings that can be pasted, each with what it does."""
    names = tuple(one.column for one in decisions if one.column and one.instead)
    if code == "VML042" and names:  # only the user can judge a suspicion
        return f". If nobody knows {'it' if len(names) == 1 else 'them'} before the label: {flags({'drop': names})}"
    of: dict[str, list[Mapping[str, Any]]] = {}
    for decision in decisions:
        for step in decision.steps:
            of.setdefault(step.does, []).append(step.changes)
    steps = [f"{flags(put_together(changes))} {does}" for does, changes in of.items()]
    return f" ({'; '.join(steps)})" if steps else ""


def _sentences(decisions: Sequence[Decision]) -> list[str]:
    """A sentence for each thing that was decided, with all columns that it is about."""
    return [sentence for sentence, _ in _grouped(decisions)]


def _grouped(decisions: Sequence[Decision]) -> list[tuple[str, list[Decision]]]:
    """The sentences, each with the decisions that it tells."""
    of: dict[str, list[Decision]] = {}
    for decision in decisions:
        of.setdefault(decision.what, []).append(decision)
    said = []
    for what, told in of.items():
        names = [one.column for one in told if one.column is not None]
        said.append((f"{listed_columns(names)} {what}" if names else what, told))
    return said


def _said_openly(decisions: Iterable[Decision]) -> dict[str, Any]:
    """The settings that say all decisions openly; where one has none, `strict` is left out instead."""
    return put_together({"strict": False} if one.instead is None else one.instead for one in decisions)


def put_together(changes: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Several changes as one: their lists one after the other, each value once."""
    made: dict[str, Any] = {}
    for name, value in (pair for one in changes for pair in one.items()):
        made[name] = tuple(dict.fromkeys((*made.get(name, ()), *value))) if isinstance(value, tuple) else value
    return made

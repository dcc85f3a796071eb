"""`--fail-if`: what the verdicts of a comparison make of the exit code."""

import sys
from typing import TYPE_CHECKING, Any

import typer

from vecml.cli.terminal import console

if TYPE_CHECKING:
    from vecml.comparison.demand import Demand

MISSED, UNDECIDED = 1, 3
TEXT = "End with 1 if a verdict shows this, and with 3 if nothing is decided: slower, slower:5%, not-faster."


def checked(text: str | None) -> "Demand | None":
    """Read the flag's value, before anything is measured. Raises SettingError for what it cannot be."""
    if text is None:
        return None
    from vecml.comparison.demand import demand_of

    return demand_of(text)


def leave(comparison: Any, demand: "Demand | None", text: str | None, before: str = "") -> None:
    """Say what the verdicts show of each arm, and end with the exit code; return where nothing fails.

    `before` stands before each line.
    """
    if demand is None:
        return
    from vecml.comparison.comparison import families
    from vecml.comparison.demand import answer, words

    found = [one for family in families(comparison) for one in family.verdicts]
    answers = [answer(demand, one, comparison.rules.gate) for one in found]
    said = {True: "no", False: "yes", None: "not decided"}
    for one, answered in zip(found, answers, strict=True):
        line = f"{before}--fail-if {text}: {said[answered]}: {one.arm} against {one.baseline}: {words(one)}"
        console(sys.stderr).print(line, soft_wrap=True, markup=False)
    if False in answers:
        raise typer.Exit(MISSED)
    if None in answers or not answers:
        raise typer.Exit(UNDECIDED)

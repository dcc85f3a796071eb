"""A qualification as a table for the terminal and as the page that is kept."""

import json
from dataclasses import asdict

from vecml.comparison.qualify import Qualification
from vecml.measure.proof import Figure
from vecml.numbers import count, percent, seconds

HEADINGS = ("proof", "figure", "95 % interval", "target", "")
WORDS = {
    "met": "Every figure meets its target on this machine.",
    "undecided": "No figure misses its target for certain; some need more time to tell.",
    "missed": "Some figures miss their targets on this machine.",
}


def sentence(found: Qualification) -> str:
    """The answer in one sentence."""
    seen = "; ".join(
        f"{seconds(budget)} resolve {percent(difference)}" for budget, difference in sorted(found.resolves.items())
    )
    return f"{WORDS[found.status]} For two arms, {seen}."


def rows(found: Qualification) -> list[tuple[str, ...]]:
    """A row for each figure, under `HEADINGS`."""
    return [
        (
            f"{figure.what} (of {figure.count:,})",
            _value(figure, figure.value),
            _interval(figure),
            _target(figure),
            figure.status,
        )
        for figure in found.figures
    ]


def lines(found: Qualification) -> list[str]:
    """Lines on what was measured, and on what vecml keeps for later comparisons."""
    gates = ", ".join(f"{percent(gate)} with {size} launches" for size, gate in sorted(found.gates.items()))
    launches = ", ".join(f"{size} in {seconds(budget)}" for budget, size in sorted(found.launches_for.items()))
    return [
        f"{count(found.launches, 'launch')} of four arms in {found.minutes:g} min;"
        f" {found.replaced} replaced for a slow canary",
        f"a launch's log-ratio of the same code against itself has a standard deviation of {percent(found.launch_sd)}",
        f"A/A gates that this machine's verdicts use from now on: {gates}",
        f"launches that a comparison of two arms gets: {launches}",
    ]


def page(found: Qualification) -> str:
    """The report as Markdown."""
    environment = found.environment
    head = "| " + " | ".join(HEADINGS) + " |\n|" + "---|" * len(HEADINGS)
    body = "\n".join("| " + " | ".join(row) + " |" for row in rows(found))
    facts = "\n".join(f"- {line}" for line in lines(found))
    loads = ", ".join(
        f"{name} {'unknown' if load.foreign_cpus is None else f'{load.foreign_cpus:.2f}'}"
        for name, load in (("before", found.load_before), ("after", found.load_after))
    )
    return (
        f"# Qualification of the measuring protocol\n\n{sentence(found)}\n\n{head}\n{body}\n\n{facts}\n\n"
        f"{found.created}, vecml {found.vecml}, {environment['cpu_model']}, {environment['usable_cpus']} CPUs, machine"
        f" key {environment['machine_key']}, environment key {environment['environment_key']}; CPUs used by others:"
        f" {loads}.\n\n"
        "Real figures: the numpy engine on a 10-32-2 network, its copy, and the same with 5 % and 2 % more rows in"
        " every call; comparisons formed from launches that share none. Intervals of shares are Wilson's.\n"
    )


def to_json(found: Qualification) -> str:
    """Everything but the raw blocks, for programs: `version` 1."""
    content = asdict(found)
    del content["measured"]
    content["figures"] = [{**asdict(figure), "status": figure.status} for figure in found.figures]
    return json.dumps({"version": 1, "kind": "qualification", "status": found.status, **content}, indent=1) + "\n"


def _is_number(figure: Figure) -> bool:
    return "false verdicts" in figure.what


def _value(figure: Figure, value: float) -> str:
    return f"{value:.0f}" if _is_number(figure) else percent(value, 2)


def _interval(figure: Figure) -> str:
    return f"{_value(figure, figure.low)} to {_value(figure, figure.high)}"


def _target(figure: Figure) -> str:
    if _is_number(figure):
        return "0"
    bounds = []
    if figure.least is not None:
        bounds.append(f"at least {percent(figure.least)}")
    if figure.most is not None:
        bounds.append(f"at most {percent(figure.most)}")
    return ", ".join(bounds) or "-"

"""`vecml referee`: whether a candidate that nobody trusts may take a reference's place."""

import json as json_text
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from vecml.cli.compare import process_start
from vecml.cli.options import JsonFile, RunName, command, is_printed, option, write_json
from vecml.cli.terminal import console, opening, show_comparison

EPILOG = """**Examples**

- `vecml referee spec.toml fast.py:solve`: PROMOTE (exit code 0), REJECT (1) or NEEDS_MORE_DATA (3), and why

- `vecml referee spec.toml --ref HEAD`: the spec's own command, at a revision

- `vecml referee spec.toml fast.py:solve --json -`: the same for a program, with every raw block
"""
BUDGET_TEXT = "Time for the measurement, where the spec names none: 60s, 5m. [default: 60s]"


@command()
def referee(
    spec: Annotated[Path, typer.Argument(help="What a candidate is held to.", metavar="SPEC.toml", show_default=False)],
    candidate: Annotated[
        str | None,
        typer.Argument(
            help="The function, or the command. [default: the spec's]", metavar="[CANDIDATE]", show_default=False
        ),
    ] = None,
    ref: Annotated[str | None, option("Take the candidate from this revision.", "REVISION", "--ref")] = None,
    budget: Annotated[str | None, option(BUDGET_TEXT, "TIME", "--budget")] = None,
    fresh: Annotated[bool, option("Measure everything again, also where it was stopped.", None, "--fresh")] = False,
    json: JsonFile = None,
    name: RunName = None,
) -> None:
    """Hold a function, a command or a revision that nobody trusts against a reference, over inputs that it never saw.

    The spec's digest fixes reference, inputs, tolerance and budget. The candidate runs in processes of its own, without
    the reference's code; the clock is the referee's, and the result of each call is checked. See docs/referee.md.
    """
    from vecml.errors import SettingError
    from vecml.referee.referee import Match
    from vecml.referee.spec import candidate_of, read_spec

    asked = read_spec(spec, budget)
    text, folder = (candidate, Path.cwd()) if candidate is not None else (asked.candidate, spec.parent)
    if text is None and ref is not None and asked.command is not None:
        text, folder = asked.command, spec.parent  # the same command at another revision
    if text is None:
        raise SettingError(f"{spec}: no candidate", f"vecml referee {spec} fast.py:solve")
    match = Match(asked, candidate_of(text, folder, asked, ref), name)
    outcome, address = _held(match, fresh=fresh)
    _show(outcome, json, address)
    raise typer.Exit(outcome.exit_code)


def _held(match: Any, *, fresh: bool) -> tuple[Any, str | None]:
    """The outcome, tracked, and the address of its page."""
    from flows.signals import leaving_in_order

    with leaving_in_order():
        from tasks.tracking.location import locate, prepare

        prepare(locate())
        from tasks.tracking.comparison import ComparisonTracking
        from vecml.comparison.budget import Budget
        from vecml.referee.referee import referee as hold
        from vecml.report.comparison import expectation

        def announce(budget: Budget) -> None:
            line = expectation(budget.resolves, budget.text, budget.source)
            console(sys.stderr).print(line, soft_wrap=True, markup=False)

        outcome, writer = hold(match, ComparisonTracking(), began=process_start(), announce=announce, fresh=fresh)
        return outcome, None if writer is None else writer.run.url


def _show(outcome: Any, json: Path | None, address: str | None) -> None:
    from vecml.comparison.document import to_json
    from vecml.foreign_text import clean
    from vecml.numbers import seconds
    from vecml.referee.outcome import document, not_kept
    from vecml.report.comparison import reasons, table

    def text() -> str:
        measured = None if outcome.comparison is None else json_text.loads(to_json(outcome.comparison))
        return json_text.dumps(document(outcome, measured), separators=(",", ":"))

    printed = write_json(json, text)
    if printed or is_printed(json):
        return
    said = clean(f"{outcome.word}: {outcome.reason}.")
    digests = f"spec {outcome.spec_digest}, candidate {outcome.candidate_digest}"
    if outcome.comparison is None:
        out = console(sys.stdout)
        out.print(said, soft_wrap=True, markup=False)
        out.print(digests, soft_wrap=True, markup=False)
        return
    content, lines = table(outcome.comparison), reasons(outcome.comparison)
    if outcome.price_seconds is not None:
        lines.append(f"handing over arguments and result takes {seconds(outcome.price_seconds)} of each call")
    if (lacking := not_kept(outcome.comparison)) is not None:
        lines.append(f"this machine could not keep the candidate from {lacking}: see docs/referee.md")
    lines += [digests, *([opening(address)] if address else [])]
    show_comparison(said, content.headings, content.rows, lines, address)

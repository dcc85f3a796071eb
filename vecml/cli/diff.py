"""`vecml diff`: recorded runs held against each other, whichever day and machine they are from."""

import json as json_text
from typing import Annotated

import typer

from vecml.cli.options import JsonFlag, command, option
from vecml.cli.terminal import console, show_comparison
from vecml.errors import SettingError

EPILOG = """**Examples**

- `vecml diff brave-fox-1 calm-owl-2`: what changed between two runs, and whether it is real

- `vecml diff RUN_A RUN_B RUN_C --json`: the later ones against the first, for a program
"""


@command()
def diff(
    runs: Annotated[
        list[str], typer.Argument(help="Runs by name, id, or the id's beginning; the first is the one to compare with.")
    ],
    all_: Annotated[bool, option("Show every field that differs, chosen block sizes too.", None, "--all")] = False,
    json: JsonFlag = False,
) -> None:
    """Hold recorded runs of any day and machine against the first of them.

    There is a verdict where five sittings of either side are on record; with fewer, figures are indicative. Other data
    or another network is refused, with what would lift it. Whatever comes out, it ends with 0.
    """
    if len(runs) < 2:
        raise SettingError(f"diff {runs[0]}: there is nothing to compare it with", "name two runs or more")
    if len(set(runs)) < len(runs):
        raise SettingError("diff: a run is named twice", "name each run once")
    from tasks.tracking.sittings import read_sides
    from vecml.history.diff import diff as compared
    from vecml.report.diff import as_json, remarks, sentence, table

    sides, others = read_sides(runs)
    found = compared(sides, others)
    if json:
        typer.echo(json_text.dumps(as_json(found), indent=1, allow_nan=False))
        return
    for number, against in enumerate(found):
        if number:
            console().print()
        content = table(against)
        if content.rows:
            show_comparison(sentence(against), content.headings, content.rows, remarks(against, everything=all_), None)
            continue
        console().print(sentence(against), style="bold", markup=False)
        for line in remarks(against, everything=all_):
            console().print(line, markup=False)

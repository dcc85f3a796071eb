"""`vecml leaderboard`: settings of all recorded devices in one order, and who cannot be told from the best."""

import json as json_text
from datetime import UTC, datetime
from typing import Annotated

import typer

from vecml.cli.history import chosen
from vecml.cli.options import JsonFlag, NetworkDigest, command, option
from vecml.cli.terminal import console, show_comparison

EPILOG = """**Examples**

- `vecml leaderboard`: every network that was compared, the latest first

- `vecml leaderboard --architecture 3f2a --top 5 --json`: one network's five fastest, for a program
"""


@command(warns=False)
def leaderboard(
    architecture: NetworkDigest = None,
    top: Annotated[int | None, option("Only so many places of each order.", "N", min=1)] = None,
    json: JsonFlag = False,
) -> None:
    """Rank the recorded settings of all devices by rows/s, for each network and number of rows.

    The rate is the median over the sittings; an interval comes from five of them on, and is indicative before. Settings
    that cannot be told from the best are marked; invalid ones come last and are not ranked.
    """
    from tasks.tracking.sittings import recorded_settings
    from vecml.history.leaderboard import boards
    from vecml.report.leaderboard import as_json, remarks, sentence, table, title

    found, now = boards(chosen(recorded_settings(), architecture)), datetime.now(UTC)
    if json:
        typer.echo(json_text.dumps(as_json(found, top), indent=1, allow_nan=False))
        return
    if not found:
        console().print("Nothing to rank: vecml compare records what a leaderboard is made of.")
    for number, board in enumerate(found):
        if number:
            console().print()
        console().print(title(board), markup=False)
        content = table(board, now, top)
        show_comparison(sentence(board), content.headings, content.rows, remarks(board, top), None, names=3)

"""`vecml qualify`: whether verdicts can be trusted on this machine, measured here."""

from pathlib import Path
from typing import Annotated

import typer

from vecml.cli.options import command, output_file, write_json
from vecml.cli.terminal import show_comparison

EXIT_CODES = {"met": 0, "missed": 1, "undecided": 3}
EPILOG = """**Examples**

- `vecml qualify --minutes 20`: enough to keep this machine's own A/A gate

- `vecml qualify --minutes 3 --no-keep --report quick.md`: a look, which leaves the gate as it is
"""


@command()
def qualify(
    minutes: Annotated[
        float, typer.Option(help="Minutes of real measuring; simulating takes one or two more.", metavar="N", min=0.5)
    ] = 20,
    report: Annotated[
        Path, output_file("Where the report goes (Markdown). [default: vecml-qualify.md]", "--report")
    ] = Path("vecml-qualify.md"),
    json: Annotated[Path | None, output_file("The figures as JSON as well; `-` prints them instead.", "--json")] = None,
    keep: Annotated[bool, typer.Option(help="Keep this machine's A/A gate for its verdicts.")] = True,
) -> None:
    """Prove the measuring on this machine: false alarms, power, coverage and bias with planted differences.

    Nothing else should run meanwhile. Ends with 0 when every figure meets its target, with 1 when one misses it, and
    with 3 when there was too little time to tell.
    """
    from flows.signals import leaving_in_order
    from vecml.atomic import write_bytes
    from vecml.comparison import qualify as proof
    from vecml.report.qualification import HEADINGS, lines, page, rows, sentence, to_json

    with leaving_in_order():
        found = proof.qualify(minutes, keep=keep)
    write_bytes(report, page(found).encode())
    if not write_json(json, lambda: to_json(found)):
        show_comparison(sentence(found), HEADINGS, rows(found), [*lines(found), f"report: {report}"], None)
    raise typer.Exit(EXIT_CODES[found.status])

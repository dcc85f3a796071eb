"""`vecml lab`: why vectorised code is fast, one experiment an idea, measured on this machine."""

import json as json_text
from pathlib import Path
from typing import Annotated, Any

import typer

from vecml.atomic import check_folder
from vecml.cli.options import JsonFile, RunName, command, is_printed, option, write_json
from vecml.cli.terminal import console, opening, show_comparison
from vecml.errors import DataError, SettingError

NAMES_TEXT = "simd, ufunc, locality, blas_threads, broadcasting, gil, dtype, gpu, or all of them."
EPILOG = """**Examples**

- `vecml lab ufunc`: a ufunc against a Python loop, and where the loop wins

- `vecml lab all --quick --out lab/`: every experiment in under four minutes, a picture each and one page

- `vecml lab simd --json -`: for a program
"""


@command()
def lab(
    name: Annotated[str, typer.Argument(help=NAMES_TEXT, metavar="NAME|all")],
    quick: Annotated[bool, option("Fewer points, and three short launches instead of five.", None, "--quick")] = False,
    out: Annotated[
        Path | None,
        option("A folder for a picture each (PNG) and one page (lab.html); made if there is none.", "FOLDER"),
    ] = None,
    json: JsonFile = None,
    run_name: RunName = None,
) -> None:
    """Measure why vectorised code is fast: a plain twin against a vectorised one, with a verdict, beside the limit.

    Each experiment's twins are verified to give the same results, and its three sentences follow from what was
    measured: where an effect does not show on this machine, they say so.
    """
    from vecml.lab.catalogue import chosen

    experiments = chosen(name)
    _check_folder(out)
    outcomes, address = _measure(experiments, run_name, quick=quick, out=out, json=json)
    if not is_printed(json):
        _show(outcomes, out, address)


def _check_folder(out: Path | None) -> None:
    """Raise SettingError where `out` is a file, or a folder that cannot be made."""
    if out is None:
        return
    if out.exists() and not out.is_dir():
        raise SettingError(f"--out {out}: it is a file", "name a folder")
    if not out.exists():
        check_folder(out, f"--out {out}")


def _measure(
    experiments: Any, name: str | None, *, quick: bool, out: Path | None, json: Path | None
) -> tuple[list[Any], str]:
    """The experiments one after the other, their files, and tracking."""
    from flows.signals import leaving_in_order

    with leaving_in_order():
        from tasks.tracking.results import lab_content
        from tasks.tracking.run import tracked_result
        from vecml import keys
        from vecml.atomic import write_bytes
        from vecml.lab.run import run
        from vecml.report.lab import page, picture, to_json_dict

        with tracked_result(keys.LAB, name) as writer:
            outcomes = [run(experiment, quick=quick) for experiment in experiments]
            pictures = {}
            for outcome in outcomes:
                try:
                    pictures[outcome.name] = picture(outcome)
                except DataError:  # nothing was measured: the page says why
                    continue
            html = page(outcomes, pictures)
            write_json(json, lambda: json_text.dumps(to_json_dict(outcomes)))
            if out is not None:
                out.mkdir(exist_ok=True)
                for file_name, content in pictures.items():
                    write_bytes(out / f"{file_name}.png", content)
                write_bytes(out / "lab.html", html.encode())
            writer.log(lab_content(outcomes, pictures, html, quick=quick))
        return outcomes, writer.run.url


def _show(outcomes: list[Any], out: Path | None, address: str) -> None:
    from rich.text import Text

    from vecml.report.lab import HEADINGS, remarks, table

    for outcome in outcomes:
        sentences = [*outcome.sentences, *remarks(outcome)]
        show_comparison(outcome.title, HEADINGS, table(outcome), sentences, None, names=2)
        console().print()
    if out is not None:
        console().print(Text(f"the page: {out / 'lab.html'}"), soft_wrap=True)
    console().print(Text(opening(address)))
    console().print(Text(address), soft_wrap=True)

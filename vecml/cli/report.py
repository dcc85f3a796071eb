"""`vecml report`: a tracked run as one HTML file that loads nothing, for a browser, a colleague or an archive."""

import dataclasses
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vecml.cli.options import TrackedRun, check_file, command, option
from vecml.cli.terminal import console
from vecml.errors import SettingError
from vecml.regular_file import read_regular

if TYPE_CHECKING:
    from tasks.tracking.stored_run import StoredRun
    from vecml.report.page import About

EPILOG = """**Examples**

- `vecml report RUN`: writes vecml-report-NAME.html here and opens it

- `vecml report nightly --out nightly.html --no-open`: a run by its name, to a file of one's own

- `vecml report result.json`: the page of a file that `vecml compare --json` wrote

- `vecml compare --from NAME.json`: the verdicts computed again, from the file that the page's button gives
"""
KINDS = {"pipeline": "pipeline run", "compare": "comparison", "setting": "setting of a comparison"}
PICTURES = ("loss.png", "confusion.png")


@command()
def report(
    run: TrackedRun,
    out: Annotated[Path | None, option("The file to write. [default: vecml-report-NAME.html]", "FILE")] = None,
    open_it: Annotated[
        bool, typer.Option("--open/--no-open", help="Open it in a browser, if this is a terminal.")
    ] = True,
) -> None:
    """Write a run as one HTML page: the answer, pictures, reasons, the environment, and the raw record.

    It needs no network and no server. Of a run that failed it shows what there is. RUN may also be the JSON file of a
    comparison.
    """
    if out is not None:
        _check(out)
    name, page = _page(run)
    path = out or Path(f"vecml-report-{name}.html")
    if out is None:
        _check(path)
    from vecml.atomic import write_bytes

    write_bytes(path, page.encode())
    console().print(str(path), soft_wrap=True, markup=False)
    if open_it and sys.stdout.isatty():
        import webbrowser

        webbrowser.open(path.resolve().as_uri())


def _page(asked: str) -> tuple[str, str]:
    """The beginning of a file's name for the run, and its page."""
    from vecml.comparison.document import from_json
    from vecml.report.page import About, file_stem, page, page_of_run

    if asked.endswith(".json") and Path(asked).is_file():
        return _page_of_file(Path(asked))
    from tasks.tracking.stored_run import COMPARISON, artifact, comparison_of, read_stored_run

    run = comparison_of(read_stored_run(asked))
    about = About(run.name, run.run_id, run.address, run.status, run.error, run.created)
    stem = file_stem(run.name, run.run_id)
    document = artifact(run, COMPARISON) if run.kind == "compare" else None
    if document is not None:
        return stem, page(from_json(document, f"{COMPARISON} of run {run.name}"), about)
    if run.kind == "optimize":
        return stem, _page_of_optimization(run, about)
    return stem, page_of_run(
        _with_note(about, run), KINDS.get(run.kind, "run"), run.params, run.metrics, run.tags, _pictures(run)
    )


def _page_of_optimization(run: "StoredRun", about: "About") -> str:
    """Its answer, its profile as a picture, and its report; pictures and report are absent where the run failed."""
    from tasks.tracking.stored_run import artifact
    from vecml.report.chart_profile import picture_of_document
    from vecml.report.page import Report, page_of_run

    document, text = artifact(run, "optimize.json"), (artifact(run, "report.txt") or b"").decode(errors="replace")
    noted = dataclasses.replace(about, note=about.note or text.partition("\n")[0] or None)
    drawn = None if document is None else picture_of_document(document)
    return page_of_run(noted, "optimization", run.params, run.metrics, run.tags, report=Report(drawn, text))


def _page_of_file(path: Path) -> tuple[str, str]:
    """The same for the document of a comparison, which `vecml compare --json` wrote or a page's button gave."""
    from vecml.comparison.document import from_json
    from vecml.report.page import About, file_stem, page

    try:
        content = read_regular(path)
    except OSError as error:
        raise SettingError(
            f"{path}: {error.strerror or error}", "name a file that vecml compare --json wrote"
        ) from None
    return file_stem(path.stem, "comparison"), page(from_json(content, str(path)), About(path.name, ""))


def _with_note(about: "About", run: "StoredRun") -> "About":
    """The same, with a note where a comparison ended well and its record is gone."""
    if run.kind == "compare" and run.status == "FINISHED":
        return dataclasses.replace(
            about, note="Its comparison.json is gone: there are no blocks and no verdicts to show."
        )
    return about


def _pictures(run: "StoredRun") -> dict[str, bytes]:
    from tasks.tracking.stored_run import artifact

    found = {name: artifact(run, f"pictures/{name}") for name in PICTURES}
    return {name: content for name, content in found.items() if content is not None}


def _check(path: Path) -> None:
    """Refuse to write where it cannot be, or over a file that is no report. Raises SettingError."""
    from vecml.report.page import is_a_page

    check_file("--out", path)
    try:
        with path.open("rb") as file:
            known = is_a_page(file.read(4096))
    except FileNotFoundError:
        return
    except OSError as error:
        raise SettingError(f"--out {path}: {error.strerror or error}", "name another file") from None
    if not known:
        raise SettingError(f"{path} is there and is no report of vecml's", "name another file with --out")

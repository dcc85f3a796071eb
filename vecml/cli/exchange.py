"""`vecml export` and `vecml import`: tracked runs carried as files between machines that share no server."""

import json as json_text
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vecml.cli.options import JsonFlag, TrackedRun, command
from vecml.cli.terminal import console
from vecml.numbers import count

if TYPE_CHECKING:
    from tasks.tracking.export_import import ExportResult, ImportResult

EXPORT_EPILOG = """**Examples**

- `vecml export brave-fox-1 fox.zip`: the run, or the comparison with all its settings, in one file

- `vecml import fox.zip`: on the other machine
"""
IMPORT_EPILOG = """**Examples**

- `vecml import laptop.zip server.zip`: runs of two machines into this folder's store

- `vecml diff RUN_A RUN_B`: and what changed between them
"""


@command()
def export_run(
    run: TrackedRun,
    file: Annotated[Path, typer.Argument(help="The file to write, a zip.", metavar="FILE")],
    json: JsonFlag = False,
) -> None:
    """Write a run into one file: params, metrics, tags, note, data sets and artifacts; a comparison with its settings.

    Left out: who ran it and where on the disk, and MLflow's own model of it, which runs code when it is loaded.
    """
    from tasks.tracking.export_import import export_run as exported

    written = exported(run, file)
    if json:
        typer.echo(json_text.dumps(_export_as_json(written), indent=1))
        return
    console().print(f"run {written.name}{_below(written.children)} is in {file}", soft_wrap=True, markup=False)


@command()
def import_runs(
    files: Annotated[list[Path], typer.Argument(help="Files that vecml export wrote.", metavar="FILE")],
    json: JsonFlag = False,
) -> None:
    """Put exported runs into this folder's store, or the one that MLFLOW_TRACKING_URI names.

    Digests are checked before anything is written, nothing in the files is executed, and a run that is here already is
    not made again.
    """
    from tasks.tracking.export_import import import_runs as imported

    found = imported(files)
    if json:
        content = {"version": 1, "runs": [_import_as_json(one) for one in found]}
        typer.echo(json_text.dumps(content, indent=1))
        return
    out = console()
    for one in found:
        if one.known:
            out.print(f"{one.file}: is here already as run {one.name}", soft_wrap=True, markup=False)
        else:
            out.print(f"{one.file}: run {one.name}{_below(one.children)} imported", soft_wrap=True, markup=False)
        out.print(one.url, soft_wrap=True, markup=False)


def _below(children: int) -> str:
    if not children:
        return ""
    return f" and its {count(children, 'setting')}"


def _export_as_json(written: "ExportResult") -> dict[str, Any]:
    return {
        "version": 1,
        "file": str(written.file),
        "run_id": written.run_id,
        "name": written.name,
        "kind": written.kind,
        "children": written.children,
        "bytes": written.size,
        "digest": written.digest,
    }


def _import_as_json(one: "ImportResult") -> dict[str, Any]:
    return {
        "file": str(one.file),
        "run_id": one.run_id,
        "name": one.name,
        "kind": one.kind,
        "children": one.children,
        "original": one.original,
        "digest": one.digest,
        "url": one.url,
        "known": one.known,
    }

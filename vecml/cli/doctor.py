"""`vecml doctor`: what this machine offers, what is missing and why, and where runs are kept."""

import json as json_module
import os
import sqlite3
from contextlib import closing
from importlib.metadata import PackageNotFoundError, version
from typing import Annotated, Any

import typer

from vecml.cli.terminal import console

MACHINE = (
    "cpu_model",
    "instruction_sets",
    "physical_cpus",
    "logical_cpus",
    "usable_cpus",
    "cpu_quota",
    "memory_bytes",
    "l2_bytes",
    "l3_bytes",
    "gpus",
)
VERSIONS = ("vecml", "python", "numpy", "blas", "torch", "pyarrow", "mlflow", "prefect")


def doctor(
    json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
    debug: Annotated[bool, typer.Option(help="Show the traceback of an error.")] = False,  # noqa: ARG001 -- main reads it
) -> None:
    """Say what this machine offers: devices, engines and why one is missing, versions, known conflicts, the store."""
    found = examine()
    if json:
        typer.echo(json_module.dumps(found, indent=1))
        return
    out = console()
    from rich.table import Table
    from rich.text import Text

    for title, entries in found.items():
        if title == "version":
            continue
        table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 2))
        table.add_column(no_wrap=True)
        table.add_column(overflow="fold")
        for name, value in entries.items():
            table.add_row(Text(name), Text(value))
        out.print(Text(title.capitalize(), style="bold"))
        out.print(table)


def examine() -> dict[str, Any]:
    """What doctor prints, as sections of name and text, with the version of this form under `version`."""
    from vecml.device import available_devices, device_name
    from vecml.engines.registry import ENGINES, availability
    from vecml.environment import describe, known_conflicts

    environment = describe()
    machine = environment.to_json_dict()
    conflicts = known_conflicts()
    return {
        "version": 1,
        "devices": {device: device_name(device) for device in available_devices()},
        "engines": {name: availability(name) or "ready" for name in ENGINES},
        "machine": {name.replace("_", " "): _text(machine[name]) for name in MACHINE},
        "versions": {**{name: _text(machine[name]) for name in VERSIONS}, "fastapi": _version("fastapi")},
        "conflicts": {str(number): text for number, text in enumerate(conflicts, 1)} or {"known": "none"},
        "keys": {
            "machine": environment.machine_key,
            "software": environment.software_key,
            "environment": environment.environment_key,
        },
        "store": _store(),
    }


def _store() -> dict[str, str]:
    from flows.server import configured_url
    from tasks.tracking.location import locate, without_passwords

    location = locate()
    url = configured_url()
    found = {
        "runs": location.shown,
        "chosen by": "MLFLOW_TRACKING_URI"
        if location.folder is None
        else "the folder" + (" VECML_HOME" if os.environ.get("VECML_HOME") else " it runs in"),
        "prefect": without_passwords(url) if url else "a temporary server for each run",
    }
    if location.folder is not None:
        found["database"] = _integrity(location.folder / "mlflow.db")
    return found


def _integrity(path: Any) -> str:
    """SQLite's own opinion of the database."""
    if not path.exists():
        return "not there yet: the first run makes it"
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=5)) as connection:
            verdict = connection.execute("PRAGMA integrity_check").fetchone()[0]
    except sqlite3.DatabaseError as error:
        return f"damaged: {error}"
    return "sound" if verdict == "ok" else f"damaged: {verdict}"


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "missing"


def _text(value: Any) -> str:
    if isinstance(value, list | tuple):
        return " ".join(map(str, value)) or "none"
    if isinstance(value, int):
        return f"{value:,}"
    return "none" if value is None else str(value)

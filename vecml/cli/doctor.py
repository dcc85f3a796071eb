"""`vecml doctor`: what this machine offers, what is missing and why, and where runs are kept."""

import json as json_module
import os
import sqlite3
from contextlib import closing
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vecml.cli.options import JsonFlag, command, option
from vecml.cli.terminal import console
from vecml.errors import StoreError
from vecml.numbers import count, megabytes, percent

if TYPE_CHECKING:
    from tasks.tracking.location import Location
    from vecml.measure.limits import Limits

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


@command()
def doctor(
    limits: Annotated[
        bool, option("Measure the machine's limits, which takes seconds, and keep them.", None, "--limits")
    ] = False,
    json: JsonFlag = False,
) -> None:
    """Say what this machine offers: devices, engines and why one is missing, versions, known conflicts, the store."""
    found = examine(limits)
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


def examine(measure: bool = False) -> dict[str, Any]:
    """Examine this machine: return sections of names and texts, and the version of this format under `version`.

    With `measure`, the machine's limits are measured and kept; without, those that were kept before are returned.
    """
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
        "limits": _limits(environment.machine_key, measure),
        "measuring": _gates(environment.machine_key),
        "versions": {**{name: _text(machine[name]) for name in VERSIONS}, "fastapi": _version("fastapi")},
        "conflicts": {str(number): text for number, text in enumerate(conflicts, 1)} or {"known": "none"},
        "keys": {
            "machine": environment.machine_key,
            "software": environment.software_key,
            "environment": environment.environment_key,
        },
        "store": _store(),
    }


def _limits(machine_key: str, measure: bool) -> dict[str, str]:
    from vecml.comparison.sitting import alone
    from vecml.device import usable_cpus
    from vecml.measure.kernels import GEMM_SIZES, PRECISIONS, array_bytes
    from vecml.measure.limits import SECONDS, Limits, cached_limits, keep_limits, measure_limits

    if not measure:
        known = cached_limits(machine_key)
        how = "not yet: vecml doctor --limits measures them"
        if known is not None:
            how = "earlier, by the best of many calls; vecml doctor --limits measures anew"
        return {**_rates(known or Limits()), "measured": how}
    cpus = usable_cpus()
    with alone():
        found = measure_limits(tuple(dict.fromkeys((1, cpus))), PRECISIONS)
    kept = keep_limits(machine_key, found, replace=True)
    sizes = ", ".join(f"{size:,}" for size in GEMM_SIZES)
    how = (
        f"now, by the best of the calls of {SECONDS} s each: products of square matrices of {sizes}, arrays of"
        f" {megabytes(array_bytes(cpus))}"
    )
    return {**_rates(found), "measured": how if kept else f"{how}; not kept: the cache folder cannot be written"}


def _gates(machine_key: str) -> dict[str, str]:
    """Return texts of the machine's A/A gate and noise; a machine that was not qualified has only the default gate."""
    from vecml import cache
    from vecml.comparison.budget import GATES, launch_sd, machine_rules

    if machine_rules(machine_key).gate_source != "qualified":
        return {
            "A/A gate": f"{percent(machine_rules(machine_key).gate)}, the default:"
            " vecml qualify measures this machine's"
        }
    kept = cache.read(GATES, machine_key) or {}
    gates = ", ".join(f"{percent(gate)} with {count} launches" for count, gate in kept["gates"].items())
    return {
        "A/A gate": f"{gates} (qualified {kept.get('created', 'at an unknown time')})",
        "noise": f"{percent(launch_sd(machine_key)[0])} from launch to launch of the same code",
    }


def _rates(limits: "Limits") -> dict[str, str]:
    """Return texts such as `95.5 GFLOP/s with 1 thread, 187.0 with 2 threads` under `GEMM float32` and so on."""
    products: dict[str, dict[str, float]] = {}
    for key, rate in limits.gemm_flops_per_s.items():
        precision, _, threads = key.partition("/")
        products.setdefault(f"GEMM {precision}", {})[threads] = rate
    streams = {
        "read": limits.read_bytes_per_s,
        "copy": limits.copy_bytes_per_s,
        "triad": limits.triad_bytes_per_s,
    }
    return {
        **{name: _by_threads(rates, "GFLOP/s") for name, rates in products.items()},
        **{name: _by_threads(rates, "GB/s") for name, rates in streams.items() if rates},
    }


def _by_threads(rates: dict[str, float], unit: str) -> str:
    shown: list[str] = []
    for threads in sorted(rates, key=lambda threads: (len(threads), threads)):
        amount = f"{rates[threads] / 1e9:,.1f}" if shown else f"{rates[threads] / 1e9:,.1f} {unit}"
        shown.append(f"{amount} with {count(int(threads), 'thread')}")
    return ", ".join(shown)


def _store() -> dict[str, str]:
    from flows.server import configured_url
    from tasks.tracking.location import locate
    from vecml.passwords import without_passwords

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
    found["ready"] = _readiness(location)
    found["waiting"] = _waiting(location)
    return found


def _readiness(location: "Location") -> str:
    """Say whether a run could be kept now: the server answers, or the folder can be written."""
    from tasks.tracking.location import prepare

    folder = location.folder
    if folder is not None and not folder.exists():
        return "yes" if os.access(folder.parent, os.W_OK) else f"no: {folder.parent} is read-only"
    try:
        prepare(location)
    except StoreError as error:
        there = folder is not None and (folder / "mlflow.db").exists()
        return f"{'for reading only' if there else 'no'}: {error.message} ({error.hint})"
    return "yes"


def _waiting(location: "Location") -> str:
    """Name the results that could not be logged; the next start that can write the store logs them."""
    from tasks.tracking.waiting import unreadable, waiting

    found = [f"run {one.name} in {one.folder}, logged by the next start" for one in waiting(location)]
    found += [f"{folder}, which vecml cannot log: look into it, and delete it" for folder in unreadable(location)]
    return "; ".join(found) or "nothing"


def _integrity(path: Any) -> str:
    """Check the database with SQLite's `integrity_check`; return `sound`, `damaged: REASON`, or that there is none."""
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

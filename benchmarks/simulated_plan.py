"""What a plan of very many units takes of the process that shares them out, without any data.

A unit is a file of a million rows in a bucket; 1,000 nodes label them. Measured are the plan, its text, the units as
they are given out, the sharing, the records that come back, and the manifest; requests to the store are counted.
"""

import random
import resource
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from vecml.batch import part as part_module
from vecml.batch.assignment import Assignment
from vecml.batch.inputs import Input
from vecml.batch.manifest import manifest_text
from vecml.batch.order import UNITS, write_units
from vecml.batch.part import Part
from vecml.batch.plan import Piece, Plan, Unit, Way, to_json

NODES, ROWS, LISTED = 1_000, 1_000_000, 1_000
WAY = Way("m" * 64, "e" * 64, "engine numpy", 4_096, 65_536, (), False, False, "[]", "prediction: string", "vecml")


@dataclass(frozen=True)
class Line:
    """A line of the result: what was measured, and what came of it."""

    what: str
    said: str


def simulated(units: int, folder: Path) -> Iterator[Line]:
    """Share so many units out to 1,000 nodes that do nothing.

    Args:
        units: how many.
        folder: for the file of the units.

    Yields a line for each step: seconds, the peak of this process's memory, and sizes.
    """
    begun = time.perf_counter()

    def line(what: str, more: str) -> Line:
        nonlocal begun
        seconds, peak = time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
        begun = time.perf_counter()
        return Line(f"{units:,} units: {what}", f"{seconds:.1f} s, peak {peak:,.0f} MB{more}")

    made = _plan(units)
    yield line("the plan", f"; listing takes {units // LISTED:,} requests, footers {units:,}")
    text = to_json(made)
    yield line("its text", f", {len(text) / 1e6:,.0f} MB")
    del text
    write_units(folder, made, made.units)
    yield line("the units to give out", f", {(folder / UNITS).stat().st_size / 1e6:,.0f} MB on disk")
    calls = _shared_out(folder, units)
    yield line("sharing out", f"; {calls:,} calls of {NODES:,} nodes")
    parts = [
        Part(unit.number, made.part_name(unit), ROWS, (ROWS // 2, ROWS - ROWS // 2), f"{unit.number:064x}", 1_000, 0, 0)
        for unit in made.units
    ]
    records = sum(len(part_module.to_json(part)) for part in parts)
    yield line("the records", f", {records / 1e6:,.0f} MB in {units:,} objects")
    manifest = manifest_text(made, ("no", "yes"), parts)
    yield line("the manifest", f", {len(manifest) / 1e6:,.0f} MB")


def _plan(units: int) -> Plan:
    files = tuple(
        Input(f"s3://bucket/orders/{number:09}.parquet", 40_000_000, f"{number:032x}") for number in range(units)
    )
    made = tuple(
        Unit(number, "", number * ROWS, (Piece(number, 0, 1, 0, ROWS, 40_000_000),)) for number in range(units)
    )
    return Plan(WAY, files, made)


def _shared_out(folder: Path, units: int) -> int:
    """Give all units out to nodes that do them at once, in random order; how many calls that takes."""

    def lines() -> Iterator[tuple[int, str]]:
        with (folder / UNITS).open(encoding="utf-8") as file:
            for text in file:
                yield int(text[1 : text.index(",")]), text

    assignment, draw, calls = Assignment(lines(), units), random.Random(0), 0
    while not assignment.is_over:
        node = str(draw.randrange(NODES))
        calls += 1
        for number in assignment.held_by(node):
            assignment.finished(node, number, bytes(32))
        assignment.give(node)
    return calls

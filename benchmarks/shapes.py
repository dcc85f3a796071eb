"""vecml against its peers over six shapes, by vecml's own protocol: fresh processes, in turns, limits among the arms.

Two tables: each as it is used (vecml by column from float32, the notebook's function from its float64 rows, each peer
from float32 rows), and the same float64 rows into vecml and into the notebook's function, conversion inside.
"""

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from benchmarks.page import Ratio, Row, write
from benchmarks.peers import PEERS, make_model
from benchmarks.rounds import Figure, Floor
from vecml.comparison.compare import Job, compare_settings, plan_comparison
from vecml.comparison.comparison import ArmFigures, figures
from vecml.comparison.settings import Chosen, tune
from vecml.config import Setting
from vecml.device import usable_cpus
from vecml.hardware import cache
from vecml.model.network import Model

OURS = "vecml"
ENGINE = "halide"
THREADS = min(2, usable_cpus())
MOST_ROWS = 4_000_000
COMPARED_PEERS = 4  # the fastest in the search: with the notebook's function they make one group of arms
CACHES = 4  # last-level caches that the input fills
SEARCH_BYTES = 64 << 20  # of features: more than a last-level cache, or the search would choose for a table within it
OPENER = "benchmarks.peers:open_peer"


@dataclass(frozen=True)
class Floors:
    """What must be reached on a shape: rates over the notebook's and over the best peer's, and the limit's share."""

    notebook: float
    peer: float
    limit: float


SHAPES: Mapping[tuple[int, ...], Floors] = {
    (10, 32, 2): Floors(25, 4, 0.50),
    (30, 64, 2): Floors(10, 2, 0.40),
    (54, 64, 7): Floors(8, 1.5, 0.40),
    (100, 256, 10): Floors(5, 1.2, 0.50),
    (784, 512, 10): Floors(2, 0.97, 0.55),
    (64, 128, 64, 10): Floors(2, 0.97, 0.55),
}
SAME_ARRAY_FLOORS = {(10, 32, 2): 15.0}


def shapes(rounds: int) -> Iterator[Figure]:
    """Every shape's figures; then the README's table and picture are written from them.

    A shape's comparison takes 22 seconds for each of `rounds`, that of the same array 9. BENCH_SHAPES names some of
    the shapes (`10-32-2,30-64-2`); the README is then left alone.
    """
    rows = []
    for widths in wanted_shapes():
        row = measure_shape(widths, 22.0 * rounds, 9.0 * rounds)
        rows.append(row)
        yield from as_figures(widths, row)
    if "BENCH_SHAPES" not in os.environ:
        write(rows, ENGINE, THREADS)


def wanted_shapes() -> list[tuple[int, ...]]:
    """Those that BENCH_SHAPES names, else all."""
    wanted = os.environ.get("BENCH_SHAPES")
    if not wanted:
        return list(SHAPES)
    known = {"-".join(map(str, widths)): widths for widths in SHAPES}
    unknown = [shape for shape in wanted.split(",") if shape not in known]
    if unknown:
        raise SystemExit(f"BENCH_SHAPES: there is no shape {unknown[0]}; choose from {', '.join(known)}")
    return [known[shape] for shape in wanted.split(",")]


def rows_of(widths: tuple[int, ...]) -> int:
    """Rows whose features fill several last-level caches, four million at most."""
    found = cache(3) or cache(2)
    last = found.size_bytes if found is not None else 32 << 20
    return min(MOST_ROWS, CACHES * max(last, 32 << 20) // (4 * widths[0]))


def measure_shape(widths: tuple[int, ...], seconds: float, same_array_seconds: float) -> Row:
    """Everything about one shape; the comparisons take so long, and choosing the peers' block sizes a minute."""
    model = make_model(widths)
    n_rows = rows_of(widths)
    x_FN = np.random.default_rng(1).standard_normal((widths[0], n_rows), dtype=np.float32)
    searched = {name: _fastest_block(name, widths, n_rows) for name in PEERS if name != "notebook"}
    fastest = sorted(searched, key=lambda name: searched[name][1], reverse=True)[:COMPARED_PEERS]
    blocks = {name: searched[name][0] for name in fastest}
    settings = {OURS: Setting(ENGINE, threads=THREADS)}
    settings |= {
        name: Setting(name, layout="rows", threads=THREADS, block_rows=blocks.get(name))
        for name in ("notebook", *fastest)
    }
    tuned = tune(Chosen({OURS: settings[OURS]}, {}), model, x_FN).settings
    chosen = Chosen({**settings, **tuned}, {})
    openers = dict.fromkeys(("notebook", *fastest), OPENER)
    used = compare_settings(
        Job(model, x_FN, data_source="benchmark"),
        chosen,
        plan_comparison(chosen, f"{seconds:g}s", began=time.perf_counter()),
        openers,
    )
    found = {arm.name: arm for arm in figures(used)}
    return Row(
        "-".join(map(str, widths)),
        n_rows,
        {name: arm.rows_per_s for name, arm in found.items() if arm.rows_per_s},
        {name: ratio for name in openers if (ratio := _ratio(found, name)) is not None},
        found[OURS].fraction_of_limit,
        blocks,
        {name: rate for name, (_, rate) in searched.items()},
        _same_array(model, x_FN, same_array_seconds),
    )


def _same_array(model: Model, x_FN: np.ndarray, seconds: float) -> Ratio | None:
    """Float64 rows into both."""
    settings = {
        OURS: Setting(ENGINE, layout="rows", threads=THREADS),
        "notebook": Setting("notebook", layout="rows", threads=THREADS),
    }
    chosen = Chosen(settings, {})
    job = Job(model, x_FN.astype(np.float64), data_source="benchmark")
    compared = compare_settings(
        job, chosen, plan_comparison(chosen, f"{seconds:g}s", began=time.perf_counter()), {"notebook": OPENER}
    )
    return _ratio({arm.name: arm for arm in figures(compared)}, "notebook")


def _ratio(found: Mapping[str, ArmFigures], name: str) -> Ratio | None:
    """vecml over `name`: the comparison's own ratio is the other's over vecml's, its baseline."""
    arm, ours = found[name], found[OURS]
    verdict = arm.verdict
    if verdict is not None and verdict.ratio and verdict.ratio_low and verdict.ratio_high:
        return Ratio(1 / verdict.ratio, 1 / verdict.ratio_high, 1 / verdict.ratio_low, verdict.verdict or "none")
    if not arm.rows_per_s or not ours.rows_per_s:
        return None
    value = ours.rows_per_s / arm.rows_per_s
    return Ratio(value, value, value, f"invalid: {arm.failure}")


def _fastest_block(name: str, widths: tuple[int, ...], n_rows: int) -> tuple[int | None, float]:
    """Block size and rate, in a process of its own: seven libraries with thread pools in one would slow each other."""
    shape = "-".join(map(str, widths))
    command = [
        sys.executable,
        "-m",
        "benchmarks.peers",
        name,
        shape,
        str(min(n_rows, SEARCH_BYTES // (4 * widths[0]))),
        str(THREADS),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{name} failed:\n{done.stderr}")
    size, rate = done.stdout.split()[-2:]
    return None if size == "None" else int(size), float(rate)


def as_figures(widths: tuple[int, ...], row: Row) -> Iterator[Figure]:
    """The shape's figures beside their floors."""
    floors = SHAPES[widths]

    def figure(what: str, ratio: Ratio, floor: float | None, detail: str = "") -> Figure:
        return Figure(
            f"{row.shape}: {what}",
            (ratio.low, ratio.value, ratio.high),
            None if floor is None else Floor(floor),
            detail=f"{ratio.verdict if ratio.verdict.startswith('invalid') else ''} {detail}".strip(),
        )

    for name, ratio in row.ratios.items():
        block = row.blocks.get(name)
        told = (
            f"{row.rows_per_s[name] / 1e6:.2f} Mrow/s, {f'blocks of {block:,}' if block else 'the whole array at once'}"
        )
        floor = floors.notebook if name == "notebook" else floors.peer if name == row.best_peer else None
        yield figure(f"times {name}", ratio, floor, told)
    for name, rate in row.searched.items():
        if name not in row.ratios:
            told = (rate / 1e6,) * 3
            yield Figure(f"{row.shape}: {name}, in the search alone", told, unit="Mrow/s")
    if row.limit is not None:
        share = (row.limit,) * 3
        rate = f"{row.rows_per_s[OURS] / 1e6:.1f} Mrow/s"
        yield Figure(f"{row.shape}: share of the limit", share, Floor(floors.limit), unit="", detail=rate)
    if row.same_array is not None:
        yield figure("times notebook, the same float64 rows", row.same_array, SAME_ARRAY_FLOORS.get(widths))

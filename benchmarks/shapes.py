"""vecml against its peers over six shapes, by vecml's own protocol: fresh processes, in turns, limits among the arms.

Two tables: each as it is used (vecml by column from float32, the notebook's function from its float64 rows, each peer
from float32 in the layout that suits it), and the same float64 rows into vecml and into the notebook's function,
conversion inside. Each comparison has as many launches as bring its intervals to 10 % (`benchmarks.enough`), and an arm
with two speeds is shown with both (`benchmarks.modes`).

BENCH_SHAPES names some of the shapes (`10-32-2,30-64-2`), BENCH_PEERS some of the peers; README is then left alone.
BENCH_QUICK=1 makes three launches of each comparison over few rows: it shows that all arms run.
"""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from benchmarks.enough import FIRST_LAUNCHES, compare_until_narrow, within
from benchmarks.modes import faults_per_call, modes_of
from benchmarks.page import Ratio, Row, write
from benchmarks.peers import CPP, PEERS, make_model
from benchmarks.peers_expert import install_litert
from benchmarks.rounds import Figure, Floor
from vecml.comparison.compare import Job
from vecml.comparison.comparison import ArmFigures, Comparison, figures
from vecml.comparison.settings import Chosen, tune
from vecml.config import Setting
from vecml.device import usable_cpus
from vecml.hardware import cache
from vecml.model.network import Model

OURS = "vecml"
ENGINE = "halide"
THREADS = min(2, usable_cpus())
MOST_ROWS = 4_000_000
COMPARED_PEERS = (
    4  # the fastest in the search, C++ among them: with the notebook's function they make one group of arms
)
SECONDS, SAME_ARRAY_SECONDS = 120.0, 36.0  # that a comparison may take for each of `rounds`
QUICK, QUICK_ROWS, QUICK_LAUNCHES = "BENCH_QUICK", 20_000, 3
CACHES = 4  # last-level caches that the input fills
SEARCH_BYTES = 64 << 20  # of features: more than a last-level cache, or the search would choose for a table within it
OPENER, OUR_OPENER = "benchmarks.peers:open_peer", "benchmarks.peers:open_ours"


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

    A shape's comparison takes at most `SECONDS` for each of `rounds`, that of the same array `SAME_ARRAY_SECONDS`.
    """
    install_litert()
    rows = []
    more = 0 if QUICK in os.environ else rounds  # without it no launch is added to the first ones
    for widths in wanted_shapes():
        row = measure_shape(widths, SECONDS * more, SAME_ARRAY_SECONDS * more)
        rows.append(row)
        yield from as_figures(widths, row)
    cells = [ratio for row in rows for ratio in (*row.ratios.values(), row.same_array) if ratio is not None]
    narrow = (float(sum(within(ratio.low, ratio.high) for ratio in cells)),) * 3
    yield Figure("intervals within 10 % to either side", narrow, unit=f"of {len(cells)}")
    if not {"BENCH_SHAPES", "BENCH_PEERS", QUICK} & set(os.environ):
        write(rows, ENGINE, THREADS)


def wanted_shapes() -> list[tuple[int, ...]]:
    """Those that BENCH_SHAPES names, else all."""
    known = {"-".join(map(str, widths)): widths for widths in SHAPES}
    return [known[shape] for shape in _wanted("BENCH_SHAPES", list(known))]


def wanted_peers() -> list[str]:
    """Those that BENCH_PEERS names, else all; the notebook's function is not one of them."""
    return _wanted("BENCH_PEERS", [name for name in PEERS if name != "notebook"])


def _wanted(variable: str, known: list[str]) -> list[str]:
    wanted = [name for name in os.environ.get(variable, "").split(",") if name] or known
    unknown = [name for name in wanted if name not in known]
    if unknown:
        raise SystemExit(f"{variable}: there is no {unknown[0]}; choose from {', '.join(known)}")
    return wanted


def rows_of(widths: tuple[int, ...]) -> int:
    """Rows whose features fill several last-level caches, four million at most."""
    if QUICK in os.environ:
        return QUICK_ROWS
    found = cache(3) or cache(2)
    last = found.size_bytes if found is not None else 32 << 20
    return min(MOST_ROWS, CACHES * max(last, 32 << 20) // (4 * widths[0]))


def measure_shape(widths: tuple[int, ...], seconds: float, same_array_seconds: float) -> Row:
    """Everything about one shape; the comparisons take so long at most, and choosing the peers' block sizes minutes."""
    model = make_model(widths)
    n_rows = rows_of(widths)
    x_FN = np.random.default_rng(1).standard_normal((widths[0], n_rows), dtype=np.float32)
    searched, absent = _search(widths, n_rows)
    fastest = _fastest(searched)
    peers = {name: Setting(name, layout="rows", threads=THREADS) for name in ("notebook",)}
    peers |= {
        name: Setting(name, layout=PEERS[name].layout, threads=THREADS, block_rows=searched[name][0])
        for name in fastest
    }
    ours = tune(Chosen({OURS: Setting(ENGINE, threads=THREADS)}, {}), model, x_FN).settings
    openers = {OURS: OUR_OPENER, **dict.fromkeys(peers, OPENER)}
    job = Job(model, x_FN, data_source="benchmark")
    used = compare_until_narrow(job, Chosen({**ours, **peers}, {}), openers, seconds, _first_launches())
    found = {arm.name: arm for arm in figures(used)}
    return Row(
        "-".join(map(str, widths)),
        n_rows,
        {name: arm.rows_per_s for name, arm in found.items() if arm.rows_per_s},
        {name: ratio for name in peers if (ratio := _ratio(found, name)) is not None},
        found[OURS].fraction_of_limit,
        {name: searched[name][0] for name in fastest},
        {name: rate for name, (_, rate) in searched.items()},
        _same_array(model, x_FN, same_array_seconds),
        absent=absent,
        modes=_modes(used),
        launches=used.measured.launches,
    )


def _first_launches() -> int:
    return QUICK_LAUNCHES if QUICK in os.environ else FIRST_LAUNCHES


def _search(widths: tuple[int, ...], n_rows: int) -> tuple[dict[str, tuple[int | None, float]], dict[str, str]]:
    """Each peer's best block size and its rate; and of those that cannot run here, the reason."""
    searched, absent = {}, {}
    for name in wanted_peers():
        found = _fastest_block(name, widths, n_rows)
        if isinstance(found, str):
            absent[name] = found
        else:
            searched[name] = found
    return searched, absent


def _fastest(searched: Mapping[str, tuple[int | None, float]]) -> list[str]:
    """The peers that are compared: the fastest in the search, and the C++ kernel wherever it is there."""
    order = sorted(searched, key=lambda name: searched[name][1], reverse=True)
    chosen = order[:COMPARED_PEERS]
    return [*chosen[: COMPARED_PEERS - 1], CPP] if CPP in searched and CPP not in chosen else chosen


def _modes(comparison: Comparison) -> dict[str, str]:
    """What is to be said of the arms with two speeds, and of the page faults of all others, by arm."""
    told = {}
    for arm in comparison.measured.arms:
        if arm.role not in ("baseline", "arm"):
            continue
        modes, faults = modes_of(arm, comparison.subject.n_rows), faults_per_call(arm)
        if modes is not None:
            told[arm.name] = str(modes)
        elif faults is not None:
            told[arm.name] = f"{faults:,.0f} page faults a call"
    return told


def _same_array(model: Model, x_FN: np.ndarray, seconds: float) -> Ratio | None:
    """Float64 rows into both."""
    settings = {
        OURS: Setting(ENGINE, layout="rows", threads=THREADS),
        "notebook": Setting("notebook", layout="rows", threads=THREADS),
    }
    job = Job(model, x_FN.astype(np.float64), data_source="benchmark")
    openers = {OURS: OUR_OPENER, "notebook": OPENER}
    compared = compare_until_narrow(job, Chosen(settings, {}), openers, seconds, _first_launches())
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


def _fastest_block(name: str, widths: tuple[int, ...], n_rows: int) -> tuple[int | None, float] | str:
    """Block size and rate, or why it is absent; in a process of its own: thread pools in one would slow each other."""
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
    last = done.stdout.strip().splitlines()[-1]
    if last.startswith("absent: "):
        return last.removeprefix("absent: ")
    size, rate = last.split()
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
            f"; {row.modes.get(name, 'page faults are not counted')}"
        )
        floor = floors.notebook if name == "notebook" else floors.peer if name == row.best_peer else None
        yield figure(f"times {name}", ratio, floor, told)
    for name, rate in row.searched.items():
        if name not in row.ratios:
            yield Figure(f"{row.shape}: {name}, in the search alone", (rate / 1e6,) * 3, unit="Mrow/s")
    for name, reason in row.absent.items():
        yield Figure(f"{row.shape}: {name}, absent", (), unit="", detail=reason)
    if row.limit is not None:
        share = (row.limit,) * 3
        rate = f"{row.rows_per_s[OURS] / 1e6:.1f} Mrow/s, {row.launches} launches; {row.modes.get(OURS, '')}"
        yield Figure(f"{row.shape}: share of the limit", share, Floor(floors.limit), unit="", detail=rate)
    if row.same_array is not None:
        yield figure("times notebook, the same float64 rows", row.same_array, SAME_ARRAY_FLOORS.get(widths))

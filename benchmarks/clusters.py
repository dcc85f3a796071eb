"""`make bench-cluster`: vecml predict over many files, by one process, by nodes of Ray, and beside Ray Data, as ratios.

Every arm is a fresh process, in turns. Nodes are raylets on this machine with one core each, to which they are bound.
Rates are of the time from the first part to the last, so that no start is counted, of Ray's or of an engine; that of
Ray Data is from its first batch to its last file. VECML_BENCH_CLUSTER=0.001 makes everything so much
smaller; the names of parts do those alone.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.peers import make_model
from benchmarks.rounds import Figure, Floor, interleave, medians, ratios
from benchmarks.simulated_plan import simulated
from vecml.batch.cluster import Wish
from vecml.batch.label import Ask, label_files
from vecml.config import Setting
from vecml.data.column_encoding import ColumnEncoding
from vecml.data.encoding import Encoding
from vecml.device import usable_cpus
from vecml.engines.registry import load_engine
from vecml.inference.predict_file import block_rows_of
from vecml.model.store import Classifier

SCALE = float(os.environ.get("VECML_BENCH_CLUSTER", "1"))
ROUNDS = int(os.environ.get("VECML_BENCH_ROUNDS", "3"))
ROWS, FILES = max(20_000, int(100_000_000 * SCALE)), 100
FEW_ROWS, MANY_ROWS = max(20_000, int(10_000_000 * SCALE)), max(40_000, int(1_000_000_000 * SCALE))
PLAN_FILES = max(100, int(100_000 * SCALE))
UNITS = max(1_000, int(1_000_000 * SCALE))
MOST_LINKS = 30_000  # of one file, which file systems bound
WIDTHS = (10, 32, 2)
ARM = "arm"  # before the name of one that is run in a process of its own
ENGINE = "numpy"
STORE_BYTES = 512 << 20  # of shared memory on each node, which Ray Data needs
PIPELINE = """
import json, sys, time
from pathlib import Path
import numpy as np, pyarrow as pa, ray
ray.init(address="auto", log_to_driver=False, logging_level="error")
from benchmarks.clusters import classifier, setting_of
from vecml.engines.registry import load_engine

class Labeller:
    def __init__(self, out):
        self.began = Path(out + ".began")
        self.model = classifier().model
        self.engine = load_engine(self.model, setting_of(1))

    def __call__(self, table):
        if not self.began.exists():
            self.began.touch()
        x_FN = np.stack([column.to_numpy() for column in table.columns])
        label_N = np.empty(x_FN.shape[1], np.int64)
        self.engine.labels(x_FN, label_N)
        codes = pa.array(label_N.astype(np.int32))
        return pa.table({"prediction": pa.DictionaryArray.from_arrays(codes, pa.array(self.model.classes))})

nodes, data, out = int(sys.argv[1]), sys.argv[2], sys.argv[3]
ray.data.DataContext.get_current().enable_progress_bars = False
begun = time.perf_counter()
# A node has one core, to which it is bound. The labellers ask for none: with a whole one nothing would ever be read.
made = ray.data.read_parquet(data).map_batches(
    Labeller, batch_format="pyarrow", batch_size=65536, concurrency=nodes, num_cpus=0,
    fn_constructor_args=(out,),
)
made.write_parquet(out)
times = sorted(path.stat().st_mtime for path in Path(out).rglob("*.parquet"))
print(json.dumps({"wall": time.perf_counter() - begun, "seconds": times[-1] - Path(out + ".began").stat().st_mtime}))
"""


def classifier() -> Classifier:
    """A model of ten numbers."""
    model = make_model(WIDTHS)
    columns = tuple(ColumnEncoding(f"x{number}", "number", 0.0) for number in range(WIDTHS[0]))
    return Classifier(model, Encoding(columns, "label", model.classes))


def setting_of(threads: int) -> Setting:
    """The engine's setting; the same rows at a time everywhere."""
    return Setting(ENGINE, threads=threads, block_rows=4_096)


def main(names: Sequence[str]) -> int:
    """Print the figures of the parts with these names, all where there is none; the exit code, 1 for a missed floor."""
    missed = 0
    with tempfile.TemporaryDirectory(prefix="vecml-bench-") as folder:
        for part in (one_process, nodes, plan, growth, simulated_units):
            if names and part.__name__ not in names:
                continue
            for figure in part(Path(folder)):
                print(figure, flush=True)
                missed += not figure.reached
    return 1 if missed else 0


def written(folder: Path, rows: int, files: int) -> Path:
    """A folder of files of ten columns of float32, which hold the same rows: all are links to one file, or to a few."""
    folder.mkdir(exist_ok=True)
    random, each = np.random.default_rng(0), rows // files
    table = pa.table({f"x{number}": random.standard_normal(each, dtype=np.float32) for number in range(WIDTHS[0])})
    for number in range(files):
        path = folder / f"{number:07}.parquet"
        if number % MOST_LINKS:
            path.hardlink_to(folder / f"{number // MOST_LINKS * MOST_LINKS:07}.parquet")
        else:
            pq.write_table(table, path, row_group_size=max(1_000, each // 2))
    return folder


def one_process(folder: Path) -> Iterator[Figure]:
    """The rate of one process over the slower of Arrow's own reading and the engine, and its memory."""
    data = written(folder / "data", ROWS, FILES)
    peaks: list[float] = []

    def arm(what: str) -> float:
        told = fresh(what, str(data), str(folder / "out"))
        if what == "predict":
            peaks.append(told["megabytes"])
        return float(told["wall"])

    seconds = interleave({what: lambda what=what: arm(what) for what in ("predict", "read", "label")}, ROUNDS)
    shares = tuple(
        max(read, label) / whole
        for whole, read, label in zip(seconds["predict"], seconds["read"], seconds["label"], strict=True)
    )
    what = f"one process, {ROWS:,} rows: rate over the slower of reading and engine"
    yield Figure(what, shares, Floor(0.8), detail=medians(seconds))
    yield Figure("one process: peak memory", tuple(peaks), Floor(1_500, at_least=False), "MB")


def nodes(folder: Path) -> Iterator[Figure]:
    """Two nodes of a core each over twice one such node, and over Ray Data on the same two nodes."""
    data = written(folder / "data2", ROWS, FILES)
    walls: dict[str, list[float]] = {}

    def arm(what: str, n: int) -> Callable[[], float]:
        def timed() -> float:
            told = on_nodes(what, n, data, folder / "out2")
            walls.setdefault(f"{what} {n}", []).append(told["wall"])
            return float(told["seconds"])

        return timed

    arms = {"one node": arm("vecml", 1), "two nodes": arm("vecml", 2), "Ray Data": arm("data", 2)}
    seconds = interleave(arms, ROUNDS)
    halves = tuple(one / (2 * two) for one, two in zip(seconds["one node"], seconds["two nodes"], strict=True))
    yield Figure("two nodes of a core: rate over twice one's", halves, Floor(0.9), detail=medians(seconds))
    yield Figure("two nodes: rate over Ray Data's", ratios(seconds["Ray Data"], seconds["two nodes"]), Floor(1.0))
    whole = ratios(tuple(walls["data 2"]), tuple(walls["vecml 2"]))
    yield Figure("two nodes: the same with their starts", whole, detail=medians(walls))


def plan(folder: Path) -> Iterator[Figure]:
    """Time and memory of a plan over many small files."""
    data = written(folder / "many", PLAN_FILES * 100, PLAN_FILES)
    told = [fresh("plan", str(data), str(folder / "out3")) for _ in range(ROUNDS)]
    what = f"plan of {PLAN_FILES:,} files"
    yield Figure(f"{what}: time", tuple(one["wall"] for one in told), Floor(60, at_least=False), "s")
    yield Figure(f"{what}: peak memory", tuple(one["megabytes"] for one in told), Floor(2_000, at_least=False), "MB")


def growth(folder: Path) -> Iterator[Figure]:
    """The rate over a hundred times as many rows, in files that are links to the same data, over the rate of few."""
    few = written(folder / "few", FEW_ROWS, 100)
    many = folder / "many-rows"
    many.mkdir()
    first = min(few.iterdir())
    for number in range(100 * MANY_ROWS // FEW_ROWS):
        (many / f"{number:07}.parquet").hardlink_to(first)
    peaks: list[float] = []

    def arm(data: Path, rows: int) -> Callable[[], float]:
        def timed() -> float:
            told = fresh("predict", str(data), str(folder / "out4"))
            peaks.append(told["megabytes"])
            return float(told["wall"]) / rows

        return timed

    seconds = interleave({"few": arm(few, FEW_ROWS), "many": arm(many, MANY_ROWS)}, max(1, ROUNDS // 3))
    what = f"one process: rate at {MANY_ROWS:,} rows over that at {FEW_ROWS:,}"
    yield Figure(what, ratios(seconds["few"], seconds["many"]), Floor(0.9))
    yield Figure("one process: peak memory at both", tuple(peaks), Floor(1_500, at_least=False), "MB")


def simulated_units(folder: Path) -> Iterator[Figure]:
    """What a plan of a million units takes of the driver, without any data."""
    for line in simulated(UNITS, folder):
        yield Figure(line.what, (), detail=line.said)


def fresh(what: str, *arguments: str, environment: dict[str, str] | None = None) -> dict[str, float]:
    """Run one arm in a process of its own, and return what it tells."""
    command = [sys.executable, "-m", "benchmarks.clusters", ARM, what, *arguments]
    return told_by(command, environment)


def told_by(command: list[str], environment: dict[str, str] | None) -> dict[str, float]:
    """The last line of JSON that a process prints."""
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=3_600)
    if done.returncode:
        raise SystemExit(f"{command[2:5]}: {done.stderr[-2_000:]}")
    told: dict[str, float] = json.loads([line for line in done.stdout.splitlines() if line.startswith("{")][-1])
    return told


def on_nodes(what: str, n: int, data: Path, out: Path) -> dict[str, float]:
    """Label by `n` nodes of a core each, each bound to its own: by vecml, or by Ray Data."""
    import psutil

    from tests.faults.ray_nodes import RayNodes

    made = RayNodes(n, STORE_BYTES)
    try:
        for number, node in enumerate(made.nodes):
            for process in (psutil.Process(node["raylet"]), *psutil.Process(node["raylet"]).children(recursive=True)):
                process.cpu_affinity([sorted(os.sched_getaffinity(0))[number]])
        environment = {**made.environment, "PYTHONPATH": str(Path(__file__).parents[1])}
        out.mkdir(exist_ok=True)
        target = str(out / f"{what}-{n}-{time.time_ns()}")
        if what == "vecml":
            return fresh("cluster", str(data), target, environment=environment)
        return told_by([sys.executable, "-c", PIPELINE, str(n), str(data), target], environment)
    finally:
        made.close()


def run(what: str, data: Path, out: Path) -> dict[str, float]:
    """One arm in this process: wall seconds, those from the first part to the last, and the peak of its memory."""
    arms = {"predict": _predict, "cluster": _cluster, "plan": _plan, "read": _read, "label": _label}
    begun = time.perf_counter()
    told: dict[str, float] = arms[what](data, out) or {}
    wall = told.pop("wall", time.perf_counter() - begun)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    return {"wall": wall, "megabytes": peak, **told}


def _predict(data: Path, out: Path) -> None:
    label_files(classifier(), str(data), setting_of(usable_cpus()), str(out / str(time.time_ns())), Ask())


def _cluster(data: Path, out: Path) -> dict[str, float]:
    told = label_files(classifier(), str(data), setting_of(1), str(out), Ask(cluster=Wish("auto"), unit_bytes=_unit()))
    times = sorted(path.stat().st_mtime for path in out.rglob("part-*.parquet"))
    return {"seconds": times[-1] - times[0], "wall": told.seconds, "parts": len(times)}


def _unit() -> int:
    """Bytes of a unit, so that each file is one: Ray Data writes a file for each."""
    return max(1, ROWS // FILES * 4 * WIDTHS[0])


def _plan(data: Path, out: Path) -> None:
    from vecml.batch.label import plan_files

    plan_files(classifier(), str(data), setting_of(1), str(out), Ask())


def _read(data: Path, out: Path) -> None:  # noqa: ARG001 -- one way to call them
    for path in sorted(data.iterdir()):
        for column in pq.read_table(path, memory_map=False).columns:
            column.to_numpy()


def _label(data: Path, out: Path) -> dict[str, float]:  # noqa: ARG001 -- as above
    model, setting = classifier().model, setting_of(usable_cpus())
    rows = block_rows_of(model, setting)
    x_FN = np.random.default_rng(1).standard_normal((WIDTHS[0], rows), dtype=np.float32)
    label_N = np.empty(rows, np.int64)
    loaded = load_engine(model, setting)
    loaded.labels(x_FN, label_N)
    begun, turns = time.perf_counter(), max(1, ROWS // rows)
    for _ in range(turns):
        loaded.labels(x_FN, label_N)
    seconds = (time.perf_counter() - begun) * ROWS / (turns * rows)
    loaded.close()
    return {"wall": seconds}


if __name__ == "__main__":
    if sys.argv[1:2] == [ARM]:
        print(json.dumps(run(sys.argv[2], Path(sys.argv[3]), Path(sys.argv[4]))))
    else:
        sys.exit(main(sys.argv[1:]))

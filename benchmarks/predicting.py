"""`vecml predict` over a Parquet file of 50 million rows: memory, and the rate beside reading's and the engine's own.

Each in a fresh process, in turns. Reading is Arrow's own, a row group after the other into arrays; the engine labels
blocks that are in memory, as many rows at a time as `predict` gives it.
"""

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.peers import make_model
from benchmarks.rounds import Figure, Floor, interleave, medians
from benchmarks.shapes import THREADS
from vecml.config import Setting
from vecml.data.column_encoding import ColumnEncoding
from vecml.data.encoding import Encoding
from vecml.data.stream import open_file
from vecml.engines.registry import load_engine
from vecml.inference.predict_file import block_rows_of, predict_file
from vecml.model.store import Classifier

ROWS, GROUP = 50_000_000, 1_000_000
WIDTHS = (10, 32, 2)
SETTING = Setting("halide", threads=THREADS)
FLOOR_MB, FLOOR_SHARE = 1_000, 0.5
ARMS = ("predict", "read", "label")


def predicting(rounds: int) -> Iterator[Figure]:
    """The peak of `predict`'s resident memory in MB, and its rate over the slower of the other two."""
    with tempfile.TemporaryDirectory(prefix="vecml-bench-") as folder:
        write(Path(folder) / "data.parquet")
        peaks: list[float] = []

        def arm(what: str) -> float:
            command = [sys.executable, "-m", "benchmarks.predicting", what, folder]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            told = json.loads(done.stdout.splitlines()[-1])
            if what == "predict":
                peaks.append(told["megabytes"])
            return float(told["seconds"])

        seconds = interleave({what: lambda what=what: arm(what) for what in ARMS}, rounds)
    shares = tuple(
        max(read, label) / whole
        for whole, read, label in zip(seconds["predict"], seconds["read"], seconds["label"], strict=True)
    )
    floor = Floor(FLOOR_MB, at_least=False, strict=True)
    yield Figure(f"vecml predict, {ROWS:,} rows of Parquet: peak memory", tuple(peaks), floor, "MB")
    what = "vecml predict: rate over the slower of reading and engine"
    yield Figure(what, shares, Floor(FLOOR_SHARE), detail=medians(seconds))


def write(path: Path) -> None:
    """A file of 10 columns of float32, in row groups of a million."""
    random = np.random.default_rng(0)
    schema = pa.schema([(f"x{number}", pa.float32()) for number in range(WIDTHS[0])])
    with pq.ParquetWriter(path, schema) as writer:
        for _ in range(ROWS // GROUP):
            columns = [random.standard_normal(GROUP, dtype=np.float32) for _ in schema]
            writer.write_table(pa.table(columns, schema=schema))


def run(what: str, folder: Path) -> dict[str, float]:
    """One arm in this process."""
    model, path = make_model(WIDTHS), folder / "data.parquet"
    if what == "predict":
        columns = tuple(ColumnEncoding(f"x{number}", "number", 0.0) for number in range(WIDTHS[0]))
        classifier = Classifier(model, Encoding(columns, "label", model.classes))
        file = open_file(path, classifier.encoding)
        begun = time.perf_counter()
        written = predict_file(classifier, file, SETTING, folder / "labels.parquet")
        taken = time.perf_counter() - begun
        if written.n_rows != ROWS:
            raise SystemExit(f"{written.n_rows:,} rows of {ROWS:,} were labelled")
    elif what == "read":
        begun = time.perf_counter()
        file = pq.ParquetFile(path)
        for group in range(file.num_row_groups):
            table = file.read_row_group(group)
            for column in table.columns:
                column.to_numpy()
        taken = time.perf_counter() - begun
    else:
        rows = block_rows_of(model, SETTING)
        x_FN = np.random.default_rng(1).standard_normal((WIDTHS[0], rows), dtype=np.float32)
        label_N = np.empty(rows, np.int64)
        loaded = load_engine(model, SETTING)
        loaded.labels(x_FN, label_N)
        begun = time.perf_counter()
        for _ in range(ROWS // rows):
            loaded.labels(x_FN, label_N)
        taken = (time.perf_counter() - begun) * ROWS / (ROWS // rows * rows)
        loaded.close()
    return {"seconds": taken, "megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6}


if __name__ == "__main__":
    print(json.dumps(run(sys.argv[1], Path(sys.argv[2]))))

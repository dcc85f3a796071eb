"""Reading a CSV, its digest, the split and the encoding: CPU seconds of this process, all its threads counted."""

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyarrow import csv

from benchmarks.rounds import Figure, Floor, interleave
from vecml.config import PipelineConfig
from vecml.data.sources import load_table
from vecml.data.split import split_table

ROWS = 330_000
NUMBERS, TEXTS = 5, 5


def write_table(path: Path, rows: int = ROWS, seed: int = 0) -> None:
    """A CSV of 5 columns of numbers, 5 of text categories (4 to 64 values) and a label of two values."""
    random = np.random.default_rng(seed)
    columns: dict[str, pa.Array] = {}
    for index in range(NUMBERS):
        columns[f"number_{index}"] = pa.array(random.standard_normal(rows).round(6))
    for index in range(TEXTS):
        values = [f"value {code} of column {index}" for code in range(4 << index)]
        codes = pa.array(random.integers(0, len(values), rows, dtype=np.int32))
        columns[f"text_{index}"] = pa.DictionaryArray.from_arrays(codes, values).cast(pa.string())
    columns["label"] = pa.array(np.where(np.asarray(columns["number_0"]) > 0, "yes", "no"))
    csv.write_csv(pa.table(columns), path)


def reading(rounds: int) -> Iterator[Figure]:
    """330,000 rows of 10 columns: file to encoded training and test part."""
    with tempfile.TemporaryDirectory(prefix="vecml-bench-") as folder:
        path = Path(folder) / "table.csv"
        write_table(path)
        config = PipelineConfig(data=str(path), target="label")

        def arm() -> float:
            start = time.process_time()
            split_table(load_table(config), config.test_fraction, config.seed)
            return time.process_time() - start

        seconds = interleave({"vecml": arm}, rounds)
    floor = Floor(3, at_least=False, strict=True)
    yield Figure(f"reading and encoding {ROWS:,} x {NUMBERS + TEXTS} CSV, CPU", seconds["vecml"], floor, "s")

"""Reading a table: CPU seconds for a CSV with text, encoded; and the memory that a large Parquet file of numbers takes.

CPU seconds are those of this process, all its threads counted.
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
from pyarrow import csv

from benchmarks.footprint import resident
from benchmarks.rounds import Figure, Floor, interleave
from tasks.beforehand import read_beforehand
from vecml.config import PipelineConfig
from vecml.data.sources import load_table
from vecml.data.split import split_table

ROWS, MANY_ROWS = 330_000, 10_000_000
NUMBERS, TEXTS = 5, 5


def write_table(path: Path, rows: int = ROWS, seed: int = 0) -> None:
    """A CSV of 5 columns of numbers, 5 of text categories (4 to 64 values) and a label of two values."""
    random = np.random.default_rng(seed)
    columns = _numbers(rows, random)
    for index in range(TEXTS):
        values = [f"value {code} of column {index}" for code in range(4 << index)]
        columns[f"text_{index}"] = _drawn(values, rows, random)
    columns["label"] = pa.array(np.where(np.asarray(columns["number_0"]) > 0, "yes", "no"))
    csv.write_csv(pa.table(columns), path)


def write_european_table(path: Path, rows: int = ROWS, seed: int = 0) -> None:
    """The same size as Excel writes it in Europe: semicolons, cp1252, decimal commas, prices and days as text."""
    random = np.random.default_rng(seed)
    columns = {f"price_{index}": _drawn(_prices(random, 20_000 << index), rows, random) for index in range(NUMBERS)}
    days = [
        f"{day:02}.{month:02}.{year}" for year in range(1990, 2020) for month in range(1, 13) for day in range(1, 29)
    ]
    columns |= {f"day_{index}": _drawn(days, rows, random) for index in range(2)}
    for index in range(2, TEXTS):
        columns[f"town_{index}"] = _drawn([f"Köln {code}" for code in range(4 << index)], rows, random)
    columns["label"] = _drawn(["ja", "nein"], rows, random)
    content = pa.BufferOutputStream()
    csv.write_csv(pa.table(columns), content, csv.WriteOptions(delimiter=";", quoting_style="none"))
    path.write_bytes(content.getvalue().to_pybytes().decode().encode("cp1252"))


def _numbers(rows: int, random: np.random.Generator) -> dict[str, pa.Array]:
    return {f"number_{index}": pa.array(random.standard_normal(rows).round(6)) for index in range(NUMBERS)}


def _drawn(values: list[str], rows: int, random: np.random.Generator) -> pa.Array:
    codes = pa.array(random.integers(0, len(values), rows, dtype=np.int32))
    return pa.DictionaryArray.from_arrays(codes, values).cast(pa.string())


def _prices(random: np.random.Generator, n: int) -> list[str]:
    return [f"{cents // 100:,}".replace(",", ".") + f",{cents % 100:02} €" for cents in random.integers(1, 10**7, n)]


def reading(rounds: int) -> Iterator[Figure]:
    """330,000 rows of 10 columns: file to encoded training and test part. Ten million rows of numbers: the memory."""
    with tempfile.TemporaryDirectory(prefix="vecml-bench-") as folder:
        yield _seconds("CSV", write_table, Path(folder) / "table.csv", rounds)
        yield _seconds("CSV of prices and days", write_european_table, Path(folder) / "european.csv", rounds)
        path = Path(folder) / "table.parquet"
        random = np.random.default_rng(0)
        columns = {f"number_{index}": pa.array(random.standard_normal(MANY_ROWS)) for index in range(NUMBERS)}
        columns["label"] = pa.array((np.asarray(columns["number_0"]) > 0).astype(np.int8))
        pa.parquet.write_table(pa.table(columns), path)
        size = sum(column.nbytes for column in columns.values())
        del columns
        command = [sys.executable, "-W", "ignore", "-m", "benchmarks.reading", str(path)]
        told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    peak = json.loads(told.splitlines()[-1])
    floor = Floor(2, at_least=False)
    what = f"memory to read and encode {MANY_ROWS:,} x {NUMBERS} Parquet, over its size"
    yield Figure(what, (peak / size,) * 3, floor, "x", f"{peak / 1e6:,.0f} of {size / 1e6:,.0f} MB")


def _seconds(kind: str, write: Callable[[Path], None], path: Path, rounds: int) -> Figure:
    write(path)
    config = PipelineConfig(data=str(path), target="label")

    def arm() -> float:
        start = time.process_time()
        split_table(load_table(config), config.test_fraction, config.seed)
        return time.process_time() - start

    seconds = interleave({"vecml": arm}, rounds)
    floor = Floor(3, at_least=False, strict=True)
    return Figure(f"reading and encoding {ROWS:,} x {NUMBERS + TEXTS} {kind}, CPU", seconds["vecml"], floor, "s")


def measure(path: str) -> int:
    """Bytes that reading, splitting and encoding the file as `vecml run` does takes at its peak, above what was there.

    A small file was read before, for what that imports.
    """
    with tempfile.TemporaryDirectory(prefix="vecml-bench-") as folder:
        small = Path(folder) / "small.csv"  # for what is imported
        write_table(small, 1_000)
        read_beforehand(PipelineConfig(data=str(small), target="label"))
    before = resident("VmRSS")
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak begins anew: proc(5)
    kept = read_beforehand(PipelineConfig(data=path, target="label"))  # as the flow keeps it
    peak = resident("VmHWM") - before
    del kept
    return peak


if __name__ == "__main__":
    print(measure(sys.argv[1]))

"""Bits of a data file flipped at random, and what `vecml run` and `vecml predict` make of it: `flips.py NAME N SEED`.

It ends with an error at the first file that is neither refused by a VecmlError nor read; a crash ends it as well.
"""

import bz2
import gzip
import lzma
import random
import sys
import tempfile
import warnings
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.feather
import pyarrow.parquet

from tests.data.test_arff_excel import write_excel
from vecml.config import make_config
from vecml.data.encoding import Encoding
from vecml.data.sources import load_table
from vecml.data.stream import blocks, open_file
from vecml.errors import VecmlError

N = 200


def content() -> pa.Table:
    rng = np.random.default_rng(0)
    return pa.table(
        {
            "real": rng.standard_normal(N),
            "whole": pa.array(rng.integers(0, 9, N), mask=rng.random(N) < 0.1),
            "colour": pa.array(np.array(["red", "green", "blue, dark"])[rng.integers(0, 3, N)]),
            "open": rng.random(N) < 0.5,
            "label": np.array(["no", "yes"])[rng.integers(0, 2, N)],
        }
    )


def as_csv() -> bytes:
    sink = pa.BufferOutputStream()
    pa.csv.write_csv(content(), sink)
    return sink.getvalue().to_pybytes()


def zipped(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("data.csv", as_csv())


def arrays() -> dict[str, np.ndarray]:
    table = content().drop_columns(["whole"])
    return {name: np.array(table[name].to_pylist()) for name in table.column_names}


def records(path: Path) -> None:
    given = arrays()
    array = np.zeros(N, [(name, values.dtype) for name, values in given.items()])
    for name, values in given.items():
        array[name] = values
    np.save(path, array)


def arff(path: Path) -> None:
    rows = zip(*(content()[name].to_pylist() for name in ("real", "colour", "label")), strict=True)
    head = "@relation x\n@attribute real real\n@attribute colour {red,green,'blue, dark'}\n@attribute label {no,yes}\n"
    path.write_text(head + "@data\n" + "".join(f"{real},'{colour}',{label}\n" for real, colour, label in rows))


def excel(path: Path) -> None:
    table = content()
    write_excel(path, {"A": [table.column_names, *(list(row.values()) for row in table.to_pylist())]})


WRITERS: dict[str, Callable[[Path], object]] = {
    "feather": lambda path: pa.feather.write_feather(content(), path),
    "arrow": lambda path: pa.feather.write_feather(content(), path, compression="uncompressed"),
    "parquet": lambda path: pa.parquet.write_table(content(), path),
    "pq": lambda path: pa.parquet.write_table(content(), path, write_page_checksum=True),
    "npz": lambda path: np.savez_compressed(path, **arrays()),
    "npy": records,
    "csv": lambda path: path.write_bytes(as_csv()),
    "csv.gz": lambda path: path.write_bytes(gzip.compress(as_csv())),
    "csv.bz2": lambda path: path.write_bytes(bz2.compress(as_csv())),
    "csv.xz": lambda path: path.write_bytes(lzma.compress(as_csv())),
    "csv.zst": lambda path: path.write_bytes(pa.compress(as_csv(), "zstd", asbytes=True)),
    "csv.zip": zipped,
    "arff": arff,
    "xlsx": excel,
}


def flipped(given: bytes, rng: random.Random) -> bytes:
    """The bytes with one to three bits flipped, or cut short, or with some of them replaced."""
    made, kind = bytearray(given), rng.random()
    if kind < 0.8:
        for _ in range(rng.choice((1, 1, 1, 3))):
            place = rng.randrange(len(made) * 8)
            made[place // 8] ^= 1 << place % 8
    elif kind < 0.9:
        del made[rng.randrange(len(made)) :]
    else:
        place = rng.randrange(len(made))
        made[place : place + rng.randrange(1, 9)] = rng.randbytes(rng.randrange(9))
    return bytes(made)


def main(name: str, n: int, seed: int) -> None:
    warnings.simplefilter("ignore")
    rng, counts = random.Random(seed), Counter[str]()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"data.{name}"
        WRITERS[name](path)
        given = path.read_bytes()
        config = make_config({"data": str(path), "target": "label"})
        sound = load_table(config)
        encoding = Encoding.fit(sound.columns, target="label", classes=sound.classes)
        for _ in range(n):
            path.write_bytes(flipped(given, rng))
            try:
                same = load_table(config).digest == sound.digest
                counts["run: same rows" if same else "run: other rows"] += 1
            except VecmlError:
                counts["run: refused"] += 1
            try:
                for block in blocks(open_file(path, encoding), 64):
                    encoding.transform(block.columns)
                counts["predict: read"] += 1
            except VecmlError:
                counts["predict: refused"] += 1
    sys.stdout.write(f"{name} {dict(sorted(counts.items()))}\n")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))

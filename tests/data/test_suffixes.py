"""Every suffix that is read, compressed or not, is in the hint for one that is not, and none besides."""

import bz2
import gzip
import lzma
import re
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.feather
import pyarrow.orc
import pyarrow.parquet
import pytest

from tests.data.test_arff_excel import write_excel
from vecml.config import make_config
from vecml.data.files import is_known, suffix_of
from vecml.data.sources import load_table
from vecml.data.table import Table
from vecml.errors import DataError

ROWS = pd.DataFrame({"x": np.arange(40.0), "label": ["no", "yes"] * 20})
ARRAYS = {"X": ROWS[["x"]].to_numpy(), "y": ROWS["label"].to_numpy().astype("U3")}


def text(separator: str) -> Callable[[Path], object]:
    return lambda path: ROWS.to_csv(path, sep=separator, index=False)


def arff(path: Path) -> None:
    rows = "\n".join(f"{x},{label}" for x, label in ROWS.itertuples(index=False))
    path.write_text(f"@relation r\n@attribute x numeric\n@attribute label {{no,yes}}\n@data\n{rows}\n")


def npy(path: Path) -> None:
    with path.open("wb") as file:
        np.save(file, np.array(list(ROWS.itertuples(index=False, name=None)), [("x", "f8"), ("label", "U3")]))


def npz(path: Path) -> None:
    with path.open("wb") as file:
        np.savez(file, **ARRAYS)


def excel(path: Path) -> None:
    write_excel(path, {"Sheet1": [list(ROWS.columns), *ROWS.itertuples(index=False, name=None)]})


# What is found in the world, with what writes it; of some there is nothing here that writes them.
WRITERS: dict[str, Callable[[Path], object]] = {
    ".csv": text(","),
    ".tsv": text("\t"),
    ".tab": text("\t"),
    ".txt": text(";"),
    ".dat": text(" "),
    ".data": text(","),
    ".psv": text("|"),
    ".ssv": text(" "),
    ".log": text(","),
    ".parquet": lambda path: pa.parquet.write_table(pa.Table.from_pandas(ROWS), path),
    ".pq": lambda path: pa.parquet.write_table(pa.Table.from_pandas(ROWS), path),
    ".feather": lambda path: pa.feather.write_feather(ROWS, str(path)),
    ".arrow": lambda path: pa.feather.write_feather(ROWS, str(path)),
    ".ipc": lambda path: pa.feather.write_feather(ROWS, str(path)),
    ".orc": lambda path: pa.orc.write_table(pa.Table.from_pandas(ROWS), str(path)),
    ".npy": npy,
    ".npz": npz,
    ".arff": arff,
    ".xlsx": excel,
    ".xlsm": excel,
    ".xls": excel,
    ".json": lambda path: ROWS.to_json(path, orient="records"),
    ".jsonl": lambda path: ROWS.to_json(path, orient="records", lines=True),
    ".html": ROWS.to_html,
    "": text(","),
}


def zstandard(content: bytes) -> bytes:
    return pa.compress(content, "zstd", asbytes=True)  # type: ignore[no-any-return]


def zipped(content: bytes, path: Path) -> None:
    with zipfile.ZipFile(path, "w") as file:
        file.writestr(path.stem, content)


COMPRESSED: dict[str, Callable[[bytes], bytes] | None] = {
    "": bytes,
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".lzma": lambda content: lzma.compress(content, lzma.FORMAT_ALONE),
    ".zst": zstandard,
    ".lz4": lambda content: pa.compress(content, "lz4", asbytes=True),
    ".br": lambda content: pa.compress(content, "brotli", asbytes=True),
    ".zip": None,
}


def named() -> set[tuple[str, str]]:
    """The pairs of a suffix and a compression that the hint names."""
    with pytest.raises(DataError) as caught:
        suffix_of(Path("table.xyz"))
    said = re.fullmatch(r"known: (.+), each also with (.+); (.+)", str(caught.value.hint))
    assert said is not None
    texts, compressions, others = (part.split(", ") for part in said.groups())
    return {(one, more) for one in texts for more in ("", *compressions)} | {(one, "") for one in others}


@pytest.mark.filterwarnings("ignore::vecml.warnings.VecmlWarning")
@pytest.mark.parametrize("compression", COMPRESSED)
@pytest.mark.parametrize("suffix", WRITERS)
def test_what_is_read_is_named_and_what_is_named_is_read(tmp_path: Path, suffix: str, compression: str) -> None:
    plain, path = tmp_path / f"plain{suffix}", tmp_path / f"table{suffix}{compression}"
    WRITERS[suffix](plain)
    compress = COMPRESSED[compression]
    if compress is None:
        zipped(plain.read_bytes(), path)
    else:
        path.write_bytes(compress(plain.read_bytes()))
    try:
        table: Table | None = load_table(
            make_config({"data": str(path), "target": "y" if suffix == ".npz" else "label"})
        )
    except DataError:
        table = None
    assert ((suffix, compression) in named()) is (table is not None) is is_known(path)
    if table is not None:
        assert len(table.label_N) == len(ROWS)
        assert table.classes == ("no", "yes")


def test_a_suffix_in_capitals_is_the_same() -> None:
    for suffix, compression in named():
        name = Path(f"table{suffix}{compression}".upper())
        assert suffix_of(name) == suffix

"""A table that takes more memory than it may is refused while it is read, whatever it is read from."""

import gzip
import lzma
import sqlite3
import zipfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet
import pytest
import typer

from tests.data.test_arff_excel import write_excel
from vecml.cli.options import MaxMemory, command
from vecml.data.database import read_query
from vecml.data.files import read_file
from vecml.data.memory_limit import VARIABLE, MemoryLimit, bytes_of, free_bytes, used_bytes
from vecml.errors import DataError, SettingError
from vecml.progress import listening

TABLE = pa.table({"a": [1, 2, 3, 4], "label": ["x", "y", "x", "y"]})
CSV = b"a,label\n1,x\n2,y\n"


def zipped(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.csv", CSV)


WRITERS: dict[str, Callable[[Path], object]] = {
    "a.csv": lambda path: path.write_bytes(CSV),
    "a.csv.gz": lambda path: path.write_bytes(gzip.compress(CSV)),
    "a.csv.xz": lambda path: path.write_bytes(lzma.compress(CSV)),
    "a.csv.zip": zipped,
    "a.txt": lambda path: path.write_bytes(b"a  label\n1  x\n2  y\n"),
    "a.parquet": lambda path: pa.parquet.write_table(TABLE, path),
    "a.feather": lambda path: pa.feather.write_feather(TABLE, path),
    "a.npy": lambda path: np.save(path, np.zeros((4, 2))),
    "a.npz": lambda path: np.savez(path, a=np.zeros(4)),
    "a.arff": lambda path: path.write_text("@attribute a numeric\n@attribute label {x,y}\n@data\n1,x\n2,y\n"),
    "a.xlsx": lambda path: write_excel(path, {"A": [["a", "label"], [1, "x"], [2, "y"]]}),
}


@pytest.mark.filterwarnings("ignore::vecml.warnings.VecmlWarning")
@pytest.mark.parametrize("name", WRITERS)
def test_every_reader_has_the_limit(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    WRITERS[name](tmp_path / name)
    assert read_file(tmp_path / name).num_rows >= 2
    monkeypatch.setenv(VARIABLE, "1MB")  # this process has taken more already
    with pytest.raises(DataError, match=rf"^{name} needs more than the 977 KiB of memory that a table may") as caught:
        read_file(tmp_path / name)
    assert "allow more: --max-memory " in str(caught.value.hint)


@pytest.mark.parametrize("scheme", ["sqlite:///", "duckdb:///"])
def test_a_query_has_the_limit(scheme: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.db"
    connect = sqlite3.connect if scheme.startswith("sqlite") else duckdb.connect
    with closing(connect(str(path))) as connection:
        connection.execute("CREATE TABLE t (a INTEGER, label TEXT)")
        connection.execute("INSERT INTO t VALUES (1, 'x'), (2, 'y')")
        connection.commit()
    assert read_query(f"{scheme}{path}", "SELECT * FROM t").num_rows == 2
    monkeypatch.setenv(VARIABLE, "1MB")
    with pytest.raises(DataError, match=r"^the query's table needs more than .*; 2 rows were read so far$"):
        read_query(f"{scheme}{path}", "SELECT * FROM t")


def test_a_small_file_of_many_rows_is_stopped_as_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.csv.gz"
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(b"a,b,label\n")
        for _ in range(200):
            file.write(b"1,2,x\n3,4,y\n" * 50_000)
    monkeypatch.setenv(VARIABLE, f"{(used_bytes() + 60_000_000) / 1e9:.3f}GB")
    with pytest.raises(DataError, match=r"^a.csv.gz needs more than .*; \d+(\.\d)? MiB of text were read so far$"):
        read_file(path)


def test_the_size_is_said_as_it_grows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []

    class Heard:
        def begin(self, name: str, total: float | None) -> object:
            said.append(name)
            return name

        def advance(self, stage: object, amount: float) -> None:
            pass

        def end(self, stage: object) -> None:
            said.append(f"end of {stage}")

    monkeypatch.setattr("vecml.data.memory_limit.FIRST_SAID", 1 << 20)
    (tmp_path / "a.csv").write_bytes(b"a,label\n" + b"1,x\n2,y\n" * 400_000)
    with listening(Heard()):
        read_file(tmp_path / "a.csv")
    grown = [name for name in said if "of text so far" in name and not name.startswith("end")]
    assert grown[:2] == [f"reading a.csv: more than {n} MiB of text so far" for n in ("1", "2")]
    assert [f"end of {name}" in said for name in grown] == [True] * len(grown)


@pytest.mark.parametrize(
    ("text", "n_bytes"),
    [("4GB", 4 * 10**9), ("4g", 4 * 10**9), ("500 MiB", 500 << 20), ("1.5GB", 15 * 10**8), ("64KB", 64_000)],
)
def test_amounts(text: str, n_bytes: int) -> None:
    assert bytes_of(text) == n_bytes


@pytest.mark.parametrize("text", ["", "4", "much", "-1GB", "0GB", "4XB"])
def test_no_amounts(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingError, match=r"^--max-memory .*: not an amount of memory$") as caught:
        bytes_of(text)
    assert caught.value.hint == "for example --max-memory 4GB"


def test_the_flag_is_for_the_children_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "1GB")
    small = typer.Typer()

    @command()
    def read(max_memory: MaxMemory = None) -> None:
        assert MemoryLimit("a").allowed == 2 * 10**9

    small.command()(read)
    small(["--max-memory", "2GB"], standalone_mode=False)


def written(folder: Path, **files: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name.replace("__", ".")).write_text(content)


def test_a_control_group_may_allow_less(tmp_path: Path) -> None:
    assert free_bytes(tmp_path) > 100_000_000  # without groups: what is free
    written(tmp_path / "proc/self", cgroup="0::/a/b\n")
    groups = tmp_path / "sys/fs/cgroup"
    written(groups / "a/b", memory__max="max\n", memory__current="5\n")
    assert free_bytes(tmp_path) > 100_000_000
    written(groups / "a", memory__max="9000\n", memory__current="8000\n", memory__stat="file 700\ninactive_file 500\n")
    assert free_bytes(tmp_path) == 1_500
    written(tmp_path / "proc/self", cgroup="5:cpu:/x\n4:memory:/y\n")
    written(groups / "memory/y", memory__limit_in_bytes="700\n", memory__usage_in_bytes="900\n")
    assert free_bytes(tmp_path) == 0

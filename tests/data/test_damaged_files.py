"""A damaged file is refused in one line: it ends no process, and it is not taken for other data."""

import base64
import contextlib
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
import pytest

from tests.data.flips import WRITERS
from tests.data.test_stream import ENCODING, table
from tests.faults.read_damaged import table as small
from tests.faults.read_damaged import write
from vecml.config import make_config
from vecml.data import feather, parquet, stream
from vecml.data.column_encoding import ColumnEncoding
from vecml.data.dialect import AskedFormat
from vecml.data.encoding import Encoding
from vecml.data.files import read_file
from vecml.data.raw import raw_columns
from vecml.data.sources import load_table
from vecml.data.stream import blocks, open_data, open_file
from vecml.errors import DataError

# A Feather file of version 1 with one bit flipped: pyarrow 25 ends with SIGSEGV when it reads it.
ENDS_A_PROCESS = (
    "RkVBMQAAAAABAAAAAAAAAAIAAAAAAAAAAwAAAAAAAAAEAAAAAAAAAAAAAAABAAAAAgAAAAMAAAAEAAAAAAAAAHh5eHkAAAAAFAAAAAAAAAAMABgA"
    "AAAMAAQACAAMAAAAFAAAAAIAAAAEAAAAAAAAAAAAAAACAAAAXEAAAAQAAAC0////CAAAACAAAAAFAAAAbGFiZWwAAAAQACQABwAAAAgAEAAAABgA"
    "EAAAAAAAAAsoAAAAAAAAAAQAAAAAAAAAIAAAAAAAAAAAAAAACAAMAAQACAAIAAAACAAAABwAAAABAAAAYQAAABAAIAAHAAAACAAQAAAAGAAQAAAA"
    "AAAABAgAAAAAAAAABAAAAAAAAAAgAAAAAAAAANAAAABGRUEx"
)
NUMBERS = Encoding((ColumnEncoding("size", "number", 0.5),), "label", ("no", "yes"))
DAMAGED = "is it complete? Copy or write it again"


def crashing(folder: Path) -> Path:
    path = folder / "data.feather"
    path.write_bytes(base64.b64decode(ENDS_A_PROCESS))
    return path


def no_text(path: Path) -> Path:
    """A file with a column that says it is text, and is none."""
    offsets, values = np.arange(0, 5 * 2, 2, dtype=np.int32), b"\xff\xfered!!!"
    colour = pa.Array.from_buffers(pa.string(), 4, [None, pa.py_buffer(offsets), pa.py_buffer(values)])
    made = pa.table(
        {"size": [1.0, 2.0, 3.0, 4.0], "colour": colour, "open": [True, False] * 2, "label": ["x", "y"] * 2}
    )
    writers = {".feather": pyarrow.feather.write_feather, ".parquet": pq.write_table}
    writers[path.suffix](made, path)
    return path


def changed(path: Path, value: float) -> Path:
    """A Parquet file with page checksums, in which one bit of the value was flipped afterwards."""
    made = pa.table({"size": [value, *np.arange(99.0)], "label": ["no", "yes"] * 50})
    pq.write_table(made, path, compression="none", use_dictionary=False, write_page_checksum=True)
    flip(path, np.float64(value).tobytes())
    return path


def flip(path: Path, found: bytes) -> None:
    content = bytearray(path.read_bytes())
    assert content.count(found) >= 1
    content[content.index(found)] ^= 1
    path.write_bytes(content)


def test_a_file_that_ends_its_reader_ends_a_child_only(tmp_path: Path) -> None:
    path = crashing(tmp_path)
    for read in (
        lambda: read_file(path),
        lambda: raw_columns(path, ENCODING),
        lambda: open_file(path, ENCODING),
        lambda: load_table(make_config({"data": str(path), "target": "label"})),
    ):
        with pytest.raises(DataError, match=r"^data.feather cannot be read as Feather: Arrow does not") as caught:
            read()
        assert caught.value.hint == DAMAGED


def test_one_child_reads_many_files_and_the_damaged_one_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started, spawn = [], feather.spawn
    monkeypatch.setattr(feather, "spawn", lambda *given: started.append(1) or spawn(*given))
    for place in range(4):
        pyarrow.feather.write_feather(pa.table({"a": [1, 2], "label": ["x", "y"]}), tmp_path / f"{place}.feather")
    config = make_config({"data": str(tmp_path), "target": "label"})
    assert load_table(config).n_rows == 8
    assert len(started) == 1
    crashing(tmp_path).rename(tmp_path / "2.feather")
    with pytest.raises(DataError, match=r"^2.feather cannot be read as Feather: Arrow does not"):
        load_table(config)
    assert len(started) == 2  # of the others it is known


@pytest.mark.parametrize("suffix", [".feather", ".parquet"])
def test_every_value_is_validated(tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = no_text(tmp_path / f"data{suffix}")
    with pytest.raises(DataError, match=r"cannot be read as .*[Ii]nvalid UTF8") as caught:
        read_file(path)
    assert caught.value.hint == DAMAGED
    for group_bytes in (stream.WHOLE_GROUP_BYTES, 0):
        monkeypatch.setattr(stream, "WHOLE_GROUP_BYTES", group_bytes)
        with pytest.raises(DataError, match=r"cannot be read as .*[Ii]nvalid UTF8"):
            list(blocks(open_file(path, ENCODING), 2))


@pytest.mark.parametrize("most_rows", [parquet.MOST_ROWS, 10])
def test_a_page_that_does_not_match_its_checksum(
    tmp_path: Path, most_rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet, "MOST_ROWS", most_rows)  # 10: as a large file is read
    (tmp_path / "year=1").mkdir()
    path = changed(tmp_path / "year=1" / "data.parquet", 12.345)  # within the range, so that it stands in no statistics
    other = tmp_path / "year=2" / "data.parquet"
    other.parent.mkdir()
    pq.write_table(pa.table({"size": [1.0], "label": ["no"]}), other)
    reads: list[Callable[[], object]] = [
        lambda: read_file(path),
        lambda: list(blocks(open_file(path, NUMBERS), 7)),
        lambda: load_table(make_config({"data": str(tmp_path), "target": "label"})),
        lambda: load_table(make_config({"data": f"{other},{path}", "target": "label"})),
        lambda: open_data(str(tmp_path), NUMBERS),
    ]
    for read in reads:
        with pytest.raises(DataError, match=r"data.parquet cannot be read as Parquet: .*CRC") as caught:
            read()
        assert caught.value.hint == DAMAGED
    monkeypatch.setattr(stream, "WHOLE_GROUP_BYTES", 0)
    with pytest.raises(DataError, match="CRC"):
        list(blocks(open_file(path, NUMBERS), 7))


@pytest.mark.parametrize("suffix", [".npy", ".npz"])
def test_text_of_numpy_with_characters_that_do_not_exist(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"data{suffix}"
    if suffix == ".npy":
        np.save(path, np.array([("red", "x"), ("blue", "y")], [("colour", "U4"), ("label", "U1")]))
        flip_high(path)
    else:
        wrong = np.array(["red", "blue"]).view(np.uint32)
        wrong[0] = 0x7FFFFFFF
        np.savez(path, colour=wrong.view("U4"), label=["x", "y"])
    with pytest.raises(
        DataError, match=rf"^column 'colour' in data{suffix} cannot be used \(<U4\): .*codec can't decode"
    ):
        read_file(path)


def flip_high(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[content.index("red".encode("utf-32-le")) + 3] = 0x7F
    path.write_bytes(content)


def test_an_npy_header_that_no_memory_holds(tmp_path: Path) -> None:
    path = tmp_path / "data.npy"
    np.save(path, np.zeros((9, 2)))
    path.write_bytes(path.read_bytes().replace(b"(9, 2), }         ", b"(9000000000000, 2)"))
    with pytest.raises(DataError, match=r"^data.npy cannot be read as npy: "):
        read_file(path)


WRONG = {
    "number": (b"\xe4,red,true", None, "column 'size' was a number in training: 'ä' in row 60001 is not one"),
    "number, asked": (b"\xe4,red,true", "utf-8", "a.csv: column 'size' in row 60001 is not UTF-8: b'\\xe4'"),
    "category, asked": (b"1,\xe4,true", "utf-8", "a.csv: column 'colour' in row 60001 is not UTF-8: b'\\xe4'"),
    "boolean, asked": (b"1,red,\xff\xfe", "utf-8", "a.csv: column 'open' in row 60001 is not UTF-8: b'\\xff\\xfe'"),
    "another encoding": (b"1,\x81,true", "cp1252", "a.csv: line 60,002 is not cp1252: b'\\x81'"),
}


@pytest.mark.filterwarnings("ignore::vecml.warnings.VecmlWarning")
@pytest.mark.parametrize("suffix", [".xlsx", ".npz", ".csv.zip"])
def test_a_flipped_bit_in_a_zips_directory(tmp_path: Path, suffix: str) -> None:
    """Python's zipfile raises many kinds of errors: of a version that is none, of names that are no text ..."""
    path, made = tmp_path / f"a{suffix}", small(0).slice(0, 2)
    write(made, path.with_name("a.csv") if suffix == ".csv.zip" else path, 0)
    if suffix == ".csv.zip":
        with zipfile.ZipFile(path, "w") as packed:
            packed.write(path.with_name("a.csv"), "a.csv")
    whole = path.read_bytes()
    taken = 0
    for at in (*range(30), *range(whole.index(b"PK\x01\x02"), len(whole))):
        for flipped in (0x80, 0x08, 0x01):
            path.write_bytes(whole[:at] + bytes([whole[at] ^ flipped]) + whole[at + 1 :])
            with contextlib.suppress(DataError):
                taken += read_file(path).num_rows == 2
    assert taken > 50


@pytest.mark.filterwarnings("ignore::vecml.warnings.VecmlWarning")
@pytest.mark.parametrize("case", WRONG)
def test_predict_names_the_place_of_bytes_that_are_no_text(tmp_path: Path, case: str) -> None:
    row, encoding, message = WRONG[case]
    path, asked = tmp_path / "a.csv", AskedFormat(encoding=encoding)
    path.write_bytes(b"size,colour,open\n" + b"1,red,true\n" * 60_000 + row + b"\n" + b"2,blue,false\n" * 60_000)
    with pytest.raises(DataError) as caught:
        list(blocks(open_file(path, ENCODING, (), asked), 10_000))
    assert caught.value.message == message
    if encoding:  # and so does run
        with pytest.raises(DataError) as caught:
            read_file(path, asked=asked)
        assert caught.value.message == message


def test_the_table_of_these_tests_is_sound(tmp_path: Path) -> None:
    pq.write_table(table(), tmp_path / "a.parquet", write_page_checksum=True)
    assert sum(block.n_rows for block in blocks(open_file(tmp_path / "a.parquet", ENCODING), 64)) == table().num_rows


def flips(name: str, n: int, seed: int) -> None:
    found = subprocess.run(
        [sys.executable, "-m", "tests.data.flips", name, str(n), str(seed)], capture_output=True, text=True, check=False
    )
    assert found.returncode == 0, found.stderr
    sys.stdout.write(found.stdout)


def test_flipped_bits_of_a_parquet_file() -> None:
    flips("parquet", 30, 1)


@pytest.mark.long
@pytest.mark.timeout(1_800)
@pytest.mark.parametrize("name", WRITERS)
def test_many_flipped_bits(name: str) -> None:
    flips(name, 100 if name in ("feather", "arrow") else 700, 2)

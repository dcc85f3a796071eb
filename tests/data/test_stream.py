"""A file in blocks gives what the whole file gives, wherever the blocks end; and it is refused for the same reasons."""

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from vecml.data import stream, stream_csv
from vecml.data.column_encoding import ColumnEncoding
from vecml.data.encoding import Encoding
from vecml.data.raw import raw_columns
from vecml.data.reading import PLAIN_READING, UNKNOWN, Reading
from vecml.data.stream import blocks, open_file
from vecml.errors import DataError

ENCODING = Encoding(
    (
        ColumnEncoding("size", "number", 0.5),
        ColumnEncoding("colour", "category", 0.0, categories=("007", "blue", "red")),
        ColumnEncoding("open", "boolean", 1.0),
    ),
    "label",
    ("no", "yes"),
)
N = 1_000


def table(n: int = N) -> pa.Table:
    rng = np.random.default_rng(3)
    size = [None if i % 97 == 5 else float(value) for i, value in enumerate(rng.normal(size=n).astype(np.float32))]
    colour = [(None, "red", "blue", "007", "green")[i] for i in rng.integers(0, 5, n)]
    opened = [(None, True, False)[i] for i in rng.integers(0, 3, n)]
    return pa.table({"id": [f"{i:05}" for i in range(n)], "open": opened, "colour": colour, "size": size, "x": [1] * n})


def written(path: Path, content: pa.Table, row_group: int = 137) -> Path:
    if path.suffix == ".parquet":
        pq.write_table(content, path, row_group_size=row_group)
        return path
    rows = [",".join(content.column_names)]
    for row in content.to_pylist():
        texts = ("" if value is None else str(value).lower() if value is True or value is False else str(value)
                 for value in row.values())  # fmt: skip
        rows.append(",".join(texts))
    data = ("\n".join(rows) + "\n").encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def features(path: Path, block_rows: int, encoding: Encoding = ENCODING) -> np.ndarray:
    parts = list(blocks(open_file(path, encoding), block_rows))
    assert [part.n_rows for part in parts[:-1]] == [block_rows] * (len(parts) - 1)
    assert [part.first_row for part in parts] == list(range(0, sum(part.n_rows for part in parts), block_rows))
    return np.hstack([encoding.transform(part.columns)[0] for part in parts])


@pytest.mark.parametrize("block_rows", [1, 7, 136, 137, 138, 999, 1_000, 5_000])
@pytest.mark.parametrize("name", ["a.parquet", "a.csv", "a.csv.gz", "a.feather"])
def test_blocks_are_the_whole_file(tmp_path: Path, name: str, block_rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    if block_rows == 1 and name != "a.parquet":
        pytest.skip("the same path as 7, slower")
    monkeypatch.setattr(stream_csv, "CSV_BLOCK_BYTES", 1_000)  # so that the file's own blocks end elsewhere
    path = tmp_path / name
    if name == "a.feather":
        from pyarrow import feather

        feather.write_feather(table(), str(path))
    else:
        written(path, table())
    whole = ENCODING.transform(raw_columns(path, ENCODING))[0]
    np.testing.assert_array_equal(features(path, block_rows), whole)


@pytest.mark.parametrize("whole_group_bytes", [0, 1 << 26])
@pytest.mark.parametrize("block_rows", [7, 137, 5_000])
def test_row_groups_of_numbers(
    tmp_path: Path, block_rows: int, whole_group_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "WHOLE_GROUP_BYTES", whole_group_bytes)  # 0: each in pieces
    numbers = [None if i % 5 == 0 else i / 7 for i in range(1_000)]
    path = written(tmp_path / "a.parquet", pa.table({"size": numbers, "x": pa.array(range(1_000), pa.int16())}))
    encoding = Encoding(
        (ColumnEncoding("size", "number", 0.5), ColumnEncoding("x", "number", 0.0)), "label", ("a", "b")
    )
    whole = encoding.transform(raw_columns(path, encoding))[0]
    np.testing.assert_array_equal(features(path, block_rows, encoding), whole)


@pytest.mark.parametrize(
    "values",
    [
        ["2024-01-01", "2024-01-02 03:04:05", "2023-12-31"],
        ["2024-01-01T00:00:00.25", "2024-01-02", ""],
        ["12:30:00", "", "23:59:59"],
        ["1", "+2.5", " 3 "],
        ["1", "9007199254740993", "1e300000"],
        ["", "", "NA"],
        ["1.5", "abc", "2"],
        ["2024-01-01", "5", "7"],
        ["5", "2024-01-01", "7"],
        ["true", "false", "true"],
        ["1e39", "1", "2"],
        ["inf", "1", "2"],
    ],
)
@pytest.mark.parametrize("block_rows", [1, 2, 3])
@pytest.mark.parametrize("old", [False, True])
def test_a_csvs_numbers_are_what_the_whole_file_makes_them(
    tmp_path: Path, values: list[str], block_rows: int, old: bool
) -> None:
    path = tmp_path / "a.csv"
    path.write_text("\n".join(["size,other", *(f"{value},x" for value in values * 5)]) + "\n")
    reading = Reading(date=UNKNOWN) if old else PLAIN_READING
    encoding = Encoding((ColumnEncoding("size", "number", 0.5, reading=reading),), "label", ("no", "yes"))
    assert got(lambda: features(path, block_rows, encoding)) == got(
        lambda: encoding.transform(raw_columns(path, encoding))[0]
    )


def got(make: Any) -> Any:
    """The values, or only that they are refused: of a column that mixes sorts another row may be named."""
    try:
        return make().tolist()
    except DataError:
        return "refused"


def test_a_late_text_is_named_by_its_row_in_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_csv, "CSV_BLOCK_BYTES", 1_000)
    content = table().to_pylist()
    content[801]["size"] = "wide"
    path = tmp_path / "a.csv"
    lines = ["size,colour,open"] + [f"{row['size'] or 1},red,true" for row in content]
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(DataError, match=r"^column 'size' was a number in training: 'wide' in row 802 is not one$"):
        features(path, 100)
    path.write_text("\n".join([*lines[:700], "1,red,maybe", *lines[700:]]) + "\n")
    with pytest.raises(DataError, match=r"^column 'open' was a boolean in training: 'maybe' in row 700 is not one$"):
        features(path, 100)


def test_a_ragged_row_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("size,colour,open\n" + "1,red,true\n" * 500 + "1,red\n" + "1,red,true\n" * 500)
    with pytest.raises(DataError, match=r"^a\.csv: row 501, line 502 has 2 values, the header names 3 columns$"):
        features(path, 100)


def test_an_unclosed_quote_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("size,open,colour\n" + "1,true,red\n" * 5 + '1,true,"red\n' + "1,true,red\n" * 5)
    with pytest.raises(DataError, match=r"^a\.csv ends inside a quoted value, which begins in row 6, line 7: "):
        features(path, 100)


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_missing_and_renamed_columns_are_named(tmp_path: Path, suffix: str) -> None:
    path = written(tmp_path / f"a.{suffix}", table().rename_columns(["id", "open", "color", "size", "x"]))
    with pytest.raises(DataError, match=rf"^there is no column 'colour' in a\.{suffix}$") as caught:
        open_file(path, ENCODING)
    assert caught.value.hint == "did you mean 'color'? other columns: 'id', 'color', 'x'"
    with pytest.raises(DataError, match=rf"^there is no column 'idd' in a\.{suffix}$"):
        open_file(written(path, table()), ENCODING, ["idd"])
    with pytest.raises(DataError, match=rf"^there are no columns 'idd', 'y' in a\.{suffix}$"):
        open_file(path, ENCODING, ["idd", "y"])


def test_a_changed_type_is_named_before_anything_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"size": [True], "colour": ["red"], "open": [True]}), path)
    with pytest.raises(DataError, match=r"^column 'size' is a boolean, but was a number in training$"):
        open_file(path, ENCODING)


def test_extra_columns_are_left_alone_and_carried_ones_come_along(tmp_path: Path) -> None:
    for name in ("a.parquet", "a.csv"):
        file = open_file(written(tmp_path / name, table()), ENCODING, ["id", "size"])
        assert (file.extra, file.carried, file.n_rows) == (("x",), ("id", "size"), N if "parquet" in name else None)
        carried = pa.concat_tables([block.carried for block in blocks(file, 300)])
        assert carried.column("id").to_pylist() == [f"{i:05}" for i in range(N)]
        assert carried.column_names == ["id", "size"]


def test_whoever_stops_early_leaves_no_thread(tmp_path: Path) -> None:
    import threading

    reading = blocks(open_file(written(tmp_path / "a.parquet", table()), ENCODING), 3)
    next(reading)
    reading.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "vecml-read"]


def test_a_file_without_rows_has_no_blocks(tmp_path: Path) -> None:
    for name in ("a.parquet", "a.csv"):
        assert list(blocks(open_file(written(tmp_path / name, table(0)), ENCODING), 5)) == []

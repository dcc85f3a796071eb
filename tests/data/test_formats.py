"""The same data reads the same from every format, and a CSV's types follow from the whole file."""

import bz2
import gzip
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.feather
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vecml.config import make_config
from vecml.data.columns import columns_from_arrow
from vecml.data.delimited import read_delimited
from vecml.data.files import read_file
from vecml.data.sources import load_table
from vecml.data.table import Column, Table
from vecml.errors import DataError


def everything(n: int = 60) -> pa.Table:
    """A column of every kind that the formats share, with missing values."""
    rng = np.random.default_rng(1)
    gone = rng.random(n) < 0.2
    moment = np.datetime64("2024-01-01T00:00:00.000000001") + rng.integers(0, 10**17, n)
    return pa.table(
        {
            "whole": pa.array(rng.integers(-5, 5, n), mask=gone),
            "real": pa.array(rng.standard_normal(n), mask=gone),
            "yes": pa.array(rng.random(n) < 0.5, mask=gone),
            "colour": pa.array(
                np.array(["red", "grün", "blue, dark", 'with "quotes"'])[rng.integers(0, 4, n)], mask=gone
            ),
            "day": pa.array(moment.astype("datetime64[D]"), mask=gone),
            "second": pa.array(moment.astype("datetime64[s]")),
            "nanosecond": pa.array(moment, mask=gone),
            "label": pa.array(np.array(["no", "yes"])[rng.integers(0, 2, n)]),
        }
    )


def load(path: Path, **values: object) -> Table:
    return load_table(make_config({"data": str(path), "target": "label", **values}))


def assert_same(one: Table, other: Table) -> None:
    assert one.digest == other.digest
    assert one.classes == other.classes
    np.testing.assert_array_equal(one.label_N, other.label_N)
    assert_same_columns(one.columns, other.columns)


def assert_same_columns(some: tuple[Column, ...], others: tuple[Column, ...]) -> None:
    for a, b in zip(some, others, strict=True):
        assert (a.name, a.kind, a.categories) == (b.name, b.kind, b.categories)
        np.testing.assert_array_equal(a.values_N, b.values_N)


def content(table: pa.Table) -> dict[str, object]:
    """Types and values, however they are cut into blocks."""
    return {name: (str(table[name].type), table[name].to_pylist()) for name in table.column_names}


def write_csv(table: pa.Table, path: Path) -> None:
    pa.csv.write_csv(table, path)


WRITERS: dict[str, Callable[[pa.Table, Path], None]] = {
    "data.parquet": pa.parquet.write_table,
    "data.pq": lambda table, path: table.to_pandas().to_parquet(path, index=False),
    "data.feather": pa.feather.write_feather,
    "data.arrow": lambda table, path: pa.feather.write_feather(table, path, compression="uncompressed"),
    "data.tsv": lambda table, path: pa.csv.write_csv(table, path, pa.csv.WriteOptions(delimiter="\t")),
    "data.csv.gz": lambda table, path: path.write_bytes(gzip.compress(_csv_bytes(table))),
    "data.csv.bz2": lambda table, path: path.write_bytes(bz2.compress(_csv_bytes(table))),
    "DATA.CSV": lambda table, path: path.write_bytes(_csv_bytes(table)),
}


def _csv_bytes(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    pa.csv.write_csv(table, sink)
    return sink.getvalue().to_pybytes()


@pytest.mark.parametrize("name", WRITERS)
def test_every_format_gives_the_csv_s_table(name: str, tmp_path: Path) -> None:
    table = everything()
    write_csv(table, tmp_path / "reference.csv")
    WRITERS[name](table, tmp_path / name)
    reference, read = load(tmp_path / "reference.csv"), load(tmp_path / name)
    assert_same(reference, read)
    assert {column.name: column.kind for column in read.columns} == {
        "whole": "number",
        "real": "number",
        "yes": "boolean",
        "colour": "category",
        "day": "number",
        "second": "number",
        "nanosecond": "number",
    }
    assert read.columns[3].categories == ("blue, dark", "grün", "red", 'with "quotes"')


@pytest.mark.parametrize(
    "colour",
    [
        pd.Series(["red", "blue", None, "red"], dtype="category"),
        pd.Series(["red", "blue", None, "red"]).astype(pd.CategoricalDtype(["zzz", "red", "green", "blue"])),
        pa.DictionaryArray.from_arrays(pa.array([1, 0, 3, 2]), pa.array(["blue", "red", "red", None])),
        pa.array(["red", "blue", None, "red"], pa.large_string()),
        pa.array(["red", "blue", None, "red"], pa.string_view()),
        pa.chunked_array([pa.array(["red", "blue"]).dictionary_encode(), pa.array([None, "red"]).dictionary_encode()]),
    ],
    ids=[
        "categorical",
        "unused categories",
        "repeated and null in the dictionary",
        "large",
        "view",
        "two dictionaries",
    ],
)
def test_however_text_is_kept_the_category_is_the_same(colour: object) -> None:
    array = pa.array(colour, from_pandas=True) if isinstance(colour, pd.Series) else colour
    (column,) = columns_from_arrow(pa.table({"colour": array}))
    assert column.categories == ("blue", "red")
    assert column.values_N.dtype == np.int32
    np.testing.assert_array_equal(column.values_N, [1, 0, -1, 1])


def test_pandas_categorical_in_parquet_is_plain_text(tmp_path: Path) -> None:
    plain = pd.DataFrame({"a": [1.0, 2.0, 3.0], "c": ["x", "y", "x"], "label": ["p", "q", "p"]})
    kept = plain.assign(
        c=plain["c"].astype(pd.CategoricalDtype(["unused", "y", "x"])),
        label=plain["label"].astype(pd.CategoricalDtype(["r", "q", "p"])),
    )
    plain.to_csv(tmp_path / "a.csv", index=False)
    kept.to_parquet(tmp_path / "a.parquet", index=False)
    assert_same(load(tmp_path / "a.csv"), load(tmp_path / "a.parquet"))


def test_dictionary_of_numbers_is_numbers() -> None:
    (column,) = columns_from_arrow(pa.table({"a": pa.array([30, 10, None, 30]).dictionary_encode()}))
    assert column.kind == "number"
    np.testing.assert_array_equal(column.values_N, [30.0, 10.0, np.nan, 30.0])


@pytest.mark.parametrize(
    ("later", "kind"),
    [("3.5", "number"), ("abc", "category"), ("", "number"), ("NA", "number"), ("1e400", None), ("true", "category")],
)
def test_type_follows_from_the_whole_file_not_from_its_first_block(
    later: str, kind: str | None, tmp_path: Path
) -> None:
    path = tmp_path / "a.csv"
    path.write_text("a,b\n" + "1,x\n7,y\n" * 200 + f"{later},x\n")
    small, whole = read_delimited(path, block_bytes=64), read_delimited(path)
    assert small["a"].num_chunks > 10
    assert content(small) == content(whole)
    if kind is not None:
        columns = columns_from_arrow(small)
        assert columns[0].kind == kind
        assert_same_columns(columns, columns_from_arrow(whole))


VALUES = st.sampled_from(
    [
        "",
        "1",
        "0",
        "-7",
        "2.5",
        "true",
        "False",
        "2024-05-01",
        "2024-05-01 10:00:00",
        "10:30",
        "abc",
        "NA",
        '"a\nb"',
        "12345678901234567890",
    ]
)


@settings(max_examples=60, deadline=None)
@given(st.lists(VALUES, min_size=1, max_size=40), st.integers(48, 200))
def test_block_size_never_changes_what_is_read(values: list[str], block_bytes: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.csv"
        path.write_text("a,b\n" + "".join(f"{value},1\n" for value in values))
        assert content(read_delimited(path, block_bytes=block_bytes)) == content(read_delimited(path))


def test_free_text_past_the_dictionary_bound_is_read_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vecml.data.delimited.MOST_DICTIONARY_VALUES", 3)
    path = tmp_path / "a.csv"
    values = [f"value {i % 7}" for i in range(100)]
    path.write_text("a,b\n" + "".join(f"{value},1\n" for value in values))
    (column, _) = columns_from_arrow(read_delimited(path, block_bytes=64))
    assert [column.categories[code] for code in column.values_N] == values


def test_row_longer_than_a_block(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("a,b\n" + "x" * 500 + ",1\ny,2\n")
    assert read_delimited(path, block_bytes=64).num_rows == 2
    path.write_text(",".join(f"column_{i}" for i in range(100)) + "\n" + ",".join("1" * 100) + "\n")
    assert read_delimited(path, block_bytes=64).num_columns == 100


def test_csv_as_people_write_it(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b'\xef\xbb\xbfa,"b, c",d\r\n1,"one\r\ntwo",x\r\n\r\n2,"say ""hi""",\r\n')
    table = read_file(path)
    assert table.to_pydict() == {"a": [1, 2], "b, c": ["one\r\ntwo", 'say "hi"'], "d": ["x", None]}


def test_line_breaks_in_quotes_may_fall_on_the_end_of_a_block(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("a,b\n" + '1,"x\ny"\n' * 100)
    assert read_delimited(path, block_bytes=61)["b"].to_pylist() == ["x\ny"] * 100


def test_last_value_in_quotes_may_hold_a_line_break(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text('a,b\n1,"x\ny"\n\n')
    assert read_file(path)["b"].to_pylist() == ["x\ny"]


def test_empty_line_is_a_missing_value_where_there_is_one_column(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("a\n1\n\n3\n")
    assert read_file(path)["a"].to_pylist() == [1, None, 3]


def test_ragged_row_past_the_first_block_is_counted(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("a,b\n" + "1,x\n" * 500 + "2\n")
    with pytest.raises(DataError, match=r"^a.csv: row 501, line 502 has 1 value, the header names 2 columns$"):
        read_delimited(path, block_bytes=64)


def test_parquet_takes_no_column_from_the_folder_s_name(tmp_path: Path) -> None:
    folder = tmp_path / "year=2024"
    folder.mkdir()
    pa.parquet.write_table(pa.table({"a": [1]}), folder / "a.parquet")
    assert read_file(folder / "a.parquet").column_names == ["a"]


def test_npy_columns_are_numbered(tmp_path: Path) -> None:
    x_NF = np.arange(12, dtype=">f4").reshape(4, 3)
    np.save(tmp_path / "a.npy", x_NF)
    table = read_file(tmp_path / "a.npy")
    assert table.column_names == ["0", "1", "2"]
    np.testing.assert_array_equal(table["1"].to_numpy(), x_NF[:, 1])
    assert load_table(make_config({"data": str(tmp_path / "a.npy"), "target": "2"})).classes == ("2", "5", "8", "11")


def test_npy_records_are_named(tmp_path: Path) -> None:
    records = np.array([(1.5, "x", True), (2.5, "y", False)], dtype=[("a", "f8"), ("b", "U3"), ("c", "?")])
    np.save(tmp_path / "a.npy", records)
    a, b, c = columns_from_arrow(read_file(tmp_path / "a.npy"))
    assert (a.kind, b.kind, c.kind) == ("number", "category", "boolean")
    assert b.categories == ("x", "y")


def test_npz_arrays_are_columns_and_tables(tmp_path: Path) -> None:
    X = np.random.default_rng(0).standard_normal((5, 2)).astype(np.float32)
    np.savez_compressed(tmp_path / "a.npz", X=X, age=np.arange(5), label=np.array(list("ababa")))
    table = load(tmp_path / "a.npz")
    assert [column.name for column in table.columns] == ["X_0", "X_1", "age"]
    np.testing.assert_array_equal(table.columns[1].values_N, X[:, 1])
    assert table.columns[1].values_N.dtype == np.float32
    assert table.classes == ("a", "b")

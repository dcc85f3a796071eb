"""Several files as one table: the digest of the one file that holds their rows; and what does not fit together."""

import os
import shutil
import warnings
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.feather
import pyarrow.parquet
import pytest

from vecml.config import PipelineConfig
from vecml.data.dialect import LOOK
from vecml.data.encoding import Encoding
from vecml.data.raw import raw_columns
from vecml.data.several import local_source, partitions, read_several, several
from vecml.data.sources import check_source, load_table
from vecml.data.stream import blocks, open_data
from vecml.data.table import Table
from vecml.errors import DataError
from vecml.progress import listening
from vecml.warnings import VecmlWarning

pytestmark = pytest.mark.filterwarnings("ignore:VML04:UserWarning")


def table(n: int = 60) -> pa.Table:
    rng = np.random.default_rng(5)
    return pa.table(
        {
            "size": rng.standard_normal(n),
            "count": rng.integers(0, 9, n),
            "town": np.array(["Bonn", "Köln"])[rng.integers(0, 2, n)],
            "year": np.repeat([2023, 2024], n // 2),
            "label": np.array(["x", "y"])[rng.integers(0, 2, n)],
        }
    )


class Stages:
    """Hears the names of stages."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def begin(self, name: str, total: float | None) -> object:
        self.names.append(name)
        return None

    def advance(self, stage: object, amount: float) -> None: ...

    def end(self, stage: object) -> None: ...


def load(data: str | Path) -> Table:
    return load_table(PipelineConfig(data=str(data), target="label"))


def in_two(folder: Path, whole: pa.Table, suffix: str) -> list[Path]:
    write = {"parquet": pa.parquet.write_table, "feather": pa.feather.write_feather, "csv": pa.csv.write_csv}[suffix]
    folder.mkdir(exist_ok=True)
    half = whole.num_rows // 2
    paths = [folder / f"part-{i}.{suffix}" for i in range(2)]
    for path, rows in zip(paths, (whole.slice(0, half), whole.slice(half)), strict=True):
        write(rows, path)
    return paths


@pytest.fixture
def one(tmp_path: Path) -> Table:
    pa.parquet.write_table(table(), tmp_path / "whole.parquet")
    return load(tmp_path / "whole.parquet")


@pytest.mark.parametrize("suffix", ["csv", "parquet", "feather"])
def test_a_folder_a_pattern_and_a_list(suffix: str, one: Table, tmp_path: Path) -> None:
    folder = tmp_path / "parts"
    paths = in_two(folder, table(), suffix)
    (folder / "_SUCCESS").touch()
    (folder / ".hidden.csv").write_text("nothing,of,it\n")
    for data in (str(folder), f"{folder}/part-*.{suffix}", ",".join(map(str, paths)), f"{tmp_path}/**/part*"):
        check_source(data)
        made = load(data)
        assert made.digest == one.digest
        np.testing.assert_array_equal(made.label_N, one.label_N)
        assert made.source == data


def test_a_folder_of_everything_is_looked_through_openly_and_hidden_ones_are_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What people point at may be their home: whoever waits sees that it is being looked through."""
    for name in ("a/b/one.csv", "a/two.CSV.GZ", "a/notes.md", ".venv/lib/three.csv", "_old/four.csv", "a/.x/y.csv"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    os.mkfifo(tmp_path / "a/pipe.csv")
    (tmp_path / "link.csv").symlink_to(tmp_path / "a/b/one.csv")
    looked, scandir = [], os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: looked.append(Path(path).name) or scandir(path))
    stages = Stages()
    with listening(stages):
        found = several(str(tmp_path))
    assert found == [tmp_path / "a/b/one.csv", tmp_path / "a/two.CSV.GZ", tmp_path / "link.csv"]
    assert set(looked) == {tmp_path.name, "a", "b"}
    assert stages.names == [f"looking through {tmp_path.name}"]


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_hive_partitions_are_columns(suffix: str, one: Table, tmp_path: Path) -> None:
    """The folders' values are what the same values in a column would be; other folders are none."""
    for half, year in ((table().slice(0, 30), 2023), (table().slice(30), 2024)):
        folder = tmp_path / "a=b" / "table" / f"year={year}"
        folder.mkdir(parents=True)
        for i, path in enumerate(in_two(folder, half.drop_columns(["year"]), suffix)):
            path.rename(folder / f"{i}.{suffix}")
    made = load(tmp_path / "a=b" / "table")
    assert sorted(column.name for column in made.columns) == ["count", "size", "town", "year"]
    whole = {column.name: column for column in one.columns}
    for column in made.columns:
        assert column.kind == whole[column.name].kind
        np.testing.assert_array_equal(column.values_N, whole[column.name].values_N)


def test_values_of_partitions() -> None:
    files = [Path("t/k=a%2Fb/n=1/x.csv"), Path("t/k=__HIVE_DEFAULT_PARTITION__/n=1/x.csv")]
    assert partitions(files) == [{"k": "a/b", "n": "1"}, {"k": None, "n": "1"}]


def test_a_csvs_types_follow_from_all_files(tmp_path: Path) -> None:
    """In the first file the column looks like a number; in the second it does not."""
    (tmp_path / "parts").mkdir()
    codes = [f"{i % 8}" for i in range(40)] + ["x7", "007"] * 20
    lines = [f"{code},{i},{'ab'[i % 2]}" for i, code in enumerate(codes)]
    for path, part in ((tmp_path / "parts" / "1.csv", lines[:40]), (tmp_path / "parts" / "2.csv", lines[40:])):
        path.write_text("\n".join(["code,n,label", *part, ""]))
    (tmp_path / "whole.csv").write_text("\n".join(["code,n,label", *lines, ""]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", VecmlWarning)
        made, whole = load(tmp_path / "parts"), load(tmp_path / "whole.csv")
    assert made.columns[0].kind == "category"
    assert made.columns[0].categories == whole.columns[0].categories
    assert made.digest == whole.digest


def test_what_files_have_in_common_is_said_once(tmp_path: Path) -> None:
    for i in range(3):
        (tmp_path / f"{i}.csv").write_text(
            "a;b;label\n" + "".join(f"{row};{row % 3};{'xy'[row % 2]}\n" for row in range(20))
        )
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert load(tmp_path).n_rows == 60
    said = [str(one.message) for one in caught]
    assert [one for one in said if "VML050" in one] == ["VML050 0.csv: values are separated by semicolon"]


def test_prediction_over_several_files(one: Table, tmp_path: Path) -> None:
    folder = tmp_path / "parts"
    in_two(folder, table(), "csv")
    encoding = Encoding.fit(one.columns, np.arange(one.n_rows), one.target, one.classes)
    file = open_data(str(folder), encoding, ["label"])
    made = np.concatenate([encoding.transform(block.columns)[0] for block in blocks(file, 7)], axis=1)
    np.testing.assert_array_equal(made, encoding.transform(one.columns)[0])
    assert file.n_rows == 60
    in_memory = encoding.transform(raw_columns(folder, encoding))[0]
    np.testing.assert_array_equal(in_memory, made)


def differing(folder: Path) -> None:
    _, b = in_two(folder, table(), "csv")
    b.write_text(b.read_text().replace('"town"', '"city"').replace("town", "city"))


def with_more(folder: Path) -> None:
    _, b = in_two(folder, table(), "parquet")
    pa.parquet.write_table(table().append_column("more", pa.nulls(60)), b)


def with_other_types(folder: Path) -> None:
    _, b = in_two(folder, table(), "parquet")
    pa.parquet.write_table(table().set_column(1, "count", table()["count"].cast(pa.string())), b)


def partitioned_twice(folder: Path) -> None:
    for year in (2023, 2024):
        (folder / f"year={year}").mkdir(parents=True)
        pa.parquet.write_table(table(), folder / f"year={year}" / "part-0.parquet")


def nothing(folder: Path) -> None:
    folder.mkdir()
    (folder / "notes.md").touch()


@pytest.mark.parametrize(
    ("write", "message", "hint"),
    [
        (differing, "{f}/part-1.csv has no column 'town', which {f}/part-0.csv has", "its columns: "),
        (with_more, "{f}/part-1.parquet has a column 'more', which {f}/part-0.parquet has not", "give all files"),
        (
            with_other_types,
            "{f}/part-1.parquet: column 'count' is 'string', but in {f}/part-0.parquet it is 'int64'",
            "write all files with the same types",
        ),
        (
            partitioned_twice,
            "{f}/year=2023/part-0.parquet has a column 'year', and lies in a folder year=2023",
            "rename the column, or the folder",
        ),
        (nothing, "{f} is a folder without a data file: 'notes.md'", "known: .csv, "),
    ],
)
def test_what_does_not_fit(write: object, message: str, hint: str, tmp_path: Path) -> None:
    folder = tmp_path / "parts"
    write(folder)  # type: ignore[operator]
    with pytest.raises(DataError) as caught:
        load(folder)
    assert caught.value.message == message.format(f=folder)
    assert str(caught.value.hint).startswith(hint)


def test_a_pattern_that_nothing_matches_and_a_list_with_a_missing_file(tmp_path: Path) -> None:
    in_two(tmp_path / "parts", table(), "csv")
    with pytest.raises(DataError, match="no file matches"):
        load(f"{tmp_path}/parts/*.parquet")
    with pytest.raises(DataError, match="no such file: "):
        load(f"{tmp_path}/parts/part-0.csv,{tmp_path}/parts/none.csv")
    shutil.rmtree(tmp_path / "parts")
    assert several(f"{tmp_path}/parts") is None


@pytest.mark.filterwarnings("ignore:VML0[45]")
def test_what_na_is_is_one_question_for_all_files(tmp_path: Path) -> None:
    """A file of its own might have no other codes, or not enough of them."""
    rows = [("NA", "US"), ("DE", "FR", "NA"), ("NA",)]
    for number, codes in enumerate(rows):
        lines = [f"{codes[i % len(codes)]},{i * 7 % 5},{'xy'[i // 2 % 2]}" for i in range(30)]
        (tmp_path / f"{number}.csv").write_text("code,a,label\n" + "\n".join(lines) + "\n")
    with pytest.warns(VecmlWarning, match="^VML036 column 'code' "):
        table = load_table(PipelineConfig(data=str(tmp_path), target="label"))
    code = table.columns[0]
    assert code.categories == ("DE", "FR", "NA", "US")
    assert (code.values_N == code.categories.index("NA")).sum() == 15 + 10 + 30
    assert code.reading.na_is_word


@pytest.mark.filterwarnings("ignore:VML0[45]")
def test_na_is_missing_where_another_file_has_no_codes(tmp_path: Path) -> None:
    for number, codes in enumerate([("NA", "US", "DE"), ("France", "DE", "NA")]):
        lines = [f"{codes[i % 3]},{i * 7 % 5},{'xy'[i // 2 % 2]}" for i in range(30)]
        (tmp_path / f"{number}.csv").write_text("code,a,label\n" + "\n".join(lines) + "\n")
    code = load_table(PipelineConfig(data=str(tmp_path), target="label")).columns[0]
    assert code.categories == ("DE", "France", "US")
    assert (code.values_N == -1).sum() == 20


@pytest.mark.filterwarnings("ignore:VML04")
@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_one_partition_alone_is_labelled(tmp_path: Path, suffix: str) -> None:
    """A model that was trained on all of them meets the next day's folder, a pattern in it, or its one file."""
    frames = {}
    for year in (2022, 2023, 2024):
        folder = tmp_path / "table" / f"year={year}"
        folder.mkdir(parents=True)
        frames[year] = pa.table({"a": [float(i * year % 7) for i in range(20)], "label": list("xy") * 10})
        write = pa.csv.write_csv if suffix == "csv" else pa.parquet.write_table
        write(frames[year], folder / f"part.{suffix}")
    table = load_table(PipelineConfig(data=str(tmp_path / "table"), target="label"))
    encoding = Encoding.fit(table.columns, None, "label", table.classes)
    folder = tmp_path / "table" / "year=2024"
    for data in (folder, folder / f"*.{suffix}", folder / f"part.{suffix}"):
        (block,) = blocks(open_data(str(data), encoding), 100)
        for columns in (raw_columns(str(data), encoding), block.columns):
            found = {column.name: column for column in columns}
            assert found["year"].values_N.tolist() == [2024.0] * 20
            assert found["a"].values_N.tolist() == frames[2024]["a"].to_pylist()


@pytest.mark.filterwarnings("ignore:VML04")
def test_a_column_of_the_file_goes_before_its_folders_name(tmp_path: Path) -> None:
    folder = tmp_path / "a=5"
    folder.mkdir()
    (folder / "t.csv").write_text("a,label\n" + "".join(f"{i % 7},{'xy'[i % 2]}\n" for i in range(30)))
    table = load_table(PipelineConfig(data=str(folder / "t.csv"), target="label"))
    encoding = Encoding.fit(table.columns, None, "label", table.classes)
    (column,) = raw_columns(str(folder / "t.csv"), encoding)
    assert column.values_N.tolist() == [float(i % 7) for i in range(30)]


def test_a_parquet_file_with_other_columns_is_named_before_a_row_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, column in (("a", "x"), ("b", "x"), ("c", "z")):
        pa.parquet.write_table(pa.table({column: [1, 2], "y": [0, 1]}), tmp_path / f"{name}.parquet")
    monkeypatch.setattr("vecml.data.several.read_file", None)
    with pytest.raises(DataError, match=rf"^{tmp_path}/c.parquet has no column 'x', which {tmp_path}/a.parquet has$"):
        read_several([local_source(path) for path in sorted(tmp_path.iterdir())], (), LOOK, lambda *_: None)

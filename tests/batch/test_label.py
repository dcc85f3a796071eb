"""Many files become parts with the labels of a single file: each row once, the same bytes each time."""

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import hypothesis
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import strategies

from tests.batch.made import SETTING, contents, files_of, label, parts_of, single, table
from vecml.batch.folder import Folder
from vecml.batch.label import Ask
from vecml.batch.manifest import verify
from vecml.config import Setting
from vecml.data.places import place_of
from vecml.errors import DataError, SettingError

pytestmark = pytest.mark.filterwarnings("ignore::vecml.warnings.VecmlWarning")


def test_a_folder_of_parquet_becomes_parts_with_the_labels_of_a_single_file(tmp_path: Path) -> None:
    data = files_of(tmp_path / "data", [130, 131, 700])
    told = label(data, tmp_path / "out", keep=("id",), probabilities=True, rows=True)
    wanted = single(tmp_path, keep=["id"], probabilities=True, rows=True)
    found = parts_of(tmp_path / "out")
    assert found.column_names == wanted.column_names
    for name in ("row", "id", "prediction"):
        assert found[name].to_pylist() == wanted[name].to_pylist()
    for name in ("probability_no", "probability_yes"):
        assert found[name].to_numpy() == pytest.approx(wanted[name].to_numpy(), abs=1e-6)
    assert told.parts > 3
    assert told.n_rows == wanted.num_rows == sum(told.counts)
    assert (told.files, told.taken_over) == (4, 0)
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert {"_SUCCESS", "_manifest.json", "_plan.json"} <= names
    manifest = json.loads((tmp_path / "out/_manifest.json").read_text())
    assert manifest["plan"] == told.digest
    assert all(part["name"] == f"part-{part['unit']:07}-{told.digest[:12]}.parquet" for part in manifest["parts"])


def test_written_twice_it_has_the_same_bytes_whatever_the_threads(tmp_path: Path) -> None:
    data = files_of(tmp_path / "data", [333])
    label(data, tmp_path / "one", keep=("id",), probabilities=True)
    label(data, tmp_path / "two", keep=("id",), probabilities=True, setting=Setting("numpy", threads=1, block_rows=64))
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    assert Ask().resume


N_CUTS = strategies.lists(strategies.integers(0, 999), max_size=6)


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> "pa.Table":
    return single(tmp_path_factory.mktemp("single"), keep=["id"], rows=True)


@hypothesis.given(
    cuts=N_CUTS,
    group_rows=strategies.sampled_from([7, 64, 5_000]),
    unit_bytes=strategies.sampled_from([1, 9_000, 10**9]),
)
@hypothesis.settings(
    max_examples=8, deadline=None, suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture]
)
def test_labels_do_not_depend_on_how_the_rows_are_cut(
    tmp_path_factory: pytest.TempPathFactory, expected: "pa.Table", cuts: list[int], group_rows: int, unit_bytes: int
) -> None:
    folder = tmp_path_factory.mktemp("cuts")
    label(files_of(folder / "data", cuts, group_rows), folder / "out", keep=("id",), rows=True, unit_bytes=unit_bytes)
    assert parts_of(folder / "out").to_pydict() == expected.to_pydict()


def test_a_large_text_file_is_several_parts_with_the_labels_of_a_single_file(
    tmp_path: Path, expected: "pa.Table"
) -> None:
    data = files_of(tmp_path / "data", [700], suffix=".csv")
    told = label(data, tmp_path / "out", keep=("id",), rows=True, unit_bytes=3_000)
    assert told.parts > 6
    assert parts_of(tmp_path / "out")["prediction"].to_pylist() == expected["prediction"].to_pylist()
    assert parts_of(tmp_path / "out")["row"].to_pylist() == list(range(1_000))
    (tmp_path / "out" / sorted(path.name for path in (tmp_path / "out").glob("part-*"))[3]).unlink()
    again = label(data, tmp_path / "out", keep=("id",), rows=True, unit_bytes=3_000)
    assert again.taken_over == told.parts - 1
    assert verify(Folder(place_of(str(tmp_path / "out"), "--out"))).rows == 1_000


@pytest.mark.parametrize("suffix", [".csv", ".feather"])
def test_other_formats_give_the_labels_of_a_single_file(tmp_path: Path, expected: "pa.Table", suffix: str) -> None:
    data = files_of(tmp_path / "data", [130, 700], suffix=suffix)
    told = label(data, tmp_path / "out", keep=("id",), rows=True)
    assert parts_of(tmp_path / "out").to_pydict() == expected.to_pydict()
    assert told.parts == (9 if suffix == ".csv" else 3)
    assert verify(Folder(place_of(str(tmp_path / "out"), "--verify"))).rows == expected.num_rows


def test_what_was_done_is_taken_over_and_a_damaged_part_is_made_again(tmp_path: Path) -> None:
    data, out = files_of(tmp_path / "data", [300]), tmp_path / "out"
    told = label(data, out)
    before = contents(out)
    again = label(data, out)
    assert (again.taken_over, again.n_rows, again.counts) == (told.parts, told.n_rows, told.counts)
    assert contents(out) == before
    part = sorted(out.glob("part-*"))[1]
    part.write_bytes(part.read_bytes()[:-1])
    with pytest.raises(DataError, match=rf"{part.name} has other bytes than the manifest says$"):
        verify(Folder(place_of(str(out), "--verify")))
    assert label(data, out).taken_over == told.parts - 1
    assert contents(out) == before
    assert label(data, out, resume=False).taken_over == 0
    part.unlink()
    with pytest.raises(DataError, match=rf"{part.name} is missing$"):
        verify(Folder(place_of(str(out), "--verify")))


def _changed(data: Path) -> None:
    path = data / "001.parquet"
    os.utime(path, ns=(1, 1))


def _more(data: Path) -> None:
    shutil.copy(data / "001.parquet", data / "002.parquet")


def _fewer(data: Path) -> None:
    (data / "001.parquet").unlink()


@pytest.mark.parametrize(
    ("change", "asked", "reason"),
    [
        (_changed, {}, "{data}/001.parquet has changed since$"),
        (_more, {}, "{data}/002.parquet is new$"),
        (_fewer, {}, "{data}/001.parquet is not among the 1 file any more$"),
        (None, {"probabilities": True}, "--probabilities: without before, with now$"),
        (None, {"keep": ("id",)}, "other columns to keep: none before, id now$"),
        (
            None,
            {"setting": Setting("torch", block_rows=64)},
            "another setting: engine numpy.* before, engine torch.* now$",
        ),
        (
            None,
            {"setting": replace(SETTING, precision="float64")},
            "another setting: precision float32 before, precision float64 now$",
        ),
        (None, {"unit_bytes": 10**9}, "its files come in another order, or parts of another size$"),
    ],
)
def test_another_plan_is_refused_with_the_reason(
    tmp_path: Path, change: Callable[[Path], None] | None, asked: dict[str, object], reason: str
) -> None:
    data, out = files_of(tmp_path / "data", [300]), tmp_path / "out"
    label(data, out)
    before = contents(out)
    if change:
        change(data)
    with pytest.raises(DataError, match=f"^{out} holds labels of another plan: {reason.format(data=data)}"):
        label(data, out, **asked)
    assert contents(out) == before


def test_another_model_is_refused(tmp_path: Path) -> None:
    from tests.batch.made import classifier

    data, out = files_of(tmp_path / "data", [300]), tmp_path / "out"
    label(data, out)
    with pytest.raises(DataError, match=r"holds labels of another plan: another model: [0-9a-f]+ before, "):
        label(data, out, classifier(("a", "b")))


def test_hive_folders_stay_and_can_be_features(tmp_path: Path) -> None:
    whole, data = table(), tmp_path / "data"
    for year, rows in ((2023, whole.slice(0, 400)), (2024, whole.slice(400))):
        (data / f"year={year}").mkdir(parents=True)
        pq.write_table(rows, data / f"year={year}" / "a.parquet")
    label(data, tmp_path / "out", keep=("id",))
    out = tmp_path / "out"
    assert {path.parent.name for path in out.rglob("part-*.parquet")} == {"year=2023", "year=2024"}
    assert parts_of(out)["id"].to_pylist() == whole["id"].to_pylist()
    assert verify(Folder(place_of(str(out), "--verify"))).rows == whole.num_rows
    with pytest.raises(SettingError, match=r"^--keep year: the output keeps its folders year=...$"):
        label(data, tmp_path / "other", keep=("year",))


def _empty(data: Path) -> None:
    for path in data.iterdir():
        path.unlink()


def _without_size(data: Path) -> None:
    pq.write_table(table().drop_columns(["size"]), data / "001.parquet")


def _text_size(data: Path) -> None:
    other = table()
    place = other.column_names.index("size")
    pq.write_table(other.set_column(place, "size", pa.array(["wide"] * other.num_rows)), data / "001.parquet")


def _other_id(data: Path) -> None:
    other = table()
    place = other.column_names.index("id")
    pq.write_table(other.set_column(place, "id", pa.array(range(other.num_rows))), data / "001.parquet")


def _empty_text(data: Path) -> None:
    (data / "001.parquet").unlink()
    (data / "001.csv").touch()


def _no_parquet(data: Path) -> None:
    (data / "001.parquet").write_bytes(b"no")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (_empty, "{data} is a folder without a data file"),
        (_without_size, "there is no column 'size' in {data}/001.parquet"),
        (_text_size, "{data}/001.parquet: column 'size' is 'string', but in {data}/000.parquet it is 'double'"),
        (_other_id, "{data}/001.parquet: column 'id' is 'int64', but in {data}/000.parquet it is 'string'"),
        (_no_parquet, "{data}/001.parquet cannot be read as Parquet"),
        (_empty_text, "{data}/001.csv is empty$"),
    ],
)
def test_bad_input_gets_one_line_before_work_starts(
    tmp_path: Path, spoil: Callable[[Path], None], message: str
) -> None:
    data, out = files_of(tmp_path / "data", [300]), tmp_path / "out"
    spoil(data)
    with pytest.raises(DataError, match=f"^{message.format(data=data)}"):
        label(data, out, keep=("id",))
    assert not out.exists()


def test_an_output_that_cannot_be_is_refused(tmp_path: Path) -> None:
    data = files_of(tmp_path / "data", [300])
    for out, message in (
        (data, "it is the data"),
        (data / "labels", f"it lies within the data, {data}"),
        (tmp_path, "the data lies within it"),
        (data / "000.parquet", f"it lies within the data, {data}"),
    ):
        with pytest.raises(SettingError, match=f"^--out {out}: {message}$"):
            label(data, out)
    out = tmp_path / "out"
    out.mkdir()
    (out / "notes.txt").write_text("mine")
    with pytest.raises(SettingError, match=f"^--out {out}: it holds files that are no labels of vecml: 'notes.txt'$"):
        label(data, out)
    assert contents(out) == {"notes.txt": b"mine"}


@pytest.mark.parametrize("away", [False, True])
def test_a_file_that_changes_or_goes_meanwhile_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, away: bool
) -> None:
    from vecml.batch import label as label_module

    data, out, plan = files_of(tmp_path / "data", [300]), tmp_path / "out", label_module._plan
    file = data / "001.parquet"

    def planned(*given: object) -> object:
        made = plan(*given)  # type: ignore[arg-type]
        file.unlink() if away else os.utime(file, ns=(1, 1))
        return made

    monkeypatch.setattr(label_module, "_plan", planned)
    says = "is not there any more" if away else "has changed since the plan was made: it was written again"
    with pytest.raises(DataError, match=f"^{file} {says}$"):
        label(data, out)
    assert not (out / "_SUCCESS").exists()
    assert [path.name for path in out.rglob(".*")] == []


def test_a_bad_value_is_named_with_file_and_row(tmp_path: Path) -> None:
    data = files_of(tmp_path / "data", [300])
    rows = pq.read_table(data / "001.parquet").to_pylist()
    rows[250]["size"] = float("inf")
    pq.write_table(pa.Table.from_pylist(rows, table().schema), data / "001.parquet", row_group_size=100)
    with pytest.raises(DataError, match=rf"^{data}/001.parquet: column 'size' has an infinite value in row 251$"):
        label(data, tmp_path / "out")


def test_from_python_a_list_of_files_is_labelled_too(tmp_path: Path, expected: "pa.Table") -> None:
    import vecml
    from tests.batch.made import classifier

    data, out = files_of(tmp_path / "data", [300, 650]), tmp_path / "out"
    files = [data / "000.parquet", f"file://{data}/001.parquet", str(data / "002*")]
    told = vecml.predict(classifier(), files, engine="numpy", out=out, keep=["id"], rows=True)
    assert (told.n_rows, told.files, told.parts) == (expected.num_rows, 3, 1)
    assert parts_of(out).to_pydict() == expected.to_pydict()
    for asked, message in (
        ({"out": tmp_path / "a.txt"}, r"^out /.*/a.txt: it is no folder$"),
        ({"out": out, "engine": "auto"}, "^engine='auto' with out: "),
        ({"rows": True}, "^keep, probabilities and rows are columns of a folder of parts$"),
    ):
        with pytest.raises(SettingError, match=message):
            vecml.predict(classifier(), files, **asked)

"""What many files may be: Hive folders as features, types that differ, patterns, and values that cannot be."""

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from tests.batch.made import SETTING, classifier, files_of, label, parts_of, single, table, written
from tests.unprivileged import in_child
from vecml.batch.inputs import find_inputs
from vecml.data import memory_limit
from vecml.data.remote import matching
from vecml.data.stream import open_file
from vecml.errors import DataError, SettingError, VecmlError
from vecml.inference.predict_file import predict_file
from vecml.warnings import VecmlWarning

pytestmark = pytest.mark.filterwarnings("ignore::vecml.warnings.VecmlWarning")


@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
def test_a_hive_folder_is_a_feature_of_the_model(tmp_path: Path, suffix: str) -> None:
    whole, data = table(), tmp_path / "data"
    for value in ("007", "blue", "green", "red", None):
        folder = data / f"colour={value or '__HIVE_DEFAULT_PARTITION__'}"
        folder.mkdir(parents=True)
        colour = whole["colour"]
        rows = whole.filter(pc.is_null(colour) if value is None else pc.equal(colour, value))
        written(folder / f"a{suffix}", rows.drop_columns(["colour"]))
    told = label(data, tmp_path / "out", keep=("id",))
    found = dict(zip(*(parts_of(tmp_path / "out")[name].to_pylist() for name in ("id", "prediction")), strict=True))
    wanted = single(tmp_path, keep=["id"])
    assert found == dict(zip(wanted["id"].to_pylist(), wanted["prediction"].to_pylist(), strict=True))
    assert told.unseen == pc.sum(pc.equal(whole["colour"], "green")).as_py()
    assert len({path.parent for path in (tmp_path / "out").rglob("part-*")}) == 5


def test_numbers_of_other_types_are_numbers(tmp_path: Path) -> None:
    data = files_of(tmp_path / "data", [300])
    place = table().column_names.index("size")
    for name, kind in (("000", pa.float64()), ("001", pa.int16())):
        rows = pq.read_table(data / f"{name}.parquet")
        sizes = pc.round(rows["size"]).cast(kind)
        pq.write_table(rows.set_column(place, "size", sizes), data / f"{name}.parquet")
    label(data, tmp_path / "out", unit_bytes=10**9)
    whole = table()
    pq.write_table(whole.set_column(place, "size", pc.round(whole["size"])), tmp_path / "one.parquet")
    label(tmp_path / "one.parquet", tmp_path / "one")
    assert parts_of(tmp_path / "out").to_pydict() == parts_of(tmp_path / "one").to_pydict()


def test_a_bad_value_of_a_text_file_is_named_with_file_row_and_line(tmp_path: Path) -> None:
    data = files_of(tmp_path / "data", [300], suffix=".csv")
    path = data / "001.csv"
    lines = path.read_text().splitlines()
    values = lines[251].split(",")
    values[lines[0].split(",").index("size")] = "wide"
    path.write_text("\n".join([*lines[:251], "", ",".join(values), *lines[252:]]) + "\n")
    with pytest.raises(DataError, match=rf"^{path}: column 'size' .*: 'wide' in row 251, line 253 is not one$"):
        label(data, tmp_path / "out")
    assert {one.name for one in (tmp_path / "out").iterdir()} <= {"_plan.json", "_parts"} | {
        one.name
        for one in (tmp_path / "out").glob("part-000000[0-3]-*")  # the row is in the fifth part
    }


def test_patterns_lists_and_their_order(tmp_path: Path) -> None:
    data = files_of(tmp_path / "data", [100, 200])
    (data / "deep").mkdir()
    (data / "000.parquet").rename(data / "deep/000.parquet")

    def found(named: object) -> list[str]:
        return [one.address.removeprefix(f"{data}/") for one in find_inputs(named, ()).files]  # type: ignore[arg-type]

    assert found(data) == ["001.parquet", "002.parquet", "deep/000.parquet"]
    assert found(f"{data}/*.parquet") == ["001.parquet", "002.parquet"]
    assert found(f"{data}/**/0*") == ["001.parquet", "002.parquet", "deep/000.parquet"]
    assert found([data / "deep", f"{data}/001.parquet"]) == ["deep/000.parquet", "001.parquet"]
    assert found(f"{data}/002.parquet,{data}/001.parquet") == ["002.parquet", "001.parquet"]
    assert found(f"{data}/deep,{data}/001.parquet") == ["deep/000.parquet", "001.parquet"]
    assert found(f"{data}/deep,{data}/*2.parquet") == ["deep/000.parquet", "002.parquet"]
    assert found(f"{data}/*1.parquet, {data}/d*/*") == ["001.parquet", "deep/000.parquet"]
    assert found(f"file://{data}/deep") == ["deep/000.parquet"]
    with pytest.raises(DataError, match=r"^1 of 4 files are named more than once$"):
        found([data, data / "001.parquet"])
    with pytest.raises(DataError, match=r"^the list of files is empty$"):
        found([])


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("s3://key:secret@bucket/data", "^--data s3://...: an address must not hold credentials$"),
        ("s3://bucket/data?secret_key=secret", "^--data s3://...: an address must not hold credentials$"),
        ("hdfs://user:secret@host/data", "^--data hdfs://...: an address must not hold credentials$"),
        ("https://host/data", "^--data https://host/data: there is no reader for such an address$"),
    ],
)
def test_an_address_that_cannot_be_is_refused_and_shows_no_secret(address: str, message: str) -> None:
    with pytest.raises(SettingError, match=message) as caught:
        find_inputs(address, ())
    assert "secret" not in f"{caught.value.message} {caught.value.hint}"


def test_blocks_fit_the_memory_and_beyond_it_ends_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from vecml.batch.label import _read_rows
    from vecml.config import Setting

    model, setting = classifier(), Setting("numpy", block_rows=64)
    ample = _read_rows(model, setting)
    used = memory_limit.used_bytes()
    monkeypatch.setenv("VECML_MAX_MEMORY", f"{(used >> 20) + 64}MiB")
    assert 64 <= _read_rows(model, setting) < ample
    assert _read_rows(model, setting) % 64 == 0
    monkeypatch.setenv("VECML_MAX_MEMORY", "1MiB")
    assert _read_rows(model, setting) == 64
    with pytest.raises(DataError, match=r"^the data needs more than the .* 0 rows of part 0 were read$"):
        label(files_of(tmp_path / "data", [300]), tmp_path / "out")
    assert not list((tmp_path / "out").rglob("part-*"))


def test_without_the_right_to_read_or_write_it_ends_in_one_line(tmp_path: Path) -> None:
    data, out = files_of(tmp_path / "data", [300]), tmp_path / "out"
    out.mkdir()
    tmp_path.chmod(0o755)

    def refused() -> None:
        for path, mode in ((data / "001.parquet", 0o000), (out, 0o555)):
            path.chmod(mode)
            try:
                label(data, out)
            except VecmlError as error:
                print(error.message)  # noqa: T201
            path.chmod(0o755)

    ended = in_child(refused, tmp_path)
    assert ended.code == 0, ended.err
    first, second = ended.out.splitlines()
    assert first == f"{data}/001.parquet may not be read by this user"
    assert second.startswith(f"cannot write {out}/_plan.json: Permission denied")


@pytest.mark.filterwarnings("default::vecml.warnings.VecmlWarning")
def test_markers_of_a_text_file_are_counted_and_told_as_for_a_single_file(tmp_path: Path) -> None:
    data = files_of(tmp_path / "data", [300], suffix=".csv")
    path = data / "001.csv"
    lines = path.read_text().splitlines()
    place = lines[0].split(",").index("size")
    for number in (5, 200, 201):
        values = lines[number].split(",")
        lines[number] = ",".join([*values[:place], "?", *values[place + 1 :]])
    path.write_text("\n".join(lines) + "\n")
    with pytest.warns(
        VecmlWarning, match=r"^VML032 column 'size' has '\?' in 3 rows: a missing value, which is filled in$"
    ):
        assert label(data, tmp_path / "out").filled == 3
    assert label(data, tmp_path / "out").filled == 3  # taken over
    model = classifier()
    file = open_file(path, model.encoding)
    with pytest.warns(VecmlWarning, match=r"^VML032 column 'size' has '\?' in 3 rows"):
        assert predict_file(model, file, SETTING, tmp_path / "one.csv").filled == 3


def test_an_output_beside_the_files_of_a_pattern_is_no_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files_of(tmp_path, [300])
    monkeypatch.chdir(tmp_path)
    told = label("*.parquet", "labels")
    assert label("./*.parquet", "labels").taken_over == told.parts
    (tmp_path / "deep").mkdir()
    for pattern, out in (("**/*.parquet", "labels-2"), ("*/*", "deep"), ("*.parquet", ".")):
        with pytest.raises(SettingError, match=rf"^--out .*: {tmp_path}/.* would find the labels too$"):
            label(f"000.parquet,{pattern}" if pattern == "*/*" else pattern, out)
    written(tmp_path / "deep/000.parquet", table())
    with pytest.raises(SettingError, match=rf"^--out {tmp_path}/deep: it is the data$"):
        label("000.parquet,deep", "deep")


def test_a_pattern_of_an_address_leaves_out_what_it_says() -> None:
    pattern = matching("bucket/[!a]*/?.parquet")
    assert [bool(pattern.fullmatch(f"bucket/{one}.parquet")) for one in ("b/1", "a/1", "b/11")] == [True, False, False]


@pytest.mark.parametrize(("name", "asked"), [("prediction", {}), ("row", {"rows": True})])
def test_a_hive_folder_with_the_name_of_a_column_of_the_output_is_refused(
    tmp_path: Path, name: str, asked: dict[str, bool]
) -> None:
    for value in (1, 2):
        files_of(tmp_path / f"data/{name}={value}", [300])
    with pytest.raises(SettingError, match=f"^the data's folders {name}=... are kept in the output") as caught:
        label(tmp_path / "data", tmp_path / "out", **asked)
    assert not (tmp_path / "out").exists()
    if name == "row":
        assert caught.value.hint == "leave out --row"
        label(tmp_path / "data", tmp_path / "out")
    else:
        label(tmp_path / f"data/{name}=1", tmp_path / "out")  # by itself, as the hint says

"""An object store over HTTP: labelled, resumed, verified, and what is wrong is said in one line without a secret."""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.batch.made import files_of, label, parts_of, single
from tests.made_s3 import KEY, Store, served
from vecml.batch.folder import Folder
from vecml.batch.manifest import verify
from vecml.config import make_config
from vecml.data import places
from vecml.data.places import place_of
from vecml.data.sources import check_source, load_table
from vecml.errors import DataError, SettingError, StoreError

pytestmark = [pytest.mark.system, pytest.mark.filterwarnings("ignore::vecml.warnings.VecmlWarning")]
SECRET = "qz9wSecret"  # noqa: S105 -- made up


@pytest.fixture
def credentials(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    places._system.cache_clear()
    yield
    places._system.cache_clear()


@pytest.fixture
def store(credentials: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    with served() as made:
        monkeypatch.setenv("AWS_ENDPOINT_URL", made.address)
        yield made


def _upload(folder: Path, address: str) -> None:
    for path in sorted(folder.iterdir()):
        _upload_file(path, f"{address}/{path.name}")


def _upload_file(path: Path, address: str) -> None:
    place = place_of(address, "--data")
    with place.system.open_output_stream(place.path) as target:
        target.write(path.read_bytes())


@pytest.mark.usefixtures("store")
def test_an_object_store_is_labelled_and_taken_up_again(tmp_path: Path) -> None:
    _upload(files_of(tmp_path / "data", [130, 700]), "s3://bucket/data")
    _upload(files_of(tmp_path / "csv", [130, 700], suffix=".csv"), "s3://bucket/csv")
    wanted = single(tmp_path, keep=["id"], rows=True).to_pydict()
    for data in ("s3://bucket/data", "s3://bucket/csv", "s3://bucket/data/*.parquet"):
        out = f"s3://bucket/labels-{len(data)}"
        told = label(data, out, keep=("id",), rows=True)
        folder = Folder(place_of(out, "--out"))
        here = tmp_path / str(len(data))
        here.mkdir()
        for name in folder.names():
            if name.endswith(".parquet"):
                (here / name).write_bytes(folder.read(name))
        assert parts_of(here).to_pydict() == wanted
        assert verify(folder).rows == told.n_rows
        assert not any(name.startswith("_parts") for name in folder.names())
        folder.remove(next(name for name in sorted(folder.names()) if name.startswith("part-")))
        with pytest.raises(DataError, match=r" is missing$"):
            verify(folder)
        assert label(data, out, keep=("id",), rows=True).taken_over == told.parts - 1
    content = Folder(place_of("s3://bucket/data", "--data")).read("001.parquet")
    place = place_of("s3://bucket/data/000.parquet", "--data")
    with place.system.open_output_stream(place.path) as target:
        target.write(content)
    with pytest.raises(DataError, match=r"another plan: s3://bucket/data/000\.parquet has changed since$"):
        label("s3://bucket/data", "s3://bucket/labels-16", keep=("id",), rows=True)
    everything = Folder(place_of("s3://bucket", "--out"))
    assert all(SECRET.encode() not in everything.read(name) for name in everything.names() if "labels" in name)


@pytest.mark.usefixtures("store")
def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    data = files_of(tmp_path / "data", [300])
    with pytest.raises(DataError, match=r"^there is no bucket 'nobody': s3://nobody/data$"):
        label("s3://nobody/data", tmp_path / "out")
    with pytest.raises(DataError, match=r"^s3://bucket/none is not there$"):
        label("s3://bucket/none", tmp_path / "out")
    _upload_file(data / "000.parquet", "s3://bucket/odd/a.parquet")
    place = place_of("s3://bucket/odd", "--data")
    place.system.copy_file(f"{place.path}/a.parquet", f"{place.path}/b?c.parquet")
    with pytest.raises(DataError, match=r"^s3://bucket/odd: 'b\?c.parquet' has a '\?', which begins the options"):
        label("s3://bucket/odd", tmp_path / "out")
    with pytest.raises(DataError, match=r"^s3://bucket/\*\.csv holds no data file$"):
        label("s3://bucket/*.csv", tmp_path / "out")
    with pytest.raises(StoreError, match=r"^there is no bucket 'nobody': s3://nobody/out/_plan.json$"):
        label(data, "s3://nobody/out")


@pytest.mark.usefixtures("store")
def test_a_missing_right_is_said_without_the_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = files_of(tmp_path / "data", [300])
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "nobody")
    places._system.cache_clear()
    with pytest.raises(DataError, match=r"^s3://bucket/data may not be listed with the credentials of the") as one:
        label("s3://bucket/data", tmp_path / "out")
    with pytest.raises(DataError, match=r"^s3://bucket/out may not be listed with the credentials of the") as two:
        label(data, "s3://bucket/out")
    assert all(SECRET not in f"{caught.value.message}{caught.value.hint}" for caught in (one, two))


def test_requests_that_fail_change_nothing(tmp_path: Path, store: Store) -> None:
    _upload(files_of(tmp_path / "data", [130, 700]), "s3://bucket/data")
    store.failing = 0.05
    told = label("s3://bucket/data", "s3://bucket/labels", keep=("id",), rows=True)
    assert verify(Folder(place_of("s3://bucket/labels", "--out"))).rows == told.n_rows == 1_000
    assert load_table(make_config({"data": "s3://bucket/data", "target": "open"})).n_rows > 600


@pytest.mark.usefixtures("store")
def test_a_run_reads_an_object_store_as_it_reads_the_same_files_here(tmp_path: Path) -> None:
    for suffix in (".parquet", ".csv"):
        folder = tmp_path / suffix[1:]
        for month in (1, 2):
            files_of(folder / f"month={month}", [130, 700], suffix=suffix)
            _upload(folder / f"month={month}", f"s3://bucket/{suffix[1:]}/month={month}")
    for here, there in (
        (f"{tmp_path}/csv", "s3://bucket/csv"),
        (f"{tmp_path}/parquet/month=2", "s3://bucket/parquet/month=2/*.parquet"),
        (f"{tmp_path}/csv/month=1/000.csv", "s3://bucket/csv/month=1/000.csv"),
        (f"{tmp_path}/csv", f"file://{tmp_path}/csv"),
        (f"{tmp_path}/csv", f"file://{tmp_path}/csv/month=1, s3://bucket/csv/month=2"),
    ):
        tables = [load_table(make_config({"data": data, "target": "open"})) for data in (here, there)]
        assert tables[0].digest == tables[1].digest
        assert [column.name for column in tables[0].columns] == [column.name for column in tables[1].columns]


@pytest.mark.usefixtures("store")
def test_text_elsewhere_is_put_on_the_disk_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vecml.data.several.TEXT_BYTES", 5_000)
    folder = files_of(tmp_path / "csv", [400], suffix=".csv")
    _upload(folder, "s3://bucket/csv")
    wanted = load_table(make_config({"data": str(folder), "target": "open"}))
    found = load_table(make_config({"data": "s3://bucket/csv", "target": "open", "on_disk": True}))
    assert (found.digest, found.disk is not None) == (wanted.digest, True)
    (folder / "000.csv").write_text("id,open\n1,true\n2\n")
    _upload(folder, "s3://bucket/bad")
    with pytest.raises(DataError, match=r"^s3://bucket/bad/000\.csv: 000\.csv: row 2, line 3 has 1 value"):
        load_table(make_config({"data": "s3://bucket/bad", "target": "open", "on_disk": True}))


@pytest.mark.usefixtures("store")
def test_what_a_run_cannot_read_is_said_before_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _upload(files_of(tmp_path / "data", [300]), "s3://bucket/data")
    pq.write_table(pa.table({"open": [True], "size": [1.0]}), tmp_path / "other.parquet")
    _upload_file(tmp_path / "other.parquet", "s3://bucket/data/other.parquet")
    for data, said in (
        ("s3://nobody/data", "there is no bucket 'nobody': s3://nobody/data"),
        ("s3://bucket/none", "s3://bucket/none is not there"),
        ("s3://bucket/data/*.csv", "s3://bucket/data/*.csv holds no data file"),
    ):
        with pytest.raises(DataError) as caught:
            check_source(data)
        assert caught.value.message == said
    with pytest.raises(DataError) as mixed:
        load_table(make_config({"data": "s3://bucket/data", "target": "open"}))
    where = "s3://bucket/data/other.parquet has no column"
    assert mixed.value.message == f"{where} 'id', which s3://bucket/data/000.parquet has"
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "nobody")
    places._system.cache_clear()
    with pytest.raises(DataError, match=r"^s3://bucket/data may not be listed with the credentials of the") as right:
        check_source("s3://bucket/data")
    assert SECRET not in f"{right.value.message}{right.value.hint}"
    with pytest.raises(SettingError, match=r"^--data s3://\.\.\.: an address must not hold credentials$"):
        check_source(f"s3://somebody:{SECRET}@bucket/data")

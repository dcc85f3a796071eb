"""A folder of parts as a Delta table: one commit, at the end, and taken up again where it is missing."""

import shutil
from pathlib import Path

import pyarrow as pa
import pytest

from tests.batch.made import files_of, label, single
from vecml.batch.folder import Folder
from vecml.batch.label import is_folder_of_parts
from vecml.batch.manifest import verify
from vecml.data.places import place_of
from vecml.errors import DataError, SettingError

pytestmark = pytest.mark.filterwarnings("ignore::vecml.warnings.VecmlWarning")


def test_what_cannot_be_a_delta_table_is_said_before_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = files_of(tmp_path / "data", [300])
    monkeypatch.setitem(__import__("sys").modules, "deltalake", None)
    with pytest.raises(SettingError, match=r"^--out delta:.*: writing a Delta table needs deltalake$") as caught:
        label(data, f"delta:{tmp_path}/out")
    assert caught.value.hint == "pip install 'vecml[delta]'"
    assert not (tmp_path / "out").exists()
    assert is_folder_of_parts("delta:labels.x")


def test_a_delta_table_has_the_labels_and_one_commit(tmp_path: Path) -> None:
    deltalake = pytest.importorskip("deltalake", reason="pip install 'vecml[delta]'")
    wanted = single(tmp_path, keep=["id"]).sort_by("id")
    for value, cuts in (("a b", [130]), ("2", [700])):
        files_of(tmp_path / f"data/part={value}", cuts)
    out = tmp_path / "out"
    told = label(tmp_path / "data", f"delta:{out}", keep=("id",))
    table = deltalake.DeltaTable(str(out))
    assert (table.version(), table.metadata().partition_columns) == (0, ["part"])
    rows = table.to_pyarrow_table()
    for value in ("a b", "2"):
        some = rows.filter(pa.compute.equal(rows["part"], value)).sort_by("id")
        assert some["prediction"].to_pylist() == wanted["prediction"].to_pylist()
    assert rows.num_rows == told.n_rows == 2_000
    assert verify(Folder(place_of(str(out), "--out"))).rows == 2_000
    shutil.rmtree(out / "_delta_log")  # killed just before the commit
    assert label(tmp_path / "data", f"delta:{out}", keep=("id",)).taken_over == told.parts
    assert label(tmp_path / "data", f"delta:{out}", keep=("id",)).taken_over == told.parts
    table = deltalake.DeltaTable(str(out))
    assert table.version() == 0
    deltalake.write_deltalake(str(out), rows, mode="append")
    with pytest.raises(SettingError, match="it holds files that are no labels of vecml"):
        label(tmp_path / "data", f"delta:{out}", keep=("id",))


def test_columns_that_a_delta_table_takes_for_one_are_refused_before_work(tmp_path: Path) -> None:
    pytest.importorskip("deltalake", reason="pip install 'vecml[delta]'")
    for value in (1, 2):
        files_of(tmp_path / f"data/Prediction={value}", [300])
    with pytest.raises(DataError, match=r"names differ in case only: 'prediction' and 'Prediction'$"):
        label(tmp_path / "data", f"delta:{tmp_path}/out")
    assert not (tmp_path / "out").exists()

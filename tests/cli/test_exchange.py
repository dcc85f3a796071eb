"""`vecml export` and `vecml import`: what they say, for people and for programs."""

import json
import shutil
from pathlib import Path

import pytest

from tasks.tracking.run import created_run
from tasks.tracking.store import open_store
from vecml.cli.exchange import export_run, import_runs
from vecml.errors import StoreError
from vecml.keys import COMPARE, KIND, SETTING

NAME = "red [kite]: no. 3"


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the stores of two machines: `there` with a comparison of two settings, `here` with nothing."""
    folder = tmp_path_factory.mktemp("stores")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        patch.setenv("VECML_HOME", str(folder / "there"))
        store = open_store()
        shutil.copytree(folder / "there", folder / "here")
        with created_run(store, NAME, {KIND: COMPARE}) as parent:
            for name in ("numpy", "torch"):
                with created_run(store, name, {KIND: SETTING, "mlflow.parentRunId": parent.run_id}):
                    pass
    return folder


@pytest.fixture
def file(stores: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file to write, on the machine with the comparison."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("VECML_HOME", str(stores / "there"))
    shutil.copytree(stores / "here", tmp_path / "here")
    monkeypatch.chdir(tmp_path)
    return Path("kite.zip")


def said(capsys: pytest.CaptureFixture[str]) -> str:
    captured = capsys.readouterr()
    assert captured.err == ""
    return captured.out


def test_there_and_back_for_people(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    export_run(NAME, file)
    assert said(capsys) == f"run {NAME} and its 2 settings is in kite.zip\n"
    monkeypatch.setenv("VECML_HOME", str(tmp_path / "here"))
    import_runs([file])
    first, address = said(capsys).splitlines()
    assert first == f"kite.zip: run {NAME} and its 2 settings imported"
    assert address.startswith("http://127.0.0.1:5000/#/experiments/1/runs/")
    import_runs([file])
    assert said(capsys).splitlines() == [f"kite.zip: is here already as run {NAME}", address]


def test_there_and_back_for_programs(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    export_run(NAME, file, json=True)
    written = json.loads(said(capsys))
    run_id, digest = written.pop("run_id"), written.pop("digest")
    assert len(run_id) == 32
    assert written == {
        "version": 1,
        "file": "kite.zip",
        "name": NAME,
        "kind": "compare",
        "children": 2,
        "bytes": file.stat().st_size,
    }
    monkeypatch.setenv("VECML_HOME", str(tmp_path / "here"))
    import_runs([file, file], json=True)
    found = json.loads(said(capsys))
    assert found["version"] == 1
    first, second = found["runs"]
    assert (first["known"], second["known"]) == (False, True)
    assert (first.pop("known"), second.pop("known"), first) == (False, True, second)
    new_id, url = first.pop("run_id"), first.pop("url")
    assert new_id in url
    assert first == {
        "file": "kite.zip",
        "name": NAME,
        "kind": "compare",
        "children": 2,
        "original": run_id,
        "digest": digest,
    }


def test_a_file_of_another_kind(file: Path, tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text("a,b\n")
    with pytest.raises(StoreError, match=r"^table\.csv cannot be taken: it is no whole zip file "):
        import_runs([Path("table.csv")])

"""Other starts while a run is imported: none takes what goes on, or has just ended, for what a dead process left."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from tasks.tracking.comparison import tracked_comparison
from tasks.tracking.export_import import export_run, import_runs
from tasks.tracking.store import interrupted_imports, open_store, settle_import
from tests.made_comparison import comparison_of
from vecml.keys import IMPORT_END, IMPORTING, PROCESS

WRITES = ("create_run", "log_batch", "log_artifacts", "set_terminated", "update_run", "set_tag", "delete_tag")


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The export of a comparison of two settings, from another store than this test's."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("VECML_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("VECML_HOME", str(tmp_path / "there"))
    with tracked_comparison("carried") as writer:
        writer.log(comparison_of({"numpy": 0.01, "torch": 0.005}), "a note")
    export_run(writer.run.run_id, tmp_path / "carried.zip")
    monkeypatch.setenv("VECML_HOME", str(tmp_path / "here"))
    return tmp_path / "carried.zip"


def check_whole() -> None:
    store = open_store()
    runs = store.client.search_runs([store.experiment.experiment_id])
    assert sorted(str(run.info.run_name) for run in runs) == ["carried", "numpy", "torch"]
    assert {run.info.status for run in runs} == {"FINISHED"}
    assert [tag for run in runs for tag in run.data.tags if tag in (IMPORTING, IMPORT_END, PROCESS)] == []


@pytest.fixture(params=["folder", "server"])
def shared(request: pytest.FixtureRequest, file: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The store as a folder, which has a lock, and by its address alone, as a server has none."""
    if request.param == "server":
        open_store()
        database = file.with_name("here") / "mlruns" / "mlflow.db"
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{database.rename(file.with_name('mlflow.db'))}")
    return str(request.param)


@pytest.mark.usefixtures("shared")
def test_a_start_at_any_moment_of_an_import_changes_nothing(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before and after each write of the import another start opens the store, and settles what it takes for dead."""
    open_store()
    starts = 0

    def beside(meant: Any) -> Any:
        def write(self: MlflowClient, *args: Any, **more: Any) -> Any:
            nonlocal starts
            with monkeypatch.context() as patch:
                for name, plain in PLAIN.items():
                    patch.setattr(MlflowClient, name, plain)
                open_store()
                done = meant(self, *args, **more)
                open_store()
            starts += 2
            return done

        return write

    with monkeypatch.context() as patch:
        for name, plain in PLAIN.items():
            patch.setattr(MlflowClient, name, beside(plain))
        import_runs([file])
    assert starts > 40
    check_whole()


def test_an_import_that_ended_since_it_was_found_stays(file: Path) -> None:
    """MLflow finds a run by its tag and reads its tags afterwards: the tag may be gone by then."""
    (found,) = import_runs([file])
    store = open_store()
    settle_import(store, store.client.get_run(found.run_id))
    check_whole()


def test_two_that_end_the_same_import(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a server two starts may finish what a dead process left, each from the tags that it read before."""
    read: list[Run] = []
    delete_tag = MlflowClient.delete_tag

    def looked(self: MlflowClient, run_id: str, key: str) -> None:
        read.extend(run for run in interrupted_imports(open_store()) if key == IMPORTING)
        delete_tag(self, run_id, key)

    with monkeypatch.context() as patch:
        patch.setattr(MlflowClient, "delete_tag", looked)
        import_runs([file])
    assert read
    for run in read:
        settle_import(open_store(), run)
    check_whole()


PLAIN = {name: getattr(MlflowClient, name) for name in WRITES}

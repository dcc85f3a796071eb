"""A store that goes away: what was measured is kept, and logged when the store is back, whole and once."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run
from sqlalchemy.exc import OperationalError

from tasks.tracking import run
from tasks.tracking.comparison import log_unlogged, tracked_comparison
from tasks.tracking.store import open_store
from tests.made_comparison import comparison_of
from vecml.atomic import write_bytes
from vecml.comparison import unfinished
from vecml.comparison.document import to_json
from vecml.comparison.unfinished import Unfinished
from vecml.errors import StoreError
from vecml.report.comparison import sentence
from vecml.warnings import VecmlWarning

MADE = comparison_of({"numpy": 0.01, "torch": 0.005, "halide": 0.002})


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("VECML_HOME", str(tmp_path))
    monkeypatch.setenv("VECML_CACHE", str(tmp_path / "cache"))
    return tmp_path


def everything() -> tuple[list[Run], dict[str, Run]]:
    store = open_store()
    runs = store.client.search_runs([store.experiment.experiment_id])
    parents = [run for run in runs if run.data.tags["vecml.kind"] == "compare"]
    children = [run for run in runs if run.data.tags["vecml.kind"] == "setting"]
    assert len({run.info.run_name for run in children}) == len(children)
    return parents, {str(run.info.run_name): run for run in children}


def stopped_after(path: Path, keep: Callable[[Unfinished], None]) -> str:
    """The id of a comparison's run that was interrupted after something was kept."""
    file = Unfinished(path)
    try:
        with tracked_comparison("a name", file=file) as writer:
            keep(file)
            raise KeyboardInterrupt
    except KeyboardInterrupt:
        return writer.run.run_id


@pytest.mark.parametrize("call", [1, 2, 3, 4])
def test_what_could_not_be_logged_is_logged_when_the_store_is_back(
    home: Path, monkeypatch: pytest.MonkeyPatch, call: int
) -> None:
    """The store breaks at the parent's values, or at those of one of the settings."""
    calls = 0
    log_batch = MlflowClient.log_batch

    def breaking(self: MlflowClient, *args: Any, **more: Any) -> None:
        nonlocal calls
        calls += 1
        if calls >= call:
            raise OperationalError("INSERT", {}, Exception("database is gone"))
        log_batch(self, *args, **more)

    file = Unfinished(home / "cache" / "unfinished" / "key.json")
    with monkeypatch.context() as patch:
        patch.setattr(MlflowClient, "log_batch", breaking)
        with pytest.raises(StoreError, match="database is gone"), tracked_comparison("a name", file=file) as writer:
            writer.log(MADE, "a note")
    assert file.path.exists()
    (parent,), children = everything()
    assert parent.info.status == "FAILED"
    assert len(children) < 3 or call == 4
    with pytest.warns(VecmlWarning) as given:
        assert log_unlogged() == ["a name"]
    assert [str(one.message) for one in given] == [
        f"VML016 run a name is logged now; it was measured when {home / 'mlruns'} was away"
    ]
    (again,), children = everything()
    assert again.info.run_id == parent.info.run_id
    assert again.info.status == "FINISHED"
    assert "vecml.error" not in again.data.tags
    assert set(children) == {"numpy", "torch", "halide"}
    assert {run.info.status for run in children.values()} == {"FINISHED"}
    stored = home / "mlruns" / "artifacts" / parent.info.run_id / "artifacts" / "comparison.json"
    assert stored.read_text() == to_json(MADE)
    assert again.data.tags["mlflow.note.content"] == "a note"
    assert not file.path.exists()
    assert log_unlogged() == []


@pytest.mark.parametrize("at", ["before", "launches", "whole"])
def test_a_comparison_is_logged_though_its_cache_cannot_be_written(
    home: Path, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    """A full disk of the cache folder: from the start on, after the first launches, or at the end."""
    file = Unfinished(home / "cache" / "unfinished" / "key.json")
    full(monkeypatch, at="before" if at == "before" else "never")
    with tracked_comparison("a name", file=file) as writer:
        full(monkeypatch, at="before" if at != "whole" else "never")
        writer.keep(MADE.measured)
        full(monkeypatch, at="before")
        writer.log(MADE, "a note")
    (parent,), children = everything()
    assert parent.info.status == "FINISHED"
    assert len(children) == 3


def full(monkeypatch: pytest.MonkeyPatch, at: str) -> None:
    def refused(path: Path, content: bytes) -> None:
        if at == "before":
            raise StoreError(f"{path} cannot be written: No space left on device")
        write_bytes(path, content)

    monkeypatch.setattr(unfinished, "write_bytes", refused)


@pytest.mark.parametrize("kept", [True, False])
def test_where_a_comparison_is_that_could_not_be_logged(
    home: Path, monkeypatch: pytest.MonkeyPatch, kept: bool
) -> None:
    """Neither its store nor the user's folder can be written, and then not the cache either: what it found is said."""
    broken = OperationalError("INSERT", {}, Exception("database is gone"))
    file = Unfinished(home / "cache" / "unfinished" / "key.json")
    full(monkeypatch, at="never" if kept else "before")
    monkeypatch.setattr(run, "keep", lambda *_: None)
    monkeypatch.setattr(MlflowClient, "log_batch", Mock(side_effect=broken))
    with pytest.raises(StoreError, match="database is gone") as raised, tracked_comparison("b", file=file) as writer:
        writer.log(MADE, "a note")
    hint = str(raised.value.hint)
    if kept:
        assert hint.startswith(f"the comparison is kept in {home / 'cache'}, and logged by the next start of vecml; ")
        assert file.path.exists()
    else:
        found = sentence(MADE)
        assert "halide" in found
        assert hint.startswith(f"it could not be kept anywhere else ({home / 'cache'}). What it found: {found}; ")


def test_the_same_comparison_asked_for_again_is_logged_and_not_measured(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = home / "cache" / "unfinished" / "key.json"
    first = stopped_after(path, lambda file: file.keep_whole(MADE, "a note"))
    with tracked_comparison("a name", file=Unfinished(path)) as writer:
        assert writer.run.run_id == first
        assert writer.kept is not None
        assert writer.kept.comparison == to_json(MADE)
        writer.log(MADE, "a note")
    (parent,), children = everything()
    assert parent.info.status == "FINISHED"
    assert len(children) == 3


def test_launches_of_one_that_was_stopped_go_on_in_its_run(home: Path) -> None:
    path = home / "cache" / "unfinished" / "key.json"
    first = stopped_after(path, lambda file: file.keep_launches(MADE.measured))
    with pytest.warns(VecmlWarning) as given, tracked_comparison("a name", file=Unfinished(path)) as writer:  # noqa: PT031
        assert writer.run.run_id == first
        assert writer.kept is not None
        assert writer.kept.measured == MADE.measured
        writer.log(MADE, "a note")
    (warning,) = given
    told = "VML016 going on with run a name, which was stopped: 5 complete launches kept; --fresh starts anew"
    assert str(warning.message) == told
    assert not path.exists()


def test_a_run_that_was_deleted_meanwhile_is_made_anew(home: Path) -> None:
    path = home / "cache" / "unfinished" / "key.json"
    first = stopped_after(path, lambda file: file.keep_whole(MADE, "a note"))
    open_store().client.delete_run(first)
    with pytest.warns(VecmlWarning, match="is logged now"):
        assert len(log_unlogged()) == 1
    (parent,), children = everything()
    assert (parent.info.status, len(children)) == ("FINISHED", 3)

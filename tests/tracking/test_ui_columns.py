"""The view of the runs' page is with the experiment as soon as the store is open, and its address names it."""

import json
from pathlib import Path

import pytest
from mlflow import MlflowClient

from tasks.tracking.location import locate
from tasks.tracking.run import runs_url
from tasks.tracking.store import open_store
from tasks.tracking.ui_columns import COLUMNS, TAG, view_state


@pytest.fixture
def location(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("VECML_HOME", str(tmp_path))
    return locate().uri


def tag_of(uri: str) -> str:
    return MlflowClient(uri).get_experiment_by_name("vecml").tags[TAG]


def test_a_new_store_has_it(location: str) -> None:
    open_store()
    assert tag_of(location) == view_state()


def test_a_store_that_was_made_before_it_gets_it_and_keeps_it(location: str) -> None:
    store = open_store()
    store.client.delete_experiment_tag(store.experiment.experiment_id, TAG)
    open_store()
    assert tag_of(location) == view_state()
    store.client.set_experiment_tag(store.experiment.experiment_id, TAG, "{}")  # of another vecml
    open_store()
    assert tag_of(location) == view_state()


def test_it_is_written_once_only(location: str, monkeypatch: pytest.MonkeyPatch) -> None:
    open_store()

    def refuse(*_: object) -> None:
        raise AssertionError("written again")

    monkeypatch.setattr(MlflowClient, "set_experiment_tag", refuse)
    open_store()


def test_the_address_names_it(location: str) -> None:
    assert runs_url(open_store()) == (
        "http://127.0.0.1:5000/#/experiments/1/runs?workflowType=machine_learning&viewStateShareKey=vecml"
    )


def test_what_it_says() -> None:
    kept = json.loads(view_state())
    assert kept["name"] == "vecml"
    state = json.loads(kept["state"])
    assert state["selectedColumns"] == state["columnOrder"] == list(COLUMNS)
    assert len(view_state()) < 5_000  # what MLflow has taken of a tag at all times

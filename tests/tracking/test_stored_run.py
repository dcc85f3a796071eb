"""Runs of every kind read back from a real store, by whatever names them; and what is said where there is none."""

import json
from pathlib import Path

import pytest

from tasks.tracking.comparison import tracked_comparison
from tasks.tracking.run import created_run
from tasks.tracking.store import open_store
from tasks.tracking.stored_run import COMPARISON, StoredRun, artifact, comparison_of, read_stored_run
from tests.made_comparison import comparison_of as made
from vecml.comparison.comparison import Comparison
from vecml.comparison.document import from_json, to_json
from vecml.errors import StoreError
from vecml.keys import ERROR, KIND

NAME = "red kite's 100 %"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(autouse=True)
def _the_modules_own_store(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("VECML_HOME", str(home))


@pytest.fixture(scope="module")
def comparison() -> Comparison:
    return made({"numpy": 0.02, "torch": 0.01})


@pytest.fixture(scope="module")
def run(home: Path, comparison: Comparison) -> StoredRun:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        patch.setenv("VECML_HOME", str(home))
        with tracked_comparison(NAME) as writer:
            writer.log(comparison, "a note")
        return read_stored_run(writer.run.run_id)


def bare(name: str, kind: str, status: str = "FINISHED", error: str | None = None) -> str:
    """The id of a run that has tags and no files."""
    store = open_store()
    made_run = store.client.create_run(store.experiment.experiment_id, tags={KIND: kind}, run_name=name)
    if error is not None:
        store.client.set_tag(made_run.info.run_id, ERROR, error)
    store.client.set_terminated(made_run.info.run_id, status)
    return str(made_run.info.run_id)


def refused(asked: str) -> StoreError:
    with pytest.raises(StoreError) as caught:
        read_stored_run(asked)
    return caught.value


def test_a_comparison_is_read_back_whole(run: StoredRun, comparison: Comparison) -> None:
    assert (run.kind, run.name, run.status, run.error) == ("compare", NAME, "FINISHED", None)
    assert run.params["budget"] == "60s"
    assert run.tags["vecml.launches"] == "5"
    assert run.address.startswith("http://127.0.0.1:5000/#/experiments/")
    assert f"/runs/{run.run_id}?" in run.address
    assert len(run.children) == 2
    assert run.parent is None
    content = artifact(run, COMPARISON)
    assert content == to_json(comparison).encode()
    assert from_json(content, COMPARISON).budget == "60s"
    assert json.loads(artifact(run, "environment.json") or b"") == dict(comparison.environment)


@pytest.mark.parametrize("asked", ["whole", "prefix", "name"])
def test_it_is_found_by_whatever_names_it(run: StoredRun, asked: str) -> None:
    named = {"whole": run.run_id, "prefix": run.run_id[:8], "name": f" {NAME} "}[asked]
    assert read_stored_run(named).run_id == run.run_id


def test_a_setting_leads_to_its_comparison(run: StoredRun) -> None:
    for child in run.children:
        setting = read_stored_run(child)
        assert (setting.kind, setting.parent, setting.children) == ("setting", run.run_id, ())
        assert setting.metrics["infer/rows_per_s"] > 0
        assert comparison_of(setting).run_id == run.run_id
    assert comparison_of(run) is run


def test_a_name_means_the_comparison_before_a_setting_of_that_name() -> None:
    with tracked_comparison("torch") as writer:
        tags = {KIND: "setting", "mlflow.parentRunId": writer.run.run_id}
        with created_run(writer.opened.store, "torch", tags):
            pass
    assert read_stored_run("torch").run_id == writer.run.run_id


def test_several_settings_of_a_name_are_named_by_their_ids(run: StoredRun) -> None:
    with tracked_comparison(None) as writer:
        tags = {KIND: "setting", "mlflow.parentRunId": writer.run.run_id}
        with created_run(writer.opened.store, "numpy", tags) as second:
            pass
    error = refused("numpy")
    assert error.message == "2 runs fit 'numpy'"
    assert (error.hint or "").startswith(f"name one by its id: {second.run_id}, ")


def test_a_failed_run_says_why() -> None:
    found = read_stored_run(bare("no luck", "compare", "FAILED", "the disk is full"))
    assert (found.status, found.error) == ("FAILED", "the disk is full")
    assert artifact(found, COMPARISON) is None
    assert artifact(found, "pictures/loss.png") is None
    assert comparison_of(found) is found


def test_an_unknown_run_is_answered_with_the_nearest_of_any_kind(run: StoredRun) -> None:
    bare("night train", "pipeline")
    assert refused("red kites 100 %").hint == f"did you mean {NAME}?"
    assert refused("night trains").hint == "did you mean night train?"
    assert refused("§").message.startswith("there is no run '§' in ")
    assert (refused("§").hint or "").startswith("the latest: night train, ")


def test_where_there_is_no_store_none_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VECML_HOME", str(tmp_path))
    assert refused("anything").message == f"there is no run 'anything': {tmp_path / 'mlruns'} holds no runs"
    assert list(tmp_path.iterdir()) == []


def test_an_empty_store_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VECML_HOME", str(tmp_path))
    open_store()
    assert refused("anything").hint == "it holds no run yet"


def test_a_comparison_that_is_gone(home: Path) -> None:
    with tracked_comparison("to be deleted") as writer:
        tags = {KIND: "setting", "mlflow.parentRunId": writer.run.run_id}
        with created_run(writer.opened.store, "left alone", tags) as child:
            pass
    setting = read_stored_run(child.run_id)
    assert comparison_of(setting).name == "to be deleted"
    lost = StoredRun(**{**vars(setting), "parent": "0" * 32})
    with pytest.raises(StoreError, match=r"^the tracking store .* failed: "):
        comparison_of(lost)

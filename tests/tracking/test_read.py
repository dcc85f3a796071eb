"""A run read back from a real store: the same classifier and configuration; and every way in which there is none."""

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mlflow.entities import RunStatus

from tasks.tracking import side_process, write
from tasks.tracking.comparison import tracked_comparison
from tasks.tracking.promotion import find_model, promote
from tasks.tracking.read import read_run
from tasks.tracking.run import created_run
from tasks.tracking.store import Store, open_store
from tasks.tracking.stored_run import read_stored_run
from tasks.tracking.write import tracked
from vecml import __version__
from vecml.comparison.subject import job_of_run
from vecml.data.sources import load_table
from vecml.data.split import split_table
from vecml.errors import ModelError, SettingError, StoreError
from vecml.inference.predict import predict
from vecml.keys import ERROR, KIND
from vecml.model.store import Classifier
from vecml.report.summary import PipelineResult
from vecml.tracked_run import TrackedRun


class NoFiles:
    """Stands where the process that makes the slow files does: a model to read back needs none of them."""

    def write(self, folder: Path, request: dict[str, Any]) -> None:
        (folder / side_process.MODEL).mkdir()
        (folder / side_process.PICTURES).mkdir()

    def close(self) -> None:
        """Nothing runs."""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(autouse=True)
def _the_modules_own_store(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("VECML_HOME", str(home))
    monkeypatch.setattr(write, "file_writer", NoFiles)


def stored(result: PipelineResult, name: str | None) -> TrackedRun:
    """A run of this name, as the pipeline stores it."""
    config = result.config.model_copy(update={"name": name})
    with tracked(config, result.inference.setting.device, None) as writer:
        writer.log_setting(result.inference.setting)
        writer.log_result(dataclasses.replace(result, config=config), "a note")
    return writer.run


@pytest.fixture(scope="module")
def run(home: Path, telling_result: PipelineResult) -> TrackedRun:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        patch.setenv("VECML_HOME", str(home))
        patch.setattr(write, "file_writer", NoFiles)
        return stored(telling_result, "red kite")


def bare(store: Store, name: str, kind: str, status: str = "FINISHED", error: str | None = None) -> str:
    """The id of a run that has tags and no files."""
    made = store.client.create_run(store.experiment.experiment_id, tags={KIND: kind}, run_name=name)
    if error is not None:
        store.client.set_tag(made.info.run_id, ERROR, error)
    store.client.set_terminated(made.info.run_id, status)
    return str(made.info.run_id)


def refused(asked: str) -> StoreError:
    with pytest.raises(StoreError) as caught:
        read_run(asked)
    return caught.value


@pytest.mark.parametrize("length", [32, 8, 20, None])
def test_a_run_is_found_by_id_by_prefix_and_by_name(
    run: TrackedRun, telling_result: PipelineResult, length: int | None
) -> None:
    recorded = read_run(run.run_id[:length] if length else " red kite ")
    assert (recorded.run_id, recorded.name) == (run.run_id, "red kite")
    assert recorded.config == telling_result.config.model_copy(update={"name": "red kite"})
    assert recorded.data_digest == telling_result.table.digest
    assert recorded.model_digest == telling_result.training.model.digest
    assert recorded.classifier.encoding == telling_result.split.encoding
    assert recorded.classifier.model.digest == telling_result.training.model.digest


def test_its_kind_is_written_as_the_page_says(run: TrackedRun) -> None:
    assert open_store().client.get_run(run.run_id).data.tags[KIND] == "pipeline"


def test_it_gives_the_labels_of_the_run_and_its_test_part(run: TrackedRun, telling_result: PipelineResult) -> None:
    config = telling_result.config
    recorded, table = read_run(run.run_id), load_table(config)
    columns = {column.name: column.values_N for column in table.columns}
    wanted = predict(Classifier(telling_result.training.model, telling_result.split.encoding), columns)
    np.testing.assert_array_equal(predict(recorded.classifier, columns), wanted)
    test = split_table(table, config.test_fraction, config.seed).test
    job = job_of_run(recorded)
    np.testing.assert_array_equal(job.x_FN, test.x_FN)
    np.testing.assert_array_equal(job.truth_N, test.label_N)


def test_nothing_of_it_is_left_behind(run: TrackedRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    read_run(run.run_id)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "like"),
    [
        ("it's 100 %", "itxs 100 x"),
        ('a "b" \\ c', 'a "b" x c'),
        ("- _ -", "- x -"),
        ("deadbeefdeadbeef", "deadbeef"),
        ("Nightjar", "nightjar"),
    ],
)
def test_any_name_will_do_and_means_itself_alone(telling_result: PipelineResult, name: str, like: str) -> None:
    """A name may hold what a query's patterns give a meaning to, or look like an id."""
    named = stored(telling_result, name)
    bare(open_store(), like, "pipeline")
    assert read_run(name).run_id == named.run_id


def test_of_several_runs_of_a_name_the_finished_one_is_meant(telling_result: PipelineResult) -> None:
    store = open_store()
    bare(store, "nightly", "pipeline", "FAILED", "no room")
    bare(store, "nightly", "compare")
    assert refused("nightly").message == "run nightly failed: no room, it has no model"
    named = stored(telling_result, "nightly")
    assert read_run("nightly").run_id == named.run_id
    again = stored(telling_result, "nightly")
    error = refused("nightly")
    assert error.message == "2 runs fit 'nightly'"
    assert error.hint == f"name one by its id: {again.run_id}, {named.run_id}"
    for _ in range(2):
        stored(telling_result, "nightly")
    assert (refused("nightly").hint or "").endswith(" and 1 more")


def test_an_unknown_run_is_answered_with_the_nearest(run: TrackedRun) -> None:
    error = refused("red kit")
    assert error.message == f"there is no run 'red kit' in {run.store}"
    assert error.hint == "did you mean red kite?"
    slip = run.run_id[:4] + ("0" if run.run_id[4] != "0" else "1") + run.run_id[5:10]
    assert (refused(slip).hint or "").startswith(f"did you mean {run.run_id}")


@pytest.mark.usefixtures("run")
@pytest.mark.parametrize("find", [read_run, read_stored_run, find_model, promote])
def test_a_name_that_is_no_utf_8_is_no_fault_of_the_store(find: Callable[[str], object]) -> None:
    """What Python makes of such bytes of the command line can be in no store, nor be asked of one."""
    with pytest.raises(StoreError) as caught:
        find("re\udcff")
    assert caught.value.message.startswith("there is no run 're\\udcff' in ")
    assert "doctor" not in str(caught.value.hint)
    with pytest.raises(SettingError, match="is no address of a model"):
        find_model("models:/re\udcff@champion")


def test_an_unknown_run_that_nothing_is_like(run: TrackedRun) -> None:
    assert (refused("§").hint or "").startswith("the latest: ")
    short = refused(run.run_id[:7])
    assert short.message.startswith("there is no run ")
    assert run.run_id in (short.hint or "")
    assert refused("").message.startswith("there is no run ''")


def test_a_deleted_run_is_none(telling_result: PipelineResult) -> None:
    deleted = stored(telling_result, "to be deleted")
    open_store().client.delete_run(deleted.run_id)
    assert refused(deleted.run_id).message.startswith(f"there is no run '{deleted.run_id}' in ")


def test_a_comparison_and_its_settings_are_no_pipeline_runs() -> None:
    with tracked_comparison("a comparison of mine") as writer:
        tags = {KIND: "setting", "mlflow.parentRunId": writer.run.run_id}
        with created_run(writer.opened.store, "numpy threads=7", tags) as child:
            pass
    hint = "name the pipeline run that trained the model"
    for asked, message in (
        (writer.run.run_id, "run a comparison of mine is a comparison, not a pipeline run"),
        ("a comparison of mine", "run a comparison of mine is a comparison, not a pipeline run"),
        (child.run_id, "run numpy threads=7 is a setting of a comparison, not a pipeline run"),
        (bare(open_store(), "theirs", "qualify"), "run theirs is of another program, not a pipeline run"),
    ):
        assert (refused(asked).message, refused(asked).hint) == (message, hint)


@pytest.mark.parametrize(
    ("status", "error", "message"),
    [
        ("FAILED", "column 'a' is gone.", "run r failed: column 'a' is gone, it has no model"),
        ("KILLED", "interrupted: SystemExit: 143", "run r was killed: interrupted: SystemExit: 143, it has no model"),
        ("FAILED", None, "run r failed: it does not say why, it has no model"),
        ("RUNNING", None, "run r has not ended yet, it has no model"),
    ],
)
def test_a_run_without_a_model_says_why(status: str, error: str | None, message: str) -> None:
    assert RunStatus.from_string(status)
    run_id = bare(open_store(), "r", "pipeline", status, error)
    assert refused(run_id).message == message
    open_store().client.set_terminated(run_id)


def artifacts(home: Path, run: TrackedRun) -> Path:
    return home / "mlruns" / "artifacts" / run.run_id / "artifacts"


def test_a_damaged_model_is_refused_by_the_name_of_its_run(home: Path, telling_result: PipelineResult) -> None:
    damaged = stored(telling_result, "damaged")
    weights = artifacts(home, damaged) / "model" / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(ModelError) as caught:
        read_run(damaged.run_id)
    assert caught.value.message == (
        "run damaged: model/model.safetensors is not the file that was saved: its SHA-256 differs from model.json's"
    )


def test_another_runs_model_is_not_taken_for_its_own(
    home: Path, run: TrackedRun, result_of: Any, tmp_path: Path
) -> None:
    other = stored(result_of(tmp_path / "other", ("a", "b")), "swapped")
    shutil.rmtree(artifacts(home, other) / "model")
    shutil.copytree(artifacts(home, run) / "model", artifacts(home, other) / "model")
    with pytest.raises(ModelError, match=r"^run swapped: model/ holds another model than the run's$"):
        read_run(other.run_id)


@pytest.mark.parametrize("content", ["{", "[1]", '{"epochs": 0}', '{"no_such_setting": 1}'])
def test_a_configuration_that_this_vecml_cannot_read(home: Path, telling_result: PipelineResult, content: str) -> None:
    odd = stored(telling_result, None)
    (artifacts(home, odd) / "config.json").write_text(content)
    error = refused(odd.run_id)
    assert error.message.startswith(f"run {odd.name}: its config.json cannot be read: ")
    assert error.hint == f"read it with the vecml that wrote it, {__version__}"


def test_files_that_are_gone(home: Path, telling_result: PipelineResult) -> None:
    gone = stored(telling_result, "gone")
    shutil.rmtree(artifacts(home, gone) / "model")
    assert refused("gone").message.startswith(f"the tracking store {home / 'mlruns'} failed: ")


def test_where_there_is_no_store_none_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VECML_HOME", str(tmp_path))
    error = refused("anything")
    assert error.message == f"there is no run 'anything': {tmp_path / 'mlruns'} holds no runs"
    assert error.hint == "run this in the folder of its mlruns/, or name that with VECML_HOME"
    assert list(tmp_path.iterdir()) == []


def test_a_store_without_pipeline_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    shutil.copytree(home / "mlruns", tmp_path / "mlruns", ignore=shutil.ignore_patterns("artifacts"))
    monkeypatch.setenv("VECML_HOME", str(tmp_path))
    store = open_store()
    for found in store.client.search_runs([store.experiment.experiment_id]):
        store.client.delete_run(found.info.run_id)
    assert refused("anything").hint == "it holds no pipeline run yet: vecml run makes one"


def test_the_configuration_is_stored_as_json(home: Path, run: TrackedRun) -> None:
    """What `read_run` reads is what the run's own artifact says, not what the process still knows."""
    path = artifacts(home, run) / "config.json"
    content = json.loads(path.read_text())
    before = path.read_text()
    path.write_text(json.dumps({**content, "seed": content["seed"] + 5}))
    try:
        assert read_run(run.run_id).config.seed == content["seed"] + 5
    finally:
        path.write_text(before)

"""A result whose store broke waits in a folder, and the next start logs it: whole, once, under its own run's id."""

import dataclasses
import itertools
import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from tasks.tracking import store as stores
from tasks.tracking import unsaved, write
from tasks.tracking.comparison import tracked_comparison
from tasks.tracking.location import locate
from tasks.tracking.read import open_existing, read_run
from tasks.tracking.run import RunContent, tracked_result
from tasks.tracking.store import open_store
from tasks.tracking.unsaved import log_unsaved
from tasks.tracking.waiting import unreadable, waiting
from tasks.tracking.write import tracked
from tests.made_comparison import comparison_of
from tests.system.conftest import wait_for
from tests.tracking.test_export_import import below, everything, told
from tests.tracking.test_read import NoFiles
from vecml.cli.doctor import _waiting
from vecml.errors import StoreError
from vecml.keys import ERROR, LAB
from vecml.report.summary import PipelineResult
from vecml.warnings import VecmlWarning

WRITING = ("log_batch", "log_inputs", "log_artifacts", "create_logged_model", "log_model_artifacts", "log_outputs")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("VECML_HOME", str(tmp_path))
    monkeypatch.setenv("VECML_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    for module in (write, unsaved):
        monkeypatch.setattr(module, "file_writer", NoFiles)
    return tmp_path


def breaking_from(call: int, patch: pytest.MonkeyPatch) -> None:
    """From its so-manieth write on the store does not answer, whatever it is asked to write."""
    calls = itertools.count(1)

    def counted(meant: Any) -> Any:
        def ask(self: MlflowClient, *args: Any, **more: Any) -> Any:
            if next(calls) >= call:
                raise MlflowException("the store is away")
            return meant(self, *args, **more)

        return ask

    for method in (*WRITING, "set_terminated", "set_tag", "finalize_logged_model"):
        patch.setattr(MlflowClient, method, counted(getattr(MlflowClient, method)))


def recorded(result: PipelineResult, name: str) -> str:
    config = result.config.model_copy(update={"name": name})
    with tracked(config, result.inference.setting.device, None) as writer:
        writer.log_data(result.table, result.split)
        writer.log_setting(result.inference.setting)
        writer.log_result(dataclasses.replace(result, config=config), "a note")
    return str(writer.run.run_id)


def facts(run_id: str) -> dict[str, Any]:
    """What is told of a run, but for what differs between two runs of the same: its name and its times."""
    run = open_store().client.get_run(run_id)
    found = told(run)
    for key in ("name", "times"):
        del found[key]
    found["tags"].pop("mlflow.runName")
    found["metrics"] = {key: [(step, value) for _, step, value in points] for key, points in found["metrics"].items()}
    for name in ("config.json", "result.json", "warnings.txt", "report.html"):
        found["files"].pop(name, None)
    found["params"].pop("name", None)
    found["models"] = len(run.outputs.model_outputs if run.outputs else [])
    return found


# The first write is the config's, the second and third are the data's, the fourth the setting's; then comes the result.
LONG = [pytest.param(call, marks=pytest.mark.long) for call in (3, 4, 5, 7, 9, 10)]


@pytest.mark.parametrize("call", [2, 6, 8, 11, *LONG])
@pytest.mark.filterwarnings("ignore:VML010", "ignore:VML018")
def test_a_run_is_logged_by_the_next_start(
    home: Path, monkeypatch: pytest.MonkeyPatch, telling_result: PipelineResult, call: int
) -> None:
    whole = facts(recorded(telling_result, "whole"))
    with monkeypatch.context() as patch:
        breaking_from(call, patch)
        with pytest.raises(StoreError, match="the store is away") as caught:
            recorded(telling_result, "red kite")
    (kept,) = home.glob("vecml-unsaved-*")
    run_id = kept.name.removeprefix("vecml-unsaved-")
    assert caught.value.hint is not None
    assert f"the result is kept in {kept}, and logged by the next start of vecml; " in caught.value.hint
    assert _waiting(locate()) == f"run red kite in {kept}, logged by the next start"
    with pytest.warns(VecmlWarning) as given:
        open_existing()
    lines = [str(one.message) for one in given if "VML019" in str(one.message)]
    assert lines == [f"VML019 run red kite is logged now; {home / 'mlruns'} could not be written when it ended"]
    assert facts(run_id) == whole
    assert read_run("red kite").run_id == run_id
    assert ERROR not in open_store().client.get_run(run_id).data.tags
    assert len(everything()) == 2
    assert not list(home.glob("*vecml-unsaved*"))
    assert _waiting(locate()) == "nothing"
    log_unsaved(open_store())  # and again nothing happens


@pytest.mark.filterwarnings("ignore:VML010")
def test_a_comparison_is_logged_with_its_settings(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = comparison_of({"numpy": 0.02, "torch": 0.01})
    with tracked_comparison("whole") as writer:
        writer.log(made, "a note")
    before = sorted(map(str, map(facts, [one.info.run_id for one in below(writer.run.run_id)])))
    for call in (2, 4):
        with monkeypatch.context() as patch:
            breaking_from(call, patch)
            with pytest.raises(StoreError), tracked_comparison(f"broken {call}") as broken:
                broken.log(made, "a note")
        with pytest.warns(VecmlWarning, match=f"VML019 run broken {call} is logged now"):
            log_unsaved(open_store())
        assert facts(broken.run.run_id) == facts(writer.run.run_id)
        children = below(broken.run.run_id)
        assert sorted(map(str, map(facts, [one.info.run_id for one in children]))) == before
    assert not list(home.glob("*vecml-unsaved*"))


def broken_lab(monkeypatch: pytest.MonkeyPatch) -> str:
    with monkeypatch.context() as patch:
        breaking_from(1, patch)
        with pytest.raises(StoreError), tracked_result(LAB, "a lab") as writer:
            writer.log(RunContent({"a/b.txt": "text"}, {"p": "1"}, {"m": float("nan")}, {}, "a note"))
    return writer.run.run_id


@pytest.mark.filterwarnings("ignore:VML010")
def test_from_another_folder(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the store is elsewhere, the result waits in the folder of its command."""
    open_store()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{home}/mlruns/mlflow.db")
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "here")
    run_id = broken_lab(monkeypatch)
    assert (tmp_path / "here" / f"vecml-unsaved-{run_id}").is_dir()
    monkeypatch.chdir(tmp_path / "there")
    with pytest.warns(VecmlWarning, match="VML019 run a lab is logged now"):
        open_existing()
    assert not list((tmp_path / "here").iterdir())
    assert not list((tmp_path / "cache" / "unsaved").glob("*.json"))
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    assert (home / "mlruns" / "artifacts" / run_id / "artifacts" / "a" / "b.txt").read_text() == "text"


@pytest.mark.filterwarnings("ignore:VML010")
def test_what_still_cannot_be_logged_stays_and_stops_nothing(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run_id = broken_lab(monkeypatch)
    kept = home / f"vecml-unsaved-{run_id}"
    with monkeypatch.context() as patch:

        def away(*_: Any, **__: Any) -> None:
            raise MlflowException("no room")

        patch.setattr(MlflowClient, "log_artifacts", away)
        with pytest.warns(
            VecmlWarning, match=rf"VML019 run a lab cannot be logged yet: .*no room; it is kept in {kept}"
        ):
            open_existing()
    assert kept.is_dir()
    open_store().client.delete_run(run_id)
    with pytest.warns(VecmlWarning, match="VML019 run a lab cannot be logged yet: .* has no such run"):
        open_existing()
    assert kept.is_dir()


@pytest.mark.filterwarnings("ignore:VML010")
def test_not_while_its_process_lives_nor_into_another_store(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = broken_lab(monkeypatch)
    path = home / f"vecml-unsaved-{run_id}" / "unsaved" / "content.json"
    content = json.loads(path.read_text())
    own = content["process"]
    child = os.fork()
    if not child:
        from vecml.identity import process_identity

        path.write_text(json.dumps({**content, "process": process_identity()}))
        signal.pause()
    wait_for(lambda: json.loads(path.read_text() or "{}").get("process", own) != own, 60, "the child's mark")
    open_existing()  # a warning would be an error here
    os.kill(child, 9)
    os.waitpid(child, 0)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/other.db")
    assert waiting(locate()) == []
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    with pytest.warns(VecmlWarning, match="VML019 run a lab is logged now"):
        open_existing()


def test_what_an_earlier_version_kept_is_named(home: Path) -> None:
    old = home / "vecml-unsaved-0123"
    old.mkdir()
    (old / "result.json").write_text("{}")
    assert unreadable(locate()) == [old]
    assert _waiting(locate()) == f"{old}, which vecml cannot log: look into it, and delete it"
    open_store()
    log_unsaved(stores.open_store())
    assert old.is_dir()

"""Runs carried from one real store to another: everything arrives, once, and nothing half-way stays."""

import dataclasses
import itertools
import json
import math
import os
import shutil
import signal
import struct
import warnings
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, Run
from mlflow.exceptions import MlflowException

from tasks.tracking.comparison import tracked_comparison
from tasks.tracking.export_import import (
    IMPORT_DIGEST,
    IMPORT_END,
    IMPORTED_FROM,
    IMPORTING,
    ExportResult,
    ImportResult,
    export_run,
    import_runs,
)
from tasks.tracking.read import read_run
from tasks.tracking.store import Store, open_store
from tasks.tracking.write import tracked
from tests.made_comparison import comparison_of
from tests.tracking.conftest import Use, machine
from vecml.comparison.document import to_json
from vecml.errors import StoreError
from vecml.identity import process_identity
from vecml.keys import ERROR, KIND, PIPELINE, PROCESS
from vecml.report.summary import PipelineResult
from vecml.warnings import VecmlWarning

FAULT = "12 of 1,000 labels are wrong: no near ties in float32"
COMPARISON = comparison_of({"numpy": 0.02, "torch": 0.01, "größer 🦊": 0.03}, {"torch": FAULT})
NAME = "zwölf Boxkämpfer\t🦊"
SECRETS = ("mlflow.user", "mlflow.source.name", "mlflow.source.git.commit")


@dataclass(frozen=True)
class There:
    """A comparison on another machine: its folder, its id, what is told of it and its settings, and its export."""

    home: Path
    run_id: str
    runs: list[dict[str, Any]]
    file: Path
    written: ExportResult


@pytest.fixture(scope="module")
def there(empty: Path, tmp_path_factory: pytest.TempPathFactory) -> There:
    folder = tmp_path_factory.mktemp("machines")
    home, file = folder / "there", folder / "x.zip"
    shutil.copytree(empty, home)
    with machine(home):
        with tracked_comparison(NAME, "flow-7") as writer:
            writer.log(COMPARISON, "# a note\nof two lines")
        run_id = writer.run.run_id
        for key in SECRETS:
            open_store().client.set_tag(run_id, key, "/home/alice/secret.py")
        return There(home, run_id, family(run_id), file, export_run(NAME, file))


def bits(value: float) -> object:
    return "nan" if math.isnan(value) else struct.pack("d", value)


def contents(client: MlflowClient, run_id: str, path: str | None = None) -> dict[str, bytes]:
    """The artifacts by their paths."""
    found = {}
    for item in client.list_artifacts(run_id, path):
        if item.is_dir:
            found |= contents(client, run_id, item.path)
        else:
            found[item.path] = Path(client.download_artifacts(run_id, item.path)).read_bytes()
    return found


def told(run: Run) -> dict[str, Any]:
    """Everything of a run that is the same wherever it is."""
    client = open_store().client
    own = (PROCESS, IMPORTED_FROM, IMPORT_DIGEST)
    return {
        "name": run.info.run_name,
        "status": run.info.status,
        "times": (run.info.start_time, run.info.end_time),
        "params": run.data.params,
        "tags": {
            key: text
            for key, text in run.data.tags.items()
            if key not in own and (not key.startswith("mlflow.") or key in ("mlflow.runName", "mlflow.note.content"))
        },
        "last": {key: bits(value) for key, value in run.data.metrics.items()},
        "metrics": {
            key: [(one.timestamp, one.step, bits(one.value)) for one in client.get_metric_history(run.info.run_id, key)]
            for key in run.data.metrics
        },
        "data": [one.to_dictionary() for one in run.inputs.dataset_inputs],
        "files": contents(client, run.info.run_id),
    }


def below(run_id: str) -> list[Run]:
    store = open_store()
    query = f"tags.`mlflow.parentRunId` = '{run_id}'"
    return list(store.client.search_runs([store.experiment.experiment_id], query, order_by=["attributes.start_time"]))


def family(run_id: str) -> list[dict[str, Any]]:
    """What is told of a run and of those below it."""
    return [told(run) for run in (open_store().client.get_run(run_id), *below(run_id))]


def everything() -> list[Run]:
    store = open_store()
    return list(store.client.search_runs([store.experiment.experiment_id]))


def made(store: Store, name: str, kind: str | None = PIPELINE, status: str = "FINISHED", **tags: str) -> str:
    """A bare run's id."""
    named = tags | ({} if kind is None else {KIND: kind})
    run = store.client.create_run(store.experiment.experiment_id, tags=named, run_name=name)
    store.client.set_terminated(run.info.run_id, status)
    return str(run.info.run_id)


def carried(use: Use, asked: str, file: Path) -> tuple[ExportResult, ImportResult]:
    use("there")
    written = export_run(asked, file)
    use("here")
    (found,) = import_runs([file])
    return written, found


def imported(file: Path) -> ImportResult:
    (found,) = import_runs([file])
    return found


def test_a_comparison_arrives_whole(there: There, use: Use) -> None:
    assert [one["tags"].get("vecml.verdict") for one in there.runs] == [None, "baseline", "invalid", "slower"]
    assert {"comparison.json", "environment.json"} <= set(there.runs[0]["files"])
    assert there.runs[0]["files"]["comparison.json"].decode() == to_json(COMPARISON)
    use("here")
    found = imported(there.file)
    assert family(found.run_id) == there.runs
    assert (there.written.kind, there.written.children, there.written.name) == ("compare", 3, NAME)
    assert (found.kind, found.children, found.name, found.known) == ("compare", 3, NAME, False)
    assert (found.original, found.digest) == (there.run_id, there.written.digest)
    assert found.run_id != there.run_id
    assert f"/runs/{found.run_id}?" in found.url
    assert len(everything()) == 4


def test_it_says_where_it_is_from_and_not_who_ran_it(there: There, use: Use) -> None:
    use("here")
    found = imported(there.file)
    tags = open_store().client.get_run(found.run_id).data.tags
    assert tags[IMPORTED_FROM] == f"{there.run_id} in there/mlruns"
    assert tags[IMPORT_DIGEST] == found.digest
    assert not {PROCESS, IMPORTING, *SECRETS} & set(tags)
    assert {key for key in tags if key.startswith("mlflow.")} == {"mlflow.runName", "mlflow.note.content"}
    (child, *_) = below(found.run_id)
    assert {key for key in child.data.tags if key.startswith("mlflow.")} == {"mlflow.runName", "mlflow.parentRunId"}
    assert child.data.tags[IMPORTED_FROM].endswith(" in there/mlruns")
    assert PROCESS not in child.data.tags
    with zipfile.ZipFile(there.file) as archive:
        for name in archive.namelist():
            for secret in (b"alice", str(there.home).encode()):
                assert secret not in archive.read(name), name


def test_a_setting_means_its_comparison(there: There, tmp_path: Path) -> None:
    with machine(there.home):
        written = export_run(below(there.run_id)[1].info.run_id, tmp_path / "y.zip")
    assert written.run_id == there.run_id
    assert (tmp_path / "y.zip").read_bytes() == there.file.read_bytes()


def test_a_pipeline_run_arrives_with_its_model(use: Use, tmp_path: Path, telling_result: PipelineResult) -> None:
    use("there")
    config = telling_result.config.model_copy(update={"name": "red kite"})
    with tracked(config, telling_result.inference.setting.device, None) as writer:
        writer.log_setting(telling_result.inference.setting)
        writer.log_data(telling_result.table, telling_result.split)
        writer.log_result(dataclasses.replace(telling_result, config=config), "a note")
    before = told(open_store().client.get_run(writer.run.run_id))
    assert before["data"]
    _, found = carried(use, "red kite", tmp_path / "x.zip")
    run = open_store().client.get_run(found.run_id)
    assert told(run) == before
    assert run.outputs is None or not run.outputs.model_outputs
    assert read_run("red kite").model_digest == telling_result.training.model.digest


def test_every_step_and_odd_values_arrive_to_the_bit(use: Use, tmp_path: Path) -> None:
    use("there")
    store = open_store()
    run = store.client.create_run(store.experiment.experiment_id, tags={KIND: PIPELINE}, run_name="odd")
    run_id = run.info.run_id
    steps = [Metric("train/loss", 1 / (1 + step), 1_700_000_000_000 + step // 3, step) for step in range(2_345)]
    odd = (math.nan, math.inf, -math.inf, -0.0, 5e-324, 0.1 + 0.2, 1e308)
    steps += [Metric("odd", value, 1_700_000_000_000 + step, -step) for step, value in enumerate(odd)]
    steps += [Metric("last is nan", value, 5, step) for step, value in enumerate((1.0, math.nan))]
    for start in range(0, len(steps), 1_000):
        store.client.log_batch(run_id, metrics=steps[start : start + 1_000])
    sets = [
        DatasetInput(Dataset(f"set {number}", f"d{number}", "local", "{}", None, "{}"), [InputTag("k", "ü")])
        for number in (2, 1)
    ]
    store.client.log_inputs(run_id, sets)
    params = [Param(f"p{number}", "x" * number) for number in range(130)]
    for start in (0, 65):
        store.client.log_batch(run_id, params=params[start : start + 65])
    store.client.log_text(run_id, "text", "a folder/größe 🦊.txt")
    store.client.set_terminated(run_id)
    before = told(store.client.get_run(run_id))
    assert len(before["metrics"]["train/loss"]) == 2_345
    assert len(before["metrics"]["odd"]) == 7
    _, found = carried(use, run_id, tmp_path / "x.zip")
    after = told(open_store().client.get_run(found.run_id))
    before["data"].sort(key=str)
    after["data"].sort(key=str)
    assert after == before


@pytest.mark.parametrize("status", ["FAILED", "KILLED"])
def test_a_run_that_failed_stays_one(use: Use, tmp_path: Path, status: str) -> None:
    use("there")
    cause: type[BaseException] = ValueError if status == "FAILED" else KeyboardInterrupt
    with pytest.raises(cause), tracked_comparison("it fails") as writer:
        raise cause("no room")
    before = told(open_store().client.get_run(writer.run.run_id))
    assert before["tags"][ERROR].endswith("no room")
    _, found = carried(use, "it fails", tmp_path / "x.zip")
    after = told(open_store().client.get_run(found.run_id))
    assert after == before
    assert after["status"] == status


def test_a_file_is_imported_once(there: There, use: Use) -> None:
    use("here")
    found = imported(there.file)
    again = import_runs([there.file, there.file])
    assert [(one.run_id, one.name, one.known) for one in again] == [(found.run_id, NAME, True)] * 2
    assert len(everything()) == 4
    with machine(there.home):
        at_home = imported(there.file)
        assert (at_home.run_id, at_home.known) == (there.run_id, True)
        assert len(everything()) == 4


def test_an_export_of_an_import_is_the_same_file(there: There, use: Use, tmp_path: Path) -> None:
    use("here")
    second = export_run(imported(there.file).run_id, tmp_path / "y.zip")
    assert second.file.read_bytes() == there.file.read_bytes()
    use("third")
    third = imported(second.file)
    assert third.original == there.run_id
    assert open_store().client.get_run(third.run_id).data.tags[IMPORTED_FROM] == f"{there.run_id} in there/mlruns"
    assert second.digest == third.digest


def test_the_same_run_with_other_content_is_refused(use: Use, tmp_path: Path) -> None:
    use("there")
    store, first, second, other = open_store(), tmp_path / "x.zip", tmp_path / "y.zip", tmp_path / "z.zip"
    run_id = made(store, "red kite")
    export_run(run_id, first)
    store.client.log_text(run_id, "<html>", "report.html")
    export_run(run_id, second)
    export_run(made(store, "another"), other)
    use("here")
    found = imported(first)
    with pytest.raises(StoreError) as caught:
        import_runs([other, second])
    assert caught.value.message == (
        f"{second}: run red kite is here already as run red kite ({found.run_id}), with other content"
    )
    assert caught.value.hint == "delete that run in MLflow's UI to take this file's instead"
    assert len(everything()) == 1
    open_store().client.delete_run(found.run_id)
    assert not imported(second).known


def test_one_bad_file_and_nothing_is_written(there: There, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bad = tmp_path / "bad.zip"
    bad.write_bytes(there.file.read_bytes()[:-30])
    monkeypatch.setenv("VECML_HOME", str(tmp_path / "here"))
    with pytest.raises(StoreError, match=r"bad\.zip cannot be taken: it is no whole zip file"):
        import_runs([there.file, bad])
    assert {path.name for path in tmp_path.iterdir()} == {"bad.zip"}


@pytest.mark.parametrize(("method", "call"), [("log_artifacts", 1), ("set_tag", 1)])
def test_a_store_that_breaks_keeps_nothing_of_it(
    there: There, use: Use, monkeypatch: pytest.MonkeyPatch, method: str, call: int
) -> None:
    use("here")
    open_store()
    meant, calls = getattr(MlflowClient, method), itertools.count(1)

    def breaking(self: MlflowClient, *args: Any) -> Any:
        if next(calls) == call:
            raise MlflowException("the disk is full")
        return meant(self, *args)

    monkeypatch.setattr(MlflowClient, method, breaking)
    with pytest.raises(StoreError, match="the disk is full"):
        import_runs([there.file])
    assert everything() == []


def test_a_store_that_breaks_at_the_end_has_all_of_it_later(
    there: There, use: Use, monkeypatch: pytest.MonkeyPatch
) -> None:
    use("here")
    breaks = iter([None, None, MlflowException("the disk is full")])
    set_terminated = MlflowClient.set_terminated

    def breaking(self: MlflowClient, *args: Any) -> None:
        if (error := next(breaks)) is not None:
            raise error
        set_terminated(self, *args)

    with monkeypatch.context() as patch:
        patch.setattr(MlflowClient, "set_terminated", breaking)
        with pytest.raises(StoreError, match="the disk is full"):
            import_runs([there.file])
    found = imported(there.file)
    assert found.known
    assert family(found.run_id) == there.runs
    assert len(everything()) == 4


WRITING = (
    *("create_run", "log_batch", "log_inputs", "log_artifacts"),
    *("set_terminated", "update_run", "set_tag", "delete_tag", "delete_run"),
)


def killed_at(call: int, file: Path, *, after: bool) -> bool:
    """Import in a process that is killed before or after its so-manieth write; whether it came to that write."""
    child = os.fork()
    if child:
        return os.WIFSIGNALED(os.waitpid(child, 0)[1])
    try:
        open_store()
        calls = itertools.count(1)

        def counted(meant: Any) -> Any:
            def write(self: MlflowClient, *args: Any, **more: Any) -> Any:
                last = next(calls) == call
                if last and not after:
                    os.kill(os.getpid(), signal.SIGKILL)
                done = meant(self, *args, **more)
                if last:
                    os.kill(os.getpid(), signal.SIGKILL)
                return done

            return write

        for method in WRITING:
            setattr(MlflowClient, method, counted(getattr(MlflowClient, method)))
        import_runs([file])
    finally:
        os._exit(0)


def states(home: Path) -> list[tuple[str, str | None]]:
    """Status and importing tag of each run, read past vecml, as MLflow's UI would."""
    client = MlflowClient(f"sqlite:///{home / 'mlruns' / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("vecml")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    return [(run.info.status, run.data.tags.get(IMPORTING)) for run in runs]


def check_kill(there: There, home: Path, call: int, *, after: bool) -> bool:
    """Check what a kill at that write leaves; whether there was such a write."""
    came_to_it = killed_at(call, there.file, after=after)
    left = states(home)
    whole = len(left) == 4 and "complete" in {tag for _, tag in left}
    if not whole and came_to_it and {tag for _, tag in left} != {None}:
        assert {status for status, _ in left} <= {"RUNNING"}, call
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always", VecmlWarning)
        runs = everything()
    assert [str(one.message)[:30] for one in said if "KILLED" in str(one.message)] == []
    assert len(runs) in (0, 4), call
    assert [tag for run in runs for tag in run.data.tags if tag in (IMPORTING, IMPORT_END, PROCESS)] == [], call
    found = imported(there.file)
    assert found.known == bool(runs)
    assert family(found.run_id) == there.runs, call
    assert len(everything()) == 4
    return came_to_it


@pytest.mark.parametrize(("call", "after"), [(9, True), (14, True), (18, True)])
def test_a_kill_leaves_all_of_it_or_nothing(
    there: There, use: Use, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: int, after: bool
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))  # what was unpacked stays behind, too
    check_kill(there, use("here"), call, after=after)


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("after", [False, True])
def test_a_kill_at_every_write(there: There, use: Use, after: bool) -> None:
    for call in range(1, 100):
        if not check_kill(there, use(f"here-{call}"), call, after=after):
            break
    assert 20 < call < 99


def test_on_a_shared_store_only_what_died_is_cleared(
    there: There, empty: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No lock spans the machines of a server: an import that may be going on there is left alone."""
    shutil.copy(empty / "mlruns" / "mlflow.db", tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    dead = process_identity().split()
    child = os.fork()
    if not child:
        os._exit(0)
    os.waitpid(child, 0)
    dead[0] = str(child)
    elsewhere = "7 1 11111111-2222-3333-4444-555555555555 abcdef pid:[1]"
    store = open_store()
    going = {
        name: store.client.create_run(
            store.experiment.experiment_id, tags={IMPORTING: "yes", PROCESS: identity}, run_name=name
        )
        for name, identity in (("alive", process_identity()), ("elsewhere", elsewhere), ("dead", " ".join(dead)))
    }
    store.client.set_terminated(going["dead"].info.run_id, "KILLED")
    with pytest.warns(
        VecmlWarning, match="^VML009 cleared the import of dead, because its process ended before it did$"
    ):
        found = imported(there.file)
    assert {run.info.run_name for run in everything()} == {"alive", "elsewhere", *(one["name"] for one in there.runs)}
    assert family(found.run_id) == there.runs


def test_an_imported_run_is_nobodys_to_close(use: Use, tmp_path: Path) -> None:
    """It ended on another machine; the next start must leave it as it is."""
    use("there")
    run_id = made(open_store(), "red kite")
    identity = "4000000 1 11111111-2222-3333-4444-555555555555 abcdef pid:[1]"
    open_store().client.set_tag(run_id, PROCESS, identity)
    _, found = carried(use, run_id, tmp_path / "x.zip")
    open_store()  # a warning would be an error here
    assert open_store().client.get_run(found.run_id).info.status == "FINISHED"


def test_tags_that_are_not_the_runs_are_not_taken_from_a_file(use: Use, tmp_path: Path) -> None:
    """A file that was made by hand cannot speak for MLflow or for this import."""
    use("there")
    written = export_run(made(open_store(), "red kite"), tmp_path / "x.zip")
    from tasks.tracking.archive import pack, unpack

    parcel = unpack(written.file, tmp_path / "unpacked")
    planted = {"mlflow.user": "root", "mlflow.parentRunId": "f" * 32, PROCESS: "1", IMPORTING: "yes", "mine": "kept"}
    document = dataclasses.replace(parcel.run, tags={**parcel.run.tags, **planted, IMPORTED_FROM: "x"})
    written.file.write_bytes(pack(document, (), {}, "s")[0])
    use("here")
    (found,) = import_runs([written.file])
    tags = open_store().client.get_run(found.run_id).data.tags
    assert tags == {
        KIND: "pipeline",
        "mine": "kept",
        "mlflow.runName": "red kite",
        IMPORTED_FROM: f"{written.run_id} in s",
        IMPORT_DIGEST: found.digest,
    }


def test_it_is_json_through_and_through(there: There) -> None:
    """Any zip program and any JSON reader can look into a file."""
    with zipfile.ZipFile(there.file) as archive:
        manifest = json.loads(archive.read("manifest.json"))
        runs = [json.loads(archive.read(name)) for name in archive.namelist() if name.endswith("/run.json")]
    assert {run["name"] for run in runs} == {NAME, "numpy", "torch", "größer 🦊"}
    assert {run["parent"] for run in runs if run["run_id"] != manifest["run_id"]} == {manifest["run_id"]}

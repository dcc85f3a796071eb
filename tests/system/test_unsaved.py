"""A real `mlflow server` that is killed while a run goes on: nothing is lost, all is logged once."""

import dataclasses
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.tracking.location import locate
from tasks.tracking.read import open_existing, read_run
from tasks.tracking.waiting import waiting
from tasks.tracking.write import tracked
from tests.migrated_store import migrated_database
from tests.system.conftest import BIN, Processes, answers, free_port, wait_for
from vecml.errors import StoreError
from vecml.report.summary import PipelineResult
from vecml.warnings import VecmlWarning

__all__ = ["migrated_database"]
pytestmark = [pytest.mark.system, pytest.mark.long]


class Server:
    """An `mlflow server` on one port, which can be killed and started again."""

    def __init__(self, started: Processes, folder: Path) -> None:
        self._started, self._folder, self._port = started, folder, free_port()
        self.address = f"http://127.0.0.1:{self._port}"
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        self._process = self._started(
            BIN / "mlflow", "server", "--host", "127.0.0.1", "--port", str(self._port), "--workers", "1",
            "--backend-store-uri", f"sqlite:///{self._folder}/mlflow.db",
            "--artifacts-destination", str(self._folder / "artifacts"),
            env={"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},  # a second process, which nothing here needs
        )  # fmt: skip
        wait_for(lambda: answers(f"{self.address}/health"), 250, "the MLflow server")

    def kill(self) -> None:
        self._started.end()
        wait_for(lambda: not answers(f"{self.address}/health"), 30, "the server's end")


@pytest.fixture
def server(
    started: Processes, tmp_path: Path, migrated_database: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Server]:
    folder = tmp_path / "server"
    folder.mkdir()
    (folder / "mlflow.db").write_bytes(migrated_database.read_bytes())
    one = Server(started, folder)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", one.address)
    monkeypatch.setenv("VECML_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    one.start()
    yield one
    started.end()


@pytest.mark.timeout(900)
@pytest.mark.filterwarnings("ignore:VML018", "ignore:VML010")
def test_killed_during_a_run(server: Server, tmp_path: Path, telling_result: PipelineResult) -> None:
    config = telling_result.config.model_copy(update={"name": "red kite"})
    result = dataclasses.replace(telling_result, config=config)
    with pytest.raises(StoreError) as caught, tracked(config, "cpu", None) as writer:  # noqa: PT012 -- in one run
        writer.log_data(result.table, result.split)
        server.kill()
        writer.log_setting(result.inference.setting)  # which ends nothing
        writer.log_result(result, "a note")
    run_id = writer.run.run_id
    kept = tmp_path / f"vecml-unsaved-{run_id}"
    assert caught.value.message == f"the tracking server {server.address} does not answer: Connection refused"
    assert str(caught.value.hint).startswith(f"the result is kept in {kept}, and logged by the next start of vecml; ")
    assert [one.run_id for one in waiting(locate())] == [run_id]
    server.start()
    with pytest.warns(VecmlWarning) as given:
        store = open_existing()
    lines = [str(one.message) for one in given]
    assert lines == [f"VML019 run red kite is logged now; {server.address} could not be written when it ended"]
    run = store.client.get_run(run_id)
    assert run.info.status == "FINISHED"
    assert run.data.params["engine"] == result.inference.setting.engine
    assert run.data.tags["mlflow.note.content"] == "a note"
    assert len(run.inputs.dataset_inputs) == 1
    assert len(run.outputs.model_outputs) == 1
    files = {item.path for item in store.client.list_artifacts(run_id)}
    assert {"model", "labels.npz", "result.json", "environment.json", "config.json", "pictures"} <= files
    assert read_run("red kite").model_digest == result.training.model.digest
    assert len(store.client.search_runs([store.experiment.experiment_id])) == 1
    assert not list(tmp_path.glob("*vecml-unsaved*"))

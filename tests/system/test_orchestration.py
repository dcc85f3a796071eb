"""A real Prefect server, pool and worker: deployed from prefect.yaml, triggered, cancelled."""

import json
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from mlflow.entities import Run
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId
from prefect.client.schemas.objects import FlowRun
from prefect.states import Cancelling

import vecml
from tests.system.conftest import BIN, check_out, left_over, runs_in, wait_for
from vecml import keys
from vecml.config import ENGINES

pytestmark = [pytest.mark.system, pytest.mark.xdist_group("orchestration")]

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def client(prefect_server: str) -> Iterator[SyncPrefectClient]:
    with SyncPrefectClient(prefect_server) as connected:
        yield connected


@pytest.fixture
def worker(deployed: dict[str, str], started: Start, tmp_path: Path) -> "subprocess.Popen[str]":
    """A process worker of the pool whose runs land in the test's folder, which is a checkout."""
    check_out(tmp_path)
    return started(
        BIN / "prefect",
        *("worker", "start", "--pool", "vecml", "--limit", "1"),
        env={**deployed, "VECML_HOME": str(tmp_path)},
        log=tmp_path / "worker.log",
    )


def triggered(client: SyncPrefectClient, name: str, config: dict[str, Any], flow: str = "pipeline") -> FlowRun:
    """A flow run of a deployment, scheduled now."""
    deployment = client.read_deployment_by_name(f"{flow}/{name}")
    return client.create_flow_run_from_deployment(deployment.id, parameters={"config": config})


def state_of(client: SyncPrefectClient, flow_run: FlowRun) -> str:
    state = client.read_flow_run(flow_run.id).state
    return state.type.value if state else ""


def test_a_worker_runs_a_deployment_and_the_record_has_every_key(
    client: SyncPrefectClient, worker: "subprocess.Popen[str]", tmp_path: Path
) -> None:
    flow_run = triggered(client, "nightly", {"rows": 400, "epochs": 1})
    wait_for(lambda: state_of(client, flow_run) in ("COMPLETED", "FAILED", "CRASHED"), 120, "the flow run")
    assert state_of(client, flow_run) == "COMPLETED", (tmp_path / "worker.log").read_text()
    (run,) = runs_in(tmp_path)
    assert run.info.status == "FINISHED"
    assert set(run.data.params) == set(keys.PARAMS)
    assert {*run.data.metrics, "infer/fraction_of_limit"} == set(keys.METRICS) - keys.SOMETIMES
    assert {name for name in run.data.tags if not name.startswith("mlflow.")} == set(keys.TAGS) - {
        keys.ERROR,
        keys.CHOICE,
        keys.STOPPED,
    }
    assert run.data.tags["prefect.flow_run_id"] == str(flow_run.id)
    artifacts = client.read_artifacts(
        artifact_filter=ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[flow_run.id]))
    )
    by_key = {artifact.key: artifact for artifact in artifacts}
    assert set(by_key) == {"mlflow-run", "results"}
    assert run.info.run_id in str(by_key["mlflow-run"].data)
    assert "accuracy" in {row["result"] for row in json.loads(str(by_key["results"].data))}
    labels_a_folder(client, run, tmp_path)


def labels_a_folder(client: SyncPrefectClient, run: Run, folder: Path) -> None:
    """The deployment of a batch labels files by that run's model, and is a run of its own."""
    encoding = vecml.load(Path(run.info.artifact_uri.removeprefix("file://")) / "model").encoding
    (folder / "data").mkdir()
    for number in range(2):
        rows = {column.name: [0.1, 0.2, 0.3] for column in encoding.columns}
        pq.write_table(pa.table(rows), folder / "data" / f"{number}.parquet")
    asked = {"data": "data", "out": "labels", "model": run.info.run_id, "name": "labels"}
    flow_run = triggered(client, "batch", asked, "predict")
    wait_for(lambda: state_of(client, flow_run) in ("COMPLETED", "FAILED", "CRASHED"), 120, "the flow run")
    assert state_of(client, flow_run) == "COMPLETED", (folder / "worker.log").read_text()
    assert pq.read_table(folder / "labels").num_rows == 6
    (labels,) = [one for one in runs_in(folder) if one.data.tags["vecml.kind"] == keys.PREDICT]
    assert (labels.info.status, labels.info.run_name) == ("FINISHED", "labels")
    assert labels.data.tags["prefect.flow_run_id"] == str(flow_run.id)
    assert labels.data.metrics["predict/rows"] == 6


def test_a_run_on_a_worker_that_is_cancelled_is_killed(
    client: SyncPrefectClient, worker: "subprocess.Popen[str]", tmp_path: Path
) -> None:
    flow_run = triggered(client, "cpu", {"rows": 300_000, "epochs": 1_000, "device": "cpu"})
    wait_for(lambda: runs_in(tmp_path), 60, "the run")
    time.sleep(1)
    client.set_flow_run_state(flow_run.id, Cancelling())
    wait_for(lambda: state_of(client, flow_run) == "CANCELLED", 60, "the cancellation")
    wait_for(lambda: runs_in(tmp_path)[0].info.status != "RUNNING", 30, "the end of the run")
    (run,) = runs_in(tmp_path)
    assert run.info.status == "KILLED"
    assert run.data.tags["vecml.error"]


def test_a_run_from_the_terminal_is_cancelled_from_the_ui_too(
    client: SyncPrefectClient, prefect_server: str, started: Start, tmp_path: Path
) -> None:
    process = started(
        BIN / "vecml",
        *("run", "--rows", "300000", "--epochs", "1000"),
        env={"PREFECT_API_URL": prefect_server, "VECML_TEST_MARK": str(tmp_path)},
        log=tmp_path / "run.log",
    )
    wait_for(lambda: runs_in(tmp_path), 60, "the run")
    (started_run,) = runs_in(tmp_path)
    flow_run = client.read_flow_run(UUID(started_run.data.tags["prefect.flow_run_id"]))
    client.set_flow_run_state(flow_run.id, Cancelling())
    assert process.wait(60) == 128 + signal.SIGTERM
    (run,) = runs_in(tmp_path)
    assert run.info.status == "KILLED"
    assert state_of(client, flow_run) == "CANCELLED"
    wait_for(lambda: not [line for line in left_over(str(tmp_path)) if "vecml" in line], 10, "the end of the run")


def test_the_form_has_choices(client: SyncPrefectClient, deployed: dict[str, str]) -> None:
    schema = client.read_deployment_by_name("pipeline/cpu").parameter_openapi_schema
    properties = schema["definitions"]["PipelineConfig"]["properties"]
    assert properties["engine"]["enum"] == ["auto", *ENGINES]
    assert properties["device"]["enum"] == ["auto", "cpu", "cuda", "mps"]
    assert properties["activation"]["enum"] == ["relu", "gelu", "tanh", "sigmoid"]
    assert properties["rows"]["default"] == 5_000


def test_schedules_are_there_and_off(client: SyncPrefectClient, deployed: dict[str, str]) -> None:
    (schedule,) = client.read_deployment_by_name("pipeline/nightly").schedules
    assert not schedule.active
    for name in ("nightly", "cpu", "cuda"):
        environment = client.read_deployment_by_name(f"pipeline/{name}").job_variables["env"]
        assert environment["DO_NOT_TRACK"] == environment["MLFLOW_DISABLE_TELEMETRY"] == "true"
    assert client.read_deployment_by_name("pipeline/cuda").work_queue_name == "cuda"
    assert client.read_deployment_by_name("pipeline/cpu").work_queue_name == "cpu"

"""What stands in the store after a run is what the run found: every step, tag and file, read back from a real one."""

import dataclasses
import io
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from mlflow.entities import Run

import flows.pipeline
from tasks.tracking import side_process, write
from tasks.tracking.side_process import input_example
from tasks.tracking.store import open_store
from tasks.tracking.write import tracked
from vecml import keys, record
from vecml.config import Setting
from vecml.measure.clock import Timed
from vecml.model.simple_models import SimpleModel
from vecml.report.summary import PipelineResult


class Written:
    """Stands where the process that makes the slow files does: keeps what it is asked for."""

    def __init__(self) -> None:
        self.request: dict[str, Any] = {}
        self.example_NF = np.empty((0, 0), np.float32)

    def write(self, folder: Path, request: dict[str, Any]) -> None:
        self.request = request
        self.example_NF = np.load(folder / side_process.EXAMPLE)
        for name in (side_process.MODEL, side_process.PICTURES):
            (folder / name).mkdir()
            (folder / name / "made").write_text(name)

    def close(self) -> None:
        """Nothing runs."""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(autouse=True)
def written(home: Path, monkeypatch: pytest.MonkeyPatch) -> Written:
    """The store is the module's own."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("VECML_HOME", str(home))
    stand_in = Written()
    monkeypatch.setattr(write, "file_writer", lambda: stand_in)
    return stand_in


def logged(result: PipelineResult, flow_run_id: str, note: str = "a note") -> Run:
    """The run that `tracked` made of a result, read back."""
    with tracked(result.config, result.inference.setting.device, flow_run_id) as writer:
        writer.log_data(result.table, result.split)
        writer.log_setting(result.inference.setting)
        writer.log_result(result, note)
    return open_store().client.get_run(writer.run.run_id)


def test_a_run_reads_back_as_it_was(telling_result: PipelineResult, written: Written) -> None:
    client = open_store().client
    run = logged(telling_result, "flow-7")
    assert run.info.status == "FINISHED"
    losses = telling_result.training.losses
    history = client.get_metric_history(run.info.run_id, keys.LOSS_METRIC)
    assert sorted((point.step, point.value) for point in history) == list(enumerate(losses, 1))
    assert len(set(losses)) == len(losses) == telling_result.config.epochs
    assert run.data.metrics == {**record.metrics(telling_result), keys.LOSS_METRIC: losses[-1]}
    assert run.data.params == json.loads(record.to_json(telling_result))["params"]
    assert set(run.data.params) == set(keys.PARAMS)
    tags = {name: text for name, text in run.data.tags.items() if not name.startswith("mlflow.")}
    assert set(tags) == set(keys.TAGS) - {keys.ERROR, keys.STOPPED}
    assert {name: tags[name] for name in (*keys.END_TAGS, keys.CHOICE)} == record.end_tags(telling_result)
    assert tags[keys.FLOW_RUN] == "flow-7"
    assert run.data.tags["mlflow.note.content"] == "a note"


def test_the_files_of_a_run_are_its_own(telling_result: PipelineResult, written: Written, tmp_path: Path) -> None:
    client = open_store().client
    run = logged(telling_result, "flow-8")
    train = telling_result.split.train
    np.testing.assert_array_equal(written.example_NF, [train.x_FN[:, row] for row in range(side_process.EXAMPLE_ROWS)])
    assert written.example_NF.any(axis=1).all()
    (output,) = run.outputs.model_outputs
    assert client.get_logged_model(output.model_id).source_run_id == run.info.run_id
    assert (written.request["run_id"], written.request["model_id"]) == (run.info.run_id, output.model_id)
    assert tuple(written.request["losses"]) == telling_result.training.losses
    assert written.request["confusion"] == telling_result.evaluation.confusion_CC.tolist()
    content = Path(client.download_artifacts(run.info.run_id, "labels.npz", str(tmp_path))).read_bytes()
    labels = np.load(io.BytesIO(content), allow_pickle=False)
    np.testing.assert_array_equal(labels["label_N"], telling_result.inference.label_N)


@pytest.mark.parametrize(
    ("x_FN", "example"),
    [
        ([[1, 2, 3, 4], [5, 6, 7, 8]], [[1, 5], [2, 6], [3, 7]]),
        ([[1, 2], [5, 6]], [[1, 5], [2, 6], [1, 5]]),
        ([[9]], [[9], [9], [9]]),
    ],
)
def test_the_input_example_is_the_first_rows(x_FN: list[list[float]], example: list[list[float]]) -> None:
    np.testing.assert_array_equal(input_example(np.array(x_FN, np.float32)), example)


@pytest.mark.parametrize(
    ("error", "status"), [(ValueError, "FAILED"), (OSError, "FAILED"), (KeyboardInterrupt, "KILLED")]
)
def test_an_error_is_kept_without_its_password(
    telling_result: PipelineResult, error: type[BaseException], status: str
) -> None:
    text = "cannot reach\n postgresql://someone:hunter2@host/db"
    with pytest.raises(error), tracked(telling_result.config, "cpu", None) as writer:
        raise error(text)
    run = open_store().client.get_run(writer.run.run_id)
    assert run.info.status == status
    kept = run.data.tags[keys.ERROR]
    assert "cannot reach postgresql://" in kept
    assert kept.endswith("***@host/db")
    assert "hunter2" not in str(run.to_dictionary())
    assert error.__name__ in kept


def test_every_stage_gets_its_own_time(telling_result: PipelineResult, monkeypatch: pytest.MonkeyPatch) -> None:
    """The flow's function with stand-ins for the tasks, each of which says that it took another time."""
    given = telling_result
    logs: list[PipelineResult] = []
    settings: list[Setting] = []
    writer = SimpleNamespace(
        environment=given.environment,
        run=given.run,
        log_data=lambda table, split: None,
        log_setting=settings.append,
        log_result=lambda result, note: logs.append(result),
    )

    @contextmanager
    def stand_in(*arguments: object) -> Iterator[SimpleNamespace]:
        yield writer

    inference = dataclasses.replace(given.inference, load_seconds=4.0)
    simple = (SimpleModel("logistic regression", "logistic", 0.5, 1, 2, 1.0),)
    answers: dict[str, Callable[..., object]] = {
        "generate": lambda config: Timed(given.table, 1.0),
        "split": lambda table, config: Timed(given.split, 2.0),
        "train": lambda split, config, device: Timed(given.training, 3.0),
        "vectorized_infer": lambda model, test, complete: inference if settings == [complete.setting] else None,
        "evaluate": lambda split, inference, replicas: Timed(given.evaluation, 6.0),
        "simple_models": lambda split, inference, config: simple if inference.load_seconds == 4.0 else (),
        "stop_when_cancelled": nullcontext,
        "tracked": stand_in,
        "publish": lambda result: None,
    }
    for name, answer in answers.items():
        monkeypatch.setattr(flows.pipeline, name, answer)
    result = flows.pipeline.pipeline_flow.fn(given.config)
    per_call = 0.02 / 4  # the median block of the telling result
    assert result.seconds == {
        "generate": 1.0,
        "split": 2.0,
        "train": 3.0,
        "load_engine": 4.0,
        "infer": pytest.approx(per_call),
        "evaluate": 6.0,
    }
    assert logs == [result]
    assert result.simple == simple
    assert result.table.columns == ()

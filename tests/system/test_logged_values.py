"""What a real run leaves in MLflow, recomputed from its own files: labels, losses, times, model."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.models import Model as MLflowModel
from scipy.stats import binomtest
from sklearn.metrics import accuracy_score, f1_score

import vecml
from tests.system.conftest import runs_in
from tests.system.forked_commands import Commands
from vecml import keys
from vecml.config import make_config
from vecml.data.sources import load_table
from vecml.data.split import Split, split_table

pytestmark = [pytest.mark.system, pytest.mark.xdist_group("logged values")]

ASKED = {"rows": 2000, "epochs": 3}


@dataclass(frozen=True)
class Finished:
    """A run that has ended.

    Attributes:
        run: as MLflow has it.
        printed: what `--json -` said.
        artifacts: the folder of the run's files.
        model: the folder of its logged model.
        client: MLflow's, for its store.
    """

    run: Run
    printed: dict[str, Any]
    artifacts: Path
    model: Path
    client: MlflowClient


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, forked: Commands) -> Finished:
    folder = tmp_path_factory.mktemp("run")
    flags = [part for name, value in ASKED.items() for part in (f"--{name}", str(value))]
    done = forked(("run", *flags, "--json", "-"), folder)
    assert done.returncode == 0, done.stderr
    (run,) = runs_in(folder)
    client = MlflowClient(f"sqlite:///{folder / 'mlruns' / 'mlflow.db'}")
    (output,) = run.outputs.model_outputs
    return Finished(
        run=run,
        printed=json.loads(done.stdout),
        artifacts=folder / "mlruns" / "artifacts" / run.info.run_id / "artifacts",
        model=Path(client.get_logged_model(output.model_id).artifact_location),
        client=client,
    )


@pytest.fixture(scope="module")
def split() -> Split:
    """The parts that the run had: the same rows, drawn again."""
    config = make_config(ASKED)
    return split_table(load_table(config), config.test_fraction, config.seed)


def test_the_labels_give_the_logged_scores(finished: Finished, split: Split) -> None:
    labels = np.load(finished.artifacts / "labels.npz", allow_pickle=False)
    true_N, label_N = labels["true_N"], labels["label_N"]
    np.testing.assert_array_equal(labels["row_N"], split.test.row_N)
    np.testing.assert_array_equal(true_N, split.test.label_N)
    right = int((true_N == label_N).sum())
    interval = binomtest(right, len(true_N)).proportion_ci(0.95, method="wilson")
    expected = {
        "test/accuracy": accuracy_score(true_N, label_N),
        "test/accuracy_low": interval.low,
        "test/accuracy_high": interval.high,
        "test/macro_f1": f1_score(true_N, label_N, average="macro"),
        "test/majority_accuracy": (true_N == np.bincount(split.train.label_N).argmax()).mean(),
        "test/flips": len(labels["flip_row"]),
    }
    logged = finished.run.data.metrics
    assert {name: logged[name] for name in expected} == pytest.approx(expected, rel=1e-9)
    assert 0 < right < len(true_N) == 400
    assert len({logged[name] for name in expected}) == len(expected)


def test_the_loss_of_every_epoch_falls(finished: Finished) -> None:
    history = finished.client.get_metric_history(finished.run.info.run_id, keys.LOSS_METRIC)
    points = sorted((point.step, point.value) for point in history)
    losses = [loss for _, loss in points]
    assert [step for step, _ in points] == [1, 2, 3]
    assert losses == sorted(set(losses), reverse=True)
    assert losses[-1] > 0
    assert losses == finished.printed["losses"]


def test_every_metric_is_what_the_command_printed(finished: Finished) -> None:
    logged = finished.run.data.metrics
    assert {name: value for name, value in logged.items() if name != keys.LOSS_METRIC} == finished.printed["metrics"]
    times = [logged[name] for name in keys.TIME_METRICS]
    assert len(set(times)) == len(keys.STAGES)
    assert min(times) > 0
    assert logged["infer/rows_per_s"] == pytest.approx(400 / logged["time/infer_s"])
    assert 10 < logged["infer/peak_rss_mb"] < 100_000


def test_the_params_and_tags_are_what_the_command_printed(finished: Finished) -> None:
    assert finished.run.data.params == finished.printed["params"]
    assert {name: finished.run.data.tags[name] for name in keys.END_TAGS} == finished.printed["tags"]


def test_the_input_example_is_the_first_training_rows(finished: Finished, split: Split) -> None:
    example_NF = MLflowModel.load(str(finished.model)).load_input_example(str(finished.model))
    np.testing.assert_allclose(example_NF, split.train.x_FN[:, : len(example_NF)].T, rtol=1e-6)
    assert np.asarray(example_NF).any(axis=1).all()


def test_the_digest_is_that_of_the_model_that_loads(finished: Finished) -> None:
    tags = finished.run.data.tags
    for folder in (finished.artifacts / "model", finished.model):
        model = vecml.load(folder).model
        assert tags["vecml.model_digest"] == model.digest
        assert tags["vecml.architecture_digest"] == model.architecture.digest
    assert tags["vecml.data_digest"] == load_table(make_config(ASKED)).digest

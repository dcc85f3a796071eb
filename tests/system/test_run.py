"""`vecml run` as a stranger would run it: real data, real store, fresh processes."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest
from mlflow import MlflowClient

from tests.system.conftest import BIN, SMALL, answers, free_port, left_over, runs_in, wait_for
from vecml import keys

pytestmark = pytest.mark.system

Vecml = Callable[..., "subprocess.CompletedProcess[str]"]


def test_the_default_run(vecml_alone: Vecml, tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    done = vecml_alone("run", env={"VECML_TEST_MARK": str(tmp_path), "TMPDIR": str(scratch)})
    assert done.returncode == 0, done.stderr
    assert list(scratch.glob("vecml-*")) == []
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    assert "test rows labelled right" in lines[0]
    assert max(map(len, lines[:-1])) <= 80
    (run,) = runs_in(tmp_path)
    assert run.info.status == "FINISHED"
    assert set(run.data.params) == set(keys.PARAMS)
    # A machine that is busy has no limit to be held against.
    assert {*run.data.metrics, "infer/fraction_of_limit"} == set(keys.METRICS) - keys.SOMETIMES
    assert {name for name in run.data.tags if not name.startswith("mlflow.")} == set(keys.TAGS) - {
        keys.ERROR,
        keys.CHOICE,
        keys.STOPPED,
    }
    assert run.data.metrics["test/accuracy"] > 0.9
    assert run.data.metrics["test/flips"] == 0
    assert lines[-1] == f"http://127.0.0.1:5000/#/experiments/1/runs/{run.info.run_id}?workflowType=machine_learning"
    (data_set,) = run.inputs.dataset_inputs
    assert data_set.dataset.digest == run.data.tags["vecml.data_digest"]
    assert not left_over(str(tmp_path))


def test_artifacts_and_model(vecml: Vecml, tmp_path: Path) -> None:
    assert vecml("run", *SMALL).returncode == 0
    (run,) = runs_in(tmp_path)
    folder = tmp_path / "mlruns" / "artifacts" / run.info.run_id / "artifacts"
    found = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert found == {
        "config.json",
        "result.json",
        "environment.json",
        "labels.npz",
        "model/model.json",
        "model/model.safetensors",
        "model/preprocessing.json",
        "pictures/confusion.png",
        "pictures/loss.png",
        "preprocessing.json",
        "warnings.txt",  # one epoch over 400 rows is no better than guessing
    }
    client = MlflowClient(f"sqlite:///{tmp_path / 'mlruns' / 'mlflow.db'}")
    (output,) = run.outputs.model_outputs
    model = client.get_logged_model(output.model_id)
    assert model.status == "READY"
    assert model.source_run_id == run.info.run_id
    requirements = (Path(model.artifact_location) / "requirements.txt").read_text().split()
    assert all("==" in line for line in requirements)


LOAD_BOTH_WAYS = """
import json, sys
import numpy as np, pyarrow.parquet
import mlflow, vecml
run_folder, model_folder, data, target = sys.argv[1:5]
classifier = vecml.load(run_folder + "/model")
logged = np.load(run_folder + "/labels.npz", allow_pickle=False)
names = logged["classes"]
table = pyarrow.parquet.read_table(data).take(logged["row_N"])
from vecml.data.raw import raw_columns
x_FN, _ = classifier.encoding.transform(raw_columns(table, classifier.encoding))
pyfunc = mlflow.pyfunc.load_model(model_folder)
for n in (1, 2, table.num_rows):
    want = names[logged["label_N"][:n]]
    raw = vecml.predict(classifier, table.slice(0, n))
    assert (raw == want).all(), "vecml"
    logits = pyfunc.predict(np.ascontiguousarray(x_FN[:, :n].T))
    assert logits.shape == (n, len(names))
    assert (names[np.asarray(logits).argmax(1)] == want).all(), "pyfunc"
print(table.num_rows)
"""


def messy_csv(folder: Path, rows: int, seed: int = 3) -> Path:
    """Text labels, missing values, a category and a constant column."""
    rng = np.random.default_rng(seed)
    size = rng.normal(50_000, 10, rows)
    colour = rng.choice(["red", "green", "blue"], rows)
    score = rng.normal(size=rows)
    label = np.where(score + (size - 50_000) / 10 + (colour == "red") > 0.3, "yes, it is", "no")
    lines = ["size,colour,score,same,flag,label"]
    for index in range(rows):
        figure = "" if index % 11 == 0 else repr(float(score[index]))
        paint = "" if index % 13 == 0 else colour[index]
        flag = ("true", "false")[index % 2]
        name = "" if index < 5 else f'"{label[index]}"'
        lines.append(f"{size[index]:.3f},{paint},{figure},7,{flag},{name}")
    path = folder / "messy.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_a_csv_and_the_same_parquet_and_the_model_in_a_fresh_process(
    vecml: Vecml, tmp_path: Path, environment: dict[str, str]
) -> None:
    csv = messy_csv(tmp_path, 50_000)
    table = pa.csv.read_csv(csv, convert_options=pa.csv.ConvertOptions(strings_can_be_null=True))
    pa.parquet.write_table(table, tmp_path / "messy.parquet")
    for name in ("messy.csv", "messy.parquet"):
        done = vecml("run", "--data", name, "--target", "label", "--name", name)
        assert done.returncode == 0, done.stderr
        assert "VML001 column 'same' dropped: constant\n" in done.stderr
        assert "VML002 5 rows" in done.stderr
    two, one = runs_in(tmp_path)
    assert one.data.tags["vecml.data_digest"] == two.data.tags["vecml.data_digest"]
    assert one.data.metrics["test/accuracy"] == two.data.metrics["test/accuracy"] > 0.9
    run_folder = tmp_path / "mlruns" / "artifacts" / one.info.run_id / "artifacts"
    model = MlflowClient(f"sqlite:///{tmp_path / 'mlruns' / 'mlflow.db'}").get_logged_model(
        one.outputs.model_outputs[0].model_id
    )
    fresh = subprocess.run(
        [
            sys.executable,
            "-c",
            LOAD_BOTH_WAYS,
            run_folder,
            model.artifact_location,
            tmp_path / "messy.parquet",
            "label",
        ],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert fresh.returncode == 0, fresh.stderr
    assert fresh.stdout.strip() == str(round(0.2 * (50_000 - 5)))


@pytest.mark.parametrize(
    ("name", "floor"), [("digits", 0.95), pytest.param("breast_cancer", 0.94, marks=pytest.mark.long)]
)
def test_accuracy_on_real_data(vecml: Vecml, tmp_path: Path, name: str, floor: float) -> None:
    done = vecml("run", "--data", f"sklearn:{name}", "--epochs", "60", "--json", "-")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["version"] == 1
    assert result["metrics"]["test/accuracy"] > floor


def test_replicas_are_tracked_with_their_interval(vecml: Vecml, tmp_path: Path) -> None:
    done = vecml("run", *SMALL, "--replicas", "3", "--json", "result.json")
    assert done.returncode == 0, done.stderr
    assert "replicas" in done.stdout
    result = json.loads((tmp_path / "result.json").read_text())
    (run,) = runs_in(tmp_path)
    assert run.data.params["replicas"] == result["params"]["replicas"] == "3"
    assert {*run.data.metrics, "infer/fraction_of_limit"} == (set(keys.METRICS) - keys.SOMETIMES) | set(
        keys.REPLICA_METRICS
    )
    low, mean, high = (run.data.metrics[f"test/replicas_accuracy_{end}"] for end in ("low", "mean", "high"))
    assert len(result["replicas_accuracy"]) == 3
    assert 0 <= low <= mean <= high <= 1
    assert mean == pytest.approx(sum(result["replicas_accuracy"]) / 3)


@pytest.mark.parametrize("engine", ["row_loop", pytest.param("numpy", marks=pytest.mark.long), "torch"])
def test_every_engine_gives_the_same_labels(vecml: Vecml, tmp_path: Path, engine: str) -> None:
    done = vecml("run", *SMALL, "--engine", engine, "--json", "-")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["params"]["engine"] == engine
    assert result["metrics"]["test/flips"] == 0


def test_a_real_mlflow_server_gets_everything(vecml: Vecml, mlflow_server: str, tmp_path: Path) -> None:
    done = vecml("run", *SMALL, "--name", "proxied", env={"MLFLOW_TRACKING_URI": mlflow_server})
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].startswith(f"{mlflow_server}/#/experiments/")
    (run,) = (run for run in runs_in(mlflow_server) if run.info.run_name == "proxied")
    assert run.info.status == "FINISHED"
    assert {*run.data.metrics, "infer/fraction_of_limit"} == set(keys.METRICS) - keys.SOMETIMES
    assert not (tmp_path / "mlruns").exists()
    client, (model,) = MlflowClient(mlflow_server), run.outputs.model_outputs
    names = {
        file.path for folder in ("", "model", "pictures") for file in client.list_artifacts(run.info.run_id, folder)
    }
    assert {"model/model.safetensors", "labels.npz", "pictures/loss.png"} <= names
    assert "model.pt2" in {Path(file.path).name for file in client.list_logged_model_artifacts(model.model_id, "data")}


def test_the_ui_shows_our_store(vecml: Vecml, started: Callable[..., "subprocess.Popen[str]"], tmp_path: Path) -> None:
    port = free_port()
    log = tmp_path / "ui.log"
    started(BIN / "vecml", "ui", "--port", str(port), log=log)
    wait_for(lambda: answers(f"http://127.0.0.1:{port}/health"), 90, "the UI")
    assert f"Our runs: http://127.0.0.1:{port}/#/experiments/1/runs?workflowType=machine_learning" in log.read_text()
    taken = vecml("ui", "--port", str(port))
    assert taken.returncode == 2
    assert taken.stderr == f"error: --port {port}: Address already in use\nhint: try --port {port + 1}\n"


def test_a_database_elsewhere_keeps_everything_there(vecml: Vecml, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    done = vecml("run", *SMALL, env={"MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path}/elsewhere/runs.db"})
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "mlruns").exists()
    assert {path.name for path in (tmp_path / "elsewhere").iterdir()} == {"runs.db", "artifacts"}
    assert "vecml ui" in done.stdout


def test_no_argument_is_help_and_nothing_else(vecml: Vecml) -> None:
    done = vecml()
    assert (done.returncode, done.stderr) == (0, "")
    assert "Usage: vecml" in done.stdout
    assert vecml("--version").stdout == "vecml 0.2.0\n"

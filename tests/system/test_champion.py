"""Choosing and shipping as a user does it: runs, a champion, a refusal, a rollback, and a file labelled by it."""

import json
import os
import subprocess
import urllib.request
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest
from sklearn.datasets import load_digits

import vecml as library
from tests.system.conftest import BIN, Processes, answers, free_port, wait_for
from vecml.data.raw import raw_columns

pytestmark = [pytest.mark.system, pytest.mark.long, pytest.mark.timeout(1_200)]

Vecml = Callable[..., "subprocess.CompletedProcess[str]"]


def digits(path: Path) -> Path:
    found = load_digits(as_frame=True).frame.drop(columns="target")
    table = pa.table({name: found[name].to_numpy() for name in found.columns})
    pq.write_table(table, path, row_group_size=500)
    return path


def test_a_better_model_is_promoted_a_worse_one_refused_and_a_file_labelled(vecml: Vecml, tmp_path: Path) -> None:
    for name, more in (("bad", ("--epochs", "1")), ("good", ("--epochs", "30")), ("other", ("--seed", "1"))):
        done = vecml("run", "--data", "sklearn:digits", "--epochs", "30", *more, "--name", name)
        assert done.returncode == 0, done.stderr
    first = vecml("champion", "bad")
    assert first.returncode == 0, first.stderr
    better = vecml("champion", "good")
    assert better.returncode == 0, better.stderr
    assert "rows right against" in " ".join(better.stdout.split())
    worse = vecml("champion", "bad")
    assert worse.returncode == 1
    other_rows = vecml("champion", "other")  # of another seed: the champion labels that run's test part itself
    assert other_rows.returncode in (0, 1), other_rows.stderr
    assert "test rows right against" in " ".join(other_rows.stdout.split())
    if other_rows.returncode == 0:
        assert vecml("champion", "--rollback").returncode == 0
    shown = vecml("champion")
    assert "good" in shown.stdout

    data = digits(tmp_path / "new.parquet")
    out = tmp_path / "labels.parquet"
    done = vecml("predict", "--model", "models:/vecml@champion", "--data", str(data), "--out", str(out))
    assert done.returncode == 0, done.stderr
    (folder,) = (tmp_path / "mlruns" / "artifacts").glob(f"{run_id(vecml)}/artifacts/model")
    expected = library.predict(library.load(folder), data)
    assert (np.array(pq.read_table(out)["prediction"].to_pylist()) == expected).all()
    as_csv = tmp_path / "labels.csv"
    more = ("--keep", "pixel_0_1", "--probabilities", "--id")
    done = vecml("predict", "--model", "good", "--data", str(data), "--out", str(as_csv), *more)
    assert done.returncode == 0, done.stderr
    table = pa_csv.read_csv(as_csv)
    assert table.column_names[:3] == ["row", "pixel_0_1", "prediction"]
    assert len(table.column_names) == 13
    assert [str(label) for label in table["prediction"].to_pylist()] == expected.tolist()

    renamed = pq.read_table(data).rename_columns(other_names(data))
    pq.write_table(renamed, tmp_path / "renamed.parquet")
    refused = vecml("predict", "--model", "good", "--data", str(tmp_path / "renamed.parquet"), "--out", str(out))
    assert refused.returncode == 2
    assert "error: there is no column 'pixel_3_4' in renamed.parquet\nhint: did you mean 'pixel_3_x'?" in refused.stderr
    assert not list(tmp_path.glob(".labels*"))


def other_names(path: Path) -> list[str]:
    return ["pixel_3_x" if name == "pixel_3_4" else name for name in pq.read_table(path).column_names]


def run_id(vecml: Vecml) -> str:
    """Of the champion."""
    told = json.loads(vecml("champion", "--json").stdout)
    (champion,) = (version for version in told["versions"] if version["number"] == told["champion"])
    return str(champion["run_id"])


def test_the_champion_is_served_by_mlflow(vecml: Vecml, started: Processes, tmp_path: Path) -> None:
    done = vecml("run", "--data", "sklearn:digits", "--epochs", "30", "--name", "served")
    assert done.returncode == 0, done.stderr
    assert vecml("champion", "served").returncode == 0
    port = free_port()
    store = f"sqlite:///{tmp_path}/mlruns/mlflow.db"
    serving = ("-m", "models:/vecml@champion", "--env-manager", "local", "--host", "127.0.0.1", "--port", str(port))
    started(
        BIN / "mlflow",
        "models",
        "serve",
        *serving,
        env={"MLFLOW_TRACKING_URI": store, "MLFLOW_DISABLE_TELEMETRY": "true", "PATH": f"{BIN}:{os.environ['PATH']}"},
    )
    wait_for(lambda: answers(f"http://127.0.0.1:{port}/health"), 90, "mlflow models serve")
    (folder,) = (tmp_path / "mlruns" / "artifacts").glob(f"{run_id(vecml)}/artifacts/model")
    classifier = library.load(folder)
    table = pq.read_table(digits(tmp_path / "new.parquet"))
    x_FN, _ = classifier.encoding.transform(raw_columns(table, classifier.encoding))
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/invocations",
        data=json.dumps({"inputs": x_FN[:, :100].T.tolist()}).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30) as response:
        logits_NC = np.array(json.load(response)["predictions"])
    expected = library.predict(classifier, tmp_path / "new.parquet")[:100]
    assert (np.array(classifier.model.classes)[logits_NC.argmax(axis=1)] == expected.astype(str)).all()

"""What is read before the flow begins: the flow takes it, once, and the run has its seconds and its warnings."""

import gzip
import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.system.conftest import BIN, runs_in
from tests.system.forked_commands import Commands

pytestmark = pytest.mark.system


def test_the_warnings_of_reading_are_shown_once_and_kept(
    vecml: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    rows = "".join(f"{row % 7},5,{'yes' if row % 7 > 3 else 'no'}\n" for row in range(200))
    (tmp_path / "table.csv").write_text("a,same,label\n" + rows)
    done = vecml("run", "--data", "table.csv", "--target", "label", "--epochs", "1", "--json", "result.json")
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("VML001") == 1
    (run,) = runs_in(tmp_path)
    assert run.info.status == "FINISHED"
    assert run.data.params["n_rows"] == "200"
    assert 0 < run.data.metrics["time/generate_s"] < 60
    assert 0 < run.data.metrics["time/split_s"] < 60
    assert json.loads((tmp_path / "result.json").read_text())["params"]["n_features"] == "1"
    (kept,) = (tmp_path / "mlruns").rglob("warnings.txt")
    assert "VML001 column 'same' dropped: constant" in kept.read_text()
    assert kept.read_text().count("VML001") == 1


SCRIPT = """
import pandas as pd
from flows.pipeline import pipeline
if __name__ == "__main__":
    table = pd.DataFrame({"a": range(200), "b": [row % 7 for row in range(200)]})
    table["label"] = ["yes" if row % 7 > 3 else "no" for row in range(200)]
    result = pipeline(data=table, target="label", epochs=2, drop=("a",))
    print(result.table.n_rows, result.config.data)
"""


def test_a_data_frame_is_trained_on_and_stays_out_of_prefect(tmp_path: Path, forked: Commands) -> None:
    done = forked.script(SCRIPT, tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "200 python:pandas.DataFrame"
    (run,) = runs_in(tmp_path)
    assert run.info.status == "FINISHED"
    assert run.data.params["data_source"] == "python:pandas.DataFrame"
    assert run.data.params["n_features"] == "1"


def test_standard_input_is_read_once(
    vecml: Callable[..., subprocess.CompletedProcess[str]],
    environment: dict[str, str],
    shared_prefect: str,
    tmp_path: Path,
) -> None:
    rows = "".join(f"{row % 7};{row % 5};{'yes' if row % 7 > 3 else 'no'}\n" for row in range(200))
    (tmp_path / "table.csv").write_text("a;b;label\n" + rows)
    flags = ("--target", "label", "--epochs", "2", "--name")
    done = subprocess.run(
        [BIN / "vecml", "run", "--data", "-", *flags, "from -"],
        cwd=tmp_path,
        env={**environment, "PREFECT_API_URL": shared_prefect},
        input=gzip.compress(("a;b;label\n" + rows).encode()),
        capture_output=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    read = vecml("run", "--data", "table.csv", *flags, "from table.csv")
    assert read.returncode == 0, read.stderr
    piped, file = sorted(runs_in(tmp_path), key=lambda run: run.info.start_time)
    assert piped.data.params["data_source"] == "standard input"
    assert piped.data.tags["vecml.data_digest"] == file.data.tags["vecml.data_digest"]
    assert piped.data.tags["vecml.model_digest"] == file.data.tags["vecml.model_digest"]
    predicted = subprocess.run(
        [BIN / "vecml", "predict", "--data", "-", "--model", "from -", "--out", "labels.csv", "--json"],
        cwd=tmp_path,
        env=environment,
        input="b,a\n" + "1,2\n" * 9,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert predicted.returncode == 0, predicted.stderr
    assert json.loads(predicted.stdout)["rows"] == 9

"""Runs carried by file to a real server, and a checkout that was moved: with the commands that a user types."""

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow import MlflowClient

from tasks.tracking.comparison import tracked_comparison
from tasks.tracking.export_import import import_runs
from tests.made_comparison import comparison_of
from tests.system.conftest import runs_in
from vecml.comparison.document import to_json

pytestmark = [pytest.mark.system, pytest.mark.xdist_group("MLflow's server")]

Vecml = Callable[..., subprocess.CompletedProcess[str]]
COMPARISON = comparison_of({"numpy": 0.02, "torch": 0.01})


def test_a_moved_checkout_exports_and_a_server_takes_it(
    vecml: Vecml,
    mlflow_server: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    address = mlflow_server
    others = {run.info.run_id for run in runs_in(address)}
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("VECML_HOME", str(tmp_path / "there"))
    with tracked_comparison("größer 🦊") as writer:
        writer.log(COMPARISON, "a note")
    run_id, client = writer.run.run_id, writer.opened.store.client
    for step, value in enumerate((0.1, float("nan"), float("inf"), -0.0)):
        client.log_metric(run_id, "odd", value, timestamp=1_700_000_000_000, step=step)
    odd = [repr(one.value) for one in client.get_metric_history(run_id, "odd")]

    moved = tmp_path / "moved"
    shutil.move(tmp_path / "there", moved)
    written = vecml("export", run_id, "../x.zip", cwd=moved)
    assert written.returncode == 0, written.stderr
    assert written.stdout == "run größer 🦊 and its 2 settings is in ../x.zip\n"
    assert written.stderr == (
        f"VML015 the store was moved: addresses of 3 runs now name {moved / 'mlruns' / 'artifacts'}\n"
    )
    assert not (tmp_path / "there").exists()
    wrong = vecml("export", run_id[:10] + "z", "../z.zip", cwd=moved)
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert wrong.stderr.splitlines()[1] == f"hint: did you mean {run_id}?"

    taken = vecml("import", "x.zip", "--json", env={"MLFLOW_TRACKING_URI": address})
    assert taken.returncode == 0, taken.stderr
    (found,) = json.loads(taken.stdout)["runs"]
    assert found["original"] == run_id
    assert found["url"].startswith(f"{address}/#/experiments/")
    arrived = [run for run in runs_in(address) if run.info.run_id not in others]
    assert {run.info.status for run in arrived} == {"FINISHED"}
    remote = MlflowClient(address)
    assert [repr(one.value) for one in remote.get_metric_history(found["run_id"], "odd")] == odd
    path = Path(remote.download_artifacts(found["run_id"], "comparison.json", str(tmp_path)))
    assert path.read_text() == to_json(COMPARISON)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    (again,) = import_runs([tmp_path / "x.zip"])
    assert (again.run_id, again.known) == (found["run_id"], True)
    assert len(runs_in(address)) == len(others) + 3
    assert not (tmp_path / "mlruns").exists()

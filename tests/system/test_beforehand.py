"""What is read before the flow begins: the flow takes it, once, and the run has its seconds and its warnings."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.system.conftest import runs_in

if TYPE_CHECKING:
    import subprocess

pytestmark = pytest.mark.system


def test_the_warnings_of_reading_are_shown_once_and_kept(
    vecml: "Callable[..., subprocess.CompletedProcess[str]]", tmp_path: Path
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
    assert "VML001 column 'same' is constant" in kept.read_text()
    assert kept.read_text().count("VML001") == 1

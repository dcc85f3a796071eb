"""`vecml ladder` and `vecml lab` as people call them: workers, files, the tracked run; and what they refuse."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.system.conftest import runs_in

pytestmark = pytest.mark.system

Vecml = Callable[..., subprocess.CompletedProcess[str]]


@pytest.mark.long
def test_a_ladder_from_training_to_the_picture(vecml: Vecml, tmp_path: Path) -> None:
    done = vecml("ladder", "--quick", "--rows", "30000", "--picture", "l.png", "--json", "l.json")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "l.png").read_bytes().startswith(b"\x89PNG")
    content = json.loads((tmp_path / "l.json").read_text(encoding="utf-8"))
    rungs = {rung["name"]: rung for rung in content["rungs"]}
    assert list(rungs)[:6] == ["row loop", "ufuncs", "whole-array BLAS", "float32", "blocks", "columns"]
    assert all(rung["right"] for rung in rungs.values()), content["faults"]
    assert all(rung["rows_per_s"] > 0 for rung in rungs.values())
    busy = "No answer: other programs kept the machine busy"  # as the other worker of a test run may
    assert "times as many rows a second" in done.stdout or done.stdout.startswith(busy)
    (run,) = runs_in(tmp_path)
    assert (run.info.status, run.data.tags["vecml.kind"]) == ("FINISHED", "ladder")
    wrong = vecml("ladder", "--picture", "nowhere/l.png")
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert wrong.stderr == (
        "error: --picture nowhere/l.png: there is no folder nowhere\nhint: make it, or name another\n"
    )


@pytest.mark.long  # the same rungs as above over another network
def test_the_ladder_of_a_tracked_run(vecml: Vecml, tmp_path: Path) -> None:
    done = vecml("run", "--data", "sklearn:digits", "--epochs", "2", "--name", "climber")
    assert done.returncode == 0, done.stderr
    done = vecml("ladder", "--run", "climber", "--rows", "5000", "--quick", "--json", "l.json")
    assert done.returncode == 0, done.stderr
    rungs = json.loads((tmp_path / "l.json").read_text(encoding="utf-8"))["rungs"]
    assert all(rung["right"] for rung in rungs)
    refused = vecml("ladder", "--run", "nobody")
    assert refused.returncode == 2
    assert refused.stderr.startswith("error: there is no run")


def test_an_experiment_from_workers_to_the_page(vecml: Vecml, tmp_path: Path) -> None:
    done = vecml("lab", "broadcasting", "--quick", "--out", "lab", "--json", "lab.json")
    assert done.returncode == 0, done.stderr
    assert {path.name for path in (tmp_path / "lab").iterdir()} == {"broadcasting.png", "lab.html"}
    content = json.loads((tmp_path / "lab.json").read_text(encoding="utf-8"))["experiments"]["broadcasting"]
    assert len(content["sentences"]) == 3
    assert {cell["error"] for cell in content["cells"] if not cell["plain"]} == {0.0}
    tiled, direct = (
        [cell["allocated_bytes"] for cell in content["cells"] if cell["plain"] is plain] for plain in (True, False)
    )
    assert tiled[-1] > 10 * direct[-1]  # a buffer of NumPy's, which does not grow with the matrix
    (run,) = runs_in(tmp_path)
    assert (run.info.status, run.data.tags["vecml.kind"]) == ("FINISHED", "lab")
    wrong = vecml("lab", "simt")
    assert wrong.returncode == 2
    assert wrong.stderr.splitlines()[0] == "error: lab simt: there is no such experiment"

"""A comparison that is killed goes on where its last complete launch ended, and nothing is lost or there twice."""

import random
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow.entities import Run

from tests.system.conftest import BIN, left_over, runs_in, wait_for
from vecml.comparison.document import from_json

pytestmark = pytest.mark.system

Start = Callable[..., "subprocess.Popen[str]"]
ARGUMENTS = ("compare", "--rows", "20000", "--engines", "numpy,torch", "--budget", "40s")
SEED = 5


def whole(runs: list[Run], folder: Path, engines: set[str]) -> Run:
    """The one comparison there is, with a run for each setting; what was killed before its first launch is empty."""
    (parent,) = (run for run in runs if run.data.tags["vecml.kind"] == "compare" and run.info.status == "FINISHED")
    empty = [run for run in runs if run.data.tags["vecml.kind"] == "compare" and run is not parent]
    assert all(run.info.status == "KILLED" for run in empty)
    runs = [run for run in runs if run not in empty]
    children = [run for run in runs if run.data.tags["vecml.kind"] == "setting"]
    assert sorted(str(run.info.run_name) for run in children) == sorted(engines)
    assert {run.data.tags["mlflow.parentRunId"] for run in children} == {parent.info.run_id}
    assert {run.info.status for run in runs} == {"FINISHED"}
    path = folder / "mlruns" / "artifacts" / parent.info.run_id / "artifacts" / "comparison.json"
    comparison = from_json(path.read_bytes(), "it")
    assert {arm.name for arm in comparison.measured.arms if arm.role in ("arm", "baseline")} == engines
    for arm in comparison.measured.arms:
        assert [launch.launch for launch in arm.launches] == list(range(comparison.measured.launches))
        assert sorted(set(arm.blocks.launch)) == list(range(comparison.measured.launches))
    return parent


def killed(process: "subprocess.Popen[str]", seconds: float) -> bool:
    """Whether it still ran after so many seconds; then it is killed."""
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        process.wait(10)
        return True
    return False


def test_a_killed_comparison_goes_on(started: Start, tmp_path: Path) -> None:
    env = {"VECML_TEST_MARK": str(tmp_path), "VECML_CACHE": str(tmp_path / "cache")}
    draw = random.Random(SEED)
    for number, phase in enumerate(("launch", "logging")):
        process = started(BIN / "vecml", *ARGUMENTS, env=env, log=tmp_path / f"log-{number}")
        files = tmp_path / "cache" / "unfinished"
        word = '"comparison":"' if phase == "logging" else f'"launches":{number + 1}'
        wait_for(lambda place=files, word=word: any(word in one.read_text() for one in place.glob("*.json")), 90, phase)
        assert killed(process, draw.uniform(0, 0.3) if phase == "logging" else draw.uniform(0, 2))
        wait_for(lambda: not left_over(str(tmp_path)), 10, "the end of the workers")
    process = started(BIN / "vecml", *ARGUMENTS, env=env, log=tmp_path / "log")
    assert process.wait(120) == 0, (tmp_path / "log").read_text()
    assert "VML016 going on with run " in (tmp_path / "log-1").read_text()
    whole(runs_in(tmp_path), tmp_path, {"numpy", "torch"})
    assert list((tmp_path / "cache" / "unfinished").glob("*.json")) == []


@pytest.mark.long
@pytest.mark.timeout(1_200)
def test_the_flow_killed_at_ten_random_moments(started: Start, tmp_path: Path) -> None:
    """The budget is longer than what the ten have together, so that none of them comes to its end."""
    code = (
        "from flows.compare import compare; from vecml.comparison.config import ComparisonConfig;"
        "compare(ComparisonConfig(engines=('numpy', 'torch', 'halide'), rows=20_000, budget='4m'))"
    )
    env = {"VECML_TEST_MARK": str(tmp_path), "VECML_CACHE": str(tmp_path / "cache")}
    draw = random.Random(SEED)
    for kill in range(10):
        process = started(BIN / "python", "-c", code, env=env, log=tmp_path / f"log-{kill}")
        assert killed(process, draw.uniform(1, 45)), (tmp_path / f"log-{kill}").read_text()
        wait_for(lambda: not left_over(str(tmp_path)), 20, "the end of what it started")
    process = started(BIN / "python", "-c", code, env=env, log=tmp_path / "log")
    assert process.wait(400) == 0, (tmp_path / "log").read_text()
    whole(runs_in(tmp_path), tmp_path, {"numpy", "torch", "halide"})

"""`vecml compare` and `vecml qualify` as a user runs them: real workers, a real store, real interrupts."""

import json
import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.system.conftest import BIN, SMALL, left_over, runs_in, wait_for
from vecml import keys

pytestmark = pytest.mark.system

Vecml = Callable[..., "subprocess.CompletedProcess[str]"]
QUICK = ("--quick", "--rows", "200000")


def test_a_quick_look_is_tracked_and_computed_again(vecml: Vecml, tmp_path: Path) -> None:
    done = vecml("compare", *QUICK, "--threads", "1", "--json", "result.json", env={"VECML_TEST_MARK": str(tmp_path)})
    assert done.returncode == 0, done.stderr
    assert "quick: one launch gives figures and no verdict" in done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith(("No verdict from a quick look: torch was ", "No answer: "))
    assert max(map(len, lines[:-1])) <= 80
    runs = {run.info.run_name: run for run in runs_in(tmp_path)}
    (parent,) = (run for run in runs.values() if run.data.tags["vecml.kind"] == "compare")
    children = [run for run in runs.values() if run.data.tags["vecml.kind"] == "setting"]
    assert {run.info.run_name for run in children} == {"numpy", "torch"}
    assert {run.data.tags["mlflow.parentRunId"] for run in children} == {parent.info.run_id}
    assert {run.info.status for run in runs.values()} == {"FINISHED"}
    assert all(set(run.data.params) == set(keys.SETTING_PARAMS) for run in children)
    stored = tmp_path / "mlruns" / "artifacts" / parent.info.run_id / "artifacts" / "comparison.json"
    assert stored.read_bytes() == (tmp_path / "result.json").read_bytes()
    again = vecml("compare", "--from", "result.json", "--json", "again.json")
    assert again.returncode == 0
    assert (tmp_path / "again.json").read_bytes() == (tmp_path / "result.json").read_bytes()
    assert again.stdout.splitlines()[0] == lines[0]
    assert not left_over(str(tmp_path))


@pytest.mark.long
def test_pools_are_recorded_for_one_thread_and_for_two(vecml: Vecml, tmp_path: Path) -> None:
    """The record shows what every pool really used in each worker."""
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("os.sched_getaffinity: this process may use one CPU only")
    done = vecml("compare", *QUICK, "--threads", "1,2", "--json", "result.json")
    assert done.returncode == 0, done.stderr
    content = json.loads((tmp_path / "result.json").read_text())
    found = {arm["name"]: arm for arm in content["arms"]}
    assert set(found) == {"numpy threads=1", "numpy threads=2", "torch threads=1", "torch threads=2"}
    for name, arm in found.items():
        threads = content["settings"][name]["threads"]
        facts = arm["launches"][0]["facts"]
        pools = {pool["api"]: pool["threads"] for pool in facts["pools"]}
        if name.startswith("torch"):
            assert pools["openmp"] == facts["torch_threads"] == pools["blas"] == threads
        else:
            assert pools["blas"] == 1  # the block loop divides the work, and BLAS must not divide it again
        used = sum(arm["blocks"]["cpu_seconds"]) / sum(arm["blocks"]["seconds"])
        assert used < threads + 0.1
        assert facts["os_threads"] >= threads


def test_a_tracked_run(vecml: Vecml, tmp_path: Path) -> None:
    assert vecml("run", *SMALL, "--name", "first").returncode == 0
    done = vecml("compare", "--run", "first", "--quick", "--engines", "numpy,row_loop")
    assert done.returncode == 0, done.stderr
    runs = {run.info.run_name: run for run in runs_in(tmp_path)}
    numpy = runs["numpy"]
    assert numpy.data.tags["vecml.model_digest"] == runs["first"].data.tags["vecml.model_digest"]
    assert numpy.data.metrics["test/accuracy"] == runs["first"].data.metrics["test/accuracy"]


@pytest.mark.long
def test_latency(vecml: Vecml, tmp_path: Path) -> None:
    done = vecml("compare", "--quick", "--rows", "20000", "--request-rows", "1,32", "--json", "result.json")
    assert done.returncode == 0, done.stderr
    content = json.loads((tmp_path / "result.json").read_text())
    assert [family["baseline"] for family in content["families"]] == ["numpy request_rows=1", "numpy request_rows=32"]
    for arm in content["arms"]:
        facts = arm["launches"][0]["facts"]
        assert sum(facts["latency"].values()) == sum(arm["blocks"]["calls"])
        assert facts["wrong"] == 0
    assert " p50 " in done.stdout


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (
            ("--engines", "tensorflow,numpy"),
            "error: --engines tensorflow: there is no such engine\n"
            "hint: choose from row_loop, numpy, torch, torch_compile, onnxruntime, openvino, halide\n",
        ),
        (("--engines", "numpy"), "error: nothing to compare numpy with\n"),
        (("--threads", "9999"), "error: --threads 9999: this machine offers "),
        (("--threads", "0"), "error: --threads 0: must be at least 1\n"),
        (("--precision", "int8"), "error: --precision int8: there is no such precision\n"),
        (("--budget", "5s"), "error: --budget 5s: too short for a verdict on 2 settings\nhint: --budget "),
        (("--budget", "soon"), "error: --budget soon: not a time\n"),
        (("--from", "none.json"), "error: --from none.json: No such file or directory\n"),
        (
            ("--run", "nothing", "--epochs", "3"),
            "error: --epochs goes with training; --run nothing is trained already\n",
        ),
        (("--baseline", "jax"), "error: --baseline jax: it is none of the settings\n"),
        (("--from", "none.json", "--quick"), "error: --quick with --from: nothing is measured\n"),
        (("--json", "."), "error: --json .: it is a folder\n"),
        (("--json", "none/a.json"), "error: --json none/a.json: there is no folder none\n"),
    ],
)
def test_bad_input_is_one_line(vecml_here: Vecml, flags: tuple[str, ...], message: str) -> None:
    done = vecml_here("compare", *flags)
    assert done.returncode == 2
    assert done.stdout == ""
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_an_engine_whose_library_breaks_is_left_out_and_the_rest_goes_on(vecml: Vecml, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "onnxruntime.py").write_text("raise ImportError('libonnx.so: cannot open')\n")
    done = vecml("compare", *QUICK, "--engines", "numpy,onnxruntime,torch", env={"PYTHONPATH": str(broken)})
    assert done.returncode == 0, done.stderr
    why = "engine onnxruntime cannot run this model here: onnxruntime cannot be imported: libonnx.so: cannot open"
    assert f"VML013 onnxruntime is left out: {why}" in done.stderr
    assert "onnxruntime: left out: " in done.stdout


def test_an_engine_that_vecml_does_not_know_is_refused(vecml: Vecml) -> None:
    """One of them as a whole process: what it refuses, it refuses with exit code 2."""
    done = vecml("compare", *QUICK, "--engines", "numpy,tensorflow")
    assert done.returncode == 2
    assert "--engines tensorflow: there is no such engine\nhint: choose from row_loop, numpy, torch" in done.stderr


def test_an_interrupt_leaves_no_worker_and_a_killed_run(
    started: Callable[..., "subprocess.Popen[str]"], tmp_path: Path
) -> None:
    process = started(BIN / "vecml", "compare", "--rows", "200000", env={"VECML_TEST_MARK": str(tmp_path)})
    wait_for(lambda: any("vecml.measure.worker" in line for line in left_over(str(tmp_path))), 60, "a worker")
    process.send_signal(signal.SIGINT)
    process.wait(30)
    assert process.returncode == 130
    assert not left_over(str(tmp_path))
    (run,) = runs_in(tmp_path)
    assert run.info.status == "KILLED"


@pytest.mark.long
def test_two_at_once_wait_for_each_other(started: Callable[..., "subprocess.Popen[str]"], tmp_path: Path) -> None:
    for number in range(2):
        started(BIN / "vecml", "compare", *QUICK, log=tmp_path / f"log-{number}", env={"VECML_HOME": str(tmp_path)})
    for process in started.running:  # type: ignore[attr-defined]
        process.wait(120)
        assert process.returncode == 0
    logs = [(tmp_path / f"log-{number}").read_text() for number in range(2)]
    assert sum("VML012 another measurement runs on this machine: waiting for its end" in log for log in logs) == 1

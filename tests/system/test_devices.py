"""One deployment on two workers of two queues, which stand for two devices: one CPU, and all of them."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.system.conftest import BIN, runs_in

pytestmark = [pytest.mark.system, pytest.mark.long, pytest.mark.timeout(1_200)]

Start = Callable[..., "subprocess.Popen[str]"]
Vecml = Callable[..., "subprocess.CompletedProcess[str]"]
QUICK = ("--quick", "--rows", "20000", "--engines", "numpy,torch")


@pytest.mark.timeout(600)
def test_one_deployment_on_two_devices_and_their_difference(
    vecml: Vecml, deployed: dict[str, str], started: Start, tmp_path: Path
) -> None:
    if len(os.sched_getaffinity(0)) < 2 or shutil.which("taskset") is None:
        pytest.skip("two devices are one CPU and two: os.sched_getaffinity gives fewer, or there is no taskset")
    pins = {"small": ("taskset", "-c", str(min(os.sched_getaffinity(0)))), "large": ()}
    for queue, pin in pins.items():
        started(
            *pin,
            BIN / "prefect",
            *("worker", "start", "--pool", "vecml", "--work-queue", queue, "--limit", "1", "--name", queue),
            env={**deployed, "VECML_HOME": str(tmp_path)},
            log=tmp_path / f"worker-{queue}.log",
        )
    fields = ("--set", "engines=numpy,torch", "--set", "rows=20000", "--set", "budget=quick")
    asked = vecml("trigger", "--queues", "small,large", *fields, "--wait", "--json", env=deployed)
    logs = "".join((tmp_path / f"worker-{queue}.log").read_text() for queue in pins)
    assert asked.returncode == 0, asked.stdout + asked.stderr + logs
    flow_runs = {one["queue"]: one["flow_run_id"] for one in json.loads(asked.stdout)["flow_runs"]}
    parents = {
        run.data.tags["prefect.flow_run_id"]: run
        for run in runs_in(tmp_path)
        if run.data.tags["vecml.kind"] == "compare"
    }
    small, large = (parents[flow_runs[queue]] for queue in ("small", "large"))
    for key in ("vecml.data_digest", "vecml.architecture_digest", "vecml.model_digest"):
        assert small.data.tags[key] == large.data.tags[key]
    names = (str(small.info.run_name), str(large.info.run_name))

    one_each = vecml("diff", *names)
    assert one_each.returncode == 0, one_each.stderr
    told = " ".join(one_each.stdout.split())  # lines fold at 80 columns
    assert told.startswith("No verdict")
    assert "the environments differ in usable_cpus: 1, 2" in told
    if "numpy: invalid in run" in told:
        assert "of its rounds were disturbed" in told
    else:
        assert "numpy: indicative: 1 sitting and 1 sitting, and a verdict across sittings takes 5 of each" in told
        assert "numpy differ in threads: 1, 2" in told

    for _ in range(4):
        for pin in pins.values():
            done = subprocess.run(
                [*pin, BIN / "vecml", "compare", *QUICK],
                cwd=tmp_path,
                env=deployed,
                capture_output=True,
                text=True,
                timeout=120,
                check=False,
            )
            assert done.returncode == 0, done.stderr
    five_each = vecml("diff", *names, "--json")
    assert five_each.returncode == 0, five_each.stderr
    check_five_each(json.loads(five_each.stdout)["against"][0])


def check_five_each(against: dict[str, Any]) -> None:
    """Five sittings of either device give a verdict, but for quick looks that were too disturbed to count."""
    assert "usable_cpus: 1, 2" in against["facts"]
    one = next((one for one in against["differences"] if one["first"] == "numpy"), None)
    if one is None:
        assert "disturbed" in " ".join(against["left_out"])
    elif min(one["sittings"]) == 5:
        assert one["word"] in ("faster", "slower", "equivalent", "undetected")
        assert one["low"] < one["ratio"] < one["high"]
    else:
        assert one["word"] == "indicative"

"""`vecml compare --cluster` on a real cluster of Ray on this machine, whose nodes are of two kinds.

A node's machine key has the number of CPUs in it that it may use, so that a node which may use one CPU is of another
kind than one that may use all.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from tests.faults.ray_nodes import ROOT, RayNodes, kill, wait_until
from tests.system.conftest import runs_in
from vecml import keys
from vecml.comparison.kinds_document import kinds_from_json

pytest.importorskip("ray", reason="Ray is not installed: pip install 'vecml[ray]'")
pytestmark = [
    pytest.mark.system,
    pytest.mark.long,
    pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="os.sched_getaffinity: one CPU makes one kind"),
]
COMMAND = (sys.executable, "-m", "vecml", "compare", "--engines", "numpy,row_loop", "--threads", "1")
SMALL = ("--rows", "5000", "--quick")


@pytest.fixture(scope="module")
def nodes() -> Iterator[RayNodes]:
    made = RayNodes(1)
    try:
        made.add([min(os.sched_getaffinity(0))])
        yield made
    finally:
        made.close()


def start(nodes: RayNodes, folder: Path, *flags: str, where: str = "auto") -> "subprocess.Popen[str]":
    (folder / "mlruns").mkdir(exist_ok=True)
    return subprocess.Popen(
        [*COMMAND, "--cluster", where, *flags],
        cwd=folder,
        env={**nodes.environment, "VECML_HOME": str(folder), "COLUMNS": "200"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def measuring(nodes: RayNodes) -> list[int]:
    """The processes that compare, on whatever node."""
    found = []
    for node in nodes.nodes:
        with contextlib.suppress(psutil.Error):
            for one in psutil.Process(node["raylet"]).children(recursive=True):
                with contextlib.suppress(psutil.Error):
                    if "vecml.comparison.node_process" in " ".join(one.cmdline()):
                        found.append(one.pid)
    return found


def ended(is_over: Callable[[], object], seconds: float = 60.0) -> bool:
    limit = time.monotonic() + seconds
    while not is_over() and time.monotonic() < limit:
        time.sleep(0.2)
    return bool(is_over())


def test_each_kind_of_machine_is_measured_and_tracked(nodes: RayNodes, tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_text(
        "x,y,label\n" + "".join(f"{number % 7},{number % 5},{'ab'[number % 2]}\n" for number in range(400))
    )
    flags = (
        "--quick",
        "--data",
        "data.csv",
        "--target",
        "label",
        "--epochs",
        "1",
        "--name",
        "nightly",
        "--json",
        "all.json",
    )
    process = start(nodes, tmp_path, *flags)
    out, errors = process.communicate(timeout=400)
    assert process.returncode == 0, errors
    found = kinds_from_json((tmp_path / "all.json").read_bytes(), "all.json")
    usable = len(os.sched_getaffinity(0))
    compared = {one.comparison.environment["usable_cpus"]: one for one in found.results if one.comparison is not None}
    assert set(compared) == {1, usable}
    for cpus, one in compared.items():
        assert one.kind.host.endswith(", 1 CPU" if cpus == 1 else f", {cpus} CPUs")
        assert one.comparison is not None
        assert one.comparison.subject.data_source == "data.csv"
        assert f"{one.kind.host} ({one.kind.short}), node {one.node}: " in out
        assert f"{one.kind.short}: quick: one launch gives figures and no verdict" in errors
    runs = runs_in(tmp_path)
    parents = [run for run in runs if run.data.tags[keys.KIND] == keys.COMPARE]
    assert {run.info.run_name for run in parents} == {f"nightly-{one.kind.short}" for one in found.results}
    assert {run.data.tags["vecml.machine_key"] for run in runs} == {one.kind.machine_key for one in found.results}
    assert len(runs) == 6
    assert out.splitlines()[-1].startswith("Between machines: ")
    assert measuring(nodes) == []


def test_what_a_node_cannot_read_is_said_and_what_hangs_is_ended(nodes: RayNodes, tmp_path: Path) -> None:
    process = start(nodes, tmp_path, "--quick", "--data", "nothing.csv", "--target", "label")
    _, errors = process.communicate(timeout=400)
    assert process.returncode == 2
    assert "error: 2 of 2 kinds of machine not measured: " in errors
    assert errors.count("VML053") == 2
    process = start(nodes, tmp_path, *SMALL, "--node-timeout", "20", "--json", "all.json")
    assert wait_until(lambda: len(measuring(nodes)) == 2, 300, process)
    hanging = measuring(nodes)[0]
    kill(hanging, signal.SIGSTOP)
    _, errors = process.communicate(timeout=400)
    assert process.returncode == 2, errors
    assert "it said nothing for 20 s" in errors
    content = json.loads((tmp_path / "all.json").read_text())
    assert sorted(one["comparison"] is None for one in content["machines"]) == [False, True]
    assert not psutil.pid_exists(hanging) or psutil.Process(hanging).status() == psutil.STATUS_ZOMBIE
    assert len([run for run in runs_in(tmp_path) if run.data.tags[keys.KIND] == keys.COMPARE]) == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_an_interrupt_ends_it_everywhere(nodes: RayNodes, tmp_path: Path, number: signal.Signals) -> None:
    process = start(nodes, tmp_path, "--rows", "5000", "--budget", "5m")
    assert wait_until(lambda: len(measuring(nodes)) == 2, 300, process)
    started = [one for pid in measuring(nodes) for one in (psutil.Process(pid), *psutil.Process(pid).children(True))]
    process.send_signal(number)
    _, errors = process.communicate(timeout=90)
    assert process.returncode != 0
    assert number == signal.SIGKILL or "Traceback" not in errors
    assert ended(lambda: not any(one.is_running() for one in started))
    assert ended(lambda: not measuring(nodes))


def test_a_killed_process_is_said_and_another_node_of_the_kind_goes_on(nodes: RayNodes, tmp_path: Path) -> None:
    nodes.add([min(os.sched_getaffinity(0))])
    process = start(nodes, tmp_path, *SMALL, "--json", "all.json")
    assert wait_until(lambda: len(measuring(nodes)) == 2, 300, process)
    for pid in measuring(nodes):
        if len(psutil.Process(pid).cpu_affinity() or ()) == 1:
            kill(pid)
    _, errors = process.communicate(timeout=400)
    assert process.returncode == 0, errors
    assert "another node of its kind is taken" in errors
    assert "SIGKILL" in errors
    content = json.loads((tmp_path / "all.json").read_text())
    assert all(one["comparison"] is not None for one in content["machines"])


def test_a_tracked_runs_model_is_sent_to_the_nodes(nodes: RayNodes, tmp_path: Path) -> None:
    trained = subprocess.run(
        [sys.executable, "-m", "vecml", "run", "--rows", "400", "--epochs", "1", "--name", "first"],
        cwd=tmp_path,
        env={**os.environ, "VECML_HOME": str(tmp_path), "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert trained.returncode == 0, trained.stderr
    process = start(nodes, tmp_path, "--run", "first", "--quick")
    _, errors = process.communicate(timeout=400)
    assert process.returncode == 0, errors
    runs = runs_in(tmp_path)
    (own,) = {run.data.tags["vecml.model_digest"] for run in runs if run.info.run_name == "first"}
    assert {run.data.tags["vecml.model_digest"] for run in runs} == {own}
    assert len(runs) == 7

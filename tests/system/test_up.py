"""`vecml up`: three healthy servers, ended together, with nothing left of them; and again."""

import shutil
import signal
import socket
import sqlite3
import subprocess
import urllib.request
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import UUID

import psutil
import pytest
import yaml
from prefect.client.orchestration import SyncPrefectClient

from tests.system.conftest import BIN, ROOT, answers, free_port, left_over, runs_in, wait_for

pytestmark = [pytest.mark.system, pytest.mark.long, pytest.mark.timeout(1_200)]

Vecml = Callable[..., "subprocess.CompletedProcess[str]"]
Start = Callable[..., "subprocess.Popen[str]"]


class Up:
    """`vecml up` in a checkout of the test's own."""

    def __init__(self, started: Start, home: Path) -> None:
        self._started = started
        self.home = home
        self.prefect, self.mlflow = free_port(), free_port()
        self.log = home / "up.log"
        self.process: subprocess.Popen[str]

    @property
    def api(self) -> str:
        return f"http://127.0.0.1:{self.prefect}/api"

    def start(self, *flags: str) -> None:
        """Return once it says that it is up."""
        ports = ("--prefect-port", str(self.prefect), "--mlflow-port", str(self.mlflow))
        self.process = self._started(BIN / "vecml", "up", *ports, *flags, log=self.log)
        wait_for(lambda: "Ctrl-C ends" in self.log.read_text() or self.process.poll() is not None, 180, "vecml up")
        assert self.process.poll() is None, self.log.read_text()

    def stop(self, number: int) -> int:
        """Send it a signal; its exit code, once nothing of it is left."""
        self.process.send_signal(number)
        code = self.process.wait(60)
        assert [line for line in left_over(str(self.home)) if "pytest" not in line] == []
        return code


@pytest.fixture
def up(started: Start, tmp_path: Path, prefect_home: Path) -> Up:
    for part in ("flows", "tasks", "vecml"):
        shutil.copytree(ROOT / part, tmp_path / part, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "prefect.yaml", tmp_path)
    (tmp_path / ".prefect").mkdir()
    shutil.copy(prefect_home / "prefect.db", tmp_path / ".prefect")  # migrated: a fresh one takes half a minute
    return Up(started, tmp_path)


def page_of(log: Path) -> str:
    (line,) = [line for line in log.read_text().splitlines() if line.startswith("MLflow:")]
    return line.removeprefix("MLflow:").strip()


def assert_unlocked(database: Path) -> None:
    with closing(sqlite3.connect(database, timeout=0)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        connection.rollback()
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_it_comes_up_ends_on_ctrl_c_and_comes_up_again(up: Up) -> None:
    up.start()
    declared = yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]
    assert answers(f"{up.api}/health")
    assert answers(f"http://127.0.0.1:{up.mlflow}/health")
    assert page_of(up.log).startswith(
        f"http://127.0.0.1:{up.mlflow}/#/experiments/1/runs?workflowType=machine_learning&"
    )
    assert f"Prefect:  http://127.0.0.1:{up.prefect}\n" in up.log.read_text()
    with SyncPrefectClient(up.api) as client:
        assert len(client.read_deployments()) == len(declared)
        assert client.read_work_pool("vecml").type == "process"
        nightly = client.read_deployment_by_name("pipeline/nightly")
        client.update_deployment_schedule(nightly.id, nightly.schedules[0].id, active=True)
    assert up.stop(signal.SIGINT) == 0
    assert up.log.read_text().endswith("All of it has ended.\n")
    for database in ("mlruns/mlflow.db", ".prefect/prefect.db"):
        assert_unlocked(up.home / database)

    up.start()
    with SyncPrefectClient(up.api) as client:
        assert client.read_deployment_by_name("pipeline/nightly").schedules[0].active  # as the user left it
        flow_run = long_run(client, up)
    assert up.stop(signal.SIGTERM) == 128 + signal.SIGTERM
    (run,) = runs_in(up.home)
    assert run.info.status == "KILLED"
    with closing(sqlite3.connect(up.home / ".prefect/prefect.db")) as connection:
        query = "SELECT state_type FROM flow_run WHERE id = ?"
        (state,) = connection.execute(query, (str(flow_run),)).fetchone()
    assert state in ("CANCELLED", "CRASHED", "FAILED")


def test_ten_times_up_and_down(up: Up) -> None:
    for _ in range(10):
        up.start()
        assert up.stop(signal.SIGINT) == 0
        for database in ("mlruns/mlflow.db", ".prefect/prefect.db"):
            assert_unlocked(up.home / database)


def long_run(client: SyncPrefectClient, up: Up) -> UUID:
    """A flow run that is in the middle of its training, on the worker."""
    config: dict[str, Any] = {"rows": 300_000, "epochs": 1_000, "device": "cpu"}
    deployment = client.read_deployment_by_name("pipeline/cpu")
    flow_run = client.create_flow_run_from_deployment(deployment.id, parameters={"config": config})
    wait_for(lambda: [run for run in runs_in(up.home) if run.info.status == "RUNNING"], 90, "the flow run")
    return flow_run.id


def test_the_others_end_with_the_one_that_dies(up: Up, vecml: Vecml) -> None:
    up.start("--no-deploy")
    second = vecml("up", "--no-deploy", "--prefect-port", str(free_port()), "--mlflow-port", str(free_port()))
    assert second.returncode == 2
    assert second.stderr.startswith(f"error: vecml up runs in {up.home} already\n")
    for process in psutil.Process(up.process.pid).children(recursive=True):
        if "flows.server" in process.cmdline():
            process.kill()
    assert up.process.wait(60) == 2
    said = up.log.read_text()
    assert "error: Prefect's server was ended by signal 9; it said: " in said
    assert f"hint: all that it said: {up.home}/.prefect/logs/prefect.log\n" in said
    assert left_over(str(up.home)) == []


def test_the_server_answers_its_own_pages_on_this_machine_only(up: Up) -> None:
    up.start("--no-deploy")
    for headers in ({"Host": "evil.example"}, {"Origin": "http://evil.example"}):
        request = urllib.request.Request(f"{up.api}/flows/filter", data=b"{}", headers=headers)
        request.add_header("Content-Type", "application/json")
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(request, timeout=5)
    assert up.stop(signal.SIGHUP) == 128 + signal.SIGHUP


@pytest.mark.parametrize("flag", ["--prefect-port", "--mlflow-port"])
def test_a_port_in_use_is_one_line_and_nothing_is_started(vecml: Vecml, tmp_path: Path, flag: str) -> None:
    ports = {"--prefect-port": free_port(), "--mlflow-port": free_port()}
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        ports[flag] = taken.getsockname()[1]
        done = vecml("up", *(str(part) for pair in ports.items() for part in pair))
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr == f"error: {flag} {ports[flag]}: Address already in use\nhint: try {flag} {ports[flag] + 1}\n"
    assert list(tmp_path.iterdir()) == []


def test_one_port_for_both(vecml: Vecml) -> None:
    port = str(free_port())
    done = vecml("up", "--prefect-port", port, "--mlflow-port", port)
    assert done.returncode == 2
    assert done.stderr == f"error: --mlflow-port {port}: Prefect's server has that port\nhint: choose two ports\n"


def test_a_folder_without_deployments(vecml: Vecml, tmp_path: Path) -> None:
    done = vecml("up", "--prefect-port", str(free_port()), "--mlflow-port", str(free_port()))
    assert done.returncode == 2
    assert done.stderr == (
        f"error: there is no prefect.yaml in {tmp_path}, whose deployments are to be registered\n"
        "hint: go to the checkout, or set VECML_HOME to it; --no-deploy does without\n"
    )
    assert list(tmp_path.iterdir()) == []

"""Whatever ends a run, the record is true and no process is left over."""

import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.system.conftest import BIN, SMALL, left_over, runs_in, wait_for

pytestmark = pytest.mark.system

LONG = ("run", "--rows", "300000", "--epochs", "500")


def begin(started: Callable[..., "subprocess.Popen[str]"], folder: Path) -> "subprocess.Popen[str]":
    """A long run, once its MLflow run is there."""
    process = started(BIN / "vecml", *LONG, env={"VECML_TEST_MARK": str(folder)})
    wait_for(lambda: [run for run in runs_in(folder) if run.data.params.get("epochs") == "500"], 180, "the run")
    time.sleep(1.0)  # into the training
    return process


@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGINT, 130), (signal.SIGTERM, 143), pytest.param(signal.SIGHUP, 129, marks=pytest.mark.long)],
)
def test_an_interrupted_run_is_killed_and_leaves_nothing(
    started: Callable[..., "subprocess.Popen[str]"], tmp_path: Path, number: signal.Signals, code: int
) -> None:
    process = begin(started, tmp_path)
    process.send_signal(number)
    assert process.wait(30) == code
    (run,) = runs_in(tmp_path)
    assert run.info.status == "KILLED"
    assert run.data.tags["vecml.error"].startswith("interrupted: ")
    wait_for(lambda: not left_over(str(tmp_path)), 10, "the end of every process")
    said = (tmp_path / "log-0").read_text()
    assert said == ("error: interrupted\n" if number == signal.SIGINT else f"error: ended by {number.name}\n")


def test_a_run_that_lives_is_left_alone_and_after_sigkill_no_server_is_left_and_the_next_start_closes_it(
    started: Callable[..., "subprocess.Popen[str]"],
    vecml: Callable[..., "subprocess.CompletedProcess[str]"],
    tmp_path: Path,
) -> None:
    process = begin(started, tmp_path)
    (run,) = runs_in(tmp_path)
    assert vecml("run", *SMALL).returncode == 0
    assert {found.info.run_id: found.info.status for found in runs_in(tmp_path)}[run.info.run_id] == "RUNNING"
    process.kill()
    process.wait(10)
    assert sorted(found.info.status for found in runs_in(tmp_path)) == ["FINISHED", "RUNNING"]
    wait_for(lambda: not left_over(str(tmp_path)), 15, "the end of the server")
    done = vecml("run", *SMALL)
    assert done.returncode == 0, done.stderr
    assert f"VML009 closed as KILLED, because their processes have ended: {run.info.run_name}" in done.stderr
    status = {found.info.run_id: found.info.status for found in runs_in(tmp_path)}
    assert status.pop(run.info.run_id) == "KILLED"
    assert list(status.values()) == ["FINISHED", "FINISHED"]


def test_two_first_starts_at_once_both_succeed(started: Callable[..., "subprocess.Popen[str]"], tmp_path: Path) -> None:
    """One of them behind a proxy that leads nowhere: our own server is not asked for through it."""
    names = ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy")
    behind = {**dict.fromkeys(names, "http://127.0.0.1:9"), "no_proxy": "", "NO_PROXY": ""}
    both = [started(BIN / "vecml", "run", *SMALL, env=env) for env in ({}, behind)]
    codes = [process.wait(120) for process in both]
    logs = "\n".join((tmp_path / f"log-{index}").read_text() for index in range(2))
    assert codes == [0, 0], logs
    assert [run.info.status for run in runs_in(tmp_path)] == ["FINISHED", "FINISHED"]

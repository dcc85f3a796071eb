"""The pipeline from a script of the user's own, in a folder of the user's own."""

import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.system.conftest import SMALL, Processes, left_over, runs_in, wait_for

pytestmark = pytest.mark.system

SCRIPT = """
import sys
from flows.pipeline import pipeline
from vecml import PipelineConfig
if __name__ == "__main__":
    for _ in range(int(sys.argv[3])):
        result = pipeline(PipelineConfig(rows=int(sys.argv[1]), epochs=int(sys.argv[2])))
        print(result)
        assert "<table>" in result._repr_html_()
"""


def test_two_runs_in_one_script_beside_a_module_called_tasks(started: Processes, tmp_path: Path) -> None:
    (tmp_path / "tasks.py").write_text("mine = True\n")
    ours = "from flows.pipeline import pipeline"
    assert ours in SCRIPT
    script = SCRIPT.replace(ours, "import tasks\nfrom vecml import pipeline") + "    assert tasks.mine\n"
    (tmp_path / "script.py").write_text(script)
    process = started(sys.executable, "script.py", "400", "1", "2", env={"VECML_TEST_MARK": str(tmp_path)})
    assert process.wait(120) == 0, (tmp_path / "log-0").read_text()
    assert [run.info.status for run in runs_in(tmp_path)] == ["FINISHED", "FINISHED"]
    said = (tmp_path / "log-0").read_text()
    assert said.count("test rows labelled right") >= 2
    assert "Error logging to API" not in said
    assert not left_over(str(tmp_path))


@pytest.mark.parametrize(
    "number",
    [
        signal.SIGKILL,
        pytest.param(signal.SIGTERM, marks=pytest.mark.long),  # the command's own signals: test_signals.py
        pytest.param(signal.SIGINT, marks=pytest.mark.long),
    ],
)
def test_a_script_that_is_ended_leaves_no_server(started: Processes, tmp_path: Path, number: signal.Signals) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)
    process = started(sys.executable, "script.py", "300000", "500", "1", env={"VECML_TEST_MARK": str(tmp_path)})
    wait_for(lambda: [run for run in runs_in(tmp_path) if run.data.params.get("epochs")], 60, "the run")
    time.sleep(1)
    process.send_signal(number)
    process.wait(30)
    (run,) = runs_in(tmp_path)
    assert run.info.status == ("RUNNING" if number == signal.SIGKILL else "KILLED")
    wait_for(lambda: not left_over(str(tmp_path)), 15, "the end of every process")


def test_modules_of_the_users_folder_are_not_run(
    vecml: Callable[..., "subprocess.CompletedProcess[str]"], tmp_path: Path
) -> None:
    """A Prefect project has a folder `flows` of its own as often as not."""
    for name in (
        "flows/server.py",
        "flows/__init__.py",
        "tasks/tracking/side_process.py",
        "tasks/__init__.py",
        "vecml.py",
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("open('/".replace("/", str(tmp_path / "ran")) + "', 'w').close()\n")
    done = vecml("run", *SMALL)
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "ran").exists()


def test_no_password_in_prefects_database(
    vecml_alone: Callable[..., "subprocess.CompletedProcess[str]"], tmp_path: Path, prefect_home: Path
) -> None:
    class Failing(BaseHTTPRequestHandler):
        """A tracking server that is there, and fails at whatever it is asked."""

        def do_GET(self) -> None:
            self.send_error(500)

        do_POST = do_GET

    server = ThreadingHTTPServer(("127.0.0.1", 0), Failing)
    threading.Thread(target=server.serve_forever).start()
    address = f"http://someone:hushhush@127.0.0.1:{server.server_port}"
    done = vecml_alone("run", *SMALL, env={"MLFLOW_TRACKING_URI": address, "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"})
    server.shutdown()
    server.server_close()
    assert done.returncode == 2
    assert "error: the tracking store http://***@127.0.0.1" in done.stderr
    assert "hushhush" not in done.stdout + done.stderr
    with closing(sqlite3.connect(prefect_home / "prefect.db")) as database:
        dump = "\n".join(database.iterdump())
    assert "the tracking store" in dump
    assert "hushhush" not in dump


def test_no_temporary_file_is_left_by_a_run_that_is_ended_at_its_start(started: Processes, tmp_path: Path) -> None:
    """By one that comes to its end: tests/system/test_run.py, the default run."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    process = started(Path(sys.executable).parent / "vecml", "run", env={"TMPDIR": str(scratch)})
    wait_for(lambda: list(scratch.glob("vecml-*")), 30, "the scratch folder")
    process.terminate()
    process.wait(30)
    assert list(scratch.glob("vecml-*")) == []

"""What the system tests share: real processes in a folder of their own, with a Prefect home that is migrated once.

Each test gets a folder with an empty `mlruns/` and runs `vecml` there as a user would; a context that starts servers
ends them by their process id. Nothing is mocked.
"""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from filelock import FileLock
from mlflow import MlflowClient
from mlflow.entities import Run

ROOT = Path(__file__).parent.parent.parent
BIN = Path(sys.executable).parent
SMALL = ("--rows", "400", "--epochs", "1")


@pytest.fixture(scope="session")
def prefect_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Prefect home whose database is migrated, so that no test pays for it."""
    home = tmp_path_factory.mktemp("prefect")
    subprocess.run(
        [BIN / "prefect", "server", "database", "upgrade", "-y"],
        env={**os.environ, "PREFECT_HOME": str(home), "DO_NOT_TRACK": "true"},
        check=True,
        capture_output=True,
        timeout=240,
    )
    return home


@pytest.fixture
def environment(prefect_home: Path) -> dict[str, str]:
    """The environment of a user who has set nothing."""
    unset = ("PREFECT_API_URL", "MLFLOW_TRACKING_URI", "VECML_HOME", "COLUMNS", "PYTHONPATH")
    kept = {name: value for name, value in os.environ.items() if name not in unset}
    return {**kept, "PREFECT_HOME": str(prefect_home), "DO_NOT_TRACK": "true", "PYTHONWARNINGS": "ignore"}


@pytest.fixture
def vecml(tmp_path: Path, environment: dict[str, str]) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run the command in the test's folder: `vecml("run", "--rows", "400", env={...})`."""

    def call(
        *arguments: str, env: dict[str, str] | None = None, cwd: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [BIN / "vecml", *arguments],
            cwd=cwd or tmp_path,
            env={**environment, **(env or {})},
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )

    return call


@pytest.fixture
def started(tmp_path: Path, environment: dict[str, str]) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start a process in the test's folder; what still runs at the end is ended, with its children."""
    processes: list[subprocess.Popen[str]] = []

    def start(
        *command: str | Path, env: dict[str, str] | None = None, log: Path | None = None
    ) -> subprocess.Popen[str]:
        with (log or tmp_path / f"log-{len(processes)}").open("w") as output:
            process = subprocess.Popen(
                [str(part) for part in command],
                cwd=tmp_path,
                env={**environment, **(env or {})},
                stdout=output,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
            )
        processes.append(process)
        return process

    yield start
    for process in processes:
        end(process)


def end(process: "subprocess.Popen[str]") -> None:
    """End a process and its children, gently first."""
    try:
        family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
    except psutil.NoSuchProcess:
        family = []
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    for member in family:
        if member.is_running() and member.pid != process.pid:
            member.kill()


@pytest.fixture
def prefect_server(started: Callable[..., "subprocess.Popen[str]"], tmp_path: Path) -> str:
    """A real Prefect server on a free port; its API's address."""
    port = free_port()
    url = f"http://127.0.0.1:{port}/api"
    started(BIN / "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port), log=tmp_path / "server.log")
    wait_for(lambda: answers(f"{url}/health"), 120, "the Prefect server")
    return url


def free_port() -> int:
    """A port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answers(url: str) -> bool:
    """Whether an address answers with success."""
    import urllib.request

    try:
        with urllib.request.urlopen(url, timeout=2) as response:
            return bool(response.status == 200)
    except OSError:
        return False


def wait_for(condition: Callable[[], object], seconds: float, what: str) -> None:
    """Return once `condition` holds; a test that waits in vain fails and says for what."""
    limit = time.monotonic() + seconds
    while time.monotonic() < limit:
        if condition():
            return
        time.sleep(0.1)
    pytest.fail(f"waited {seconds} s in vain for {what}")


def runs_in(place: Path | str) -> list[Run]:
    """Every run of a store: the folder that holds `mlruns/`, or a tracking address."""
    if isinstance(place, str):
        return _runs(place)
    folder = place / "mlruns"
    if not (folder / "mlflow.db").exists():
        return []
    with FileLock(folder / ".lock"):  # or this process would take part in the first opening's migrations
        return _runs(f"sqlite:///{folder / 'mlflow.db'}")


def _runs(uri: str) -> list[Run]:
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name("vecml")
    return list(client.search_runs([experiment.experiment_id])) if experiment else []


def left_over(session_or_marker: str) -> list[str]:
    """Command lines of processes whose environment or command names `session_or_marker`."""
    found = []
    for process in psutil.process_iter(["pid", "cmdline"]):
        try:
            marked = session_or_marker in " ".join(process.environ().values())
        except (psutil.AccessDenied, psutil.NoSuchProcess, OSError):
            continue
        if marked and process.pid != os.getpid() and process.status() != psutil.STATUS_ZOMBIE:
            found.append(" ".join(process.info["cmdline"] or []))
    return found

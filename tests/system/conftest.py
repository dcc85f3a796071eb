"""What the system tests share: real processes in a folder of their own, and what is slow to start, started once.

Each test gets a folder with an empty `mlruns/` and runs `vecml` there as a user would; whoever starts servers ends
them by their process id. Nothing is mocked. Once for a test run, or for each of its workers, there are a Prefect home
and an MLflow database that are migrated (tests get copies), a Prefect server, and an MLflow server.
"""

import contextlib
import gc
import os
import shutil
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

from tests.migrated_store import MIGRATED, made_once, migrate_mlflow, migrated_database
from tests.system.forked_commands import Commands

__all__ = ["migrated_database"]

Vecml = Callable[..., subprocess.CompletedProcess[str]]
ROOT = Path(__file__).parent.parent.parent
BIN = Path(sys.executable).parent
SMALL = ("--rows", "400", "--epochs", "1")
READ_LATE = {"MLFLOW_TRACKING_URI", "VECML_HOME"}  # others may be read when a library is imported


@pytest.fixture(scope="session", autouse=True)
def _signals_are_heard() -> Iterator[None]:
    """What a process ignores its children ignore: tests run under nohup would send signals that nobody hears."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGHUP)}
    for number, handler in before.items():
        if handler == signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture(scope="session")
def prefect_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Prefect home whose database is migrated, so that no test pays for it; each worker of a test run has a copy."""

    def migrate(folder: Path) -> None:
        subprocess.run(
            [BIN / "prefect", "server", "database", "upgrade", "-y"],
            env={**os.environ, "PREFECT_HOME": str(folder), "DO_NOT_TRACK": "true"},
            check=True,
            capture_output=True,
            timeout=240,
        )

    home = tmp_path_factory.mktemp("prefect")
    shutil.copy(made_once(tmp_path_factory, "prefect-home", migrate) / "prefect.db", home)
    return home


@pytest.fixture(scope="session")
def environment(prefect_home: Path) -> dict[str, str]:
    """The environment of a user who has set nothing."""
    unset = ("PREFECT_API_URL", "MLFLOW_TRACKING_URI", "VECML_HOME", "COLUMNS", "PYTHONPATH")
    kept = {name: value for name, value in os.environ.items() if name not in unset}
    return {**kept, "PREFECT_HOME": str(prefect_home), "DO_NOT_TRACK": "true", "PYTHONWARNINGS": "ignore"}


def _command(folder: Path, environment: dict[str, str]) -> Vecml:
    def call(
        *arguments: str, env: dict[str, str] | None = None, cwd: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [BIN / "vecml", *arguments],
            cwd=cwd or folder,
            env={**environment, **(env or {})},
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )

    return call


@pytest.fixture
def vecml_alone(tmp_path: Path, environment: dict[str, str]) -> Vecml:
    """Run the command in the test's folder as on a machine that has nothing yet: no store, no Prefect server."""
    return _command(tmp_path, environment)


@pytest.fixture(scope="session")
def forked(environment: dict[str, str], shared_prefect: str) -> Iterator[Commands]:
    """Runs commands without the imports that are the same for all of them, once for a worker of the test run."""
    commands = Commands(BIN / "vecml", {**environment, "PREFECT_API_URL": shared_prefect})
    yield commands
    commands.end()


@pytest.fixture
def vecml(
    tmp_path: Path, environment: dict[str, str], shared_prefect: str, migrated_database: Path, forked: Commands
) -> Vecml:
    """Run the command in the test's folder: `vecml("run", "--rows", "400", env={...})`.

    Its flow runs go to the Prefect server that all tests of a worker share, its store is a copy of a migrated one, and
    its imports are made beforehand, unless it gets variables that they read: for tests that are not about how those
    begin. Where they are, take `vecml_alone`.
    """
    command = _command(tmp_path, {**environment, "PREFECT_API_URL": shared_prefect})

    def call(
        *arguments: str, env: dict[str, str] | None = None, cwd: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        folder = tmp_path / "mlruns"
        elsewhere = cwd is not None or {"MLFLOW_TRACKING_URI", "VECML_HOME"} & (env or {}).keys()
        if arguments[:1] in (("run",), ("compare",)) and not elsewhere and not folder.exists():
            folder.mkdir()
            shutil.copy(migrated_database, folder / "mlflow.db")
        if not (env or {}).keys() - READ_LATE and "--debug" not in arguments:
            return forked(arguments, cwd or tmp_path, env)
        return command(*arguments, env=env, cwd=cwd)

    return call


@pytest.fixture
def vecml_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Vecml:
    """Run the command in the test's folder and in the test's own process: for what it refuses before it starts any."""
    from vecml.cli.app import main

    for name in ("PREFECT_API_URL", "MLFLOW_TRACKING_URI", "VECML_HOME", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)

    def call(*arguments: str) -> subprocess.CompletedProcess[str]:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", ["vecml", *arguments])
        monkeypatch.setattr(gc, "freeze", lambda: None)  # `main` freezes the objects of a process that ends with it
        capfd.readouterr()
        try:
            main()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1
        out, err = capfd.readouterr()
        return subprocess.CompletedProcess(["vecml", *arguments], code, out, err)

    return call


class Processes:
    """Starts processes in a folder, and ends them with their children."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.folder = folder
        self.environment = environment
        self.running: list[subprocess.Popen[str]] = []

    def __call__(
        self, *command: str | Path, env: dict[str, str] | None = None, log: Path | None = None
    ) -> subprocess.Popen[str]:
        """Start a command; its output goes to `log`, or to log-0, log-1 ... in the folder."""
        with (log or self.folder / f"log-{len(self.running)}").open("w") as output:
            process = subprocess.Popen(
                [str(part) for part in command],
                cwd=self.folder,
                env={**self.environment, **(env or {})},
                stdout=output,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
            )
        self.running.append(process)
        return process

    def end(self) -> None:
        """End what still runs, gently first."""
        for process in reversed(self.running):
            if process.poll() is not None:
                continue
            family = psutil.Process(process.pid).children(recursive=True)
            process.terminate()
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            for member in family:
                with contextlib.suppress(psutil.NoSuchProcess):
                    member.kill()


@pytest.fixture
def started(tmp_path: Path, environment: dict[str, str]) -> Iterator[Processes]:
    """Starts processes in the test's folder."""
    processes = Processes(tmp_path, environment)
    yield processes
    processes.end()


@pytest.fixture(scope="session")
def shared_prefect(tmp_path_factory: pytest.TempPathFactory, environment: dict[str, str]) -> Iterator[str]:
    """A real Prefect server for all tests of a worker; its API's address."""
    with _prefect_server(tmp_path_factory.mktemp("prefect-server"), environment) as url:
        yield url


@pytest.fixture(scope="session")
def mlflow_server(tmp_path_factory: pytest.TempPathFactory, environment: dict[str, str]) -> Iterator[str]:
    """A real `mlflow server` for all tests of a worker, over a store of its own; its address."""
    folder = tmp_path_factory.mktemp("mlflow-server")
    shutil.copy(made_once(tmp_path_factory, MIGRATED, migrate_mlflow) / "mlflow.db", folder)
    processes = Processes(folder, environment)
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    processes(
        BIN / "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1",
        "--backend-store-uri", f"sqlite:///{folder}/mlflow.db", "--artifacts-destination", str(folder / "artifacts"),
        env={"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},  # eight processes for what language models need
    )  # fmt: skip
    wait_for(lambda: answers(f"{address}/health"), 120, "the MLflow server")
    yield address
    processes.end()


@pytest.fixture(scope="module")
def prefect_server(tmp_path_factory: pytest.TempPathFactory, environment: dict[str, str]) -> Iterator[str]:
    """A real Prefect server of a module's own, which nobody else has flow runs on; its API's address."""
    with _prefect_server(tmp_path_factory.mktemp("server"), environment) as url:
        yield url


@contextlib.contextmanager
def _prefect_server(folder: Path, environment: dict[str, str]) -> Iterator[str]:
    shutil.copy(Path(environment["PREFECT_HOME"]) / "prefect.db", folder)
    processes = Processes(folder, {**environment, "PREFECT_HOME": str(folder)})
    port = free_port()
    url = f"http://127.0.0.1:{port}/api"
    processes(BIN / "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port))
    wait_for(lambda: answers(f"{url}/health"), 120, "the Prefect server")
    yield url
    processes.end()


@pytest.fixture(scope="module")
def pool(prefect_server: str, environment: dict[str, str]) -> dict[str, str]:
    """The work pool of the README; gives the environment that talks to its server."""
    env = {**environment, "PREFECT_API_URL": prefect_server}
    prefect(["work-pool", "create", "vecml", "--type", "process"], ROOT, env)
    return env


@pytest.fixture(scope="module")
def deployed(pool: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The deployments of prefect.yaml, made in a checkout of the module's own."""
    checkout = tmp_path_factory.mktemp("checkout")
    check_out(checkout)
    prefect(["--no-prompt", "deploy", "--all"], checkout, pool)
    return pool


def check_out(folder: Path) -> None:
    """Copy what a worker needs of the checkout into a folder."""
    for part in ("flows", "tasks", "vecml"):
        shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "prefect.yaml", folder)


def prefect(arguments: list[str], folder: Path, env: dict[str, str]) -> None:
    """Run Prefect's command; a test whose set-up fails shows what it said."""
    done = subprocess.run(
        [BIN / "prefect", *arguments], cwd=folder, env=env, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


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


def left_over(session_or_marker: str, besides: int | None = None) -> list[str]:
    """Command lines of processes whose environment or command names `session_or_marker`, but for the one `besides`."""
    found = []
    for process in psutil.process_iter(["pid", "cmdline"]):
        try:
            marked = session_or_marker in " ".join(process.environ().values())
        except (psutil.AccessDenied, psutil.NoSuchProcess, OSError):
            continue
        if marked and process.pid not in (os.getpid(), besides) and process.status() != psutil.STATUS_ZOMBIE:
            found.append(" ".join(process.info["cmdline"] or []))
    return found

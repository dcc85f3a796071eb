"""A Prefect server, a worker and MLflow's UI: started together on 127.0.0.1, and ended together.

Prefect's data and the logs of all three are in the folder `.prefect/` beside `mlruns/`. Nothing calls the internet.
"""

import os
import re
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from filelock import Timeout

from flows.processes import Ended, ProcessGroup, Service
from flows.server import STARTUP_SECONDS, answers, go_past_proxies
from flows.worker import NO_DEPLOY, POOL, worker_is_online
from tasks.tracking.location import PORT_VARIABLE
from vecml import child
from vecml.errors import ServerError
from vecml.locks import locked

FOLDER = ".prefect"
PREFECT, WORKER, MLFLOW = "prefect", "worker", "mlflow"
TITLES = {PREFECT: "Prefect's server", WORKER: "the worker", MLFLOW: "MLflow's UI"}
WORKER_NAME = "vecml-up"
POLL_SECONDS = 0.25
OF_ANOTHER_SERVER = ("PREFECT_PROFILE", "PREFECT_PROFILES_PATH", "PREFECT_API_KEY")
QUIET = {
    "DO_NOT_TRACK": "true",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
    "PREFECT_SERVER_LOGGING_LEVEL": "WARNING",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "PYTHONUNBUFFERED": "1",  # otherwise the last lines of a process would be lost with it
}


@dataclass(frozen=True)
class UpRequest:
    """The request to `vecml up`.

    Attributes:
        home: the folder that holds `mlruns/`; flow runs work there.
        prefect_port, mlflow_port: ports of Prefect's server and of MLflow's UI.
        runs: the command that serves MLflow's UI and prints the address of the runs' page first; None where a tracking
            server has a UI of its own.
        queues: the queues of the work pool that this machine's worker serves.
        deploy: whether the deployments of the folder's prefect.yaml are registered.
    """

    home: Path
    prefect_port: int
    mlflow_port: int
    runs: Sequence[str] | None
    queues: Sequence[str]
    deploy: bool

    @property
    def prefect(self) -> str:
        return f"http://127.0.0.1:{self.prefect_port}"

    @property
    def logs(self) -> Path:
        """The folder of the logs, one file for each process."""
        return self.home / FOLDER / "logs"


def bring_up(asked: UpRequest, up: Callable[[str | None], None], hear: Callable[[str, str], None]) -> Ended:
    """Start all processes, wait until they end, and leave none behind.

    Args:
        asked: the request.
        up: is called once all processes are healthy, with the address of the runs' page, or None without one.
        hear: is called with a process's name and each line that it writes.

    Returns how they were ended from outside. Raises ServerError when `vecml up` runs in that folder already, when one
    process ends by itself, or when one is not healthy in time; the others are then ended.
    """
    asked.logs.mkdir(parents=True, exist_ok=True)
    try:
        with locked(asked.home / FOLDER / ".up.lock", 0):
            return _stay(asked, up, hear)
    except Timeout:
        raise ServerError(
            f"vecml up runs in {asked.home} already", "end that one with Ctrl-C, or set VECML_HOME to another folder"
        ) from None


def services(asked: UpRequest) -> list[Service]:
    """List the processes to start, each with its command and its environment."""
    deploy = [] if asked.deploy else [NO_DEPLOY]
    here = {name: value for name, value in child.environment().items() if name not in OF_ANOTHER_SERVER}
    here |= {
        **QUIET,
        "VECML_HOME": str(asked.home),
        "PREFECT_HOME": str(asked.home / FOLDER),
        "PREFECT_API_URL": f"{asked.prefect}/api",
    }
    own_pages = ",".join((asked.prefect, asked.prefect.replace("127.0.0.1", "localhost")))
    found = [
        Service(
            PREFECT,
            child.python("flows.server", str(asked.prefect_port)),
            {**here, "PREFECT_SERVER_CORS_ALLOWED_ORIGINS": own_pages, "PREFECT__SERVER_FINAL": "1"},
        ),
        Service(
            WORKER,
            child.python("flows.worker", WORKER_NAME, ",".join(asked.queues), *deploy),
            {**here, PORT_VARIABLE: str(asked.mlflow_port)},  # for the links of its runs
        ),
    ]
    return found if asked.runs is None else [*found, Service(MLFLOW, asked.runs, here)]


def _stay(asked: UpRequest, up: Callable[[str | None], None], hear: Callable[[str, str], None]) -> Ended:
    go_past_proxies()
    watch = _Watch(asked, up, hear)
    group = ProcessGroup(services(asked), asked.home, asked.logs, first=WORKER, hear=watch.hear)
    ended = group.run(started=lambda: watch.start(group))
    if ended.died is not None:
        how = f"was ended by signal {-ended.status}" if ended.status < 0 else f"ended with {ended.status}"
        raise ServerError(
            f"{TITLES[ended.died]} {how}; it said: {child.cause(ended.said)}",
            f"all that it said: {asked.logs / ended.died}.log",
        )
    if watch.failed:
        raise ServerError(
            f"{' and '.join(TITLES[name] for name in watch.failed)} did not come up within {STARTUP_SECONDS:.0f} s",
            f"what it said is in {asked.logs}",
        )
    return ended


class _Watch:
    """Checks in a thread until all processes are healthy, then calls `up`; `failed` lists those that were too slow."""

    def __init__(self, asked: UpRequest, up: Callable[[str | None], None], hear: Callable[[str, str], None]) -> None:
        self.failed: list[str] = []
        self._asked = asked
        self._up = up
        self._hear = hear
        self._page: str | None = None

    def start(self, group: ProcessGroup) -> None:
        threading.Thread(target=self._look, args=(group,), daemon=True).start()

    def hear(self, name: str, line: str) -> None:
        """Pass a process's line on; read the address of the runs' page from MLflow's lines."""
        if name == MLFLOW and (match := re.search(r"http://127\.0\.0\.1:\S+/#/experiments/\S+", line)):
            self._page = match[0]
        self._hear(name, line)

    def _look(self, group: ProcessGroup) -> None:
        waiting = self._probes(datetime.now(UTC))
        limit = time.monotonic() + STARTUP_SECONDS
        while not group.ending:
            waiting = {name: healthy for name, healthy in waiting.items() if not healthy()}
            if not waiting:
                self._up(self._page)
                return
            if time.monotonic() > limit:
                self.failed = list(waiting)
                group.end()
                return
            time.sleep(POLL_SECONDS)

    def _probes(self, since: datetime) -> Mapping[str, Callable[[], bool]]:
        """Give for each process a function that says whether it is healthy."""
        api = f"{self._asked.prefect}/api"
        probes = {
            PREFECT: lambda: answers(f"{api}/health"),
            WORKER: lambda: worker_is_online(api, POOL, WORKER_NAME, since),
        }
        if self._asked.runs is not None:
            health = f"http://127.0.0.1:{self._asked.mlflow_port}/health"
            probes[MLFLOW] = lambda: self._page is not None and answers(health)
        return probes


def ui_command(port: int) -> list[str]:
    """Give the command of `vecml ui`, which opens the store, prints the runs' page and becomes MLflow's server."""
    return [sys.executable, "-P", "-m", "vecml", "ui", "--port", str(port)]


def home_of(runs: Path | None) -> Path:
    """Give the folder that flow runs work in: that of the local `mlruns/`, else VECML_HOME, else the current folder."""
    return runs.parent if runs is not None else Path(os.environ.get("VECML_HOME") or Path.cwd()).expanduser().resolve()

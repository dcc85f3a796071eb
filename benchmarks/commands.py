"""Whole processes: `vecml run` against the notebook's script by the wall clock, `vecml --help` by its CPU seconds.

Each process is new, but what a machine has only once is there already: the folder of runs and Prefect's migrated
database, both temporary.
"""

import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from benchmarks import notebook
from benchmarks.rounds import Figure, Floor, interleave, medians, ratios, wall

BIN = Path(sys.executable).parent
# what a developer may have set, and a benchmark must not inherit
UNSET = ("PREFECT_API_URL", "PREFECT_PROFILE", "MLFLOW_TRACKING_URI", "VECML_HOME", "PYTHONPATH")
SERVER_SECONDS = 120
STOP_SECONDS = 20


def whole_run(rounds: int) -> Iterator[Figure]:
    """The notebook's job from the shell, without a Prefect server and with one that runs already."""
    with tempfile.TemporaryDirectory(prefix="vecml-bench-", ignore_cleanup_errors=True) as folder:
        home = Path(folder)
        environment = {name: value for name, value in os.environ.items() if name not in UNSET}
        environment |= {"PREFECT_HOME": str(home / "prefect"), "DO_NOT_TRACK": "true"}
        _call([BIN / "prefect", "server", "database", "upgrade", "-y"], home, environment)
        script = wall(lambda: _call([sys.executable, notebook.__file__], home, environment))

        def ours(extra: Mapping[str, str]) -> Callable[[], float]:
            return wall(lambda: _call([BIN / "vecml", "run"], home, {**environment, **extra}))

        seconds = interleave({"notebook": script, "vecml": ours({})}, rounds)
        yield _run_figure("without a server", seconds, Floor(1.8, at_least=False))
        with _server(home, environment) as url:
            seconds = interleave({"notebook": script, "vecml": ours({"PREFECT_API_URL": url})}, rounds)
        yield _run_figure("with a server running", seconds, Floor(1.4, at_least=False))


def help_page(rounds: int) -> Iterator[Figure]:
    """User and system CPU seconds of `vecml --help`."""
    seconds = interleave({"help": lambda: _cpu_seconds([BIN / "vecml", "--help"])}, 3 * rounds)
    yield Figure("vecml --help, CPU", seconds["help"], Floor(0.5, at_least=False, strict=True), "s")


def _run_figure(how: str, seconds: Mapping[str, tuple[float, ...]], floor: Floor) -> Figure:
    values = ratios(seconds["vecml"], seconds["notebook"])
    return Figure(f"vecml run, {how}, times the script's time", values, floor, detail=medians(seconds))


def _call(command: list[str | Path], folder: Path, environment: Mapping[str, str]) -> None:
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, command))} ended with {done.returncode}:\n{done.stderr[-2_000:]}")


def _cpu_seconds(command: list[str | Path]) -> float:
    """User and system seconds of one process and those that it waited for."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(map(str, command))} ended with {process.returncode}")
    return usage.ru_utime + usage.ru_stime


@contextmanager
def _server(folder: Path, environment: Mapping[str, str]) -> Iterator[str]:
    """A Prefect server on a free port for as long as the block lasts; yields its API's URL."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}/api"
    process = subprocess.Popen(
        [BIN / "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)],
        cwd=folder,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait_for(url, process)
        yield url
    finally:
        process.terminate()  # this process alone, by its pid; it ends its own children
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + SERVER_SECONDS
    while time.monotonic() < end:
        if process.poll() is not None:
            raise SystemExit(f"the Prefect server ended with {process.returncode}")
        try:
            with urllib.request.urlopen(f"{url}/health", timeout=2):  # noqa: S310 -- our own address
                return
        except (urllib.error.URLError, TimeoutError, ConnectionError):
            time.sleep(0.2)
    raise SystemExit(f"the Prefect server did not answer within {SERVER_SECONDS} s")

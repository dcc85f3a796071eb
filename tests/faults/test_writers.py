"""Eight writers at once, for half an hour: whatever is restarted or read meanwhile, each result is there once."""

import random
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from tests.faults.servers import Server
from tests.faults.tally import row, scaled

pytestmark = [pytest.mark.faults, pytest.mark.timeout(36_000)]
WRITERS, SECONDS, RESTARTS = 8, 1_800, 20
ROOT = Path(__file__).parents[2]
# Prints the name of each comparison that has a run and a result.
WRITER = """
import sys, time, warnings
from pathlib import Path
from tasks.tracking.comparison import tracked_comparison
from tests.made_comparison import comparison_of
from vecml.comparison.unfinished import Unfinished
from vecml.errors import StoreError
warnings.simplefilter("ignore")
number, folder, until = sys.argv[1], Path(sys.argv[2]), float(sys.argv[3])
made = comparison_of({"numpy": 0.01, "torch": 0.005})
turn = 0
while time.time() < until:
    name, turn = f"w{number}-{turn}", turn + 1
    try:
        with tracked_comparison(name, file=Unfinished(folder / "unfinished" / f"{name}.json")) as writer:
            print(name, flush=True)
            writer.log(made, "a note")
    except StoreError:
        time.sleep(0.5)
"""
LATER = """
import warnings
from tasks.tracking.comparison import log_unlogged
warnings.simplefilter("ignore")
log_unlogged()
"""


def every_run(uri: str) -> list[Run]:
    client, found, token = MlflowClient(uri), [], None
    experiment = client.get_experiment_by_name("vecml")
    assert experiment is not None
    while True:
        page = client.search_runs([experiment.experiment_id], page_token=token)
        found += page
        token = page.token
        if not token:
            return found


def miscounted(runs: Sequence[Run], begun: Sequence[str]) -> list[str]:
    """What is not there exactly once, with both of its settings."""
    ended = [run for run in runs if run.info.status == "FINISHED"]
    parents = [run for run in ended if run.data.tags.get("vecml.kind") == "compare"]
    settings = Counter(run.data.tags.get("mlflow.parentRunId") for run in ended)
    there = Counter(str(run.info.run_name) for run in parents)
    wrong = [f"{name} is there {there[name]} times" for name in begun if there[name] != 1]
    wrong += [f"{name} was never begun" for name in there.keys() - set(begun)]
    counts = [(run.info.run_name, settings[run.info.run_id]) for run in parents]
    return wrong + [f"{name} has {count} settings" for name, count in counts if count != 2]


def damage(store: Path) -> list[str]:
    """What SQLite says of a database that is damaged."""
    with sqlite3.connect(store) as database:
        found = [text for (text,) in database.execute("pragma integrity_check") if text != "ok"]
    database.close()
    return found


def disturb(server: Server, until: float, times: int, restarts: bool) -> int:
    """Restart the server, or read from it, so many times until then; how often it was done."""
    draw, done, pause = random.Random(0), 0, (until - time.time()) / (times + 1)
    read = f"{server.address}/ajax-api/2.0/mlflow/experiments/search?max_results=10"
    while time.time() + pause < until:
        time.sleep(pause * draw.uniform(0.5, 1.0))
        done += 1
        if restarts:
            server.end()
            server.start()
        else:
            urllib.request.urlopen(read, timeout=60).read()
    return done


@pytest.mark.parametrize("restarts", [True, False], ids=["restarted", "read"])
def test_writers(restarts: bool, mlflow_in_reach: Server, tmp_path: Path, environment: dict[str, str]) -> None:
    """At first through a server that is restarted; then into a folder, with a server for a UI over the same file."""
    server, seconds, times = mlflow_in_reach, max(30, scaled(SECONDS)), scaled(RESTARTS)
    what = "the store's process restarted" if restarts else "a UI reading"
    one = row(f"{WRITERS} writers, {seconds} s, {what}", "counts exact, integrity ok")
    home, store = tmp_path / "user", server.folder / "mlflow.db"
    if not restarts:
        (home / "mlruns").mkdir(parents=True)
        store = store.replace(home / "mlruns" / "mlflow.db")
        (server.folder / "mlflow.db").symlink_to(store)
    place = {"MLFLOW_TRACKING_URI": server.address} if restarts else {"VECML_HOME": str(home)}
    env = {**environment, **place, "VECML_CACHE": str(tmp_path / "cache"), "PYTHONPATH": str(ROOT)}
    server.start()
    until = time.time() + seconds
    command = [sys.executable, "-c", WRITER]
    more = [str(tmp_path / "cache"), str(until)]
    writing = [
        subprocess.Popen([*command, str(number), *more], env=env, stdout=subprocess.PIPE, text=True)
        for number in range(WRITERS)
    ]
    try:
        one.tried += disturb(server, until, times, restarts)
        begun = [line for process in writing for line in process.communicate(timeout=1_800)[0].split()]
        subprocess.run([sys.executable, "-c", LATER], env=env, check=True, capture_output=True, timeout=1_800)
        runs = every_run(server.address if restarts else f"sqlite:///{store}")
    finally:
        for process in writing:
            process.kill()
            process.wait()
        server.end()
    assert begun, "no writer wrote anything"
    one.broken += miscounted(runs, begun) + damage(store)
    assert one.broken == []

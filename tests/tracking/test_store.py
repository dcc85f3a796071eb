"""Who may close a run: whoever runs it, its flow run, and the next start once its process is dead."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from tasks.tracking.run import created_run
from tasks.tracking.store import Store, open_store
from tasks.tracking.write import close_flow_run
from tests.migrated_store import make_database
from vecml.identity import is_alive, process_identity
from vecml.keys import ERROR, FLOW_RUN, PROCESS
from vecml.warnings import VecmlWarning


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tmp_path_factory.mktemp("home"))


@pytest.fixture
def store(home: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """A real SQLite store in a folder of this module's; what a test leaves running is ended."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("VECML_HOME", home)
    opened = open_store()
    yield opened
    for run in opened.client.search_runs([opened.experiment.experiment_id], "attributes.status = 'RUNNING'"):
        opened.client.set_terminated(run.info.run_id, "FINISHED")


def started(store: Store, name: str, **tags: str) -> str:
    """The id of a new run; tags `process` and `flow` under the keys that vecml gives them."""
    keys = {"process": PROCESS, "flow": FLOW_RUN}
    named = {keys[key]: text for key, text in tags.items()}
    run = store.client.create_run(store.experiment.experiment_id, tags=named, run_name=name)
    return str(run.info.run_id)


def read(store: Store, run_id: str) -> Run:
    return store.client.get_run(run_id)


def test_a_flow_run_closes_its_own_run_only(store: Store) -> None:
    alive = process_identity()
    one, two = (started(store, name, process=alive, flow=name) for name in ("one", "two"))
    close_flow_run("one", "KILLED", "cancelled by hand")
    assert read(store, one).info.status == "KILLED"
    assert read(store, one).data.tags[ERROR] == "cancelled by hand"
    assert read(store, one).info.end_time is not None
    assert read(store, two).info.status == "RUNNING"
    assert ERROR not in read(store, two).data.tags


def test_a_run_that_has_ended_is_not_closed_again(store: Store) -> None:
    ended = started(store, "ended", process=process_identity(), flow="three")
    store.client.set_terminated(ended, "FINISHED")
    close_flow_run("three", "KILLED", "too late")
    assert read(store, ended).info.status == "FINISHED"
    assert ERROR not in read(store, ended).data.tags


def dead_identity() -> str:
    """What `process_identity` said in a process that has ended."""
    script = "from vecml.identity import process_identity; print(process_identity())"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    return done.stdout.strip()


def test_the_next_start_closes_what_died_and_nothing_else(store: Store) -> None:
    alive, dead = process_identity(), dead_identity()
    pid, start, boot, machine, namespace = dead.split()
    elsewhere = f"{pid} {start} {boot[::-1]} {machine[::-1]} {namespace}"
    assert is_alive(dead) is False
    gone = started(store, "gone", process=dead)
    others = {
        "alive": started(store, "alive", process=alive),
        "elsewhere": started(store, "elsewhere", process=elsewhere),
        "another container's": started(store, "container", process=f"{pid} {start} {boot} {machine} pid:[1]"),
        "unsigned": started(store, "unsigned"),
    }
    with pytest.warns(VecmlWarning, match=r"^VML009 closed as KILLED, because their processes have ended: gone$"):
        open_store()
    assert read(store, gone).info.status == "KILLED"
    assert read(store, gone).data.tags[ERROR] == "the process ended without closing its run"
    for name, run_id in others.items():
        assert read(store, run_id).info.status == "RUNNING", name
        assert ERROR not in read(store, run_id).data.tags, name
    open_store()  # and is silent: a warning would be an error here


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_second_termination_does_not_keep_a_run_from_being_ended(
    store: Store, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """As where a worker's whole group is signalled, and its flow's process once more by the worker."""

    def leave(_number: int, _frame: object) -> None:
        raise SystemExit(143)

    before = signal.signal(number, leave)
    set_tag = MlflowClient.set_tag

    def signalled(self: MlflowClient, *args: Any, **more: Any) -> None:
        os.kill(os.getpid(), number)
        set_tag(self, *args, **more)

    monkeypatch.setattr(MlflowClient, "set_tag", signalled)
    try:
        with pytest.raises(SystemExit), created_run(store, "twice", {}) as run:
            os.kill(os.getpid(), number)
        assert signal.getsignal(number) is leave
    finally:
        signal.signal(number, before)
    assert read(store, run.run_id).info.status == "KILLED"
    assert read(store, run.run_id).data.tags[ERROR] == "interrupted: SystemExit: 143"


def test_vecml_makes_a_database_itself(tmp_path: Path) -> None:
    """The other tests' stores are copies of one that was made so."""
    make_database(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mlflow.db"]
    assert [one.name for one in MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}").search_experiments()] == ["Default"]

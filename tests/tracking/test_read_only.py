"""What only reads works on a store that cannot be written, and changes nothing there."""

import csv
import json
import os
import shutil
import signal
import sqlite3
import subprocess
from pathlib import Path

import numpy as np
import pytest

from tasks.tracking import write
from tasks.tracking.comparison import tracked_comparison
from tasks.tracking.location import locate
from tasks.tracking.promotion import promote
from tasks.tracking.store import open_store
from tests.made_comparison import comparison_of
from tests.tracking.conftest import machine
from tests.tracking.test_read import NoFiles
from tests.tracking.test_registry import stored
from tests.unprivileged import Ended, in_child, unwritable, vecml
from vecml.cli.doctor import _readiness
from vecml.keys import PROCESS
from vecml.report.summary import PipelineResult

READING = (
    ("predict", "--data", "{data}", "--out", "{out}/labels.csv"),
    ("predict", "--model", "red kite", "--data", "{data}", "--out", "{out}/labels.csv"),
    ("report", "red kite", "--no-open", "--out", "{out}/kite.html"),
    ("report", "nightly", "--no-open", "--out", "{out}/nightly.html"),
    ("export", "nightly", "{out}/nightly.zip"),
    ("export", "red kite", "{out}/kite.zip"),
    ("leaderboard", "--json"),
    ("history", "--json"),
    ("diff", "nightly", "again", "--json"),
    ("champion", "--json"),
)
OFTEN = ("predict", "report", "leaderboard", "champion")  # the others with `make test-long`


@pytest.fixture(scope="module")
def full(empty: Path, tmp_path_factory: pytest.TempPathFactory, telling_result: PipelineResult) -> Path:
    """A folder with a store that has a champion and two comparisons; no test may change it."""
    home = tmp_path_factory.mktemp("full") / "home"
    shutil.copytree(empty, home)
    with machine(home), pytest.MonkeyPatch.context() as patch:
        patch.setattr(write, "file_writer", NoFiles)
        open_store()  # whose copy names its own folder from here on
        stored(telling_result, "red kite")
        for name in ("nightly", "again"):
            with tracked_comparison(name) as writer:
                writer.log(comparison_of({"numpy": 0.02, "torch": 0.01}))
        promote("red kite")
    columns = [column.name for column in telling_result.split.encoding.columns]
    with (home / "new.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(columns)
        rows.writerows(np.random.default_rng(1).normal(size=(20, len(columns))).tolist())
    return home


@pytest.fixture
def here(full: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """This process reads the store where it was made."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("VECML_HOME", str(full))
    monkeypatch.chdir(tmp_path)
    return full


def asked(command: tuple[str, ...], home: Path, folder: Path) -> Ended:
    return vecml(folder, *(part.format(data=home / "new.csv", out=folder) for part in command))


def state(home: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(home.rglob("*")) if path.is_file()}


@pytest.mark.parametrize("written", [True, False])
def test_nothing_is_made_in_the_folder_that_a_command_is_run_in(
    here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: bool
) -> None:
    """MLflow makes the folders of what it takes for a database's path: of `file:/home/mlruns`, say."""
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    with unwritable(here, *([] if written else [work])):
        ended = asked(("leaderboard", "--json"), here, tmp_path)
    assert (ended.code, ended.err) == (0, "")
    assert list(work.iterdir()) == []


@pytest.mark.parametrize(
    "command",
    [command if command[0] in OFTEN else pytest.param(command, marks=pytest.mark.long) for command in READING],
    ids=lambda command: " ".join(command[:2]),
)
def test_without_permission_to_write(here: Path, tmp_path: Path, command: tuple[str, ...]) -> None:
    before = state(here)
    with unwritable(here):
        done = asked(command, here, tmp_path)
    assert (done.code, done.err) == (0, "")
    assert state(here) == before


@pytest.mark.parametrize("part", ["mlflow.db", "."])
def test_where_only_the_file_or_only_the_folder_cannot_be_written(here: Path, tmp_path: Path, part: str) -> None:
    path = here / "mlruns" / part
    mode = path.stat().st_mode
    path.chmod(mode & 0o555)
    try:
        done = asked(("champion", "--json"), here, tmp_path)
    finally:
        path.chmod(mode)
    assert (done.code, done.err) == (0, "")


def test_what_writes_is_refused_by_the_reason(here: Path, tmp_path: Path) -> None:
    with unwritable(here):
        done = asked(("champion", "red kite", "--force"), here, tmp_path)
    assert done.code == 2
    assert done.err.startswith(f"error: cannot write to {here / 'mlruns'}: Permission denied\nhint: ")


def test_by_an_address(here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{here}/mlruns/mlflow.db")
    before = state(here)
    with unwritable(here):
        done = asked(("report", "red kite", "--no-open", "--out", "{out}/kite.html"), here, tmp_path)
    assert (done.code, done.err) == (0, "")
    assert state(here) == before


def test_one_that_was_copied(full: Path, here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The addresses in its database name another folder, which is there no more, and cannot be mended in place."""
    copied, away = tmp_path / "copied", full.with_name("away")
    shutil.copytree(full, copied)
    monkeypatch.setenv("VECML_HOME", str(copied))
    before = state(copied)
    full.rename(away)
    try:
        with unwritable(copied):
            done = asked(("predict", "--data", "{data}", "--out", "{out}/labels.csv"), copied, tmp_path)
    finally:
        away.rename(full)
    assert (done.code, done.err) == (0, "")
    assert state(copied) == before


def test_one_whose_last_transaction_was_killed(full: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite would have to roll it back, which it cannot: half of a transaction must not be read either."""
    copied = tmp_path / "copied"
    shutil.copytree(full, copied)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("VECML_HOME", str(copied))
    monkeypatch.chdir(tmp_path)

    def killed() -> None:
        database = sqlite3.connect(copied / "mlruns" / "mlflow.db", isolation_level=None)
        database.execute("PRAGMA cache_size = 1")  # so that pages reach the file before the commit
        database.execute("BEGIN IMMEDIATE")
        database.execute("UPDATE registered_model_aliases SET version = 99")
        database.execute("CREATE TABLE filling (text)")
        database.executemany("INSERT INTO filling VALUES (?)", [("x" * 4000,)] * 300)
        os.kill(os.getpid(), signal.SIGKILL)

    assert in_child(killed, tmp_path).code == -signal.SIGKILL
    assert (copied / "mlruns" / "mlflow.db-journal").stat().st_size
    before = state(copied)
    with unwritable(copied):
        done = asked(("champion", "--json"), copied, tmp_path)
    assert (done.code, done.err) == (0, "")  # and says nothing
    assert json.loads(done.out)["champion"] == 1
    assert state(copied) == before


@pytest.mark.filterwarnings("ignore:VML015")
def test_a_run_that_died_there_is_left_alone(full: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copied = tmp_path / "copied"
    shutil.copytree(full, copied)
    with machine(copied):
        store = open_store()
        store.client.create_run(store.experiment.experiment_id, tags={PROCESS: "999999 1 a b c"}, run_name="dead")
    monkeypatch.setenv("VECML_HOME", str(copied))
    monkeypatch.chdir(tmp_path)
    with unwritable(copied):
        done = asked(("report", "dead", "--no-open", "--out", "{out}/dead.html"), copied, tmp_path)
    assert (done.code, done.err) == (0, "")


def test_a_read_only_mount(here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mounted = tmp_path / "mounted"
    mounted.mkdir()
    for command in (("mount", "--bind", here, mounted), ("mount", "-o", "remount,bind,ro", mounted)):
        made = subprocess.run(command, capture_output=True, check=False)
        if made.returncode:
            pytest.skip(f"nothing can be mounted here: {made.stderr.decode().strip()}")
    monkeypatch.setenv("VECML_HOME", str(mounted))
    try:
        done = asked(("predict", "--data", "{data}", "--out", "{out}/labels.csv"), here, tmp_path)
    finally:
        subprocess.run(["umount", "-l", mounted], check=True)
    assert (done.code, done.err) == (0, "")


def test_doctor_says_so(here: Path, tmp_path: Path) -> None:
    with unwritable(here):
        done = in_child(lambda: os.write(1, _readiness(locate()).encode()), tmp_path)
    assert done.out.startswith(f"for reading only: cannot write to {here / 'mlruns'}: Permission denied (")

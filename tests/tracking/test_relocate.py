"""A store that was moved or copied finds its own artifacts; one whose artifacts lie elsewhere on purpose keeps them."""

import dataclasses
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from mlflow.tracking._tracking_service.utils import _artifact_repos_cache

from tasks.tracking import relocate, write
from tasks.tracking.comparison import tracked_comparison
from tasks.tracking.read import read_run
from tasks.tracking.store import open_store
from tasks.tracking.stored_run import artifact, read_stored_run
from tasks.tracking.write import tracked
from tests.made_comparison import comparison_of
from tests.tracking.test_read import NoFiles
from vecml.comparison.document import to_json
from vecml.errors import StoreError
from vecml.keys import KIND, PIPELINE
from vecml.report.summary import PipelineResult
from vecml.warnings import VecmlWarning

COMPARISON = comparison_of({"numpy": 0.02, "torch": 0.01})
Use = Callable[[Path], None]
COLUMNS = (*relocate.FILES, *relocate.ROOTS)


@pytest.fixture(autouse=True)
def use(monkeypatch: pytest.MonkeyPatch) -> Iterator[Use]:
    """`use(home)`: a process that starts in that folder; this one would remember where artifacts were."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setattr(write, "file_writer", NoFiles)

    def start_in(home: Path) -> None:
        _artifact_repos_cache.clear()
        monkeypatch.setenv("VECML_HOME", str(home))

    yield start_in
    _artifact_repos_cache.clear()


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory, telling_result: PipelineResult) -> Path:
    """A folder with a store: a pipeline run with its MLflow model, a comparison of two settings, a registered model.

    No test may change it.
    """
    home = tmp_path_factory.mktemp("original") / "check out"
    home.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        patch.setenv("VECML_HOME", str(home))
        patch.setattr(write, "file_writer", NoFiles)
        config = telling_result.config.model_copy(update={"name": "red kite"})
        with tracked(config, telling_result.inference.setting.device, None) as writer:
            writer.log_setting(telling_result.inference.setting)
            writer.log_result(dataclasses.replace(telling_result, config=config), "a note")
        with tracked_comparison("a comparison") as comparing:
            comparing.log(COMPARISON, "a note")
        store = open_store()
    source = home / "mlruns" / "artifacts" / writer.run.run_id / "artifacts" / "model"
    store.client.create_registered_model("classifier")
    store.client.create_model_version("classifier", str(source), writer.run.run_id)
    store.client.create_model_version("classifier", source.as_uri(), writer.run.run_id)
    return home


@pytest.fixture
def gone(checkout: Path) -> Iterator[Path]:
    """Where the checkout was: for the time of a test it is not there."""
    away = checkout.with_name("away")
    checkout.rename(away)
    yield checkout
    assert not checkout.exists()
    away.rename(checkout)


def addresses(home: Path) -> list[str]:
    """Every address in the database."""
    found = []
    with closing(sqlite3.connect(home / "mlruns" / "mlflow.db")) as database:
        for table, column in COLUMNS:
            found += [row[0] for row in database.execute(f"SELECT {column} FROM {table}") if row[0]]  # noqa: S608
    return found


def content(home: Path) -> dict[Path, bytes]:
    return {path.relative_to(home): path.read_bytes() for path in home.rglob("*") if path.is_file()}


def mended(home: Path, runs: int) -> Any:
    text = f"VML015 the store was moved: addresses of {runs} runs now name {home / 'mlruns' / 'artifacts'}"
    return pytest.warns(VecmlWarning, match=f"^{text}$")


def check_reads(home: Path, telling_result: PipelineResult) -> None:
    assert read_run("red kite").model_digest == telling_result.training.model.digest
    assert artifact(read_stored_run("a comparison"), "comparison.json") == to_json(COMPARISON).encode()


def test_a_moved_store_finds_its_artifacts(
    gone: Path, tmp_path: Path, use: Use, telling_result: PipelineResult
) -> None:
    home = tmp_path / "another place" / "check"
    shutil.copytree(gone.with_name("away"), home)
    before = addresses(home)
    assert len([one for one in before if "check%20out" in one]) >= 1
    use(home)
    with mended(home, 4):
        open_store()
    old, new = (one / "mlruns" / "artifacts" for one in (gone, home))
    expected = [one.replace(str(old), str(new)).replace(old.as_uri(), new.as_uri()) for one in before]
    assert addresses(home) == expected
    assert not [one for one in expected if str(old) in one or old.as_uri() in one]
    check_reads(home, telling_result)
    with tracked_comparison("a new one") as writer:  # and silently: a warning would be an error here
        writer.log(COMPARISON, "a note")
    assert (new / writer.run.run_id / "artifacts" / "comparison.json").exists()


def test_every_address_of_the_schema_is_known(checkout: Path) -> None:
    """Whatever column holds a path of ours is one of those that are mended; MLflow may add some."""
    holding = set()
    with closing(sqlite3.connect(checkout / "mlruns" / "mlflow.db")) as database:
        tables = [row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for table in tables:
            for column in [row[0] for row in database.execute("SELECT name FROM pragma_table_info(?)", (table,))]:
                query = f"SELECT count(*) FROM {table} WHERE instr({column}, ?)"  # noqa: S608
                if database.execute(query, (str(checkout),)).fetchone()[0]:
                    holding.add((table, column))
    assert holding == set(COLUMNS)


def test_a_copy_uses_its_own_files_and_leaves_the_original(
    checkout: Path, tmp_path: Path, use: Use, telling_result: PipelineResult
) -> None:
    home = tmp_path / "copy"
    shutil.copytree(checkout, home)
    before = content(checkout)
    use(home)
    with mended(home, 4):
        check_reads(home, telling_result)
    run_id = read_stored_run("red kite").run_id
    open_store().client.log_text(run_id, "mine", "more.txt")
    assert (home / "mlruns" / "artifacts" / run_id / "artifacts" / "more.txt").exists()
    assert content(checkout) == before
    use(checkout)
    check_reads(checkout, telling_result)
    assert all(str(home) not in one for one in addresses(checkout))


def test_a_run_whose_files_stayed_behind_keeps_its_address(checkout: Path, tmp_path: Path, use: Use) -> None:
    home = tmp_path / "copy"
    shutil.copytree(checkout, home)
    use(checkout)
    left = read_stored_run("a comparison").run_id
    shutil.rmtree(home / "mlruns" / "artifacts" / left)
    use(home)
    with mended(home, 3):
        open_store()
    assert artifact(read_stored_run("a comparison"), "comparison.json") is not None
    assert [one for one in addresses(home) if str(checkout) in one] == [
        str(checkout / "mlruns" / "artifacts" / left / "artifacts")
    ]
    open_store()


def test_a_store_whose_artifacts_are_all_elsewhere_is_left_alone(checkout: Path, tmp_path: Path, use: Use) -> None:
    home = tmp_path / "light"
    shutil.copytree(checkout, home, ignore=shutil.ignore_patterns("artifacts"))
    before = addresses(home)
    use(home)
    assert artifact(read_stored_run("a comparison"), "comparison.json") is not None
    assert addresses(home) == before


def test_an_address_that_was_given_on_purpose_is_left_alone(tmp_path: Path, use: Use) -> None:
    home, big = tmp_path / "home", tmp_path / "big disk"
    (home / "mlruns").mkdir(parents=True)
    client = MlflowClient(f"sqlite:///{home / 'mlruns' / 'mlflow.db'}")
    client.create_experiment("vecml", artifact_location=str(big))
    use(home)
    store = open_store()
    run = store.client.create_run(store.experiment.experiment_id, tags={KIND: PIPELINE})
    store.client.log_text(run.info.run_id, "x", "x.txt")
    store.client.set_terminated(run.info.run_id)
    before = addresses(home)
    shutil.move(home, tmp_path / "moved")
    use(tmp_path / "moved")
    assert artifact(read_stored_run(run.info.run_id), "x.txt") == b"x"
    assert addresses(tmp_path / "moved") == before


def test_a_store_without_artifacts_moves_silently(tmp_path: Path, use: Use) -> None:
    use(tmp_path / "a")
    open_store()
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    use(tmp_path / "b")
    assert open_store().experiment.artifact_location == str(tmp_path / "b" / "mlruns" / "artifacts")


def test_nothing_moved_costs_one_query_and_writes_nothing(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    connect = sqlite3.connect

    def watched(*args: Any, **more: Any) -> sqlite3.Connection:
        database = connect(*args, **more)
        database.set_trace_callback(asked.append)
        return database

    monkeypatch.setattr(relocate.sqlite3, "connect", watched)
    before = (checkout / "mlruns" / "mlflow.db").read_bytes()
    relocate.update_addresses(checkout / "mlruns")
    assert asked == ["SELECT artifact_location FROM experiments WHERE name = 'vecml'"]
    assert (checkout / "mlruns" / "mlflow.db").read_bytes() == before


def test_a_database_that_cannot_be_written_is_named(
    checkout: Path, tmp_path: Path, use: Use, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "copy"
    shutil.copytree(checkout, home)
    before = addresses(home)
    monkeypatch.setattr(relocate, "WAIT_SECONDS", 0.1)
    use(home)
    with closing(sqlite3.connect(home / "mlruns" / "mlflow.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError) as caught:
            open_store()
        other.execute("ROLLBACK")
    assert caught.value.message == (
        f"{home / 'mlruns'} was moved from {checkout / 'mlruns'}, "
        "and its addresses could not be updated: database is locked"
    )
    assert caught.value.hint == "end what else uses mlflow.db there, and try again"
    assert addresses(home) == before


def test_a_kill_in_the_middle_changes_nothing(
    checkout: Path, tmp_path: Path, use: Use, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until the transaction is committed the database is the old one, whatever ends the process."""
    home = tmp_path / "copy"
    shutil.copytree(checkout, home)
    before, mending = addresses(home), relocate._update_all

    def interrupted(*args: Any) -> int:
        mending(*args)
        raise KeyboardInterrupt

    monkeypatch.setattr(relocate, "_update_all", interrupted)
    use(home)
    with pytest.raises(KeyboardInterrupt):
        open_store()
    assert addresses(home) == before
    monkeypatch.setattr(relocate, "_update_all", mending)
    with mended(home, 4):
        open_store()

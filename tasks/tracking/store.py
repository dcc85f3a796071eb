"""Open the store: create its database once, however many processes start at the same time, and end dead runs.

What only reads opens a store that cannot be written as well; there nothing is created, mended or ended.

The local store is SQLite with its rollback journal (this Python's SQLite may corrupt a database in WAL mode). If two
processes migrate a new database at once, one of them fails, so a file lock guards the opening.
"""

import json
import logging
import os
import re
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path

import psutil
from filelock import Timeout
from mlflow import MlflowClient
from mlflow.entities import Experiment, Run, ViewType
from mlflow.exceptions import MlflowException
from requests.exceptions import RequestException
from sqlalchemy.exc import SQLAlchemyError

from tasks.tracking.location import DATABASE, EXPERIMENT, Location, check_usable, locate, prepare, refusal, sqlite_uri
from tasks.tracking.read_only import to_read
from tasks.tracking.relocate import update_addresses
from tasks.tracking.ui_columns import store_view
from tasks.tracking.waiting import waiting
from vecml.errors import StoreError, one_line
from vecml.identity import is_alive, process_identity
from vecml.keys import COMPLETE, ERROR, FLOW_RUN, IMPORT_END, IMPORTING, KIND, PROCESS
from vecml.locks import locked
from vecml.passwords import without_passwords
from vecml.warnings import warn

LOCK_SECONDS = 120
PARENT = "mlflow.parentRunId"  # MLflow's UI shows a run below the run that this tag names
# MLflow reads the metrics, params and tags of a page with one query each, so that large pages cost the least.
PAGE = 5_000
# What MLflow answers when another start has deleted the same run or tag a moment ago.
SETTLED_MEANWHILE = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE", "INVALID_STATE")
# What is installed for a module that a dialect of SQLAlchemy's asks for, and for one that MLflow asks for files' sake.
DRIVERS = {
    "psycopg": "psycopg[binary]",
    "psycopg2": "psycopg2-binary",
    "psycopg2cffi": "psycopg2cffi",
    "asyncpg": "asyncpg",
    "pg8000": "pg8000",
    "MySQLdb": "mysqlclient",
    "pymysql": "pymysql",
    "mysql": "mysql-connector-python",
    "mariadb": "mariadb",
    "pyodbc": "pyodbc",
    "pymssql": "pymssql",
    "oracledb": "oracledb",
    "cx_Oracle": "cx_Oracle",
}
FILE_STORES = {"google": "google-cloud-storage", "azure": "azure-storage-blob", "boto3": "boto3"}
WHERE_RUNS = "run this in the folder of its mlruns/, or name that with VECML_HOME"


@dataclass(frozen=True)
class Store:
    """An open store: MLflow's client, our experiment in it, where it lies, and whether it can be written."""

    client: MlflowClient
    experiment: Experiment
    location: Location
    writable: bool = True


def preload(location: Location) -> None:
    """Import the modules that opening the store needs, at a moment when the start has to wait anyway."""
    if location.folder is not None:
        import_module("mlflow.store.tracking.sqlalchemy_store")


@contextmanager
def store_errors(location: Location) -> Iterator[None]:
    """Turn errors of MLflow, the database or the disk into a StoreError of one line during the `with` block."""
    try:
        yield
    except (MlflowException, SQLAlchemyError, RequestException, OSError, ModuleNotFoundError) as error:
        reason = without_passwords(one_line(error, whole=True, limit=None))[:300]
        hint = "see that it is there, has room and can be written; `vecml doctor` checks it"
        missing = re.search(r"No module named '(\w+)", reason)
        for what, packages in (("its driver", DRIVERS), ("what reaches its files", FILE_STORES)):
            if missing is not None and missing[1] in packages:
                reason = f"{what}, the Python package {missing[1]}, is not installed"
                hint = f"pip install '{packages[missing[1]]}'"
        failure = StoreError(f"the tracking store {location.shown} failed: {reason}", hint)
        # Not "from error": Prefect's log and a traceback would show the address with its password.
        failure.add_note(without_passwords("".join(traceback.format_exception(error))))
        raise failure from None


def open_store(location: Location | None = None) -> Store:
    """Open the store, create it on first use, and end its dead runs. Raises StoreError."""
    location = location or locate()
    prepare(location)
    with store_errors(location):
        if location.folder is None:
            store = _connect(location)
            _settle_dead_imports(store)
        else:
            store = _open_folder(location, location.folder)
        _close_dead_runs(store)
    return store


def open_to_read(location: Location | None = None) -> Store:
    """Open an existing store to read it: as `open_store` does where it can be written, else as it is.

    Raises StoreError where it is not there or cannot be read.
    """
    location = location or locate()
    check_usable(location)
    if location.folder is not None and refusal(location.folder) is None:
        return open_store(location)
    with store_errors(location):
        if location.folder is not None:
            return replace(_connect(to_read(location), reading=True), writable=False)
        store = _connect(location, reading=True)
        with suppress(MlflowException):  # this user may not write; another start ends the dead runs
            _settle_dead_imports(store)
            _close_dead_runs(store)
    return store


def _open_folder(location: Location, folder: Path) -> Store:
    """Open the local store in `folder`, or create it; one process at a time does that."""
    try:
        with locked(folder / ".lock", LOCK_SECONDS):
            _make_database(folder)
            update_addresses(folder)
            store = _connect(location)
            _settle_dead_imports(store)
            return store
    except Timeout:
        raise StoreError(
            f"{folder / '.lock'} was held by another process for {LOCK_SECONDS} s",
            "see whether another vecml hangs; the lock goes with its process",
        ) from None


def _make_database(folder: Path) -> None:
    """Create mlflow.db, under another name first: a full disk during MLflow's migrations would leave a broken one."""
    database = folder / DATABASE
    if database.exists():
        return
    for remains in folder.glob(".new-*"):
        remains.unlink()
    temporary = folder / f".new-{os.getpid()}.db"
    _silence_mlflow()
    try:
        MlflowClient(sqlite_uri(temporary)).search_experiments(max_results=1)
        temporary.replace(database)
    finally:
        for remains in folder.glob(f"{temporary.name}*"):
            remains.unlink()


def _silence_mlflow() -> None:
    """Let MLflow log nothing: it logs errors with a traceback and raises them as well, and these become a line of ours.

    Its own import sets the levels, so that this is done before each use.
    """
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.CRITICAL)


def _connect(location: Location, *, reading: bool = False) -> Store:
    """Find our experiment, or create it; `reading`: in a store that perhaps cannot be written."""
    _silence_mlflow()
    client = MlflowClient(location.uri)
    experiment = client.get_experiment_by_name(EXPERIMENT)
    if experiment is None:
        try:
            client.create_experiment(EXPERIMENT, artifact_location=location.artifact_root)
        except MlflowException as error:  # on a shared server another client may have been first
            if error.error_code != "RESOURCE_ALREADY_EXISTS" and not reading:
                raise
        experiment = client.get_experiment_by_name(EXPERIMENT)
    if experiment is None and reading:
        raise StoreError(f"nothing is recorded: {location.shown} holds no runs, and it cannot be written", WHERE_RUNS)
    if experiment is None or experiment.lifecycle_stage != "active":
        raise StoreError(
            f"the experiment {EXPERIMENT!r} in {location.shown} was deleted",
            "restore it in MLflow's UI, or set MLFLOW_TRACKING_URI to another store",
        )
    with suppress(MlflowException) if reading else nullcontext():
        store_view(client, experiment)
    return Store(client, experiment, location)


def search(store: Store, query: str, limit: int | None = None) -> list[Run]:
    """Find the runs of our experiment that fit MLflow's `query` and were not deleted.

    Returns the latest run first, and at most `limit` runs; all of them for None. What MLflow raises passes through.
    """
    found: list[Run] = []
    token = None
    while True:
        size = PAGE if limit is None else min(PAGE, limit - len(found))
        page = store.client.search_runs(
            [store.experiment.experiment_id], query, ViewType.ACTIVE_ONLY, max_results=size, page_token=token
        )
        found += page
        token = page.token
        if not token or len(found) == limit:
            return found


def child_runs(store: Store, run_id: str) -> list[Run]:
    """Find the runs below a run, for example a comparison's settings; the latest run comes first."""
    return search(store, f"tags.`{PARENT}` = '{run_id}'")


def running_runs(store: Store, flow_run_id: str | None = None) -> list[Run]:
    """Find the runs that the store calls RUNNING; where `flow_run_id` is given, only that flow run's."""
    query = "attributes.status = 'RUNNING'"
    if flow_run_id is not None:
        query += f" and tags.`{FLOW_RUN}` = '{flow_run_id}'"
    return search(store, query)


def end_run(store: Store, run_id: str, status: str, reason: str) -> None:
    """End a run with the status FAILED or KILLED, and write the reason into its error tag."""
    store.client.set_tag(run_id, ERROR, reason[:5000])
    store.client.set_terminated(run_id, status)


def interrupted_imports(store: Store) -> list[Run]:
    """Find the upper runs of imports that have not come to their end."""
    return search(store, f"tags.`{IMPORTING}` LIKE '%'")


@contextmanager
def import_lock(location: Location, seconds: float) -> Iterator[None]:
    """Let one process at a time import into a local store, or settle what an import left there.

    A server is shared by machines, which no file lock reaches. Raises Timeout where another holds it for `seconds`, and
    StoreError where the file cannot be locked.
    """
    with nullcontext() if location.folder is None else locked(location.folder / ".import.lock", seconds):
        yield


def settle_import(store: Store, run: Run) -> None:
    """End the runs of an interrupted import if all of it is there, else delete them; `run` is the upper run.

    What came to its end since it was found is left alone: MLflow reads a run's tags after it has found the run by them.
    """
    state = run.data.tags.get(IMPORTING)
    if state is None:
        return
    below = child_runs(store, run.info.run_id)
    if state == COMPLETE:
        for one in (*below, run):
            end_imported(store, one)
    else:
        clear_import(store, run.info.run_id, [child.info.run_id for child in below])


def clear_import(store: Store, run_id: str, below: Sequence[str]) -> None:
    """Delete what there is of an import: first what says that it is whole, the upper run last."""
    store.client.set_tag(run_id, IMPORTING, "yes")
    for child in below:
        store.client.delete_run(child)
    store.client.delete_run(run_id)


def end_imported(store: Store, run: Run) -> None:
    """Give an imported run, which is RUNNING, the end and the kind that it had; doing it again changes nothing."""
    run_id, tags = run.info.run_id, run.data.tags
    if IMPORT_END in tags:
        end = json.loads(tags[IMPORT_END])
        if end["end_time"] is None:
            store.client.update_run(run_id, end["status"])
        else:
            store.client.set_terminated(run_id, end["status"], end["end_time"])
        if end["kind"] is not None:
            store.client.set_tag(run_id, KIND, end["kind"])
    for tag in (IMPORT_END, PROCESS, IMPORTING):
        if tag in tags:
            try:
                store.client.delete_tag(run_id, tag)
            except MlflowException as error:  # on a server another start may have ended it as well
                if error.error_code not in SETTLED_MEANWHILE:
                    raise


def _settle_dead_imports(store: Store) -> None:
    """Settle the imports whose processes have provably ended; in a local store none while one goes on."""
    if not interrupted_imports(store):
        return
    with suppress(Timeout), import_lock(store.location, 0):
        for run in interrupted_imports(store):
            state, identity = run.data.tags.get(IMPORTING), run.data.tags.get(PROCESS)
            if state is None:
                continue
            if (
                identity is not None
                and is_alive(identity) is not False
                and not _of_an_earlier_boot(store, identity, run)
            ):
                continue
            try:
                settle_import(store, run)
            except MlflowException as error:
                if store.location.folder is not None or error.error_code not in SETTLED_MEANWHILE:
                    raise
                continue
            if identity is None and state == COMPLETE:
                continue  # all but this tag was ended before, perhaps by a process that was about to do this too
            done = "finished" if state == COMPLETE else "cleared"
            warn("VML009", f"{done} the import of {run.info.run_name}, because its process ended before it did")


def _close_dead_runs(store: Store) -> None:
    """End RUNNING runs whose process has provably ended as KILLED; leave runs of other machines alone."""
    closed = []
    later = {one.run_id for one in waiting(store.location)}  # these are logged, and end well
    for run in running_runs(store):
        identity = run.data.tags.get(PROCESS, "")
        if run.info.run_id in later:
            continue
        if is_alive(identity) is False or _of_an_earlier_boot(store, identity, run):
            end_run(store, run.info.run_id, "KILLED", "the process ended without closing its run")
            closed.append(run.info.run_name)
    if closed:
        warn("VML009", f"closed as KILLED, because their processes have ended: {', '.join(closed)}")


def _of_an_earlier_boot(store: Store, identity: str, run: Run) -> bool:
    """Whether a run of a local store began before this machine's latest boot.

    A restarted virtual machine cannot prove that it is the same machine; but a local store belongs to one machine.
    """
    if store.location.folder is None:
        return False
    recorded, own = identity.split(), process_identity().split()
    return len(recorded) == len(own) and recorded[2] != own[2] and run.info.start_time < psutil.boot_time() * 1000

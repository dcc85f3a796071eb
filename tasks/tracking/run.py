"""Runs in MLflow, of any kind: each is created once and ended once, with a status that is true.

An exception ends a run as FAILED with the message in a tag; an interrupt, a termination or a cancellation ends it as
KILLED. A run whose process was killed at once (SIGKILL, a power cut) is ended by the next process that opens the store.
"""

import signal
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from tasks.tracking import store as stores
from tasks.tracking.answering import check_answers
from tasks.tracking.content import Content, log_values
from tasks.tracking.store import Store, store_errors
from tasks.tracking.ui_columns import QUERY
from tasks.tracking.unsaved import log_unsaved, reopen
from tasks.tracking.waiting import forget, keep
from vecml.device import device_name
from vecml.environment import Environment, describe, git_commit
from vecml.errors import StoreError, VecmlError, interrupted, one_line
from vecml.identity import process_identity
from vecml.leftovers import scratch_folder
from vecml.passwords import without_passwords
from vecml.progress import stage
from vecml.tracked_run import TrackedRun, start_tags
from vecml.warnings import warn

UI_VIEW = "workflowType=machine_learning"  # without it MLflow's UI shows its pages for language models
NOTE = "mlflow.note.content"
LONGEST_NOTE = 8_000  # characters; the longest tag that MLflow accepts


@dataclass(frozen=True)
class OpenRun:
    """A run that is RUNNING.

    Attributes:
        store: the store that holds it.
        run: its ids and its page.
        environment: the machine and the libraries.
        tags: the tags that it was created with.
    """

    store: Store
    run: TrackedRun
    environment: Environment
    tags: Mapping[str, str]


@dataclass(frozen=True)
class RunContent:
    """The whole content of a run without runs below it.

    Attributes:
        files: the artifacts by path: text or bytes.
        params, metrics, tags: values by key.
        note: the run's description, in Markdown; it is cut to the length that MLflow accepts.
    """

    files: Mapping[str, str | bytes]
    params: Mapping[str, str]
    metrics: Mapping[str, float]
    tags: Mapping[str, str]
    note: str


@dataclass(frozen=True)
class ResultWriter:
    """Writes one result into the run `opened`: a ladder, a lab, an optimisation or a fitted estimator."""

    opened: OpenRun

    @property
    def run(self) -> TrackedRun:
        return self.opened.run

    def log(self, content: RunContent) -> None:
        """Log the content of the run.

        All files are on the disk before anything is logged; when logging fails, the StoreError names their folder.
        """
        store, run_id = self.opened.store, self.run.run_id
        with (
            stage("storing the result"),
            store_errors(store.location),
            scratch_folder() as scratch,
        ):
            folder = scratch / "run"
            for path, file in content.files.items():
                _write(folder / path, file)
            now = int(time.time() * 1000)
            values = Content(
                dict(content.params),
                {**content.tags, NOTE: content.note[:LONGEST_NOTE]},
                tuple((name, value, now, 0) for name, value in content.metrics.items()),
            )
            with kept_on_failure(store, self.run, folder, values):
                log_values(store, run_id, values)
                store.client.log_artifacts(run_id, str(folder))


@contextmanager
def tracked_result(kind: str, name: str | None) -> Iterator[ResultWriter]:
    """Give a result's writer for the `with` block, in a new run on the CPU, which ends as in `tracked_run`.

    `kind` is `LADDER`, `LAB`, `OPTIMIZE` or `FIT` of `vecml.keys`; without a `name` MLflow makes one.

    Raises StoreError when the store cannot be opened or written.
    """
    with tracked_run(kind, name, device_name("cpu"), None) as opened:
        yield ResultWriter(opened)


@contextmanager
def tracked_run(
    kind: str,
    name: str | None,
    device: str,
    flow_run_id: str | None,
    resume: str | None = None,
    elsewhere: Environment | None = None,
) -> Iterator[OpenRun]:
    """Open a new run for the `with` block: FINISHED when the block ends, FAILED or KILLED when an exception leaves it.

    Args:
        kind: `PIPELINE`, `COMPARE`, `LADDER` ... of `vecml.keys`.
        name: name of the run; None lets MLflow make one.
        device: name of the device, for people.
        flow_run_id: id of the Prefect flow run that it belongs to.
        resume: id of a stopped run that goes on; if it was deleted, a new run is created.
        elsewhere: the machine and the libraries that measured; None: those of this process.

    Raises StoreError when the store cannot be opened or written.
    """
    store = stores.open_store()
    log_unsaved(store, except_for=resume)
    environment = elsewhere or describe()
    commit = git_commit(Path.cwd())
    tags = start_tags(kind, environment, device, process_identity(), flow_run_id, commit)
    with created_run(store, name, tags, resume) as run:
        yield OpenRun(store, run, environment, tags)


@contextmanager
def created_run(
    store: Store, name: str | None, tags: Mapping[str, str], resume: str | None = None
) -> Iterator[TrackedRun]:
    """Open a run with these tags for the `with` block; it ends as in `tracked_run`.

    `name` and `resume` are as for `tracked_run`. Raises StoreError.
    """
    with store_errors(store.location):
        created = reopen(store, resume, dict(tags)) if resume else None
        if created is None:
            created = store.client.create_run(store.experiment.experiment_id, tags=dict(tags), run_name=name)
    run = _describe(store, created.info.run_id, created.info.run_name)
    try:
        yield run
        with store_errors(store.location):
            store.client.set_terminated(run.run_id, "FINISHED")
            if resume:
                forget(store.location, run.run_id)
    except Exception as error:
        status = "KILLED" if interrupted(error) else "FAILED"
        _end(store, run, status, _error_tag(error))
        raise
    except BaseException as error:
        _end(store, run, "KILLED", f"interrupted: {_error_tag(error)}")
        raise


@contextmanager
def kept_on_failure(
    store: Store, run: TrackedRun, files: Path, content: Content, example: Path | None = None, unfinished: str = ""
) -> Iterator[None]:
    """Keep the result in the user's folder if the `with` block fails to log it; the StoreError names that folder.

    The next start logs it. `files`, `content`, `example` and `unfinished` are as for `tasks.tracking.waiting`.
    """
    location = store.location
    try:
        with store_errors(location):
            if location.has_server:
                check_answers(location.uri)
            yield
    except StoreError as error:
        kept = keep(location, run.run_id, run.name, files, asdict(content), example, unfinished)
        error.kept = kept
        if kept is not None:
            error.hint = f"the result is kept in {kept}, and logged by the next start of vecml; {error.hint}"
        raise


def runs_url(store: Store) -> str:
    """Give the address of the page of all our runs in MLflow's UI, with our columns."""
    return f"{_experiment_page(store)}/runs?{UI_VIEW}&{QUERY}"


def _write(path: Path, content: str | bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode("utf-8") if isinstance(content, str) else content)


def _end(store: Store, run: TrackedRun, status: str, reason: str) -> None:
    """End the run; if this fails, warn (VML010), so that the first error is raised."""
    try:
        with _termination_waits(), store_errors(store.location):
            if store.location.has_server:
                check_answers(store.location.uri)
            stores.end_run(store, run.run_id, status, reason)
    except StoreError as error:
        warn("VML010", f"run {run.name} could not be ended as {status}: {error}; the next start closes it")


@contextmanager
def _termination_waits() -> Iterator[None]:
    """Ignore a second SIGTERM or SIGHUP during the `with` block: it would leave the run RUNNING.

    A service manager signals a worker's whole group, and then the worker signals its flow's process again. Ctrl-C still
    interrupts: a user who presses it again does not want to wait. Outside the main thread no signal handler runs.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)  # None: not set from Python


def _error_tag(error: BaseException) -> str:
    """Write the error for the run's tag, without passwords; an error of another library with its type."""
    return without_passwords(one_line(error, named=not isinstance(error, VecmlError), whole=True, limit=None))


def _describe(store: Store, run_id: str, name: str) -> TrackedRun:
    location = store.location
    return TrackedRun(
        run_id=run_id,
        experiment_id=store.experiment.experiment_id,
        name=name,
        store=location.shown,
        local=not location.has_server,
        url=f"{_experiment_page(store)}/runs/{run_id}?{UI_VIEW}",
        runs_url=runs_url(store),
    )


def _experiment_page(store: Store) -> str:
    return f"{store.location.ui}/#/experiments/{store.experiment.experiment_id}"

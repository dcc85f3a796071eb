"""A run in MLflow, whatever its kind: created once, ended once, and true whatever happens between.

An exception ends it FAILED with the message in a tag; an interrupt, a termination or a cancellation ends it KILLED.
What even that cannot catch (SIGKILL, a power cut) is closed by whoever opens the store next.
"""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mlflow.entities import Param, Run, RunTag
from mlflow.exceptions import MlflowException

from tasks.tracking import store as stores
from tasks.tracking.location import without_passwords
from tasks.tracking.store import Store, store_errors
from tasks.tracking.view import QUERY
from vecml import record as records
from vecml.environment import Environment, describe, git_commit, process_identity
from vecml.errors import StoreError, VecmlError, interrupted
from vecml.record import TrackedRun
from vecml.warnings import warn

UI_VIEW = "workflowType=machine_learning"  # without it MLflow's UI shows what is for language models


@dataclass(frozen=True)
class OpenRun:
    """A run that is RUNNING.

    Attributes:
        store: where it is kept.
        run: its ids and its page.
        environment: what it runs on.
        tags: what it was created with.
    """

    store: Store
    run: TrackedRun
    environment: Environment
    tags: Mapping[str, str]


@contextmanager
def tracked_run(
    kind: str, name: str | None, device: str, flow_run_id: str | None, resume: str | None = None
) -> Iterator[OpenRun]:
    """A new run round the block: FINISHED when the block ends, FAILED or KILLED when it is left otherwise.

    Args:
        kind: of `vecml.record`: `PIPELINE`, `COMPARE`.
        name: None lets MLflow make one.
        device: its own name, for people.
        flow_run_id: the Prefect flow run that it belongs to.
        resume: id of a run that was stopped and goes on; where the store no longer has it, a new one is made.

    Raises StoreError when the store cannot be opened or written.
    """
    store = stores.open_store()
    environment = describe()
    commit = git_commit(Path.cwd())
    tags = records.start_tags(kind, environment, device, process_identity(), flow_run_id, commit)
    with created_run(store, name, tags, resume) as run:
        yield OpenRun(store, run, environment, tags)


@contextmanager
def created_run(
    store: Store, name: str | None, tags: Mapping[str, str], resume: str | None = None
) -> Iterator[TrackedRun]:
    """A run with these tags round the block, a new one or the one that is resumed; it ends as in `tracked_run`.

    Raises StoreError.
    """
    with store_errors(store.location):
        created = _reopened(store, resume, tags) if resume else None
        if created is None:
            created = store.client.create_run(store.experiment.experiment_id, tags=dict(tags), run_name=name)
    run = _describe(store, created.info.run_id, created.info.run_name)
    try:
        yield run
        with store_errors(store.location):
            store.client.set_terminated(run.run_id, "FINISHED")
    except Exception as error:
        status = "KILLED" if interrupted(error) else "FAILED"
        _end(store, run, status, _one_line(error))
        raise
    except BaseException as error:
        _end(store, run, "KILLED", f"interrupted: {_one_line(error)}")
        raise


@contextmanager
def kept_on_failure(store: Store, run_id: str, folder: Path) -> Iterator[None]:
    """Round the block that stores what `folder` holds: when that fails, the StoreError says where a copy is kept."""
    try:
        with store_errors(store.location):
            yield
    except StoreError as error:
        home = store.location.folder.parent if store.location.folder else Path.cwd()
        error.hint = "; ".join(part for part in (_keep(folder, home, run_id), error.hint) if part)
        raise


def runs_url(store: Store) -> str:
    """The page of our runs in MLflow's UI (not the overview, which it opens by itself), with our columns."""
    return f"{_experiment_page(store)}/runs?{UI_VIEW}&{QUERY}"


def as_params(values: Mapping[str, str]) -> list[Param]:
    """In MLflow's own type."""
    return [Param(name, value) for name, value in values.items()]


def as_tags(values: Mapping[str, str]) -> list[RunTag]:
    """In MLflow's own type."""
    return [RunTag(name, value) for name, value in values.items()]


def _reopened(store: Store, run_id: str, tags: Mapping[str, str]) -> Run | None:
    """The run, RUNNING again and this process's; None where it is gone."""
    try:
        run = store.client.get_run(run_id)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return None
    if run.info.lifecycle_stage != "active":
        return None
    if records.ERROR in run.data.tags:
        store.client.delete_tag(run_id, records.ERROR)
    store.client.log_batch(run_id, tags=as_tags(tags))
    store.client.update_run(run_id, status="RUNNING")
    return run


def _keep(folder: Path, home: Path, run_id: str) -> str:
    """Copy a run's files to where the user finds them; says where, or nothing if even that fails."""
    kept = home / f"vecml-unsaved-{run_id}"
    try:
        shutil.copytree(folder, kept)
    except OSError:
        return ""
    return f"the result is kept in {kept}"


def _end(store: Store, run: TrackedRun, status: str, reason: str) -> None:
    """End the run; where even that fails, say so and let the first error go on."""
    try:
        with store_errors(store.location):
            stores.close(store, run.run_id, status, reason)
    except StoreError as error:
        warn("VML010", f"run {run.name} could not be ended as {status}: {error}; the next start closes it")


def _one_line(error: BaseException) -> str:
    message = without_passwords(" ".join(str(error).split()))
    return message if isinstance(error, VecmlError) else f"{type(error).__name__}: {message}".rstrip(": ")


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

"""Read a run of any kind from its store: its logged values, its status, the runs below it, and its artifacts."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

from mlflow.entities import Run

from tasks.tracking.read import find_run, open_existing
from tasks.tracking.run import runs_url
from tasks.tracking.store import PARENT, Store, child_runs, store_errors
from vecml.keys import COMMAND, COMPARE, ERROR, FUNCTION, KIND, PIPELINE, SETTING
from vecml.leftovers import scratch_folder

COMPARISON = "comparison.json"


@dataclass(frozen=True)
class StoredRun:
    """A run of any kind, as the store holds it.

    Attributes:
        kind: the tag `vecml.kind`: `compare`, `setting`, `pipeline`; empty for a run of another program.
        name, run_id, status: MLflow's; the status is FINISHED, FAILED, KILLED or RUNNING.
        error: the reason why it is FAILED or KILLED, or None.
        created: when it was created, ISO 8601, UTC.
        address: its page in MLflow's UI; for a local store, once `vecml ui` runs.
        params, metrics, tags: the logged values; the last value of a metric.
        children: ids of the runs below it, the latest first.
        parent: id of the run above it, or None.
        store: the store that holds it.
    """

    kind: str
    name: str
    run_id: str
    status: str
    error: str | None
    created: str
    address: str
    params: Mapping[str, str] = field(repr=False)
    metrics: Mapping[str, float] = field(repr=False)
    tags: Mapping[str, str] = field(repr=False)
    children: tuple[str, ...]
    parent: str | None
    store: Store = field(repr=False)


def read_stored_run(asked: str) -> StoredRun:
    """Read the run of any kind that `asked` names (see `find_run`); of several with one name, no setting.

    Raises StoreError where no run fits, with the nearest names, and where several fit.
    """
    store = open_existing(asked)
    with store_errors(store.location):
        return _stored_run(store, find_run(store, asked, (COMPARE, PIPELINE)))


def comparison_of(run: StoredRun) -> StoredRun:
    """Read the comparison that the run of a setting, function or command belongs to; give any other run back as it is.

    Raises StoreError where the comparison's run was deleted.
    """
    if run.kind not in (SETTING, FUNCTION, COMMAND) or run.parent is None:
        return run
    with store_errors(run.store.location):
        return _stored_run(run.store, run.store.client.get_run(run.parent))


def artifact(run: StoredRun, path: str) -> bytes | None:
    """Read one of the run's artifacts, for example `comparison.json`; None where there is no such file.

    Raises StoreError where the store cannot be read.
    """
    return read_artifact(run.store, run.run_id, path)


def read_artifact(store: Store, run_id: str, path: str) -> bytes | None:
    """Read an artifact of the run with this id, as `artifact` does."""
    folder = str(PurePosixPath(path).parent)
    with store_errors(store.location), scratch_folder() as scratch:
        there = store.client.list_artifacts(run_id, None if folder == "." else folder)
        if not any(one.path == path and not one.is_dir for one in there):
            return None
        return Path(store.client.download_artifacts(run_id, path, str(scratch))).read_bytes()


def _stored_run(store: Store, run: Run) -> StoredRun:
    page, _, view = runs_url(store).partition("/runs?")
    tags = dict(run.data.tags)
    return StoredRun(
        kind=tags.get(KIND, ""),
        name=run.info.run_name,
        run_id=run.info.run_id,
        status=run.info.status,
        error=tags.get(ERROR),
        created=datetime.fromtimestamp(run.info.start_time / 1000, UTC).isoformat(timespec="seconds"),
        address=f"{page}/runs/{run.info.run_id}?{view}",
        params=dict(run.data.params),
        metrics=dict(run.data.metrics),
        tags=tags,
        children=tuple(str(child.info.run_id) for child in child_runs(store, run.info.run_id)),
        parent=tags.get(PARENT),
        store=store,
    )

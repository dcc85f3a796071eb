"""A run of any kind as it stands in its store: what was logged, how it ended, what lies below it, and its artifacts."""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

from mlflow.entities import Run

from tasks.tracking.read import find_run, open_existing
from tasks.tracking.run import runs_url
from tasks.tracking.store import PARENT, Store, child_runs, store_errors
from vecml.keys import COMPARE, ERROR, KIND, PIPELINE, SETTING

COMPARISON = "comparison.json"


@dataclass(frozen=True)
class Recorded:
    """One run.

    Attributes:
        kind: what stands under `vecml.kind`: `compare`, `setting`, `pipeline`; empty for a run of another program.
        name, run_id, status: MLflow's; the status is FINISHED, FAILED, KILLED or RUNNING.
        error: why it is FAILED or KILLED, or None.
        created: ISO 8601, UTC.
        address: its page in MLflow's UI; for a local store, once `vecml ui` runs.
        params, metrics, tags: what was logged; of a metric the last value.
        children: ids of the runs below it, the latest first.
        parent: id of the run above it, or None.
        store: where it is kept.
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


def recorded(asked: str) -> Recorded:
    """The run of this id, of an id that begins so (8 characters or more), or of this name, whatever its kind.

    Of several of the same name it is the finished one that is no setting of a comparison.

    Raises StoreError when there is no such run, with the nearest, or when there are several.
    """
    store = open_existing(asked)
    with store_errors(store.location):
        return _recorded(store, find_run(store, asked, (COMPARE, PIPELINE)))


def comparison_of(run: Recorded) -> Recorded:
    """The comparison that a setting belongs to; any other run is its own.

    Raises StoreError where the comparison's run is gone.
    """
    if run.kind != SETTING or run.parent is None:
        return run
    with store_errors(run.store.location):
        return _recorded(run.store, run.store.client.get_run(run.parent))


def artifact(run: Recorded, path: str) -> bytes | None:
    """The content of one of the run's artifacts, `comparison.json` say; None where there is no such file.

    Raises StoreError when the store cannot be read.
    """
    return read_artifact(run.store, run.run_id, path)


def read_artifact(store: Store, run_id: str, path: str) -> bytes | None:
    """As `artifact`, for a run that is known by its id."""
    folder = str(PurePosixPath(path).parent)
    with store_errors(store.location), tempfile.TemporaryDirectory(prefix="vecml-") as scratch:
        there = store.client.list_artifacts(run_id, None if folder == "." else folder)
        if not any(one.path == path and not one.is_dir for one in there):
            return None
        return Path(store.client.download_artifacts(run_id, path, scratch)).read_bytes()


def _recorded(store: Store, run: Run) -> Recorded:
    page, _, view = runs_url(store).partition("/runs?")
    tags = dict(run.data.tags)
    return Recorded(
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

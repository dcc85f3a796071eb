"""Runs carried between stores that cannot meet, as one file: `vecml export` and `vecml import`.

A comparison goes with all its settings. An import is checked whole before anything is written; what it makes has no
kind and is RUNNING until the end, so that whatever interrupts it leaves nothing that could be taken for a run, and the
next import clears it away. Which run an import is of stays known: the same run is never there twice, or its sitting
would count twice.
"""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout
from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Run
from mlflow.exceptions import MlflowException
from sqlalchemy.exc import SQLAlchemyError

from tasks.tracking.archive import (
    LONGEST_STORE,
    DataSet,
    Parcel,
    RunDocument,
    Value,
    as_value,
    is_a_parcel,
    pack,
    unpack,
)
from tasks.tracking.location import Location
from tasks.tracking.recorded import comparison_of, recorded
from tasks.tracking.run import BATCH_METRICS, NOTE, as_params, runs_url
from tasks.tracking.store import LOCK_SECONDS, PARENT, Store, child_runs, open_store, search, store_errors
from vecml.atomic import write_bytes
from vecml.environment import is_alive, process_identity
from vecml.errors import SettingError, StoreError
from vecml.keys import IMPORT_DIGEST, IMPORTED_FROM, IMPORTING, KIND, PROCESS
from vecml.progress import stage

# What belongs to the run wherever it is. MLflow's other tags name users, sources and folders; the process that ran it
# has ended, and is known to its own machine only.
KEPT = (NOTE,)
LEFT_OUT = (PROCESS, IMPORTED_FROM, IMPORT_DIGEST, IMPORTING)
BATCH_PARAMS = 25  # and 1 MB


@dataclass(frozen=True)
class Exported:
    """What an export wrote.

    Attributes:
        name, run_id, kind: of the run.
        children: how many runs below it went in.
        file: where.
        size: of the file, in bytes.
        digest: of its content; an import shows the same.
    """

    name: str
    run_id: str
    kind: str
    children: int
    file: Path
    size: int
    digest: str


@dataclass(frozen=True)
class Imported:
    """What became of a file.

    Attributes:
        file: which.
        name, run_id, kind: of the run in this store.
        children: runs below it.
        original: the id that the run was made under.
        digest: of the file's content.
        url: the run's page in MLflow's UI.
        known: whether the run was here already.
    """

    file: Path
    name: str
    run_id: str
    kind: str
    children: int
    original: str
    digest: str
    url: str
    known: bool


def export_run(asked: str, file: Path) -> Exported:
    """Write the run of this id, of an id that begins so, or of this name into `file`; a setting's comparison, whole.

    A file that is there is replaced if it is an export.

    Raises SettingError for a file that cannot be written; StoreError where there is no such run, with the nearest,
    or one that has not ended.
    """
    _check_target(file)
    run = comparison_of(recorded(asked))
    store = run.store
    with (
        stage("reading the run"),
        store_errors(store.location),
        tempfile.TemporaryDirectory(prefix="vecml-") as scratch,
    ):
        whole = store.client.get_run(run.run_id)
        if whole.info.lifecycle_stage != "active":
            raise StoreError(f"run {run.name} was deleted", "restore it in MLflow's UI first")
        below = child_runs(store, run.run_id)
        parent = _document(store, whole, None)
        children = [_document(store, child, parent.run_id) for child in below]
        folders = {}
        for one, document in zip((whole, *below), (parent, *children), strict=True):
            folders[document.run_id] = Path(scratch) / document.run_id
            folders[document.run_id].mkdir()
            for item in store.client.list_artifacts(one.info.run_id):
                store.client.download_artifacts(one.info.run_id, item.path, str(folders[document.run_id]))
        content, digest = pack(parent, children, folders, _origin(store, whole)[1])
    write_bytes(file, content)
    return Exported(run.name, run.run_id, run.kind, len(children), file, len(content), digest)


def import_runs(files: Sequence[Path]) -> list[Imported]:
    """Put the runs of these files into this process's store, each with its own name, times, values and artifacts.

    All files are checked before anything is written. A run that is in the store already, by an earlier import or
    because it was made there, is not made again.

    Raises StoreError for a file that cannot be taken, and where the store cannot be written.
    """
    with tempfile.TemporaryDirectory(prefix="vecml-") as scratch:
        with stage("checking the files"):
            parcels = [unpack(file, Path(scratch) / str(number)) for number, file in enumerate(files)]
        store = open_store()
        with _alone(store.location), store_errors(store.location):
            _clear(store)
            for parcel in parcels:
                _known(store, parcel)
            return [_import(store, parcel) for parcel in parcels]


def _document(store: Store, run: Run, parent: str | None) -> RunDocument:
    info, data = run.info, run.data
    if info.status in ("RUNNING", "SCHEDULED"):
        raise StoreError(f"run {info.run_name} has not ended yet", "wait for its end")
    if IMPORTING in data.tags:
        raise StoreError(f"run {info.run_name} is what an interrupted import left", "import its file again first")
    return RunDocument(
        run_id=_origin(store, run)[0],
        parent=parent,
        name=info.run_name,
        status=info.status,
        start_time=info.start_time,
        end_time=info.end_time,
        params=dict(data.params),
        tags=_carried(data.tags),
        metrics={key: _history(store.client, info.run_id, key) for key in data.metrics},
        data=_data(run),
    )


def _carried(tags: Mapping[str, str]) -> dict[str, str]:
    """Those that go from store to store."""
    return {
        name: text
        for name, text in tags.items()
        if name in KEPT or not (name.startswith("mlflow.") or name in LEFT_OUT)
    }


def _history(client: MlflowClient, run_id: str, key: str) -> tuple[tuple[int, int, Value], ...]:
    points = [(one.timestamp, one.step, as_value(one.value)) for one in client.get_metric_history(run_id, key)]
    points.sort(key=lambda point: (point[0], point[1], str(point[2])))
    return tuple(points)


def _data(run: Run) -> tuple[DataSet, ...]:
    inputs = [] if run.inputs is None else run.inputs.dataset_inputs
    sets = [
        DataSet(
            one.dataset.name,
            one.dataset.digest,
            one.dataset.source_type,
            one.dataset.source,
            one.dataset.schema,
            one.dataset.profile,
            {tag.key: tag.value for tag in one.tags},
        )
        for one in inputs
    ]
    return tuple(sorted(sets, key=lambda one: (one.name, one.digest)))


def _origin(store: Store, run: Run) -> tuple[str, str]:
    """The id that the run was made under, and the store that it was made in, for people.

    Of a local store the folder and the one above it: what is further up may name a user.
    """
    told = run.data.tags.get(IMPORTED_FROM)
    if told is not None:
        run_id, _, shown = told.partition(" in ")
        return run_id, shown
    folder = store.location.folder
    return run.info.run_id, "/".join(folder.parts[-2:]) if folder else store.location.shown[:LONGEST_STORE]


def _check_target(file: Path) -> None:
    """Refuse to write where it cannot be, or over a file that is no export. Raises SettingError."""
    if not file.resolve().parent.is_dir():
        raise SettingError(f"{file}: there is no folder {file.parent}", "make it, or name another")
    if file.is_dir():
        raise SettingError(f"{file} is a folder", "name a file in it")
    try:
        known = not file.exists() or is_a_parcel(file)
    except OSError as error:
        raise SettingError(f"{file}: {error.strerror or error}", "name another file") from None
    if not known:
        raise SettingError(f"{file} is there and is no export of vecml's", "name another file")


@contextmanager
def _alone(location: Location) -> Iterator[None]:
    """One import at a time in a local store; a server is shared by machines that no lock spans."""
    lock = nullcontext() if location.folder is None else FileLock(location.folder / ".import.lock", LOCK_SECONDS)
    try:
        with lock:
            yield
    except Timeout:
        raise StoreError(
            f"another import into {location.shown} went on for {LOCK_SECONDS} s", "wait for its end, and try again"
        ) from None


def _clear(store: Store) -> None:
    """Delete what imports left that were interrupted. Under the lock of a local store none can be going on."""
    for run in search(store, f"tags.`{IMPORTING}` = 'yes'"):
        if store.location.folder is None and is_alive(run.data.tags.get(PROCESS, "")) is not False:
            continue
        for child in child_runs(store, run.info.run_id):
            store.client.delete_run(child.info.run_id)
        store.client.delete_run(run.info.run_id)


def _known(store: Store, parcel: Parcel) -> Run | None:
    """The run, if it is in the store: made there, or imported before. Raises StoreError for another state of it."""
    original = parcel.run.run_id
    for run in search(store, f"attributes.run_id = '{original}'"):
        return run
    for run in search(store, f"tags.`{IMPORTED_FROM}` LIKE '{original} in %'"):
        if IMPORTING in run.data.tags:
            continue
        if run.data.tags.get(IMPORT_DIGEST) != parcel.digest:
            raise StoreError(
                f"{parcel.file}: run {parcel.run.name} is here already as run {run.info.run_name} "
                f"({run.info.run_id}), with other content",
                "delete that run in MLflow's UI to take this file's instead",
            )
        return run
    return None


def _import(store: Store, parcel: Parcel) -> Imported:
    known = _known(store, parcel)
    run = known or store.client.get_run(_make(store, parcel))
    page, _, view = runs_url(store).partition("/runs?")
    return Imported(
        file=parcel.file,
        name=str(run.info.run_name),
        run_id=str(run.info.run_id),
        kind=run.data.tags.get(KIND, ""),
        children=len(parcel.children),
        original=parcel.run.run_id,
        digest=parcel.digest,
        url=f"{page}/runs/{run.info.run_id}?{view}",
        known=known is not None,
    )


def _make(store: Store, parcel: Parcel) -> str:
    """Make the run and those below it; the new run's id. What fails half-way is deleted again."""
    made: list[str] = []
    complete = False
    origin = {IMPORT_DIGEST: parcel.digest, IMPORTING: "yes"}
    try:
        with stage("importing the run", len(parcel.children) + 1) as done:
            parent = _create(store, parcel, parcel.run, origin)
            made.append(parent)
            _fill(store, parcel, parcel.run, parent)
            for child in parcel.children:
                made.append(_create(store, parcel, child, {PARENT: parent}))
                _fill(store, parcel, child, made[-1])
                done(1)
        for child, run_id in zip(parcel.children, made[1:], strict=True):
            _end(store, child, run_id)
            store.client.delete_tag(run_id, PROCESS)
        _end(store, parcel.run, parent)
        store.client.delete_tag(parent, IMPORTING)
        complete = True
        store.client.delete_tag(parent, PROCESS)
    finally:
        if not complete:
            for run_id in reversed(made):
                with suppress(MlflowException, SQLAlchemyError, OSError):  # the next import clears what is left
                    store.client.delete_run(run_id)
    return parent


def _create(store: Store, parcel: Parcel, run: RunDocument, more: Mapping[str, str]) -> str:
    """A run without a kind, which this process is at work on; its id."""
    own = {PROCESS: process_identity(), IMPORTED_FROM: f"{run.run_id} in {parcel.store}", **more}
    tags = {name: text for name, text in _carried(run.tags).items() if name != KIND} | own
    made = store.client.create_run(store.experiment.experiment_id, run.start_time, tags, run.name)
    return str(made.info.run_id)


def _fill(store: Store, parcel: Parcel, run: RunDocument, run_id: str) -> None:
    """Log all that the run holds."""
    client = store.client
    params = as_params(run.params)
    for start in range(0, len(params), BATCH_PARAMS):
        client.log_batch(run_id, params=params[start : start + BATCH_PARAMS])
    metrics = [
        Metric(key, float(value), timestamp, step)
        for key, points in run.metrics.items()
        for timestamp, step, value in points
    ]
    for start in range(0, len(metrics), BATCH_METRICS):
        client.log_batch(run_id, metrics=metrics[start : start + BATCH_METRICS])
    if run.data:
        client.log_inputs(run_id, [_as_input(one) for one in run.data])
    folder = parcel.artifacts(run)
    if folder is not None:
        client.log_artifacts(run_id, str(folder))


def _as_input(one: DataSet) -> DatasetInput:
    dataset = Dataset(one.name, one.digest, one.source_type, one.source, one.schema, one.profile)
    return DatasetInput(dataset, [InputTag(key, value) for key, value in one.tags.items()])


def _end(store: Store, run: RunDocument, run_id: str) -> None:
    """Give the run its status and its end, and then its kind."""
    if run.end_time is None:
        store.client.update_run(run_id, run.status)
    else:
        store.client.set_terminated(run_id, run.status, run.end_time)
    if KIND in run.tags:
        store.client.set_tag(run_id, KIND, run.tags[KIND])

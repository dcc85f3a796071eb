"""Carry runs between stores as files: `vecml export` and `vecml import`.

A comparison goes with all its settings. An import checks every file before it writes anything. The new runs have no
kind and are RUNNING until all of them are there; a tag of the upper run says so, and only then each gets the end that
it had. An interrupted import is finished by the next start if it has that tag, and deleted otherwise. A run keeps its
original id in a tag, so that it is never imported twice: its sitting would count twice.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from filelock import Timeout
from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, Run
from mlflow.exceptions import MlflowException
from sqlalchemy.exc import SQLAlchemyError

from tasks.tracking.archive import (
    LONGEST_STORE,
    Archive,
    DataSet,
    RunDocument,
    Value,
    as_value,
    is_export,
    pack,
    unpack,
)
from tasks.tracking.content import BATCH_METRICS, BATCH_PARAMS, as_params
from tasks.tracking.location import Location
from tasks.tracking.run import NOTE, runs_url
from tasks.tracking.store import (
    LOCK_SECONDS,
    PARENT,
    Store,
    child_runs,
    clear_import,
    end_imported,
    import_lock,
    interrupted_imports,
    open_store,
    search,
    settle_import,
    store_errors,
)
from tasks.tracking.stored_run import comparison_of, read_stored_run
from vecml.atomic import check_folder, write_bytes
from vecml.errors import SettingError, StoreError
from vecml.identity import is_alive, process_identity
from vecml.keys import COMPLETE, IMPORT_DIGEST, IMPORT_END, IMPORT_TAGS, IMPORTED_FROM, IMPORTING, KIND, PROCESS
from vecml.leftovers import scratch_folder
from vecml.progress import stage

# MLflow's tags that are exported. Its other tags name users, sources and folders. PROCESS means something on its own
# machine only.
KEPT = (NOTE,)
LEFT_OUT = (PROCESS, *IMPORT_TAGS)
BATCH_BYTES = 500_000  # MLflow refuses a request of more than 1 MB


@dataclass(frozen=True)
class ExportResult:
    """The result of an export.

    Attributes:
        name, run_id, kind: name, id and kind of the exported run.
        children: number of runs below it in the file.
        file: path of the file.
        size: size of the file in bytes.
        digest: hash of the content; an import shows the same hash.
    """

    name: str
    run_id: str
    kind: str
    children: int
    file: Path
    size: int
    digest: str


@dataclass(frozen=True)
class ImportResult:
    """The result of importing one file.

    Attributes:
        file: path of the file.
        name, run_id, kind: name, id and kind of the run in this store.
        children: number of runs below it.
        original: the id under which the run was recorded first.
        digest: hash of the file's content.
        url: the run's page in MLflow's UI.
        known: whether the run was in this store already.
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


def export_run(asked: str, file: Path) -> ExportResult:
    """Export the run that `asked` names (see `find_run`) to `file`; for a setting, its whole comparison.

    An existing file is replaced if it is an export.

    Raises SettingError for a file that cannot be written; StoreError where there is no such run, or where it has not
    ended.
    """
    _check_target(file)
    run = comparison_of(read_stored_run(asked))
    store = run.store
    with (
        stage("reading the run"),
        store_errors(store.location),
        scratch_folder() as scratch,
    ):
        whole = store.client.get_run(run.run_id)
        if whole.info.lifecycle_stage != "active":
            raise StoreError(f"run {run.name} was deleted", "restore it in MLflow's UI first")
        below = child_runs(store, run.run_id)
        parent = _document(store, whole, None)
        children = [_document(store, child, parent.run_id) for child in below]
        folders = {}
        for one, document in zip((whole, *below), (parent, *children), strict=True):
            folders[document.run_id] = scratch / document.run_id
            folders[document.run_id].mkdir()
            for item in store.client.list_artifacts(one.info.run_id):
                store.client.download_artifacts(one.info.run_id, item.path, str(folders[document.run_id]))
        content, digest = pack(parent, children, folders, _origin(store, whole)[1])
    write_bytes(file, content)
    return ExportResult(run.name, run.run_id, run.kind, len(children), file, len(content), digest)


def import_runs(files: Sequence[Path]) -> list[ImportResult]:
    """Import the runs of these files into this process's store, with their names, times, values and artifacts.

    All files are checked before anything is written. A run that is in the store already is not imported again.

    Raises StoreError for a file that cannot be imported, and where the store cannot be written.
    """
    with scratch_folder() as scratch:
        with stage("checking the files"):
            archives = [unpack(file, scratch / str(number)) for number, file in enumerate(files)]
        store = open_store()
        with _alone(store.location), store_errors(store.location):
            _settle_remains(store)
            for archive in archives:
                _find_known(store, archive)
            return [_import(store, archive) for archive in archives]


def _document(store: Store, run: Run, parent: str | None) -> RunDocument:
    info, data = run.info, run.data
    if info.status in ("RUNNING", "SCHEDULED"):
        raise StoreError(f"run {info.run_name} has not ended yet", "wait for its end")
    if data.tags.get(IMPORTING, COMPLETE) != COMPLETE:
        raise StoreError(f"run {info.run_name} is what an interrupted import left", "import its file again first")
    return RunDocument(
        run_id=_origin(store, run)[0],
        parent=parent,
        name=info.run_name,
        status=info.status,
        start_time=info.start_time,
        end_time=info.end_time,
        params=dict(data.params),
        tags=_exported_tags(data.tags),
        metrics={key: _history(store.client, info.run_id, key) for key in data.metrics},
        data=_data(run),
    )


def _exported_tags(tags: Mapping[str, str]) -> dict[str, str]:
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
    """Give the id and the store in which the run was recorded first, the store by a name for people.

    A local store is named by its folder and the one above it: folders further up may name a user.
    """
    origin = run.data.tags.get(IMPORTED_FROM)
    if origin is not None:
        run_id, _, shown = origin.partition(" in ")
        return run_id, shown
    folder = store.location.folder
    return run.info.run_id, "/".join(folder.parts[-2:]) if folder else store.location.shown[:LONGEST_STORE]


def _check_target(file: Path) -> None:
    """Raise SettingError where `file` cannot be written, or where it exists and is no export."""
    check_folder(file, str(file))
    if file.is_dir():
        raise SettingError(f"{file} is a folder", "name a file in it")
    try:
        known = not file.exists() or is_export(file)
    except OSError as error:
        raise SettingError(f"{file}: {error.strerror or error}", "name another file") from None
    if not known:
        raise SettingError(f"{file} is there and is no export of vecml's", "name another file")


@contextmanager
def _alone(location: Location) -> Iterator[None]:
    """Let no other process import into a local store meanwhile. Raises StoreError where another does for too long."""
    try:
        with import_lock(location, LOCK_SECONDS):
            yield
    except Timeout:
        raise StoreError(
            f"another import into {location.shown} went on for {LOCK_SECONDS} s", "wait for its end, and try again"
        ) from None


def _settle_remains(store: Store) -> None:
    """Finish or clear what interrupted imports left; the caller holds a local store's lock, so none is going on."""
    for run in interrupted_imports(store):
        if store.location.folder is not None or is_alive(run.data.tags.get(PROCESS, "")) is False:
            settle_import(store, run)


def _find_known(store: Store, archive: Archive) -> Run | None:
    """Find the run if the store has it already; raise StoreError if it was imported with other content."""
    original = archive.run.run_id
    for run in search(store, f"attributes.run_id = '{original}'"):
        return run
    for run in search(store, f"tags.`{IMPORTED_FROM}` LIKE '{original} in %'"):
        if IMPORTING in run.data.tags:
            continue
        if run.data.tags.get(IMPORT_DIGEST) != archive.digest:
            raise StoreError(
                f"{archive.file}: run {archive.run.name} is here already as run {run.info.run_name} "
                f"({run.info.run_id}), with other content",
                "delete that run in MLflow's UI to take this file's instead",
            )
        return run
    return None


def _import(store: Store, archive: Archive) -> ImportResult:
    known = _find_known(store, archive)
    run = known or store.client.get_run(_create_runs(store, archive))
    page, _, view = runs_url(store).partition("/runs?")
    return ImportResult(
        file=archive.file,
        name=str(run.info.run_name),
        run_id=str(run.info.run_id),
        kind=run.data.tags.get(KIND, ""),
        children=len(archive.children),
        original=archive.run.run_id,
        digest=archive.digest,
        url=f"{page}/runs/{run.info.run_id}?{view}",
        known=known is not None,
    )


def _create_runs(store: Store, archive: Archive) -> str:
    """Create the run and the runs below it, and give the new run's id; on a failure, delete what was created."""
    created: list[str] = []
    complete = False
    origin = {IMPORT_DIGEST: archive.digest, IMPORTING: "yes"}
    try:
        with stage("importing the run", len(archive.children) + 1) as done:
            parent = _create_run(store, archive, archive.run, origin)
            created.append(parent)
            _log_content(store, archive, archive.run, parent)
            for child in archive.children:
                created.append(_create_run(store, archive, child, {PARENT: parent}))
                _log_content(store, archive, child, created[-1])
                done(1)
        store.client.set_tag(parent, IMPORTING, COMPLETE)  # from here on it is finished, by whichever process
        complete = True
    finally:
        if not complete and created:
            with suppress(MlflowException, SQLAlchemyError, OSError):  # the next start clears what is left
                clear_import(store, created[0], created[1:])
    for run_id in (*created[1:], parent):
        end_imported(store, store.client.get_run(run_id))
    return parent


def _create_run(store: Store, archive: Archive, run: RunDocument, more: Mapping[str, str]) -> str:
    """Create a run without a kind, marked as this process's, and give its id."""
    end = {"status": run.status, "end_time": run.end_time, "kind": run.tags.get(KIND)}
    own = {
        PROCESS: process_identity(),
        IMPORTED_FROM: f"{run.run_id} in {archive.store}",
        IMPORT_END: json.dumps(end),
        **more,
    }
    tags = {name: text for name, text in _exported_tags(run.tags).items() if name != KIND} | own
    new = store.client.create_run(store.experiment.experiment_id, run.start_time, tags, run.name)
    return str(new.info.run_id)


def _log_content(store: Store, archive: Archive, run: RunDocument, run_id: str) -> None:
    client = store.client
    for batch in batches(as_params(run.params)):
        client.log_batch(run_id, params=batch)
    metrics = [
        Metric(key, float(value), timestamp, step)
        for key, points in run.metrics.items()
        for timestamp, step, value in points
    ]
    for start in range(0, len(metrics), BATCH_METRICS):
        client.log_batch(run_id, metrics=metrics[start : start + BATCH_METRICS])
    if run.data:
        client.log_inputs(run_id, [_as_input(one) for one in run.data])
    folder = archive.artifacts(run)
    if folder is not None:
        client.log_artifacts(run_id, str(folder))


def batches(params: Sequence[Param]) -> Iterator[list[Param]]:
    """The params in as few batches as MLflow takes: it reads all that a run has anew for each."""
    batch: list[Param] = []
    size = 0
    for param in params:
        more = len(param.key.encode()) + len(param.value.encode())
        if batch and (len(batch) == BATCH_PARAMS or size + more > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(param)
        size += more
    if batch:
        yield batch


def _as_input(one: DataSet) -> DatasetInput:
    dataset = Dataset(one.name, one.digest, one.source_type, one.source, one.schema, one.profile)
    return DatasetInput(dataset, [InputTag(key, value) for key, value in one.tags.items()])

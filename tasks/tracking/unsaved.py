"""Log what could not be logged earlier under its own run's id, once its store can be written again, and clear it."""

from filelock import FileLock, Timeout
from mlflow.entities import Metric, Run
from mlflow.exceptions import MlflowException

from tasks.tracking.content import Content, as_params, as_tags, log_model, log_values
from tasks.tracking.side_process import file_writer
from tasks.tracking.store import PARENT, Store, child_runs, end_run, store_errors
from tasks.tracking.waiting import EXAMPLE, UNSAVED, Waiting, read, remove, waiting
from vecml.errors import StoreError
from vecml.identity import process_identity
from vecml.keys import ERROR, PROCESS
from vecml.progress import stage
from vecml.warnings import warn


def log_unsaved(store: Store, except_for: str | None = None) -> None:
    """Log every result that waits for this store, but for the run `except_for`, and say so (VML019).

    One that still cannot be logged stays, and is told as well; that is no error of what begins now.
    """
    for one in waiting(store.location):
        if one.run_id == except_for:
            continue
        try:
            with FileLock(one.folder / UNSAVED / ".lock", timeout=0), stage("logging an earlier result"):
                if read(one.folder) is not None:
                    _log(store, one)
        except (Timeout, OSError):  # another start is at it, or has done it
            continue
        except StoreError as error:
            warn("VML019", f"run {one.name} cannot be logged yet: {error.message}; it is kept in {one.folder}")


def reopen(store: Store, run_id: str, tags: dict[str, str]) -> Run | None:
    """Make the run RUNNING again, with these tags; None where it was deleted."""
    try:
        run = store.client.get_run(run_id)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return None
    if run.info.lifecycle_stage != "active":
        return None
    if ERROR in run.data.tags:
        store.client.delete_tag(run_id, ERROR)
    store.client.log_batch(run_id, tags=as_tags(tags))
    store.client.update_run(run_id, status="RUNNING")
    return run


def _log(store: Store, one: Waiting) -> None:
    with store_errors(store.location):
        if reopen(store, one.run_id, {PROCESS: process_identity()}) is None:
            raise StoreError(
                f"{store.location.shown} has no such run", "it was deleted there, or this is another store"
            )
        try:
            _log_all(store, one)
        except BaseException:
            end_run(store, one.run_id, "FAILED", f"its result is kept in {one.folder}")
            raise
        store.client.set_terminated(one.run_id, "FINISHED", one.ended)
    remove(one)
    warn("VML019", f"run {one.name} is logged now; {store.location.shown} could not be written when it ended")


def _log_all(store: Store, one: Waiting) -> None:
    content = Content(**one.content)
    log_values(store, one.run_id, content)
    for item in sorted(one.folder.iterdir()):
        if item.is_dir() and item.name != UNSAVED:
            store.client.log_artifacts(one.run_id, str(item), item.name)
        elif item.is_file():
            store.client.log_artifact(one.run_id, str(item))
    _log_children(store, one.run_id, content)
    if content.model is not None:
        files = file_writer()
        try:
            log_model(store, one.run_id, content.model, one.folder, one.folder / UNSAVED / EXAMPLE, files)
        finally:
            files.close()


def _log_children(store: Store, run_id: str, content: Content) -> None:
    """Log the runs below that are not there yet; half of one is deleted first."""
    known = set()
    for run in child_runs(store, run_id):
        if run.info.status == "FINISHED":
            known.add(str(run.info.run_name))
        else:
            store.client.delete_run(run.info.run_id)
    for child in content.children:
        if child["name"] in known:
            continue
        tags = {**child["tags"], PARENT: run_id, PROCESS: process_identity()}
        made = store.client.create_run(store.experiment.experiment_id, tags=tags, run_name=child["name"])
        metrics = [Metric(name, value, child["at"], 0) for name, value in child["metrics"].items()]
        store.client.log_batch(made.info.run_id, metrics=metrics, params=as_params(child["params"]))
        store.client.set_terminated(made.info.run_id, "FINISHED")

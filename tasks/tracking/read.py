"""Find a run by its id, the beginning of its id, or its name; read a pipeline run's model and configuration.

Nothing here creates a store: a search in the wrong folder leaves no empty `mlruns/` there.
"""

import difflib
import json
import re
from collections.abc import Sequence
from pathlib import Path

from mlflow.entities import Run

from tasks.tracking.location import DATABASE, locate
from tasks.tracking.store import WHERE_RUNS, Store, open_to_read, search, store_errors
from tasks.tracking.unsaved import log_unsaved
from vecml.comparison.subject import RecordedRun
from vecml.config import PipelineConfig, make_config
from vecml.errors import ModelError, SettingError, StoreError, one_line
from vecml.foreign_text import is_text
from vecml.keys import COMMAND, COMPARE, ERROR, FUNCTION, KIND, PIPELINE, SETTING
from vecml.leftovers import scratch_folder
from vecml.model.store import Classifier, load

ID_LENGTH = 32
SHORTEST_PREFIX = 8
LOOKED_THROUGH = 500  # recent runs, for the nearest names
SHOWN = 3
KINDS = {
    COMPARE: "a comparison",
    SETTING: "a setting of a comparison",
    FUNCTION: "a function of a comparison",
    COMMAND: "a command of a comparison",
}


def read_run(run_id: str, architecture: str | None = None) -> RecordedRun:
    """Read the pipeline run that `run_id` names (see `find_run`).

    architecture: `package.module:Class` of a run whose model is a module of the user's own; it is imported.

    Raises StoreError where no run or several fit, or where the run has no model; ModelError where it is damaged.
    """
    store = open_existing(run_id)
    with store_errors(store.location):
        run = find_run(store, run_id)
        _check_has_a_model(run)
        with scratch_folder() as scratch:
            return _read(store, run, scratch, architecture)


def find_run(store: Store, asked: str, kinds: Sequence[str] = (PIPELINE,)) -> Run:
    """Find the one run that `asked` names: its id, the beginning of its id (8 characters or more), or its name.

    Where several runs have this name, a finished run of one of `kinds` goes before the others.

    Raises StoreError where no run fits, with the nearest names as a hint, and where several fit.
    """
    asked = asked.strip()
    runs: list[Run] = []
    may_be = is_text(asked)  # other bytes are in no store, and none can be asked for them
    if re.fullmatch(f"[0-9a-f]{{{SHORTEST_PREFIX},{ID_LENGTH}}}", asked):
        runs = search(store, f"attributes.run_id LIKE '{asked}%'")
    if not runs and may_be:
        # A quote cannot be written in such a query, and a backslash means something to some databases.
        pattern = re.sub(r"['\\]", "_", asked)
        runs = [run for run in search(store, f"attributes.run_name LIKE '{pattern}'") if run.info.run_name == asked]
    preferred = [run for run in runs if run.data.tags.get(KIND) in kinds]
    finished = [run for run in preferred if run.info.status == "FINISHED"]
    meant = finished or preferred or runs
    if not meant:
        raise StoreError(f"there is no run {asked!r} in {store.location.shown}", _nearest(store, asked, kinds))
    if len(meant) > 1:
        ids = [run.info.run_id for run in meant]
        more = f" and {len(ids) - SHOWN} more" if len(ids) > SHOWN else ""
        raise StoreError(f"{len(ids)} runs fit {asked!r}", f"name one by its id: {', '.join(ids[:SHOWN])}{more}")
    return meant[0]


def open_existing(asked: str | None = None) -> Store:
    """Open the store to read it, if there is one; a search in the wrong folder makes no empty store there.

    Raises StoreError where there is none; its message names the run that was `asked` for.
    """
    location = locate()
    if location.folder is not None and not (location.folder / DATABASE).exists():
        missing, more = "nothing is recorded", "; vecml compare records"
        if asked is not None:
            missing, more = f"there is no run {asked!r}", ""
        raise StoreError(
            f"{missing}: {location.folder} holds no runs",
            f"{WHERE_RUNS}{more}",
        )
    store = open_to_read(location)
    if store.writable:
        log_unsaved(store)
    return store


def _nearest(store: Store, asked: str, kinds: Sequence[str]) -> str:
    """Write a hint: the runs of these kinds whose names or ids resemble `asked`, else the latest runs."""
    recent = [run for kind in kinds for run in search(store, f"tags.`{KIND}` = '{kind}'", LOOKED_THROUGH)]
    recent.sort(key=lambda run: -run.info.start_time)
    if not recent:
        return "it holds no pipeline run yet: vecml run makes one" if COMPARE not in kinds else "it holds no run yet"
    names = {str(run.info.run_name): str(run.info.run_name) for run in recent}
    ids = {run.info.run_id[: max(SHORTEST_PREFIX, len(asked))]: str(run.info.run_id) for run in recent}
    known = {**names, **ids}
    close = [known[text] for text in difflib.get_close_matches(asked, known, n=SHOWN)]
    if close:
        return f"did you mean {', '.join(close)}?"
    latest = ", ".join(list(names)[:SHOWN])
    return f"the latest: {latest}; an id will do as well, or {SHORTEST_PREFIX} characters and more of its beginning"


def _check_has_a_model(run: Run) -> None:
    """Raise StoreError for a run of another kind, and for one that is not FINISHED."""
    name, kind, status = run.info.run_name, run.data.tags.get(KIND, ""), run.info.status
    if kind != PIPELINE:
        raise StoreError(
            f"run {name} is {KINDS.get(kind, 'of another program')}, not a pipeline run",
            "name the pipeline run that trained the model",
        )
    if status in ("RUNNING", "SCHEDULED"):
        raise StoreError(f"run {name} has not ended yet, it has no model", "wait for its end")
    if status != "FINISHED":
        reason = run.data.tags.get(ERROR, "it does not say why").rstrip(".")
        word = "was killed" if status == "KILLED" else "failed"
        raise StoreError(f"run {name} {word}: {reason}, it has no model", "run it again, or name another")


def _read(store: Store, run: Run, folder: Path, architecture: str | None) -> RecordedRun:
    for path in ("model", "config.json"):
        store.client.download_artifacts(run.info.run_id, path, str(folder))
    classifier = _classifier(run, folder, architecture)
    return RecordedRun(
        run_id=run.info.run_id,
        name=run.info.run_name,
        classifier=classifier,
        config=_config(run, folder / "config.json"),
        data_digest=run.data.tags.get("vecml.data_digest", ""),
        model_digest=classifier.model.digest,
    )


def _classifier(run: Run, folder: Path, architecture: str | None) -> Classifier:
    name = run.info.run_name
    try:
        classifier = load(folder / "model", architecture)
    except ModelError as error:  # its message names a temporary copy
        raise ModelError(f"run {name}: {error.message.replace(f'{folder}/', '')}", error.hint) from None
    if classifier.model.digest != run.data.tags.get("vecml.model_digest"):
        raise ModelError(f"run {name}: model/ holds another model than the run's", "run it again: vecml run")
    return classifier


def _config(run: Run, path: Path) -> PipelineConfig:
    try:
        return make_config(json.loads(path.read_bytes()))
    except (SettingError, ValueError, RecursionError, TypeError, AttributeError) as error:
        raise StoreError(
            f"run {run.info.run_name}: its config.json cannot be read: {one_line(error, whole=True, limit=200)}",
            f"read it with the vecml that wrote it, {run.data.tags.get('vecml.version', 'another one')}",
        ) from None

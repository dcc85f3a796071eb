"""Recorded runs of any kind as the sides of a `diff`, and the other sittings on record that count with them.

Artifacts are opened of the named runs only; the others are known by their metrics and tags.
"""

import io
import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mlflow.entities import Run, ViewType
from mlflow.exceptions import MlflowException

from tasks.tracking.comparison import PARENT
from tasks.tracking.read import found, opened
from tasks.tracking.store import Store, store_errors
from vecml.errors import StoreError
from vecml.history.diff import Answers, Side, Sitting
from vecml.record import COMPARE, DIGEST_TAGS, ERROR, KIND, NONE, PIPELINE, SETTING, SETTING_PARAMS

KEY_TAGS = ("vecml.machine_key", "vecml.software_key", "vecml.environment_key", *DIGEST_TAGS)
PAGE = 1_000


def read_sides(asked: Sequence[str]) -> tuple[list[Side], list[Sitting]]:
    """The named runs, and every sitting on record of a network that one of them ran.

    Args:
        asked: runs by id, by the beginning of it, or by name.

    Raises StoreError when there is no such run, more than one, or one that is none of ours.
    """
    store = opened(asked[0])
    with store_errors(store.location):
        runs = [found(store, name, (PIPELINE, COMPARE, SETTING)) for name in asked]
        twice = [name for number, name in enumerate(asked) if runs[number].info.run_id in _ids(runs[:number])]
        if twice:
            raise StoreError(f"{twice[0]} names a run that is named already", "name two different runs")
        sides = [_side(store, run) for run in runs]
        digests = {sitting.keys["architecture_digest"] for side in sides for sitting in side.sittings}
        others = [sitting for digest in sorted(digests - {NONE}) for sitting in _sittings_of(store, digest)]
    return sides, others


def _ids(runs: Sequence[Run]) -> set[str]:
    return {str(run.info.run_id) for run in runs}


def _side(store: Store, run: Run) -> Side:
    tags = run.data.tags
    kind = tags.get(KIND, "")
    if kind not in (PIPELINE, COMPARE, SETTING):
        raise StoreError(
            f"run {run.info.run_name} is {f'of kind {kind}' if kind else 'none of vecml'}: it cannot be compared",
            "name runs of vecml run or vecml compare; vecml leaderboard lists them",
        )
    whole = store.client.get_run(tags[PARENT]) if kind == SETTING else run
    if kind == PIPELINE:
        sittings = [_pipeline_sitting(run)] if "infer/rows_per_s" in run.data.metrics else []
    elif kind == COMPARE:
        below = _search(store, f"tags.`{PARENT}` = '{run.info.run_id}'")
        sittings = [_setting_sitting(child, run) for child in reversed(below)]
    else:
        sittings = [_setting_sitting(run, whole)]
    return Side(
        name=str(run.info.run_name),
        run_id=run.info.run_id,
        kind=kind,
        sittings=tuple(sittings),
        facts=_json(store, whole, "environment.json"),
        answers=_answers(store, run) if kind == PIPELINE else None,
        error=None if whole.info.status == "FINISHED" else _why(whole),
    )


def _sittings_of(store: Store, architecture_digest: str) -> list[Sitting]:
    """Of all comparisons, the settings that ran such a network."""
    runs = _search(store, f"tags.`vecml.architecture_digest` = '{architecture_digest}'")
    parents = {run.info.run_id: run for run in runs if run.data.tags.get(KIND) == COMPARE}
    return [
        _setting_sitting(run, parent)
        for run in runs
        if run.data.tags.get(KIND) == SETTING and (parent := parents.get(run.data.tags.get(PARENT, ""))) is not None
    ]


def _setting_sitting(run: Run, parent: Run) -> Sitting:
    tags, metrics = run.data.tags, run.data.metrics
    rows = parent.data.params.get("n_rows", "")
    return Sitting(
        run_id=run.info.run_id,
        name=str(run.info.run_name),
        setting=_setting(run),
        keys=_keys(run),
        n_rows=int(rows) if rows.isdigit() else None,
        rows_per_s=metrics.get("infer/rows_per_s"),
        accuracy=metrics.get("test/accuracy"),
        invalid=tags.get("vecml.reason", "it does not say why") if tags.get("vecml.verdict") == "invalid" else None,
    )


def _pipeline_sitting(run: Run) -> Sitting:
    metrics = run.data.metrics
    return Sitting(
        run_id=run.info.run_id,
        name=run.data.params.get("engine", "?"),
        setting=_setting(run),
        keys=_keys(run),
        rows_per_s=metrics.get("infer/rows_per_s"),
        accuracy=metrics.get("test/accuracy"),
        blocks=False,
    )


def _setting(run: Run) -> dict[str, str]:
    return {name: run.data.params[name] for name in SETTING_PARAMS if name in run.data.params}


def _keys(run: Run) -> dict[str, str]:
    return {tag.removeprefix("vecml."): run.data.tags.get(tag, NONE) for tag in KEY_TAGS}


def _why(run: Run) -> str:
    return run.data.tags.get(ERROR) or f"it is {run.info.status}"


def _answers(store: Store, run: Run) -> Answers | None:
    content = _artifact(store, run, "labels.npz")
    if content is None:
        return None
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as kept:
            right_N = kept["true_N"] == kept["label_N"]
            return Answers(tuple(kept["row_N"].tolist()), tuple(right_N.tolist()))
    except (OSError, ValueError, KeyError) as error:
        raise StoreError(
            f"run {run.info.run_name}: its labels.npz cannot be read: {' '.join(str(error).split())[:200]}",
            "run it again: vecml run",
        ) from None


def _json(store: Store, run: Run, path: str) -> Mapping[str, Any]:
    content = _artifact(store, run, path)
    try:
        facts = json.loads(content) if content is not None else {}
    except ValueError:
        facts = {}
    return facts if isinstance(facts, dict) else {}


def _artifact(store: Store, run: Run, path: str) -> bytes | None:
    """What is in it; None where the run has no such artifact."""
    with tempfile.TemporaryDirectory(prefix="vecml-") as scratch:
        try:
            return Path(store.client.download_artifacts(run.info.run_id, path, scratch)).read_bytes()
        except (OSError, MlflowException):
            return None


def _search(store: Store, query: str) -> list[Run]:
    """All runs that fit, the latest first."""
    runs: list[Run] = []
    token = None
    while True:
        page = store.client.search_runs(
            [store.experiment.experiment_id], query, ViewType.ACTIVE_ONLY, max_results=PAGE, page_token=token
        )
        runs += page
        token = page.token
        if not token:
            return runs

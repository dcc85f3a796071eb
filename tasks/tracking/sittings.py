"""Read recorded settings: all of them for history and leaderboard, those of the named runs for a diff.

Settings are read from metrics, params and tags; artifacts are opened only for the runs that a diff names. MLflow gives
each run as some fifty small objects, none of them garbage, and a garbage collection would take as long as reading them:
it is switched off meanwhile.
"""

import gc
import io
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
from mlflow.entities import Run

from tasks.tracking.read import find_run, open_existing
from tasks.tracking.store import PARENT, Store, child_runs, search, store_errors
from tasks.tracking.stored_run import read_artifact
from vecml.errors import StoreError, one_line
from vecml.history.diff import Answers, Side
from vecml.history.recorded import RecordedSetting, without_disturbed_baselines
from vecml.keys import (
    COMMAND,
    COMPARE,
    DEVICE_NAME,
    DIGEST_TAGS,
    ERROR,
    FUNCTION,
    KIND,
    NONE,
    PIPELINE,
    SETTING,
    SETTING_PARAMS,
)
from vecml.numbers import whole

KEY_TAGS = ("vecml.machine_key", "vecml.software_key", "vecml.environment_key", *DIGEST_TAGS)
RATE = "infer/rows_per_s"


def recorded_settings() -> list[RecordedSetting]:
    """Read the settings of all comparisons in the store, the latest setting first.

    A setting whose comparison was deleted, or never came here whole, is left out.

    Raises StoreError where there is no store, or where it cannot be read.
    """
    store = open_existing()
    with store_errors(store.location), _no_garbage_collection():
        parents = _by_id(search(store, f"tags.`{KIND}` = '{COMPARE}'"))
        return without_disturbed_baselines(
            [
                _recorded_setting(run, parents.get(run.data.tags.get(PARENT, "")))
                for run in search(store, f"tags.`{KIND}` = '{SETTING}'")
                if run.info.status == "FINISHED" and (PARENT not in run.data.tags or run.data.tags[PARENT] in parents)
            ]
        )


def read_sides(asked: Sequence[str]) -> tuple[list[Side], list[RecordedSetting]]:
    """Read the runs that a diff names.

    Args:
        asked: runs by id, by the beginning of the id, or by name.

    Returns the named runs in this order, and every recorded setting of a network that one of them ran.

    Raises StoreError where there is no such run, where several fit, or where a run is none of vecml's.
    """
    store = open_existing(asked[0])
    with store_errors(store.location):
        runs = [find_run(store, name, (PIPELINE, COMPARE, SETTING)) for name in asked]
        twice = [name for number, name in enumerate(asked) if runs[number].info.run_id in _by_id(runs[:number])]
        if twice:
            raise StoreError(f"{twice[0]} names a run that is named already", "name two different runs")
        sides = [_side(store, run) for run in runs]
        digests = {setting.architecture_digest for side in sides for setting in side.settings}
        others = [setting for digest in sorted(digests - {NONE}) for setting in _settings_of_network(store, digest)]
    return sides, others


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _by_id(runs: Iterable[Run]) -> dict[str, Run]:
    return {str(run.info.run_id): run for run in runs}


def _settings_of_network(store: Store, architecture_digest: str) -> list[RecordedSetting]:
    """Read the settings of all comparisons that ran this network."""
    runs = search(store, f"tags.`vecml.architecture_digest` = '{architecture_digest}'")
    parents = _by_id(run for run in runs if run.data.tags.get(KIND) == COMPARE)
    return without_disturbed_baselines(
        [
            _recorded_setting(run, parent)
            for run in runs
            if run.data.tags.get(KIND) == SETTING and (parent := parents.get(run.data.tags.get(PARENT, ""))) is not None
        ]
    )


def _recorded_setting(run: Run, parent: Run | None) -> RecordedSetting:
    """Make the record of a setting's run; `parent` is its comparison's run, None where that is not known."""
    tags, metrics, params = run.data.tags, run.data.metrics, run.data.params
    began = (parent or run).info.start_time
    rows = "" if parent is None else parent.data.params.get("n_rows", "")
    device = tags.get(DEVICE_NAME, "unknown device")
    figures: dict[str, Any] = {
        name: _finite(metrics.get(key))
        for name, key in (
            ("rows_per_s", RATE),
            ("rows_per_s_low", f"{RATE}_low"),
            ("rows_per_s_high", f"{RATE}_high"),
            ("canary_seconds", "canary/seconds"),
            ("accuracy", "test/accuracy"),
            ("peak_rss_mb", "infer/peak_rss_mb"),
            ("break_even_rows", "infer/break_even_rows"),
        )
    }
    keys: dict[str, Any] = {tag.removeprefix("vecml."): tags.get(tag, NONE) for tag in KEY_TAGS}
    return RecordedSetting(
        run_id=run.info.run_id,
        sitting=run.info.run_id if parent is None else parent.info.run_id,
        name=str(run.info.run_name),
        started=datetime.fromtimestamp(began / 1000, UTC),
        setting={name: params[name] for name in SETTING_PARAMS if name in params},
        n_rows=whole(rows),
        machine=tags.get("vecml.host", device),
        device_name=device,
        libraries=_libraries(tags),
        verdict=tags.get("vecml.verdict", NONE),
        reason=tags.get("vecml.reason", NONE),
        tied={"yes": True, "no": False}.get(tags.get("vecml.tied", "")),
        launches=_count(tags.get("vecml.launches", "")),
        subject=None if parent is None else _subject(parent.data.params),
        **keys,
        **figures,
    )


def _libraries(tags: Mapping[str, str]) -> dict[str, str] | None:
    """Read `numpy 2.4.6, torch 2.13.0` by name, with vecml's own version; None where it was not recorded."""
    text = tags.get("vecml.libraries")
    if text is None:
        return None
    parts = [part.strip().partition(" ") for part in text.split(",") if part.strip() not in ("", NONE)]
    own = {"vecml": tags["vecml.version"]} if "vecml.version" in tags else {}
    return {**own, **{name: version.strip() for name, _, version in parts}}


def _subject(params: Mapping[str, str]) -> str | None:
    """Name the data for people: `digits.csv, 64 features, 10 classes`; None where nothing is known of it."""
    parts = [params.get("data_source", NONE)]
    parts += [
        f"{params[key]} {noun}" for key, noun in (("n_features", "features"), ("n_classes", "classes")) if key in params
    ]
    return ", ".join(part for part in parts if not part.startswith(NONE)) or None


def _finite(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else value


def _count(text: str) -> int:
    return whole(text) or 0


def _side(store: Store, run: Run) -> Side:
    tags = run.data.tags
    kind = tags.get(KIND, "")
    if kind not in (PIPELINE, COMPARE, SETTING):
        raise StoreError(
            f"run {run.info.run_name} is {f'of kind {kind}' if kind else 'none of vecml'}: it cannot be compared",
            "name runs of vecml run or vecml compare; vecml leaderboard lists them",
        )
    compared = run.data.params.get("data_source")
    if kind == COMPARE and compared in (f"{FUNCTION}s", f"{COMMAND}s"):
        raise StoreError(
            f"run {run.info.run_name} compared {compared}: vecml diff compares inference",
            f"vecml report {run.info.run_id} shows it; measure both side by side: vecml compare",
        )
    whole = store.client.get_run(tags[PARENT]) if kind == SETTING else run
    if kind == PIPELINE:
        settings = [_pipeline_setting(run)] if RATE in run.data.metrics else []
    elif kind == COMPARE:
        settings = _of_comparison(store, run)
    else:
        settings = [one for one in _of_comparison(store, whole) if one.run_id == run.info.run_id]
    return Side(
        name=str(run.info.run_name),
        run_id=run.info.run_id,
        kind=kind,
        settings=tuple(settings),
        facts=_environment(store, whole),
        answers=_answers(store, run) if kind == PIPELINE else None,
        error=None if whole.info.status == "FINISHED" else whole.data.tags.get(ERROR) or f"it is {whole.info.status}",
    )


def _of_comparison(store: Store, parent: Run) -> list[RecordedSetting]:
    """Read the settings of one comparison in the order of measuring."""
    children = reversed(child_runs(store, parent.info.run_id))
    return without_disturbed_baselines([_recorded_setting(child, parent) for child in children])


def _pipeline_setting(run: Run) -> RecordedSetting:
    return replace(_recorded_setting(run, None), name=run.data.params.get("engine", "?"), in_one_process=True)


def _answers(store: Store, run: Run) -> Answers | None:
    content = _artifact(store, run, "labels.npz")
    if content is None:
        return None
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as labels:
            right_N = labels["true_N"] == labels["label_N"]
            return Answers(tuple(labels["row_N"].tolist()), tuple(right_N.tolist()))
    except (OSError, ValueError, KeyError) as error:
        raise StoreError(
            f"run {run.info.run_name}: its labels.npz cannot be read: {one_line(error, whole=True)}",
            "run it again: vecml run",
        ) from None


def _environment(store: Store, run: Run) -> Mapping[str, Any]:
    """Read the facts of the run's environment; empty where they were not stored or are no JSON object."""
    content = _artifact(store, run, "environment.json")
    try:
        facts = json.loads(content) if content is not None else {}
    except ValueError:
        facts = {}
    return facts if isinstance(facts, dict) else {}


def _artifact(store: Store, run: Run, path: str) -> bytes | None:
    """Read an artifact; None where it was not stored or cannot be reached: a diff shows the figures without it."""
    try:
        return read_artifact(store, run.info.run_id, path)
    except StoreError:
        return None

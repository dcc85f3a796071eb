"""Every recorded setting of every comparison in the store, from metrics and tags: no artifact is opened.

Two searches, settings and comparisons, in pages of thousands: MLflow reads a page's metrics, params and tags with one
query of its own for each, and a page of hundreds takes nearly as long as one of thousands. They come as some fifty
small objects a run, none of them garbage; looking for garbage among them would take as long as reading them.
"""

import gc
import math
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from mlflow.entities import Run, ViewType

from tasks.tracking.location import locate
from tasks.tracking.store import Store, open_store, store_errors
from vecml.errors import StoreError
from vecml.history.recorded import RecordedSetting
from vecml.record import COMPARE, DEVICE_NAME, KIND, NONE, SETTING, SETTING_PARAMS

PARENT = "mlflow.parentRunId"
PAGE = 5_000


def recorded_settings() -> list[RecordedSetting]:
    """All settings of all comparisons, the latest first. Raises StoreError where nothing is kept, or it fails."""
    location = locate()
    if location.folder is not None and not (location.folder / "mlflow.db").exists():
        raise StoreError(
            f"nothing is recorded: {location.folder} holds no runs",
            "run this in the folder of its mlruns/, or name that with VECML_HOME; vecml compare records",
        )
    store = open_store(location)
    with store_errors(location), _no_garbage():
        parents = {run.info.run_id: run for run in _runs(store, COMPARE)}
        return [
            _recorded(run, parents.get(run.data.tags.get(PARENT, "")))
            for run in _runs(store, SETTING)
            # Without its comparison, which was deleted or never came here whole, a setting counts for nothing.
            if run.info.status == "FINISHED" and (PARENT not in run.data.tags or run.data.tags[PARENT] in parents)
        ]


@contextmanager
def _no_garbage() -> Iterator[None]:
    """No search for garbage within the block."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def _runs(store: Store, kind: str) -> Iterator[Run]:
    """The runs of a kind, the latest first."""
    token = None
    while True:
        page = store.client.search_runs(
            [store.experiment.experiment_id],
            f"tags.`{KIND}` = '{kind}'",
            ViewType.ACTIVE_ONLY,
            max_results=PAGE,
            page_token=token,
        )
        yield from page
        token = page.token
        if not token:
            return


def _recorded(run: Run, parent: Run | None) -> RecordedSetting:
    """The record of a setting's run; `parent` is its comparison's, None where that is gone."""
    tags, metrics, params = run.data.tags, run.data.metrics, run.data.params
    began = (parent or run).info.start_time
    rows = "" if parent is None else parent.data.params.get("n_rows", "")
    device = tags.get(DEVICE_NAME, "unknown device")
    told: dict[str, Any] = {
        name: _finite(metrics.get(key))
        for name, key in (
            ("rows_per_s", "infer/rows_per_s"),
            ("rows_per_s_low", "infer/rows_per_s_low"),
            ("rows_per_s_high", "infer/rows_per_s_high"),
            ("canary_seconds", "canary/seconds"),
            ("accuracy", "test/accuracy"),
            ("peak_rss_mb", "infer/peak_rss_mb"),
            ("break_even_rows", "infer/break_even_rows"),
        )
    }
    return RecordedSetting(
        run_id=run.info.run_id,
        sitting=run.info.run_id if parent is None else parent.info.run_id,
        name=str(run.info.run_name),
        started=datetime.fromtimestamp(began / 1000, UTC),
        setting={name: params[name] for name in SETTING_PARAMS if name in params},
        n_rows=int(rows) if rows.isdigit() else None,
        machine_key=tags.get("vecml.machine_key", NONE),
        software_key=tags.get("vecml.software_key", NONE),
        architecture_digest=tags.get("vecml.architecture_digest", NONE),
        data_digest=tags.get("vecml.data_digest", NONE),
        machine=tags.get("vecml.host", device),
        device_name=device,
        libraries=_libraries(tags),
        verdict=tags.get("vecml.verdict", NONE),
        reason=tags.get("vecml.reason", NONE),
        tied={"yes": True, "no": False}.get(tags.get("vecml.tied", "")),
        launches=_count(tags.get("vecml.launches", "")),
        subject=None if parent is None else _subject(parent.data.params),
        **told,
    )


def _libraries(tags: dict[str, str]) -> dict[str, str] | None:
    """`numpy 2.4.6, torch 2.13.0` by name, and vecml's own version beside it; None where it was not recorded."""
    text = tags.get("vecml.libraries")
    if text is None:
        return None
    parts = [part.strip().partition(" ") for part in text.split(",") if part.strip() not in ("", NONE)]
    own = {"vecml": tags["vecml.version"]} if "vecml.version" in tags else {}
    return {**own, **{name: version.strip() for name, _, version in parts}}


def _subject(params: dict[str, str]) -> str | None:
    """`digits.csv, 64 features, 10 classes`."""
    parts = [params.get("data_source", NONE)]
    parts += [
        f"{params[key]} {noun}" for key, noun in (("n_features", "features"), ("n_classes", "classes")) if key in params
    ]
    told = [part for part in parts if not part.startswith(NONE)]
    return ", ".join(told) or None


def _finite(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else value


def _count(text: str) -> int:
    return int(text) if text.isdigit() else 0

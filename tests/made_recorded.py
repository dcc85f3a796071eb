"""Recorded settings made by hand, for tests of several folders that need no store."""

from datetime import UTC, datetime, timedelta
from typing import Any

from vecml.history.recorded import RecordedSetting

FIRST = datetime(2026, 1, 1, 2, tzinfo=UTC)
SETTING = {
    "engine": "numpy",
    "device": "cpu",
    "device_index": "0",
    "precision": "float32",
    "layout": "columns",
    "isa": "native",
    "threads": "2",
    "block_rows": "512",
    "request_rows": "none",
    "scope": "host",
}


def recorded(day: float = 0, rate: float | None = 1e6, engine: str = "numpy", **changed: Any) -> RecordedSetting:
    """A sitting of a setting; `setting` in `changed` is merged into the usual params."""
    setting = {**SETTING, "engine": engine, **changed.pop("setting", {})}
    values: dict[str, Any] = {
        "run_id": f"{engine}-{day}",
        "sitting": f"sitting-{day}",
        "name": engine,
        "started": FIRST + timedelta(days=day),
        "setting": setting,
        "n_rows": 200_000,
        "machine_key": "m1" * 8,
        "software_key": "s1",
        "environment_key": "e1",
        "architecture_digest": "a1" * 16,
        "data_digest": "d1" * 16,
        "model_digest": "w1" * 16,
        "machine": "a processor, 2 CPUs",
        "device_name": "a processor",
        "libraries": {"numpy": "2.4.6"},
        "verdict": "baseline",
        "reason": "none",
        "tied": None,
        "launches": 5,
        "rows_per_s": rate,
        "canary_seconds": 0.25,
        "accuracy": 0.97,
        "peak_rss_mb": 210.0,
        "subject": "digits.csv, 64 features, 10 classes",
    }
    return RecordedSetting(**{**values, **changed})

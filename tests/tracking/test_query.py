"""Recorded settings read back from a real store: from a real comparison, from an older vecml's runs, by pages."""

import dataclasses
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from mlflow.entities import Metric, Param, RunTag

from tasks.tracking import query
from tasks.tracking.comparison import tracked_comparison
from tasks.tracking.query import recorded_settings
from tasks.tracking.store import Store, open_store
from tests.made_comparison import comparison_of
from tests.made_recorded import SETTING
from vecml.errors import StoreError
from vecml.record import child_metrics


@pytest.fixture(autouse=True)
def _a_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("VECML_HOME", str(tmp_path))


def log(
    store: Store, name: str, tags: dict[str, str], params: dict[str, str], metrics: dict[str, float], **how: Any
) -> str:
    """The id of a run with just that."""
    client, experiment = store.client, store.experiment.experiment_id
    run = client.create_run(experiment, start_time=how.get("began", 1_767_232_800_000), tags=tags, run_name=name)
    run_id = run.info.run_id
    client.log_batch(
        run_id,
        [Metric(key, value, 0, 0) for key, value in metrics.items()],
        [Param(key, value) for key, value in params.items()],
        [RunTag(key, value) for key, value in tags.items()],
    )
    client.set_terminated(run_id, how.get("status", "FINISHED"))
    return str(run_id)


def test_a_real_comparison_reads_back() -> None:
    comparison = comparison_of({"numpy": 0.02, "torch": 0.01, "bad": 0.03}, {"bad": "it hung"})
    with tracked_comparison("a night") as writer:
        writer.log(comparison, "a note")
    found = {one.name: one for one in recorded_settings()}
    assert set(found) == {"numpy", "torch", "bad"}
    one = found["torch"]
    assert (one.verdict, one.tied, one.launches, one.n_rows) == ("faster", True, 5, 1_000)
    assert one.rows_per_s == pytest.approx(100_000, rel=0.02)
    assert one.rows_per_s_low is not None
    assert one.rows_per_s_high is not None
    assert one.rows_per_s_low < one.rows_per_s < one.rows_per_s_high
    assert one.canary_seconds == 0.003
    assert (one.accuracy, one.peak_rss_mb) == (0.97, 200.0)
    assert (one.machine, one.machine_key, one.architecture_digest) == ("a processor, 2 CPUs", "m", "architecture")
    assert one.subject == "synthetic, 10 features, 2 classes"
    assert one.libraries == {"vecml": "0.1.0"}
    assert dict(one.setting)["threads"] == "2"
    assert one.sitting == writer.run.run_id
    assert one.started == found["numpy"].started
    assert (found["bad"].invalid, found["numpy"].tied) == ("it hung", False)
    assert one.break_even_rows is not None
    assert child_metrics  # the keys are the record's: tests/tracking/test_comparison.py holds what is under them


def test_runs_of_an_older_vecml_lack_what_it_did_not_log() -> None:
    store = open_store()
    old = {"vecml.kind": "setting", "vecml.verdict": "baseline", "vecml.device_name": "an old CPU"}
    run_id = log(store, "numpy", old, {"engine": "numpy"}, {"infer/rows_per_s": 5.0})
    (one,) = recorded_settings()
    assert dataclasses.asdict(one) == {
        "run_id": run_id,
        "sitting": run_id,
        "name": "numpy",
        "started": datetime(2026, 1, 1, 2, tzinfo=UTC),
        "setting": {"engine": "numpy"},
        "n_rows": None,
        "machine_key": "none",
        "software_key": "none",
        "architecture_digest": "none",
        "data_digest": "none",
        "machine": "an old CPU",
        "device_name": "an old CPU",
        "libraries": None,
        "verdict": "baseline",
        "reason": "none",
        "tied": None,
        "launches": 0,
        "rows_per_s": 5.0,
        "rows_per_s_low": None,
        "rows_per_s_high": None,
        "canary_seconds": None,
        "accuracy": None,
        "peak_rss_mb": None,
        "break_even_rows": None,
        "subject": None,
    }


def test_libraries_are_read_by_name() -> None:
    store = open_store()
    tags = {
        "vecml.kind": "setting",
        "vecml.version": "0.1.0",
        "vecml.libraries": "python 3.11.7, numpy 2.4.6, blas scipy-openblas 0.3.30",
    }
    log(store, "numpy", tags, SETTING, {})
    (one,) = recorded_settings()
    assert one.libraries == {
        "vecml": "0.1.0",
        "python": "3.11.7",
        "numpy": "2.4.6",
        "blas": "scipy-openblas 0.3.30",
    }
    assert one.invalid == "it has no rate"


def test_every_page_is_read_and_other_runs_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(query, "PAGE", 3)
    store = open_store()
    parents = [
        log(store, f"c{n}", {"vecml.kind": "compare"}, {"n_rows": str(n)}, {}, began=1000 * n + 1000) for n in range(4)
    ]
    for number, parent in enumerate(parents):
        for engine in ("numpy", "torch"):
            tags = {"vecml.kind": "setting", "mlflow.parentRunId": parent}
            log(store, engine, tags, {"engine": engine}, {"infer/rows_per_s": 1.0}, began=1000 * number + 1500)
    log(store, "half", {"vecml.kind": "setting"}, {"engine": "numpy"}, {}, status="KILLED")
    log(store, "run", {"vecml.kind": "pipeline"}, {"engine": "numpy"}, {})
    found = recorded_settings()
    assert len({one.run_id for one in found}) == 8
    assert {(one.sitting, one.n_rows, one.started.timestamp()) for one in found} == {
        (parent, number, number + 1.0) for number, parent in enumerate(parents)
    }


def test_nothing_recorded_makes_nothing(tmp_path: Path) -> None:
    with pytest.raises(StoreError) as caught:
        recorded_settings()
    assert caught.value.message == f"nothing is recorded: {tmp_path / 'mlruns'} holds no runs"
    assert caught.value.hint == (
        "run this in the folder of its mlruns/, or name that with VECML_HOME; vecml compare records"
    )
    assert not (tmp_path / "mlruns").exists()

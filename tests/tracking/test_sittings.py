"""Recorded settings read back from a real store, for history and leaderboard and as the sides of a diff."""

import dataclasses
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag
from mlflow.exceptions import MlflowException

from tasks.tracking import store as stores
from tasks.tracking.comparison import tracked_comparison
from tasks.tracking.sittings import read_sides, recorded_settings
from tasks.tracking.store import Store, open_store
from tasks.tracking.write import tracked
from tests.made_comparison import comparison_of
from tests.made_recorded import SETTING
from vecml.errors import StoreError
from vecml.history.diff import diff
from vecml.record import child_metrics
from vecml.report.summary import PipelineResult


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
        "environment_key": "none",
        "architecture_digest": "none",
        "data_digest": "none",
        "model_digest": "none",
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
        "in_one_process": False,
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
    monkeypatch.setattr(stores, "PAGE", 3)
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


def logged(name: str, machine: str, slower: float = 1.0, faults: dict[str, str] | None = None) -> str:
    """A comparison on a machine; its name."""
    made = comparison_of({"numpy": 0.01 * slower, "torch": 0.005 * slower}, faults)
    facts = {**made.environment, "cpu_model": machine, "machine_key": machine, "environment_key": machine}
    with tracked_comparison(name) as writer:
        writer.log(dataclasses.replace(made, environment=facts), "a note")
    return name


def test_two_comparisons_of_two_machines() -> None:
    sides, others = read_sides([logged("first", "one"), logged("second", "two", 0.5)])
    assert [(side.name, side.kind, side.error) for side in sides] == [
        ("first", "compare", None),
        ("second", "compare", None),
    ]
    assert [setting.name for setting in sides[0].settings] == ["numpy", "torch"]
    assert {setting.n_rows for side in sides for setting in side.settings} == {1_000}
    assert len(others) == 4
    (against,) = diff(sides, others)
    assert against.facts == ("cpu_model: one, two",)
    assert [(one.first, one.word) for one in against.differences] == [("numpy", "indicative"), ("torch", "indicative")]
    assert [one.ratio for one in against.differences] == pytest.approx([2, 2], rel=0.02)


def test_sittings_on_record_count_though_they_are_not_named() -> None:
    for number in range(4):
        logged(f"first-{number}", "one", 1 + number / 1_000)
        logged(f"second-{number}", "two", 0.5 + number / 1_000)
    sides, others = read_sides([logged("first", "one"), logged("second", "two", 0.5)])
    (against,) = diff(sides, others)
    assert [(one.sittings, one.word) for one in against.differences] == [((5, 5), "faster")] * 2


def test_an_invalid_setting_is_left_out_with_its_reason() -> None:
    sides, others = read_sides([logged("first", "one"), logged("second", "two", faults={"torch": "wrong labels"})])
    (against,) = diff(sides, others)
    assert [one.first for one in against.differences] == ["numpy"]
    assert against.left_out[0].startswith("torch: invalid in run ")
    assert against.left_out[0].endswith(": wrong labels")


def test_a_setting_alone_stands_for_itself() -> None:
    logged("first", "one")
    sides, _ = read_sides(["first", "torch"])
    assert (sides[1].kind, [setting.name for setting in sides[1].settings]) == ("setting", ["torch"])
    assert sides[1].facts["cpu_model"] == "one"


def test_pipeline_runs_bring_their_answers(telling_result: PipelineResult) -> None:
    for name in ("a", "b"):
        with tracked(telling_result.config.model_copy(update={"name": name}), "cpu", None) as writer:
            writer.log_result(dataclasses.replace(telling_result, run=writer.run), "a note")
    sides, others = read_sides(["a", "b"])
    label_N = telling_result.inference.label_N
    answers = sides[0].answers
    assert answers is not None
    assert len(answers.row_N) == len(label_N)
    assert answers.row_N == tuple(telling_result.split.test.row_N.tolist())
    assert answers.right_N == tuple((telling_result.split.test.label_N == label_N).tolist())
    (against,) = diff(sides, others)
    assert against.accuracy is not None
    assert "no difference was detected (McNemar p 1:" in against.accuracy
    assert against.differences[0].word == "indicative"


def test_an_artifact_store_that_does_not_answer_takes_no_figures_away(
    telling_result: PipelineResult, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tracked(telling_result.config.model_copy(update={"name": "a run"}), "cpu", None) as writer:
        writer.log_result(dataclasses.replace(telling_result, run=writer.run), "a note")
    logged("a comparison", "one")

    def no_answer(*_: object, **__: object) -> None:
        raise MlflowException("no answer")

    for method in ("list_artifacts", "download_artifacts"):
        monkeypatch.setattr(MlflowClient, method, no_answer)
    sides, _ = read_sides(["a run", "a comparison"])
    assert [(side.answers, side.facts) for side in sides] == [(None, {})] * 2
    assert all(setting.rows_per_s for side in sides for setting in side.settings)
    assert [len(side.settings) for side in sides] == [1, 2]


def test_a_run_that_failed_says_why() -> None:
    with pytest.raises(ZeroDivisionError), tracked_comparison("second"):
        raise ZeroDivisionError("of nothing")
    sides, others = read_sides([logged("first", "one"), "second"])
    (against,) = diff(sides, others)
    assert against.refusals == ("run second has no figures: ZeroDivisionError: of nothing",)


def test_a_run_that_is_not_there_is_answered_with_the_nearest() -> None:
    logged("brave-fox", "one")
    with pytest.raises(StoreError) as caught:
        read_sides(["brave-fox", "brave-fix"])
    assert caught.value.hint == "did you mean brave-fox?"

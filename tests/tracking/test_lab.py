"""A ladder and a lab in a real store: what stands under every key, the files, and what a failing store leaves."""

import json
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from tasks.tracking.results import lab_content, ladder_content
from tasks.tracking.run import RunContent, tracked_result
from tasks.tracking.store import open_store
from tests.made_ladder import made_ladder
from vecml import keys
from vecml.errors import StoreError
from vecml.lab.experiment import Cell, Outcome
from vecml.measure.limits import Limits
from vecml.measure.verdict import Verdict


@pytest.fixture(autouse=True)
def _store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("VECML_HOME", str(tmp_path))


def run_of(run_id: str) -> Run:
    return open_store().client.get_run(run_id)


def files_of(run: Run) -> set[str]:
    folder = Path(run.info.artifact_uri.removeprefix("file://"))
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_a_ladder_logs_every_key(tmp_path: Path) -> None:
    made = made_ladder()
    with tracked_result(keys.LADDER, "größer 🦊") as writer:
        writer.log(ladder_content(made, "a note", b"\x89PNG"))
    run = run_of(writer.run.run_id)
    assert (run.info.status, run.info.run_name) == ("FINISHED", "größer 🦊")
    assert run.data.tags["vecml.kind"] == "ladder"
    assert run.data.params == {
        "data_source": "synthetic",
        "n_rows": "1000",
        "n_features": "10",
        "n_classes": "2",
        "widths": "10-32-2",
        "rungs": "row loop,whole-array BLAS,blocks,fused",
    }
    assert set(run.data.params) == set(keys.LADDER_PARAMS)
    assert {key: run.data.tags[key] for key in keys.LADDER_END_TAGS} == {
        "vecml.launches": "5",
        "vecml.model_digest": "d" * 16,
        "vecml.best": "fused",
        "vecml.stopped_paying": "blocks",
    }
    assert run.data.tags["mlflow.note.content"] == "a note"
    metrics = run.data.metrics
    assert metrics["ladder/gain"] == pytest.approx(2_000, rel=0.01)
    assert metrics["ladder/fused/ratio"] == pytest.approx(20, rel=0.01)
    assert metrics["ladder/row_loop/memory_bytes"] == 88
    first = {"ratio", "ratio_low", "ratio_high", "gain"}  # which the first rung has none of
    expected = {key for rung in made.rungs for key in keys.rung_metrics(rung.name)}
    expected -= {f"ladder/row_loop/{key}" for key in first}
    assert set(metrics) == {*keys.BEST_RUNG_METRICS, *expected}
    assert files_of(run) == {"ladder.json", "environment.json", "pictures/ladder.png"}


def test_a_ladder_that_fails_is_failed() -> None:
    with pytest.raises(ValueError, match="no"), tracked_result(keys.LADDER, None) as writer:
        raise ValueError("no")
    assert run_of(writer.run.run_id).info.status == "FAILED"


def test_a_lab_logs_every_key() -> None:
    verdict = Verdict("a", "b", 0, "faster", "made", 12.5, 12.0, 13.0)
    cells = (
        Cell("10 values", 10, "Python loop", True, 1e-5, None, None, 160, 20, 0.5, None, None),
        Cell("10 values", 10, "ufunc", False, 8e-7, verdict, None, 160, 20, 0.5, None, 0.0),
        Cell("99 values", 99, "ufunc", False, 8e-7, None, "it died", 160, 20, 0.5, None, 0.0),
    )
    outcome = Outcome(
        *("ufunc", "A title", "an idea", "values", "2026-01-02T03:04:05+00:00", True, cells, {}, Limits(), 3, {}),
        sentences=("One.", "Two.", "Three."),
    )
    with tracked_result(keys.LAB, None) as writer:
        writer.log(lab_content([outcome], {"ufunc": b"\x89PNG"}, "<p>", quick=True))
    run = run_of(writer.run.run_id)
    assert run.data.tags["vecml.kind"] == "lab"
    assert run.data.params == {"experiments": "ufunc", "quick": "True"}
    assert set(run.data.params) == set(keys.LAB_PARAMS)
    assert run.data.metrics == {
        "lab/ufunc/best_ratio": 12.5,
        "lab/ufunc/cells": 3,
        "lab/ufunc/faster": 1,
        "lab/ufunc/invalid": 1,
    }
    assert run.data.tags["mlflow.note.content"] == "### A title\n\nOne. Two. Three.\n"
    assert files_of(run) == {"lab.json", "lab.html", "pictures/ufunc.png"}
    folder = Path(run.info.artifact_uri.removeprefix("file://"))
    content = json.loads((folder / "lab.json").read_text(encoding="utf-8"))
    assert content["experiments"]["ufunc"]["sentences"] == ["One.", "Two.", "Three."]


def test_more_figures_than_mlflow_takes_at_once_are_all_logged() -> None:
    figures = {f"lab/{index}/cells": float(index) for index in range(2_001)}
    with tracked_result(keys.LAB, None) as writer:
        writer.log(RunContent({"a/b.txt": "é", "c": b"\xff"}, {"quick": "True"}, figures, {"tag": "one"}, "n" * 9_000))
    run = run_of(writer.run.run_id)
    assert run.data.metrics == figures
    assert run.data.params == {"quick": "True"}
    assert (run.data.tags["tag"], run.data.tags["mlflow.note.content"]) == ("one", "n" * 8_000)
    folder = Path(run.info.artifact_uri.removeprefix("file://"))
    assert ((folder / "a/b.txt").read_text(encoding="utf-8"), (folder / "c").read_bytes()) == ("é", b"\xff")


@pytest.mark.parametrize("broken", ["log_batch", "log_artifacts"])
def test_a_store_that_fails_leaves_every_file_of_a_ladder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    """Whether the values cannot be logged or the files: all files were written before, and are kept."""

    def breaking(*_args: object, **_more: object) -> None:
        raise OSError("no room")

    monkeypatch.setattr(MlflowClient, broken, breaking)
    with pytest.raises(StoreError, match="no room") as caught, tracked_result(keys.LADDER, None) as writer:
        writer.log(ladder_content(made_ladder(), "a note", b"\x89PNG"))
    kept = tmp_path / f"vecml-unsaved-{writer.run.run_id}"
    assert str(kept) in str(caught.value.hint)
    assert {str(path.relative_to(kept)) for path in kept.rglob("*") if path.is_file()} == {
        "ladder.json",
        "environment.json",
        "pictures/ladder.png",
        "unsaved/content.json",
    }
    assert run_of(writer.run.run_id).info.status == "FAILED"


def test_a_disk_without_room_for_the_files_is_an_error_of_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_args: object, **_more: object) -> None:
        raise OSError(28, "No space left on device")

    with tracked_result(keys.LADDER, None) as writer:
        made = made_ladder()
        with monkeypatch.context() as patched:
            patched.setattr(Path, "write_bytes", full)
            with pytest.raises(StoreError, match="No space left on device"):
                writer.log(ladder_content(made, "a note", None))
    assert not run_of(writer.run.run_id).data.metrics

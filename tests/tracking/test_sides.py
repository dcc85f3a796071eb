"""Recorded runs as the sides of a diff, from a real store: what is logged is what is held against each other."""

import dataclasses
from pathlib import Path

import pytest

from tasks.tracking.comparison import tracked_comparison
from tasks.tracking.sides import read_sides
from tasks.tracking.write import tracked
from tests.made_comparison import comparison_of
from vecml.config import PipelineConfig, Setting
from vecml.errors import StoreError
from vecml.history.diff import diff
from vecml.report.result import PipelineResult


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("VECML_HOME", str(tmp_path))
    return tmp_path


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
    assert [sitting.name for sitting in sides[0].sittings] == ["numpy", "torch"]
    assert {sitting.n_rows for side in sides for sitting in side.sittings} == {1_000}
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
    assert (sides[1].kind, [sitting.name for sitting in sides[1].sittings]) == ("setting", ["torch"])
    assert sides[1].facts["cpu_model"] == "one"


def test_pipeline_runs_bring_their_answers(telling_result: PipelineResult) -> None:
    for name in ("a", "b"):
        with tracked(PipelineConfig(name=name), Setting("numpy"), None) as writer:
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

"""What the summary says of a training, of simple models beside it, and of classes that accuracy does not show."""

import dataclasses
import math
from collections.abc import Callable

import pytest

from vecml.model.course import Course, Reason
from vecml.model.recipe import Tried
from vecml.model.simple_models import SimpleModel
from vecml.report.course_picture import course_curves
from vecml.report.summary import PipelineResult, as_text, note, rows, sentence

COURSE = Course(300, 200, "settled", 4.5678, 77, (0, 100, 200, 300), (math.nan, 0.9, 0.5, 0.4), (1.1, 0.8, 0.7, 0.75))
LOGISTIC = SimpleModel("logistic regression", "logistic", 0.9, 1, 12, 0.0034)
BOOSTING = SimpleModel("gradient boosting", "boosting", 0.75, 4, 5, 1.0, "30 of 100 rounds, in 10 s")


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory, result_of: Callable[..., PipelineResult]) -> PipelineResult:
    return result_of(tmp_path_factory.mktemp("table"), ("red", "green"))


def trained(result: PipelineResult, **changes: object) -> dict[str, str]:
    return dict(rows(dataclasses.replace(result, training=dataclasses.replace(result.training, **changes))))


@pytest.mark.parametrize(
    ("reason", "why"),
    [
        ("settled", "until the loss of held-out rows fell no more"),
        ("steps", "its bound"),
        ("seconds", "until its time was over, which another machine would not repeat"),
    ],
)
def test_a_training_says_why_it_ended(result: PipelineResult, reason: Reason, why: str) -> None:
    table = trained(result, course=dataclasses.replace(COURSE, reason=reason))
    assert table["training"] == f"300 steps, {why}; kept: step 200, after 4.57 epochs"
    assert "training" not in dict(rows(result))


def test_what_was_tried_is_said_with_what_it_is_worth(result: PipelineResult) -> None:
    rule, other = Tried((64,), 0.004, 0.1, 0.25, 300), Tried((128, 7), 0.01, 0.5, 0.2, 40, chosen=True)
    assert trained(result, tried=(rule, other))["tuned"] == (
        "width 128,7, rate 0.01, decay 0.5: the best of 2 settings (held-out loss 0.2, of the rule's own setting 0.25)"
    )
    own = (dataclasses.replace(rule, chosen=True), dataclasses.replace(other, chosen=False))
    assert trained(result, tried=own)["tuned"] == (
        "width 64, rate 0.004, decay 0.1: the rule's own setting is the best of 2 (held-out loss 0.25)"
    )


def test_a_simple_model_that_is_better_is_said_first(result: PipelineResult) -> None:
    evaluation = dataclasses.replace(result.evaluation, accuracy=0.6)
    beside = dataclasses.replace(result, evaluation=evaluation, simple=(LOGISTIC, BOOSTING))
    first = (
        "Logistic regression is better than the network on this table: 90.0 % of the test rows against 60.0 %"
        " (McNemar p 0.0034). 60.0 % of "
    )
    assert sentence(beside).startswith(first)
    assert as_text(beside).startswith(first)
    assert dict(rows(beside))["simple models"] == (
        "logistic regression 90.0 %, gradient boosting 75.0 % (with 30 of 100 rounds, in 10 s);"
        " logistic regression better than the network"
    )
    assert "Logistic regression is better" in note(beside)


def test_a_difference_that_chance_explains_is_not_said_first(result: PipelineResult) -> None:
    beside = dataclasses.replace(result, simple=(BOOSTING,))
    assert sentence(beside) == sentence(result)
    assert dict(rows(beside))["simple models"].endswith("; none better beyond chance")


def test_unbalanced_classes_have_two_rows_more(result: PipelineResult) -> None:
    assert not {"balanced", "precision", "never named"} & set(dict(rows(result)))
    evaluation = dataclasses.replace(
        result.evaluation, balanced_accuracy=0.5, average_precision=0.071, never_predicted=("a\nb", *"cdefg")
    )
    table = dict(rows(dataclasses.replace(result, evaluation=evaluation)))
    assert table["balanced"] == "50.0 % (mean share of right labels over the classes)"
    assert table["precision"] == "0.071 (mean average precision of the rarer classes)"
    assert table["never named"] == "'a b', 'c', 'd', 'e', 'f' and 1 more: no test row was labelled so"


@pytest.mark.parametrize("points", [1, 2, 4])
def test_the_picture_of_the_course_is_drawn(points: int) -> None:
    course = dataclasses.replace(
        COURSE,
        at_step=COURSE.at_step[:points],
        train_losses=COURSE.train_losses[:points],
        held_out_losses=COURSE.held_out_losses[:points],
    )
    assert course_curves(course).startswith(b"\x89PNG")

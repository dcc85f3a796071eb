"""When a training is over, and what is kept of it, by planted curves of the held-out loss."""

import math
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vecml.errors import TrainingError
from vecml.model.course import LEAST_STEPS, Course, Watch
from vecml.model.recipe import Recipe
from vecml.model.until_done import train_until_done
from vecml.progress import Advance

RECIPE = Recipe((4,), None, 8, 0.01, 0.0, folds=5, max_steps=1_000, max_seconds=60.0, check_steps=50)


class Planted:
    """A learner whose held-out loss is a function of the steps made, and whose weights are their number."""

    rows_a_step = 8

    def __init__(self, loss: Callable[[int], float]) -> None:
        self._loss, self.weights, self._kept = loss, 0, -1

    def learn(self, steps: int, advance: Advance) -> float:
        self.weights += steps
        advance(steps)
        return 1.0

    def judge(self) -> float:
        return self._loss(self.weights)

    def keep(self) -> None:
        self._kept = self.weights

    def take_back(self) -> None:
        self.weights = self._kept


def course_of(loss: Callable[[int], float], clock: Callable[[], float] = lambda: 0.0) -> tuple[Course, Planted]:
    learner = Planted(loss)
    return train_until_done(learner, RECIPE, 100, 20, clock), learner


def test_it_settles_once_half_of_the_steps_were_no_better_and_keeps_the_best() -> None:
    course, learner = course_of(lambda step: abs(step - 300) / 100)
    assert (course.reason, course.best_step, course.steps) == ("settled", 300, 600)
    assert learner.weights == 300
    assert course.epochs == 300 * 8 / 100
    assert course.best_loss == 0
    assert course.at_step == tuple(range(0, 601, 50))
    assert course.held_out_losses == tuple(abs(step - 300) / 100 for step in course.at_step)
    assert math.isnan(course.train_losses[0])


def test_a_loss_that_rises_from_the_start_leaves_the_weights_as_they_were() -> None:
    course, learner = course_of(lambda step: 1 + step)
    assert (course.reason, course.best_step, course.steps) == ("settled", 0, LEAST_STEPS)
    assert learner.weights == 0


def test_what_still_falls_is_told_from_what_creeps() -> None:
    assert course_of(lambda step: 2 - step / 1_000)[0].falling
    assert not course_of(lambda step: 1 / (1 + step))[0].falling  # from nearly nothing to less
    assert not course_of(lambda step: 1 + 1 / (1 + step / 50))[0].falling
    assert not course_of(lambda step: abs(step - 300) / 100)[0].falling


def test_a_loss_that_falls_on_reaches_the_bound_of_steps() -> None:
    course, learner = course_of(lambda step: 1 / (1 + step))
    assert (course.reason, course.best_step, course.steps) == ("steps", 1_000, 1_000)
    assert learner.weights == 1_000


def test_the_clock_ends_it() -> None:
    times = iter([0.0, 10.0, 20.0, 59.0, 61.0])
    course, _ = course_of(lambda step: 1 / (1 + step), lambda: next(times))
    assert (course.reason, course.steps) == ("seconds", 150)


def test_creeping_is_no_progress() -> None:
    course, _ = course_of(lambda step: 1 - 1e-9 * step)
    assert (course.reason, course.best_step) == ("settled", 0)


@given(st.lists(st.floats(0.01, 10), min_size=2, max_size=60))
def test_what_is_kept_is_within_a_ten_thousandth_of_the_lowest(losses: list[float]) -> None:
    watch = Watch(max_steps=10**9, max_seconds=1.0)
    kept = [loss for step, loss in enumerate(losses) if watch.note(step, 1.0, loss)]
    assert kept[0] == losses[0]
    assert kept == sorted(kept, reverse=True)
    assert kept[-1] == losses[watch.best_step]
    assert min(losses) >= kept[-1] - 1e-4 * kept[-1] - 1e-12


@pytest.mark.parametrize("reached", [math.nan, math.inf])
def test_a_loss_that_is_no_number_is_said(reached: float) -> None:
    with pytest.raises(TrainingError, match=r"^training diverged: after step 100 ") as caught:
        course_of(lambda step: 1.0 if step < 100 else reached)
    assert caught.value.hint == "a smaller step size may help: --learning-rate 0.001"

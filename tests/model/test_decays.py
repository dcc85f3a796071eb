"""The weight decay that held-out rows choose: by the rule, the same network as with the flag, and said."""

import dataclasses
from functools import partial
from itertools import chain, repeat
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.model.made_split import made_split
from vecml.config import PipelineConfig, make_config
from vecml.data.split import Split
from vecml.errors import TrainingError
from vecml.model import train as training_module
from vecml.model.course import EQUAL_SHARE, Course, as_good
from vecml.model.recipe import DECAYS, FOLD_ROWS, RATE, make_recipe
from vecml.model.train import Training, train
from vecml.model.until_done import train_until_done
from vecml.warnings import VecmlWarning

pytestmark = pytest.mark.filterwarnings("ignore:VML021")


def noisy(split: Split) -> Split:
    """The same features with labels of which a third is chance: what is learnt of them is soon too much."""
    rng = np.random.default_rng(1)
    is_chance = rng.random(split.train.n_rows) < 0.35
    label_N = np.where(is_chance, rng.integers(0, 2, split.train.n_rows), split.train.label_N)
    return dataclasses.replace(split, train=dataclasses.replace(split.train, label_N=label_N))


def curved(split: Split) -> Split:
    """Labels that a surface of many folds divides, and nothing is chance: it takes large weights."""
    x_FN = split.train.x_FN
    z_FN = (x_FN - x_FN.mean(axis=1, keepdims=True)) / x_FN.std(axis=1, keepdims=True)
    label_N = (np.sin(4 * z_FN[0]) + np.sin(4 * z_FN[2]) > 0).astype(np.int64)
    return dataclasses.replace(split, train=dataclasses.replace(split.train, label_N=label_N))


def split_of(tmp_path: Path, **values: Any) -> tuple[Split, PipelineConfig]:
    return made_split(tmp_path, **{"epochs": None, "batch_size": None, "max_steps": 400, **values})


def course_of(training: Training) -> Course:
    assert training.course is not None
    return training.course


@pytest.mark.parametrize(("change", "expected"), [(noisy, DECAYS[1]), (curved, DECAYS[0])])
def test_the_decay_is_the_one_that_held_out_rows_choose(tmp_path: Path, change: Any, expected: float) -> None:
    """The oracle is a run for each decay, given by flag, and the rule's sentence written out."""
    split, config = split_of(tmp_path)
    split = change(split)
    small, large = (train(split, config.model_copy(update={"weight_decay": decay})) for decay in DECAYS)
    losses = [course_of(one).best_loss for one in (small, large)]
    majority = course_of(small).held_out_losses[0]
    wanted = large if losses[1] <= losses[0] + EQUAL_SHARE * majority else small
    chosen = train(split, config)
    assert chosen.recipe is not None
    assert chosen.recipe.weight_decay == expected
    assert chosen.recipe == wanted.recipe
    assert chosen.model.digest == wanted.model.digest
    assert (chosen.course, chosen.losses) == (wanted.course, wanted.losses)
    assert train(split, config).model.digest == chosen.model.digest


def test_replicas_have_one_decay(tmp_path: Path) -> None:
    split, config = split_of(tmp_path, max_steps=80)
    split = noisy(split)
    together = train(split, config, replicas=2)
    assert together.recipe is not None
    given = config.model_copy(update={"weight_decay": together.recipe.weight_decay})
    by_flag = train(split, given, replicas=2)
    assert [one.digest for one in by_flag.replicas] == [one.digest for one in together.replicas]


@pytest.mark.parametrize(
    ("values", "n_rows", "decay"),
    [
        ({}, FOLD_ROWS + 1, 0.1),
        ({"epochs": 3}, 120, 0.1),
        ({"tune": 4}, 120, 0.1),
        ({"weight_decay": 0.7}, 120, 0.7),
        ({"architecture": "a:B"}, 120, 0.0),
    ],
)
def test_one_decay_is_left_where_nothing_is_open(values: dict[str, Any], n_rows: int, decay: float) -> None:
    recipe = make_recipe(make_config({"data": "sklearn:iris", **values}), n_rows)
    assert (recipe.weight_decay, recipe.decays) == (decay, ())
    assert make_recipe(make_config({"data": "sklearn:iris"}), FOLD_ROWS).decays == DECAYS


def test_a_decay_that_diverges_is_not_chosen(tmp_path: Path) -> None:
    """With a step size of 1, a decay of 3 turns the weights' sign and doubles them, step by step."""
    split, config = split_of(tmp_path, learning_rate=1.0)
    with pytest.raises(TrainingError, match="diverged"):
        train(split, config.model_copy(update={"weight_decay": DECAYS[1]}))
    training = train(split, config)
    assert training.recipe is not None
    assert training.recipe.weight_decay == DECAYS[0]


def test_as_good_is_at_most_two_percent_of_the_first_loss_higher() -> None:
    def course(first: float, best: float) -> Course:
        return Course(40, 40, "steps", 1.0, 10, (0, 40), (float("nan"), 0.1), (first, best))

    assert as_good(course(0.5, 0.319), course(1.0, 0.3))
    assert not as_good(course(5.0, 0.321), course(1.0, 0.3))
    assert as_good(course(1.0, 0.2), course(1.0, 0.3))


def test_a_clock_that_ends_the_second_is_said_with_the_command_that_repeats_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    split, config = split_of(tmp_path, max_steps=None, max_seconds=1_000)
    split = noisy(split)
    first = course_of(train(split, config.model_copy(update={"weight_decay": DECAYS[0]})))
    still = repeat(0.0, len(first.at_step) + 3)  # 1 as it begins, 1 a check: two checks of the second go by
    times = chain(still, repeat(2_000.0))
    monkeypatch.setattr(training_module, "train_until_done", partial(train_until_done, clock=lambda: next(times)))
    with pytest.warns(VecmlWarning, match=r"^VML020 training ended after \d+ steps because 1000 s were over") as said:
        ended = train(split, config)
    monkeypatch.undo()
    (line,) = [str(one.message) for one in said if str(one.message).startswith("VML020")]
    assert ended.recipe is not None
    course = course_of(ended)
    assert f"--weight-decay {ended.recipe.weight_decay} --max-steps {course.steps} --max-seconds 100000.0" in line
    again = {"weight_decay": ended.recipe.weight_decay, "max_steps": course.steps, "max_seconds": 100_000.0}
    assert train(split, config.model_copy(update=again)).model.digest == ended.model.digest


def with_codes(split: Split) -> Split:
    """A feature that tells the label, beside one for each of many codes, which are soon learnt by heart."""
    rng = np.random.default_rng(3)
    codes_FN = np.zeros((100, split.train.n_rows), np.float32)
    codes_FN[rng.integers(0, 100, split.train.n_rows), np.arange(split.train.n_rows)] = 1
    signal_N = rng.standard_normal(split.train.n_rows).astype(np.float32)
    label_N = (signal_N + 0.8 * rng.standard_normal(split.train.n_rows) > 0).astype(np.int64)
    x_FN = np.vstack([signal_N, codes_FN])
    return dataclasses.replace(split, train=dataclasses.replace(split.train, x_FN=x_FN, label_N=label_N))


def test_where_nothing_is_better_than_the_majority_smaller_steps_are_tried(tmp_path: Path) -> None:
    split, config = split_of(tmp_path, n_rows=300, learning_rate=None)
    split = with_codes(split)
    usual = train(split, config.model_copy(update={"learning_rate": RATE}))
    assert course_of(usual).best_step == 0
    training = train(split, config)
    assert training.recipe is not None
    assert training.recipe.learning_rate == RATE / 10
    first = course_of(training).held_out_losses[0]
    assert course_of(training).best_loss < (1 - EQUAL_SHARE) * first
    right = training.model.wide_logits(split.train.x_FN).argmax(axis=1) == split.train.label_N
    assert right.mean() > 0.7
    given = {"learning_rate": RATE / 10, "weight_decay": training.recipe.weight_decay}
    assert train(split, config.model_copy(update=given)).model.digest == training.model.digest

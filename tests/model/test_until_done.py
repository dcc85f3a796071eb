"""Training that held-out rows end: the same by seed, the best weights kept, and class weights as they are defined."""

import dataclasses
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, recall_score
from sklearn.utils.class_weight import compute_class_weight

from tests.model.made_split import made_split
from vecml.config import PipelineConfig, make_config
from vecml.data.split import Split
from vecml.errors import SettingError
from vecml.model import train as training_module
from vecml.model.adam import Adam
from vecml.model.epochs import mean_loss
from vecml.model.held_out import HeldOut
from vecml.model.initial import seeded_module
from vecml.model.network import Architecture
from vecml.model.prepared import prepare
from vecml.model.recipe import Recipe, class_weights, make_recipe
from vecml.model.stack import Stack
from vecml.model.train import train
from vecml.model.until_done import StackLearner, train_until_done
from vecml.warnings import VecmlWarning

pytestmark = pytest.mark.filterwarnings("ignore:VML021")  # what is noise-free is learnt ever better
NORMALISED = "tests.model.own_modules:Normalised"


def split_of(tmp_path: Path, **values: Any) -> tuple[Split, PipelineConfig]:
    """A table of two classes, and a configuration whose epochs are open."""
    return made_split(tmp_path, **{"epochs": None, "batch_size": None, "max_steps": 300, **values})


def accuracy(split: Split, model: Any) -> float:
    return float(accuracy_score(split.test.label_N, model.wide_logits(split.test.x_FN).argmax(axis=1)))


def test_the_same_seed_gives_the_same_weights_and_another_others(tmp_path: Path) -> None:
    split, config = split_of(tmp_path)
    torch.manual_seed(3)
    before = torch.get_rng_state()
    first, again = train(split, config), train(split, config)
    assert first.model.digest == again.model.digest
    assert (first.losses, first.course is not None) == (again.losses, True)
    assert torch.equal(before, torch.get_rng_state())
    assert train(split, config.model_copy(update={"seed": 1})).model.digest != first.model.digest


def test_it_is_as_good_as_logistic_regression_on_what_is_linear(tmp_path: Path) -> None:
    split, config = split_of(tmp_path)
    training = train(split, config)
    scale_F1 = split.train.x_FN.std(axis=1, keepdims=True)
    logistic = LogisticRegression().fit((split.train.x_FN / scale_F1).T, split.train.label_N)
    reference = logistic.score((split.test.x_FN / scale_F1).T, split.test.label_N)
    assert accuracy(split, training.model) >= reference - 0.03
    assert training.course is not None
    assert training.course.best_loss < 0.3
    recipe = make_recipe(config, split.train.n_rows)
    assert training.recipe is not None
    assert training.recipe == dataclasses.replace(
        recipe, weight_decay=training.recipe.weight_decay, decays=(), rates=()
    )
    assert training.recipe.weight_decay in recipe.decays


def test_features_that_say_nothing_leave_the_majoritys_answer(tmp_path: Path) -> None:
    split, config = split_of(tmp_path)
    rng = np.random.default_rng(5)
    noise_FN = rng.standard_normal(split.train.x_FN.shape).astype(np.float32)
    label_N = (rng.random(split.train.n_rows) < 0.3).astype(np.int64)
    split = dataclasses.replace(split, train=dataclasses.replace(split.train, x_FN=noise_FN, label_N=label_N))
    training = train(split, config)
    share = label_N.mean()
    assert training.course is not None
    assert training.course.held_out_losses[0] == pytest.approx(-share * np.log(share) - (1 - share) * np.log(1 - share))
    predicted_N = training.model.wide_logits(split.test.x_FN).argmax(axis=1)
    assert predicted_N.mean() < 0.1


def test_replicas_stop_together_and_differ_in_their_weights(tmp_path: Path) -> None:
    split, config = split_of(tmp_path)
    alone, three = train(split, config), train(split, config, replicas=3)
    assert len({model.digest for model in three.replicas}) == 3
    assert alone.course is not None
    assert three.course is not None
    assert three.course.best_step == alone.course.best_step
    for one, two in zip(alone.model.layers, three.model.layers, strict=True):
        np.testing.assert_allclose(one.weight_OI, two.weight_OI, rtol=1e-3, atol=1e-4)


def test_many_rows_hold_a_single_part_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vecml.model.recipe.FOLD_ROWS", 100)
    split, config = split_of(tmp_path)
    course = train(split, config).course
    assert course is not None
    assert course.held_out_rows == 46  # a seventh of 320
    assert course.epochs == pytest.approx(course.best_step * 32 / (320 - 46))


def test_a_class_of_ones_own_is_trained_until_it_is_done(tmp_path: Path) -> None:
    split, config = split_of(tmp_path, architecture=NORMALISED, hidden=None)
    training = train(split, config)
    assert training.course is not None
    assert training.recipe is not None
    assert (training.recipe.learning_rate, training.recipe.weight_decay) == (1e-3, 0.0)
    assert training.course.best_loss == min(training.course.held_out_losses) < 0.5
    assert training.model.digest == train(split, config).model.digest


def test_the_clock_is_said_with_the_command_that_repeats_it(tmp_path: Path) -> None:
    split, config = split_of(tmp_path, max_seconds=1e-9)
    with pytest.warns(VecmlWarning, match=r"^VML020 training ended after 0 steps because 1e-09 s were over"):
        training = train(split, config)
    assert training.course is not None
    assert training.course.reason == "seconds"


def test_the_bound_that_is_named_repeats_what_the_clock_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter(range(10_000))
    monkeypatch.setattr(training_module, "train_until_done", partial(train_until_done, clock=lambda: next(times)))
    split, config = split_of(tmp_path, max_steps=None, max_seconds=4)
    with pytest.warns(
        VecmlWarning, match=r"^VML020 .* after 120 steps .* --weight-decay 0\.1 --max-steps 120 --max-sec"
    ):
        ended = train(split, config)
    monkeypatch.undo()
    again = train(split, config.model_copy(update={"weight_decay": 0.1, "max_steps": 120, "max_seconds": 400}))
    assert again.model.digest == ended.model.digest


def test_a_bound_that_came_too_early_is_said(tmp_path: Path) -> None:
    split, config = split_of(tmp_path, max_steps=20)
    with pytest.warns(VecmlWarning, match=r"^VML021 training ended at its bound of 20 steps .* --max-steps 80"):
        assert train(split, config).course is not None


def test_class_weights_are_scikit_learns(tmp_path: Path) -> None:
    label_N = np.array([0, 0, 0, 0, 0, 2, 2, 1])
    expected_C = compute_class_weight("balanced", classes=np.arange(3), y=label_N)
    np.testing.assert_allclose(class_weights(label_N, 3, "balanced"), expected_C, rtol=1e-6)
    assert class_weights(label_N, 3, "none") is None
    weights_C = class_weights(np.array([0, 0, 2]), 3, "balanced")
    assert weights_C is not None
    np.testing.assert_allclose(weights_C, [0.75, 0, 1.5])


def test_the_weighted_loss_is_what_one_computes_by_hand() -> None:
    logits_BC = torch.tensor([[2.0, 0.0], [0.0, 0.0], [0.0, 3.0]])
    label_B, weight_C = torch.tensor([0, 1, 0]), torch.tensor([0.5, 4.0])
    by_hand = (0.5 * np.log1p(np.exp(-2)) + 4 * np.log(2) + 0.5 * np.log1p(np.exp(3))) / 3
    assert float(mean_loss(logits_BC, label_B, weight_C)) == pytest.approx(by_hand, rel=1e-6)


def test_balanced_classes_find_the_rare_one(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    split, config = split_of(tmp_path, n_rows=900)
    label_N = (split.train.x_FN[0] + 2 * rng.standard_normal(split.train.n_rows) > 9.2).astype(np.int64)
    split = dataclasses.replace(split, train=dataclasses.replace(split.train, label_N=label_N))
    truth_N = (split.test.x_FN[0] > 6).astype(np.int64)
    recalls = []
    for kind in ("none", "balanced"):
        if kind == "none":
            with pytest.warns(VecmlWarning, match=r"^VML023 9\d\.\d % of the training .*--class-weight balanced"):
                model = train(split, config).model
        else:
            model = train(split, config.model_copy(update={"class_weight": kind})).model
        recalls.append(recall_score(truth_N, model.wide_logits(split.test.x_FN).argmax(axis=1)))
    assert recalls[0] < 0.3
    assert recalls[1] > recalls[0] + 0.4


def modules_of(shape: Architecture, count: int) -> list[torch.nn.Sequential]:
    return [seeded_module(shape, seed) for seed in range(count)]


@pytest.mark.parametrize("weighted", [False, True])
def test_networks_of_other_rates_are_each_as_alone(tmp_path: Path, weighted: bool) -> None:
    """A stack with a rate and a decay for each network, against one network at a time by torch's own gradients."""
    split, config = split_of(tmp_path, class_weight="balanced" if weighted else "none")
    recipe = make_recipe(config, split.train.n_rows)
    data = prepare(split, recipe, "cpu")
    shape = Architecture(3, (6,), 2, "relu")
    rates, decays = (1e-3, 5e-3, 2e-2), (0.0, 0.3, 5.0)
    rows = HeldOut(np.arange(split.train.n_rows), np.arange(0, split.train.n_rows, 7))
    together = modules_of(shape, 3)
    stack = Stack(together, "relu", torch.tensor(rates), torch.tensor(decays), data.weight_C, torch.device("cpu"))
    learner = StackLearner(stack, data, [rows] * 3, [11, 12, 13], 32, 3)
    learner.learn(25, lambda _: None)
    losses = learner.losses()
    stack.write_back(together)
    for number, module in enumerate(modules_of(shape, 3)):
        recipe_alone = Recipe((6,), None, 32, rates[number], decays[number])
        optimizer: Adam = training_module._adam(module, recipe_alone)
        alone = training_module.ModuleLearner(module, optimizer, data, rows, 11 + number, 32)
        alone.learn(25, lambda _: None)
        assert losses[number] == pytest.approx(alone.judge(), rel=1e-4)
        for one, two in zip(together[number].parameters(), module.parameters(), strict=True):
            torch.testing.assert_close(one, two, rtol=1e-3, atol=1e-5)


def test_weight_decay_is_decoupled_and_spares_biases() -> None:
    """torch's AdamW is the oracle, and the biases are a group of their own without decay."""
    torch.manual_seed(0)
    ours, theirs = torch.nn.Linear(4, 3), torch.nn.Linear(4, 3)
    theirs.load_state_dict(ours.state_dict())
    optimizer = Adam(list(ours.parameters()), 0.02, weight_decay=0.7, decayed=[True, False])
    reference = torch.optim.AdamW(
        [{"params": [theirs.weight], "weight_decay": 0.7}, {"params": [theirs.bias], "weight_decay": 0.0}], lr=0.02
    )
    for _ in range(20):
        x_BF = torch.randn(8, 4)
        optimizer.gradient_P.zero_()
        ours(x_BF).square().mean().backward()
        optimizer.step()
        reference.zero_grad()
        theirs(x_BF).square().mean().backward()
        reference.step()
    torch.testing.assert_close(ours.weight, theirs.weight, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(ours.bias, theirs.bias, rtol=1e-4, atol=1e-6)


def test_everything_that_the_rule_chooses_can_be_set() -> None:
    chosen = make_recipe(make_config({"data": "sklearn:iris"}), 120)
    values = {"hidden": (7,), "batch_size": 9, "learning_rate": 0.5, "weight_decay": 0.0, "max_steps": 11}
    given = make_recipe(make_config({"data": "sklearn:iris", "class_weight": "balanced", **values}), 120)
    for name, value in values.items():
        assert getattr(given, name) == value != getattr(chosen, name)
    assert (chosen.epochs, given.epochs, given.class_weight) == (None, None, "balanced")
    fixed = make_recipe(make_config({"data": "sklearn:iris", "epochs": 3}), 120)
    assert (fixed.epochs, fixed.folds, fixed.hidden) == (3, 0, chosen.hidden)


@pytest.mark.parametrize("name", ["hidden", "epochs", "batch_size", "learning_rate", "weight_decay", "max_steps"])
def test_auto_is_what_is_not_given(name: str) -> None:
    assert make_config({"data": "sklearn:iris", name: "auto"}) == make_config({"data": "sklearn:iris"})
    with pytest.raises(SettingError):
        make_config({"data": "sklearn:iris", name: "automatic"})

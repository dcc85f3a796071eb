"""Networks trained at once: each as it would be alone, and what their accuracies say."""

import dataclasses
from typing import Any

import numpy as np
import pytest
import scipy.stats
import torch

from vecml import progress
from vecml.config import ACTIVATIONS, PipelineConfig, make_config
from vecml.data.sources import load_table
from vecml.data.split import Split, split_table
from vecml.errors import DataError, SettingError, TrainingError
from vecml.model import replicas, stack, train
from vecml.model.evaluate import over_replicas
from vecml.model.module import module_of
from vecml.model.replicas import accuracies, stack_size


def notebook_split(**settings: Any) -> Split:
    """The notebook's data at a smaller size."""
    config = make_config({"rows": 600, **settings})
    return split_table(load_table(config), config.test_fraction, config.seed)


def alone(split: Split, config: PipelineConfig, number: int) -> train.Training:
    """What training gives for the seed of a replica, one network at a time."""
    return train.train(split, config.model_copy(update={"seed": config.seed + number}))


def assert_each_as_alone(split: Split, config: PipelineConfig) -> None:
    together = train.train(split, config, replicas=config.replicas)
    assert len(together.replicas) == config.replicas
    assert together.model is together.replicas[0]
    np.testing.assert_allclose(together.losses, alone(split, config, 0).losses, rtol=1e-4)
    for number, model in enumerate(together.replicas):
        expected = alone(split, config, number).model
        assert (model.architecture, model.classes) == (expected.architecture, expected.classes)
        for one, two in zip(model.layers, expected.layers, strict=True):
            np.testing.assert_allclose(one.weight_OI, two.weight_OI, rtol=1e-3, atol=2e-5)
            np.testing.assert_allclose(one.bias_O, two.bias_O, rtol=1e-3, atol=2e-5)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("hidden", [(9,), (8, 5, 7)])
def test_each_is_what_its_seed_gives_alone(activation: str, hidden: tuple[int, ...]) -> None:
    config = make_config({"activation": activation, "hidden": hidden, "replicas": 3, "seed": 5, "batch_size": 32})
    assert_each_as_alone(notebook_split(), config)


@pytest.mark.parametrize(("rows", "batch_size"), [(640, 128), (641, 128), (201, 32), (200, 1), (300, 5_000)])
def test_the_last_batch_may_be_smaller_and_the_only_one(rows: int, batch_size: int) -> None:
    assert_each_as_alone(notebook_split(rows=rows), make_config({"replicas": 2, "batch_size": batch_size, "epochs": 2}))


def test_more_classes_one_of_which_training_does_not_have() -> None:
    split = notebook_split()
    label_N = np.where(split.train.label_N == 0, 0, 2)
    split = dataclasses.replace(split, train=dataclasses.replace(split.train, label_N=label_N), classes=("a", "b", "c"))
    assert_each_as_alone(split, make_config({"replicas": 2}))


def test_groups_of_batches_and_stacks_of_networks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    split, config = notebook_split(), make_config({"replicas": 5, "batch_size": 32})
    whole = train.train(split, config, replicas=config.replicas)
    monkeypatch.setattr(stack, "GATHER_VALUES", 3 * 2 * 32 * 10)
    monkeypatch.setattr(train, "stack_size", lambda *arguments: 2)
    parts = train.train(split, config, replicas=config.replicas)
    assert len(whole.replicas) == 5
    for one, two in zip(whole.replicas, parts.replicas, strict=True):
        np.testing.assert_allclose(one.layers[0].weight_OI, two.layers[0].weight_OI, rtol=1e-4, atol=1e-6)


def test_a_stack_is_bounded_by_its_memory() -> None:
    shape = train.Architecture(10, (32,), 2, "relu")
    assert stack_size(shape, 4_000, 128) > 1_024
    assert 1 < stack_size(shape, 1_000_000, 128) < 200
    assert stack_size(shape, 10**12, 128) == 1


def test_the_same_seeds_the_same_weights_and_torchs_generator_is_left_alone() -> None:
    split, config = notebook_split(), make_config({"replicas": 3, "epochs": 2})
    torch.manual_seed(7)
    before = torch.get_rng_state()
    first, second = (train.train(split, config, replicas=config.replicas) for _ in range(2))
    assert torch.equal(torch.get_rng_state(), before)
    digests = [model.digest for model in first.replicas]
    assert digests == [model.digest for model in second.replicas]
    assert len(set(digests)) == 3


def test_one_network_has_no_replicas() -> None:
    assert train.train(notebook_split(), make_config({"epochs": 1})).replicas == ()


def test_progress_counts_the_rows_of_every_network() -> None:
    class Listener:
        def __init__(self) -> None:
            self.total: float | None = None
            self.done = 0.0

        def begin(self, name: str, total: float | None) -> str:
            self.total = total
            return name

        def advance(self, stage: object, amount: float) -> None:
            self.done += amount

        def end(self, stage: object) -> None:
            pass

    listener, split = Listener(), notebook_split(rows=201)
    with progress.listening(listener):
        train.train(split, make_config({"epochs": 2, "batch_size": 32}), replicas=3)
    assert listener.total == listener.done == 3 * 2 * split.train.n_rows


def test_the_seed_that_diverged_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    made = train.seeded_module

    def broken(architecture: Any, seed: int) -> torch.nn.Sequential:
        module = made(architecture, seed)
        if seed == 9:
            with torch.no_grad():
                module[0].weight[3, 4] = torch.nan
        return module

    monkeypatch.setattr(train, "seeded_module", broken)
    config = make_config({"replicas": 4, "seed": 7})
    with pytest.raises(TrainingError, match=r"^training with seed 9 diverged: the loss of epoch 1 is nan$") as caught:
        train.train(notebook_split(), config, replicas=config.replicas)
    assert caught.value.hint == "a smaller step size may help: --learning-rate 0.0001"


def test_a_last_step_that_diverges_names_its_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The only loss is taken before the only step; the last of all weights belongs to the last network."""
    monkeypatch.setattr("vecml.model.adam.Adam.step", lambda adam: adam.value_P[-1:].fill_(torch.inf))
    config = make_config({"replicas": 2, "epochs": 1, "batch_size": 1_000, "seed": 3})
    with pytest.raises(TrainingError) as caught:
        train.train(notebook_split(), config, replicas=config.replicas)
    assert caught.value.message == "training with seed 4 diverged: its last step left weights that are not finite"


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("block_values", [1, 9 * 2 * 7, 1 << 20])
def test_accuracies_are_those_of_each_model(
    activation: str, block_values: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replicas, "SCORE_VALUES", block_values)
    split = notebook_split()
    models = train.train(split, make_config({"activation": activation, "hidden": (9, 4)}), replicas=3).replicas
    test = dataclasses.replace(
        split.test, x_FN=split.test.x_FN[:, :101], label_N=split.test.label_N[:101], row_N=split.test.row_N[:101]
    )
    x_NF = torch.from_numpy(np.ascontiguousarray(test.x_FN.T))
    with torch.no_grad():
        expected = [(module_of(model)(x_NF).argmax(1).numpy() == test.label_N).mean() for model in models]
    assert len(set(expected)) > 1
    np.testing.assert_allclose(accuracies(models, test), expected, rtol=1e-12)
    monkeypatch.setattr(replicas, "stack_size", lambda *arguments: 2)
    np.testing.assert_allclose(accuracies(models, test), expected, rtol=1e-12)


def test_mean_and_interval_are_students() -> None:
    accuracy_R = np.array([0.91, 0.93, 0.9, 0.97, 0.92])
    found = over_replicas(accuracy_R)
    interval = scipy.stats.ttest_1samp(accuracy_R, 0).confidence_interval(0.95)
    assert (found.mean, found.low, found.high) == pytest.approx((0.926, interval.low, interval.high), rel=1e-12)


@pytest.mark.parametrize(("values", "end"), [([0.99, 1.0], "high"), ([0.0, 0.01], "low")])
def test_the_interval_of_a_share_stays_within_0_and_1(values: list[float], end: str) -> None:
    assert getattr(over_replicas(np.array(values)), end) == (1 if end == "high" else 0)


def test_the_interval_of_equal_shares_and_of_one() -> None:
    same = over_replicas(np.array([0.5, 0.5]))
    assert (same.mean, same.low, same.high) == (0.5, 0.5, 0.5)
    with pytest.raises(DataError):
        over_replicas(np.array([0.5]))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"replicas": 0}, "--replicas 0: must be at least 1"),
        ({"replicas": 1_025}, "--replicas 1025: must be at most 1,024"),
        ({"replicas": True}, "--replicas true: not a number"),
        ({"replicas": "x"}, "--replicas x: not a whole number"),
        (
            {"replicas": 2, "weights": "w.safetensors"},
            "--replicas 2: only vecml's own network is trained so, no --weights",
        ),
        (
            {"replicas": 2, "architecture": "a:B"},
            "--replicas 2: only vecml's own network is trained so, no --architecture",
        ),
    ],
)
def test_what_cannot_be_is_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingError) as caught:
        make_config(settings)
    assert caught.value.message == message

"""Training: seeded, standardised, folded, and it leaves torch as it found it."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from vecml.config import make_config
from vecml.data.sources import load_table
from vecml.data.split import split_table
from vecml.data.table import Split
from vecml.errors import TrainingError
from vecml.model.module import module_of
from vecml.model.train import standardisation, train


def notebook_split(**settings: Any) -> Split:
    """The notebook's data at a smaller size."""
    config = make_config({"rows": 600, **settings})
    return split_table(load_table(config), config.test_fraction, config.seed)


def test_same_seed_same_weights() -> None:
    split = notebook_split()
    config = make_config({"epochs": 2})
    assert train(split, config).model.digest == train(split, config).model.digest


def test_another_seed_other_weights() -> None:
    split = notebook_split()
    first, second = (train(split, make_config({"epochs": 1, "seed": seed})).model.digest for seed in (0, 1))
    assert first != second


def test_torchs_own_generator_is_left_alone() -> None:
    torch.manual_seed(7)
    before = torch.get_rng_state()
    train(notebook_split(), make_config({"epochs": 1}))
    assert torch.equal(torch.get_rng_state(), before)


def test_it_learns() -> None:
    split = notebook_split(rows=3_000)
    training = train(split, make_config({"epochs": 20}))
    assert training.losses[-1] < training.losses[0] / 2
    with torch.no_grad():
        logits = module_of(training.model)(torch.from_numpy(np.ascontiguousarray(split.test.x_FN.T)))
    assert (logits.argmax(1).numpy() == split.test.label_N).mean() > 0.95


def test_one_loss_an_epoch_and_a_last_batch_that_is_smaller() -> None:
    training = train(notebook_split(rows=201), make_config({"epochs": 3, "batch_size": 32}))
    assert len(training.losses) == 3


def test_standardisation_is_folded_into_the_first_layer() -> None:
    """Scaling and shifting a feature changes nothing that the model says: the fold undoes it."""
    split = notebook_split()
    scale_F1 = np.geomspace(1e-3, 1e3, 10)[:, None].astype(np.float32)

    def moved(part: Any) -> Any:
        return type(part)(np.ascontiguousarray(part.x_FN * scale_F1 + 3 * scale_F1), part.label_N, part.row_N)

    other = Split(moved(split.train), moved(split.test), split.encoding, split.classes)
    config = make_config({"epochs": 2})
    plain, scaled = train(split, config).model, train(other, config).model
    with torch.no_grad():
        one = module_of(plain)(torch.from_numpy(np.ascontiguousarray(split.test.x_FN.T)))
        two = module_of(scaled)(torch.from_numpy(np.ascontiguousarray(other.test.x_FN.T)))
    torch.testing.assert_close(one, two, rtol=1e-3, atol=1e-3)


def test_standardisation_agrees_with_float64_and_spares_constants() -> None:
    x_FN = np.array([[1, 2, 3, 4], [5, 5, 5, 5]], dtype=np.float32)
    mean_F, scale_F = standardisation(x_FN)
    np.testing.assert_allclose(mean_F, [2.5, 5])
    np.testing.assert_allclose(scale_F, [np.std([1, 2, 3, 4]), 1])


def test_a_loss_that_is_no_number_is_said() -> None:
    split = notebook_split()
    x_FN = split.train.x_FN.copy()
    x_FN[3, 5] = np.nan
    broken = replace(split, train=replace(split.train, x_FN=x_FN))
    with pytest.raises(TrainingError, match=r"^training diverged: the loss of epoch 1 is nan$") as caught:
        train(broken, make_config({}))
    assert caught.value.hint == "a smaller step size may help: --learning-rate 0.0001"

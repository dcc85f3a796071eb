"""Training: seeded, standardised, folded, and it leaves torch as it found it."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from vecml.config import make_config
from vecml.data.sources import load_table
from vecml.data.split import Split, split_table
from vecml.errors import TrainingError
from vecml.model.module import module_of
from vecml.model.standard import standardisation
from vecml.model.train import train


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


@pytest.mark.parametrize(
    ("size", "dtype"),
    [(1e-50, np.float64), (1e-39, np.float64), (1e-39, np.float32), (1e33, np.float64), (1e33, np.float32)],
)
def test_columns_at_the_ends_of_float32_are_learnt_from(size: float, dtype: type) -> None:
    config = make_config({"rows": 2_000, "features": 2, "epochs": 10})
    table = load_table(config)
    columns = tuple(
        replace(column, values_N=(column.values_N * np.float64(size)).astype(dtype)) for column in table.columns[:1]
    )
    split = split_table(replace(table, columns=(*columns, table.columns[1])), config.test_fraction, config.seed)
    training = train(split, config)
    assert all(np.isfinite(layer.weight_OI).all() for layer in training.model.layers)
    with torch.no_grad():
        logits = module_of(training.model)(torch.from_numpy(np.ascontiguousarray(split.test.x_FN.T)))
    assert (logits.argmax(1).numpy() == split.test.label_N).mean() > 0.95


def test_weights_that_folding_makes_too_large_name_their_feature() -> None:
    """No encoding gives such a feature; a split that was made by hand may."""
    split = notebook_split()
    x_FN = split.train.x_FN.copy()
    x_FN[3] *= np.float32(1e-43)
    with pytest.raises(TrainingError) as caught:
        train(replace(split, train=replace(split.train, x_FN=x_FN)), make_config({"epochs": 1}))
    assert caught.value.message.startswith(
        "feature 'feature_3' varies too little for float32: its standard deviation is "
    )
    assert caught.value.hint == "multiply the column by a large number, or leave it out with --drop feature_3"


def test_a_last_step_that_diverges_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """The only loss is taken before the only step."""
    monkeypatch.setattr("vecml.model.adam.Adam.step", lambda adam: adam.value_P.fill_(torch.inf))
    split, config = notebook_split(), make_config({"epochs": 1, "batch_size": 1000})
    with pytest.raises(TrainingError, match=r"^training diverged: its last step left weights that are not finite$"):
        train(split, config)

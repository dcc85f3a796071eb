"""`vecml.compare` from Python: a saved classifier over a raw table, a bare model over an array, and what is refused."""

from pathlib import Path

import numpy as np
import pytest

import vecml
from tests.comparison.test_bad_engines import small_model
from tests.comparison.undisturbed import undisturbed
from vecml.comparison.comparison import families, figures
from vecml.errors import DataError, SettingError

# A machine that is busy is said, and does not matter here: one CPU is enough.
pytestmark = pytest.mark.filterwarnings("ignore:VML011", "ignore:VML012")


def test_a_bare_model_over_an_array(short_looks: None) -> None:
    x_NF = np.random.default_rng(0).standard_normal((20_000, 10))
    found = vecml.compare(small_model(), x_NF, engines=("numpy", "row_loop"), threads=1, budget="quick")
    assert [arm.name for arm in figures(found)] == ["numpy", "row_loop"]
    numpy, loop = figures(found)
    assert (numpy.flips <= 1, numpy.rows_scored, loop.flips) == (True, 20_000, 0)
    assert 0 < loop.rows_scored < 20_000  # of a part
    (family,) = families(undisturbed(found))
    assert family.verdicts[0].ratio is not None
    assert family.verdicts[0].ratio < 0.1  # plain Python against NumPy
    assert "row_loop" in repr(found)


def test_a_saved_classifier_over_a_file(short_looks: None, tmp_path: Path) -> None:
    from vecml.config import make_config
    from vecml.data.sources import load_table
    from vecml.data.split import split_table
    from vecml.model.store import Classifier, save
    from vecml.model.train import train

    rng = np.random.default_rng(0)
    np.savez(tmp_path / "table.npz", X=rng.normal(size=(400, 3)), y=rng.integers(0, 2, 400))
    config = make_config({"data": str(tmp_path / "table.npz"), "target": "y", "epochs": 1})
    split = split_table(load_table(config), config.test_fraction, config.seed)
    save(Classifier(train(split, config).model, split.encoding), tmp_path / "model")
    classifier, layouts = vecml.load(tmp_path / "model"), ["columns", "rows"]
    found = vecml.compare(
        classifier, tmp_path / "table.npz", engines="numpy", layout=layouts, threads=1, budget="quick"
    )
    assert found.subject.n_rows == 400
    assert [arm.name for arm in figures(found)] == ["numpy layout=columns", "numpy layout=rows"]


@pytest.mark.parametrize(
    ("x", "said"),
    [
        (np.zeros((3, 10), np.int64), r"x is int64 of shape \(3, 10\): a bare model takes float32 or float64"),
        (np.zeros(10), r"x is float64 of shape \(10,\)"),
        (np.zeros((3, 7)), r"features of shape \(7, 3\): the model takes 10 features, by column"),
        (np.zeros((0, 10)), "there is no row to infer"),
    ],
)
def test_an_input_that_does_not_fit(x: np.ndarray, said: str) -> None:
    with pytest.raises(DataError, match=said):
        vecml.compare(small_model(), x, budget="quick")


def test_settings_that_cannot_be() -> None:
    x_NF = np.zeros((5, 10))
    with pytest.raises(SettingError, match=r"^--engines jax: there is no such engine$"):
        vecml.compare(small_model(), x_NF, engines=("numpy", "jax"))
    with pytest.raises(SettingError, match=r"^--threads 9999: this machine offers "):
        vecml.compare(small_model(), x_NF, threads=9999)
    with pytest.raises(SettingError, match=r"^--threads None: not a whole number$"):
        vecml.compare(small_model(), x_NF, threads=[None])  # type: ignore[list-item]
    with pytest.raises(SettingError, match=r"^--threads true: not a number$"):
        vecml.compare(small_model(), x_NF, threads=[True])
    with pytest.raises(SettingError, match=r"^--budget 3s: too short for a verdict on 2 settings$"):
        vecml.compare(small_model(), x_NF, budget="3s", threads=1)

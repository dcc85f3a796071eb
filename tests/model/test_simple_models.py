"""What simple models give beside the network: scikit-learn's own accuracies, and the paired test."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tests.model.made_split import made_split
from vecml.data.split import Split
from vecml.model import simple_models as module
from vecml.model.simple_models import best_of, simple_models
from vecml.warnings import VecmlWarning


@pytest.fixture
def split(tmp_path: Path) -> Split:
    made, _ = made_split(tmp_path, n_rows=300)
    rng = np.random.default_rng(1)
    noise = rng.random(made.train.n_rows) < 0.2  # so that no model is perfect
    label_N = np.where(noise, 1 - made.train.label_N, made.train.label_N)
    return dataclasses.replace(made, train=dataclasses.replace(made.train, label_N=label_N))


def test_they_are_scikit_learns_own(split: Split) -> None:
    x_NF, y_N = split.train.x_FN.T, split.train.label_N
    logistic = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1_000)).fit(x_NF, y_N)
    boosting = HistGradientBoostingClassifier(random_state=0).fit(x_NF, y_N)
    predicted_N = split.test.label_N.copy()
    predicted_N[:7] = 1 - predicted_N[:7]
    made = simple_models(split, predicted_N)
    assert [one.name for one in made] == ["logistic regression", "gradient boosting"]
    for one, reference in zip(made, (logistic, boosting), strict=True):
        right_N = reference.predict(split.test.x_FN.T) == split.test.label_N
        assert one.accuracy == right_N.mean()
        only_network, only_simple = int((~right_N[7:]).sum()), int(right_N[:7].sum())
        assert (one.only_network, one.only_simple) == (only_network, only_simple)
        assert one.p_value == pytest.approx(binomtest(only_simple, only_network + only_simple).pvalue)
        assert one.cut == ""
        assert not one.better
    assert best_of(made) is None


def test_one_that_is_better_is_said(split: Split) -> None:
    with pytest.warns(VecmlWarning, match=r"^VML022 logistic regression labels \d+.* and the network"):
        made = simple_models(split, 1 - split.test.label_N)
    best = best_of(made)
    assert best is not None
    assert best.name == "logistic regression"
    assert best.better
    assert best.p_value < 1e-6


def test_a_bound_that_cut_boosting_is_said(split: Split) -> None:
    times = iter(np.arange(0.0, 1_000, 4.0))
    with pytest.warns(VecmlWarning, match=r"^VML024 gradient boosting was fitted with 2 of 100 rounds, in 8 s"):
        made = simple_models(split, split.test.label_N, clock=lambda: float(next(times)))
    assert made[1].cut == "2 of 100 rounds, in 8 s"
    assert made[0].cut == ""


def test_many_rows_are_drawn_from(split: Split, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_ROWS", 80)
    with pytest.warns(VecmlWarning, match="VML024 .* was fitted with 80 rows of 240;"):
        made = simple_models(split, split.test.label_N)
    assert [one.cut for one in made] == ["80 rows of 240"] * 2
    assert made[0].accuracy > 0.8


def test_a_class_of_one_row_is_drawn(split: Split, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a single class scikit-learn's models cannot be fitted, whatever the network did."""
    monkeypatch.setattr(module, "MOST_ROWS", 80)
    label_N = np.zeros_like(split.train.label_N)
    label_N[17] = 1
    rare = dataclasses.replace(split, train=dataclasses.replace(split.train, label_N=label_N))
    with pytest.warns(VecmlWarning, match="was fitted with 81 rows of 240;"):
        assert len(simple_models(rare, rare.test.label_N)) == 2


def test_one_that_cannot_be_fitted_is_said_and_the_other_stays(split: Split, monkeypatch: pytest.MonkeyPatch) -> None:
    def unfit(*_: object) -> None:
        raise ValueError("this solver cannot")

    monkeypatch.setattr(module, "_logistic", unfit)
    with pytest.warns(VecmlWarning, match="^VML024 logistic regression could not be fitted: ValueError: this solver"):
        (only,) = simple_models(split, split.test.label_N)
    assert only.name == "gradient boosting"


def test_few_iterations_are_said(split: Split, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOGISTIC_WORK", 1.0)
    monkeypatch.setattr(module, "FEWEST_ITERATIONS", 2)
    with pytest.warns(VecmlWarning, match="^VML024 logistic regression was fitted with 2 iterations;"):
        made = simple_models(split, split.test.label_N)
    assert made[0].cut == "2 iterations"


def test_classes_that_weigh_alike_are_fitted_so(split: Split) -> None:
    rare_N = np.where(np.arange(split.train.n_rows) % 10 == 0, split.train.label_N, 0)
    unlike = dataclasses.replace(split, train=dataclasses.replace(split.train, label_N=rare_N))
    x_NF = split.train.x_FN.T
    reference = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1_000, class_weight="balanced"))
    expected = reference.fit(x_NF, rare_N).score(split.test.x_FN.T, split.test.label_N)
    assert simple_models(unlike, split.test.label_N, "balanced")[0].accuracy == expected

"""Scores of unbalanced classes against scikit-learn, and classes that are never named."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import softmax
from sklearn import metrics

from vecml.model.evaluate import Evaluation, Flips, evaluate

NO_FLIPS = Flips(0, *(np.empty(0, np.int64),) * 3, np.empty(0))


def scored(label_N: np.ndarray, logits_NC: np.ndarray, majority: int = 0) -> Evaluation:
    classes = tuple(f"class {c}" for c in range(logits_NC.shape[1]))
    return evaluate(label_N, logits_NC.argmax(axis=1), logits_NC, classes, majority, NO_FLIPS)


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 4), st.integers(0, 10**6), st.integers(0, 3))
def test_they_are_scikit_learns(n_classes: int, seed: int, majority: int) -> None:
    majority %= n_classes
    rng = np.random.default_rng(seed)
    label_N = np.where(rng.random(400) < 0.94, majority, rng.integers(0, n_classes, 400))
    logits_NC = rng.normal(size=(400, n_classes)) + 1.2 * np.eye(n_classes)[label_N]
    result = scored(label_N, logits_NC, majority)
    if result.majority_accuracy < 0.9:
        assert (result.balanced_accuracy, result.average_precision) == (None, None)
        return
    share_NC = softmax(logits_NC, axis=1)
    rare = [c for c in range(n_classes) if c != majority and (label_N == c).any()]
    balanced = metrics.recall_score(label_N, logits_NC.argmax(1), labels=np.unique(label_N), average="macro")
    assert result.balanced_accuracy == pytest.approx(balanced, rel=1e-12)
    precisions = [metrics.average_precision_score(label_N == c, share_NC[:, c]) for c in rare]
    assert result.average_precision == pytest.approx(np.mean(precisions), rel=1e-9)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6))
def test_equal_scores_are_one_threshold(seed: int) -> None:
    rng = np.random.default_rng(seed)
    label_N = np.repeat([0, 1], [370, 30])
    logits_NC = np.zeros((400, 2))
    logits_NC[:, 1] = rng.integers(-3, 2, 400) + label_N
    expected = metrics.average_precision_score(label_N, logits_NC[:, 1])
    assert scored(label_N, logits_NC).average_precision == pytest.approx(expected, rel=1e-12)


def test_scores_that_say_nothing_have_the_precision_of_the_share() -> None:
    label_N = np.repeat([0, 1], [95, 5])
    result = scored(label_N, np.zeros((100, 2)))
    assert result.average_precision == pytest.approx(0.05)
    assert result.balanced_accuracy == 0.5
    assert result.never_predicted == ("class 1",)


def test_a_class_without_a_test_row_is_not_missed() -> None:
    logits_NC = np.array([[3.0, 0, 0, 0], [0, 3, 0, 0], [3, 0, 0, 0]])
    result = scored(np.array([0, 1, 2]), logits_NC)
    assert result.never_predicted == ("class 2",)
    assert (result.balanced_accuracy, result.average_precision) == (None, None)


def test_a_softmax_that_is_not_defined_has_no_precision() -> None:
    logits_NC = np.zeros((20, 2))
    logits_NC[3, 1] = np.nan
    result = scored(np.repeat([0, 1], [19, 1]), logits_NC)
    assert result.average_precision is not None
    assert np.isnan(result.average_precision)

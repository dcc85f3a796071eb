"""Scores against scikit-learn and scipy, in float64; their edges; flips and the rows that they are looked for in."""

import math
import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from vecml.engines.registry import load_engine
from vecml.errors import DataError
from vecml.inference.infer import REFERENCE
from vecml.model.evaluate import Evaluation, Flips, evaluate, find_flips, reference_rows
from vecml.model.network import Architecture, Layer, Model
from vecml.proportions import wilson_interval

NO_FLIPS = Flips(0, *(np.empty(0, np.int64),) * 3, np.empty(0))


def score(label_N, logits_NC, predicted_N=None, majority_index=0) -> Evaluation:
    logits_NC = np.asarray(logits_NC)
    predicted_N = logits_NC.argmax(axis=1) if predicted_N is None else np.asarray(predicted_N)
    classes = tuple(f"class {c}" for c in range(logits_NC.shape[1]))
    return evaluate(np.asarray(label_N), predicted_N, logits_NC, classes, majority_index, NO_FLIPS)


def sample(n_rows: int, n_classes: int, seed: int, levels: int | None = None) -> tuple[NDArray[np.int64], NDArray]:
    """Labels, every class among them, and float32 logits that know something of them; `levels` makes ties."""
    random = np.random.default_rng(seed)
    label_N = random.permutation(np.arange(n_rows) % n_classes)
    logits_NC = random.normal(size=(n_rows, n_classes)) * 2 + 1.5 * np.eye(n_classes)[label_N]
    if levels is not None:
        logits_NC = np.round(logits_NC * levels) / levels
    return label_N, logits_NC.astype(np.float32)


@pytest.mark.parametrize("levels", [None, 1])
@pytest.mark.parametrize(("n_rows", "n_classes"), [(2, 2), (500, 2), (7, 3), (1000, 3), (2000, 10), (300, 40)])
def test_agrees_with_scikit_learn(n_rows: int, n_classes: int, levels: int | None) -> None:
    from scipy.special import log_softmax, softmax
    from sklearn import metrics

    label_N, logits_NC = sample(n_rows, n_classes, seed=n_rows, levels=levels)
    predicted_N = logits_NC.argmax(axis=1)
    result = score(label_N, logits_NC)
    log_NC = log_softmax(logits_NC.astype(np.float64), axis=1)
    every = np.arange(n_classes)
    assert result.n_rows == n_rows
    assert result.accuracy == pytest.approx(metrics.accuracy_score(label_N, predicted_N), rel=1e-15)
    f1 = metrics.f1_score(label_N, predicted_N, labels=every, average="macro", zero_division=0)
    assert result.macro_f1 == pytest.approx(f1, rel=1e-13)
    assert result.log_loss == pytest.approx(-log_NC[np.arange(n_rows), label_N].mean(), rel=1e-13)
    assert result.log_loss == pytest.approx(metrics.log_loss(label_N, np.exp(log_NC), labels=every), rel=1e-9)
    np.testing.assert_array_equal(result.confusion_CC, metrics.confusion_matrix(label_N, predicted_N, labels=every))
    assert result.confusion_CC.dtype == np.int64
    if n_classes == 2:
        auc = metrics.roc_auc_score(label_N, logits_NC[:, 1].astype(np.float64) - logits_NC[:, 0])
    else:
        share_NC = softmax(logits_NC.astype(np.float64), axis=1)
        auc = metrics.roc_auc_score(label_N, share_NC, multi_class="ovr", average="macro")
    # Coarse logits make equal probabilities of different rows, which rounding splits in one softmax and not in another.
    assert result.roc_auc == pytest.approx(auc, abs=2e-4 if levels and n_classes > 2 else 1e-12)


def test_accuracy_has_its_wilson_interval_and_the_majority_beside_it() -> None:
    label_N = np.array([0, 1, 1, 2, 2, 2])
    result = score(label_N, np.eye(3)[[0, 1, 0, 2, 2, 0]], majority_index=1)
    assert (result.accuracy_low, result.accuracy_high) == wilson_interval(4, 6)
    assert result.majority_class == "class 1"
    assert result.majority_accuracy == 2 / 6


def test_the_labels_that_were_timed_are_scored_not_the_logits() -> None:
    result = score([0, 1], [[5.0, 0.0], [0.0, 5.0]], predicted_N=[1, 0])
    assert result.accuracy == 0
    assert result.roc_auc == 1


def test_classes_without_a_row_count_in_f1_as_scikit_learn_has_it_and_not_in_auc() -> None:
    label_N = np.array([0, 0, 1, 1])
    logits_NC = np.array([[3.0, 1.0, 0.0, -9.0], [1.0, 2.0, 0.0, -9.0], [0.0, 4.0, 0.0, -9.0], [0.0, 5.0, 1.0, -9.0]])
    result = score(label_N, logits_NC)
    assert result.macro_f1 == pytest.approx((2 / 3 + 4 / 5 + 0 + 0) / 4)
    assert result.roc_auc == 1.0


@pytest.mark.parametrize("n_classes", [2, 3])
def test_one_class_only_has_no_auc(n_classes: int) -> None:
    result = score([1, 1, 1], np.zeros((3, n_classes)))
    assert math.isnan(result.roc_auc)
    assert result.log_loss == pytest.approx(math.log(n_classes))


def test_constant_scores_are_a_coin() -> None:
    assert score([0, 1, 0, 1, 1], np.ones((5, 2))).roc_auc == 0.5


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("order", ["C", "F"])
def test_any_floating_dtype_and_memory_order(dtype: type, order: str) -> None:
    label_N, logits_NC = sample(200, 4, seed=1, levels=8)
    expected, found = score(label_N, logits_NC), score(label_N, np.asarray(logits_NC, dtype, order=order))
    assert (found.log_loss, found.roc_auc) == (expected.log_loss, expected.roc_auc)


def test_log_loss_is_stable_where_softmax_is_not() -> None:
    assert score([0, 1], [[1e4, -1e4], [1e4, -1e4]]).log_loss == pytest.approx(1e4)
    assert score([0], [[1e300, 1e300]]).log_loss == pytest.approx(math.log(2), abs=1e285)
    assert score([0, 1], [[1.7e308, -1.7e308], [-1.7e308, 1.7e308]]).log_loss == 0


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("row", [[np.nan, 0, 0], [np.inf, 0, 0], [np.inf, np.inf, 0], [-np.inf] * 3])
def test_an_undefined_softmax_makes_log_loss_and_auc_nan(row: list[float], n_classes: int) -> None:
    result = score([0, 1, 0], np.array([[1, 2, 0], [0, 1, 0], row], dtype=np.float32)[:, :n_classes])
    assert math.isnan(result.log_loss)
    assert math.isnan(result.roc_auc)
    assert 0 <= result.macro_f1 <= 1


@pytest.mark.parametrize("n_classes", [2, 3])
def test_minus_infinity_is_a_class_of_probability_0(n_classes: int) -> None:
    logits_NC = np.array([[1, -np.inf, 0], [0, 1, 0], [-np.inf, 1, 0]], dtype=np.float32)[:, :n_classes]
    right = score([0, 1, 1], logits_NC)
    assert math.isfinite(right.log_loss)
    assert right.roc_auc == 1.0
    assert score([1, 1, 0], logits_NC).log_loss == math.inf


@settings(max_examples=50, deadline=None)
@given(st.data())
def test_auc_is_the_share_of_pairs_in_order(data: st.DataObject) -> None:
    n_rows = data.draw(st.integers(2, 40))
    label_N = data.draw(hnp.arrays(np.int64, n_rows, elements=st.integers(0, 1)))
    score_N = data.draw(hnp.arrays(np.float64, n_rows, elements=st.integers(-3, 3)))
    found = score(label_N, np.stack([np.zeros(n_rows), score_N], axis=1)).roc_auc
    pairs = [(high > low) + (high == low) / 2 for high in score_N[label_N == 1] for low in score_N[label_N == 0]]
    assert found == (pytest.approx(np.mean(pairs)) if pairs else pytest.approx(math.nan, nan_ok=True))


@settings(max_examples=50, deadline=None)
@given(
    hnp.arrays(np.float32, st.tuples(st.integers(1, 30), st.integers(2, 5)), elements=st.floats(-50, 50, width=32)),
    st.randoms(use_true_random=False),
)
def test_scores_do_not_depend_on_the_order_of_the_rows(logits_NC: NDArray[np.float32], random) -> None:
    n_rows, n_classes = logits_NC.shape
    label_N = np.array([random.randrange(n_classes) for _ in range(n_rows)])
    order = np.array(random.sample(range(n_rows), n_rows))
    one, other = score(label_N, logits_NC), score(label_N[order], logits_NC[order])
    np.testing.assert_array_equal(one.confusion_CC, other.confusion_CC)
    assert one.confusion_CC.sum() == n_rows
    assert one.accuracy == np.trace(one.confusion_CC) / n_rows
    assert one.roc_auc == pytest.approx(other.roc_auc, nan_ok=True)
    assert one.log_loss == pytest.approx(other.log_loss, rel=1e-12)


def test_blocks_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    from vecml.model import evaluate as module

    label_N, logits_NC = sample(101, 3, seed=5)
    whole = score(label_N, logits_NC)
    monkeypatch.setattr(module, "_BLOCK_VALUES", 7)
    assert score(label_N, logits_NC).log_loss == whole.log_loss


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"label_N": np.empty(0, np.int64)}, "no row to evaluate"),
        ({"classes": ("a",)}, r"1 class\(es\)"),
        ({"predicted_N": np.array([0, 1])}, r"predicted_N has shape \(2,\), expected \(3,\)"),
        ({"label_N": np.array([0, 1, 2])}, "label_N holds 2, expected 0 to 1"),
        ({"predicted_N": np.array([0, -1, 1])}, "predicted_N holds -1, expected 0 to 1"),
        ({"label_N": np.array([0.0, 1.0, 1.0])}, "label_N is float64, expected integers"),
        ({"logits_NC": np.zeros((2, 3))}, r"logits_NC has shape \(2, 3\), expected \(3, 2\)"),
        ({"majority_index": 2}, "majority_index 2 is none of the 2 classes"),
        ({"majority_index": -1}, "majority_index -1 is none of the 2 classes"),
    ],
)
def test_what_does_not_fit_is_named(change: dict, message: str) -> None:
    arguments = {
        "label_N": np.array([0, 1, 1]),
        "predicted_N": np.array([0, 1, 0]),
        "logits_NC": np.zeros((3, 2)),
        "classes": ("a", "b"),
        "majority_index": 0,
        "flips": NO_FLIPS,
    }
    evaluate(**arguments)
    with pytest.raises(DataError, match=message):
        evaluate(**arguments | change)


def test_flips_name_row_labels_and_margin() -> None:
    predicted_N = np.array([0, 1, 2, 0, 1])
    reference_NC = np.array([[0.1, 0.4, 0.3], [5.0, 1.0, 5.0], [0.0, 0.0, 7.0]])
    flips = find_flips(predicted_N, reference_NC, np.array([0, 3, 4]))
    assert flips.reference_rows == 3
    np.testing.assert_array_equal(flips.row_N, [0, 4])
    np.testing.assert_array_equal(flips.label_N, [0, 1])
    np.testing.assert_array_equal(flips.reference_N, [1, 2])  # row 3 ties: the first maximal logit, 0, is no flip
    np.testing.assert_allclose(flips.margin_N, [0.1, 7.0])
    assert {flips.row_N.dtype, flips.label_N.dtype, flips.reference_N.dtype} == {np.dtype(np.int64)}
    assert flips.margin_N.dtype == np.float64


def test_no_flip_is_empty_arrays() -> None:
    flips = find_flips(np.array([1, 0]), np.eye(2)[::-1], np.arange(2))
    assert (flips.reference_rows, len(flips.row_N), len(flips.margin_N)) == (2, 0, 0)


def test_margins_of_logits_that_are_not_finite() -> None:
    reference_NC = np.array([[0, np.nan], [np.inf, np.inf], [-np.inf, 3.0]])
    flips = find_flips(np.array([1, 1, 0]), reference_NC, np.arange(3))
    np.testing.assert_array_equal(flips.reference_N, [0, 0, 1])
    np.testing.assert_array_equal(flips.margin_N, [np.nan, np.nan, np.inf])


def test_the_reference_held_to_itself_has_no_flip() -> None:
    """Whatever is not finite: its labels and what is made of its logits follow one rule."""
    random = np.random.default_rng(0)
    x_FN = random.choice([0.0, 1.0, -2.0, np.inf, -np.inf, np.nan], (4, 400), p=[0.3, 0.3, 0.3, 0.04, 0.04, 0.02])
    for widths in ((4, 3), (4, 2), (4, 5, 3)):
        layers = tuple(
            Layer(random.standard_normal((fan_out, fan_in)).astype(np.float32), np.zeros(fan_out, np.float32))
            for fan_in, fan_out in pairwise(widths)
        )
        names = tuple(map(str, range(widths[-1])))
        model = Model(Architecture(4, widths[1:-1], widths[-1], "relu"), layers, names)
        reference = load_engine(model, REFERENCE)
        label_N = np.empty(400, np.int64)
        reference.labels(x_FN, label_N)
        logits_NC = reference.logits(x_FN)
        assert len(find_flips(label_N, logits_NC, np.arange(400)).row_N) == 0


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 60), st.integers(1, 60), st.integers(2, 6), st.integers(0, 2**32 - 1))
def test_flips_agree_with_a_loop(n_rows: int, affordable: int, n_classes: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    row_N = reference_rows(n_rows, affordable)
    predicted_N = random.integers(0, n_classes, n_rows)
    reference_NC = random.integers(-2, 3, (len(row_N), n_classes)).astype(np.float64)
    flips = find_flips(predicted_N, reference_NC, row_N)
    expected = []
    for row, logits_C in zip(row_N.tolist(), reference_NC.tolist(), strict=True):
        reference = logits_C.index(max(logits_C))
        second, first = sorted(logits_C)[-2:]
        if predicted_N[row] != reference:
            expected.append((row, predicted_N[row], reference, first - second))
    found = list(zip(flips.row_N, flips.label_N, flips.reference_N, flips.margin_N, strict=True))
    assert found == expected


@pytest.mark.parametrize(
    ("reference_shape", "rows", "message"),
    [
        ((0, 2), [], "no row to compare"),
        ((2, 2), [0], r"reference_logits_NC has shape \(2, 2\), expected \(1, 2 or more\)"),
        ((1, 1), [0], r"reference_logits_NC has shape \(1, 1\)"),
        ((2,), [0, 1], r"reference_logits_NC has shape \(2,\)"),
        ((1, 2), [3], "row_N holds 3, expected 0 to 2"),
        ((1, 2), [-1], "row_N holds -1"),
    ],
)
def test_a_reference_that_does_not_fit_is_named(reference_shape: tuple, rows: list[int], message: str) -> None:
    with pytest.raises(DataError, match=message):
        find_flips(np.array([0, 1, 0]), np.zeros(reference_shape), np.array(rows, dtype=np.int64))


@given(st.integers(1, 10**4), st.integers(-5, 2 * 10**4))
def test_reference_rows_are_evenly_spread(n_rows: int, affordable: int) -> None:
    row_N = reference_rows(n_rows, affordable)
    assert row_N.dtype == np.int64
    assert len(row_N) == min(n_rows, max(1, affordable))
    assert 0 <= row_N[0] <= row_N[-1] < n_rows
    gap_N = np.diff(row_N)
    assert (gap_N >= 1).all()
    assert len(gap_N) == 0 or gap_N.max() - gap_N.min() <= 1
    assert abs(row_N[0] - (n_rows - 1 - row_N[-1])) <= 1
    np.testing.assert_array_equal(row_N, reference_rows(n_rows, affordable))


def test_reference_rows_of_a_billion_do_not_overflow() -> None:
    row_N = reference_rows(10**9, 1000)
    assert (row_N[0], row_N[-1]) == (500_000, 999_500_000)


def test_reference_rows_need_a_row() -> None:
    with pytest.raises(DataError, match="0 rows"):
        reference_rows(0, 5)


def test_scoring_imports_neither_scikit_learn_nor_scipy() -> None:
    program = "import sys, vecml.model.evaluate; print([m for m in ('sklearn', 'scipy', 'torch') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

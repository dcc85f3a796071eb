"""How good the labels are: accuracy with its interval, F1, log-loss, AUC, confusion, and flips against the reference.

Everything is counted or computed in float64 from the labels that were timed and the logits behind them; the logits
themselves are only ever widened a block at a time.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from vecml.errors import DataError
from vecml.proportions import wilson_interval
from vecml.statistics import t_interval

UNBALANCED_SHARE = 0.9  # of the test rows in one class: from here on, accuracy alone says little
_BLOCK_VALUES = 1 << 18  # 2 MiB of float64: a block stays in the second-level cache of most machines


@dataclass(frozen=True)
class Flips:
    """The rows whose label differs from the reference engine's.

    Attributes:
        reference_rows: rows that were compared.
        row_N: int64 positions in the test part, of the N flips alone.
        label_N: int64, the label that was given.
        reference_N: int64, the reference engine's label.
        margin_N: float64, difference of the reference's two largest logits: how close the call was.
    """

    reference_rows: int
    row_N: NDArray[np.int64] = field(repr=False)
    label_N: NDArray[np.int64] = field(repr=False)
    reference_N: NDArray[np.int64] = field(repr=False)
    margin_N: NDArray[np.float64] = field(repr=False)


@dataclass(frozen=True)
class ReplicaAccuracy:
    """How the share of right labels varies over networks that differ in their seed alone.

    Attributes:
        accuracy_R: float64, of each of the R networks, in the order of their seeds.
        mean: over them.
        low, high: the 95 % Student interval of the mean, cut to 0 and 1. The data and the split are the same for all:
            it says what the seed of the training is worth, not what other test rows would be.
    """

    accuracy_R: NDArray[np.float64] = field(repr=False)
    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class Evaluation:
    """The quality of the labels of the test part.

    Attributes:
        n_rows: rows of the test part.
        accuracy: share of right labels.
        accuracy_low, accuracy_high: its 95 % Wilson interval.
        majority_class: the class that is most frequent in the training part.
        majority_accuracy: share of right labels for who always answers `majority_class`.
        macro_f1: unweighted mean of the classes' F1.
        log_loss: mean negative log-likelihood of the true class, in nats.
        roc_auc: area under the ROC curve: of class 1 when there are two, else the unweighted mean of one-vs-rest.
        confusion_CC: int64 counts, true class by row, predicted class by column.
        flips: the rows whose label differs from the reference engine's.
        balanced_accuracy: unweighted mean of the classes' shares of right labels, over those with a test row; None
            where the majority has less than `UNBALANCED_SHARE` of the test rows.
        average_precision: unweighted mean over the classes but the majority of the area under the curve of precision by
            recall, each class against the rest; None likewise, and NaN where the logits have no softmax.
        never_predicted: the classes that have test rows, of which the network names none so.
        replicas: the accuracies of all networks that were trained at once, or None where it was one.
    """

    n_rows: int
    accuracy: float
    accuracy_low: float
    accuracy_high: float
    majority_class: str
    majority_accuracy: float
    macro_f1: float
    log_loss: float
    roc_auc: float
    confusion_CC: NDArray[np.int64] = field(repr=False)
    flips: Flips = field(repr=False)
    balanced_accuracy: float | None = None
    average_precision: float | None = None
    never_predicted: tuple[str, ...] = ()
    replicas: ReplicaAccuracy | None = None


def evaluate(
    label_N: NDArray[np.integer],
    predicted_N: NDArray[np.integer],
    logits_NC: NDArray[np.floating],
    classes: tuple[str, ...],
    majority_index: int,
    flips: Flips,
) -> Evaluation:
    """Score the labels of the test part.

    Log-loss and AUC come from the softmax of the logits. A row whose softmax is not defined (a NaN, a +inf, or -inf
    throughout) makes both of them NaN; a -inf beside finite logits is a class of probability 0, and the log-loss is inf
    when that class is the true one. A class that the test part has no row of, or nothing but rows of, has no AUC and is
    left out of the mean; where no class has one (`label_N` is all one class), the AUC is NaN.

    Args:
        label_N: the true class indices, integers, N >= 1.
        predicted_N: the class indices that the engine gave, integers.
        logits_NC: the engine's logits, any floating dtype.
        classes: the C >= 2 class names.
        majority_index: index of the training part's most frequent class.
        flips: the comparison with the reference engine, from `find_flips`.

    Raises:
        DataError: no row, lengths that do not fit each other, or an index outside the classes.
    """
    n_rows, n_classes = len(label_N), len(classes)
    if n_rows == 0:
        raise DataError("no row to evaluate", "the test part is empty: give it more rows")
    if n_classes < 2:
        raise DataError(f"{n_classes} class(es): a classifier needs two or more")
    _check_indices("label_N", label_N, n_rows, n_classes)
    _check_indices("predicted_N", predicted_N, n_rows, n_classes)
    if logits_NC.shape != (n_rows, n_classes):
        raise DataError(f"logits_NC has shape {logits_NC.shape}, expected {(n_rows, n_classes)}")
    if not 0 <= majority_index < n_classes:
        raise DataError(f"majority_index {majority_index} is none of the {n_classes} classes")
    confusion_CC = _confusion(label_N, predicted_N, n_classes)
    n_right = int(np.trace(confusion_CC))
    low, high = wilson_interval(n_right, n_rows)
    normaliser_N = _log_sum_exp(logits_NC)
    majority_accuracy = int(confusion_CC[majority_index].sum()) / n_rows
    unbalanced = majority_accuracy >= UNBALANCED_SHARE
    unseen_C = (confusion_CC.sum(axis=0) == 0) & (confusion_CC.sum(axis=1) > 0)
    return Evaluation(
        n_rows=n_rows,
        accuracy=n_right / n_rows,
        accuracy_low=low,
        accuracy_high=high,
        majority_class=classes[majority_index],
        majority_accuracy=majority_accuracy,
        macro_f1=_macro_f1(confusion_CC),
        log_loss=_log_loss(label_N, logits_NC, normaliser_N),
        roc_auc=_roc_auc(label_N, logits_NC, normaliser_N),
        confusion_CC=confusion_CC,
        flips=flips,
        balanced_accuracy=_balanced_accuracy(confusion_CC) if unbalanced else None,
        average_precision=_mean_precision(label_N, logits_NC, normaliser_N, majority_index) if unbalanced else None,
        never_predicted=tuple(name for name, unseen in zip(classes, unseen_C, strict=True) if unseen),
    )


def over_replicas(accuracy_R: NDArray[np.float64]) -> ReplicaAccuracy:
    """Mean and interval of the accuracies of R networks: float64 (R,), shares between 0 and 1.

    Raises DataError for fewer than 2 of them.
    """
    low, high = t_interval(accuracy_R)
    return ReplicaAccuracy(accuracy_R, float(np.mean(accuracy_R)), max(0.0, low), min(1.0, high))


def label_of(logits_NC: NDArray[np.floating]) -> NDArray[np.int64]:
    """The labels (int64, N) that logits mean: the first highest; 0 where that is not finite, as in every engine."""
    label_N: NDArray[np.int64] = logits_NC.argmax(axis=1)
    best_N = np.take_along_axis(logits_NC, label_N[:, None], axis=1)[:, 0]
    label_N[~np.isfinite(best_N)] = 0
    return label_N


def find_flips(
    predicted_N: NDArray[np.integer], reference_logits_NC: NDArray[np.floating], row_N: NDArray[np.integer]
) -> Flips:
    """Compare labels with the reference engine's on the rows that it ran on.

    The reference's label is that of `label_of`; the margin of a row with a NaN is NaN, as it is between two equal
    infinities.

    Args:
        predicted_N: class indices of the whole test part, integers.
        reference_logits_NC: the reference's logits for the rows of `row_N` alone, in that order; C >= 2.
        row_N: their positions in the test part, integers, at least one.

    Raises:
        DataError: no row, not one row of logits for each position, or a position outside the test part.
    """
    n_compared = len(row_N)
    if n_compared == 0:
        raise DataError("no row to compare with the reference engine")
    if reference_logits_NC.ndim != 2 or len(reference_logits_NC) != n_compared or reference_logits_NC.shape[1] < 2:
        raise DataError(
            f"reference_logits_NC has shape {reference_logits_NC.shape}, expected ({n_compared}, 2 or more)"
        )
    _check_indices("row_N", row_N, n_compared, len(predicted_N))
    reference_N = label_of(reference_logits_NC)
    compared_N = predicted_N[row_N]
    flip_N = np.flatnonzero(compared_N != reference_N)
    top_N2 = np.partition(reference_logits_NC[flip_N].astype(np.float64), -2, axis=1)[:, -2:]
    with np.errstate(invalid="ignore", over="ignore"):
        margin_N = top_N2[:, 1] - top_N2[:, 0]
    return Flips(
        reference_rows=n_compared,
        row_N=row_N[flip_N].astype(np.int64),
        label_N=compared_N[flip_N].astype(np.int64),
        reference_N=reference_N[flip_N].astype(np.int64),
        margin_N=margin_N,
    )


def reference_rows(n_rows: int, affordable: int) -> NDArray[np.int64]:
    """The rows that the slow reference engine runs on: evenly spread, the same for the same arguments.

    Row i of k is the middle of the i-th of k equal stretches, so that neither end is favoured.

    Args:
        n_rows: rows of the test part, at least one.
        affordable: rows that there is time for; one is always taken, and never more than there are.

    Returns:
        int64 positions, ascending, each once: min(n_rows, max(1, affordable)) of them.

    Raises:
        DataError: there is no row.
    """
    if n_rows < 1:
        raise DataError(f"{n_rows} rows: none to run the reference engine on")
    count = min(n_rows, max(1, affordable))
    return (2 * np.arange(count, dtype=np.int64) + 1) * n_rows // (2 * count)


def _check_indices(name: str, index_N: NDArray[np.integer], n_rows: int, limit: int) -> None:
    if index_N.shape != (n_rows,):
        raise DataError(f"{name} has shape {index_N.shape}, expected ({n_rows},)")
    if not np.issubdtype(index_N.dtype, np.integer):
        raise DataError(f"{name} is {index_N.dtype}, expected integers")
    low, high = int(index_N.min()), int(index_N.max())
    if low < 0 or high >= limit:
        raise DataError(f"{name} holds {low if low < 0 else high}, expected 0 to {limit - 1}")


def _confusion(label_N: NDArray[np.integer], predicted_N: NDArray[np.integer], n_classes: int) -> NDArray[np.int64]:
    cell_N = label_N.astype(np.int64)
    cell_N *= n_classes
    cell_N += predicted_N.astype(np.int64, copy=False)
    return np.bincount(cell_N, minlength=n_classes**2).reshape(n_classes, n_classes).astype(np.int64, copy=False)


def _macro_f1(confusion_CC: NDArray[np.int64]) -> float:
    """F1 of a class = 2 TP / (rows predicted + rows true), 0 where both are none; then the plain mean over all classes.

    C. J. van Rijsbergen, Information Retrieval (1979), chapter 7; the mean of F1, not the F1 of means: J. Opitz and
    S. Burst, "Macro F1 and macro F1", arXiv:1911.03347.
    """
    right_C = np.diagonal(confusion_CC)
    either_C = confusion_CC.sum(axis=0) + confusion_CC.sum(axis=1)
    return float(np.mean(2 * right_C / np.maximum(either_C, 1)))


def _balanced_accuracy(confusion_CC: NDArray[np.int64]) -> float:
    """Compute the mean recall of the classes that have a row.

    K. H. Brodersen et al., "The balanced accuracy and its posterior distribution", ICPR 2010; macro-averaged recall.
    """
    rows_C = confusion_CC.sum(axis=1)
    return float(np.mean(np.diagonal(confusion_CC)[rows_C > 0] / rows_C[rows_C > 0]))


def _mean_precision(
    label_N: NDArray[np.integer],
    logits_NC: NDArray[np.floating],
    normaliser_N: NDArray[np.float64],
    majority_index: int,
) -> float:
    """Compute the mean average precision of the classes but the majority that have a row; NaN where none has."""
    if np.isnan(normaliser_N).any():
        return float("nan")
    rare = [index for index in range(logits_NC.shape[1]) if index != majority_index and (label_N == index).any()]
    with np.errstate(over="ignore"):
        areas = [_average_precision(logits_NC[:, index] - normaliser_N, label_N == index) for index in rare]
    return float(np.mean(areas)) if areas else float("nan")


def _average_precision(score_N: NDArray[np.float64], positive_N: NDArray[np.bool_]) -> float:
    """Compute the mean over the positive rows of the precision among all rows that score as high or higher.

    Equal scores are one threshold, as in scikit-learn. It falls to the share of positives for scores that say nothing:
    J. Davis and M. Goadrich, "The relationship between precision-recall and ROC curves", ICML 2006.
    """
    positives, everything = np.sort(score_N[positive_N]), np.sort(score_N)
    above_P = len(positives) - np.searchsorted(positives, positives, side="left")
    all_above_P = len(everything) - np.searchsorted(everything, positives, side="left")
    return float(np.mean(above_P / all_above_P))


def _log_sum_exp(logits_NC: NDArray[np.floating]) -> NDArray[np.float64]:
    """log(sum(exp(z))) of each row in float64, (N,); NaN where the softmax is not defined.

    Shifted by the row's maximum: P. Blanchard, D. J. Higham and N. J. Higham, "Accurately computing the log-sum-exp and
    softmax functions", IMA J. Numer. Anal. 41 (2021), 2311-2330. Of inf - inf comes the NaN of an undefined row.
    """
    n_rows, n_classes = logits_NC.shape
    result_N = np.empty(n_rows)
    step = max(1, _BLOCK_VALUES // n_classes)
    with np.errstate(invalid="ignore", over="ignore"):
        for start in range(0, n_rows, step):
            # By class, so that maximum and sum run along whole vectors: the rows are usually short.
            block_CN = np.array(logits_NC[start : start + step].T, dtype=np.float64, order="C")
            peak_N = block_CN.max(axis=0)
            block_CN -= peak_N
            np.exp(block_CN, out=block_CN)
            result_N[start : start + step] = peak_N + np.log(block_CN.sum(axis=0))
    return result_N


def _log_loss(
    label_N: NDArray[np.integer], logits_NC: NDArray[np.floating], normaliser_N: NDArray[np.float64]
) -> float:
    """Mean of -log softmax at the true class."""
    true_N = logits_NC[np.arange(len(label_N)), label_N]
    return float(np.mean(normaliser_N - true_N))


def _roc_auc(label_N: NDArray[np.integer], logits_NC: NDArray[np.floating], normaliser_N: NDArray[np.float64]) -> float:
    """Compute the ROC AUC of class 1 for two classes, else the mean of one-against-rest over the classes; or NaN."""
    if np.isnan(normaliser_N).any():
        return float("nan")
    n_classes = logits_NC.shape[1]
    with np.errstate(over="ignore"):
        if n_classes == 2:
            return _auc(logits_NC[:, 1].astype(np.float64) - logits_NC[:, 0], label_N == 1)
        areas = [_auc(logits_NC[:, c] - normaliser_N, label_N == c) for c in range(n_classes)]
    defined = [area for area in areas if not np.isnan(area)]
    return float(np.mean(defined)) if defined else float("nan")


def _auc(score_N: NDArray[np.float64], positive_N: NDArray[np.bool_]) -> float:
    """Share of (positive, negative) pairs in which the positive scores higher, ties counting half; NaN without a pair.

    That is U / (n1 n0): H. B. Mann and D. R. Whitney, Ann. Math. Statist. 18 (1947), 50-60; equal to the area under the
    ROC curve: J. A. Hanley and B. J. McNeil, Radiology 143 (1982), 29-36. Counting in the sorted negatives is the same
    as summing midranks, and exact: the counts are integers.
    """
    positives, negatives = np.sort(score_N[positive_N]), np.sort(score_N[~positive_N])
    pairs = len(positives) * len(negatives)
    if pairs == 0:
        return float("nan")
    below = int(np.searchsorted(negatives, positives, side="left").sum())
    up_to = int(np.searchsorted(negatives, positives, side="right").sum())
    return (below + up_to) / (2 * pairs)

"""What a simple model gives on the same encoded rows: logistic regression and gradient boosting, of scikit-learn.

They stand beside a table's accuracy, so that nobody takes a network for good that is not. They see at most `MOST_ROWS`
training rows, and each has a bound: what was cut is said.
"""

import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vecml.data.remedy import flags
from vecml.data.split import Part, Split
from vecml.errors import one_line
from vecml.numbers import count, percent
from vecml.progress import stage
from vecml.proportions import mcnemar
from vecml.warnings import warn

if TYPE_CHECKING:
    from vecml.config import ClassWeight

MOST_ROWS = 50_000
LABELLED_ROWS = 1 << 20  # of the test part, at a time
LEVEL = 0.05
BOOSTING_SECONDS = 10.0
BOOSTING_TREES = 100  # rounds, as scikit-learn's own default
TREES_A_TURN = 10
LOGISTIC_ITERATIONS = 1_000
FEWEST_ITERATIONS = 20
SERIAL_VALUES = 500_000  # features times rows: where there are fewer, threads cost more than they save
LOGISTIC_WORK = 1e11  # multiply-adds: about half a minute on one core; fewer iterations where the table is large


@dataclass(frozen=True)
class SimpleModel:
    """A simple model on the test rows.

    Attributes:
        name: `logistic regression` or `gradient boosting`.
        key: the same for the keys of metrics: `logistic`, `boosting`.
        accuracy: share of the test rows that it labels right.
        only_network: test rows that only the network has right.
        only_simple: test rows that only this model has right.
        p_value: of both being right equally often: McNemar's exact test.
        cut: what was left out of its training, for people; empty where nothing was.
        seconds: wall time of its training.
    """

    name: str
    key: str
    accuracy: float
    only_network: int
    only_simple: int
    p_value: float
    cut: str = ""
    seconds: float = field(default=0.0, compare=False)

    @property
    def better(self) -> bool:
        """Whether it has more test rows right than the network, by more than chance explains."""
        return self.only_simple > self.only_network and self.p_value < LEVEL


def simple_models(
    split: Split,
    predicted_N: NDArray[np.integer],
    class_weight: "ClassWeight" = "none",
    seed: int = 0,
    clock: Callable[[], float] = time.perf_counter,
) -> tuple[SimpleModel, ...]:
    """Fit the simple models on the training part and compare each with the network's labels on the test part.

    Warns of one that is better than the network (VML022), and of one that was cut (VML024).

    Args:
        split: encoded parts.
        predicted_N: the network's label of each test row, integers.
        class_weight: as for the network.
        seed: of the rows that are drawn where there are more than `MOST_ROWS`.
        clock: seconds.
    """
    train, rows_cut = _fewer(split.train, seed)
    weight = None if class_weight == "none" else class_weight
    made: list[SimpleModel] = []
    unfitted: list[str] = []
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # noqa: PLC0415 -- it looks for libraries

    threads = 1 if train.x_FN.size < SERIAL_VALUES else None
    with stage("fitting simple models"), threadpool_limits(threads), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn's own, of what is said here in other words
        for name, key, fit in (
            ("logistic regression", "logistic", _logistic),
            ("gradient boosting", "boosting", _boosting),
        ):
            began = clock()
            try:
                labels_N, cut = fit(train, split.test.x_FN, weight, clock)
            except (ValueError, ArithmeticError, MemoryError) as error:  # the network's run must not end with it
                unfitted.append(f"{name} could not be fitted: {one_line(error, named=True)}")
                continue
            taken = clock() - began
            made.append(_judged(name, key, split.test.label_N, predicted_N, labels_N, (rows_cut, cut), taken))
    for said in unfitted:
        warn("VML024", said)
    for one in made:
        if one.cut:
            warn("VML024", f"{one.name} was fitted with {one.cut}; its accuracy is what it reached")
    best = best_of(tuple(made))
    if best is not None:
        network = float(np.mean(predicted_N == split.test.label_N))
        warn(
            "VML022",
            f"{best.name} labels {percent(best.accuracy)} of the test rows right and the network {percent(network)}"
            f" (McNemar p {best.p_value:.2g}): {flags({'tune': 16})} may find a better network",
        )
    return tuple(made)


def best_of(models: tuple[SimpleModel, ...]) -> SimpleModel | None:
    """The most accurate of those that are better than the network; None where none is."""
    return max((one for one in models if one.better), key=lambda one: one.accuracy, default=None)


def _judged(
    name: str,
    key: str,
    label_N: NDArray[np.integer],
    network_N: NDArray[np.integer],
    simple_N: NDArray[np.integer],
    cuts: tuple[str, str],
    seconds: float,
) -> SimpleModel:
    right_N, network_right_N = simple_N == label_N, network_N == label_N
    only_network = int(np.count_nonzero(network_right_N & ~right_N))
    only_simple = int(np.count_nonzero(right_N & ~network_right_N))
    cut = " and ".join(part for part in cuts if part)
    p_value = mcnemar(only_network, only_simple)
    return SimpleModel(name, key, float(right_N.mean()), only_network, only_simple, p_value, cut, seconds)


def _fewer(part: Part, seed: int) -> tuple[Part, str]:
    """At most about `MOST_ROWS` rows of the part, each class by its share but with a row at least; how that is said."""
    if part.n_rows <= MOST_ROWS:
        return part, ""
    rng = np.random.default_rng(seed)
    count_C = np.bincount(part.label_N)
    quota_C = np.minimum(count_C, np.maximum(1, np.rint(count_C * (MOST_ROWS / part.n_rows)).astype(np.int64)))
    by_class_N = np.argsort(part.label_N, kind="stable")
    groups = np.split(by_class_N, np.cumsum(count_C)[:-1])
    drawn = [rng.choice(rows, quota, replace=False) for rows, quota in zip(groups, quota_C, strict=True)]
    chosen_N = np.sort(np.concatenate(drawn))
    smaller = Part(np.ascontiguousarray(part.x_FN[:, chosen_N]), part.label_N[chosen_N], part.row_N[chosen_N])
    return smaller, f"{count(len(chosen_N), 'row')} of {part.n_rows:,}"


def _logistic(
    train: Part, x_FN: NDArray[np.float32], weight: str | None, _clock: Callable[[], float]
) -> tuple[NDArray[np.int64], str]:
    """The labels of logistic regression on standardised features, and what was cut."""
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415 -- slow to import
    from sklearn.pipeline import make_pipeline  # noqa: PLC0415
    from sklearn.preprocessing import StandardScaler  # noqa: PLC0415

    n_classes = len(np.unique(train.label_N))
    work = 4 * train.x_FN.size * n_classes  # of an iteration
    affordable = int(np.clip(LOGISTIC_WORK / work, FEWEST_ITERATIONS, LOGISTIC_ITERATIONS))
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=affordable, class_weight=weight))
    model.fit(train.x_FN.T.astype(np.float64), train.label_N)
    reached = int(np.max(model[-1].n_iter_))
    cut = f"{affordable} iterations" if reached >= affordable else ""
    return _labels(lambda some_FN: model.predict(some_FN.T.astype(np.float64)), x_FN), cut


def _boosting(
    train: Part, x_FN: NDArray[np.float32], weight: str | None, clock: Callable[[], float]
) -> tuple[NDArray[np.int64], str]:
    """The labels of gradient boosting on the features, and what was cut."""
    from sklearn.ensemble import HistGradientBoostingClassifier  # noqa: PLC0415 -- slow to import

    model = HistGradientBoostingClassifier(
        max_iter=1, warm_start=True, early_stopping=False, random_state=0, class_weight=weight
    )
    began, rounds, turn, elapsed = clock(), 0, 1, 0.0
    # The first round alone shows what a round takes: with a thousand classes it is a thousand trees.
    while rounds < BOOSTING_TREES and (rounds == 0 or elapsed + elapsed / rounds <= BOOSTING_SECONDS):
        rounds = min(rounds + turn, BOOSTING_TREES)
        model.set_params(max_iter=rounds)
        model.fit(train.x_FN.T, train.label_N)
        elapsed = clock() - began
        turn = int(np.clip((BOOSTING_SECONDS - elapsed) / max(elapsed / rounds, 1e-9), 1, TREES_A_TURN))
    cut = f"{rounds} of {BOOSTING_TREES} rounds, in {elapsed:.3g} s" if rounds < BOOSTING_TREES else ""
    return _labels(lambda some_FN: model.predict(some_FN.T), x_FN), cut


def _labels(predict: Callable[[NDArray[np.float32]], Any], x_FN: NDArray[np.float32]) -> NDArray[np.int64]:
    """The labels of all rows, a part of them at a time: the test part may be larger than memory."""
    parts = range(0, max(1, x_FN.shape[1]), LABELLED_ROWS)
    return np.concatenate([np.asarray(predict(x_FN[:, first : first + LABELLED_ROWS])) for first in parts])

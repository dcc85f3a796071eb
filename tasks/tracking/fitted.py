"""A fitted `vecml.TabularClassifier` in MLflow, where its user asks for it: one run with its settings and its network.

>>> from tasks.tracking.fitted import track
>>> track(classifier.fit(X, y), X_test, y_test)  # doctest: +SKIP
"""

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from tasks.tracking.run import RunContent, tracked_result
from vecml import keys
from vecml.model.store import serialise
from vecml.numbers import count, percent
from vecml.proportions import wilson_interval
from vecml.tracked_run import TrackedRun

if TYPE_CHECKING:
    from vecml.estimator import TabularClassifier


def track(estimator: "TabularClassifier", X: Any, y: Any, name: str | None = None) -> TrackedRun:
    """Log a fitted estimator as a run of its own.

    Args:
        estimator: after `fit`.
        X: rows that it was not trained on, as `predict` takes them.
        y: their labels (N,).
        name: of the run; None lets MLflow make one.

    Returns:
        The run: its id, and the address of its page. `vecml.load` takes the folder `model` of its artifacts.

    Raises:
        ValueError: X or y do not fit the estimator.
        StoreError: the store cannot be opened or written.
    """
    content = fitted_content(estimator, X, y)
    with tracked_result(keys.FIT, name) as writer:
        writer.log(content)
    return writer.run


def fitted_content(estimator: "TabularClassifier", X: Any, y: Any) -> RunContent:
    """Prepare a fitted estimator for its run; the arguments are those of `track`."""
    model = estimator.classifier_.model
    predicted_N, y_N = estimator.predict(X), np.asarray(y)
    if y_N.shape != predicted_N.shape:
        raise ValueError(f"y has shape {y_N.shape}; one label for each of {len(predicted_N):,} rows is needed")
    right = int(np.count_nonzero(predicted_N == y_N))
    low, high = wilson_interval(right, len(y_N))
    metrics = {"test/accuracy": right / len(y_N), "test/accuracy_low": low, "test/accuracy_high": high}
    losses = estimator.training_.losses
    if losses:
        metrics[keys.LOSS_METRIC] = losses[-1]
    settings = estimator.get_params()
    sizes = {"n_rows": len(y), "n_features": model.architecture.n_features, "n_classes": len(model.classes)}
    files: dict[str, str | bytes] = {
        f"model/{file}": content for file, content in serialise(estimator.classifier_).items()
    }
    files["losses.json"] = json.dumps(losses) + "\n"
    return RunContent(
        files,
        {param: keys.text({**settings, **sizes}[param]) for param in keys.FIT_PARAMS},
        metrics,
        {"vecml.architecture_digest": model.architecture.digest, "vecml.model_digest": model.digest},
        f"A `TabularClassifier` that labels {percent(right / len(y))} of {count(len(y), 'row')} right.",
    )

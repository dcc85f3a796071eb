"""docs/keys.md and the code name the same keys; what stands under each is recomputed here by other means."""

import dataclasses
import hashlib
import io
import json
import math
import re
import statistics
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import log_softmax, softmax
from scipy.stats import binomtest, ttest_1samp
from sklearn.metrics import accuracy_score, f1_score, log_loss, roc_auc_score

from vecml import __version__, record
from vecml.data.sources import load_table
from vecml.keys import (
    CALL_METRICS,
    CALL_PARAMS,
    CHILD_METRICS,
    CHILD_PARAMS,
    CHILD_TAGS,
    COURSE_METRICS,
    END_TAGS,
    FIT,
    FIT_METRICS,
    FIT_PARAMS,
    FIT_TAGS,
    HELD_OUT_METRIC,
    IMPORT_TAGS,
    LAB,
    LAB_METRICS,
    LAB_PARAMS,
    LAB_TAGS,
    LADDER,
    LADDER_METRICS,
    LADDER_PARAMS,
    LADDER_TAGS,
    LOSS_METRIC,
    METRICS,
    OPTIMIZE,
    OPTIMIZE_METRICS,
    OPTIMIZE_PARAMS,
    OPTIMIZE_TAGS,
    PARAMS,
    PARENT_METRICS,
    PARENT_PARAMS,
    PARENT_TAGS,
    PREDICT_METRICS,
    PREDICT_PARAMS,
    PREDICT_TAGS,
    REPLICA_METRICS,
    SIMPLE_METRICS,
    SOMETIMES,
    START_TAGS,
    TAGS,
    UNBALANCED_METRICS,
    lab_metrics,
    rung_metrics,
    text,
)
from vecml.model.course import Course
from vecml.model.network import Model
from vecml.model.simple_models import SimpleModel
from vecml.report.summary import PipelineResult
from vecml.tracked_run import start_tags

NOT_HERE = {LOSS_METRIC, *SOMETIMES} - {*REPLICA_METRICS}  # the result has replicas, and a number of epochs
PAGE = (Path(__file__).parent.parent / "docs" / "keys.md").read_text(encoding="utf-8")


def section(title: str) -> set[str]:
    """The keys in the first column of a section's table."""
    body = PAGE.split(f"## {title}\n")[1].split("\n## ")[0]
    return set(re.findall(r"^\| `([^`]+)`", body, flags=re.MULTILINE))


SECTIONS = {
    "Params of a pipeline run": PARAMS,
    "Metrics of a pipeline run": METRICS,
    "Tags of a pipeline run": TAGS,
    "Params of a comparison": PARENT_PARAMS,
    "Metrics of a comparison": PARENT_METRICS,
    "Tags of a comparison": PARENT_TAGS,
    "Params of a setting": CHILD_PARAMS,
    "Metrics of a setting": CHILD_METRICS,
    "Tags of a setting": CHILD_TAGS,
    "Params of a function or command": CALL_PARAMS,
    "Metrics of a function or command": CALL_METRICS,
    "Tags of a function or command": CHILD_TAGS,
    "Params of a ladder": LADDER_PARAMS,
    "Metrics of a ladder": LADDER_METRICS,
    "Tags of a ladder": LADDER_TAGS,
    "Params of a lab": LAB_PARAMS,
    "Metrics of a lab": LAB_METRICS,
    "Tags of a lab": LAB_TAGS,
    "Params of an optimisation": OPTIMIZE_PARAMS,
    "Metrics of an optimisation": OPTIMIZE_METRICS,
    "Tags of an optimisation": OPTIMIZE_TAGS,
    "Params of a fitted estimator": FIT_PARAMS,
    "Metrics of a fitted estimator": FIT_METRICS,
    "Tags of a fitted estimator": FIT_TAGS,
    "Params of a batch": PREDICT_PARAMS,
    "Metrics of a batch": PREDICT_METRICS,
    "Tags of a batch": PREDICT_TAGS,
    "Tags of an imported run": IMPORT_TAGS,
}


@pytest.mark.parametrize(("title", "keys"), SECTIONS.items())
def test_the_page_lists_the_keys_of_the_code(title: str, keys: tuple[str, ...]) -> None:
    assert section(title) == set(keys)


def test_the_page_lists_keys_of_nothing_else() -> None:
    titles = re.findall(r"^## (.+)$", PAGE, flags=re.MULTILINE)
    assert {title for title in titles if not title.startswith("Artifacts")} == set(SECTIONS)


@pytest.mark.parametrize(("title", "keys"), SECTIONS.items())
def test_no_key_is_listed_twice(title: str, keys: tuple[str, ...]) -> None:
    assert len(keys) == len(set(keys))
    body = PAGE.split(f"## {title}\n")[1].split("\n## ")[0]
    assert len(re.findall(r"^\| `", body, flags=re.MULTILINE)) == len(keys)


def test_a_name_stands_in_the_keys_of_the_page() -> None:
    """`<rung>` and `<experiment>` are filled in, in the page's order; what else the pattern says stays."""
    rung, experiment = rung_metrics("whole-array BLAS"), lab_metrics("blas_threads")
    patterns = {key.replace("whole_array_blas", "<rung>") for key in rung}
    assert patterns == {key for key in section("Metrics of a ladder") if "<" in key}
    assert {key.replace("blas_threads", "<experiment>") for key in experiment} == section("Metrics of a lab")
    assert (rung[1], experiment[0]) == ("ladder/whole_array_blas/ratio", "lab/blas_threads/best_ratio")


@pytest.mark.parametrize("kind", [LADDER, LAB, OPTIMIZE, FIT])
def test_the_page_says_what_kind_the_run_is(kind: str) -> None:
    assert f"| `vecml.kind` | `{kind}` |" in PAGE


@pytest.mark.parametrize(
    ("value", "written"), [(None, "none"), ((64, 32), "64,32"), (0.001, "0.001"), ("relu", "relu"), (True, "True")]
)
def test_param_text(value: object, written: str) -> None:
    assert text(value) == written


def flipped(result: PipelineResult) -> NDArray[np.intp]:
    """Positions in the test part where the engine and the reference disagree, from the logits of both."""
    inference = result.inference
    reference_N = inference.reference_logits_NC.argmax(axis=1)
    return inference.reference_row_N[inference.logits_NC.argmax(axis=1)[inference.reference_row_N] != reference_N]


def relu_logits(model: Model, x_FN: NDArray[np.float32]) -> NDArray[np.float64]:
    """Logits (N, C) of a network with ReLU between its layers, in float64."""
    x_NF = x_FN.T.astype(np.float64)
    *hidden, last = model.layers
    for layer in hidden:
        x_NF = np.maximum(x_NF @ layer.weight_OI.T + layer.bias_O, 0)
    return x_NF @ last.weight_OI.T + last.bias_O


def recomputed(result: PipelineResult) -> dict[str, float]:
    """Every metric by key, with scikit-learn and SciPy, from labels, logits, split and timed blocks."""
    true_N, logits_NC = result.split.test.label_N, result.inference.logits_NC.astype(np.float64)
    label_N, probability_NC = logits_NC.argmax(axis=1), softmax(logits_NC, axis=1)
    n_rows, n_classes = logits_NC.shape
    interval = binomtest(int((true_N == label_N).sum()), n_rows).proportion_ci(0.95, method="wilson")
    names, counts = np.unique(result.split.train.label_N, return_counts=True)
    accuracy_R = [
        accuracy_score(true_N, relu_logits(model, result.split.test.x_FN).argmax(axis=1))
        for model in result.training.replicas
    ]
    over_seeds = ttest_1samp(accuracy_R, 0).confidence_interval(0.95)
    measurement = result.inference.measurement
    median = statistics.median(measurement.block_seconds) / measurement.calls_per_block
    return {
        "time/generate_s": 0.001,
        "time/split_s": 0.002,
        "time/train_s": 0.003,
        "time/load_engine_s": 0.004,
        "time/infer_s": 0.005,
        "time/evaluate_s": 0.006,
        "test/accuracy": accuracy_score(true_N, label_N),
        "test/accuracy_low": interval.low,
        "test/accuracy_high": interval.high,
        "test/majority_accuracy": accuracy_score(true_N, np.full(n_rows, names[counts.argmax()])),
        "test/macro_f1": f1_score(true_N, label_N, average="macro"),
        "test/log_loss": log_loss(true_N, probability_NC, labels=range(n_classes)),
        "test/roc_auc": roc_auc_score(true_N, probability_NC, multi_class="ovr"),
        "test/flips": len(flipped(result)),
        "test/reference_rows": len(result.inference.reference_logits_NC),
        "test/unseen_categories": result.split.test.unseen_categories,
        "test/seen_rows": result.split.seen_rows,
        "test/replicas_accuracy_mean": statistics.mean(accuracy_R),
        "test/replicas_accuracy_low": over_seeds.low,
        "test/replicas_accuracy_high": over_seeds.high,
        "infer/rows_per_s": n_rows / median,
        "infer/fraction_of_limit": 0.3579,
        "infer/peak_rss_mb": 123.456789,
        "infer/foreign_cpus": 0.2468,
    }


def test_every_metric_is_what_its_key_says(telling_result: PipelineResult) -> None:
    expected = recomputed(telling_result)
    logged = record.metrics(telling_result)
    assert set(logged) == set(expected) == set(METRICS) - NOT_HERE
    assert logged == pytest.approx(expected, rel=1e-9)


def test_the_oracle_tells_the_values_apart(telling_result: PipelineResult) -> None:
    """No two metrics agree, so that none can stand in for another; and both majorities differ."""
    values = sorted(recomputed(telling_result).values())
    assert min(np.diff(values)) > 1e-4
    split = telling_result.split
    assert np.bincount(split.train.label_N).argmax() != np.bincount(split.test.label_N).argmax()
    assert 0 < len(flipped(telling_result)) < len(telling_result.inference.reference_row_N) < split.test.n_rows


def test_memory_that_cannot_be_read_is_left_out(telling_result: PipelineResult) -> None:
    inference = telling_result.inference
    unread = dataclasses.replace(inference, measurement=dataclasses.replace(inference.measurement, peak_rss_bytes=None))
    logged = record.metrics(dataclasses.replace(telling_result, inference=unread))
    assert set(METRICS) - set(logged) == NOT_HERE | {"infer/peak_rss_mb"}


def test_the_replicas_of_a_single_network_are_left_out(telling_result: PipelineResult) -> None:
    alone = dataclasses.replace(telling_result.evaluation, replicas=None)
    logged = record.metrics(dataclasses.replace(telling_result, evaluation=alone))
    assert set(METRICS) - set(logged) == NOT_HERE | {*REPLICA_METRICS}


def test_a_limit_that_there_is_none_of_is_left_out(telling_result: PipelineResult) -> None:
    unlimited = dataclasses.replace(telling_result.inference, fraction_of_limit=None)
    logged = record.metrics(dataclasses.replace(telling_result, inference=unlimited))
    assert set(METRICS) - set(logged) == NOT_HERE | {"infer/fraction_of_limit"}


def test_what_only_a_table_has_is_logged_under_its_key(telling_result: PipelineResult) -> None:
    simple = (
        SimpleModel("logistic regression", "logistic", 0.71, 3, 4, 0.91, seconds=1.5),
        SimpleModel("gradient boosting", "boosting", 0.72, 5, 6, 0.92, seconds=2.25),
    )
    evaluation = dataclasses.replace(telling_result.evaluation, balanced_accuracy=0.61, average_precision=0.62)
    logged = record.metrics(dataclasses.replace(telling_result, simple=simple, evaluation=evaluation))
    assert {name: value for name, value in logged.items() if name in (*SIMPLE_METRICS, *UNBALANCED_METRICS)} == {
        "test/balanced_accuracy": 0.61,
        "test/average_precision": 0.62,
        "test/logistic_accuracy": 0.71,
        "test/logistic_p_value": 0.91,
        "test/boosting_accuracy": 0.72,
        "test/boosting_p_value": 0.92,
        "time/simple_models_s": 3.75,
    }


def test_the_course_of_a_training_is_logged_by_its_steps(telling_result: PipelineResult) -> None:
    course = Course(300, 200, "settled", 4.5, 77, (0, 100, 200, 300), (math.nan, 0.9, 0.5, 0.4), (1.1, 0.8, 0.7, 0.75))
    stopped = dataclasses.replace(telling_result, training=dataclasses.replace(telling_result.training, course=course))
    values = dict(zip(COURSE_METRICS, (300, 200, 4.5, 77), strict=True))
    assert record.metrics(stopped) == {**record.metrics(telling_result), **values}
    assert record.loss_curves(stopped.training) == {
        LOSS_METRIC: [(100, 0.9), (200, 0.5), (300, 0.4)],
        HELD_OUT_METRIC: [(0, 1.1), (100, 0.8), (200, 0.7), (300, 0.75)],
    }
    assert record.end_tags(stopped) == {**record.end_tags(telling_result), "vecml.stopped": "settled"}


def test_the_training_losses_are_the_log_loss_of_something_that_learns(telling_result: PipelineResult) -> None:
    """The last epoch's mean is close to what the trained model has on the same rows."""
    train = telling_result.split.train
    logits_NC = relu_logits(telling_result.training.model, train.x_FN)
    reached = -log_softmax(logits_NC, axis=1)[np.arange(train.n_rows), train.label_N].mean()
    assert telling_result.training.losses[-1] == pytest.approx(reached, rel=0.05)


def test_every_end_tag_is_what_its_key_says(telling_result: PipelineResult) -> None:
    model, config = telling_result.training.model, telling_result.config
    shape = json.dumps(
        {"layers": [3, *telling_result.training.model.architecture.hidden, 3], "activation": config.activation}
    ).encode()
    architecture = hashlib.blake2b(shape, digest_size=16).hexdigest()
    weights = b"".join(layer.weight_OI.tobytes() + layer.bias_O.tobytes() for layer in model.layers)
    classes = b'["common", "middle", "rare"]'
    expected = {
        "vecml.launches": "3",
        "vecml.precision_used": telling_result.inference.precision_used,
        "vecml.data_digest": load_table(config).digest,
        "vecml.architecture_digest": architecture,
        "vecml.model_digest": hashlib.blake2b(architecture.encode() + classes + weights, digest_size=16).hexdigest(),
    }
    assert record.end_tags(dataclasses.replace(telling_result, choice=None)) == expected
    assert record.end_tags(telling_result) == {**expected, "vecml.choice": "torch: no other was faster"}
    assert set(expected) == set(END_TAGS)
    assert len(set(expected.values())) == len(expected)


def test_every_start_tag_is_what_its_key_says(telling_result: PipelineResult) -> None:
    environment = telling_result.environment
    process = "12 34 boot machine namespace"
    tags = start_tags("a kind", environment, "a processor", process, "flow", "c0ffee+dirty")
    assert tags == {
        "vecml.kind": "a kind",
        "vecml.process": "12 34 boot machine namespace",
        "vecml.version": __version__,
        "vecml.machine_key": environment.machine_key,
        "vecml.software_key": environment.software_key,
        "vecml.environment_key": environment.environment_key,
        "vecml.device_name": "a processor",
        "prefect.flow_run_id": "flow",
        "vecml.git_commit": "c0ffee+dirty",
    }
    assert set(tags) == set(START_TAGS)
    assert len(set(tags.values())) == len(tags)
    alone = start_tags("a kind", environment, "a processor", process, None, None)
    assert alone == {**tags, "prefect.flow_run_id": "none", "vecml.git_commit": "none"}


def test_labels_npz_counts_its_flips_in_rows_of_the_table(telling_result: PipelineResult) -> None:
    labels = np.load(io.BytesIO(record.labels_npz(telling_result)), allow_pickle=False)
    inference, position_N = telling_result.inference, flipped(telling_result)
    among = np.isin(inference.reference_row_N, position_N)
    ordered_NC = np.sort(inference.reference_logits_NC[among], axis=1)
    np.testing.assert_array_equal(labels["row_N"], telling_result.split.test.row_N)
    np.testing.assert_array_equal(labels["true_N"], load_table(telling_result.config).label_N[labels["row_N"]])
    np.testing.assert_array_equal(labels["label_N"], inference.logits_NC.argmax(axis=1))
    np.testing.assert_array_equal(labels["classes"], ["common", "middle", "rare"])
    np.testing.assert_array_equal(labels["flip_row"], labels["row_N"][position_N])
    assert not np.array_equal(labels["flip_row"], position_N)
    np.testing.assert_array_equal(labels["flip_label"], labels["label_N"][position_N])
    np.testing.assert_array_equal(labels["flip_reference"], inference.reference_logits_NC[among].argmax(axis=1))
    np.testing.assert_allclose(labels["flip_margin"], ordered_NC[:, -1] - ordered_NC[:, -2])

"""The pipeline's own inference: load the engine, label every row, time the calls, and let the reference label a sample.

One launch in this process: an honest figure for this run, not one to compare runs by; it is marked as a single launch.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from vecml.config import Layout, Setting
from vecml.data.table import Part, Split
from vecml.engines.probe import used_precision
from vecml.engines.registry import load_engine
from vecml.engines.row_loop import affordable_rows
from vecml.environment import describe
from vecml.measure.clock import timed
from vecml.measure.limits import fraction_of_limit, has_gemm, machine_limits, minimal_work
from vecml.measure.single import Measurement, measure_single
from vecml.model.evaluate import Evaluation, find_flips, reference_rows
from vecml.model.evaluate import evaluate as evaluate_labels
from vecml.model.network import Model
from vecml.progress import stage
from vecml.warnings import warn

MEASURE_SECONDS = 0.2  # a figure for this run, not a comparison: it should not be what a run waits for
REFERENCE = Setting(engine="row_loop", precision="float64", layout="columns")


@dataclass(frozen=True)
class Inference:
    """What running the test part gave.

    Attributes:
        setting: the way that it ran; nothing "auto" in it.
        label_N: int64 class index of every test row, of the timed calls.
        logits_NC: float32 or wider, test rows by classes.
        reference_row_N: int64 positions in the test part that the reference engine ran on.
        reference_logits_NC: float64, its logits for them.
        load_seconds: making the engine ready.
        measurement: the timed calls, in this process: one launch.
        precision_used: what the engine really computed in, by the precision probe.
        fraction_of_limit: of what this machine's measured product and copy would allow; above 1.05 they were measured
            too low. None where there is no such limit: off the CPU, or in a precision without a product.
    """

    setting: Setting
    label_N: NDArray[np.int64] = field(repr=False)
    logits_NC: NDArray[np.floating] = field(repr=False)
    reference_row_N: NDArray[np.int64] = field(repr=False)
    reference_logits_NC: NDArray[np.float64] = field(repr=False)
    load_seconds: float
    measurement: Measurement
    precision_used: str
    fraction_of_limit: float | None


def infer(model: Model, test: Part, setting: Setting) -> Inference:
    """Run `model` over the test part under `setting`, and the reference engine over as many rows as one can afford.

    Raises EngineUnavailableError when the engine cannot run this model or setting here.
    """
    x = in_layout(test.x_FN, setting.layout)
    loaded = timed(load_engine, model, setting)
    engine = loaded.value
    label_N = np.empty(test.n_rows, np.int64)
    try:

        def call() -> None:
            engine.labels(x, label_N)
            engine.synchronize()

        with stage("inferring"):
            measurement = measure_single(call, test.n_rows, budget_seconds=MEASURE_SECONDS)
            logits_NC = engine.logits(x)
    finally:
        engine.close()
    row_N = reference_rows(test.n_rows, affordable_rows(model.architecture))
    reference = load_engine(model, REFERENCE)
    precision = used_precision(setting)
    return Inference(
        setting=setting,
        label_N=label_N,
        logits_NC=logits_NC,
        reference_row_N=row_N,
        reference_logits_NC=reference.logits(np.ascontiguousarray(test.x_FN[:, row_N])).astype(np.float64),
        load_seconds=loaded.seconds,
        measurement=measurement,
        precision_used=precision,
        fraction_of_limit=_fraction(model, setting, precision, measurement),
    )


def score(split: Split, inference: Inference) -> Evaluation:
    """The evaluation of the test part's labels; the majority is that of the training part."""
    flips = find_flips(inference.label_N, inference.reference_logits_NC, inference.reference_row_N)
    majority = int(np.bincount(split.train.label_N, minlength=len(split.classes)).argmax())
    evaluation = evaluate_labels(
        split.test.label_N, inference.label_N, inference.logits_NC, split.classes, majority, flips
    )
    if evaluation.accuracy <= evaluation.majority_accuracy:
        warn(
            "VML006",
            f"the accuracy, {evaluation.accuracy:.1%}, is no better than always guessing {evaluation.majority_class!r},"
            f" {evaluation.majority_accuracy:.1%}; more --epochs may help",
        )
    if len(flips.row_N):
        warn(
            "VML007",
            f"{len(flips.row_N)} of {flips.reference_rows} labels differ from the reference engine's; the largest"
            f" margin among them is {flips.margin_N.max():.3g} (labels.npz has them all)",
        )
    return evaluation


def in_layout(x_FN: NDArray[np.float32], layout: Layout) -> NDArray[np.float32]:
    """Features (F, N) as the layout wants them: by column as they are, by row as a contiguous (N, F) copy."""
    return x_FN if layout == "columns" else np.ascontiguousarray(x_FN.T)


def _fraction(model: Model, setting: Setting, precision: str, measurement: Measurement) -> float | None:
    """What the timed calls made of the machine's limits, for what the engine really computed in; None where none is."""
    if setting.device != "cpu" or not has_gemm(precision):
        return None
    try:
        limits = machine_limits(describe().machine_key, setting.threads, precision)
    except MemoryError:  # for the arrays of a measurement that a run can do without
        return None
    product, copy = limits.gemm(precision, setting.threads), limits.copy(setting.threads)
    if product is None or copy is None:
        return None
    # So that it is a bound: the features come as float32, also where float64 is computed in; 16 bits may be half of it.
    work = minimal_work(model.architecture.widths, 2 if precision in ("bfloat16", "float16") else 4)
    return fraction_of_limit(*work, measurement.rows_per_call, measurement.seconds_per_call, product, copy)

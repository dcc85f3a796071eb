"""The pipeline's own inference: load the engine, label every row, time the calls, and let the reference label a sample.

One launch in this process: an honest figure for this run, not one to compare runs by; it is marked as a single launch.
"""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vecml.config import Layout, Setting
from vecml.data.split import Part, Split
from vecml.engines.registry import load_engine
from vecml.engines.row_loop import affordable_rows
from vecml.environment import describe
from vecml.inference.block_size import Complete, complete
from vecml.inference.precision import used_precision
from vecml.measure.clock import timed
from vecml.measure.context import read_counters, window
from vecml.measure.kernels import has_gemm
from vecml.measure.limits import fraction_of_limit, machine_limits, minimal_work
from vecml.measure.load import mean_load
from vecml.measure.pairs import disturbance
from vecml.measure.records import Window
from vecml.measure.single import Measurement, measure_single
from vecml.model.evaluate import Evaluation, find_flips, over_replicas, reference_rows
from vecml.model.evaluate import evaluate as evaluate_labels
from vecml.model.network import AnyModel, Model
from vecml.numbers import percent
from vecml.progress import stage
from vecml.warnings import warn

MEASURE_SECONDS = 0.2  # a figure for this run, not a comparison: it should not be what a run waits for
REFERENCE = Setting(engine="row_loop", precision="float64", layout="columns")
OWN_MULTIPLY_ADDS = 500_000_000  # what a module in float64 can afford: about as long as the row loop's sample
OWN_ROWS = 20_000


@dataclass(frozen=True)
class Inference:
    """The results of the inference on the test part.

    Attributes:
        setting: the way that it ran; nothing "auto" in it.
        label_N: int64 class index of every test row, of the timed calls.
        logits_NC: float32 or wider, test rows by classes.
        reference_row_N: int64 positions in the test part that the reference ran on.
        reference_logits_NC: float64, its logits for them: those of the engine row_loop, or of a module of the user's
            own in float64.
        load_seconds: making the engine ready, the first time in this process: a library's first load takes longest, and
            where block sizes were tried, that was the trial's first load.
        measurement: the timed calls, in this process: one launch.
        precision_used: what the engine really computed in, by the precision probe.
        fraction_of_limit: of what this machine's measured product and copy would allow; above 1.05 they were measured
            too low. None where there is no such limit: off the CPU, in a precision without a product, or where others
            used the CPUs while it was to be measured.
        window: the load of the machine by others during the timed calls; None: it was not looked at.
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
    window: Window | None = None

    @property
    def disturbed_while(self) -> str | None:
        """Say what disturbed the timed calls, to be read after "while"; None where they had the CPUs they needed.

        A temporary Prefect server of the run's own is another process, too, and a first start keeps it busy.
        """
        if self.window is None or disturbance(self.window, self.setting.threads) is None:
            return None
        return mean_load([self.window]).words_of("other processes")


def complete_setting(model: AnyModel, test: Part, setting: Setting) -> Complete:
    """Complete `setting` with the fastest block size for the test part; see `vecml.inference.block_size.complete`."""
    if setting.block_rows is not None:
        return Complete(setting)
    return complete(model, setting, in_layout(test.x_FN, setting.layout))


def infer(model: AnyModel, test: Part, setting: Setting, first_load_seconds: float | None = None) -> Inference:
    """Label the test part by `model` under `setting`, and some of its rows by the slow reference.

    Args:
        model: the classifier to run.
        test: the rows that it labels.
        setting: how to run it; see `complete_setting`.
        first_load_seconds: how long the engine's first load in this process took, if it was loaded before.

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
            before = read_counters(())
            measurement = measure_single(call, test.n_rows, budget_seconds=MEASURE_SECONDS)
            after = read_counters(())
            logits_NC = engine.logits(x)
    finally:
        engine.close()
    row_N, reference_NC = _reference(model, test.x_FN)
    precision = used_precision(setting)
    return Inference(
        setting=setting,
        label_N=label_N,
        logits_NC=logits_NC,
        reference_row_N=row_N,
        reference_logits_NC=reference_NC,
        load_seconds=loaded.seconds if first_load_seconds is None else first_load_seconds,
        measurement=measurement,
        precision_used=precision,
        fraction_of_limit=_fraction(model, setting, precision, measurement),
        window=window(before, after, 0, 0, 0, 0),
    )


def score(split: Split, inference: Inference, replicas: Sequence[Model] = ()) -> Evaluation:
    """Evaluate the labels of the test part, also against always guessing the training part's most frequent class.

    `replicas`: all networks that were trained at once; torch computes their accuracies in float32 on the same device.
    """
    flips = find_flips(inference.label_N, inference.reference_logits_NC, inference.reference_row_N)
    majority = int(np.bincount(split.train.label_N, minlength=len(split.classes)).argmax())
    evaluation = evaluate_labels(
        split.test.label_N, inference.label_N, inference.logits_NC, split.classes, majority, flips
    )
    if evaluation.accuracy <= evaluation.majority_accuracy:
        warn(
            "VML006",
            f"the accuracy, {percent(evaluation.accuracy)}, is no better than always guessing"
            f" {evaluation.majority_class!r}, {percent(evaluation.majority_accuracy)}; other features may help",
        )
    if len(flips.row_N):
        warn(
            "VML007",
            f"{len(flips.row_N)} of {flips.reference_rows} labels differ from the reference engine's; the largest"
            f" margin among them is {flips.margin_N.max():.3g} (labels.npz has them all)",
        )
    if not replicas:
        return evaluation
    from vecml.model.replicas import accuracies  # noqa: PLC0415 -- torch, which others do without

    accuracy_R = accuracies(replicas, split.test, inference.setting.device)
    return dataclasses.replace(evaluation, replicas=over_replicas(accuracy_R))


def in_layout(x_FN: NDArray[Any], layout: Layout) -> NDArray[Any]:
    """Return features (F, N) in a layout: `columns` returns them unchanged, `rows` a contiguous copy (N, F)."""
    return x_FN if layout == "columns" else np.ascontiguousarray(x_FN.T)


def _reference(model: AnyModel, x_FN: NDArray[np.float32]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Choose as many rows of x_FN (F, N) as the slow reference labels in a moment; return their indices and logits."""
    n_rows, chain = x_FN.shape[1], model.chain
    if chain is None:
        affordable = max(1, min(OWN_ROWS, OWN_MULTIPLY_ADDS // max(1, model.architecture.multiply_adds)))
        row_N = reference_rows(n_rows, affordable)
        return row_N, model.wide_logits(x_FN[:, row_N])
    row_N = reference_rows(n_rows, affordable_rows(chain.architecture))
    reference = load_engine(chain, REFERENCE)
    return row_N, reference.logits(np.ascontiguousarray(x_FN[:, row_N])).astype(np.float64)


def _fraction(model: AnyModel, setting: Setting, precision: str, measurement: Measurement) -> float | None:
    """Compute the rate of the timed calls as a share of the machine's limit in `precision`; None if it has no limit."""
    chain = model.chain
    if chain is None or setting.device != "cpu" or not has_gemm(precision):
        return None
    try:
        limits = machine_limits(describe().machine_key, setting.threads, precision)
    except MemoryError:  # for the arrays of a measurement that a run can do without
        return None
    product, copy = limits.gemm(precision, setting.threads), limits.copy(setting.threads)
    if product is None or copy is None:
        return None
    # So that it is a bound: the features come as float32, also where float64 is computed in; 16 bits may be half of it.
    work = minimal_work(chain.architecture.widths, 2 if precision in ("bfloat16", "float16") else 4)
    return fraction_of_limit(*work, measurement.rows_per_call, measurement.seconds_per_call, product, copy)

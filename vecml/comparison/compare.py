"""Settings of one model compared: the workers' files are written, the settings measured, their answers checked.

What is returned is a record; verdicts are computed from it afterwards.
"""

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vecml.comparison.arms import make_groups
from vecml.comparison.budget import Budget, make_budget
from vecml.comparison.comparison import Comparison, Subject, measured_limits, order_of
from vecml.comparison.files import ERRORS, save_array, save_input, save_model, shared_folder
from vecml.comparison.gate import faults
from vecml.comparison.reference import float32_errors, reference_labels, reference_logits, tolerance
from vecml.comparison.settings import Chosen
from vecml.comparison.sitting import sit
from vecml.config import Setting
from vecml.engines.registry import ENGINES, load_engine
from vecml.engines.row_loop import affordable_rows
from vecml.environment import describe
from vecml.errors import DataError, MeasureError
from vecml.inference.infer import REFERENCE
from vecml.measure.limits import keep_limits
from vecml.measure.records import Measured, Plan
from vecml.measure.verdict import Rules
from vecml.model.evaluate import label_of, reference_rows
from vecml.model.network import AnyModel, Model
from vecml.progress import stage

ROW_LOOP_ROWS = 2_000
PROBE_CANDIDATES = 4_096
QUOTA_BLOCK_SECONDS = 0.2
GPU_BLOCK_SECONDS = 0.02
GPU_WARM_SECONDS = 3.0
GPU_EQUIVALENCE = 0.02


@dataclass(frozen=True)
class Job:
    """A model, and the rows that it labels.

    Attributes:
        model: with its weights.
        x_FN: features by column, float32 or float64.
        truth_N: true labels, int64, or None.
        data_source, data_digest, run_id: see `Subject`.
    """

    model: AnyModel
    x_FN: NDArray[np.floating]
    truth_N: NDArray[np.int64] | None = None
    data_source: str = "synthetic"
    data_digest: str = "none"
    run_id: str | None = None


def plan_comparison(chosen: Chosen, budget: str, began: float | None = None) -> Budget:
    """How much a budget lets us measure of these settings on this machine.

    Args:
        chosen: the settings.
        budget: `60s`, `5m`, `auto` or `quick`.
        began: when the budget began to run, by time.perf_counter; None: when the measurement begins.

    Raises SettingError for a budget that is too short for a verdict.
    """
    environment = describe()
    key = environment.machine_key
    groups = [
        (sum(arm.role != "limit" for arm in group), sum(arm.role == "limit" for arm in group))
        for group in make_groups(chosen.settings, Path(), None)
    ]
    families = {setting.request_rows for setting in chosen.settings.values()}
    found = make_budget(budget, groups, len(chosen.settings) // len(families) - 1, key)
    accelerated = any(setting.device != "cpu" for setting in chosen.settings.values())
    plan = dataclasses.replace(
        found.plan,
        block_seconds=block_seconds(chosen.settings, quota=environment.cpu_quota is not None),
        warm_seconds=GPU_WARM_SECONDS if accelerated else found.plan.warm_seconds,
    )
    return dataclasses.replace(found, plan=plan, began=began)


def block_seconds(settings: Mapping[str, Setting], *, quota: bool) -> float:
    """Seconds that a block takes at least: longer than a period of a CPU quota, shorter where only GPUs work."""
    if all(setting.device != "cpu" for setting in settings.values()):
        return GPU_BLOCK_SECONDS
    return QUOTA_BLOCK_SECONDS if quota else Plan.block_seconds


def compare_settings(
    job: Job,
    chosen: Chosen,
    budget: Budget,
    openers: Mapping[str, str] | None = None,
    *,
    resumed: Measured | None = None,
    keep: Callable[[Measured], None] = lambda _measured: None,
) -> Comparison:
    """Measure the settings of `chosen` on the job's rows and see that their answers are right.

    Args:
        job: model and rows.
        chosen: at least two settings, the baseline first.
        budget: from `plan_comparison`.
        openers: by a setting's name, what opens it instead of its engine (`vecml.measure.worker`).
        resumed: complete launches of the same comparison, which was stopped.
        keep: gets everything so far after each launch.

    Raises DataError when there is no row or another number of features, StoreError when the input cannot be written,
    MeasureError when another measurement does not end. A setting that fails is invalid in the record; the others go on.
    """
    x_FN, settings = job.x_FN, chosen.settings
    if x_FN.ndim != 2 or len(x_FN) != job.model.architecture.n_features:
        raise DataError(
            f"features of shape {x_FN.shape}: the model takes {job.model.architecture.n_features} features, by column"
        )
    if not x_FN.shape[1]:
        raise DataError("there is no row to infer", "give it at least one")
    layouts = {setting.layout for setting in settings.values()}
    with shared_folder((len(layouts) + 1) * x_FN.nbytes) as folder:
        with stage("computing the reference"):
            label_N = write_files(job, settings, folder)
        groups = make_groups(settings, folder, probe_rows(job.model, x_FN, label_N), openers)

        def check(measured: Measured) -> dict[str, str]:
            return faults(measured, settings, job.model.classes)

        sitting = sit(groups, budget, equivalence=_equivalence(settings), resumed=resumed, keep=keep, check=check)
    keep_limits(sitting.machine_key, measured_limits(sitting.measured, min))
    return Comparison(
        **sitting.recorded(),
        rules=sitting.rules,
        budget=budget.text,
        subject=_subject(job),
        settings=settings,
        skipped=chosen.skipped,
        simplest=order_of(list(settings), settings, tuple(ENGINES)),
        faults=sitting.faults(settings, sitting.checked(check)),
        finals=sitting.finals,
        alone=sitting.alone,
    )


def _equivalence(settings: Mapping[str, Setting]) -> float:
    """The relative difference within which two settings count as the same; it is smaller where only GPUs work."""
    on_gpus = all(setting.device != "cpu" for setting in settings.values())
    return GPU_EQUIVALENCE if on_gpus else Rules.equivalence


def _subject(job: Job) -> Subject:
    architecture = job.model.architecture
    return Subject(
        data_source=job.data_source,
        n_rows=job.x_FN.shape[1],
        widths=architecture.widths,
        n_classes=architecture.n_classes,
        value_bytes=job.x_FN.dtype.itemsize,
        data_digest=job.data_digest,
        architecture_digest=architecture.digest,
        model_digest=job.model.digest,
        run_id=job.run_id,
    )


def probe_rows(model: AnyModel, x_FN: NDArray[np.floating], label_N: NDArray[np.int64]) -> tuple[int, int] | None:
    """The numbers of two rows of x_FN (F, N) whose labels (label_N, int64) differ and are far from a tie, or None."""
    row_N = np.unique(np.linspace(0, len(label_N) - 1, PROBE_CANDIDATES).astype(np.int64))
    found = reference_logits(model, np.ascontiguousarray(x_FN[:, row_N]))
    with np.errstate(invalid="ignore"):
        ordered_NC = np.sort(found.logits_NC, axis=1)
        margin_N = ordered_NC[:, -1] - ordered_NC[:, -2]
    margin_N = np.where(np.isfinite(margin_N), margin_N, -1.0)
    first = int(margin_N.argmax())
    others_N = np.where(label_N[row_N] != label_N[row_N[first]], margin_N, -1.0)
    second = int(others_N.argmax())
    return (int(row_N[first]), int(row_N[second])) if others_N[second] > 0 else None


def write_files(job: Job, settings: Mapping[str, Setting], folder: Path) -> NDArray[np.int64]:
    """Write the files that the workers read, and return the reference's labels (int64, N).

    Raises MeasureError where the row-by-row engine disagrees with the reference on some rows. It cannot run a module of
    the user's own; the reference of such a module is the module itself in float64.
    """
    save_model(job.model, folder)
    for layout in dict.fromkeys(setting.layout for setting in settings.values()):
        save_input(job.x_FN, layout, folder)
    label_N = reference_labels(job.model, job.x_FN)
    chain = job.model.chain
    if chain is None:
        row_N = np.unique(np.linspace(0, job.x_FN.shape[1] - 1, PROBE_CANDIDATES).astype(np.int64))
        save_array(float32_errors(job.model, np.ascontiguousarray(job.x_FN[:, row_N])), ERRORS, folder)
    else:
        _prove(chain, job.x_FN, label_N)
    save_array(label_N, "reference", folder)
    if job.truth_N is not None:
        save_array(job.truth_N, "truth", folder)
    return label_N


def _prove(model: Model, x_FN: NDArray[np.floating], label_N: NDArray[np.int64]) -> None:
    """Compare the vectorised reference with plain Python on some rows; raises MeasureError where they disagree."""
    architecture = model.architecture
    row_N = reference_rows(len(label_N), min(ROW_LOOP_ROWS, affordable_rows(architecture)))
    some_FN = np.ascontiguousarray(x_FN[:, row_N])
    plain_NC = load_engine(model, REFERENCE).logits(some_FN)
    found = reference_logits(model, some_FN)
    with np.errstate(invalid="ignore"):
        off = np.abs(plain_NC - found.logits_NC) > tolerance(architecture, "float64") * found.scale_NC
    if off.any() or (label_of(found.logits_NC) != label_N[row_N]).any():
        raise MeasureError("the float64 reference disagrees with the row-by-row engine: no comparison can be made")

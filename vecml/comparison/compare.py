"""Comparing settings of one model: files for the workers, arms, the measurement, the gate; one record comes of it."""

import contextlib
import dataclasses
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vecml import __version__
from vecml.comparison.budget import Budget, machine_rules, make_budget
from vecml.comparison.comparison import Comparison, Load, Subject, measured_limits, order_of
from vecml.comparison.files import save_errors, save_input, save_labels, save_model, shared_folder
from vecml.comparison.gate import faults
from vecml.comparison.reference import float32_errors, reference_labels, reference_logits, tolerance
from vecml.comparison.settings import Chosen
from vecml.config import Setting
from vecml.engines.registry import ENGINES, load_engine
from vecml.engines.row_loop import affordable_rows
from vecml.environment import changes, describe
from vecml.errors import DataError, MeasureError
from vecml.inference.infer import REFERENCE
from vecml.measure.context import read_counters, window
from vecml.measure.coordinator import Progress, measure
from vecml.measure.limits import Kernel, has_gemm, keep_limits
from vecml.measure.lock import only_measurement
from vecml.measure.processes import ProcessSource
from vecml.measure.records import Arm, Measured, Plan, Role
from vecml.measure.verdict import Rules, narrow_enough
from vecml.model.evaluate import label_of, reference_rows
from vecml.model.network import AnyModel, Model, OwnArchitecture, OwnModel
from vecml.progress import stage
from vecml.warnings import warn

OPENER = "vecml.comparison.work:open_engine"
LIMIT_OPENER = "vecml.measure.limits:open_kernel"
LARGEST_GROUP = 7  # arms that take turns in one round, the baseline and its copy among them
ROW_LOOP_ROWS = 2_000
BUSY_CPUS = 0.25
LOAD_SECONDS = 0.5
PROBE_CANDIDATES = 4_096
QUOTA_BLOCK_SECONDS = 0.2
GPU_BLOCK_SECONDS = 0.02
GPU_WARM_SECONDS = 3.0
GPU_EQUIVALENCE = 0.02


@dataclass(frozen=True)
class Job:
    """What is to be inferred.

    Attributes:
        model: with its weights.
        x_FN: float32 or float64 features by column.
        truth_N: int64 true labels, or None.
        data_source, data_digest, run_id: see `Subject`.
    """

    model: AnyModel
    x_FN: NDArray[np.floating]
    truth_N: NDArray[np.int64] | None = None
    data_source: str = "synthetic"
    data_digest: str = "none"
    run_id: str | None = None


def plan_comparison(chosen: Chosen, budget: str, began: float | None = None) -> Budget:
    """What the budget buys for these settings here; it runs from `began` (time.perf_counter), or when measuring begins.

    Raises SettingError for one that is too short.
    """
    key = describe().machine_key
    groups = [
        (sum(arm.role != "limit" for arm in group), sum(arm.role == "limit" for arm in group))
        for group in make_groups(chosen.settings, Path(), None)
    ]
    families = {setting.request_rows for setting in chosen.settings.values()}
    made = make_budget(budget, groups, len(chosen.settings) // len(families) - 1, _rules(chosen, key), key)
    accelerated = any(setting.device != "cpu" for setting in chosen.settings.values())
    quota = describe().cpu_quota is not None
    plan = dataclasses.replace(
        made.plan,
        block_seconds=block_seconds(chosen.settings, quota=quota),
        warm_seconds=GPU_WARM_SECONDS if accelerated else made.plan.warm_seconds,
    )
    return dataclasses.replace(made, plan=plan, began=began)


def block_seconds(settings: Mapping[str, Setting], *, quota: bool) -> float:
    """What a block takes at least: longer than a period of a CPU quota, shorter where only GPUs are at work."""
    if all(setting.device != "cpu" for setting in settings.values()):
        return GPU_BLOCK_SECONDS
    return QUOTA_BLOCK_SECONDS if quota else Plan.block_seconds


def _rules(chosen: Chosen, machine_key: str, launches: int = Plan.launches) -> Rules:
    """This machine's rules; where only GPUs are at work, less counts as a difference."""
    rules = machine_rules(machine_key, launches)
    if all(setting.device != "cpu" for setting in chosen.settings.values()):
        return dataclasses.replace(rules, equivalence=GPU_EQUIVALENCE)
    return rules


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
    x_FN = job.x_FN
    if x_FN.ndim != 2 or len(x_FN) != job.model.architecture.n_features:
        raise DataError(
            f"features of shape {x_FN.shape}: the model takes {job.model.architecture.n_features} features, by column"
        )
    if not x_FN.shape[1]:
        raise DataError("there is no row to infer", "give it at least one")
    environment = describe()
    layouts = {setting.layout for setting in chosen.settings.values()}
    with shared_folder((len(layouts) + 1) * x_FN.nbytes) as folder:
        with stage("computing the reference"):
            label_N = write_files(job, chosen.settings, folder)
        probe = probe_rows(job.model, x_FN, label_N)
        groups = make_groups(chosen.settings, folder, probe, openers or {})
        rules = _rules(chosen, environment.machine_key)
        created = datetime.now(UTC).isoformat(timespec="seconds")
        asked = time.perf_counter()
        with only_measurement(lambda: warn("VML012", "another measurement runs on this machine: waiting for its end")):
            if budget.began is not None:  # waiting for another one is not paid from the budget
                budget = dataclasses.replace(budget, began=budget.began + time.perf_counter() - asked)
            before = load_now()
            warn_of_load(before)
            measured = run_groups(groups, budget, lambda found: narrow_enough(found, rules), resumed, keep)
            after = load_now()
    keep_limits(environment.machine_key, measured_limits(measured, min))
    found = faults(measured, chosen.settings, job.model.classes)
    changed = changes(environment, describe())
    if changed:
        found = dict.fromkeys(chosen.settings, f"the environment changed meanwhile: {changed[0]}")
    architecture = job.model.architecture
    return Comparison(
        created=created,
        vecml=__version__,
        budget=budget.text,
        subject=Subject(
            data_source=job.data_source,
            n_rows=x_FN.shape[1],
            widths=(architecture.n_features,) if isinstance(architecture, OwnArchitecture) else architecture.widths,
            n_classes=architecture.n_classes,
            value_bytes=x_FN.dtype.itemsize,
            data_digest=job.data_digest,
            architecture_digest=architecture.digest,
            model_digest=job.model.digest,
            run_id=job.run_id,
        ),
        settings=chosen.settings,
        skipped=chosen.skipped,
        simplest=order_of(list(chosen.settings), chosen.settings, tuple(ENGINES)),
        environment=environment.to_json_dict(),
        load_before=before,
        load_after=after,
        rules=_rules(chosen, environment.machine_key, measured.launches),
        measured=measured,
        faults=found,
    )


def run_groups(
    groups: Sequence[Sequence[Arm]],
    budget: Budget,
    enough: Callable[[Measured], bool],
    resumed: Measured | None = None,
    keep: Callable[[Measured], None] = lambda _measured: None,
) -> Measured:
    """Measure in real worker processes, telling how far it is; `enough`, `resumed`, `keep`: see `measure`."""
    plan = budget.plan_from(time.perf_counter())
    total = plan.budget_seconds
    with stage("measuring", total) as advance:
        told = 0.0

        def tell(progress: Progress) -> None:
            nonlocal told
            if total is not None:
                advance(min(progress.seconds, total) - told)
                told = min(progress.seconds, total)

        return measure(groups, plan, ProcessSource(), enough=enough, tell=tell, resumed=resumed, keep=keep)


def make_groups(
    settings: Mapping[str, Setting],
    folder: Path,
    probe: tuple[int, int] | None,
    openers: Mapping[str, str] | None = None,
) -> list[list[Arm]]:
    """The arms, in groups of at most seven that take turns: each has the baseline and its null copy.

    Sizes of request are measured apart, each with a baseline of its own: the first setting of that size. The limits of
    the machine are measured in the first group, for every precision and number of threads.
    """
    openers = openers or {}
    groups: list[list[Arm]] = []
    for size in dict.fromkeys(setting.request_rows for setting in settings.values()):
        names = [name for name, setting in settings.items() if setting.request_rows == size]

        def arm(name: str, role: Role = "arm", label: str | None = None) -> Arm:
            setting = settings[name]
            payload = {"folder": str(folder), "setting": dataclasses.asdict(setting), "probe": probe}
            return Arm(
                name=label or name,
                opener=openers.get(name, OPENER),
                payload=payload,
                role=role,
                cpus=setting.threads if setting.device == "cpu" else 1,
                environment=thread_variables(setting.threads),
            )

        baseline, *others = names
        room = LARGEST_GROUP - 2
        parts = -(-len(others) // room)
        for part in range(parts):
            members = [arm(name) for name in others[part::parts]]
            groups.append([arm(baseline, "baseline"), arm(baseline, "null", f"{baseline} (null arm)"), *members])
    if all(setting.request_rows is None for setting in settings.values()):
        groups[0] += limit_arms(settings)
    return groups


def limit_arms(settings: Mapping[str, Setting]) -> list[Arm]:
    """What the machine could do at most, measured beside the settings: a GEMM of each kind, and a copy."""
    ways = dict.fromkeys(
        (setting.precision, setting.threads) for setting in settings.values() if setting.device == "cpu"
    )
    kernels = [Kernel("gemm", precision, threads) for precision, threads in ways if has_gemm(precision)]
    kernels += [Kernel("copy", "float32", threads) for threads in dict.fromkeys(threads for _, threads in ways)]
    return [
        Arm(
            name=f"limit: {kernel.name} {kernel.precision} threads={kernel.threads}",
            opener=LIMIT_OPENER,
            payload=dataclasses.asdict(kernel),
            role="limit",
            cpus=kernel.threads,
            environment=thread_variables(kernel.threads),
        )
        for kernel in kernels
    ]


def thread_variables(threads: int) -> dict[str, str]:
    """What the native thread pools read when they start, so that none is larger than the setting says."""
    names = (
        "OMP_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "MKL_NUM_THREADS",
        "VECLIB_MAXIMUM_THREADS",
        "NUMEXPR_NUM_THREADS",
        "HL_NUM_THREADS",
    )
    return dict.fromkeys(names, str(threads))


def probe_rows(model: AnyModel, x_FN: NDArray[np.floating], label_N: NDArray[np.int64]) -> tuple[int, int] | None:
    """Two rows of x_FN (F, N) whose labels (label_N, int64) differ and are far from ties; None where there are none."""
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


def load_now() -> Load:
    """How busy the machine is with what is not ours: half a second of looking."""
    before = read_counters(())
    time.sleep(LOAD_SECONDS)
    seen = window(before, read_counters(()), 0, 0, 0, 0)
    with contextlib.suppress(OSError, AttributeError):
        return Load(os.getloadavg()[0], seen.foreign_cpus)
    return Load(None, seen.foreign_cpus)


def warn_of_load(load: Load) -> None:
    """Warn (VML011) where other processes keep the machine busy."""
    if load.foreign_cpus is not None and load.foreign_cpus > BUSY_CPUS:
        warn("VML011", f"other processes keep {load.foreign_cpus:.1f} CPUs busy: what they disturb will not count")


def write_files(job: Job, settings: Mapping[str, Setting], folder: Path) -> NDArray[np.int64]:
    """Write what the workers share; the reference's labels (int64, N), proven by the row-by-row engine on some rows.

    That engine runs no module of the user's own: its reference is the module itself in float64.
    """
    save_model(job.model, folder)
    for layout in dict.fromkeys(setting.layout for setting in settings.values()):
        save_input(job.x_FN, layout, folder)
    label_N = reference_labels(job.model, job.x_FN)
    if isinstance(job.model, OwnModel):
        row_N = np.unique(np.linspace(0, job.x_FN.shape[1] - 1, PROBE_CANDIDATES).astype(np.int64))
        save_errors(float32_errors(job.model, np.ascontiguousarray(job.x_FN[:, row_N])), folder)
    else:
        _prove(job.model, job.x_FN, label_N)
    save_labels(label_N, "reference", folder)
    if job.truth_N is not None:
        save_labels(job.truth_N, "truth", folder)
    return label_N


def _prove(model: Model, x_FN: NDArray[np.floating], label_N: NDArray[np.int64]) -> None:
    """The vectorised reference against plain Python, row by row; raises MeasureError where they disagree."""
    architecture = model.architecture
    row_N = reference_rows(len(label_N), min(ROW_LOOP_ROWS, affordable_rows(architecture)))
    some_FN = np.ascontiguousarray(x_FN[:, row_N])
    plain_NC = load_engine(model, REFERENCE).logits(some_FN)
    found = reference_logits(model, some_FN)
    with np.errstate(invalid="ignore"):
        off = np.abs(plain_NC - found.logits_NC) > tolerance(architecture, "float64") * found.scale_NC
    if off.any() or (label_of(found.logits_NC) != label_N[row_N]).any():
        raise MeasureError("the float64 reference disagrees with the row-by-row engine: no comparison can be made")

"""The ladder: ways to run a model's inference, from the slowest to the fastest, each compared with the one before.

The rungs are arms of one measurement. A call of a slow rung labels fewer rows, so that times are divided by the rows
before they are compared. The record holds every raw block, and the figures are functions of it.
"""

import dataclasses
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vecml.comparison.arms import limit_arm, make_group, null_name, thread_variables
from vecml.comparison.budget import Budget
from vecml.comparison.compare import Job, probe_rows, write_files
from vecml.comparison.comparison import Record, measured_limits, median_call_seconds
from vecml.comparison.files import shared_folder
from vecml.comparison.gate import faults
from vecml.comparison.sitting import sit
from vecml.config import Setting
from vecml.device import usable_cpus
from vecml.errors import SettingError
from vecml.lab.rungs import (
    FLOAT64_ROWS,
    OPENER,
    ROW_LOOP,
    Rung,
    choose_rungs,
    memory_bytes,
    touched_bytes,
)
from vecml.measure.claim import Claim, claim_of
from vecml.measure.kernels import Kernel
from vecml.measure.limits import fraction_of_limit, minimal_work
from vecml.measure.records import Arm, ArmMeasurement, Measured, Plan, Role
from vecml.measure.verdict import Family, Rules, Verdict, Word, judge
from vecml.model.network import Model
from vecml.numbers import finite_values
from vecml.progress import stage

SECONDS = 150.0  # for the measurement: eight launches, which give the rungs intervals of 10 to 20 %
QUICK_ROUNDS = 5
NULL = null_name(ROW_LOOP)
STOPPED_PAYING = ("undetected", "equivalent", "slower")


@dataclass(frozen=True, kw_only=True)
class Ladder(Record):
    """A ladder that was measured; `measured` has the times of whole calls.

    Attributes:
        data_source, model_digest, run_id: as in `vecml.comparison.comparison.Subject`.
        widths: of the network's layers.
        n_rows: number of rows of the input; a slow rung labels fewer of them.
        rungs: the rungs that were measured, in order.
        skipped: by the name of each rung that this machine lacks, the reason.
        rules: the bounds and levels of the verdicts.
        faults: by a rung's name, why it is invalid however fast it is.
    """

    data_source: str
    model_digest: str
    run_id: str | None
    widths: tuple[int, ...]
    n_rows: int
    rungs: tuple[Rung, ...]
    skipped: Mapping[str, str]
    rules: Rules
    faults: Mapping[str, str]


@dataclass(frozen=True)
class RungFigures:
    """The figures of one rung.

    Attributes:
        name, idea, rows: of the rung.
        rows_per_s: at the median block; None where it was not measured.
        before: ratio, interval and verdict against the rung before; None for the first rung.
        first: the same against the first rung; None for the first rung.
        failure: why it is invalid; None where it is valid.
        right: whether its answers are right; a rung with right answers is invalid where its measurement was disturbed.
        flips: number of labels that differ from the reference's; where the rung is valid, all of them are near ties.
        memory_bytes, touched_bytes: of a row; see `vecml.lab.rungs`.
        fraction_of_limit: share of the rate that this machine allows with every CPU in float32; None where that was not
            measured, and on a GPU.
    """

    name: str
    idea: str
    rows: int
    rows_per_s: float | None
    before: Verdict | None
    first: Verdict | None
    failure: str | None
    right: bool
    flips: int
    memory_bytes: int
    touched_bytes: int
    fraction_of_limit: float | None

    @property
    def word(self) -> Word | None:
        """The verdict against the rung before; None on the first rung and without verdicts."""
        return "invalid" if self.failure else None if self.before is None else self.before.verdict

    @property
    def stopped_paying(self) -> bool:
        """Whether it was measured well, and is not faster than the rung before."""
        return self.word in STOPPED_PAYING


def plan_ladder(*, quick: bool = False, began: float | None = None) -> Budget:
    """How much is measured: eight launches within `SECONDS`, or with `quick` one launch, which gives no verdicts.

    `began` is when the time began to run, by time.perf_counter; None: it begins with the measurement.
    """
    if quick:
        plan = Plan(launches=1, budget_seconds=None, rounds=QUICK_ROUNDS, warm_calls=2, warm_seconds=0.2)
        return Budget(plan, "quick", None, "default")
    plan = Plan(
        launches=8, budget_seconds=SECONDS, rounds=12, fewest_rounds=5, warm_calls=2, warm_seconds=0.25, limit_every=3
    )
    return Budget(plan, f"{SECONDS:g}s", None, "default", began)


def climb(job: Job, budget: Budget) -> Ladder:
    """Measure every rung on the job's rows and check its labels.

    Raises SettingError for a module of the user's own, which has no rungs, and where there is no row; StoreError and
    MeasureError as `vecml.comparison.compare.compare_settings` does.
    """
    model = job.model.chain
    if model is None:
        raise SettingError(
            f"{job.model.architecture} is a module of your own: the ladder takes it apart into layers, and cannot",
            "vecml compare measures it as it is; vecml ladder without --run climbs vecml's own network",
        )
    if not job.x_FN.shape[1]:
        raise SettingError("there is no row to infer", "give it at least one")
    n_rows = job.x_FN.shape[1]
    rungs, skipped = choose_rungs(model.architecture, n_rows)
    settings = {rung.name: rung.setting for rung in rungs}
    with shared_folder(5 * job.x_FN.nbytes) as folder:
        with stage("computing the reference"):
            label_N = write_files(job, settings, folder)
            np.save(folder / f"{FLOAT64_ROWS}.npy", np.ascontiguousarray(job.x_FN.T, dtype=np.float64))
        sitting = sit([make_arms(rungs, folder, _probe(model, job.x_FN, label_N, rungs))], budget)
    return Ladder(
        **sitting.recorded(),
        rules=sitting.rules,
        data_source=job.data_source,
        model_digest=model.digest,
        run_id=job.run_id,
        widths=model.architecture.widths,
        n_rows=n_rows,
        rungs=tuple(rungs),
        skipped=skipped,
        faults=sitting.faults(settings, faults(sitting.measured, settings, model.classes)),
    )


def make_arms(rungs: Sequence[Rung], folder: Path, probe: tuple[int, int] | None) -> list[Arm]:
    """An arm for each rung, the first one's copy, and the two limits of this machine: all take turns in one group."""
    by_name = {rung.name: rung for rung in rungs}

    def arm(name: str, role: Role, label: str) -> Arm:
        rung = by_name[name]
        payload = {
            "folder": str(folder),
            "setting": dataclasses.asdict(rung.setting),
            "probe": probe,
            "file": rung.file,
            "rows": rung.rows,
        }
        return Arm(label, OPENER, payload, role, rung.setting.threads, thread_variables(rung.setting.threads))

    kernels = [Kernel(kind, "float32", usable_cpus()) for kind in ("gemm", "copy")]
    return make_group(list(by_name), arm) + [limit_arm(kernel) for kernel in kernels]


def figures(ladder: Ladder) -> tuple[RungFigures, ...]:
    """The figures of every rung, in order; the same ladder gives the same figures."""
    by_name = {arm.name: arm for arm in ladder.measured.arms}
    measured = _per_row(ladder)
    count = max(1, len(ladder.rungs) - 1)
    family = _family(ladder, measured)
    first = {verdict.arm: verdict for verdict in family.verdicts}
    distrust = next((verdict.reason for verdict in family.verdicts if "cannot be trusted" in verdict.reason), None)
    found: list[RungFigures] = []
    for index, rung in enumerate(ladder.rungs):
        arm = by_name[rung.name]
        seconds = median_call_seconds(arm)
        before = None
        if index:
            before = _against(measured, ladder.rungs[index - 1].name, rung.name, ladder, count, distrust)
        failure = arm.failure or ladder.faults.get(rung.name)
        if before is not None and before.verdict == "invalid":
            failure = before.reason
        rate = None if not seconds else rung.rows / seconds
        found.append(
            RungFigures(
                name=rung.name,
                idea=rung.idea,
                rows=rung.rows,
                rows_per_s=rate,
                before=before,
                first=first.get(rung.name),
                failure=failure,
                right=arm.failure is None and (rung.name not in ladder.faults),
                flips=max((int(launch.facts.get("flips", 0)) for launch in arm.launches), default=0),
                memory_bytes=memory_bytes(rung, ladder.widths),
                touched_bytes=touched_bytes(rung, ladder.widths),
                fraction_of_limit=None if rate is None else _fraction(ladder, rung.setting, rate),
            )
        )
    return tuple(found)


def claim(ladder: Ladder) -> Claim:
    """Give what the verdicts of all rungs against the first one allow to be said."""
    return claim_of(_family(ladder, _per_row(ladder)))


def best(found: Sequence[RungFigures], claim: Claim) -> RungFigures | None:
    """The rung with the highest rate of those that are shown to be faster than the first; None where none is."""
    name = claim.best if claim.kind in ("fastest", "several") else None
    return next((rung for rung in found if rung.name == name and rung.first is not None), None)


def gain(found: Sequence[RungFigures], claim: Claim) -> float | None:
    """The rate of the best rung over the rate of the first rung; None where no rung is shown to be faster."""
    top = best(found, claim)
    return None if top is None or top.first is None else top.first.ratio


def _family(ladder: Ladder, measured: Measured) -> Family:
    """The verdicts of all rungs against the first one; `measured` has times by the row."""
    return judge(measured, ladder.rules, ladder.faults)[0]


def _per_row(ladder: Ladder) -> Measured:
    return per_row(ladder.measured, {rung.name: rung.rows for rung in ladder.rungs})


def per_row(measured: Measured, rows: Mapping[str, int]) -> Measured:
    """Divide each block's seconds by the rows of a call, so that ratios compare rates.

    Args:
        measured: with times of whole calls.
        rows: by the arm's name, the rows of a call; the null arm has those of the first rung, other arms have one.
    """
    counts = {**rows, NULL: rows.get(ROW_LOOP, 1)}

    def scaled(arm: ArmMeasurement) -> ArmMeasurement:
        count = counts.get(arm.name, 1)
        seconds = tuple(value / count for value in arm.blocks.seconds)
        return dataclasses.replace(arm, blocks=dataclasses.replace(arm.blocks, seconds=seconds))

    return dataclasses.replace(measured, arms=tuple(map(scaled, measured.arms)))


def _against(measured: Measured, before: str, name: str, ladder: Ladder, count: int, distrust: str | None) -> Verdict:
    """The verdict on a rung against the rung before, at its share of the significance level."""
    roles = {before: "baseline", name: "arm"}
    arms = tuple(
        dataclasses.replace(arm, role=roles[arm.name])  # type: ignore[arg-type]
        for wanted in (before, name)
        for arm in measured.arms
        if arm.name == wanted
    )
    rules = dataclasses.replace(
        ladder.rules, level=ladder.rules.level / count, drift_level=ladder.rules.drift_level / count
    )
    given = {one: reason for one, reason in ladder.faults.items() if one in roles}
    if distrust is not None:
        given = dict.fromkeys(roles, distrust)
    return judge(dataclasses.replace(measured, arms=arms), rules, given)[0].verdicts[0]


def _fraction(ladder: Ladder, setting: Setting, rate: float) -> float | None:
    """The rung's share of the limit with every CPU in float32, which is the same for all rungs."""
    limits = measured_limits(ladder.measured, statistics.median)
    cpus = max((arm.cpus for arm in ladder.measured.arms if arm.role == "limit"), default=1)
    gemm, copy = limits.gemm("float32", cpus), limits.copy(cpus)
    if gemm is None or copy is None or setting.device != "cpu":
        return None
    return fraction_of_limit(*minimal_work(ladder.widths, 4), ladder.n_rows, ladder.n_rows / rate, gemm, copy)


def _probe(
    model: Model, x_FN: NDArray[np.floating], label_N: NDArray[np.int64], rungs: Sequence[Rung]
) -> tuple[int, int] | None:
    """Find the indices of two rows that every rung labels and whose labels differ; None if all labels are the same."""
    fewest = min(rung.rows for rung in rungs)
    return probe_rows(model, np.ascontiguousarray(x_FN[:, :fewest]), label_N[:fewest])


def to_json_dict(ladder: Ladder) -> dict[str, Any]:
    """The ladder as JSON for programs: `version` 1, the figures, and every raw block."""
    found, said = figures(ladder), claim(ladder)
    top, times = best(found, said), gain(found, said)
    return {
        "version": 1,
        "kind": "ladder",
        "created": ladder.created,
        "vecml": ladder.vecml,
        "data_source": ladder.data_source,
        "model_digest": ladder.model_digest,
        "run_id": ladder.run_id,
        "widths": list(ladder.widths),
        "n_rows": ladder.n_rows,
        "gain": times,
        "best": None if top is None else top.name,
        "rungs": [
            {
                **{key: value for key, value in dataclasses.asdict(rung).items() if key not in ("before", "first")},
                "verdict": rung.word,
                "stopped_paying": rung.stopped_paying,
                "before": _verdict_dict(rung.before),
                "first": _verdict_dict(rung.first),
            }
            for rung in found
        ],
        "skipped": dict(ladder.skipped),
        "faults": dict(ladder.faults),
        "rules": dataclasses.asdict(ladder.rules),
        "environment": dict(ladder.environment),
        "load_before": dataclasses.asdict(ladder.load_before),
        "load_after": dataclasses.asdict(ladder.load_after),
        "measured": dataclasses.asdict(ladder.measured),
    }


def _verdict_dict(verdict: Verdict | None) -> dict[str, Any] | None:
    """The verdict's fields, with None for numbers that JSON does not have."""
    return None if verdict is None else finite_values(dataclasses.asdict(verdict))

"""`--engine auto`: the engine to run a model's architecture and so many rows by on this machine.

It is found by a comparison like any other, and kept: by architecture, power of ten of the rows and environment key, so
that it costs nothing the second time, for a newly trained model of the same architecture too.
"""

import dataclasses
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vecml import cache
from vecml.comparison.compare import Job, compare_settings, plan_comparison
from vecml.comparison.comparison import ArmFigures, Comparison, families, figures, is_right
from vecml.comparison.settings import BASELINE, Chosen, choose_runnable
from vecml.config import Setting
from vecml.engines.registry import check
from vecml.environment import describe
from vecml.errors import EngineUnavailableError, MeasureError, SettingError
from vecml.measure.claim import Claim, claim_of
from vecml.model.network import AnyModel

MOST_ROWS = 2_000_000  # several times every cache: more rows are no faster or slower, each
BY_FAR = 1.25  # a lead that the disturbances of a shared machine do not turn round

_CACHE_KIND = "auto"
_FORMAT = 2  # 1 also remembered the highest rate where no verdict said anything


@dataclass(frozen=True)
class Choice:
    """The way to run inference that was chosen.

    Attributes:
        setting: what to run; nothing "auto" in it.
        reason: one line: how much faster, whether the labels are the same, and from how many rows it pays.
        kept: whether it comes from an earlier comparison.
    """

    setting: Setting
    reason: str
    kept: bool


def choose_engine(
    model: AnyModel, x_FN: NDArray[np.floating], candidates: Sequence[Setting], budget: str = "90s"
) -> Choice:
    """Choose by a comparison which of `candidates` runs `model` over tables of about as many rows as x_FN (F, N) has.

    Nothing is measured if an earlier comparison on this machine with these libraries found the answer.

    Args:
        model: the classifier to run.
        x_FN: float32 or float64 features to measure with.
        candidates: settings of one layout and precision; those that cannot run `model` here are left out.
        budget: wall time of the comparison, `60s` or `5m`.

    Raises EngineUnavailableError when none of them can run, SettingError for a budget that is too short, MeasureError
    when none gave right answers.
    """
    runnable = _runnable(model, candidates)
    if len(runnable) == 1:
        return Choice(runnable[0], f"{runnable[0].engine}: no other engine here runs this model so", kept=False)
    key = _key(model, x_FN, candidates)
    if (kept := _kept(key, runnable)) is not None:
        return kept
    began = time.perf_counter()
    x_FN = np.ascontiguousarray(x_FN[:, :MOST_ROWS])
    baseline = BASELINE if any(setting.engine == BASELINE for setting in runnable) else None
    chosen = choose_runnable(runnable, baseline, model, x_FN)
    try:
        plan = plan_comparison(chosen, budget, began)
    except SettingError as error:  # its hint is a comparison's, which may go without a verdict
        would_do = (error.hint or "").partition(";")[0]
        raise SettingError(error.message, f"{would_do}; or name one, such as --engine {runnable[0].engine}") from None
    comparison = compare_settings(Job(model, x_FN, data_source="auto"), chosen, plan)
    setting, reason, certain = conclude(comparison, chosen)
    if certain:
        cache.write(_CACHE_KIND, key, {"format": _FORMAT, "setting": asdict(setting), "reason": reason})
    return Choice(setting, reason, kept=False)


def conclude(comparison: Comparison, chosen: Chosen) -> tuple[Setting, str, bool]:
    """Choose a setting by a comparison; return it, the reason in one line, and whether the choice is certain.

    Several settings may be tied: no verdict says which of them is faster. Then it chooses the one with the highest
    estimate, or the simplest one whose estimate differs from that by less than the A/A gate.

    The choice is certain where the verdicts name such settings. Because of disturbances they may name none, or leave
    out one that is far faster. Then it chooses the highest rate, and the reason says that no verdict shows it to be the
    fastest; such a choice is certain only where no other setting gave right answers, and is not remembered else.

    Raises MeasureError when no setting gave right answers.
    """
    found = {arm.name: arm for arm in figures(comparison)}
    family = families(comparison)[0]
    ranked = sorted(
        (arm for arm in found.values() if arm.rows_per_s and is_right(comparison, arm.name)),
        key=lambda arm: arm.rows_per_s or 0.0,
        reverse=True,
    )
    if not ranked:
        why = next((arm.failure for arm in found.values() if arm.failure), "nothing was measured")
        raise MeasureError(f"--engine auto: no engine gave right answers: {why}", "name one with --engine")
    said = claim_of(family)
    best = _quickest(comparison, said, found)
    # A baseline that is left alone because all others' rounds were disturbed is no answer.
    disturbed = best is None or _leads(ranked[0], found[best])
    name = ranked[0].name if best is None or disturbed else best
    certain = not disturbed or len(ranked) == 1
    why = _without_verdict(found, name, said) if disturbed else _reason(found, name, said)
    return chosen.settings[name], why, certain


def _quickest(comparison: Comparison, said: Claim, found: Mapping[str, ArmFigures]) -> str | None:
    """Of the settings that verdicts leave in front, the simplest whose estimate is within the gate of the highest.

    None where no verdict leaves any.
    """
    estimates = {}
    for name in said.leading:
        verdict = found[name].verdict
        estimates[name] = 1.0 if verdict is None or verdict.ratio is None else verdict.ratio
    highest = max(estimates.values(), default=0.0)
    near = [name for name, ratio in estimates.items() if ratio * (1 + comparison.rules.gate) >= highest]
    return min(near, key=comparison.simplest.index, default=None)


def _leads(arm: ArmFigures, other: ArmFigures) -> bool:
    """Whether the rate of `arm` is more than `BY_FAR` times the rate of `other`."""
    return (arm.rows_per_s or 0.0) > BY_FAR * (other.rows_per_s or 0.0)


def _reason(found: Mapping[str, ArmFigures], name: str, said: Claim) -> str:
    """Why the setting `name` is taken, where verdicts leave it in front."""
    if name != said.baseline:
        return f"{name}: {_times(found, name, said.baseline)}"
    arm = found[name]
    others = [other for other in found.values() if other.name != name and other.rows_per_s and not other.failure]
    text = f"{name}: no other engine was certainly faster"
    if others and arm.rows_per_s:
        second = max(others, key=lambda other: other.rows_per_s or 0.0)
        text += f"; next is {second.name}, {(second.rows_per_s or 0) / arm.rows_per_s:.2f} times its rate"
    return text


def _without_verdict(found: Mapping[str, ArmFigures], name: str, said: Claim) -> str:
    """Why the setting `name` is taken, where no verdict shows it to be faster than the others."""
    why = said.reason or "some of the rounds were disturbed"
    if name == said.baseline:
        return f"{name}: no answer: {why}; its rate was the highest"
    return f"{name}: no answer: {why}; its rate was {_times(found, name, said.baseline)}"


def _times(found: Mapping[str, ArmFigures], name: str, baseline: str) -> str:
    """How many times the baseline's rate it reaches, whether the labels are the same, and from where it pays."""
    arm, base = found[name], found[baseline]
    if not arm.rows_per_s or not base.rows_per_s:
        return f"the only one that was measured, {baseline} gave none"
    ratio = arm.rows_per_s / base.rows_per_s
    if arm.verdict is not None and arm.verdict.ratio is not None:
        ratio = arm.verdict.ratio
    labels = "same labels" if not arm.flips else f"same labels but for {arm.flips:,} near ties"
    text = f"{ratio:.1f} times {baseline}, {labels}"
    if arm.load_seconds is not None:
        text += f", ready in {arm.load_seconds:.1f} s"
        saving = 1 / base.rows_per_s - 1 / arm.rows_per_s
        if saving > 0:
            text += f"; worth it from {_to_two_digits(arm.load_seconds / saving):,} rows"
    return text


def _to_two_digits(rows: float) -> int:
    return int(float(f"{rows:.1e}")) if rows >= 1 else 1


def _runnable(model: AnyModel, candidates: Sequence[Setting]) -> list[Setting]:
    runnable, reasons = [], []
    for setting in candidates:
        try:
            check(model, setting)
        except EngineUnavailableError as error:
            reasons.append(error.message)
        else:
            runnable.append(setting)
    if not runnable:
        raise EngineUnavailableError(
            f"--engine auto: no engine runs this model here: {reasons[0] if reasons else 'there is no candidate'}",
            "vecml doctor shows what this machine has",
        )
    return runnable


def _key(model: AnyModel, x_FN: NDArray[np.floating], candidates: Sequence[Setting]) -> str:
    first, n_rows = candidates[0], x_FN.shape[1]
    devices = ".".join(dict.fromkeys(setting.device for setting in candidates))
    return "-".join(
        (
            model.architecture.digest,
            f"rows1e{len(str(max(1, n_rows))) - 1}",
            x_FN.dtype.name,
            first.precision,
            first.layout,
            first.isa,
            f"threads{first.threads}",
            f"block{first.block_rows or 'auto'}",
            devices,
            describe().environment_key,
        )
    )


def _kept(key: str, runnable: Sequence[Setting]) -> Choice | None:
    """Read the choice of an earlier comparison from the cache; None without one, or if its setting cannot run now."""
    entry: dict[str, Any] | None = cache.read(_CACHE_KIND, key)
    if entry is None or entry.get("format") != _FORMAT:
        return None
    try:
        setting = Setting(**entry["setting"])
        reason = str(entry["reason"])
    except (KeyError, TypeError):
        return None
    if not any(dataclasses.replace(setting, block_rows=known.block_rows) == known for known in runnable):
        return None
    return Choice(setting, reason, kept=True)

"""Convert results to the params, metrics and tags that MLflow stores, under the keys of `vecml.keys`.

This module does not know MLflow: the values are plain, and `tasks.tracking` logs them.
"""

import dataclasses
import io
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from vecml.comparison.auto import Choice
from vecml.comparison.comparison import ArmFigures, Comparison, disturbed, families, figures, names_in
from vecml.config import PipelineConfig, Setting
from vecml.data.split import Split
from vecml.data.table import Table
from vecml.environment import Environment
from vecml.inference.infer import Inference
from vecml.keys import (
    AUTO,
    CALL_METRICS,
    CALL_PARAMS,
    CHOICE,
    COMPUTING,
    CONFIG_PARAMS,
    DATA_PARAMS,
    DIGEST_TAGS,
    HELD_OUT_METRIC,
    KIND,
    LOSS_METRIC,
    NONE,
    PARENT_METRICS,
    PARENT_PARAMS,
    PLACE_TAGS,
    RECIPE_PARAMS,
    SETTING_PARAMS,
    STAGES,
    STOPPED,
    TRIED_METRIC,
    text,
)
from vecml.measure.claim import BUSY, claim_of
from vecml.model.evaluate import Evaluation
from vecml.model.recipe import NOTEBOOK_HIDDEN, known_recipe
from vecml.model.simple_models import SimpleModel
from vecml.numbers import finite_values
from vecml.tracked_run import TrackedRun

if TYPE_CHECKING:  # torch, which whoever shows a record does without
    from vecml.model.train import Training


@dataclass(frozen=True)
class PipelineRecord:
    """All results of a pipeline run.

    Attributes:
        config: the configuration.
        table: the table without its rows: source, classes, digest and number of rows (`columns` is empty).
        split: training part, test part and encoding.
        training, inference, evaluation: the results of these tasks.
        seconds: wall time of each of `STAGES`, only of the computation.
        environment: the machine and the libraries.
        run: the run in MLflow.
        choice: the engine that was chosen, and why; None where the user named one.
        simple: what simple models give on the same rows; empty where none was asked for.
    """

    config: PipelineConfig
    table: Table = field(repr=False)
    split: Split = field(repr=False)
    training: "Training" = field(repr=False)
    inference: Inference = field(repr=False)
    evaluation: Evaluation = field(repr=False)
    seconds: Mapping[str, float]
    environment: Environment = field(repr=False)
    run: TrackedRun
    choice: Choice | None = None
    simple: tuple[SimpleModel, ...] = ()


def setting_params(setting: Setting) -> dict[str, str]:
    """Give the params of a setting: `SETTING_PARAMS`."""
    return {name: text(getattr(setting, name)) for name in SETTING_PARAMS}


def config_params(config: PipelineConfig) -> dict[str, str]:
    """Give those of `CONFIG_PARAMS` that are known before anything is read; `none` where the run ignores one.

    Of `RECIPE_PARAMS` those are missing that the table decides: `recipe_params` gives them after the training.
    """
    values = {name: getattr(config, name) for name in CONFIG_PARAMS}
    recipe = known_recipe(config)
    if recipe is not None:
        values |= {name: getattr(recipe, name) for name in (*RECIPE_PARAMS, "epochs")}
    values["epochs"] = values["epochs"] or AUTO
    if config.architecture is not None:
        values |= {"hidden": NONE, "activation": None}
    if config.weights is not None:
        values |= {"weights": Path(config.weights).name, "hidden": values["hidden"] or NOTEBOOK_HIDDEN}
        values |= dict.fromkeys(("epochs", "batch_size", "learning_rate", "weight_decay"), NONE)
    return {name: text(value) for name, value in values.items() if value is not None or name not in RECIPE_PARAMS}


def recipe_params(record: PipelineRecord) -> dict[str, str]:
    """Give `RECIPE_PARAMS` of a training, as they were chosen where the configuration left them open."""
    known = config_params(record.config)
    return {name: known.get(name, text(getattr(record.training.recipe, name, None))) for name in RECIPE_PARAMS}


def data_params(table: Table, n_features: int) -> dict[str, str]:
    """Give the params of the data, `DATA_PARAMS`; `n_features` is the number of encoded features."""
    values = (table.source, table.n_rows, n_features, len(table.classes))
    return {name: text(value) for name, value in zip(DATA_PARAMS, values, strict=True)}


def metrics(record: PipelineRecord) -> dict[str, float]:
    """Give every metric but the training's `loss_curves`; unknown ones are left out, for example peak memory."""
    evaluation, measurement = record.evaluation, record.inference.measurement
    replicas, course, seen = evaluation.replicas, record.training.course, record.inference.window
    values: dict[str, float | None] = {
        "train/steps": None if course is None else course.steps,
        "train/best_step": None if course is None else course.best_step,
        "train/epochs": None if course is None else course.epochs,
        "train/held_out_rows": None if course is None else course.held_out_rows,
        **{f"time/{stage}_s": record.seconds[stage] for stage in STAGES},
        "test/accuracy": evaluation.accuracy,
        "test/accuracy_low": evaluation.accuracy_low,
        "test/accuracy_high": evaluation.accuracy_high,
        "test/majority_accuracy": evaluation.majority_accuracy,
        "test/macro_f1": evaluation.macro_f1,
        "test/log_loss": evaluation.log_loss,
        "test/roc_auc": evaluation.roc_auc,
        "test/flips": len(evaluation.flips.row_N),
        "test/reference_rows": evaluation.flips.reference_rows,
        "test/unseen_categories": record.split.test.unseen_categories,
        "test/seen_rows": record.split.seen_rows,
        "test/balanced_accuracy": evaluation.balanced_accuracy,
        "test/average_precision": evaluation.average_precision,
        **{f"test/{one.key}_accuracy": one.accuracy for one in record.simple},
        **{f"test/{one.key}_p_value": one.p_value for one in record.simple},
        "time/simple_models_s": sum(one.seconds for one in record.simple) if record.simple else None,
        "test/replicas_accuracy_mean": None if replicas is None else replicas.mean,
        "test/replicas_accuracy_low": None if replicas is None else replicas.low,
        "test/replicas_accuracy_high": None if replicas is None else replicas.high,
        "infer/rows_per_s": measurement.rows_per_s,
        "infer/fraction_of_limit": record.inference.fraction_of_limit,
        "infer/peak_rss_mb": None if measurement.peak_rss_bytes is None else measurement.peak_rss_bytes / 1e6,
        "infer/foreign_cpus": None if seen is None else seen.foreign_cpus,
    }
    return {name: float(value) for name, value in values.items() if value is not None}


def loss_curves(training: "Training") -> dict[str, list[tuple[int, float]]]:
    """Give the losses of a training by metric, as (step, value).

    They are by epoch from 1, or by the steps of its course; those of the settings that were tried by their number.
    """
    course = training.course
    if course is None:
        return {LOSS_METRIC: list(enumerate(training.losses, 1))}
    tried = [(number, one.held_out_loss) for number, one in enumerate(training.tried, 1)]
    return {
        **({TRIED_METRIC: [point for point in tried if math.isfinite(point[1])]} if tried else {}),
        LOSS_METRIC: list(zip(course.at_step[1:], course.train_losses[1:], strict=True)),
        HELD_OUT_METRIC: list(zip(course.at_step, course.held_out_losses, strict=True)),
    }


def end_tags(record: PipelineRecord) -> dict[str, str]:
    """Give the tags that only a finished run has.

    The reason of the engine's choice is among them where vecml chose it, and the reason of the training's end where the
    number of epochs was not given.
    """
    course = record.training.course
    return {
        **({} if record.choice is None else {CHOICE: record.choice.reason}),
        **({} if course is None else {STOPPED: course.reason}),
        "vecml.launches": str(record.inference.measurement.launches),
        "vecml.precision_used": record.inference.precision_used,
        "vecml.data_digest": record.table.digest,
        "vecml.architecture_digest": record.training.model.architecture.digest,
        "vecml.model_digest": record.training.model.digest,
    }


def parent_params(comparison: Comparison) -> dict[str, str]:
    """Give the params of a comparison, `PARENT_PARAMS`; n_rows is the number of rows that every setting inferred."""
    subject, arms = comparison.subject, comparison.measured.arms
    n_features = subject.widths[0] if subject.widths else None
    n_rows = subject.n_rows if comparison.settings else None
    values = (
        *(subject.data_source, n_rows, n_features, subject.n_classes or None),
        comparison.budget,
        tuple(dict.fromkeys(arm.name for arm in arms if arm.role == "baseline")),
        len({arm.name for arm in arms if arm.role in ("baseline", "arm")}),
    )
    return {name: text(value) for name, value in zip(PARENT_PARAMS, values, strict=True)}


def parent_metrics(comparison: Comparison) -> dict[str, float]:
    """Give the known values of `PARENT_METRICS`; those of the best setting only where verdicts show which it is.

    If it was measured afresh, they are those of its fresh launches alone.
    Where requests of several sizes were compared, there is no one best setting.
    """
    found = {arm.name: arm for arm in figures(comparison)}
    claims = [claim_of(family) for family in families(comparison)]
    best = found.get(claims[0].best or "") if len(claims) == 1 and claims[0].kind in ("fastest", "several") else None
    ratio = None if best is None else 1.0 if best.verdict is None else best.verdict.ratio
    rate = None if best is None else best.fresh_rows_per_s or best.rows_per_s
    if not comparison.settings:  # no rows
        rate = None
    valid = sum(_word(comparison, arm)[0] not in ("invalid", BUSY) for arm in found.values())
    values = (valid, rate, ratio)
    known = zip(PARENT_METRICS, values, strict=True)
    return {name: float(value) for name, value in known if value is not None and math.isfinite(value)}


def parent_end_tags(comparison: Comparison) -> dict[str, str]:
    """Give the tags that only a finished comparison has: `PARENT_END_TAGS`."""
    return {"vecml.launches": str(comparison.measured.launches), **_place(comparison), **_digests(comparison)}


def child_params(arm: ArmFigures) -> dict[str, str]:
    """Give the params of a comparison's arm: `CHILD_PARAMS` of a setting, `CALL_PARAMS` of a command."""
    if arm.setting is not None:
        return setting_params(arm.setting)
    return {name: text(arm.facts[name]) for name in CALL_PARAMS if name in arm.facts}


def child_metrics(arm: ArmFigures) -> dict[str, float]:
    """Give the known and finite values of a comparison's arm; a baseline's ratio is 1.

    They are `CHILD_METRICS` of a setting, and `CALL_METRICS` of a function or a command.
    """
    values = _call_metrics(arm) if arm.setting is None else _setting_metrics(arm)
    return {name: float(value) for name, value in values.items() if value is not None and math.isfinite(value)}


def _call_metrics(arm: ArmFigures) -> dict[str, float | None]:
    verdict, facts = arm.verdict, arm.facts
    own = None if arm.rows_per_s is None else 1.0
    rates = (arm.rows_per_s, arm.rows_per_s_high, arm.rows_per_s_low)
    values = (
        *(1 / rate if rate and math.isfinite(rate) else None for rate in rates),
        own if verdict is None else verdict.ratio,
        own if verdict is None else verdict.ratio_low,
        own if verdict is None else verdict.ratio_high,
        facts.get("user_seconds"),
        facts.get("system_seconds"),
        None if arm.peak_rss_bytes is None else arm.peak_rss_bytes / 1e6,
        arm.canary_seconds,
    )
    return dict(zip(CALL_METRICS, values, strict=True))


def _setting_metrics(arm: ArmFigures) -> dict[str, float | None]:
    verdict = arm.verdict
    own = None if arm.rows_per_s is None else 1.0
    return {
        "infer/rows_per_s": arm.rows_per_s,
        "infer/rows_per_s_low": arm.rows_per_s_low,
        "infer/rows_per_s_high": arm.rows_per_s_high,
        "infer/ratio": own if verdict is None else verdict.ratio,
        "infer/ratio_low": own if verdict is None else verdict.ratio_low,
        "infer/ratio_high": own if verdict is None else verdict.ratio_high,
        "infer/load_s": arm.load_seconds,
        "infer/peak_rss_mb": None if arm.peak_rss_bytes is None else arm.peak_rss_bytes / 1e6,
        "infer/fraction_of_limit": arm.fraction_of_limit,
        "infer/break_even_rows": arm.break_even_rows,
        "infer/p50_s": arm.percentile_seconds.get(0.5),
        "canary/seconds": arm.canary_seconds,
        "test/accuracy": arm.accuracy,
        "test/flips": arm.flips if arm.rows_scored else None,
    }


def child_tags(comparison: Comparison, arm: ArmFigures) -> dict[str, str]:
    """Give the tags of a comparison's setting: `CHILD_END_TAGS`, and kind, version and keys of `START_TAGS`."""
    verdict, reason = _word(comparison, arm)
    baseline = arm.name if arm.verdict is None else arm.verdict.baseline
    measured = next(one for one in comparison.measured.arms if one.name == arm.name)
    keys = ("machine_key", "software_key", "environment_key")
    return {
        KIND: comparison.noun,
        "vecml.version": comparison.vecml,
        **{f"vecml.{key}": text(comparison.environment.get(key)) for key in keys},
        "vecml.verdict": verdict,
        "vecml.reason": reason,
        "vecml.baseline": baseline,
        "vecml.tied": _tied(comparison, arm),
        **_place(comparison),
        "vecml.launches": str(len(set(measured.blocks.launch))),
        "vecml.precision_used": text(arm.precision_used),
        **_digests(comparison),
    }


def _word(comparison: Comparison, arm: ArmFigures) -> tuple[str, str]:
    """The word that stands for a setting's verdict, with the reason.

    Figures of a quick look, and those of a baseline beside which nothing counts, are `busy` where too many of their
    rounds were disturbed, so that they are in no history.
    """
    if arm.verdict is None and arm.failure is not None:
        return "invalid", arm.failure
    claim = next(claim_of(one) for one in families(comparison) if arm.name in names_in(one))
    if claim.kind == "busy" and arm.verdict is None:
        return BUSY, f"while {claim.reason}"
    if not claim.shown and (arm.verdict is None or arm.verdict.verdict is None):
        reason = disturbed(comparison, arm.name)
        if reason is not None:
            return BUSY, reason
    return ("baseline", NONE) if arm.verdict is None else (text(arm.verdict.verdict), arm.verdict.reason)


def _tied(comparison: Comparison, arm: ArmFigures) -> str:
    """Say whether the setting may be the fastest by the verdicts; none where no verdict says anything about it."""
    for family in families(comparison):
        if arm.name in names_in(family):
            claim = claim_of(family)
            if claim.shown and arm.name not in claim.left_out:
                return "yes" if arm.name in claim.leading else "no"
    return NONE


def _place(comparison: Comparison) -> dict[str, str]:
    """Name machine and libraries, so that differences between two runs are visible without opening an artifact."""
    facts = comparison.environment
    host = f"{facts.get('cpu_model') or 'unknown CPU'}, {facts.get('usable_cpus') or 'unknown'} CPUs"
    if facts.get("gpus"):
        host += f", {', '.join(facts['gpus'])}"
    libraries = ", ".join(f"{name} {facts[name]}" for name in COMPUTING if facts.get(name))
    return dict(zip(PLACE_TAGS, (host, libraries or NONE), strict=True))


def _digests(comparison: Comparison) -> dict[str, str]:
    subject = comparison.subject
    digests = (subject.data_digest, subject.architecture_digest, subject.model_digest)
    return dict(zip(DIGEST_TAGS, digests, strict=True))


def labels_npz(record: PipelineRecord) -> bytes:
    """Write the test rows' labels as an .npz without pickle, so that two runs can be compared row by row.

    row_N int64 (row of the file, from 0), true_N and label_N int32 (index into `classes`), classes (text), and for each
    flip its row, its label, the reference engine's label and the margin of the reference's logits.
    """
    test, flips = record.split.test, record.evaluation.flips
    content = io.BytesIO()
    np.savez(
        content,
        row_N=test.row_N,
        true_N=test.label_N.astype(np.int32),
        label_N=record.inference.label_N.astype(np.int32),
        classes=np.array(record.table.classes, dtype=np.str_),
        flip_row=test.row_N[flips.row_N],
        flip_label=flips.label_N,
        flip_reference=flips.reference_N,
        flip_margin=flips.margin_N,
    )
    return content.getvalue()


def to_json(record: PipelineRecord) -> str:
    """Write the run as JSON, for programs: `version` 1, then the logged params, metrics and tags under their keys.

    `decisions` are what was decided for the user while the table was read.
    """
    n_features, replicas = record.training.model.architecture.n_features, record.evaluation.replicas
    content = {
        "version": 1,
        "kind": "pipeline",
        "run": dataclasses.asdict(record.run),
        "params": {
            **setting_params(record.inference.setting),
            **config_params(record.config),
            **recipe_params(record),
            **data_params(record.table, n_features),
        },
        "metrics": finite_values(metrics(record)),
        "losses": list(record.training.losses),
        "curves": {name: points for name, points in loss_curves(record.training).items() if name != LOSS_METRIC},
        "replicas_accuracy": [] if replicas is None else replicas.accuracy_R.tolist(),
        "tags": end_tags(record),
        "tried": [finite_values(dataclasses.asdict(one)) for one in record.training.tried],
        "simple_models": [dataclasses.asdict(one) for one in record.simple],
        "classes": list(record.table.classes),
        "never_predicted": list(record.evaluation.never_predicted),
        "decisions": [{"code": one.code, "column": one.column, "what": one.what} for one in record.table.decisions],
        "confusion": record.evaluation.confusion_CC.tolist(),
    }
    return json.dumps(content, indent=1, allow_nan=False)

"""Promote a run's model to champion: choose its setting, compare its labels with the champion's, move the alias.

In a local store one lock covers all of it; in any store the alias is checked (`tasks.tracking.registry`).
"""

import dataclasses
import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.tracking.read import open_existing, read_run
from tasks.tracking.registry import (
    MODEL_DIGEST,
    NAME,
    RUN_NAME,
    Version,
    check_name,
    delete_version,
    find_version,
    move_champion,
    promotion_lock,
    promotion_tags,
    read_registered_model_in,
    register,
)
from tasks.tracking.store import Store, search, store_errors
from tasks.tracking.stored_run import COMPARISON, StoredRun, artifact, comparison_of, read_stored_run
from vecml import __version__
from vecml.comparison.comparison import Comparison, families, figures, recommended
from vecml.comparison.document import from_json
from vecml.comparison.reference import reference_labels, reference_logits, tolerance
from vecml.comparison.subject import RecordedRun, job_of_run
from vecml.config import DATABASES, Setting
from vecml.data import builtin
from vecml.data.files import warn_of
from vecml.data.origin import read_origin
from vecml.data.selection import listed
from vecml.data.sources import load_table
from vecml.data.split import split_rows
from vecml.errors import DataError, MeasureError, ModelError, StoreError
from vecml.keys import COMPARE, KIND, NONE, SETTING_PARAMS
from vecml.measure.claim import NOT_AGAIN, Claim, claim_of
from vecml.model.promotion_test import Decision, decide
from vecml.numbers import count

LABELS = "labels.npz"
WRONG_CHAMPION = "--name NAME keeps a champion of its own; --force promotes without the test, and that is written down"


@dataclass(frozen=True)
class ChosenSetting:
    """The setting that was chosen to run a model.

    Attributes:
        setting: a complete setting, without `auto`.
        why: the reason, one sentence.
        comparison: run id of the comparison that it comes from, or None.
    """

    setting: Setting
    why: str
    comparison: str | None = None


@dataclass(frozen=True)
class Promotion:
    """The result of an attempt to promote a run's model.

    Attributes:
        promoted: whether the model is champion now.
        reason: the reason, one sentence.
        run: name of the pipeline run.
        chosen: the setting that is stored beside the model.
        decision: the paired test; None for the first champion, or where no test was possible and --force was given.
        former: the champion that the model was compared with, or None.
        version: the new champion; None where the model was refused.
        forced: whether the model was promoted against the test or without it.
    """

    promoted: bool
    reason: str
    run: str
    chosen: ChosenSetting
    decision: Decision | None
    former: Version | None
    version: Version | None
    forced: bool = False


def promote(
    asked: str,
    name: str = NAME,
    *,
    comparison: str | None = None,
    architecture: str | None = None,
    force: bool = False,
) -> Promotion:
    """Make the model of a pipeline run the champion of `name`, if it is not worse and its setting is valid.

    Args:
        asked: the run's id, the beginning of its id, or its name.
        name: name of the registered model.
        comparison: the comparison whose setting is taken; None: the run's latest, else the run's own setting.
        architecture: `package.module:Class` of a model that is a module of the user's own.
        force: promote whatever the test says; the test's numbers are stored all the same.

    Raises StoreError and ModelError as `read_run` does; StoreError also for a model that is champion already, and where
    the alias moved meanwhile; MeasureError without a valid setting; DataError where the two cannot be compared.
    """
    check_name(name)
    store, run = open_existing(asked), read_run(asked, architecture)
    with promotion_lock(store.location):
        former = read_registered_model_in(store, name).champion
        chosen = choose_setting(store, run, comparison)
        decision, forced = None, False
        if former is not None:
            if former.run_id == run.run_id and former.setting == chosen.setting:
                raise StoreError(
                    f"run {run.name} is champion already: version {former.number} of model {name!r}, in this setting",
                    "name another run, or compare its settings anew: vecml compare --run",
                )
            try:
                decision = _compared(former, run, architecture)
            except (DataError, StoreError, ModelError) as error:
                if not force:
                    raise DataError(
                        f"run {run.name} cannot be held against the champion, version {former.number}: {error.message}",
                        "; ".join(part for part in (error.hint, WRONG_CHAMPION) if part),
                    ) from None
                forced = True
            if decision is not None and not decision.allowed:
                if not force:
                    return Promotion(False, decision.reason, run.name, chosen, decision, former, None)
                forced = True
        reason = _reason(former, decision, forced)
        tags = _tags(run, chosen, decision, former, forced=forced, reason=reason)
        version = register(store, name, run.run_id, chosen.setting, tags)
        try:
            move_champion(store, version, former)
        except StoreError:
            delete_version(store, version)
            raise
        return Promotion(True, reason, run.name, chosen, decision, former, version, forced)


def choose_setting(store: Store, run: RecordedRun, asked: str | None = None) -> ChosenSetting:
    """Choose the best valid setting from the comparison `asked`, else from the latest one of the run's model.

    Without a comparison it is the run's own setting, if that is valid.

    Raises StoreError where `asked` is no comparison, or one of another model; MeasureError without a valid setting.
    """
    if asked is not None:
        one = comparison_of(read_stored_run(asked))
        if one.kind != COMPARE or one.status != "FINISHED":
            raise StoreError(f"run {one.name} is no comparison that has come to its end", "vecml compare makes one")
        return _best(one, run)
    query = (
        f"tags.`{KIND}` = '{COMPARE}' and attributes.status = 'FINISHED'"
        f" and tags.`vecml.model_digest` = '{run.model_digest}'"
    )
    with store_errors(store.location):
        latest = search(store, query, 1)
    return _best(read_stored_run(latest[0].info.run_id), run) if latest else _own(read_stored_run(run.run_id), run)


def _best(found: StoredRun, run: RecordedRun) -> ChosenSetting:
    content = artifact(found, COMPARISON)
    if content is None:
        raise StoreError(
            f"comparison {found.name} has no {COMPARISON}", f"compare again: vecml compare --run {run.name}"
        )
    comparison = from_json(content, f"{found.name}/{COMPARISON}")
    if comparison.subject.model_digest != run.model_digest:
        raise StoreError(
            f"comparison {found.name} is of another model than run {run.name}'s", f"vecml compare --run {run.name}"
        )
    judged = families(comparison)
    throughput = [family for family in judged if comparison.settings[family.baseline].request_rows is None]
    family = (throughput or list(judged))[0]
    name = recommended(comparison, family)
    failures = {one.name: one.failure for one in figures(comparison)}
    if name is None and family.best is not None and failures[family.baseline] is None:
        name = family.baseline  # it is valid, and nothing is shown to be faster
    if name is None:
        raise MeasureError(
            f"comparison {found.name} of run {run.name} has no valid setting: {_first_failure(comparison)}",
            f"compare others: vecml compare --run {run.name} --engines all",
        )
    why = _why(claim_of(family), found.name)
    setting = comparison.settings[name]
    if setting.request_rows is not None:
        why += f", which measured single requests of {setting.request_rows:,} rows only"
        setting = dataclasses.replace(setting, request_rows=None)  # `vecml predict` labels whole blocks
    return ChosenSetting(setting, why, found.run_id)


def _why(claim: Claim, comparison: str) -> str:
    """The reason for the setting that is taken from a comparison, no more than its verdicts show."""
    if claim.kind == "fastest":
        return f"the fastest of {count(claim.counted, 'setting')} in comparison {comparison}"
    if claim.kind == "several":
        return f"the simplest of {len(claim.among)} that cannot be told from the fastest of comparison {comparison}"
    if claim.kind == "unsurpassed":
        none = "none is shown to be faster than the baseline"
        return f"the simplest of {len(claim.among)} in comparison {comparison}, of which {none}"
    if claim.reason.startswith(NOT_AGAIN):
        return f"the baseline of comparison {comparison}, which contradicts itself"
    if claim.kind == "nothing":
        return f"the only {'valid ' if claim.left_out else ''}setting of comparison {comparison}"
    baseline = f"the baseline of comparison {comparison}"
    if claim.kind == "quick":
        return f"{baseline}, which gives no verdict: it was too short"
    return f"{baseline}, which gives no verdict that holds on a quiet machine"


def _first_failure(comparison: Comparison) -> str:
    return next(
        (f"{one.name}: {one.failure}" for one in figures(comparison) if one.failure is not None), "nothing was measured"
    )


def _own(found: StoredRun, run: RecordedRun) -> ChosenSetting:
    """Take the run's own setting, if its labels are the reference's but for near ties."""
    setting = setting_of(found.params, run.name)
    used = found.tags.get("vecml.precision_used", setting.precision)
    if used != setting.precision:
        raise MeasureError(
            f"run {run.name} was asked for {setting.precision} and computed in {used}",
            f"compare its settings: vecml compare --run {run.name}",
        )
    labels = _labels(found)
    wrong = _wrong_flips(labels, run, setting) if len(labels["flip_row"]) else 0
    if wrong:
        raise MeasureError(
            f"the setting of run {run.name} is not valid: {count(wrong, 'label')} differ from the reference's and are"
            f" no near ties in {setting.precision}",
            f"compare its settings: vecml compare --run {run.name}",
        )
    return ChosenSetting(setting, "the run's own setting: its model was not compared yet")


def setting_of(params: Mapping[str, str], name: str) -> Setting:
    """Read the setting of the run `name` from its `params`. Raises StoreError where they hold no valid setting."""
    values: dict[str, Any] = {key: params[key] for key in SETTING_PARAMS if key in params}
    try:
        for key in ("device_index", "threads", "block_rows", "request_rows"):
            if key in values:
                values[key] = None if values[key] == NONE else int(values[key])
        return Setting(**values)
    except (TypeError, ValueError) as error:
        raise StoreError(f"run {name} does not say how it ran: {error}", "run it again: vecml run") from None


def _wrong_flips(labels: Mapping[str, NDArray[Any]], run: RecordedRun, setting: Setting) -> int:
    """Count the labels whose difference from the reference's labels is larger than rounding explains."""
    job = job_of_run(run)
    at = np.searchsorted(labels["row_N"], labels["flip_row"])
    logits = reference_logits(job.model, np.ascontiguousarray(job.x_FN[:, at]))
    allowed_NC = tolerance(job.model.architecture, setting.precision) * logits.scale_NC
    best_N, own_N = logits.logits_NC.argmax(axis=1), labels["flip_label"].astype(np.int64)
    row_N = np.arange(len(own_N))
    gap_N = logits.logits_NC[row_N, best_N] - logits.logits_NC[row_N, own_N]
    return int(np.count_nonzero(gap_N > allowed_NC[row_N, best_N] + allowed_NC[row_N, own_N]))


def _labels(found: StoredRun) -> dict[str, NDArray[Any]]:
    content = artifact(found, LABELS)
    if content is None:
        raise StoreError(f"run {found.name} has no {LABELS}", "run it again: vecml run")
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except (ValueError, EOFError, OSError, KeyError, zipfile.BadZipFile) as error:
        raise StoreError(f"{LABELS} of run {found.name} cannot be read: {error}", "run it again: vecml run") from None


def _compared(former: Version, run: RecordedRun, architecture: str | None) -> Decision:
    """Make the paired test: from both runs' labels if they have the same rows, else from the champion's model."""
    if not former.run_id:
        raise StoreError(f"{former.address} names no run", "it was registered by another program")
    before, own = read_stored_run(former.run_id), _labels(read_stored_run(run.run_id))
    right_N = own["label_N"] == own["true_N"]
    if before.tags.get("vecml.data_digest") == run.data_digest:
        theirs = _labels(before)
        if np.array_equal(theirs["row_N"], own["row_N"]) and np.array_equal(theirs["classes"], own["classes"]):
            return decide(theirs["label_N"] == theirs["true_N"], right_N)
    champion = read_run(former.run_id, architecture)
    return decide(_right_on(champion, run, own), right_N)


def _right_on(champion: RecordedRun, run: RecordedRun, own: Mapping[str, NDArray[Any]]) -> NDArray[np.bool_]:
    """Say which rows of the run's test part the champion's model labels right, with its own encoding, in float64."""
    encoding, classes = champion.classifier.encoding, run.classifier.encoding.classes
    if set(encoding.classes) != set(classes):
        raise DataError(
            f"it knows other classes: {listed(sorted(encoding.classes))}, the run {listed(sorted(classes))}"
        )
    table = load_table(run.config)
    if table.digest != run.data_digest:
        raise DataError(
            f"the data of run {run.name} has changed since", "bring it back as it was, or train on it again"
        )
    _, test_N = split_rows(table.label_N, table.classes, run.config.test_fraction, run.config.seed)
    if not np.array_equal(table.row_N[test_N], own["row_N"]):
        raise DataError(f"the test part of run {run.name} cannot be read again", "run it again: vecml run")
    data, there = run.config.data, {column.name for column in table.columns}
    if all(column.name in there for column in encoding.columns) or data is None or data.startswith(builtin.PREFIX):
        x_FN, _ = encoding.transform(table.columns, test_N, table.row_N)
    else:  # the run left out columns that the champion needs
        from vecml.data.raw import raw_columns  # noqa: PLC0415 -- imports pyarrow, which synthetic data do not need

        source = read_origin(run.config, warn_of)[0] if data.startswith(DATABASES) else data
        x_FN, _ = encoding.transform(raw_columns(source, encoding), table.row_N[test_N])
    label_N = reference_labels(champion.classifier.model, x_FN)
    name_N = np.array(champion.classifier.model.classes, np.str_)[label_N]
    right_N: NDArray[np.bool_] = name_N == np.array(classes, np.str_)[own["true_N"]]
    return right_N


def _reason(former: Version | None, decision: Decision | None, forced: bool) -> str:
    if former is None:
        return "it is the first: there was no champion to be held against"
    if decision is None:
        return f"forced: it could not be held against the champion, version {former.number}"
    return f"forced: {decision.reason}" if forced else decision.reason


def _tags(
    run: RecordedRun,
    chosen: ChosenSetting,
    decision: Decision | None,
    former: Version | None,
    *,
    forced: bool,
    reason: str,
) -> dict[str, str]:
    own = _labels(read_stored_run(run.run_id))
    tags = {
        "vecml.why": chosen.why,
        "vecml.comparison": chosen.comparison or NONE,
        RUN_NAME: run.name,
        MODEL_DIGEST: run.model_digest,
        "vecml.data_digest": run.data_digest,
        "vecml.version": __version__,
        "vecml.accuracy": repr(float(np.mean(own["label_N"] == own["true_N"]))),
        "vecml.test_rows": str(len(own["true_N"])),
        "vecml.reason": reason,
        "vecml.forced": "yes" if forced else "no",
        **promotion_tags(former),
    }
    if decision is not None:
        tags |= {
            "vecml.champion_accuracy": repr(decision.champion_accuracy),
            "vecml.only_champion": str(decision.only_champion),
            "vecml.only_challenger": str(decision.only_challenger),
            "vecml.p_value": repr(decision.p_value),
            "vecml.loss_p_value": repr(decision.loss_p_value),
        }
    return tags


@dataclass(frozen=True)
class StoredModel:
    """A stored model and the setting to run it.

    Attributes:
        address: the permanent address of the model: `models:/vecml/3`, or the run's id.
        run: the pipeline run that it comes from.
        setting: the setting that is stored beside the model, or the run's own.
        why: the reason why this setting was chosen.
    """

    address: str
    run: RecordedRun
    setting: Setting
    why: str


def find_model(asked: str, architecture: str | None = None) -> StoredModel:
    """Find the model that `asked` names: `models:/NAME@champion`, `models:/NAME/VERSION`, a run's id or its name.

    Raises SettingError for a malformed address, StoreError where there is no such model, ModelError where the model is
    damaged, or is not the model that was registered.
    """
    if not asked.strip().startswith("models:"):
        run = read_run(asked, architecture)
        setting = setting_of(read_stored_run(run.run_id).params, run.name)
        return StoredModel(run.run_id, run, setting, "the run's own setting")
    version = find_version(asked)
    if not version.run_id:
        raise StoreError(f"{version.address} names no run", "it was registered by another program: vecml champion RUN")
    run = read_run(version.run_id, architecture)
    if version.tags.get(MODEL_DIGEST, run.model_digest) != run.model_digest:
        raise ModelError(
            f"{version.address} is another model than run {run.name}'s: its digest differs",
            "register the run again: vecml champion RUN",
        )
    setting = version.setting or setting_of(read_stored_run(run.run_id).params, run.name)
    return StoredModel(version.address, run, setting, version.tags.get("vecml.why", "the run's own setting"))

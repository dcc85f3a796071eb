"""A comparison as a JSON document, and back: `version` 1, described in docs/comparison.md.

Reading is strict: another version, a missing or unknown key, a wrong type, columns of unlike length, or a stored
verdict that the blocks do not give is refused with its reason.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cache
from typing import Any, Literal

import numpy as np
from pydantic import ConfigDict, TypeAdapter, ValidationError

from vecml.comparison.comparison import Comparison, Load, Subject, families, figures
from vecml.config import Setting
from vecml.errors import MeasureError, VecmlError, one_line
from vecml.first_fault import reader
from vecml.measure.pairs import BY_OTHERS
from vecml.measure.records import ArmLaunch, ArmMeasurement, Blocks, Measured, Plan, Replaced, Window
from vecml.measure.verdict import Family, Rules, Verdict

VERSION: Literal[1] = 1
ROLES: Mapping[str, tuple[str, ...]] = {
    "arms": ("baseline", "arm"),
    "null_arm": ("null",),
    "limit_arms": ("limit",),
    "finals": ("baseline", "arm"),
    "alone": ("arm",),
}
KIND: Literal["comparison"] = "comparison"


@dataclass(frozen=True)
class Document:
    """The document's keys, in order; what they hold is described at the records themselves.

    Attributes:
        version, kind: 1, `comparison`.
        created, vecml, budget, subject, settings, skipped, simplest, environment, load_before, load_after, rules,
            faults: as in `Record` and `Comparison`.
        plan, launches, seconds, windows, replaced: as in `Measured`; `waited_seconds`, which may be missing, too.
        arms: baselines and arms with their raw blocks.
        null_arm: the baseline's copy of the first group, with its raw blocks.
        further_null_arms: those of the other groups.
        limit_arms: the machine's limits, measured in the same launches.
        families: the verdicts; they are computed from the rest, and compared with it when the document is read.
        finals: fresh launches of the finalists and their baselines, as in `Measured`; null or missing: there were none.
        alone: a launch of each finalist with no other arm beside it; likewise.
    """

    version: Literal[1]
    kind: Literal["comparison"]
    created: str
    vecml: str
    budget: str
    subject: Subject
    settings: dict[str, Setting]
    skipped: dict[str, str]
    simplest: tuple[str, ...]
    environment: dict[str, Any]
    load_before: Load
    load_after: Load
    rules: Rules
    faults: dict[str, str]
    plan: Plan
    launches: int
    seconds: float
    windows: tuple[Window, ...]
    replaced: tuple[Replaced, ...]
    arms: tuple[ArmMeasurement, ...]
    null_arm: ArmMeasurement | None
    further_null_arms: tuple[ArmMeasurement, ...]
    limit_arms: tuple[ArmMeasurement, ...]
    families: tuple[Family, ...]
    finals: Measured | None = None
    alone: Measured | None = None
    waited_seconds: float = 0.0

    __pydantic_config__ = ConfigDict(extra="forbid", allow_inf_nan=False)


def to_json(comparison: Comparison) -> str:
    """The comparison, its verdicts included, as JSON text that ends with a line break."""
    content = _writer().dump_python(_document(comparison), mode="json")
    return json.dumps(content, separators=(",", ":"), allow_nan=False, ensure_ascii=False) + "\n"


@cache
def _writer() -> TypeAdapter[Document]:
    return TypeAdapter(Document)


def from_json(content: bytes, name: str) -> Comparison:
    """The comparison that a document holds; `name` is the file's, for messages.

    Raises MeasureError for another schema version and anything damaged, saying what.
    """
    try:
        payload = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise _damaged(name, f"it is no JSON ({one_line(error, whole=True, limit=120)})") from None
    if not isinstance(payload, Mapping) or payload.get("kind") != KIND:
        kind = payload.get("kind") if isinstance(payload, Mapping) else type(payload).__name__
        raise MeasureError(
            f"{name} is no comparison: its kind is {kind!r}", "name a file that vecml compare --json wrote"
        )
    if payload.get("version") != VERSION or isinstance(payload.get("version"), bool):
        raise MeasureError(
            f"{name} has schema version {payload.get('version')!r}; this vecml reads {VERSION}",
            "read it with the vecml that wrote it",
        )
    try:
        document: Document = reader(Document).validate_json(content, strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise _damaged(name, f"{where}: {first['msg']}") from None
    _check(document, name)
    comparison = _comparison(document)
    try:
        with np.errstate(over="raise", divide="raise", invalid="raise"):
            found = families(comparison)
            figures(comparison)
    except (VecmlError, ValueError, TypeError, KeyError, AttributeError, ArithmeticError) as error:
        raise _damaged(name, f"its facts give no figures ({type(error).__name__}: {error})") from None
    if (what := _difference(found, document.families)) is not None:
        raise _damaged(name, f"{what} is not what its blocks give")
    return comparison


def _document(comparison: Comparison) -> Document:
    measured = comparison.measured
    by_role = {role: tuple(arm for arm in measured.arms if arm.role == role) for role in ("null", "limit")}
    nulls = by_role["null"]
    return Document(
        version=VERSION,
        kind=KIND,
        **_alike(comparison, Comparison),
        **_alike(measured, Measured),
        arms=tuple(arm for arm in measured.arms if arm.role in ("baseline", "arm")),
        null_arm=nulls[0] if nulls else None,
        further_null_arms=nulls[1:],
        limit_arms=by_role["limit"],
        families=families(comparison),
    )


def _comparison(document: Document) -> Comparison:
    nulls = () if document.null_arm is None else (document.null_arm, *document.further_null_arms)
    return Comparison(
        **_alike(document, Comparison),
        measured=Measured(**_alike(document, Measured), arms=(*document.arms, *nulls, *document.limit_arms)),
    )


def _alike(record: Any, kind: type[Comparison | Measured]) -> dict[str, Any]:
    """The fields of `record` that a document and `kind` have alike, by name: all but `measured` and `arms`."""
    names = Document.__dataclass_fields__.keys() & kind.__dataclass_fields__.keys() - {"arms"}
    return {name: getattr(record, name) for name in names}


def _check(document: Document, name: str) -> None:
    """Raise the error for a damaged document that has the right types, but impossible roles, groups or blocks."""
    nulls = () if document.null_arm is None else (document.null_arm, *document.further_null_arms)
    afresh = () if document.finals is None else document.finals.arms
    alone = () if document.alone is None else document.alone.arms
    of_kinds = {"arms": document.arms, "null_arm": nulls, "limit_arms": document.limit_arms}
    of_kinds |= {"finals": afresh, "alone": alone}
    for kind, arms in of_kinds.items():
        for arm in arms:
            where = f"{kind}, {arm.name!r}"
            if arm.role not in ROLES[kind]:
                raise _damaged(name, f"{where} has the role {arm.role!r}")
            if reason := _wrong_blocks(arm.blocks) or _wrong_launches(arm.launches):
                raise _damaged(name, f"{where}: {reason}")
    if min(document.subject.widths, default=1) < 1 or document.subject.value_bytes < 0:
        raise _damaged(
            name, f"its subject has widths {document.subject.widths} of {document.subject.value_bytes} bytes"
        )
    if document.subject.widths:
        for arm in (*document.arms, *afresh, *alone):
            if arm.name not in document.settings or arm.name not in document.simplest:
                raise _damaged(name, f"{arm.name!r} is no setting of it")
    baselines = {arm.group for arm in document.arms if arm.role == "baseline"}
    for arm in (*document.arms, *nulls):
        if arm.group not in baselines:
            raise _damaged(name, f"{arm.name!r} is of group {arm.group}, which has no baseline")
    if not {(arm.name, arm.role) for arm in (*afresh, *alone)} <= {(arm.name, arm.role) for arm in document.arms}:
        raise _damaged(name, "its finalists are none of its arms")
    if not {arm.group for arm in afresh} <= {arm.group for arm in afresh if arm.role == "baseline"}:
        raise _damaged(name, "its finals have a group without a baseline")


def _wrong_blocks(blocks: Blocks) -> str | None:
    lengths = {column: len(getattr(blocks, column)) for column in Blocks.__dataclass_fields__}
    if len(set(lengths.values())) > 1:
        return f"its columns are not of one length: {', '.join(f'{key} {count}' for key, count in lengths.items())}"
    for index, (seconds, calls) in enumerate(zip(blocks.seconds, blocks.calls, strict=True)):
        if not seconds > 0 or not math.isfinite(seconds):
            return f"block {index} took {seconds} s"
        if calls <= 0:
            return f"block {index} has {calls} calls"
    places = list(zip(blocks.launch, blocks.round, strict=True))
    if len(set(places)) != len(places):
        return "two of its blocks are of the same launch and round"
    return None


def _wrong_launches(launches: Sequence[ArmLaunch]) -> str | None:
    for one in launches:
        if not one.canary_seconds > 0:
            return f"the canary of launch {one.launch} took {one.canary_seconds} s"
        work = one.facts.get("work_per_call", 1)
        if type(work) not in (int, float) or not 0 < work < 2**63:
            return f"launch {one.launch} has {work!r} for the work of a call"
        for pool in one.facts.get("pools") or ():
            if not isinstance(pool, Mapping) or type(pool.get("threads")) is not int:
                return f"launch {one.launch} has a pool of threads without their number"
    return None


def _difference(found: Sequence[Family], stored: Sequence[Family]) -> str | None:
    """Name the first stored verdict that differs from the one that was computed again; None where all are the same."""
    for ours, theirs in zip(found, stored, strict=False):
        for name in ("verdicts", "null_verdicts"):
            again, kept = getattr(ours, name), getattr(theirs, name)
            for one, other in zip(again, kept, strict=False):
                if not _same(one, other):
                    return f"the verdict of {other.arm!r}, {other.verdict},"
            if len(again) != len(kept):
                return "the verdict"
        judged_anew = any(map(_was_given_up, theirs.verdicts))
        if not judged_anew and (ours.baseline, ours.best, ours.tied) != (theirs.baseline, theirs.best, theirs.tied):
            return "the verdict"
    return None if len(found) == len(stored) else "the verdict"


def _same(found: Verdict, stored: Verdict) -> bool:
    """Whether two verdicts are the same but for the reason's words and for the last digits of their figures.

    Another vecml may word a reason otherwise, and another processor's libraries round otherwise. Before 0.3 an arm was
    invalid whose rounds others had disturbed: it is judged anew.
    """
    if _was_given_up(stored):
        return found.arm == stored.arm
    for column in fields(Verdict):
        ours, theirs = getattr(found, column.name), getattr(stored, column.name)
        if column.name == "reason" or ours == theirs:
            continue
        if not (isinstance(ours, float) and isinstance(theirs, float) and math.isclose(ours, theirs, rel_tol=1e-9)):
            return False
    return True


def _was_given_up(stored: Verdict) -> bool:
    """Whether a stored verdict is invalid because the machine was busy, which no vecml gives any more."""
    return stored.verdict == "invalid" and stored.reason.endswith(BY_OTHERS)


def _damaged(name: str, reason: str) -> MeasureError:
    return MeasureError(f"{name} is damaged: {reason}", "measure again, or take the file from its run's artifacts")

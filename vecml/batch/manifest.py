"""What stands beside the parts: the plan first, a record for each part, at last the manifest and `_SUCCESS`.

Names begin with `_`, so that readers of the folder take them for no data. Whoever finds `_SUCCESS` finds all parts.
"""

import json
import re
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from vecml.batch import part as part_module
from vecml.batch import plan as plan_module
from vecml.batch.folder import Folder
from vecml.batch.inputs import stamp_of
from vecml.batch.part import Part
from vecml.batch.places import of_address
from vecml.batch.plan import Plan
from vecml.data.selection import listed
from vecml.errors import DataError, SettingError, StoreError
from vecml.progress import stage

PLAN, MANIFEST, SUCCESS = "_plan.json", "_manifest.json", "_SUCCESS"
FORMAT = 1
OWN = re.compile(
    rf"(.*/)?part-\d+-[0-9a-f]+\.parquet|{part_module.RECORDS}/part-\d+-[0-9a-f]+\.json|{PLAN}|{MANIFEST}|{SUCCESS}"
)
HIDDEN = re.compile(r"(.*/)?\.[^/]*")
THREADS = 4


@dataclass(frozen=True)
class Verified:
    """The result of a check that found an output to be right.

    Attributes:
        parts: their number.
        rows: of all parts.
        counts: rows with each class as their label, by its name.
        notes: what has changed since without making a part wrong.
    """

    parts: int
    rows: int
    counts: dict[str, int]
    notes: tuple[str, ...]


def found_plan(folder: Folder, names: set[str]) -> Plan | None:
    """The plan of the labels that the folder holds; None of an empty one.

    Raises SettingError for a folder that holds something else, StoreError for a plan that is damaged.
    """
    seen = {name for name in names if not HIDDEN.fullmatch(name)}
    strange = sorted(name for name in seen if not OWN.fullmatch(name))
    if strange or (seen and PLAN not in seen):
        others = strange or sorted(seen)
        raise SettingError(
            f"--out {folder.place.address}: it holds files that are no labels of vecml: {listed(others)}",
            "name a new folder, or one that is empty",
        )
    if not seen:
        return None
    return plan_module.from_json(folder.read(PLAN).decode("utf-8", "replace"), folder.place.below(PLAN).address)


def done_parts(folder: Folder, plan: Plan, names: set[str]) -> dict[int, Part]:
    """The parts of this plan that are there with the right bytes, by the number of their unit.

    A part without a record, or whose bytes are not those of its record, is not among them: it is labelled again.
    """
    recorded = _recorded(folder, plan, names)
    with stage("checking parts", len(recorded)) as advance, ThreadPoolExecutor(THREADS) as pool:
        right = {}
        for part, is_right in zip(recorded, pool.map(lambda one: _is_right(folder, one, names), recorded), strict=True):
            if is_right:
                right[part.unit] = part
            advance(1)
    return right


def complete(folder: Folder, plan: Plan, parts: Iterable[Part], classes: tuple[str, ...]) -> None:
    """Write the manifest and then `_SUCCESS`; the records of the parts are in the manifest then, and go.

    `parts` are those of all units of the plan, in their order; `classes` are the model's, for the counts.

    Raises StoreError where a file cannot be written, or another process has put its own plan into the folder.
    """
    now = plan_module.from_json(folder.read(PLAN).decode("utf-8", "replace"), folder.place.below(PLAN).address)
    if now.digest != plan.digest:
        raise StoreError(f"{folder.place.address}: another process labels something else into it", "name a new folder")
    lines = ",\n".join(part_module.to_json(part) for part in parts)
    head = {"format": FORMAT, "plan": plan.digest, "classes": list(classes)}
    folder.write(MANIFEST, f'{json.dumps(head)[:-1]}, "parts": [\n{lines}\n]}}\n'.encode())
    folder.write(SUCCESS, b"")
    for name in sorted(folder.names()):
        if name.startswith(f"{part_module.RECORDS}/"):
            folder.remove(name)
    folder.remove_empty(part_module.RECORDS)


def verify(folder: Folder) -> Verified:
    """Check every part of a complete output against the manifest, and the manifest against the plan.

    Raises DataError, which names the part, for one that is missing or has other bytes, and for a file too many;
    StoreError where the manifest or the plan is damaged.
    """
    names, where = folder.names(), folder.place.address
    if SUCCESS not in names or MANIFEST not in names:
        raise DataError(f"{where} is not complete: it has no {SUCCESS}", "run the command that labels it again")
    plan = found_plan(folder, names)
    if plan is None:
        raise DataError(f"{where} holds no labels", "name a folder that vecml predict has written")
    parts = sorted(_recorded(folder, plan, names), key=lambda part: part.unit)
    wanted = {plan.part_name(unit): unit for unit in plan.units}
    if [part.name for part in parts] != list(wanted):
        raise StoreError(f"{folder.place.below(MANIFEST).address} does not fit the plan", "name a new folder")
    more = sorted(name for name in names if name.endswith(".parquet") and name not in wanted)
    if more:
        raise DataError(f"{where} holds a part that is not of its manifest: {more[0]}", f"remove {more[0]}")
    with stage("verifying", len(parts)) as advance, ThreadPoolExecutor(THREADS) as pool:
        for part, is_right in zip(parts, pool.map(lambda one: _is_right(folder, one, names), parts), strict=True):
            rows = wanted[part.name].n_rows
            if not is_right or sum(part.counts) != part.rows or rows not in (None, part.rows):
                what = "has other bytes than the manifest says" if part.name in names else "is missing"
                raise DataError(
                    f"{where}: {part.name} {what}", "run the command that labelled it again: it makes this part anew"
                )
            advance(1)
    sums = map(sum, zip(*(part.counts for part in parts), strict=True))
    counts = dict(zip(json.loads(folder.read(MANIFEST))["classes"], sums, strict=True))
    return Verified(len(parts), sum(part.rows for part in parts), counts, _notes(plan))


def _notes(plan: Plan) -> tuple[str, ...]:
    """What has become of the input: the labels stay those of the files that were there."""
    changed = []
    for file in plan.files:
        try:
            if stamp_of(of_address(file.address, plan.options)) != (file.size, file.stamp):
                changed.append(file.address)
        except (DataError, SettingError):
            changed.append(file.address)
    if not changed:
        return ()
    return (f"the labels are of files that have changed or gone since: {listed(changed)}",)


def _recorded(folder: Folder, plan: Plan, names: set[str]) -> list[Part]:
    """The parts of the manifest, or where there is none yet, of the records."""
    if MANIFEST in names:
        try:
            content = json.loads(folder.read(MANIFEST))
            if content["format"] == FORMAT and content["plan"] == plan.digest:
                return [part_module.from_json(one, MANIFEST) for one in content["parts"]]
        except (ValueError, KeyError, TypeError):
            raise StoreError(
                f"{folder.place.below(MANIFEST).address} is damaged", "remove it, and run the same command again"
            ) from None
    records = {part_module.record_name(plan.part_name(unit)) for unit in plan.units} & names
    found = []
    with ThreadPoolExecutor(THREADS) as pool:
        for name, content in zip(sorted(records), pool.map(folder.read, sorted(records)), strict=True):
            try:
                found.append(part_module.from_json(json.loads(content), name))
            except (ValueError, StoreError):
                continue  # the part is labelled again, and its record written anew
    return found


def _is_right(folder: Folder, part: Part, names: set[str]) -> bool:
    return part.name in names and folder.sha256(part.name) == (part.sha256, part.bytes)

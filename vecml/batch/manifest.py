"""What stands beside the parts: the plan first, a record for each part, at last the manifest and `_SUCCESS`.

Names begin with `_`, so that readers of the folder take them for no data. Whoever finds `_SUCCESS` finds all parts.
"""

import hashlib
import json
import re
import shlex
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from vecml.batch import part as part_module
from vecml.batch import plan as plan_module
from vecml.batch.folder import Folder
from vecml.batch.inputs import stamp_of
from vecml.batch.part import Part
from vecml.batch.plan import Plan
from vecml.data.addresses import ADDRESS, is_address
from vecml.data.places import of_address
from vecml.data.selection import listed
from vecml.errors import DataError, SettingError, StoreError
from vecml.numbers import count
from vecml.progress import stage

PLAN, MANIFEST, SUCCESS = "_plan.json", "_manifest.json", "_SUCCESS"
FORMAT = 1
LOG = "_delta_log"  # of a Delta table, whose parts these are
OWN = re.compile(
    rf"(.*/)?part-\d+-[0-9a-f]+\.parquet|{part_module.RECORDS}/part-\d+-[0-9a-f]+\.json|{PLAN}|{MANIFEST}|{SUCCESS}"
    rf"|{LOG}/.*"
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
    seen, strange = _seen(names)
    if strange or (seen and PLAN not in seen):
        others = strange or sorted(seen)
        raise SettingError(
            f"--out {folder.place.address}: it holds files that are no labels of vecml: {listed(others)}",
            "name a new folder, or one that is empty",
        )
    if not seen:
        return None
    return _plan_of(folder)


def _plan_of(folder: Folder) -> Plan:
    return plan_module.from_json(folder.read(PLAN).decode("utf-8", "replace"), folder.place.below(PLAN).address)


def _seen(names: set[str]) -> tuple[set[str], list[str]]:
    """The names but the hidden ones, and those of them that are no labels of vecml, sorted."""
    seen = {name for name in names if not HIDDEN.fullmatch(name)}
    return seen, sorted(name for name in seen if not OWN.fullmatch(name))


def done_parts(folder: Folder, plan: Plan, names: set[str]) -> dict[int, Part]:
    """The parts of this plan that are there with the right bytes, by the number of their unit.

    A part without a record, or whose bytes are not those of its record, is not among them: it is labelled again.
    """
    units = {plan.part_name(unit): unit.number for unit in plan.units}
    recorded = [part for part in _recorded(folder, plan, names) if units.get(part.name) == part.unit]
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

    Raises StoreError where a file cannot be written, or another process has put its own plan into the folder, DataError
    where a part of another plan is there.
    """
    now = _plan_of(folder)
    names = folder.names()
    own = {plan.part_name(unit) for unit in plan.units}
    records = {part_module.record_name(name) for name in own} & names
    if now.digest != plan.digest:
        for name in sorted(own & names | records):  # whoever reads the folder would take them for rows of the other
            folder.remove(name)
        raise StoreError(f"{folder.place.address}: another process labels something else into it", "name a new folder")
    check_parts(folder, plan, names)
    folder.write(MANIFEST, manifest_text(plan, classes, parts).encode())
    folder.write(SUCCESS, b"")
    for name in sorted(records):  # hidden files there are another process's, which writes its records
        folder.remove(name)
    folder.remove_empty(part_module.RECORDS)


def check_parts(folder: Folder, plan: Plan, names: set[str]) -> None:
    """Raise DataError where the folder holds a part of another plan, whose rows a reader would take for this one's."""
    own = {plan.part_name(unit) for unit in plan.units}
    others = (name for name in names - own if name.endswith(".parquet"))
    strange = sorted(name for name in others if not name.startswith(f"{LOG}/") and not HIDDEN.fullmatch(name))
    if strange:
        part = folder.place.below(strange[0])
        raise DataError(
            f"{folder.place.address} holds a part that is not of its plan: {strange[0]}",
            f"where no other process labels into it, remove the part: rm {shlex.quote(part.path)}"
            if part.is_local
            else f"where no other process labels into it, remove {part.address}",
        )


def verify(folder: Folder) -> Verified:
    """Check every part of a complete output against the manifest, and the manifest against the plan.

    Raises DataError, which names the part, for one that is missing or has other bytes, and for a file too many;
    StoreError where the manifest or the plan is damaged.
    """
    names, where = folder.names(), folder.place.address
    if PLAN not in names:
        is_there = names or (folder.place.is_local and Path(folder.place.path).is_dir())
        what = f"{where} holds no labels: it has no {PLAN}" if is_there else f"there is no folder {where}"
        raise DataError(what, "name a folder that vecml predict has written")
    if SUCCESS not in names or MANIFEST not in names:
        raise DataError(f"{where} is not complete: it has no {SUCCESS}", "run the command that labels it again")
    _, strange = _seen(names)
    if strange:
        raise DataError(
            f"{where} holds files that are no labels of vecml: {listed(strange)}",
            "remove them, or move them elsewhere: readers of the folder may take them for rows",
        )
    plan = _plan_of(folder)
    manifest = _manifest(folder, plan)
    if manifest is None:
        raise StoreError(f"{folder.place.below(MANIFEST).address} does not fit the plan", "name a new folder")
    classes, parts = manifest
    wanted = {plan.part_name(unit): unit for unit in plan.units}
    if [(part.unit, part.name) for part in parts] != [(unit.number, name) for name, unit in wanted.items()]:
        raise StoreError(f"{folder.place.below(MANIFEST).address} does not fit the plan", "name a new folder")
    check_parts(folder, plan, names)
    with stage("verifying", len(parts)) as advance, ThreadPoolExecutor(THREADS) as pool:
        for part, is_right in zip(parts, pool.map(lambda one: _is_right(folder, one, names), parts), strict=True):
            rows = wanted[part.name].n_rows
            if not is_right or rows not in (None, part.rows):
                what = "has other bytes than the manifest says" if part.name in names else "is missing"
                raise DataError(
                    f"{where}: {part.name} {what}", "run the command that labelled it again: it makes this part anew"
                )
            advance(1)
    sums = map(sum, zip(*(part.counts for part in parts), strict=True))
    counts = dict(zip(classes, sums, strict=True)) if parts else dict.fromkeys(classes, 0)
    return Verified(len(parts), sum(part.rows for part in parts), counts, _notes(plan, folder))


def _notes(plan: Plan, folder: Folder) -> tuple[str, ...]:
    """What has become of the input: the labels stay those of the files that were there.

    The plan may be a stranger's. So no host is asked but the one that the user has named for the labels.
    """
    changed, elsewhere = [], 0
    for file in plan.files:
        if not _is_near(file.address, plan.options, folder):
            elsewhere += 1
            continue
        try:
            if stamp_of(of_address(file.address, plan.options)) != (file.size, file.stamp):
                changed.append(file.address)
        except (DataError, SettingError):
            changed.append(file.address)
    notes = []
    if changed:
        notes.append(f"the labels are of files that have changed or gone since: {listed(changed)}")
    if elsewhere:
        of_all = f"{elsewhere:,} of the {count(len(plan.files), 'file')} that were labelled"
        is_kept, they = ("is", "it has") if elsewhere == 1 else ("are", "they have")
        notes.append(f"{of_all} {is_kept} kept elsewhere: whether {they} changed is not looked at")
    return tuple(notes)


def _is_near(address: str, options: str, folder: Folder) -> bool:
    """Whether a file is on this machine, or in the bucket of the output and reached in the same way."""
    if not is_address(address):
        return ADDRESS.match(address) is None
    bucket = [part.split("/", 3)[:3] for part in (address, folder.place.address)]
    if bucket[0] != bucket[1]:
        return False
    try:
        return bool(of_address(address, options).system.equals(folder.place.system))
    except SettingError:
        return False


def manifest_text(plan: Plan, classes: Iterable[str], parts: Iterable[Part]) -> str:
    """The manifest: a line for each part, and before them what tells that one of these lines was changed."""
    lines = ",\n".join(part_module.to_json(part) for part in parts)
    told = json.dumps(list(classes))
    digest = hashlib.sha256(f"{plan.digest}\n{told}\n{lines}".encode()).hexdigest()
    head = json.dumps({"format": FORMAT, "plan": plan.digest, "digest": digest})
    return f'{head[:-1]}, "classes": {told}, "parts": [\n{lines}\n]}}\n'


def _manifest(folder: Folder, plan: Plan) -> tuple[tuple[str, ...], list[Part]] | None:
    """The model's classes and the parts as the manifest says; None for a manifest of another plan.

    Raises StoreError for one that is damaged.
    """
    name = folder.place.below(MANIFEST).address
    try:
        text = folder.read(MANIFEST).decode()
        content = json.loads(text)
        if content["format"] == FORMAT and content["plan"] != plan.digest:
            return None
        classes, listed_parts = tuple(content["classes"]), list(content["parts"])
    except (ValueError, KeyError, TypeError, RecursionError):
        raise part_module.damaged(name) from None
    parts = [part_module.from_json(one, name) for one in listed_parts]
    if not all(isinstance(one, str) for one in classes) or len({*classes}) != len(classes):
        raise part_module.damaged(name)
    if any(len(part.counts) != len(classes) for part in parts) or text != manifest_text(plan, classes, parts):
        raise part_module.damaged(name)
    return classes, parts


def _recorded(folder: Folder, plan: Plan, names: set[str]) -> list[Part]:
    """The parts of the manifest, or where there is none yet, of the records."""
    if MANIFEST in names and (manifest := _manifest(folder, plan)) is not None:
        return manifest[1]
    records = {part_module.record_name(plan.part_name(unit)) for unit in plan.units} & names
    found = []
    with ThreadPoolExecutor(THREADS) as pool:
        for name, content in zip(sorted(records), pool.map(folder.read, sorted(records)), strict=True):
            try:
                found.append(part_module.from_json(json.loads(content), name))
            except (ValueError, RecursionError, StoreError):
                continue  # the part is labelled again, and its record written anew
    return found


def _is_right(folder: Folder, part: Part, names: set[str]) -> bool:
    return part.name in names and folder.sha256(part.name) == (part.sha256, part.bytes)

"""What a node is told before it labels units, as plain values that any process can read: an order."""

import base64
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from vecml.batch.folder import Folder
from vecml.batch.inputs import Input
from vecml.batch.plan import Plan, Unit, Way, part_name, unit_line
from vecml.batch.schemas import Wanted
from vecml.config import Setting
from vecml.data.data_file import DataFile
from vecml.data.dialect import AskedFormat
from vecml.data.places import place_of
from vecml.inference.output_columns import OutputColumns
from vecml.leftovers import scratch_folder
from vecml.model.store import OWN, Classifier, load, save

ORDER, UNITS = "order.json", "units.jsonl"


@dataclass(frozen=True)
class NodeShare:
    """The plan as a node knows it: all but the files and units that it was not given.

    Attributes:
        way, options: as of the plan.
        digest: the plan's.
        files: the files of its units, by their place in the plan.
    """

    way: Way
    options: str
    digest: str
    files: dict[int, Input] = field(default_factory=dict, repr=False)

    def part_name(self, unit: Unit) -> str:
        """The name of the unit's part, as in the plan."""
        return part_name(unit, self.digest)


@dataclass(frozen=True)
class Order:
    """All that a worker needs, beside its units.

    Attributes:
        classifier, setting, wanted, columns, folder: as for `vecml.batch.work.worker`.
        share: what is known of the plan.
    """

    classifier: Classifier
    setting: Setting
    wanted: Wanted
    columns: OutputColumns
    folder: Folder
    share: NodeShare


def write_order(
    into: Path, classifier: Classifier, setting: Setting, plan: Plan, wanted: Wanted, columns: OutputColumns, out: str
) -> None:
    """Write the order into a folder, for `read_files`.

    Args:
        into: the folder.
        classifier, setting, wanted, columns: as for `vecml.batch.work.worker`.
        plan: to which the units belong.
        out: path or address of the output.

    The files hold plain values only: whoever reads them runs no code that is in them.
    """
    model = into / "model"
    save(classifier, model)
    kept = pa.schema(list(columns.types.items()))
    description = json.loads((model / "model.json").read_bytes())["architecture"]
    content = {
        "own_class": description["name"] if description.get("kind") == OWN else None,
        "setting": vars(setting),
        "way": vars(plan.way),
        "digest": plan.digest,
        "options": plan.options,
        "out": out,
        "kept": base64.b64encode(kept.serialize().to_pybytes()).decode("ascii"),
        "text": vars(wanted.asked),
    }
    (into / ORDER).write_text(json.dumps(content), encoding="utf-8")


def write_units(into: Path, plan: Plan, units: Iterable[Unit]) -> None:
    """Write the units into the folder `into`, a line for each, so that nobody holds them all again."""
    with (into / UNITS).open("w", encoding="utf-8") as file:
        for unit in units:
            file.write(f"{unit_line(plan, unit)}\n")


def read_files(folder: Path) -> dict[str, bytes]:
    """The order's files by name, to be sent to a node."""
    paths = [folder / ORDER, *sorted((folder / "model").iterdir())]
    return {path.name: path.read_bytes() for path in paths}


def taken_up(files: Mapping[str, bytes], threads: int) -> Order:
    """The order that `read_files` gave, on a node that runs its engine with so many threads.

    Raises ModelError for a model that this vecml cannot load, SettingError where its class is not here.
    """
    content: dict[str, Any] = json.loads(files[ORDER])
    with scratch_folder() as folder:
        for name in files.keys() - {ORDER}:
            (folder / name).write_bytes(files[name])
        classifier = load(folder, content["own_class"])
    kept = pa.ipc.read_schema(pa.py_buffer(base64.b64decode(content["kept"])))
    way = Way(**{**content["way"], "keep": tuple(content["way"]["keep"])})
    carried = tuple(kept.names)
    first = DataFile(Path("first"), classifier.encoding, carried, dict(zip(carried, kept.types, strict=True)), (), None)
    return Order(
        classifier=classifier,
        setting=replace(Setting(**content["setting"]), threads=threads),
        wanted=Wanted(classifier.encoding, carried, AskedFormat(**content["text"])),
        columns=OutputColumns(first, classifier.model.classes, way.probabilities, way.rows),
        folder=Folder(place_of(content["out"], "--out")),
        share=NodeShare(way, content["options"], content["digest"]),
    )

"""What a node is told of a comparison, as plain values that any process can read: an order."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vecml.comparison.config import ComparisonConfig
from vecml.comparison.subject import RecordedRun
from vecml.config import PipelineConfig
from vecml.model.store import OWN, load, serialise

ORDER, MODEL = "order.json", "model"


@dataclass(frozen=True)
class Order:
    """Says what is compared on a node.

    Attributes:
        config: the comparison.
        run: the tracked run whose model is compared; None: one is trained.
    """

    config: ComparisonConfig
    run: RecordedRun | None


def order_files(config: ComparisonConfig, run: RecordedRun | None) -> dict[str, bytes]:
    """The files of an order, by name. They hold plain values only: whoever reads them runs no code that is in them.

    Args:
        config: the comparison.
        run: that `config.run` names, None where it names none.
    """
    content: dict[str, Any] = {"config": config.model_dump(mode="json", exclude_unset=True), "run": None}
    model: Mapping[str, bytes] = {}
    if run is not None:
        model = serialise(run.classifier)
        description = json.loads(model["model.json"])["architecture"]
        content["run"] = {
            "run_id": run.run_id,
            "name": run.name,
            "config": run.config.model_dump(mode="json"),
            "data_digest": run.data_digest,
            "model_digest": run.model_digest,
            "own_class": description["name"] if description.get("kind") == OWN else None,
        }
    return {ORDER: json.dumps(content).encode(), **{f"{MODEL}/{name}": file for name, file in model.items()}}


def write_files(files: Mapping[str, bytes], folder: Path) -> None:
    """Write the files of an order into a folder, for `read_order`."""
    (folder / MODEL).mkdir()
    for name, content in files.items():
        (folder / name).write_bytes(content)


def read_order(folder: Path) -> Order:
    """Read the order that lies in a folder.

    Raises SettingError for a configuration that cannot be here, or a class that is not here, and ModelError for a model
    that this vecml cannot load.
    """
    content: dict[str, Any] = json.loads((folder / ORDER).read_bytes())
    config, told = ComparisonConfig.checked(content["config"]), content["run"]
    if told is None:
        return Order(config, None)
    own_class = told.pop("own_class")
    of_run = PipelineConfig.checked(told.pop("config"))
    return Order(config, RecordedRun(**told, config=of_run, classifier=load(folder / MODEL, own_class)))

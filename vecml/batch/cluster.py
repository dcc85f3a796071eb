"""Labelling units on the nodes of a cluster: the order is written, a process talks to Ray, and this one hears of it."""

import json
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from vecml.batch import part as part_module
from vecml.batch.driver import ASKED
from vecml.batch.order import write_order, write_units
from vecml.batch.part import Part
from vecml.batch.plan import Plan, Unit
from vecml.batch.schemas import Wanted
from vecml.batch.sharing import AGAIN, NodeRecord
from vecml.cluster.parent import check_cluster, driving
from vecml.config import Setting
from vecml.data.files import Say
from vecml.data.filled import Filled
from vecml.data.memory_limit import VARIABLE
from vecml.device import usable_cpus
from vecml.errors import SettingError
from vecml.inference.output_columns import OutputColumns
from vecml.leftovers import scratch_folder
from vecml.model.store import Classifier
from vecml.warnings import warn

UNIT_SECONDS = 900.0
N_SAMPLES = 3


@dataclass(frozen=True)
class Wish:
    """The wish of a user for a cluster.

    Attributes:
        where: `auto`, `local:N` or `ray://HOST:PORT`.
        unit_seconds: a node that labels no row for so long is given up, and its parts go to another.
    """

    where: str
    unit_seconds: float = UNIT_SECONDS


@dataclass(frozen=True)
class Crew:
    """The nodes that have labelled, and how often a part had to be given to another.

    Attributes:
        nodes: what each has done.
        retries: parts that were given out again.
        notes: what became of nodes that were lost or left out.
    """

    nodes: tuple[NodeRecord, ...] = ()
    retries: int = 0
    notes: tuple[str, ...] = ()


def check_wish(wish: Wish, setting: Setting) -> None:
    """Raise SettingError for a wish that cannot be, before anything is read."""
    check_cluster(wish.where, wish.unit_seconds)
    if setting.device != "cpu":
        raise SettingError(
            f"--cluster {wish.where}: the model's setting is for {setting.device}, and nodes label on their CPUs",
            "name an engine, which then runs on the CPU: --engine numpy",
        )


def label_on_cluster(
    wish: Wish,
    order: tuple[Classifier, Setting, Plan, Wanted, OutputColumns],
    out: str,
    units: Sequence[Unit],
    hear: tuple[Say, Callable[[Part], None], Callable[[float], None]],
) -> Crew:
    """Label the units on the nodes of a cluster, each into its part.

    Args:
        wish: which cluster.
        order: what labels them and how, as for `vecml.batch.work.worker`.
        out: path or address of the output.
        units: of the plan.
        hear: hears what was found by looking at text files; each part that is complete; the number of rows labelled.

    Raises:
        ServerError: the cluster cannot be reached, or has lost its nodes; what is complete stays.
        SettingError: a node has other versions, or computes other bits.
        DataError, StoreError, EngineUnavailableError: as one process raises them; before work starts with the node.
    """
    _, setting, plan, _, _ = order
    check_wish(wish, setting)
    with scratch_folder() as folder:
        write_order(folder, *order, out)
        write_units(folder, plan, units)
        asked = {
            "where": wish.where,
            "cpus": usable_cpus(),
            "unit_seconds": wish.unit_seconds,
            "n_units": len(units),
            "variables": {VARIABLE: os.environ[VARIABLE]} if VARIABLE in os.environ else {},
            "samples": _samples(plan),
        }
        (folder / ASKED).write_text(json.dumps(asked), encoding="utf-8")
        with driving("vecml.batch.driver", wish.where, folder, AGAIN) as told:
            return _heard(told, hear)


def _heard(
    messages: Iterator[dict[str, Any]], hear: tuple[Say, Callable[[Part], None], Callable[[float], None]]
) -> Crew:
    """Hear what the process tells, until its last message."""
    say, done, advance = hear
    notes: list[str] = []
    for told in messages:
        if "rows" in told:
            advance(told["rows"])
        elif "part" in told:
            done(part_module.of_line(told["part"], told["node"]))
        elif "said" in told:
            say(told["said"], None)
        elif "note" in told:
            notes.append(told["note"])
            warn("VML053", told["note"])
        elif "end" in told:
            end = told["end"]
            rows = Counter({(name, marker): 0 for name, marker, _ in end["filled"]})
            for name, marker, number in end["filled"]:
                rows[name, marker] += number
            Filled(rows).tell()
            return Crew(tuple(NodeRecord(**one) for one in end["nodes"]), end["retries"], tuple(notes))
    raise AssertionError("what it tells has no end")


def _samples(plan: Plan) -> list[list[Any]]:
    """Some files of the input, of which each node says whether it sees them as they are in the plan."""
    last = len(plan.files) - 1
    places = sorted({round(last * number / (N_SAMPLES - 1)) for number in range(N_SAMPLES)})
    return [[plan.files[place].address, plan.files[place].size, plan.files[place].stamp] for place in places]

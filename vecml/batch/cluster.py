"""Labelling units on the nodes of a cluster: the order is written, a process talks to Ray, and this one hears of it.

Ray ends a process that has lost the head of its cluster, so that it is never this one.
"""

import json
import os
import secrets
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from vecml import child
from vecml.batch import part as part_module
from vecml.batch.driver import ASKED
from vecml.batch.order import write_order, write_units
from vecml.batch.part import Part
from vecml.batch.plan import Plan, Unit
from vecml.batch.ray_cluster import check_address, variables
from vecml.batch.schemas import Wanted
from vecml.batch.sharing import AGAIN, NodeRecord, error_of
from vecml.config import Setting
from vecml.data.files import Say
from vecml.data.filled import Filled
from vecml.data.memory_limit import VARIABLE
from vecml.device import usable_cpus
from vecml.errors import ServerError, SettingError
from vecml.inference.output_columns import OutputColumns
from vecml.leftovers import scratch_folder
from vecml.model.store import Classifier
from vecml.warnings import warn

UNIT_SECONDS = 900.0
SILENT_SECONDS = 180.0  # of the process that talks to Ray, while a cluster starts or answers
PATIENCE_SECONDS = 20.0  # that it has to end in order
LONGEST = 34  # bytes of the name of Ray's folder: its sockets have names of up to 107 bytes
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
    check_address(wish.where)
    if find_spec("ray") is None:
        raise SettingError(f"--cluster {wish.where}: Ray is not installed", "pip install 'vecml[ray]'")
    if wish.unit_seconds <= 0:
        raise SettingError(f"--node-timeout {wish.unit_seconds:g}: must be greater than 0", "--node-timeout 900")
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
    with scratch_folder() as folder, _short_name(folder) as short:
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
        environment = child.environment(**variables(wish.where, str(short), secrets.token_hex(32)))
        process = child.spawn(child.python("vecml.batch.driver", str(folder)), environment)
        try:
            return _heard(process, hear)
        finally:
            process.close(PATIENCE_SECONDS)


def _heard(process: child.Child, hear: tuple[Say, Callable[[Part], None], Callable[[float], None]]) -> Crew:
    """Hear what the process tells, until its last line."""
    say, done, advance = hear
    notes: list[str] = []
    while True:
        try:
            told = json.loads(process.receive(SILENT_SECONDS))
        except child.SilentError:
            raise ServerError(f"Ray did not answer within {SILENT_SECONDS:.0f} s", AGAIN) from None
        except child.EndedError as error:
            is_gone = "Failed to connect to GCS" in str(error)
            what = "it does not answer any more" if is_gone else str(error)
            raise ServerError(f"the cluster's head is gone, or Ray has failed: {what}", AGAIN) from None
        if "rows" in told:
            advance(told["rows"])
        elif "part" in told:
            done(part_module.of_line(told["part"], told["node"]))
        elif "said" in told:
            say(told["said"], None)
        elif "note" in told:
            notes.append(told["note"])
            warn("VML053", told["note"])
        elif "failure" in told:
            raise error_of(told["failure"], "")
        elif "end" in told:
            end = told["end"]
            rows = Counter({(name, marker): 0 for name, marker, _ in end["filled"]})
            for name, marker, number in end["filled"]:
                rows[name, marker] += number
            Filled(rows).tell()
            return Crew(tuple(NodeRecord(**one) for one in end["nodes"]), end["retries"], tuple(notes))


def _samples(plan: Plan) -> list[list[Any]]:
    """Some files of the input, of which each node says whether it sees them as they are in the plan."""
    last = len(plan.files) - 1
    places = sorted({round(last * number / (N_SAMPLES - 1)) for number in range(N_SAMPLES)})
    return [[plan.files[place].address, plan.files[place].size, plan.files[place].stamp] for place in places]


@contextmanager
def _short_name(folder: Path) -> Iterator[Path]:
    """Yield a short name of the folder for the `with` block, and remove those that a kill has left."""
    places = [Path(tempfile.gettempdir()), Path("/tmp")]  # noqa: S108 -- random, and of this user alone
    parent = next((one for one in places if len(os.fsencode(one)) + 12 <= LONGEST), places[-1])
    with suppress(OSError):
        for one in parent.glob("v-????????"):
            if one.is_symlink() and not one.exists():
                one.unlink(missing_ok=True)
    link = parent / f"v-{secrets.token_hex(4)}"
    link.symlink_to(folder, target_is_directory=True)
    try:
        yield link
    finally:
        link.unlink(missing_ok=True)

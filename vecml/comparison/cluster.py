"""One comparison on each kind of machine that a cluster has, side by side.

Each is the same as on one machine, and is made by the same code in a process of its node. What comes back is text: the
document that `vecml compare --json` writes.
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from vecml.cluster.failure import error_of
from vecml.cluster.parent import check_cluster, driving
from vecml.comparison.budget import check_budget
from vecml.comparison.cluster_driver import ASKED, FILES
from vecml.comparison.comparison import Comparison
from vecml.comparison.config import ComparisonConfig
from vecml.comparison.document import from_json
from vecml.comparison.node_order import order_files, write_files
from vecml.comparison.sittings import AGAIN
from vecml.comparison.sittings import Asked as AskedOfNodes
from vecml.comparison.subject import ReadRun
from vecml.comparison.unfinished import Unfinished, unfinished_of
from vecml.data import handed
from vecml.data.memory_limit import VARIABLE
from vecml.data.standard_input import STANDARD_INPUT
from vecml.device import usable_cpus
from vecml.environment import Environment
from vecml.errors import MeasureError, ServerError, SettingError, VecmlError, one_line
from vecml.first_fault import reader
from vecml.leftovers import scratch_folder
from vecml.progress import Advance, stage
from vecml.warnings import CODES, warn

SILENT_SECONDS = 900.0
DAMAGE = (KeyError, TypeError, ValueError, AttributeError)  # what comes of values that are not as they are to be
SHORT = 8  # digits of a machine key, for people


@dataclass(frozen=True)
class Wish:
    """The wish of a user for a cluster.

    Attributes:
        where: `auto`, `local:N` or `ray://HOST:PORT`.
        silent_seconds: a node that says nothing for so long while it measures is given up.
    """

    where: str
    silent_seconds: float = SILENT_SECONDS


@dataclass(frozen=True)
class KindOfMachine:
    """The nodes of one kind: those that have the same machine key.

    Attributes:
        machine_key: theirs.
        host: their CPU and how many of them, for people.
        nodes: their names.
    """

    machine_key: str
    host: str
    nodes: tuple[str, ...]

    @property
    def short(self) -> str:
        """The beginning of the key, which is enough for people."""
        return self.machine_key[:SHORT]


@dataclass(frozen=True)
class KindResult:
    """Holds what was measured on a kind of machine.

    Attributes:
        kind: which machines.
        node: the one that measured; empty where none did.
        comparison: what it measured, or None.
        failure: why there is none.
    """

    kind: KindOfMachine
    node: str
    comparison: Comparison | None
    failure: VecmlError | None = None


@dataclass(frozen=True)
class Budgeted:
    """Says how much a node is about to measure.

    Attributes:
        kind: which machines.
        budget, resolves, source: as in `vecml.comparison.budget.Budget`.
    """

    kind: KindOfMachine
    budget: str
    resolves: float | None
    source: str


@dataclass(frozen=True)
class Hear:
    """Hears what happens.

    Attributes:
        announce: is called when a node is about to measure.
        done: is called with each result as soon as it is there.
    """

    announce: Callable[[Budgeted], None] = lambda _budgeted: None
    done: Callable[[KindResult], None] = lambda _result: None


def check_asked(config: ComparisonConfig, wish: Wish) -> None:
    """Raise SettingError for what cannot be compared on a cluster, before anything is read."""
    check_cluster(wish.where, wish.silent_seconds)
    check_budget(config.budget)
    other = next((device for device in config.device if device != "cpu"), None)
    if other is not None:
        raise SettingError(
            f"--cluster {wish.where}: --device {other}: nodes measure on their CPUs",
            "leave out --device, or compare on that machine itself",
        )
    data = config.subject.data or ""
    if data == STANDARD_INPUT or data.startswith(handed.PREFIX):
        what = "standard input" if data == STANDARD_INPUT else "data in Python's memory"
        raise SettingError(
            f"--cluster {wish.where}: {what} is not on the nodes", "name data that all of them see under the same name"
        )


def compare_on_cluster(config: ComparisonConfig, wish: Wish, read_run: ReadRun, hear: Hear) -> list[KindResult]:
    """Compare on a node of each kind that the cluster has, side by side; the node is held whole while it measures.

    Args:
        config: what is compared. Data and weights are read on each node, under the same name as here.
        wish: which cluster.
        read_run: as for `vecml.comparison.subject.job_of`; the model is sent to the nodes.
        hear: hears what happens.

    Returns a result for each kind, in the order in which the kinds were found; one that failed has its reason.

    Raises SettingError where the wish, or a node, does not fit, before anything is measured; ServerError where the
    cluster cannot be reached, or is lost before any kind is over.
    """
    check_asked(config, wish)
    run = None if config.run is None else read_run(config.run, config.subject.architecture)
    variables = {VARIABLE: os.environ[VARIABLE]} if VARIABLE in os.environ else {}
    engines = [] if "all" in config.engines else list(dict.fromkeys(config.engines))
    asked = asdict(AskedOfNodes({}, str(Path.cwd()), engines, wish.silent_seconds, variables))
    del asked["files"]
    with scratch_folder() as folder:
        (folder / FILES).mkdir()
        write_files(order_files(config, run), folder / FILES)
        asked |= {"where": wish.where, "cpus": usable_cpus()}
        (folder / ASKED).write_text(json.dumps(asked), encoding="utf-8")
        heard = _Heard(hear)
        try:
            with driving("vecml.comparison.cluster_driver", wish.where, folder, AGAIN) as messages:
                heard.all_of(messages)
        finally:
            for shown in heard.stages.values():
                shown.close()
    return [heard.results[key] for key in heard.kinds]


def kept_file(result: KindResult, name: str | None) -> Unfinished:
    """The file that keeps a result until it is logged: one of its own, because a cluster's sitting does not go on.

    `name` is the comparison's.
    """
    assert result.comparison is not None  # noqa: S101 -- a failure is not kept
    what = {"kind": result.kind.machine_key, "created": result.comparison.created, "node": result.node}
    digest = hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()
    return unfinished_of({"cluster": digest}, result.comparison.budget, name)


@dataclass
class _Heard:
    """What was heard so far."""

    hear: Hear
    kinds: dict[str, KindOfMachine] = field(default_factory=dict)
    results: dict[str, KindResult] = field(default_factory=dict)
    stages: dict[str, "_Stages"] = field(default_factory=dict)

    def all_of(self, messages: Iterator[dict[str, Any]]) -> None:
        """Hear all that is told. Where the cluster is lost and a kind has been measured, the others have failed."""
        try:
            self._all_of(messages)
        except ServerError as error:
            if not self.results:
                raise
            for kind in [one for key, one in self.kinds.items() if key not in self.results]:
                self._over(KindResult(kind, "", None, error))

    def _all_of(self, messages: Iterator[dict[str, Any]]) -> None:
        for message in messages:
            if "end" in message:
                return
            if "note" in message:
                warn("VML053", str(message["note"]))
            elif "host" in message:
                kind = KindOfMachine(message["kind"], str(message["host"]), tuple(map(str, message["nodes"])))
                self.kinds[kind.machine_key] = kind
                self.stages[kind.machine_key] = _Stages(kind.short)
            elif "kind" in message:
                self._of_kind(self.kinds[message["kind"]], message)

    def _of_kind(self, kind: KindOfMachine, message: Mapping[str, Any]) -> None:
        if "told" in message:
            try:
                self._told(kind, message["told"])
            except DAMAGE as error:  # how far it is, or a warning: the comparison itself may still be sound
                warn(
                    "VML053",
                    f"{kind.short}: node {message.get('node')}: what it told is damaged: {one_line(error, named=True)}",
                )
        elif "comparison" in message or "failed" in message:
            self._over(_result(kind, message))
        elif "lost" in message:
            self.stages[kind.machine_key].close()

    def _over(self, result: KindResult) -> None:
        self.stages[result.kind.machine_key].close()
        self.results[result.kind.machine_key] = result
        if result.failure is not None:
            warn("VML053", f"{result.kind.short}: not measured: {result.failure.message}")
        self.hear.done(result)

    def _told(self, kind: KindOfMachine, told: Mapping[str, Any]) -> None:
        if "announce" in told:
            resolves = None if told["resolves"] is None else float(told["resolves"])
            self.hear.announce(Budgeted(kind, str(told["announce"]), resolves, str(told["source"])))
        elif "warning" in told:
            code = told["warning"] if told["warning"] in CODES else "VML053"
            warn(code, f"{kind.short}: {told['message']}")
        else:
            self.stages[kind.machine_key].hear(told)


class _Stages:
    """The stages of a node, shown as stages of this process."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._open: dict[int, tuple[ExitStack, Advance]] = {}

    def hear(self, told: Mapping[str, Any]) -> None:
        """Show what a node says of a stage (`vecml.comparison.node_process`)."""
        if "begin" in told:
            shown, total = ExitStack(), None if told["total"] is None else float(told["total"])
            self._open[int(told["begin"])] = (
                shown,
                shown.enter_context(stage(f"{self._name}: {told['name']}", total)),
            )
        elif "advance" in told and told["stage"] in self._open:
            self._open[told["stage"]][1](float(told["advance"]))
        elif "end" in told and told["end"] in self._open:
            self._open.pop(told["end"])[0].close()

    def close(self) -> None:
        """End the stages that are open."""
        while self._open:
            self._open.popitem()[1][0].close()


def _result(kind: KindOfMachine, message: Mapping[str, Any]) -> KindResult:
    """The result that a message tells of; a document that is damaged, or of another machine, is a failure."""
    node = str(message.get("node", ""))
    try:
        if "failed" in message:
            return KindResult(kind, node, None, _failure(message["failed"], f"node {node}: " if node else ""))
        comparison = from_json(str(message["comparison"]).encode(), f"the comparison of node {node}")
        _check_machine(comparison, kind, node)
    except MeasureError as error:
        return KindResult(kind, node, None, error)
    except DAMAGE as error:
        return KindResult(kind, node, None, _damaged(node, one_line(error, named=True)))
    return KindResult(kind, node, comparison)


def _failure(failed: Mapping[str, Any], before: str) -> VecmlError:
    """The error that a node has told of. Raises TypeError or KeyError where it is none."""
    if not isinstance(failed["message"], str) or not isinstance(failed["hint"], str | None):
        raise TypeError("its failure is no text")
    return error_of(failed, before)


def _check_machine(comparison: Comparison, kind: KindOfMachine, node: str) -> None:
    """Raise MeasureError where it was not measured on a machine of this kind: the facts say so, not the key alone."""
    told = comparison.environment
    facts = {name: told[name] for name in Environment.__dataclass_fields__ if name in told}
    try:
        found: Environment = reader(Environment).validate_json(json.dumps(facts), strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(("environment", *map(str, first["loc"])))
        raise _damaged(node, f"{where}: {first['msg']}") from None
    for name in ("machine_key", "software_key", "environment_key"):
        if told.get(name) != getattr(found, name):
            raise _damaged(node, f"environment.{name}: {told.get(name)!r} is not what its facts give")
    if found.machine_key != kind.machine_key:
        raise MeasureError(f"node {node} became another machine: {kind.machine_key}, now {found.machine_key}", AGAIN)


def _damaged(node: str, what: str) -> MeasureError:
    return MeasureError(f"node {node}: what it told is damaged: {what}", AGAIN)

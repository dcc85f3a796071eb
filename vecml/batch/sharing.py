"""Sharing the units of a plan out to the nodes of a cluster, which come, go, fail and hang."""

import secrets
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from vecml.batch import part as part_module
from vecml.batch.assignment import Assignment, TriedTooOftenError
from vecml.batch.folder import Folder
from vecml.batch.plan import unit_of
from vecml.cluster.failure import error_of
from vecml.cluster.ray_cluster import Cluster, FoundNode, LostError
from vecml.cluster.versions import ALL as VERSIONS
from vecml.cluster.versions import check_versions
from vecml.errors import ServerError, SettingError, StoreError, VecmlError
from vecml.leftovers import hidden_name

LOOK_SECONDS = 2.0  # between looks at which nodes there are
READY_SECONDS = 60.0  # that nodes which are ready wait for the others before work starts
START_SECONDS = 180.0  # for a node's process to start, load and compile
EXCHANGE_SECONDS = 1.0  # that a node waits for something to tell
STOP_SECONDS = 5.0
NO_NODE_SECONDS = 60.0  # without any node, before the work ends
MOST_FAILURES = 3  # of a node, one after the other
NODES_OWN = ("StoreError", "ScratchError", "")  # errors that another node may not have: a full disk, a crash
WORK = "vecml.batch.node_work:begin"
AGAIN = "what is complete stays: run the same command again"


@dataclass(frozen=True)
class Asked:
    """Words to the nodes beside the order.

    Attributes:
        unit_seconds: a node that labels no row for so long is given up.
        variables: of the nodes' processes.
        samples: some files of the input, as address, size and stamp.
    """

    unit_seconds: float
    variables: Mapping[str, str]
    samples: tuple[tuple[str, int, str], ...]


@dataclass
class Hand:
    """A node's process.

    Attributes:
        node, process: which node, and its process.
        call: what it was asked last; None once that is answered.
        step: `facts`, `begin`, `ready`, `exchange`.
        since: when it last showed that it goes on.
        asked: when `call` was made.
        own: name of the file by which it shows that it can write the output.
        rows: labelled by this process, and of these how many in parts that are complete.
    """

    node: FoundNode
    process: Any
    call: Any
    since: float
    own: str
    step: str = "facts"
    asked: float = 0.0
    rows: int = 0
    rows_done: int = 0


@dataclass
class NodeRecord:
    """The work of a node, over all its processes.

    Attributes:
        node: its name.
        cpus: its cores.
        parts, rows: that it has labelled.
        seconds: that it was at work.
        failures: how often it, or its process, was lost.
    """

    node: str
    cpus: int
    parts: int = 0
    rows: int = 0
    seconds: float = 0.0
    failures: int = 0


@dataclass
class Sharing:
    """Shares the units out until all are labelled.

    Attributes:
        cluster: joined already.
        asked: what the nodes are told.
        files: of the order.
        out: the output.
        assignment: which node has which unit.
        tell: tells the parent, as `vecml.batch.driver` says.
        stopping: set where the parent wants the end.
        records: what each node has done, by its id.
    """

    cluster: Cluster
    asked: Asked
    files: Mapping[str, bytes]
    out: Folder
    assignment: Assignment
    tell: Callable[[dict[str, Any]], None]
    stopping: threading.Event
    records: dict[str, NodeRecord] = field(default_factory=dict)
    filled: dict[str, list[Any]] = field(default_factory=dict)
    _hands: dict[str, Hand] = field(default_factory=dict)
    _left_out: dict[str, VecmlError] = field(default_factory=dict)
    _in_a_row: Counter[str] = field(default_factory=Counter)
    _probe: tuple[str, str] | None = None
    _begun: bool = False
    _beacon: str = ""
    _order: Any = None

    def run(self) -> None:
        """Do it, until all units are labelled or `stopping` is set. Raises VecmlError for what ends the work."""
        self._beacon = hidden_name(Path("_here")).name
        self.out.write(self._beacon, b"")
        try:
            self._order = self.cluster.put(dict(self.files))
            self._work()
        finally:
            self._end()

    def _work(self) -> None:
        looked, told = -LOOK_SECONDS, time.monotonic()
        begun = without = told
        while not self.assignment.is_over and not self.stopping.is_set():
            now = time.monotonic()
            if now - looked > LOOK_SECONDS:
                looked = now
                self._look()
            if now - told > LOOK_SECONDS:
                told = now
                self.tell({"alive": len(self._hands)})
            if self._hands:
                without = now
            elif self._left_out or now - without > NO_NODE_SECONDS:
                raise next(iter(self._left_out.values()), ServerError("the cluster has no node left", AGAIN))
            self._hear()
            self._end_silent()
            ready = [hand.step == "ready" for hand in self._hands.values()]
            if not self._begun and any(ready):
                self._begun = all(ready) or now - begun > READY_SECONDS
            if self._begun:
                self._ask_on()

    def _look(self) -> None:
        """Take new nodes in, and notice those that are gone."""
        there = {node.node_id: node for node in self.cluster.nodes()}
        for node_id in [one for one in self._hands if one not in there]:
            self._lose(self._hands[node_id], "it is gone from the cluster")
        for node_id, node in there.items():
            if node_id not in self._hands and node_id not in self._left_out:
                process = self.cluster.start(node, {**self.asked.variables, "OMP_NUM_THREADS": str(node.cpus)})
                call = self.cluster.call(process, "facts")
                own = f"{self._beacon}.{secrets.token_hex(4)}"
                self._hands[node_id] = Hand(node, process, call, time.monotonic(), own)
                self.records.setdefault(node_id, NodeRecord(node.name, node.cpus))

    def _hear(self) -> None:
        """Wait a moment for answers, and take those that there are."""
        calls = {hand.call: hand for hand in self._hands.values() if hand.call is not None}
        if not calls:
            time.sleep(0.1)
            return
        hear = {"facts": self._heard_facts, "begin": self._heard_begin, "exchange": self._heard_exchange}
        for call in self.cluster.wait(list(calls), 0.5):
            hand = calls[call]
            hand.call = None
            try:
                told = self.cluster.answer(call)
            except LostError as error:
                self._lose(hand, f"its process ended: {error}")
                continue
            hear[hand.step](hand, told)

    def _heard_facts(self, hand: Hand, told: Mapping[str, str | None]) -> None:
        try:
            check_versions(hand.node.name, told, VERSIONS)
        except SettingError as error:
            self._refuse(hand, error)
            return
        hand.step, hand.since = "begin", time.monotonic()
        arguments = (self._order, hand.node.cpus, self.asked.samples, (self._beacon, hand.own))
        hand.call = self.cluster.call(hand.process, "begin", WORK, *arguments)

    def _heard_begin(self, hand: Hand, told: Mapping[str, Any]) -> None:
        name = hand.node.name
        failure = told.get("failure")
        if failure is not None:
            self._refuse(hand, error_of(failure, f"node {name}: "))
            return
        if not self.out.holds(hand.own):
            where = self.out.place.address
            self._refuse(
                hand, StoreError(f"node {name}: {where} is another folder there", "name one that all nodes share")
            )
            return
        self.out.remove(hand.own)
        self._probe = self._probe or (told["probe"], name)
        if told["probe"] != self._probe[0]:
            self._refuse(
                hand,
                SettingError(
                    f"node {name} computes other bits than node {self._probe[1]}: their processors or libraries differ",
                    "take nodes of one kind, or another engine: --engine",
                ),
            )
            return
        hand.step, hand.since = "ready", time.monotonic()

    def _heard_exchange(self, hand: Hand, told: Mapping[str, Any]) -> None:
        node_id, record = hand.node.node_id, self.records[hand.node.node_id]
        now = time.monotonic()
        if self.assignment.held_by(node_id):
            record.seconds += now - hand.asked
        for text in told["said"]:
            self.tell({"said": text})
        if told["filled"]:
            self.filled[hand.own] = told["filled"]
        if told["parts"] or told["rows"] != hand.rows:
            hand.since = now
            self.tell({"rows": told["rows"] - hand.rows})
            hand.rows = told["rows"]
        for line in told["parts"]:
            part = part_module.of_line(line, hand.node.name)
            self._in_a_row.pop(node_id, None)
            hand.rows_done += part.rows
            try:
                is_first = self.assignment.finished(node_id, part.unit, bytes.fromhex(part.sha256))
            except ValueError:
                raise StoreError(
                    f"{part.name}: node {hand.node.name} made other bytes of it than another node",
                    "take nodes of one kind, name a new folder, and remove this one",
                ) from None
            if is_first:
                record.parts, record.rows = record.parts + 1, record.rows + part.rows
                self.tell({"part": line, "node": hand.node.name})
        failure = told.get("failure")
        if failure is None:
            return
        if failure["kind"] not in NODES_OWN:
            raise error_of(failure, "")
        self._lose(hand, failure["message"], error_of(failure, f"node {hand.node.name}: "))

    def _ask_on(self) -> None:
        """Give every node that waits its next units, and ask it what it has done."""
        for node_id, hand in self._hands.items():
            if hand.call is None and hand.step in ("ready", "exchange"):
                had = self.assignment.held_by(node_id)
                lines = self.assignment.give(node_id)
                if hand.step == "ready" or (lines and not had):
                    hand.since = time.monotonic()
                hand.step, hand.asked = "exchange", time.monotonic()
                seconds = min(10.0, EXCHANGE_SECONDS + len(self._hands) / 100)
                hand.call = self.cluster.call(hand.process, "exchange", lines, seconds)

    def _end_silent(self) -> None:
        """Give up the nodes that hang."""
        now = time.monotonic()
        for hand in list(self._hands.values()):
            silent = now - hand.since
            works = hand.step == "exchange" and self.assignment.held_by(hand.node.node_id)
            if hand.step in ("facts", "begin") and silent > START_SECONDS:
                said = f"it did not get ready within {START_SECONDS:.0f} s: its cores may be busy with other work"
                self._left_out[hand.node.node_id] = ServerError(f"node {hand.node.name}: {said}", AGAIN)
                self._drop(hand)
                self.tell({"note": f"node {hand.node.name}: {said}; it is left out"})
            elif works and silent > self.asked.unit_seconds:
                self._lose(hand, f"it labelled no row for {self.asked.unit_seconds:,.0f} s")

    def _refuse(self, hand: Hand, error: VecmlError) -> None:
        """Leave a node out that cannot take part; before work starts, that is the end."""
        if not self._begun:
            raise error
        self.tell({"note": f"{error.message}; the work goes on without it"})
        self._left_out[hand.node.node_id] = error
        self._drop(hand)

    def _lose(self, hand: Hand, why: str, error: VecmlError | None = None) -> None:
        """Take a node's units back; it is started anew, unless it failed several times one after the other."""
        node_id, name = hand.node.node_id, hand.node.name
        self._drop(hand)
        self.records[node_id].failures += 1
        self._in_a_row[node_id] += 1
        try:
            units = self.assignment.lost(node_id, blame=error is None)
        except TriedTooOftenError as lost:
            file = next(iter(unit_of(lost.line)[1].values()))
            raise ServerError(
                f"the part of {file.address} was lost {lost.tries} times with its node, at last {name}: {why}",
                "is memory short there? --part-size 64MiB takes less; what is complete stays",
            ) from None
        again = f"; {len(units)} of its parts are labelled elsewhere" if units else ""
        if self._in_a_row[node_id] >= MOST_FAILURES:
            self._left_out[node_id] = error or ServerError(f"node {name}: {why}", AGAIN)
            again += "; it is left out"
        self.tell({"note": f"node {name}: {why}{again}"})

    def _drop(self, hand: Hand) -> None:
        del self._hands[hand.node.node_id]
        if hand.rows != hand.rows_done:
            self.tell({"rows": hand.rows_done - hand.rows})
        with suppress(LostError):
            self.cluster.end(hand.process)
        self._tidy(hand)

    def _tidy(self, hand: Hand) -> None:
        if hand.step in ("facts", "begin"):
            self.out.remove(hand.own)

    def _end(self) -> None:
        """End the processes of all nodes, which may first give up what they label."""
        self.out.remove(self._beacon)  # first: a node that finds it gone removes its own
        calls = [
            self.cluster.call(hand.process, "stop", STOP_SECONDS)
            for hand in self._hands.values()
            if hand.step in ("ready", "exchange")
        ]
        limit = time.monotonic() + STOP_SECONDS
        while calls and (left := limit - time.monotonic()) > 0:
            ended = self.cluster.wait(calls, left)
            calls = [call for call in calls if call not in ended]
        for hand in self._hands.values():
            with suppress(LostError):
                self.cluster.end(hand.process)
            self._tidy(hand)

    def summary(self) -> dict[str, Any]:
        """Sum up what the parent is told at the end."""
        return {
            "nodes": [asdict(record) for record in self.records.values()],
            "retries": self.assignment.retries,
            "filled": [one for filled in self.filled.values() for one in filled],
        }

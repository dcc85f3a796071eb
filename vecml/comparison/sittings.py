"""One sitting on each kind of node of a cluster: which nodes there are, which of them measure, and how it ends."""

import json
import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from vecml.cluster.failure import told_of
from vecml.cluster.ray_cluster import Cluster, FoundNode, LostError
from vecml.cluster.versions import WITHOUT_MACHINE, check_versions
from vecml.errors import EngineUnavailableError, ServerError

LOOK, BEGIN = "vecml.comparison.node_work:look", "vecml.comparison.node_work:begin"
START_SECONDS = 180.0  # for a node to say what it is, and for its cores to be free
NEXT_SECONDS = 60.0  # for its cores to be free, where another node of its kind may be taken
ALIVE_SECONDS = 2.0  # between two words to the parent
EXCHANGE_SECONDS = 10.0  # that a node waits for something to tell; something is timed meanwhile
STOP_SECONDS = 15.0
OF_THE_NODE = ("", "ScratchError", "StoreError", "MeasureError", "ServerError")  # faults that another node may not have
UNREADABLE = "what it says cannot be read: has it the same vecml?"
KEY = re.compile(r"[0-9a-f]{16}")
AGAIN = "run the same command again; what other kinds of machine have measured is tracked"


@dataclass(frozen=True)
class Asked:
    """Says what is asked for.

    Attributes:
        files: of the order.
        folder: this user's current folder.
        engines: those that every node must have.
        silent_seconds: a node that says nothing for so long while it measures is given up.
        variables: of the environment of the process that compares.
    """

    files: Mapping[str, bytes]
    folder: str
    engines: Sequence[str]
    silent_seconds: float
    variables: Mapping[str, str]


@dataclass
class Hand:
    """A process on a node.

    Attributes:
        node, process: which node, and its process.
        call: what it was asked last; None once that is answered.
        step: `facts` and `look` of a process that says what its node is; `begin` and `exchange` of one that measures.
        since: by the monotonic clock, when it last said something.
        key: the machine key of its kind; empty as long as that is not known.
        found: what it has said of its node.
    """

    node: FoundNode
    process: Any
    call: Any
    step: str
    since: float
    key: str = ""
    found: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class Sittings:
    """Takes a node of each kind, and lets it measure.

    Attributes:
        cluster: joined already.
        asked: what is asked for.
        tell: tells the parent, as `vecml.comparison.cluster_driver` says.
        stopping: set where the parent wants the end.
    """

    cluster: Cluster
    asked: Asked
    tell: Callable[[dict[str, Any]], None]
    stopping: threading.Event
    _hands: list[Hand] = field(default_factory=list)
    _waiting: dict[str, list[FoundNode]] = field(default_factory=dict)
    _order: Any = None
    _told: float = 0.0

    def run(self) -> None:
        """Do it, until every kind has been measured or failed, or `stopping` is set.

        Raises SettingError where a node does not fit, before anything is measured; ServerError where there is no node.
        """
        self._order = self.cluster.put(dict(self.asked.files))
        try:
            for hand in self._looked():
                self._waiting.setdefault(hand.key, []).append(hand.node)
            for key in self._waiting:
                self._next(key)
            while self._hands and not self.stopping.is_set():
                self._hear()
                self._end_silent()
        finally:
            self._end()

    def _looked(self) -> list[Hand]:
        """Ask every node what it is, and return those that have answered."""
        nodes = self.cluster.nodes()
        if not nodes:
            raise ServerError("the cluster has no node", "ray start --address HEAD:6379 adds one")
        for node in nodes:
            process = self.cluster.start(node, {}, whole=False)
            call = self.cluster.call(process, "facts")
            self._hands.append(Hand(node, process, call, "facts", time.monotonic()))
        looked: list[Hand] = []
        while self._hands and not self.stopping.is_set():
            for hand, told in self._answers():
                if isinstance(told, LostError):
                    self._leave_out(hand, f"its process ended: {told}")
                elif hand.step == "facts":
                    check_versions(hand.node.name, told, WITHOUT_MACHINE)
                    hand.step, hand.call = "look", self.cluster.call(hand.process, "begin", LOOK, self.asked.engines)
                elif (found := _found(told)) is None:
                    self._leave_out(hand, UNREADABLE)
                else:
                    hand.found, hand.key = found, found["machine_key"]
                    self._check_engines(hand)
                    looked.append(hand)
                    self._drop(hand)
            for hand in [one for one in self._hands if time.monotonic() - one.since > START_SECONDS]:
                self._leave_out(hand, f"it did not say what it is within {START_SECONDS:.0f} s")
        if not looked and not self.stopping.is_set():
            raise ServerError("no node of the cluster says what it is", "look at its log: ray logs")
        for key in dict.fromkeys(hand.key for hand in looked):
            of_kind = [hand for hand in looked if hand.key == key]
            names = [hand.node.name for hand in of_kind]
            self.tell({"kind": key, "host": of_kind[0].found["host"], "nodes": names})
            if apart := _software_apart(of_kind):
                self.tell(
                    {"note": f"kind {key[:8]}: its nodes have different software, and one of them measures: {apart}"}
                )
        return looked

    def _check_engines(self, hand: Hand) -> None:
        for name, reason in hand.found["lacking"].items():
            raise EngineUnavailableError(
                f"node {hand.node.name}: engine {name} cannot run there: {reason}",
                "leave it out with --engines, or name all: then each kind of machine compares what it has",
            )

    def _next(self, key: str, failure: Mapping[str, Any] | None = None) -> None:
        """Take the next node of a kind; where there is none, the kind has failed."""
        if not self._waiting[key]:
            self.tell({"kind": key, "failed": failure})
            return
        node = self._waiting[key].pop(0)
        process = self.cluster.start(node, {})
        call = self.cluster.call(process, "begin", BEGIN, self._order, self.asked.folder, dict(self.asked.variables))
        self._hands.append(Hand(node, process, call, "begin", time.monotonic(), key))

    def _answers(self) -> list[tuple[Hand, Any]]:
        """Wait a moment for answers; each is that of its process, or the error that there will be none."""
        if (now := time.monotonic()) - self._told > ALIVE_SECONDS:
            self._told = now
            self.tell({"alive": len(self._hands)})
        calls = {hand.call: hand for hand in self._hands}
        found: list[tuple[Hand, Any]] = []
        for call in self.cluster.wait(list(calls), 0.5):
            try:
                found.append((calls[call], self.cluster.answer(call)))
            except LostError as error:
                found.append((calls[call], error))
        return found

    def _hear(self) -> None:
        for hand, told in self._answers():
            if isinstance(told, LostError):
                self._lose(hand, f"its process ended: {told}")
                continue
            if hand.step == "begin":
                hand.step, hand.since = "exchange", time.monotonic()
                self.tell({"kind": hand.key, "node": hand.node.name})
                self._ask_on(hand)
                continue
            try:
                answer = _read(told)
                lines, is_over = [_read(line) for line in answer["lines"]], bool(answer["over"])
            except (ValueError, TypeError, KeyError, RecursionError):
                self._lose(hand, UNREADABLE)
                continue
            if lines:
                hand.since = time.monotonic()
            self._take(hand, lines, is_over=is_over)

    def _take(self, hand: Hand, messages: Sequence[Mapping[str, Any]], *, is_over: bool) -> None:
        """Tell the parent what a node has told, and go on with it or with another."""
        for message in messages:
            if "failure" in message and self._is_of_the_node(hand, message["failure"]):
                self._lose(hand, str(message["failure"]["message"]))
                return
            if "comparison" in message or "failure" in message:
                done = {"failed": message["failure"]} if "failure" in message else message
                self.tell({"kind": hand.key, "node": hand.node.name, **done})  # before the wait for what it has started
                self._drop(hand)
                return
            if "lost" in message:
                self._lose(hand, f"its comparison ended: {message['lost']}")
                return
            self.tell({"kind": hand.key, "node": hand.node.name, "told": message})
        if is_over:
            self._lose(hand, "its comparison ended without a word")
        else:
            self._ask_on(hand)

    def _is_of_the_node(self, hand: Hand, failure: Any) -> bool:
        """Whether a failure is a fault of the node, such as a full disk, and another node of its kind is left."""
        is_readable = isinstance(failure, Mapping) and {"kind", "message"} <= failure.keys()
        return is_readable and failure["kind"] in OF_THE_NODE and bool(self._waiting[hand.key])

    def _ask_on(self, hand: Hand) -> None:
        hand.call = self.cluster.call(hand.process, "exchange", EXCHANGE_SECONDS)

    def _end_silent(self) -> None:
        """Give up the nodes that hang, or whose cores others have."""
        for hand in list(self._hands):
            silent = time.monotonic() - hand.since
            patience = NEXT_SECONDS if self._waiting[hand.key] else START_SECONDS
            if hand.step == "begin" and silent > patience:
                self._lose(hand, f"its cores were not free within {patience:.0f} s: others use them")
            elif hand.step == "exchange" and silent > self.asked.silent_seconds:
                self._lose(hand, f"it said nothing for {self.asked.silent_seconds:,.0f} s")

    def _lose(self, hand: Hand, why: str) -> None:
        """Go on with another node of the kind, if there is one left: each is tried once."""
        error = ServerError(f"node {hand.node.name}: {why}", AGAIN)
        if self._waiting[hand.key]:
            self.tell({"note": f"{error.message}; another node of its kind is taken"})
        self.tell({"kind": hand.key, "node": hand.node.name, "lost": True})
        self._drop(hand)  # which may wait for what it has started
        self._next(hand.key, told_of(error))

    def _leave_out(self, hand: Hand, why: str) -> None:
        self._drop(hand)
        self.tell({"note": f"node {hand.node.name}: {why}; it is left out"})

    def _drop(self, hand: Hand) -> None:
        """End a process on a node, which first ends what it has started."""
        self._hands.remove(hand)
        self._stop([hand])

    def _end(self) -> None:
        hands, self._hands = self._hands, []
        self._stop(hands)

    def _stop(self, hands: Sequence[Hand]) -> None:
        calls = [self.cluster.call(one.process, "stop", STOP_SECONDS) for one in hands if one.step == "exchange"]
        limit = time.monotonic() + STOP_SECONDS
        while calls and (left := limit - time.monotonic()) > 0:
            ended = self.cluster.wait(calls, left)
            calls = [call for call in calls if call not in ended]
        for hand in hands:
            self.cluster.end(hand.process)


def _read(text: str) -> dict[str, Any]:
    """The JSON object that a node has told. Raises ValueError or TypeError where it is none, or no text at all."""
    found = json.loads(text)
    json.dumps(found, ensure_ascii=False).encode()  # half a character cannot be shown or written
    if not isinstance(found, dict):
        raise TypeError(text)
    return found


def _found(text: str) -> dict[str, Any] | None:
    """What a node has said of itself (`vecml.comparison.node_work.look`); None where it cannot be read."""
    try:
        found = _read(text)
        texts = [found["machine_key"], found["host"], *found["lacking"], *found["lacking"].values()]
        texts += [one for one in found["software"].values() if one is not None]
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
    is_sound = all(isinstance(one, str) for one in texts) and KEY.fullmatch(found["machine_key"]) is not None
    return found if is_sound else None


def _software_apart(hands: Sequence[Hand]) -> str:
    """Name the libraries that are not the same on all nodes of a kind, each with its versions by node; else empty."""
    apart = []
    for name in dict.fromkeys(name for hand in hands for name in hand.found["software"]):
        nodes: dict[str, list[str]] = {}
        for hand in hands:
            nodes.setdefault(hand.found["software"].get(name) or "missing", []).append(hand.node.name)
        if len(nodes) > 1:
            apart.append(f"{name} " + ", ".join(f"{version} on {' and '.join(on)}" for version, on in nodes.items()))
    return "; ".join(apart)

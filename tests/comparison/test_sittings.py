"""Which nodes measure, and what becomes of those that do not fit, fail, hang or go, with nodes that are played here.

Ray's part is played as well; tests/system/test_compare_cluster.py has both from real processes.
"""

import json
import threading
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from vecml.cluster.node import Node
from vecml.cluster.ray_cluster import FoundNode, LostError
from vecml.comparison import sittings
from vecml.comparison.sittings import BEGIN, LOOK, Asked, Sittings
from vecml.errors import EngineUnavailableError, ServerError, SettingError

ONE, TWO = "1" * 16, "2" * 16  # machine keys
DONE = {"comparison": "a document"}


class Played:
    """A node: its kind, what it tells when it measures, and what is wrong with it."""

    def __init__(self, key: str, *told: Any, facts: Any = None, lacking: Any = None, software: Any = None) -> None:
        self.key, self.told, self.lacking, self.software = key, list(told), lacking or {}, software or {}
        self.own = {**Node().facts(), **(facts or {})}
        self.stopped = 0

    def facts(self) -> dict[str, Any]:
        return self.own

    def begin(self, work: str, *values: Any) -> Any:
        if work == LOOK:
            known = {"machine_key": self.key, "host": f"host of {self.key}", "software": self.software}
            return json.dumps({**known, "lacking": self.lacking})
        assert work == BEGIN
        assert values == ({"order.json": b"{}"}, "/here", {})
        return "{}"

    def exchange(self, wait_seconds: float) -> Any:
        if not self.told:
            return None  # it hangs
        told = self.told.pop(0)
        if isinstance(told, LostError):
            return told
        return json.dumps({"lines": [json.dumps(told)], "over": not self.told})

    def stop(self, wait_seconds: float) -> bool:
        self.stopped += 1
        return True


class Call:
    """A call, and its answer; None: there is none yet."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer


class Here:
    """A cluster of such nodes; a call is answered at once, or never."""

    def __init__(self, **nodes: Played) -> None:
        self.played = nodes
        self.begun: list[str] = []
        self.running: list[tuple[str, bool]] = []

    def nodes(self) -> list[FoundNode]:
        return [FoundNode(name, name, 1) for name in self.played]

    def put(self, value: Any) -> Any:
        return value

    def start(self, node: FoundNode, environment: Mapping[str, str], *, whole: bool = True) -> tuple[str, bool]:
        self.running.append((node.name, whole))
        if whole:
            self.begun.append(node.name)
        return node.name, whole

    def call(self, process: tuple[str, bool], method: str, *values: Any) -> Any:
        return Call(getattr(self.played[process[0]], method)(*values))

    def wait(self, calls: Sequence[Any], seconds: float) -> list[Any]:
        return [call for call in calls if call.answer is not None]

    def answer(self, call: Any) -> Any:
        if isinstance(call.answer, LostError):
            raise call.answer
        return call.answer

    def end(self, process: tuple[str, bool]) -> None:
        self.running.remove(process)


def run(cluster: Here, engines: Sequence[str] = ("numpy",), silent_seconds: float = 60.0) -> list[dict[str, Any]]:
    told: list[dict[str, Any]] = []
    asked = Asked({"order.json": b"{}"}, "/here", engines, silent_seconds, {})
    try:
        Sittings(cluster, asked, told.append, threading.Event()).run()  # type: ignore[arg-type]
    finally:
        assert cluster.running == []
    return [one for one in told if "alive" not in one]


def test_one_node_of_each_kind_measures() -> None:
    cluster = Here(a=Played(ONE, {"begin": 0, "name": "measuring"}, DONE), b=Played(TWO, DONE), c=Played(ONE))
    told = run(cluster)
    assert told[:2] == [
        {"kind": ONE, "host": f"host of {ONE}", "nodes": ["a", "c"]},
        {"kind": TWO, "host": f"host of {TWO}", "nodes": ["b"]},
    ]
    assert {"kind": ONE, "node": "a", "told": {"begin": 0, "name": "measuring"}} in told
    assert [one for one in told if "comparison" in one] == [
        {"kind": TWO, "node": "b", **DONE},
        {"kind": ONE, "node": "a", **DONE},
    ]
    assert sorted(cluster.begun) == ["a", "b"]


@pytest.mark.parametrize("gone", [LostError("its raylet died"), {"lost": "its process was killed (SIGKILL)"}])
def test_another_node_of_the_kind_is_taken_where_one_goes(gone: Any) -> None:
    told = run(Here(a=Played(ONE, gone), b=Played(ONE, DONE)))
    (note,) = [one["note"] for one in told if "note" in one]
    assert note.startswith("node a: its ")
    assert note.endswith("; another node of its kind is taken")
    assert told[-1] == {"kind": ONE, "node": "b", **DONE}


def test_the_last_of_a_kind_that_goes_is_a_failure_and_the_others_are_kept() -> None:
    told = run(Here(a=Played(ONE, LostError("gone")), b=Played(TWO, DONE)))
    (failed,) = [one for one in told if "failed" in one]
    assert failed["kind"] == ONE
    assert failed["failed"]["kind"] == "ServerError"
    assert failed["failed"]["message"] == "node a: its process ended: gone"
    assert {"kind": TWO, "node": "b", **DONE} in told


def test_what_a_comparison_refuses_is_not_tried_on_another_node() -> None:
    failure = {"kind": "DataError", "message": "no such file", "hint": None}
    cluster = Here(a=Played(ONE, {"failure": failure}), b=Played(ONE, DONE))
    assert run(cluster)[-1] == {"kind": ONE, "node": "a", "failed": failure}
    assert cluster.begun == ["a"]


def test_a_node_that_hangs_is_given_up_after_it_was_told_to_end() -> None:
    hanging = Played(ONE, {"begin": 0, "name": "measuring"})
    hanging.exchange = lambda wait_seconds: None  # type: ignore[method-assign]
    told = run(Here(a=hanging, b=Played(ONE, DONE)), silent_seconds=1e-9)
    assert any(str(one.get("note")).startswith("node a: it said nothing for 0 s") for one in told)
    assert hanging.stopped == 1


def test_a_node_whose_cores_others_use_gives_way_to_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sittings, "NEXT_SECONDS", 0.0)
    busy = Played(ONE)
    look = busy.begin
    busy.begin = lambda work, *values: look(work, *values) if work == LOOK else None  # type: ignore[method-assign]
    told = run(Here(a=busy, b=Played(ONE, DONE)))
    assert any("its cores were not free within 0 s" in str(one.get("note")) for one in told)
    assert told[-1] == {"kind": ONE, "node": "b", **DONE}


@pytest.mark.parametrize("name", ["vecml", "python", "pyarrow", "numpy"])
def test_a_node_with_another_version_is_told_before_anything_is_measured(name: str) -> None:
    cluster = Here(a=Played(ONE, DONE), b=Played(TWO, DONE, facts={name: "0.0.1"}))
    with pytest.raises(SettingError, match=rf"^node b has {name} 0\.0\.1, and this machine "):
        run(cluster)
    assert cluster.begun == []


def test_another_kind_of_processor_is_what_is_looked_for() -> None:
    told = run(Here(a=Played(ONE, DONE, facts={"machine": "Linux riscv64"})))
    assert told[-1] == {"kind": ONE, "node": "a", **DONE}


def test_a_node_without_an_engine_is_told_before_anything_is_measured() -> None:
    cluster = Here(a=Played(ONE, DONE), b=Played(TWO, DONE, lacking={"halide": "halide is not installed"}))
    with pytest.raises(EngineUnavailableError, match=r"^node b: engine halide cannot run there: halide is not inst"):
        run(cluster)
    assert cluster.begun == []


def test_a_cluster_without_nodes_is_told() -> None:
    with pytest.raises(ServerError, match=r"^the cluster has no node$"):
        run(Here())


def test_a_node_that_does_not_say_what_it_is_is_left_out() -> None:
    lost = Played(ONE)
    lost.begin = lambda work, *values: LostError("no torch")  # type: ignore[method-assign,assignment,return-value]
    told = run(Here(a=lost, b=Played(TWO, DONE)))
    assert told[0] == {"note": "node a: its process ended: no torch; it is left out"}
    assert told[-1] == {"kind": TWO, "node": "b", **DONE}


@pytest.mark.parametrize("kind", ["", "ScratchError", "StoreError", "MeasureError", "ServerError"])
def test_a_fault_of_a_node_is_none_of_its_kind(kind: str) -> None:
    failure = {"kind": kind, "message": "no space left on device", "hint": "free some"}
    told = run(Here(a=Played(ONE, {"failure": failure}), b=Played(ONE, DONE)))
    assert {"note": "node a: no space left on device; another node of its kind is taken"} in told
    assert told[-1] == {"kind": ONE, "node": "b", **DONE}
    last = run(Here(a=Played(ONE, {"failure": failure}), b=Played(ONE, {"failure": failure}), c=Played(TWO, DONE)))
    assert [one for one in last if "failed" in one] == [{"kind": ONE, "node": "b", "failed": failure}]
    assert {"kind": TWO, "node": "c", **DONE} in last


@pytest.mark.parametrize(
    "said", [DONE, {"failure": {"kind": "DataError", "message": "none", "hint": None}}, LostError()]
)
def test_how_it_ended_is_told_before_the_wait_for_what_the_node_has_started(said: Any) -> None:
    node, order = Played(ONE, said), []
    node.stop = lambda wait_seconds: order.append("stop") or True  # type: ignore[method-assign,func-returns-value]
    asked = Asked({"order.json": b"{}"}, "/here", (), 60.0, {})

    def tell(message: dict[str, Any]) -> None:
        if {"comparison", "failed", "lost"} & message.keys():
            order.append("told")

    Sittings(Here(a=node), asked, tell, threading.Event()).run()  # type: ignore[arg-type]
    assert order[:2] == ["told", "stop"]


SURROGATE = '{"begin": 0, "name": "\\ud800"}'


@pytest.mark.parametrize(
    "answer",
    [
        "no JSON",
        "[]",
        "null",
        '{"over": false}',
        '{"lines": ["no JSON"], "over": false}',
        json.dumps({"lines": [SURROGATE], "over": False}),
        "[" * 100_000,
    ],
)
def test_a_node_whose_answer_cannot_be_read_gives_way_to_another(answer: str) -> None:
    odd = Played(ONE, DONE)
    odd.exchange = lambda wait_seconds: answer  # type: ignore[method-assign]
    told = run(Here(a=odd, b=Played(ONE, DONE), c=Played(TWO, DONE)))
    (note,) = [one["note"] for one in told if "note" in one]
    assert note == f"node a: {sittings.UNREADABLE}; another node of its kind is taken"
    assert [(one["kind"], one["node"]) for one in told if "comparison" in one] == [(TWO, "c"), (ONE, "b")]
    assert odd.stopped == 1


@pytest.mark.parametrize(
    "answer",
    [
        "no JSON",
        "[]",
        json.dumps({"machine_key": ONE}),
        json.dumps({"machine_key": ONE, "host": "h", "software": {"torch": 2}, "lacking": {}}),
        json.dumps({"machine_key": 1, "host": "h", "software": {}, "lacking": {}}),
        json.dumps({"machine_key": "../one", "host": "h", "software": {}, "lacking": {}}),
        json.dumps({"machine_key": ONE, "host": "\ud800", "software": {}, "lacking": {}}),
        json.dumps({"machine_key": ONE, "host": "h", "software": {}, "lacking": []}),
        json.dumps({"machine_key": ONE, "host": "h", "software": {}, "lacking": {"torch": 1}}),
    ],
)
def test_a_node_that_says_nothing_readable_of_itself_is_left_out(answer: str) -> None:
    odd = Played(ONE, DONE)
    odd.begin = lambda work, *values: answer  # type: ignore[method-assign]
    told = run(Here(a=odd, b=Played(TWO, DONE)))
    assert told[0] == {"note": f"node a: {sittings.UNREADABLE}; it is left out"}
    assert told[-1] == {"kind": TWO, "node": "b", **DONE}


def test_other_libraries_on_nodes_of_one_kind_are_told() -> None:
    here, there = {"torch": "2.9", "numpy": "2.1", "halide": None}, {"torch": "2.8", "numpy": "2.1", "halide": "19.0"}
    nodes = {"a": here, "b": there, "c": here}
    told = run(Here(**{name: Played(ONE, DONE, software=has) for name, has in nodes.items()}, d=Played(TWO, DONE)))
    assert [one["note"] for one in told if "note" in one] == [
        "kind 11111111: its nodes have different software, and one of them measures: "
        "torch 2.9 on a and c, 2.8 on b; halide missing on a and c, 19.0 on b"
    ]
    assert {"kind": ONE, "node": "a", **DONE} in told

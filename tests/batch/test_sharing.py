"""How units are shared out to nodes that come, go, fail and do not fit, with nodes that are threads of this process.

What a node does is the real work. Ray's part, which is to start processes and to say that they are gone, is played
here; tests/faults/test_cluster.py has it from real processes.
"""

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.batch.made import SETTING, classifier, contents, files_of, label
from vecml.batch import sharing
from vecml.batch.assignment import Assignment
from vecml.batch.driver import _units
from vecml.batch.label import Ask, Planned, plan_files
from vecml.batch.order import read_files, write_order, write_units
from vecml.batch.sharing import Asked, Sharing
from vecml.cluster.node import Node
from vecml.cluster.ray_cluster import FoundNode, LostError
from vecml.config import Setting
from vecml.errors import DataError, EngineUnavailableError, ServerError, SettingError, StoreError

pytestmark = pytest.mark.filterwarnings("ignore::vecml.warnings.VecmlWarning")


class Process:
    """A node's process, which may die at a call."""

    def __init__(self, node: Node, dies_at: int | None) -> None:
        self.node, self.dies_at, self.calls = node, dies_at, 0
        self.open: list[Future[Any]] = []
        self.is_dead = False

    def die(self) -> None:
        self.is_dead = True
        self.node.stop(5.0)
        for call in self.open:
            if not call.done():
                call.set_exception(LostError("killed"))


class Here:
    """A cluster of which each node is an object of this process.

    Args:
        names: of the nodes that there are at first.
        made: makes the node of a name.
        dies: at which exchange the process of a node dies, each time it is started.
    """

    def __init__(
        self,
        names: Sequence[str],
        made: Callable[[str], Node] = lambda name: Node(),
        dies: Mapping[str, int] | None = None,
    ) -> None:
        self.names, self.made, self.dies = list(names), made, dict(dies or {})
        self.started: list[str] = []
        self.exchanges = 0
        self.on_exchange: Callable[[], None] = lambda: None

    def nodes(self) -> list[FoundNode]:
        return [FoundNode(name, name, 1) for name in self.names]

    def start(self, node: FoundNode, environment: Mapping[str, str]) -> Process:
        self.started.append(node.name)
        return Process(self.made(node.name), self.dies.get(node.name))

    def put(self, value: Any) -> Any:
        return value

    def call(self, process: Process, method: str, *values: Any) -> "Future[Any]":
        future: Future[Any] = Future()
        process.open.append(future)
        if method == "exchange":
            process.calls += 1
            self.exchanges += 1
            self.on_exchange()
        if process.is_dead or (method == "exchange" and process.calls == process.dies_at):
            process.die()
            return future if future.done() else _failed(future)

        def work() -> None:
            told = getattr(process.node, method)(*values)
            if process.is_dead:
                process.node.stop(5.0)
            if not future.done():
                future.set_result(told)

        threading.Thread(target=work, daemon=True).start()
        return future

    def wait(self, calls: Sequence["Future[Any]"], seconds: float) -> list["Future[Any]"]:
        return list(wait(calls, seconds, FIRST_COMPLETED).done)

    def answer(self, call: "Future[Any]") -> Any:
        return call.result()

    def end(self, process: Process) -> None:
        process.die()


def _failed(future: "Future[Any]") -> "Future[Any]":
    future.set_exception(LostError("killed"))
    return future


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sharing, "LOOK_SECONDS", 0.02)
    monkeypatch.setattr(sharing, "EXCHANGE_SECONDS", 0.02)
    monkeypatch.setattr(sharing, "NO_NODE_SECONDS", 0.3)


@pytest.fixture
def planned(tmp_path: Path) -> Planned:
    data = files_of(tmp_path / "data", [130, 300, 700], group_rows=50)
    return plan_files(classifier(), str(data), SETTING, str(tmp_path / "out"), Ask(keep=("id",), unit_bytes=2_000))


@pytest.fixture
def wanted(tmp_path: Path, planned: Planned) -> dict[str, bytes]:
    label(tmp_path / "data", tmp_path / "never", keep=("id",), unit_bytes=2_000)
    return {name: content for name, content in contents(tmp_path / "never").items() if name.startswith("part-")}


def made(planned: Planned, folder: Path, cluster: Here, setting: Setting = SETTING, **asked: Any) -> Sharing:
    folder = folder / "order"
    out = planned.folder.place.address
    write_order(folder, classifier(), setting, planned.plan, planned.wanted, planned.columns, out)
    write_units(folder, planned.plan, planned.plan.units)
    samples = tuple((file.address, file.size, file.stamp) for file in planned.plan.files[:1])
    told: list[dict[str, Any]] = []
    one = Sharing(
        cluster,  # type: ignore[arg-type]
        replace(Asked(60.0, {}, samples), **asked),
        read_files(folder),
        planned.folder,
        Assignment(_units(folder), len(planned.plan.units)),
        told.append,
        threading.Event(),
    )
    one.told = told  # type: ignore[attr-defined]
    return one


def parts(planned: Planned) -> dict[str, bytes]:
    """The parts; whoever is still getting ready when the work ends removes its own file, and that is waited for."""
    out, limit = Path(planned.folder.place.path), time.monotonic() + 10
    while list(out.rglob(".*")) and time.monotonic() < limit:
        time.sleep(0.01)
    assert not list(out.rglob(".*"))
    return {name: content for name, content in contents(out).items() if name.startswith("part-")}


def notes(one: Sharing) -> list[str]:
    return [message["note"] for message in one.told if "note" in message]  # type: ignore[attr-defined]


def test_three_nodes_make_the_parts_of_one_process(tmp_path: Path, planned: Planned, wanted: dict[str, bytes]) -> None:
    one = made(planned, tmp_path, Here("abc"))
    one.run()
    assert parts(planned) == wanted
    told = one.summary()
    assert sum(node["parts"] for node in told["nodes"]) == len(wanted)
    assert sum(node["rows"] for node in told["nodes"]) == planned.plan.n_rows
    assert sum(message["rows"] for message in one.told if "rows" in message) == planned.plan.n_rows  # type: ignore[attr-defined]
    assert told["retries"] == 0
    assert notes(one) == []


def test_a_process_that_ends_is_started_anew_and_its_parts_are_there_once(
    tmp_path: Path, planned: Planned, wanted: dict[str, bytes]
) -> None:
    cluster = Here("ab", dies={"a": 3})
    one = made(planned, tmp_path, cluster)
    one.run()
    assert parts(planned) == wanted
    assert cluster.started.count("a") > 1
    assert "node a: its process ended: killed" in notes(one)[0]
    assert sum(message["rows"] for message in one.told if "rows" in message) == planned.plan.n_rows  # type: ignore[attr-defined]
    assert one.summary()["nodes"][0]["failures"] >= 1


def test_a_node_that_comes_late_works_and_one_that_goes_is_done_without(
    tmp_path: Path, planned: Planned, wanted: dict[str, bytes]
) -> None:
    cluster = Here("a")

    def change() -> None:
        if cluster.exchanges == 4:
            cluster.names = ["b"]

    cluster.on_exchange = change
    one = made(planned, tmp_path, cluster)
    one.run()
    assert parts(planned) == wanted
    assert "node a: it is gone from the cluster" in notes(one)[0]
    assert one.summary()["nodes"][1]["parts"] > 0


class Other(Node):
    """A node that has something else than this machine."""

    def __init__(self, name: str, value: str | None) -> None:
        super().__init__()
        self.other = {name: value}

    def facts(self) -> dict[str, str | None]:
        return super().facts() | self.other


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("vecml", None, "node b has no vecml"),
        ("vecml", "0.0.1", "node b has vecml 0.0.1, and this machine "),
        ("python", "3.9", "node b has python 3.9, and this machine 3."),
        ("pyarrow", "1.0", "node b has pyarrow 1.0, and this machine "),
        ("machine", "Plan 9", "node b has machine Plan 9, and this machine "),
    ],
)
def test_a_node_with_something_else_ends_it_before_work_starts(
    name: str, value: str | None, said: str, tmp_path: Path, planned: Planned
) -> None:
    cluster = Here("ab", lambda node: Other(name, value) if node == "b" else Node())
    with pytest.raises(SettingError, match=f"^{said}") as refused:
        made(planned, tmp_path, cluster).run()
    assert str(refused.value.hint).startswith("install the same on all nodes: vecml ")
    assert parts(planned) == {}
    assert cluster.exchanges == 0


def test_a_node_with_something_else_that_comes_late_is_left_out(
    tmp_path: Path, planned: Planned, wanted: dict[str, bytes]
) -> None:
    cluster = Here("a", lambda node: Other("vecml", "0.0.1") if node == "b" else Node())
    cluster.on_exchange = lambda: cluster.names.append("b") if len(cluster.names) == 1 else None
    one = made(planned, tmp_path, cluster)
    one.run()
    assert parts(planned) == wanted
    assert notes(one) == [] or notes(one)[0].endswith("; the work goes on without it")
    assert cluster.started.count("b") <= 1


def test_an_engine_that_is_not_there_is_told_with_the_node(tmp_path: Path, planned: Planned) -> None:
    with pytest.raises(EngineUnavailableError, match=r"^node a: engine numpy cannot run this model here: "):
        made(planned, tmp_path, Here("a"), replace(SETTING, precision="float16")).run()


class Elsewhere(Node):
    """A node that sees another output, or computes other bits, or writes into another folder."""

    def __init__(self, what: str) -> None:
        super().__init__()
        self.what = what

    def begin(self, work: str, files: Any, threads: int, samples: Any, beacons: tuple[str, str]) -> dict[str, Any]:
        if self.what == "reads":
            return super().begin(work, files, threads, samples, ("not-there", beacons[1]))
        if self.what == "writes":
            return super().begin(work, files, threads, samples, (beacons[0], f"{beacons[1]}0"))
        return super().begin(work, files, threads, samples, beacons) | {"probe": self.what}


@pytest.mark.parametrize(
    ("what", "kind", "said"),
    [
        ("reads", StoreError, r"^node b: .*/out is another folder here$"),
        ("writes", StoreError, r"^node b: .*/out is another folder there$"),
        ("bits", SettingError, r"^node [ab] computes other bits than node [ab]: their processors or libraries differ$"),
    ],
)
def test_a_node_that_sees_or_computes_something_else_is_told(
    what: str, kind: type[Exception], said: str, tmp_path: Path, planned: Planned
) -> None:
    with pytest.raises(kind, match=said):
        made(planned, tmp_path, Here("ab", lambda node: Elsewhere(what) if node == "b" else Node())).run()


def test_a_node_that_sees_other_data_is_told(tmp_path: Path, planned: Planned) -> None:
    address = planned.plan.files[0].address
    with pytest.raises(StoreError, match=rf"^node a: {address} is another file here, of "):
        made(planned, tmp_path, Here("a"), samples=((address, 1, "0"),)).run()
    with pytest.raises(DataError, match=r"^node a: .*/nowhere\.parquet "):
        made(planned, tmp_path, Here("a"), samples=((f"{address[:-11]}/nowhere.parquet", 1, "0"),)).run()


def test_without_a_node_it_ends(tmp_path: Path, planned: Planned) -> None:
    with pytest.raises(ServerError, match=r"^the cluster has no node left$"):
        made(planned, tmp_path, Here("")).run()


def test_a_node_that_fails_again_and_again_is_left_out_and_the_last_one_ends_it(
    tmp_path: Path, planned: Planned
) -> None:
    cluster = Here("a", dies={"a": 1})
    with pytest.raises(ServerError, match=r"^node a: its process ended: killed$"):
        made(planned, tmp_path, cluster).run()
    assert cluster.started.count("a") == sharing.MOST_FAILURES


def test_a_part_that_ends_every_process_is_named(tmp_path: Path, planned: Planned) -> None:
    names = "abcdefgh"
    with pytest.raises(
        ServerError,
        match=r"^the part of .*/data/00.\.parquet was lost 4 times with its node, at last .: its",
    ):
        made(planned, tmp_path, Here(names, dies=dict.fromkeys(names, 1))).run()


def test_a_file_that_is_gone_ends_it_and_is_named(tmp_path: Path, planned: Planned) -> None:
    last = Path(planned.plan.files[-1].address)
    last.unlink()
    with pytest.raises(DataError, match=rf"^{last}"):
        made(planned, tmp_path, Here("ab")).run()
    parts(planned)


def test_an_end_from_outside_gives_up_what_is_labelled(tmp_path: Path, planned: Planned) -> None:
    cluster = Here("a")
    one = made(planned, tmp_path, cluster)
    cluster.on_exchange = lambda: one.stopping.set() if cluster.exchanges == 2 else None
    one.run()
    assert len(parts(planned)) < len(planned.plan.units)


@pytest.fixture(autouse=True)
def _threads_end() -> Iterator[None]:
    yield
    limit = time.monotonic() + 5
    # One that is about to start is listed already, and cannot be joined yet.
    while any(thread.name == "vecml-label" for thread in threading.enumerate()) and time.monotonic() < limit:
        time.sleep(0.01)


class Busy(Node):
    """A node whose cores are taken: its process does not start."""

    def facts(self) -> dict[str, str | None]:
        threading.Event().wait(3)
        return super().facts()


def test_a_node_that_does_not_get_ready_holds_nobody_up(
    tmp_path: Path, planned: Planned, wanted: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sharing, "READY_SECONDS", 0.2)
    monkeypatch.setattr(sharing, "START_SECONDS", 0.4)
    cluster = Here("ab", lambda node: Busy() if node == "b" else Node())
    one = made(planned, tmp_path, cluster)
    one.run()
    assert parts(planned) == wanted
    assert cluster.started.count("b") == 1
    with pytest.raises(ServerError, match=r"^node b: it did not get ready within 0 s: its cores may be busy"):
        made(planned, tmp_path, Here("b", lambda node: Busy())).run()

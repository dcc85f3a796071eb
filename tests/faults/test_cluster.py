"""What labels on a cluster is killed, halted or has no room: each row once in the end, with the same bytes, or nothing.

`make test-faults` kills at a hundred moments; CI, where Ray is installed, takes one of each kind.
"""

import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.batch.made import contents, files_of, label
from tests.faults.commands import compiled_shim
from tests.faults.ray_nodes import RayNodes, driver_of, kill, parts, wait_until
from tests.faults.tally import keep, row, scaled
from tests.system.conftest import free_port
from vecml.batch.folder import Folder
from vecml.batch.manifest import verify
from vecml.data.places import place_of

pytest.importorskip("ray", reason="Ray is not installed: pip install 'vecml[ray]'")
pytestmark = [
    pytest.mark.faults,
    pytest.mark.timeout(36_000),
    pytest.mark.filterwarnings("ignore::vecml.warnings.VecmlWarning"),
]
CUTS, STUCK_SECONDS, MOMENTS = range(8, 900, 8), 240.0, 100
KINDS = ("worker", "raylet", "driver", "head")


@pytest.fixture(scope="module")
def nodes() -> Iterator[RayNodes]:
    made = RayNodes(3)
    yield made
    made.close()


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return files_of(tmp_path_factory.mktemp("cluster") / "data", list(CUTS))


@pytest.fixture(scope="module")
def never(data: Path) -> dict[str, bytes]:
    """The folder of one process that nothing happened to."""
    label(data, data.with_name("never"), keep=("id",), rows=True, unit_bytes=1)
    return contents(data.with_name("never"))


def visible(out: Path) -> dict[str, bytes]:
    """What readers see: a process that is about to be ended may still leave a record or a hidden file."""
    return {
        name: content
        for name, content in contents(out).items()
        if not name.startswith("_parts/") and not Path(name).name.startswith(".")
    }


def struck(nodes: RayNodes, process: subprocess.Popen[str], kind: str, draw: random.Random) -> bool:
    """Kill something of this kind; whether there was such a thing."""
    if kind == "worker":
        found = nodes.workers()
    elif kind == "raylet":
        found = [draw.choice(nodes.nodes[1:])["raylet"]]
    elif kind == "driver":
        found = [pid for pid in (process.pid, driver_of(process)) if pid is not None]
    else:
        head = nodes.nodes[0]
        kill(head["gcs_server"])
        found = [head["raylet"]] if draw.random() < 0.5 else []
        if not found:
            return True
    if found:
        kill(draw.choice(found))
    return bool(found)


def ended(process: subprocess.Popen[str]) -> tuple[int | None, str, str]:
    """The exit code, None where it is stuck, and what was said."""
    try:
        out, err = process.communicate(timeout=STUCK_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        out, err = process.communicate()
        return None, out, err
    return process.returncode, out, err


def wrong_after(code: int | None, said: str, err: str, kind: str) -> list[str]:
    """What is wrong with how a command ended after such a kill."""
    if code is None:
        return ["stuck"]
    if kind in ("worker", "raylet"):
        return [] if code == 0 else [f"exit {code}: {said}{err[-300:]}"]
    if code in (0, -signal.SIGKILL):
        return []
    return [] if code == 2 and said.count("\n") == 1 else [f"exit {code}: {said}{err[-300:]}"]


def mended(nodes: RayNodes, kind: str) -> None:
    if kind == "raylet":
        nodes.add()
    if kind == "head":
        nodes.end()
        nodes.start()


@pytest.mark.parametrize("kind", KINDS)
def test_a_kill_at_any_moment(kind: str, nodes: RayNodes, data: Path, never: dict[str, bytes], tmp_path: Path) -> None:
    one = row(f"SIGKILL of a cluster's {kind}", "resumed: each row once, the same bytes, none stuck")
    draw = random.Random(f"{kind} {os.environ.get('VECML_FAULT', '')}")
    units = len(never) - 3
    for number in range(max(1, scaled(MOMENTS) // len(KINDS))):
        out, at = (
            tmp_path / str(number),
            draw.choice([0, draw.randrange(1, units * 9 // 10), draw.randrange(1, units * 9 // 10)]),
        )
        process = nodes.label(data, out)
        came = wait_until(lambda out=out, at=at: parts(out) >= at, STUCK_SECONDS, process)
        if not at:
            wait_until(lambda: kind == "worker" and nodes.workers(), draw.uniform(0, 8), process)
        hit = came and process.poll() is None and struck(nodes, process, kind, draw)
        code, said, err = ended(process)
        one.tried, one.missed = one.tried + 1, one.missed + (not hit)
        wrong = wrong_after(code, said, err, kind)
        told = label(data, out, keep=("id",), rows=True, unit_bytes=1)
        if visible(out) != never:
            wrong.append("other files than without the kill")
        if verify(Folder(place_of(str(out), "--verify"))).rows != told.n_rows:
            wrong.append("other rows")
        keep(f"{kind} at {at}: hit {hit}, exit {code}, {said.strip()}; {told.taken_over} of {told.parts} taken over")
        if wrong:
            one.broke(f"at part {at}, number {number}: {'; '.join(wrong)}")
        shutil.rmtree(out)
        if hit:
            mended(nodes, kind)
    assert one.broken == []


def test_a_halted_worker_is_ended_by_the_time_out(
    nodes: RayNodes, data: Path, never: dict[str, bytes], tmp_path: Path
) -> None:
    one = row("SIGSTOP of a cluster's worker", "ended by time-out, the same bytes")
    process = nodes.label(data, tmp_path / "out", seconds=6)
    assert wait_until(lambda: parts(tmp_path / "out") > 5, STUCK_SECONDS, process)
    halted = nodes.workers()[0]
    kill(halted, signal.SIGSTOP)
    code, said, err = ended(process)
    one.tried += 1
    assert (code, said) == (0, "rows 1000 retries 1\n"), err
    assert visible(tmp_path / "out") == never
    limit = time.monotonic() + 60
    while halted in nodes.workers() and time.monotonic() < limit:
        time.sleep(0.2)
    assert halted not in nodes.workers()


@pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler to make the shim with")
def test_a_full_disk_on_one_node(data: Path, never: dict[str, bytes], tmp_path: Path) -> None:
    one = row("a full disk on one node of a cluster", "the others label its parts, the same bytes")
    out, count = tmp_path / "out", tmp_path / "count"
    count.write_bytes(bytes(8))
    full = {"FAULT_COUNT": str(count), "FAULT_UNDER": str(out), "FAULT_AT": "30", "FAULT_DO": "full"}
    nodes = RayNodes(2)
    try:
        nodes.add(LD_PRELOAD=str(compiled_shim(tmp_path)), **full)
        code, said, err = ended(nodes.label(data, out))
    finally:
        nodes.close()
    one.tried += 1
    one.missed += int.from_bytes(count.read_bytes(), "little") < 30
    assert (code, said) == (0, "rows 1000 retries 0\n"), err
    assert visible(out) == never
    assert not list(out.rglob(".*"))


def test_a_cluster_elsewhere_is_reached_through_its_client_server(
    data: Path, never: dict[str, bytes], tmp_path: Path
) -> None:
    port = free_port()
    nodes = RayNodes(2, client_port=port)
    try:
        code, said, err = ended(nodes.label(data, tmp_path / "out", where=f"ray://127.0.0.1:{port}"))
    finally:
        nodes.close()
    assert (code, said) == (0, "rows 1000 retries 0\n"), err
    assert visible(tmp_path / "out") == never


@pytest.mark.parametrize("how", ["gone", "changed"])
def test_an_input_that_changes_meanwhile_is_named(how: str, nodes: RayNodes, data: Path, tmp_path: Path) -> None:
    one = row("an input file changes or goes while a cluster labels", "refused, and named")
    copy, out = tmp_path / "data", tmp_path / "out"
    shutil.copytree(data, copy)
    last = max(copy.iterdir())
    process = nodes.label(copy, out)
    assert wait_until(lambda: parts(out) > 5, STUCK_SECONDS, process)
    last.unlink()
    if how == "changed":
        shutil.copy(min(copy.iterdir()), last)
    code, said, err = ended(process)
    one.tried += 1
    assert code == 2, said + err
    assert said.startswith(f"DataError {last}"), said
    assert not (out / "_SUCCESS").exists()
    assert not list(out.rglob(".*"))

"""What goes on meanwhile: counters from a made-up /proc and /sys, a window's arithmetic, a process's own CPU clock."""

import dataclasses
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from vecml.measure import context
from vecml.measure.context import Counters, process_cpu_seconds, read_counters, window
from vecml.measure.records import Window

TICK = 100  # a second
# user nice system idle iowait irq softirq steal guest guest_nice
CPUS = {
    0: (100, 20, 30, 9_000, 800, 5, 5, 7, 50, 1),
    1: (200, 0, 40, 9_000, 800, 0, 10, 3, 0, 0),
    2: (7_000, 7_000, 7_000, 0, 0, 7_000, 7_000, 7_000, 0, 0),
}
BURN = "import time\nwhile time.process_time() < 0.2: pass\nprint('done', flush=True)\ninput()"


@pytest.fixture(autouse=True)
def two_cpus_are_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1}, raising=False)
    monkeypatch.setattr(os, "sysconf", lambda _: TICK)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path


@pytest.fixture
def worker() -> Iterator[subprocess.Popen[bytes]]:
    """A process that has used a fifth of a second of CPU time, and rests."""
    with subprocess.Popen([sys.executable, "-c", BURN], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"done\n"
        yield process
        process.kill()


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def write_stat(root: Path, cpus: dict[int, tuple[int, ...]]) -> None:
    total = " ".join(["1"] * 10)
    lines = [f"cpu  {total}", *(f"cpu{number} {' '.join(map(str, values))}" for number, values in cpus.items())]
    write(root / "proc/stat", "\n".join([*lines, "intr 1 2 3", "ctxt 5"]) + "\n")


# ---- the CPUs' time ----


def test_busy_and_stolen_time_of_our_cpus(root: Path) -> None:
    write_stat(root, CPUS)
    found = read_counters((), root)
    # the third CPU is not ours, a guest's time is in that of its user, and waiting is no work
    assert found.busy_seconds == (100 + 20 + 30 + 5 + 5 + 200 + 40 + 10) / TICK
    assert found.steal_seconds == (7 + 3) / TICK


@pytest.mark.parametrize(
    "text", ["", "cpu  1 2 3 4 5 6 7 8 9 10\n", "cpu0 1 2 3 4 5 6 7\n", "cpu7 1 2 3 4 5 6 7 8 9 10\n"]
)
def test_cpu_time_that_is_not_told_is_none(root: Path, text: str) -> None:
    write(root / "proc/stat", text)
    found = read_counters((), root)
    assert (found.busy_seconds, found.steal_seconds) == (None, None)


def test_nothing_that_can_be_read(root: Path) -> None:
    found = read_counters((), root)
    assert (found.busy_seconds, found.steal_seconds, found.throttled_seconds) == (None, None, None)
    assert found.own_seconds is not None


def test_a_system_without_affinity(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_stat(root, CPUS)
    monkeypatch.delattr(os, "sched_getaffinity")
    assert read_counters((), root).busy_seconds is None


# ---- the quota ----

V2 = "usage_usec 9\nuser_usec 8\nsystem_usec 1\nnr_periods 5\nnr_throttled 3\nthrottled_usec 2500000\nnr_bursts 0\n"
V1 = "nr_periods 5\nnr_throttled 3\nthrottled_time 1500000000\n"
UNLIMITED_V1 = "nr_periods 0\nnr_throttled 0\nthrottled_time 0\n"


def throttled(root: Path) -> float | None:
    return read_counters((), root).throttled_seconds


def test_throttling_of_the_own_group_in_version_2(root: Path) -> None:
    write(root / "proc/self/cgroup", "0::/user.slice/job\n")
    write(root / "sys/fs/cgroup/user.slice/job/cpu.stat", V2)
    write(root / "sys/fs/cgroup/cpu.stat", "usage_usec 9\n")
    assert throttled(root) == 2.5


def test_throttling_in_a_container_that_does_not_see_its_path(root: Path) -> None:
    write(root / "proc/self/cgroup", "0::/../../docker/abc\n")
    write(root / "sys/fs/cgroup/cpu.stat", V2)
    assert throttled(root) == 2.5


def test_throttling_where_the_own_group_is_not_told(root: Path) -> None:
    write(root / "sys/fs/cgroup/cpu.stat", V2)
    assert throttled(root) == 2.5


@pytest.mark.parametrize("line", ["4:cpu,cpuacct:/docker/abc", "7:cpuacct,cpu:/docker/abc", "3:cpu:/docker/abc"])
def test_throttling_in_a_container_of_version_1(root: Path, line: str) -> None:
    write(root / "proc/self/cgroup", f"9:cpuset:/elsewhere\n{line}\n1:name=systemd:/init\n")
    write(root / "sys/fs/cgroup/cpu/cpu.stat", V1)
    assert throttled(root) == 1.5


@pytest.mark.parametrize("mount", ["cpu", "cpu,cpuacct"])
def test_throttling_of_the_own_group_in_version_1(root: Path, mount: str) -> None:
    write(root / "proc/self/cgroup", "4:cpu,cpuacct:/user.slice\n")
    write(root / "sys/fs/cgroup" / mount / "user.slice/cpu.stat", V1)
    write(root / "sys/fs/cgroup/cpu/cpu.stat", UNLIMITED_V1)
    assert throttled(root) == 1.5


def test_throttling_by_a_group_above_the_own_one(root: Path) -> None:
    write(root / "proc/self/cgroup", "0::/pod/container/job\n")
    write(root / "sys/fs/cgroup/pod/container/cpu.stat", V2)  # the one with the quota
    write(root / "sys/fs/cgroup/pod/container/job/cpu.stat", "usage_usec 9\nuser_usec 8\nsystem_usec 1\n")
    write(root / "sys/fs/cgroup/cpu.stat", "usage_usec 9\nuser_usec 8\nsystem_usec 1\n")
    assert throttled(root) == 2.5


@pytest.mark.parametrize("text", ["", "usage_usec 9\n", "throttled_usec\n", "throttled_usec -1\n"])
def test_throttling_that_is_not_told_is_none(root: Path, text: str) -> None:
    write(root / "proc/self/cgroup", "0::/job\n")
    write(root / "sys/fs/cgroup/job/cpu.stat", text)
    assert throttled(root) is None


# ---- a window ----

BEFORE = Counters(seconds=10.0, busy_seconds=50.0, steal_seconds=1.0, throttled_seconds=2.0, own_seconds=30.0)
AFTER = Counters(seconds=14.0, busy_seconds=56.0, steal_seconds=2.0, throttled_seconds=2.5, own_seconds=34.0)


def test_a_window_is_what_has_grown() -> None:
    assert window(BEFORE, AFTER, launch=3, group=1, first_round=4, last_round=7) == Window(
        launch=3,
        group=1,
        first_round=4,
        last_round=7,
        seconds=4.0,
        steal_share=1.0 / (4.0 * 2),
        throttled_seconds=0.5,
        foreign_cpus=(6.0 - 4.0) / 4.0,
        usable_cpus=2,
    )


@pytest.mark.parametrize(
    ("counter", "figure"),
    [
        ("steal_seconds", "steal_share"),
        ("throttled_seconds", "throttled_seconds"),
        ("busy_seconds", "foreign_cpus"),
        ("own_seconds", "foreign_cpus"),
    ],
)
@pytest.mark.parametrize("missing", ["before", "after", "both"])
def test_what_is_not_told_is_none_and_the_rest_is_told(counter: str, figure: str, missing: str) -> None:
    before = BEFORE if missing == "after" else dataclasses.replace(BEFORE, **{counter: None})
    after = AFTER if missing == "before" else dataclasses.replace(AFTER, **{counter: None})
    found = dataclasses.asdict(window(before, after, 0, 0, 0, 0))
    whole = dataclasses.asdict(window(BEFORE, AFTER, 0, 0, 0, 0))
    assert found == {**whole, figure: None}


def test_a_window_without_time_has_no_shares() -> None:
    found = window(BEFORE, BEFORE, 0, 0, 0, 0)
    assert (found.seconds, found.steal_share, found.throttled_seconds, found.foreign_cpus) == (0.0, None, 0.0, None)


def test_ticks_may_lag_behind_the_own_clocks_but_others_never_use_less_than_nothing() -> None:
    assert window(BEFORE, dataclasses.replace(AFTER, busy_seconds=53.5), 0, 0, 0, 0).foreign_cpus == 0.0


def test_a_machine_that_does_not_tell_its_cpus_has_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(context, "affinity_cpus", lambda: None)
    found = window(BEFORE, AFTER, 0, 0, 0, 0)
    assert (found.usable_cpus, found.steal_share) == (1, 1.0 / 4.0)


# ---- processes ----


def test_the_own_cpu_clock_grows_with_work_alone() -> None:
    before = process_cpu_seconds(os.getpid())
    assert before is not None
    until = time.process_time() + 0.05
    while time.process_time() < until:
        pass
    after = process_cpu_seconds(os.getpid())
    assert after is not None
    assert after - before >= 0.05


def test_another_processs_cpu_clock(worker: subprocess.Popen[bytes]) -> None:
    used = process_cpu_seconds(worker.pid)
    assert used is not None
    assert used >= 0.2


def test_a_process_that_has_ended_has_no_clock(worker: subprocess.Popen[bytes]) -> None:
    worker.kill()
    worker.wait()
    assert process_cpu_seconds(worker.pid) is None


def test_a_number_that_is_no_process_has_no_clock() -> None:
    assert process_cpu_seconds(1 << 28) is None


def test_a_system_without_such_clocks_is_asked_in_another_way(
    worker: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()  # psutil needs the real ticks
    with pytest.MonkeyPatch.context() as patch:
        patch.delattr(time, "clock_gettime")
        used = process_cpu_seconds(worker.pid)
        assert used is not None
        assert used >= 0.18  # in ticks
        worker.kill()
        worker.wait()
        assert process_cpu_seconds(worker.pid) is None


def test_a_process_that_may_not_be_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(pid: int) -> psutil.Process:
        raise psutil.AccessDenied(pid)

    monkeypatch.delattr(time, "clock_gettime")
    monkeypatch.setattr(psutil, "Process", refuse)
    assert process_cpu_seconds(os.getpid()) is None


def test_the_workers_time_is_our_own(root: Path, worker: subprocess.Popen[bytes]) -> None:
    alone = read_counters((), root)
    together = read_counters([worker.pid], root)
    assert alone.own_seconds is not None
    assert together.own_seconds is not None
    assert together.own_seconds - alone.own_seconds >= 0.2
    assert together.seconds >= alone.seconds


def test_a_worker_that_ends_meanwhile_does_not_count_as_others_work(
    root: Path, worker: subprocess.Popen[bytes]
) -> None:
    write_stat(root, CPUS)  # and stays: nobody does anything
    before = read_counters([worker.pid], root)
    worker.kill()
    worker.wait()
    after = dataclasses.replace(read_counters([worker.pid], root), seconds=before.seconds + 1.0)
    foreign = window(before, after, 0, 0, 0, 0).foreign_cpus
    assert foreign is not None
    assert foreign < 0.1


@pytest.mark.skipif(not Path("/proc/stat").exists(), reason="there is no /proc here")
def test_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    before = read_counters(())
    time.sleep(0.05)
    found = window(before, read_counters(()), 0, 0, 0, 0)
    assert found.seconds >= 0.05
    assert found.steal_share is not None
    assert found.foreign_cpus is not None
    assert 0 <= found.foreign_cpus <= found.usable_cpus + 4  # ticks of 10 ms in a window of 50

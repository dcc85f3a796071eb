"""The machine while something is measured: stolen time, throttled time, and the CPU time of other programs.

The kernel counts in ticks of 10 ms, so that only a window of a second or more says anything. A counter that cannot be
read is None, never 0.
"""

import os
import re
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from vecml.hardware import ROOT, affinity_cpus, control_groups, read_text
from vecml.measure.records import Window

WINDOW_SECONDS = 1.0


@dataclass(frozen=True)
class Counters:
    """The system's counters at one moment; they only grow, and one that cannot be read is None.

    Attributes:
        seconds: of a monotonic clock.
        busy_seconds: CPU time that all programs have used on the CPUs that this process may use.
        steal_seconds: CPU time that the hypervisor took from those CPUs.
        throttled_seconds: time in which a CPU quota stopped this process.
        own_seconds: CPU time of this process and of its workers.
        usable_cpus: number of the CPUs that this process may use; None: as many as the system says.
    """

    seconds: float
    busy_seconds: float | None
    steal_seconds: float | None
    throttled_seconds: float | None
    own_seconds: float | None
    usable_cpus: int | None = None


def read_counters(pids: Iterable[int], root: Path = ROOT) -> Counters:
    """Read the counters; `pids` are the process ids of the workers."""
    own = time.process_time()
    for pid in pids:
        used = process_cpu_seconds(pid)
        own += 0.0 if used is None else used
    busy, steal = _cpu_time(root)
    return Counters(time.monotonic(), busy, steal, _throttled(root), own)


def window(before: Counters, after: Counters, launch: int, group: int, first_round: int, last_round: int) -> Window:
    """Compute the load of the machine between two readings of its counters.

    Args:
        before, after: the readings.
        launch, group: numbers of the launch and of the group to which the rounds belong.
        first_round, last_round: the rounds between the readings, both included.
    """
    seconds = after.seconds - before.seconds
    cpus = after.usable_cpus or affinity_cpus() or 1

    def grown(name: str) -> float | None:
        early, late = getattr(before, name), getattr(after, name)
        return None if early is None or late is None else late - early

    busy, own, steal = grown("busy_seconds"), grown("own_seconds"), grown("steal_seconds")
    return Window(
        launch=launch,
        group=group,
        first_round=first_round,
        last_round=last_round,
        seconds=seconds,
        steal_share=None if steal is None or seconds <= 0 else steal / (seconds * cpus),
        throttled_seconds=grown("throttled_seconds"),
        # A worker that ends takes what it had used along: what is left may have shrunk.
        foreign_cpus=None
        if busy is None or own is None or seconds <= 0
        else max(0.0, (busy - max(0.0, own)) / seconds),
        usable_cpus=cpus,
    )


def process_cpu_seconds(pid: int) -> float | None:
    """Seconds of CPU time that a process has used; None when it has ended or cannot be asked.

    On Linux every process has a clock for it, with a number that is made from the pid: clock_getcpuclockid(3).
    """
    try:
        return time.clock_gettime((~pid << 3) | 2)
    except (OSError, AttributeError, OverflowError):
        pass
    import psutil  # noqa: PLC0415 -- where there are no such clocks

    try:
        times = psutil.Process(pid).cpu_times()
    except (psutil.Error, OSError):
        return None
    return float(times.user + times.system)


def waited_cpu_seconds(pid: int, root: Path = ROOT) -> float:
    """Seconds of CPU time of the processes that a process has started and waited for, and of theirs: proc_stat(5).

    0 where the system does not say.
    """
    fields = (read_text(root / f"proc/{pid}/stat") or "").rpartition(")")[2].split()
    if len(fields) < 15:
        return 0.0
    return (int(fields[13]) + int(fields[14])) / os.sysconf("SC_CLK_TCK")


def _cpu_time(root: Path) -> tuple[float | None, float | None]:
    """Busy and stolen seconds of the CPUs that this process may use: proc_stat(5)."""
    text = read_text(root / "proc/stat")
    try:
        ours, tick = os.sched_getaffinity(0), os.sysconf("SC_CLK_TCK")
    except (AttributeError, OSError, ValueError):
        return None, None
    busy, steal, seen = 0, 0, False
    for match in re.finditer(r"^cpu([0-9]+) (.*)$", text or "", re.MULTILINE):
        values = [int(value) for value in match[2].split()]
        if int(match[1]) in ours and len(values) >= 8:
            user, nice, system, _idle, _iowait, irq, softirq, stolen = values[:8]
            busy += user + nice + system + irq + softirq
            steal += stolen
            seen = True
    return (busy / tick, steal / tick) if seen else (None, None)


def _throttled(root: Path) -> float | None:
    """Seconds in which a CPU quota of this process's control group, or of a group above it, stopped the process.

    They are in `cpu.stat` of cgroups(7), version 2, and of the cpu controller of version 1. None where there are none.
    """
    found = []
    for group in control_groups(root):
        match = re.search(r"^throttled_(usec|time) ([0-9]+)$", read_text(group / "cpu.stat") or "", re.MULTILINE)
        if match:
            found.append(int(match[2]) / (1e6 if match[1] == "usec" else 1e9))
    return sum(found) if found else None

"""The circumstances of a comparison: machine, libraries, differences between the arms, and load while measuring."""

import json
import statistics
from collections import Counter
from collections.abc import Mapping
from typing import Any

from vecml.comparison.comparison import Load
from vecml.measure.pairs import disturbance
from vecml.measure.records import Window
from vecml.numbers import count, percent, seconds, size
from vecml.report.comparison import Table
from vecml.report.content import Content

MACHINE = {
    "cpu_model": "processor",
    "architecture": "architecture",
    "instruction_sets": "instruction sets",
    "logical_cpus": "CPUs, with hyperthreads",
    "physical_cpus": "cores",
    "usable_cpus": "CPUs that could be used",
    "cpu_quota": "quota, in CPUs",
    "memory_bytes": "memory",
    "l1d_bytes": "L1 data cache",
    "l2_bytes": "L2 cache",
    "l3_bytes": "L3 cache",
    "gpus": "GPUs",
    "gpu_driver": "GPU driver",
    "os_name": "system",
    "kernel": "kernel",
}
KEYS = ("machine_key", "software_key", "environment_key", "protocol_version")
# Facts of a worker that other tables show: those on its answers, and those on the kernel of a limit.
OF_ANSWERS = ("rows", "flips", "wrong", "right", "only_label", "expected_labels", "logit_error", "cached", "latency")
OF_STARTS = (
    "starts",
    "user_seconds",
    "system_seconds",
    "first_call_seconds",
    "command",
    "left_processes",
    "function",
    "size",
    "sizes",
)
LISTED = 4  # settings named beside a fact; the rest are counted


def machine(environment: Mapping[str, Any]) -> Table:
    """The hardware and the system."""
    return Table(
        ("what", "here"),
        tuple((words, _fact(name, environment[name])) for name, words in MACHINE.items() if name in environment),
    )


def libraries(environment: Mapping[str, Any]) -> Table:
    """The versions of the installed libraries, and the other facts of the recorded environment."""
    names = [name for name in environment if name not in MACHINE and name not in KEYS]
    rows = [(name, _fact(name, environment[name])) for name in names if environment[name] is not None]
    rows += [(name.replace("_", " "), str(environment[name])) for name in KEYS if name in environment]
    return Table(("what", "version"), tuple(rows))


def loads(before: Load, after: Load) -> str:
    """One sentence on how many CPUs other processes used before and after the measurement."""

    def told(load: Load) -> str:
        foreign = "an unknown amount" if load.foreign_cpus is None else f"{load.foreign_cpus:.2f} CPUs"
        average = "" if load.average is None else f" (load average {load.average:.2f})"
        return foreign + average

    return f"Other processes used {told(before)} before the measurement and {told(after)} after it."


def differing_facts(content: Content) -> Table | None:
    """The facts in which the arms' workers differ, with the settings that have each value; None if there is none."""
    by_fact: dict[str, dict[str, list[str]]] = {}
    for arm in content.arms.values():
        for name, value in arm.facts.items():
            if name not in (*OF_ANSWERS, *OF_STARTS):
                by_fact.setdefault(name, {}).setdefault(_fact(name, value), []).append(arm.name)
    rows = [
        (name.replace("_", " "), value, _names(arms))
        for name, values in by_fact.items()
        if len(values) > 1
        for value, arms in values.items()
    ]
    return Table(("fact", "value", "settings"), tuple(rows)) if rows else None


def changing_facts(content: Content) -> list[str]:
    """The facts that changed between the launches of an arm, a line each."""
    found = []
    for arm in content.comparison.measured.arms:
        if arm.role not in ("baseline", "arm"):
            continue
        for name in {name: None for launch in arm.launches for name in launch.facts}:
            values = Counter(_fact(name, launch.facts.get(name)) for launch in arm.launches)
            if name not in (*OF_ANSWERS, *OF_STARTS) and len(values) > 1:
                found.append(f"{arm.name}: {name.replace('_', ' ')}: {'; '.join(values)}")
    return list(dict.fromkeys(found))


def launches(content: Content) -> Table | None:
    """A row for each launch: its canaries, and how much other processes disturbed it; None if nothing was recorded."""
    measured = content.comparison.measured
    canaries: dict[int, list[float]] = {}
    for arm in measured.arms:
        for launch in arm.launches:
            canaries.setdefault(launch.launch, []).append(launch.canary_seconds)
    numbers = sorted({*canaries, *(seen.launch for seen in measured.windows)})
    if not numbers:
        return None
    replaced = Counter(one.launch for one in measured.replaced)
    cpus = max((arm.cpus for arm in measured.arms if arm.role != "limit"), default=1)
    rows = []
    for number in numbers:
        windows = [seen for seen in measured.windows if seen.launch == number]
        canary = canaries.get(number)
        rows.append(
            (
                str(number + 1),
                "-" if not canary else seconds(statistics.median(canary)),
                "-" if not canary else percent(max(canary) / min(canary) - 1),
                _worst([seen.steal_share for seen in windows], percent),
                _throttled(windows),
                _worst([seen.foreign_cpus for seen in windows], lambda value: f"{value:.2f} CPUs"),
                f"{sum(disturbance(seen, cpus) is not None for seen in windows)} of {len(windows)}",
                str(replaced[number]),
            )
        )
    headings = (
        "launch",
        "canary",
        "canaries apart",
        "stolen at most",
        "throttled",
        "others at most",
        "disturbed windows",
        "replaced before",
    )
    return Table(headings, tuple(rows))


def _worst(values: list[float | None], told: Any) -> str:
    known = [value for value in values if value is not None]
    return str(told(max(known))) if known else "unknown"


def _throttled(windows: list[Window]) -> str:
    known = [seen.throttled_seconds for seen in windows if seen.throttled_seconds is not None]
    return seconds(sum(known)) if known else "unknown"


def _names(names: list[str]) -> str:
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return ", ".join(names[:LISTED]) + more


def _fact(name: str, value: Any) -> str:
    """Write a fact for people: bytes with their unit, a list with commas, a thread pool in a few words."""
    if value is None:
        return "none"
    if name.endswith("_bytes") and isinstance(value, int | float):
        return size(value)
    if name == "pools" and isinstance(value, list):
        pools = Counter(sorted(_pool(pool) for pool in value))  # in which order they were found says nothing
        return ", ".join(pool if times == 1 else f"{pool} ({times} times)" for pool, times in pools.items()) or "none"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str | int | float):
        return str(value)
    return json.dumps(value, ensure_ascii=False, sort_keys=True, default=str)


def _pool(pool: Any) -> str:
    if not isinstance(pool, Mapping):
        return str(pool)
    threads = pool.get("threads")
    parts = [pool.get("library"), None if threads is None else count(threads, "thread")]
    parts.append(pool.get("architecture"))
    return " ".join(str(part) for part in parts if part is not None)

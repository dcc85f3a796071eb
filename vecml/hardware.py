"""Read facts about the hardware from the system; no other module reads /proc and /sys.

`root` is the folder of /proc, /sys and /dev; only tests give another one than /. A fact that cannot be read is None,
and nothing here raises.
"""

import os
import platform
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import psutil

ROOT = Path("/")
INSTRUCTION_SETS = ("sse4_1", "avx", "avx2", "fma", "avx512f", "avx512_bf16", "amx_tile", "neon", "sve")

_UNITS = {"": 0, "K": 10, "M": 20, "G": 30}


@dataclass(frozen=True)
class Cache:
    """A data cache or unified cache: its size, and the number of CPUs that share it, at least 1."""

    size_bytes: int
    sharers: int


def cpu_model(root: Path = ROOT) -> str | None:
    """Read the name of the CPU: `AMD EPYC 9354 32-Core Processor`."""
    entries = _cpuinfo(root)
    if model := entries.get("model name"):
        return model
    if implementer := entries.get("CPU implementer"):  # Arm gives numbers, not names
        return f"Arm implementer {implementer} part {entries.get('CPU part')} revision {entries.get('CPU revision')}"
    return sysctl("machdep.cpu.brand_string") or platform.processor() or None


def instruction_sets(root: Path = ROOT) -> tuple[str, ...]:
    """List the CPU's instruction sets among INSTRUCTION_SETS, in that order."""
    cpu_flags = flags(root)
    return tuple(flag for flag in INSTRUCTION_SETS if flag in cpu_flags)


def flags(root: Path = ROOT) -> frozenset[str]:
    """Read all flags of the CPU by the system's names, with `neon` for every 64-bit Arm CPU."""
    entries = _cpuinfo(root)
    found = set(f"{entries.get('flags', '')} {entries.get('Features', '')}".split())
    if "asimd" in found or _is_apple_chip():
        found.add("neon")  # every 64-bit Arm CPU has it; Linux calls it asimd there
    return frozenset(found)


def machine_cpus(*, hyperthreads: bool) -> int | None:
    """Count the machine's CPUs: with `hyperthreads` every hardware thread, otherwise every core."""
    try:
        return psutil.cpu_count(logical=hyperthreads)
    except (OSError, RuntimeError, ValueError, psutil.Error):
        return None


def affinity_cpus() -> int | None:
    """Count the CPUs that this process may run on; `cpu_quota` may limit its share of their time."""
    try:
        return len(os.sched_getaffinity(0))
    except (AttributeError, OSError):  # macOS has no affinity
        return os.cpu_count()


def cpu_quota(root: Path = ROOT) -> float | None:
    """Read the CPU time that the control groups allow, in CPUs, for example 1.5; None without a limit.

    It is the lowest limit from this process's own group up to the root: cgroups(7), v2 `cpu.max`, v1 CFS quota.
    """
    limits = [_group_quota(group) for group in control_groups(root)]
    return min((limit for limit in limits if limit is not None), default=None)


def control_groups(root: Path = ROOT) -> list[Path]:
    """List the folders of this process's control group and of all groups above it; some may not exist."""
    groups: dict[Path, None] = {}
    own = read_text(root / "proc/self/cgroup") or "0::/\n1:cpu:/"  # if it cannot be read, the root's limits still hold
    for line in own.splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if controllers == "":
            mounts = [root / "sys/fs/cgroup"]
        elif "cpu" in controllers.split(","):
            mounts = [root / "sys/fs/cgroup" / name for name in dict.fromkeys((controllers, "cpu"))]
        else:
            continue
        # In a container the path may be the host's, which is not visible there; the limits above it still hold.
        parts = [part for part in path.split("/") if part not in ("", "..")]
        for mount in mounts:
            groups.update(dict.fromkeys(mount.joinpath(*parts[:depth]) for depth in range(len(parts) + 1)))
    return list(groups)


def memory_bytes() -> int | None:
    """Read the bytes of the machine's memory; None if the system does not tell."""
    try:
        return int(psutil.virtual_memory().total)
    except (OSError, RuntimeError, ValueError, KeyError, psutil.Error):
        return None


@lru_cache(maxsize=8)  # every loading of a model asks for it, and it does not change
def cache(level: int, root: Path = ROOT) -> Cache | None:
    """Read the data cache or unified cache of `level` (1, 2 or 3) of CPU 0."""
    for index in sorted((root / "sys/devices/system/cpu/cpu0/cache").glob("index*")):
        if (read_text(index / "level") or "").strip() != str(level):
            continue
        match = re.fullmatch(r"([0-9]+)([KMG]?)", (read_text(index / "size") or "").strip())
        if match and (read_text(index / "type") or "").strip() != "Instruction":
            return Cache(int(match[1]) << _UNITS[match[2]], _count_cpus(read_text(index / "shared_cpu_list") or ""))
    name = "l1d" if level == 1 else f"l{level}"
    size = _sysctl_number(f"hw.perflevel0.{name}cachesize") or _sysctl_number(f"hw.{name}cachesize")
    if size:
        return Cache(size, (_sysctl_number(f"hw.perflevel0.cpusperl{level}") if level > 1 else None) or 1)
    # Versions of the C library disagree about level 3, but not about level 2.
    return _system_cache("SC_LEVEL2_CACHE_SIZE") if level == 2 else None


def gpu_names(root: Path = ROOT) -> tuple[str, ...]:
    """Read the names of NVIDIA's GPUs; Apple's GPU has the name of its chip."""
    names = []
    for folder in sorted((root / "proc/driver/nvidia/gpus").glob("*")):
        match = re.search(r"^Model:\s*(.*\S)", read_text(folder / "information") or "", re.MULTILINE)
        if match:
            names.append(match[1])
    if not names and any((root / "dev" / name).exists() for name in ("nvidiactl", "dxg")):  # dxg: Windows' Linux
        names = (program_output(["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]) or "").splitlines()
    if _is_apple_chip() and (chip := cpu_model(root)):
        names.append(chip)
    return tuple(names)


def gpu_driver(root: Path = ROOT) -> str | None:
    """Read the version of NVIDIA's kernel module."""
    text = read_text(root / "proc/driver/nvidia/version") or ""
    match = re.search(r"^NVRM version:.*?\s([0-9]+(?:\.[0-9]+)+)\s", text)
    return match[1] if match else None


def read_text(path: Path) -> str | None:
    """Read a file's text; None where it cannot be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except (OSError, ValueError):
        return None


def program_output(command: Sequence[str], environment: Mapping[str, str] | None = None) -> str | None:
    """Give the stripped output of a program; None where it is absent, fails, or takes more than five seconds."""
    try:
        done = subprocess.run(
            command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, timeout=5, check=False
        )
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
    return done.stdout.decode(errors="replace").strip() if done.returncode == 0 else None


def sysctl(name: str) -> str | None:
    """Read a sysctl value of macOS; None on any other system."""
    return program_output(["/usr/sbin/sysctl", "-n", name]) if platform.system() == "Darwin" else None


def _system_cache(name: str) -> Cache | None:
    try:
        size = os.sysconf(name)
    except (AttributeError, ValueError, OSError):
        return None
    return Cache(size, 1) if size > 0 else None


def _sysctl_number(name: str) -> int | None:
    found = sysctl(name)
    return int(found) if found and found.isdecimal() else None


def _is_apple_chip() -> bool:
    return (platform.system(), platform.machine()) == ("Darwin", "arm64")


def _cpuinfo(root: Path) -> dict[str, str]:
    """Read the first CPU's entries of /proc/cpuinfo."""
    entries: dict[str, str] = {}
    for line in (read_text(root / "proc/cpuinfo") or "").splitlines():
        name, _, value = line.partition(":")
        entries.setdefault(name.strip(), value.strip())
    return entries


def _group_quota(group: Path) -> float | None:
    v1 = f"{read_text(group / 'cpu.cfs_quota_us')} {read_text(group / 'cpu.cfs_period_us')}"
    match = re.fullmatch(r"\s*([0-9]+)\s+([1-9][0-9]*)\s*", read_text(group / "cpu.max") or v1)
    quota = int(match[1]) / int(match[2]) if match else 0.0  # "max" and -1 are no limit
    return quota or None


def _count_cpus(cpu_list: str) -> int:
    """Count the CPUs of a list of the kernel, at least 1: "0-3,8" has 5."""
    count = 0
    for match in re.finditer(r"([0-9]+)(?:-([0-9]+))?", cpu_list):
        count += int(match[2] or match[1]) - int(match[1]) + 1
    return max(1, count)

"""What this machine and these libraries are, and the keys that tell whether two results may stand side by side.

Into a key goes only what stays the same from run to run and bears on speed or answers. Facts come from /proc, /sys and
package metadata, so that nothing heavy is imported; a fact that cannot be read is None, and nothing here raises.
"""

import hashlib
import json
import math
import os
import platform
import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

import numpy as np
import psutil

from vecml import hardware
from vecml.hardware import program_output, read_text, sysctl

PROTOCOL_VERSION = 2  # of measuring: results of different protocols are not compared; 2: more libraries compute

_HARDWARE = (
    "cpu_model",
    "architecture",
    "instruction_sets",
    "logical_cpus",
    "physical_cpus",
    "l1d_bytes",
    "l2_bytes",
    "l3_bytes",
    "gpus",
)
_ALLOWED = ("usable_cpus", "cpu_quota")
_COMPUTING = ("vecml", "numpy", "torch", "scipy", "onnxruntime", "openvino", "halide")  # packages
_RECORDING = ("mlflow", "prefect", "pyarrow")
_MACHINE_KEY = (*_HARDWARE, *_ALLOWED)
_SOFTWARE_KEY = ("os_name", "python", *_COMPUTING, "blas", "gpu_driver")
# What a difference in a field means for two results. "blocks": other hardware, they stand side by side only on purpose.
# "invalidates": what computes, or what we may use of the hardware; it must not change during a comparison. "warns": it
# is said, and bears on neither speed nor answers as far as is known.
EFFECTS: dict[str, Literal["blocks", "invalidates", "warns"]] = {
    **dict.fromkeys(_HARDWARE, "blocks"),
    **dict.fromkeys((*_ALLOWED, *_SOFTWARE_KEY), "invalidates"),
    **dict.fromkeys(("memory_bytes", "kernel", *_RECORDING), "warns"),
}


@dataclass(frozen=True)
class Environment:
    """The machine and the libraries that a result was made with. None: not there, or not to be read.

    Attributes:
        cpu_model: as the machine calls it.
        architecture: `x86_64`, `aarch64`, `arm64` ...
        instruction_sets: those of `vecml.hardware.INSTRUCTION_SETS` that the CPU has, in that order.
        logical_cpus, physical_cpus: of the machine, with and without hyperthreads.
        usable_cpus: those that this process may run on (its affinity).
        cpu_quota: CPUs' worth of time that the control group allows, 1.5 say; None when it is not limited.
        memory_bytes: of the machine.
        l1d_bytes, l2_bytes, l3_bytes: size of one cache of each level, as CPU 0 sees it.
        gpus: the GPUs' names.
        os_name, kernel: `Linux` and the kernel's release.
        python, vecml, numpy, torch, scipy, onnxruntime, openvino, halide, mlflow, prefect, pyarrow: versions installed.
        blas: name and version of the BLAS that numpy was built with.
        gpu_driver: version of NVIDIA's kernel module.
    """

    cpu_model: str | None
    architecture: str | None
    instruction_sets: tuple[str, ...]
    logical_cpus: int | None
    physical_cpus: int | None
    usable_cpus: int | None
    cpu_quota: float | None
    memory_bytes: int | None
    l1d_bytes: int | None
    l2_bytes: int | None
    l3_bytes: int | None
    gpus: tuple[str, ...]
    os_name: str | None
    kernel: str | None
    python: str
    vecml: str | None
    numpy: str | None
    torch: str | None
    scipy: str | None
    onnxruntime: str | None
    openvino: str | None
    halide: str | None
    mlflow: str | None
    prefect: str | None
    pyarrow: str | None
    blas: str | None
    gpu_driver: str | None

    @property
    def machine_key(self) -> str:
        """Hash (16 hex digits) of hardware, CPUs and quota; nothing that moves by itself, such as frequency or load.

        Memory counts in quarter octaves: the kernel keeps back a little more or less of it from boot to boot.
        """
        memory = None if self.memory_bytes is None else round(4 * math.log2(max(1, self.memory_bytes)))
        return _key({**self._facts(_MACHINE_KEY), "memory": memory})

    @property
    def software_key(self) -> str:
        """Hash (16 hex digits) of the system's name and the versions that compute; those that record do not count."""
        return _key(self._facts(_SOFTWARE_KEY))

    @property
    def environment_key(self) -> str:
        """Hash (16 hex digits) of both keys and the protocol version."""
        return _key({"machine": self.machine_key, "software": self.software_key, "protocol": PROTOCOL_VERSION})

    @property
    def versions(self) -> dict[str, str | None]:
        """Python's version and those of the packages, None where one is not installed."""
        return {name: getattr(self, name) for name in ("python", *_COMPUTING, *_RECORDING)}

    def to_json_dict(self) -> dict[str, object]:
        """Every fact and the keys, in types that JSON has."""
        facts = {name: list(fact) if isinstance(fact, tuple) else fact for name, fact in asdict(self).items()}
        return {
            "protocol_version": PROTOCOL_VERSION,
            "machine_key": self.machine_key,
            "software_key": self.software_key,
            "environment_key": self.environment_key,
            **facts,
        }

    def _facts(self, names: Sequence[str]) -> dict[str, object]:
        return {name: getattr(self, name) for name in names}


def describe(root: Path = hardware.ROOT) -> Environment:
    """The facts of this machine and process. `root` is where /proc and /sys are looked for; another in tests only."""
    caches = [hardware.cache(level, root) for level in (1, 2, 3)]
    l1d, l2, l3 = (None if found is None else found.size_bytes for found in caches)
    return Environment(
        cpu_model=hardware.cpu_model(root),
        architecture=platform.machine() or None,
        instruction_sets=hardware.instruction_sets(root),
        logical_cpus=hardware.machine_cpus(hyperthreads=True),
        physical_cpus=hardware.machine_cpus(hyperthreads=False),
        usable_cpus=hardware.affinity_cpus(),
        cpu_quota=hardware.cpu_quota(root),
        memory_bytes=hardware.memory_bytes(),
        l1d_bytes=l1d,
        l2_bytes=l2,
        l3_bytes=l3,
        gpus=hardware.gpu_names(root),
        os_name=platform.system() or None,
        kernel=platform.release() or None,
        python=platform.python_version(),
        **{name: _version(name) for name in (*_COMPUTING, *_RECORDING)},
        blas=_blas(),
        gpu_driver=hardware.gpu_driver(root),
    )


def changes(before: Environment, after: Environment, effects: Sequence[str] = ("blocks", "invalidates")) -> list[str]:
    """The fields that differ and whose effect (`EFFECTS`) is one of these, each as `name: before, now after`."""
    return [
        f"{name}: {getattr(before, name)}, now {getattr(after, name)}"
        for name, effect in EFFECTS.items()
        if effect in effects and getattr(before, name) != getattr(after, name)
    ]


def known_conflicts(versions: Mapping[str, str | None] | None = None) -> list[str]:
    """Libraries that are known to break each other, a sentence with the remedy for each; empty when there is none.

    `versions` maps package names to versions; without it, those that are installed.
    """

    def installed(name: str) -> str | None:
        return _version(name) if versions is None else versions.get(name)

    conflicts = []
    fastapi, prefect = installed("fastapi"), installed("prefect")
    if fastapi and prefect and _release(prefect)[:2] == (3, 8) and _release(fastapi) >= (0, 151):
        effect = "`prefect deploy` ends in a 422" if _release(fastapi) < (0, 155) else "no flow starts"
        conflicts.append(f"fastapi {fastapi} with prefect {prefect}: {effect}; install 'fastapi>=0.139,<0.151'")
    return conflicts


def git_commit(folder: Path) -> str | None:
    """The commit that `folder` is checked out at, with `+dirty` when a tracked file differs from it.

    None where there is no git, no repository, no commit or no answer within seconds, and where git ignores `folder`
    itself: a package installed below somebody's checkout is not part of it.
    """

    def git(*arguments: str) -> str | None:
        # A repository's own configuration may name a program as its file-system monitor: it is not to be started.
        # Without optional locks the index stays as it is. A hook's GIT_DIR would answer for another repository.
        command = ["git", "--no-optional-locks", "-c", "core.fsmonitor=false", "-C", str(folder), *arguments]
        variables = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        return program_output(command, variables)

    commit = git("rev-parse", "--verify", "HEAD")
    if not commit or git("check-ignore", "--quiet", ".") is not None:
        return None
    changes = git("status", "--porcelain", "--untracked-files=no", "--ignore-submodules")
    return f"{commit}+dirty" if changes else commit


def process_identity(root: Path = hardware.ROOT) -> str:
    """The identity of this process among all others: pid, start time, boot id, machine and pid namespace, by spaces.

    The start time is in the kernel's own units (proc_pid_stat(5): ticks since boot); what cannot be told is `-`.
    """
    pid = os.getpid()
    start, _ = _start_and_state(pid, root)
    return " ".join([str(pid), start, _boot_id(root), _machine_id(root), _pid_namespace(root)])


def is_alive(identity: str, root: Path = hardware.ROOT) -> bool | None:
    """Whether the process that `process_identity` described still runs. True and False are proven, None is not known.

    A pid says something only within the boot and the pid namespace that gave it (pid_namespaces(7)): a container's pid
    of the same machine, or any of another machine, is None. Another boot of the same machine has ended the process.
    """
    match = re.fullmatch(r"([1-9][0-9]{0,8}) ([0-9]+) ([!-~]+) ([!-~]+) ([!-~]+)", identity)
    if match is None:
        return None
    pid, start, boot, machine, namespace = int(match[1]), *match.groups()[1:]
    own_boot, own_machine = _boot_id(root), _machine_id(root)
    if "-" in (boot, own_boot):
        return None
    if boot != own_boot:
        return False if machine == own_machine != "-" else None
    if namespace == "-" or namespace != _pid_namespace(root):
        return None
    exists = _exists(pid)
    if not exists:
        return exists
    found, state = _start_and_state(pid, root)
    if found == "-":
        return False if _exists(pid) is False else None  # it may have ended between the two looks
    return found == start and state not in {"Z", "X", "x"}  # ended, and only not yet collected by its parent


def _key(facts: Mapping[str, object]) -> str:
    """What is not there does not count, so that a fact added in a later version changes no key where it is absent."""
    known = {name: fact for name, fact in facts.items() if fact is not None}
    return hashlib.blake2b(json.dumps(known, sort_keys=True).encode(), digest_size=8).hexdigest()


def _version(package: str) -> str | None:
    try:
        return version(package)
    except (PackageNotFoundError, KeyError, OSError, ValueError):
        return None


def _release(version_text: str) -> tuple[int, ...]:
    """`0.151.2rc1` -> (0, 151, 2)."""
    match = re.match(r"[0-9]+(\.[0-9]+)*", version_text)
    return tuple(map(int, match[0].split("."))) if match else ()


def _blas() -> str | None:
    try:
        blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
        return f"{blas['name']} {blas['version']}"
    except (KeyError, TypeError, AttributeError):
        return None


def _boot_id(root: Path) -> str:
    """Random for every boot of a kernel: random(4)."""
    text = read_text(root / "proc/sys/kernel/random/boot_id") or sysctl("kern.bootsessionuuid") or ""
    return text.strip() or "-"


def _machine_id(root: Path) -> str:
    """Hash of the installation (machine-id(5)) and of the network cards' own addresses, or `-`.

    Either alone is copied with a disk image or a container; an address that a manufacturer gave (IEEE 802: the bit 0x02
    of its first byte is clear) is not. Where there is none, as in many containers and virtual machines, nothing is
    proven: a running process must never be taken for dead because two machines were cloned from one image.
    """
    addresses = []
    for card in sorted((root / "sys/class/net").glob("*")):
        permanent = (card / "device").exists() and (read_text(card / "addr_assign_type") or "").strip() == "0"
        address = (read_text(card / "address") or "").strip()
        universal = re.fullmatch(r"[0-9a-f][048c](:[0-9a-f]{2}){5}", address) and address.strip("0:")
        if permanent and universal and "/usb" not in str(card.resolve()):  # a docking station's comes and goes
            addresses.append(address)
    if platform.system() == "Darwin" and not (uuid.getnode() >> 40) & 0b11:  # 0b01: made up by Python itself
        addresses.append(f"{uuid.getnode():012x}")
    if not addresses:
        return "-"
    installation = read_text(root / "etc/machine-id") or ""
    return hashlib.blake2b("\n".join([installation.strip(), *addresses]).encode(), digest_size=8).hexdigest()


def _pid_namespace(root: Path) -> str:
    """The namespace in which this process's pids count; `0` where the system has no such thing."""
    if platform.system() != "Linux":
        return "0"
    try:
        return (root / "proc/self/ns/pid").readlink().name
    except OSError:
        return "-"


def _exists(pid: int) -> bool | None:
    """Whether `pid` is in use, also by another user's process; None where the system cannot be asked."""
    if os.name != "posix":
        return None  # on Windows, os.kill would end the process
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True  # there is one, and it is not ours
    return True


def _start_and_state(pid: int, root: Path) -> tuple[str, str]:
    """The start time as digits and the state's letter of a process: proc_pid_stat(5), fields 22 and 3; `-` unread."""
    if platform.system() == "Linux":
        # The second field is the program's name in brackets, and may itself hold brackets and spaces.
        fields = (read_text(root / f"proc/{pid}/stat") or "").rpartition(")")[2].split()
        return (fields[19], fields[0]) if len(fields) > 19 else ("-", "-")
    try:
        process = psutil.Process(pid)
        return str(round(process.create_time() * 1e6)), "Z" if process.status() == psutil.STATUS_ZOMBIE else "-"
    except (psutil.Error, OSError):
        return "-", "-"

"""Describe the machine and the libraries, with keys that say whether two results are comparable.

A key contains only facts that stay the same from run to run and affect speed or labels. Facts come from /proc, /sys and
package metadata, so that nothing heavy is imported; a fact that cannot be read is None, and nothing here raises.
"""

import hashlib
import json
import math
import os
import platform
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal

import numpy as np

from vecml import hardware
from vecml.hardware import program_output

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
# The effect of a different field when two results are compared. "blocks": other hardware. "invalidates": the computing
# libraries, or the usable part of the hardware; they must not change during a comparison. "warns": no known effect.
EFFECTS: dict[str, Literal["blocks", "invalidates", "warns"]] = {
    **dict.fromkeys(_HARDWARE, "blocks"),
    **dict.fromkeys((*_ALLOWED, *_SOFTWARE_KEY), "invalidates"),
    **dict.fromkeys(("memory_bytes", "kernel", *_RECORDING), "warns"),
}


@dataclass(frozen=True)
class Environment:
    """The machine and the libraries of a result; a fact is None where it is absent or cannot be read.

    Attributes:
        cpu_model: name of the CPU.
        architecture: `x86_64`, `aarch64`, `arm64` ...
        instruction_sets: the CPU's instruction sets among `vecml.hardware.INSTRUCTION_SETS`, in that order.
        logical_cpus, physical_cpus: number of CPUs of the machine, with and without hyperthreads.
        usable_cpus: number of CPUs that this process may run on (its affinity).
        cpu_quota: CPU time that the control group allows, in CPUs, for example 1.5; None without a limit.
        memory_bytes: memory of the machine.
        l1d_bytes, l2_bytes, l3_bytes: size of one cache of each level, as CPU 0 sees it.
        gpus: names of the GPUs.
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
        """Hash (16 hex digits) of hardware, CPUs and quota, but not of frequency or load, which change by themselves.

        Memory is rounded on a logarithmic scale (quarters of a factor of 2): the kernel reserves a little more or less
        of it at each boot.
        """
        memory = None if self.memory_bytes is None else round(4 * math.log2(max(1, self.memory_bytes)))
        return _key({**self._facts(_MACHINE_KEY), "memory": memory})

    @property
    def software_key(self) -> str:
        """Hash (16 hex digits) of the system's name and the versions of the computing libraries."""
        return _key(self._facts(_SOFTWARE_KEY))

    @property
    def software(self) -> dict[str, str | None]:
        """Give what `software_key` is made of, by name; None where a package is not installed."""
        return {name: getattr(self, name) for name in _SOFTWARE_KEY}

    @property
    def environment_key(self) -> str:
        """Hash (16 hex digits) of both keys and the protocol version."""
        return _key({"machine": self.machine_key, "software": self.software_key, "protocol": PROTOCOL_VERSION})

    @property
    def versions(self) -> dict[str, str | None]:
        """The versions of Python and of the packages, by name; None where a package is not installed."""
        return {name: getattr(self, name) for name in ("python", *_COMPUTING, *_RECORDING)}

    def to_json_dict(self) -> dict[str, object]:
        """Give every fact and the keys, in types that JSON has."""
        facts = {name: list(fact) if isinstance(fact, tuple) else fact for name, fact in asdict(self).items()}
        return {
            "protocol_version": PROTOCOL_VERSION,
            "machine_key": self.machine_key,
            "software_key": self.software_key,
            "environment_key": self.environment_key,
            **facts,
        }

    @property
    def cpu_name(self) -> str:
        """The name of the CPU, for people; as `vecml.device.device_name` says it of this machine."""
        return self.cpu_model or self.architecture or "CPU"

    def _facts(self, names: Sequence[str]) -> dict[str, object]:
        return {name: getattr(self, name) for name in names}


def describe(root: Path = hardware.ROOT) -> Environment:
    """Describe this machine and process. `root` is the folder of /proc and /sys; only tests give another one."""
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


def of_json(content: Mapping[str, Any]) -> Environment | None:
    """The environment that `Environment.to_json_dict` has described; None where another vecml has left a fact out."""
    found: dict[str, Any] = {
        name: tuple(content[name]) if isinstance(content[name], list) else content[name]
        for name in Environment.__dataclass_fields__
        if name in content
    }
    return Environment(**found) if len(found) == len(Environment.__dataclass_fields__) else None


def changes(before: Environment, after: Environment, effects: Sequence[str] = ("blocks", "invalidates")) -> list[str]:
    """List the fields that differ and have one of these `effects` (see `EFFECTS`), as `name: before, now after`."""
    return [
        f"{name}: {getattr(before, name)}, now {getattr(after, name)}"
        for name, effect in EFFECTS.items()
        if effect in effects and getattr(before, name) != getattr(after, name)
    ]


def known_conflicts(versions: Mapping[str, str | None] | None = None) -> list[str]:
    """List the conflicts between libraries that are known, each as a sentence with the remedy.

    `versions` maps package names to versions; without it the installed versions are taken.
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
    """Give the git commit of the checkout `folder`, with `+dirty` when a tracked file differs from it.

    None where there is no git, no repository, no commit or no answer within seconds, and where git ignores `folder`: a
    package installed below somebody's checkout is not part of it.
    """

    def git(*arguments: str) -> str | None:
        # A repository's configuration may name a program as its file-system monitor: it must not be started. Without
        # optional locks the index stays as it is. GIT_DIR, set within a hook, would name another repository.
        command = ["git", "--no-optional-locks", "-c", "core.fsmonitor=false", "-C", str(folder), *arguments]
        variables = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        return program_output(command, variables)

    commit = git("rev-parse", "--verify", "HEAD")
    if not commit or git("check-ignore", "--quiet", ".") is not None:
        return None
    changes = git("status", "--porcelain", "--untracked-files=no", "--ignore-submodules")
    return f"{commit}+dirty" if changes else commit


def _key(facts: Mapping[str, object]) -> str:
    """Hash the facts that are known, so that a fact that a later version adds changes no key where it is absent."""
    known = {name: fact for name, fact in facts.items() if fact is not None}
    return hashlib.blake2b(json.dumps(known, sort_keys=True).encode(), digest_size=8).hexdigest()


def _version(package: str) -> str | None:
    try:
        return version(package)
    except (PackageNotFoundError, KeyError, OSError, ValueError):
        return None


def _release(version_text: str) -> tuple[int, ...]:
    match = re.match(r"[0-9]+(\.[0-9]+)*", version_text)
    return tuple(map(int, match[0].split("."))) if match else ()


def _blas() -> str | None:
    try:
        blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
        return f"{blas['name']} {blas['version']}"
    except (KeyError, TypeError, AttributeError):
        return None

"""Devices, threads and precision: what this machine offers, and what was really computed in.

torch is imported only where the question needs it.
"""

import platform
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vecml import hardware
from vecml.errors import SettingError

ACCELERATORS = ("cuda", "mps")

PROBE_FEATURES = 32
PROBE_CLASSES = 8
_PROBE_ROWS = 128
_PROBE_BITS = 53
_PROBE_LARGE = 1e5  # beyond float16's 65 504
_MANTISSA_BITS = {52: "float64", 23: "float32", 7: "bfloat16"}


def check_threads(threads: int | None) -> None:
    """Raise SettingError when `threads` is more than the CPUs that this process may use."""
    cpus = usable_cpus()
    if threads is not None and threads > cpus:
        raise SettingError(
            f"--threads {threads}: this machine offers {cpus} CPU{'s' if cpus != 1 else ''}",
            f"--threads {cpus}, or leave it out to take them all",
        )


def usable_cpus(root: Path = hardware.ROOT) -> int:
    """Count the CPUs that this process can keep busy, by its affinity and its control groups' quota; at least 1."""
    cpus = hardware.affinity_cpus() or 1
    quota = hardware.cpu_quota(root)
    return cpus if quota is None else max(1, min(cpus, int(quota)))


def available_devices() -> tuple[str, ...]:
    """List the devices: `cpu`, and `cuda` and `mps` if torch finds one."""
    try:
        import torch  # noqa: PLC0415 -- a second or two, and only here
    except (ImportError, OSError):
        return ("cpu",)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a driver that is too old, say; there is no device then
        seen = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    return ("cpu", *(name for name in ACCELERATORS if seen[name]))


def device_name(device: str, index: int = 0) -> str:
    """Return the name of the product, as `NVIDIA H200`, or the CPU's model as the operating system calls it."""
    if device == "cuda":
        import torch  # noqa: PLC0415 -- whoever has a CUDA device in hand has it imported

        return str(torch.cuda.get_device_name(index))
    name = hardware.cpu_model() or platform.machine() or "CPU"
    return f"{name} GPU" if device == "mps" else name


def probe_weights() -> NDArray[np.float32]:
    """Return the weights weight_CF (8, 32) of the linear model with which `precision_of` finds an engine's precision.

    Logit 0 is x0 - x1, the others are 0. Two features would do, but libraries may use other kernels for tiny models.
    """
    weight_CF = np.zeros((PROBE_CLASSES, PROBE_FEATURES), np.float32)
    weight_CF[0, :2] = 1, -1
    return weight_CF


def precision_of(logits: Callable[[NDArray[np.float64]], NDArray[np.floating]]) -> str:
    """Find the precision that `logits` computes in: a name of `Precision`, or the bits of its mantissa if none fits.

    Row k of the probe is (1 + 2^-k, 1): their difference is 2^-k, unless the mantissa has fewer than k bits. tf32 and
    float16 have ten alike, and are told apart by a number that is too large for float16.

    Args:
        logits: returns z_NC for x_NF, float64, by the linear model with `probe_weights` and no bias.
    """
    x_NF = np.zeros((_PROBE_ROWS, PROBE_FEATURES))
    steps = 2.0 ** -np.arange(1, _PROBE_BITS + 1)
    x_NF[:_PROBE_BITS, 0] = 1 + steps
    x_NF[:_PROBE_BITS, 1] = 1
    x_NF[_PROBE_BITS, 0] = _PROBE_LARGE
    seen_N = np.asarray(logits(x_NF), np.float64)[:, 0]
    exact = seen_N[:_PROBE_BITS] == steps
    bits = _PROBE_BITS if exact.all() else int(exact.argmin())
    if bits == 10:
        return "tf32" if np.isfinite(seen_N[_PROBE_BITS]) else "float16"
    return _MANTISSA_BITS.get(bits, f"{bits} bits")

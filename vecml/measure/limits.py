"""The limits of the machine: operations a second of large matrix products, and bytes a second to and from memory.

Each figure is the best of many calls, because a rate that one call has reached is possible. How near some work comes to
the limits shows whether anything is left to gain.
"""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from itertools import pairwise
from typing import Any

from vecml import cache
from vecml.measure.context import Counters, read_counters
from vecml.measure.kernels import ARRAYS, GEMM_SIZES, Kernel, KernelWork, has_gemm
from vecml.measure.quiet import FREE_ENOUGH_CPUS, is_crowded
from vecml.progress import stage

SECONDS = 0.3
QUICK_SECONDS = 0.1
CEILING_WRONG = 1.05  # above it, the limits were measured while the machine was busier than during the work

_CACHE_KIND = "limits"

Clock = Callable[[], float]


@dataclass(frozen=True)
class Limits:
    """The best rates that were measured; a rate that was not measured has no entry.

    Attributes:
        gemm_flops_per_s: by precision and threads, `float32/2`; a multiply-add is two operations.
        copy_bytes_per_s: by threads, `2`; one array is read and one written. That a cache may read a line before it
            overwrites it is not counted.
        read_bytes_per_s: by threads; one array is read.
        triad_bytes_per_s: by threads; two arrays are read and one is written.
    """

    gemm_flops_per_s: dict[str, float] = field(default_factory=dict)
    copy_bytes_per_s: dict[str, float] = field(default_factory=dict)
    read_bytes_per_s: dict[str, float] = field(default_factory=dict)
    triad_bytes_per_s: dict[str, float] = field(default_factory=dict)

    def gemm(self, precision: str, threads: int) -> float | None:
        """Operations a second of a matrix product; None where it was not measured."""
        return self.gemm_flops_per_s.get(_product(precision, threads))

    def copy(self, threads: int) -> float | None:
        """Bytes a second of a copy; None where it was not measured."""
        return self.copy_bytes_per_s.get(str(threads))

    def raised_to(self, other: "Limits") -> "Limits":
        """The greater of each rate: a rate reached once is the ceiling, and a busy machine measures it too low."""
        theirs = asdict(other)
        raised = {}
        for kind, rates in asdict(self).items():
            names = {**rates, **theirs[kind]}
            raised[kind] = {name: max(rates.get(name, 0.0), theirs[kind].get(name, 0.0)) for name in names}
        return Limits(**raised)

    @classmethod
    def from_json_dict(cls, content: Mapping[str, Any]) -> "Limits":
        """The limits that `asdict` made this of; raises ValueError that names a rate which is no positive number."""
        found = {}
        for kind in (entry.name for entry in fields(cls)):
            rates = content.get(kind, {})
            if not isinstance(rates, Mapping):
                raise ValueError(f"{kind} is {rates!r}, not rates by name")
            for name, rate in rates.items():
                if isinstance(rate, bool) or not isinstance(rate, int | float) or not 0 < rate < math.inf:
                    raise ValueError(f"{kind} of {name} is {rate!r}, not a rate")
            found[kind] = {str(name): float(rate) for name, rate in rates.items()}
        return cls(**found)


def measure_limits(
    threads: tuple[int, ...],
    precisions: tuple[str, ...],
    seconds: float = SECONDS,
    clock: Clock = time.perf_counter,
) -> Limits:
    """Measure the limits of this machine in this process, one kernel after the other.

    Args:
        threads: the numbers of threads to measure with.
        precisions: of the matrix product; a precision that the CPU does not compute in is left out.
        seconds: time for each kernel and size; the best of its calls counts, and the best of `GEMM_SIZES`.
        clock: gives seconds; only differences count.
    """
    counts = tuple(dict.fromkeys(threads))
    products = [
        Kernel("gemm", precision, count, size)
        for precision in precisions
        if has_gemm(precision)
        for count in counts
        for size in GEMM_SIZES
    ]
    return _measure([*products, *(Kernel(name, threads=count) for name in ARRAYS for count in counts)], seconds, clock)


def quick_limits(threads: int, precision: str, clock: Clock = time.perf_counter) -> Limits:
    """The limits of the matrix product in `precision` and of the copy alone, measured in some tenths of a second."""
    product = [Kernel("gemm", precision, threads)] if has_gemm(precision) else []
    return _measure([*product, Kernel("copy", threads=threads)], QUICK_SECONDS, clock)


def fraction_of_limit(
    flops_per_row: int,
    bytes_per_row: int,
    fixed_bytes: int,
    n_rows: int,
    seconds: float,
    gemm_flops_per_s: float,
    copy_bytes_per_s: float,
) -> float:
    """The least time that the work could take on this machine, over the time that it took; 1 is the limit.

    The least time is that of the operations or that of the bytes, whichever is longer, because they may overlap. It is
    not clipped: above 1.05 (`CEILING_WRONG`) the limits are wrong, because the machine was busier when they were
    measured.

    Args:
        flops_per_row, bytes_per_row, fixed_bytes: see `minimal_work`.
        n_rows: number of rows of the work.
        seconds: wall time that the work took; 0 gives infinity.
        gemm_flops_per_s: rate of a matrix product in the same precision and with as many threads.
        copy_bytes_per_s: rate of a copy with as many threads.
    """
    compute = flops_per_row * n_rows / gemm_flops_per_s
    traffic = (bytes_per_row * n_rows + fixed_bytes) / copy_bytes_per_s
    return max(compute, traffic) / seconds if seconds > 0 else math.inf


def minimal_work(widths: tuple[int, ...], value_bytes: int) -> tuple[int, int, int]:
    """The least work of labelling: operations per row, bytes per row, and bytes whatever the number of rows.

    Operations are two for each multiply-add of the layers; bytes those of the features in, the int64 label out, and the
    weights and biases once. To tell two classes apart the difference of their logits is enough, so that their last
    layer counts as one wide.

    Args:
        widths: of the input, the hidden layers and the output, in order.
        value_bytes: of a feature and of a weight.
    """
    *before, classes = widths
    needed = (*before, 1 if classes == 2 else classes)
    flops = 2 * sum(inputs * outputs for inputs, outputs in pairwise(needed))
    weights = sum((inputs + 1) * outputs for inputs, outputs in pairwise(needed))
    return flops, widths[0] * value_bytes + 8, weights * value_bytes


def cached_limits(machine_key: str) -> Limits | None:
    """The limits that are stored for this machine; None without them."""
    return _from_entry(cache.read(_CACHE_KIND, machine_key) or {})


def keep_limits(machine_key: str, limits: Limits, *, replace: bool = False) -> bool:
    """Keep `limits` in the cache for the machine: they replace the known ones, or raise those that are lower.

    Returns False where the cache cannot be written.
    """

    def change(entry: dict[str, Any]) -> dict[str, Any]:
        known = None if replace else _from_entry(entry)
        return asdict(limits if known is None else known.raised_to(limits))

    return cache.update(_CACHE_KIND, machine_key, change)


def machine_limits(
    machine_key: str, threads: int, precision: str, counters: Callable[[], Counters] = lambda: read_counters(())
) -> Limits:
    """The limits of this machine; a product or a copy that is not stored yet is measured quickly, and stored.

    Args:
        machine_key: under which they are stored.
        threads: of the product and of the copy.
        precision: of the product.
        counters: reads the machine's counters. Where others used the CPUs meanwhile, what was measured is no limit, and
            is left out.
    """
    known = cached_limits(machine_key) or Limits()
    if known.copy(threads) and (known.gemm(precision, threads) or not has_gemm(precision)):
        return known
    before = counters()
    measured = quick_limits(threads, precision)
    if is_crowded(before, counters(), threads, FREE_ENOUGH_CPUS):
        return known
    keep_limits(machine_key, measured)
    return known.raised_to(measured)


def _from_entry(entry: Mapping[str, Any]) -> Limits | None:
    try:
        return Limits.from_json_dict(entry) if entry else None
    except (ValueError, OverflowError):  # damaged: it can be measured again
        return None


def _product(precision: str, threads: int) -> str:
    """The key of a product's rate."""
    return f"{precision}/{threads}"


def _measure(kernels: Sequence[Kernel], seconds: float, clock: Clock) -> Limits:
    """The best rate of each kernel, and the best over its sizes."""
    found = Limits()
    places = {
        "gemm": found.gemm_flops_per_s,
        "copy": found.copy_bytes_per_s,
        "read": found.read_bytes_per_s,
        "triad": found.triad_bytes_per_s,
    }
    with stage("measuring limits", len(kernels)) as advance:
        for kernel in kernels:
            key = _product(kernel.precision, kernel.threads) if kernel.name == "gemm" else str(kernel.threads)
            rates = places[kernel.name]
            rates[key] = max(_best_rate(KernelWork(kernel), seconds, clock), rates.get(key, 0.0))
            advance(1)
    return found


def _best_rate(work: KernelWork, seconds: float, clock: Clock) -> float:
    """Operations or bytes a second of the fastest call, among calls that take `seconds` together."""
    best, spent = math.inf, 0.0
    try:
        work.open()
        while spent < seconds or best == math.inf:
            start = clock()
            work.call()
            taken = clock() - start
            spent += taken
            best = min(best, taken) if taken > 0 else best
        return work.work_per_call / best
    finally:
        work.close()

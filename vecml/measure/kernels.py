"""Small pieces of work that one thing alone limits: a matrix product, and copy, read and triad over large arrays.

Each can be an arm of a measurement, beside the engines that it limits. A call does nothing but the work.
"""

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from vecml import hardware
from vecml.errors import MeasureError
from vecml.measure.work import Work

GEMM_SIZES = (512, 1_024, 2_048)
PRECISIONS = ("float64", "float32", "bfloat16", "float16")
ARRAYS = {"copy": 2, "read": 1, "triad": 3}  # number of arrays; a call goes through each of them once
CACHES = 4  # an array is so many times as large as the last-level cache: McCalpin's rule for STREAM
SMALLEST_ARRAY_BYTES = 64 << 20  # because many virtual machines do not show all caches
MEMORY_SHARE = 8  # the three arrays together take at most an eighth of the memory

_NUMPY = ("float64", "float32")  # its BLAS is within 2 % of torch's for float32, and needs no import of seconds
_VALUE = np.dtype(np.float32)
_CHUNK = 1 << 18  # values: 1 MiB stays in a cache, and Python's share of the time is small


@dataclass(frozen=True)
class Kernel:
    """A small piece of work that is limited by one thing only.

    Attributes:
        name: `gemm` (a square matrix product, C = A B), `copy` (a = b), `read` (the largest of a) or `triad`
            (a = b + s c).
        precision: of the product; the other kernels move float32.
        threads: number of threads that share the work.
        size: n of the product of n by n matrices, or bytes of one array; None takes the middle of `GEMM_SIZES`, or
            `array_bytes`.
    """

    name: str
    precision: str = "float32"
    threads: int = 1
    size: int | None = None

    def __post_init__(self) -> None:
        """Raise ValueError for an unknown name or precision, or a number below 1."""
        if self.name != "gemm" and self.name not in ARRAYS:
            raise ValueError(f"no such kernel: {self.name!r}; there are gemm, {', '.join(ARRAYS)}")
        if self.precision not in (PRECISIONS if self.name == "gemm" else (_VALUE.name,)):
            raise ValueError(f"kernel {self.name} has no precision {self.precision!r}")
        if self.threads < 1 or (self.size is not None and self.size < 1):
            raise ValueError(f"kernel {self.name}: {self.threads} threads and size {self.size}: one at least")


@dataclass(frozen=True)
class _Opened:
    """An open kernel: its call, the operations or bytes of a call, and what releases its threads."""

    call: Callable[[], object]
    work_per_call: int
    close: Callable[[], object]


class KernelWork(Work):
    """A kernel as an arm of a measurement; see `vecml.measure.work.Work`."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._opened: _Opened | None = None

    def open(self) -> None:
        """Allocate and fill the arrays, and call it once, so that its threads run and its memory pages exist.

        Raises MeasureError where this machine has no product in the precision.
        """
        self._opened = _open_gemm(self._kernel) if self._kernel.name == "gemm" else _open_stream(self._kernel)
        self._opened.call()

    @property
    def work_per_call(self) -> int:
        """Floating-point operations of a call of a product; bytes of a call of the other kernels."""
        return self._at_hand.work_per_call

    def call(self) -> None:
        self._at_hand.call()

    def answer(self) -> int:
        return 0

    def finish(self, folder: str | None = None) -> dict[str, Any]:  # noqa: ARG002 -- it has nothing to leave there
        return {"work_per_call": self.work_per_call}

    def facts(self) -> dict[str, Any]:
        kernel = self._kernel
        return {
            "kernel": kernel.name,
            "precision": kernel.precision,
            "threads": kernel.threads,
            "work_per_call": self.work_per_call,
        }

    def close(self) -> None:
        """Release the memory and the threads; closing again does nothing."""
        if self._opened is not None:
            self._opened.close()
            self._opened = None

    @property
    def _at_hand(self) -> _Opened:
        if self._opened is None:
            raise RuntimeError(f"kernel {self._kernel.name} is not open")
        return self._opened


def open_kernel(payload: dict[str, Any]) -> KernelWork:
    """The opener of a limit's arm; `payload` has the fields of a `Kernel`, which raises ValueError for wrong ones."""
    return KernelWork(Kernel(**payload))


def array_bytes(threads: int) -> int:
    """Bytes of one array of copy, read and triad, for so many threads.

    It is four times the size of all last-level caches that so many threads can use, at least `SMALLEST_ARRAY_BYTES`,
    and the three arrays of triad take at most an eighth of the memory.
    """
    size = SMALLEST_ARRAY_BYTES
    last = hardware.cache(3) or hardware.cache(2)
    if last is not None:
        caches = math.ceil((hardware.machine_cpus(hyperthreads=True) or 1) / last.sharers)
        size = max(size, CACHES * last.size_bytes * min(threads, caches))
    memory = hardware.memory_bytes()
    return size if memory is None else min(size, memory // MEMORY_SHARE // 3)


def has_gemm(precision: str) -> bool:
    """Whether the CPU multiplies matrices in `precision` itself; an emulated product would be no limit."""
    return precision in _NUMPY or (precision in PRECISIONS and _torch_multiplies(precision))


def _open_gemm(kernel: Kernel) -> _Opened:
    size = kernel.size or GEMM_SIZES[1]
    opened = _numpy_gemm if kernel.precision in _NUMPY else _torch_gemm
    call, close = opened(kernel.precision, kernel.threads, size)
    return _Opened(call, 2 * size**3, close)


def _numpy_gemm(precision: str, threads: int, size: int) -> tuple[Callable[[], object], Callable[[], object]]:
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # noqa: PLC0415 -- only when held

    dtype = np.dtype(precision)
    left_NN, right_NN = np.random.default_rng(0).random((2, size, size)).astype(dtype)
    out_NN = np.empty((size, size), dtype)
    limits = threadpool_limits(limits=threads, user_api="blas")
    return lambda: np.matmul(left_NN, right_NN, out=out_NN), limits.restore_original_limits


def _torch_gemm(precision: str, threads: int, size: int) -> tuple[Callable[[], object], Callable[[], object]]:
    if not _torch_multiplies(precision):
        raise MeasureError(f"kernel gemm in {precision}: this CPU has no such arithmetic", f"try {' or '.join(_NUMPY)}")
    import torch  # noqa: PLC0415 -- two seconds, and for these precisions only

    dtype = getattr(torch, precision)
    left_NN, right_NN = torch.rand(2, size, size).to(dtype)
    out_NN = torch.empty(size, size, dtype=dtype)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    return lambda: torch.mm(left_NN, right_NN, out=out_NN), lambda: torch.set_num_threads(before)


def _torch_multiplies(precision: str) -> bool:
    """Whether torch is installed and uses the CPU's own arithmetic in `precision`; else it is 100 times slower."""
    try:
        import torch  # noqa: PLC0415

        probes = torch.ops.mkldnn
        probe = {"bfloat16": "_is_mkldnn_bf16_supported", "float16": "_is_mkldnn_fp16_supported"}[precision]
        return bool(getattr(probes, probe)())
    except (ImportError, OSError, AttributeError, RuntimeError):
        return False


def _open_stream(kernel: Kernel) -> _Opened:
    """Open copy, read or triad; each thread works on one contiguous slice."""
    threads = kernel.threads
    n_values = max(threads, (kernel.size or array_bytes(threads)) // _VALUE.itemsize)
    parts = [slice(n_values * i // threads, n_values * (i + 1) // threads) for i in range(threads)]
    arrays = [np.empty(n_values, _VALUE) for _ in range(ARRAYS[kernel.name])]
    pool = ThreadPoolExecutor(threads) if threads > 1 else None

    def everywhere(work: Callable[[slice], object]) -> None:
        for _ in map(work, parts) if pool is None else pool.map(work, parts):
            pass

    def fill(part: slice) -> None:  # by the threads themselves, so that the pages lie near them
        for array in arrays:
            array[part] = 1

    everywhere(fill)
    steps: dict[str, Callable[..., object]] = {"copy": _copy, "read": _read, "triad": _triad}
    step = steps[kernel.name]
    return _Opened(
        call=lambda: everywhere(lambda part: step(*(array[part] for array in arrays))),
        work_per_call=len(arrays) * n_values * _VALUE.itemsize,
        close=(lambda: None) if pool is None else pool.shutdown,
    )


def _copy(to: Any, source: Any) -> None:
    np.copyto(to, source)


def _read(source: Any) -> None:
    source.max()  # of NumPy's reductions the one that reads fastest; as fast as BLAS's dot product


def _triad(to: Any, left: Any, right: Any) -> None:
    """to = left + 3 right, in chunks, so that the product stays in a cache and is no traffic of its own."""
    product = np.empty(min(_CHUNK, len(to)), _VALUE)
    for start in range(0, len(to), _CHUNK):
        chunk = slice(start, min(start + _CHUNK, len(to)))
        scaled = product[: chunk.stop - chunk.start]
        np.multiply(right[chunk], _VALUE.type(3), out=scaled)
        np.add(left[chunk], scaled, out=to[chunk])

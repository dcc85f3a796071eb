"""The kernels of the limits do the work that is counted, with as many threads as they are told."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict

import numpy as np
import pytest
from threadpoolctl import threadpool_info

from vecml import hardware
from vecml.errors import MeasureError
from vecml.measure import kernels
from vecml.measure.kernels import Kernel, array_bytes, has_gemm, open_kernel

MIB = 1 << 20
GIB = 1 << 30


@contextmanager
def opened(kernel: Kernel) -> Iterator[kernels.KernelWork]:
    work = open_kernel(asdict(kernel))
    try:
        work.open()
        yield work
    finally:
        work.close()


def blas_threads() -> list[int]:
    return [library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"]


class TestKernels:
    @pytest.mark.parametrize(
        ("kernel", "work"),
        [
            (Kernel("gemm", "float32", 2, 48), 2 * 48**3),
            (Kernel("gemm", "float64", 1, 7), 2 * 7**3),
            (Kernel("copy", threads=2, size=40_000), 80_000),
            (Kernel("read", threads=1, size=40_003), 40_000),  # whole float32 values
            (Kernel("triad", threads=2, size=40_000), 120_000),
            (Kernel("copy", threads=3, size=1), 24),  # a value for every thread
        ],
        ids=str,
    )
    def test_as_an_arm_it_says_what_it_is(self, kernel: Kernel, work: int) -> None:
        with opened(kernel) as arm:
            arm.call()
            assert arm.answer() == 0
            assert arm.each is False
            facts = {"kernel": kernel.name, "precision": kernel.precision, "threads": kernel.threads}
            assert arm.facts() == {**facts, "work_per_call": work}
            assert arm.finish() == arm.finish("a folder") == {"work_per_call": work}
            json.dumps(arm.facts())
            arm.close()
            with pytest.raises(RuntimeError, match=f"kernel {kernel.name} is not open"):
                arm.call()

    @pytest.mark.parametrize(
        "payload",
        [
            {"name": "scale"},
            {"name": "gemm", "precision": "tf32"},
            {"name": "copy", "precision": "float64"},
            {"name": "read", "threads": 0},
            {"name": "gemm", "size": 0},
        ],
        ids=str,
    )
    def test_one_that_cannot_be_is_refused(self, payload: dict[str, object]) -> None:
        with pytest.raises(ValueError, match=str(payload["name"])):
            open_kernel(payload)

    @pytest.mark.parametrize(("name", "count"), [("copy", 2), ("read", 1), ("triad", 3)])
    @pytest.mark.parametrize("threads", [1, 2, 3])
    def test_a_call_is_shared_by_its_threads_and_leaves_nothing_out(
        self, name: str, count: int, threads: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        together = threading.Barrier(threads)
        seen: list[np.ndarray] = []

        def step(*parts: np.ndarray) -> None:
            together.wait(60)  # nobody goes on before all threads are in the same call
            assert len(parts) == count
            seen.append(parts[-1].base)
            for part in parts:
                np.add(part, 1, out=part)

        monkeypatch.setattr(kernels, f"_{name}", step)
        with opened(Kernel(name, threads=threads, size=4 * 1_001)) as arm:
            arm.call()
        assert len(seen) == 2 * threads  # once on opening, and once
        assert all(base is seen[0] for base in seen)
        np.testing.assert_array_equal(seen[0], np.full(1_001, 3, np.float32))

    @pytest.mark.parametrize("chunk", [1, 7, 100, 1_000])
    def test_what_copy_and_triad_compute(self, chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(kernels, "_CHUNK", chunk)
        left, right = np.random.default_rng(0).random((2, 100)).astype(np.float32)
        to = np.zeros(100, np.float32)
        kernels._triad(to, left, right)
        np.testing.assert_allclose(to, left + 3 * right, rtol=1e-6)
        kernels._copy(to, right)
        np.testing.assert_array_equal(to, right)

    @pytest.mark.parametrize("precision", ["float32", "float64"])
    @pytest.mark.parametrize("threads", [1, 2])
    def test_a_product_is_blas_with_so_many_threads(
        self, precision: str, threads: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        before, during, matmul = blas_threads(), [], np.matmul

        def spied(left: np.ndarray, right: np.ndarray, out: np.ndarray) -> np.ndarray:
            during.append((left.shape, right.shape, left.dtype, out.dtype, *blas_threads()))
            assert matmul(left, right, out=out) is out
            np.testing.assert_allclose(out, left.astype(np.float64) @ right, rtol=1e-4)
            return out

        monkeypatch.setattr(np, "matmul", spied)
        with opened(Kernel("gemm", precision, threads, 64)) as arm:
            arm.call()
        kind = np.dtype(precision)
        assert during == [((64, 64), (64, 64), kind, kind, *(threads for _ in before))] * 2
        assert blas_threads() == before

    @pytest.mark.parametrize("precision", ["bfloat16", "float16"])
    def test_what_numpy_has_not_is_torchs(self, precision: str, monkeypatch: pytest.MonkeyPatch) -> None:
        import torch

        monkeypatch.setattr(kernels, "_torch_multiplies", lambda _: True)
        before, during, mm = torch.get_num_threads(), [], torch.mm

        def spied(left: torch.Tensor, right: torch.Tensor, out: torch.Tensor) -> torch.Tensor:
            during.append((left.shape, right.shape, left.dtype, out.dtype, torch.get_num_threads()))
            return mm(left, right, out=out)

        monkeypatch.setattr(torch, "mm", spied)
        other = 1 if before > 1 else 2
        with opened(Kernel("gemm", precision, other, 16)) as arm:
            arm.call()
        kind = getattr(torch, precision)
        assert during == [((16, 16), (16, 16), kind, kind, other)] * 2
        assert torch.get_num_threads() == before

    @pytest.mark.parametrize("there", [True, False])
    def test_arithmetic_that_the_cpu_has_not_is_no_limit(self, there: bool, monkeypatch: pytest.MonkeyPatch) -> None:
        import torch

        monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: there, raising=False)
        monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_fp16_supported", lambda: not there, raising=False)
        assert (has_gemm("bfloat16"), has_gemm("float16")) == (there, not there)
        assert [has_gemm(name) for name in ("float32", "float64", "tf32", "13 bits")] == [True, True, False, False]
        lacking = "float16" if there else "bfloat16"
        with pytest.raises(MeasureError, match=f"gemm in {lacking}: this CPU has no such arithmetic"):
            open_kernel({"name": "gemm", "precision": lacking}).open()

    @pytest.mark.parametrize(
        ("level_3", "level_2", "cpus", "memory", "threads", "size"),
        [
            ((32 * MIB, 2), None, 2, 64 * GIB, 1, 128 * MIB),
            ((32 * MIB, 2), (MIB, 1), 2, 64 * GIB, 2, 128 * MIB),  # both share it
            ((32 * MIB, 8), None, 64, 512 * GIB, 64, 1_024 * MIB),  # eight of them
            ((32 * MIB, 8), None, 64, 512 * GIB, 3, 384 * MIB),  # three of which three threads can have
            ((32 * MIB, 8), None, None, 64 * GIB, 64, 128 * MIB),
            (None, (48 * MIB, 4), 4, 64 * GIB, 1, 192 * MIB),
            (None, (MIB, 1), 2, 64 * GIB, 2, 64 * MIB),  # there may be more than is told
            (None, None, 8, 64 * GIB, 8, 64 * MIB),
            (None, None, 8, None, 8, 64 * MIB),
            ((32 * MIB, 2), None, 2, 768 * MIB, 2, 32 * MIB),  # three arrays are an eighth of the memory
        ],
    )
    def test_arrays_that_no_cache_holds(
        self,
        level_3: tuple[int, int] | None,
        level_2: tuple[int, int] | None,
        cpus: int | None,
        memory: int | None,
        threads: int,
        size: int,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        known = {2: level_2, 3: level_3}
        monkeypatch.setattr(hardware, "cache", lambda level: known[level] and hardware.Cache(*known[level]))
        monkeypatch.setattr(hardware, "machine_cpus", lambda *, hyperthreads: cpus if hyperthreads else 1)
        monkeypatch.setattr(hardware, "memory_bytes", lambda: memory)
        assert array_bytes(threads) == size

    def test_without_a_size_it_takes_the_machines(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(kernels, "array_bytes", lambda threads: 4_000 * threads)
        with opened(Kernel("triad", threads=2)) as arm:
            assert arm.work_per_call == 3 * 8_000
        with opened(Kernel("gemm")) as arm:
            assert arm.work_per_call == 2 * 1_024**3

"""The kernels do the work that is counted, a rate is that of the best call, and the fraction is plain arithmetic."""

import itertools
import json
import math
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vecml import cache
from vecml.config import Setting
from vecml.data.split import Part
from vecml.environment import describe
from vecml.inference import infer as infer_module
from vecml.inference.infer import infer
from vecml.measure import kernels, limits
from vecml.measure.context import Counters
from vecml.measure.kernels import Kernel
from vecml.measure.limits import (
    Limits,
    cached_limits,
    fraction_of_limit,
    keep_limits,
    machine_limits,
    measure_limits,
    minimal_work,
    quick_limits,
)
from vecml.measure.single import Measurement
from vecml.model.network import Architecture, Layer, Model
from vecml.progress import listening

MIB = 1 << 20
GIB = 1 << 30
FULL = Limits({"float32/1": 9e10, "float64/1": 4e10}, {"1": 1.5e10}, {"1": 1.6e10}, {"1": 1.4e10})


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty cache, which nothing else sees."""
    monkeypatch.setenv("VECML_CACHE", str(tmp_path / "cache"))


class FakeMachine:
    """Kernels that only move a clock: `costs` of a kernel are those of its calls, the last for ever."""

    def __init__(self, costs: Callable[[Kernel], tuple[float, ...]]) -> None:
        self.costs = costs
        self.now = 0.0
        self.calls: dict[Kernel, int] = {}
        self.open: list[Kernel] = []

    def clock(self) -> float:
        return self.now

    def work(self, kernel: Kernel) -> "FakeWork":
        return FakeWork(self, kernel)


class FakeWork:
    """What stands in for `KernelWork`: a product is n operations, the others 1,000 bytes an array."""

    def __init__(self, machine: FakeMachine, kernel: Kernel) -> None:
        self.machine, self.kernel = machine, kernel
        self.work_per_call = (kernel.size or 1_024) if kernel.name == "gemm" else 1_000 * kernels.ARRAYS[kernel.name]

    def open(self) -> None:
        assert not self.machine.open, "one at a time"
        self.machine.open.append(self.kernel)
        self.machine.calls[self.kernel] = 0

    def call(self) -> None:
        assert self.machine.open == [self.kernel]
        costs = self.machine.costs(self.kernel)
        self.machine.now += costs[min(self.machine.calls[self.kernel], len(costs) - 1)]
        self.machine.calls[self.kernel] += 1

    def close(self) -> None:
        self.machine.open.remove(self.kernel)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Callable[..., FakeMachine]:
    def make(costs: Callable[[Kernel], tuple[float, ...]]) -> FakeMachine:
        made = FakeMachine(costs)
        monkeypatch.setattr(limits, "KernelWork", made.work)
        monkeypatch.setattr(limits, "has_gemm", lambda precision: precision != "float16")
        return made

    return make


class Heard:
    """A listener that keeps what it hears."""

    def __init__(self) -> None:
        self.told: list[object] = []

    def begin(self, name: str, total: float | None) -> object:
        self.told.append((name, total))
        return name

    def advance(self, stage: object, amount: float) -> None:
        self.told.append(amount)

    def end(self, stage: object) -> None:
        self.told.append("end")


class TestMeasuring:
    def test_every_kernel_at_every_thread_count_by_its_best_call(self, machine: Callable[..., FakeMachine]) -> None:
        # The best of a kernel's calls is neither the first nor the last; two threads take half of the time.
        fake = machine(lambda kernel: tuple(cost / kernel.threads for cost in (4.0, 2.0, 8.0)))
        got = measure_limits((1, 2), ("float32", "float16", "float64"), seconds=10.0, clock=fake.clock)
        assert got == Limits(
            {"float32/1": 1_024.0, "float32/2": 2_048.0, "float64/1": 1_024.0, "float64/2": 2_048.0},  # of 2,048 / 2 s
            copy_bytes_per_s={"1": 1_000.0, "2": 2_000.0},
            read_bytes_per_s={"1": 500.0, "2": 1_000.0},
            triad_bytes_per_s={"1": 1_500.0, "2": 3_000.0},
        )
        products = {
            Kernel("gemm", kind, t, n) for kind in ("float32", "float64") for t in (1, 2) for n in (512, 1_024, 2_048)
        }
        streams = {Kernel(name, threads=t) for name in ("copy", "read", "triad") for t in (1, 2)}
        assert set(fake.calls) == products | streams
        assert not fake.open
        # 4 + 2 + 8 s pass ten seconds; halved, 2 + 1 + 4 do not, and the fourth call of 4 does
        assert {kernel.threads: calls for kernel, calls in fake.calls.items()} == {1: 3, 2: 4}

    def test_the_best_size_of_a_product_need_not_be_the_largest(self, machine: Callable[..., FakeMachine]) -> None:
        fake = machine(lambda kernel: ({512: 1.0, 1_024: 0.5, 2_048: 4.0}.get(kernel.size or 0, 1.0),))
        assert measure_limits((1,), ("float32",), 1.0, fake.clock).gemm_flops_per_s == {"float32/1": 2_048.0}

    def test_one_thread_on_a_machine_of_one(self, machine: Callable[..., FakeMachine]) -> None:
        fake = machine(lambda _: (1.0,))
        got = measure_limits((1, 1), ("float32",), 1.0, fake.clock)
        assert set(got.gemm_flops_per_s) == {"float32/1"}
        assert set(fake.calls.values()) == {1}

    def test_a_call_that_the_clock_does_not_see_is_no_rate(self, machine: Callable[..., FakeMachine]) -> None:
        fake = machine(lambda _: (0.0, 0.0, 2.0))
        assert measure_limits((1,), (), 0.0, fake.clock).copy_bytes_per_s == {"1": 1_000.0}

    def test_what_a_kernel_raises_passes_and_it_is_closed(self, machine: Callable[..., FakeMachine]) -> None:
        def fail(kernel: Kernel) -> tuple[float, ...]:
            raise MemoryError(kernel.name)

        fake = machine(fail)
        with pytest.raises(MemoryError):
            quick_limits(1, "float32", fake.clock)
        assert not fake.open

    def test_quickly_a_product_and_the_copy_alone(self, machine: Callable[..., FakeMachine]) -> None:
        fake = machine(lambda _: (0.03125,))
        assert quick_limits(3, "float64", fake.clock) == Limits({"float64/3": 32_768.0}, {"3": 64_000.0})
        assert list(fake.calls.values()) == [4, 4]  # a tenth of a second each
        assert quick_limits(3, "float16", fake.clock) == Limits({}, {"3": 64_000.0})

    def test_it_tells_how_far_it_is(self, machine: Callable[..., FakeMachine]) -> None:
        fake, heard = machine(lambda _: (1.0,)), Heard()
        with listening(heard):
            measure_limits((1,), ("float32",), 1.0, fake.clock)
        assert heard.told == [("measuring limits", 6), *[1] * 6, "end"]

    def test_the_real_kernels_have_rates(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(kernels, "array_bytes", lambda threads: 4 * MIB)
        monkeypatch.setattr(limits, "GEMM_SIZES", (64, 128))
        got = measure_limits((1, 2), ("float32", "float64"), 0.002)
        assert list(got.gemm_flops_per_s) == ["float32/1", "float32/2", "float64/1", "float64/2"]
        for rates in (got.copy_bytes_per_s, got.read_bytes_per_s, got.triad_bytes_per_s):
            assert list(rates) == ["1", "2"]
        assert Limits.from_json_dict(asdict(got)) == got  # which refuses what is no rate


class TestArithmetic:
    @pytest.mark.parametrize(
        ("widths", "value_bytes", "work"),
        [
            ((10, 32, 10), 4, (2 * (320 + 320), 48, 4 * (352 + 330))),
            ((10, 32, 2), 4, (2 * (320 + 32), 48, 4 * (352 + 33))),  # the difference of two logits
            ((3, 3), 8, (18, 32, 96)),
            ((5, 2), 2, (10, 18, 12)),
        ],
    )
    def test_minimal_work(self, widths: tuple[int, ...], value_bytes: int, work: tuple[int, int, int]) -> None:
        assert minimal_work(widths, value_bytes) == work

    def test_a_fraction_by_hand(self) -> None:
        # 1,000 rows of 500 operations at 1 MFLOP/s: 0.5 s; 1,000 of 10 bytes and 6,000 more at 20 kB/s: 0.8 s
        assert fraction_of_limit(500, 10, 6_000, 1_000, 4.0, 1e6, 2e4) == pytest.approx(0.2)
        assert fraction_of_limit(1_000, 10, 6_000, 1_000, 4.0, 1e6, 2e4) == pytest.approx(0.25)

    def test_it_is_never_clipped(self) -> None:
        assert fraction_of_limit(500, 10, 0, 1_000, 0.125, 1e6, 2e4) == pytest.approx(4.0)
        assert fraction_of_limit(500, 10, 0, 1_000, 0.0, 1e6, 2e4) == math.inf

    @given(
        flops=st.integers(1, 10**7),
        row_bytes=st.integers(1, 10**6),
        fixed=st.integers(0, 10**9),
        rows=st.integers(1, 10**7),
        product=st.floats(1e6, 1e15),
        copy=st.floats(1e6, 1e13),
        share=st.floats(1e-6, 2),
    )
    def test_work_at_a_share_of_the_limit_has_that_fraction(
        self, flops: int, row_bytes: int, fixed: int, rows: int, product: float, copy: float, share: float
    ) -> None:
        """Whichever of the two is the bottleneck: the time that it needs, over the share, gives the share back."""
        seconds = max(flops * rows / product, (row_bytes * rows + fixed) / copy) / share
        got = fraction_of_limit(flops, row_bytes, fixed, rows, seconds, product, copy)
        assert got == pytest.approx(share)
        assert fraction_of_limit(flops, row_bytes, fixed, rows, 2 * seconds, product, copy) == pytest.approx(share / 2)
        assert fraction_of_limit(flops, row_bytes, fixed, rows, seconds, 2 * product, 2 * copy) == pytest.approx(
            share / 2
        )


class TestKeeping:
    def test_there_and_back(self) -> None:
        assert Limits.from_json_dict(json.loads(json.dumps(asdict(FULL)))) == FULL
        assert (FULL.gemm("float64", 1), FULL.gemm("float64", 2), FULL.copy(1), FULL.copy(2)) == (
            4e10,
            None,
            1.5e10,
            None,
        )

    @pytest.mark.parametrize("rate", [0, -1.0, True, "1", None, math.inf, math.nan, [1.0]])
    def test_what_is_no_rate_is_refused_and_reads_as_unknown(self, rate: object) -> None:
        content = {"gemm_flops_per_s": {"float32/1": 1e9}, "copy_bytes_per_s": {"1": rate}}
        with pytest.raises(ValueError, match="copy_bytes_per_s of 1 is"):
            Limits.from_json_dict(content)

    @pytest.mark.parametrize("rates", [[1.0], 3, {"1": "fast"}, {"1": 10**400}, {"1": -1}])
    def test_a_damaged_entry_is_unknown_and_replaced(self, rates: object) -> None:
        cache.write("limits", "machine", {"copy_bytes_per_s": rates})
        assert cached_limits("machine") is None
        assert keep_limits("machine", FULL)
        assert cached_limits("machine") == FULL

    def test_a_busy_machine_never_lowers_a_limit_and_a_better_look_raises_it(self) -> None:
        assert keep_limits("machine", Limits({"float32/2": 5e10}, {"2": 2e10}))
        assert keep_limits("machine", Limits({"float32/2": 18e10}, {"2": 1e10}))
        assert cached_limits("machine") == Limits({"float32/2": 18e10}, {"2": 2e10})

    def test_what_is_known_stays_unless_it_is_replaced(self) -> None:
        assert cached_limits("machine") is None
        assert keep_limits("machine", FULL)
        quick = Limits({"float32/1": 1.0, "float32/2": 2.0}, {"1": 3.0, "2": 4.0})
        assert keep_limits("machine", quick)
        filled = replace(
            FULL,
            gemm_flops_per_s={"float32/1": 9e10, "float64/1": 4e10, "float32/2": 2.0},
            copy_bytes_per_s={"1": 1.5e10, "2": 4.0},
        )
        assert cached_limits("machine") == filled
        assert cached_limits("another-machine") is None
        assert keep_limits("machine", quick, replace=True)
        assert cached_limits("machine") == quick

    def test_a_cache_that_cannot_be_written_is_said_and_no_more(self, tmp_path: Path) -> None:
        (tmp_path / "cache").write_text("a file")
        assert keep_limits("machine", FULL) is False
        assert cached_limits("machine") is None

    def test_a_machine_is_measured_once_for_what_is_asked(self, monkeypatch: pytest.MonkeyPatch) -> None:
        asked: list[tuple[int, str]] = []

        def quick(threads: int, precision: str) -> Limits:
            asked.append((threads, precision))
            return Limits({f"{precision}/{threads}": 1.0} if precision != "float16" else {}, {str(threads): 2.0})

        monkeypatch.setattr(limits, "quick_limits", quick)
        monkeypatch.setattr(limits, "has_gemm", lambda precision: precision != "float16")
        monkeypatch.setattr(limits, "read_counters", counters_of(others=0.0))
        assert machine_limits("machine", 2, "float32") == Limits({"float32/2": 1.0}, {"2": 2.0})
        assert machine_limits("machine", 2, "float32") == Limits({"float32/2": 1.0}, {"2": 2.0})
        assert asked == [(2, "float32")]
        machine_limits("machine", 2, "float16")  # no product to measure, and the copy is known
        assert asked == [(2, "float32")]
        both = machine_limits("machine", 2, "float64")
        assert both == Limits({"float32/2": 1.0, "float64/2": 1.0}, {"2": 2.0})
        machine_limits("machine", 1, "float32")
        machine_limits("other", 2, "float32")
        assert asked == [(2, "float32"), (2, "float64"), (1, "float32"), (2, "float32")]
        keep_limits("full", FULL)
        assert machine_limits("full", 1, "float64") == FULL
        assert len(asked) == 4

    @pytest.mark.parametrize(("threads", "others", "is_kept"), [(2, 0.9, False), (1, 0.9, True), (1, 1.9, False)])
    def test_what_others_disturbed_is_no_limit(
        self, monkeypatch: pytest.MonkeyPatch, threads: int, others: float, is_kept: bool
    ) -> None:
        measured = Limits({f"float32/{threads}": 1.0}, {str(threads): 2.0})
        monkeypatch.setattr(limits, "quick_limits", lambda *_: measured)
        found = machine_limits("machine", threads, "float32", counters_of(others))
        assert found == (measured if is_kept else Limits())
        assert cached_limits("machine") == (measured if is_kept else None)


def counters_of(others: float) -> Callable[..., Counters]:
    """Counters of a machine of two CPUs that are a second apart, while others use so many of them."""
    seconds = itertools.count()

    def read(_: object = ()) -> Counters:
        now = float(next(seconds))
        return Counters(
            now, busy_seconds=others * now, steal_seconds=0.0, throttled_seconds=0.0, own_seconds=0.0, usable_cpus=2
        )

    return read


class TestInference:
    """The fraction of a run, from limits that are known of this machine."""

    @pytest.fixture
    def model(self) -> Model:
        rng = np.random.default_rng(0)
        layers = tuple(
            Layer(rng.normal(size=(o, i)).astype(np.float32), rng.normal(size=o).astype(np.float32))
            for i, o in ((4, 8), (8, 3))
        )
        return Model(Architecture(4, (8,), 3, "relu"), layers, ("a", "b", "c"))

    @pytest.fixture
    def part(self) -> Part:
        x_FN = np.random.default_rng(1).normal(size=(4, 50)).astype(np.float32)
        return Part(x_FN, np.zeros(50, np.int64), np.arange(50), unseen_categories=0)

    @pytest.fixture(autouse=True)
    def known(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """50 rows in 0.1 s, on a machine of which everything is known."""
        monkeypatch.setattr(
            infer_module, "measure_single", lambda call, rows, **_: (call(), Measurement(rows, 1, (0.1,)))[1]
        )
        rates = {"float32/1": 1e6, "float64/1": 1e5, "bfloat16/1": 1e6}
        keep_limits(describe().machine_key, Limits(rates, {"1": 4e4}))

    @pytest.mark.parametrize(
        ("engine", "precision", "least_seconds"),
        [
            ("numpy", "float32", (50 * 24 + 4 * 67) / 4e4),  # of 4 features and a label a row, 67 weights and biases
            ("torch", "float32", (50 * 24 + 4 * 67) / 4e4),
            ("numpy", "float64", 2 * 56 * 50 / 1e5),  # of 56 multiply-adds a row: longer than the same bytes take
            ("row_loop", "float64", 2 * 56 * 50 / 1e5),
        ],
    )
    def test_the_bottleneck_over_the_time(
        self, model: Model, part: Part, engine: str, precision: str, least_seconds: float
    ) -> None:
        got = infer(model, part, Setting(engine, precision=precision, threads=1)).fraction_of_limit
        assert got == pytest.approx(least_seconds / 0.1)

    def test_it_is_of_what_was_really_computed_in(
        self, model: Model, part: Part, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        setting = Setting("numpy", threads=1)
        monkeypatch.setattr(infer_module, "used_precision", lambda _: "float64")
        assert infer(model, part, setting).fraction_of_limit == pytest.approx(2 * 56 * 50 / 1e5 / 0.1)
        monkeypatch.setattr(infer_module, "used_precision", lambda _: "bfloat16")
        monkeypatch.setattr(infer_module, "has_gemm", lambda _: True)
        monkeypatch.setattr(limits, "has_gemm", lambda _: True)
        assert infer(model, part, setting).fraction_of_limit == pytest.approx((50 * 16 + 2 * 67) / 4e4 / 0.1)

    @pytest.mark.parametrize("used", ["tf32", "13 bits"])
    def test_a_precision_without_a_product_has_none(
        self, model: Model, part: Part, used: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(infer_module, "used_precision", lambda _: used)
        assert infer(model, part, Setting("numpy", threads=1)).fraction_of_limit is None

    def test_another_device_has_none(self, model: Model) -> None:
        setting = Setting("torch", device="cuda", threads=1)
        assert infer_module._fraction(model, setting, "float32", Measurement(50, 1, (0.1,))) is None

    def test_a_machine_without_the_memory_to_measure_has_none(
        self, model: Model, part: Part, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(threads: int, precision: str) -> Limits:
            raise MemoryError

        monkeypatch.setattr(limits, "quick_limits", fail)
        assert infer(model, part, Setting("numpy", threads=1)).fraction_of_limit is not None
        assert infer(model, part, Setting("numpy", threads=2)).fraction_of_limit is None

    def test_what_is_not_known_is_measured_and_kept(
        self, model: Model, part: Part, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(limits, "quick_limits", lambda *_: Limits({"float32/2": 1e6}, {"2": 2e4}))
        monkeypatch.setattr(limits, "read_counters", counters_of(others=0.0))
        got = infer(model, part, Setting("numpy", threads=2)).fraction_of_limit
        assert got == pytest.approx((50 * 24 + 4 * 67) / 2e4 / 0.1)
        kept = cached_limits(describe().machine_key)
        assert kept is not None
        assert (kept.copy(1), kept.copy(2)) == (4e4, 2e4)

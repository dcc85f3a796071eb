"""A measurement in this process, on a fake clock: warm-up, calibration, blocks and their median, to the last call."""

import gc
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vecml.measure.single import Measurement, measure_single, peak_rss_bytes

MS = 2.0**-10  # a millisecond that floats add without rounding


class FakeTime:
    """A clock that only calls move: each takes the next of `costs`, the last for ever."""

    def __init__(self, *costs: float) -> None:
        self.costs = list(costs)
        self.now = 0.0
        self.calls = 0

    def clock(self) -> float:
        return self.now

    def call(self) -> None:
        self.now += self.costs[min(self.calls, len(self.costs) - 1)]
        self.calls += 1


def test_blocks_of_ten_milliseconds_until_the_budget_is_spent() -> None:
    time = FakeTime(MS)
    got = measure_single(time.call, 1_000, clock=time.clock, budget_seconds=128 * MS)
    # 10 ms are 10.24 MS: 1 call is short of it by that factor, and a fifth is added; ten times at most: 10, then 20
    assert got.calls_per_block == 20
    assert got.block_seconds == (20 * MS,) * 7  # the seventh block passes 128
    assert time.calls == 1 + (1 + 10 + 20) + 7 * 20
    assert got.seconds_per_call == MS
    assert got.rows_per_s == 1_000 / MS
    assert (got.rows_per_call, got.launches) == (1_000, 1)


def test_five_blocks_at_least() -> None:
    time = FakeTime(300 * MS)
    got = measure_single(time.call, 10, clock=time.clock, budget_seconds=0.5)
    assert got.calls_per_block == 1
    assert got.block_seconds == (300 * MS,) * 5
    assert time.calls == 1 + 1 + 5


def test_one_single_call_when_it_is_longer_than_the_budget() -> None:
    time = FakeTime(8.0)
    got = measure_single(time.call, 10, clock=time.clock, budget_seconds=0.5)
    assert (got.calls_per_block, got.block_seconds, time.calls) == (1, (8.0,), 1)
    assert got.seconds_per_call == 8.0


def test_a_slow_first_call_is_left_out() -> None:
    time = FakeTime(256 * MS, 16 * MS)
    got = measure_single(time.call, 10, clock=time.clock, budget_seconds=0.5)
    assert set(got.block_seconds) == {16 * MS}


def test_the_median_is_taken_and_not_the_mean() -> None:
    assert Measurement(10, 2, (4.0, 2.0, 100.0)).seconds_per_call == 2.0
    assert Measurement(10, 2, (4.0, 2.0)).seconds_per_call == 1.5
    assert Measurement(10, 2, (4.0, 2.0, 100.0)).rows_per_s == 5.0
    assert Measurement(10, 1, (0.0,)).rows_per_s == math.inf


def test_a_clock_that_does_not_move_at_first_is_waited_for() -> None:
    time = FakeTime(*[0.0] * 200, MS)
    got = measure_single(time.call, 1, clock=time.clock, budget_seconds=64 * MS)
    assert got.calls_per_block == 1_000
    assert got.seconds_per_call == MS


@settings(deadline=None)
@given(st.floats(1e-5, 2.0), st.floats(0.01, 1.0))
def test_whatever_a_call_takes_the_time_is_bounded_and_blocks_are_long_enough(cost: float, budget: float) -> None:
    time = FakeTime(cost)
    got = measure_single(time.call, 1, clock=time.clock, budget_seconds=budget)
    if cost > budget:
        assert time.calls == 1
    else:
        assert len(got.block_seconds) >= 5
        assert min(got.block_seconds) >= 0.0099
        block = cost * got.calls_per_block
        assert block <= max(cost, 0.125)
        assert time.now <= budget + 7 * block + 0.3
    assert math.isclose(got.seconds_per_call, cost, rel_tol=1e-3)


@pytest.mark.parametrize("collecting", [True, False])
def test_the_garbage_collector_rests_and_is_left_as_it_was(collecting: bool) -> None:
    time = FakeTime(16 * MS)
    states: set[bool] = set()

    def call() -> None:
        states.add(gc.isenabled())
        time.call()

    before = gc.isenabled()
    try:
        (gc.enable if collecting else gc.disable)()
        measure_single(call, 1, clock=time.clock)
        assert states == {False}
        assert gc.isenabled() == collecting
    finally:
        (gc.enable if before else gc.disable)()


def test_what_the_call_raises_passes_and_the_collector_is_back() -> None:
    def call() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        measure_single(call, 1)
    assert gc.isenabled()


def test_on_the_real_clock() -> None:
    got = measure_single(lambda: sum(range(1_000)), 1_000, budget_seconds=0.06)
    assert got.seconds_per_call > 0
    assert got.calls_per_block > 1
    assert got.peak_rss_bytes is not None


def test_peak_memory_is_more_than_what_was_held(monkeypatch: pytest.MonkeyPatch) -> None:
    held = bytearray(b"x") * (64 << 20)
    peak = peak_rss_bytes()
    assert peak is not None
    assert len(held) < peak < 1 << 44

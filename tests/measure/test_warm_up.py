"""A worker's warm-up on a fake clock: the first call, calls that become faster, and calls that never become steady."""

import math
from collections.abc import Callable
from typing import Any

import pytest

from vecml.measure import work as measure_work
from vecml.measure import worker
from vecml.measure.records import Plan

PLAN = Plan()


class Clock:
    """Seconds that only calls move; asking for them costs nothing."""

    def __init__(self) -> None:
        self.now = 0.0

    def perf_counter(self) -> float:
        return self.now

    def perf_counter_ns(self) -> int:
        return round(self.now * 1e9)


class Work(measure_work.Work):
    """Calls that take what `seconds` says of their number, from 0."""

    each, share = False, 1.0

    def __init__(self, clock: Clock, seconds: Callable[[int], float]) -> None:
        self.clock, self.seconds, self.calls = clock, seconds, 0

    def call(self) -> None:
        self.clock.now += self.seconds(self.calls)
        self.calls += 1

    def finish(self) -> dict[str, Any]:
        return {}


def warm(
    monkeypatch: pytest.MonkeyPatch, taking: Callable[[int], float], **asked: float
) -> tuple[dict[str, Any], worker.Server, Work]:
    clock = Clock()
    monkeypatch.setattr(worker, "time", clock)
    monkeypatch.setattr(worker.gc, "freeze", lambda: None)  # this process goes on
    monkeypatch.setattr(worker.gc, "disable", lambda: None)
    server, work = worker.Server(), Work(clock, taking)
    server._work = work
    request = {
        "do": "warm",
        "calls": PLAN.warm_calls,
        "seconds": PLAN.warm_seconds,
        "most_seconds": PLAN.patience_seconds / 2,
        "block_seconds": PLAN.block_seconds,
    }
    server.answer({"do": "first"})
    return server.answer(request | asked), server, work


def test_a_slow_first_call_counts_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two functions that are the same, one asleep for 3 s at its first call, had warm-ups of 5 and of 20,000 calls."""
    slow, server, work = warm(monkeypatch, lambda number: 3.0 if number == 0 else 2e-5)
    quick, _, _ = warm(monkeypatch, lambda _number: 2e-5)
    assert slow["calls"] == pytest.approx(quick["calls"], abs=1)
    assert slow["call_seconds"] == pytest.approx(2e-5, rel=1e-6)
    assert slow["seconds"] == pytest.approx(quick["seconds"], abs=1e-3)
    assert server.answer({"do": "finish"})["facts"]["first_call_seconds"] == 3.0
    assert work.calls == slow["calls"] + 1


@pytest.mark.parametrize("number", [1, 2, 4])
def test_a_slow_call_soon_after_it_counts_for_nothing_either(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    slow, _, _ = warm(monkeypatch, lambda call: 3.0 if call == number else 2e-5)
    quick, _, _ = warm(monkeypatch, lambda _call: 2e-5)
    assert slow["calls"] == pytest.approx(quick["calls"], rel=0.01)
    assert slow["call_seconds"] == pytest.approx(2e-5, rel=1e-6)


def test_a_block_is_as_long_as_promised_though_warm_calls_are_faster(monkeypatch: pytest.MonkeyPatch) -> None:
    found, _, work = warm(monkeypatch, lambda number: 1e-3 if number < 900 else 2e-5)
    calls = math.ceil(PLAN.block_seconds / found["call_seconds"])
    assert calls * work.seconds(work.calls) >= 0.99 * PLAN.block_seconds


def test_calls_that_become_faster_are_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    found, _, _ = warm(monkeypatch, lambda number: max(0.01, 0.1 * 0.93**number))
    assert found["seconds"] > 1.1
    assert found["call_seconds"] == pytest.approx(0.01)


def test_calls_that_never_become_steady_are_waited_for_thrice_as_long(monkeypatch: pytest.MonkeyPatch) -> None:
    found, _, _ = warm(monkeypatch, lambda number: 0.05 * 0.99**number + 1e-3, seconds=1.0)
    assert worker.MOST_WARM_UPS <= found["seconds"] <= worker.MOST_WARM_UPS + 0.2


def test_a_warm_up_that_is_too_slow_says_with_how_many_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    """After the first call none begins after half of the patience, so that the coordinator can refuse the arm."""
    found, _, work = warm(monkeypatch, lambda _number: 4.0)
    assert (found["calls"], work.calls) == (3, 4)
    assert found["call_seconds"] == 4.0


def test_one_long_call_makes_a_block(monkeypatch: pytest.MonkeyPatch) -> None:
    found, _, work = warm(monkeypatch, lambda _number: 0.2)
    assert (found["calls"], work.calls) == (5, 6)


class Prepared(Work):
    """Calls that are prepared, which takes 0.3 s each time."""

    prepares = True

    def prepare(self) -> None:
        self.clock.now += 0.3


def test_preparation_is_in_no_time_but_a_block_has_room_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(globals(), "Work", Prepared)
    found, server, work = warm(monkeypatch, lambda _number: 0.01, calls=2, seconds=0.1)
    assert (found["calls"], work.calls) == (2, 3)
    assert found["call_seconds"] == pytest.approx(0.31)  # a block is filled by calls and their preparation
    block = server.answer({"do": "block", "calls": 4})
    assert (block["calls"], block["seconds"]) == (4, pytest.approx(0.04))

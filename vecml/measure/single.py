"""A quick measurement in this process: blocks of calls, and the median of their times.

It is of one process, and its record says so. That is not enough to compare two ways of doing something, because the
memory layout of a process alone changes times by some per cent: a comparison interleaves blocks of several processes.
"""

import gc
import math
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from vecml.measure.memory import peak_rss_bytes

SHORTEST_BLOCK_SECONDS = 0.010  # a shorter block would measure the clock and the scheduler
FEWEST_BLOCKS = 5


@dataclass(frozen=True)
class Measurement:
    """Timed blocks of calls of one setting.

    Attributes:
        rows_per_call: number of rows that one call works on.
        calls_per_block: number of calls in each block.
        block_seconds: wall time of every block, in order.
        launches: number of processes that the blocks come from.
        peak_rss_bytes: the most memory this process has had resident since its start; None where it is unknown.
    """

    rows_per_call: int
    calls_per_block: int
    block_seconds: tuple[float, ...] = field(repr=False)
    launches: int = 1
    peak_rss_bytes: int | None = None

    @property
    def seconds_per_call(self) -> float:
        return statistics.median(self.block_seconds) / self.calls_per_block

    @property
    def rows_per_s(self) -> float:
        """Rows a second at the median; infinite where the clock did not move."""
        seconds = self.seconds_per_call
        return self.rows_per_call / seconds if seconds > 0 else math.inf


def measure_single(
    call: Callable[[], object],
    rows: int,
    *,
    clock: Callable[[], float] = time.perf_counter,
    budget_seconds: float = 0.5,
) -> Measurement:
    """Time `call`, which works on `rows` rows, in this process.

    The first call warms up, and is the whole measurement if it alone takes more than `budget_seconds`. Otherwise the
    number of calls in a block is raised until a block takes 10 ms, and blocks are timed until the budget is spent, but
    at least five. The garbage collector is off meanwhile. An exception of `call` passes through.

    Args:
        call: returns when its work is done.
        rows: number of rows of one call.
        clock: gives seconds; only differences count.
        budget_seconds: wall time for the timed blocks.
    """
    collecting = gc.isenabled()
    gc.disable()
    try:
        first = _block(call, 1, clock)
        calls, blocks = 1, [first]
        if first <= budget_seconds:
            calls = _calibrate(call, clock)
            blocks = []
            while len(blocks) < FEWEST_BLOCKS or sum(blocks) < budget_seconds:
                blocks.append(_block(call, calls, clock))
    finally:
        if collecting:
            gc.enable()
    return Measurement(rows, calls, tuple(blocks), peak_rss_bytes=peak_rss_bytes())


def _block(call: Callable[[], object], calls: int, clock: Callable[[], float]) -> float:
    """Wall seconds of `calls` calls."""
    start = clock()
    for _ in range(calls):
        call()
    return clock() - start


def _calibrate(call: Callable[[], object], clock: Callable[[], float]) -> int:
    """Find how many calls take 10 ms together, by blocks of more and more calls, which also warm up the code."""
    calls = 1
    while (seconds := _block(call, calls, clock)) < SHORTEST_BLOCK_SECONDS:
        growth = 1.2 * SHORTEST_BLOCK_SECONDS / max(seconds, 0.1 * SHORTEST_BLOCK_SECONDS)
        calls = math.ceil(calls * min(10, max(2, growth)))
    return calls

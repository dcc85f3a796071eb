"""A worker process, `python -m vecml.measure.worker`: at request it opens one arm and times blocks of its calls.

Requests and answers are lines of JSON. The answers go to a copy of standard output; what libraries print goes to
standard error, so that it is not read as an answer. The process ends when its parent ends, however that happens.
"""

import gc
import json
import math
import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from functools import lru_cache
from importlib import import_module
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from vecml.child import end_with_parent
from vecml.errors import one_line
from vecml.measure.latency import bucket_of
from vecml.measure.work import ArmError, Work

STEADY = 0.95  # of the median call before: where calls become faster than this still, they are not warm
SLOW = 10.0  # times the median call: what takes longer does something that the others do not
MOST_WARM_UPS = 3.0  # a warm-up takes so many times as long as it should at most, where calls never become steady


def canary() -> float:
    """Do a small fixed piece of work, the same in every worker, and return the seconds that it took.

    It has arithmetic in a cache, a copy and some Python, with one thread and no BLAS, so that it shows a slow process
    whatever the arm runs. It takes a few milliseconds, less time than the machine needs to change its speed.
    """
    small, large, other = _canary_arrays()
    start = time.perf_counter()
    for _ in range(200):
        np.multiply(small, 1.0001, out=small)
        np.add(small, 1e-6, out=small)
    np.copyto(other, large)  # into memory that is there: new pages cost what the kernel's mood makes of them
    sum(index * index for index in range(20_000))
    return time.perf_counter() - start


@lru_cache(maxsize=1)
def _canary_arrays() -> tuple[NDArray[np.float32], ...]:
    return tuple(np.ones(size, np.float32) for size in (1 << 14, 1 << 21, 1 << 21))


class Server:
    """Answers the coordinator's requests, one after the other."""

    def __init__(self) -> None:
        self._work: Work | None = None
        self._latency: Counter[int] = Counter()
        self._first_call_seconds: float | None = None

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """Do what a request asks for and return the answer; an error is not caught."""
        match request["do"]:
            case "start":
                module, _, name = request["opener"].partition(":")
                self._work = getattr(import_module(module), name)(request["payload"])
                return {}
            case "canary":
                return {"seconds": canary()}
            case "open":
                start = time.perf_counter()
                self.work.open()
                return {"load_seconds": time.perf_counter() - start, "facts": self.work.facts()}
            case "first":
                self._first_call_seconds = self._once()
                return {"seconds": self._first_call_seconds}
            case "warm":
                return self._warm(
                    request["calls"], request["seconds"], request["most_seconds"], request["block_seconds"]
                )
            case "block":
                return self._block(request["calls"])
            case "finish":
                peak = self.work.peak_bytes()  # before the checks, which need memory of their own
                facts = {"first_call_seconds": self._first_call_seconds, **self.work.finish()}
                if self.work.each:
                    facts["latency"] = {str(bucket): count for bucket, count in sorted(self._latency.items())}
                return {"facts": facts, "peak_rss_bytes": peak}
            case other:
                raise ValueError(f"no such request: {other}")

    @property
    def work(self) -> Work:
        """The work of the arm; raises RuntimeError before the request `start`."""
        if self._work is None:
            raise RuntimeError("the arm was not started")
        return self._work

    def _warm(self, calls: int, seconds: float, most_seconds: float, block_seconds: float) -> dict[str, Any]:
        """Make at least `calls` calls for at least `seconds`, go on until they are steady, and make a trial block.

        The first call is not among them: it may load, compile or wait for what no later call waits for, and is asked
        for by itself before. No call begins after `most_seconds`, and what is not steady ends after thrice `seconds`.
        Where calls have to be prepared, a call's seconds are returned with those of its preparation: a block has to
        have time for both.
        """
        clock = time.perf_counter
        taken: list[float] = []
        start = clock()
        while clock() - start < most_seconds and not _is_warm(taken, clock() - start, calls, seconds):
            taken.append(self._once())
        late = sorted(taken[len(taken) // 2 :])
        call_seconds = late[len(late) // 2] if late else 0.0
        trial = math.ceil(block_seconds / call_seconds) if call_seconds > 0 else 1
        if self.work.prepares:
            trial, call_seconds = 0, max(call_seconds, (clock() - start) / max(1, len(taken)))
        elif trial > 1 and clock() - start < most_seconds:
            call_seconds = min(call_seconds, self._time(trial) / 1e9 / trial)  # without a clock between the calls
        else:
            trial = 0
        elapsed = clock() - start
        self.work.rest()
        gc.collect()
        gc.freeze()
        gc.disable()
        return {"calls": len(taken) + trial, "seconds": elapsed, "call_seconds": call_seconds}

    def _once(self) -> float:
        """Make one call and return its seconds, without those of its preparation."""
        work, clock = self.work, time.perf_counter
        work.prepare()
        begun = clock()
        work.call()
        return clock() - begun

    def _block(self, calls: int) -> dict[str, Any]:
        self.work.begin()
        gc.collect()  # short: what is left from before is frozen
        switches, cpu = _involuntary_switches(), self.work.cpu_seconds()
        nanoseconds = self._each(self.work.call, calls) if self.work.each else self._time(calls)
        cpu = self.work.cpu_seconds() - cpu
        after = _involuntary_switches()
        self.work.rest()
        return {
            "seconds": nanoseconds / 1e9,
            "calls": calls if self.work.share == 1 else calls * self.work.share,
            "cpu_seconds": cpu,
            "switches": None if switches is None or after is None else after - switches,
            "answer": self.work.answer(),
        }

    def _time(self, calls: int) -> int:
        """Make so many calls, and return the nanoseconds of all of them together, without their preparation."""
        if self.work.prepares:
            return round(sum(self._once() for _ in range(calls)) * 1e9)
        call = self.work.call
        start = time.perf_counter_ns()
        for _ in range(calls):
            call()
        return time.perf_counter_ns() - start

    def _each(self, call: Callable[[], None], calls: int) -> int:
        """Time each call for the histogram of latencies; return the nanoseconds of all calls together."""
        taken = [0] * calls
        clock = time.perf_counter_ns
        for index in range(calls):
            begun = clock()
            call()
            taken[index] = clock() - begun
        self._latency.update(map(bucket_of, taken))
        return sum(taken)


def _is_warm(taken: list[float], elapsed: float, calls: int, seconds: float) -> bool:
    """Whether there were calls and time enough, and the last third of the calls is no faster than the third before it.

    `taken` has the calls' seconds. Calls are not waited for that never become steady.
    """
    if len(taken) < calls or elapsed < seconds:
        return False
    if len(taken) % 64 and len(taken) > 256:  # asked at times only: medians of many calls take longer than a call
        return False
    usual = sorted(taken)[len(taken) // 2]
    loading = sum(one for one in taken if one > SLOW * usual)  # a call that loads or compiles warms nothing else up
    if elapsed - loading < seconds:
        return False
    third = len(taken) // 3
    if third < 2 or elapsed >= MOST_WARM_UPS * seconds:
        return True
    late, before = sorted(taken[-third:]), sorted(taken[-2 * third : -third])
    return late[third // 2] > STEADY * before[third // 2]


def _involuntary_switches() -> int | None:
    """Count this process's involuntary context switches so far; None on Windows."""
    try:
        import resource  # noqa: PLC0415 -- Windows has none
    except ImportError:
        return None
    return resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw


def serve(requests: IO[bytes], answers: IO[bytes]) -> None:
    """Answer requests until there are no more; an error of the arm is sent as an answer."""
    end_with_parent()
    server = Server()
    for line in requests:
        request = json.loads(line)
        try:
            answer = server.answer(request)
        except ArmError as error:
            answer = {"error": str(error)}
        except MemoryError as error:
            answer = {"error": f"memory ran out ({one_line(error, named=True, whole=True, limit=500)})"}
        except Exception as error:  # noqa: BLE001 -- an arm may raise anything; its error is sent with its name
            answer = {"error": f"it raised {one_line(error, named=True, whole=True, limit=500)}"}
        answers.write(json.dumps(answer).encode() + b"\n")
        answers.flush()
    os._exit(0)  # the system tidies up: libraries would take up to a second for it


if __name__ == "__main__":
    threading.main_thread().name = "worker"
    channel = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    serve(sys.stdin.buffer, channel)

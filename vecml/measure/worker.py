"""A worker process, `python -m vecml.measure.worker`: it opens one arm and times blocks of its calls when told to.

Requests and answers are lines of JSON. The answers go to a copy of standard output; what libraries print goes to
standard error, where it cannot be taken for an answer. The process ends with its parent, whatever becomes of that.
"""

import contextlib
import ctypes
import gc
import json
import os
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from functools import lru_cache
from importlib import import_module
from typing import IO, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from vecml.measure.latency import bucket_of
from vecml.measure.memory import peak_rss_bytes


class Work(Protocol):
    """The arm that an opener returns: its libraries are imported and its input is at hand, but it is not ready yet.

    Attributes:
        each: whether every call is timed by itself, for the distribution of its latency.
        share: of the whole work that a call does; below 1 where all of it would take too long. Calls are counted in
            whole ones, so what is said of a call is said of the whole work.
    """

    each: bool
    share: float

    def open(self) -> None:
        """Make it ready: export, compile, copy. Timed by itself."""

    def facts(self) -> dict[str, Any]:
        """JSON: what it is, once it is open."""

    def call(self) -> None:
        """The work that is timed; returns when it is done, the device's part included."""

    def answer(self) -> int:
        """Checksum of what the last call gave."""

    def finish(self) -> dict[str, Any]:
        """After the last block: whether the answers of the timed calls are right, and what was really used. JSON."""

    def close(self) -> None:
        """Let go of everything."""


def canary() -> float:
    """Seconds of a small fixed piece of work, the same in every worker: arithmetic in cache, a copy, some Python.

    One thread, no BLAS: it is to tell a slow process, not what an arm makes of it. A few milliseconds, so that workers
    can take turns at it faster than the machine changes its speed.
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
    """Answers the coordinator's requests, one at a time."""

    def __init__(self) -> None:
        self._work: Work | None = None
        self._latency: Counter[int] = Counter()

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """Do what a request asks for, and give the answer; errors pass through."""
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
            case "warm":
                return self._warm(request["calls"], request["seconds"], request["most_seconds"])
            case "block":
                return self._block(request["calls"])
            case "finish":
                peak = peak_rss_bytes()  # before the checks, which need memory of their own
                facts = self.work.finish()
                if self.work.each:
                    facts["latency"] = {str(bucket): count for bucket, count in sorted(self._latency.items())}
                return {"facts": facts, "peak_rss_bytes": peak}
            case other:
                raise ValueError(f"no such request: {other}")

    @property
    def work(self) -> Work:
        """The arm; a request for it before `start` is a fault of the coordinator's."""
        if self._work is None:
            raise RuntimeError("the arm was not started")
        return self._work

    def _warm(self, calls: int, seconds: float, most_seconds: float) -> dict[str, Any]:
        """At least so many calls and so long; no call begins after `most_seconds`. The median call tells the rate."""
        taken: list[float] = []
        start = time.perf_counter()
        while (elapsed := time.perf_counter() - start) < most_seconds and (len(taken) < calls or elapsed < seconds):
            begun = time.perf_counter()
            self.work.call()
            taken.append(time.perf_counter() - begun)
        elapsed = time.perf_counter() - start
        gc.collect()
        gc.freeze()
        gc.disable()
        return {"calls": len(taken), "seconds": elapsed, "call_seconds": sorted(taken)[len(taken) // 2]}

    def _block(self, calls: int) -> dict[str, Any]:
        call = self.work.call
        gc.collect()  # short: what is left from before is frozen
        switches, cpu = _switches(), time.process_time_ns()
        if self.work.each:
            nanoseconds = self._each(call, calls)
        else:
            start = time.perf_counter_ns()
            for _ in range(calls):
                call()
            nanoseconds = time.perf_counter_ns() - start
        cpu = time.process_time_ns() - cpu
        after = _switches()
        return {
            "seconds": nanoseconds / 1e9,
            "calls": calls if self.work.share == 1 else calls * self.work.share,
            "cpu_seconds": cpu / 1e9,
            "switches": None if switches is None or after is None else after - switches,
            "answer": self.work.answer(),
        }

    def _each(self, call: Callable[[], None], calls: int) -> int:
        """Nanoseconds of all calls together, each of them counted into the histogram of latencies."""
        taken = [0] * calls
        clock = time.perf_counter_ns
        for index in range(calls):
            begun = clock()
            call()
            taken[index] = clock() - begun
        self._latency.update(map(bucket_of, taken))
        return sum(taken)


def _switches() -> int | None:
    """Times that the scheduler took the CPU away from this process."""
    try:
        import resource  # noqa: PLC0415 -- Windows has none
    except ImportError:
        return None
    return resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw


def _end_with_parent() -> None:
    """Where the kernel can, it kills this process when its parent ends; elsewhere the end of the requests does."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None, use_errno=True).prctl(1, signal.SIGKILL, 0, 0, 0)  # 1: PR_SET_PDEATHSIG


def _one_line(error: BaseException) -> str:
    text = " ".join(str(error).split())
    kind = type(error).__name__
    return f"{kind}: {text}"[:500] if text else kind


def serve(requests: IO[bytes], answers: IO[bytes]) -> None:
    """Answer requests until there are no more; an error of the arm's is an answer too."""
    _end_with_parent()
    server = Server()
    for line in requests:
        request = json.loads(line)
        try:
            answer = server.answer(request)
        except MemoryError as error:
            answer = {"error": f"memory ran out ({_one_line(error)})"}
        except Exception as error:  # noqa: BLE001 -- whatever an arm raises is its own, and is told with its name
            answer = {"error": f"it raised {_one_line(error)}"}
        answers.write(json.dumps(answer).encode() + b"\n")
        answers.flush()
    os._exit(0)  # nothing to tidy up that the system does not: libraries take up to a second for their farewell


if __name__ == "__main__":
    threading.main_thread().name = "worker"
    channel = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    serve(sys.stdin.buffer, channel)

"""A way of a lab experiment as an arm: a worker process prepares a call, times it, and takes samples of its result."""

import tracemalloc
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vecml.lab.experiment import Call
from vecml.measure.work import Work

OPENER = "vecml.lab.work:WayWork"
SAMPLES = 64


class WayWork(Work):
    """The work of one way; see `vecml.measure.work.Work`.

    The payload has `experiment` (a name), `way` (the way's payload) and `allocations` (see `Experiment`).
    """

    def __init__(self, payload: Mapping[str, Any]) -> None:
        from vecml.lab.catalogue import experiment  # noqa: PLC0415 -- which imports the experiments

        self._experiment = experiment(payload["experiment"])
        self._payload = payload
        self._call: Call | None = None
        self._result: Any = None

    def open(self) -> None:
        """Make the inputs; compile and start threads where the way does."""
        self._call = self._experiment.prepare(self._payload["way"])

    def call(self) -> None:
        self._result = self._opened()

    def answer(self) -> int:
        """Always 0: `finish` gives samples instead, because sums in another order have other checksums."""
        return 0

    def finish(self) -> dict[str, Any]:
        """Samples of the last timed call's result, and the memory that one more call allocates."""
        found: dict[str, Any] = {"samples": samples(self._result), "allocated_bytes": None}
        if self._payload["allocations"]:
            self._result = None
            tracemalloc.start()
            self._opened()
            found["allocated_bytes"] = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
        return found

    @property
    def _opened(self) -> Call:
        if self._call is None:
            raise RuntimeError("the way was not opened")
        return self._call


def samples(result: Any) -> list[float]:
    """Pick up to 64 values of a result, evenly spaced, with the first and the last; NaN and infinity become 1e300."""
    flat: NDArray[np.float64] = np.asarray(result).reshape(-1)
    index_S = np.unique(np.linspace(0, len(flat) - 1, min(SAMPLES, len(flat))).astype(np.int64))
    taken_S = flat[index_S].astype(np.float64)
    return [float(value) for value in np.where(np.isfinite(taken_S), taken_S, 1e300)]


def difference(plain: list[float], found: list[float]) -> float:
    """The largest difference between two results' samples, relative to the largest sample of the plain result.

    It is infinite where there are not as many samples.
    """
    if len(plain) != len(found):
        return float("inf")
    scale = max(map(abs, plain), default=0.0) or 1.0
    return max((abs(a - b) for a, b in zip(plain, found, strict=True)), default=0.0) / scale

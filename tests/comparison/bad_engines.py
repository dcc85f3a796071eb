"""Engines with one fault each, and openers for them: a comparison must name every one of them for what it is."""

import os
import resource
import signal
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vecml.comparison.work import EngineWork
from vecml.config import Setting
from vecml.engines.base import Loaded
from vecml.engines.numpy import NumpyEngine
from vecml.model.network import Model


class Faulty:
    """The numpy engine's loaded model, to be spoilt."""

    def __init__(self, right: Loaded) -> None:
        self.right = right
        self.calls = 0

    def labels(self, x: NDArray[Any], out_N: NDArray[np.int64]) -> None:
        self.calls += 1
        self.right.labels(x, out_N)

    def logits(self, x: NDArray[Any]) -> NDArray[np.floating]:
        return self.right.logits(x)

    def synchronize(self) -> None:
        self.right.synchronize()

    def close(self) -> None:
        self.right.close()


class Constant(Faulty):
    def labels(self, x: NDArray[Any], out_N: NDArray[np.int64]) -> None:
        out_N[:] = 1


class Caching(Faulty):
    """Computes once, and gives that ever after."""

    kept: NDArray[np.int64] | None = None

    def labels(self, x: NDArray[Any], out_N: NDArray[np.int64]) -> None:
        if self.kept is None:
            super().labels(x, out_N)
            self.kept = out_N.copy()
        out_N[:] = self.kept


class OnePerCentWrong(Faulty):
    def labels(self, x: NDArray[Any], out_N: NDArray[np.int64]) -> None:
        super().labels(x, out_N)
        out_N[::100] = 1 - out_N[::100]


class SleepingAtTimes(Faulty):
    def labels(self, x: NDArray[Any], out_N: NDArray[np.int64]) -> None:
        super().labels(x, out_N)
        if self.calls % 20 == 0:
            time.sleep(0.2)  # 10 ms a call in the mean, which is more than the slow one sleeps


class Slow(Faulty):
    def labels(self, x: NDArray[Any], out_N: NDArray[np.int64]) -> None:
        super().labels(x, out_N)
        time.sleep(0.008)


class Hanging(Faulty):
    def labels(self, x: NDArray[Any], out_N: NDArray[np.int64]) -> None:
        super().labels(x, out_N)
        if self.calls > 8:
            time.sleep(3600)


class Killed(Faulty):
    def labels(self, x: NDArray[Any], out_N: NDArray[np.int64]) -> None:
        super().labels(x, out_N)
        if self.calls > 8:
            os.kill(os.getpid(), signal.SIGKILL)


class RaisingAtTheThousandthRow(Faulty):
    def labels(self, x: NDArray[Any], out_N: NDArray[np.int64]) -> None:
        if len(out_N) >= 1000:
            raise ValueError("row 1000 has no label")
        super().labels(x, out_N)


class OutOfMemory(Faulty):
    def labels(self, x: NDArray[Any], out_N: NDArray[np.int64]) -> None:
        limit = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (1 << 30, limit[1]))
        np.ones(1 << 28)


class Changing(Faulty):
    """Wrong in one row of every other call, by chance."""

    def labels(self, x: NDArray[Any], out_N: NDArray[np.int64]) -> None:
        super().labels(x, out_N)
        if os.urandom(1)[0] % 2:
            out_N[7] = 1 - out_N[7]


class LogitsOff(Faulty):
    def logits(self, x: NDArray[Any]) -> NDArray[np.floating]:
        return super().logits(x) * np.float32(1.001)


class FaultyEngine(NumpyEngine):
    """The numpy engine with a loaded model of a faulty class."""

    def __init__(self, kind: type[Faulty]) -> None:
        self.kind = kind

    def load(self, model: Model, setting: Setting) -> Any:
        return self.kind(super().load(model, setting))


def _open(kind: type[Faulty], payload: Mapping[str, Any]) -> EngineWork:
    return EngineWork(payload, FaultyEngine(kind))


def open_constant(payload: Mapping[str, Any]) -> EngineWork:
    return _open(Constant, payload)


def open_caching(payload: Mapping[str, Any]) -> EngineWork:
    return _open(Caching, payload)


def open_wrong(payload: Mapping[str, Any]) -> EngineWork:
    return _open(OnePerCentWrong, payload)


def open_sleeping(payload: Mapping[str, Any]) -> EngineWork:
    return _open(SleepingAtTimes, payload)


def open_slow(payload: Mapping[str, Any]) -> EngineWork:
    return _open(Slow, payload)


def open_hanging(payload: Mapping[str, Any]) -> EngineWork:
    return _open(Hanging, payload)


def open_killed(payload: Mapping[str, Any]) -> EngineWork:
    return _open(Killed, payload)


def open_raising(payload: Mapping[str, Any]) -> EngineWork:
    return _open(RaisingAtTheThousandthRow, payload)


def open_out_of_memory(payload: Mapping[str, Any]) -> EngineWork:
    return _open(OutOfMemory, payload)


def open_changing(payload: Mapping[str, Any]) -> EngineWork:
    return _open(Changing, payload)


def open_logits_off(payload: Mapping[str, Any]) -> EngineWork:
    return _open(LogitsOff, payload)

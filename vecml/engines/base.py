"""What an engine is: the whole interface. One engine, one small file, one line in the registry."""

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from vecml.config import Isa, Layout, Precision, Setting


class Loaded(Protocol):
    """A model made ready: exported, compiled, copied. One call at a time.

    The label of a row is the class with the highest logit, the first among equals; with two classes it is whether the
    difference of their logits is above zero. Every engine gives class 0 to a row that has no answer: a logit that is
    not a number, or a highest one (or difference) that is infinite, in the setting's precision. A row with NaN always
    is such a row, one with an infinity unless the activation makes it finite.

    An `x` or `out_N` of another shape, dtype or orientation raises DataError.
    """

    def labels(self, x: NDArray[np.float32], out_N: NDArray[np.int64]) -> None:
        """Write the class index of every row of `x` (in the setting's layout; float32 or float64) into `out_N`."""

    def logits(self, x: NDArray[np.float32]) -> NDArray[np.floating]:
        """z_NC, float32 or wider, rows by classes, for the correctness gate."""

    def synchronize(self) -> None:
        """Return when everything that was asked of the device is done; by default a call returns with its answer."""
        return

    def close(self) -> None:
        """Let go of device memory and thread settings; closing again does nothing, and nothing else is called then."""
        return


class Engine(Protocol):
    """A library's way to run the model; every engine is a subclass.

    Attributes:
        name: what the user calls it.
        layouts: how the features may lie.
        precisions: what it computes in, on one device or another.
        devices: where it runs, and in which of its precisions there.
        isas: the instruction sets that it can be told to use; `native` alone where it cannot choose.
        own_models: whether it also runs a module of the user's own (`OwnModel`); the registry refuses one otherwise,
            so that an engine without is only handed a `Model`.
        extra: the optional extra of vecml that brings its library, or None.
    """

    name: str
    layouts: tuple[Layout, ...] = ("columns", "rows")
    precisions: tuple[Precision, ...]
    devices: Mapping[str, tuple[Precision, ...]]
    isas: tuple[Isa, ...] = ("native",)
    own_models: bool = False
    extra: str | None = None

    def unavailable(self, model: Any, setting: Setting) -> str | None:
        """Why this engine cannot run `model` under `setting` here, in words for the user, or None; never raises.

        `model` is a `Model`, or an `OwnModel` where the engine takes those.
        """

    def load(self, model: Any, setting: Setting) -> Loaded:
        """Make `model` ready to run under `setting`; timed apart from inference."""

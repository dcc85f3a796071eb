"""What an engine is: the whole interface. One engine, one small file, one line in the registry."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from vecml.config import Layout, Precision
from vecml.model.network import Model


@dataclass(frozen=True)
class Setting:
    """One way to run inference, resolved for this machine: nothing is "auto" any more.

    Attributes:
        engine: a name of the registry.
        device: `cpu`, `cuda` or `mps`; device_index counts within it.
        precision: what is computed in.
        layout: `columns` (F, N) or `rows` (N, F), what the engine is handed.
        threads: CPU threads.
        block_rows: rows worked on at a time inside a call; None lets the engine choose from the cache size.
        isa: instruction set of an engine that can choose.
        request_rows: rows per call; None is all of them.
        scope: `host`: host array in, host labels out.
    """

    engine: str
    device: str = "cpu"
    device_index: int = 0
    precision: Precision = "float32"
    layout: Layout = "columns"
    threads: int = 1
    block_rows: int | None = None
    isa: str = "native"
    request_rows: int | None = None
    scope: str = "host"


class Loaded(Protocol):
    """A model made ready: exported, compiled, copied."""

    def labels(self, x: NDArray[np.float32], out_N: NDArray[np.int64]) -> None:
        """Write the class index of every row of `x` (in the setting's layout; float32 or float64) into `out_N`."""

    def logits(self, x: NDArray[np.float32]) -> NDArray[np.floating]:
        """z_NC, float32 or wider, rows by classes, for the correctness gate."""

    def synchronize(self) -> None:
        """Return when everything that was asked of the device is done."""

    def close(self) -> None:
        """Let go of device memory and thread settings; the object is not used afterwards."""


class Engine(Protocol):
    """A library's way to run the model."""

    name: str
    layouts: tuple[Layout, ...]
    precisions: tuple[Precision, ...]
    devices: tuple[str, ...]

    def unavailable(self, model: Model, setting: Setting) -> str | None:
        """Why this engine cannot run `model` under `setting` here, in words for the user, or None; never raises."""

    def load(self, model: Model, setting: Setting) -> Loaded:
        """Make `model` ready to run under `setting`; timed apart from inference."""

"""A model in NumPy memory, block by block: what engines share that compute each block in the lane of one thread."""

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from vecml.config import Setting
from vecml.engines.base import Loaded
from vecml.engines.blocks import Blocks, choose_block_rows
from vecml.engines.checks import check_labels, count_rows
from vecml.model.network import AnyModel

Array = NDArray[Any]


class Lane(Protocol):
    """One thread's way to compute a block, with memory of its own."""

    def logits(self, x: Array, rows: slice) -> Array:
        """Give z_CB of these rows of x; it lies in the lane's memory until its next call."""

    def label(self, x: Array, rows: slice, out_B: NDArray[np.int64]) -> None:
        """Write the classes of these rows of x into out_B."""


class InLanes(Loaded):
    """A model in lanes; a subclass appends one of each kind for every thread.

    Attributes:
        label_lanes, logit_lanes: by thread; of two classes a lane for labels may compute one logit, the difference.
    """

    def __init__(self, model: AnyModel, setting: Setting, dtype: np.dtype[Any]) -> None:
        architecture = model.architecture
        self._n_features, self._n_classes = architecture.n_features, architecture.n_classes
        self._layout, self._dtype = setting.layout, dtype
        rows = setting.block_rows or choose_block_rows(architecture, dtype.itemsize)
        self._blocks = Blocks(rows, setting.threads)
        self.label_lanes: list[Lane] = []
        self.logit_lanes: list[Lane] = []

    def labels(self, x: NDArray[np.float32], out_N: NDArray[np.int64]) -> None:
        """Write the class index of every row of `x` into `out_N`."""
        n_rows = count_rows(x, self._n_features, self._layout)
        check_labels(out_N, n_rows)

        def work(thread: int, rows: slice) -> None:
            with np.errstate(over="ignore", under="ignore", invalid="ignore"):  # rows without an answer are class 0
                self.label_lanes[thread].label(x, rows, out_N[rows])

        self._blocks.run(n_rows, work)

    def logits(self, x: NDArray[np.float32]) -> NDArray[np.floating]:
        """z_NC in the dtype that is computed in."""
        n_rows = count_rows(x, self._n_features, self._layout)
        z_NC = np.empty((n_rows, self._n_classes), self._dtype)

        def work(thread: int, rows: slice) -> None:
            with np.errstate(over="ignore", under="ignore", invalid="ignore"):
                z_NC[rows] = self.logit_lanes[thread].logits(x, rows).T

        self._blocks.run(n_rows, work)
        return z_NC

    def close(self) -> None:
        """End the threads and let go of the lanes; closing again does nothing."""
        self._blocks.close()
        self.label_lanes.clear()
        self.logit_lanes.clear()

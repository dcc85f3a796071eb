"""Blocks of rows through a library's compiled graph, in NumPy memory: what onnxruntime and openvino share.

Their graphs take contiguous memory, so a block of a table by column is copied; a block by row is used as it lies. A
plain model's graph gives logits by class, (C, B), whichever way its features lie: labels are comparisons of whole
vectors then. A module of the user's own takes (B, F) and gives (B, C).
"""

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from vecml.config import Setting
from vecml.engines.argmax import Highest
from vecml.engines.base import Loaded
from vecml.engines.blocks import Blocks, choose_block_rows
from vecml.engines.checks import check_labels, count_rows
from vecml.errors import EngineUnavailableError, one_line
from vecml.model.network import AnyModel

Array = NDArray[Any]


class Runner(Protocol):
    """A graph, made ready for one thread."""

    def run(self, x: Array, z: Array) -> None:
        """Compute z from x; both contiguous, in the graph's dtype and shapes for one block, at most read from x."""


class GraphLoaded(Loaded):
    """A model as graphs of a library; see `vecml.engines.base.Loaded`.

    Args:
        model: what the graphs compute.
        setting: how the features lie, and how they are divided.
        dtype: what the graphs take and give, float32 or float64.
        label_runner: makes a thread's runner of the graph for labels (of two classes a plain model's has one logit).
        logit_runner: makes a thread's runner of the graph for logits; None: the one for labels gives them all.
    """

    def __init__(
        self,
        model: AnyModel,
        setting: Setting,
        dtype: np.dtype[Any],
        label_runner: Callable[[], Runner],
        logit_runner: Callable[[], Runner] | None,
    ) -> None:
        architecture = model.architecture
        self._n_features, self._n_classes = architecture.n_features, architecture.n_classes
        self._layout = setting.layout
        self._dtype = dtype
        rows = setting.block_rows or choose_block_rows(architecture, dtype.itemsize)
        self._blocks = Blocks(rows, setting.threads)
        own = model.chain is None
        n_logits = self._n_classes if logit_runner is None else 1
        self._label_lanes, self._logit_lanes = [], []
        for _ in range(setting.threads):
            lane = _Lane(label_runner(), self._n_features, n_logits, dtype, setting, own=own)
            self._label_lanes.append(lane)
            self._logit_lanes.append(
                lane
                if logit_runner is None
                else _Lane(logit_runner(), self._n_features, self._n_classes, dtype, setting, own=own)
            )

        if own:
            self._try_out(setting, str(architecture))

    def _try_out(self, setting: Setting, name: str) -> None:
        """Run a row and a few: some graphs can be read and compiled, and fail when they are called.

        Raises EngineUnavailableError with the library's reason.
        """
        try:
            for rows in (1, 3):
                shape = (self._n_features, rows) if self._layout == "columns" else (rows, self._n_features)
                self.labels(np.zeros(shape, np.float32), np.empty(rows, np.int64))
        except Exception as error:  # whatever the library raises
            self.close()
            raise EngineUnavailableError(
                f"engine {setting.engine} cannot run {name}: {one_line(error)}", "engine torch runs it as it is"
            ) from error

    def labels(self, x: NDArray[np.float32], out_N: NDArray[np.int64]) -> None:
        """Write the class index of every row of `x` into `out_N`."""
        n_rows = count_rows(x, self._n_features, self._layout)
        check_labels(out_N, n_rows)

        def work(thread: int, rows: slice) -> None:
            with np.errstate(over="ignore", under="ignore", invalid="ignore"):  # rows without an answer are class 0
                self._label_lanes[thread].label(x, rows, out_N[rows])

        self._blocks.run(n_rows, work)

    def logits(self, x: NDArray[np.float32]) -> NDArray[np.floating]:
        """z_NC in the graph's dtype."""
        n_rows = count_rows(x, self._n_features, self._layout)
        z_NC = np.empty((n_rows, self._n_classes), self._dtype)

        def work(thread: int, rows: slice) -> None:
            with np.errstate(over="ignore", under="ignore", invalid="ignore"):
                z_NC[rows] = self._logit_lanes[thread].logits(x, rows).T

        self._blocks.run(n_rows, work)
        return z_NC

    def close(self) -> None:
        """End the threads and let go of the graphs; closing again does nothing."""
        self._blocks.close()
        self._label_lanes.clear()
        self._logit_lanes.clear()


class _Lane:
    """One thread's runner and memory, allocated once for the largest block and cut for shorter ones."""

    def __init__(
        self, runner: Runner, n_features: int, n_logits: int, dtype: np.dtype[Any], setting: Setting, *, own: bool
    ) -> None:
        self._runner = runner
        self._n_features, self._n_logits = n_features, n_logits
        self._dtype = dtype
        self._by_column = setting.layout == "columns"
        self._own = own
        self._highest = Highest(n_logits, dtype)
        self._rows = self._capacity = -1

    def logits(self, x: Array, rows: slice) -> Array:
        """z_CB of these rows of x; it lies in this lane's memory until the next call."""
        count = rows.stop - rows.start
        if count != self._rows:
            self._cut(count)
        block = x[:, rows] if self._by_column else x[rows]
        if self._own and self._by_column:
            block = block.T
        if block.dtype != self._dtype or not block.flags.c_contiguous or not block.flags.aligned:
            np.copyto(self._staging, block, casting="same_kind")
            block = self._staging
        self._runner.run(block, self._z)
        return self._z.T if self._own else self._z

    def label(self, x: Array, rows: slice, out_B: NDArray[np.int64]) -> None:
        """Write the classes of these rows of x into out_B."""
        z_CB = self.logits(x, rows)
        if self._own and len(z_CB) == 2:
            z_CB = np.subtract(z_CB[1:], z_CB[:1], out=self._difference)
        self._highest.label(z_CB, out_B)

    def _cut(self, rows: int) -> None:
        """Views for blocks of `rows` rows; contiguous ones, whatever the number."""
        if rows > self._capacity:
            self._capacity = rows
            self._staging_memory = np.empty(self._n_features * rows, self._dtype)
            self._z_memory = np.empty(self._n_logits * rows, self._dtype)
            self._difference_memory = np.empty((1, rows), self._dtype)
        self._rows = rows
        by_class = self._by_column and not self._own
        self._staging = self._staging_memory[: self._n_features * rows].reshape(
            (self._n_features, rows) if by_class else (rows, self._n_features)
        )
        self._z = self._z_memory[: self._n_logits * rows].reshape(
            (rows, self._n_logits) if self._own else (self._n_logits, rows)
        )
        self._difference = self._difference_memory[:, :rows]

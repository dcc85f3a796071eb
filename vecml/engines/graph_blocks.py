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
from vecml.engines.lanes import Array, InLanes
from vecml.errors import EngineUnavailableError, one_line
from vecml.model.network import AnyModel


class Runner(Protocol):
    """A graph, made ready for one thread."""

    def run(self, x: Array, z: Array) -> None:
        """Compute z from x; both contiguous, in the graph's dtype and shapes for one block, at most read from x."""


class GraphLoaded(InLanes):
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
        super().__init__(model, setting, dtype)
        own = model.chain is None
        n_logits = self._n_classes if logit_runner is None else 1
        for _ in range(setting.threads):
            lane = _Lane(label_runner(), self._n_features, n_logits, dtype, setting, own=own)
            self.label_lanes.append(lane)
            self.logit_lanes.append(
                lane
                if logit_runner is None
                else _Lane(logit_runner(), self._n_features, self._n_classes, dtype, setting, own=own)
            )

        if own:
            self._try_out(setting, str(model.architecture))

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
        """Make contiguous views of the memory for blocks of `rows` rows; allocate more memory if it is too small."""
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

"""The model under Halide: one call of a compiled kernel, whose rows Halide's own threads take task by task.

Halide holds Python's lock during a call, so that the block loop's threads would run one after the other (two of them
used 1.0 CPUs); its own pool does not know Python.
"""

import threading
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vecml.config import Setting
from vecml.engines.base import Loaded
from vecml.engines.checks import check_labels, count_rows
from vecml.engines.halide_kernel import MOST_TILE_ROWS, Kernel, Output, Shape, compiled, pack, pool_threads
from vecml.engines.weights import label_layers, logit_layers
from vecml.model.network import Model

# A task costs some 2 µs whatever its rows, and the kernel keeps nothing of it: it need only be long against that, and
# short enough for the threads to end together.
TASK_MULTIPLY_ADDS = 8_000_000
LEAST_TASK_ROWS, MOST_TASK_ROWS = 512, 65_536
STAGED_BYTES, MOST_STAGED_ROWS = 32 << 20, 65_536
LARGE = 1 << 31  # elements from which on Halide wants to be told


class HalideLoaded(Loaded):
    """A model under Halide; see `vecml.engines.base.Loaded`."""

    def __init__(self, model: Model, setting: Setting) -> None:
        self._model = model
        self._setting = setting
        self._n_features, self._n_classes = model.architecture.n_features, model.architecture.n_classes
        self._dtype = np.dtype(setting.precision)
        self._task_rows = setting.block_rows or choose_task_rows(model)
        self._ready: dict[tuple[str, Output, bool], _Ready] = {}
        self._lock = threading.Lock()
        self._get(np.dtype(np.float32), "labels")

    def labels(self, x: NDArray[np.float32], out_N: NDArray[np.int64]) -> None:
        """Write the class index of every row of `x` into `out_N`."""
        n_rows = count_rows(x, self._n_features, self._setting.layout)
        check_labels(out_N, n_rows)
        self._run(x, "labels", n_rows, out_N)

    def logits(self, x: NDArray[np.float32]) -> NDArray[np.floating]:
        """z_NC in the setting's precision."""
        n_rows = count_rows(x, self._n_features, self._setting.layout)
        z_CN = np.empty((self._n_classes, n_rows), self._dtype)
        self._run(x, "logits", n_rows, z_CN)
        return z_CN.T

    def close(self) -> None:
        """Let go of the kernels; closing again does nothing. The threads are the process's and sleep."""
        self._ready.clear()

    def _run(self, x: NDArray[Any], output: Output, n_rows: int, out: NDArray[Any]) -> None:
        if not n_rows:
            return
        ready = self._get(x.dtype, output, large=max(_span(x), _span(out)) >= LARGE)
        by_column = self._setting.layout == "columns"
        # The kernel reads and writes whole vectors: what is strided, and fewer rows than a tile, go through copies.
        if x.strides[1] == x.itemsize and out.strides[-1] == out.itemsize and n_rows >= ready.kernel.tile.rows:
            ready.kernel(self._rows_per_task(n_rows), x, ready.weights, out)
            return
        at_once = min(MOST_STAGED_ROWS, max(1, STAGED_BYTES // (self._n_features * x.itemsize)))
        for start in range(0, n_rows, at_once):
            rows = slice(start, min(start + at_once, n_rows))
            ready.staged(self._rows_per_task(at_once), x[:, rows] if by_column else x[rows], out[..., rows])

    def _rows_per_task(self, n_rows: int) -> int:
        """Rows that a thread takes at a time: few where every thread of the pool may work.

        Where only some may, there are as many tasks as threads, because no more work than there are tasks.
        """
        if self._setting.threads >= pool_threads():
            return self._task_rows
        tile = MOST_TILE_ROWS
        return -(-n_rows // (self._setting.threads * tile)) * tile

    def _get(self, input_type: np.dtype[Any], output: Output, *, large: bool = False) -> "_Ready":
        """The kernel for features of this type, compiled when it is first asked for."""
        with self._lock:
            key = (input_type.name, output, large)
            if key not in self._ready:
                layers = label_layers(self._model) if output == "labels" else logit_layers(self._model)
                architecture = self._model.architecture
                widths = (*architecture.widths[:-1], len(layers[-1][0]))
                kernel = compiled(
                    Shape(
                        widths,
                        architecture.activation,
                        input_type.name,
                        self._dtype.name,
                        self._setting.layout,
                        output,
                        self._setting.isa,
                        large,
                    )
                )
                self._ready[key] = _Ready(
                    kernel, pack(layers, kernel.tile, self._dtype.name), by_column=self._setting.layout == "columns"
                )
            return self._ready[key]


class _Ready:
    """A kernel with its weights."""

    def __init__(self, kernel: Kernel, weights: list[Any], *, by_column: bool) -> None:
        self.kernel = kernel
        self.weights = weights
        self.by_column = by_column

    def staged(self, rows_per_task: int, block: NDArray[Any], into: NDArray[Any]) -> None:
        """Run the kernel on a contiguous copy of `block`, padded with zero rows to the fewest that the kernel takes."""
        rows = into.shape[-1]
        filled = max(rows, self.kernel.tile.rows)
        by_column = self.by_column
        x = np.zeros((len(block), filled) if by_column else (filled, block.shape[1]), block.dtype)
        x[: len(block), : block.shape[1]] = block
        out = np.empty((*into.shape[:-1], filled), into.dtype)
        self.kernel(rows_per_task, x, self.weights, out)
        into[...] = out[..., :rows]


def _span(array: NDArray[Any]) -> int:
    """Elements from the array's first to its last, what lies between them included."""
    reached = sum((length - 1) * stride for length, stride in zip(array.shape, array.strides, strict=True))
    return 1 + int(reached) // array.itemsize


def choose_task_rows(model: Model) -> int:
    """Rows that a thread takes at a time: a power of two."""
    fitting = max(1, TASK_MULTIPLY_ADDS // model.architecture.multiply_adds)
    return min(MOST_TASK_ROWS, max(LEAST_TASK_ROWS, 1 << (fitting.bit_length() - 1)))

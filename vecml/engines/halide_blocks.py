"""The model under Halide: a compiled kernel, called for every block of rows by the block loop's threads."""

import threading
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vecml.config import Setting
from vecml.engines.blocks import Blocks
from vecml.engines.checks import check_labels, count_rows
from vecml.engines.halide_kernel import Kernel, Output, Shape, compiled, pack
from vecml.engines.weights import label_layers, logit_layers
from vecml.model.network import Model

# A call costs some 6 µs whatever its rows, and the kernel keeps nothing of a block: a block need only be long against
# that, and short enough for the threads to end together.
BLOCK_MULTIPLY_ADDS = 16_000_000
LEAST_BLOCK_ROWS, MOST_BLOCK_ROWS = 1_024, 65_536


class HalideLoaded:
    """A model under Halide; see `vecml.engines.base.Loaded`."""

    def __init__(self, model: Model, setting: Setting) -> None:
        self._model = model
        self._setting = setting
        self._n_features, self._n_classes = model.architecture.n_features, model.architecture.n_classes
        self._dtype = np.dtype(setting.precision)
        self._blocks = Blocks(setting.block_rows or choose_block_rows(model), setting.threads)
        self._ready: dict[tuple[str, Output], _Ready] = {}
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

    def synchronize(self) -> None:
        """Nothing is left to do: a call returns when its labels are written."""

    def close(self) -> None:
        """End the threads and let go of the kernels; closing again does nothing."""
        self._blocks.close()
        self._ready.clear()

    def _run(self, x: NDArray[Any], output: Output, n_rows: int, out: NDArray[Any]) -> None:
        if not n_rows:
            return
        ready = self._get(x.dtype, output)
        by_column = self._setting.layout == "columns"
        # The kernel reads and writes whole vectors: what is strided, and blocks of fewer rows than a tile, go through
        # copies of their own.
        direct = x.strides[1] == x.itemsize and out.strides[-1] == out.itemsize

        def work(_: int, rows: slice) -> None:
            block, into = (x[:, rows] if by_column else x[rows]), out[..., rows]
            if direct and rows.stop - rows.start >= ready.kernel.tile.rows:
                ready.kernel(block, ready.weights, into)
            else:
                ready.staged(block, into, by_column=by_column)

        self._blocks.run(n_rows, work)

    def _get(self, input_type: np.dtype[Any], output: Output) -> "_Ready":
        """The kernel for features of this type, compiled when it is first asked for."""
        with self._lock:
            key = (input_type.name, output)
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
                    )
                )
                self._ready[key] = _Ready(kernel, pack(layers, kernel.tile, self._dtype.name))
            return self._ready[key]


class _Ready:
    """A kernel with its weights."""

    def __init__(self, kernel: Kernel, weights: list[Any]) -> None:
        self.kernel = kernel
        self.weights = weights

    def staged(self, block: NDArray[Any], into: NDArray[Any], *, by_column: bool) -> None:
        """One block through contiguous copies, filled up with zero rows to what the kernel takes at least."""
        rows = block.shape[1 if by_column else 0]
        filled = max(rows, self.kernel.tile.rows)
        x = np.zeros((len(block), filled) if by_column else (filled, block.shape[1]), block.dtype)
        x[: len(block), : block.shape[1]] = block
        out = np.empty((*into.shape[:-1], filled), into.dtype)
        self.kernel(x, self.weights, out)
        into[...] = out[..., :rows]


def choose_block_rows(model: Model) -> int:
    """Rows of a block, a power of two."""
    fitting = BLOCK_MULTIPLY_ADDS // model.architecture.multiply_adds
    return min(MOST_BLOCK_ROWS, max(LEAST_BLOCK_ROWS, 1 << fitting.bit_length() >> 1))

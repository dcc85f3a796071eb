"""NumPy: a matrix product, a bias and an activation a layer, in place, over blocks; the label by comparing vectors.

BLAS and the element-wise functions run on one thread each; the block loop is what divides the work between threads.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vecml.config import Layout, Precision, Setting
from vecml.engines.argmax import Highest
from vecml.engines.base import Engine
from vecml.engines.blas import one_blas_thread
from vecml.engines.checks import unsupported
from vecml.engines.lanes import Array, InLanes
from vecml.engines.weights import Linear, label_layers, logit_layers
from vecml.model.network import Model


class NumpyEngine(Engine):
    """The engine `numpy`: CPU, float32 or float64."""

    name = "numpy"
    precisions = ("float32", "float64")
    devices: Mapping[str, tuple[Precision, ...]] = {"cpu": precisions}

    def unavailable(self, model: Model, setting: Setting) -> str | None:  # noqa: ARG002 -- it runs every model
        return unsupported(self, setting)

    def load(self, model: Model, setting: Setting) -> "NumpyLoaded":
        return NumpyLoaded(model, setting)


class NumpyLoaded(InLanes):
    """A model under NumPy; see `vecml.engines.base.Loaded`."""

    def __init__(self, model: Model, setting: Setting) -> None:
        architecture, dtype = model.architecture, np.dtype(setting.precision)
        super().__init__(model, setting, dtype)
        of_labels, of_logits = _rounded(label_layers(model), dtype), _rounded(logit_layers(model), dtype)
        for _ in range(setting.threads):
            scratch = _Scratch(architecture.widths, architecture.activation, dtype, setting.layout)
            self.label_lanes.append(_Lane(scratch, of_labels))
            self.logit_lanes.append(_Lane(scratch, of_logits))
        self._release_blas = one_blas_thread().hold()

    def close(self) -> None:
        """End the threads and give BLAS its own back; closing again does nothing."""
        super().close()
        self._release_blas()


class _Lane:
    """Layers that are computed in one thread's memory."""

    def __init__(self, scratch: "_Scratch", layers: list[Any]) -> None:
        self._scratch, self._layers = scratch, layers

    def logits(self, x: Array, rows: slice) -> Array:
        return self._scratch.logits(self._layers, x, rows)

    def label(self, x: Array, rows: slice, out_B: NDArray[np.int64]) -> None:
        self._scratch.highest.label(self.logits(x, rows), out_B)


class _Scratch:
    """The memory of one thread, allocated once for the largest block and cut for shorter ones.

    Attributes:
        highest: labels from logits.
    """

    def __init__(self, widths: tuple[int, ...], activation: str, dtype: np.dtype[Any], layout: Layout) -> None:
        self._widths = widths
        self._activation = activation
        self._dtype = dtype
        self._layout = layout
        self.highest = Highest(widths[-1], dtype)
        self._rows = -1
        self._capacity = 0

    def logits(self, layers: list[Linear], x: Array, rows: slice) -> Array:
        """z_CB of the rows of x; it lies in this scratch until the next call."""
        value_FB = self._features(x, rows)
        for index, (weight_OI, bias_O1) in enumerate(layers):
            flat = self._outputs[index]
            out_OB = flat if len(flat) == len(weight_OI) else flat[: len(weight_OI)]
            np.matmul(weight_OI, value_FB, out=out_OB)
            np.add(out_OB, bias_O1, out=out_OB)
            if index + 1 < len(layers):
                self._activate(out_OB)
            value_FB = out_OB
        return value_FB

    def _features(self, x: Array, rows: slice) -> Array:
        """x_FB of the rows in the dtype that is computed in; a view of x where that is its own."""
        block = x[:, rows] if self._layout == "columns" else x[rows]
        count = rows.stop - rows.start
        if count != self._rows:
            self._cut(count)
        if block.dtype != self._dtype:
            np.copyto(self._staging, block, casting="same_kind")
            block = self._staging
        return block if self._layout == "columns" else block.T

    def _activate(self, value_OB: Array) -> None:
        match self._activation:
            case "relu":
                # against a row of zeros and not the number 0: NumPy's maximum is four times slower with a scalar
                np.maximum(value_OB, self._zeros_1B, out=value_OB)
            case "tanh":
                np.tanh(value_OB, out=value_OB)
            case "sigmoid":
                np.negative(value_OB, out=value_OB)
                np.exp(value_OB, out=value_OB)
                np.add(value_OB, 1, out=value_OB)
                np.reciprocal(value_OB, out=value_OB)
            case "gelu":
                from scipy.special import erf  # noqa: PLC0415 -- only gelu needs SciPy

                inner_OB = self._inner[: len(value_OB)]
                np.multiply(value_OB, math.sqrt(0.5), out=inner_OB)
                erf(inner_OB, out=inner_OB)
                np.add(inner_OB, 1, out=inner_OB)
                np.multiply(inner_OB, 0.5, out=inner_OB)
                np.multiply(value_OB, inner_OB, out=value_OB)

    def _cut(self, rows: int) -> None:
        """Views for blocks of `rows` rows; contiguous ones, whatever the number."""
        if rows > self._capacity:
            self._capacity = rows
            self._memory = [np.empty(width * rows, self._dtype) for width in self._widths]
            self._inner_memory = np.empty(max(self._widths) * rows if self._activation == "gelu" else 0, self._dtype)
            self._zeros = np.zeros(rows, self._dtype)
        self._rows = rows
        staging_FB, *self._outputs = (
            memory[: width * rows].reshape(width, rows)
            for width, memory in zip(self._widths, self._memory, strict=True)
        )
        self._staging = staging_FB if self._layout == "columns" else staging_FB.reshape(rows, self._widths[0])
        self._inner = self._inner_memory[: len(self._inner_memory) // self._capacity * rows].reshape(-1, rows)
        self._zeros_1B = self._zeros[None, :rows]


def _rounded(layers: list[Linear], dtype: np.dtype[Any]) -> list[Any]:
    """weight_OI and bias_O1 in the dtype that is computed in."""
    with np.errstate(over="ignore"):
        return [(weight_OI.astype(dtype), bias_O.astype(dtype)[:, None]) for weight_OI, bias_O in layers]

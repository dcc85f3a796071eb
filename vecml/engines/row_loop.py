"""The reference: one row at a time, plain Python floats, nothing vectorised. Slow, and easy to believe.

Every other engine's labels are compared with these on as many rows as a moment affords (`affordable_rows`).
"""

import math
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from operator import mul
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vecml.config import Activation, Layout, Precision, Setting
from vecml.engines.base import Engine, Loaded
from vecml.engines.checks import check_labels, count_rows, unsupported
from vecml.engines.weights import Linear, label_layers, logit_layers
from vecml.model.network import Architecture, Model
from vecml.progress import stage

REFERENCE_MULTIPLY_ADDS = 14_000_000  # about a third of a second on a server core of 2023; the same on every machine
UNIT_MULTIPLY_ADDS = 12  # what a neuron costs beside its products: a call or two of Python
ROW_MULTIPLY_ADDS = 40  # and a row: taking it out of the array, putting its label in
STEPS_PER_MOMENT = 4  # how often progress is told in the time of `affordable_rows`: about ten times a second

Layers = list[tuple[list[list[float]], list[float]]]


def affordable_rows(architecture: Architecture) -> int:
    """Count the rows that this engine labels in a moment, estimated from the layers alone: alike on every machine."""
    units = sum(architecture.widths[1:])
    cost = architecture.multiply_adds + UNIT_MULTIPLY_ADDS * units + ROW_MULTIPLY_ADDS
    return max(1, REFERENCE_MULTIPLY_ADDS // cost)


class RowLoopEngine(Engine):
    """The engine `row_loop`: it computes row by row with Python floats, on one thread of the CPU."""

    name = "row_loop"
    precisions = ("float64",)
    devices: Mapping[str, tuple[Precision, ...]] = {"cpu": precisions}

    def unavailable(self, model: Model, setting: Setting) -> str | None:  # noqa: ARG002 -- it runs every model
        return unsupported(self, setting)

    def load(self, model: Model, setting: Setting) -> "RowLoopLoaded":
        """Turn the weights into lists of Python floats."""
        return RowLoopLoaded(model, setting)


class RowLoopLoaded(Loaded):
    """A model as nested lists; see `vecml.engines.base.Loaded`."""

    def __init__(self, model: Model, setting: Setting) -> None:
        self._architecture = model.architecture
        self._layout = setting.layout
        self._activation = ACTIVATIONS[model.architecture.activation]
        self._label_layers = _lists(label_layers(model))
        self._logit_layers = _lists(logit_layers(model))

    def labels(self, x: NDArray[np.float32], out_N: NDArray[np.int64]) -> None:
        """Write the class index of every row of `x` into `out_N`."""
        n_rows = count_rows(x, self._architecture.n_features, self._layout)
        check_labels(out_N, n_rows)

        def work(index: int, row: list[float]) -> None:
            out_N[index] = _highest(self._forward(self._label_layers, row))

        self._run(x, n_rows, work)

    def logits(self, x: NDArray[np.float32]) -> NDArray[np.float64]:
        n_rows = count_rows(x, self._architecture.n_features, self._layout)
        z_NC = np.empty((n_rows, self._architecture.n_classes))

        def work(index: int, row: list[float]) -> None:
            z_NC[index] = self._forward(self._logit_layers, row)

        self._run(x, n_rows, work)
        return z_NC

    def _run(self, x: NDArray[Any], n_rows: int, work: Callable[[int, list[float]], None]) -> None:
        """Call `work(index, row)` for every row, and show the progress if there are more rows than `affordable_rows`.

        For fewer rows the progress display would take a considerable part of the call's time.
        """
        rows = enumerate(_each_row(x, self._layout))
        moment = affordable_rows(self._architecture)
        if n_rows <= moment:
            for index, row in rows:
                work(index, row)
            return
        step = max(1, moment // STEPS_PER_MOMENT)
        with stage("inferring row by row", n_rows) as advance:
            for begun in range(0, n_rows, step):
                for index, row in islice(rows, step):
                    work(index, row)
                advance(min(step, n_rows - begun))

    def _forward(self, layers: Layers, row: list[float]) -> list[float]:
        """The last layer's outputs for one row."""
        value = row
        for weights, biases in layers[:-1]:
            value = [
                self._activation(sum(map(mul, weight, value), bias))
                for weight, bias in zip(weights, biases, strict=True)
            ]
        weights, biases = layers[-1]
        return [sum(map(mul, weight, value), bias) for weight, bias in zip(weights, biases, strict=True)]


def relu(z: float) -> float:
    """Return z, or 0 if z is negative; NaN stays NaN."""
    return 0.0 if z < 0.0 else z


def gelu(z: float) -> float:
    """z times the normal distribution function of z, exact (by erf)."""
    return z * (0.5 * (1.0 + math.erf(z * math.sqrt(0.5))))


def sigmoid(z: float) -> float:
    """1 / (1 + e^-z), without an overflow on either side."""
    if z < 0.0:
        grown = math.exp(z)
        return grown / (1.0 + grown)
    return 1.0 / (1.0 + math.exp(-z))


ACTIVATIONS: dict[Activation, Callable[[float], float]] = {
    "relu": relu,
    "gelu": gelu,
    "tanh": math.tanh,
    "sigmoid": sigmoid,
}


def _highest(logits: list[float]) -> int:
    """Return the index of the highest logit, or for a single logit 1 if it is above 0; 0 if it is not finite."""
    if len(logits) == 1:
        return int(0.0 < logits[0] < math.inf)
    label, best = 0, logits[0]
    for index, logit in enumerate(logits):
        if logit > best:
            label, best = index, logit
        elif math.isnan(logit):
            return 0
    return label if math.isfinite(best) else 0


def _each_row(x: NDArray[Any], layout: Layout) -> Iterator[list[float]]:
    """Every row as a list of Python floats."""
    rows = x.T if layout == "columns" else x
    for row in rows:
        yield row.tolist()


def _lists(layers: list[Linear]) -> Layers:
    return [(weight_OI.tolist(), bias_O.tolist()) for weight_OI, bias_O in layers]

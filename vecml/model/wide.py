"""A chain of linear layers in NumPy and float64: what the answers of a plain model must be.

SciPy is imported where an activation needs it: it takes as long as half of what else a worker imports.
"""

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vecml.config import Activation

if TYPE_CHECKING:
    from vecml.model.network import Model

BLOCK_ROWS = 8_192


def _gelu(z: NDArray[np.float64]) -> NDArray[np.float64]:
    from scipy.special import erf  # noqa: PLC0415 -- see the module's docstring

    value: NDArray[np.float64] = z * 0.5 * (1 + erf(z / math.sqrt(2)))
    return value


def _sigmoid(z: NDArray[np.float64]) -> NDArray[np.float64]:
    from scipy.special import expit  # noqa: PLC0415 -- see the module's docstring

    value: NDArray[np.float64] = expit(z)
    return value


ACTIVATE: dict[Activation, Callable[[NDArray[np.float64]], NDArray[np.float64]]] = {
    "relu": lambda z: np.where(z < 0, 0.0, z),
    "gelu": _gelu,
    "tanh": np.tanh,
    "sigmoid": _sigmoid,
}


def wide_logits(model: "Model", x_FN: NDArray[np.floating]) -> NDArray[np.float64]:
    """Logits (N, C) in float64 of the columns of x_FN (F, N), computed in blocks of rows."""
    activate = ACTIVATE[model.architecture.activation]
    logits_NC = np.empty((x_FN.shape[1], model.architecture.n_classes))
    for start in range(0, x_FN.shape[1], BLOCK_ROWS):
        value = x_FN[:, start : start + BLOCK_ROWS].astype(np.float64)
        with np.errstate(all="ignore"):
            for index, layer in enumerate(model.layers):
                value = layer.weight_OI.astype(np.float64) @ value + layer.bias_O.astype(np.float64)[:, None]
                if index + 1 < len(model.layers):
                    value = activate(value)
        logits_NC[start : start + BLOCK_ROWS] = value.T
    return logits_NC

"""The right answers: the model computed in float64 over every row, and the errors that each precision may have.

The bound is the probabilistic one of N. J. Higham and T. Mary, "A new approach to probabilistic rounding error
analysis", SIAM J. Sci. Comput. 41 (2019), A2815-A2835: |error| <= lambda sqrt(k) u B, where B is what the network would
give if every weight, input and activation counted with its absolute value.

That needs the layers. Of a module of the user's own only the answers are known, so that its bound is measured: the
difference between its float32 and its float64 answers, on rows of the comparison, shows the effect of rounding.
`OWN_FACTOR` times that is allowed, because an engine may sum in another order, and in another precision as many times
more as its unit roundoff is larger.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vecml.config import Activation, Precision
from vecml.model.evaluate import label_of
from vecml.model.network import AnyModel, Architecture, OwnArchitecture
from vecml.model.wide import ACTIVATE, BLOCK_ROWS

UNIT_ROUNDOFF: dict[Precision, float] = {
    "float64": 2.0**-53,
    "float32": 2.0**-24,
    "tf32": 2.0**-11,
    "float16": 2.0**-11,
    "bfloat16": 2.0**-8,
}
LAMBDA = 4.0  # a worst-case sum has a larger error with a chance of about 2 exp(-lambda^2 / 2), 0.07 %
OWN_FACTOR = 16.0  # over the largest of some thousand errors, because sums in another order may have larger ones
ACTIVATION_ROUNDINGS = 10  # bias, activation and the conversions of a layer's input

# An activation enlarges an error by its greatest slope at most.
_SLOPE: dict[Activation, float] = {"relu": 1.0, "gelu": 1.13, "tanh": 1.0, "sigmoid": 0.25}


@dataclass(frozen=True)
class Logits:
    """Logits of some rows in float64, and their scale.

    Attributes:
        logits_NC: float64.
        scale_NC: float64, the B above, by which a relative rounding error in every operation is multiplied. For a
            module of the user's own it is the largest error of its float32 logits, by class, over the unit roundoff of
            float32, and at least the row's largest logit, as if that were rounded once.
    """

    logits_NC: NDArray[np.float64]
    scale_NC: NDArray[np.float64]


def reference_logits(model: AnyModel, x_FN: NDArray[np.floating], error_C: NDArray[np.float64] | None = None) -> Logits:
    """Logits of the columns of x_FN (F, N; float32 or float64), with their scale.

    error_C is float64 (C,), from `float32_errors`, for a module of the user's own; None: that of these rows alone.
    """
    chain = model.chain
    if chain is None:
        return _own_logits(model, x_FN, error_C)
    activate, slope = ACTIVATE[chain.architecture.activation], _SLOPE[chain.architecture.activation]
    value = x_FN.astype(np.float64)
    scale = np.abs(value)
    with np.errstate(all="ignore"):
        for index, layer in enumerate(chain.layers):
            weight, bias = layer.weight_OI.astype(np.float64), layer.bias_O.astype(np.float64)[:, None]
            value = weight @ value + bias
            scale = np.abs(weight) @ scale + np.abs(bias)
            if index + 1 < len(chain.layers):
                value = activate(value)
                scale = np.maximum(slope * scale, np.abs(value))
    return Logits(np.ascontiguousarray(value.T), np.ascontiguousarray(scale.T))


def float32_errors(model: AnyModel, x_FN: NDArray[np.floating]) -> NDArray[np.float64]:
    """The largest error of the module's own float32 logits on the columns of x_FN (F, N), by class: float64 (C,).

    Rows with a logit that is not finite do not count.
    """
    error_C: NDArray[np.float64] = _own_errors(model, x_FN)[1].max(axis=0, initial=0.0)
    return error_C


def _own_errors(model: AnyModel, x_FN: NDArray[np.floating]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Logits (N, C) in float64, and how far the module's in float32 are off them; 0 where one is not finite."""
    from vecml.model.own_module import own_logits  # noqa: PLC0415 -- torch, which a plain model need not

    wide_NC = model.wide_logits(x_FN)
    with np.errstate(all="ignore"):
        off_NC = np.abs(own_logits(model, x_FN) - wide_NC)
    return wide_NC, np.where(np.isfinite(off_NC), off_NC, 0.0)


def _own_logits(model: AnyModel, x_FN: NDArray[np.floating], error_C: NDArray[np.float64] | None) -> Logits:
    wide_NC, off_NC = _own_errors(model, x_FN)
    largest_C = off_NC.max(axis=0, initial=0.0) if error_C is None else error_C
    floor_N1 = np.where(np.isfinite(wide_NC), np.abs(wide_NC), 0.0).max(axis=1, keepdims=True, initial=0.0)
    scale_NC = np.maximum(np.maximum(off_NC, largest_C) / UNIT_ROUNDOFF["float32"], floor_N1)
    return Logits(wide_NC, scale_NC)


def reference_labels(model: AnyModel, x_FN: NDArray[np.floating]) -> NDArray[np.int64]:
    """The label (int64, N) of every column of x_FN (F, N), computed in float64; one block's logits exist at a time."""
    label_N = np.empty(x_FN.shape[1], np.int64)
    for start in range(0, len(label_N), BLOCK_ROWS):
        block = slice(start, start + BLOCK_ROWS)
        label_N[block] = label_of(model.wide_logits(x_FN[:, block]))
    return label_N


def tolerance(architecture: Architecture | OwnArchitecture, precision: Precision) -> float:
    """The largest error that a logit may have when the network is computed in `precision`, as a share of its scale."""
    if architecture.obstacle is not None:
        return OWN_FACTOR * UNIT_ROUNDOFF[precision]
    roundings = sum(width + ACTIVATION_ROUNDINGS for width in architecture.widths[:-1])
    return LAMBDA * math.sqrt(roundings) * UNIT_ROUNDOFF[precision]

"""The linear layers that an engine runs: all of them for logits; for labels of two classes a shorter last one.

The larger of two logits is the sign of their difference, and that is linear too: w[1] - w[0]. It halves the last layer
and turns an argmax into one comparison.
"""

import numpy as np
from numpy.typing import NDArray

from vecml.model.network import Model

Linear = tuple[NDArray[np.float64], NDArray[np.float64]]
"""weight_OI and bias_O, float64: an engine rounds them to its own precision once."""


def logit_layers(model: Model) -> list[Linear]:
    """The model's linear layers, first to last."""
    return [(layer.weight_OI.astype(np.float64), layer.bias_O.astype(np.float64)) for layer in model.layers]


def label_layers(model: Model) -> list[Linear]:
    """The layers that labels need: with two classes the last has one output, logit 1 minus logit 0."""
    layers = logit_layers(model)
    if model.architecture.n_classes == 2:
        weight_OI, bias_O = layers[-1]
        layers[-1] = (weight_OI[1:] - weight_OI[:1], bias_O[1:] - bias_O[:1])
    return layers

"""Models that the engines' tests share, and the oracle: the same formulas in NumPy, float64, on whole arrays."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import erf, expit

from vecml.config import Activation
from vecml.model.network import Architecture, Layer, Model

ACTIVATE: dict[str, Callable[[NDArray[Any]], NDArray[Any]]] = {
    "relu": lambda z: np.where(z < 0, 0.0, z),
    "gelu": lambda z: z * 0.5 * (1 + erf(z / np.sqrt(2))),
    "tanh": np.tanh,
    "sigmoid": expit,
}


def _make_model(widths: tuple[int, ...], activation: Activation = "relu", seed: int = 0) -> Model:
    random = np.random.default_rng(seed)
    layers = tuple(
        Layer(
            (random.standard_normal((fan_out, fan_in)) / np.sqrt(fan_in)).astype(np.float32),
            random.standard_normal(fan_out).astype(np.float32),
        )
        for fan_in, fan_out in pairwise(widths)
    )
    architecture = Architecture(widths[0], widths[1:-1], widths[-1], activation)
    return Model(architecture, layers, tuple(f"class {index}" for index in range(widths[-1])))


def _oracle(model: Model, x_NF: NDArray[Any]) -> NDArray[np.float64]:
    value = x_NF.astype(np.float64)
    with np.errstate(all="ignore"):
        for index, layer in enumerate(model.layers):
            value = value @ layer.weight_OI.T.astype(np.float64) + layer.bias_O
            if index + 1 < len(model.layers):
                value = ACTIVATE[model.architecture.activation](value)
    return value


@pytest.fixture(scope="session")
def make_model() -> Callable[..., Model]:
    """A model with random weights: make_model(widths, activation="relu", seed=0)."""
    return _make_model


@pytest.fixture(scope="session")
def oracle() -> Callable[[Model, NDArray[Any]], NDArray[np.float64]]:
    """z_NC in float64 of rows x_NF: oracle(model, x_NF)."""
    return _oracle

"""The classifier: plain arrays that every engine can run (`Model`), or a module of the user's own (`OwnModel`).

An engine starts from either. The last layer of a `Model` gives one logit a class, and standardisation is already folded
into its first layer, so that the input is the encoded table itself.
"""

import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vecml.config import Activation

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class Architecture:
    """Linear, activation, linear, ..., linear.

    Attributes:
        n_features: encoded features F.
        hidden: widths of the hidden layers, one or more (none: a linear classifier).
        n_classes: C, two or more.
        activation: between the layers.
    """

    n_features: int
    hidden: tuple[int, ...]
    n_classes: int
    activation: Activation

    @property
    def widths(self) -> tuple[int, ...]:
        """Input, hidden and output widths in order."""
        return (self.n_features, *self.hidden, self.n_classes)

    @property
    def multiply_adds(self) -> int:
        """Multiply-adds for one row."""
        return sum(a * b for a, b in zip(self.widths, self.widths[1:], strict=False))

    @property
    def digest(self) -> str:
        """Hash of layers, shapes and activations: the same for every model of this architecture (32 hex digits)."""
        text = json.dumps({"layers": self.widths, "activation": self.activation})
        return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()

    def __str__(self) -> str:
        return "-".join(map(str, self.widths))


@dataclass(frozen=True)
class Layer:
    """One linear layer: `weight_OI @ x_I + bias_O`; float32, contiguous, read-only."""

    weight_OI: NDArray[np.float32] = field(repr=False)
    bias_O: NDArray[np.float32] = field(repr=False)


@dataclass(frozen=True)
class Model:
    """A trained classifier over encoded features.

    Attributes:
        architecture: its shape.
        layers: its linear layers, first to last.
        classes: the labels' names; `classes[i]` belongs to logit i.
    """

    architecture: Architecture
    layers: tuple[Layer, ...] = field(repr=False)
    classes: tuple[str, ...]

    @property
    def digest(self) -> str:
        """Hash of architecture, weights and class names (32 hex digits)."""
        digest = hashlib.blake2b(digest_size=16)
        digest.update(self.architecture.digest.encode())
        digest.update(json.dumps(self.classes).encode())
        for layer in self.layers:
            digest.update(layer.weight_OI.astype("<f4").tobytes())
            digest.update(layer.bias_O.astype("<f4").tobytes())
        return digest.hexdigest()


@dataclass(frozen=True)
class OwnArchitecture:
    """A module of the user's own that is no chain of linear layers: known by name, and run by libraries that trace it.

    Attributes:
        name: `package.module:Class`, as the user gave it.
        n_features: encoded features F.
        n_classes: C, two or more.
        digest: hash of the class's name, its parts and the shapes of its weights (32 hex digits).
        multiply_adds: for one row, as torch counts them.
        obstacle: the operator that keeps it from being a chain of linear layers: `aten.convolution`.
    """

    name: str
    n_features: int
    n_classes: int
    digest: str
    multiply_adds: int
    obstacle: str

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class OwnModel:
    """A trained module of the user's own.

    Attributes:
        architecture: its shape.
        module: float32, in evaluation mode, on the CPU; takes encoded features (N, F) and gives logits (N, C).
            Standardisation is part of it. Nobody changes it; who needs another precision or device copies it.
        classes: the labels' names.
        digest: hash of architecture, weights and class names (32 hex digits).
    """

    architecture: OwnArchitecture
    module: "nn.Module" = field(repr=False)
    classes: tuple[str, ...]
    digest: str


AnyModel = Model | OwnModel

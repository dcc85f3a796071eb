"""The classifier as plain arrays: what it is made of (`Architecture`), what it has learnt (`Model`). No library.

Every engine starts from a `Model`. The last layer gives one logit a class; standardisation is already folded into the
first layer, so the input is the encoded table itself.
"""

import hashlib
import json
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from vecml.config import Activation


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

"""The classifier: plain arrays that every engine can run (`Model`), or a module of the user's own (`OwnModel`).

Both answer the same questions, `AnyModel`, so that whoever has a model asks it and does not look at its kind. The last
layer of a `Model` gives one logit a class, and standardisation is already folded into its first layer, so that the
input is the encoded table itself. torch is imported only where a module is asked for.
"""

import hashlib
import json
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, runtime_checkable

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
        obstacle: None: nothing keeps it from being a chain of linear layers.
    """

    obstacle: ClassVar[None] = None
    n_features: int
    hidden: tuple[int, ...]
    n_classes: int
    activation: Activation

    @property
    def widths(self) -> tuple[int, ...]:
        """Input, hidden and output widths in order."""
        return (self.n_features, *self.hidden, self.n_classes)

    @property
    def values_per_row(self) -> int:
        """The most values that a row needs at one time: the inputs and outputs of the widest layer."""
        return max(a + b for a, b in pairwise(self.widths))

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


def layer_from(weight_OI: np.ndarray, bias_O: np.ndarray) -> Layer:
    """A `Layer` from arrays of any float dtype: float32 copies, contiguous and read-only."""
    weight = np.array(weight_OI, dtype=np.float32, order="C")
    bias = np.array(bias_O, dtype=np.float32, order="C")
    weight.flags.writeable = False
    bias.flags.writeable = False
    return Layer(weight, bias)


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

    @property
    def chain(self) -> "Model":
        """Return the model itself, which is a chain."""
        return self

    def as_module(self) -> "nn.Module":
        """Make a new module with its weights."""
        from vecml.model.module import module_of  # noqa: PLC0415 -- torch, which a plain model need not wait for

        return module_of(self)

    def wide_logits(self, x_FN: NDArray[np.floating]) -> NDArray[np.float64]:
        """Compute the logits of x_FN (F, N) in NumPy: float64 (N, C)."""
        from vecml.model.wide import wide_logits  # noqa: PLC0415 -- scipy, which only its activations need

        return wide_logits(self, x_FN)

    def serialise(self) -> tuple[bytes, dict[str, Any]]:
        """Return `layers.0.weight`, `layers.0.bias` ... as a safetensors file, and the architecture's fields."""
        from safetensors.numpy import save  # noqa: PLC0415 -- only whoever saves or loads needs it

        arrays = {}
        for index, layer in enumerate(self.layers):
            arrays[f"layers.{index}.weight"] = layer.weight_OI
            arrays[f"layers.{index}.bias"] = layer.bias_O
        return save(arrays), asdict(self.architecture)

    def check_rebuildable(self) -> None:
        """Return: a plain model consists of arrays only, which every process can read."""


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

    @property
    def widths(self) -> tuple[int, ...]:
        """The widths that are known: the input's."""
        return (self.n_features,)

    @property
    def values_per_row(self) -> int:
        """The most values that a row needs at one time, were it one hidden layer of as many multiply-adds."""
        ends = self.n_features + self.n_classes
        return ends + self.multiply_adds // ends

    def __str__(self) -> str:
        return self.name


@runtime_checkable
class AnyModel(Protocol):
    """The questions that both kinds of model answer, `Model` and `OwnModel`."""

    @property
    def architecture(self) -> Architecture | OwnArchitecture:
        """Return its shape."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Return the labels' names; `classes[i]` belongs to logit i."""

    @property
    def digest(self) -> str:
        """Return the hash of architecture, weights and class names (32 hex digits)."""

    @property
    def chain(self) -> Model | None:
        """Return the model as a chain of linear layers; None where it is none, so that only its module can be run."""

    def as_module(self) -> "nn.Module":
        """Return a torch module in evaluation mode: float32 (N, F) to logits (N, C). Do not change it."""

    def wide_logits(self, x_FN: NDArray[np.floating]) -> NDArray[np.float64]:
        """Compute its logits in float64 for the columns of x_FN (F, N): float64 (N, C)."""

    def serialise(self) -> tuple[bytes, dict[str, Any]]:
        """Return its weights as a safetensors file, and the description of its architecture in JSON's types.

        `vecml.model.store.rebuild` makes the model of them again.
        """

    def check_rebuildable(self) -> None:
        """Raise SettingError, saying why, when a worker process could not make the model anew from `serialise`."""

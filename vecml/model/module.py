"""The classifier as a torch module: fresh for training, or filled from a `Model` for export and for torch's engine."""

from typing import TYPE_CHECKING

import torch
from torch import nn

from vecml.config import Activation

if TYPE_CHECKING:
    from vecml.model.network import Architecture, Model

_ACTIVATIONS: dict[Activation, type[nn.Module]] = {
    "relu": nn.ReLU,
    "gelu": nn.GELU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
}


def new_module(architecture: "Architecture") -> nn.Sequential:
    """Linear, activation, ..., linear, with torch's own initial weights (float32, from torch's global generator).

    Takes (N, F) float32 and gives (N, C) logits.
    """
    parts: list[nn.Module] = []
    for fan_in, fan_out in zip(architecture.widths, architecture.widths[1:], strict=False):
        parts += [nn.Linear(fan_in, fan_out), _ACTIVATIONS[architecture.activation]()]
    return nn.Sequential(*parts[:-1])


def module_of(model: "Model") -> nn.Sequential:
    """The module with `model`'s weights, in evaluation mode; (N, F) float32 to (N, C) logits."""
    module = new_module(model.architecture)
    for linear, layer in zip(linears(module), model.layers, strict=True):
        with torch.no_grad():
            linear.weight.copy_(torch.from_numpy(layer.weight_OI.copy()))
            linear.bias.copy_(torch.from_numpy(layer.bias_O.copy()))
    return module.eval()


def linears(module: nn.Sequential) -> list[nn.Linear]:
    """The linear layers of the module, first to last."""
    return [part for part in module if isinstance(part, nn.Linear)]

"""Whether a module is, when it answers, a chain of linear layers: then every engine can run it, as a plain `Model`.

What it computes is looked at, not what it is made of: torch.export gives the operators of the module in evaluation
mode. Batch normalisation is folded into the linear layer before or after it, dropout and flattening fall away; all in
float64. What comes of it is held to the module on random rows.
"""

import contextlib
import copy
import io
import logging
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from vecml.config import Activation
from vecml.errors import SettingError, one_line

PROVEN_ROWS = 64
SPREADS = (0.1, 1.0, 10.0)
RELATIVE = 1e-9  # of the largest logit: both sides are computed in float64
EXPORT_ROWS = 3  # torch.export takes a dimension of 0 or 1 for a constant

_ACTIVATIONS: dict[str, Activation] = {
    "aten.relu": "relu",
    "aten.relu_": "relu",
    "aten.gelu": "gelu",
    "aten.tanh": "tanh",
    "aten.tanh_": "tanh",
    "aten.sigmoid": "sigmoid",
    "aten.sigmoid_": "sigmoid",
}
_MODULES: dict[Activation, type[nn.Module]] = {
    "relu": nn.ReLU,
    "gelu": nn.GELU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
}
_DROPOUTS = ("aten.dropout", "aten.dropout_", "aten.feature_dropout", "aten.alpha_dropout")

Wide = NDArray[np.float64]


@dataclass(frozen=True)
class Chain:
    """Linear, activation, linear, ..., linear.

    Attributes:
        layers: weight_OI and bias_O of each linear layer, float64, batch normalisation folded in.
        activation: between them (`relu` where there is one layer, and so none).
    """

    layers: tuple[tuple[Wide, Wide], ...] = field(repr=False)
    activation: Activation

    @property
    def widths(self) -> tuple[int, ...]:
        """Input, hidden and output widths in order."""
        return (self.layers[0][0].shape[1], *(len(bias) for _, bias in self.layers))


class _Obstacle(Exception):  # noqa: N818 -- no error: it ends the walk
    """The first operator that does not fit."""


@dataclass
class _Walk:
    """The chain as far as it was followed: finished layers, and what was applied since the last activation."""

    n_features: int
    layers: list[tuple[Wide, Wide]] = field(default_factory=list)
    activation: Activation | None = None
    before: tuple[Wide, Wide] | None = None  # scale and shift that wait for the next linear layer
    linear: tuple[Wide, Wide] | None = None

    def take_linear(self, weight_OI: Wide, bias_O: Wide) -> None:
        if self.linear is not None:
            raise _Obstacle("aten.linear right after aten.linear")
        if self.before is not None:
            scale_I, shift_I = self.before
            weight_OI, bias_O = weight_OI * scale_I, weight_OI @ shift_I + bias_O
            self.before = None
        self.linear = (weight_OI, bias_O)

    def take_scaling(self, scale_W: Wide, shift_W: Wide) -> None:
        if self.linear is not None:
            weight_OI, bias_O = self.linear
            self.linear = (weight_OI * scale_W[:, None], bias_O * scale_W + shift_W)
        elif self.before is not None:
            scale, shift = self.before
            self.before = (scale * scale_W, shift * scale_W + shift_W)
        else:
            self.before = (scale_W, shift_W)

    def take_activation(self, name: str, activation: Activation) -> None:
        if self.linear is None:
            raise _Obstacle(f"{name} without aten.linear before it")
        if self.activation not in (None, activation):
            raise _Obstacle(f"{name} beside aten.{self.activation}")
        self.layers.append(self.linear)
        self.activation, self.linear = activation, None


def chain_of(module: nn.Module, n_features: int, n_classes: int) -> Chain | str:
    """The chain that `module` is, or what keeps it from being one: the first operator that does not fit.

    Args:
        module: in evaluation mode, on the CPU, float32; takes (N, F) and gives (N, C) logits.
        n_features, n_classes: F and C.

    Raises SettingError when torch.export cannot trace it.
    """
    program = _exported(module, n_features)
    try:
        chain = _followed(program, n_features)
    except _Obstacle as obstacle:
        return _telling(str(obstacle), program)
    if chain.widths[-1] != n_classes or not _gives_the_same(chain, module, n_features):
        return "other logits than its linear layers give"
    return chain


def _exported(module: nn.Module, n_features: int) -> "torch.export.ExportedProgram":
    example_NF = torch.zeros((EXPORT_ROWS, n_features))
    quiet = logging.getLogger("torch")
    level = quiet.level
    quiet.setLevel(logging.CRITICAL)
    try:
        # what it says of a failure beside the error goes to standard error, page by page
        with warnings.catch_warnings(), torch.no_grad(), contextlib.redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            shapes = ({0: torch.export.Dim("batch")},)
            return torch.export.export(module, (example_NF,), dynamic_shapes=shapes)
    except Exception as error:
        raise SettingError(
            f"torch.export cannot trace {type(module).__qualname__}: {one_line(error, named=True)}",
            "its forward may depend on the shape of its input, not on its values or on the number of rows",
        ) from error
    finally:
        quiet.setLevel(level)


def _followed(program: "torch.export.ExportedProgram", n_features: int) -> Chain:
    """The chain that the graph is; raises _Obstacle."""
    values = _constants(program)
    walk, last = _Walk(n_features), None
    for node in program.graph.nodes:
        if node.op == "placeholder":
            if node.name not in values:
                last = node  # the features
        elif node.op == "call_function":
            name = _short(node)
            if not node.args or node.args[0] is not last:
                raise _Obstacle(f"{name} beside the chain" if name in _KNOWN else name)
            if len(last.users) > 1:
                raise _Obstacle(f"{' and '.join(sorted({_short(user) for user in last.users}))} over the same value")
            _take(walk, name, node, values)
            last = node
        elif node.op == "output":
            if len(node.args[0]) != 1 or node.args[0][0] is not last:
                raise _Obstacle("another output than the last layer's")
        else:
            raise _Obstacle(str(node.target))
    if walk.linear is None:
        raise _Obstacle(f"{_short(last)} at its end")
    return Chain((*walk.layers, walk.linear), walk.activation or "relu")


def _take(walk: _Walk, name: str, node: Any, values: Mapping[str, Wide]) -> None:
    """Let the walk take one operator; raises _Obstacle when it does not fit."""

    def constant(place: int) -> Wide | None:
        argument = node.args[place] if len(node.args) > place else None
        if argument is None:
            return None
        if getattr(argument, "name", None) not in values:
            raise _Obstacle(f"{name} with weights that are computed")
        return values[argument.name]

    if name == "aten.linear":
        weight_OI, bias_O = constant(1), constant(2)
        if weight_OI is None or weight_OI.ndim != 2:
            raise _Obstacle(name)
        walk.take_linear(weight_OI, np.zeros(len(weight_OI)) if bias_O is None else bias_O)
    elif name == "aten.batch_norm":
        weight_W, bias_W, mean_W, variance_W = (constant(place) for place in range(1, 5))
        if mean_W is None or variance_W is None or node.args[5]:
            raise _Obstacle("aten.batch_norm of the batch's own mean")
        scale_W = 1 / np.sqrt(variance_W + node.args[7])
        scale_W = scale_W if weight_W is None else scale_W * weight_W
        walk.take_scaling(scale_W, (0.0 if bias_W is None else bias_W) - mean_W * scale_W)
    elif name in _ACTIVATIONS:
        if name == "aten.gelu" and (node.kwargs.get("approximate", "none") != "none"):
            raise _Obstacle("aten.gelu by tanh")
        walk.take_activation(name, _ACTIVATIONS[name])
    elif name in _DROPOUTS:
        if node.args[2]:
            raise _Obstacle(f"{name} that is on when it answers")
    elif name != "aten.flatten" or tuple(node.args[1:]) not in ((1,), (1, -1), (1, 1)):
        raise _Obstacle(name)


_KNOWN = {*_ACTIVATIONS, *_DROPOUTS, "aten.linear", "aten.batch_norm", "aten.flatten"}


# Operators that only say how values lie: what comes after them tells more.
_SHAPES = {
    f"aten.{name}" for name in ("unsqueeze", "squeeze", "view", "reshape", "slice", "permute", "transpose", "to")
}


def _telling(obstacle: str, program: "torch.export.ExportedProgram") -> str:
    """The obstacle; for one that only reshapes, the first operator after it that computes and is not in a chain."""
    if obstacle not in _SHAPES:
        return obstacle
    names = [_short(node) for node in program.graph.nodes if node.op == "call_function"]
    return next((name for name in names if name not in _KNOWN and name not in _SHAPES), obstacle)


def _short(node: Any) -> str:
    return str(node.target).rpartition(".")[0] or str(node.target)


def _constants(program: "torch.export.ExportedProgram") -> dict[str, Wide]:
    """Weights and buffers by the graph's names for them, float64."""
    signature = program.graph_signature
    named = {**signature.inputs_to_parameters, **signature.inputs_to_buffers}
    values = {name: program.state_dict.get(key, program.constants.get(key)) for name, key in named.items()}
    values |= {name: program.constants.get(key) for name, key in signature.inputs_to_lifted_tensor_constants.items()}
    return {
        name: value.detach().double().cpu().numpy() for name, value in values.items() if isinstance(value, torch.Tensor)
    }


def _gives_the_same(chain: Chain, module: nn.Module, n_features: int) -> bool:
    """Whether chain and module, both in float64, give the same logits on random rows."""
    parts: list[nn.Module] = []
    for weight_OI, bias_O in chain.layers:
        linear = nn.Linear(weight_OI.shape[1], len(bias_O), dtype=torch.float64)
        with torch.no_grad():
            linear.weight.copy_(torch.from_numpy(weight_OI))
            linear.bias.copy_(torch.from_numpy(bias_O))
        parts += [linear, _MODULES[chain.activation]()]
    plain = nn.Sequential(*parts[:-1])
    rng = np.random.default_rng(0)
    wide = copy.deepcopy(module).double()
    with torch.no_grad():
        for spread in SPREADS:
            x_NF = torch.from_numpy(spread * rng.standard_normal((PROVEN_ROWS, n_features)))
            expected, given = wide(x_NF), plain(x_NF)
            if not bool((expected - given).abs().max() <= RELATIVE * expected.abs().max()):
                return False
    return True

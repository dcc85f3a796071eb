"""Several networks of one architecture trained at once, and their accuracies: matrix products over a stack of them.

A step of one small network is mostly the overhead of its operations; a stack of R networks has the same operations,
each on R times as much. Forward and backward are written out, because a step knows its buffers beforehand: nothing is
allocated, and nothing is recorded.
"""

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from vecml.config import Activation, TrainingConfig
from vecml.data.split import Part
from vecml.errors import TrainingError
from vecml.model.adam import Adam
from vecml.model.module import linears
from vecml.model.network import Architecture, Model
from vecml.progress import Advance

GATHER_BATCHES = 64  # batches gathered at once, as for a single network
GATHER_VALUES = 4 << 20  # and values: 16 MiB, however many networks there are
STACK_BYTES = 1 << 30  # what a stack may take: its weights with Adam's moments, its buffers, its orders of the rows
SCORE_VALUES = 1 << 20  # of the widest layer of all networks in a block of test rows: 4 MiB

_aten = torch.ops.aten


@dataclass(frozen=True)
class _Function:
    """An activation on buffers of one shape.

    Attributes:
        forward: (pre, out): out becomes the activation of pre.
        backward: (gradient, pre, out): gradient, so far that of out, becomes that of pre.
    """

    forward: Callable[[Tensor, Tensor], object]
    backward: Callable[[Tensor, Tensor, Tensor], object]


_FUNCTIONS: dict[Activation, _Function] = {
    "relu": _Function(
        lambda pre, out: torch.clamp_min(pre, 0, out=out),
        lambda gradient, _, out: _aten.threshold_backward.grad_input(gradient, out, 0, grad_input=gradient),
    ),
    "gelu": _Function(
        lambda pre, out: _aten.gelu.out(pre, out=out),
        lambda gradient, pre, _: _aten.gelu_backward.grad_input(gradient, pre, grad_input=gradient),
    ),
    "tanh": _Function(
        lambda pre, out: torch.tanh(pre, out=out),
        lambda gradient, _, out: _aten.tanh_backward.grad_input(gradient, out, grad_input=gradient),
    ),
    "sigmoid": _Function(
        lambda pre, out: torch.sigmoid(pre, out=out),
        lambda gradient, _, out: _aten.sigmoid_backward.grad_input(gradient, out, grad_input=gradient),
    ),
}


def stack_size(architecture: Architecture, n_rows: int, batch_size: int) -> int:
    """Compute how many networks to train at once, at least one, so that they need about `STACK_BYTES` together."""
    widths = architecture.widths
    weights = architecture.multiply_adds + sum(widths[1:])
    batch_values = min(batch_size, n_rows) * (widths[0] + 3 * sum(widths[1:]))
    return max(1, STACK_BYTES // (5 * 4 * weights + 4 * batch_values + 8 * n_rows))


def train_stack(
    modules: Sequence[nn.Sequential],
    seeds: Sequence[int],
    x_NF: Tensor,
    label_N: Tensor,
    config: TrainingConfig,
    advance: Advance,
) -> list[tuple[float, ...]]:
    """Train `modules` at once and in place, each as it would be alone, to rounding: its seed shuffles its rows.

    Args:
        modules: R of one architecture, with their initial weights.
        seeds: of their shuffles, one each.
        x_NF: standardised features, float32 (N, F), on the device to train on.
        label_N: int64, there too.
        config: activation, epochs, batch_size and learning_rate are used.
        advance: is told rows, those of every module.

    Returns:
        Of each module the mean cross-entropy of each epoch, in nats.

    Raises TrainingError, naming the seed, when the loss or a weight of a module stops being a finite number.
    """
    stack = _Stack(modules, config, x_NF.device)
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    hint = f"a smaller step size may help: --learning-rate {config.learning_rate / 10:g}"
    losses: list[list[float]] = []
    for epoch in range(config.epochs):
        order_RN = torch.stack([torch.randperm(len(x_NF), generator=generator) for generator in generators])
        loss_R = stack.epoch(x_NF, label_N, order_RN.to(x_NF.device), config.batch_size, advance)
        for seed, loss in zip(seeds, loss_R, strict=True):
            if not math.isfinite(loss):
                raise TrainingError(
                    f"training with seed {seed} diverged: the loss of epoch {epoch + 1} is {loss}", hint
                )
        losses.append(loss_R)
    finite_R = stack.finite()
    if not all(finite_R):  # the last step comes after the last loss
        seed = seeds[finite_R.index(False)]
        raise TrainingError(f"training with seed {seed} diverged: its last step left weights that are not finite", hint)
    stack.write_back(modules)
    return list(zip(*losses, strict=True))


class _Stack:
    """R networks as one: weights (R, I, O) and biases (R, 1, O), but of the last layer (R, C, I) and (R, C, 1).

    So the longer side of most matrices is the contiguous one, and the softmax goes over whole vectors: for 16 networks
    of 10-32-2 the first layer's gradient takes 50 µs instead of 250, and the softmax 13 instead of 163.
    """

    def __init__(self, modules: Sequence[nn.Sequential], config: TrainingConfig, device: torch.device) -> None:
        *hidden, last = zip(*map(linears, modules), strict=True)
        self._function = _FUNCTIONS[config.activation]
        self._hidden = [
            (
                _parameter(torch.stack([linear.weight.detach().T for linear in layer]), device),
                _parameter(torch.stack([linear.bias.detach()[None] for linear in layer]), device),
            )
            for layer in hidden
        ]
        self._last = (
            _parameter(torch.stack([linear.weight.detach() for linear in last]), device),
            _parameter(torch.stack([linear.bias.detach()[:, None] for linear in last]), device),
        )
        pairs = [*self._hidden, self._last]
        self._optimizer = Adam([parameter for pair in pairs for parameter in pair], config.learning_rate)
        self._buffers: dict[int, _Buffers] = {}

    def epoch(self, x_NF: Tensor, label_N: Tensor, order_RN: Tensor, batch_size: int, advance: Advance) -> list[float]:
        """Train for one epoch, each network with its own order of rows; return each network's mean loss per row."""
        n_networks, n_rows = order_RN.shape
        wide = torch.float64 if x_NF.device.type != "mps" else torch.float32
        total_R1 = torch.zeros((n_networks, 1), dtype=wide, device=x_NF.device)
        for x_GRBF, label_GR1B in _batches(x_NF, label_N, order_RN, batch_size):
            for x_RBF, label_R1B in zip(x_GRBF, label_GR1B, strict=True):
                self._step(x_RBF, label_R1B, total_R1)
            advance(label_GR1B.numel())
        means: list[float] = (total_R1[:, 0] / n_rows).tolist()
        return means

    def finite(self) -> list[bool]:
        """Whether all weights are finite, for each network."""
        parts = [parameter.flatten(1) for pair in [*self._hidden, self._last] for parameter in pair]
        finite: list[bool] = torch.cat(parts, 1).isfinite().all(1).tolist()
        return finite

    def write_back(self, modules: Sequence[nn.Sequential]) -> None:
        """Give the modules their weights."""
        weights = [*(weight.mT for weight, _ in self._hidden), self._last[0]]
        biases = [*(bias[:, 0] for _, bias in self._hidden), self._last[1][:, :, 0]]
        with torch.no_grad():
            for number, module in enumerate(modules):
                for linear, weight_ROI, bias_RO in zip(linears(module), weights, biases, strict=True):
                    linear.weight.copy_(weight_ROI[number])
                    linear.bias.copy_(bias_RO[number])

    def _step(self, x_RBF: Tensor, label_R1B: Tensor, total_R1: Tensor) -> None:
        """Move the weights by one batch of each network; its losses are added to `total_R1`."""
        batch_size = x_RBF.shape[1]
        buffers = self._buffers.get(batch_size)
        if buffers is None:
            buffers = self._buffers[batch_size] = _Buffers(self._hidden, x_RBF, self._function is _FUNCTIONS["relu"])
        inputs = [x_RBF, *buffers.outputs]
        for (weight, bias), input_RBI, pre, out in zip(
            self._hidden, inputs, buffers.pres, buffers.outputs, strict=False
        ):
            torch.baddbmm(bias, input_RBI, weight, out=pre)
            self._function.forward(pre, out)
        weight, bias = self._last
        log_share_RCB = torch.baddbmm(bias, weight, inputs[-1].mT).log_softmax(1)
        total_R1.sub_(log_share_RCB.gather(1, label_R1B).sum(2))
        # Of the mean cross-entropy: (softmax - one for the true class) / B.
        gradient_RCB = log_share_RCB.exp_().scatter_add_(1, label_R1B, buffers.minus_one_R1B).div_(batch_size)
        _products(weight, bias, gradient_RCB, inputs[-1], gradient_RCB, 2)
        gradient = torch.bmm(gradient_RCB.mT, weight, out=buffers.gradients[-1])
        for number in reversed(range(len(self._hidden))):
            weight, bias = self._hidden[number]
            self._function.backward(gradient, buffers.pres[number], buffers.outputs[number])
            _products(weight, bias, inputs[number].mT, gradient, gradient, 1)
            if number:
                gradient = torch.bmm(gradient, weight.mT, out=buffers.gradients[number - 1])
        self._optimizer.step()


class _Buffers:
    """Memory for training steps with one batch size: each hidden layer's values (R, B, H) before and after activation.

    `alike`: both may share memory, because the gradient needs only the values after the activation.
    """

    def __init__(self, hidden: Sequence[tuple[nn.Parameter, nn.Parameter]], x_RBF: Tensor, alike: bool) -> None:
        n_networks, batch_size, _ = x_RBF.shape
        shapes = [(n_networks, batch_size, weight.shape[2]) for weight, _ in hidden]
        self.pres = [x_RBF.new_empty(shape) for shape in shapes]
        self.outputs = self.pres if alike else [x_RBF.new_empty(shape) for shape in shapes]
        self.gradients = [x_RBF.new_empty(shape) for shape in shapes]
        self.minus_one_R1B = x_RBF.new_full((n_networks, 1, batch_size), -1)


def _products(
    weight: nn.Parameter, bias: nn.Parameter, left: Tensor, right: Tensor, gradient: Tensor, rows: int
) -> None:
    """Write the gradients of a layer: the product for its weight, the sum over the axis of `rows` for its bias."""
    torch.bmm(left, right, out=weight.grad)
    torch.sum(gradient, rows, keepdim=True, out=bias.grad)


def _parameter(value: Tensor, device: torch.device) -> nn.Parameter:
    return nn.Parameter(value.contiguous().to(device), requires_grad=False)


def _batches(x_NF: Tensor, label_N: Tensor, order_RN: Tensor, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Groups of G batches, (G, R, B, F) and (G, R, 1, B): as many as may be gathered at once, the smaller rest last."""
    n_networks, n_rows = order_RN.shape
    n_features = x_NF.shape[1]
    whole = n_rows // batch_size * batch_size
    group = max(1, min(GATHER_BATCHES, GATHER_VALUES // (n_networks * batch_size * n_features)))
    starts = [*range(0, whole, group * batch_size), whole]
    pieces = [(start, stop, batch_size) for start, stop in itertools.pairwise(starts)]
    if whole < n_rows:
        pieces.append((whole, n_rows, n_rows - whole))
    for start, stop, size in pieces:
        index_GRB = order_RN[:, start:stop].unflatten(1, (-1, size)).transpose(0, 1)
        chosen = index_GRB.reshape(-1)
        x_GRBF = x_NF.index_select(0, chosen).view(*index_GRB.shape, n_features)
        yield x_GRBF, label_N.index_select(0, chosen).view(index_GRB.shape).unsqueeze(2)


def accuracies(models: Sequence[Model], test: Part, device: str = "cpu") -> NDArray[np.float64]:
    """The share of `test`'s rows that each of the models labels right, in float32: float64 (R,).

    Args:
        models: R of one architecture.
        test: encoded features and labels, one row or more.
        device: `cpu`, `cuda` or `mps`.
    """
    architecture = models[0].architecture
    size = stack_size(architecture, 1, 1)
    counts = [_count_right(models[start : start + size], test, device) for start in range(0, len(models), size)]
    return np.concatenate(counts) / test.n_rows


def _count_right(models: Sequence[Model], test: Part, device: str) -> NDArray[np.int64]:
    """Count the rows (R,), int64, that each model labels right; of equal logits the first one is the label."""
    architecture = models[0].architecture
    function = _FUNCTIONS[architecture.activation]
    layers = [
        (
            torch.from_numpy(np.stack([layer.weight_OI for layer in layer_R])).to(device),
            torch.from_numpy(np.stack([layer.bias_O[:, None] for layer in layer_R])).to(device),
        )
        for layer_R in zip(*(model.layers for model in models), strict=True)
    ]
    right_R = torch.zeros(len(models), dtype=torch.int64, device=device)
    step = max(1, SCORE_VALUES // (len(models) * max(architecture.widths)))
    for start in range(0, test.n_rows, step):
        rows = slice(start, start + step)
        block_FB = torch.from_numpy(np.ascontiguousarray(test.x_FN[:, rows])).to(device)
        out = block_FB.expand(len(models), -1, -1)
        for number, (weight_ROI, bias_RO1) in enumerate(layers):
            if number:
                function.forward(out, out)
            out = torch.baddbmm(bias_RO1, weight_ROI, out)
        label_B = torch.from_numpy(np.ascontiguousarray(test.label_N[rows])).to(device)
        right_R += (out.max(1).indices == label_B).sum(1)
    return right_R.cpu().numpy()

"""A stack of networks of one architecture that are trained at once: matrix products over all of them.

A step of one small network is mostly the overhead of its operations; a stack of R networks has the same operations,
each on R times as much. Forward and backward are written out, because a step knows its buffers beforehand: nothing is
allocated, and nothing is recorded.
"""

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from vecml.config import Activation
from vecml.model.adam import Adam
from vecml.model.module import linears
from vecml.progress import Advance

GATHER_BATCHES = 64  # batches gathered at once, as for a single network
GATHER_VALUES = 4 << 20  # and values: 16 MiB, however many networks there are
SCORE_VALUES = 1 << 20  # of the widest layer of all networks in a block of rows that are scored: 4 MiB

_aten = torch.ops.aten


@dataclass(frozen=True)
class Function:
    """An activation on buffers of one shape.

    Attributes:
        forward: (pre, out): out becomes the activation of pre.
        backward: (gradient, pre, out): gradient, so far that of out, becomes that of pre.
    """

    forward: Callable[[Tensor, Tensor], object]
    backward: Callable[[Tensor, Tensor, Tensor], object]


FUNCTIONS: dict[Activation, Function] = {
    "relu": Function(
        lambda pre, out: torch.clamp_min(pre, 0, out=out),
        lambda gradient, _, out: _aten.threshold_backward.grad_input(gradient, out, 0, grad_input=gradient),
    ),
    "gelu": Function(
        lambda pre, out: _aten.gelu.out(pre, out=out),
        lambda gradient, pre, _: _aten.gelu_backward.grad_input(gradient, pre, grad_input=gradient),
    ),
    "tanh": Function(
        lambda pre, out: torch.tanh(pre, out=out),
        lambda gradient, _, out: _aten.tanh_backward.grad_input(gradient, out, grad_input=gradient),
    ),
    "sigmoid": Function(
        lambda pre, out: torch.sigmoid(pre, out=out),
        lambda gradient, _, out: _aten.sigmoid_backward.grad_input(gradient, out, grad_input=gradient),
    ),
}


class Stack:
    """R networks as one: weights (R, I, O) and biases (R, 1, O), but of the last layer (R, C, I) and (R, C, 1).

    So the longer side of most matrices is the contiguous one, and the softmax goes over whole vectors: for 16 networks
    of 10-32-2 the first layer's gradient takes 50 µs instead of 250, and the softmax 13 instead of 163.

    Args:
        modules: R of one architecture, with their initial weights.
        activation: theirs.
        learning_rate, weight_decay: Adam's; a tensor (R,) gives each network its own. Biases do not decay.
        weight_C: what a row of each class counts in the loss, float32 on the device; None: 1.
        device: where to train.
    """

    def __init__(
        self,
        modules: Sequence[nn.Sequential],
        activation: Activation,
        learning_rate: float | Tensor,
        weight_decay: float | Tensor,
        weight_C: Tensor | None,
        device: torch.device,
    ) -> None:
        *hidden, last = zip(*map(linears, modules), strict=True)
        self._function = FUNCTIONS[activation]
        self._weight_C = weight_C
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
        self._optimizer = Adam(
            [parameter for pair in pairs for parameter in pair],
            learning_rate,
            weight_decay=weight_decay,
            decayed=[True, False] * len(pairs),
        )
        self._buffers: dict[int, _Buffers] = {}
        self._kept_P = self._optimizer.value_P

    def epoch(self, x_NF: Tensor, label_N: Tensor, order_RN: Tensor, batch_size: int, advance: Advance) -> list[float]:
        """Train on rows in an order of its own for each network; return each network's mean loss per row, in nats.

        Args:
            x_NF: float32 (N, F), on the device of the stack.
            label_N: int64.
            order_RN: int64 (R, any), the rows that each network goes through.
            batch_size: rows a step; the last one may have fewer.
            advance: is told rows, those of every network.
        """
        n_networks, n_rows = order_RN.shape
        total_R1 = torch.zeros((n_networks, 1), dtype=_wide(x_NF.device), device=x_NF.device)
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

    def losses(self, x_NF: Tensor, label_N: Tensor, rows_RV: Tensor, counts_RV: Tensor) -> list[float]:
        """Compute each network's mean loss over rows of its own, as they would be in training.

        Args:
            x_NF, label_N: all rows.
            rows_RV: int64, which of them each network is asked for; V >= 1.
            counts_RV: float32, 1 where a row counts and 0 where it only fills up.
        """
        n_networks, n_asked = rows_RV.shape
        widest = max(x_NF.shape[1], *(weight.shape[2] for weight, _ in self._hidden), self._last[0].shape[1])
        step = max(1, SCORE_VALUES // (n_networks * widest))
        total_R = torch.zeros(n_networks, dtype=_wide(x_NF.device), device=x_NF.device)
        for start in range(0, n_asked, step):
            chosen_RB = rows_RV[:, start : start + step]
            label_R1B = label_N[chosen_RB].unsqueeze(1)
            log_share_RCB = self._logits(x_NF[chosen_RB]).log_softmax(1)
            loss_RB = -log_share_RCB.gather(1, label_R1B)[:, 0]
            if self._weight_C is not None:
                loss_RB *= self._weight_C[label_R1B[:, 0]]
            total_R += (loss_RB * counts_RV[:, start : start + step]).sum(1)
        means: list[float] = (total_R / counts_RV.sum(1)).tolist()
        return means

    def keep(self) -> None:
        """Remember the weights as they are now."""
        self._kept_P = self._optimizer.value_P.clone()

    def take_back(self) -> None:
        """Take the weights that were kept last."""
        self._optimizer.value_P.copy_(self._kept_P)

    def _logits(self, x_RBF: Tensor) -> Tensor:
        """The logits (R, C, B), without the buffers of a training step."""
        out = x_RBF
        for weight, bias in self._hidden:
            out = torch.baddbmm(bias, out, weight)
            self._function.forward(out, out)
        weight, bias = self._last
        return torch.baddbmm(bias, weight, out.mT)

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
            buffers = self._buffers[batch_size] = _Buffers(self._hidden, x_RBF, self._function is FUNCTIONS["relu"])
        inputs = [x_RBF, *buffers.outputs]
        for (weight, bias), input_RBI, pre, out in zip(
            self._hidden, inputs, buffers.pres, buffers.outputs, strict=False
        ):
            torch.baddbmm(bias, input_RBI, weight, out=pre)
            self._function.forward(pre, out)
        weight, bias = self._last
        log_share_RCB = torch.baddbmm(bias, weight, inputs[-1].mT).log_softmax(1)
        true_R1B = log_share_RCB.gather(1, label_R1B)
        weight_R1B = None if self._weight_C is None else self._weight_C[label_R1B]
        total_R1.sub_((true_R1B if weight_R1B is None else true_R1B * weight_R1B).sum(2))
        # Of the mean cross-entropy: (softmax - one for the true class) / B.
        gradient_RCB = log_share_RCB.exp_().scatter_add_(1, label_R1B, buffers.minus_one_R1B).div_(batch_size)
        if weight_R1B is not None:
            gradient_RCB.mul_(weight_R1B)
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


def _wide(device: torch.device) -> torch.dtype:
    """The dtype that sums are kept in."""
    return torch.float64 if device.type != "mps" else torch.float32


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

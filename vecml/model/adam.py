"""Adam over the parameters as flat vectors: a handful of operations a step, however many layers there are.

torch.optim would do as well once it runs, but its first step imports torch's compiler, which takes most of a second:
ten times what training the notebook's job takes.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class Adam:
    """The optimiser of Kingma and Ba, "Adam: A method for stochastic optimization", ICLR 2015, algorithm 1.

    Weight decay is decoupled from the gradient: Loshchilov and Hutter, "Decoupled weight decay regularization", ICLR
    2019, algorithm 2.

    The parameters' data is moved into one flat tensor of their dtype, and their gradients into another, both (P,): a
    step works on those. Their shapes and what the module computes stay the same.

    Args:
        parameters: float tensors on one device, of one dtype.
        learning_rate: the step size; a tensor (R,) where the first axis of every parameter counts R networks, each of
            which has a rate of its own.
        betas: decay of the first and the second moment.
        epsilon: added to the root of the second moment.
        weight_decay: a step of size s takes s times as much of a parameter away; a tensor (R,) as for the rate.
        decayed: which of the parameters decay; None: all of them.
    """

    def __init__(
        self,
        parameters: Sequence[nn.Parameter],
        learning_rate: float | Tensor,
        betas: tuple[float, float] = (0.9, 0.999),
        epsilon: float = 1e-8,
        weight_decay: float | Tensor = 0.0,
        decayed: Sequence[bool] | None = None,
    ) -> None:
        self.value_P = torch.cat([parameter.detach().reshape(-1) for parameter in parameters])
        self.gradient_P = torch.zeros_like(self.value_P)
        self._mean_P = torch.zeros_like(self.value_P)
        self._square_P = torch.zeros_like(self.value_P)
        self._learning_rate = _spread(learning_rate, parameters) if isinstance(learning_rate, Tensor) else learning_rate
        self._keep_P: Tensor | None = None
        if isinstance(weight_decay, Tensor) or weight_decay:
            which = [True] * len(parameters) if decayed is None else decayed
            factor = weight_decay * learning_rate
            shares = [
                torch.ones_like(one) if mark else torch.zeros_like(one)
                for one, mark in zip(parameters, which, strict=True)
            ]
            decay_P = _spread(factor, parameters) if isinstance(factor, Tensor) else factor
            self._keep_P = 1 - decay_P * torch.cat([share.reshape(-1) for share in shares])
        self._betas = betas
        self._epsilon = epsilon
        self._steps = 0
        start = 0
        for parameter in parameters:
            part = slice(start, start + parameter.numel())
            parameter.data = self.value_P[part].view_as(parameter)
            parameter.grad = self.gradient_P[part].view_as(parameter)
            start = part.stop

    def step(self) -> None:
        """Move the parameters by what the gradients say."""
        first, second = self._betas
        self._steps += 1
        self._mean_P.lerp_(self.gradient_P, 1 - first)
        self._square_P.mul_(second).addcmul_(self.gradient_P, self.gradient_P, value=1 - second)
        root_P: Tensor = self._square_P.sqrt().div_((1 - second**self._steps) ** 0.5).add_(self._epsilon)
        if self._keep_P is not None:
            self.value_P.mul_(self._keep_P)
        rate, correction = self._learning_rate, 1 - first**self._steps
        if isinstance(rate, Tensor):
            self.value_P.addcmul_(torch.div(self._mean_P, root_P, out=root_P), rate, value=-1 / correction)
        else:
            self.value_P.addcdiv_(self._mean_P, root_P, value=-rate / correction)


def _spread(value_R: Tensor, parameters: Sequence[nn.Parameter]) -> Tensor:
    """The value of each network (R,) at every one of its parameters' places in the flat tensor: (P,)."""
    first = parameters[0]
    value_R = value_R.to(device=first.device, dtype=first.dtype)
    return torch.cat([value_R.repeat_interleave(one.numel() // len(value_R)) for one in parameters])

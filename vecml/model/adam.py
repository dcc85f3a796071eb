"""Adam over the parameters as flat vectors: a handful of operations a step, however many layers there are.

torch.optim would do as well once it runs, but its first step imports torch's compiler, which takes most of a second:
ten times what training the notebook's job takes.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class Adam:
    """The optimiser of Kingma and Ba, "Adam: A method for stochastic optimization", ICLR 2015, algorithm 1.

    The parameters' data is moved into one flat tensor of their dtype, and their gradients into another, both (P,): a
    step works on those. Their shapes and what the module computes stay the same.

    Args:
        parameters: float tensors on one device, of one dtype.
        learning_rate: the step size.
        betas: decay of the first and the second moment.
        epsilon: added to the root of the second moment.
    """

    def __init__(
        self,
        parameters: Sequence[nn.Parameter],
        learning_rate: float,
        betas: tuple[float, float] = (0.9, 0.999),
        epsilon: float = 1e-8,
    ) -> None:
        self.value_P = torch.cat([parameter.detach().reshape(-1) for parameter in parameters])
        self.gradient_P = torch.zeros_like(self.value_P)
        self._mean_P = torch.zeros_like(self.value_P)
        self._square_P = torch.zeros_like(self.value_P)
        self._learning_rate = learning_rate
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
        self.value_P.addcdiv_(self._mean_P, root_P, value=-self._learning_rate / (1 - first**self._steps))

"""Our Adam against torch's."""

import copy

import pytest
import torch
from torch import nn

from vecml.model.adam import Adam


@pytest.mark.parametrize("learning_rate", [1e-3, 0.1])
def test_it_takes_the_steps_of_torchs_adam(learning_rate: float) -> None:
    torch.manual_seed(0)
    ours = nn.Sequential(nn.Linear(7, 5), nn.Tanh(), nn.Linear(5, 3)).double()
    theirs = copy.deepcopy(ours)
    adam = Adam(list(ours.parameters()), learning_rate)
    torchs = torch.optim.Adam(theirs.parameters(), lr=learning_rate)
    for _ in range(50):
        x = torch.randn(11, 7, dtype=torch.float64)
        adam.gradient_P.zero_()
        ours(x).square().sum().backward()
        adam.step()
        torchs.zero_grad()
        theirs(x).square().sum().backward()
        torchs.step()
    for one, two in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(one, two, rtol=1e-10, atol=1e-12)


def test_the_modules_parameters_are_views_of_the_flat_one() -> None:
    module = nn.Linear(2, 3)
    before = module.weight.detach().clone()
    adam = Adam(list(module.parameters()), 0.1)
    torch.testing.assert_close(module.weight.detach(), before, rtol=0, atol=0)
    adam.value_P.zero_()
    assert not module.weight.any()

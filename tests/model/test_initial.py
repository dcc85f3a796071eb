"""The weights that a network begins with are the seed's, also where other threads draw theirs meanwhile."""

from concurrent.futures import ThreadPoolExecutor

import torch

from vecml.model.initial import seeded_module
from vecml.model.module import linears
from vecml.model.network import Architecture

SHAPE = Architecture(20, (64, 64), 3, "relu")


def first(seed: int) -> torch.Tensor:
    return linears(seeded_module(SHAPE, seed))[0].weight.detach().clone()


def test_threads_draw_the_same_weights() -> None:
    alone = [first(seed) for seed in range(4)]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(first, [seed for seed in range(4) for _ in range(50)]))
    for place, weight in enumerate(together):
        assert torch.equal(weight, alone[place // 50])

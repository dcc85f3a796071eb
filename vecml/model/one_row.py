"""Batch normalisation takes a spread from the rows of a batch, and has none to take from a batch of one row."""

import copy

import torch
from torch import nn

ONE_ROW = "more than 1 value per channel"  # in what torch says of a batch of one row


def needs_two_rows(module: nn.Module, x_1F: torch.Tensor) -> bool:
    """Whether the module, as it is now (in training, say), refuses one row, because a row alone has no spread.

    `x_1F` is that row, of shape (1, features) and the module's dtype. A copy is asked, because layers for it and
    `torch.nn.functional.batch_norm` in a `forward` change running means; the generators of random numbers are left as
    they were.
    """
    with torch.random.fork_rng(devices=[x_1F.device] if x_1F.is_cuda else []), torch.no_grad():
        try:
            copy.deepcopy(module)(x_1F)
        except Exception as error:  # noqa: BLE001 -- of the user's code; what else it raises comes again in training
            return ONE_ROW in str(error)
    return False

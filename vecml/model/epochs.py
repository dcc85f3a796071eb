"""Steps of a module over rows in a given order, by torch's own differentiation."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from vecml.model.adam import Adam
from vecml.model.prepared import Prepared

GATHER_BATCHES = 64  # batches gathered at once: the index costs one call for many steps, the copy stays small


def epoch(
    module: nn.Module,
    optimizer: Adam,
    data: Prepared,
    order_N: Tensor,
    batch_size: int,
    advance: Callable[[float], None] = lambda _: None,
) -> float:
    """Train on the rows in the order of order_N, int64; return the mean loss per row, in nats.

    Args:
        module: on the device of the data.
        optimizer: over its parameters.
        data: the training part.
        order_N: which rows, in which order.
        batch_size: rows a step; the last one may have fewer.
        advance: is told rows.
    """
    wide = torch.float64 if data.x_NF.device.type != "mps" else torch.float32
    total = torch.zeros((), dtype=wide, device=data.x_NF.device)
    stride = GATHER_BATCHES * batch_size
    for start in range(0, len(order_N), stride):
        chosen = order_N[start : start + stride]
        x_group, label_group = data.x_NF.index_select(0, chosen), data.label_N.index_select(0, chosen)
        for x_BF, label_B in zip(x_group.split(batch_size), label_group.split(batch_size), strict=True):
            loss = mean_loss(module(x_BF), label_B, data.weight_C)
            optimizer.gradient_P.zero_()  # backward adds to them in place
            loss.backward()
            optimizer.step()
            total += loss.detach() * len(label_B)
        advance(len(chosen))
    return float(total) / len(order_N)


def mean_loss(logits_BC: Tensor, label_B: Tensor, weight_C: Tensor | None) -> Tensor:
    """Compute the mean cross-entropy of B rows, each counted with its class's weight, and divided by B.

    So a batch without a rare class does not count the others for more than they are.

    Args:
        logits_BC: float (B, C).
        label_B: int64.
        weight_C: float32, what a row of each class counts; None: 1.
    """
    if weight_C is None:
        return nn.functional.cross_entropy(logits_BC, label_B)
    return nn.functional.cross_entropy(logits_BC, label_B, weight_C, reduction="sum") / len(label_B)

"""Several networks of one architecture trained at once for a number of epochs, and their accuracies."""

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from vecml.data.split import Part
from vecml.model.held_out import shuffled
from vecml.model.network import Architecture, Model
from vecml.model.prepared import Prepared
from vecml.model.recipe import LAST_STEP, Recipe, diverged
from vecml.model.stack import FUNCTIONS, SCORE_VALUES, Stack
from vecml.progress import Advance

STACK_BYTES = 1 << 30  # what a stack may take: its weights with Adam's moments, its buffers, its orders of the rows


def stack_size(architecture: Architecture, n_rows: int, batch_size: int) -> int:
    """Compute how many networks to train at once, at least one, so that they need about `STACK_BYTES` together."""
    widths = architecture.widths
    weights = architecture.multiply_adds + sum(widths[1:])
    batch_values = min(batch_size, n_rows) * (widths[0] + 3 * sum(widths[1:]))
    return max(1, STACK_BYTES // (5 * 4 * weights + 4 * batch_values + 8 * n_rows))


def train_stack(
    stack: Stack,
    modules: Sequence[nn.Sequential],
    seeds: Sequence[int],
    data: Prepared,
    recipe: Recipe,
    advance: Advance,
) -> list[tuple[float, ...]]:
    """Train `modules` at once and in place, each as it would be alone, to rounding: its seed shuffles its rows.

    Args:
        stack: of the modules.
        modules: R of one architecture.
        seeds: of their shuffles, one each.
        data: the training part, on the device to train on.
        recipe: with a number of epochs.
        advance: is told rows, those of every module.

    Returns:
        Of each module the mean cross-entropy of each epoch, in nats.

    Raises TrainingError, naming the seed, when the loss or a weight of a module stops being a finite number.
    """
    x_NF = data.x_NF
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    losses: list[list[float]] = []
    for epoch in range(recipe.epochs or 0):
        orders = [torch.cat(list(shuffled(len(x_NF), generator, data.window))) for generator in generators]
        order_RN = torch.stack(orders).to(x_NF.device)
        loss_R = stack.epoch(x_NF, data.label_N, order_RN, recipe.batch_size, advance)
        data.forget()
        for seed, loss in zip(seeds, loss_R, strict=True):
            if not math.isfinite(loss):
                raise diverged(f" with seed {seed}", f"the loss of epoch {epoch + 1} is {loss}", recipe)
        losses.append(loss_R)
    finite_R = stack.finite()
    if not all(finite_R):  # the last step comes after the last loss
        raise diverged(f" with seed {seeds[finite_R.index(False)]}", LAST_STEP, recipe)
    stack.write_back(modules)
    return list(zip(*losses, strict=True))


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
    function = FUNCTIONS[architecture.activation]
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

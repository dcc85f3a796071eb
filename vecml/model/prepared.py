"""The training part as tensors on the device that trains, made once for all networks."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from vecml.data.split import Split
from vecml.model.recipe import Recipe, class_weights
from vecml.model.standard import standardisation, standardised_rows

WINDOW_BYTES = 1 << 28  # of rows on the disk that are shuffled together
FEWEST_ROWS = 1 << 12


@dataclass(frozen=True)
class Prepared:
    """The training part as it is trained on.

    Attributes:
        x_NF: float32 (N, F), standardised, on the device.
        label_N: int64, there too.
        weight_C: what a row of each class counts in the loss, float32, there too; None: 1.
        statistics: mean and scale of each feature, float64 (F,).
        split: where it comes from.
        window: rows that are shuffled together, because the rows lie on the disk; None: all of them.
    """

    x_NF: torch.Tensor
    label_N: torch.Tensor
    weight_C: torch.Tensor | None
    statistics: tuple[NDArray[np.float64], NDArray[np.float64]]
    split: Split
    window: int | None = None

    def forget(self) -> None:
        """Give the memory back that rows take which lie on the disk."""
        if self.split.disk is not None:
            self.split.disk.forget()


def prepare(split: Split, recipe: Recipe, device: str) -> Prepared:
    """Standardise the training part of `split` and bring it to `device`, with the class weights of `recipe`."""
    part = split.train
    statistics = standardisation(part.x_FN)
    weight_C = class_weights(part.label_N, len(split.classes), recipe.class_weight)
    x_NF = standardised_rows(part, *statistics, split.disk)
    window = max(FEWEST_ROWS, WINDOW_BYTES // (4 * x_NF.shape[1]))
    return Prepared(
        x_NF.to(device),
        torch.from_numpy(part.label_N).to(device),
        None if weight_C is None else torch.from_numpy(weight_C).to(device),
        statistics,
        split,
        window if split.disk is not None and device == "cpu" else None,
    )

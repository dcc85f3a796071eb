"""What of standardisation goes into the training and comes out of it again, in the first layer of the network."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from vecml.data.disk import Disk
from vecml.data.remedy import flags
from vecml.data.split import Part, Split
from vecml.errors import TrainingError
from vecml.model.module import linears
from vecml.model.network import Layer, layer_from

STANDARDISE_ROWS = 65_536


def standardisation(x_FN: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and standard deviation of every feature of x_FN (F, N), both float64 (F,), computed in float64.

    A feature without spread gets scale 1, as in scikit-learn's StandardScaler.
    """
    mean_F = np.empty(len(x_FN))
    scale_F = np.empty(len(x_FN))
    for index, row_N in enumerate(x_FN):  # one feature at a time: no float64 copy of the whole table
        wide_N = row_N.astype(np.float64)
        mean_F[index] = wide_N.mean()
        scale_F[index] = wide_N.std()
    tiny_F = np.finfo(np.float64).eps * np.abs(mean_F)
    scale_F[scale_F <= tiny_F] = 1.0
    return mean_F, scale_F


def standardised_rows(
    part: Part, mean_F: NDArray[np.float64], scale_F: NDArray[np.float64], disk: Disk | None = None
) -> torch.Tensor:
    """The training features as (N, F) float32, zero mean and unit spread, made in blocks.

    Args:
        part: the training part.
        mean_F, scale_F: float64, what is subtracted, and what is divided by.
        disk: where they are put; None: in memory.
    """
    shape = (part.n_rows, len(part.x_FN))
    rows = torch.empty(shape) if disk is None else torch.from_numpy(disk.empty(shape, np.float32))
    target_NF = rows.numpy()
    for start in range(0, part.n_rows, STANDARDISE_ROWS):
        block_FB = part.x_FN[:, start : start + STANDARDISE_ROWS]
        target_NF[start : start + STANDARDISE_ROWS] = ((block_FB - mean_F[:, None]) / scale_F[:, None]).T
        if disk is not None and not start % (64 * STANDARDISE_ROWS):
            disk.forget()
    return rows


def folded_layers(
    module: nn.Sequential, mean_F: NDArray[np.float64], scale_F: NDArray[np.float64]
) -> tuple[Layer, ...]:
    """The module's layers, the first for unstandardised features: W (x - m) / s + b = (W / s) x + (b - (W / s) m).

    Args:
        module: trained on standardised features.
        mean_F, scale_F: float64, what they were standardised with.
    """
    arrays = [
        (linear.weight.detach().double().cpu().numpy(), linear.bias.detach().double().cpu().numpy())
        for linear in linears(module)
    ]
    weight_HF = arrays[0][0] / scale_F
    arrays[0] = (weight_HF, arrays[0][1] - weight_HF @ mean_F)
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, and is looked for afterwards
        return tuple(layer_from(weight, bias) for weight, bias in arrays)


def check_folded(first: Layer, scale_F: NDArray[np.float64], split: Split) -> None:
    """Raise TrainingError, naming the feature, when the first layer took more than float32 can hold from folding."""
    finite_F = np.isfinite(first.weight_OI).all(axis=0)
    if finite_F.all() and np.isfinite(first.bias_O).all():
        return
    # Where it is a bias alone, the feature of the largest weights has the largest part in it.
    index = int(finite_F.argmin()) if not finite_F.all() else int(np.abs(first.weight_OI).max(axis=0).argmax())
    name = split.encoding.feature_names[index]
    column = next(column.name for column in split.encoding.columns if name in column.feature_names)
    raise TrainingError(
        f"feature {name!r} varies too little for float32: its standard deviation is {scale_F[index]:.3g}",
        f"multiply the column by a large number, or leave it out with {flags({'drop': (column,)})}",
    )

"""Training: Adam over slices of a shuffled tensor on the device. No loader, no worker processes, no copy per row.

The features are standardised with the training part's figures, and those are folded into the first layer at the end,
so that the model takes the encoded table as it is and standardisation costs nothing at inference.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from vecml import progress
from vecml.config import TrainingConfig
from vecml.data.selection import drop_flag
from vecml.data.split import Part, Split
from vecml.errors import TrainingError, VecmlError, one_line
from vecml.model.adam import Adam
from vecml.model.module import linears, new_module
from vecml.model.network import AnyModel, Architecture, Layer, Model, layer_from
from vecml.model.replicas import stack_size, train_stack

GATHER_BATCHES = 64  # batches gathered at once: the index costs one call for many steps, the copy stays small
STANDARDISE_ROWS = 65_536
# A step of fewer multiply-adds is slower with two threads than with one: what they save is less than what meeting costs
# (0.05 million: 184 against 240 µs; 14 million: 1.18 against 1.16 ms; 52 million: 3.5 against 2.9 ms).
SERIAL_MULTIPLY_ADDS = 20_000_000


@dataclass(frozen=True)
class Training:
    """The result of the training.

    Attributes:
        model: the trained classifier, standardisation folded in, or part of it.
        losses: mean cross-entropy of each epoch, in nats; none where the weights were given.
        device: where it ran.
        replicas: where several networks were trained, all of them in the order of their seeds, `model` first.
    """

    model: AnyModel
    losses: tuple[float, ...] = field(repr=False)
    device: str
    replicas: tuple[Model, ...] = field(default=(), repr=False)


def train(split: Split, config: TrainingConfig, device: str = "cpu", replicas: int = 1) -> Training:
    """Train the network that `config` describes on `split.train`.

    The same seed gives the same weights on a CPU with the same number of threads. The global torch generator is left
    as it was.

    Args:
        split: encoded parts; x_FN float32 (F, N), labels int64.
        config: hidden and activation, or architecture; weights, or epochs, batch_size, learning_rate and seed.
        device: `cpu`, `cuda` or `mps`.
        replicas: networks of vecml's own kind that are trained at once, from the seeds `config.seed`, + 1, ...

    Raises SettingError for an architecture that is none, ModelError for weights that do not fit, and
    TrainingError when the loss or a weight stops being a finite number, and when a feature varies too little for
    its weights to stay finite once standardisation is folded into them.
    """
    if config.weights is not None:
        from vecml.model.given_weights import given_model  # noqa: PLC0415 -- only whoever has weights needs it

        return Training(given_model(split, config), (), device)
    if config.architecture is not None:
        return _train_own(split, config, config.architecture, device)
    if replicas > 1:
        return _train_replicas(split, config, device, replicas)
    part = split.train
    architecture = Architecture(len(part.x_FN), config.hidden, len(split.classes), config.activation)
    mean_F, scale_F = standardisation(part.x_FN)
    module = _seeded_module(architecture, config.seed).to(device)
    losses = _fit(module, part, (mean_F, scale_F), config, architecture.multiply_adds)
    layers = _folded_layers(module, mean_F, scale_F)
    _check_folded(layers[0], scale_F, split)
    model = Model(architecture, layers, split.classes)
    return Training(model, losses, device)


def _train_replicas(split: Split, config: TrainingConfig, device: str, replicas: int) -> Training:
    """Train `replicas` networks; replica r is equal, up to rounding, to a single network with the seed + r."""
    part = split.train
    architecture = Architecture(len(part.x_FN), config.hidden, len(split.classes), config.activation)
    mean_F, scale_F = standardisation(part.x_FN)
    x_NF = _standardised_rows(part, mean_F, scale_F).to(device)
    label_N = torch.from_numpy(part.label_N).to(device)
    at_once = min(replicas, stack_size(architecture, part.n_rows, config.batch_size))
    steps_work = min(config.batch_size, part.n_rows) * architecture.multiply_adds * at_once
    models: list[Model] = []
    losses: list[tuple[float, ...]] = []
    with (
        _threads(1 if steps_work < SERIAL_MULTIPLY_ADDS else None),
        progress.stage("training", config.epochs * part.n_rows * replicas) as advance,
    ):
        for first in range(0, replicas, at_once):
            seeds = range(config.seed + first, config.seed + min(first + at_once, replicas))
            modules = [_seeded_module(architecture, seed) for seed in seeds]
            losses += train_stack(modules, seeds, x_NF, label_N, config, advance)
            for module in modules:
                layers = _folded_layers(module, mean_F, scale_F)
                _check_folded(layers[0], scale_F, split)
                models.append(Model(architecture, layers, split.classes))
    return Training(models[0], losses[0], device, tuple(models))


def _seeded_module(architecture: Architecture, seed: int) -> nn.Sequential:
    """A fresh module on the CPU, with the initial weights that the seed draws."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return new_module(architecture)


def _train_own(split: Split, config: TrainingConfig, name: str, device: str) -> Training:
    """Train a module of the user's class `name`; its dropout draws from torch's generator, which is seeded here."""
    from vecml.model.module_checks import build  # noqa: PLC0415 -- only whoever has a class needs it
    from vecml.model.own_module import model_of  # noqa: PLC0415 -- only whoever has a class needs it

    part, n_features = split.train, len(split.train.x_FN)
    statistics = standardisation(part.x_FN)
    with torch.random.fork_rng(devices=range(torch.cuda.device_count()) if device == "cuda" else []):
        torch.manual_seed(config.seed)
        module = build(name, n_features, len(split.classes)).to(device)
        if not any(parameter.requires_grad for parameter in module.parameters()):
            raise TrainingError(
                f"--architecture {name}: it has no parameters to train", "give it layers that have some"
            )
        work = sum(parameter.numel() for parameter in module.parameters())  # at least that for most: it picks threads
        try:
            losses = _fit(module.train(), part, statistics, config, work)
        except VecmlError:
            raise
        except Exception as error:  # whatever the user's code raises
            raise TrainingError(f"--architecture {name}: training failed: {one_line(error, named=True)}") from error
    model = model_of(name, module, n_features, split.classes, statistics)
    return Training(model, losses, device)


def _fit(
    module: nn.Module,
    part: Part,
    statistics: tuple[NDArray[np.float64], NDArray[np.float64]],
    config: TrainingConfig,
    multiply_adds: int,
) -> tuple[float, ...]:
    """Train `module` where it lies on the rows of `part`; the loss of every epoch. Raises TrainingError."""
    parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]
    device = parameters[0].device
    x_NF = _standardised_rows(part, *statistics).to(device)
    label_N = torch.from_numpy(part.label_N).to(device)
    generator = torch.Generator().manual_seed(config.seed)
    optimizer = Adam(parameters, config.learning_rate)
    losses: list[float] = []
    steps_work = min(config.batch_size, part.n_rows) * multiply_adds
    normalises = any(isinstance(layer, nn.modules.batchnorm._BatchNorm) for layer in module.modules())
    with (
        _threads(1 if steps_work < SERIAL_MULTIPLY_ADDS else None),
        progress.stage("training", config.epochs * part.n_rows) as advance,
    ):
        for epoch in range(config.epochs):
            order_N = torch.randperm(part.n_rows, generator=generator).to(device)
            if normalises and part.n_rows > 1 and part.n_rows % config.batch_size == 1:
                order_N = order_N[:-1]  # batch normalisation has no spread to take from a lone row
            loss = _epoch(module, optimizer, x_NF, label_N, order_N, config.batch_size, advance)
            if not math.isfinite(loss):
                raise TrainingError(
                    f"training diverged: the loss of epoch {epoch + 1} is {loss}",
                    f"a smaller step size may help: --learning-rate {config.learning_rate / 10:g}",
                )
            losses.append(loss)
    if not bool(optimizer.value_P.isfinite().all()):  # the last step comes after the last loss
        raise TrainingError(
            "training diverged: its last step left weights that are not finite",
            f"a smaller step size may help: --learning-rate {config.learning_rate / 10:g}",
        )
    return tuple(losses)


@contextmanager
def _threads(count: int | None) -> Iterator[None]:
    """Let torch use `count` CPU threads during the block; None leaves their number as it is."""
    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


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


def _standardised_rows(part: Part, mean_F: NDArray[np.float64], scale_F: NDArray[np.float64]) -> torch.Tensor:
    """The training features as (N, F) float32, zero mean and unit spread, made in blocks."""
    rows = torch.empty((part.n_rows, len(part.x_FN)), dtype=torch.float32)
    target_NF = rows.numpy()
    for start in range(0, part.n_rows, STANDARDISE_ROWS):
        block_FB = part.x_FN[:, start : start + STANDARDISE_ROWS]
        target_NF[start : start + STANDARDISE_ROWS] = ((block_FB - mean_F[:, None]) / scale_F[:, None]).T
    return rows


def _epoch(
    module: nn.Module,
    optimizer: Adam,
    x_NF: torch.Tensor,
    label_N: torch.Tensor,
    order_N: torch.Tensor,
    batch_size: int,
    advance: "progress.Advance",
) -> float:
    """Train for one epoch on the rows in the order of order_N; return the mean loss per row."""
    total = torch.zeros((), dtype=torch.float64 if x_NF.device.type != "mps" else torch.float32, device=x_NF.device)
    stride = GATHER_BATCHES * batch_size
    for start in range(0, len(order_N), stride):
        chosen = order_N[start : start + stride]
        x_group, label_group = x_NF.index_select(0, chosen), label_N.index_select(0, chosen)
        for x_BF, label_B in zip(x_group.split(batch_size), label_group.split(batch_size), strict=True):
            loss = nn.functional.cross_entropy(module(x_BF), label_B)
            optimizer.gradient_P.zero_()  # backward adds to them in place
            loss.backward()
            optimizer.step()
            total += loss.detach() * len(label_B)
        advance(len(chosen))
    return float(total) / len(order_N)


def _folded_layers(
    module: nn.Sequential, mean_F: NDArray[np.float64], scale_F: NDArray[np.float64]
) -> tuple[Layer, ...]:
    """The module's layers, the first for unstandardised features: W (x - m) / s + b = (W / s) x + (b - (W / s) m)."""
    arrays = [
        (linear.weight.detach().double().cpu().numpy(), linear.bias.detach().double().cpu().numpy())
        for linear in linears(module)
    ]
    weight_HF = arrays[0][0] / scale_F
    arrays[0] = (weight_HF, arrays[0][1] - weight_HF @ mean_F)
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, and is looked for afterwards
        return tuple(layer_from(weight, bias) for weight, bias in arrays)


def _check_folded(first: Layer, scale_F: NDArray[np.float64], split: Split) -> None:
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
        f"multiply the column by a large number, or leave it out with {drop_flag(column)}",
    )

"""Training: Adam over slices of a shuffled tensor on the device. No loader, no worker processes, no copy per row.

The features are standardised with the training part's figures, and those are folded into the first layer at the end,
so that the model takes the encoded table as it is and standardisation costs nothing at inference.
"""

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import nn

from vecml import progress
from vecml.config import TrainingConfig
from vecml.data.remedy import command
from vecml.data.split import Split
from vecml.errors import TrainingError, VecmlError, one_line
from vecml.model.adam import Adam
from vecml.model.course import EQUAL_SHARE, Course, as_good
from vecml.model.epochs import epoch
from vecml.model.evaluate import UNBALANCED_SHARE
from vecml.model.held_out import HeldOut, judging_parts, shuffled
from vecml.model.initial import module_from_majority, seeded_module
from vecml.model.network import AnyModel, Architecture, Model
from vecml.model.one_row import ONE_ROW, needs_two_rows
from vecml.model.prepared import Prepared, prepare
from vecml.model.recipe import LAST_STEP, Recipe, Tried, diverged, make_recipe
from vecml.model.replicas import stack_size, train_stack
from vecml.model.stack import Stack
from vecml.model.standard import check_folded, folded_layers
from vecml.model.tune import tune
from vecml.model.until_done import ModuleLearner, StackLearner, train_until_done
from vecml.numbers import count, percent
from vecml.warnings import warn

# A step of fewer multiply-adds is slower with two threads than with one: what they save is less than what meeting costs
# (0.05 million: 184 against 240 µs; 14 million: 1.18 against 1.16 ms; 52 million: 3.5 against 2.9 ms).
SERIAL_MULTIPLY_ADDS = 20_000_000


@dataclass(frozen=True)
class Training:
    """The result of the training.

    Attributes:
        model: the trained classifier, standardisation folded in, or part of it.
        losses: mean cross-entropy of each epoch, in nats, or between the points of `course`; none where the weights
            were given.
        device: where it ran.
        replicas: where several networks were trained, all of them in the order of their seeds, `model` first.
        recipe: what it was made of; None where the weights were given.
        course: how it went, where held-out rows ended it; None where the number of epochs was given.
        tried: the settings that were tried before; empty where none was asked for.
    """

    model: AnyModel
    losses: tuple[float, ...] = field(repr=False)
    device: str
    replicas: tuple[Model, ...] = field(default=(), repr=False)
    recipe: Recipe | None = None
    course: Course | None = None
    tried: tuple[Tried, ...] = field(default=(), repr=False)


def train(split: Split, config: TrainingConfig, device: str = "cpu", replicas: int = 1) -> Training:
    """Train the network that `config` describes on `split.train`.

    The same seed gives the same weights on a CPU with the same number of threads. The global torch generator is left
    as it was.

    Args:
        split: encoded parts; x_FN float32 (F, N), labels int64.
        config: what it leaves open, `vecml.model.recipe.make_recipe` chooses.
        device: `cpu`, `cuda` or `mps`.
        replicas: networks of vecml's own kind that are trained at once, from the seeds `config.seed`, + 1, ...

    Raises SettingError for an architecture that is none, ModelError for weights that do not fit, and
    TrainingError when the loss or a weight stops being a finite number, and when a feature varies too little for
    its weights to stay finite once standardisation is folded into them.
    """
    if config.weights is not None:
        from vecml.model.given_weights import given_model  # noqa: PLC0415 -- only whoever has weights needs it

        return Training(given_model(split, config), (), device)
    _say_unbalanced(split, config)
    recipe = make_recipe(config, split.train.n_rows)
    data = prepare(split, recipe, device)
    tried: tuple[Tried, ...] = ()
    if config.tune:
        recipe, tried = tune(data, config, recipe)
    training = replace(_train(data, config, recipe, replicas), tried=tried)
    if training.course is not None:
        _say_bound(training.course, config, _chosen(config, recipe, training.recipe))
    return training


def _train(data: Prepared, config: TrainingConfig, recipe: Recipe, replicas: int) -> Training:
    split, device = data.split, data.x_NF.device.type
    if config.architecture is not None:
        return _train_own(data, config, recipe, config.architecture)
    shape = Architecture(len(split.train.x_FN), recipe.hidden, len(split.classes), config.activation)
    seeds = range(config.seed, config.seed + replicas)
    if recipe.epochs is None:
        return _train_held_out(data, shape, recipe, seeds)
    if replicas > 1:
        return _train_replicas(data, shape, recipe, seeds)
    module = seeded_module(shape, config.seed).to(device)
    losses = _fit(module, data, config.seed, recipe, shape.multiply_adds)
    return Training(_model(module, shape, data), losses, device, recipe=recipe)


def _say_unbalanced(split: Split, config: TrainingConfig) -> None:
    """Warn of a training part in which nearly all rows have the same class, and say what helps."""
    count_C = np.bincount(split.train.label_N, minlength=len(split.classes))
    share = float(count_C.max() / count_C.sum())
    if config.data is not None and share >= UNBALANCED_SHARE and config.class_weight == "none":
        warn(
            "VML023",
            f"{percent(share)} of the training rows are {split.classes[int(count_C.argmax())]!r}, so that accuracy says"
            f" little; rare classes count more with: {command(config, {'class_weight': 'balanced'})}",
        )


def _chosen(config: TrainingConfig, recipe: Recipe, trained: Recipe | None) -> dict[str, Any]:
    """The settings that held-out rows chose, in place of choosing: with other bounds they may choose others."""
    if not config.tune:
        decay = {"weight_decay": trained.weight_decay} if trained is not None and recipe.decays else {}
        return decay | ({"learning_rate": trained.learning_rate} if trained is not None and recipe.rates else {})
    chosen = {"hidden": recipe.hidden, "learning_rate": recipe.learning_rate, "weight_decay": recipe.weight_decay}
    return {"tune": None, **chosen}


def _say_bound(course: Course, config: TrainingConfig, chosen: Mapping[str, Any]) -> None:
    """Warn of a training that a bound ended before its time; a command has what was `chosen`."""
    if course.reason == "seconds":
        bounds = {"max_steps": max(1, course.steps), "max_seconds": 100 * config.max_seconds}
        again = command(config, {**chosen, **bounds})
        warn(
            "VML020",
            f"training ended after {count(course.steps, 'step')} because {config.max_seconds:g} s were over, and a"
            f" machine of another speed would end it elsewhere; this repeats it: {again}",
        )
    elif course.falling:
        longer = command(config, {**chosen, "max_steps": 4 * course.steps})
        warn(
            "VML021",
            f"training ended at its bound of {count(course.steps, 'step')} while the loss of held-out rows was still"
            f" falling; this gives it longer: {longer}",
        )


def _train_held_out(data: Prepared, shape: Architecture, recipe: Recipe, seeds: range) -> Training:
    """Train at the recipe's rate; where no step is better than the majority's answer, at its smaller ones too.

    Where a few features have very large values in few rows, as categories of one or two rows have, a step at the usual
    rate learns them by heart. The recipe of what comes out has that rate and decay, and a training that is given them
    makes the same weights. All of them together may take the recipe's max_seconds; where the clock ended one, `seconds`
    is the reason.
    """
    end = time.perf_counter() + recipe.max_seconds
    kept, course = _train_decays(data, shape, replace(recipe, rates=()), seeds, end)
    for rate in recipe.rates:
        if course.best_step or course.reason == "seconds":
            break
        smaller = replace(recipe, learning_rate=rate, rates=())
        training, other = _train_decays(data, shape, smaller, seeds, end)
        if other.best_loss < (1 - EQUAL_SHARE) * course.best_loss:
            kept, course = training, other
        if other.reason == "seconds":
            course = replace(course, reason="seconds")
    return replace(kept, course=course)


def _train_decays(
    data: Prepared, shape: Architecture, recipe: Recipe, seeds: range, end: float
) -> tuple[Training, Course]:
    """Train with each of the recipe's decays in turn, and keep a later one where its held-out loss is as good.

    `end` is when the time for it is over, by `time.perf_counter`.
    """
    first, *others = (
        replace(recipe, weight_decay=one, decays=(), max_seconds=end - time.perf_counter())
        for one in recipe.decays or (recipe.weight_decay,)
    )
    kept, course = _train_one_decay(data, shape, first, seeds)
    kept = replace(kept, recipe=replace(first, max_seconds=recipe.max_seconds))
    for given in others:
        if course.reason == "seconds":
            break
        left = replace(given, max_seconds=end - time.perf_counter())
        try:
            training, other = _train_one_decay(data, shape, left, seeds)
        except TrainingError:  # it diverged, where the first did not: it is not the one to choose
            continue
        if as_good(other, course):
            kept, course = replace(training, recipe=replace(given, max_seconds=recipe.max_seconds)), other
        if other.reason == "seconds":
            course = replace(course, reason="seconds")
    return kept, course


def _train_one_decay(data: Prepared, shape: Architecture, recipe: Recipe, seeds: range) -> tuple[Training, Course]:
    """Train a network for each of the seeds until rows that are held out, by the first seed, say that it is enough."""
    label_N, n_rows = data.split.train.label_N, data.split.train.n_rows
    parts = [part.on(data.split.disk) for part in judging_parts(label_N, recipe.folds, seeds[0])]
    if recipe.folds > 1:
        kept_part = HeldOut(np.arange(n_rows), np.empty(0, np.int64))
    else:
        kept_part, parts = parts[0], []
    at_once = max(1, stack_size(shape, n_rows, recipe.batch_size) - len(parts))
    models: list[Model] = []
    courses: list[Course] = []
    for first in range(0, len(seeds), at_once):
        group = seeds[first : first + at_once]
        all_seeds = [*(seeds[0] + number for number in range(len(parts))), *group]
        modules = [module_from_majority(shape, seed, data) for seed in all_seeds]
        stack = Stack(
            modules, shape.activation, recipe.learning_rate, recipe.weight_decay, data.weight_C, data.x_NF.device
        )
        rows = [*parts, *[kept_part] * len(group)]
        learner = StackLearner(stack, data, rows, all_seeds, recipe.batch_size, len(group))
        held_out_rows = n_rows if parts else len(kept_part.judged_N)
        with threads_for(learner.rows_a_step * shape.multiply_adds * len(modules)):
            courses.append(train_until_done(learner, recipe, len(kept_part.trained_N), held_out_rows))
        stack.write_back(modules)
        models += [_model(module, shape, data) for module in modules[len(parts) :]]
    course = courses[0]
    replicas = tuple(models) if len(seeds) > 1 else ()
    return Training(models[0], course.train_losses[1:], data.x_NF.device.type, replicas, recipe, course), course


def _train_replicas(data: Prepared, shape: Architecture, recipe: Recipe, seeds: range) -> Training:
    """Train a network for each seed; replica r is equal, up to rounding, to a single network with the seed + r."""
    n_rows = len(data.x_NF)
    at_once = min(len(seeds), stack_size(shape, n_rows, recipe.batch_size))
    models: list[Model] = []
    losses: list[tuple[float, ...]] = []
    with (
        threads_for(min(recipe.batch_size, n_rows) * shape.multiply_adds * at_once),
        progress.stage("training", (recipe.epochs or 0) * n_rows * len(seeds)) as advance,
    ):
        for first in range(0, len(seeds), at_once):
            group = seeds[first : first + at_once]
            modules = [seeded_module(shape, seed) for seed in group]
            stack = Stack(
                modules, shape.activation, recipe.learning_rate, recipe.weight_decay, data.weight_C, data.x_NF.device
            )
            losses += train_stack(stack, modules, group, data, recipe, advance)
            models += [_model(module, shape, data) for module in modules]
    return Training(models[0], losses[0], data.x_NF.device.type, tuple(models), recipe)


def _model(module: nn.Sequential, shape: Architecture, data: Prepared) -> Model:
    layers = folded_layers(module, *data.statistics)
    check_folded(layers[0], data.statistics[1], data.split)
    return Model(shape, layers, data.split.classes)


def _train_own(data: Prepared, config: TrainingConfig, recipe: Recipe, name: str) -> Training:
    """Train a module of the user's class `name`; its dropout draws from torch's generator, which is seeded here."""
    from vecml.model.module_checks import build, tell_of_probabilities  # noqa: PLC0415 -- only whoever has a class needs it
    from vecml.model.own_module import model_of  # noqa: PLC0415 -- only whoever has a class needs it

    split, device = data.split, data.x_NF.device
    n_features, course = len(split.train.x_FN), None
    with torch.random.fork_rng(devices=range(torch.cuda.device_count()) if device.type == "cuda" else []):
        torch.manual_seed(config.seed)
        module = build(name, n_features, len(split.classes))
        tell_of_probabilities(module, n_features, f"--architecture {name}")
        module = module.to(device)
        if not any(parameter.requires_grad for parameter in module.parameters()):
            raise TrainingError(
                f"--architecture {name}: it has no parameters to train", "give it layers that have some"
            )
        work = sum(parameter.numel() for parameter in module.parameters())  # at least that for most: it picks threads
        try:
            if recipe.epochs is None:
                course = _fit_held_out(module.train(), data, config.seed, recipe, work)
                losses = course.train_losses[1:]
            else:
                losses = _fit(module.train(), data, config.seed, recipe, work)
        except VecmlError:
            raise
        except Exception as error:  # whatever the user's code raises
            raise TrainingError(
                f"--architecture {name}: training failed: {one_line(error, named=True)}",
                _next_step(error, recipe.batch_size),
            ) from error
    model = model_of(name, module, n_features, split.classes, data.statistics)
    return Training(model, losses, device.type, recipe=recipe, course=course)


def _next_step(error: Exception, batch_size: int) -> str | None:
    """What to do about an error of a user's module in training, where that is certain."""
    if ONE_ROW in str(error):
        return f"batch normalisation needs two rows or more in a batch: --batch-size 32 instead of {batch_size}"
    return None


def _fit_held_out(module: nn.Module, data: Prepared, seed: int, recipe: Recipe, multiply_adds: int) -> Course:
    """Train `module` where it lies until a held-out part of the rows says that it is enough. Raises TrainingError."""
    part = judging_parts(data.split.train.label_N, 1, seed)[0].on(data.split.disk)
    learner = ModuleLearner(module, _adam(module, recipe), data, part, seed, recipe.batch_size)
    with threads_for(learner.rows_a_step * multiply_adds):
        return train_until_done(learner, recipe, len(part.trained_N), len(part.judged_N))


def _fit(module: nn.Module, data: Prepared, seed: int, recipe: Recipe, multiply_adds: int) -> tuple[float, ...]:
    """Train `module` where it lies for the recipe's epochs; the loss of every one. Raises TrainingError."""
    n_rows, batch_size, epochs = len(data.x_NF), recipe.batch_size, recipe.epochs or 0
    generator = torch.Generator().manual_seed(seed)
    optimizer = _adam(module, recipe)
    losses: list[float] = []
    lone_row = n_rows > 1 and n_rows % batch_size == 1 and needs_two_rows(module, data.x_NF[:1])
    with (
        threads_for(min(batch_size, n_rows) * multiply_adds),
        progress.stage("training", epochs * n_rows) as advance,
    ):
        for number in range(epochs):
            order_N = torch.cat(list(shuffled(n_rows, generator, data.window))).to(data.x_NF.device)
            if lone_row:
                order_N = order_N[:-1]  # batch normalisation has no spread to take from a lone row
            loss = epoch(module, optimizer, data, order_N, batch_size, advance)
            if not math.isfinite(loss):
                raise diverged("", f"the loss of epoch {number + 1} is {loss}", recipe)
            losses.append(loss)
    if not bool(optimizer.value_P.isfinite().all()):  # the last step comes after the last loss
        raise diverged("", LAST_STEP, recipe)
    return tuple(losses)


def _adam(module: nn.Module, recipe: Recipe) -> Adam:
    """The optimiser of the module's parameters; those of one axis, biases and the like, do not decay."""
    parameters: Sequence[nn.Parameter] = [one for one in module.parameters() if one.requires_grad]
    return Adam(
        parameters,
        recipe.learning_rate,
        weight_decay=recipe.weight_decay,
        decayed=[parameter.ndim > 1 for parameter in parameters],
    )


@contextmanager
def threads_for(multiply_adds: int) -> Iterator[None]:
    """Let torch use one CPU thread during the block where a step of so many multiply-adds is quicker with one."""
    before = torch.get_num_threads()
    torch.set_num_threads(1 if multiply_adds < SERIAL_MULTIPLY_ADDS else before)
    try:
        yield
    finally:
        torch.set_num_threads(before)

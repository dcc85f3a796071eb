"""Settings of width, learning rate and weight decay that are tried on held-out rows, all of a width in one stack."""

import dataclasses
import math
import time
from collections.abc import Callable, Sequence

import numpy as np
import torch

from vecml.config import Activation, TrainingConfig
from vecml.data.remedy import command
from vecml.model.course import Watch
from vecml.model.held_out import judging_parts
from vecml.model.initial import module_from_majority
from vecml.model.network import Architecture
from vecml.model.prepared import Prepared
from vecml.model.recipe import DECAYS as RULES_DECAYS
from vecml.model.recipe import Recipe, Tried
from vecml.model.replicas import stack_size
from vecml.model.stack import Stack
from vecml.model.until_done import StackLearner
from vecml.progress import stage
from vecml.warnings import warn

WIDTHS = (16, 32, 64, 128, 256)
RATES = (1e-3, 3e-2)
DECAYS = (1e-2, 3.0)


def settings_to_try(config: TrainingConfig, recipe: Recipe, count: int) -> list[Recipe]:
    """Draw `count` recipes by the configuration's seed: the first is `recipe` itself, with each decay that it may take.

    The width is one of `WIDTHS`, rate and decay are drawn between `RATES` and `DECAYS` evenly in their logarithms, with
    two digits. What the configuration gives is the same in all of them.
    """
    rng = np.random.default_rng(config.seed)
    decays = RULES_DECAYS if recipe.folds > 1 and config.weight_decay is None else (recipe.weight_decay,)
    made = [dataclasses.replace(recipe, weight_decay=decay) for decay in decays][:count]
    for _ in range(count - len(made)):
        width, rate, decay = rng.choice(WIDTHS), _between(rng, RATES), _between(rng, DECAYS)
        made.append(
            dataclasses.replace(
                recipe,
                hidden=config.hidden or (int(width),),
                learning_rate=rate if config.learning_rate is None else config.learning_rate,
                weight_decay=decay if config.weight_decay is None else config.weight_decay,
            )
        )
    return made


def tune(
    data: Prepared, config: TrainingConfig, recipe: Recipe, clock: Callable[[], float] = time.perf_counter
) -> tuple[Recipe, tuple[Tried, ...]]:
    """Try `config.tune` settings and give the one whose held-out loss is the lowest, and all that were tried.

    A run without tuning that has the chosen values as flags gives the same network. All trials together may take the
    recipe's max_seconds; that the clock ended one is said (VML020), because another machine would choose otherwise.

    Args:
        data: the training part.
        config: its seed draws the settings; what it gives is the same in all of them.
        recipe: what the rule chooses, which is the first setting.
        clock: seconds.
    """
    settings = settings_to_try(config, recipe, config.tune)
    tried: dict[int, Tried] = {}
    end = clock() + recipe.max_seconds
    widths = list(dict.fromkeys(one.hidden for one in settings))
    with stage("tuning", len(settings)) as advance:
        for hidden in widths:
            numbers = [number for number, one in enumerate(settings) if one.hidden == hidden]
            shape = Architecture(data.x_NF.shape[1], hidden, len(data.split.classes), config.activation)
            parts = len(judging_parts(data.split.train.label_N, recipe.folds, config.seed))
            at_once = max(1, stack_size(shape, len(data.x_NF), recipe.batch_size) // parts)
            for first in range(0, len(numbers), at_once):
                group = numbers[first : first + at_once]
                found = _try(data, shape, [settings[number] for number in group], config.seed, lambda: clock() >= end)
                tried |= dict(zip(group, found, strict=True))
                advance(len(group))
    if clock() >= end:
        longer = command(config, {"max_seconds": 10 * config.max_seconds})
        warn("VML020", f"the trials were ended after {config.max_seconds:g} s; this gives them longer: {longer}")
    best = min(tried, key=lambda number: (tried[number].held_out_loss, number))
    tried[best] = dataclasses.replace(tried[best], chosen=True)
    return settings[best], tuple(tried[number] for number in range(len(settings)))


def _try(
    data: Prepared, shape: Architecture, settings: Sequence[Recipe], seed: int, late: Callable[[], bool]
) -> list[Tried]:
    """Train the networks of all settings, which have one shape, until each is done, or it is `late`."""
    recipe = settings[0]
    parts = judging_parts(data.split.train.label_N, recipe.folds, seed)
    seeds = [seed + number for number in range(len(parts))]
    modules = [module_from_majority(shape, one, data) for _ in settings for one in seeds]
    rates = torch.tensor([one.learning_rate for one in settings]).repeat_interleave(len(parts))
    decays = torch.tensor([one.weight_decay for one in settings]).repeat_interleave(len(parts))
    activation: Activation = shape.activation
    stack = Stack(modules, activation, rates, decays, data.weight_C, data.x_NF.device)
    learner = StackLearner(stack, data, parts * len(settings), seeds * len(settings), recipe.batch_size, len(modules))
    watches = [Watch(recipe.max_steps, math.inf) for _ in settings]
    share_P = np.array([len(part.judged_N) for part in parts]) / sum(len(part.judged_N) for part in parts)
    step, over = 0, [False] * len(settings)
    while True:
        loss_S = np.array(learner.losses()).reshape(len(settings), len(parts)) @ share_P
        for number, (watch, loss) in enumerate(zip(watches, loss_S, strict=True)):
            if not over[number]:
                watch.note(step, math.nan, float(loss) if math.isfinite(loss) else math.inf)
                over[number] = watch.reason(0.0) is not None
        if all(over) or late():
            break
        steps = min(recipe.check_steps, recipe.max_steps - step)
        learner.learn(steps, lambda _: None)
        step += steps
    return [
        Tried(one.hidden, one.learning_rate, one.weight_decay, watch.best_loss, watch.best_step)
        for one, watch in zip(settings, watches, strict=True)
    ]


def _between(rng: np.random.Generator, ends: tuple[float, float]) -> float:
    return float(f"{np.exp(rng.uniform(*np.log(ends))):.2g}")

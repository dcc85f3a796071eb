"""Training until held-out rows say that it is enough: one loop, for a stack of networks and for a module."""

import math
import time
from collections.abc import Callable, Sequence
from typing import Protocol

import torch
from torch import Tensor, nn

from vecml.model.adam import Adam
from vecml.model.course import Course, Watch
from vecml.model.epochs import epoch, mean_loss
from vecml.model.held_out import HeldOut, Stream
from vecml.model.prepared import Prepared
from vecml.model.recipe import Recipe, diverged
from vecml.model.stack import Stack
from vecml.progress import Advance, stage

JUDGED_ROWS = 8_192  # of the held-out rows: as many go through a module at once


class Learner(Protocol):
    """Something that trains networks, each on its rows."""

    rows_a_step: int

    def learn(self, steps: int, advance: Advance) -> float:
        """Make so many steps; return the mean loss of the networks that are kept, in nats."""

    def judge(self) -> float:
        """The loss of the held-out rows, in nats."""

    def keep(self) -> None:
        """Remember the weights as they are now."""

    def take_back(self) -> None:
        """Take the weights that were kept last."""


def train_until_done(
    learner: Learner,
    recipe: Recipe,
    n_rows: int,
    held_out_rows: int,
    clock: Callable[[], float] = time.perf_counter,
) -> Course:
    """Train until `recipe`'s bounds, or until the held-out loss does not fall any more; leave the best weights.

    The same seed gives the same weights, unless it is the time that ends it.

    Args:
        learner: with its initial weights.
        recipe: its max_steps, max_seconds and check_steps are used.
        n_rows: that the network that is kept learns.
        held_out_rows: that the held-out loss is of.
        clock: seconds.

    Raises TrainingError when a loss stops being a finite number.
    """
    watch = Watch(recipe.max_steps, recipe.max_seconds)
    began, step, loss = clock(), 0, math.nan
    with stage("training", recipe.max_steps) as advance:
        while True:
            held_out_loss = learner.judge()
            if not math.isfinite(held_out_loss) or (step and not math.isfinite(loss)):
                seen = f"after step {step} the loss is {loss:g} and that of the held-out rows {held_out_loss:g}"
                raise diverged("", seen, recipe)
            if watch.note(step, loss, held_out_loss):
                learner.keep()
            reason = watch.reason(clock() - began)
            if reason is not None:
                break
            steps = min(recipe.check_steps, recipe.max_steps - step)
            loss = learner.learn(steps, advance)
            step += steps
    learner.take_back()
    return watch.course(reason, learner.rows_a_step, n_rows, held_out_rows)


class StackLearner:
    """A stack of networks: some are judged by rows held out of them, and some are kept.

    Args:
        stack: R networks.
        data: the training part.
        parts: R, the rows of each network.
        seeds: R, of the order in which each goes through its rows.
        batch_size: rows a step.
        n_kept: how many networks are kept, the last ones of the stack: the training loss is theirs.
    """

    def __init__(
        self,
        stack: Stack,
        data: Prepared,
        parts: Sequence[HeldOut],
        seeds: Sequence[int],
        batch_size: int,
        n_kept: int,
    ) -> None:
        self.stack, self._x_NF, self._label_N, self._n_kept = stack, data.x_NF, data.label_N, n_kept
        self.rows_a_step = min(batch_size, *(len(part.trained_N) for part in parts))
        self._streams = [Stream(part.trained_N, seed, data.window) for part, seed in zip(parts, seeds, strict=True)]
        self._forget = data.forget
        most = max(len(part.judged_N) for part in parts)
        self._judges = [number for number, part in enumerate(parts) if len(part.judged_N)]
        rows_RV = torch.zeros((len(parts), most), dtype=torch.int64)
        counts_RV = torch.zeros((len(parts), most))
        for number, part in enumerate(parts):
            rows_RV[number, : len(part.judged_N)] = torch.from_numpy(part.judged_N)
            counts_RV[number, : len(part.judged_N)] = 1
        self._rows_RV, self._counts_RV = rows_RV.to(data.x_NF.device), counts_RV.to(data.x_NF.device)

    def learn(self, steps: int, advance: Advance) -> float:
        """Make so many steps; return the mean loss of the networks that are kept."""
        count = steps * self.rows_a_step
        order_RN = torch.stack([stream.take(count) for stream in self._streams]).to(self._x_NF.device)
        losses = self.stack.epoch(self._x_NF, self._label_N, order_RN, self.rows_a_step, lambda _: None)
        advance(steps)
        self._forget()
        return sum(losses[-self._n_kept :]) / self._n_kept

    def losses(self) -> list[float]:
        """The held-out loss of each network; NaN where no row is held out of it."""
        return self.stack.losses(self._x_NF, self._label_N, self._rows_RV, self._counts_RV)

    def judge(self) -> float:
        """The mean of the networks' held-out losses, each weighted with its rows."""
        losses, counts = self.losses(), self._counts_RV.sum(1).tolist()
        total = sum(losses[number] * counts[number] for number in self._judges)
        return float(total / sum(counts[number] for number in self._judges))

    def keep(self) -> None:
        """Remember the weights as they are now."""
        self.stack.keep()

    def take_back(self) -> None:
        """Take the weights that were kept last."""
        self.stack.take_back()


class ModuleLearner:
    """A module that is trained by torch's own differentiation, judged by one held-out part.

    Args:
        module: on its device.
        optimizer: over the module's parameters.
        data: the training part.
        part: its rows.
        seed: of their order.
        batch_size: rows a step.
    """

    def __init__(
        self,
        module: nn.Module,
        optimizer: Adam,
        data: Prepared,
        part: HeldOut,
        seed: int,
        batch_size: int,
    ) -> None:
        self._module, self._optimizer, self._data = module, optimizer, data
        self.rows_a_step = min(batch_size, len(part.trained_N))
        self._stream = Stream(part.trained_N, seed, data.window)
        self._judged_N = torch.from_numpy(part.judged_N).to(data.x_NF.device)
        self._kept: dict[str, Tensor] = {}

    def learn(self, steps: int, advance: Advance) -> float:
        """Make so many steps; return the mean loss."""
        data = self._data
        order_N = self._stream.take(steps * self.rows_a_step).to(data.x_NF.device)
        loss = epoch(self._module, self._optimizer, data, order_N, self.rows_a_step)
        advance(steps)
        data.forget()
        return loss

    def judge(self) -> float:
        """The mean loss of the held-out rows, in evaluation mode."""
        data, total, was_training = self._data, 0.0, self._module.training
        self._module.eval()
        with torch.no_grad():
            for rows_B in self._judged_N.split(JUDGED_ROWS):
                loss = mean_loss(self._module(data.x_NF[rows_B]), data.label_N[rows_B], data.weight_C)
                total += float(loss) * len(rows_B)
        self._module.train(was_training)
        return total / len(self._judged_N)

    def keep(self) -> None:
        """Remember the weights, and what else the module has as its state, as they are now."""
        self._kept = {name: value.detach().clone() for name, value in self._module.state_dict().items()}

    def take_back(self) -> None:
        """Take the state that was kept last."""
        with torch.no_grad():
            for name, value in self._module.state_dict().items():
                value.copy_(self._kept[name])

"""How a training goes that has no number of epochs: when it has gone far enough, and what is kept of it. Pure."""

import math
from dataclasses import dataclass, field
from typing import Literal

Reason = Literal["settled", "steps", "seconds"]

LEAST_STEPS = 200
PATIENCE = 0.5  # of the steps so far: how many may pass without a better held-out loss
EQUAL_SHARE = 0.02  # of the loss before the first step: held-out losses that differ by less are as good as equal


@dataclass(frozen=True)
class Course:
    """The course of a training that was stopped by held-out rows.

    Attributes:
        steps: that were made, of `batch_size` rows each.
        best_step: whose weights are kept; 0: those before the first step.
        reason: `settled`: the held-out loss did not fall any more; `steps` or `seconds`: the bound was reached.
        epochs: passes over the rows that the network learns, until `best_step`.
        held_out_rows: training rows that the held-out loss is of.
        at_step: the steps at which the losses are of, ascending.
        train_losses: mean cross-entropy of the steps since the point before, in nats; NaN at step 0.
        held_out_losses: mean cross-entropy of the held-out rows, in nats.
    """

    steps: int
    best_step: int
    reason: Reason
    epochs: float
    held_out_rows: int
    at_step: tuple[int, ...] = field(repr=False)
    train_losses: tuple[float, ...] = field(repr=False)
    held_out_losses: tuple[float, ...] = field(repr=False)

    @property
    def best_loss(self) -> float:
        """The held-out loss at `best_step`."""
        return self.held_out_losses[self.at_step.index(self.best_step)]

    @property
    def falling(self) -> bool:
        """Whether a bound ended it as the loss fell: by 2 % of its first value in the last fifth of the steps."""
        if self.reason == "settled" or self.best_step < 0.9 * self.steps:
            return False
        points = zip(self.at_step, self.held_out_losses, strict=True)
        before = min(loss for step, loss in points if step <= 0.8 * self.steps)
        return before - self.best_loss > 0.02 * self.held_out_losses[0]


def as_good(course: Course, other: Course) -> bool:
    """Whether the best held-out loss of `course` is at most that of `other`, and `EQUAL_SHARE` of `other`'s first."""
    return course.best_loss <= other.best_loss + EQUAL_SHARE * other.held_out_losses[0]


class Watch:
    """Is told the losses as a training goes, and says when it is over.

    A loss counts as better only where it is lower by one part in ten thousand: otherwise a training without end would
    creep on for nothing.

    Args:
        max_steps: steps at most.
        max_seconds: seconds at most.
    """

    def __init__(self, max_steps: int, max_seconds: float) -> None:
        self._max_steps, self._max_seconds = max_steps, max_seconds
        self._at: list[int] = []
        self._train: list[float] = []
        self._held_out: list[float] = []
        self.best_loss = math.inf
        self.best_step = 0

    def note(self, step: int, train_loss: float, held_out_loss: float) -> bool:
        """Take the losses at `step`; whether the held-out loss is the best so far, so that the weights are kept."""
        self._at.append(step)
        self._train.append(train_loss)
        self._held_out.append(held_out_loss)
        better = held_out_loss < self.best_loss - 1e-4 * abs(self.best_loss) if math.isfinite(self.best_loss) else True
        if better:
            self.best_loss, self.best_step = held_out_loss, step
        return better

    def reason(self, elapsed: float) -> Reason | None:
        """Why the training is over after `elapsed` seconds; None: it goes on."""
        step = self._at[-1]
        if step - self.best_step >= max(LEAST_STEPS, PATIENCE * step):
            return "settled"
        if step >= self._max_steps:
            return "steps"
        return "seconds" if elapsed >= self._max_seconds else None

    def course(self, reason: Reason, rows_a_step: int, n_rows: int, held_out_rows: int) -> Course:
        """Make the record of the training.

        Args:
            reason: why it is over.
            rows_a_step: rows of a step.
            n_rows: rows that the network learns that is kept.
            held_out_rows: rows that the held-out loss is of.
        """
        return Course(
            steps=self._at[-1],
            best_step=self.best_step,
            reason=reason,
            epochs=self.best_step * rows_a_step / n_rows,
            held_out_rows=held_out_rows,
            at_step=tuple(self._at),
            train_losses=tuple(self._train),
            held_out_losses=tuple(self._held_out),
        )

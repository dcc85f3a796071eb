"""Which training rows are held out of the training, and in which order a network goes through the others."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray

from vecml.data.disk import Disk, placed
from vecml.data.row_hash import drawn_by_hash

HELD_OUT_SHARE = 0.15
MANY_ROWS = 16_000_000
MOST_JUDGED = 500_000
STRETCHES = 64  # of consecutive rows in a window of rows that are shuffled together


@dataclass(frozen=True)
class HeldOut:
    """The rows of one network.

    Attributes:
        trained_N: int64, ascending, the rows that it learns.
        judged_N: int64, ascending, the rows that are held out of it.
    """

    trained_N: NDArray[np.int64] = field(repr=False)
    judged_N: NDArray[np.int64] = field(repr=False)

    def on(self, disk: Disk | None) -> "HeldOut":
        """Give the same rows with their numbers on the disk, where there is one."""
        return HeldOut(placed(disk, self.trained_N), placed(disk, self.judged_N))


def folds(label_N: NDArray[np.int64], n_folds: int, seed: int) -> list[HeldOut]:
    """Divide the rows into `n_folds` parts, each of which is held out of one network.

    The rows of a class are shuffled by the seed and dealt in turn, and the next class goes on where the last one
    ended: the parts have the same number of rows to within one, and the same number of each class to within one.

    Args:
        label_N: int64, the class of each row.
        n_folds: 2 or more; no more than rows.
        seed: of the shuffles.
    """
    fold_N = _dealt(label_N, n_folds, seed)
    return [HeldOut(np.flatnonzero(fold_N != fold), np.flatnonzero(fold_N == fold)) for fold in range(n_folds)]


def single_part(label_N: NDArray[np.int64], share: float, seed: int) -> HeldOut:
    """Hold one part of about `share` of the rows out, stratified by class; it has one row at least, and not all.

    Args:
        label_N: int64, the class of each row; two or more.
        share: more than 0; what comes out is the nearest of 1/2, 1/3, 1/4 ...
        seed: of the draw.
    """
    parts = max(2, round(1 / share))
    fold_N = _dealt(label_N, min(parts, len(label_N)), seed)
    return HeldOut(np.flatnonzero(fold_N != 0), np.flatnonzero(fold_N == 0))


def judging_parts(label_N: NDArray[np.int64], n_folds: int, seed: int) -> list[HeldOut]:
    """The rows of the networks whose held-out loss is watched: one for each fold, or one with a single part.

    Args:
        label_N: int64, the class of each training row.
        n_folds: 1: a single part of `HELD_OUT_SHARE`, or about `MOST_JUDGED` of more than `MANY_ROWS` rows; no more
            than there are rows are made.
        seed: of the draw.
    """
    if n_folds > 1:
        return folds(label_N, min(n_folds, len(label_N)), seed)
    if len(label_N) > MANY_ROWS:  # all of a share of these would be judged for longer than the others are learnt
        is_judged_N = drawn_by_hash(label_N, int(label_N.max()) + 1, MOST_JUDGED / len(label_N), seed)
        return [HeldOut(np.flatnonzero(~is_judged_N), np.flatnonzero(is_judged_N))]
    return [single_part(label_N, HELD_OUT_SHARE, seed)]


def _dealt(label_N: NDArray[np.int64], n_parts: int, seed: int) -> NDArray[np.int64]:
    rng = np.random.default_rng(seed)
    order_N = rng.permutation(len(label_N))
    order_N = order_N[np.argsort(label_N[order_N], kind="stable")]
    part_N = np.empty(len(label_N), np.int64)
    part_N[order_N] = np.arange(len(label_N)) % n_parts
    return part_N


def shuffled(n_rows: int, generator: torch.Generator, window: int | None) -> Iterator[torch.Tensor]:
    """The numbers of `n_rows` rows in a shuffled order, in parts, int64.

    Args:
        n_rows: at least one.
        generator: of the random numbers.
        window: rows that are shuffled together, of more than fit in memory: as many stretches of the rows as
            `STRETCHES`, drawn at random, make a window, so that what is read at a time is near each other. None, or as
            many as there are rows: all are.
    """
    if window is None or n_rows <= window:
        yield torch.randperm(n_rows, generator=generator)
        return
    stretch = max(1, window // STRETCHES)
    order = torch.randperm(-(-n_rows // stretch), generator=generator)
    for some in order.split(STRETCHES):
        rows_N = torch.cat([torch.arange(one * stretch, min((one + 1) * stretch, n_rows)) for one in some.tolist()])
        yield rows_N[torch.randperm(len(rows_N), generator=generator)]


class Stream:
    """Rows without end: all of `rows_N` in a shuffled order, then all of them in another one.

    So that every batch is full, and a step is the same work whatever the number of rows. `window` is as for `shuffled`.
    """

    def __init__(self, rows_N: NDArray[np.int64], seed: int, window: int | None = None) -> None:
        self._rows_N = torch.from_numpy(rows_N)
        self._generator = torch.Generator().manual_seed(seed)
        self._left_N = self._rows_N[:0]
        self._window = window
        self._more: Iterator[torch.Tensor] = iter(())

    def take(self, count: int) -> torch.Tensor:
        """The next `count` rows, int64."""
        parts = [self._left_N]
        missing = count - len(self._left_N)
        while missing > 0:
            more = next(self._more, None)
            if more is None:
                self._more = shuffled(len(self._rows_N), self._generator, self._window)
                continue
            parts.append(self._rows_N[more])
            missing -= len(more)
        joined = torch.cat(parts)
        self._left_N = joined[count:]
        return joined[:count]

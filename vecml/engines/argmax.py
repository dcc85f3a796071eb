"""The label of every row from logits in NumPy memory, by comparing whole vectors: several engines share it."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


class Highest:
    """Labels of blocks of rows; its memory is allocated once for the largest block and cut for shorter ones.

    Args:
        n_classes: C, so that a class's number fits.
        dtype: of the logits, float32 or float64.
    """

    def __init__(self, n_classes: int, dtype: np.dtype[Any]) -> None:
        self._number = np.dtype(np.uint8 if n_classes <= 256 else np.uint32)
        self._dtype = dtype
        self._capacity = -1
        self._cut(0)

    def label(self, z_CB: Array, out_B: NDArray[np.int64]) -> None:
        """Write the class of every row: the index of its highest logit, or with a single logit 1 if it is above 0.

        Args:
            z_CB: logits (C, B) of any strides; with C = 1 they are logit 1 minus logit 0 of two classes.
            out_B: int64 (B,) of any stride; 0 if the highest logit is not finite (see `vecml.engines.base.Loaded`).
        """
        if len(out_B) != len(self._best_B):
            self._cut(len(out_B))
        best_B, above_B, won_B, label_B = self._best_B, self._above_B, self._won_B, self._label_B
        if len(z_CB) == 1:
            # z - z is 0, or NaN when z is not finite: then nothing is above it
            np.subtract(z_CB[0], z_CB[0], out=best_B)
            np.greater(z_CB[0], best_B, out=above_B)
            np.copyto(out_B, above_B)
            return
        # Whole vectors are compared class by class: 3 to 8 times faster here than argmax over a short axis. A later
        # winner has the higher number, so that the maximum of the winners' numbers is the label.
        np.copyto(best_B, z_CB[0])
        label_B.fill(0)
        for index in range(1, len(z_CB)):
            np.greater(z_CB[index], best_B, out=above_B)
            np.multiply(above_B.view(np.uint8), self._number.type(index), out=won_B)
            np.maximum(label_B, won_B, out=label_B)
            np.maximum(best_B, z_CB[index], out=best_B)
        np.isfinite(best_B, out=above_B)
        np.multiply(label_B, above_B.view(np.uint8), out=label_B)
        np.copyto(out_B, label_B)

    def _cut(self, rows: int) -> None:
        """Make views of the memory for blocks of `rows` rows; allocate more memory if it is too small."""
        if rows > self._capacity:
            self._capacity = rows
            self._best = np.empty(rows, self._dtype)
            self._above = np.empty(rows, np.bool_)
            self._won = np.empty(rows, self._number)
            self._label = np.empty(rows, self._number)
        self._best_B, self._above_B = self._best[:rows], self._above[:rows]
        self._won_B, self._label_B = self._won[:rows], self._label[:rows]

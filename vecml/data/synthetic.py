"""Generated data: normal features, labelled by whether a row's sum is positive. The notebook's job, and every test's.

Made feature by feature straight into its final place, so that millions of rows cost no second copy.
"""

import numpy as np
from numpy.typing import NDArray

from vecml.data.table import Column
from vecml.progress import stage

CLASSES = ("0", "1")
TARGET = "label"


def synthetic_columns(n_rows: int, n_features: int, seed: int) -> tuple[tuple[Column, ...], NDArray[np.int64]]:
    """`n_features` float32 columns `feature_0`, ... of standard normal numbers, and the labels (int64, 0 or 1).

    A row's label is whether the sum of its features, taken in float64, is positive. The same seed gives the same bits.
    """
    rng = np.random.default_rng(seed)
    x_FN = np.empty((n_features, n_rows), np.float32)
    sum_N = np.zeros(n_rows)
    with stage("generating", n_features) as advance:
        for x_N in x_FN:
            rng.standard_normal(dtype=np.float32, out=x_N)
            sum_N += x_N
            advance(1)
    columns = tuple(Column(f"feature_{i}", "number", x_N) for i, x_N in enumerate(x_FN))
    return columns, (sum_N > 0).astype(np.int64)

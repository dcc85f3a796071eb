"""A small table that the tests of modules of one's own train on."""

from pathlib import Path

import numpy as np

from vecml.config import PipelineConfig, make_config
from vecml.data.sources import load_table
from vecml.data.split import Split, split_table


def made_split(tmp_path: Path, n_rows: int = 400, **values: object) -> tuple[Split, PipelineConfig]:
    """Three features of unlike scales and two classes that they tell apart."""
    rng = np.random.default_rng(0)
    x_NF = rng.standard_normal((n_rows, 3)) * [1, 50, 0.01] + [5, -300, 0]
    y_N = (x_NF[:, 0] - 5 + x_NF[:, 2] * 100 > 0).astype(int)
    np.savez(tmp_path / "table.npz", X=x_NF, y=y_N)
    config = make_config({"data": str(tmp_path / "table.npz"), "target": "y", "epochs": 3, "batch_size": 32, **values})
    return split_table(load_table(config), config.test_fraction, config.seed), config

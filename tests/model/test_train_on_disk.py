"""Training on rows that lie on the disk: the same weights where a window holds them all, else as good a network."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from vecml.config import make_config
from vecml.data.sources import load_table
from vecml.data.split import split_table
from vecml.model import prepared
from vecml.model.evaluate import label_of
from vecml.model.train import train

pytestmark = pytest.mark.filterwarnings("ignore::vecml.warnings.VecmlWarning")


def write(path: Path, n_rows: int) -> None:
    """Write a table whose rows are sorted by the label's cause, as files often are."""
    draw = np.random.default_rng(1)
    x_FN = draw.normal(size=(6, n_rows))
    score_N = x_FN[0] * x_FN[1] + x_FN[2] + 0.4 * draw.normal(size=n_rows)
    order_N = np.argsort(x_FN[2])
    columns = {f"x{index}": x_N[order_N] for index, x_N in enumerate(x_FN)}
    pq.write_table(pa.table({**columns, "y": np.where(score_N > 0, "yes", "no")[order_N]}), path, row_group_size=1_000)


def accuracy(path: Path, seed: int, *, on_disk: bool, **settings: object) -> tuple[float, np.ndarray]:
    config = make_config({"data": str(path), "target": "y", "seed": seed, "on_disk": on_disk, **settings})
    split = split_table(load_table(config), config.test_fraction, config.seed, config.sample)
    model = train(split, config, "cpu").model
    logits_NC = model.wide_logits(split.test.x_FN)
    return float((label_of(logits_NC) == split.test.label_N).mean()), logits_NC


@pytest.mark.parametrize("settings", [{"epochs": 2}, {"max_steps": 300}, {"epochs": 2, "replicas": 2}])
def test_the_weights_are_those_of_memory_where_a_window_holds_all_rows(
    tmp_path: Path, settings: dict[str, object]
) -> None:
    write(tmp_path / "a.parquet", 6_000)
    here, there = (accuracy(tmp_path / "a.parquet", 0, on_disk=on_disk, **settings) for on_disk in (False, True))
    np.testing.assert_array_equal(here[1], there[1])


@pytest.mark.long
def test_windows_make_as_good_a_network_over_ten_seeds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "a.parquet", 40_000)
    monkeypatch.setattr(prepared, "WINDOW_BYTES", 1)
    monkeypatch.setattr(prepared, "FEWEST_ROWS", 2_048)
    pairs = [[accuracy(tmp_path / "a.parquet", seed, on_disk=way)[0] for way in (True, False)] for seed in range(10)]
    gaps = [there - here for there, here in pairs]
    error = float(np.std(gaps, ddof=1) / np.sqrt(10))
    assert abs(np.mean(gaps)) < max(3 * error, 0.002)

"""Training on rows that lie on the disk: the same weights where a window holds them all, else as good a network."""

import os
import subprocess
import sys
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


CHILD = """
import os, sys, threading, time, warnings
warnings.simplefilter("ignore")
from vecml.config import make_config
from vecml.data.sources import load_table
from vecml.data.split import split_table
from vecml.model.train import train

def own():
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("RssAnon")) << 10

peak, over = [0], threading.Event()
def watch():
    while not over.wait(0.02):
        peak[0] = max(peak[0], own())

config = make_config({"data": sys.argv[1], "target": "y", "max_steps": 200})
before = own()
thread = threading.Thread(target=watch)
thread.start()
table = load_table(config)
split = split_table(table, config.test_fraction, config.seed)
on_disk = table.disk is not None
del table
train(split, config, "cpu")
over.set()
thread.join()
print(on_disk, split.train.n_rows, peak[0] - before)
"""


@pytest.mark.long
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="Linux tells what is a process's own memory")
def test_a_table_of_a_gigabyte_takes_a_third_of_it(tmp_path: Path) -> None:
    draw, n_rows, width = np.random.default_rng(0), 200_000, 40
    for part in range(16):
        x_FN = draw.normal(size=(width, n_rows))
        columns = {f"x{index}": x_N for index, x_N in enumerate(x_FN)}
        content = pa.table({**columns, "y": np.where(x_FN[0] + draw.normal(size=n_rows) > 0, "yes", "no")})
        pq.write_table(content, tmp_path / f"{part:02}.parquet", compression="none", use_dictionary=["y"])
    environment = {**os.environ, "VECML_MAX_MEMORY": "1GB"}
    said = subprocess.run(
        [sys.executable, "-c", CHILD, str(tmp_path)], env=environment, capture_output=True, text=True, check=True
    )
    on_disk, n_trained, own_bytes = said.stdout.split()
    assert (on_disk, int(n_trained)) == ("True", 2_560_000)
    assert int(own_bytes) < 16 * n_rows * width * 8 / 3

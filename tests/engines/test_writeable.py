"""Arrays as users have them: read-only, larger than 2^31 elements, at odd places; and threads that call at once."""

import subprocess
import sys
import threading
from collections.abc import Callable

import numpy as np
import psutil
import pytest
import torch

from vecml.config import Layout, Setting
from vecml.engines.registry import ENGINES, load_engine
from vecml.errors import DataError
from vecml.model.network import Model

Make = Callable[..., Model]
FAST = [name for name in ENGINES if name != "row_loop"]


def labels(model: Model, setting: Setting, x: np.ndarray, n_rows: int) -> np.ndarray:
    loaded = load_engine(model, setting)
    try:
        out_N = np.full(n_rows, -1, np.int64)
        loaded.labels(x, out_N)
        return out_N
    finally:
        loaded.close()


@pytest.mark.parametrize("layout", ["columns", "rows"])
@pytest.mark.parametrize("engine", FAST)
def test_a_contiguous_read_only_table(engine: str, layout: Layout, make_model: Make) -> None:
    model = make_model((5, 9, 3))
    x_NF = np.random.default_rng(0).standard_normal((300, 5), dtype=np.float32)
    x = np.ascontiguousarray(x_NF.T) if layout == "columns" else x_NF
    setting = Setting(engine, layout=layout, block_rows=64)
    expected_N = labels(model, setting, x, 300)
    x.flags.writeable = False
    assert (labels(model, setting, x, 300) == expected_N).all()


@pytest.mark.parametrize("engine", list(ENGINES))
def test_values_at_odd_places_are_refused_by_every_engine(engine: str, make_model: Make) -> None:
    model = make_model((2, 3))
    precision = ENGINES[engine].precisions[0]
    loaded = load_engine(model, Setting(engine, precision=precision, layout="rows"))
    try:
        packed = np.zeros(10, np.dtype([("a", np.uint8), ("x", np.float32, 2)]))
        for x in (packed["x"], np.zeros(83, np.uint8)[3:].view(np.float32).reshape(10, 2)):
            with pytest.raises(DataError) as caught:
                loaded.labels(x, np.empty(10, np.int64))
            said = "features whose values do not lie at whole places (a field of packed records)"
            assert (caught.value.message, caught.value.hint) == (said, "x.copy()")
        with pytest.raises(DataError, match="features of type matrix"):
            loaded.labels(np.zeros((10, 2), np.float32).view(np.matrix), np.empty(10, np.int64))
    finally:
        loaded.close()


@pytest.mark.parametrize("layout", ["columns", "rows"])
def test_halide_takes_more_than_two_to_the_31_values(layout: Layout, make_model: Make) -> None:
    if psutil.virtual_memory().available < 12 << 30:
        pytest.skip("psutil.virtual_memory().available is below 12 GiB, and the table takes 8")
    n_features, n_rows = 784, 2_740_137
    model = make_model((n_features, 3))
    x = np.zeros((n_features, n_rows) if layout == "columns" else (n_rows, n_features), np.float32)
    last = np.random.default_rng(0).standard_normal(n_features, dtype=np.float32)
    where = np.s_[:, -1] if layout == "columns" else np.s_[-1]
    x[where] = last
    label_N = labels(model, Setting("halide", layout=layout, threads=2), x, n_rows)
    alone_N = labels(model, Setting("numpy", layout="rows"), np.stack([np.zeros_like(last), last]), 2)
    assert label_N[-1] == alone_N[1]
    assert (label_N[:-1] == alone_N[0]).all()


def test_calls_at_once_leave_torch_its_threads(make_model: Make) -> None:
    model = make_model((5, 9, 3))
    x_NF = np.random.default_rng(0).standard_normal((20_000, 5), dtype=np.float32)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        for _ in range(5):
            threads = [
                threading.Thread(target=labels, args=(model, Setting("torch", layout="rows", threads=1), x_NF, 20_000))
                for _ in range(4)
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            found: list[int] = []
            later = threading.Thread(target=lambda told=found: told.append(torch.get_num_threads()))
            later.start()
            later.join()
            assert found == [2]
    finally:
        torch.set_num_threads(before)


def test_threads_that_ask_for_openvino_at_once_all_get_it() -> None:
    code = (
        "import threading\n"
        "from vecml.engines.openvino import missing_openvino\n"
        "found = []\n"
        "threads = [threading.Thread(target=lambda: found.append(missing_openvino('openvino'))) for _ in range(4)]\n"
        "[thread.start() for thread in threads]\n"
        "[thread.join() for thread in threads]\n"
        "assert found == [None] * 4, found\n"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, timeout=120)

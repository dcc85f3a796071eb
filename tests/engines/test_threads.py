"""Thread settings of torch and BLAS are given back; going through a device's own memory gives the same labels."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from threadpoolctl import threadpool_info, threadpool_limits

from vecml.config import Activation, Setting
from vecml.engines.blas import BlasHold
from vecml.engines.registry import ENGINES, load_engine
from vecml.engines.torch_blocks import Lane
from vecml.engines.weights import label_layers, logit_layers
from vecml.errors import DataError
from vecml.model.network import Model

Make = Callable[..., Model]


def blas_threads() -> list[int]:
    return [library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"]


def test_blas_is_on_one_thread_from_the_first_hold_to_the_last_release() -> None:
    before = blas_threads()
    hold = BlasHold()
    first, second = hold.hold(), hold.hold()
    assert set(blas_threads()) == {1}
    first()
    first()  # a second time is no other holder's release
    assert set(blas_threads()) == {1}
    second()
    assert blas_threads() == before
    first()
    second()
    again = hold.hold()
    assert set(blas_threads()) == {1}
    again()
    assert blas_threads() == before


def test_the_numpy_engine_gives_blas_its_threads_back_in_any_order(make_model: Make) -> None:
    with threadpool_limits(2, user_api="blas"):
        before = blas_threads()
        first, second = (load_engine(make_model((3, 2)), Setting("numpy", threads=2)) for _ in range(2))
        first.close()
        first.close()
        assert set(blas_threads()) == {1}
        second.close()
        assert blas_threads() == before


@pytest.mark.parametrize("name", ENGINES)
def test_closing_twice_is_closing_once(make_model: Make, name: str) -> None:
    loaded = load_engine(make_model((3, 2)), Setting(name, precision=ENGINES[name].precisions[0], threads=2))
    loaded.close()
    loaded.close()  # raises nothing


def test_torch_has_its_own_threads_between_calls_and_after_an_error(make_model: Make) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        loaded = load_engine(make_model((3, 4, 2)), Setting("torch", threads=2, block_rows=8))
        out_N = np.empty(100, np.int64)
        loaded.labels(np.zeros((3, 100), np.float32), out_N)
        assert torch.get_num_threads() == 2
        with pytest.raises(DataError):
            loaded.labels(np.zeros((4, 100), np.float32), out_N)
        assert torch.get_num_threads() == 2
        loaded.close()
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("layout", ["columns", "rows"])
@pytest.mark.parametrize("classes", [2, 5])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("activation", ["relu", "gelu"])
def test_staged_through_the_hosts_memory_gives_the_same(
    make_model: Make, activation: Activation, dtype: torch.dtype, classes: int, layout: str
) -> None:
    """What a GPU does, but for its streams: the block is copied to staging memory, and the labels back."""
    model = make_model((6, 9, classes), activation)
    x_NF = torch.from_numpy(np.random.default_rng(0).standard_normal((50, 6)))
    features = x_NF if layout == "rows" else x_NF.T.contiguous()

    def tensors(layers: list) -> list:
        return [(torch.from_numpy(w).to(dtype), torch.from_numpy(b[:, None]).to(dtype)) for w, b in layers]

    got = []
    for staged in (False, True):
        lane = Lane(model.architecture.widths, activation, dtype, layout, torch.device("cpu"), staged=staged)  # type: ignore[arg-type]
        label_N, z_NC = torch.full((50,), -1), torch.empty(50, classes, dtype=torch.float64)
        for rows in (slice(0, 20), slice(20, 40), slice(40, 50)):
            lane.label(tensors(label_layers(model)), features, rows, label_N)
            lane.copy_logits(tensors(logit_layers(model)), features, rows, z_NC)
        got.append((label_N, z_NC))
    assert torch.equal(got[0][0], got[1][0])
    assert torch.equal(got[0][1], got[1][1])
    assert got[0][0].unique().numel() > 1

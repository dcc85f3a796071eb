"""A device whose memory runs out: smaller blocks, said so, with the same answers.

There is no such device here: the memory of a lane stands for it, and refuses what is larger than a limit as CUDA does.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from vecml.config import Setting
from vecml.engines import torch_blocks, torch_module
from vecml.engines.blocks import Blocks
from vecml.engines.gpu_memory import halving
from vecml.engines.registry import load_engine
from vecml.errors import EngineUnavailableError
from vecml.model.network import Model
from vecml.warnings import VecmlWarning

FITS = 100
CPU = torch.device("cpu")


@pytest.fixture
def small_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    allocate, stage = torch_blocks.Lane._allocate, torch_module._Lane.stage

    def allocate_little(lane: torch_blocks.Lane, rows: int) -> None:
        if rows > FITS:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.")
        allocate(lane, rows)

    def stage_little(lane: Any, features: torch.Tensor, dtype: torch.dtype, shape: tuple[int, ...]) -> torch.Tensor:
        if max(shape) > FITS:
            raise RuntimeError("MPS backend out of memory (MPS allocated: 5.1 GB)")
        return stage(lane, features, dtype, shape)

    monkeypatch.setattr(torch_blocks.Lane, "_allocate", allocate_little)
    monkeypatch.setattr(torch_module._Lane, "stage", stage_little)


@pytest.mark.usefixtures("small_memory")
@pytest.mark.parametrize("engine", ["torch", "torch_compile"])
def test_blocks_are_halved_until_they_fit(engine: str, make_model: Callable[..., Model]) -> None:
    model = make_model((6, 9, 3))
    x_FN = np.random.default_rng(0).standard_normal((6, 1_001), dtype=np.float32)
    expected_N = np.empty(1_001, np.int64)
    reference = load_engine(model, Setting(engine="numpy", layout="columns"))
    reference.labels(x_FN, expected_N)
    label_N = np.full(1_001, -1, np.int64)
    with pytest.warns(VecmlWarning) as given:  # noqa: PT031 -- loading warns, and labelling does
        loaded = load_engine(model, Setting(engine=engine, layout="columns", block_rows=300))
        loaded.labels(x_FN, label_N)
    loaded.close()
    reference.close()
    assert (label_N == expected_N).all()
    assert [str(one.message) for one in given] == [
        "VML014 the memory of cpu ran out: blocks of 150 rows instead of 300; --block-rows 150 starts with them",
        "VML014 the memory of cpu ran out: blocks of 75 rows instead of 150; --block-rows 75 starts with them",
    ]


def test_what_never_fits_ends_with_a_line() -> None:
    restarts = []

    def attempt() -> None:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    blocks = Blocks(4, 1)
    with pytest.warns(VecmlWarning), pytest.raises(EngineUnavailableError) as caught:
        halving(blocks, CPU, attempt, lambda: restarts.append(blocks.block_rows))
    assert caught.value.message == "--device cpu: its memory does not even hold the model and a block of one row"
    assert restarts == [2, 1, 0]


def test_another_failure_passes_through_at_once() -> None:
    def attempt() -> None:
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    with pytest.raises(RuntimeError, match="mat1 and mat2"):
        halving(Blocks(4, 1), CPU, attempt, lambda: None)

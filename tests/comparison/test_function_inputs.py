"""Inputs of a comparison of functions: a worker gets what the file can keep, and the rest is refused with a hint."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch

from tests.inference.test_array_likes import OfNumba, OnDevice
from vecml.comparison.function_input import MAKE_IT, read_input, write_input
from vecml.errors import SettingError


def _objects() -> Any:
    return np.array([1, 2.5], object)


@pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning")
@pytest.mark.filterwarnings("ignore:.*(Sparse CSR|quantize_per_tensor):UserWarning")
@pytest.mark.parametrize(
    "make",
    [
        lambda: torch.ones(3, requires_grad=True),
        lambda: torch.ones(3, dtype=torch.bfloat16),
        lambda: torch.ones((2, 2)).to_sparse(),
        lambda: torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.qint8),
        lambda: torch.complex(torch.ones(3), torch.ones(3)).conj(),
        lambda: [torch.ones(3, requires_grad=True), torch.ones(3)],
        lambda: (torch.ones(3, dtype=torch.bfloat16),) * 2,
        lambda: [torch.ones((2, 2)).to_sparse()] * 2,
        lambda: [np.ones(3), np.zeros(3)],
        lambda: [np.float32(1.0), 2.0],
        lambda: OnDevice(np.ones(3)),
        lambda: OfNumba(np.ones(3)),
        lambda: [OnDevice(np.ones(3)), OnDevice(np.zeros(3))],
        lambda: {1.0, 2.0},
        lambda: (one for one in (1.0, 2.0)),
        lambda: b"abc",
        lambda: np.float32(1.0),
        lambda: pd.Series([1.0, 2.0]),
        lambda: pd.DataFrame({"a": [1.0, 2.0]}),
        lambda: pa.array([1.0, 2.0]),
        lambda: memoryview(b"abc"),
        lambda: np.ma.masked_greater(np.arange(4.0), 2),
        lambda: np.asmatrix(np.ones((2, 2))),
        lambda: np.rec.fromarrays([[1.0, 2.0], [3, 4]], names="a,b"),
        _objects,
        lambda: np.array(["a", "bc"], object),
    ],
)
def test_an_input_that_no_file_keeps_as_it_is(tmp_path: Path, make: Any) -> None:
    with pytest.raises(SettingError) as caught:
        write_input(make(), tmp_path)
    assert type(make()).__name__ in caught.value.message
    expression = str(caught.value.hint).partition(", or ")[0]
    plain = eval(expression, {"x": make(), "numpy": np})  # noqa: S307 -- a hint is pasted
    write_input(plain, tmp_path)
    np.testing.assert_array_equal(read_input(tmp_path), plain)


@pytest.mark.parametrize("dtype", [">f8", "f2", "g", "c8", "?", "U3", "M8[s]", [("a", "f8"), ("b", "i4")]])
@pytest.mark.parametrize("make", [lambda x: x, lambda x: x[::-1], np.asfortranarray, lambda x: x[0, 0]])
def test_an_array_is_what_it_was(tmp_path: Path, dtype: Any, make: Any) -> None:
    x = make(np.zeros((3, 2), dtype))
    write_input(np.asarray(x), tmp_path)
    read = read_input(tmp_path)
    assert read.dtype == np.asarray(x).dtype
    np.testing.assert_array_equal(read, np.asarray(x))


@pytest.mark.parametrize("mask", [False, np.ma.nomask, np.zeros(4, bool)])
def test_an_array_that_is_masked_nowhere_is_its_values(tmp_path: Path, mask: Any) -> None:
    x = np.ma.masked_array(np.arange(4.0), mask=mask)
    write_input(x, tmp_path)
    np.testing.assert_array_equal(read_input(tmp_path), x.data)


@pytest.mark.parametrize(
    "make",
    [
        lambda: {"a": np.ones(3), "b": np.ones(3)},
        lambda: (np.ones(3), np.ones(4)),
        lambda: [torch.ones(3), torch.ones(4)],
        lambda: [np.ma.masked_greater(np.arange(4.0), 2)] * 2,
        lambda: {("a", 1), object()},
        object,
        lambda: np.array([{}, None], object),
        lambda: pd.Series(["a", None], dtype=object),
        lambda: {1: 2.0},
        lambda: [{"a": {None: 2.0}}],
    ],
)
def test_what_no_expression_makes_is_made_in_each_worker(tmp_path: Path, make: Any) -> None:
    with pytest.raises(SettingError) as caught:
        write_input(make(), tmp_path)
    assert caught.value.hint == MAKE_IT
    assert not list(tmp_path.iterdir())

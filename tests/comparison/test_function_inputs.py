"""Inputs of a comparison of functions: a worker gets what the file can keep, and the rest is refused with a hint."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch

from vecml.comparison import functions
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
        lambda: pd.Series([1.0, 2.0]),
        lambda: pd.DataFrame({"a": [1.0, 2.0]}),
        lambda: pa.array([1.0, 2.0]),
        lambda: memoryview(b"abc"),
        lambda: np.ma.masked_greater(np.arange(4.0), 2),
        lambda: np.asmatrix(np.ones((2, 2))),
        lambda: np.rec.fromarrays([[1.0, 2.0], [3, 4]], names="a,b"),
        _objects,
    ],
)
def test_an_input_that_no_file_keeps_as_it_is(tmp_path: Path, make: Any) -> None:
    with pytest.raises(SettingError) as caught:
        functions._write_input(make(), tmp_path)
    assert type(make()).__name__ in caught.value.message
    expression = str(caught.value.hint).partition(", or ")[0]
    plain = eval(expression, {"x": make(), "numpy": np})  # noqa: S307 -- a hint is pasted
    functions._write_input(plain, tmp_path)
    np.testing.assert_array_equal(functions._read_input(tmp_path), plain)


@pytest.mark.parametrize("dtype", [">f8", "f2", "g", "c8", "?", "U3", "M8[s]", [("a", "f8"), ("b", "i4")]])
@pytest.mark.parametrize("make", [lambda x: x, lambda x: x[::-1], np.asfortranarray, lambda x: x[0, 0]])
def test_an_array_is_what_it_was(tmp_path: Path, dtype: Any, make: Any) -> None:
    x = make(np.zeros((3, 2), dtype))
    functions._write_input(np.asarray(x), tmp_path)
    read = functions._read_input(tmp_path)
    assert read.dtype == np.asarray(x).dtype
    np.testing.assert_array_equal(read, np.asarray(x))

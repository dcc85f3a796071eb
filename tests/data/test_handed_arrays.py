"""Columns that Python holds as something else than NumPy's own arrays: the same values, or one line that says no."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch

from vecml.data.frames import arrow_of
from vecml.errors import DataError

X = np.array([0.5, 1.0, -2.0])
SAME: dict[str, Callable[[], Any]] = {
    "requires grad": lambda: torch.tensor(X, requires_grad=True),
    "half": lambda: torch.tensor(X).half(),
    "bfloat16": lambda: torch.tensor(X).bfloat16(),
    "negative view": lambda: torch.complex(torch.zeros(3), -torch.tensor(X).float()).conj().imag,
    "reversed": lambda: X[::-1].copy()[::-1],
    "big-endian": lambda: X.astype(">f8"),
    "half array": lambda: X.astype(np.float16),
    "wide": lambda: X.astype(np.longdouble),
    "objects": lambda: X.astype(object),
    "memoryview": lambda: memoryview(X),
    "polars": lambda: pl.Series(X),
    "pandas": lambda: pd.Series(X),
    "Float64": lambda: pd.Series(X).astype("Float64"),
    "arrow": lambda: pa.array(X),
    "chunks": lambda: pa.chunked_array([X]),
    "a field": lambda: np.array([(value, 1) for value in X], [("a", "f8"), ("b", "i1")])["a"],
    "jax": lambda: pytest.importorskip("jax").numpy.asarray(X),
}


@pytest.mark.parametrize("kind", SAME)
def test_a_column_is_its_values(kind: str) -> None:
    assert arrow_of({"a": SAME[kind]()}).column("a").to_pylist() == X.tolist()


def test_a_masked_value_is_missing() -> None:
    assert arrow_of({"a": np.ma.masked_less(X, 0)}).column("a").to_pylist() == [0.5, 1.0, None]


@pytest.mark.parametrize(
    ("make", "said", "hint"),
    [
        (
            lambda: {"a": torch.tensor(X).to_sparse()},
            "column 'a' in the mapping is a sparse_coo tensor",
            "x.to_dense()",
        ),
        (lambda: {"a": torch.empty(3, device="meta")}, "is a tensor on device meta, which has no values", "give one"),
        (lambda: {"a": np.float64(3)}, "column 'a' in the mapping is one value, 3.0", "[x]"),
        (lambda: {"a": 3}, "column 'a' in the mapping is one value, 3", "[x]"),
        (lambda: pl.Series("a", X), "a Series cannot be read: it is one column", "x.to_frame()"),
        (lambda: pl.DataFrame({"a": X}).lazy(), "data of type LazyFrame cannot be read", "x.collect()"),
        (lambda: [{"a": 1}], "data of type list cannot be read", "pandas.DataFrame(x)"),
        (lambda: np.ones((3, 2)), "data of type ndarray cannot be read", "for i in range(x.shape[1])}"),
        (lambda: torch.ones((3, 2)), "data of type Tensor cannot be read", "for i in range(x.shape[1])}"),
        (lambda: np.ones(3, [("a", "f8")]), "data of type ndarray cannot be read", "for name in x.dtype.names}"),
    ],
)
def test_one_line_with_a_hint_that_works(make: Callable[[], Any], said: str, hint: str) -> None:
    with pytest.raises(DataError) as caught:
        arrow_of(make())
    assert said in caught.value.message
    assert "\n" not in caught.value.message
    assert hint in str(caught.value.hint)
    expression = str(caught.value.hint).partition(": ")[2]
    if expression and expression != "[x]":
        made = eval(expression, {"x": make(), "pandas": pd})  # noqa: S307 -- a hint is pasted
        assert arrow_of(made).num_rows in (1, 3)

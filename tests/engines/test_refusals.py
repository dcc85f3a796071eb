"""Arrays that an engine cannot take are refused in one line that names shape or dtype; the same for every engine."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from vecml.config import Setting
from vecml.engines.registry import ENGINES, load_engine
from vecml.errors import DataError
from vecml.model.network import Model

GOOD_FN = np.zeros((3, 5), np.float32)
GOOD_OUT = np.zeros(5, np.int64)


def locked() -> np.ndarray:
    array = np.zeros(5, np.int64)
    array.flags.writeable = False
    return array


REFUSED = [
    (
        np.zeros((5, 3), np.float32),
        GOOD_OUT,
        "features of shape (5, 3): layout columns is (features, rows), and the model takes 3 features",
        "the table lies the other way: transpose it, or choose the other layout",
    ),
    (
        np.zeros((4, 5), np.float32),
        GOOD_OUT,
        "features of shape (4, 5): layout columns is (features, rows), and the model takes 3 features",
        None,
    ),
    (
        np.zeros(3, np.float32),
        GOOD_OUT,
        "features of shape (3,): layout columns is (features, rows), and the model takes 3 features",
        None,
    ),
    (
        GOOD_FN.astype(np.int64),
        GOOD_OUT,
        "features of dtype int64: float32 or float64 is needed",
        "x.astype(numpy.float32)",
    ),
    (
        GOOD_FN.astype(np.dtype(np.float32).newbyteorder()),
        GOOD_OUT,
        f"features of dtype {np.dtype(np.float32).newbyteorder()}: float32 or float64 is needed",
        "x.astype(numpy.float32)",
    ),
    ([[1.0]], GOOD_OUT, "features of type list: a numpy array is needed", None),
    (
        GOOD_FN[:, ::-1],
        GOOD_OUT,
        "features with negative strides (a reversed view)",
        "x.copy()",
    ),
    (
        GOOD_FN,
        GOOD_OUT.astype(np.int32),
        "labels of dtype int32: int64 is needed",
        "numpy.empty(n_rows, dtype=numpy.int64)",
    ),
    (
        GOOD_FN,
        np.zeros(6, np.int64),
        "labels of shape (6,): the features have 5 rows, so (5,) is needed",
        None,
    ),
    (GOOD_FN, locked(), "labels are written in place, and this array is read-only", None),
    (
        GOOD_FN,
        GOOD_OUT[::-1],
        "labels with negative strides (a reversed view)",
        "x.copy()",
    ),
]


@pytest.mark.parametrize("name", ENGINES)
@pytest.mark.parametrize(
    ("x", "out_N", "message", "hint"),
    REFUSED,
)
def test_refusals(
    name: str, x: Any, out_N: Any, message: str, hint: str | None, make_model: Callable[..., Model]
) -> None:
    loaded = load_engine(make_model((3, 4, 2)), Setting(name, precision=ENGINES[name].precisions[0]))
    with pytest.raises(DataError) as caught:
        loaded.labels(x, out_N)
    assert (caught.value.message, caught.value.hint) == (message, hint)
    if out_N is GOOD_OUT:
        with pytest.raises(DataError) as caught:
            loaded.logits(x)
        assert caught.value.message == message
    loaded.close()


def test_rows_and_one_feature(make_model: Callable[..., Model]) -> None:
    loaded = load_engine(make_model((1, 2)), Setting("numpy", layout="rows"))
    with pytest.raises(DataError) as caught:
        loaded.logits(GOOD_FN)
    loaded.close()
    assert caught.value.message == (
        "features of shape (3, 5): layout rows is (rows, features), and the model takes 1 feature"
    )

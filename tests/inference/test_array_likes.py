"""Everything that people hand over as an array: the labels of the plain array, or one line with a hint that works."""

import decimal
import importlib.util
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
from torch import nn

import vecml
from vecml.errors import DataError

X = np.random.default_rng(0).standard_normal((6, 3)).astype(np.float32)
# Each is of the library that makes the thing, not of vecml's taking it.
pytestmark = [
    pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*(Sparse CSR|nested tensors|quantize_per_tensor|MaskedTensors).*:UserWarning"),
]
PACKED = np.dtype([("flag", "i1"), ("x", "f4", 3)])


class ByArray:
    """An object with NumPy's protocol."""

    def __init__(self, x: Any) -> None:
        self.x = x

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return np.asarray(self.x, dtype)


class ByDlpack:
    """An object with DLPack's protocol alone."""

    def __init__(self, x: Any) -> None:
        self.x = x

    def __dlpack__(self, **kwargs: Any) -> Any:
        return self.x.__dlpack__(**kwargs)

    def __dlpack_device__(self) -> Any:
        return self.x.__dlpack_device__()


class Raises:
    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        raise RuntimeError("no values\nhere")


class OnDevice:
    """An array of CuPy's kind: it has NumPy's protocol, and refuses it."""

    __cuda_array_interface__ = {"version": 3}  # noqa: RUF012 -- as CuPy has it

    def __init__(self, x: Any) -> None:
        self.x = x

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        raise TypeError("Implicit conversion to a NumPy array is not allowed.")

    def get(self) -> Any:
        return self.x


class OfNumba(OnDevice):
    get = None  # type: ignore[assignment]

    def copy_to_host(self) -> Any:
        return self.x


def with_gradients() -> list[torch.Tensor]:
    return list(torch.tensor(X, requires_grad=True))


def packed() -> Any:
    records = np.zeros(6, PACKED)
    records["x"] = X
    return records["x"]


@pytest.fixture(scope="module")
def module() -> nn.Module:
    torch.manual_seed(1)
    made = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    with torch.no_grad():
        difference_N = made(torch.from_numpy(X)).diff(dim=1)
        made[2].bias[1] -= difference_N.median() + 1e-3  # both labels are there
    return made


@pytest.fixture(scope="module")
def expected(module: nn.Module) -> Any:
    with torch.no_grad():
        label_N = module(torch.from_numpy(X)).argmax(1).numpy()
    assert 0 < label_N.sum() < 6
    return label_N


RIGHT: dict[str, Callable[[], Any]] = {
    "requires grad": lambda: torch.tensor(X, requires_grad=True),
    "a parameter": lambda: nn.Parameter(torch.tensor(X)),
    "a result with a graph": lambda: torch.tensor(X, requires_grad=True) * 1.0,
    "double tensor": lambda: torch.tensor(X).double(),
    "conjugate view": lambda: torch.complex(torch.tensor(X), torch.zeros(6, 3)).conj().real,
    "negative view": lambda: torch.complex(torch.zeros(6, 3), -torch.tensor(X)).conj().imag,
    "transposed tensor": lambda: torch.tensor(X.T.copy()).T,
    "data frame": lambda: pd.DataFrame(X),
    "Float64": lambda: pd.DataFrame(X).astype("Float64"),
    "Float32": lambda: pd.DataFrame(X).astype("Float32"),
    "arrow dtypes": lambda: pd.DataFrame(X).astype("float32[pyarrow]"),
    "sparse columns": lambda: pd.DataFrame(X).astype(pd.SparseDtype("float32")),
    "arrow table": lambda: pa.table({name: X[:, at] for at, name in enumerate("abc")}),
    "arrow batch": lambda: pa.record_batch({name: X[:, at] for at, name in enumerate("abc")}),
    "memoryview": lambda: memoryview(X),
    "matrix": lambda: np.asmatrix(X),
    "Fortran": lambda: np.asfortranarray(X),
    "reversed twice": lambda: np.ascontiguousarray(X[::-1])[::-1],
    "reversed columns": lambda: np.ascontiguousarray(X[:, ::-1])[:, ::-1],
    "strided": lambda: np.repeat(X, 2, axis=1)[:, ::2],
    "big-endian": lambda: X.astype(">f4"),
    "big-endian double": lambda: X.astype(">f8"),
    "read-only": lambda: np.frombuffer(X.tobytes(), np.float32).reshape(X.shape),
    "a packed field": packed,
    "objects": lambda: X.astype(object),
    "lists": X.tolist,
    "list of arrays": lambda: list(X),
    "list of tuples": lambda: [tuple(row) for row in X.tolist()],
    "list of tensors": lambda: list(torch.tensor(X)),
    "list of tensors that require grad": with_gradients,
    "tuple of tensors and lists": lambda: (*with_gradients()[:3], *X[3:].tolist()),
    "list of lists of tensors": lambda: [list(row) for row in torch.tensor(X)],
    "list of lists that require grad": lambda: [list(row) for row in torch.tensor(X, requires_grad=True)],
    "list of masked nowhere": lambda: list(np.ma.masked_array(X, mask=False)),
    "masked nowhere": lambda: np.ma.masked_array(X, mask=False),
    "__array__": lambda: ByArray(X),
    "dlpack": lambda: ByDlpack(X),
    "dlpack of torch": lambda: ByDlpack(torch.tensor(X)),
    "memory map": lambda: np.array(X).view(np.memmap),
}


def polars() -> Any:
    return pytest.importorskip("polars").DataFrame(X)


RIGHT |= {"polars": polars}
# In a process of its own: JAX has threads from its import on, and warns of each fork that a later test makes.
WITH_JAX = """
import jax, numpy as np, torch, vecml
torch.manual_seed(0)
module = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.Linear(4, 2)).eval()
x = np.random.default_rng(0).standard_normal((6, 3)).astype(np.float32)
expected = vecml.predict(module, x, threads=1)
np.testing.assert_array_equal(vecml.predict(module, jax.numpy.asarray(x), threads=1), expected)
"""


@pytest.mark.parametrize("kind", RIGHT)
def test_the_labels_of_the_plain_array(module: nn.Module, expected: Any, kind: str) -> None:
    np.testing.assert_array_equal(vecml.predict(module, RIGHT[kind](), threads=1), expected)


def test_the_labels_of_an_array_of_jax() -> None:
    if importlib.util.find_spec("jax") is None:
        pytest.skip("JAX is not installed")
    done = subprocess.run([sys.executable, "-c", WITH_JAX], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "make", [lambda x: x[::-1][:1], lambda x: x[:, ::-1][:1], lambda x: x[:1][::-1], lambda x: x[5:]]
)
@pytest.mark.parametrize("engine", ["torch", "numpy", "row_loop"])
def test_a_single_row_whatever_its_strides(module: nn.Module, engine: str, make: Any) -> None:
    with torch.no_grad():
        label_N = module(torch.from_numpy(make(X).copy())).argmax(1).numpy()
    np.testing.assert_array_equal(vecml.predict(module, make(X), engine=engine, threads=1), label_N)


@pytest.mark.parametrize(
    "make",
    [
        lambda x: x.half(),
        lambda x: x.bfloat16(),
        lambda x: x.half().numpy(),
        lambda x: list(x.bfloat16()),
        lambda x: list(x.half()),
    ],
)
def test_half_precision_is_widened(module: nn.Module, make: Any) -> None:
    made = make(torch.tensor(X))
    rounded = (torch.stack(made) if isinstance(made, list) else torch.as_tensor(made)).float()
    with torch.no_grad():
        label_N = module(rounded).argmax(1).numpy()
    np.testing.assert_array_equal(vecml.predict(module, make(torch.tensor(X)), threads=1), label_N)


REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "sparse tensor": (lambda: torch.tensor(X).to_sparse(), "x is a sparse_coo tensor"),
    "compressed tensor": (lambda: torch.tensor(X).to_sparse_csr(), "x is a sparse_csr tensor"),
    "nested tensor": (lambda: torch.nested.nested_tensor([torch.tensor(X[0])] * 6), "x is a nested tensor"),
    "quantised tensor": (
        lambda: torch.quantize_per_tensor(torch.tensor(X), 0.1, 0, torch.qint8),
        "x is a quantised tensor (qint8)",
    ),
    "meta tensor": (lambda: torch.empty((6, 3), device="meta"), "x is a tensor on device meta, which has no values"),
    "whole tensor": (lambda: torch.tensor(X).long(), "x is int64 of shape (6, 3)"),
    "complex tensor": (lambda: torch.tensor(X).to(torch.complex64), "x is complex64 of shape (6, 3)"),
    "masked tensor": (
        lambda: torch.masked.masked_tensor(torch.tensor(X), torch.tensor(X < 1.0)),
        "x is a masked tensor, and its mask would be lost",
    ),
    "a null of Arrow": (lambda: pa.table({"a": [1.0, 2.0], "b": [1.0, None], "c": [1.0, 2.0]}), "x has null at [1, 1]"),
    "nulls of a batch": (
        lambda: pa.record_batch({"a": pa.nulls(2, pa.float32()), "b": [1.0, 2.0], "c": [1.0, 2.0]}),
        "x has null at [0, 0]",
    ),
    "masked": (lambda: np.ma.masked_greater(X, 1.0), "masked values, the first at ["),
    "masked rows": (lambda: list(np.ma.masked_greater(X, 1.0)), "x has masked values, the first at ["),
    "one masked row": (lambda: [X[0], np.ma.masked_less(X[1], 9.0)], "x has masked values, the first at [1, 0]"),
    "a masked value in lists": (lambda: [[1.0, 2.0, 3.0], [1.0, 2.0, np.ma.masked]], "the first at [1, 2]"),
    "masked columns": (lambda: {name: np.ma.masked_greater(X[:, at], 1.0) for at, name in enumerate("abc")}, "a dict"),
    "sparse rows": (lambda: [torch.tensor(row).to_sparse() for row in X], "x[0] is a sparse_coo tensor"),
    "like CuPy's": (lambda: OnDevice(X), "x is a OnDevice on a device"),
    "like Numba's": (lambda: OfNumba(X), "x is a OfNumba on a device"),
    "rows like CuPy's": (lambda: [OnDevice(row) for row in X], "x[0] is a OnDevice on a device"),
    "columns like CuPy's": (lambda: {name: OnDevice(X[:, at]) for at, name in enumerate("abc")}, "x is a dict"),
    "columns of tensors": (lambda: dict(zip("abc", torch.tensor(X, requires_grad=True).T, strict=True)), "x is a dict"),
    "whole numbers": (lambda: X.astype(int), "x is int64 of shape (6, 3)"),
    "lists of whole numbers": (lambda: X.astype(int).tolist(), "x is int64 of shape (6, 3)"),
    "booleans": (lambda: X > 0, "x is bool of shape (6, 3)"),
    "wide": (lambda: X.astype(np.longdouble), f"x is {np.dtype(np.longdouble)} of shape (6, 3)"),
    "decimals": (lambda: [[decimal.Decimal(str(value)) for value in row] for row in X], "x is object of shape (6, 3)"),
    "texts of numbers": (lambda: X.astype(str), "x is <U"),
    "texts": (lambda: [["a", "b", "c"]], "x is <U1 of shape (1, 3)"),
    "dates": (lambda: np.zeros((2, 3), "M8[s]"), "x is datetime64[s] of shape (2, 3)"),
    "NA": (lambda: pd.DataFrame(X).astype("Float64").mask(X > 0.5), "x has NA at ["),
    "None": (lambda: [[1.0, None, 2.0]], "x has None at [0, 1]"),
    "series": (lambda: pd.DataFrame(X).iloc[0], "x is float32 of shape (3,)"),
    "one row": (lambda: X[0], "x is float32 of shape (3,)"),
    "one list": (lambda: [1.0, 2.0, 3.0], "x is float64 of shape (3,)"),
    "one tensor": (lambda: torch.tensor(X[0]), "x is float32 of shape (3,)"),
    "a number": (lambda: np.float32(3), "x is float32 of shape ()"),
    "pictures": (lambda: X.reshape(6, 1, 3), "x is float32 of shape (6, 1, 3)"),
    "records": (
        lambda: np.array([tuple(row) for row in X.tolist()], [(name, "f4") for name in "abc"]),
        "x has the fields a, b, c",
    ),
    "record array": (lambda: np.rec.fromarrays(list(X.T), names="a,b,c"), "x has the fields a, b, c"),
    "ragged": (lambda: [[1.0, 2.0], [3.0]], "x is a list, which gives no array: ValueError: "),
    "dict": (lambda: {name: X[:, at] for at, name in enumerate("abc")}, "x is a dict"),
    "generator": (lambda: (row for row in X), "x is a generator, which can be read once"),
    "path": (lambda: "table.csv", "x is text, 'table.csv'"),
    "nothing": (lambda: None, "x is object of shape ()"),
    "raises": (Raises, "x is a Raises, which gives no array: RuntimeError: no values"),
}
# what no expression can give: values that are not there, or are no numbers
WORDS = {"meta tensor", "complex tensor", "texts", "dates", "None", "a number", "ragged", "path", "nothing", "raises"}


@pytest.mark.parametrize("kind", REFUSED)
def test_one_line_with_a_hint_that_works(module: nn.Module, kind: str) -> None:
    make, said = REFUSED[kind]
    with pytest.raises(DataError) as caught:
        vecml.predict(module, make(), threads=1)
    assert said in caught.value.message
    assert "\n" not in caught.value.message
    assert caught.value.hint
    if kind in WORDS:
        return
    expression = caught.value.hint.partition(", or ")[0].partition(" for one row")[0].partition(" of a data frame")[0]
    changed = eval(expression, {"x": make(), "numpy": np, "torch": torch})  # noqa: S307 -- a hint is pasted
    assert vecml.predict(module, changed, threads=1).dtype == np.int64


def test_a_null_of_polars_is_refused(module: nn.Module) -> None:
    polars = pytest.importorskip("polars")
    with pytest.raises(DataError, match=r"^x has null at \[1, 0\]: a bare model takes no missing values$") as caught:
        vecml.predict(module, polars.DataFrame({"a": [1.0, None], "b": [1.0, 2.0], "c": [1.0, 2.0]}), threads=1)
    assert (caught.value.hint or "").startswith("x.fill_null(0.0), or")


def test_sparse_and_lazy_tables(module: nn.Module, expected: Any) -> None:
    sparse = pytest.importorskip("scipy.sparse")
    for made, hint in ((sparse.csr_array(X), "x.toarray()"), (sparse.coo_matrix(X), "x.toarray()")):
        with pytest.raises(DataError) as caught:
            vecml.predict(module, made, threads=1)
        assert caught.value.hint == hint
        np.testing.assert_array_equal(vecml.predict(module, made.toarray(), threads=1), expected)
    lazy = pytest.importorskip("polars").DataFrame(X).lazy()
    with pytest.raises(DataError, match="x is a LazyFrame") as caught:
        vecml.predict(module, lazy, threads=1)
    assert caught.value.hint == "x.collect()"

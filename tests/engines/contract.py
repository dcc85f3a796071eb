"""What the tests of the contract share: the check itself, the ways to run, and models that are loaded once."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from vecml.config import ACTIVATIONS, Activation, Layout, Precision, Setting
from vecml.engines.base import Engine, Loaded
from vecml.engines.registry import ENGINES, get_engine
from vecml.model.network import Model

BLOCK = 40  # no multiple of a vector, and longer than a tile of the engine halide: full blocks and short ones differ
ROWS = (0, 1, 7, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK + 3)
CLASSES = (2, 3, 10)
LAYOUTS: tuple[Layout, ...] = ("columns", "rows")
# share of the logits' size: a few roundings of the precision, over layers of some ten products
TOLERANCE: dict[Precision, float] = {"float64": 1e-13, "float32": 2e-6, "bfloat16": 4e-2}

CPU_WAYS = [
    (name, precision)
    for name, engine in ENGINES.items()
    for precision in engine.precisions
    if precision in TOLERANCE and "cpu" in engine.devices
]

SLOW_TO_LOAD = ("torch_compile", "halide")  # they compile for a second or more, whatever the model
FAST_WAYS = [way for way in CPU_WAYS if way[0] not in SLOW_TO_LOAD]

Oracle = Callable[[Model, NDArray[Any]], NDArray[np.float64]]
Make = Callable[..., Model]


@dataclass(frozen=True)
class Case:
    """A model that a slow engine loads once. Exact: small weights with few bits, so that rows tie to the last bit."""

    engine: str
    precision: Precision
    layout: Layout
    classes: int
    hidden: tuple[int, ...]
    activation: Activation
    exact: bool = False

    def __str__(self) -> str:
        hidden = "-".join(map(str, self.hidden)) or "none"
        return f"{self.engine}-{self.precision}-{self.layout}-{self.classes}-{hidden}-{self.activation}"

    @property
    def setting(self) -> Setting:
        return Setting(self.engine, precision=self.precision, layout=self.layout, threads=2, block_rows=BLOCK)

    def model(self, make_model: Make) -> Model:
        model = make_model((5, *self.hidden, self.classes), self.activation, seed=3)
        random = np.random.default_rng(4)
        if self.exact:
            for layer in model.layers:
                layer.weight_OI[:] = random.integers(-2, 3, layer.weight_OI.shape) / 2
                layer.bias_O[:] = random.integers(-1, 2, layer.bias_O.shape) / 2
        else:
            model.layers[-1].bias_O[0] -= 5  # class 0 is also the answer to no answer, so others should be usual
        return model


# Every pair of (precision, layout, classes), and each activation; a compiler of C++ needs seconds for each.
TORCH_COMPILE = [
    Case("torch_compile", "float32", "columns", 2, (12,), "gelu"),
    Case("torch_compile", "float32", "rows", 3, (), "relu", exact=True),
    Case("torch_compile", "float32", "columns", 10, (7, 6), "tanh"),
    Case("torch_compile", "float64", "rows", 2, (4,), "relu", exact=True),
    Case("torch_compile", "float64", "columns", 3, (9,), "sigmoid"),
    Case("torch_compile", "float64", "rows", 10, (), "relu", exact=True),
    Case("torch_compile", "float32", "rows", 300, (6,), "relu"),
    Case("torch_compile", "bfloat16", "columns", 2, (12,), "relu"),
    Case("torch_compile", "bfloat16", "rows", 3, (9,), "gelu"),
    Case("torch_compile", "bfloat16", "columns", 10, (), "relu"),
]
_HIDDEN: tuple[tuple[int, ...], ...] = ((12,), (), (20, 3), (4, 9, 6))
HALIDE = [
    Case(
        "halide",
        precision,  # type: ignore[arg-type]
        layout,
        classes,
        _HIDDEN[(p + la + 2 * c) % 4],
        ACTIVATIONS[(2 * p + la + c) % 4],
        exact=ACTIVATIONS[(2 * p + la + c) % 4] == "relu",
    )
    for p, precision in enumerate(("float32", "float64"))
    for la, layout in enumerate(LAYOUTS)
    for c, classes in enumerate(CLASSES)
] + [Case("halide", "float32", "columns", 300, (6,), "relu")]
SLOW_CASES = TORCH_COMPILE + HALIDE


def check(engine: Engine, model: Model, setting: Setting, x_NF: NDArray[Any], oracle: Oracle) -> None:
    """The contract on these rows: shapes, dtypes, logits within the tolerance, labels equal but for near ties."""
    loaded = load(engine, model, setting)
    try:
        check_loaded(loaded, model, setting, x_NF, oracle)
    finally:
        loaded.close()


def check_loaded(loaded: Loaded, model: Model, setting: Setting, x_NF: NDArray[Any], oracle: Oracle) -> None:
    """As `check`, on what is loaded already. Rows with a logit that is not finite are class 0, and tied ones exact."""
    label_N = labels_of(loaded, setting, x_NF)
    logits_NC = loaded.logits(lying(x_NF, setting.layout))
    expected_NC = oracle(model, x_NF)
    finite_N = np.isfinite(expected_NC).all(axis=1)
    assert not label_N[np.isnan(expected_NC).any(axis=1)].any()
    size = np.abs(expected_NC[finite_N]).max(initial=0)
    tolerance = TOLERANCE[setting.precision] * np.maximum(1, size)
    assert logits_NC.shape == expected_NC.shape
    assert logits_NC.dtype in (np.float32, np.float64)
    np.testing.assert_allclose(logits_NC[finite_N], expected_NC[finite_N], rtol=0, atol=tolerance)
    assert label_N.min(initial=0) >= 0
    assert label_N.max(initial=0) < expected_NC.shape[1]
    best_N = expected_NC.max(axis=1, initial=-np.inf)
    given_N = expected_NC[np.arange(len(x_NF)), label_N]
    short_N = (best_N - given_N)[finite_N]
    assert (short_N <= 2 * tolerance).all(), np.flatnonzero(short_N > 2 * tolerance)


def check_ties(loaded: Loaded, model: Model, setting: Setting, oracle: Oracle) -> None:
    """An exact model's labels on rows of small whole numbers: no sum is rounded, and of equal logits the first wins."""
    x_NF = np.random.default_rng(9).integers(-2, 3, (600, model.architecture.n_features)).astype(np.float32)
    expected_NC = oracle(model, x_NF)
    highest_NC = np.sort(expected_NC, axis=1)
    assert (highest_NC[:, -1] == highest_NC[:, -2]).sum() >= 3  # else this says nothing
    np.testing.assert_array_equal(labels_of(loaded, setting, x_NF), expected_NC.argmax(axis=1))


def run(
    engine: Engine, model: Model, setting: Setting, x_NF: NDArray[Any]
) -> tuple[NDArray[np.floating], NDArray[np.int64]]:
    """Logits and labels of a model that is loaded for them alone."""
    loaded = load(engine, model, setting)
    try:
        return loaded.logits(lying(x_NF, setting.layout)), labels_of(loaded, setting, x_NF)
    finally:
        loaded.close()


def load(engine: Engine, model: Model, setting: Setting) -> Loaded:
    """Loaded, or the test is skipped where this machine cannot."""
    reason = engine.unavailable(model, setting)
    if reason is not None:
        pytest.skip(reason)
    return engine.load(model, setting)


def labels_of(loaded: Loaded, setting: Setting, x_NF: NDArray[Any]) -> NDArray[np.int64]:
    """What the loaded model writes; -1 where it writes nothing."""
    out_N = np.full(len(x_NF), -1, np.int64)
    loaded.labels(lying(x_NF, setting.layout), out_N)
    loaded.synchronize()
    return out_N


def labels(name: str, model: Model, x_NF: NDArray[Any], precision: Precision, layout: Layout = "rows") -> list[int]:
    """The labels by the engine of that name, in short blocks."""
    setting = Setting(name, precision=precision, layout=layout, threads=2, block_rows=4)
    return run(get_engine(name), model, setting, x_NF)[1].tolist()


def lying(x_NF: NDArray[Any], layout: Layout) -> NDArray[Any]:
    """The table in that layout, contiguous."""
    return np.ascontiguousarray(x_NF.T) if layout == "columns" else np.ascontiguousarray(x_NF)


def table(rows: int, features: int, dtype: Any = np.float32, seed: int = 1) -> NDArray[Any]:
    """Rows of normal numbers."""
    return np.random.default_rng(seed).standard_normal((rows, features)).astype(dtype)

"""torch and torch_compile on CUDA keep the engines' contract, and training there gives what it gives on a CPU.

Skipped where torch sees no CUDA device; `make test-gpu` runs it alone.
"""

import itertools
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from vecml.config import ACTIVATIONS, Layout, PipelineConfig, Precision, Setting, make_config
from vecml.data.sources import load_table
from vecml.data.split import Split, split_table
from vecml.device import available_devices, device_name
from vecml.engines.registry import get_engine, load_engine
from vecml.inference.precision import used_precision
from vecml.model.evaluate import label_of
from vecml.model.network import AnyModel, Model
from vecml.model.own_module import OwnModel
from vecml.model.replicas import accuracies
from vecml.model.train import train


def cuda_is_there() -> bool:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a driver that is too old, say
        return torch.cuda.is_available()


pytestmark = pytest.mark.skipif(
    not cuda_is_there(), reason=f"torch.cuda.is_available() is False under torch {torch.__version__}"
)

DEVICE = "cuda"
BLOCK = 16
ROWS = (0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 5 * BLOCK + 3)
LAYOUTS: tuple[Layout, ...] = ("columns", "rows")
PRECISIONS = tuple(get_engine("torch").devices[DEVICE])
# share of the logits' size: a few roundings of the precision, over layers of some ten products
TOLERANCE: dict[Precision, float] = {
    "float64": 1e-13,
    "float32": 2e-6,
    "tf32": 5e-3,
    "bfloat16": 4e-2,
    "float16": 5e-3,
}

Oracle = Callable[[Model, NDArray[Any]], NDArray[np.float64]]
Make = Callable[..., Model]


def setting_for(
    precision: Precision, layout: Layout = "rows", block_rows: int | None = BLOCK, engine: str = "torch"
) -> Setting:
    setting = Setting(engine, device=DEVICE, precision=precision, layout=layout, block_rows=block_rows)
    if reason := get_engine(engine).unavailable(None, setting):  # type: ignore[arg-type] -- it looks at no model
        pytest.skip(reason)  # an older GPU has no tf32, no bfloat16
    return setting


def run(model: AnyModel, setting: Setting, x_NF: NDArray[Any]) -> tuple[NDArray[np.floating], NDArray[np.int64]]:
    loaded = load_engine(model, setting)
    try:
        x = np.ascontiguousarray(x_NF.T) if setting.layout == "columns" else np.ascontiguousarray(x_NF)
        out_N = np.full(len(x_NF), -1, np.int64)
        loaded.labels(x, out_N)
        loaded.synchronize()
        return loaded.logits(x), out_N
    finally:
        loaded.close()


def check(model: Model, setting: Setting, x_NF: NDArray[Any], oracle: Oracle) -> None:
    """Shapes, dtypes, logits within the tolerance, labels equal but for near ties."""
    logits_NC, label_N = run(model, setting, x_NF)
    expected_NC = oracle(model, x_NF)
    tolerance = TOLERANCE[setting.precision] * np.maximum(1, np.abs(expected_NC).max(initial=0))
    assert logits_NC.shape == expected_NC.shape
    assert logits_NC.dtype == (np.float64 if setting.precision == "float64" else np.float32)
    np.testing.assert_allclose(logits_NC, expected_NC, rtol=0, atol=tolerance)
    best_N = expected_NC.max(axis=1, initial=-np.inf)
    given_N = expected_NC[np.arange(len(x_NF)), label_N]
    assert (label_N >= 0).all()
    assert (best_N - given_N <= 2 * tolerance).all(), np.flatnonzero(best_N - given_N > 2 * tolerance)


def table(rows: int, features: int, dtype: Any = np.float32) -> NDArray[Any]:
    return np.random.default_rng(1).standard_normal((rows, features)).astype(dtype)


def made_split(**values: Any) -> tuple[Split, PipelineConfig]:
    """The notebook's data at a smaller size."""
    config = make_config({"rows": 2_000, **values})
    return split_table(load_table(config), config.test_fraction, config.seed), config


def test_the_device_is_offered_by_its_name() -> None:
    assert DEVICE in available_devices()
    assert device_name(DEVICE) == torch.cuda.get_device_name(0)


@pytest.mark.parametrize("rows", ROWS)
@pytest.mark.parametrize("classes", [2, 3, 10])
@pytest.mark.parametrize("precision", PRECISIONS)
def test_rows_classes_layouts_and_both_dtypes(
    precision: Precision, classes: int, rows: int, make_model: Make, oracle: Oracle
) -> None:
    activation = ACTIVATIONS[(rows + classes) % len(ACTIVATIONS)]  # they take turns
    model = make_model((5, 12, classes), activation)
    for layout, dtype in itertools.product(LAYOUTS, (np.float32, np.float64)):
        check(model, setting_for(precision, layout), table(rows, 5, dtype), oracle)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("precision", PRECISIONS)
def test_activations_and_depths(precision: Precision, activation: str, make_model: Make, oracle: Oracle) -> None:
    for hidden in ((), (1,), (20, 3)):
        check(make_model((3, *hidden, 4), activation), setting_for(precision), table(3 * BLOCK + 1, 3), oracle)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_its_own_block_and_short_ones_give_the_same_on_many_rows(
    precision: Precision, make_model: Make, oracle: Oracle
) -> None:
    model, x_NF = make_model((10, 32, 3)), table(100_000, 10)
    check(model, setting_for(precision, block_rows=None), x_NF, oracle)
    check(model, setting_for(precision, block_rows=4_099), x_NF, oracle)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("precision", PRECISIONS)
def test_the_probe_names_the_precision_that_was_asked_for(precision: Precision, layout: Layout) -> None:
    assert used_precision(setting_for(precision, layout, block_rows=None)) == precision


@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_row_without_an_answer_is_class_0(precision: Precision, make_model: Make) -> None:
    for classes in (2, 3):
        model = make_model((1, classes))
        # the last class wins where x is above zero; of an infinite x, more than one logit is
        model.layers[0].weight_OI[:] = np.arange(classes)[:, None] - 0.5
        model.layers[0].bias_O[:] = 0
        x_NF = np.array([[np.nan], [np.inf], [-np.inf], [1.0], [-1.0]], np.float32)
        assert run(model, setting_for(precision), x_NF)[1].tolist() == [0, 0, 0, classes - 1, 0]


@pytest.mark.parametrize("precision", PRECISIONS)
def test_calls_of_different_sizes_on_views_do_not_mix(precision: Precision, make_model: Make, oracle: Oracle) -> None:
    model = make_model((6, 8, 3))
    x_FN = np.ascontiguousarray(table(300, 6).T)
    x_FN.flags.writeable = False
    loaded = load_engine(model, setting_for(precision, "columns"))
    try:
        for begin, end in ((0, 3), (10, 75), (5, 6), (0, 300), (7, 7), (100, 117)):
            z_NC = loaded.logits(x_FN[:, begin:end])
            into = np.full(2 * (end - begin), -1, np.int64)
            loaded.labels(x_FN[:, begin:end], into[::2])
            expected_NC = oracle(model, x_FN[:, begin:end].T)
            atol = TOLERANCE[precision] * np.maximum(1, np.abs(expected_NC).max(initial=0))
            np.testing.assert_allclose(z_NC, expected_NC, rtol=0, atol=atol)
            assert (into[1::2] == -1).all()
            best_N = expected_NC.max(axis=1, initial=-np.inf)
            assert (best_N - expected_NC[np.arange(end - begin), into[::2]] <= 2 * atol).all()
    finally:
        loaded.close()


def test_closing_gives_the_matrix_product_setting_back_once(make_model: Make) -> None:
    matmul = torch.backends.cuda.matmul
    before = matmul.fp32_precision
    try:
        matmul.fp32_precision = "ieee"
        loaded = load_engine(make_model((3, 2)), setting_for("tf32"))
        assert matmul.fp32_precision == "tf32"
        loaded.close()
        assert matmul.fp32_precision == "ieee"
        matmul.fp32_precision = "tf32"  # somebody else's, since
        loaded.close()
        assert matmul.fp32_precision == "tf32"
    finally:
        matmul.fp32_precision = before


def test_blocks_are_halved_when_memory_runs_out(make_model: Make, oracle: Oracle) -> None:
    """The process may take 64 MiB more than it has, and a block alone would want 400."""
    model = make_model((10, 100, 2))
    x_NF = np.random.default_rng(0).standard_normal((3_000_000, 10), dtype=np.float32)
    _, total = torch.cuda.mem_get_info()
    torch.cuda.set_per_process_memory_fraction((torch.cuda.memory_reserved() + (64 << 20)) / total)
    try:
        with pytest.warns(match="VML014 the memory of cuda:0 ran out"):
            _, label_N = run(model, setting_for("float32", block_rows=1_000_000), x_NF)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    expected_N = oracle(model, x_NF[:2_000]).argmax(1)
    assert (label_N[:2_000] == expected_N).mean() > 0.99


@pytest.mark.parametrize("precision", PRECISIONS)
def test_what_is_compiled_keeps_the_contract(precision: Precision, make_model: Make, oracle: Oracle) -> None:
    for (rows, classes), layout in zip([(5 * BLOCK + 3, 3), (BLOCK - 1, 2)], LAYOUTS, strict=True):
        setting = setting_for(precision, layout, engine="torch_compile")
        check(make_model((5, 12, classes), "gelu"), setting, table(rows, 5), oracle)
    assert used_precision(setting_for(precision, block_rows=None, engine="torch_compile")) == precision


@pytest.mark.parametrize("engine", ["torch", "torch_compile"])
def test_a_module_of_ones_own(engine: str) -> None:
    split, config = made_split(architecture="tests.model.own_modules:Residual")
    model = train(split, config).model
    expected_NC = model.wide_logits(split.test.x_FN)
    setting = setting_for("float32", "rows", engine=engine)
    logits_NC, label_N = run(model, setting, np.ascontiguousarray(split.test.x_FN.T))
    np.testing.assert_allclose(logits_NC, expected_NC, rtol=0, atol=1e-4)
    assert (label_N == label_of(expected_NC)).mean() > 0.99


@pytest.mark.parametrize("values", [{}, {"replicas": 4}, {"architecture": "tests.model.own_modules:Residual"}])
def test_training_there_gives_what_a_cpu_gives(values: dict[str, Any], oracle: Oracle) -> None:
    split, config = made_split(epochs=2, **values)
    there, here = train(split, config, DEVICE), train(split, config)
    assert there.device == DEVICE
    np.testing.assert_allclose(there.losses, here.losses, rtol=1e-3)
    found_NC, expected_NC = (
        model.wide_logits(split.test.x_FN) if isinstance(model, OwnModel) else oracle(model, split.test.x_FN.T)
        for model in (there.model, here.model)
    )
    np.testing.assert_allclose(found_NC, expected_NC, rtol=0, atol=2e-2)
    if there.replicas:
        found_R, expected_R = accuracies(there.replicas, split.test, DEVICE), accuracies(here.replicas, split.test)
        np.testing.assert_allclose(found_R, expected_R, atol=0.02)

"""The float64 reference against the engines' oracle, and the bound on rounding errors against real roundings."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.comparison.test_bad_engines import small_model
from vecml.comparison.reference import reference_labels, reference_logits, tolerance
from vecml.config import ACTIVATIONS
from vecml.engines.registry import load_engine
from vecml.inference.infer import REFERENCE
from vecml.model.evaluate import label_of
from vecml.model.network import Architecture, Model


def with_activation(model: Model, activation: str) -> Model:
    shape = model.architecture
    return Model(Architecture(shape.n_features, shape.hidden, shape.n_classes, activation), model.layers, model.classes)  # type: ignore[arg-type]


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("widths", [(10, 32, 2), (5, 20, 8, 3), (4, 3)])
def test_it_is_what_the_row_by_row_engine_computes(widths: tuple[int, ...], activation: str) -> None:
    model = with_activation(small_model(widths), activation)
    x_FN = np.random.default_rng(2).standard_normal((widths[0], 300)).astype(np.float32)
    plain = load_engine(model, REFERENCE)
    found = reference_logits(model, x_FN)
    np.testing.assert_allclose(found.logits_NC, plain.logits(x_FN), rtol=0, atol=1e-13 * found.scale_NC.max())
    label_N = np.empty(300, np.int64)
    plain.labels(x_FN, label_N)
    np.testing.assert_array_equal(reference_labels(model, x_FN), label_N)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@given(seed=st.integers(0, 2**16), size=st.sampled_from([1e-3, 1.0, 1e3]))
@settings(max_examples=15, deadline=None)
def test_float32_stays_within_the_bound_and_much_of_it_is_used(activation: str, seed: int, size: float) -> None:
    model = with_activation(small_model((20, 64, 32, 3)), activation)
    x_FN = (size * np.random.default_rng(seed).standard_normal((20, 200))).astype(np.float32)
    expected = reference_logits(model, x_FN)
    value = x_FN
    activate = {
        "relu": lambda z: np.maximum(z, np.float32(0)),
        "tanh": np.tanh,
        "sigmoid": lambda z: 1 / (1 + np.exp(-np.clip(z, -80, 80))),
        "gelu": None,
    }[activation]
    if activate is None:
        return  # float32's erf is not at hand in NumPy; the engines' own contract covers it
    for index, layer in enumerate(model.layers):
        value = layer.weight_OI @ value + layer.bias_O[:, None]
        if index + 1 < len(model.layers):
            value = activate(value).astype(np.float32)
    error = np.abs(value.T - expected.logits_NC) / expected.scale_NC
    assert error.max() <= tolerance(model.architecture, "float32")
    # A bound that is a thousand times too wide would let a wrong label pass for a near tie.
    assert tolerance(model.architecture, "float32") < 1e-5


def test_a_row_without_an_answer_is_class_0() -> None:
    logits_NC = np.array([[1.0, 2.0], [np.nan, 1.0], [0.0, np.inf], [-np.inf, -np.inf], [3.0, 3.0]])
    assert label_of(logits_NC).tolist() == [1, 0, 0, 0, 0]


def test_blocks_do_not_show() -> None:
    model = small_model()
    x_FN = np.random.default_rng(3).standard_normal((10, 20_000), dtype=np.float32)
    np.testing.assert_array_equal(reference_labels(model, x_FN), label_of(reference_logits(model, x_FN).logits_NC))


def test_labels_need_the_memory_of_a_block_and_not_of_all_logits() -> None:
    model = small_model((4, 8, 100))
    x_FN = np.random.default_rng(3).standard_normal((4, 200_000), dtype=np.float32)
    tracemalloc.start()
    reference_labels(model, x_FN)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak_bytes < 200_000 * 100 * 8 / 4  # a quarter of all logits in float64

"""Every engine, in every precision and layout, gives the oracle's labels and logits; and a broken engine is caught.

The oracle is NumPy in float64 over the whole array. A label may differ only where two logits are as close as the
precision's own error.
"""

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from vecml.config import ACTIVATIONS, Layout, Precision, Setting
from vecml.engines.base import Engine, Loaded
from vecml.engines.registry import ENGINES, get_engine
from vecml.engines.row_loop import affordable_rows
from vecml.model.network import Model

BLOCK = 16
ROWS = (0, 1, 7, BLOCK - 1, BLOCK, BLOCK + 1, 5 * BLOCK + 3)
LAYOUTS: tuple[Layout, ...] = ("columns", "rows")
# share of the logits' size: a few roundings of the precision, over layers of some ten products
TOLERANCE: dict[Precision, float] = {"float64": 1e-13, "float32": 2e-6, "bfloat16": 4e-2}

CPU_WAYS = [
    (name, precision)
    for name, engine in ENGINES.items()
    for precision in engine.precisions
    if precision in TOLERANCE and "cpu" in engine.devices
]

# They compile for seconds whatever the model: random shapes are left to the others.
SLOW_TO_LOAD = ("torch_compile",)

Oracle = Callable[[Model, NDArray[Any]], NDArray[np.float64]]
Make = Callable[..., Model]


def check(engine: Engine, model: Model, setting: Setting, x_NF: NDArray[Any], oracle: Oracle) -> None:
    """The contract on these rows: shapes, dtypes, logits within the tolerance, labels equal but for near ties."""
    logits_NC, label_N = run(engine, model, setting, x_NF)
    expected_NC = oracle(model, x_NF)
    tolerance = TOLERANCE[setting.precision] * np.maximum(1, np.abs(expected_NC).max(initial=0))
    assert logits_NC.shape == expected_NC.shape
    assert logits_NC.dtype in (np.float32, np.float64)
    np.testing.assert_allclose(logits_NC, expected_NC, rtol=0, atol=tolerance)
    best_N = expected_NC.max(axis=1, initial=-np.inf)
    given_N = expected_NC[np.arange(len(x_NF)), label_N]
    assert (best_N - given_N <= 2 * tolerance).all(), np.flatnonzero(best_N - given_N > 2 * tolerance)


def run(
    engine: Engine, model: Model, setting: Setting, x_NF: NDArray[Any]
) -> tuple[NDArray[np.floating], NDArray[np.int64]]:
    reason = engine.unavailable(model, setting)
    if reason is not None:
        pytest.skip(reason)
    loaded = engine.load(model, setting)
    try:
        x = np.ascontiguousarray(x_NF.T) if setting.layout == "columns" else np.ascontiguousarray(x_NF)
        out_N = np.full(len(x_NF), -1, np.int64)
        loaded.labels(x, out_N)
        loaded.synchronize()
        return loaded.logits(x), out_N
    finally:
        loaded.close()


def labels(name: str, model: Model, x_NF: NDArray[Any], precision: Precision, layout: Layout = "rows") -> list[int]:
    setting = Setting(name, precision=precision, layout=layout, threads=2, block_rows=4)
    return run(get_engine(name), model, setting, x_NF)[1].tolist()


def table(rows: int, features: int, dtype: Any = np.float32, seed: int = 1) -> NDArray[Any]:
    return np.random.default_rng(seed).standard_normal((rows, features)).astype(dtype)


@pytest.mark.parametrize("rows", ROWS)
@pytest.mark.parametrize("classes", [2, 3, 10])
@pytest.mark.parametrize(("name", "precision"), CPU_WAYS)
def test_rows_classes_and_layouts(
    name: str, precision: Precision, classes: int, rows: int, make_model: Make, oracle: Oracle
) -> None:
    # activations take turns, so that each meets every engine and precision here and in the test below
    activation = ACTIVATIONS[(rows + classes) % len(ACTIVATIONS)]
    model = make_model((5, 12, classes), activation)
    for layout, dtype in itertools.product(LAYOUTS, (np.float32, np.float64)):
        setting = Setting(name, precision=precision, layout=layout, threads=2, block_rows=BLOCK)
        check(get_engine(name), model, setting, table(rows, 5, dtype), oracle)


@pytest.mark.parametrize("hidden", [(), (1,), (9,), (20, 3), (4, 30, 6)])
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize(("name", "precision"), CPU_WAYS)
def test_activations_and_depths(
    name: str, precision: Precision, activation: str, hidden: tuple[int, ...], make_model: Make, oracle: Oracle
) -> None:
    for classes, layout in zip((2, 4), LAYOUTS, strict=True):
        model = make_model((3, *hidden, classes), activation, seed=len(hidden))
        setting = Setting(name, precision=precision, layout=layout, threads=1, block_rows=BLOCK)
        check(get_engine(name), model, setting, table(3 * BLOCK + 1, 3), oracle)


@pytest.mark.parametrize(("name", "precision"), CPU_WAYS)
def test_more_classes_than_a_byte_counts(name: str, precision: Precision, make_model: Make, oracle: Oracle) -> None:
    setting = Setting(name, precision=precision, threads=2, block_rows=BLOCK)
    model = make_model((4, 300))
    check(get_engine(name), model, setting, 10 * table(40, 4), oracle)


@pytest.mark.parametrize(("name", "precision"), CPU_WAYS)
def test_the_engines_own_block_and_one_thread_or_two_give_the_same(
    name: str, precision: Precision, make_model: Make
) -> None:
    model, x_NF = make_model((10, 32, 3)), table(1_000, 10)
    got = [
        run(get_engine(name), model, Setting(name, precision=precision, threads=threads, block_rows=block), x_NF)[1]
        for threads, block in ((1, None), (2, None), (1, 100), (2, 100), (2, 10_000))
    ]
    for other in got[1:]:
        np.testing.assert_array_equal(other, got[0])


def test_the_reference_agrees_with_the_oracle_on_2000_rows(make_model: Make, oracle: Oracle) -> None:
    for activation in ACTIVATIONS:
        for classes in (2, 5):
            model = make_model((10, 32, classes), activation)
            x_NF = table(2_000, 10)
            setting = Setting("row_loop", precision="float64", layout="rows")
            logits_NC, label_N = run(get_engine("row_loop"), model, setting, x_NF)
            expected_NC = oracle(model, x_NF)
            np.testing.assert_allclose(logits_NC, expected_NC, rtol=1e-12, atol=1e-13)
            np.testing.assert_array_equal(label_N, expected_NC.argmax(axis=1))


def test_what_the_reference_affords_depends_on_the_shape_alone(make_model: Make) -> None:
    small, notebook, wide = (make_model(widths).architecture for widths in ((1, 1, 2), (10, 32, 2), (5_000, 4_096, 10)))
    assert affordable_rows(notebook) == affordable_rows(notebook)
    assert affordable_rows(small) > affordable_rows(notebook) > 2_000 > affordable_rows(wide) >= 1


# Views and memory


@pytest.mark.parametrize(("name", "precision"), CPU_WAYS)
def test_read_only_tables_and_slices_are_taken_and_left_as_they_are(
    name: str, precision: Precision, make_model: Make, oracle: Oracle
) -> None:
    model = make_model((6, 8, 3))
    whole_FN = np.ascontiguousarray(table(100, 6).T)
    whole_FN.flags.writeable = False
    before = whole_FN.copy()
    view_FN = whole_FN[:, 10:75]
    expected_N = oracle(model, view_FN.T).argmax(axis=1)
    if reason := get_engine(name).unavailable(model, Setting(name, precision=precision)):
        pytest.skip(reason)
    for layout, x in (("columns", view_FN), ("rows", view_FN.T)):  # strided either way
        loaded = get_engine(name).load(model, Setting(name, precision=precision, layout=layout, block_rows=BLOCK))  # type: ignore[arg-type]
        into_2N = np.full(2 * 65, -1, np.int64)
        loaded.labels(x, into_2N[::2])
        loaded.close()
        assert (into_2N[1::2] == -1).all()
        if precision != "bfloat16":
            np.testing.assert_array_equal(into_2N[::2], expected_N)
    np.testing.assert_array_equal(whole_FN, before)


@pytest.mark.parametrize(("name", "precision"), CPU_WAYS)
def test_calls_of_different_sizes_do_not_mix(name: str, precision: Precision, make_model: Make, oracle: Oracle) -> None:
    model = make_model((5, 7, 4), "gelu")
    setting = Setting(name, precision=precision, threads=2, block_rows=BLOCK)
    if reason := get_engine(name).unavailable(model, setting):
        pytest.skip(reason)
    loaded = get_engine(name).load(model, setting)
    for rows in (3, 50, 1, BLOCK, 200, 0, 17):
        x_NF = table(rows, 5, seed=rows)
        out_N = np.empty(rows, np.int64)
        loaded.labels(np.ascontiguousarray(x_NF.T), out_N)
        logits_NC = loaded.logits(np.ascontiguousarray(x_NF.T))
        np.testing.assert_array_equal(out_N, logits_NC.argmax(axis=1) if rows else [])
    loaded.close()


# Values at the edge


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("classes", [2, 3, 10])
@pytest.mark.parametrize(("name", "precision"), CPU_WAYS)
def test_a_row_with_nan_is_class_0_and_leaves_its_neighbours_alone(
    name: str, precision: Precision, classes: int, activation: str, layout: Layout, make_model: Make
) -> None:
    model = make_model((4, 6, classes), activation, seed=3)
    model.layers[-1].bias_O[0] = -5  # so that class 0 says something
    clean = table(11, 4)
    expected = labels(name, model, clean, precision, layout)
    assert any(expected)
    for feature in range(4):
        dirty = clean.copy()
        dirty[::3, feature] = np.nan
        got = labels(name, model, dirty, precision, layout)
        assert got[::3] == [0] * 4
        assert [g for i, g in enumerate(got) if i % 3] == [e for i, e in enumerate(expected) if i % 3]


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("hidden", [(), (1,), (8,)])
@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize(("name", "precision"), CPU_WAYS)
def test_rows_with_infinities_get_the_reference_engines_label(
    name: str,
    precision: Precision,
    classes: int,
    hidden: tuple[int, ...],
    activation: str,
    make_model: Make,
    oracle: Oracle,
) -> None:
    model = make_model((3, *hidden, classes), activation, seed=5)
    values = (-np.inf, np.inf, np.nan, -1.0, 0.0, 1.0)
    x_NF = np.array(list(itertools.product(values, repeat=3)), np.float32)
    expected = np.array(labels("row_loop", model, x_NF, "float64"))
    got = np.array(labels(name, model, x_NF, precision))
    certain = np.ones(len(x_NF), bool)
    if precision == "bfloat16":  # its own rounding may tip a close call, but not whether there is an answer
        certain = ~np.isfinite(oracle(model, x_NF)).any(axis=1)
    np.testing.assert_array_equal(got[certain], expected[certain])


def test_an_infinite_logit_is_no_answer(make_model: Make) -> None:
    x_NF = np.array([[np.inf], [-np.inf], [1.0], [-1.0]], np.float32)
    for classes in (2, 3):
        model = make_model((1, classes))
        model.layers[0].weight_OI[:] = np.arange(classes)[:, None]  # the last class wins where x is above zero
        model.layers[0].bias_O[:] = 0
        for name, precision in CPU_WAYS:
            assert labels(name, model, x_NF, precision) == [0, 0, classes - 1, 0], name


@pytest.mark.parametrize(("name", "precision"), CPU_WAYS)
def test_equal_logits_give_the_first_class(name: str, precision: Precision, make_model: Make) -> None:
    for classes in (2, 5):
        model = make_model((2, classes))
        model.layers[0].weight_OI[:] = 0.5
        model.layers[0].bias_O[:] = -1
        x_NF = table(9, 2)
        assert labels(name, model, x_NF, precision) == [0] * 9
        model.layers[0].bias_O[-1] = 1
        assert labels(name, model, x_NF, precision) == [classes - 1] * 9


FINITE = st.floats(-1e3, 1e3, width=32) | st.sampled_from(
    [0.0, -0.0, 1e-45, -1e-45, 1.1754944e-38, -1e-40, 1e3, -1e3, 1.0, -1.0]
)


@pytest.mark.parametrize(("name", "precision"), [way for way in CPU_WAYS if way[0] not in SLOW_TO_LOAD])
@settings(max_examples=40, deadline=None)
@given(
    x_NF=hnp.arrays(np.float32, st.tuples(st.integers(0, 40), st.integers(1, 6)), elements=FINITE),
    hidden=st.lists(st.integers(1, 9), max_size=3),
    classes=st.integers(2, 5),
    activation=st.sampled_from(ACTIVATIONS),
    layout=st.sampled_from(LAYOUTS),
    block_rows=st.integers(1, 50),
    threads=st.integers(1, 2),
)
def test_any_shape_and_any_finite_value(  # noqa: PLR0917 -- hypothesis passes them by name
    name: str,
    precision: Precision,
    make_model: Make,
    oracle: Oracle,
    x_NF: NDArray[np.float32],
    hidden: list[int],
    classes: int,
    activation: str,
    layout: Layout,
    block_rows: int,
    threads: int,
) -> None:
    model = make_model((x_NF.shape[1], *hidden, classes), activation)
    setting = Setting(name, precision=precision, layout=layout, threads=threads, block_rows=block_rows)
    check(get_engine(name), model, setting, x_NF, oracle)


@pytest.mark.parametrize(("name", "precision"), CPU_WAYS)
def test_values_beyond_the_precision_have_no_answer_and_do_not_warn(
    name: str, precision: Precision, make_model: Make
) -> None:
    x_NF = np.full((3, 2), [1e300, 1e300])
    expected_finite = precision == "float64"
    model = make_model((2, 3))
    logits_NC, label_N = run(
        get_engine(name), model, Setting(name, precision=precision, layout="rows", block_rows=2), x_NF
    )
    assert np.isfinite(logits_NC).all() == expected_finite
    if not expected_finite:
        assert label_N.tolist() == [0, 0, 0]


# The tests of the tests: an engine that is broken in a way that engines are broken


class Broken:
    """The NumPy engine with one fault."""

    def __init__(self, fault: str) -> None:
        good = get_engine("numpy")
        self.name, self.layouts, self.precisions, self.devices = good.name, good.layouts, good.precisions, good.devices
        self.good, self.fault = good, fault

    def unavailable(self, model: Model, setting: Setting) -> str | None:
        return self.good.unavailable(model, setting)

    def load(self, model: Model, setting: Setting) -> Loaded:
        if self.fault == "missing bias":
            for layer in model.layers:
                layer.bias_O[:] = 0
        if self.fault == "wrong activation":
            object.__setattr__(model.architecture, "activation", "tanh")
        return BrokenLoaded(self.good.load(model, setting), self.fault)


class BrokenLoaded:
    """Its loaded model: block BLOCK..2 BLOCK shifted by a row, two classes swapped, the last row left out, or half."""

    def __init__(self, good: Loaded, fault: str) -> None:
        self.good, self.fault = good, fault

    def labels(self, x: NDArray[Any], out_N: NDArray[np.int64]) -> None:
        self.good.labels(x, out_N)
        match self.fault:
            case "shifted block":
                out_N[BLOCK : 2 * BLOCK] = np.roll(out_N[BLOCK : 2 * BLOCK], 1)
            case "swapped class":
                out_N[:] = np.array([1, 0, 2])[out_N]
            case "last row forgotten":
                out_N[-1] = -1

    def logits(self, x: NDArray[Any]) -> NDArray[np.floating]:
        z_NC = self.good.logits(x)
        return z_NC.astype(np.float16).astype(np.float32) if self.fault == "half precision" else z_NC

    def synchronize(self) -> None:
        self.good.synchronize()

    def close(self) -> None:
        self.good.close()


FAULTS = (
    "missing bias",
    "wrong activation",
    "shifted block",
    "swapped class",
    "last row forgotten",
    "half precision",
)


def _check_fault(fault: str, make_model: Make, oracle: Oracle) -> None:
    x_NF = 3 * table(3 * BLOCK, 5)
    x_NF[-1] = x_NF[0] * 5
    whole = make_model((5, 12, 3))
    given = make_model((5, 12, 3))  # the fault may change the model; the oracle keeps its own
    setting = Setting("numpy", layout="rows", block_rows=BLOCK)
    check(Broken(fault), given, setting, x_NF, lambda _, rows: oracle(whole, rows))


@pytest.mark.parametrize("fault", FAULTS)
def test_a_broken_engine_fails_the_contract(fault: str, make_model: Make, oracle: Oracle) -> None:
    with pytest.raises(AssertionError):
        _check_fault(fault, make_model, oracle)


def test_without_a_fault_the_same_engine_passes(make_model: Make, oracle: Oracle) -> None:
    _check_fault("none", make_model, oracle)


def test_every_way_is_covered() -> None:
    assert {name for name, _ in CPU_WAYS} == set(ENGINES)
    assert math.prod((len(CPU_WAYS), len(LAYOUTS))) >= 12

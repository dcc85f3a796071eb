"""Every engine, in every precision and layout, gives the oracle's labels and logits.

The oracle is NumPy in float64 over the whole array. A label may differ only where two logits are as close as the
precision's own error. That a broken engine is caught is tested in test_contract_can_fail.py.
"""

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from tests.engines.contract import (
    BLOCK,
    CLASSES,
    CPU_WAYS,
    FAST_WAYS,
    LAYOUTS,
    ROWS,
    SLOW_CASES,
    Case,
    Make,
    Oracle,
    check,
    check_loaded,
    check_ties,
    labels,
    labels_of,
    load,
    lying,
    run,
    table,
)
from vecml.config import ACTIVATIONS, Layout, Precision, Setting
from vecml.engines.base import Loaded
from vecml.engines.registry import ENGINES, get_engine
from vecml.engines.row_loop import affordable_rows
from vecml.model.network import Model

MILLION = 1_000_000


@pytest.mark.parametrize("rows", ROWS)
@pytest.mark.parametrize("classes", CLASSES)
@pytest.mark.parametrize(("name", "precision"), FAST_WAYS)
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
@pytest.mark.parametrize(("name", "precision"), FAST_WAYS)
def test_activations_and_depths(
    name: str, precision: Precision, activation: str, hidden: tuple[int, ...], make_model: Make, oracle: Oracle
) -> None:
    for classes, layout in zip((2, 4), LAYOUTS, strict=True):
        model = make_model((3, *hidden, classes), activation, seed=len(hidden))
        setting = Setting(name, precision=precision, layout=layout, threads=1, block_rows=BLOCK)
        check(get_engine(name), model, setting, table(3 * BLOCK + 1, 3), oracle)


@pytest.mark.parametrize(("name", "precision"), FAST_WAYS)
def test_more_classes_than_a_byte_counts(name: str, precision: Precision, make_model: Make, oracle: Oracle) -> None:
    setting = Setting(name, precision=precision, threads=2, block_rows=BLOCK)
    model = make_model((4, 300))
    check(get_engine(name), model, setting, 10 * table(40, 4), oracle)


@pytest.mark.parametrize(("name", "precision"), FAST_WAYS)
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


@pytest.mark.parametrize(("name", "precision"), FAST_WAYS)
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


@pytest.mark.parametrize(("name", "precision"), FAST_WAYS)
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
@pytest.mark.parametrize(("name", "precision"), FAST_WAYS)
def test_a_row_with_nan_is_class_0_and_leaves_its_neighbours_alone(
    name: str, precision: Precision, classes: int, activation: str, layout: Layout, make_model: Make
) -> None:
    model = make_model((4, 6, classes), activation, seed=3)
    model.layers[-1].bias_O[0] = -5  # so that class 0 says something
    setting = Setting(name, precision=precision, layout=layout, threads=2, block_rows=4)
    loaded = load(get_engine(name), model, setting)
    _check_nan(loaded, setting, table(11, 4))
    loaded.close()


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("hidden", [(), (1,), (8,)])
@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize(("name", "precision"), FAST_WAYS)
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


@pytest.mark.parametrize(("name", "precision"), FAST_WAYS)
def test_an_infinite_logit_is_no_answer(name: str, precision: Precision, make_model: Make) -> None:
    x_NF = np.array([[np.inf], [-np.inf], [1.0], [-1.0]], np.float32)
    for classes in (2, 3):
        model = make_model((1, classes))
        model.layers[0].weight_OI[:] = np.arange(classes)[:, None]  # the last class wins where x is above zero
        model.layers[0].bias_O[:] = 0
        assert labels(name, model, x_NF, precision) == [0, 0, classes - 1, 0]


@pytest.mark.parametrize(("name", "precision"), FAST_WAYS)
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


@pytest.mark.parametrize(("name", "precision"), FAST_WAYS)
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


@pytest.mark.parametrize(("name", "precision"), FAST_WAYS)
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


# The engines that compile for seconds: a few models, each loaded once and asked everything


@pytest.fixture(scope="session")
def opened(make_model: Make) -> Iterator[dict[Case, tuple[Model, Loaded]]]:
    """What is loaded so far; closed at the end."""
    kept: dict[Case, tuple[Model, Loaded]] = {}
    yield kept
    for _, loaded in kept.values():
        loaded.close()


@pytest.fixture(params=SLOW_CASES, ids=str)
def case(request: pytest.FixtureRequest) -> Case:
    made: Case = request.param
    return made


@pytest.fixture
def ready(case: Case, opened: dict[Case, tuple[Model, Loaded]], make_model: Make) -> tuple[Model, Loaded]:
    if case not in opened:
        model = case.model(make_model)
        loaded = load(get_engine(case.engine), model, case.setting)
        loaded.logits(lying(table(3, 5), case.layout))  # the first call of logits compiles as well
        opened[case] = model, loaded
    return opened[case]


def _graphs() -> int:
    from torch._dynamo.utils import counters

    return int(counters["stats"]["unique_graphs"])


@pytest.mark.parametrize("rows", ROWS)
def test_slow_engines_on_every_number_of_rows(
    case: Case, ready: tuple[Model, Loaded], rows: int, oracle: Oracle
) -> None:
    model, loaded = ready
    before = _graphs()
    for dtype in (np.float32, np.float64):
        check_loaded(loaded, model, case.setting, table(rows, 5, dtype), oracle)
    assert _graphs() == before  # torch_compile compiles when it loads, and never in a call that is timed


def test_slow_engines_on_nan(case: Case, ready: tuple[Model, Loaded]) -> None:
    _check_nan(ready[1], case.setting, table(3 * BLOCK + 3, 5))


def test_slow_engines_on_infinities(case: Case, ready: tuple[Model, Loaded], oracle: Oracle) -> None:
    model, loaded = ready
    values = (-np.inf, np.inf, np.nan, -1.0, 0.5, 1.0)
    x_NF = np.random.default_rng(0).choice(values, (300, 5), p=(0.06, 0.06, 0.02, 0.28, 0.29, 0.29)).astype(np.float32)
    expected = np.array(labels("row_loop", model, x_NF, "float64"))
    certain = ~np.isfinite(oracle(model, x_NF)).any(axis=1) if case.precision == "bfloat16" else np.ones(300, bool)
    np.testing.assert_array_equal(labels_of(loaded, case.setting, x_NF)[certain], expected[certain])


def test_slow_engines_on_values_beyond_the_precision(case: Case, ready: tuple[Model, Loaded]) -> None:
    x_NF = np.full((3, 5), 1e300)
    logits_NC = ready[1].logits(lying(x_NF, case.layout))
    if case.activation in ("relu", "gelu") and case.precision != "float64":
        assert not np.isfinite(logits_NC).all(axis=1).any()
        assert labels_of(ready[1], case.setting, x_NF).tolist() == [0, 0, 0]
    elif case.precision == "float64":
        assert np.isfinite(logits_NC).all()


@pytest.mark.parametrize("case", [case for case in SLOW_CASES if case.exact], ids=str, indirect=True)
def test_slow_engines_on_equal_logits(case: Case, ready: tuple[Model, Loaded], oracle: Oracle) -> None:
    check_ties(ready[1], ready[0], case.setting, oracle)


def test_slow_engines_on_read_only_slices(case: Case, ready: tuple[Model, Loaded]) -> None:
    whole = lying(table(2 * BLOCK, 5), case.layout)
    whole.flags.writeable = False
    before = whole.copy()
    columns = case.layout == "columns"
    expected_N = labels_of(ready[1], case.setting, whole.T if columns else whole)
    graphs = _graphs()
    # unaligned, one row in two, and as the other layout has it
    for part in (slice(3, 70), slice(0, 80, 2)):
        view = whole[:, part] if columns else whole[part]
        for x in (view, np.asfortranarray(view)):
            into_2N = np.full(2 * len(expected_N[part]), -1, np.int64)
            ready[1].labels(x, into_2N[::2])
            np.testing.assert_array_equal(into_2N[::2], expected_N[part])
            assert (into_2N[1::2] == -1).all()
    np.testing.assert_array_equal(whole, before)
    assert _graphs() == graphs


def _check_nan(loaded: Loaded, setting: Setting, clean_NF: NDArray[Any]) -> None:
    """Whichever feature it is, a row with NaN is class 0 and its neighbours stay what they are."""
    expected_N = labels_of(loaded, setting, clean_NF)
    assert expected_N.any()
    for feature in range(clean_NF.shape[1]):
        dirty_NF = clean_NF.copy()
        dirty_NF[::3, feature] = np.nan
        wanted_N = expected_N.copy()
        wanted_N[::3] = 0
        np.testing.assert_array_equal(labels_of(loaded, setting, dirty_NF), wanted_N)


# A table that is long


@pytest.mark.parametrize("name", ["numpy", "torch", "onnxruntime", "openvino", "halide"])
def test_a_million_rows(name: str, make_model: Make, oracle: Oracle) -> None:
    model = make_model((10, 32, 2))
    x_FN = np.random.default_rng(0).standard_normal((10, MILLION), np.float32)
    loaded = load(get_engine(name), model, Setting(name, layout="columns", threads=2))
    out_N = np.full(MILLION, -1, np.int64)
    loaded.labels(x_FN, out_N)
    loaded.synchronize()
    logits_NC = loaded.logits(x_FN)
    loaded.close()
    for start in range(0, MILLION, 100_000):
        rows = slice(start, start + 100_000)
        expected_NC = oracle(model, x_FN[:, rows].T)
        np.testing.assert_allclose(logits_NC[rows], expected_NC, rtol=0, atol=3e-5)
        wrong_N = out_N[rows] != expected_NC.argmax(axis=1)
        assert (np.abs(np.diff(expected_NC, axis=1)[wrong_N]) < 6e-5).all()


# What is covered


def test_every_pair_is_covered() -> None:
    """Every two values of engine, precision, layout, rows and classes meet in some case."""
    cases = {
        (name, precision, layout, rows, classes)
        for (name, precision), layout, rows, classes in itertools.product(FAST_WAYS, LAYOUTS, ROWS, CLASSES)
    }
    cases |= {(c.engine, c.precision, c.layout, rows, c.classes) for c in SLOW_CASES for rows in ROWS}
    values = (ENGINES, {precision for _, precision in CPU_WAYS}, LAYOUTS, ROWS, CLASSES)
    for one, other in itertools.combinations(range(len(values)), 2):
        wanted: set[tuple[Any, ...]] = set(itertools.product(values[one], values[other]))
        if (one, other) == (0, 1):
            wanted = set(CPU_WAYS)  # not every engine has every precision
        assert wanted <= {(c[one], c[other]) for c in cases}


def test_every_slow_engine_meets_each_pair_of_its_own_and_every_activation() -> None:
    for name in {case.engine for case in SLOW_CASES}:
        own = [case for case in SLOW_CASES if case.engine == name]
        precisions = [precision for engine, precision in CPU_WAYS if engine == name]
        assert {(c.precision, c.layout) for c in own} == set(itertools.product(precisions, LAYOUTS))
        assert {(c.precision, c.classes) for c in own} >= set(itertools.product(precisions, CLASSES))
        assert {(c.layout, c.classes) for c in own} >= set(itertools.product(LAYOUTS, CLASSES))
        assert {c.activation for c in own} == set(ACTIVATIONS)
        assert any(case.exact for case in own)

"""What is the engine halide's own: instruction sets, shared kernels, activations, strides, tiles, a missing library."""

import importlib
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import special

from tests.engines.contract import Make, Oracle, check, labels_of, lying, table
from vecml import hardware
from vecml.config import Activation, Isa, Layout, Precision, Setting
from vecml.engines.halide import HalideEngine, missing_instructions
from vecml.engines.registry import load_engine

ENGINE = HalideEngine()
X86 = ("sse4_1", "avx", "avx2", "fma")

pytestmark = pytest.mark.skipif(importlib.util.find_spec("halide") is None, reason="halide is not installed")


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("isa", ["scalar", "sse41", "avx2", "avx512", "neon"])
def test_every_instruction_set_gives_the_oracles_labels(
    isa: Isa, precision: Precision, make_model: Make, oracle: Oracle
) -> None:
    layout: Layout = "rows" if precision == "float64" else "columns"
    setting = Setting("halide", precision=precision, layout=layout, isa=isa, block_rows=50)
    check(ENGINE, make_model((5, 9, 3), "gelu"), setting, table(130, 5), oracle)


def test_an_instruction_set_that_the_cpu_lacks_is_refused(monkeypatch: pytest.MonkeyPatch, make_model: Make) -> None:
    def cpu(*flags: str) -> None:
        monkeypatch.setattr(hardware, "flags", lambda: frozenset(flags))
        monkeypatch.setattr(
            hardware, "instruction_sets", lambda: tuple(one for one in flags if one in hardware.INSTRUCTION_SETS)
        )

    cpu(*X86, "f16c")
    setting = Setting("halide", isa="avx512")
    line = "this CPU has no avx512 instructions; it has sse4_1, avx, avx2, fma"
    assert ENGINE.unavailable(make_model((3, 2)), setting) == line
    assert [missing_instructions(isa) for isa in ("native", "scalar", "sse41", "avx2")] == [None] * 4  # type: ignore[arg-type]
    assert missing_instructions("neon") == "this CPU has no neon instructions; it has sse4_1, avx, avx2, fma"
    cpu(*X86)  # Halide's avx2 has conversions of 16 bits in it
    assert missing_instructions("avx2") == "this CPU has no avx2 instructions; it has sse4_1, avx, avx2, fma"
    cpu(*X86, "f16c", "avx512f")  # the first CPUs with AVX-512 had not all of what Halide uses
    assert (
        missing_instructions("avx512") == "this CPU has no avx512 instructions; it has sse4_1, avx, avx2, fma, avx512f"
    )
    cpu("neon")
    assert missing_instructions("neon") is None
    assert missing_instructions("sse41") == "this CPU has no sse41 instructions; it has neon"
    cpu()
    assert missing_instructions("avx2") == "this CPU has no avx2 instructions; it has none that are known"


def test_models_of_one_shape_share_a_kernel_and_keep_their_weights(make_model: Make, oracle: Oracle) -> None:
    from vecml.engines.halide_kernel import compiled

    setting = Setting("halide", layout="columns")
    models = [make_model((4, 6, 3), "relu", seed=seed) for seed in (1, 2)]
    first = load_engine(models[0], setting)
    misses = compiled.cache_info().misses
    second = load_engine(models[1], setting)
    assert compiled.cache_info().misses == misses
    x_NF = table(200, 4)
    got = [labels_of(loaded, setting, x_NF) for loaded in (first, second)]
    for loaded in (first, second):
        loaded.close()
    assert (got[0] != got[1]).any()
    for model, label_N in zip(models, got, strict=True):
        np.testing.assert_array_equal(label_N, oracle(model, x_NF).argmax(axis=1))


def _activations() -> dict[str, Callable[[NDArray[Any]], NDArray[Any]]]:
    return {
        "relu": lambda z: np.maximum(z, 0),
        "tanh": np.tanh,
        "sigmoid": special.expit,
        "gelu": lambda z: z * special.ndtr(z),
    }


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("activation", ["relu", "tanh", "sigmoid", "gelu"])
def test_activations_are_scipys_over_the_whole_range(
    activation: Activation, precision: Precision, make_model: Make
) -> None:
    """A model of one unit whose second logit is the activation itself."""
    model = make_model((1, 1, 2), activation)
    for layer, weight in zip(model.layers, ([[1]], [[0], [1]]), strict=True):
        layer.weight_OI[:], layer.bias_O[:] = weight, 0
    kind = np.dtype(precision).type
    tiny, large = np.finfo(kind).smallest_subnormal, np.finfo(kind).max
    size = np.concatenate(
        [np.geomspace(1e-30, 1e30, 4_001), np.linspace(0.01, 40, 4_001), [0.0, tiny, 5 * tiny, 0.625, large]]
    )
    z = np.concatenate([size, -size]).astype(kind)
    loaded = load_engine(model, Setting("halide", precision=precision, layout="rows"))
    got = loaded.logits(z[:, None])[:, 1].astype(np.float64)
    loaded.close()
    wide = z.astype(np.float64)
    expected = _activations()[activation](wide)
    # subnormals may come out as zero; far out, gelu is some units in the last place of its argument off
    error = np.abs(got - expected) / (np.abs(expected) + np.finfo(kind).tiny)
    unit = np.finfo(kind).eps
    if activation == "relu":
        np.testing.assert_array_equal(got, expected)
        return
    ordinary = np.abs(expected) > 1e-3 * np.minimum(1, np.abs(wide))  # beyond: the tail that cancels or vanishes
    # measured: 21 units for gelu in float64, near -0.2; at most 8 otherwise
    assert error[ordinary].max() < (32 if (activation, precision) == ("gelu", "float64") else 12) * unit
    np.testing.assert_allclose(got[~ordinary], expected[~ordinary], rtol=0, atol=unit)


def test_float64_features_are_computed_in_float32(make_model: Make, oracle: Oracle) -> None:
    for layout in ("columns", "rows"):
        setting = Setting("halide", precision="float32", layout=layout, block_rows=64)  # type: ignore[arg-type]
        loaded = load_engine(make_model((5, 9, 3)), setting)
        x_NF = table(150, 5, np.float64)
        z_NC = loaded.logits(lying(x_NF, setting.layout))
        assert z_NC.dtype == np.float32
        np.testing.assert_array_equal(z_NC, loaded.logits(lying(x_NF.astype(np.float32), setting.layout)))
        loaded.close()


@pytest.mark.parametrize("layout", ["columns", "rows"])
def test_strided_features_and_labels(layout: Layout, make_model: Make, oracle: Oracle) -> None:
    model = make_model((5, 9, 3))
    setting = Setting("halide", layout=layout, block_rows=64, threads=2)
    loaded = load_engine(model, setting)
    wide = table(300, 10)
    x_NF = wide[::2, ::2]
    expected_N = oracle(model, x_NF).argmax(axis=1)
    for x in (x_NF, np.asfortranarray(x_NF), np.ascontiguousarray(x_NF), wide[::2, :5], wide[:150, 3:8]):
        into_2N = np.full(2 * 150, -1, np.int64)
        loaded.labels(x.T if layout == "columns" else x, into_2N[::2])
        wanted_N = expected_N if np.array_equal(x, x_NF) else oracle(model, x).argmax(axis=1)
        np.testing.assert_array_equal(into_2N[::2], wanted_N)
        assert (into_2N[1::2] == -1).all()
    loaded.close()


@pytest.mark.parametrize("layout", ["columns", "rows"])
@pytest.mark.parametrize("classes", [2, 3])
def test_every_number_of_rows_up_to_some_tiles(classes: int, layout: Layout, make_model: Make, oracle: Oracle) -> None:
    model = make_model((5, 9, classes))
    setting = Setting("halide", layout=layout)
    loaded = load_engine(model, setting)
    for rows in range(1, 41):
        x_NF = table(rows, 5, seed=rows)
        guarded_N = np.full(rows + 64, -1, np.int64)  # nothing is written beyond the labels
        loaded.labels(lying(x_NF, layout), guarded_N[32 : 32 + rows])
        expected_NC = oracle(model, x_NF)
        np.testing.assert_array_equal(guarded_N[32 : 32 + rows], expected_NC.argmax(axis=1))
        assert (guarded_N[:32] == -1).all()
        assert (guarded_N[32 + rows :] == -1).all()
        np.testing.assert_allclose(loaded.logits(lying(x_NF, layout)), expected_NC, rtol=0, atol=1e-5)
    loaded.close()


@pytest.mark.parametrize("classes", [8, 9, 300])
def test_many_classes(classes: int, make_model: Make, oracle: Oracle) -> None:
    model = make_model((4, 6, classes))
    x_NF = 10 * table(120, 4)
    x_NF[5, 1] = np.nan
    check(ENGINE, model, Setting("halide", layout="columns", block_rows=50), x_NF, oracle)


def test_a_missing_library_and_a_broken_one_are_reasons(monkeypatch: pytest.MonkeyPatch, make_model: Make) -> None:
    real = importlib.import_module
    for error, reason in (
        (ModuleNotFoundError(name="halide"), "halide is not installed: pip install 'vecml[halide]'"),
        (ModuleNotFoundError("No module named 'imageio'", name="imageio"), "No module named 'imageio'"),
        (ImportError("libHalide.so: not here\nand more"), "libHalide.so: not here"),
    ):

        def load(wanted: str, error: Exception = error) -> object:
            if wanted == "halide":
                raise error
            return real(wanted)

        monkeypatch.setattr(importlib, "import_module", load)
        line = reason if "pip" in reason else f"halide cannot be imported: {reason}"
        assert ENGINE.unavailable(make_model((3, 2)), Setting("halide")) == line
    monkeypatch.setattr(importlib, "import_module", real)
    monkeypatch.setitem(sys.modules, "halide", None)
    reason = ENGINE.unavailable(make_model((3, 2)), Setting("halide")) or ""
    assert reason == "halide is not installed: pip install 'vecml[halide]'"

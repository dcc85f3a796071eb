"""The ladder's own rungs: right by an oracle, bytes by their formulas, and what a machine lacks said."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.made_ladder import RUNGS, rung
from vecml.comparison.compare import Job, write_files
from vecml.config import Setting
from vecml.lab import rungs as module
from vecml.lab.rungs import (
    FLOAT64_ROWS,
    NAMES,
    LadderEngine,
    RungWork,
    activated,
    by_product,
    by_ufuncs,
    choose_rows,
    choose_rungs,
    memory_bytes,
    touched_bytes,
)
from vecml.model.network import Architecture, Layer, Model

WIDTHS = (10, 32, 2)


def made_model(widths: tuple[int, ...], activation: str = "relu") -> Model:
    random = np.random.default_rng(3)
    layers = tuple(
        Layer(random.standard_normal((o, i)).astype(np.float32), random.standard_normal(o).astype(np.float32))
        for i, o in pairwise(widths)
    )
    architecture = Architecture(widths[0], widths[1:-1], widths[-1], activation)  # type: ignore[arg-type]
    return Model(architecture, layers, tuple(map(str, range(widths[-1]))))


@given(st.integers(0, 40), st.integers(1, 12), st.integers(1, 9), st.sampled_from(["float32", "float64"]))
def test_ufuncs_and_the_product_are_the_same_layer(n_rows: int, inputs: int, outputs: int, dtype: str) -> None:
    random = np.random.default_rng(n_rows + 100 * inputs + 10_000 * outputs)
    x_NI = random.standard_normal((n_rows, inputs)).astype(dtype)
    linear = (random.standard_normal((outputs, inputs)).astype(dtype), random.standard_normal(outputs).astype(dtype))
    found, expected = by_ufuncs(x_NI, linear), by_product(x_NI, linear)
    assert found.dtype == expected.dtype == dtype
    assert found.shape == (n_rows, outputs)
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-5 if dtype == "float32" else 1e-13)


@pytest.mark.parametrize("activation", ["relu", "gelu", "tanh", "sigmoid"])
@pytest.mark.parametrize("engine", ["ufuncs", "whole_array"])
def test_own_rungs_give_the_reference_labels(engine: str, activation: str) -> None:
    from vecml.comparison.reference import reference_labels, reference_logits

    model = made_model((7, 11, 5, 3), activation)
    x_FN = np.random.default_rng(0).standard_normal((7, 500), dtype=np.float32)
    loaded = LadderEngine(engine).load(model, Setting(engine, layout="rows", precision="float64"))
    label_N = np.full(500, -1, np.int64)
    rows_NF = np.ascontiguousarray(x_FN.T, dtype=np.float64)
    loaded.labels(rows_NF, label_N)
    np.testing.assert_array_equal(label_N, reference_labels(model, x_FN))
    np.testing.assert_allclose(loaded.logits(rows_NF), reference_logits(model, x_FN).logits_NC, rtol=1e-12, atol=1e-12)
    loaded.close()


def test_an_activation_keeps_the_dtype() -> None:
    for activation in ("relu", "gelu", "tanh", "sigmoid"):
        assert activated(np.ones((2, 2), np.float32), activation).dtype == np.float32  # type: ignore[arg-type]


def test_a_rung_labels_its_first_rows_and_is_scored_on_them(tmp_path: Path) -> None:
    model = made_model(WIDTHS)
    x_FN = np.random.default_rng(1).standard_normal((10, 300), dtype=np.float32)
    found, _ = choose_rungs(model.architecture, 300)
    write_files(Job(model, x_FN), {one.name: one.setting for one in found}, tmp_path)
    np.save(tmp_path / f"{FLOAT64_ROWS}.npy", np.ascontiguousarray(x_FN.T, dtype=np.float64))
    setting = {"engine": "ufuncs", "precision": "float64", "layout": "rows"}
    work = RungWork({"folder": str(tmp_path), "setting": setting, "probe": None, "file": FLOAT64_ROWS, "rows": 40})
    work.open()
    assert work.facts() == {"rung_rows": 40}
    work.call()
    facts = work.finish()
    work.close()
    assert (facts["rows"], facts["wrong"], facts["flips"]) == (40, 0, 0)
    assert facts["logit_error"] <= 1
    assert facts["precision_used"] == "float64"


def test_bytes_by_hand() -> None:
    row_loop, whole, blocks, fused = RUNGS
    assert memory_bytes(row_loop, WIDTHS) == memory_bytes(rung("ufuncs", "ufuncs", 1, "float64"), WIDTHS) == 88
    assert memory_bytes(whole, WIDTHS) == 88 + 8 * (6 * 32 + 4 * 2)
    assert memory_bytes(blocks, WIDTHS) == memory_bytes(fused, WIDTHS) == 48
    assert touched_bytes(row_loop, WIDTHS) == 88 + 96 * (10 * 32 + 32 * 2)
    assert touched_bytes(whole, WIDTHS) == 88 + 8 * (10 + 5 * 32 + 32 + 5 * 2)
    assert touched_bytes(fused, WIDTHS) == 48 + 4 * (10 + 2 * 32 + 32 + 2 * 2)


def test_larger_networks_have_fewer_rows() -> None:
    assert choose_rows(Architecture(10, (32,), 2, "relu")) == 1_000_000
    assert choose_rows(Architecture(784, (512,), 10, "relu")) == 20_000
    found, _ = choose_rungs(Architecture(784, (512,), 10, "relu"), 20_000)
    rows = [one.rows for one in found]
    assert rows == sorted(rows)
    assert rows[0] < 100


def test_one_cpu_has_no_threads_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "usable_cpus", lambda: 1)
    monkeypatch.setattr(module, "available_devices", lambda: ("cpu",))
    found, skipped = choose_rungs(Architecture(10, (32,), 2, "relu"), 1_000)
    assert skipped["threads"] == "this machine offers one CPU"
    assert skipped["GPU"] == "there is no CUDA device that torch sees"
    assert [one.name for one in found] == [name for name in NAMES if name not in skipped]

"""The tests of the tests: an engine that is broken in a way that engines are broken fails the contract's own check."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.engines.contract import BLOCK, Make, Oracle, check, check_ties, load, lying, table
from vecml.config import Isa, Layout, Precision, Setting
from vecml.engines.base import Loaded
from vecml.engines.registry import get_engine
from vecml.model.network import Layer, Model

ON_WEIGHTS = ("missing bias", "wrong activation", "bfloat16 weights")
ON_LABELS = ("shifted block", "swapped classes", "last row of a block left out", "NaN is class 1")
FAULTS = (*ON_WEIGHTS, *ON_LABELS, "half precision")


class Broken:
    """An engine with one fault."""

    own_models = False
    extra: str | None = None

    def __init__(self, name: str, fault: str) -> None:
        self.good, self.fault, self.name = get_engine(name), fault, name
        self.layouts: tuple[Layout, ...] = self.good.layouts
        self.precisions: tuple[Precision, ...] = self.good.precisions
        self.devices: Mapping[str, tuple[Precision, ...]] = self.good.devices
        self.isas: tuple[Isa, ...] = self.good.isas

    def unavailable(self, model: Model, setting: Setting) -> str | None:
        return self.good.unavailable(model, setting)

    def load(self, model: Model, setting: Setting) -> Loaded:
        match self.fault:
            case "missing bias":
                layers = tuple(Layer(layer.weight_OI, np.zeros_like(layer.bias_O)) for layer in model.layers)
                model = replace(model, layers=layers)
            case "wrong activation":
                model = replace(model, architecture=replace(model.architecture, activation="tanh"))
            case "bfloat16 weights":
                layers = tuple(Layer(bfloat16(layer.weight_OI), layer.bias_O) for layer in model.layers)
                model = replace(model, layers=layers)
        return BrokenLoaded(self.good.load(model, setting), self.fault, setting.layout)


class BrokenLoaded:
    """Its loaded model, whose answers have the fault."""

    def __init__(self, good: Loaded, fault: str, layout: Layout) -> None:
        self.good, self.fault, self.layout = good, fault, layout

    def labels(self, x: NDArray[Any], out_N: NDArray[np.int64]) -> None:
        before = out_N.copy()
        self.good.labels(x, out_N)
        x_NF = x.T if self.layout == "columns" else x
        match self.fault:
            case "shifted block":
                out_N[BLOCK : 2 * BLOCK] = np.roll(out_N[BLOCK : 2 * BLOCK], 1)
            case "swapped classes":
                out_N[:] = np.array([1, 0, 2])[out_N]
            case "last row of a block left out":
                out_N[BLOCK - 1] = before[BLOCK - 1]
            case "NaN is class 1":
                out_N[np.isnan(x_NF).any(axis=1)] = 1
            case "last of equals":
                z_NC = self.good.logits(x)
                out_N[:] = z_NC.shape[1] - 1 - z_NC[:, ::-1].argmax(axis=1)

    def logits(self, x: NDArray[Any]) -> NDArray[np.floating]:
        z_NC = self.good.logits(x)
        return z_NC.astype(np.float16).astype(np.float32) if self.fault == "half precision" else z_NC

    def synchronize(self) -> None:
        self.good.synchronize()

    def close(self) -> None:
        self.good.close()


def bfloat16(value: NDArray[np.float32]) -> NDArray[np.float32]:
    """Rounded to bfloat16's 8 bits, half up."""
    return ((value.view(np.uint32) + 0x8000) & 0xFFFF0000).view(np.float32)


def _check(name: str, fault: str, layout: Layout, make_model: Make, oracle: Oracle) -> None:
    x_NF = 3 * table(3 * BLOCK, 5)
    x_NF[7, 2] = np.nan
    setting = Setting(name, layout=layout, block_rows=BLOCK, threads=2)
    check(Broken(name, fault), make_model((5, 12, 3)), setting, x_NF, oracle)


@pytest.mark.parametrize("layout", ["columns", "rows"])
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("name", ["numpy", "halide"])
def test_a_broken_engine_fails_the_contract(
    name: str, fault: str, layout: Layout, make_model: Make, oracle: Oracle
) -> None:
    with pytest.raises(AssertionError):
        _check(name, fault, layout, make_model, oracle)


@pytest.mark.parametrize("layout", ["columns", "rows"])
@pytest.mark.parametrize("name", ["numpy", "halide"])
def test_without_a_fault_the_same_engine_passes(name: str, layout: Layout, make_model: Make, oracle: Oracle) -> None:
    _check(name, "none", layout, make_model, oracle)


@pytest.mark.parametrize("name", ["numpy", "halide"])
def test_the_last_of_equals_fails_and_the_first_passes(name: str, make_model: Make, oracle: Oracle) -> None:
    model = make_model((5, 3))
    random = np.random.default_rng(4)
    model.layers[0].weight_OI[:] = random.integers(-2, 3, (3, 5)) / 2
    model.layers[0].bias_O[:] = random.integers(-1, 2, 3) / 2
    setting = Setting(name, layout="rows", block_rows=BLOCK)
    for fault in ("none", "last of equals"):
        loaded = load(Broken(name, fault), model, setting)
        loaded.logits(lying(table(1, 5), "rows"))
        if fault == "none":
            check_ties(loaded, model, setting, oracle)
        else:
            with pytest.raises(AssertionError):
                check_ties(loaded, model, setting, oracle)
        loaded.close()

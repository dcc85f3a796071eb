"""The precision probe tells the precisions apart: on the engines, and on fakes that round as hardware does."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from vecml.config import Setting
from vecml.device import precision_of, probe_weights
from vecml.engines.registry import ENGINES, get_engine
from vecml.errors import EngineUnavailableError
from vecml.inference.precision import used_precision

Array = NDArray[Any]
WAYS = [
    (name, precision)
    for name, engine in ENGINES.items()
    for precision in engine.precisions
    if precision not in ("tf32", "float16")
]


@pytest.mark.parametrize("layout", ["columns", "rows"])
@pytest.mark.parametrize(("name", "precision"), WAYS)
def test_an_engine_computes_in_what_it_was_asked_for(name: str, precision: Any, layout: Any, make_model: Any) -> None:
    setting = Setting(name, precision=precision, layout=layout)
    if reason := get_engine(name).unavailable(make_model((3, 2)), setting):
        pytest.skip(reason)
    assert used_precision(setting) == precision


def test_an_engine_that_is_not_there_cannot_be_probed() -> None:
    with pytest.raises(EngineUnavailableError):
        used_precision(Setting("numpy", device="cuda"))


def mantissa(bits: int, half_away: bool = False) -> Callable[[Array], Array]:
    """Rounding of float32 operands to so many bits of mantissa: to nearest even, or half away from zero as for tf32."""

    def rounded(x: Array) -> Array:
        fraction, exponent = np.frexp(x.astype(np.float64))
        scaled = np.ldexp(fraction, bits + 1)
        whole = np.trunc(scaled + np.copysign(0.5, scaled)) if half_away else np.rint(scaled)
        return np.ldexp(whole, exponent - bits - 1)

    return rounded


def truncated(bits: int) -> Callable[[Array], Array]:
    def cut(x: Array) -> Array:
        fraction, exponent = np.frexp(x.astype(np.float64))
        return np.ldexp(np.trunc(np.ldexp(fraction, bits + 1)), exponent - bits - 1)

    return cut


def half(x: Array) -> Array:
    with np.errstate(over="ignore"):
        return x.astype(np.float16).astype(np.float64)


@pytest.mark.parametrize(
    ("operand", "precision"),
    [
        (mantissa(7), "bfloat16"),
        (truncated(7), "bfloat16"),
        (mantissa(10), "tf32"),
        (mantissa(10, half_away=True), "tf32"),
        (truncated(10), "tf32"),
        (half, "float16"),
        (mantissa(23), "float32"),
        (lambda x: x, "float64"),
        (mantissa(16), "16 bits"),
        (mantissa(3), "3 bits"),
    ],
)
def test_fakes_that_round_their_operands(operand: Callable[[Array], Array], precision: str) -> None:
    def logits(x_NF: Array) -> Array:
        with np.errstate(invalid="ignore"):
            return operand(x_NF) @ operand(probe_weights()).T

    assert precision_of(logits) == precision


def test_an_output_that_is_rounded_does_not_hide_the_precision_of_the_products() -> None:
    assert precision_of(lambda x_NF: (x_NF @ probe_weights().T).astype(np.float32)) == "float64"

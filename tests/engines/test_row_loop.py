"""The reference says how far it is when there are many rows, and nothing when it is done in a moment."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from vecml.config import Setting
from vecml.engines import row_loop
from vecml.engines.registry import load_engine
from vecml.model.network import Model
from vecml.progress import listening

Make = Callable[..., Model]


class Heard:
    def __init__(self) -> None:
        self.begun: list[tuple[str, float | None]] = []
        self.steps: list[float] = []
        self.ended = 0

    def begin(self, name: str, total: float | None) -> object:
        self.begun.append((name, total))
        return name

    def advance(self, stage: object, amount: float) -> None:
        self.steps.append(amount)

    def end(self, stage: object) -> None:
        self.ended += 1


@pytest.fixture
def short_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_loop, "affordable_rows", lambda architecture: 40)


@pytest.mark.parametrize("layout", ["columns", "rows"])
@pytest.mark.parametrize("rows", [41, 80, 83])
def test_many_rows_are_told_in_steps_that_add_up_to_the_total(
    rows: int, layout: Any, make_model: Make, short_moment: None
) -> None:
    x_NF = np.random.default_rng(0).standard_normal((rows, 3)).astype(np.float32)
    x = x_NF if layout == "rows" else np.ascontiguousarray(x_NF.T)
    loaded = load_engine(make_model((3, 4, 2)), Setting("row_loop", precision="float64", layout=layout))
    out_N = np.full(rows, -1)
    heard = Heard()
    with listening(heard):
        loaded.labels(x, out_N)
        z_NC = loaded.logits(x)
    assert heard.begun == [("inferring row by row", rows)] * 2
    assert heard.ended == 2
    assert sum(heard.steps) == 2 * rows
    assert max(heard.steps) == 10
    np.testing.assert_array_equal(out_N, z_NC.argmax(axis=1))


@pytest.mark.parametrize("rows", [0, 1, 40])
def test_few_rows_are_no_stage(rows: int, make_model: Make, short_moment: None) -> None:
    loaded = load_engine(make_model((3, 4, 2)), Setting("row_loop", precision="float64"))
    heard = Heard()
    with listening(heard):
        loaded.labels(np.zeros((3, rows), np.float32), np.empty(rows, np.int64))
    assert heard.begun == []


def test_the_stage_ends_after_an_error_too(
    make_model: Make, short_moment: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(logits: list[float]) -> int:
        raise KeyboardInterrupt

    loaded = load_engine(make_model((3, 4, 2)), Setting("row_loop", precision="float64"))
    monkeypatch.setattr(row_loop, "_highest", interrupted)
    heard = Heard()
    with pytest.raises(KeyboardInterrupt), listening(heard):
        loaded.labels(np.zeros((3, 50), np.float32), np.empty(50, np.int64))
    assert heard.ended == 1

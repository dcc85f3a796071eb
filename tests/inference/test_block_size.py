"""Block sizes are tried once for an architecture, a size of table and a machine; a rule stays unless clearly beaten."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vecml.config import Setting
from vecml.engines.blocks import choose_block_rows
from vecml.inference import block_size
from vecml.inference.block_size import choose, complete, tuned
from vecml.model.network import Architecture, Layer, Model

ROWS = 1_000_000
NUMPY = Setting("numpy")
RULE = choose_block_rows(Architecture(10, (32,), 2, "relu"), 4)


class Clock:
    """Goes on when it is told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Fake:
    """An engine that takes as long for a call as it is told, by its block size."""

    def __init__(self, clock: Clock, seconds: float) -> None:
        self.clock, self.seconds, self.closed = clock, seconds, 0

    def labels(self, x: Any, out_N: Any) -> None:
        self.clock.now += self.seconds

    def synchronize(self) -> None:
        pass

    def close(self) -> None:
        self.closed += 1


class Bench:
    """Loads fakes in place of engines, and remembers them."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.seconds: Callable[[int | None], float] = lambda size: 1.0
        self.load_seconds = 0.0
        self.loaded: list[tuple[Setting, Fake]] = []

    def load(self, model: Model, setting: Setting) -> Fake:
        self.clock.now += self.load_seconds
        self.loaded.append((setting, Fake(self.clock, self.seconds(setting.block_rows))))
        return self.loaded[-1][1]

    def tuned(self, setting: Setting = NUMPY, rows: int = ROWS, hidden: int = 32) -> int | None:
        x = np.broadcast_to(np.float32(0), (10, rows) if setting.layout == "columns" else (rows, 10))
        return tuned(make_model(hidden), setting, x, self.clock).block_rows


def make_model(hidden: int) -> Model:
    layers = tuple(
        Layer(np.zeros((fan_out, fan_in), np.float32), np.zeros(fan_out, np.float32))
        for fan_in, fan_out in ((10, hidden), (hidden, 2))
    )
    return Model(Architecture(10, (hidden,), 2, "relu"), layers, ("0", "1"))


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Bench]:
    made = Bench()
    monkeypatch.setenv("VECML_CACHE", str(tmp_path))
    monkeypatch.setattr(block_size, "load_engine", made.load)
    yield made
    assert all(fake.closed == 1 for _, fake in made.loaded)


def test_a_size_that_is_clearly_faster_is_taken_and_remembered(bench: Bench) -> None:
    bench.seconds = lambda size: 0.5 if size == RULE // 2 else 1.0
    assert bench.tuned() == RULE // 2
    tried = [setting.block_rows for setting, _ in bench.loaded]
    assert tried[0] is None
    assert {RULE // 4, RULE // 2, RULE} <= set(tried)
    assert bench.tuned(rows=ROWS + 1) == RULE // 2
    assert len(bench.loaded) == len(tried)


@pytest.mark.parametrize("seconds", [0.96, 1.0, 2.0])
def test_the_engines_rule_stays_unless_it_is_clearly_beaten_and_that_is_remembered_too(
    bench: Bench, seconds: float
) -> None:
    bench.seconds = lambda size: 1.0 if size is None else seconds
    assert bench.tuned() is None
    tried = len(bench.loaded)
    assert bench.tuned() is None
    assert len(bench.loaded) == tried


def test_the_first_load_is_timed_where_sizes_are_tried_and_never_again(bench: Bench) -> None:
    """A library's first load takes longest, and the run's own load comes after it."""
    seconds = iter((0.75, 0.25, 0.25, 0.25, 0.25, 0.25))
    load = bench.load

    def slower_at_first(model: Model, setting: Setting) -> Fake:
        bench.load_seconds = next(seconds)
        return load(model, setting)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(block_size, "load_engine", slower_at_first)
        x = np.broadcast_to(np.float32(0), (10, ROWS))
        assert complete(make_model(32), NUMPY, x, bench.clock).first_load_seconds == 0.75
        assert complete(make_model(32), NUMPY, x, bench.clock).first_load_seconds is None


@pytest.mark.parametrize(
    ("setting", "rows", "hidden"),
    [
        (Setting("torch"), ROWS, 32),
        (Setting("numpy", threads=2), ROWS, 32),
        (Setting("numpy", precision="float64"), ROWS, 32),
        (Setting("numpy", layout="rows"), ROWS, 32),
        (Setting("numpy"), ROWS // 10, 32),
        (Setting("numpy"), ROWS, 33),
    ],
)
def test_what_bears_on_the_best_size_is_tried_apart(bench: Bench, setting: Setting, rows: int, hidden: int) -> None:
    bench.tuned()
    before = len(bench.loaded)
    bench.tuned(setting, rows, hidden)
    assert len(bench.loaded) > before


@pytest.mark.parametrize(
    ("setting", "rows"),
    [
        (Setting("numpy", block_rows=100), ROWS),
        (Setting("torch", device="cuda"), ROWS),
        (Setting("row_loop", precision="float64"), ROWS),
        (Setting("numpy", request_rows=32), ROWS),
        (Setting("numpy"), 1_000),
        (Setting("numpy"), 0),
    ],
)
def test_where_there_is_nothing_to_choose_nothing_is_loaded(bench: Bench, setting: Setting, rows: int) -> None:
    assert bench.tuned(setting, rows) == setting.block_rows
    assert bench.loaded == []


def test_an_engine_that_loads_for_seconds_is_loaded_once(bench: Bench) -> None:
    bench.load_seconds = 3.0
    assert bench.tuned() is None
    assert len(bench.loaded) == 1


def test_ratios_within_a_round_decide_and_not_times() -> None:
    # the machine is three times slower in the second half; the second way is always a tenth faster
    rounds = [[1.0, 1.02, 0.9]] * 3 + [[3.0, 3.1, 2.7]] * 4
    assert choose(rounds) == 2
    assert choose([[1.0, 1.0]] * 3) is None
    assert choose([[1.0]] * 3) is None

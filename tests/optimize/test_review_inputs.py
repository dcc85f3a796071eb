"""Arguments that hold others, generated inputs that differ from the user's in kind, and tolerances that stay small."""

import dataclasses
import threading
from collections import deque
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import hypothesis
import numpy as np
import pytest

from vecml.optimize import validate as module
from vecml.optimize.agreement import difference, largest, largest_error
from vecml.optimize.inputs import Variant, cuts, fresh, variants
from vecml.optimize.validate import check, search

RTOL = 1e-6


class Body:
    """A plain object that holds arrays, and itself."""

    def __init__(self) -> None:
        self.pos = np.zeros(3)
        self.parts = [{"pos": np.zeros(2)}]
        self.me = self


class Slotted:
    """An object without a `__dict__`."""

    __slots__ = ("pos",)

    def __init__(self) -> None:
        self.pos = np.zeros(3)


@dataclasses.dataclass
class State:
    """A dataclass, whose own `==` cannot compare arrays."""

    pos: Any
    step: int = 0


def drawn(
    args: tuple[Any, ...], names: tuple[str, ...], *, layouts: bool = False, examples: int = 400
) -> list[Variant]:
    """What so many tries make of these arguments."""
    made: list[Variant] = []

    @hypothesis.settings(max_examples=examples, database=None, derandomize=True, deadline=None)
    @hypothesis.given(variants(args, names, layouts=layouts))
    def keep(variant: Variant) -> None:
        made.append(variant)

    keep()
    return made


def test_copies_are_deep_and_keep_layouts_and_aliases() -> None:
    strided = np.arange(20.0)[::2]
    shared = np.arange(3.0)
    args: tuple[Any, ...] = (
        {"pos": shared, "deep": [(strided, {"x": [1, 2]})]},
        shared,
        strided,
        Body(),
        np.random.default_rng(0),
    )
    state, alias, other, body, rng = fresh(args)
    assert state["pos"] is alias
    assert state["deep"][0][0] is other
    assert other.strides == strided.strides
    assert body.me is body
    state["deep"][0][1]["x"].append(3)
    alias[:] = body.pos[:] = other[:] = 7.0
    rng.random()
    assert difference(args[0]["deep"][0][1], {"x": [1, 2]}, 0.0) is None
    assert (shared == [0, 1, 2]).all()
    assert strided[1] == 2.0
    assert not args[3].pos.any()
    assert difference(args[4], np.random.default_rng(0), 0.0) is None
    lock = threading.Lock()
    assert fresh((lock,))[0] is lock


@pytest.mark.parametrize("make", [lambda: {"pos": np.zeros(3)}, Body, Slotted, lambda: State(np.zeros(3))])
def test_what_is_left_in_an_argument_that_holds_others(make: Any) -> None:
    def move(state: Any, x: Any) -> None:
        pos = state["pos"] if isinstance(state, dict) else state.pos
        pos += x

    def nothing(state: Any, x: Any) -> None:
        pass

    with pytest.raises(module._DiffersError, match=r"^what it leaves in state: .*pos.*3 of 3 values differ"):
        check(move, nothing, (make(), np.ones(3)), ("state", "x"), RTOL)
    assert check(move, move, (make(), np.ones(3)), ("state", "x"), RTOL)


def test_a_generator_that_draws_other_numbers() -> None:
    def draw(rng: Any, n: int) -> Any:
        return np.array([rng.random() for _ in range(n)])

    def more(rng: Any, n: int) -> Any:
        return rng.random(n + 1)[:n]

    args = (np.random.default_rng(0), 4)
    assert check(draw, lambda rng, n: rng.random(n), args, ("rng", "n"), RTOL)
    with pytest.raises(module._DiffersError, match="a Generator that has drawn other numbers"):
        check(draw, more, args, ("rng", "n"), RTOL)


def test_objects_are_compared_by_what_they_hold() -> None:
    assert difference(Body(), Body(), 0.0) is None
    other = Body()
    other.parts[0]["pos"][1] = 1.0
    assert difference(Body(), other, 0.0) == (
        ".parts of the result: part 0 of the result: 'pos' of the result: 1 of 2 values differ, "
        "the first at [1]: 1.0 instead of 0.0"
    )
    assert difference(State(np.ones(2)), State(np.ones(2), 1), 0.0) is not None
    assert difference(object(), object(), 0.0) is None
    assert difference(len, max, 0.0) is not None
    assert difference(iter([1, 2]), iter([1, 2]), 0.0) is None
    assert difference(iter([1, 2]), iter([1, 3]), 0.0) is not None
    assert difference((v for v in [1]), (v for v in [1]), 0.0) is not None
    assert difference(SimpleNamespace(a=np.ones(2)), SimpleNamespace(a=np.ones(2)), 0.0) is None
    assert difference(SimpleNamespace(a=np.ones(2)), SimpleNamespace(a=np.zeros(2)), 0.0) is not None
    assert difference(deque([np.ones(2)]), deque([np.ones(2)]), 0.0) is None
    path = Path("a")
    assert str(path)
    assert difference(path, Path("a"), 0.0) is None
    one, two = (np.array([np.zeros(2), None], dtype=object) for _ in range(2))
    assert difference(one, two, 0.0) is None
    assert largest_error(State(np.array([4.0])), State(np.array([4.5]))) == 0.125


def test_a_column_of_timestamps_makes_no_result_right() -> None:
    stamps, x = np.arange(5) + 1_700_000_000, np.linspace(0, 1, 5)
    assert largest((stamps, x)) == 1.0
    assert largest((1_700_000_000, 0.5)) == 0.5
    for column in (stamps, stamps.astype(np.float64)):
        with pytest.raises(module._DiffersError, match="values differ"):
            check(lambda t, x: x + 0 * t, lambda t, x: 0.0 * x + 0 * t, (column, x), ("t", "x"), RTOL)
    assert difference(np.array([1.0, 0.0]), np.array([1.0, 1e-15]), RTOL, 1.0) is None


def test_nan_is_drawn_but_seldom() -> None:
    made = drawn((np.arange(9.0),), ("x",))
    with_nan = sum(bool(np.isnan(one.args[0]).any()) for one in made)
    assert 0 < with_nan < len(made) / 2

    def peak(x: Any) -> Any:
        big = -np.inf
        for v in x:
            big = max(big, v)
        return big

    fault, smallest, _, _ = search(peak, lambda x: np.max(x, initial=-np.inf), (np.arange(9.0),), ("x",), RTOL)
    assert fault is not None
    assert "nan" in smallest


def test_numbers_vary() -> None:
    args = (np.arange(4.0), 0.3, True, 2, np.float32(2), np.uint8(3), 1e-3)
    made = drawn(args, ("x", "h", "flag", "k", "g", "u", "tolerance"))
    assert {one.args[1] for one in made} == {0.3, 0.0, -0.3, 0.15, 0.6}
    assert {one.args[2] for one in made} == {True, False}
    assert {one.args[3] for one in made} == {-1, 0, 1, 2, 3}
    assert {type(one.args[4]) for one in made} == {np.float32}
    assert {int(one.args[5]) for one in made} == {0, 1, 2, 3}
    assert {one.args[6] for one in made} == {1e-3, 5e-4, 2e-3}  # at 0 a loop that it ends would have no end


def test_cuts_of_the_users_own() -> None:
    x, rows = np.arange(300.0), np.ones((300, 3))
    made = list(cuts((x, rows, 300, x.tolist())))
    assert [len(one.args[0]) for one in made] == [40, 65, 100, 151, 299]
    assert made[0].remarks == ("your own inputs, cut from 300 to 40",)
    for one in made:
        length = len(one.args[0])
        assert one.args[1].shape == (length, 3)
        assert one.args[2] == length
        assert one.args[3] == list(x[:length])

    def wrong(x: Any) -> Any:
        return x * 2 if len(x) % 16 == 0 or len(x) < 16 else x * 3

    fault, smallest, _, _ = search(lambda x: x * 2, wrong, (np.arange(160.0),), ("x",), RTOL)
    assert fault is not None
    assert "your own inputs, cut from 160 to" in smallest


@pytest.mark.parametrize("shape", [(5,), (3, 4)])
def test_an_array_with_a_negative_stride_is_copied_too(shape: tuple[int, ...]) -> None:
    x = np.arange(float(np.prod(shape))).reshape(shape)[::-1]
    (copied,) = fresh((x,))
    assert not np.shares_memory(x, copied)
    assert copied.strides == x.strides
    assert np.array_equal(x, copied)

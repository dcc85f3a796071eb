"""Inputs that hold others (lists of text, records, dicts, dataclasses) vary, so that a wrong candidate is found."""

import dataclasses
from collections import Counter, defaultdict, namedtuple
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tests.optimize.test_review_inputs import drawn
from vecml.optimize.structures import has_many, parts_of, with_parts
from vecml.optimize.validate import search

WORDS = ["apple", "pear", "fig", "plum pie"] * 10
RECORDS = [{"paid": number % 3 == 0, "amount": number * 0.5, "of": "AB"[number % 2]} for number in range(60)]
Pair = namedtuple("Pair", "x y")


@dataclasses.dataclass(frozen=True)
class Signal:
    """Frozen: its fields cannot be set as others'."""

    samples: Any
    rate: float


def count(words: list[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for word in words:
        found[word] = found.get(word, 0) + 1
    return found


def total(records: list[dict[str, Any]]) -> float:
    return sum((one["amount"] for one in records if one["paid"]), 0.0)


def energy(state: dict[str, Any]) -> float:
    return float(sum(state["m"][i] * state["v"][i, 0] ** 2 for i in range(len(state["m"]))))


def crossings(signal: Signal) -> int:
    return sum(bool(a < 0.5 <= b) for a, b in zip(signal.samples[:-1], signal.samples[1:], strict=True))


def vowels(text: str) -> int:
    return sum(one in "aeiou" for one in text)


def ragged(rows: list[list[float]]) -> list[float]:
    return [sum(row, 0.0) for row in rows]


def links(pairs: list[tuple[int, int]]) -> dict[tuple[int, int], int]:
    return count(pairs)  # type: ignore[arg-type,return-value]


STATE = {"m": np.arange(40.0), "v": np.linspace(-1, 1, 80).reshape(40, 2), "n": 40}
SIGNAL = Signal(np.abs(np.sin(np.arange(50.0))), 2.0)
MUTANTS: list[tuple[Callable[..., Any], Callable[..., Any], Any]] = [
    (count, lambda words: count(words) or {"": 0}, WORDS),
    (count, lambda words: {one: words.count(one) for one in sorted(set(words))}, WORDS[:3] * 20),
    (count, lambda words: count([one.strip() for one in words]), ["a", "b", "c d", "e f g"] * 12),
    (total, lambda records: total([one for one in records if one["of"] == "A" or one["amount"] < 9]), RECORDS),
    (total, lambda records: total(records[:1]), RECORDS),
    (energy, lambda state: float(np.sum(state["m"] * state["v"][:, 0] * np.abs(state["v"][:, 1]))), STATE),
    (energy, lambda state: energy(state) if len(state["m"]) else 1.0, STATE),
    (crossings, lambda signal: int(np.sum(np.diff(signal.samples >= 0.5)) // 2), SIGNAL),
    (crossings, lambda signal: crossings(signal) if signal.rate == 2.0 else 0, SIGNAL),
    (vowels, lambda text: text.count("a") + text.count("e"), "a quick test of his text " * 9),
    (ragged, lambda rows: [sum(row, 0.0) for row in rows if row], [[1.0], [2.0, 3.0], [4.0, 0.0]] * 9),
    (links, lambda pairs: links([(a, b) if a < 9 else (b, a) for a, b in pairs]), [(1, 2), (3, 4), (9, 1)] * 9),
]


@pytest.mark.parametrize("number", range(len(MUTANTS)))
def test_a_wrong_candidate_is_found(number: int) -> None:
    original, mutant, value = MUTANTS[number]
    with np.errstate(all="ignore"):
        assert search(original, mutant, (value,), ("value",), 1e-6)[0] is not None
        assert search(original, original, (value,), ("value",), 1e-6, examples=20)[0] is None


def test_what_is_equally_long_mostly_stays_so() -> None:
    made = [one.args[0] for one in drawn((STATE,), ("state",), examples=100)]
    assert {"m", "v", "n"} == {key for one in made for key in one}
    assert all(len(one["m"]) == len(one["v"]) for one in made)
    assert sum(one["n"] == len(one["m"]) for one in made) > len(made) / 2
    assert {len(one["m"]) for one in made} >= {0, 1, 2, 3}
    assert STATE["n"] == 40, "the user's own is left as it is"


def test_kinds_stay() -> None:
    values = (Pair(1, 2.0), Counter("aab"), SimpleNamespace(x=[1, 2]), {1, 2}, ("a", None), defaultdict(int, {1: 2}))
    for made in drawn(values, tuple("abcdef"), examples=40):
        assert [type(one) for one in made.args] == [type(one) for one in values]
        assert type(made.args[2].x) is list
        assert made.args[4][1] is None
    arrays = [np.arange(3.0), np.arange(3.0)]
    assert all(type(one) is np.ndarray for made in drawn((arrays,), ("x",), examples=40) for one in made.args[0])


def test_apart_and_together() -> None:
    assert parts_of(SIGNAL) == [SIGNAL.samples, 2.0]
    assert with_parts(SIGNAL, [[1], 3.0]) == Signal([1], 3.0)
    assert with_parts(Pair(1, 2), [3, 4]) == Pair(3, 4)
    assert parts_of([1]) is None
    assert parts_of(Signal) is None


def test_a_thing_that_holds_itself_is_counted_once() -> None:
    round_: list[Any] = []
    round_.append(round_)
    assert not has_many(round_)
    assert has_many({"a": [["bc"]]})
    assert not has_many({"a": [np.ones(1)]})


def test_the_counts_of_a_counter_are_replaced() -> None:
    changed = with_parts(Counter(a=3, b=1), [7, 0])
    assert changed == Counter(a=7, b=0)
    assert list(changed) == ["a", "b"]

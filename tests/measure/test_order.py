"""The order of a round's arms: every place as often, every neighbour as often, and the same from the same seed."""

from collections import Counter
from itertools import islice, pairwise
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vecml.measure.order import balanced_rounds

SIZES = [1, 2, 3, 4, 6, 7]
SEEDS = st.integers(0, 2**32)


def rounds(n: int, seed: int, count: int) -> list[list[str]]:
    return list(islice(balanced_rounds([f"arm {number}" for number in range(n)], Random(seed)), count))


def blocks_of(n: int, seed: int, squares: int) -> list[list[list[str]]]:
    """The rounds, in stretches of n that balance among themselves."""
    found = rounds(n, seed, n * squares)
    return [found[start : start + n] for start in range(0, len(found), n)]


@pytest.mark.parametrize("n", SIZES)
@given(seed=SEEDS)
@settings(max_examples=30, deadline=None)
def test_in_n_rounds_every_arm_is_once_in_every_place(n: int, seed: int) -> None:
    names = {f"arm {number}" for number in range(n)}
    for square in blocks_of(n, seed, 4):
        assert all(set(order) == names and len(order) == n for order in square)
        for place in range(n):
            assert {order[place] for order in square} == names


@pytest.mark.parametrize("n", [2, 4, 6])
@given(seed=SEEDS)
@settings(max_examples=30, deadline=None)
def test_an_even_number_of_arms_follow_each_other_equally_often(n: int, seed: int) -> None:
    for square in blocks_of(n, seed, 4):
        neighbours = Counter(pair for order in square for pair in pairwise(order))
        assert len(neighbours) == n * (n - 1)
        assert set(neighbours.values()) == {1}


@pytest.mark.parametrize("n", [3, 7])
def test_an_odd_number_of_arms_follow_each_other_equally_often_in_the_long_run(n: int) -> None:
    squares = 3_000
    neighbours = Counter(pair for order in rounds(n, 5, n * squares) for pair in pairwise(order))
    assert len(neighbours) == n * (n - 1)
    # one a square on average; in one square 0, 1 or 2
    assert max(neighbours.values()) < 1.1 * squares
    assert min(neighbours.values()) > 0.9 * squares


@pytest.mark.parametrize("n", SIZES)
@given(seed=SEEDS)
@settings(max_examples=20, deadline=None)
def test_the_same_seed_gives_the_same_orders(n: int, seed: int) -> None:
    assert rounds(n, seed, 3 * n + 1) == rounds(n, seed, 3 * n + 1)


def test_another_seed_gives_other_orders() -> None:
    assert len({str(rounds(7, seed, 7)) for seed in range(50)}) == 50


@pytest.mark.parametrize(("n", "orders"), [(2, 2), (3, 6), (4, 24)])
def test_every_order_of_a_round_comes_as_the_first_one(n: int, orders: int) -> None:
    firsts = Counter(tuple(rounds(n, seed, 1)[0]) for seed in range(100 * orders))
    assert len(firsts) == orders
    assert min(firsts.values()) > 60


def test_a_single_arm_has_one_order() -> None:
    assert rounds(1, 0, 5) == [["arm 0"]] * 5


def test_of_nobody_there_is_no_order() -> None:
    with pytest.raises(ValueError, match="no arm to give a turn to"):
        rounds(0, 0, 1)


def test_the_arms_list_stays_as_it_is_and_a_round_is_the_callers_own() -> None:
    arms = ["a", "b", "c"]
    orders = balanced_rounds(arms, Random(0))
    found = [next(orders) for _ in range(6)]
    kept = [list(order) for order in found]
    found[0].clear()
    assert arms == ["a", "b", "c"]
    assert [list(order) for order in found[1:]] == kept[1:]

"""Each unit is given out until one node has done it; what was lost comes again, alone, and not without end."""

import random

import pytest

from vecml.batch.assignment import DEPTH, Assignment, TriedTooOftenError

SHA = bytes(32)


def made(n: int, **more: int) -> Assignment:
    return Assignment(iter([(number, f"[{number}, ...]") for number in range(n)]), n, **more)


def test_a_node_gets_no_more_than_it_needs_and_everything_in_order() -> None:
    one = made(5)
    assert one.give("a") == ["[0, ...]", "[1, ...]"]
    assert one.give("a") == []
    assert one.give("b") == ["[2, ...]", "[3, ...]"]
    assert one.finished("a", 0, SHA)
    assert one.give("a") == ["[4, ...]"]
    assert one.held_by("a") == [1, 4]
    assert not one.is_over


def test_what_was_lost_comes_again_first_and_alone() -> None:
    one = made(9)
    one.give("a")
    assert one.lost("a") == [0, 1]
    assert one.give("b") == ["[0, ...]"]
    assert one.give("b") == []
    assert one.give("c") == ["[1, ...]", "[2, ...]"]
    assert one.retries == 1


def test_the_unit_that_ends_every_node_is_named_whatever_comes_after_it() -> None:
    one = made(9, most_tries=3)
    with pytest.raises(TriedTooOftenError) as lost:  # noqa: PT012 -- which round it is, is what is asked
        for _ in range(20):
            one.give("a")
            for number in [number for number in one.held_by("a") if number != 1]:
                one.finished("a", number, SHA)
            one.lost("a")
    assert (lost.value.number, lost.value.tries) == (1, 3)


def test_a_node_that_says_what_failed_blames_no_unit() -> None:
    one = made(3, most_tries=1)
    one.give("a")
    assert one.lost("a", blame=False) == [0, 1]
    assert one.give("b") == ["[0, ...]"]
    assert one.retries == 0


def test_parts_with_other_bytes_are_noticed_and_late_ones_count_once() -> None:
    one = made(1)
    one.give("a")
    one.lost("a")
    one.give("b")
    assert one.finished("b", 0, SHA)
    assert not one.finished("a", 0, SHA)
    with pytest.raises(ValueError, match="0"):
        one.finished("a", 0, b"x" * 32)
    assert one.is_over
    assert one.give("b") == []


@pytest.mark.parametrize("seed", range(20))
def test_whoever_comes_and_goes_each_unit_is_done_once(seed: int) -> None:
    draw, one, first = random.Random(seed), made(60, most_tries=10**6), 0
    while not one.is_over:
        node = draw.choice("abc")
        one.give(node)
        held = one.held_by(node)
        assert len(held) <= DEPTH
        if draw.random() < 0.3:
            one.lost(node)
        elif held:
            first += one.finished(node, held[0], SHA)
    assert first == 60
    assert set(one.done) == set(range(60))

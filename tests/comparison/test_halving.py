"""The search among commits: on a simulated noisy machine by the real verdicts, and step by step on given answers."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from random import Random

import pytest

from vecml.comparison.arms import make_group
from vecml.comparison.halving import (
    ERROR,
    Answer,
    Gap,
    Question,
    Search,
    place_between,
    search,
    steps_of,
)
from vecml.comparison.looks import ROUNDS, gaps_of, looks_for, order_of
from vecml.measure.coordinator import measure
from vecml.measure.records import Arm, Plan
from vecml.measure.simulation import CALL_SECONDS, Machine, Noise
from vecml.measure.verdict import Rules, judge

COMMITS = 30
STEP_SECONDS = 300.0
SLOWER = 1.20


Judged = Callable[[tuple[Gap, ...]], tuple[Gap, ...]]


def simulated(seed: int, times: Sequence[float], judged: Judged = tuple) -> Search:
    """A search on a simulated machine where the commit at each place takes so many times as long as the first."""
    random = Random(seed)

    def ask(question: Question) -> Answer:
        names = [f"c{place}" for place in question.places]
        costs = {name: CALL_SECONDS * times[place] for name, place in zip(names, question.places, strict=True)}
        group = make_group(order_of(question, names), lambda name, role, label: Arm(label, "", {"name": name}, role))
        costs[group[1].name] = costs[group[0].name]
        machine = Machine(Noise(), random, costs)
        looks = looks_for(question, names)
        plan = Plan(looks.after[0], looks.after[-1], STEP_SECONDS, ROUNDS, warm_calls=1, warm_seconds=0.1)
        rules = Rules(level=looks.level)
        measured = measure(
            [group],
            plan,
            machine,
            clock=machine.clock,
            random=random,
            enough=lambda found: looks.enough(found, rules),
        )
        verdicts = {one.arm: one for family in judge(measured, rules) for one in family.verdicts}
        gaps = gaps_of(question, names, verdicts, rules.gate)
        return Answer(judged(gaps), launches=measured.launches, seconds=measured.seconds)

    return search(COMMITS, ask)


def planted(seed: int) -> tuple[int, list[float]]:
    """Which commit is slower than the one before it, and what every commit takes."""
    place = Random(1000 + seed).randint(1, COMMITS)
    return place, [SLOWER if one >= place else 1.0 for one in range(COMMITS + 1)]


@pytest.mark.parametrize("seed", range(10))
def test_a_planted_slowdown_is_found(seed: int) -> None:
    place, times = planted(seed)
    found = simulated(seed, times)
    assert (found.kind, found.bad) == ("found", place), found


@pytest.mark.parametrize("seed", range(10))
def test_noise_alone_accuses_nobody(seed: int) -> None:
    found = simulated(seed, [1.0] * (COMMITS + 1))
    assert found.kind in ("nothing", "undecided"), found


def by_estimate(gaps: tuple[Gap, ...]) -> tuple[Gap, ...]:
    """The fault that the search must not have: whatever comes out slower is slower."""
    return tuple(replace(gap, shown=(gap.times or 1.0) > 1.0) for gap in gaps)


def test_a_search_that_follows_estimates_accuses_by_noise() -> None:
    found = [simulated(seed, [1.0] * (COMMITS + 1), by_estimate) for seed in range(4)]
    assert any(one.kind == "found" for one in found)


Given = Mapping[tuple[int, ...], Answer]
SLOW, FAST, NEITHER = Gap(True, 1.2), Gap(False, 1.0), Gap(None, 1.04, reason="too noisy")


def scripted(last: int, answers: Given) -> tuple[Search, list[Question]]:
    """A search whose questions have these answers by their places; where no answer is given, the middle is fast."""
    asked: list[Question] = []

    def ask(question: Question) -> Answer:
        asked.append(question)
        default = Answer((SLOW,)) if question.middle is None else Answer((FAST, SLOW))
        return answers.get(question.places, default)

    return search(last, ask), asked


def test_the_ends_are_compared_first_and_then_halved() -> None:
    found, asked = scripted(8, {(0, 4, 8): Answer((SLOW, FAST))})
    assert [question.places for question in asked] == [(0, 8), (0, 4, 8), (0, 2, 4), (2, 3, 4)]
    assert (found.kind, found.good, found.bad, found.gap) == ("found", 3, 4, SLOW)


def test_neighbours_need_one_step() -> None:
    found, asked = scripted(1, {})
    assert (found.kind, found.bad, len(asked), asked[0].later) == ("found", 1, 1, 0)


@pytest.mark.parametrize(("gap", "kind"), [(FAST, "nothing"), (NEITHER, "undecided")])
def test_ends_that_are_not_shown_to_differ_are_not_searched(gap: Gap, kind: str) -> None:
    found, asked = scripted(8, {(0, 8): Answer((gap,))})
    assert (found.kind, found.gap, len(asked)) == (kind, gap, 1)


def test_a_step_that_decides_nothing_ends_between_the_last_two_that_differ() -> None:
    found, asked = scripted(8, {(0, 4, 8): Answer((SLOW, FAST)), (0, 2, 4): Answer((NEITHER, NEITHER))})
    assert (found.kind, found.good, found.bad, found.reason) == ("between", 0, 4, "too noisy")
    assert len(asked) == 3


def test_of_two_slowdowns_the_larger_is_followed_and_the_other_told() -> None:
    found, _ = scripted(4, {(0, 2, 4): Answer((SLOW, Gap(True, 1.5)))})
    assert (found.kind, found.good, found.bad, found.others) == ("found", 3, 4, ((0, 2),))


def test_commits_that_cannot_be_measured_are_skipped() -> None:
    broken = Answer(skipped="make: error 1")
    found, asked = scripted(8, {(0, 4, 8): broken, (0, 5, 8): broken})
    assert found.skipped == {4: "make: error 1", 5: "make: error 1"}
    assert [question.middle for question in asked] == [None, 4, 5, 1, 3, 6, 7]
    assert (found.kind, found.bad) == ("found", 8)


def test_where_only_skipped_ones_are_left_the_answer_is_between() -> None:
    found, _ = scripted(3, {(0, 1, 3): Answer(skipped="no"), (0, 2, 3): Answer(skipped="no")})
    assert (found.kind, found.good, found.bad, found.reason) == ("between", 0, 3, "")


@pytest.mark.parametrize("last", [1, 2, 3, 7, 30, 31, 1_000])
@pytest.mark.parametrize("seed", range(5))
def test_the_steps_share_one_error_whatever_they_show(last: int, seed: int) -> None:
    """Also where steps are skipped, and the ends do not halve."""
    random = Random(seed)
    asked: list[tuple[Question, Answer]] = []

    def ask(question: Question) -> Answer:
        answer = Answer((SLOW,)) if question.middle is None else Answer(random.choice(((FAST, SLOW), (SLOW, FAST))))
        if question.middle is not None and random.random() < 0.4:
            answer = Answer(skipped="no")
        asked.append((question, answer))
        return answer

    search(last, ask)
    assert all(question.error > 0 for question, _ in asked)
    assert sum(question.error for question, answer in asked if answer.skipped is None) <= ERROR * (1 + 1e-12)


def test_every_look_has_its_part_of_a_steps_error() -> None:
    question = Question(0, 8, 4, 0.016, 2)
    looks = looks_for(question, ("a", "b", "c"))
    assert looks.level * (len(looks.after) + 1) == pytest.approx(question.error)


def test_how_many_steps_a_width_needs() -> None:
    assert [steps_of(width) for width in (1, 2, 3, 4, 5, 30, 32, 33)] == [0, 1, 2, 2, 3, 5, 5, 6]


def test_the_next_place_moves_away_from_skipped_ones() -> None:
    assert place_between(0, 16, {}, 0) == 8
    assert [place_between(0, 16, {8: ""}, again) for again in (1, 2, 3)] == [9, 10, 12]
    assert place_between(0, 2, {1: ""}, 1) is None

"""How many launches and rounds a budget gives, and how long a measurement goes on, on a fake clock."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.measure.fake_machine import BLOCK, PLAN, START, Machine, arms, overhead, rounds_by_launch, run
from vecml.measure.coordinator import FEWEST_LAUNCHES as FEWEST
from vecml.measure.records import Measured, Plan

# ---- the budget ----


@pytest.mark.parametrize("budget", [26.0, 30.0, 37.5])
def test_the_budget_decides_the_rounds_and_is_spent(budget: float) -> None:
    machine = Machine()
    found = run(machine, [arms("a", "b")], replace(PLAN, launches=5, budget_seconds=budget, rounds=100))
    assert found.launches == 5
    # the last launch has all that is left, but for a square of two rounds
    assert budget - 2 * 2 * BLOCK < found.seconds <= budget
    for arm in found.arms:
        rounds = rounds_by_launch(arm)
        assert sorted(rounds) == [0, 1, 2, 3, 4]
        assert all(len(numbers) >= 6 and len(numbers) % 2 == 0 for numbers in rounds.values())
        # the first launch is planned with a margin, the others share what is left
        assert max(len(numbers) for numbers in rounds.values()) <= 2 * len(rounds[0])


def test_more_budget_gives_more_rounds_until_there_are_enough() -> None:
    def rounds(budget: float) -> int:
        found = run(Machine(), [arms("a", "b")], replace(PLAN, launches=5, budget_seconds=budget, rounds=40))
        return len(found.arms[0].blocks)

    counts = [rounds(budget) for budget in (25.0, 30.0, 40.0, 60.0, 1_000.0)]
    assert counts == sorted(counts)
    assert counts[0] < counts[1] < counts[2]
    assert counts[-1] == 5 * 40


def test_rounds_are_complete_squares() -> None:
    found = run(Machine(), [arms(*"abcdefg")], replace(PLAN, budget_seconds=1_000.0, rounds=40))
    assert {len(numbers) for numbers in rounds_by_launch(found.arms[0]).values()} == {35}


@pytest.mark.parametrize(
    ("budget", "launches"),
    [(25.0, 5), (18.0, 4), (15.0, 3), (8.0, 3), (0.25, 3)],
)
def test_a_tight_budget_gives_up_launches_but_three(budget: float, launches: int) -> None:
    found = run(Machine(), [arms("a", "b")], replace(PLAN, launches=5, budget_seconds=budget, rounds=40))
    assert found.launches == launches
    for arm in found.arms:
        rounds = rounds_by_launch(arm)
        assert sorted(rounds) == list(range(launches))
        assert min(len(numbers) for numbers in rounds.values()) >= 6
    if budget > 3 * (overhead(2) + 6 * 2 * BLOCK + 0.5):
        assert found.seconds <= budget
    else:  # it cannot be kept, and no more is done than a verdict needs
        assert {len(numbers) for arm in found.arms for numbers in rounds_by_launch(arm).values()} == {6}


@pytest.mark.parametrize("launches", [1, 2, 3])
def test_launches_are_never_fewer_than_what_was_asked_for_or_three(launches: int) -> None:
    found = run(Machine(), [arms("a", "b")], replace(PLAN, launches=launches, budget_seconds=0.25))
    assert found.launches == launches


@given(
    calls=st.lists(st.integers(-12, -5).map(lambda power: 2.0**power), min_size=1, max_size=6),
    limits=st.integers(0, 2),
    sizes=st.integers(1, 2),
    launches=st.integers(3, 6),
    spare=st.floats(0.0, 60.0),
    seed=st.integers(0, 2**16),
)
@settings(max_examples=60, deadline=None)
def test_the_budget_is_kept_where_three_launches_of_the_fewest_rounds_fit(
    calls: list[float], limits: int, sizes: int, launches: int, spare: float, seed: int
) -> None:
    names = [f"arm {number}" for number in range(len(calls))]
    group = arms(*names, *[f"limit {number}" for number in range(limits)])
    plan = replace(PLAN, launches=launches, rounds=40)
    rounds = max(plan.fewest_rounds, len(names))
    fixed = overhead(len(group)) + 0.3  # what the coordinator keeps for ends that it does not know yet
    least = FEWEST * sizes * (fixed + 1.2 * BLOCK * (rounds * len(names) + (rounds + 3) // 4 * limits))
    budget = least + spare
    machine = Machine(calls=dict(zip(names, calls, strict=True)))
    found = run(machine, [group] * sizes, replace(plan, budget_seconds=budget), seed)
    assert found.seconds <= budget + BLOCK * limits  # whether a limit takes part once more is not foreseen
    assert FEWEST <= found.launches <= launches
    for arm in found.arms:
        if arm.role != "limit":
            counts = [len(numbers) for numbers in rounds_by_launch(arm).values()]
            assert len(counts) == found.launches
            assert min(counts) >= plan.fewest_rounds
            assert max(counts) <= plan.rounds


def test_the_budget_is_kept_by_seven_arms_too() -> None:
    """A square of theirs has more rounds than the fewest, so that launches are given up for squares."""
    launch = overhead(7) + 7 * 7 * BLOCK
    budget = 5 * launch - 7 * BLOCK
    found = run(Machine(), [arms(*"abcdefg")], replace(PLAN, launches=5, budget_seconds=budget, rounds=40))
    assert found.seconds <= budget
    assert found.launches == 4


def test_a_slow_start_of_the_last_launch_is_paid_by_its_rounds() -> None:
    machine = Machine(starts={4: START + 4.0})
    found = run(machine, [arms("a", "b")], replace(PLAN, launches=5, budget_seconds=40.0, rounds=1_000))
    assert found.launches == 5
    assert found.seconds <= 40.0


def test_launches_given_up_for_a_slow_first_start_are_made_when_there_is_time() -> None:
    """The first start reads the libraries from the disk, the others have them in memory."""
    machine = Machine(starts={0: START + 8.0})
    found = run(machine, [arms("a", "b")], replace(PLAN, launches=5, budget_seconds=40.0, rounds=40))
    assert found.launches == 5
    assert found.seconds <= 40.0


# ---- how long it goes on ----


class Asked:
    """Says no so many times, and remembers what it was shown."""

    def __init__(self, noes: int) -> None:
        self.noes = noes
        self.launches: list[int] = []

    def __call__(self, found: Measured) -> bool:
        self.launches.append(found.launches)
        for arm in found.arms:
            assert sorted(rounds_by_launch(arm)) == list(range(found.launches))
        return len(self.launches) > self.noes


@pytest.mark.parametrize("noes", range(6))
def test_it_goes_on_until_it_is_enough_or_the_most_launches_are_made(noes: int) -> None:
    asked = Asked(noes)
    found = run(Machine(), [arms("a", "b")], replace(PLAN, launches=4, most_launches=8), enough=asked)
    assert found.launches == min(4 + noes, 8)
    # after the most launches there is nothing to ask
    assert asked.launches == list(range(4, min(4 + noes, 7) + 1))


def test_without_a_question_there_are_the_most_launches() -> None:
    assert run(Machine(), [arms("a", "b")], replace(PLAN, most_launches=7)).launches == 7


@pytest.mark.parametrize("most", [0, 2, 3])
def test_nothing_is_asked_where_the_launches_are_fixed(most: int) -> None:
    asked = Asked(100)
    assert run(Machine(), [arms("a", "b")], replace(PLAN, most_launches=most), enough=asked).launches == 3
    assert asked.launches == []


def test_further_launches_keep_to_the_budget() -> None:
    asked = Asked(100)
    launch = overhead(2) + 6 * 2 * BLOCK
    plan = replace(PLAN, launches=3, most_launches=20, budget_seconds=8.5 * launch)
    found = run(Machine(), [arms("a", "b")], plan, enough=asked)
    assert found.launches == 8
    assert found.seconds <= 8.5 * launch


def test_it_is_not_asked_before_the_launches_of_the_plan_even_when_some_were_given_up() -> None:
    asked = Asked(0)
    machine = Machine(starts={0: START + 12.0})
    plan = replace(PLAN, launches=5, most_launches=20, budget_seconds=40.0)
    run(machine, [arms("a", "b")], plan, enough=asked)
    assert all(launches >= 5 for launches in asked.launches)


def test_a_quick_measurement_has_one_launch() -> None:
    machine = Machine()
    found = run(machine, [arms("a", "b", "null", "limit")], Plan(launches=1, budget_seconds=None, rounds=12))
    assert found.launches == 1
    assert len(machine.crews) == 1
    assert [len(arm.blocks) for arm in found.arms] == [12, 12, 12, 3]
    assert all([launch.launch for launch in arm.launches] == [0] for arm in found.arms)

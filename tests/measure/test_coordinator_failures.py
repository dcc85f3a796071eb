"""Launches with a slow canary are replaced, arms that fail are given up, and an interrupt leaves no worker behind."""

from collections import Counter
from dataclasses import replace
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.measure.fake_machine import BLOCK, CANARY, PLAN, STAGES, Machine, arm_of, arms, rounds_by_launch, run
from vecml.measure.coordinator import CANARY_PASSES, Progress, WorkerError, measure
from vecml.measure.records import Measured, Replaced

# ---- canaries ----


def test_a_launch_with_a_slow_canary_is_replaced_and_counted() -> None:
    machine = Machine(canaries={(1, "b"): 2 * CANARY})  # the second crew, launch 1
    found = run(machine, [arms("a", "b", "c")])
    assert found.replaced == (Replaced(1, 0, "b", 2 * CANARY, CANARY),)
    assert found.launches == 3
    assert [crew.launch for crew in machine.crews] == [0, 1, 1, 2]
    assert {stage for crew, stage, _ in machine.log if crew == 1} == {"started", "canary"}
    for arm in found.arms:
        assert rounds_by_launch(arm) == {launch: [0, 1, 2, 3, 4, 5] for launch in range(3)}
        assert [launch.canary_seconds for launch in arm.launches] == [CANARY] * 3


@pytest.mark.parametrize(
    ("factor", "is_replaced"), [(1.25, False), (1.2501, True), (0.8, False), (0.7999, True), (100.0, True)]
)
def test_a_canary_may_be_a_quarter_off_the_median_on_either_side(factor: float, is_replaced: bool) -> None:
    machine = Machine(canaries={(0, "b"): factor * CANARY})
    found = run(machine, [arms("a", "b", "c", "d")])
    assert len(found.replaced) == is_replaced


def test_the_canary_that_is_furthest_off_is_named() -> None:
    canaries = {(2, "b"): 1.5 * CANARY, (2, "c"): CANARY / 4, (2, "d"): 3 * CANARY}
    found = run(Machine(canaries=canaries), [arms("a", "b", "c", "d")])
    (replaced,) = found.replaced
    assert (replaced.launch, replaced.group, replaced.arm) == (2, 0, "c")
    assert replaced.canary_seconds == pytest.approx(CANARY / 4)
    assert replaced.median_seconds == 1.25 * CANARY  # of 1, 1.5, 0.25 and 3


def test_a_launch_that_is_slow_as_a_whole_is_kept() -> None:
    """The machine was slow, for all arms alike: that is no reason to measure again."""
    machine = Machine(canaries={(2, name): 2 * CANARY for name in "abc"})
    found = run(machine, [arms("a", "b", "c")])
    assert found.replaced == ()
    assert arm_of(found, "a").launches[2].canary_seconds == 2 * CANARY


def test_workers_take_turns_at_their_canaries() -> None:
    """So that a change of the machine's speed hits all of them."""
    machine = Machine()
    run(machine, [arms("a", "b", "c")], replace(PLAN, launches=1))
    taken = [name for _, stage, name in machine.log if stage == "canary"]
    assert len(taken) == 3 * CANARY_PASSES
    for begin in range(0, len(taken), 3):
        assert sorted(taken[begin : begin + 3]) == ["a", "b", "c"]


@pytest.mark.parametrize("launches", [1, 3, 5])
def test_no_more_launches_are_replaced_than_there_are(launches: int) -> None:
    machine = Machine(canaries={(crew, "c"): 2 * CANARY for crew in range(50)})
    found = run(machine, [arms("a", "b", "c")], replace(PLAN, launches=launches))
    assert len(found.replaced) == launches
    assert len(machine.crews) == 2 * launches
    assert found.launches == launches
    assert [launch.canary_seconds for launch in arm_of(found, "c").launches] == [2 * CANARY] * launches
    assert all(len(arm.blocks) == 6 * launches for arm in found.arms)


def test_a_group_of_two_does_not_use_up_the_others_replacements_twice() -> None:
    machine = Machine(canaries={(crew, "c"): 2 * CANARY for crew in range(50)})
    found = run(machine, [arms("a", "b", "c"), arms("a", "d", "e")])
    assert len(found.replaced) == 3
    assert {one.group for one in found.replaced} == {0}


@given(st.integers(0, 2**16))
@settings(max_examples=20, deadline=None)
def test_the_arms_own_times_never_replace_a_launch(seed: int) -> None:
    """However much an arm's calls, and one launch's as a whole, differ from the others."""
    random = Random(seed)
    calls = {name: [2.0 ** random.randint(-12, -4) for _ in range(3)] for name in "abc"}
    machine = Machine(calls={name: taken.__getitem__ for name, taken in calls.items()})
    found = run(machine, [arms("a", "b", "c")], seed=seed)
    assert found.replaced == ()
    assert len(machine.crews) == 3


def test_a_replaced_launch_is_paid_by_the_rounds() -> None:
    canaries = {(crew, "b"): 2 * CANARY for crew in (2, 4)}
    machine = Machine(canaries=canaries)
    found = run(machine, [arms("a", "b", "c")], replace(PLAN, launches=5, budget_seconds=60.0, rounds=1_000))
    assert len(found.replaced) == 2
    assert found.launches == 5
    assert 60.0 - 3 * 3 * BLOCK < found.seconds <= 60.0


def test_an_arm_that_fails_at_its_canary_is_not_compared() -> None:
    machine = Machine(faults={("c", 0, "canary"): (WorkerError("it raised ValueError: no"), 30.0)})
    found = run(machine, [arms("a", "b", "c")])
    assert found.replaced == ()
    assert [arm.failure for arm in found.arms] == [None, None, "it raised ValueError: no"]


# ---- arms that fail ----

WAYS = {
    "dies": ("its process was ended by SIGSEGV", 0.0),
    "raises": ("it raised ValueError: no such thing", 0.0),
    "hangs": ("it hung: no answer within 20 s, and it was ended", 20.0),
}


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("launch", [0, 2])
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", ["a", "b"])
def test_an_arm_that_fails_is_given_up_and_the_others_are_measured(
    stage: str, launch: int, way: str, name: str
) -> None:
    said, seconds = WAYS[way]
    machine = Machine(faults={(name, launch, stage): (WorkerError(said), seconds)})
    found = run(machine, [arms("a", "b", "c")], replace(PLAN, launches=4))
    assert found.launches == 4
    assert [arm.failure for arm in found.arms] == [said if arm.name == name else None for arm in found.arms]
    for arm in found.arms:
        if arm.name != name:
            assert rounds_by_launch(arm) == {number: [0, 1, 2, 3, 4, 5] for number in range(4)}
            assert [told.launch for told in arm.launches] == [0, 1, 2, 3]
    failed = arm_of(found, name)
    # What it gave before stays, and it is never started again.
    last = {"block": [0, 1], "finish": [0, 1, 2, 3, 4, 5]}.get(stage)
    want = {number: [0, 1, 2, 3, 4, 5] for number in range(launch)} | ({launch: last} if last else {})
    assert rounds_by_launch(failed) == want
    assert [told.launch for told in failed.launches] == list(range(launch))
    assert [name in crew.workers for crew in machine.crews] == [number <= launch for number in range(4)]


@pytest.mark.parametrize("stage", STAGES)
def test_the_worker_of_an_arm_that_fails_is_ended_at_once(stage: str) -> None:
    machine = Machine(faults={("b", 0, stage): (WorkerError("it hung"), 20.0)})
    run(machine, [arms("a", "b", "c")])
    failed = max(index for index, entry in enumerate(machine.log) if entry == (0, stage, "b"))
    assert machine.log[failed + 1] == (0, "close", "b")
    assert Counter(machine.log)[0, "close", "b"] == 1
    assert len({entry[2] for entry in machine.log[failed + 2 :]}) == 2  # and the others go on


@pytest.mark.parametrize("stage", ["started", "canary", "open", "warm"])
def test_an_arm_that_failed_before_the_rounds_has_no_place_in_them(stage: str) -> None:
    machine = Machine(faults={("b", 0, stage): (WorkerError("it is out"), 0.0)})
    found = run(machine, [arms("a", "b", "c")], replace(PLAN, launches=1))
    for name in "ac":
        places = arm_of(found, name).blocks.position
        assert Counter(places) == {0: 3, 1: 3}


def test_when_every_arm_fails_there_is_an_end() -> None:
    machine = Machine(faults={(name, 1, "open"): (WorkerError(f"{name} is out"), 0.0) for name in "abc"})
    found = run(machine, [arms("a", "b", "c")], replace(PLAN, launches=5))
    assert [arm.failure for arm in found.arms] == ["a is out", "b is out", "c is out"]
    assert all(rounds_by_launch(arm) == {0: [0, 1, 2, 3, 4, 5]} for arm in found.arms)
    assert len(machine.crews) == 2


@pytest.mark.timeout(20)
@pytest.mark.parametrize("stage", ["open", "block"])
@pytest.mark.parametrize("launch", [0, 1])
def test_when_only_limits_are_left_there_is_an_end(stage: str, launch: int) -> None:
    machine = Machine(faults={(name, launch, stage): (WorkerError(f"{name} is out"), 0.0) for name in "ab"})
    found = run(machine, [arms("a", "b", "limit")])
    assert [arm.failure for arm in found.arms] == ["a is out", "b is out", None]
    assert len(arm_of(found, "a").blocks) == 6 * launch + (2 if stage == "block" else 0)


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("launch", [0, 2])
@pytest.mark.parametrize("error", [KeyboardInterrupt(), RuntimeError("a fault of the coordinator's own")])
def test_what_interrupts_it_passes_and_no_worker_is_left(stage: str, launch: int, error: BaseException) -> None:
    machine = Machine(faults={("b", launch, stage): (error, 0.0)})
    with pytest.raises(type(error)) as caught:
        measure([arms("a", "b", "c")], PLAN, machine, clock=machine.clock, random=Random(0))
    assert caught.value is error
    assert len(machine.crews) == launch + 1
    assert all(crew.closed for crew in machine.crews)


def test_an_interrupt_while_it_tells_how_far_it_is_leaves_no_worker() -> None:
    machine = Machine()

    def tell(progress: Progress) -> None:
        if progress.doing == "measuring":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        measure([arms("a", "b")], PLAN, machine, clock=machine.clock, tell=tell)
    assert [crew.closed for crew in machine.crews] == [True]


def test_an_interrupt_between_launches_passes() -> None:
    machine = Machine()

    def enough(_: Measured) -> bool:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        measure([arms("a")], replace(PLAN, most_launches=5), machine, clock=machine.clock, enough=enough)
    assert [crew.closed for crew in machine.crews] == [True] * 3


def test_no_launch_is_made_after_one_that_makes_the_rest_idle() -> None:
    machine = Machine(faults={("b", 1, "block"): (WorkerError("it raised"), 0.0)})
    kept: list[int] = []
    found = run(
        machine,
        [arms("a", "b")],
        keep=lambda measured: kept.append(measured.launches),
        over=lambda measured: arm_of(measured, "b").failure is not None,
    )
    assert (found.launches, kept) == (2, [1, 2])
    assert [crew.launch for crew in machine.crews] == [0, 1]

"""The whole of a measurement on a fake clock, where everything takes an exact time, and only the orders are random."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.measure.fake_machine import (
    BLOCK,
    CANARY,
    LOAD,
    PLAN,
    FakeCrew,
    Machine,
    arm_of,
    arms,
    overhead,
    rounds_by_launch,
    run,
)
from vecml.measure.coordinator import Progress, WorkerError, measure
from vecml.measure.records import Arm, Measured, Plan

# ---- what comes of it ----


def test_every_block_of_complete_rounds_is_kept_as_the_worker_told_it() -> None:
    machine = Machine(calls={"a": 2.0**-8, "b": 2.0**-7, "c": 2.0**-5})
    found = run(machine, [arms("a", "b", "c")])
    assert (found.plan, found.launches, found.replaced, found.windows) == (PLAN, 3, (), ())
    assert [arm.name for arm in found.arms] == ["a", "b", "c"]
    assert [arm.role for arm in found.arms] == ["baseline", "arm", "arm"]
    for arm, calls in zip(found.arms, (16, 8, 2), strict=True):
        assert (arm.cpus, arm.group, arm.failure) == (2, 0, None)
        blocks = arm.blocks
        assert blocks.launch == (0,) * 6 + (1,) * 6 + (2,) * 6
        assert blocks.round == (0, 1, 2, 3, 4, 5) * 3
        assert set(blocks.calls) == {calls}
        assert set(blocks.seconds) == {BLOCK}
        assert set(blocks.cpu_seconds) == {BLOCK / 2}
        assert blocks.switches == (1, 2, 3, 4, 5, 6) * 3
        assert blocks.answer == (7, 14, 21, 28, 35, 42) * 3
        assert set(blocks.idle) == {True}
        assert len(blocks) == 18
    assert found.seconds == 3 * (overhead(3) + 6 * 3 * BLOCK)


def test_every_worker_tells_its_start_and_its_end() -> None:
    found = run(Machine(calls={"b": 2.0**-4}), [arms("a", "b")], replace(PLAN, warm_calls=40))
    for name, calls, seconds in (("a", 256, 1.0), ("b", 40, 2.5)):
        arm = arm_of(found, name)
        assert [launch.launch for launch in arm.launches] == [0, 1, 2]
        for launch in arm.launches:
            assert launch.canary_seconds == CANARY
            assert launch.load_seconds == LOAD
            assert (launch.warm_calls, launch.warm_seconds) == (calls, seconds)
            assert launch.peak_rss_bytes == 1_000 + launch.launch
            assert launch.facts == {"name": name, "from": "finish", "blocks": 6}


def test_every_launch_has_workers_of_its_own() -> None:
    machine = Machine()
    run(machine, [arms("a", "b")])
    assert [(crew.launch, crew.group, list(crew.workers)) for crew in machine.crews] == [
        (launch, 0, ["a", "b"]) for launch in range(3)
    ]


@pytest.mark.parametrize("n", [1, 2, 3, 7])
@given(seed=st.integers(0, 2**32))
@settings(max_examples=10, deadline=None)
def test_every_arm_takes_every_place_as_often_and_its_place_is_recorded(n: int, seed: int) -> None:
    names = [f"arm {number}" for number in range(n)]
    machine = Machine()
    found = run(machine, [arms(*names)], replace(PLAN, rounds=2 * n), seed)
    for arm in found.arms:
        for launch in range(3):
            places = [
                position for position, of in zip(arm.blocks.position, arm.blocks.launch, strict=True) if of == launch
            ]
            assert sorted(places[:n]) == sorted(places[n:]) == list(range(n))
    # The places are those in which the turns were really taken.
    turns = iter([name for _, stage, name in machine.log if stage == "block"])
    for launch in range(3):
        for number in range(2 * n):
            recorded = {arm.blocks.position[launch * 2 * n + number]: arm.name for arm in found.arms}
            assert [recorded[place] for place in range(n)] == [next(turns) for _ in range(n)]


def test_canaries_and_warm_ups_are_in_random_order() -> None:
    orders = Counter()
    for seed in range(100):
        machine = Machine()
        run(machine, [arms("a", "b")], replace(PLAN, launches=1), seed)
        for stage in ("canary", "open"):
            orders[stage, next(name for _, done, name in machine.log if done == stage)] += 1
    assert set(orders) == {("canary", "a"), ("canary", "b"), ("open", "a"), ("open", "b")}
    assert min(orders.values()) > 25


def test_the_same_seed_gives_the_same_measurement_and_another_one_another() -> None:
    groups = [arms("a", "b", "c", "limit")]
    assert run(Machine(), groups, seed=3) == run(Machine(), groups, seed=3)
    assert run(Machine(), groups, seed=3) != run(Machine(), groups, seed=4)


def test_without_a_seed_one_is_drawn() -> None:
    def order() -> list[str]:
        machine = Machine()
        measure([arms(*"abcdefg")], PLAN, machine, clock=machine.clock)
        return [name for _, stage, name in machine.log if stage == "block"]

    assert order() != order()


# ---- calls of a block ----


@pytest.mark.parametrize(
    ("call", "calls"),
    [(2.0**-20, 65_536), (BLOCK / 2, 2), (0.75 * BLOCK, 2), (BLOCK, 1), (1.25 * BLOCK, 1), (1.0, 1)],
)
def test_as_many_calls_as_a_block_needs_and_no_more(call: float, calls: int) -> None:
    found = run(Machine(calls={"b": call}), [arms("a", "b")])
    assert set(arm_of(found, "b").blocks.calls) == {calls}
    assert set(arm_of(found, "a").blocks.calls) == {16}


@given(st.floats(1e-6, 2.0))
@settings(deadline=None)
def test_a_block_is_long_enough_whatever_a_call_takes(call: float) -> None:
    found = run(Machine(calls={"a": call}), [arms("a")], replace(PLAN, launches=1))
    blocks = found.arms[0].blocks
    assert min(blocks.seconds) >= BLOCK * (1 - 1e-12)
    assert max(blocks.seconds) - call < BLOCK * (1 + 1e-12)


def test_every_launch_is_calibrated_anew() -> None:
    machine = Machine(calls={"b": lambda launch: 2.0 ** (launch - 8)})
    blocks = arm_of(run(machine, [arms("a", "b")]), "b").blocks
    assert blocks.calls == (16,) * 6 + (8,) * 6 + (4,) * 6


def test_an_arm_that_cannot_be_warmed_up_is_too_slow() -> None:
    machine = Machine(calls={"b": 4.0})
    found = run(machine, [arms("a", "b")], replace(PLAN, patience_seconds=20.0))
    assert arm_of(found, "b").failure == (
        "too slow to be measured: 3 calls took 12.0 s, and 5 warm it up; less work in a call, or a larger budget"
    )
    assert len(arm_of(found, "b").blocks) == 0
    assert len(arm_of(found, "a").blocks) == 18
    assert "b" not in machine.crews[1].workers


# ---- limits, groups ----


@pytest.mark.parametrize(("every", "rounds"), [(4, [0, 4, 8]), (3, [0, 3, 6, 9]), (1, list(range(10)))])
def test_limits_take_part_in_few_rounds_and_after_the_others(every: int, rounds: list[int]) -> None:
    found = run(
        Machine(calls={"limit x": 2.0**-5}),
        [arms("a", "b", "limit x", "limit y")],
        replace(PLAN, rounds=10, limit_every=every),
    )
    for name in "ab":
        assert rounds_by_launch(arm_of(found, name)) == {launch: list(range(10)) for launch in range(3)}
        assert set(arm_of(found, name).blocks.position) == {0, 1}
    for name in ("limit x", "limit y"):
        assert rounds_by_launch(arm_of(found, name)) == dict.fromkeys(range(3), rounds)
        assert set(arm_of(found, name).blocks.position) <= {2, 3}
    both = [arm_of(found, name).blocks.position for name in ("limit x", "limit y")]
    assert all({one, other} == {2, 3} for one, other in zip(*both, strict=True))
    assert set(arm_of(found, "limit x").blocks.calls) == {2}


def test_groups_take_turns_in_every_launch_each_with_a_baseline_of_its_own() -> None:
    machine = Machine(calls={"b": 2.0**-7, "c": 2.0**-6})
    found = run(machine, [arms("a", "b"), arms("a", "c", "null")])
    assert [(crew.launch, crew.group, list(crew.workers)) for crew in machine.crews] == [
        (launch, group, names) for launch in range(3) for group, names in enumerate((["a", "b"], ["a", "c", "null"]))
    ]
    assert [(arm.name, arm.group, arm.role) for arm in found.arms] == [
        ("a", 0, "baseline"),
        ("b", 0, "arm"),
        ("a", 1, "baseline"),
        ("c", 1, "arm"),
        ("null", 1, "null"),
    ]
    for arm in found.arms:
        assert rounds_by_launch(arm) == {launch: [0, 1, 2, 3, 4, 5] for launch in range(3)}
    assert found.launches == 3


def test_a_baseline_that_fails_in_one_group_goes_on_in_the_other() -> None:
    groups = [arms("a", "b"), arms("a", "c")]

    class OnlyFirst(Machine):
        def start(self, arms: Sequence[Arm], plan: Plan, launch: int, group: int) -> FakeCrew:
            self.faults = {("a", 1, "block"): (WorkerError("it is out"), 0.0)} if group == 0 else {}
            return super().start(arms, plan, launch, group)

    found = run(OnlyFirst(), groups)
    assert [(arm.failure, len(arm.blocks)) for arm in found.arms] == [
        ("it is out", 8),
        (None, 18),
        (None, 18),
        (None, 18),
    ]


def test_groups_share_the_budget() -> None:
    groups = [arms("a", "b"), arms("a", "c")]
    found = run(Machine(), groups, replace(PLAN, launches=5, budget_seconds=60.0, rounds=1_000))
    assert found.launches == 5
    assert 60.0 - 2 * 2 * BLOCK < found.seconds <= 60.0
    first, second = (sum(len(arm.blocks) for arm in found.arms if arm.group == group) for group in (0, 1))
    assert 0.8 < first / second < 1.25


# ---- the machine meanwhile ----


def test_a_block_that_the_others_did_not_come_to_rest_for_is_marked() -> None:
    found = run(Machine(restless=frozenset({"b"})), [arms("a", "b", "c")])
    assert [set(arm.blocks.idle) for arm in found.arms] == [{True}, {False}, {True}]
    assert [len(arm.blocks) for arm in found.arms] == [18, 18, 18]


def test_windows_of_a_second_or_more_cover_all_rounds() -> None:
    rounds = 40  # of an eighth of a second: eight of them make a window
    machine = Machine(has_counters=True)
    found = run(machine, [arms("a", "b"), arms("a", "c")], replace(PLAN, rounds=rounds))
    assert len(found.windows) == 3 * 2 * 5
    for launch in range(3):
        for group in range(2):
            mine = [seen for seen in found.windows if (seen.launch, seen.group) == (launch, group)]
            assert [(seen.first_round, seen.last_round) for seen in mine] == [
                (start, start + 7) for start in range(0, rounds, 8)
            ]
            for seen in mine:
                assert seen.seconds == 1.0
                assert seen.steal_share == 0.125 / seen.usable_cpus
                assert seen.throttled_seconds == 0.0625
                assert seen.foreign_cpus == 0.25


def test_a_round_of_more_than_a_second_is_a_window() -> None:
    machine = Machine(has_counters=True, calls={"b": 1.5})
    found = run(machine, [arms("a", "b")])
    assert [(seen.first_round, seen.last_round, seen.seconds) for seen in found.windows] == [
        (number, number, 1.5 + BLOCK) for number in range(6)
    ] * 3


def test_rounds_of_less_than_a_second_together_are_one_window() -> None:
    found = run(Machine(has_counters=True), [arms("a", "b")])
    assert [(seen.launch, seen.first_round, seen.last_round) for seen in found.windows] == [
        (launch, 0, 5) for launch in range(3)
    ]


def test_the_last_window_is_not_a_short_one() -> None:
    found = run(Machine(has_counters=True), [arms("a", "b")], replace(PLAN, rounds=18))
    assert {seen.last_round for seen in found.windows} >= {17}
    assert all(seen.seconds >= 1.0 for seen in found.windows)


def test_limits_belong_to_the_window_of_their_round() -> None:
    machine = Machine(has_counters=True, calls={"limit": 1.0})
    found = run(machine, [arms("a", "limit")], replace(PLAN, rounds=5))
    assert [(seen.first_round, seen.last_round) for seen in found.windows] == [(0, 0), (1, 4)] * 3


# ---- telling ----


def test_it_tells_how_far_it_is() -> None:
    heard: list[Progress] = []
    run(Machine(), [arms("a", "b")], replace(PLAN, budget_seconds=50.0), tell=heard.append)
    assert [one.doing for one in heard] == (["starting", "warming up"] + ["measuring"] * 6) * 3
    assert [one.launch for one in heard] == [1] * 8 + [2] * 8 + [3] * 8
    assert {one.launches for one in heard} == {3}
    assert heard[0].seconds == 0.0
    assert [one.seconds for one in heard] == sorted(one.seconds for one in heard)


def test_it_tells_of_launches_given_up() -> None:
    heard: list[Progress] = []
    run(Machine(), [arms("a", "b")], replace(PLAN, launches=5, budget_seconds=2.0), tell=heard.append)
    assert (heard[0].launches, heard[-1].launches) == (5, 3)


class StoppedError(Exception):
    """Somebody ends the measurement."""


@pytest.mark.parametrize("kept", [1, 2, 3, 4])
def test_what_was_stopped_goes_on_where_its_last_whole_launch_ended(kept: int) -> None:
    plan = replace(PLAN, launches=5)
    groups = [arms("a", "b"), arms("c", "d")]
    so_far: list[Measured] = []

    def keep(measured: Measured) -> None:
        so_far.append(measured)
        if len(so_far) == kept:
            raise StoppedError

    with pytest.raises(StoppedError):
        run(Machine(has_counters=True), groups, plan, keep=keep)
    before = so_far[-1]
    assert before.launches == kept
    found = run(Machine(has_counters=True, now=9_000.0), groups, plan, resumed=before)
    assert found.launches == 5
    for arm, known in zip(found.arms, before.arms, strict=True):
        assert [launch.launch for launch in arm.launches] == [0, 1, 2, 3, 4]
        assert arm.launches[:kept] == known.launches
        assert arm.blocks.seconds[: len(known.blocks)] == known.blocks.seconds
        places = list(zip(arm.blocks.launch, arm.blocks.round, strict=True))
        assert places == [(launch, number) for launch in range(5) for number in range(PLAN.rounds)]
    assert found.windows[: len(before.windows)] == before.windows
    whole = run(Machine(has_counters=True), groups, plan)
    assert found.seconds == pytest.approx(whole.seconds)  # the time before the stop counts


def test_what_is_kept_of_other_arms_is_refused() -> None:
    before = run(Machine(), [arms("a", "b")])
    with pytest.raises(ValueError, match="of other arms"):
        run(Machine(), [arms("a", "c")], resumed=before)


def test_launches_beyond_the_plan_are_asked_for_after_a_stop_too() -> None:
    plan = replace(PLAN, launches=3, most_launches=6)
    before = run(Machine(), [arms("a", "b")], replace(plan, most_launches=0))
    asked: list[int] = []

    def enough(measured: Measured) -> bool:
        asked.append(measured.launches)
        return measured.launches == 5

    assert run(Machine(), [arms("a", "b")], plan, resumed=before, enough=enough).launches == 5
    assert asked == [3, 4, 5]

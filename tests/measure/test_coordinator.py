"""The whole of a measurement on a fake clock, where everything takes an exact time, and only the orders are random."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vecml.measure.context import Counters
from vecml.measure.coordinator import CANARY_PASSES, Progress, WorkerError, measure
from vecml.measure.coordinator import FEWEST_LAUNCHES as FEWEST
from vecml.measure.records import Arm, ArmMeasurement, Measured, Opened, Plan, Reading, Replaced

# Powers of two, which floats add without rounding.
START, CANARY, LOAD, FINISH, CALL, BLOCK = 0.5, 2.0**-6, 0.25, 0.125, 2.0**-8, 2.0**-4
PLAN = Plan(launches=3, budget_seconds=None, rounds=6, block_seconds=BLOCK, warm_seconds=1.0)
STAGES = ("started", "canary", "open", "warm", "block", "finish")


@dataclass
class Machine:
    """A source of workers and the clock that they move.

    Attributes:
        calls: seconds of a call by an arm's name; others take CALL. A function of the launch where it changes.
        starts: seconds that the start of a crew takes, by launch; others take START.
        canaries: by the number of the crew and the arm's name; others take CANARY.
        faults: what is raised by an arm's name, launch and stage, with the seconds that pass before it.
        restless: names of arms that the others do not come to rest for.
        has_counters: whether the kernel's counters can be read.
    """

    calls: Mapping[str, Any] = field(default_factory=dict)
    starts: Mapping[int, float] = field(default_factory=dict)
    canaries: Mapping[tuple[int, str], float] = field(default_factory=dict)
    faults: Mapping[tuple[str, int, str], tuple[BaseException, float]] = field(default_factory=dict)
    restless: frozenset[str] = frozenset()
    has_counters: bool = False
    now: float = 1_000.0
    crews: list["FakeCrew"] = field(default_factory=list)
    log: list[tuple[int, str, str]] = field(default_factory=list)  # crew, stage, arm

    def clock(self) -> float:
        return self.now

    def start(self, arms: Sequence[Arm], plan: Plan, launch: int, group: int) -> "FakeCrew":
        assert all(crew.closed for crew in self.crews), "the crew before is still there"
        self.now += self.starts.get(launch, START)
        self.crews.append(FakeCrew(self, [arm.name for arm in arms], plan, launch, group))
        return self.crews[-1]


class FakeCrew:
    def __init__(self, machine: Machine, names: list[str], plan: Plan, launch: int, group: int) -> None:
        self.machine, self.plan, self.launch, self.group = machine, plan, launch, group
        self.number = len(machine.crews)
        self.workers = {name: FakeWorker(self, name) for name in names}
        self.waited_for: str | None = None
        self.closed = False

    def wait_idle(self, turn: str) -> bool:
        assert not self.closed
        self.waited_for = turn
        return turn not in self.machine.restless

    def counters(self) -> Counters | None:
        """Of every second, a quarter of one CPU is another's, an eighth is stolen, and a sixteenth is throttled."""
        if not self.machine.has_counters:
            return None
        now = self.machine.now
        return Counters(now, 1.25 * now, 0.125 * now, 0.0625 * now, now)

    def close(self) -> None:
        self.closed = True
        for worker in self.workers.values():
            worker.closed = True


class FakeWorker:
    def __init__(self, crew: FakeCrew, name: str) -> None:
        self.crew, self.machine, self.name = crew, crew.machine, name
        call = self.machine.calls.get(name, CALL)
        self.call = float(call(crew.launch) if callable(call) else call)
        self.next_stage = 0
        self.blocks = 0
        self.closed = False

    def started(self) -> None:
        self.do("started", 0.0, alone=False)

    def canary(self) -> float:
        seconds = self.machine.canaries.get((self.crew.number, self.name), CANARY)
        self.do("canary", seconds, alone=False)  # they take turns at it
        return seconds

    def open(self) -> Opened:
        self.do("open", LOAD)
        return Opened(LOAD, {"name": self.name, "from": "open"})

    def warm(self) -> tuple[int, float, float]:
        """At least so many calls and so long, but no call begins after half of the patience."""
        plan = self.crew.plan
        calls = max(plan.warm_calls, math.ceil(plan.warm_seconds / self.call))
        calls = min(calls, math.ceil(plan.patience_seconds / 2 / self.call))
        self.do("warm", calls * self.call, alone=False)
        return calls, calls * self.call, self.call

    def block(self, calls: int, expected_seconds: float) -> Reading:
        assert expected_seconds == calls * self.call
        self.do("block", calls * self.call)
        self.blocks += 1
        return Reading(calls * self.call, calls, 0.5 * calls * self.call, self.blocks, 7 * self.blocks)

    def finish(self) -> tuple[Mapping[str, Any], int | None]:
        self.do("finish", FINISH, alone=False)
        return {"from": "finish", "blocks": self.blocks}, 1_000 + self.crew.launch

    def close(self) -> None:
        self.closed = True
        self.machine.log.append((self.crew.number, "close", self.name))

    def do(self, stage: str, seconds: float, *, alone: bool = True) -> None:
        """Let a stage pass, in its place; `alone`: the others have been waited for."""
        assert not self.closed, f"{self.name} is asked for {stage} after its end"
        place = STAGES.index(stage)
        repeated = STAGES[self.next_stage] in ("canary", "block")
        assert place == self.next_stage or (repeated and place == self.next_stage + 1), (
            f"{self.name} is not ready for {stage}"
        )
        assert not alone or self.crew.waited_for == self.name, f"nobody waited for {self.name}'s turn"
        self.crew.waited_for = None
        self.machine.log.append((self.crew.number, stage, self.name))
        fault = self.machine.faults.get((self.name, self.crew.launch, stage))
        if fault is not None and (stage != "block" or self.blocks == 2):  # in the middle of the rounds
            self.machine.now += fault[1]
            raise fault[0]
        self.machine.now += seconds
        self.next_stage = place if stage in ("canary", "block") else place + 1


def arms(*names: str) -> list[Arm]:
    """The first is the baseline, `null` its copy, and what begins with `limit` a limit."""

    def one(name: str) -> Arm:
        role = "baseline" if name == names[0] else "null" if name == "null" else "arm"
        return Arm(name, "module:function", role="limit" if name.startswith("limit") else role, cpus=2)  # type: ignore[arg-type]

    return [one(name) for name in names]


def run(machine: Machine, groups: Sequence[Sequence[Arm]], plan: Plan = PLAN, seed: int = 0, **more: Any) -> Measured:
    began = machine.now
    found = measure(groups, plan, machine, clock=machine.clock, random=Random(seed), **more)
    assert all(crew.closed for crew in machine.crews)
    before = more["resumed"].seconds if "resumed" in more else 0.0
    assert found.seconds == machine.now - began + before
    return found


def arm_of(found: Measured, name: str, group: int = 0) -> ArmMeasurement:
    (arm,) = (arm for arm in found.arms if (arm.name, arm.group) == (name, group))
    return arm


def rounds_by_launch(arm: ArmMeasurement) -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    for launch, number in zip(arm.blocks.launch, arm.blocks.round, strict=True):
        found.setdefault(launch, []).append(number)
    return found


def overhead(names: int, *, start: float = START) -> float:
    """Of a launch beside its rounds, where every warm-up takes a second."""
    return start + names * (CANARY_PASSES * CANARY + LOAD + 1.0 + FINISH)


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
        "too slow to be measured: 3 calls took 12.0 s, and 5 warm it up; fewer rows, or a larger budget"
    )
    assert len(arm_of(found, "b").blocks) == 0
    assert len(arm_of(found, "a").blocks) == 18
    assert "b" not in machine.crews[1].workers


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
    assert all(one.seconds + one.seconds_left == 50.0 for one in heard)


def test_it_tells_of_launches_given_up_and_never_of_less_than_nothing_left() -> None:
    heard: list[Progress] = []
    run(Machine(), [arms("a", "b")], replace(PLAN, launches=5, budget_seconds=2.0), tell=heard.append)
    assert (heard[0].launches, heard[-1].launches) == (5, 3)
    assert min(one.seconds_left for one in heard) == 0.0


def test_without_a_budget_nobody_knows_what_is_left() -> None:
    heard: list[Progress] = []
    run(Machine(), [arms("a")], tell=heard.append)
    assert all(math.isnan(one.seconds_left) for one in heard)


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

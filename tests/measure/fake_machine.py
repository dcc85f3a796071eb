"""A machine on a fake clock, where everything takes an exact time: its crews and workers, and a measurement on it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from vecml.measure.context import Counters
from vecml.measure.coordinator import CANARY_PASSES, measure
from vecml.measure.records import Arm, ArmMeasurement, Measured, Opened, Plan, Reading

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

    def counters(self) -> Counters | None:
        """Of every second, a quarter of one CPU is another's, an eighth is stolen, and a sixteenth is throttled."""
        if not self.has_counters:
            return None
        now = self.now
        return Counters(now, 1.25 * now, 0.125 * now, 0.0625 * now, now)

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
        return self.machine.counters()

    def rest(self, seconds: float) -> None:
        assert not self.closed
        self.machine.now += seconds
        self.machine.log.append((self.number, "rest", ""))

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

    def finishing(self) -> None:
        assert not self.closed
        self.machine.log.append((self.crew.number, "finishing", self.name))

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

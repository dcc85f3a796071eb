"""A simulation of a noisy shared machine: the coordinator runs on it with a fake clock, and the truth is known.

It has every kind of noise that was seen on the development machine: a speed that wanders, steps to another speed, long
tails, a cost of the place in the round, a process's own luck, processes that are slow as a whole, and others that use
the CPUs. The same seed gives the same times.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from vecml.measure.context import Counters
from vecml.measure.records import Arm, Opened, Plan, Reading

START_SECONDS = 1.0
CALL_SECONDS = 0.010


@dataclass(frozen=True)
class Noise:
    """How a simulated machine behaves; standard deviations and sizes on the log scale unless said otherwise.

    Attributes:
        block: standard deviation of each block.
        tail_chance, tail: share of blocks that are slower by an exponential amount, and the mean of that amount.
        drift: how far the machine's speed wanders in a second (a random walk).
        step_chance, step: chance in a second that the speed steps to another level, and standard deviation of levels.
        position: how much slower the first arm of a round is; for later places it falls evenly to 0.
        process: standard deviation of a worker process's own luck, which lasts for its whole life.
        slow_chance, slow: share of workers that are slower as a whole, and the factor by which they are.
    """

    block: float = 0.03
    tail_chance: float = 0.05
    tail: float = 0.15
    drift: float = 0.01
    step_chance: float = 0.02
    step: float = 0.25
    position: float = 0.01
    process: float = 0.01
    slow_chance: float = 0.0
    slow: float = 2.7


@dataclass(frozen=True)
class Contention:
    """Others that use the CPUs of a simulated machine.

    An arm that needs more CPUs than they leave waits for its slowest thread: each block takes longer by a random part
    of the share that is missing. An arm that needs no more is only sometimes put onto a CPU that another uses.

    Attributes:
        foreign_cpus: CPUs' worth of time that the others use while they are there.
        usable_cpus: CPUs of the machine.
        there_seconds, gone_seconds: how long they are there and gone, on average; 0 seconds gone: they never go.
        moved_chance, moved: share of the blocks of an arm that has room which are slowed all the same, and the mean of
            the exponential amount by which they are, on the log scale.
    """

    foreign_cpus: float = 1.0
    usable_cpus: int = 2
    there_seconds: float = 4.0
    gone_seconds: float = 0.0
    moved_chance: float = 0.2
    moved: float = 0.1

    def slowdown(self, cpus: int, random: Random) -> float:
        """The logarithm of the factor by which a block of an arm of so many CPUs takes longer while they are there."""
        missing = min(cpus, self.usable_cpus) - (self.usable_cpus - self.foreign_cpus)
        if missing > 0:
            return math.log1p(missing * random.uniform(0.3, 1.0))
        return random.expovariate(1 / self.moved) if random.random() < self.moved_chance else 0.0


@dataclass
class Machine:
    """A simulated machine: a source of workers, and the clock that they move.

    Attributes:
        noise: how it behaves.
        random: source of its random numbers.
        costs: by an arm's name, seconds of a call; calls of other arms take `CALL_SECONDS`.
        shared: names of arms that share one process's luck, to simulate such a fault of the protocol.
        contention: the others that use its CPUs; None: there are none, and no counters.
    """

    noise: Noise
    random: Random
    costs: Mapping[str, float] = field(default_factory=dict)
    shared: frozenset[str] = frozenset()
    contention: Contention | None = None
    now: float = 0.0
    level: float = 0.0
    others_are_there: bool = True
    own_seconds: float = 0.0
    foreign_seconds: float = 0.0

    def clock(self) -> float:
        """Seconds on the machine's clock."""
        return self.now

    def start(self, arms: Sequence[Arm], plan: Plan, launch: int, group: int) -> "SimulatedCrew":  # noqa: ARG002 -- the interface
        self.pass_time(START_SECONDS)
        return SimulatedCrew(self, arms, plan)

    def pass_time(self, seconds: float) -> None:
        """Advance the clock, and let the machine's speed change meanwhile."""
        self.now += seconds
        noise, random = self.noise, self.random
        if noise.drift:
            self.level += noise.drift * math.sqrt(seconds) * random.gauss(0.0, 1.0)
        if noise.step_chance and random.random() < noise.step_chance * seconds:
            self.level = noise.step * random.gauss(0.0, 1.0)
        if self.contention is not None:
            self._let_others_come_and_go(self.contention, seconds)

    def _let_others_come_and_go(self, others: Contention, seconds: float) -> None:
        if self.others_are_there:
            self.foreign_seconds += others.foreign_cpus * seconds
        if others.gone_seconds:
            mean = others.there_seconds if self.others_are_there else others.gone_seconds
            if self.random.random() < -math.expm1(-seconds / mean):
                self.others_are_there = not self.others_are_there

    def slowdown(self, cpus: int) -> float:
        """The logarithm of the factor by which a block takes longer because of others."""
        if self.contention is None or not self.others_are_there:
            return 0.0
        return self.contention.slowdown(cpus, self.random)

    def counters(self) -> Counters | None:
        """Return what a kernel would count, without its ticks."""
        if self.contention is None:
            return None
        busy = self.own_seconds + self.foreign_seconds
        return Counters(self.now, busy, 0.0, 0.0, self.own_seconds, self.contention.usable_cpus)

    def luck(self) -> float:
        """Draw a worker process's luck: the logarithm of a factor of all its times."""
        luck = self.noise.process * self.random.gauss(0.0, 1.0)
        if self.noise.slow_chance and self.random.random() < self.noise.slow_chance:
            luck += math.log(self.noise.slow)
        return luck


class SimulatedCrew:
    """The workers of one launch on a simulated machine."""

    def __init__(self, machine: Machine, arms: Sequence[Arm], plan: Plan) -> None:
        self.machine = machine
        self.turn = 0
        self.size = len(arms)
        common = machine.luck()
        self.workers = {
            arm.name: SimulatedWorker(self, arm, plan, common if arm.name in machine.shared else machine.luck())
            for arm in arms
        }

    def wait_idle(self, turn: str) -> bool:  # noqa: ARG002 -- the interface
        return True

    def counters(self) -> Counters | None:
        return self.machine.counters()

    def rest(self, seconds: float) -> None:
        self.machine.pass_time(seconds)

    def close(self) -> None: ...

    def position(self) -> float:
        """The simulated effect of this turn's place in its round, as a logarithm of a factor of the time."""
        place = self.turn % self.size
        self.turn += 1
        return self.machine.noise.position * (1 - place / max(1, self.size - 1)) if self.size > 1 else 0.0


class SimulatedWorker:
    """One arm on a simulated machine."""

    def __init__(self, crew: SimulatedCrew, arm: Arm, plan: Plan, luck: float) -> None:
        self._crew = crew
        self._machine = crew.machine
        self._plan = plan
        self._luck = luck
        self._cpus = arm.cpus
        self._cost = math.log(crew.machine.costs.get(arm.name, CALL_SECONDS))

    def started(self) -> None: ...

    def canary(self) -> float:
        """A hundredth of a second, multiplied by level and luck, with a hundredth of spread."""
        seconds = CALL_SECONDS * math.exp(
            self._machine.level + self._luck + 0.01 * self._machine.random.gauss(0.0, 1.0)
        )
        self._machine.pass_time(seconds)
        return seconds

    def open(self) -> Opened:
        return Opened(0.0)

    def warm(self) -> tuple[int, float, float]:
        seconds = math.exp(self._cost + self._machine.level + self._luck)
        calls = max(self._plan.warm_calls, math.ceil(self._plan.warm_seconds / seconds))
        self._machine.pass_time(calls * seconds)
        return calls, calls * seconds, seconds

    def block(self, calls: int, expected_seconds: float) -> Reading:  # noqa: ARG002 -- the interface
        """A block's calls, with all of the machine's noise."""
        machine, noise = self._machine, self._machine.noise
        log = self._cost + machine.level + self._luck + noise.block * machine.random.gauss(0.0, 1.0)
        if noise.tail_chance and machine.random.random() < noise.tail_chance:
            log += machine.random.expovariate(1 / noise.tail)
        seconds = calls * math.exp(log + self._crew.position() + machine.slowdown(self._cpus))
        machine.own_seconds += seconds * self._cpus
        machine.pass_time(seconds)
        return Reading(seconds, calls)

    def finishing(self) -> None: ...

    def finish(self) -> tuple[Mapping[str, Any], int | None]:
        return {}, None

    def close(self) -> None: ...

"""What is measured and what came of it: arms, the plan, and every raw block, as frozen records that JSON can hold.

An arm is one way of doing something, in a worker process of its own. A launch is a fresh set of workers, a round one
block of every arm, a block a timed stretch of calls. Nothing is averaged away here: verdicts are computed from blocks.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Role = Literal["baseline", "null", "arm", "limit"]


@dataclass(frozen=True)
class Arm:
    """One way of doing something, and how a worker process opens it.

    Attributes:
        name: what people call it; each of a measurement's arms has another.
        opener: `package.module:function`; the worker calls it with `payload` and gets a `vecml.measure.worker.Work`.
        payload: JSON.
        role: `baseline`, its `null` copy, an `arm`, or a `limit` of the machine, which takes part in few rounds.
        cpus: CPUs that it keeps busy; where others need them, its blocks are disturbed.
        environment: variables set before the worker imports anything.
    """

    name: str
    opener: str
    payload: Mapping[str, Any] = field(default_factory=dict)
    role: Role = "arm"
    cpus: int = 1
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Plan:
    """How much is measured.

    Attributes:
        launches: K, sets of fresh worker processes for each group of arms.
        most_launches: how many there may be while `enough` says no; not above `launches`: exactly those.
        budget_seconds: wall time for everything; it decides the rounds of a launch. None: `rounds` alone does.
        rounds: rounds of a launch at most.
        fewest_rounds: rounds of a launch at least, whatever the budget.
        block_seconds: a block's calls take at least this long together.
        warm_calls, warm_seconds: what every arm does before its first block: so many calls and so long, at least.
        patience_seconds: a call that takes longer counts as hanging.
        open_seconds: the same for starting and opening (exports and compilers take their time).
        limit_every: a `limit` takes part in every so many rounds.
    """

    launches: int = 5
    most_launches: int = 0
    budget_seconds: float | None = 60.0
    rounds: int = 40
    fewest_rounds: int = 6
    block_seconds: float = 0.05
    warm_calls: int = 5
    warm_seconds: float = 1.0
    patience_seconds: float = 20.0
    open_seconds: float = 180.0
    limit_every: int = 4


@dataclass(frozen=True)
class Reading:
    """One block, as the worker saw it.

    Attributes:
        seconds: wall time of all its calls together, by a clock of nanoseconds, the device's work included.
        calls: how many; of an arm whose calls do a part of the work (`Work.share`) that many times the part.
        cpu_seconds: CPU time of the whole worker process meanwhile; None where it cannot be told.
        switches: times that the scheduler took the CPU away meanwhile (involuntary); None where it cannot be told.
        answer: checksum of what the last call gave.
    """

    seconds: float
    calls: int | float
    cpu_seconds: float | None = None
    switches: int | None = None
    answer: int = 0


@dataclass(frozen=True)
class Opened:
    """An arm made ready in its worker.

    Attributes:
        load_seconds: exporting, compiling, copying; not the import of its libraries.
        facts: JSON: what the arm says of itself.
    """

    load_seconds: float
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Blocks:
    """Every block of an arm, a column each, all of one length and in the order of time.

    Attributes:
        launch, round: from 0.
        position: the arm's place in its round's order, from 0.
        calls, seconds, cpu_seconds, switches, answer: as in `Reading`.
        idle: whether the other workers had come to rest before it.
    """

    launch: tuple[int, ...] = ()
    round: tuple[int, ...] = ()
    position: tuple[int, ...] = ()
    calls: tuple[int | float, ...] = ()
    seconds: tuple[float, ...] = ()
    cpu_seconds: tuple[float | None, ...] = ()
    switches: tuple[int | None, ...] = ()
    answer: tuple[int, ...] = ()
    idle: tuple[bool, ...] = ()

    def __len__(self) -> int:
        return len(self.seconds)


@dataclass(frozen=True)
class ArmLaunch:
    """What one worker process of an arm told beside its blocks.

    Attributes:
        launch: from 0.
        canary_seconds: the fixed work that every worker does before it opens its arm.
        load_seconds: making the arm ready.
        warm_calls, warm_seconds: its warm-up, as it was.
        peak_rss_bytes: the most memory that the worker had resident; None where it cannot be told.
        facts: JSON: what the arm said when it was opened and when it ended (thread pools, checks ...).
    """

    launch: int
    canary_seconds: float
    load_seconds: float
    warm_calls: int
    warm_seconds: float
    peak_rss_bytes: int | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class ArmMeasurement:
    """An arm with everything that was measured of it.

    Attributes:
        name, role, cpus: the arm's.
        group: which group of arms it was measured in, from 0; every group has its own copy of the baseline.
        blocks: raw, all of them.
        launches: one record a worker process.
        failure: why it was given up, in one sentence, or None.
    """

    name: str
    role: Role
    cpus: int
    group: int
    blocks: Blocks = field(default_factory=Blocks, repr=False)
    launches: tuple[ArmLaunch, ...] = field(default=(), repr=False)
    failure: str | None = None


@dataclass(frozen=True)
class Window:
    """What went on on the machine during some rounds of a launch: a second or more, because the kernel counts in ticks.

    Attributes:
        launch, group, first_round, last_round: which rounds; the last one belongs to it.
        seconds: wall time.
        steal_share: share of the CPUs' time that the hypervisor gave to others; None where it cannot be told.
        throttled_seconds: time that a control group's quota held us back; None where it cannot be told.
        foreign_cpus: CPUs' worth of time that other processes used; None where it cannot be told.
        usable_cpus: CPUs that those shares are of.
    """

    launch: int
    group: int
    first_round: int
    last_round: int
    seconds: float
    steal_share: float | None
    throttled_seconds: float | None
    foreign_cpus: float | None
    usable_cpus: int


@dataclass(frozen=True)
class Replaced:
    """A launch of a group that was thrown away before its first block, because a worker's canary was off the others'.

    Attributes:
        launch, group: which was replaced.
        arm: whose canary was furthest off.
        canary_seconds: its canary, by the median of its ratios to the others' at the same moment.
        median_seconds: the median of the launch's canaries.
    """

    launch: int
    group: int
    arm: str
    canary_seconds: float
    median_seconds: float


@dataclass(frozen=True)
class Measured:
    """All arms of a measurement.

    Attributes:
        plan: what was asked for.
        arms: in the groups' order.
        launches: complete ones.
        windows: the machine meanwhile.
        replaced: launches thrown away for a slow canary.
        seconds: wall time of everything.
    """

    plan: Plan
    arms: tuple[ArmMeasurement, ...]
    launches: int
    windows: tuple[Window, ...] = field(default=(), repr=False)
    replaced: tuple[Replaced, ...] = ()
    seconds: float = 0.0

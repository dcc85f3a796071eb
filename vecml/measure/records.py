"""The records of a measurement: arms, the plan, and every raw block; all of them are frozen, and JSON can hold them.

An arm is one way of doing something, in a worker process of its own. A launch is a fresh set of worker processes, a
round has one block of every arm, and a block is a number of calls that are timed together. Nothing is averaged here:
verdicts are computed from the raw blocks.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Role = Literal["baseline", "null", "arm", "limit"]


@dataclass(frozen=True)
class Arm:
    """One way of doing something, and how a worker process opens it.

    Attributes:
        name: shown to people; no two arms of a measurement have the same.
        opener: `package.module:function`; the worker calls it with `payload` and gets a `vecml.measure.work.Work`.
        payload: JSON.
        role: `baseline`, its `null` copy, an `arm`, or a `limit` of the machine, which takes part in few rounds.
        cpus: number of CPUs that it keeps busy; where other programs use them, its blocks count as disturbed.
        environment: variables set before the worker imports anything.
        starts_processes: whether its calls start processes: their CPU time is the arm's, and they end with the worker.
    """

    name: str
    opener: str
    payload: Mapping[str, Any] = field(default_factory=dict)
    role: Role = "arm"
    cpus: int = 1
    environment: Mapping[str, str] = field(default_factory=dict)
    starts_processes: bool = False


@dataclass(frozen=True)
class Plan:
    """How much is measured.

    Attributes:
        launches: number of launches of each group of arms.
        most_launches: further launches are made up to this number while `enough` answers no; at most `launches`: none.
        budget_seconds: wall time for everything, which decides the rounds of a launch; None: there are `rounds`.
        rounds: most rounds of a launch.
        fewest_rounds: fewest rounds of a launch, whatever the budget.
        block_seconds: a block's calls take at least this long together.
        warm_calls, warm_seconds: every arm is warmed up with at least so many calls, for at least so long, and until
            calls become no faster; its first call does not count.
        patience_seconds: a call that takes longer counts as hanging.
        open_seconds: the same for the start and the opening, in which an engine may export and compile.
        limit_every: a `limit` takes part in one round of so many.
        first_call_seconds: the same for an arm's first call, which may load, compile or wait for what no later call
            waits for; None: `patience_seconds`.
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
    first_call_seconds: float | None = None


@dataclass(frozen=True)
class Reading:
    """One block, as the worker saw it.

    Attributes:
        seconds: wall time of all its calls together, by a clock of nanoseconds, the device's work included.
        calls: number of calls; where a call does only a share of the work (`Work.share`), that number times the share.
        cpu_seconds: CPU time of the whole worker process meanwhile; None where it is unknown.
        switches: times that the scheduler took the CPU away meanwhile (involuntary); None where it is unknown.
        answer: checksum of the last call's result.
    """

    seconds: float
    calls: int | float
    cpu_seconds: float | None = None
    switches: int | None = None
    answer: int = 0


@dataclass(frozen=True)
class Opened:
    """An arm that is ready in its worker process.

    Attributes:
        load_seconds: time of its export, compilation and copies, without the import of its libraries.
        facts: what the arm says of itself, as JSON.
    """

    load_seconds: float
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Blocks:
    """Every block of an arm in the order of time: one column for each field of a block, all of the same length.

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
    """The figures of one worker process of an arm, apart from its blocks.

    Attributes:
        launch: from 0.
        canary_seconds: time of the fixed piece of work that every worker does before it opens its arm.
        load_seconds: time to make the arm ready.
        warm_calls, warm_seconds: length of its warm-up, after its first call.
        peak_rss_bytes: the most memory that the worker had resident; None where it is unknown.
        facts: what the arm said when it was opened and when it ended (thread pools, checks ...), as JSON, and
            `first_call_seconds`.
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
    """An arm and everything that was measured of it.

    Attributes:
        name, role, cpus: the arm's.
        group: which group of arms it was measured in, from 0; every group has its own copy of the baseline.
        blocks: raw, all of them.
        launches: one record for each of its worker processes.
        failure: one sentence that says why the arm was given up, or None.
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
    """The machine's counters over some rounds of a launch: a second or more, because the kernel counts in 10 ms ticks.

    Attributes:
        launch, group, first_round, last_round: the rounds, `last_round` among them.
        seconds: wall time.
        steal_share: share of the CPUs' time that the hypervisor gave to others; None where it is unknown.
        throttled_seconds: time that a control group's quota held us back; None where it is unknown.
        foreign_cpus: CPUs' worth of time that other processes used; None where it is unknown.
        usable_cpus: number of CPUs that this process may use; `steal_share` is a share of their time.
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
    """A group's launch that was replaced before its first block, because a worker's canary differed too much.

    Attributes:
        launch, group: the launch that was replaced.
        arm: the arm whose canary differed most from the others'.
        canary_seconds: its canary, from the median of its ratios to the others' canaries at the same moment.
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
        plan: how much was to be measured.
        arms: in the groups' order.
        launches: number of complete launches.
        windows: the machine's counters meanwhile.
        replaced: launches that were replaced because of a slow canary.
        seconds: wall time of the whole measurement.
        waited_seconds: of it, the time spent on waiting for other programs to leave the CPUs.
    """

    plan: Plan
    arms: tuple[ArmMeasurement, ...]
    launches: int
    windows: tuple[Window, ...] = field(default=(), repr=False)
    replaced: tuple[Replaced, ...] = ()
    seconds: float = 0.0
    waited_seconds: float = 0.0

"""The coordinator: it opens arms in worker processes, lets them take turns, and keeps every raw block.

A launch has rounds, a round has one block of every arm, and a block has calls. Every launch has fresh worker processes,
because a process's own luck (where its memory lies) changes its times by some per cent. The order of a round is random
and balanced, and no other worker runs during a turn. An arm whose worker dies, hangs or raises is given up, with the
reason, and the others go on.

The clock and the source of workers are arguments: tests run all of this on a fake clock, with exact results.
"""

import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, Protocol

from vecml.measure.context import WINDOW_SECONDS, Counters, window
from vecml.measure.order import balanced_rounds
from vecml.measure.pairs import CROWDED_CPUS
from vecml.measure.quiet import Patience, is_crowded
from vecml.measure.records import (
    Arm,
    ArmLaunch,
    ArmMeasurement,
    Blocks,
    Measured,
    Opened,
    Plan,
    Reading,
    Replaced,
    Window,
)

CANARY_TOLERANCE = 0.25
CANARY_PASSES = 7
FINISHES_SIDE_BY_SIDE = True  # the last checks of all workers at once: nothing is timed any more
END_SECONDS = 0.3  # that the end of a launch is assumed to take, before one has ended
NOT_STARTED = "its process could not be started"
FEWEST_LAUNCHES = 3  # that a verdict needs; a tight budget gives up launches down to this number


class WorkerError(Exception):
    """A worker died, hung or raised. The message says what it did, to be read after its name: "it hung: ..."."""


class Worker(Protocol):
    """One arm's worker process. Every method raises WorkerError when the worker fails."""

    def started(self) -> None:
        """Return when the worker has imported what it needs."""

    def canary(self) -> float:
        """Do the small fixed piece of work, and return its seconds."""

    def open(self) -> Opened:
        """Make the arm ready."""

    def warm(self) -> tuple[int, float, float]:
        """Warm up, and return the number of calls, their seconds together, and a warm call's seconds."""

    def block(self, calls: int, expected_seconds: float) -> Reading:
        """Time a block of calls."""

    def finishing(self) -> None:
        """Begin the last checks, and do not wait for them: `finish` does."""

    def finish(self) -> tuple[Mapping[str, Any], int | None]:
        """Check the arm's answers, and return its facts and the worker's peak memory in bytes."""

    def close(self) -> None:
        """End the worker's process."""


class Crew(Protocol):
    """The workers of one launch."""

    @property
    def workers(self) -> Mapping[str, Worker]:
        """The workers that have been started, by the names of their arms."""

    def wait_idle(self, turn: str) -> bool:
        """Wait until every worker but that of the arm `turn` is at rest; return False when one does not rest."""

    def counters(self) -> Counters | None:
        """The machine's counters, or None where there are none."""

    def rest(self, seconds: float) -> None:
        """Let so many seconds pass in which no worker does anything."""

    def close(self) -> None:
        """End every worker of the launch."""


class Source(Protocol):
    """A source of workers: real processes, or simulated ones in tests."""

    def start(self, arms: Sequence[Arm], plan: Plan, launch: int, group: int) -> Crew:
        """Start a fresh worker for each of these `arms`, to run this `plan` in this `launch` for this `group`."""


@dataclass(frozen=True)
class Progress:
    """How far a measurement has come.

    Attributes:
        launch: number of the present launch, from 1.
        launches: expected number of launches.
        seconds: time since the beginning.
        doing: `starting`, `warming up`, `waiting` (for other programs to leave the CPUs) or `measuring`.
    """

    launch: int
    launches: int
    seconds: float
    doing: str


def measure(  # noqa: PLR0913 -- by keyword, for tests and for those who need them
    groups: Sequence[Sequence[Arm]],
    plan: Plan,
    source: Source,
    *,
    clock: Callable[[], float] = time.perf_counter,
    random: Random | None = None,
    enough: Callable[[Measured], bool] | None = None,
    tell: Callable[[Progress], None] = lambda _progress: None,
    resumed: Measured | None = None,
    keep: Callable[[Measured], None] = lambda _measured: None,
    over: Callable[[Measured], bool] = lambda _measured: False,
) -> Measured:
    """Measure the groups of arms as `plan` says, and return every raw block.

    Args:
        groups: arms that are measured beside each other, each group with a baseline of its own.
        plan: how much is measured.
        source: starts the workers.
        clock: gives seconds; only differences count.
        random: for the orders of the rounds; None: a generator with a new seed.
        enough: is asked after each launch from `plan.launches` on whether to stop before `plan.most_launches`.
        tell: is called with the progress.
        resumed: the launches of the same measurement that were complete when it was stopped; their time counts too.
        keep: is called with everything measured so far after each complete launch.
        over: is asked after each complete launch whether no further one can matter, because an arm failed, say.

    Raises ValueError when `resumed` has other arms. An interrupt passes through, and leaves no worker behind.
    """
    random = random or Random()  # noqa: S311 -- an order, no secret
    coordinator = _Coordinator(groups, plan, source, clock, random, tell)
    if resumed is not None:
        coordinator.resume(resumed)
    return coordinator.run(enough, keep, over)


@dataclass
class _Tally:
    """The blocks and launches that were measured of an arm so far."""

    arm: Arm
    group: int
    columns: dict[str, list[Any]] = field(default_factory=lambda: {name: [] for name in Blocks.__dataclass_fields__})
    launches: list[ArmLaunch] = field(default_factory=list)
    failure: str | None = None

    def frozen(self) -> ArmMeasurement:
        blocks = Blocks(**{name: tuple(values) for name, values in self.columns.items()})
        arm = self.arm
        return ArmMeasurement(arm.name, arm.role, arm.cpus, self.group, blocks, tuple(self.launches), self.failure)


@dataclass
class _Turn:
    """An arm's worker in the present launch."""

    tally: _Tally
    worker: Worker
    canaries: list[float] = field(default_factory=list)
    opened: Opened = field(default_factory=lambda: Opened(0.0))
    warm: tuple[int, float, float] = (0, 0.0, 0.0)
    calls: int = 1

    @property
    def block_seconds(self) -> float:
        """The time that a block is expected to take."""
        return self.calls * self.warm[2]


@dataclass
class _Watch:
    """Group the rounds of a launch into windows of a second or more, each with the load of the machine in it."""

    begin: Counters | None
    launch: int
    group: int
    windows: list[Window] = field(default_factory=list)
    first: int = 0
    previous: tuple[Counters, int] | None = None

    def round_ended(self, now: Counters | None, number: int, *, is_last: bool) -> None:
        """End the window after round `number` if it is long enough; join a short last window to the one before it."""
        if self.begin is None or now is None:
            return
        if now.seconds - self.begin.seconds >= WINDOW_SECONDS:
            self.windows.append(window(self.begin, now, self.launch, self.group, self.first, number))
            self.previous, self.begin, self.first = (self.begin, self.first), now, number + 1
        elif is_last and self.previous is not None:
            begin, first = self.previous
            self.windows[-1] = window(begin, now, self.launch, self.group, first, number)
        elif is_last:
            self.windows.append(window(self.begin, now, self.launch, self.group, self.first, number))


class _Coordinator:
    def __init__(
        self,
        groups: Sequence[Sequence[Arm]],
        plan: Plan,
        source: Source,
        clock: Callable[[], float],
        random: Random,
        tell: Callable[[Progress], None],
    ) -> None:
        self._plan = plan
        self._source = source
        self._clock = clock
        self._random = random
        self._tell = tell
        self._groups = [[_Tally(arm, number) for arm in group] for number, group in enumerate(groups)]
        self._windows: list[Window] = []
        self._replaced: list[Replaced] = []
        self._begin = clock()
        self._wanted = plan.launches
        self._launches = plan.launches  # as many as there will be, as far as the budget lets it be known
        self._done = 0
        self._start_seconds: dict[int, float] = {}  # of a group's launch, until its rounds begin
        self._end_seconds: dict[int, float] = {}  # after its rounds
        self._round_seconds: dict[int, float] = {}
        self._patience = Patience(plan.budget_seconds, clock)

    def resume(self, kept: Measured) -> None:
        tallies = [tally for group in self._groups for tally in group]
        theirs = [(arm.name, arm.role, arm.cpus, arm.group) for arm in kept.arms]
        if [(tally.arm.name, tally.arm.role, tally.arm.cpus, tally.group) for tally in tallies] != theirs:
            raise ValueError("what was kept is of other arms")
        for tally, arm in zip(tallies, kept.arms, strict=True):
            tally.columns = {name: list(getattr(arm.blocks, name)) for name in Blocks.__dataclass_fields__}
            tally.launches, tally.failure = list(arm.launches), arm.failure
        self._windows, self._replaced = list(kept.windows), list(kept.replaced)
        self._done = kept.launches
        self._patience.resume(kept.waited_seconds)
        self._begin = self._clock() - kept.seconds

    def run(
        self,
        enough: Callable[[Measured], bool] | None,
        keep: Callable[[Measured], None],
        over: Callable[[Measured], bool],
    ) -> Measured:
        if self._done >= self._wanted:
            self._want_another(enough)
        while self._done < self._launches:
            for group in range(len(self._groups)):
                while not self._launch(group):
                    pass
            self._done += 1
            measured = self._measured()
            keep(measured)
            if over(measured):
                return measured
            if self._done == self._wanted:
                self._want_another(enough)
        return self._measured()

    def _want_another(self, enough: Callable[[Measured], bool] | None) -> None:
        """Add a launch to those wanted if the plan allows it, there is time for it, and `enough` returns False."""
        if self._done < self._plan.most_launches and self._time_for_another():
            self._wanted = self._done + (not (enough is not None and enough(self._measured())))
            self._launches = self._wanted

    def _measured(self) -> Measured:
        arms = tuple(tally.frozen() for group in self._groups for tally in group)
        return Measured(
            plan=self._plan,
            arms=arms,
            launches=self._done,
            windows=tuple(self._windows),
            replaced=tuple(self._replaced),
            seconds=self._clock() - self._begin,
            waited_seconds=self._patience.waited_seconds,
        )

    def _launch(self, group: int) -> bool:
        """Make one launch of one group; return False when it has to be replaced because of a slow canary."""
        alive = [tally for tally in self._groups[group] if tally.failure is None]
        if all(tally.arm.role == "limit" for tally in alive):  # no arm is left to be compared with the limits
            return True
        begun = self._clock()
        self._say("starting")
        try:
            crew = self._source.start([tally.arm for tally in alive], self._plan, self._done, group)
        except OSError as error:  # no memory, no process, no file: what was measured before stays
            for tally in alive:
                tally.failure = f"{NOT_STARTED}: {error.strerror or error}"
            return True
        try:
            turns = [_Turn(tally, crew.workers[tally.arm.name]) for tally in alive]
            self._each(turns, lambda turn: turn.worker.started())
            self._take_canaries(turns, crew)
            if self._is_slow(turns, group):
                return False
            self._say("warming up")
            before = crew.counters()
            self._each(self._shuffled(turns), lambda turn: self._make_ready(turn, crew))
            self._start_seconds[group] = self._clock() - begun
            self._wait_for_quiet(crew, turns, before)
            self._rounds([turn for turn in turns if turn.tally.failure is None], crew, group)
            rounds_end = self._clock()
            if FINISHES_SIDE_BY_SIDE:
                self._each(turns, lambda turn: turn.worker.finishing())
            self._each(turns, self._finish)
        finally:
            crew.close()
        self._end_seconds[group] = self._clock() - rounds_end
        return True

    def _each(self, turns: Sequence[_Turn], act: Callable[[_Turn], None]) -> None:
        """Call `act` for every arm whose worker has not failed; give up an arm whose worker fails now."""
        for turn in turns:
            if turn.tally.failure is None:
                try:
                    act(turn)
                except WorkerError as error:
                    turn.tally.failure = str(error)
                    turn.worker.close()

    def _shuffled(self, turns: Sequence[_Turn]) -> list[_Turn]:
        return self._random.sample(list(turns), len(turns))

    def _take_canaries(self, turns: Sequence[_Turn], crew: Crew) -> None:
        """Time the canary in each worker, in turns, so that a change of the machine's speed affects all of them."""
        crew.wait_idle("")
        for _ in range(CANARY_PASSES):
            self._each(self._shuffled(turns), lambda turn: turn.canaries.append(turn.worker.canary()))

    def _is_slow(self, turns: Sequence[_Turn], group: int) -> bool:
        """Whether this launch must be replaced; only its canaries decide that, never the arms' own times.

        Each pass is compared with its own median: the machine's speed may change by a half from one second to the next,
        and that hits all workers alike. Only a worker that is slow by itself spoils a launch.
        """
        alive = [turn for turn in turns if turn.tally.failure is None]
        if not alive:
            return False
        medians = [statistics.median(taken) for taken in zip(*(turn.canaries for turn in alive), strict=True)]
        off = {
            turn.tally.arm.name: statistics.median(
                seconds / median for seconds, median in zip(turn.canaries, medians, strict=True)
            )
            for turn in alive
        }
        name = max(off, key=lambda arm: abs(math.log(off[arm])))
        slow = not 1 / (1 + CANARY_TOLERANCE) <= off[name] <= 1 + CANARY_TOLERANCE
        if slow and len(self._replaced) < self._wanted:
            median = statistics.median(medians)
            self._replaced.append(Replaced(self._done, group, name, off[name] * median, median))
            return True
        return False

    def _make_ready(self, turn: _Turn, crew: Crew) -> None:
        """Open the arm, warm it up, and choose how many calls make a block."""
        crew.wait_idle(turn.tally.arm.name)
        plan = self._plan
        turn.opened = turn.worker.open()
        turn.warm = calls, seconds, call_seconds = turn.worker.warm()
        if calls < plan.warm_calls:
            raise WorkerError(
                f"too slow to be measured: {calls} calls took {seconds:.1f} s, and {plan.warm_calls} warm it up;"
                " less work in a call, or a larger budget"
            )
        turn.calls = max(1, math.ceil(plan.block_seconds / call_seconds)) if call_seconds > 0 else 1_000_000

    def _rounds(self, turns: Sequence[_Turn], crew: Crew, group: int) -> None:
        regular = [turn for turn in turns if turn.tally.arm.role != "limit"]
        limits = [turn for turn in turns if turn.tally.arm.role == "limit"]
        if not regular:
            return
        count = self._count_rounds(regular, limits, group)
        watch = _Watch(crew.counters(), self._done, group)
        orders = balanced_rounds(list(range(len(regular))), self._random)
        begun, waited, number = self._clock(), 0.0, 0
        while number < count:
            order = [regular[index] for index in next(orders)]
            taking = [*order, *(self._shuffled(limits) if number % self._plan.limit_every == 0 else ())]
            for position, turn in enumerate(taking):
                self._take_turn(turn, crew, number, position)
            before = watch.begin
            watch.round_ended(crew.counters(), number, is_last=number == count - 1)
            self._say("measuring")
            number += 1
            if number < count and watch.begin is not before and (more := self._wait_for_quiet(crew, regular, before)):
                watch.begin, watch.previous = crew.counters(), None
                round_seconds = (self._clock() - begun - waited - more) / number
                waited += more
                # What is spent on waiting is taken from this launch's rounds, down to the fewest.
                fewest = min(count, max(number, self._plan.fewest_rounds))
                count = max(fewest, count - math.ceil(more / (round_seconds or 1e-9)))
        self._windows += watch.windows
        self._round_seconds[group] = (self._clock() - begun - waited) / max(1, count)

    def _wait_for_quiet(self, crew: Crew, turns: Sequence[_Turn], before: Counters | None) -> float:
        """Wait for other programs where they have used the CPUs since `before`; return the seconds that it took."""
        cpus = [turn.tally.arm.cpus for turn in turns if turn.tally.failure is None and turn.tally.arm.role != "limit"]
        now = crew.counters()
        if before is None or now is None or now.seconds - before.seconds < WINDOW_SECONDS:
            return 0.0
        if not cpus or not is_crowded(before, now, max(cpus), CROWDED_CPUS):
            return 0.0
        self._say("waiting")
        return self._patience.wait(crew, max(cpus))

    def _take_turn(self, turn: _Turn, crew: Crew, number: int, position: int) -> None:
        tally = turn.tally
        if tally.failure is not None:
            return
        idle = crew.wait_idle(tally.arm.name)
        try:
            reading = turn.worker.block(turn.calls, turn.block_seconds)
        except WorkerError as error:
            tally.failure = str(error)
            turn.worker.close()
            return
        columns = tally.columns
        columns["launch"].append(self._done)
        columns["round"].append(number)
        columns["position"].append(position)
        columns["idle"].append(idle)
        for name in ("calls", "seconds", "cpu_seconds", "switches", "answer"):
            columns[name].append(getattr(reading, name))

    def _finish(self, turn: _Turn) -> None:
        facts, peak = turn.worker.finish()
        calls, seconds, _ = turn.warm
        turn.tally.launches.append(
            ArmLaunch(
                launch=self._done,
                canary_seconds=statistics.median(turn.canaries),
                load_seconds=turn.opened.load_seconds,
                warm_calls=calls,
                warm_seconds=seconds,
                peak_rss_bytes=peak,
                facts={**turn.opened.facts, **facts},
            )
        )

    def _count_rounds(self, regular: Sequence[_Turn], limits: Sequence[_Turn], group: int) -> int:
        """Compute the number of rounds of this launch: as many as the budget allows, within the plan's bounds.

        Where it can be, it is a multiple of the number of arms, so that the order is balanced. It depends on how long
        launches take, never on their results. Where the wanted launches would have too few rounds, their number is
        reduced: few launches with enough rounds say more than many launches with too few.
        """
        plan, n = self._plan, max(1, len(regular))
        if plan.budget_seconds is None:
            return plan.rounds
        fewest = max(plan.fewest_rounds, min(n, plan.rounds))
        # Before a group has run, its turns are guessed to need a fifth more than their blocks, and its end a little.
        guess = 1.2 * sum(turn.block_seconds for turn in regular)
        guess += 1.2 * sum(turn.block_seconds for turn in limits) / plan.limit_every
        round_seconds = self._round_seconds.get(group, guess) or 1e-9
        groups = range(len(self._groups))
        starts = [self._start_seconds.get(number, self._start_seconds[group]) for number in groups]
        ends = [self._end_seconds.get(number, END_SECONDS) for number in groups]
        left = plan.budget_seconds - (self._clock() - self._begin)
        launches = self._wanted
        while True:
            after_this = launches - self._done - 1
            overheads = after_this * sum(starts + ends) + sum(starts[group + 1 :]) + sum(ends[group:])
            shares = after_this * len(groups) + len(groups) - group
            rounds = int((left - overheads) / shares / round_seconds)
            if rounds >= fewest or launches <= max(FEWEST_LAUNCHES, self._done + 1):
                break
            launches -= 1
        self._launches = launches
        rounds = min(plan.rounds, max(fewest, rounds))
        whole = rounds - rounds % n
        return whole if whole >= fewest else rounds

    def _time_for_another(self) -> bool:
        """Whether one more launch fits the budget."""
        if self._plan.budget_seconds is None:
            return True
        passed = self._clock() - self._begin
        return passed + passed / max(1, self._done) <= self._plan.budget_seconds

    def _say(self, doing: str) -> None:
        self._tell(Progress(self._done + 1, self._launches, self._clock() - self._begin, doing))

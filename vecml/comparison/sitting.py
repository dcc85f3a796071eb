"""A sitting: everything that is done round a measurement, whatever is measured.

The machine is described, no other measurement runs, the load of other programs is taken before and after, the arms run
in worker processes, and the machine is described again. Every measurement of vecml's is made here and nowhere else.
"""

import contextlib
import dataclasses
import math
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from vecml import __version__
from vecml.comparison.budget import Budget, machine_rules
from vecml.comparison.comparison import Load, Record
from vecml.comparison.finals import more_launches, plan_finals
from vecml.environment import changes, describe
from vecml.hardware import affinity_cpus
from vecml.measure.claim import BUSY, NOT_AGAIN, claim_of
from vecml.measure.context import read_counters, window
from vecml.measure.coordinator import NOT_STARTED, Progress, WorkerError, measure
from vecml.measure.lock import only_measurement
from vecml.measure.pairs import CROWDED_CPUS
from vecml.measure.processes import ProcessSource
from vecml.measure.records import Arm, Measured, Opened, Plan, Reading
from vecml.measure.verdict import Rules, judge, narrow_enough
from vecml.numbers import count
from vecml.progress import Advance, stage
from vecml.warnings import warn

BUSY_CPUS = 0.25
LOAD_SECONDS = 0.5
CHANGED = "the environment changed meanwhile"


@dataclass(frozen=True, kw_only=True)
class Sitting(Record):
    """A measurement, and the machine before and after it; `environment` is the one when it began.

    Attributes:
        machine_key: hash of the machine in that environment.
        rules: this machine's rules for verdicts after as many launches as were measured.
        change: what changed in the environment meanwhile, so that no result counts; None if nothing changed.
        finals, alone: fresh launches of the finalists, and a launch of each of them alone; None where there were none.
    """

    machine_key: str
    rules: Rules
    change: str | None
    finals: Measured | None = None
    alone: Measured | None = None

    def faults(self, names: Iterable[str], found: Mapping[str, str]) -> dict[str, str]:
        """Return the reason why each arm is invalid: `found`, or if the environment changed, that for all `names`."""
        return dict(found) if self.change is None else dict.fromkeys(names, self.change)

    def checked(self, check: Callable[[Measured], Mapping[str, str]]) -> dict[str, str]:
        """Return what `check` finds wrong with answers, in the fresh launches too, and which arms failed in these.

        One that fails there is as invalid as one that fails at first, and is not praised by the figures before that.
        """
        found: dict[str, str] = {}
        for measured in (self.alone, self.finals):
            found |= {} if measured is None else _failed_afresh(measured) | dict(check(measured))
        return found | dict(check(self.measured))

    def recorded(self) -> dict[str, Any]:
        """Return the fields of `Record` by name, for example as arguments of `Comparison`."""
        return {one.name: getattr(self, one.name) for one in dataclasses.fields(Record)}


def sit(  # noqa: PLR0913 -- by keyword, each with a default
    groups: Sequence[Sequence[Arm]],
    budget: Budget,
    *,
    equivalence: float = Rules.equivalence,
    level: float = Rules.level,
    enough: Callable[[Measured, Rules], bool] = narrow_enough,
    resumed: Measured | None = None,
    keep: Callable[[Measured], None] = lambda _measured: None,
    check: Callable[[Measured], Mapping[str, str]] | None = None,
    over: Callable[[Measured], bool] = lambda _measured: False,
) -> Sitting:
    """Measure groups of arms in worker processes while no other measurement runs, and show how far it is.

    Args:
        groups: arms that are measured beside each other, each group with a baseline of its own.
        budget: how much is measured; the time that is spent waiting for another measurement is not taken from it.
        equivalence, level: relative difference within which two arms count as the same; level of the verdicts.
        enough: whether what was measured is enough, by the rules; it is asked where the plan allows more launches.
        resumed, keep, over: see `vecml.measure.coordinator.measure`.
        check: says why an arm's answers are wrong, by its name. Where it is given, the finalists are measured afresh.

    Raises MeasureError when another measurement does not end. Warns VML012 while it waits for one, and VML011 when
    other programs keep the machine busy. An arm that fails has its reason in the record; the others go on.
    """
    created = datetime.now(UTC).isoformat(timespec="seconds")
    environment = describe()
    asked = time.perf_counter()
    rules = dataclasses.replace(machine_rules(environment.machine_key), equivalence=equivalence, level=level)
    with alone():
        if budget.began is not None:
            budget = dataclasses.replace(budget, began=budget.began + time.perf_counter() - asked)
        before = load_now()
        if before.foreign_cpus is not None and before.foreign_cpus > BUSY_CPUS:
            warn("VML011", _busy(before.foreign_cpus, max((arm.cpus for group in groups for arm in group), default=1)))
        budget = budget if check is not None else dataclasses.replace(budget, reserved=0.0)
        with _measuring(budget) as go:
            measured = go.on(
                groups, go.plan, enough=lambda found: enough(found, rules), resumed=resumed, keep=keep, over=over
            )
            finals = by_itself = None
            if check is not None:
                measured, finals, by_itself = _finish(groups, measured, go, rules, check(measured))
        after = load_now()
    changed = changes(environment, describe())
    # Fewer launches have the wider A/A gate.
    again = machine_rules(environment.machine_key, min(one.launches for one in (measured, finals) if one is not None))
    return Sitting(
        created=created,
        vecml=__version__,
        environment=environment.to_json_dict(),
        machine_key=environment.machine_key,
        load_before=before,
        load_after=after,
        rules=dataclasses.replace(again, equivalence=equivalence, level=level),
        measured=measured,
        finals=finals,
        alone=by_itself,
        change=f"{CHANGED}: {changed[0]}" if changed else None,
    )


def _failed_afresh(measured: Measured) -> dict[str, str]:
    """Why arms failed in fresh launches, by name; that the machine had no room for a worker is no fault of an arm."""
    failures = {arm.name: arm.failure for arm in measured.arms if arm.failure is not None}
    return {name: f"{NOT_AGAIN}, {why}" for name, why in failures.items() if not why.startswith(NOT_STARTED)}


def _busy(foreign_cpus: float, needed: int) -> str:
    """What a busy machine means for arms of which the widest needs so many CPUs."""
    usable = affinity_cpus() or 1
    said = (
        f"other processes keep {foreign_cpus:.1f} CPUs busy: what they disturb does not count, or under that load only"
    )
    free = math.floor(usable - foreign_cpus + CROWDED_CPUS)
    if 1 <= free < min(needed, usable):
        said += f"; settings of {count(free, 'thread')} are not disturbed"
    return said


@contextmanager
def alone() -> Iterator[None]:
    """Keep other measurements of vecml off this machine during the block; see `only_measurement`.

    Warns VML012 when it has to wait for another one, which is a stage of its own: a node of a cluster that says nothing
    for long is given up.
    """
    advances: list[Advance] = []

    def waiting() -> None:
        warn("VML012", "another measurement runs on this machine: waiting for its end")
        advances.append(shown.enter_context(stage("waiting for another measurement")))

    def still() -> None:
        advances[0](0.0)

    with contextlib.ExitStack() as held:
        with contextlib.ExitStack() as shown:
            held.enter_context(only_measurement(waiting, still=still))
        yield


@dataclass(frozen=True)
class Tried:
    """A call of an arm that was made to see what it says and takes.

    Attributes:
        opened: what the arm said when it was opened.
        reading: of the call; of a second one, where the first was slow.
        whole_seconds: of that call with everything round it, such as what prepares it.
        first_seconds: of the first call in its process.
    """

    opened: Opened
    reading: Reading
    whole_seconds: float
    first_seconds: float


def rehearse(
    arms: Sequence[Arm], plan: Plan, *, again_above: float = math.inf, all_of_them: bool = False
) -> dict[str, Tried | str]:
    """Make one call of each of the `arms` in a worker of its own, and return what it said and took, or why it failed.

    The `plan` says how long a call may take. A call that takes more than `again_above` seconds is made once more,
    because the first one may compile. The first failure ends it, unless `all_of_them` are asked for. Raises
    MeasureError when a measurement does not end that must not be disturbed.
    """
    found: dict[str, Tried | str] = {}
    with alone():
        crew = ProcessSource().start(arms, plan, 0, 0)
        try:
            for name, worker in crew.workers.items():
                try:
                    worker.started()
                    opened, begun = worker.open(), time.perf_counter()
                    first = reading = worker.block(1, 0.0)
                    if reading.seconds > again_above:
                        begun = time.perf_counter()
                        reading = worker.block(1, 0.0)
                    found[name] = Tried(opened, reading, time.perf_counter() - begun, first.seconds)
                except WorkerError as error:
                    found[name] = str(error)
                    if not all_of_them:
                        break
        finally:
            crew.close()
    return found


def load_now() -> Load:
    """Measure how busy other programs keep the machine; vecml does nothing for half a second meanwhile."""
    before = read_counters(())
    time.sleep(LOAD_SECONDS)
    foreign_cpus = window(before, read_counters(()), 0, 0, 0, 0).foreign_cpus
    with contextlib.suppress(OSError, AttributeError):
        return Load(os.getloadavg()[0], foreign_cpus)
    return Load(None, foreign_cpus)


@dataclass
class _Measuring:
    """Measures in worker processes under one progress bar, whose total is the budget's seconds.

    Attributes:
        total: seconds for everything that is measured; None: as many as it takes.
        plan: of the first measurement.
        advance: moves the progress bar by so many seconds.
    """

    total: float | None
    plan: Plan
    advance: Advance
    begun: float = field(default_factory=time.perf_counter)
    shown: float = 0.0
    waiting: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)

    def on(self, groups: Sequence[Sequence[Arm]], plan: Plan, **more: Any) -> Measured:
        """Measure `groups` as `plan` says; `more` are further arguments of the coordinator's `measure`."""
        return measure(groups, plan, ProcessSource(), tell=self._tell, **more)

    def _tell(self, progress: Progress) -> None:
        self.waiting.close()
        if progress.doing == "waiting":
            self.waiting.enter_context(stage("waiting for other programs to leave the CPUs"))
        if self.total is None:
            self.advance(0.0)  # which says that it still measures
        else:
            passed = min(time.perf_counter() - self.begun, self.total)
            self.advance(passed - self.shown)
            self.shown = passed


@contextmanager
def _measuring(budget: Budget) -> Iterator[_Measuring]:
    now = time.perf_counter()
    total = budget.seconds_from(now)
    with stage("measuring", total) as advance:
        go = _Measuring(total, budget.plan_from(now), advance)
        with go.waiting:
            yield go


def _finish(
    groups: Sequence[Sequence[Arm]], measured: Measured, go: _Measuring, rules: Rules, faults: Mapping[str, str]
) -> tuple[Measured, Measured | None, Measured | None]:
    """Spend the rest of the time: on fresh launches of the finalists, and on a launch of each alone.

    The measurement comes first in what is returned, then those.

    Where others kept the machine so busy that there is no finalist, the measurement itself goes on. The machine's
    counters decide that, never the times of the blocks.
    """
    if go.total is None:
        return measured, None, None
    left = go.total - measured.seconds
    families = judge(measured, rules, faults)
    planned = plan_finals(groups, families, measured, left)
    if planned is not None:
        finals = go.on(planned.groups, planned.plan)
        return measured, finals, go.on(planned.alone, planned.alone_plan) if planned.alone else None
    if all(claim_of(family).kind == BUSY for family in families) and (plan := more_launches(measured, left)):
        return go.on(groups, plan, resumed=measured), None, None
    return measured, None, None

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
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from vecml import __version__
from vecml.comparison.budget import Budget, machine_rules
from vecml.comparison.comparison import Load, Record
from vecml.environment import changes, describe
from vecml.hardware import affinity_cpus
from vecml.measure.context import read_counters, window
from vecml.measure.coordinator import Progress, measure
from vecml.measure.lock import only_measurement
from vecml.measure.pairs import CROWDED_CPUS
from vecml.measure.processes import ProcessSource
from vecml.measure.records import Arm, Measured
from vecml.measure.verdict import Rules, narrow_enough
from vecml.numbers import count
from vecml.progress import stage
from vecml.warnings import warn

BUSY_CPUS = 0.25
LOAD_SECONDS = 0.5


@dataclass(frozen=True, kw_only=True)
class Sitting(Record):
    """A measurement, and the machine before and after it; `environment` is the one when it began.

    Attributes:
        machine_key: hash of the machine in that environment.
        rules: this machine's rules for verdicts after as many launches as were measured.
        change: what changed in the environment meanwhile, so that no result counts; None if nothing changed.
    """

    machine_key: str
    rules: Rules
    change: str | None

    def faults(self, names: Iterable[str], found: Mapping[str, str]) -> dict[str, str]:
        """Return the reason why each arm is invalid: `found`, or if the environment changed, that for all `names`."""
        return dict(found) if self.change is None else dict.fromkeys(names, self.change)

    def recorded(self) -> dict[str, Any]:
        """Return the fields of `Record` by name, for example as arguments of `Comparison`."""
        return {one.name: getattr(self, one.name) for one in dataclasses.fields(Record)}


def sit(
    groups: Sequence[Sequence[Arm]],
    budget: Budget,
    *,
    equivalence: float = Rules.equivalence,
    enough: Callable[[Measured, Rules], bool] = narrow_enough,
    resumed: Measured | None = None,
    keep: Callable[[Measured], None] = lambda _measured: None,
) -> Sitting:
    """Measure groups of arms in worker processes while no other measurement runs, and show how far it is.

    Args:
        groups: arms that are measured beside each other, each group with a baseline of its own.
        budget: how much is measured; the time that is spent waiting for another measurement is not taken from it.
        equivalence: relative difference within which two arms count as the same.
        enough: whether what was measured is enough, by the rules; it is asked where the plan allows more launches.
        resumed, keep: see `vecml.measure.coordinator.measure`.

    Raises MeasureError when another measurement does not end. Warns VML012 while it waits for one, and VML011 when
    other programs keep the machine busy. An arm that fails has its reason in the record; the others go on.
    """
    created = datetime.now(UTC).isoformat(timespec="seconds")
    environment = describe()
    asked = time.perf_counter()
    rules = dataclasses.replace(machine_rules(environment.machine_key), equivalence=equivalence)
    with alone():
        if budget.began is not None:
            budget = dataclasses.replace(budget, began=budget.began + time.perf_counter() - asked)
        before = load_now()
        if before.foreign_cpus is not None and before.foreign_cpus > BUSY_CPUS:
            warn("VML011", _busy(before.foreign_cpus, max((arm.cpus for group in groups for arm in group), default=1)))
        measured = _run_groups(groups, budget, lambda found: enough(found, rules), resumed, keep)
        after = load_now()
    changed = changes(environment, describe())
    return Sitting(
        created=created,
        vecml=__version__,
        environment=environment.to_json_dict(),
        machine_key=environment.machine_key,
        load_before=before,
        load_after=after,
        rules=dataclasses.replace(machine_rules(environment.machine_key, measured.launches), equivalence=equivalence),
        measured=measured,
        change=f"the environment changed meanwhile: {changed[0]}" if changed else None,
    )


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

    Warns VML012 when it has to wait for another one.
    """
    with only_measurement(lambda: warn("VML012", "another measurement runs on this machine: waiting for its end")):
        yield


def load_now() -> Load:
    """Measure how busy other programs keep the machine; vecml does nothing for half a second meanwhile."""
    before = read_counters(())
    time.sleep(LOAD_SECONDS)
    foreign_cpus = window(before, read_counters(()), 0, 0, 0, 0).foreign_cpus
    with contextlib.suppress(OSError, AttributeError):
        return Load(os.getloadavg()[0], foreign_cpus)
    return Load(None, foreign_cpus)


def _run_groups(
    groups: Sequence[Sequence[Arm]],
    budget: Budget,
    enough: Callable[[Measured], bool],
    resumed: Measured | None,
    keep: Callable[[Measured], None],
) -> Measured:
    """Measure in worker processes under a progress bar of the budget's seconds."""
    plan = budget.plan_from(time.perf_counter())
    total = plan.budget_seconds
    with stage("measuring", total) as advance:
        shown = 0.0

        def tell(progress: Progress) -> None:
            nonlocal shown
            if total is not None:
                advance(min(progress.seconds, total) - shown)
                shown = min(progress.seconds, total)

        return measure(groups, plan, ProcessSource(), enough=enough, tell=tell, resumed=resumed, keep=keep)

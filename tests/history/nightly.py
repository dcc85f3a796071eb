"""The nightly deployment over a planted history: fresh sittings on suspicion, which stay on record."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from tests.history.planted import FIRST, Planted, series
from vecml.history.changes import logs_of
from vecml.history.detection import night_from
from vecml.history.watch import confirm

PROGRAM = ("program", "unknown")


@dataclass(frozen=True)
class Outcome:
    """What came of the nights.

    Attributes:
        alarm: day of the first alarm that fails a nightly; None for none.
        since: day that it says the slowdown began.
        fresh: sittings that were measured beside the nights' own.
    """

    alarm: int | None
    since: int | None
    fresh: int


def nightly(made: Planted, days: range, again: Callable[[int], tuple[float, float]]) -> Outcome:
    """Watch on `days`, what came before being on record.

    again: one more sitting of a day: its rate's and its canary's logarithm.
    """
    empty, fresh = series(made), 0
    whole = empty.points
    record = list(whole[: days.start])
    for day in days:
        record.append(whole[day])
        shown = replace(empty, points=tuple(record))
        got = []

        def measured(day: int = day, got: list = got) -> object:
            rate, canary = again(day)
            got.append(replace(whole[day], log_rate=rate, log_canary=canary))
            return got[-1]

        alarm = confirm(shown, night_from(*logs_of(shown.points), 0), measured)
        record += got
        fresh += len(got)
        if alarm is not None and alarm.change.cause in PROGRAM:
            return Outcome(day, (alarm.change.at - FIRST).days, fresh)
    return Outcome(None, None, fresh)

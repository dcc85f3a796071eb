"""The nightly alarm: fresh sittings confirm or dismiss a suspected slowdown before anybody is called."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from vecml.history.canary import cause, control
from vecml.history.changes import Change, change_at, logs_of
from vecml.history.detection import FEWEST_SITTINGS, SUSPICION, Night, night_from, nights
from vecml.history.evidence import Evidence
from vecml.history.series import Point, Series

MOST_FRESH = 3
CONFIRMED = 4.5  # log odds of a new level of three sittings or more, fresh sittings included
DISMISSED = 0.0  # log odds below which no further sitting is measured


@dataclass(frozen=True)
class Alarm:
    """A slowdown that fresh sittings confirmed.

    Attributes:
        series: the series, with the fresh sittings at its end.
        change: the slowdown. For the causes `program` and `unknown` the nightly run should fail; for `machine` somebody
            should look at the machine.
        fresh: number of fresh sittings that were measured.
        odds: natural logarithm of the odds of a slowdown.
    """

    series: Series
    change: Change
    fresh: int
    odds: float


def watch(series: Series, fresh: Callable[[], Point], most: int = MOST_FRESH) -> Alarm | None:
    """Decide whether tonight's sitting, the last of `series`, is a slowdown; give the alarm, or None.

    Nothing is measured where the sitting is as usual. Otherwise `fresh` is called until the answer is clear, `most`
    times at most. A slowdown gives one alarm only: later nights are compared with the new level, provided that the
    fresh sittings are recorded like any other sitting.

    Args:
        series: the series, with tonight's sitting at its end; a series of few sittings gives no alarm.
        fresh: measures one more sitting of the same setting, in fresh processes, and gives it as a point
            (`vecml.history.series.point_of`). Its exceptions pass through.
        most: the most calls of `fresh`, at least 1.
    """
    if len(series.points) < FEWEST_SITTINGS - 2:
        return None  # two fresh sittings would not make the series long enough
    night = list(nights(*logs_of(series.points)))[-1]
    if night.index != len(series.points) - 1:
        return None  # too soon after the last change
    return confirm(series, night, fresh, most)


def confirm(series: Series, night: Night, fresh: Callable[[], Point], most: int = MOST_FRESH) -> Alarm | None:
    """Confirm a suspect `night` of the `series` by up to `most` sittings that `fresh` measures, and give the alarm."""
    if not is_suspect(night):
        return None
    points = series.points
    for count in range(1, most + 1):
        points = (*points, fresh())
        found = night_from(*logs_of(points), night.start)
        if found.slower >= CONFIRMED:
            return _alarm(replace(series, points=points), found, count)
        if found.suspicion < DISMISSED:
            return None
    return None


def is_suspect(night: Night) -> bool:
    """Whether a night calls for fresh sittings: it may be a slowdown, or is one already."""
    if night.noticed is not None:
        return night.noticed.slower
    return night.suspicion >= SUSPICION


def _alarm(series: Series, found: Night, fresh: int) -> Alarm | None:
    """Make the alarm; None where only the canary changed."""
    rate_N, canary_N = logs_of(series.points)
    fitted = control(rate_N, canary_N)
    bounds = (found.start, found.place, len(series.points))
    why = cause(rate_N, canary_N, fitted.slope, *bounds)
    if why == "canary":
        return None
    evidence = Evidence(fitted.applied(rate_N, canary_N))
    return Alarm(series, change_at(series.points, evidence, bounds, why, raw=why == "machine"), fresh, found.slower)

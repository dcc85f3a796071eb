"""Describe the changes of a series: their size, their cause, the libraries that changed; and its state tonight."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from vecml.history.canary import Cause, Control, cause, comparable, shift
from vecml.history.detection import (
    FEWEST_SITTINGS,
    SUSPICION,
    Night,
    hindsight,
    nights,
    place_interval,
    segmented,
)
from vecml.history.evidence import Evidence
from vecml.history.series import Point, Series

Floats = NDArray[np.float64]
State = Literal["too short", "steady", "suspected", "regressed"]

RECENT = 7  # number of sittings for which a regression is reported
LEAST_MACHINE_SHIFT = 0.06  # of canary and rate, in logarithms; a machine drifts by less
BESIDE = 3  # two changes at most this many sittings apart are the same change
Z = 1.96


@dataclass(frozen=True)
class Change:
    """A change of level.

    Attributes:
        place: index of the first sitting of the new level, from 0.
        at: time of that sitting.
        earliest, latest: times of the sittings between which the change lies with a probability of 95 %.
        ratio, low, high: new rate over the old rate, with its 95 % interval.
        cause: `program`, or `machine` where the canary changed alike; `unknown` without a canary.
        canary_ratio: the canary's speed after over before; None without one.
        software_changed: whether the software_key changed there.
        libraries: the changed libraries, as `numpy 2.3.5 to 2.4.6`; empty without recorded versions.
    """

    place: int
    at: datetime
    earliest: datetime
    latest: datetime
    ratio: float
    low: float
    high: float
    cause: Cause
    canary_ratio: float | None
    software_changed: bool
    libraries: tuple[str, ...]

    @property
    def slower(self) -> bool:
        """Whether the new rate is lower than the old one."""
        return self.ratio < 1


@dataclass(frozen=True)
class Mark:
    """A change of software on a series.

    Attributes:
        place, at: index and time of the first sitting with the new software.
        libraries: as in `Change`.
    """

    place: int
    at: datetime
    libraries: tuple[str, ...]


@dataclass(frozen=True)
class History:
    """The analysis of a series.

    Attributes:
        series: the series.
        changes: changes of its level, by time.
        marks: changes of its software, by time.
        control: the correction by the canary.
        state: its state after the latest sitting.
        missing: number of sittings that it lacks for an analysis.
        regression: the slowdown that makes the state `regressed`; None in any other state.
        suspicion: log odds of a slowdown after the latest sitting; None where the series is too short.
    """

    series: Series
    changes: tuple[Change, ...]
    marks: tuple[Mark, ...]
    control: Control
    state: State
    missing: int = 0
    regression: Change | None = None
    suspicion: float | None = None


def logs_of(points: Sequence[Point]) -> tuple[Floats, Floats]:
    """Return the natural logarithms rate_N and canary_N of the points, float64; NaN where there is no canary."""
    rate_N = np.array([point.log_rate for point in points], dtype=np.float64)
    canary_N = np.array([math.nan if point.log_canary is None else point.log_canary for point in points])
    return rate_N, canary_N


def history_of(series: Series) -> History:
    """Analyse a series: its changes, its marks and its state."""
    points, marks = series.points, marks_of(series.points)
    if len(points) < FEWEST_SITTINGS:
        missing = FEWEST_SITTINGS - len(points)
        return History(series, (), marks, Control(0.0, 0), "too short", missing)
    rate_N, canary_N = logs_of(points)
    seen = list(nights(rate_N, canary_N))
    found = [night.noticed for night in seen if night.noticed is not None]
    changes, fitted = _changes(points, rate_N, canary_N, [one.place for one in found])
    regression = _regression(changes, [(one.place, one.index) for one in found if one.slower], len(points))
    last = seen[-1] if seen and seen[-1].index == len(points) - 1 else None
    state: State = "regressed" if regression is not None else "suspected" if _suspected(last) else "steady"
    return History(series, changes, marks, fitted, state, 0, regression, None if last is None else last.suspicion)


def marks_of(points: Sequence[Point]) -> tuple[Mark, ...]:
    """List the places in the series where the software changed."""
    return tuple(
        Mark(place, points[place].at, library_changes(points[place - 1].libraries, points[place].libraries))
        for place in range(1, len(points))
        if points[place].software_key != points[place - 1].software_key
    )


def library_changes(before: Mapping[str, str] | None, after: Mapping[str, str] | None) -> tuple[str, ...]:
    """List the libraries that differ, as `numpy 2.3.5 to 2.4.6`, `openvino 2026.4 added`, `halide 21.0 removed`."""
    if before is None or after is None:
        return ()
    found = []
    for name in dict.fromkeys([*before, *after]):
        old, new = before.get(name), after.get(name)
        if old == new:
            continue
        found.append(
            f"{name} {new} added" if old is None else f"{name} {old} {'removed' if new is None else f'to {new}'}"
        )
    return tuple(found)


def change_at(
    points: Sequence[Point], evidence: Evidence, bounds: tuple[int, int, int], why: Cause, *, raw: bool = False
) -> Change:
    """Make the record of a change.

    Args:
        points: all points of the series.
        evidence: the evidence under which the change was found.
        bounds: indices of the first sitting of the old level, of the new level, and after the new level.
        why: the cause.
        raw: whether to compute the size from the uncorrected rates, as for a change of the machine.
    """
    start, place, end = bounds
    rate_N, canary_N = logs_of(points)
    sized = Evidence(rate_N) if raw else evidence
    before, after = sized.level(start, place), sized.level(place, end)
    step, sd = after.mean - before.mean, math.hypot(before.sd, after.sd)
    low, high = place_interval(evidence, start, place, end)
    moved = shift(canary_N, start, place, end)
    software = _software_near(points, low, place, high)
    return Change(
        place=place,
        at=points[place].at,
        earliest=points[max(low - 1, 0)].at,
        latest=points[high].at,
        ratio=math.exp(step),
        low=math.exp(step - Z * sd),
        high=math.exp(step + Z * sd),
        cause=why,
        canary_ratio=None if moved is None else math.exp(moved),
        software_changed=software is not None,
        libraries=() if software is None else software.libraries,
    )


def _changes(
    points: Sequence[Point], rate_N: Floats, canary_N: Floats, seen: Sequence[int]
) -> tuple[tuple[Change, ...], Control]:
    """Find the changes of program and machine, and the correction by the canary; the search begins with `seen`."""
    n = len(points)
    places, evidence, fitted = hindsight(rate_N, canary_N, seen)
    found: dict[int, Change] = {}
    for place, (start, end) in zip(places, _bounds(places, n), strict=True):
        why = cause(rate_N, canary_N, fitted.slope, start, place, end)
        if why != "canary":
            found[place] = change_at(points, evidence, (start, place, end), why, raw=why == "machine")
    for change in _machine_changes(points, rate_N, canary_N):
        near = [place for place in found if abs(place - change.place) <= BESIDE]
        if any(found[place].cause == "machine" for place in near):
            continue
        for place in near:  # the correction removed only a part of the machine's change
            del found[place]
        found[change.place] = change
    return tuple(found[place] for place in sorted(found)), fitted


def _machine_changes(points: Sequence[Point], rate_N: Floats, canary_N: Floats) -> list[Change]:
    """Find the changes of the canary that the rate followed."""
    known_N = np.flatnonzero(~np.isnan(canary_N))
    if len(known_N) < FEWEST_SITTINGS:
        return []
    evidence = Evidence(canary_N[known_N])
    places = segmented(evidence, len(known_N))
    found = []
    known_points = [points[int(index)] for index in known_N]
    for place, (start, end) in zip(places, _bounds(places, len(known_N)), strict=True):
        of_rate = shift(rate_N[known_N], start, place, end)
        of_canary = shift(canary_N[known_N], start, place, end)
        if of_rate is None or of_canary is None or not comparable(of_rate, of_canary):
            continue
        if min(abs(of_rate), abs(of_canary)) < LEAST_MACHINE_SHIFT:
            continue
        change = change_at(known_points, evidence, (start, place, end), "machine", raw=True)
        found.append(replace(change, place=int(known_N[place])))
    return found


def _bounds(places: Sequence[int], n: int) -> list[tuple[int, int]]:
    """List for each change the index where the level before it begins and the index where the new level ends."""
    edges = [0, *places, n]
    return [(edges[index], edges[index + 2]) for index in range(len(places))]


def _software_near(points: Sequence[Point], low: int, place: int, high: int) -> Mark | None:
    """Find the change of software that is nearest to `place`, among those from sitting `low` to `high`."""
    inside = [mark for mark in marks_of(points) if low <= mark.place <= high]
    return min(inside, key=lambda mark: abs(mark.place - place), default=None)


def _regression(changes: Sequence[Change], noticed: Sequence[tuple[int, int]], n: int) -> Change | None:
    """Return the last change, if it is a slowdown of the program that one of the latest `RECENT` sittings noticed."""
    if not changes:
        return None
    last = changes[-1]
    if not last.slower or last.cause not in ("program", "unknown"):
        return None
    news = [place for place, index in noticed if index >= n - RECENT]
    return last if any(abs(place - last.place) <= BESIDE for place in news) else None


def _suspected(last: Night | None) -> bool:
    return last is not None and last.suspicion >= SUSPICION and last.noticed is None

"""A history as text: what changed and when, whether the machine or the program caused it, and a sparkline."""

import dataclasses
import itertools
import math
import statistics
from collections.abc import Iterable, Sequence
from typing import Any

from vecml.history.canary import FEWEST_SITTINGS as FOR_A_CONTROL
from vecml.history.changes import Change, History, Mark
from vecml.history.recorded import Setting, name_of
from vecml.history.series import Series
from vecml.history.watch import Alarm
from vecml.numbers import count, percent, rate

VERSION = 1
BARS, ASCII_BARS = "▁▂▃▄▅▆▇█", "_.-=+*#@"
LONGEST_LINE = 60  # sittings in a sparkline, more are put together
BESIDE = 3  # sittings within which a mark of software is told with the change of level


def sentence(found: Sequence[History]) -> str:
    """The answer over all series."""
    if not found:
        return "No series: vecml compare records the sittings that one is made of."
    regressed = [one for one in found if one.state == "regressed"]
    suspected = [one for one in found if one.state == "suspected"]
    short = sum(one.state == "too short" for one in found)
    names = names_of(found)
    if regressed:
        worst = min(regressed, key=lambda one: one.regression.ratio if one.regression else 1.0)
        change = worst.regression
        more = f", and {count(len(regressed) - 1, 'other')} slower too" if len(regressed) > 1 else ""
        told = "" if change is None else f" {size(change)} since {change.at:%Y-%m-%d}"
        return f"{names[id(worst)]} is{told}{more}."
    if suspected:
        told = ", ".join(names[id(one)] for one in suspected)
        return f"Undecided: {told} may be slower in the latest sitting; the next ones will tell."
    if short == len(found):
        return f"Nothing can be said yet: {'the series is' if short == 1 else f'all {short} series are'} too short."
    rest = f"; {short} too short to tell" if short else ""
    return f"No slowdown in the latest sittings of {len(found) - short:,} series{rest}."


def names_of(found: Sequence[History]) -> dict[int, str]:
    """Name the setting of each history, by the `id` of the history: its engine and the fields in which it differs."""
    settings: list[Setting] = list(dict.fromkeys(one.series.setting for one in found))
    return {id(one): name_of(one.series.setting, settings) for one in found}


def title(series: Series, name: str) -> str:
    """The heading of a series: setting, machine, network, and number of rows."""
    parts = [name, series.machine, f"network {series.architecture_digest[:8]}"]
    if series.n_rows is not None:
        parts.append(count(series.n_rows, "row"))
    return ", ".join(parts)


def lines(history: History, *, ascii_only: bool = False) -> list[str]:
    """The lines below the title: sparkline, days, rates, each change, sittings that were left out, and the state."""
    series, points = history.series, history.series.points
    told = []
    if points:
        rates = [point.rows_per_s for point in points]
        told.append(sparkline(rates, ascii_only=ascii_only))
        days = f"{points[0].at:%Y-%m-%d} to {points[-1].at:%Y-%m-%d}"
        told.append(f"{count(len(points), 'sitting')}, {days}")
        told.append(f"first {rate(rates[0])}, last {rate(rates[-1])}, median {rate(statistics.median(rates))}")
    events: list[tuple[int, str]] = [(change.place, change_line(change)) for change in history.changes]
    told_with = [change.place for change in history.changes if change.software_changed]
    for mark in history.marks:
        if not any(abs(mark.place - place) <= BESIDE for place in told_with):
            events.append((mark.place, mark_line(mark)))
    told += [line for _, line in sorted(events)]
    told += [f"{times} left out: {reason}" for reason, times in series.left_out.items()]
    told.append(state_line(history))
    return told


def change_line(change: Change) -> str:
    """One change in a line: when it happened, how large it is, what caused it, and which libraries changed then."""
    when = f"{change.at:%Y-%m-%d}"
    if change.earliest.date() != change.latest.date():
        when += f" (between {change.earliest:%m-%d} and {change.latest:%m-%d})"
    match change.cause:
        case "machine":
            canary = (
                "" if change.canary_ratio is None else f": the canary changed alike, by {_signed(change.canary_ratio)}"
            )
            return f"{when}: {size(change)}, the machine{canary}"
        case "unknown":
            return f"{when}: {size(change)}, machine or program: there was no canary; {_software(change)}"
        case _:
            return f"{when}: {size(change)}, the program: {_software(change)}"


def mark_line(mark: Mark) -> str:
    """A line for a day on which libraries changed and the speed did not."""
    return f"{mark.at:%Y-%m-%d}: {_libraries(mark.libraries)}; no change of speed was found there"


def state_line(history: History) -> str:
    """The state of a history after its latest sitting, in a line."""
    match history.state:
        case "too short":
            return f"too short: {count(history.missing, 'more sitting')} before vecml can say anything"
        case "regressed":
            return "confirmed: slower in the latest sittings"
        case "suspected":
            return "suspected: slower in the latest sitting; not confirmed"
        case _:
            control = history.control
            if control.slope:
                return f"steady; {percent(control.slope)} of what the canary shows is taken out of the rates"
            if control.sittings < FOR_A_CONTROL:
                missing = FOR_A_CONTROL - control.sittings
                return f"steady; {count(missing, 'more sitting')} before the canary can be taken into account"
            return "steady; the canary explains none of the changes"


def size(change: Change) -> str:
    """`8.1 % slower (6.2 % to 9.9 %)`: of the rate, with the 95 % interval."""
    low, high = sorted((abs(1 - change.low), abs(1 - change.high)))
    if (change.low < 1) != (change.high < 1):
        low = 0.0
    word = "slower" if change.slower else "faster"
    return f"{percent(abs(1 - change.ratio))} {word} ({percent(low)} to {percent(high)})"


def alarm_line(alarm: Alarm, among: Iterable[Setting]) -> str:
    """An alarm in one line: the series, the change, and how often it was measured again.

    among: the other settings, so that the name says in what this one differs.
    """
    name = name_of(alarm.series.setting, among)
    times = "once" if alarm.fresh == 1 else f"{alarm.fresh} times"
    return f"{title(alarm.series, name)}: {change_line(alarm.change)}; measured again {times}"


def sparkline(rates: Sequence[float], *, ascii_only: bool = False) -> str:
    """The rates as bars, on a logarithmic scale that outliers do not stretch; many are put together by medians."""
    if len(rates) > LONGEST_LINE:
        edges = [round(index * len(rates) / LONGEST_LINE) for index in range(LONGEST_LINE + 1)]
        rates = [statistics.median(rates[start:end]) for start, end in itertools.pairwise(edges)]
    logs = [math.log(value) for value in rates]
    ordered = sorted(logs)
    low, high = ordered[len(ordered) // 20], ordered[-1 - len(ordered) // 20]
    bars = ASCII_BARS if ascii_only else BARS
    if high - low < 0.02:  # or noise of a per mille would fill the line from top to bottom
        middle = (low + high) / 2
        low, high = middle - 0.01, middle + 0.01
    steps = [min(1.0, max(0.0, (value - low) / (high - low))) for value in logs]
    return "".join(bars[min(len(bars) - 1, int(step * len(bars)))] for step in steps)


def as_json(found: Sequence[History]) -> dict[str, Any]:
    """The records as JSON for programs: `version` 1, their own fields, with the answer beside them."""
    return {"version": VERSION, "kind": "history", "answer": sentence(found), "series": [_json(one) for one in found]}


def _json(history: History) -> dict[str, Any]:
    series = history.series
    return {
        "setting": dict(series.setting),
        "machine_key": series.machine_key,
        "machine": series.machine,
        "device_name": series.device_name,
        "architecture_digest": series.architecture_digest,
        "subject": series.subject,
        "n_rows": series.n_rows,
        "state": history.state,
        "missing": history.missing,
        "canary_slope": history.control.slope,
        "points": [
            {
                "at": point.at.isoformat(),
                "rows_per_s": point.rows_per_s,
                "canary_seconds": None if point.log_canary is None else math.exp(-point.log_canary),
                "software_key": point.software_key,
                "run_id": point.run_id,
            }
            for point in series.points
        ],
        "changes": [_change_json(change) for change in history.changes],
        "marks": [
            {"place": mark.place, "at": mark.at.isoformat(), "libraries": list(mark.libraries)}
            for mark in history.marks
        ],
        "regression": None if history.regression is None else _change_json(history.regression),
        "left_out": dict(series.left_out),
    }


def _change_json(change: Change) -> dict[str, Any]:
    content = dataclasses.asdict(change)
    content |= {key: content[key].isoformat() for key in ("at", "earliest", "latest")}
    return content


def _software(change: Change) -> str:
    return _libraries(change.libraries) if change.software_changed else "no library changed there"


def _libraries(libraries: Sequence[str]) -> str:
    return ", ".join(libraries) if libraries else "other software, whose versions were not recorded"


def _signed(ratio: float) -> str:
    return f"{percent(abs(1 - ratio))} {'slower' if ratio < 1 else 'faster'}"

"""Histories word by word, and as JSON."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from tests.history.planted import LEVEL, Planted, series
from vecml.history.changes import Change, History, Mark, history_of
from vecml.report.history import (
    as_json,
    change_line,
    lines,
    mark_line,
    names_of,
    sentence,
    size,
    sparkline,
    title,
)

DAY = datetime(2026, 3, 4, 2, tzinfo=UTC)
CHANGE = Change(
    place=30,
    at=DAY,
    earliest=DAY - timedelta(days=1),
    latest=DAY + timedelta(days=2),
    ratio=0.92,
    low=0.90,
    high=0.94,
    cause="program",
    canary_ratio=1.01,
    software_changed=True,
    libraries=("numpy 2.3.5 to 2.4.6",),
)


def history(n: int = 31, step: float = 0.0) -> History:
    rng = np.random.default_rng(5)
    rate = LEVEL + rng.normal(0, 0.02, n)
    rate[30:] += step
    return history_of(series(Planted(rate, rng.normal(0, 0.005, n)), software=20))


def test_a_change_of_the_program() -> None:
    assert change_line(CHANGE) == (
        "2026-03-04 (between 03-03 and 03-06): 8.0 % slower (6.0 % to 10.0 %), the program: numpy 2.3.5 to 2.4.6"
    )
    assert change_line(replace(CHANGE, software_changed=False, libraries=(), latest=DAY, earliest=DAY)) == (
        "2026-03-04: 8.0 % slower (6.0 % to 10.0 %), the program: no library changed there"
    )
    assert change_line(replace(CHANGE, libraries=())).endswith(
        "the program: other software, whose versions were not recorded"
    )


def test_a_change_of_the_machine_and_one_without_a_canary() -> None:
    assert change_line(replace(CHANGE, cause="machine", canary_ratio=0.91)).endswith(
        "the machine: the canary changed alike, by 9.0 % slower"
    )
    assert change_line(replace(CHANGE, cause="unknown", canary_ratio=None)).endswith(
        "machine or program: there was no canary; numpy 2.3.5 to 2.4.6"
    )


def test_a_size() -> None:
    assert size(replace(CHANGE, ratio=1.1, low=1.05, high=1.15)) == "10.0 % faster (5.0 % to 15.0 %)"
    assert size(replace(CHANGE, ratio=0.97, low=0.94, high=1.01)) == "3.0 % slower (0.0 % to 6.0 %)"


def test_a_mark() -> None:
    assert mark_line(Mark(3, DAY, ("torch 2.12 to 2.13",))) == (
        "2026-03-04: torch 2.12 to 2.13; no change of speed was found there"
    )


def test_the_sentence_for_each_state() -> None:
    steady, suspected = history(), history(step=-0.12)
    regressed, short = history(34, step=-0.12), history(9)
    assert sentence([]) == "No series: vecml compare records the sittings that one is made of."
    assert sentence([steady]) == "No slowdown in the latest sittings of 1 series."
    assert sentence([steady, short]) == "No slowdown in the latest sittings of 1 series; 1 too short to tell."
    assert sentence([steady, suspected]) == (
        "Undecided: numpy may be slower in the latest sitting; the next ones will tell."
    )
    assert sentence([short]) == "Nothing can be said yet: the series is too short."
    assert sentence([short, short]) == "Nothing can be said yet: all 2 series are too short."
    told = sentence([regressed, suspected])
    assert told.startswith("numpy is 1")
    assert " % slower (" in told
    assert told.endswith(" since 2026-01-31.")


def test_the_lines_of_a_series() -> None:
    found = history(34, step=-0.12)
    told = lines(found)
    assert title(found.series, names_of([found])[id(found)]) == (
        "numpy, a processor, 2 CPUs, network architec, 1,000,000 rows"
    )
    assert len(told[0]) == 34
    assert told[1] == "34 sittings, 2026-01-01 to 2026-02-03"
    assert told[2].startswith("first ")
    assert told[3] == "2026-01-21: numpy 2.3.5 to 2.4.6; no change of speed was found there"
    assert told[4].startswith("2026-01-31")
    assert told[-1] == "confirmed: slower in the latest sittings"


def test_a_short_series_says_what_is_missing() -> None:
    found = history_of(replace(history().series, points=history().series.points[:9], left_out={"invalid": 2}))
    assert lines(found)[-2:] == [
        "2 left out: invalid",
        "too short: 6 more sittings before vecml can say anything",
    ]
    assert lines(history_of(replace(found.series, points=()))) == [
        "2 left out: invalid",
        "too short: 15 more sittings before vecml can say anything",
    ]


def test_the_steady_state_says_what_the_canary_is_worth() -> None:
    found = history()
    assert lines(found)[-1] == "steady; the canary explains none of the changes"
    short = history_of(replace(found.series, points=found.series.points[:15]))
    assert lines(short)[-1] == "steady; 5 more sittings before the canary can be taken into account"


@pytest.mark.parametrize(("ascii_only", "bars"), [(False, "▁▂▃▄▅▆▇█"), (True, "_.-=+*#@")])
def test_a_sparkline(ascii_only: bool, bars: str) -> None:
    assert sparkline([float(value) for value in np.exp(np.arange(8) / 8)], ascii_only=ascii_only) == bars
    assert set(sparkline([5.0, 5.0, 5.0], ascii_only=ascii_only)) == {bars[4]}
    assert len(sparkline([1.0] * 1000, ascii_only=ascii_only)) == 60
    assert sparkline([1.0], ascii_only=ascii_only) == bars[4]


def test_json_goes_through() -> None:
    content = json.loads(json.dumps(as_json([history(34, step=-0.12)]), allow_nan=False))
    assert (content["version"], content["kind"]) == (1, "history")
    (one,) = content["series"]
    assert (one["state"], len(one["points"]), len(one["changes"]), one["regression"]["cause"]) == (
        *("regressed", 34, 1, "program"),
    )
    assert one["marks"] == [{"place": 20, "at": "2026-01-21T02:00:00+00:00", "libraries": ["numpy 2.3.5 to 2.4.6"]}]

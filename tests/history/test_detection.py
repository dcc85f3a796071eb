"""The proof: planted changes are found in time and in place, quiet histories stay quiet, machines are told apart.

The thresholds were chosen under another noise model and other seeds (tests/history/calibration.py).
"""

import math
from dataclasses import dataclass

import numpy as np
import pytest

from tests.history.nightly import PROGRAM, nightly
from tests.history.planted import DAYS, Planted, again, planted, series, slowed
from vecml.history.changes import history_of
from vecml.history.detection import FEWEST_SITTINGS, Noticed, hindsight, nights, place_interval, segmented
from vecml.history.evidence import Evidence
from vecml.proportions import wilson_interval

SEEDS = range(200)
SHARE, IN_DAYS, NEAR = 0.08, 3, 2
FIRST_NIGHT = FEWEST_SITTINGS - 2  # with two fresh sittings there are enough


@dataclass(frozen=True)
class Share:
    """How many of the seeds."""

    hits: int
    of: int = len(SEEDS)

    @property
    def share(self) -> float:
        return self.hits / self.of

    def __str__(self) -> str:
        low, high = wilson_interval(self.hits, self.of)
        return f"{self.share:.1%} ({low:.1%} to {high:.1%})"


@pytest.mark.parametrize("day", [15, 30, 40])
def test_the_nightly_finds_a_slowdown_of_8_percent_within_3_days_and_in_place(day: int) -> None:
    slower = slowed(SHARE)
    found = []
    for seed in SEEDS:
        made = planted(seed, day, slower)
        found.append(nightly(made, range(day, day + IN_DAYS + 1), again(made, seed, day, slower)))
    in_time = Share(sum(one.alarm is not None for one in found))
    in_place = Share(sum(one.since is not None and abs(one.since - day) <= NEAR for one in found))
    assert in_time.share >= 0.90, f"in time {in_time}, in place as well {in_place}"
    assert in_place.share >= (0.90 if day >= 20 else 0.85), f"in time {in_time}, in place as well {in_place}"


def test_the_nightly_is_quiet_where_nothing_changes() -> None:
    found = []
    for seed in SEEDS:
        made = planted(seed)
        found.append(nightly(made, range(FIRST_NIGHT, DAYS), again(made, seed, None, 0.0)))
    alarms = Share(sum(one.alarm is not None for one in found))
    assert alarms.share <= 0.10, str(alarms)
    assert sum(one.fresh for one in found) / len(found) / (DAYS - FIRST_NIGHT) < 0.4


def first_alarm(made: Planted) -> Noticed | None:
    """The first slowdown of the program that the nights' own sittings alarm for, without fresh ones."""
    for night in nights(made.rate_N, made.canary_N):
        noticed = night.noticed
        if noticed is not None and noticed.slower and noticed.cause in PROGRAM:
            return noticed
    return None


def test_without_fresh_sittings_it_takes_longer() -> None:
    """One sitting a day tells less than an alarm needs: a detector that knew the noise exactly would find 94 %."""
    seeds = SEEDS[:100]
    found = [first_alarm(_until(planted(seed, 40, slowed(SHARE)), 47)) for seed in seeds]
    in_time = Share(sum(one is not None and one.index >= 40 for one in found), len(seeds))
    quiet = Share(sum(first_alarm(planted(seed)) is not None for seed in seeds), len(seeds))
    assert in_time.share >= 0.75, str(in_time)
    assert quiet.share <= 0.12, str(quiet)


def test_hindsight_leaves_quiet_histories_alone_and_keeps_the_change() -> None:
    quiet = sum(bool(hindsight(made.rate_N, made.canary_N)[0]) for made in map(planted, SEEDS))
    placed = 0
    for seed in SEEDS:
        made = planted(seed, 30, slowed(SHARE))
        places, _, _ = hindsight(made.rate_N, made.canary_N)
        placed += any(abs(place - 30) <= NEAR for place in places)
    assert Share(quiet).share <= 0.10, str(Share(quiet))
    assert Share(placed).share >= 0.85, str(Share(placed))


def test_a_changed_machine_is_named_as_such() -> None:
    named = 0
    for seed in SEEDS:
        found = history_of(series(planted(seed, 30, machine=0.15)))
        near = [change for change in found.changes if abs(change.place - 30) <= NEAR]
        named += [change.cause for change in near] == ["machine"] and found.state != "regressed"
    assert Share(named).share >= 0.95, str(Share(named))


def test_a_night_does_not_know_what_comes_after_it() -> None:
    made = planted(7, 30, 0.2)
    whole = {night.index: night for night in nights(made.rate_N, made.canary_N)}
    for end in (14, 25, 33, 48):
        part = list(nights(made.rate_N[:end], made.canary_N[:end]))[-1]
        assert part.index == end - 1
        assert part.slower == pytest.approx(whole[part.index].slower, abs=0.3)
        assert part.start == whole[part.index].start


def test_a_dip_is_two_changes() -> None:
    rng = np.random.default_rng(11)
    rate = rng.normal(10, 0.02, 50)
    rate[20:28] -= 0.2
    assert hindsight(rate, np.full(50, math.nan))[0] == [20, 28]


def test_a_change_to_faster_is_found_as_well() -> None:
    rng = np.random.default_rng(12)
    rate = rng.normal(10, 0.02, 40)
    rate[25:] += 0.15
    found = [night.noticed for night in nights(rate, np.full(40, math.nan)) if night.noticed is not None]
    assert [(one.slower, one.cause) for one in found] == [(False, "unknown")]
    assert abs(found[0].place - 25) <= 1


def test_too_few_sittings_tell_nothing() -> None:
    rate = np.random.default_rng(1).normal(0, 0.02, FEWEST_SITTINGS - 1)
    assert all(night.slower == -math.inf for night in nights(rate, np.full(len(rate), math.nan)))
    assert segmented(Evidence(rate), len(rate)) == []
    assert list(nights(rate[:0], rate[:0])) == []


def test_the_interval_of_a_place_holds_it() -> None:
    held = 0
    for seed in range(100):
        made = planted(seed, 30, slowed(SHARE))
        evidence = Evidence(made.rate_N)
        low, high = place_interval(evidence, 0, 30, DAYS)
        held += low <= 30 <= high
        assert 3 <= low <= high <= DAYS - 3
    assert held == 100  # it is made to hold the place that is told


def _until(made: Planted, last: int) -> Planted:
    return Planted(made.rate_N[: last + 1], made.canary_N[: last + 1])

"""The night's alarm: fresh sittings are asked for on suspicion alone, and confirm or dismiss it."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from tests.history.planted import LEVEL, Planted, series
from vecml.history.series import Point, Series
from vecml.history.watch import MOST_FRESH, Alarm, watch


class Fresh:
    """Gives sittings of tonight's level one after the other, and counts them."""

    def __init__(self, made: Series, values: list[float]) -> None:
        self.last, self.values, self.calls = made.points[-1], values, 0

    def __call__(self) -> Point:
        self.calls += 1
        at = self.last.at + timedelta(minutes=5 * self.calls)
        return replace(self.last, at=at, log_rate=self.values[self.calls - 1], run_id="")


def steady(n: int = 30, last: float = 0.0) -> Series:
    rng = np.random.default_rng(9)
    rate = LEVEL + rng.normal(0, 0.02, n)
    rate[-1] = LEVEL + last
    return series(Planted(rate, rng.normal(0, 0.005, n)))


def test_a_usual_sitting_asks_for_nothing() -> None:
    made = steady()
    fresh = Fresh(made, [])
    assert watch(made, fresh) is None
    assert fresh.calls == 0


def test_an_outlier_is_dismissed_by_the_first_fresh_sittings() -> None:
    made = steady(last=-0.10)
    fresh = Fresh(made, [LEVEL, LEVEL + 0.01, LEVEL])
    assert watch(made, fresh) is None
    assert 1 <= fresh.calls <= 2


def test_a_slowdown_is_confirmed_and_told_with_what_changed() -> None:
    made = steady(last=-0.10)
    points = (*made.points[:-1], replace(made.points[-1], software_key="b", libraries={"numpy": "2.4.6"}))
    made = replace(made, points=points)
    fresh = Fresh(made, [LEVEL - 0.11, LEVEL - 0.10, LEVEL - 0.09])
    alarm = watch(made, fresh)
    assert isinstance(alarm, Alarm)
    assert alarm.fresh == fresh.calls <= MOST_FRESH
    assert (alarm.change.place, alarm.change.cause) == (29, "program")
    assert alarm.change.slower
    assert alarm.change.ratio == pytest.approx(0.905, abs=0.02)
    assert alarm.change.low < alarm.change.ratio < alarm.change.high < 1
    assert "numpy 2.3.5 to 2.4.6" in alarm.change.libraries
    assert len(alarm.series.points) == 30 + alarm.fresh


def test_too_short_a_series_has_no_alarm() -> None:
    made = steady(10, last=-0.5)
    fresh = Fresh(made, [])
    assert watch(made, fresh) is None
    assert fresh.calls == 0


def test_what_measuring_raises_goes_through() -> None:
    def broken() -> Point:
        raise OSError("no machine")

    with pytest.raises(OSError, match="no machine"):
        watch(steady(last=-0.10), broken)

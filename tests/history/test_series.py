"""Recorded sittings as series: what belongs together, what is left out, where the software changed."""

import math

import pytest

from tests.made_recorded import recorded
from vecml.history.changes import library_changes, marks_of
from vecml.history.series import point_of, series_of


def test_a_series_is_a_setting_on_a_machine_with_a_network_and_rows() -> None:
    made = [
        recorded(0),
        recorded(1, software_key="s2"),
        recorded(2, engine="torch"),
        recorded(3, machine_key="other"),
        recorded(4, architecture_digest="other"),
        recorded(5, n_rows=7),
    ]
    found = series_of(made)
    assert [len(series.points) for series in found] == [1, 1, 1, 1, 2]
    assert [point.software_key for point in found[-1].points] == ["s1", "s2"]


def test_points_come_by_time_with_what_they_need() -> None:
    (series,) = series_of([recorded(3, 3e6), recorded(1, 1e6, canary_seconds=None), recorded(2, 2e6)])
    assert [round(point.rows_per_s) for point in series.points] == [1e6, 2e6, 3e6]
    assert [point.log_canary for point in series.points] == [None, math.log(4), math.log(4)]
    assert series.subject == "digits.csv, 64 features, 10 classes"


def test_invalid_and_quick_sittings_are_left_out_and_counted() -> None:
    made = [
        recorded(0),
        recorded(1, verdict="invalid", reason="x"),
        recorded(2, None),
        recorded(3, launches=1, verdict="none"),
    ]
    (series,) = series_of(made)
    assert len(series.points) == 1
    assert series.left_out == {"invalid": 2, "a quick look of one launch": 1}


def test_a_point_needs_a_rate() -> None:
    with pytest.raises(ValueError, match="numpy of sitting-0 has no rate"):
        point_of(recorded(rate=None))


def test_marks_name_what_changed() -> None:
    made = [
        recorded(0, software_key="a", libraries={"numpy": "2.3.5", "halide": "21.0"}),
        recorded(1, software_key="b", libraries={"numpy": "2.4.6", "torch": "2.13.0"}),
        recorded(2, software_key="b", libraries={"numpy": "2.4.6", "torch": "2.13.0"}),
        recorded(3, software_key="c", libraries=None),
    ]
    (series,) = series_of(made)
    assert [(mark.place, mark.libraries) for mark in marks_of(series.points)] == [
        (1, ("numpy 2.3.5 to 2.4.6", "halide 21.0 removed", "torch 2.13.0 added")),
        (3, ()),
    ]
    assert library_changes({"a": "1"}, {"a": "1"}) == ()

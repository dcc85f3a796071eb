"""What a series comes to: changes with cause, size and software, and the state that `--check` goes by."""

from dataclasses import replace

import numpy as np
import pytest

from tests.history.planted import LEVEL, Planted, planted, series
from vecml.history.changes import history_of
from vecml.history.detection import FEWEST_SITTINGS


def made(n: int = 40, step: float = 0.0, at: int = 30, canary_step: float = 0.0, seed: int = 5) -> Planted:
    rng = np.random.default_rng(seed)
    rate, canary = LEVEL + rng.normal(0, 0.02, n), rng.normal(0, 0.005, n)
    rate[at:] += step
    canary[at:] += canary_step
    return Planted(rate, canary)


def test_a_change_of_the_program_names_the_libraries_that_changed() -> None:
    found = history_of(series(made(step=-0.12, at=34), software=34))
    (change,) = found.changes
    assert (change.place, change.cause, change.slower) == (34, "program", True)
    assert change.ratio == pytest.approx(np.exp(-0.12), abs=0.02)
    assert change.low < np.exp(-0.12) < change.high
    assert change.earliest < change.at <= change.latest
    assert change.libraries == ("numpy 2.3.5 to 2.4.6",)
    assert change.canary_ratio == pytest.approx(1.0, abs=0.01)
    assert (found.state, found.regression) == ("regressed", change)


def test_a_changed_machine_is_no_regression() -> None:
    found = history_of(series(made(step=-0.15, canary_step=-0.15, at=34), software=10))
    (change,) = found.changes
    assert (change.place, change.cause) == (34, "machine")
    assert change.ratio == pytest.approx(np.exp(-0.15), abs=0.03)
    assert not change.software_changed
    assert found.state != "regressed"
    assert [mark.place for mark in found.marks] == [10]


def test_a_canary_that_changes_alone_is_no_change() -> None:
    rng = np.random.default_rng(6)
    drift = rng.normal(0, 0.05, 60)
    canary = drift.copy()
    canary[40:] += 0.2
    found = history_of(series(Planted(LEVEL + drift + rng.normal(0, 0.01, 60), canary)))
    assert [change.cause for change in found.changes if abs(change.place - 40) <= 2] in ([], ["machine"])
    assert found.state != "regressed"


def test_an_older_regression_is_no_news() -> None:
    found = history_of(series(made(n=60, step=-0.12, at=30)))
    assert [change.place for change in found.changes] == [30]
    assert found.state == "steady"


def test_without_a_canary_the_cause_is_not_known() -> None:
    whole = series(made(step=-0.12, at=35))
    bare = replace(whole, points=tuple(replace(point, log_canary=None) for point in whole.points))
    found = history_of(bare)
    assert [(change.cause, change.canary_ratio) for change in found.changes] == [("unknown", None)]
    assert found.state == "regressed"


def test_a_suspicion() -> None:
    assert history_of(series(made(n=31, step=-0.12, at=30))).state == "suspected"
    assert history_of(series(made(n=31))).state == "steady"


def test_too_short() -> None:
    whole = series(planted(1))
    short = history_of(replace(whole, points=whole.points[: FEWEST_SITTINGS - 3]))
    assert (short.state, short.missing, short.changes) == ("too short", 3, ())
    assert history_of(replace(whole, points=())).missing == FEWEST_SITTINGS
    assert history_of(replace(whole, points=whole.points[:FEWEST_SITTINGS])).state == "steady"

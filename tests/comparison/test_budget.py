"""What a budget buys: launches, and the differences that are said to be resolved."""

import math

import pytest

from vecml import cache
from vecml.comparison import budget as budgets
from vecml.comparison.budget import LAUNCH_SD, launches_for, machine_rules, make_budget, seconds_of
from vecml.errors import SettingError
from vecml.measure.verdict import Rules
from vecml.statistics import detection_power


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setenv("VECML_CACHE", str(tmp_path))


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("60", 60.0), ("60s", 60.0), ("1.5m", 90.0), ("2min", 120.0), ("1h", 3600.0), ("0.5 m", 30.0), ("auto", None)],
)
def test_times(text: str, seconds: float | None) -> None:
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["", "fast", "0", "0s", "-5s", "60x", "1e3", "5 5"])
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(SettingError) as caught:
        seconds_of(text)
    assert caught.value.message == f"--budget {text}: not a time"
    assert caught.value.hint == "for example --budget 60s, 5m or auto"


def test_sixty_seconds_are_five_launches_of_two_settings() -> None:
    made = make_budget("60s", [(3, 2)], 1, "machine")
    assert made.plan.launches == 5
    assert made.plan.budget_seconds == 60.0
    assert made.source == "default"
    # what is said to be found nine times in ten is found nine times in ten
    assert made.resolves is not None
    power = detection_power(math.log1p(made.resolves), LAUNCH_SD, 5, 0.05, math.log1p(0.05))
    assert power == pytest.approx(0.9, abs=1e-6)


def test_more_time_buys_launches_and_resolution() -> None:
    short, long = (make_budget(text, [(3, 2)], 1, "machine") for text in ("60s", "5m"))
    assert long.plan.launches > 2 * short.plan.launches
    assert long.resolves < short.resolves  # type: ignore[operator]
    assert launches_for(60.0, 3) == short.plan.launches
    assert launches_for(300.0, 3) == long.plan.launches


def test_too_short_says_what_would_do() -> None:
    with pytest.raises(SettingError) as caught:
        make_budget("10s", [(3, 2)], 1, "machine")
    assert caught.value.message == "--budget 10s: too short for a verdict on 2 settings"
    hint = caught.value.hint or ""
    assert hint.endswith("s would do; --quick gives figures without a verdict")
    enough = hint.partition(" ")[2].partition(" ")[0]
    assert make_budget(enough, [(3, 2)], 1, "machine").plan.launches >= 3


def test_quick_is_one_launch_and_no_verdict() -> None:
    made = make_budget("quick", [(3, 2)], 1, "machine")
    assert (made.plan.launches, made.plan.budget_seconds, made.resolves) == (1, None, None)


def test_auto_has_an_end() -> None:
    made = make_budget("auto", [(7, 2), (5, 0)], 8, "machine")
    assert made.plan.budget_seconds == 300.0
    assert made.plan.most_launches > made.plan.launches == 8


def test_what_was_spent_before_counts_but_not_all_of_it() -> None:
    import dataclasses

    made = dataclasses.replace(make_budget("60s", [(3, 2)], 1, "machine"), began=100.0)
    assert made.plan_from(108.0).budget_seconds == 60.0 - 8.0 - budgets.END_SECONDS
    assert made.plan_from(150.0).budget_seconds == 0.6 * 60.0


def test_a_qualified_machine_has_its_own_gate_and_noise() -> None:
    assert machine_rules("machine") == Rules()
    cache.write("gate", "machine", {"launch_sd": 0.01, "gates": {"3": 0.04, "5": 0.03, "10": 0.02}})
    assert [machine_rules("machine", count).gate for count in (3, 4, 5, 9, 10, 30)] == [
        0.04,
        0.04,
        0.03,
        0.03,
        0.02,
        0.02,
    ]
    assert machine_rules("machine", 5).gate_source == "qualified"
    assert machine_rules("another", 5).gate_source == "default"
    made = make_budget("60s", [(3, 2)], 1, "machine")
    assert made.source == "qualified"
    assert made.resolves is not None
    assert made.resolves < 0.05

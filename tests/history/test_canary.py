"""What the canary explains, and what a change is of."""

from statistics import NormalDist

import numpy as np
import pytest

from tests.history.planted import planted
from vecml.history import canary as canary_module
from vecml.history.canary import Control, cause, comparable, control, shift
from vecml.statistics import theil_sen


def test_nothing_is_taken_out_before_twenty_sittings_however_clear_it_is() -> None:
    canary = np.random.default_rng(1).normal(0, 0.05, 30)
    rate = 10 + canary
    assert control(rate[:19], canary[:19]) == Control(0.0, 19, is_open=True)
    assert control(rate[:20], canary[:20]).slope == pytest.approx(1.0)


def test_the_slope_and_its_certainty_are_those_of_the_tests_for_a_trend() -> None:
    rng = np.random.default_rng(7)
    for n in (20, 47):
        x = rng.normal(0, 1, n)
        y = 0.3 * x + rng.normal(0, 1, n)
        slope, z = canary_module._theil_sen(x, y)
        found = theil_sen(x, y)
        assert slope == pytest.approx(found.slope)
        assert 2 * (1 - NormalDist().cdf(abs(z))) == pytest.approx(found.p_value, abs=0.03)


def test_the_slope_is_drawn_towards_one_where_it_is_not_sure() -> None:
    rng = np.random.default_rng(8)
    canary = rng.normal(0, 0.05, 25)
    rate = 0.6 * canary + rng.normal(0, 0.001, 25)
    assert control(rate, canary).slope == pytest.approx(0.6, abs=0.01)
    unsure = 0.6 * canary + rng.normal(0, 0.05, 25)
    found, _ = canary_module._theil_sen(canary, unsure)
    assert min(found, 1) < control(unsure, canary).slope < max(found, 1)


def test_nothing_is_taken_out_where_nothing_goes_together() -> None:
    rng = np.random.default_rng(2)
    assert control(rng.normal(0, 0.03, 60), rng.normal(0, 0.03, 60)).slope == 0
    assert control(np.full(30, 1.0), np.full(30, 2.0)).slope == 0


def test_the_slope_does_not_heed_outliers_and_has_an_end() -> None:
    rng = np.random.default_rng(3)
    canary = rng.normal(0, 0.05, 60)
    rate = 0.8 * canary + rng.normal(0, 0.01, 60)
    rate[::10] -= 1.0
    assert control(rate, canary).slope == pytest.approx(0.8, abs=0.1)
    assert control(5 * canary, canary).slope == 1.25


def test_sittings_without_a_canary_stay_as_they_are() -> None:
    canary = np.array([0.1, np.nan, -0.1, 0.0])
    rate = np.array([1.0, 2.0, 3.0, 4.0])
    assert Control(0.5, 3).applied(rate, canary) == pytest.approx([0.95, 2.0, 3.05, 4.0])
    assert Control(0.0, 3).applied(rate, canary) is rate
    gaps = np.random.default_rng(4).normal(0, 0.05, 25)
    gaps[::5] = np.nan
    assert control(np.nan_to_num(gaps), gaps).sittings == 20


def test_what_is_left_spreads_less() -> None:
    made = planted(5)
    left = control(made.rate_N, made.canary_N).applied(made.rate_N, made.canary_N)
    spread = [np.subtract(*np.percentile(values, [75, 25])) for values in (made.rate_N, left)]
    assert spread[1] < spread[0]


def test_a_shift_is_of_medians_and_needs_both_sides() -> None:
    values = np.array([1.0, 1.0, 9.0, 1.0, 3.0, 3.0, np.nan])
    assert shift(values, 0, 4, 7) == 2.0
    assert shift(values, 0, 6, 7) is None
    assert shift(values, 4, 4, 7) is None


@pytest.mark.parametrize(
    ("of_rate", "of_canary", "found"),
    [(-0.1, -0.1, True), (-0.1, -0.06, True), (-0.1, -0.04, False), (-0.1, 0.1, False), (-0.1, -0.3, False)],
)
def test_comparable(of_rate: float, of_canary: float, found: bool) -> None:
    assert comparable(of_rate, of_canary) is found
    assert not comparable(of_rate, None)
    assert not comparable(0.0, of_canary)


def test_the_cause() -> None:
    flat, steps = np.zeros(20), np.repeat([0.0, -0.15], 10)
    assert cause(steps, flat, 0.0, 0, 10, 20) == "program"
    assert cause(steps, steps, 0.0, 0, 10, 20) == "machine"
    assert cause(flat, steps, 1.0, 0, 10, 20) == "canary"
    assert cause(steps, np.full(20, np.nan), 0.0, 0, 10, 20) == "unknown"

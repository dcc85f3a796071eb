"""The power of a t test and the smallest difference that it finds: against SciPy, by integration, by simulation."""

import math
import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vecml.errors import DataError
from vecml.statistics import (
    detection_power,
    smallest_detectable,
    t_interval,
)

# Power


@pytest.mark.parametrize("n", [2, 3, 5, 10, 40, 1000])
@pytest.mark.parametrize("level", [1e-6, 0.05 / 30, 0.05, 0.5])
def test_power_without_a_gate_is_a_noncentral_t(n: int, level: float) -> None:
    from scipy.stats import nct, t

    sd = 0.03
    for shift in (0.0, 0.1, 0.5, 1.0, 2.0, 3.0, 5.0, 8.0, 15.0):
        expected = nct.sf(t.isf(level / 2, n - 1), n - 1, shift)
        assert detection_power(shift * sd / math.sqrt(n), sd, n, level) == pytest.approx(expected, abs=1e-8)


@pytest.mark.parametrize("n", [2, 3, 10, 200])
@pytest.mark.parametrize("gate", [0.001, 0.01, 0.03, 0.2])
def test_power_with_a_gate_is_an_integral_over_the_mean(n: int, gate: float) -> None:
    # The other way round: over the mean above the gate, of how often the standard deviation is small enough for it.
    from scipy.integrate import quad
    from scipy.stats import chi2, norm, t

    sd, level = 0.02, 0.01
    error = sd / math.sqrt(n)
    critical = t.isf(level / 2, n - 1)
    for difference in (0.0, 0.005, 0.02, 0.05, 0.3):

        def density(mean: float, centre: float = difference) -> float:
            small = chi2.cdf((n - 1) * (mean / critical / error) ** 2, n - 1)
            return float(norm.pdf(mean, centre, error) * small)

        start = max(gate, difference - 10 * error)
        expected = quad(density, start, max(start, difference) + 10 * error, limit=200, epsabs=1e-9)[0]
        assert detection_power(difference, sd, n, level, gate) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("n", "level", "gate"), [(5, 0.05, 0.0), (10, 0.05 / 12, 0.0), (10, 0.05, 0.02), (3, 0.2, 0.05)]
)
def test_smallest_detectable_is_found_as_often_as_it_says(n: int, level: float, gate: float) -> None:
    sd = 0.03
    difference = smallest_detectable(sd, n, level, 0.9, gate)
    # 20,000 draws know a share of 0.9 to +- 0.002; vectorised, and so with the formulas written out.
    value_DN = np.random.default_rng(n).normal(difference, sd, (20_000, n))
    low, _ = np.array([t_interval(value_N, 1 - level) for value_N in value_DN[:200]]).T
    mean_D = value_DN.mean(axis=1)
    from scipy.stats import t

    low_D = mean_D - t.isf(level / 2, n - 1) * value_DN.std(axis=1, ddof=1) / math.sqrt(n)
    np.testing.assert_allclose(low_D[:200], low, rtol=1e-9, atol=1e-12)
    found_D = (low_D > 0) & (mean_D > gate)
    assert found_D.mean() == pytest.approx(0.9, abs=0.02)
    assert detection_power(difference, sd, n, level, gate) == pytest.approx(found_D.mean(), abs=0.02)


@given(
    st.floats(0.001, 0.5),
    st.integers(2, 60),
    st.floats(0.0001, 0.5),
    st.floats(0.5, 0.999),
    st.just(0.0) | st.floats(0.001, 0.3),
)
def test_smallest_detectable_has_the_power(sd: float, n: int, level: float, power: float, gate: float) -> None:
    difference = smallest_detectable(sd, n, level, power, gate)
    assert detection_power(difference, sd, n, level, gate) == pytest.approx(power, abs=1e-9)
    # More values, less spread, no gate and a test that is less strict find as little or less. (Not below a power of a
    # half: there it is by chance only that a mean exceeds the gate, and more spread helps.)
    most = difference * (1 + 1e-9)
    assert smallest_detectable(sd, 2 * n, level, power, gate) <= most
    assert smallest_detectable(sd / 2, n, level, power, gate) <= most
    assert smallest_detectable(sd, n, level, power) <= most
    assert smallest_detectable(sd, n, level * 1.9, power, gate) <= most
    assert smallest_detectable(4 * sd, n, level, power, 4 * gate) == pytest.approx(4 * difference, rel=1e-9)


@given(
    st.floats(0, 1), st.floats(0, 1), st.floats(0.001, 1), st.integers(2, 100), st.floats(1e-6, 0.9), st.floats(0, 1)
)
def test_power_rises_with_the_difference_and_falls_with_the_gate(
    first: float, second: float, sd: float, n: int, level: float, gate: float
) -> None:
    small, large = sorted((first, second))
    low, high = detection_power(small, sd, n, level, gate), detection_power(large, sd, n, level, gate)
    assert 0 <= low <= high + 1e-12 <= 1 + 1e-12
    assert high <= detection_power(large, sd, n, level) + 1e-12


def test_power_at_its_edges() -> None:
    # Nothing to be found is found on this side by half of the level.
    assert detection_power(0.0, 0.1, 7, 0.05) == pytest.approx(0.025, abs=1e-12)
    assert detection_power(0.0, 0.1, 7, 0.001) == pytest.approx(0.0005, abs=1e-12)
    assert detection_power(50.0, 0.1, 7) == 1.0
    # At a gate that every significant mean exceeds by far it says nothing; where all are significant it is all.
    assert detection_power(0.1, 0.1, 3, 0.01, 1e-9) == pytest.approx(detection_power(0.1, 0.1, 3, 0.01), abs=1e-9)
    assert detection_power(0.5, 0.01, 100, 0.05, 0.5) == pytest.approx(0.5, abs=1e-12)
    assert detection_power(0.1, 0.01, 100, 0.05, 0.5) == 0.0
    # No spread.
    assert detection_power(0.02, 0.0, 2) == 1.0
    assert detection_power(0.0, 0.0, 2) == 0.0
    assert detection_power(0.02, 0.0, 2, 0.05, 0.02) == 0.0
    assert detection_power(0.021, 0.0, 2, 0.05, 0.02) == 1.0
    assert smallest_detectable(0.0, 2) == 0.0
    assert smallest_detectable(0.0, 2, gate=0.02) == 0.02
    # A spread of rounding only.
    assert smallest_detectable(1e-17, 10, gate=0.02) == pytest.approx(0.02, abs=1e-16)
    assert detection_power(0.03, 1e-17, 10, gate=0.02) == 1.0
    assert detection_power(0.01, 1e-17, 10, gate=0.02) == 0.0


def test_a_power_that_nothing_has_takes_no_difference() -> None:
    assert smallest_detectable(0.1, 5, level=0.5, power=0.2) == 0.0
    assert smallest_detectable(0.1, 5, level=0.5, power=0.26) > 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sd": -0.1}, "sd -0.1: must be finite and not negative"),
        ({"sd": math.nan}, "sd nan: must be finite and not negative"),
        ({"sd": math.inf}, "sd inf: must be finite and not negative"),
        ({"n": 1}, "n 1: must be at least 2"),
        ({"sd": 0.0, "n": 1}, "n 1: must be at least 2"),
        ({"level": 0}, "level 0: must lie between 0 and 1"),
        ({"level": 1.5}, "level 1.5: must lie between 0 and 1"),
        ({"gate": -0.01}, "gate -0.01: must be finite and not negative"),
        ({"gate": math.inf}, "gate inf: must be finite and not negative"),
    ],
)
def test_power_names_what_is_wrong(change: dict[str, Any], message: str) -> None:
    arguments: dict[str, Any] = {"sd": 0.1, "n": 5} | change
    with pytest.raises(DataError, match=f"^{re.escape(message)}$"):
        detection_power(0.1, **arguments)
    with pytest.raises(DataError, match=f"^{re.escape(message)}$"):
        smallest_detectable(**arguments)


def test_a_difference_or_power_that_cannot_be_is_named() -> None:
    with pytest.raises(DataError, match=r"^difference -0\.1: must be finite and not negative$"):
        detection_power(-0.1, 0.1, 5)
    for power in (0, 1, 90, math.nan):
        with pytest.raises(DataError, match=f"^power {power}: must lie between 0 and 1$"):
            smallest_detectable(0.1, 5, power=power)

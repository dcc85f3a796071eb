"""The order of recorded settings: medians, intervals with an oracle, ties by their source, invalid ones last."""

import math

import pytest
from scipy.stats import binom

from tests.made_recorded import recorded
from vecml.history.leaderboard import Place, boards, median_interval

OTHER = {"machine_key": "m2" * 8, "machine": "a faster processor, 8 CPUs", "device_name": "a faster processor"}


def order(*made: object) -> list[Place]:
    found = boards(made)
    assert len(found) == 1
    return list(found[0].places)


def test_the_order_is_by_the_median_over_sittings() -> None:
    rates = [1.0e6, 1.1e6, 0.2e6, 1.2e6, 1.15e6]
    places = order(
        *(recorded(day, rate) for day, rate in enumerate(rates)),
        *(recorded(day, 1.05e6, "torch") for day in range(5)),
        recorded(0, 3e6, "halide"),
    )
    assert [dict(place.setting)["engine"] for place in places] == ["halide", "numpy", "torch"]
    assert places[1].rows_per_s == 1.1e6
    assert (places[1].low, places[1].high, places[1].basis, places[1].sittings) == (0.2e6, 1.2e6, "sittings", 5)


@pytest.mark.parametrize("n", [5, 6, 8, 9, 12, 20, 61])
def test_the_interval_of_a_median_is_the_binomial_one(n: int) -> None:
    values = [float(value) for value in range(n)]
    low, high = median_interval(values[::-1])
    cut = int(low)
    assert high == n - 1 - cut
    assert cut == max((k for k in range(n // 2) if 2 * binom.cdf(k, n, 0.5) <= 0.05), default=0)


def test_fewer_than_five_values_have_no_interval() -> None:
    assert median_interval([1.0, 2.0, 3.0, 4.0]) is None


def test_of_few_sittings_the_interval_is_the_launches_and_says_so() -> None:
    one = recorded(0, 1e6, rows_per_s_low=0.9e6, rows_per_s_high=1.2e6)
    (place,) = order(one)
    assert (place.low, place.high, place.basis) == (0.9e6, 1.2e6, "launches")
    two = recorded(1, 2e6, rows_per_s_low=1.8e6, rows_per_s_high=2.4e6)
    (place,) = order(one, two)
    assert place.rows_per_s == 1.5e6
    assert (place.low, place.high) == pytest.approx((1.35e6, 1.8e6))
    (place,) = order(recorded())
    assert (place.low, place.high, place.basis, place.tie) == (None, None, "none", "highest")


def test_only_the_latest_software_counts() -> None:
    old = [recorded(day, 1e6, software_key="old") for day in range(9)]
    (place,) = order(*old, recorded(9, 2e6, software_key="new"))
    assert (place.rows_per_s, place.sittings, place.basis) == (2e6, 1, "none")


def test_a_tie_by_the_comparison_that_measured_both() -> None:
    places = order(
        recorded(0, 2e6, "torch", tied=True), recorded(0, 1.95e6, tied=True), recorded(0, 1e6, "x", tied=False)
    )
    assert [place.tie for place in places] == ["best", "comparison", "no"]
    assert [place.tied for place in places] == [True, True, False]


def test_the_latest_comparison_decides() -> None:
    places = order(
        *(recorded(day, 2e6, "torch", tied=True) for day in range(2)),
        recorded(0, 1.9e6, tied=True),
        recorded(1, 1.9e6, tied=False),
    )
    assert [place.tie for place in places] == ["best", "no"]


def test_where_the_best_was_not_the_best_then_the_intervals_tell() -> None:
    side = {"rows_per_s_low": 1.0e6, "rows_per_s_high": 3e6}
    places = order(recorded(0, 2e6, "torch", tied=False, **side), recorded(0, 1.9e6, tied=True, **side))
    assert [place.tie for place in places] == ["best", "intervals"]


def test_across_machines_the_intervals_tell() -> None:
    ours = [recorded(day, 1e6 * (1 + 0.01 * day)) for day in range(6)]
    near = [recorded(day + 0.5, 0.99e6 * (1 + 0.01 * day), **OTHER) for day in range(6)]
    places = order(*ours, *near)
    assert [(place.machine, place.tie) for place in places] == [
        ("a processor, 2 CPUs", "best"),
        ("a faster processor, 8 CPUs", "intervals"),
    ]
    far = [recorded(day + 0.5, 0.5e6 * (1 + 0.01 * day), **OTHER) for day in range(6)]
    assert [place.tie for place in order(*ours, *far)] == ["best", "no"]
    assert [place.tie for place in order(*ours, recorded(0.5, 0.99e6, **OTHER))] == ["highest", "unknown"]


def test_intervals_of_few_sittings_that_do_not_meet_show_nothing() -> None:
    places = order(
        recorded(0, 2e6, "torch", rows_per_s_low=1.9e6, rows_per_s_high=2.1e6),
        recorded(1, 1e6, rows_per_s_low=0.9e6, rows_per_s_high=1.1e6),
    )
    assert [place.tie for place in places] == ["highest", "apart"]


def test_a_verdict_with_a_condition_has_no_place() -> None:
    (lone, busy) = order(recorded(), recorded(0, 9e6, "halide", verdict="busy", reason="while others used 1 of 2 CPUs"))
    assert (lone.tie, busy.invalid) == ("highest", "while others used 1 of 2 CPUs")


def test_two_devices_of_a_machine_have_two_places() -> None:
    assert len(order(recorded(), recorded(0.5, device_name="a GPU", setting={"device": "cuda"}))) == 2


def test_invalid_ones_come_last_whatever_they_did() -> None:
    bad = recorded(1, 9e6, "halide", verdict="invalid", reason="12 labels are wrong")
    places = order(recorded(0, 8e6, "halide"), bad, recorded(), recorded(0, None, "torch"))
    assert [(dict(place.setting)["engine"], place.rows_per_s, place.invalid) for place in places] == [
        ("numpy", 1e6, None),
        ("halide", None, "12 labels are wrong"),
        ("torch", None, "it has no rate"),
    ]
    assert boards([bad])[0].places[0].invalid == "12 labels are wrong"


def test_each_network_size_and_request_has_an_order_of_its_own() -> None:
    found = boards(
        [
            recorded(0, n_rows=100_000),
            recorded(1, n_rows=999_999),
            recorded(2, n_rows=1_000_000),
            recorded(3, n_rows=None),
            recorded(4, setting={"request_rows": "32"}),
            recorded(5, architecture_digest="b2" * 16),
            recorded(6, setting={}, engine="gone"),
        ]
    )
    told = [(board.architecture_digest[:2], board.scale, board.request_rows, len(board.places)) for board in found]
    assert told == [
        ("a1", 100_000, None, 2),
        ("b2", 100_000, None, 1),
        ("a1", 100_000, 32, 1),
        ("a1", None, None, 1),
        ("a1", 1_000_000, None, 1),
    ]


def test_functions_have_no_place() -> None:
    import dataclasses

    assert boards([dataclasses.replace(recorded(), setting={})]) == ()
    assert boards([]) == ()


def test_a_rate_that_is_no_number_is_no_rate() -> None:
    assert order(recorded(0, math.nan), recorded(0, 1e6, "torch"))[-1].invalid == "it has no rate"

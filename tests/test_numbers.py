"""Numbers as people read them."""

import math
import re
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vecml.numbers import count, megabytes, number, percent, plural, rate, score, seconds, size, times, whole


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (3.5e-8, "35 ns"),
        (8.2e-4, "820 µs"),
        (0.0009996, "1 ms"),
        (0.01234, "12.3 ms"),
        (0.9996, "1 s"),
        (4.561, "4.56 s"),
        (99.4, "99.4 s"),
        (99.6, "1 min 40 s"),
        (200, "3 min 20 s"),
        (0, "0 s"),
        (None, "-"),
    ],
)
def test_seconds(value: float | None, text: str) -> None:
    assert seconds(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (950, "950 rows/s"),
        (35_210, "35.2 krow/s"),
        (2.125e8, "212 Mrow/s"),
        (3.14159e6, "3.14 Mrow/s"),
        (999_960, "1.00 Mrow/s"),
        (None, "-"),
    ],
)
def test_rate(value: float | None, text: str) -> None:
    assert rate(value) == text


def test_counts_and_plurals() -> None:
    assert (count(1, "row"), count(1_000, "row"), count(0, "row")) == ("1 row", "1,000 rows", "0 rows")
    assert [plural(noun) for noun in ("launch", "box", "class", "category", "day", "test row")] == [
        "launches",
        "boxes",
        "classes",
        "categories",
        "days",
        "test rows",
    ]


@pytest.mark.parametrize(
    ("ratio", "text"),
    [(3.7249, "3.72"), (12.34, "12.3"), (0.1, "0.10"), (0.00083, "0.00083"), (1193.8, "1,194"), (None, "-")],
)
def test_times(ratio: float | None, text: str) -> None:
    assert times(ratio) == text


@pytest.mark.parametrize(("value", "text"), [(9.34e7, "93.4M"), (1_270, "1.27k"), (412, "412"), (999_600, "1M")])
def test_number(value: float, text: str) -> None:
    assert number(value) == text


@pytest.mark.parametrize(
    ("n_bytes", "text"), [(12, "12 B"), (65_536, "64 KiB"), (1.5 * 2**20, "1.5 MiB"), (1023 * 1024, "1,023 KiB")]
)
def test_size(n_bytes: float, text: str) -> None:
    assert size(n_bytes) == text


def test_memory_is_in_the_unit_of_the_logged_metrics() -> None:
    assert (megabytes(1_234_500_000), megabytes(None)) == ("1,234 MB", "-")


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0.9712, "97.1 %"),
        (1, "100.0 %"),
        (0, "0.0 %"),
        (-0.0, "0.0 %"),
        (3_999 / 4_000, "99.98 %"),
        (1 / 4_000, "0.03 %"),
        (0.00066, "0.07 %"),
        (-1 / 4_000, "-0.03 %"),
        (1 - 1e-9, "> 99.9999 %"),
        (1e-9, "< 0.0001 %"),
        (1.0004, "100.04 %"),
        (None, "-"),
    ],
)
def test_percent(share: float | None, text: str) -> None:
    assert percent(share) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.9712, "0.971"),
        (1, "1.000"),
        (0, "0.000"),
        (0.9998, "0.9998"),
        (0.0004, "0.0004"),
        (1.23456, "1.235"),
        (2.1e-9, "2.1e-09"),
        (1 - 1e-9, "> 0.999999"),
    ],
)
def test_a_score(value: float, text: str) -> None:
    assert score(value) == text


@pytest.mark.parametrize("write", [number, times, rate, seconds, percent, score, size, megabytes])
def test_what_is_no_finite_number_is_written_so(write: Callable[[float | None], str]) -> None:
    assert [write(value) for value in (math.nan, math.inf, -math.inf, None)] == ["nan", "inf", "-inf", "-"]


def test_percent_without_decimals() -> None:
    assert (percent(0.03, 0), percent(0.996, 0)) == ("3 %", "99.6 %")


@given(right=st.integers(0, 10**9), total=st.integers(1, 10**9), digits=st.integers(0, 2))
def test_only_all_is_written_as_all_and_only_none_as_none(right: int, total: int, digits: int) -> None:
    right = min(right, total)
    text = percent(right / total, digits)
    shown = float(re.sub(r"[<> %]", "", text))
    assert (shown == 100) == (right == total)
    assert (shown == 0) == (right == 0)
    assert abs(shown - 100 * right / total) <= 0.5 * 10.0**-digits


@given(value=st.floats(0, 1e18))
def test_no_number_is_written_with_an_exponent(value: float) -> None:
    assert not re.search(r"e\+", seconds(value) + rate(value) + times(value) + number(value) + size(value))


@pytest.mark.parametrize(("text", "value"), [("0", 0), ("0042", 42), ("9" * 18, 10**18 - 1)])
def test_a_whole_number(text: str, value: int) -> None:
    assert whole(text) == value


@pytest.mark.parametrize("text", ["", "-1", "+1", " 1", "1.0", "²", "٣", "1_000", "9" * 19, "none"])
def test_what_writes_no_whole_number(text: str) -> None:
    assert whole(text) is None

"""Numbers as people read them."""

import pytest

from vecml.report.format import count, percent, rate, seconds, times


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (8.2e-4, "820 µs"),
        (0.01234, "12.3 ms"),
        (4.561, "4.56 s"),
        (99.4, "99.4 s"),
        (99.6, "1 min 40 s"),
        (200, "3 min 20 s"),
    ],
)
def test_seconds(value: float, text: str) -> None:
    assert seconds(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(950, "950 row/s"), (35_210, "35.2 krow/s"), (2.125e8, "212 Mrow/s"), (3.14159e6, "3.14 Mrow/s")],
)
def test_rate(value: float, text: str) -> None:
    assert rate(value) == text


def test_percent_and_count() -> None:
    assert percent(0.9712) == "97.1 %"
    assert (count(1, "row"), count(1_000, "row")) == ("1 row", "1,000 rows")


@pytest.mark.parametrize(("ratio", "text"), [(3.7249, "3.72"), (0.1, "0.10"), (0.00083, "0.00083"), (1193.8, "1,194")])
def test_times(ratio: float, text: str) -> None:
    assert times(ratio) == text

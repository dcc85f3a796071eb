"""What a verdict shows of a demand: met, missed, or neither; and what `--fail-if` takes."""

import pytest

from vecml.comparison.demand import Demand, answer, demand_of
from vecml.errors import SettingError
from vecml.measure.verdict import Verdict, Word

EQUAL = {"least": 1.0, "equal_will_do": True}


def verdict(word: Word | None, ratio: float | None, low: float | None = None, high: float | None = None) -> Verdict:
    return Verdict("new", "old", 0, word, "so", ratio, low, high)


@pytest.mark.parametrize(
    ("demand", "found", "expected"),
    [
        (Demand(), verdict("faster", 1.3, 1.2, 1.4), True),
        (Demand(), verdict("slower", 0.8, 0.7, 0.9), False),
        (Demand(), verdict("equivalent", 1.0, 0.99, 1.01), False),
        (Demand(), verdict("undetected", 1.04, 1.01, 1.07), None),
        (Demand(), verdict("busy", 1.3, 1.2, 1.4), None),
        (Demand(), verdict("invalid", 1.3, 1.2, 1.4), None),
        (Demand(), verdict(None, 1.3), None),
        (Demand(), verdict("invalid", None), None),
        (Demand(1.2), verdict("faster", 1.3, 1.2, 1.4), True),
        (Demand(1.2), verdict("faster", 1.2, 1.1, 1.3), None),
        (Demand(1.2), verdict("faster", 1.18, 1.17, 1.19), None),  # within the gate of 5 %
        (Demand(1.2), verdict("faster", 1.1, 1.05, 1.15), False),
        (Demand(1.2), verdict("equivalent", 1.0, 0.99, 1.01), False),
        (Demand(1.2), verdict("undetected", 1.0, 0.5, 2.0), None),
        (Demand(**EQUAL), verdict("equivalent", 1.0, 0.99, 1.01), True),
        (Demand(**EQUAL), verdict("faster", 1.3, 1.2, 1.4), True),
        (Demand(**EQUAL), verdict("slower", 0.8, 0.7, 0.9), False),
        (Demand(**EQUAL), verdict("undetected", 0.97, 0.9, 1.04), None),
        (demand_of("slower:5%"), verdict("slower", 0.8, 0.7, 0.9), False),
        (demand_of("slower:50%"), verdict("slower", 0.8, 0.7, 0.9), True),
        (demand_of("slower:5%"), verdict("undetected", 1.0, 0.97, 1.03), True),
        (demand_of("slower:5%"), verdict("slower", 0.93, 0.92, 0.94), None),
    ],
)
def test_what_a_verdict_shows(demand: Demand, found: Verdict, expected: bool | None) -> None:
    assert answer(demand, found, 0.05) is expected


def test_forms() -> None:
    assert demand_of("slower") == Demand(1.0, equal_will_do=True)
    assert demand_of("not-faster") == Demand(1.0)
    assert demand_of("slower:25%") == Demand(0.8, equal_will_do=True)


@pytest.mark.parametrize(
    "text", ["faster", "slower:", "slower:5", "slower:0%", "slower:-5%", "slower:x%", "not-faster:1%", ""]
)
def test_forms_that_cannot_be(text: str) -> None:
    with pytest.raises(SettingError) as caught:
        demand_of(text)
    assert caught.value.message == f"--fail-if {text}: none of slower, slower:5% or not-faster"

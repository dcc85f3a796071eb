"""The table of commands and functions: seconds a call, what the kernel counted, and what the lines below it tell."""

from dataclasses import replace
from typing import Any

import pytest

from tests.made_comparison import comparison_of
from tests.measure.made_claims import family_of
from tests.measure.made_verdicts import arm as made_arm
from vecml.comparison.comparison import ArmFigures, Comparison, Subject
from vecml.comparison.comparison import figures as figures_of
from vecml.comparison.starts import PRICE
from vecml.report import calls


def commands(*arms: Any) -> Comparison:
    found = comparison_of({"one": 1e-3, "two": 2e-3})
    measured = replace(found.measured, arms=(*found.measured.arms, *arms))
    return replace(found, settings={}, subject=Subject("commands", 1), measured=measured)


def figures(name: str, per_second: float | None, **facts: Any) -> ArmFigures:
    return ArmFigures(name, None, None, None, per_second, peak_rss_bytes=1_480_000, facts=facts)


def test_a_row_says_seconds_and_what_the_kernel_counted() -> None:
    one = figures("one", 80.0, user_seconds=0.011, system_seconds=0.0019)
    assert calls.headings(commands()) == (
        *("command", "time", "ratio", "interval", "verdict", "user", "system", "memory"),
    )
    row = calls.row(one, commands(), ("1", "-"), "baseline")
    assert row == ("one", "12.5 ms", "1", "-", "baseline", "11 ms", "1.9 ms", "1.5 MB")
    nothing = calls.row(figures("none", None), commands(), ("-", "-"), "invalid")
    assert nothing[1:7] == ("-", "-", "-", "invalid", "-", "-")


def test_what_the_table_does_not_say_is_told() -> None:
    found = {
        "one": figures("one", 100.0, exit_codes=[0, 3], left_processes=2),
        "two": figures("two", 10.0, exit_codes=[0], left_processes=0),
    }
    assert calls.remarks(commands(), found) == [
        "one: its exit code was 3 at times, which was to be ignored",
        "one: its starts left 2 processes behind, which were ended",
    ]


def test_what_starts_used_and_how_they_ended_is_of_all_launches() -> None:
    """Only the first launch had a start that failed, and the fresh launches one that left a process behind."""
    ended = [
        {"starts": 10, "user_seconds": 0.2, "system_seconds": 0.01, "exit_codes": [0, 3], "left_processes": 0},
        {"starts": 30, "user_seconds": 0.1, "system_seconds": 0.03, "exit_codes": [0], "left_processes": 1},
    ]

    def with_facts(arm: Any) -> Any:
        launches = zip(arm.launches, [ended[0], *[ended[1]] * (len(arm.launches) - 1)], strict=True)
        return replace(arm, launches=tuple(replace(one, facts=facts) for one, facts in launches))

    found = commands()
    arms = tuple(with_facts(arm) if arm.role != "limit" else arm for arm in found.measured.arms)
    again = replace(found.measured, arms=tuple(arm for arm in arms if arm.name == "two"))
    comparison = replace(found, measured=replace(found.measured, arms=arms), alone=again)
    one, two = figures_of(comparison)
    launches = len(arms[0].launches)
    starts = 10 + 30 * (launches - 1)
    assert one.facts["starts"] == starts
    assert one.facts["user_seconds"] == pytest.approx((2 + 3 * (launches - 1)) / starts)
    assert one.facts["exit_codes"] == [0, 3]
    assert (one.facts["left_processes"], two.facts["left_processes"]) == (launches - 1, 2 * (launches - 1))


@pytest.mark.parametrize(
    ("price", "told"),
    [
        (0.0002, []),
        (0.002, ["starting any process takes 2 ms here, which is 20 % of the time of one"]),
        (0.012, ["starting any process takes 12 ms here, which is nearly all of the time of one"]),
    ],
)
def test_the_price_of_a_start_is_told_where_it_matters(price: float, told: list[str]) -> None:
    comparison = commands(made_arm(PRICE, [[price] * 3], "limit"))
    assert calls.remarks(comparison, {"one": figures("one", 100.0), "two": figures("two", 10.0)}) == told


def test_the_fastest_function_is_named_for_each_input() -> None:
    families = [
        family_of([kind], baseline=f"loop ({size})", arms=(f"fast ({size})",))
        for size, kind in (("small", "slower"), ("large", "faster"), ("odd", "undetected"), ("lost", "invalid"))
    ]
    arms = {
        f"{name} ({size})": figures(f"{name} ({size})", 1.0, function=name, size=size)
        for name in ("loop", "fast")
        for size in ("small", "large", "odd", "lost")
    }
    assert calls.by_size(families, arms) == [
        "fastest by input: small: loop; large: fast; odd: fast or loop; lost: no answer"
    ]
    assert calls.by_size(families[:1], arms) == []
    assert calls.by_size(families[3:] * 2, arms) == []
    assert calls.by_size(families, {name: figures(name, 1.0) for name in arms}) == []

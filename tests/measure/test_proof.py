"""The protocol keeps its promises on simulated machines whose truth is known; and each mutation of it is caught.

The comparisons are seeded: the same counts each time; 600 of them here, and all 5,000 in `make test-long`. A mutation
that these figures let through would be one that the proof cannot see.
"""

import dataclasses
import math
import statistics
from collections.abc import Iterator, Sequence
from random import Random

import numpy as np
import pytest

from vecml.comparison.budget import AUTO_FIRST
from vecml.measure import coordinator
from vecml.measure.coordinator import measure
from vecml.measure.pairs import Pairs, paired
from vecml.measure.proof import (
    MOST_FALSE_ALARMS,
    PLAN,
    SLOW_CHANCE,
    Figure,
    Tally,
    bias,
    coverage,
    false_alarms,
    found,
    large_verdicts,
    prove,
    simulate,
)
from vecml.measure.records import Arm, Measured, Plan
from vecml.measure.simulation import Machine, Noise
from vecml.measure.verdict import Rules, judge

MUTATED = 500
SOME = 600


@pytest.fixture(scope="module")
def figures() -> list[Figure]:
    """All of the simulated part, over fewer comparisons than `vecml qualify` counts."""
    return prove(SOME)


def missed(figures: Sequence[Figure]) -> list[str]:
    """The figures whose value is not within its target."""
    return [f"{figure.what}: {figure.value:.4f}" for figure in figures if figure.status != "met"]


def test_every_target_is_met(figures: list[Figure]) -> None:
    assert missed(figures) == []


@pytest.mark.long
@pytest.mark.timeout(900)
def test_every_target_is_met_at_full_size() -> None:
    figures = prove()
    assert [figure.count for figure in figures[:7]] == [5_000] * 7
    assert missed(figures) == []


def test_nothing_of_the_table_is_missing(figures: list[Figure]) -> None:
    kinds = [figure.what.rpartition(": ")[2] for figure in figures]
    assert kinds == [
        "false alarms",
        "coverage",
        "false verdicts of 5 % or more",
        "bias of the ratio",
        "false alarms",
        "coverage",
        "false verdicts of 5 % or more",
        "found",
        "bias of the ratio",
    ]
    assert [figure.count for figure in figures[:7]] == [SOME] * 7


def test_slow_launches_were_there_and_were_replaced() -> None:
    """A tenth of the workers being slow is no small thing: of launches with two it spoils every fifth."""
    machine = Machine(Noise(slow_chance=SLOW_CHANCE, step_chance=0.0, drift=0.0), Random(3))
    measured = measure(
        [[Arm("a", "", role="baseline"), Arm("b", "")]],
        dataclasses.replace(PLAN, launches=20),
        machine,
        clock=machine.clock,
        random=machine.random,
    )
    assert measured.launches == 20
    assert 1 <= len(measured.replaced) <= 20


def fixed_order(arms: list[int], random: Random) -> Iterator[list[int]]:
    while True:
        yield list(arms)


def test_a_fixed_order_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coordinator, "balanced_rounds", fixed_order)
    tally = simulate(MUTATED, Noise())
    assert false_alarms("", tally, None).status == "missed"


def pooled(self: Pairs) -> dict[int, float]:
    return dict(enumerate(self.log_ratio_N.tolist()))


def test_pooled_launches_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the rounds of a real launch, where what processes differ by is no longer small beside the blocks' noise."""
    plan = dataclasses.replace(PLAN, rounds=30)
    assert false_alarms("", simulate(MUTATED // 2, Noise(), plan=plan), None).status != "missed"
    monkeypatch.setattr(Pairs, "estimates", pooled)
    assert false_alarms("", simulate(MUTATED // 2, Noise(), plan=plan), None).status == "missed"


def peeking(groups: Sequence[Sequence[Arm]], plan: Plan, machine: Machine) -> Measured:
    """Stop as soon as the interval excludes 1."""

    def significant(measured: Measured) -> bool:
        verdict = judge(measured, Rules())[0].verdicts[0]
        low, high = verdict.ratio_low, verdict.ratio_high
        return low is not None and high is not None and not low <= 1 <= high

    longer = dataclasses.replace(plan, launches=3, most_launches=15)
    return measure(groups, longer, machine, clock=machine.clock, random=machine.random, enough=significant)


def test_peeking_is_caught() -> None:
    tally = simulate(MUTATED // 4, Noise(), run=peeking)
    assert false_alarms("", tally, None).status == "missed"


def test_stopping_at_a_width_is_no_peeking() -> None:
    """What `--budget auto` does instead keeps the level."""
    from vecml.measure.verdict import narrow_enough

    def auto(groups: Sequence[Sequence[Arm]], plan: Plan, machine: Machine) -> Measured:
        longer = dataclasses.replace(plan, launches=AUTO_FIRST, most_launches=20)
        return measure(
            groups,
            longer,
            machine,
            clock=machine.clock,
            random=machine.random,
            enough=lambda seen: narrow_enough(seen, Rules()),
        )

    tally = simulate(MUTATED // 2, Noise(), run=auto)
    assert false_alarms("", tally, None).status in ("met", "undecided")
    assert coverage("", tally, None).status in ("met", "undecided")


def gate_of(shared: frozenset[str], comparisons: int = 200) -> float:
    """The A/A gate that a qualification would find: the 95th percentile of |estimate| of the null arm."""
    estimates = []
    group = [Arm("a", "", role="baseline"), Arm("a'", "", role="null"), Arm("b", "")]
    for number in range(comparisons):
        machine = Machine(Noise(process=0.05), Random(f"gate {number}"), shared=shared)
        measured = measure([group], PLAN, machine, clock=machine.clock, random=machine.random)
        baseline, null = measured.arms[0], measured.arms[1]
        estimates.append(abs(statistics.fmean(paired(baseline, null, ()).estimates().values())))
    return float(np.quantile(estimates, 0.95))


def test_both_null_copies_in_one_process_are_caught() -> None:
    """The gate then misses what processes differ by of themselves: it falls below the spread that was planted."""
    planted = 1.96 * 0.05 * math.sqrt(2 / PLAN.launches)
    assert gate_of(frozenset()) > 0.85 * planted
    assert gate_of(frozenset({"a", "a'"})) < 0.5 * planted


def test_a_planted_difference_is_no_false_alarm() -> None:
    tally = simulate(200, Noise(), planted=0.5)
    assert tally.alarms == 200
    assert tally.found + tally.invalid >= 198  # one in a hundred may be not steady by chance, or have rare slow calls
    assert coverage("", tally, None).value > 0.9


def test_what_a_figure_says_of_its_target() -> None:
    def status(value: float, low: float, high: float, least: float | None, most: float | None) -> str:
        return Figure("", value, low, high, least, most, 10).status

    assert status(0.05, 0.04, 0.06, None, 0.069) == "met"
    assert status(0.08, 0.07, 0.09, None, 0.069) == "missed"
    assert status(0.08, 0.06, 0.09, None, 0.069) == "undecided"
    assert status(0.92, 0.90, 0.94, 0.93, None) == "undecided"
    assert status(0.92, 0.90, 0.925, 0.93, None) == "missed"
    assert status(0.92, 0.90, 0.94, None, None) == "no target"


def test_the_tally_counts_what_it_says() -> None:
    from vecml.measure.verdict import Verdict

    tally = Tally(truth=math.log(1.1))
    tally.add(Verdict("b", "a", 0, "faster", "", 1.12, 1.08, 1.16))
    tally.add(Verdict("b", "a", 0, "undetected", "", 1.01, 0.98, 1.05))
    tally.add(Verdict("b", "a", 0, "slower", "", 0.9, 0.85, 0.95))
    tally.add(Verdict("b", "a", 0, "invalid", "it died"))
    assert (tally.comparisons, tally.alarms, tally.covered, tally.large, tally.found) == (3, 2, 1, 2, 1)
    assert false_alarms("x", tally, None).value == 2 / 3
    assert false_alarms("x", tally, None).most == MOST_FALSE_ALARMS
    assert large_verdicts("x", tally).value == 2
    assert found("x", tally).value == 1 / 3
    assert bias("x", tally).value == pytest.approx((1.12 * 1.01 * 0.9) ** (1 / 3) / 1.1 - 1)

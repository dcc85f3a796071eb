"""Verdicts on machines that others use: simulated, with a truth that is known, and with mutations that must be caught.

The comparisons are seeded: the same counts each time; some dozens here, and 5,000 of a kind in `make test-long`.
"""

import math

import pytest

from vecml.measure.context import Counters, window
from vecml.measure.load import mean_load
from vecml.measure.proof import MOST_FALSE_ALARMS, Tally, simulate
from vecml.measure.records import Plan, Window
from vecml.measure.simulation import Contention, Noise

SOME = 60
PLAN = Plan(launches=5, budget_seconds=None, rounds=9)
LONGER = Plan(launches=5, budget_seconds=None, rounds=24)
# by name: what others do, the CPUs that both arms need, and the plan
ALIKE = {
    "one of two CPUs always": (Contention(), (2, 2), PLAN),
    "both CPUs always": (Contention(foreign_cpus=2.0), (1, 1), PLAN),
    "half of a CPU always": (Contention(foreign_cpus=0.6), (2, 2), PLAN),
    "a free CPU for each": (Contention(), (1, 1), PLAN),
    "one for four seconds, then none": (Contention(gone_seconds=4.0), (2, 2), LONGER),
    "one for a second, then none for three": (Contention(there_seconds=1.0, gone_seconds=3.0), (2, 2), LONGER),
}


def of(kind: str, comparisons: int, *, planted: float = 0.0) -> Tally:
    contention, cpus, plan = ALIKE[kind]
    return simulate(comparisons, Noise(), contention=contention, cpus=cpus, plan=plan, planted=planted)


@pytest.mark.parametrize("kind", ALIKE)
def test_the_same_code_is_seldom_called_different(kind: str) -> None:
    tally = of(kind, SOME)
    assert tally.comparisons == SOME
    allowed = MOST_FALSE_ALARMS + 2 * math.sqrt(MOST_FALSE_ALARMS / SOME)  # two standard errors of so few comparisons
    assert tally.alarms / tally.comparisons <= allowed


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("kind", ALIKE)
def test_the_same_code_is_seldom_called_different_at_full_size(kind: str) -> None:
    tally = of(kind, 5_000)
    assert tally.alarms / tally.comparisons <= MOST_FALSE_ALARMS


@pytest.mark.parametrize("kind", ["one of two CPUs always", "both CPUs always", "half of a CPU always"])
def test_a_busy_machine_gets_a_verdict_with_its_condition(kind: str) -> None:
    tally = of(kind, SOME, planted=1.0)
    assert tally.busy >= 0.95 * SOME
    assert tally.found >= 0.9 * SOME
    assert (tally.wrong, tally.wrong_while_busy) == (0, 0)


def test_a_machine_that_is_quiet_at_times_gets_one_without() -> None:
    tally = of("one for a second, then none for three", SOME, planted=0.3)
    assert tally.busy <= 0.05 * SOME
    assert tally.found >= 0.9 * SOME
    assert tally.wrong == 0


OF_OTHER_WIDTH = [Contention(gone_seconds=4.0), Contention(there_seconds=1.0, gone_seconds=3.0), Contention()]


@pytest.mark.parametrize("contention", OF_OTHER_WIDTH)
def test_an_arm_that_needs_more_cpus_is_not_called_slower_without_the_condition(contention: Contention) -> None:
    """Both take the same time on a quiet machine; while others use a CPU, the wide one is slower indeed."""
    tally = simulate(SOME, Noise(), contention=contention, cpus=(1, 2), plan=LONGER)
    assert tally.wrong == 0


def test_a_verdict_that_forgets_the_load_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """The mutation: no round counts as disturbed, so that the wide arm is called slower, without a condition."""
    monkeypatch.setattr("vecml.measure.pairs.disturbance", lambda *_arguments: None)
    tally = simulate(50, Noise(), contention=Contention(), cpus=(1, 2), plan=PLAN)
    assert tally.wrong > 25


# ---- the load in figures and words ----


def seen(seconds: float = 1.0, **figures: float | None) -> Window:
    columns = {"steal_share": 0.0, "throttled_seconds": 0.0, "foreign_cpus": 0.0} | figures
    return Window(0, 0, 0, 3, seconds, **columns, usable_cpus=2)  # type: ignore[arg-type]


def test_the_mean_load_weighs_each_window_with_its_time() -> None:
    load = mean_load([seen(1.0, foreign_cpus=1.0, throttled_seconds=0.5), seen(3.0, foreign_cpus=0.2)])
    assert load.foreign_cpus == pytest.approx(0.4)
    assert load.throttled_share == pytest.approx(0.125)
    assert load.steal_share == 0.0


@pytest.mark.parametrize(
    ("figures", "words"),
    [
        ({"foreign_cpus": 0.93}, "others used 0.9 of 2 CPUs"),
        ({"steal_share": 0.25}, "the hypervisor gave 25 % of the CPUs' time to others"),
        ({"throttled_seconds": 0.2}, "a CPU quota held the workers back for 20 % of the time"),
        (
            {"foreign_cpus": 1.0, "steal_share": 0.1},
            "others used 1.0 of 2 CPUs and the hypervisor gave 10 % of the CPUs' time to others",
        ),
        ({"foreign_cpus": None, "steal_share": None, "throttled_seconds": None}, "the machine was disturbed"),
    ],
)
def test_the_load_in_words(figures: dict[str, float | None], words: str) -> None:
    assert mean_load([seen(**figures)]).words == words


def test_counters_may_say_how_many_cpus_can_be_used() -> None:
    before = Counters(0.0, 0.0, 0.0, 0.0, 0.0, usable_cpus=64)
    after = Counters(2.0, 10.0, 6.4, 0.0, 4.0, usable_cpus=64)
    found = window(before, after, 0, 0, 0, 5)
    assert (found.usable_cpus, found.foreign_cpus, found.steal_share) == (64, 3.0, pytest.approx(0.05))

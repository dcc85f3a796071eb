"""The best of seven equal settings is picked and then praised: what its ratio and its interval say, simulated."""

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from tests.measure.made_verdicts import fast, record
from vecml.measure import finals
from vecml.measure.claim import claim_of
from vecml.measure.finals import MOST_FINALISTS, finalists, with_finals
from vecml.measure.records import ArmMeasurement
from vecml.measure.verdict import Family, Rules, Verdict, judge
from vecml.statistics import bonferroni, t_interval

ARMS, LAUNCHES, ROUNDS = 7, 5, 2
COMPARISONS = 250
SD = 0.03  # of a process's own luck, log scale; the baseline has its own in each launch, which all ratios share
TRUTH = math.log(1.3)  # of each of the seven against the baseline, so that one of them is called the fastest

Claimed = tuple[Family, Family, np.ndarray]


def drawn(names: list[str], random: np.random.Generator) -> tuple[list[ArmMeasurement], np.ndarray]:
    """The baseline and these arms, which are all alike, and the logarithms of their rates (arms, launches)."""
    luck_AL = random.normal(0.0, SD, (1 + len(names), LAUNCHES))
    luck_AL[1:] += TRUTH
    roles = ["baseline", *("arm" for _ in names)]
    made = zip(["base", *names], luck_AL, roles, strict=True)
    return [fast(name, list(np.exp(luck_L)), role, rounds=ROUNDS) for name, luck_L, role in made], luck_AL


def compared(seed: int) -> Claimed:
    """The verdicts that pick, those of the fresh launches, and the log-ratios that picked (arms, launches)."""
    random = np.random.default_rng(seed)
    arms, luck_AL = drawn([f"arm {number}" for number in range(1, 1 + ARMS)], random)
    (first,) = judge(record(*arms), Rules())
    chosen = finalists(first)
    assert 1 <= len(chosen) <= MOST_FINALISTS
    (fresh,) = judge(record(*drawn(list(chosen), random)[0]), Rules())
    return first, fresh, luck_AL[1:] - luck_AL[0]


@pytest.fixture(scope="module")
def comparisons() -> list[Claimed]:
    return [compared(seed) for seed in range(COMPARISONS)]


def quoted(family: Family) -> Verdict:
    """The verdict whose figures the sentence has."""
    claim = claim_of(family)
    assert claim.kind in ("fastest", "several")
    return next(one for one in family.verdicts if one.arm == claim.best)


def excess(comparisons: list[Claimed], join: Callable[[Family, Family], Family]) -> tuple[float, float]:
    """How much too high the claimed ratio is on average (log scale), and the share of intervals that hold the truth."""
    found = [quoted(join(first, fresh)) for first, fresh, _ in comparisons]
    covered = sum((one.ratio_low or 0.0) <= math.exp(TRUTH) <= (one.ratio_high or 0.0) for one in found)
    return float(np.mean([math.log(one.ratio or 0.0) - TRUTH for one in found])), covered / len(found)


def check(join: Callable[[Family, Family], Family], comparisons: list[Claimed]) -> None:
    off, covered = excess(comparisons, join)
    assert covered >= 0.94
    assert abs(off) <= 0.005


def test_the_claimed_ratio_is_of_fresh_launches_and_right(comparisons: list[Claimed]) -> None:
    check(with_finals, comparisons)


def test_the_figures_that_picked_it_are_caught(comparisons: list[Claimed]) -> None:
    """The mutation: the winner is praised by the first figures, which are about one standard error too high."""
    with pytest.raises(AssertionError):
        check(lambda first, _fresh: first, comparisons)
    off, covered = excess(comparisons, lambda first, _fresh: first)
    assert 0.01 < off < 0.03
    assert covered >= 0.94  # the level is shared by the seven, and the interval is wide enough for that


def test_the_best_of_the_fresh_figures_is_caught(comparisons: list[Claimed]) -> None:
    """The mutation: of the finalists the one that is best once more is quoted, and is praised too much once more."""
    off, _ = excess(comparisons, lambda first, fresh: replace(with_finals(first, fresh), best=fresh.best))
    assert off > 0.005


def test_an_interval_that_forgets_the_selection_is_caught(comparisons: list[Claimed]) -> None:
    """The mutation: the level is not shared by the seven."""
    assert bonferroni(0.05, ARMS) == pytest.approx(0.05 / 7)
    covered = 0
    for _, _, value_AL in comparisons:
        low, high = t_interval(value_AL[value_AL.mean(axis=1).argmax()], 0.95)
        covered += low <= TRUTH <= high
    assert covered / COMPARISONS < 0.90


# ---- which are finalists, and what their fresh figures say ----


def family_of(ratios: dict[str, float], *, spread: float = 0.01) -> Family:
    """A baseline and arms with these ratios, in five launches that differ by `spread`."""
    lucks = [math.exp(spread * step) for step in (-2, -1, 0, 1, 2)]
    arms = [fast(name, [ratio * luck for luck in lucks]) for name, ratio in ratios.items()]
    (found,) = judge(record(fast("base", [1.0] * 5, "baseline"), *arms), Rules())
    return found


def test_the_finalists_are_those_that_tie_with_the_best() -> None:
    assert finalists(family_of({"a": 1.5, "b": 1.49, "c": 1.2})) == ("a", "b")
    assert finalists(family_of({"a": 1.5, "b": 1.3})) == ("a",)
    assert finalists(family_of({f"arm {number}": 1.5 + number / 1_000 for number in range(6)})) == (
        "arm 5", "arm 4", "arm 3", "arm 2",
    )  # fmt: skip


def test_there_is_no_finalist_where_nothing_was_picked() -> None:
    assert finalists(family_of({"a": 1.5})) == ()  # one ratio of two settings is no choice
    assert finalists(family_of({"a": 0.5, "b": 0.4})) == ()  # the baseline is the fastest: no ratio is told of it


def test_verdicts_of_finalists_are_of_the_fresh_launches_alone() -> None:
    first, fresh = family_of({"a": 1.5, "b": 1.49, "c": 1.2}), family_of({"a": 1.4, "b": 1.39})
    joined = with_finals(first, fresh)
    assert {one.arm: round(one.ratio or 0, 2) for one in joined.verdicts} == {"a": 1.4, "b": 1.39, "c": 1.2}
    assert {one.arm: round(one.ratio or 0, 2) for one in joined.first} == {"a": 1.5, "b": 1.49}
    assert (joined.best, joined.tied) == ("a", ("a", "b"))
    assert claim_of(joined).among == ("a", "b")


def test_a_tie_without_room_for_fresh_launches_stays_one() -> None:
    first = family_of({f"arm {number}": 1.5 + number / 1_000 for number in range(6)})
    joined = with_finals(first, family_of({"arm 5": 1.5, "arm 4": 1.5, "arm 3": 1.2, "arm 2": 1.2}))
    assert claim_of(joined).among == ("arm 0", "arm 1", "arm 4", "arm 5")


def test_another_finalist_that_is_certainly_faster_afresh_is_quoted() -> None:
    joined = with_finals(family_of({"a": 1.5, "b": 1.49, "c": 1.2}), family_of({"a": 1.3, "b": 1.6}))
    assert claim_of(joined).fastest == "b"


def test_fresh_launches_that_do_not_count_change_nothing() -> None:
    first, fresh = family_of({"a": 1.5, "b": 1.49, "c": 1.2}), family_of({"a": 1.4, "b": 1.39})
    spoiled = replace(fresh, verdicts=(fresh.verdicts[0], replace(fresh.verdicts[1], verdict="busy")))
    assert with_finals(first, spoiled) == first
    assert with_finals(first, None) == first


def test_one_that_is_invalid_altogether_leaves_the_others_their_fresh_figures() -> None:
    """Its command failed afresh, say, so that it is invalid in the whole comparison."""
    times = {"a": 1.5, "b": 1.49, "c": 1.2}
    first, fresh = family_of(times), family_of({"a": 1.4, "b": 1.39})
    failed = [replace(one.verdicts[0], verdict="invalid", reason="it failed") for one in (first, fresh)]
    first = replace(first, verdicts=(failed[0], *first.verdicts[1:]), best="b", tied=("b",))
    fresh = replace(fresh, verdicts=(failed[1], fresh.verdicts[1]), best="b", tied=("b",))
    joined = with_finals(first, fresh)
    assert {one.arm: round(one.ratio or 0, 2) for one in joined.verdicts} == {"a": 1.5, "b": 1.39, "c": 1.2}
    assert [one.arm for one in joined.first] == ["b"]
    assert claim_of(joined).fastest == "b"


def test_a_finalist_that_is_not_faster_any_more_leaves_no_answer() -> None:
    """The third was faster than the baseline by the first figures, which put the finalist before it."""
    joined = finals.with_finals(family_of({"a": 1.5, "b": 1.2}), family_of({"a": 1.0}))
    said = claim_of(joined)
    assert (said.kind, said.best) == ("nothing", None)
    assert said.reason == "measured afresh, a was not faster than base, as it had been at first"
    assert claim_of(with_finals(family_of({"a": 1.5, "b": 1.0}), family_of({"a": 1.0}))).kind == "unsurpassed"

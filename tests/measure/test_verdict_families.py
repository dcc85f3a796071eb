"""Verdicts of several arms: rare slow calls, the null arm, the shared level, the best and its ties, when to stop."""

import math
from dataclasses import asdict
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from tests.measure.made_verdicts import (
    RATIOS,
    ROUNDS,
    RULES,
    SPREAD,
    UNSURE,
    arm,
    base,
    detectable,
    family,
    fast,
    interval,
    null,
    record,
    verdict_of,
    window,
)
from vecml.measure.claim import claim_of
from vecml.measure.records import ArmMeasurement, Measured, Plan
from vecml.measure.verdict import Rules, judge, narrow_enough
from vecml.numbers import percent

# ---- rare slow calls ----


def with_slow(ratio: float, factor: float, role: str = "arm", launches: int = 5) -> ArmMeasurement:
    """`ratio` times as fast as one second, but for one call of ten, which takes `factor` times as long."""
    rounds = [1 / ratio] * 4 + [factor / ratio] + [1 / ratio] * 5
    return arm("base" if role == "baseline" else "other", [rounds] * launches, role)


def test_an_arm_whose_rare_slow_calls_take_its_gain_away_is_not_faster() -> None:
    found = verdict_of(base(), with_slow(1.5, 6.5))  # a call of ten takes 6.5 times as long: the mean call 1.55 times
    assert found.verdict == "undetected"
    assert found.reason == (
        "it has rare slow calls: by the median it is 1.500 times as fast, but the mean call is 55.0 % above that"
    )
    assert found.ratio == pytest.approx(1.5, rel=1e-12)


def test_nor_slower_than_a_baseline_whose_rare_slow_calls_cost_as_much() -> None:
    found = verdict_of(with_slow(1.0, 6.5, "baseline"), fast("other", [1 / 1.5] * 5))
    assert found.verdict == "undetected"
    assert found.reason == (
        "the baseline has rare slow calls: by the median it is 0.667 times as fast,"
        " but the mean call is 55.0 % above that"
    )


def test_a_gain_that_the_mean_call_shows_too_is_one_and_both_are_told() -> None:
    found = verdict_of(base(), with_slow(1.5, 2.0))
    assert found.verdict == "faster"
    assert "it has rare slow calls, and by the mean call it is 1.364 times as fast (1.364 to 1.364)" in found.reason
    back = verdict_of(with_slow(1.0, 2.0, "baseline"), fast("other", [1 / 1.5] * 5))
    assert back.verdict == "slower"
    assert "the baseline has rare slow calls, and by the mean call it is 0.733 times as fast" in back.reason


@pytest.mark.parametrize(("factor", "told"), [(1.19, False), (1.21, True)])
def test_rare_slow_calls_may_cost_two_percent(factor: float, told: bool) -> None:
    assert ("rare slow calls" in verdict_of(base(), with_slow(1.5, factor)).reason) == told
    slower = verdict_of(with_slow(1.0, factor, "baseline"), fast("other", [1 / 1.5] * 5))
    assert ("rare slow calls" in slower.reason) == told


@pytest.mark.parametrize(("left", "word"), [(1.04, "undetected"), (1.06, "faster")])
def test_what_the_mean_call_leaves_of_a_gain_has_to_be_beyond_the_gate(left: float, word: str) -> None:
    factor = 1 + 10 * (1.5 / left - 1)
    assert verdict_of(base(), with_slow(1.5, factor)).verdict == word


def test_a_mean_call_that_differs_from_launch_to_launch_shows_nothing() -> None:
    factors = (4.0, 7.0, 4.0, 7.0, 5.5)
    rounds = [[1 / 1.5] * 4 + [factor / 1.5] + [1 / 1.5] * 5 for factor in factors]
    found = verdict_of(base(), arm("other", rounds, "arm"))
    assert (found.verdict, found.ratio) == ("undetected", pytest.approx(1.5))


def test_rare_slow_calls_that_only_strengthen_a_verdict_do_not_hinder_it() -> None:
    assert verdict_of(base(), with_slow(1 / 1.5, 2.0)).verdict == "slower"
    assert verdict_of(with_slow(1.0, 2.0, "baseline"), fast("other", [1.5] * 5)).verdict == "faster"


def test_rare_slow_calls_of_both_are_the_machines() -> None:
    assert verdict_of(with_slow(1.0, 2.0, "baseline"), with_slow(1.5, 2.0)).verdict == "faster"
    assert verdict_of(with_slow(1.0, 2.0, "baseline"), with_slow(1.5, 7.5)).verdict == "undetected"


def test_a_slow_call_in_a_disturbed_round_is_no_slow_call_of_the_arms() -> None:
    windows = [window(launch, 4, 4, steal_share=0.5) for launch in range(5)]
    assert verdict_of(base(), with_slow(1.5, 2.0), windows=windows).verdict == "faster"


# ---- the null arm ----

FALSE_COPY = (1.101, 1.099, 1.100, 1.102, 1.098)


def test_a_null_arm_that_differs_condemns_its_group_and_no_other() -> None:
    found = family(
        base(),
        null(FALSE_COPY),
        fast("one", SPREAD),
        base(group=1),
        null([1.0] * 5, group=1),
        fast("two", SPREAD, group=1),
    )
    p = stats.ttest_1samp(np.log(FALSE_COPY), 0).pvalue
    assert p < 0.001
    one, two = found.verdicts
    assert one.verdict == "invalid"
    assert one.reason == (
        f"the baseline's own copy came out 1.100 times as fast as the baseline (p {p:.1g}):"
        " this machine cannot be trusted now"
    )
    assert two.verdict == "faster"
    assert (found.best, found.tied) == ("two", ("two",))


@pytest.mark.parametrize(
    ("ratios", "why"),
    [
        ((1.0291, 1.0289, 1.0290, 1.0292, 1.0288), "surely, but by less than matters"),
        ((1.2, 1.05, 1.15, 1.1, 1.02), "by a lot, but not so surely"),
        ((1.0, 1.01, 0.99, 1.0, 1.0), "not at all"),
        ((1.1, 1.1), "in too few launches"),
    ],
)
def test_a_null_arm_that_does_not_differ_so_surely_or_so_much_condemns_nothing(
    ratios: tuple[float, ...], why: str
) -> None:
    assert family(base(), null(ratios), fast("one", SPREAD)).verdicts[0].verdict == "faster", why


@pytest.mark.parametrize("factor", [1.1, 1 / 1.1])
def test_a_null_arm_may_differ_to_either_side(factor: float) -> None:
    (found,) = family(base(), null([factor] * 5), fast("one", SPREAD)).verdicts
    assert found.reason == (
        f"the baseline's own copy came out {factor:.3f} times as fast as the baseline (p 0):"
        " this machine cannot be trusted now"
    )


def test_a_null_arm_that_is_invalid_itself_condemns_nothing() -> None:
    failed = family(base(), null(FALSE_COPY, failure="it hung"), fast("one", SPREAD))
    assert failed.verdicts[0].verdict == "faster"
    assert [(one.verdict, one.reason) for one in failed.null_verdicts] == [("invalid", "it hung")]


def test_the_null_arms_verdict_is_told_and_takes_no_share_of_the_level() -> None:
    with_null = family(base(), null(UNSURE), fast("one", SPREAD), fast("limit", SPREAD, "limit"))
    (copy,) = with_null.null_verdicts
    assert (copy.arm, copy.verdict) == ("base (null arm)", "undetected")
    assert (copy.ratio_low, copy.ratio_high) == pytest.approx(interval(UNSURE), rel=1e-9)
    assert with_null.verdicts == family(base(), fast("one", SPREAD)).verdicts
    assert family(base(), fast("one", SPREAD)).null_verdicts == ()


def test_the_null_level_and_the_equivalence_are_the_rules_own() -> None:
    arms = (base(), null((1.02, 1.021, 1.019, 1.02, 1.02)), fast("one", SPREAD))
    assert family(*arms).verdicts[0].verdict == "faster"
    assert family(*arms, rules=Rules(equivalence=0.01)).verdicts[0].verdict == "invalid"
    assert family(*arms, rules=Rules(equivalence=0.01, null_level=1e-12)).verdicts[0].verdict == "faster"


# ---- several arms ----


@pytest.mark.parametrize("count", [1, 2, 5])
def test_several_arms_share_the_level(count: int) -> None:
    found = family(base(), *[fast(f"arm {number}", UNSURE) for number in range(count)])
    for verdict in found.verdicts:
        low, high = interval(UNSURE, 0.05 / count)
        assert (verdict.ratio_low, verdict.ratio_high) == pytest.approx((low, high), rel=1e-9)
        assert verdict.smallest_detectable == pytest.approx(detectable(UNSURE, 0.05 / count), rel=1e-9)
        assert verdict.reason == (
            f"the interval {low:.3f} to {high:.3f} of the ratio holds 1;"
            f" this could have seen {percent(detectable(UNSURE, 0.05 / count))} or more"
        )


def test_what_one_arm_shows_one_of_many_need_not_show() -> None:
    ratios = (1.22, 1.08, 1.26, 1.06, 1.15)  # p is between 0.05 / 2 and 0.05 / 10
    assert 0.005 < stats.ttest_1samp(np.log(ratios), 0).pvalue < 0.025
    words = {
        count: {verdict.verdict for verdict in family(base(), *[fast(str(at), ratios) for at in range(count)]).verdicts}
        for count in (1, 2, 10)
    }
    assert words == {1: {"faster"}, 2: {"faster"}, 10: {"undetected"}}


def test_equivalence_is_shared_as_well() -> None:
    # the 0.9 interval is within 3 %, the one for ten arms is not
    ratios = (1.018, 0.982, 1.0, 1.012, 0.988)
    assert max(interval(ratios, 0.1)) < 1.03 < max(interval(ratios, 0.1 / 10))
    few, many = (family(base(), *[fast(str(at), ratios) for at in range(count)]) for count in (1, 10))
    assert few.verdicts[0].verdict == "equivalent"
    assert many.verdicts[0].verdict == "undetected"
    near = family(base(), *[fast(str(at), [1.01] * 5) for at in range(10)])
    assert near.verdicts[0].reason == "the 0.99 interval of the ratio, 1.010 to 1.010, lies within 3 % of 1"


def test_arms_of_all_groups_of_a_baseline_share_the_level() -> None:
    found = family(base(), fast("one", SPREAD), base(group=1), fast("two", SPREAD, group=1))
    for verdict in found.verdicts:
        assert (verdict.ratio_low, verdict.ratio_high) == pytest.approx(interval(SPREAD, 0.025), rel=1e-9)
    assert [(verdict.arm, verdict.group) for verdict in found.verdicts] == [("one", 0), ("two", 1)]


def test_p_value_and_interval_agree() -> None:
    ratios = (1.22, 1.08, 1.26, 1.06, 1.15)
    found = family(base(), *[fast(str(at), ratios) for at in range(10)]).verdicts[0]
    assert found.ratio_low is not None
    assert found.p_value is not None
    assert (found.ratio_low <= 1) == (found.p_value >= RULES.level)


def test_every_baseline_has_a_family_of_its_own() -> None:
    large, small = judge(
        record(
            base(name="large"),
            fast("one", SPREAD),
            base(name="small", group=1),
            fast("two", [1 / 1.5] * 5, group=1),
            fast("three", [1.5] * 5, group=1),
        ),
        RULES,
    )
    assert (large.baseline, [verdict.arm for verdict in large.verdicts]) == ("large", ["one"])
    assert (small.baseline, [verdict.arm for verdict in small.verdicts]) == ("small", ["two", "three"])
    assert {verdict.baseline for verdict in small.verdicts} == {"small"}
    # each has a level of its own
    assert large.verdicts[0].ratio_high == pytest.approx(interval(SPREAD)[1], rel=1e-9)
    assert (large.best, small.best) == ("one", "three")


def test_an_arm_is_compared_with_the_copy_of_its_own_group() -> None:
    slow_day = arm("base", [[2.0] * ROUNDS] * 5, "baseline", group=1)
    found = family(base(), fast("one", [2.0] * 5), slow_day, fast("two", [1.0] * 5, group=1))
    assert [verdict.ratio for verdict in found.verdicts] == [2.0, 2.0]


def test_nothing_measured_gives_nothing() -> None:
    assert judge(Measured(Plan(), (), 0), RULES) == ()


# ---- the best ----


def best_of(*arms: ArmMeasurement, **more: Any) -> tuple[str | None, tuple[str, ...]]:
    found = family(*arms, **more)
    return found.best, found.tied


def test_the_best_and_what_cannot_be_told_from_it() -> None:
    one = fast("one", (1.50, 1.52, 1.48, 1.51, 1.49))
    two = fast("two", (1.60, 1.45, 1.55, 1.40, 1.44))
    three = fast("three", SPREAD)
    assert best_of(base(), one, two, three) == ("one", ("one", "two"))
    assert best_of(base(), three, two, one) == ("one", ("two", "one"))  # in the arms' order
    assert best_of(base(), three) == ("three", ("three",))


def test_the_baseline_may_be_the_best_and_comes_first() -> None:
    slower = fast("slower", [1 / ratio for ratio in SPREAD])
    assert best_of(base(), slower) == ("base", ("base",))
    assert best_of(base(), slower, fast("same", [0.999, 1.0, 0.998, 1.0, 0.999])) == ("base", ("base", "same"))
    assert best_of(base(), fast("unsure", UNSURE))[1] == ("base", "unsure")


def test_what_differs_by_less_than_the_gate_is_tied() -> None:
    one, two = fast("one", [1.50] * 5), fast("two", [1.44] * 5)
    assert best_of(base(), one, two) == ("one", ("one", "two"))
    assert best_of(base(), one, two, rules=Rules(gate=0.02)) == ("one", ("one",))


def test_what_differs_by_less_than_matters_is_tied_whatever_the_gate() -> None:
    one, two = fast("one", [1.50] * 5), fast("two", [1.47] * 5)
    assert best_of(base(), one, two, rules=Rules(gate=0.01)) == ("one", ("one", "two"))
    assert best_of(base(), one, two, rules=Rules(gate=0.01, equivalence=0.01)) == ("one", ("one",))


def test_an_arm_with_rare_slow_calls_is_not_the_best_of_several() -> None:
    best, tied = best_of(base(), with_slow(1.8, 2.0), fast("two", [1.5] * 5))
    assert best == "two"
    assert "base" not in tied


def test_invalid_arms_are_neither_best_nor_tied() -> None:
    arms = (base(), fast("failed", [3.0] * 5, failure="it hung"), fast("wrong", [2.0] * 5), fast("good", SPREAD))
    assert best_of(*arms, faults={"wrong": "its labels are wrong"}) == ("good", ("good",))
    assert best_of(*arms[:3], faults={"wrong": "its labels are wrong"}) == ("base", ("base",))


def test_arms_are_told_apart_by_the_launches_that_they_share() -> None:
    """Both are better the later it is; in every launch of both the same one is ahead."""
    rising = np.array([1.2, 1.4, 1.6, 1.8, 2.0])
    one, two = fast("one", rising * 1.10), fast("two", rising)
    assert best_of(base(), one, two) == ("one", ("one",))


def test_with_few_launches_everything_is_tied() -> None:
    arms = (base(2), fast("one", [2.0, 2.0]), fast("two", [1.5, 1.5]))
    assert best_of(*arms, plan=Plan(launches=2)) == ("one", ("base", "one", "two"))


def test_what_differs_by_more_than_the_gate_but_not_surely_is_tied() -> None:
    one, two = fast("one", (3.4, 2.9, 3.6, 2.6, 3.1)), fast("two", (2.7, 3.0, 2.8, 2.9, 2.4))
    assert best_of(base(), one, two) == ("one", ("one", "two"))
    surely = fast("two", (2.9, 2.5, 3.1, 2.2, 2.7))
    assert best_of(base(), one, surely) == ("one", ("one",))


def test_an_arm_with_rare_slow_calls_is_not_better_than_the_baseline() -> None:
    found = family(base(), with_slow(1.5, 6.5))
    assert found.verdicts[0].verdict == "undetected"
    assert "base" in found.tied


def test_one_that_is_faster_by_the_mean_call_too_is_claimed_to_be_no_more_than_that() -> None:
    """Beside an arm without slow calls it may be the fastest, whatever its median says."""
    lone, beside = family(base(), with_slow(1.5, 2.0)), family(base(), with_slow(1.5, 2.0), fast("one", [1.3] * 5))
    assert (claim_of(lone).kind, claim_of(lone).best) == ("fastest", "other")
    assert (claim_of(beside).kind, claim_of(beside).among) == ("several", ("other", "one"))


def test_what_is_equivalent_to_the_baseline_is_tied_with_it() -> None:
    found = family(base(), fast("one", [1.02] * 5), rules=Rules(gate=0.01, gate_source="qualified"))
    assert found.verdicts[0].verdict == "equivalent"
    assert found.tied == ("base", "one")


def test_where_every_group_is_condemned_nothing_is_best() -> None:
    found = family(base(), null(FALSE_COPY), fast("one", SPREAD))
    assert found.verdicts[0].verdict == "invalid"
    assert (found.best, found.tied) == (None, ())


# ---- the same again ----


@given(st.permutations(["one", "two", "base", "nobody"]), st.integers(0, 2**16))
@settings(deadline=None, max_examples=30)
def test_the_same_record_gives_the_same_verdicts_whatever_the_order_of_the_faults(names: list[str], seed: int) -> None:
    random = np.random.default_rng(seed)
    ratios_AL = 1.1 * np.exp(0.1 * random.normal(size=(3, 5)))
    arms = (base(), *(fast(name, ratios_AL[at]) for at, name in enumerate(("one", "two", "three"))))
    faults = {"one": "wrong", "two": "off", "nobody": "not there"}
    ordered = {name: faults[name] for name in names if name in faults}
    assert repr(judge(record(*arms), RULES, ordered)) == repr(judge(record(*arms), RULES, faults))
    assert repr(judge(record(*arms), RULES)) == repr(judge(record(*arms), RULES, {}))


def test_every_verdict_is_plain_values() -> None:
    """No NumPy among them: they go into JSON."""
    found = judge(record(base(), null([1.0] * 5), fast("one", SPREAD), fast("two", UNSURE)), RULES)
    kinds = {
        type(value)
        for one in found
        for verdict in (*one.verdicts, *one.null_verdicts)
        for name, value in asdict(verdict).items()
        if name != "condition"
    }
    assert kinds == {str, int, float, type(None)}


# ---- stopping by width ----


def test_narrow_enough_when_every_interval_is_within_the_equivalence_to_either_side() -> None:
    narrow, wide = (1.201, 1.199, 1.2, 1.2, 1.2), UNSURE
    assert narrow_enough(record(base(), fast("one", narrow)), RULES)
    assert not narrow_enough(record(base(), fast("one", wide)), RULES)
    assert not narrow_enough(record(base(), fast("one", narrow), fast("two", wide)), RULES)


@given(RATIOS, st.integers(-3, 3))
@settings(deadline=None, max_examples=60)
def test_whether_it_is_narrow_enough_does_not_depend_on_who_is_faster(ratios: list[float], power: int) -> None:
    ratios = [1 + 0.03 * math.log(ratio) for ratio in ratios]
    moved = [ratio * 2.0**power for ratio in ratios]
    rules = Rules(equivalence=0.02)
    here, there = (narrow_enough(record(base(len(ratios)), fast("one", values)), rules) for values in (ratios, moved))
    low, high = interval(ratios) if len(set(ratios)) > 1 else (1.0, 1.0)
    half = math.log(high / low) / 2
    if not math.isclose(half, math.log1p(0.02), rel_tol=1e-6):
        assert here == there == (half < math.log1p(0.02))


def test_arms_that_can_have_no_verdict_are_not_waited_for() -> None:
    failed = fast("one", UNSURE, failure="it hung")
    assert narrow_enough(record(base(), failed), RULES)
    assert narrow_enough(record(base(), fast("one", UNSURE)), RULES, {"one": "wrong"})
    assert narrow_enough(record(base(1), fast("one", [1.2]), plan=Plan(launches=1)), RULES)
    assert narrow_enough(record(base(), null(UNSURE)), RULES)

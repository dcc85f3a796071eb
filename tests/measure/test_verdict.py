"""Verdicts over hand-made records with known ratios: every word with its reason, and every figure against SciPy's."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from tests.measure.made_verdicts import (
    RATIOS,
    ROUNDS,
    SPREAD,
    UNSURE,
    arm,
    base,
    detectable,
    family,
    fast,
    geometric,
    interval,
    null,
    only,
    verdict_of,
    window,
)
from vecml.measure.records import Plan
from vecml.measure.verdict import Rules
from vecml.numbers import percent

# ---- figures ----


@given(RATIOS)
@settings(deadline=None, max_examples=50)
def test_ratio_interval_and_p_are_those_of_the_launches_estimates(ratios: list[float]) -> None:
    ratios[0] = 1.25 * ratios[1]  # so that they are not all the same
    found = only(ratios)
    assert found.ratio == pytest.approx(geometric(ratios), rel=1e-9)
    assert (found.ratio_low, found.ratio_high) == pytest.approx(interval(ratios), rel=1e-9)
    assert found.p_value == pytest.approx(stats.ttest_1samp(np.log(ratios), 0).pvalue, rel=1e-6)
    assert found.smallest_detectable == pytest.approx(detectable(ratios), rel=1e-6)
    assert (found.pairs, found.dropped) == (ROUNDS * len(ratios), 0)
    assert (found.arm, found.baseline, found.group) == ("other", "base", 0)


def test_a_launch_counts_once_however_many_pairs_it_has() -> None:
    ratios, rounds = (1.5, 1.2, 1.4), (40, 6, 8)
    seconds = [[1 / ratio] * count for ratio, count in zip(ratios, rounds, strict=True)]
    found = verdict_of(arm("base", [[1.0] * count for count in rounds], "baseline"), arm("other", seconds))
    assert found.ratio == pytest.approx(geometric(ratios), rel=1e-12)
    assert (found.ratio_low, found.ratio_high) == pytest.approx(interval(ratios), rel=1e-9)
    assert found.pairs == 54


def test_a_launchs_estimate_is_that_of_hodges_and_lehmann() -> None:
    # of the ratios 1, 2 and 64 the averages of two are 0, 0.5, 1, 3, 3.5 and 6 octaves: 2 in the middle
    seconds = [[1.0, 1 / 2, 1 / 64]] * 3
    assert verdict_of(base(3, 3), arm("other", seconds)).ratio == pytest.approx(4.0, rel=1e-12)


def test_a_machine_that_drifts_between_the_rounds_changes_no_ratio() -> None:
    speed = [[2.0 ** (launch + number) for number in range(ROUNDS)] for launch in range(5)]
    found = verdict_of(
        arm("base", speed, "baseline"), arm("other", [[taken / 2 for taken in rounds] for rounds in speed])
    )
    assert (found.ratio, found.ratio_low, found.ratio_high, found.p_value) == (2.0, 2.0, 2.0, 0.0)
    assert found.verdict == "faster"


@pytest.mark.parametrize(("gate", "level"), [(0.05, 0.05), (0.0, 0.05), (0.02, 0.01), (0.2, 0.05)])
def test_the_smallest_detectable_difference_is_that_of_the_launches_spread(gate: float, level: float) -> None:
    found = only(SPREAD, Rules(gate=gate, level=level))
    assert found.smallest_detectable == pytest.approx(detectable(SPREAD, level, gate), rel=1e-9)


@given(st.lists(st.tuples(st.floats(0.5, 2.0), st.floats(0.5, 2.0)), min_size=3, max_size=6), st.integers(1, 4))
@settings(deadline=None, max_examples=60)
def test_swapping_baseline_and_arm_inverts_the_ratio(seconds: list[tuple[float, float]], rounds: int) -> None:
    one, other = ([[pair[index]] * rounds for pair in seconds] for index in (0, 1))
    there = verdict_of(arm("one", one, "baseline"), arm("other", other))
    back = verdict_of(arm("other", other, "baseline"), arm("one", one))
    assert back.ratio == pytest.approx(1 / there.ratio, rel=1e-12)
    assert (back.ratio_low, back.ratio_high) == pytest.approx((1 / there.ratio_high, 1 / there.ratio_low), rel=1e-9)
    assert back.p_value == pytest.approx(there.p_value, rel=1e-9, abs=1e-300)
    assert back.smallest_detectable == pytest.approx(there.smallest_detectable, rel=1e-9)
    swapped = {"faster": "slower", "slower": "faster"}
    assert back.verdict == swapped.get(str(there.verdict), there.verdict)


@given(st.lists(st.integers(-8, 8), min_size=3, max_size=8))
@settings(deadline=None, max_examples=60)
def test_swapping_is_exact_where_the_ratios_are(powers: list[int]) -> None:
    one, other = [[1.0] * 4] * len(powers), [[2.0**power] * 4 for power in powers]
    there = verdict_of(arm("one", one, "baseline"), arm("other", other))
    back = verdict_of(arm("other", other, "baseline"), arm("one", one))
    logs = [math.log(found.ratio) for found in (there, back)]
    assert logs[0] == pytest.approx(-logs[1], rel=1e-15, abs=1e-15)
    assert there.p_value == back.p_value
    assert there.smallest_detectable == back.smallest_detectable


# ---- the words ----


def test_faster() -> None:
    found = only(SPREAD)
    low, high = interval(SPREAD)
    assert found.verdict == "faster"
    assert found.reason == (
        f"the interval {low:.3f} to {high:.3f} of the ratio excludes 1, and 1.200 is beyond the A/A gate of 5.0 %"
    )
    assert found.reason.startswith("the interval 1.180 to 1.220 of the ratio")


def test_slower() -> None:
    found = only([1 / ratio for ratio in SPREAD])
    assert found.verdict == "slower"
    assert found.reason == (
        "the interval 0.820 to 0.847 of the ratio excludes 1, and 0.833 is beyond the A/A gate of 5.0 %"
    )


@pytest.mark.parametrize("ratio", [1.0, 1.0299, 1 / 1.0299])
def test_equivalent(ratio: float) -> None:
    found = only([ratio] * 5)
    assert found.verdict == "equivalent"
    assert found.reason == f"the 0.9 interval of the ratio, {ratio:.3f} to {ratio:.3f}, lies within 3 % of 1"


@pytest.mark.parametrize("ratio", [1.0301, 1 / 1.0301])
def test_beyond_the_bounds_nothing_is_equivalent(ratio: float) -> None:
    assert only([ratio] * 5).verdict == "undetected"


def test_equivalent_by_the_interval_and_not_by_the_estimate() -> None:
    near, wide = (1.012, 0.989, 1.0, 1.005, 0.995), (1.05, 0.953, 1.0, 1.02, 0.98)
    found = only(near)
    low, high = interval(near, 0.1)  # two one-sided tests at 0.05
    assert found.verdict == "equivalent"
    assert found.reason == f"the 0.9 interval of the ratio, {low:.3f} to {high:.3f}, lies within 3 % of 1"
    assert only(wide).verdict == "undetected"


def test_equivalent_comes_before_faster() -> None:
    """Surely faster, but by nothing that matters."""
    assert only([1.02] * 5, Rules(gate=0.0)).verdict == "equivalent"
    assert only([1.02] * 5, Rules(gate=0.0, equivalence=0.01)).verdict == "faster"


def test_undetected_by_the_interval() -> None:
    found = only(UNSURE)
    low, high = interval(UNSURE)
    assert low < 1 < high
    assert found.verdict == "undetected"
    assert found.reason == (
        f"the interval {low:.3f} to {high:.3f} of the ratio holds 1;"
        f" this could have seen {percent(detectable(UNSURE))} or more"
    )


@pytest.mark.parametrize(
    ("source", "said"),
    [("default", "A/A gate (not measured yet: vecml qualify)"), ("qualified", "A/A gate")],
)
@pytest.mark.parametrize("ratio", [1.04, 1 / 1.04])
def test_undetected_by_the_gate(source: str, said: str, ratio: float) -> None:
    found = only([ratio] * 5, Rules(gate_source=source))
    assert found.verdict == "undetected"
    assert found.reason == (f"{ratio:.3f} is within this machine's {said} of 5.0 %; this could have seen 5.0 % or more")


@pytest.mark.parametrize(("gate", "word"), [(0.199, "faster"), (0.201, "undetected")])
def test_the_estimate_has_to_exceed_the_gate(gate: float, word: str) -> None:
    assert only([1.2] * 5, Rules(gate=gate)).verdict == word
    assert only([1 / 1.2] * 5, Rules(gate=gate)).verdict == {"faster": "slower"}.get(word, word)


@given(RATIOS, st.floats(0.005, 0.1), st.floats(0.0, 0.1))
@settings(deadline=None, max_examples=100)
def test_the_words_hold_what_they_say(ratios: list[float], equivalence: float, gate: float) -> None:
    """By the figures alone, computed anew."""
    ratios = [1 + 0.1 * math.log(ratio) for ratio in ratios]
    ratios[0] = 1.01 * ratios[1]
    found = only(ratios, Rules(equivalence=equivalence, gate=gate))
    low, high = interval(ratios)
    inner_low, inner_high = interval(ratios, 0.1)
    match found.verdict:
        case "equivalent":
            assert 1 / (1 + equivalence) <= inner_low * (1 + 1e-9)
            assert inner_high <= (1 + equivalence) * (1 + 1e-9)
        case "faster":
            assert low > 1
            assert geometric(ratios) > 1 + gate
        case "slower":
            assert high < 1
            assert geometric(ratios) < 1 / (1 + gate)
        case word:
            assert word == "undetected"
            assert low <= 1 <= high or 1 / (1 + gate) <= geometric(ratios) * (1 + 1e-9) <= (1 + gate) * (1 + 2e-9)


# ---- few launches ----


@pytest.mark.parametrize(("launches", "said"), [(1, "1 launch"), (2, "2 launches")])
def test_fewer_launches_than_three_give_figures_and_no_verdict(launches: int, said: str) -> None:
    arms = (base(launches), fast("other", SPREAD[:launches]))
    found = verdict_of(*arms, plan=Plan(launches=launches))
    assert found.verdict is None
    assert found.reason == f"quick: {said} can give figures, but no verdict"
    assert found.ratio == pytest.approx(geometric(SPREAD[:launches]), rel=1e-12)
    if launches == 1:
        assert (found.ratio_low, found.ratio_high, found.p_value, found.smallest_detectable) == (None,) * 4
    else:
        assert (found.ratio_low, found.ratio_high) == pytest.approx(interval(SPREAD[:2]), rel=1e-9)


def test_a_quick_measurement_may_be_invalid() -> None:
    found = verdict_of(base(1), fast("other", [1.2], failure="it hung"), plan=Plan(launches=1))
    assert (found.verdict, found.reason) == ("invalid", "it hung")


@pytest.mark.parametrize("launches", [3, 5])
def test_where_fewer_than_three_launches_gave_pairs_there_is_no_verdict(launches: int) -> None:
    seconds = [[0.5] * ROUNDS, [0.5] * ROUNDS, *[[] for _ in range(launches - 2)]]
    found = verdict_of(base(launches), arm("other", seconds), plan=Plan(launches=launches))
    assert found.verdict == "invalid"
    assert found.reason == f"2 of {launches} launches gave pairs, and a verdict needs 3"


def test_without_a_pair_there_is_no_figure() -> None:
    found = verdict_of(base(3), arm("other", []))
    assert found.verdict == "invalid"
    assert found.reason == "0 of 3 launches gave pairs, and a verdict needs 3"
    assert (found.ratio, found.ratio_low, found.p_value, found.smallest_detectable) == (None,) * 4
    assert (found.pairs, found.dropped) == (0, 0)


# ---- invalid ----


def test_an_arm_that_failed_is_invalid_though_its_blocks_are_fast() -> None:
    found = verdict_of(base(), fast("other", SPREAD, failure="it raised ValueError: no"))
    assert (found.verdict, found.reason) == ("invalid", "it raised ValueError: no")
    assert found.ratio == pytest.approx(1.2, rel=1e-3)  # the figures stay


def test_an_arm_with_a_fault_is_invalid() -> None:
    found = verdict_of(base(), fast("other", SPREAD), faults={"other": "3 of 100 labels are wrong"})
    assert (found.verdict, found.reason) == ("invalid", "3 of 100 labels are wrong")


def test_a_baseline_that_failed_makes_its_arms_invalid_and_nothing_best() -> None:
    found = family(base(failure="it hung"), fast("one", SPREAD), fast("two", UNSURE))
    assert [(verdict.verdict, verdict.reason) for verdict in found.verdicts] == [
        ("invalid", "the baseline base is invalid: it hung")
    ] * 2
    assert (found.best, found.tied) == (None, ())


def test_a_baseline_with_a_fault_makes_its_arms_invalid_and_nothing_best() -> None:
    found = family(base(), fast("other", SPREAD), faults={"base": "its labels are wrong"})
    assert [(verdict.verdict, verdict.reason) for verdict in found.verdicts] == [
        ("invalid", "the baseline base is invalid: its labels are wrong")
    ]
    assert (found.best, found.tied) == (None, ())


def test_an_arms_own_fault_is_named_before_its_failure_and_its_baselines() -> None:
    arms = (base(failure="the baseline hung"), fast("other", SPREAD, failure="it hung"))
    assert verdict_of(*arms, faults={"other": "wrong labels", "base": "wrong, too"}).reason == "wrong labels"
    assert verdict_of(*arms, faults={"base": "wrong, too"}).reason == "the baseline base is invalid: wrong, too"
    assert verdict_of(*arms).reason == "it hung"


def test_faults_of_others_do_not_matter() -> None:
    assert only(SPREAD) == verdict_of(base(), fast("other", SPREAD), faults={"another": "wrong", "limit": "wrong"})


DISTURBANCES = [
    ({"steal_share": 0.5}, "the hypervisor gave 50 % of the CPUs' time to others"),
    ({"throttled_seconds": 0.5}, "a CPU quota held the workers back for 50 % of the time"),
    ({"foreign_cpus": 1.9}, "others used 1.9 of 2 CPUs"),
]


@pytest.mark.parametrize(("figures", "said"), DISTURBANCES)
def test_where_a_third_of_the_rounds_is_disturbed_only_the_quiet_ones_count(
    figures: dict[str, float], said: str
) -> None:
    windows = [window(launch, 0, 2, **figures) for launch in range(5)]  # 15 of 50
    other = arm("other", [[9.0] * 3 + [1 / ratio] * 7 for ratio in SPREAD])
    found = verdict_of(arm("base", [[3.0] * 3 + [1.0] * 7] * 5, "baseline"), other, windows=windows)
    assert (found.verdict, found.pairs, found.dropped) == ("faster", 35, 15)
    assert found.ratio == pytest.approx(geometric(SPREAD), rel=1e-12)
    assert found.reason.endswith("; only the quiet 70 % of its rounds count, in 5 launches")
    assert (found.while_busy, found.condition) == (None, None), said


def test_only_launches_with_a_quiet_stretch_count() -> None:
    """Two of five launches have four quiet rounds: too few. Their ratios, which are others, do not count."""
    windows = [window(launch, 0, 5, foreign_cpus=1.9) for launch in (1, 3)]
    ratios = (1.2, 9.0, 1.3, 9.0, 1.25)
    found = verdict_of(base(), null([1.0] * 5), fast("other", ratios), windows=windows)
    assert (found.verdict, found.pairs, found.dropped) == ("faster", 30, 20)
    assert found.ratio == pytest.approx(geometric((1.2, 1.3, 1.25)), rel=1e-12)


@pytest.mark.parametrize(("figures", "said"), DISTURBANCES)
def test_without_quiet_stretches_a_verdict_has_its_condition(figures: dict[str, float], said: str) -> None:
    windows = [window(launch, 0, 9, **figures) for launch in range(5)]
    copy = [1.02, 1.05, 1.01, 1.03, 1.04]
    found = verdict_of(base(), null(copy), fast("other", SPREAD), windows=windows)
    assert (found.verdict, found.while_busy, found.condition) == ("busy", "faster", said)
    assert found.reason.startswith(f"faster, while {said}: the interval ")
    low, high = interval(SPREAD)
    off = geometric(copy)  # the interval reaches as much further as the baseline's copy was off
    assert (found.ratio_low, found.ratio_high) == pytest.approx((low / off, high * off), rel=1e-9)
    nearer = np.log(SPREAD) - math.log(off)
    assert found.p_value == pytest.approx(stats.ttest_1samp(nearer, 0).pvalue, rel=1e-6)
    assert found.smallest_detectable == pytest.approx((1 + detectable(SPREAD)) * off - 1, rel=1e-6)
    assert not found.is_valid


def test_what_the_copy_shows_as_well_is_not_detected_under_load() -> None:
    windows = [window(launch, 0, 9, foreign_cpus=1.0) for launch in range(5)]
    copy = [1.25, 1.10, 1.3, 1.12, 1.2]
    busy = verdict_of(base(cpus=2), null(copy, cpus=2), fast("other", SPREAD, cpus=2), windows=windows)
    assert (busy.verdict, busy.while_busy) == ("busy", "undetected")
    quiet = verdict_of(base(cpus=2), null(copy, cpus=2), fast("other", SPREAD, cpus=2))
    assert quiet.verdict == "faster"


def test_under_load_there_is_no_verdict_without_a_copy_of_the_baseline() -> None:
    windows = [window(launch, 0, 9, foreign_cpus=1.9) for launch in range(5)]
    found = verdict_of(base(), fast("other", SPREAD), windows=windows)
    assert (found.verdict, found.while_busy) == ("invalid", None)
    assert found.reason == (
        "while it was measured, others used 1.9 of 2 CPUs, and there is no copy of the baseline to judge that by"
    )


def test_a_busy_arm_is_neither_best_nor_tied() -> None:
    """It needs both CPUs, of which others use one; the arms of one CPU are not disturbed by that."""
    windows = [window(launch, 0, 9, foreign_cpus=1.0) for launch in range(5)]
    arms = (fast("wide", [5 * ratio for ratio in SPREAD], cpus=2), fast("narrow", SPREAD))
    found = family(base(), null([1.0] * 5), *arms, windows=windows)
    assert [verdict.verdict for verdict in found.verdicts] == ["busy", "faster"]
    assert (found.best, found.tied) == ("narrow", ("narrow",))


def test_a_fifth_may_be_disturbed_and_does_not_count() -> None:
    windows = [window(launch, 0, 1, steal_share=0.5) for launch in range(5)]  # 10 of 50
    other = arm("other", [[9.0, 9.0] + [1 / ratio] * 8 for ratio in SPREAD])
    found = verdict_of(arm("base", [[3.0, 3.0] + [1.0] * 8] * 5, "baseline"), other, windows=windows)
    assert found.verdict != "invalid"
    assert found.ratio == pytest.approx(geometric(SPREAD), rel=1e-12)
    assert (found.pairs, found.dropped) == (40, 10)


def test_turns_without_rest_count_as_disturbed() -> None:
    other = fast("other", SPREAD)
    idle = tuple(number >= 4 for number in other.blocks.round)
    found = verdict_of(base(), replace(other, blocks=replace(other.blocks, idle=idle)))
    assert found.verdict == "invalid"
    assert found.reason == "40 % of its rounds were disturbed: another worker's threads did not come to rest"


def drifting(change: float, launches: int = 5, rounds: int = 11) -> list[list[float]]:
    """Seconds of an arm that gets faster by `change` within every launch, from 1.2 times as fast on."""
    return [[(1 + change) ** (-number / (rounds - 1)) / 1.2 for number in range(rounds)]] * launches


@pytest.mark.parametrize(
    ("change", "said"), [(0.10, "10.0 %"), (1 / 1.10 - 1, "10.0 %"), (0.021, "2.1 %"), (1 / 1.021 - 1, "2.1 %")]
)
@pytest.mark.parametrize("which", ["arm", "baseline"])
def test_a_ratio_that_goes_on_changing_is_not_steady(change: float, said: str, which: str) -> None:
    seconds = {"arm": drifting(0.0), "baseline": drifting(0.0), which: drifting(change)}
    found = verdict_of(arm("base", seconds["baseline"], "baseline"), arm("other", seconds["arm"]))
    assert found.verdict == "invalid"
    assert found.reason == (
        f"not steady: within its launches the ratio changed by {said}, so a longer warm-up is needed"
    )


def test_a_small_change_is_steady_and_so_is_one_that_both_have() -> None:
    assert verdict_of(base(5, 11), arm("other", drifting(0.019))).verdict == "faster"
    both = verdict_of(arm("base", drifting(0.5), "baseline"), arm("other", drifting(0.5)))
    assert both.verdict == "equivalent"


def test_what_changes_between_launches_is_steady() -> None:
    assert only((1.2, 1.3, 1.4, 1.5, 1.6)).verdict == "faster"


def test_noise_without_a_trend_is_steady() -> None:
    random = np.random.default_rng(1)
    seconds = [(np.exp(0.03 * random.normal(size=11)) / 1.2).tolist() for _ in range(5)]
    assert verdict_of(base(5, 11), arm("other", seconds)).verdict == "faster"


def test_a_change_is_seen_in_spite_of_what_differs_between_launches() -> None:
    seconds = [[taken * speed for taken in drifting(0.05)[0]] for speed in (1.0, 4.0, 0.25, 2.0, 0.5)]
    found = verdict_of(base(5, 11), arm("other", seconds))
    assert found.reason == "not steady: within its launches the ratio changed by 5.0 %, so a longer warm-up is needed"


def test_a_large_change_that_may_be_chance_is_steady() -> None:
    launches = [[0.0, 0.1, -0.05, 0.12], [0.05, -0.1, 0.1, 0.08], [0.0, 0.05, 0.1, -0.03]]
    centred_N = np.concatenate([np.array(values) - np.median(values) for values in launches])
    round_N = np.tile(np.arange(4), 3)
    assert stats.kendalltau(round_N, centred_N).pvalue > 0.01
    assert 3 * stats.theilslopes(centred_N, round_N).slope > 0.02
    found = verdict_of(base(3, 4), arm("other", [[math.exp(-value) / 1.5 for value in values] for values in launches]))
    assert found.verdict != "invalid"


def test_of_a_handful_of_pairs_nobody_can_tell_a_trend() -> None:
    assert verdict_of(base(3, 2), arm("other", drifting(0.05, launches=3, rounds=2))).verdict != "invalid"

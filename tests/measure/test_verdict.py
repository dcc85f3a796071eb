"""Verdicts over hand-made records with known ratios: every word with its reason, and every figure against SciPy's."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from vecml.measure.records import ArmMeasurement, Blocks, Measured, Plan, Window
from vecml.measure.verdict import Family, Rules, Verdict, judge, narrow_enough
from vecml.statistics import smallest_detectable

RULES = Rules()
ROUNDS = 10
RATIOS = st.lists(st.floats(0.25, 4.0), min_size=3, max_size=8)
SPREAD = (1.22, 1.18, 1.21, 1.19, 1.20)  # five launches' ratios, a clear case
UNSURE = (1.30, 0.90, 1.10, 1.20, 0.85)


def arm(
    name: str,
    seconds: Sequence[Sequence[float]],
    role: str = "arm",
    *,
    group: int = 0,
    failure: str | None = None,
    cpus: int = 1,
) -> ArmMeasurement:
    """An arm by its seconds a call, launch by launch and round by round."""
    rows = [(launch, number, taken) for launch, rounds in enumerate(seconds) for number, taken in enumerate(rounds)]
    n = len(rows)
    columns = Blocks(
        launch=tuple(launch for launch, _, _ in rows),
        round=tuple(number for _, number, _ in rows),
        position=(0,) * n,
        calls=(1,) * n,
        seconds=tuple(taken for _, _, taken in rows),
        cpu_seconds=(None,) * n,
        switches=(None,) * n,
        answer=(0,) * n,
        idle=(True,) * n,
    )
    return ArmMeasurement(name, role, cpus, group, columns, (), failure)  # type: ignore[arg-type]


def fast(name: str, ratios: Sequence[float], role: str = "arm", rounds: int = ROUNDS, **more: Any) -> ArmMeasurement:
    """An arm that is so many times as fast as `base()`, in every launch's every round."""
    return arm(name, [[1 / ratio] * rounds for ratio in ratios], role, **more)


def base(launches: int = 5, rounds: int = ROUNDS, name: str = "base", **more: Any) -> ArmMeasurement:
    return arm(name, [[1.0] * rounds] * launches, "baseline", **more)


def record(*arms: ArmMeasurement, plan: Plan | None = None, windows: Sequence[Window] = ()) -> Measured:
    launches = max((launch + 1 for one in arms for launch in one.blocks.launch), default=0)
    return Measured(plan or Plan(launches=max(3, launches)), arms, launches, tuple(windows))


def family(*arms: ArmMeasurement, rules: Rules = RULES, faults: Mapping[str, str] | None = None, **more: Any) -> Family:
    (found,) = judge(record(*arms, **more), rules, faults)
    return found


def verdict_of(*arms: ArmMeasurement, rules: Rules = RULES, **more: Any) -> Verdict:
    """Of the only arm."""
    (found,) = family(*arms, rules=rules, **more).verdicts
    return found


def only(ratios: Sequence[float], rules: Rules = RULES, **more: Any) -> Verdict:
    """Of an arm with these ratios, a launch each."""
    return verdict_of(base(len(ratios)), fast("other", ratios, **more), rules=rules)


def interval(ratios: Sequence[float], level: float = 0.05) -> tuple[float, float]:
    """Student's over the launches, by SciPy."""
    value_N = np.log(ratios)
    low, high = stats.t.interval(1 - level, len(value_N) - 1, np.mean(value_N), stats.sem(value_N))
    return math.exp(low), math.exp(high)


def detectable(ratios: Sequence[float], level: float = 0.05, gate: float = 0.05) -> float:
    sd = float(np.std(np.log(ratios), ddof=1))
    return math.expm1(smallest_detectable(sd, len(ratios), level, gate=math.log1p(gate)))


def geometric(ratios: Sequence[float]) -> float:
    return math.exp(float(np.mean(np.log(ratios))))


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
        f"the interval {low:.3f} to {high:.3f} of the ratio excludes 1, and 1.200 is beyond the A/A gate of 5.0%"
    )
    assert found.reason.startswith("the interval 1.180 to 1.220 of the ratio")


def test_slower() -> None:
    found = only([1 / ratio for ratio in SPREAD])
    assert found.verdict == "slower"
    assert found.reason == (
        "the interval 0.820 to 0.847 of the ratio excludes 1, and 0.833 is beyond the A/A gate of 5.0%"
    )


@pytest.mark.parametrize("ratio", [1.0, 1.0299, 1 / 1.0299])
def test_equivalent(ratio: float) -> None:
    found = only([ratio] * 5)
    assert found.verdict == "equivalent"
    assert found.reason == f"the 0.9 interval of the ratio, {ratio:.3f} to {ratio:.3f}, lies within 3% of 1"


@pytest.mark.parametrize("ratio", [1.0301, 1 / 1.0301])
def test_beyond_the_bounds_nothing_is_equivalent(ratio: float) -> None:
    assert only([ratio] * 5).verdict == "undetected"


def test_equivalent_by_the_interval_and_not_by_the_estimate() -> None:
    near, wide = (1.012, 0.989, 1.0, 1.005, 0.995), (1.05, 0.953, 1.0, 1.02, 0.98)
    found = only(near)
    low, high = interval(near, 0.1)  # two one-sided tests at 0.05
    assert found.verdict == "equivalent"
    assert found.reason == f"the 0.9 interval of the ratio, {low:.3f} to {high:.3f}, lies within 3% of 1"
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
        f" this could have seen {detectable(UNSURE):.1%} or more"
    )


@pytest.mark.parametrize(
    ("source", "said"),
    [("default", "A/A gate (not measured yet: vecml qualify)"), ("qualified", "A/A gate")],
)
@pytest.mark.parametrize("ratio", [1.04, 1 / 1.04])
def test_undetected_by_the_gate(source: str, said: str, ratio: float) -> None:
    found = only([ratio] * 5, Rules(gate_source=source))
    assert found.verdict == "undetected"
    assert found.reason == (f"{ratio:.3f} is within this machine's {said} of 5.0%; this could have seen 5.0% or more")


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


def window(launch: int, first: int, last: int, **figures: float) -> Window:
    quiet = Window(launch, 0, first, last, 1.0, 0.0, 0.0, 0.0, 2)
    return replace(quiet, **figures)  # type: ignore[arg-type]


DISTURBANCES = [
    ({"steal_share": 0.5}, "the hypervisor gave the CPUs to others"),
    ({"throttled_seconds": 0.5}, "the control group's CPU quota held the workers back"),
    ({"foreign_cpus": 1.9}, "other processes used the CPUs"),
]


@pytest.mark.parametrize(("figures", "said"), DISTURBANCES)
def test_too_many_disturbed_rounds_make_it_invalid(figures: dict[str, float], said: str) -> None:
    windows = [window(launch, 0, 2, **figures) for launch in range(5)]  # 15 of 50
    found = verdict_of(base(), fast("other", SPREAD), windows=windows)
    assert (found.verdict, found.reason) == ("invalid", f"30% of its rounds were disturbed: {said}")
    assert (found.pairs, found.dropped) == (35, 15)


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
    assert found.reason == "40% of its rounds were disturbed: another worker's threads did not come to rest"


def drifting(change: float, launches: int = 5, rounds: int = 11) -> list[list[float]]:
    """Seconds of an arm that gets faster by `change` within every launch, from 1.2 times as fast on."""
    return [[(1 + change) ** (-number / (rounds - 1)) / 1.2 for number in range(rounds)]] * launches


@pytest.mark.parametrize(
    ("change", "said"), [(0.10, "10.0%"), (1 / 1.10 - 1, "10.0%"), (0.021, "2.1%"), (1 / 1.021 - 1, "2.1%")]
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
    assert found.reason == "not steady: within its launches the ratio changed by 5.0%, so a longer warm-up is needed"


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


# ---- rare slow calls ----


def with_slow(ratio: float, factor: float, role: str = "arm", launches: int = 5) -> ArmMeasurement:
    """`ratio` times as fast as one second, but for one call of ten, which takes `factor` times as long."""
    rounds = [1 / ratio] * 4 + [factor / ratio] + [1 / ratio] * 5
    return arm("base" if role == "baseline" else "other", [rounds] * launches, role)


def test_an_arm_with_rare_slow_calls_cannot_be_faster() -> None:
    found = verdict_of(base(), with_slow(1.5, 2.0))
    assert found.verdict == "undetected"
    assert found.reason == (
        "it has rare slow calls: by the median it is 1.500 times as fast, but the mean call is 10.0% above that"
    )
    assert found.ratio == pytest.approx(1.5, rel=1e-12)


def test_nor_slower_than_a_baseline_with_rare_slow_calls() -> None:
    found = verdict_of(with_slow(1.0, 2.0, "baseline"), fast("other", [1 / 1.5] * 5))
    assert found.verdict == "undetected"
    assert found.reason == (
        "the baseline has rare slow calls: by the median it is 0.667 times as fast,"
        " but the mean call is 10.0% above that"
    )


@pytest.mark.parametrize(("factor", "word"), [(1.19, "faster"), (1.21, "undetected")])
def test_rare_slow_calls_may_cost_two_percent(factor: float, word: str) -> None:
    assert verdict_of(base(), with_slow(1.5, factor)).verdict == word
    slower = verdict_of(with_slow(1.0, factor, "baseline"), fast("other", [1 / 1.5] * 5))
    assert slower.verdict == {"faster": "slower"}.get(word, word)


def test_rare_slow_calls_that_only_strengthen_a_verdict_do_not_hinder_it() -> None:
    assert verdict_of(base(), with_slow(1 / 1.5, 2.0)).verdict == "slower"
    assert verdict_of(with_slow(1.0, 2.0, "baseline"), fast("other", [1.5] * 5)).verdict == "faster"


def test_rare_slow_calls_of_both_are_the_machines() -> None:
    assert verdict_of(with_slow(1.0, 2.0, "baseline"), with_slow(1.5, 2.0)).verdict == "faster"
    assert verdict_of(with_slow(1.0, 2.0, "baseline"), with_slow(1.5, 2.5)).verdict == "undetected"


def test_a_slow_call_in_a_disturbed_round_is_no_slow_call_of_the_arms() -> None:
    windows = [window(launch, 4, 4, steal_share=0.5) for launch in range(5)]
    assert verdict_of(base(), with_slow(1.5, 2.0), windows=windows).verdict == "faster"


# ---- the null arm ----

FALSE_COPY = (1.101, 1.099, 1.100, 1.102, 1.098)


def null(ratios: Sequence[float], group: int = 0, **more: Any) -> ArmMeasurement:
    return fast("base (null arm)", ratios, "null", group=group, **more)


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
            f" this could have seen {detectable(UNSURE, 0.05 / count):.1%} or more"
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
    assert near.verdicts[0].reason == "the 0.99 interval of the ratio, 1.010 to 1.010, lies within 3% of 1"


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
    found = family(base(), with_slow(1.5, 2.0))
    assert found.verdicts[0].verdict == "undetected"
    assert "base" in found.tied


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
        for value in asdict(verdict).values()
    }
    assert kinds == {str, int, float}


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

"""Which blocks stand beside each other, which are left out and why, and what rare slow calls do to a mean."""

import math
from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vecml.measure.pairs import disturbance, paired, seconds_per_call, significant_mean, slow_call_excesses
from vecml.measure.records import ArmMeasurement, Blocks, Window

Block = tuple[int, int, float, int]  # launch, round, seconds, calls
POWERS = st.integers(-20, 20).map(lambda power: 2.0**power)
QUIET = Window(0, 0, 0, 0, 1.0, 0.0, 0.0, 0.0, 4)
STOLEN = "the hypervisor gave the CPUs to others"
HELD_BACK = "the control group's CPU quota held the workers back"
CROWDED = "other processes used the CPUs"
RESTLESS = "another worker's threads did not come to rest"


def arm(
    name: str, blocks: list[Block], *, group: int = 0, cpus: int = 1, restless: tuple[int, ...] = ()
) -> ArmMeasurement:
    """An arm with these blocks; `restless`: indices of those that the others did not come to rest for."""
    columns = Blocks(
        launch=tuple(launch for launch, _, _, _ in blocks),
        round=tuple(number for _, number, _, _ in blocks),
        position=(0,) * len(blocks),
        calls=tuple(calls for _, _, _, calls in blocks),
        seconds=tuple(seconds for _, _, seconds, _ in blocks),
        cpu_seconds=(None,) * len(blocks),
        switches=(None,) * len(blocks),
        answer=(0,) * len(blocks),
        idle=tuple(index not in restless for index in range(len(blocks))),
    )
    return ArmMeasurement(name, "arm", cpus, group, columns)


def even(name: str, seconds: float, launches: int = 1, rounds: int = 6, **more: object) -> ArmMeasurement:
    blocks = [(launch, number, seconds, 1) for launch in range(launches) for number in range(rounds)]
    return arm(name, blocks, **more)  # type: ignore[arg-type]


def window(first: int, last: int, launch: int = 0, group: int = 0, **figures: float | None) -> Window:
    seen = replace(QUIET, launch=launch, group=group, first_round=first, last_round=last)
    return replace(seen, **figures)


# ---- pairs ----


def test_a_pair_is_the_log_of_how_many_times_as_fast_the_arm_is() -> None:
    baseline = arm("base", [(0, 0, 8.0, 4), (0, 1, 4.0, 4), (2, 0, 1.0, 1)])
    other = arm("other", [(0, 0, 8.0, 16), (0, 1, 16.0, 8), (2, 0, 3.0, 3)])
    found = paired(baseline, other, ())
    assert found.launch_N.tolist() == [0, 0, 2]
    assert found.round_N.tolist() == [0, 1, 0]
    assert found.log_ratio_N.tolist() == [math.log(4), math.log(0.5), 0.0]
    assert (found.launch_N.dtype, found.round_N.dtype, found.log_ratio_N.dtype) == (np.int64, np.int64, np.float64)
    assert (found.dropped, found.dropped_share, found.disturbance) == (0, 0.0, None)


def test_seconds_a_call_by_launch_and_round() -> None:
    assert seconds_per_call(arm("a", [(0, 0, 8.0, 4), (1, 3, 1.0, 8)])) == {(0, 0): 2.0, (1, 3): 0.125}


def test_blocks_without_a_counterpart_are_no_pairs() -> None:
    baseline = arm("base", [(0, 0, 1.0, 1), (0, 1, 1.0, 1), (1, 0, 1.0, 1)])
    other = arm("other", [(0, 1, 1.0, 1), (1, 0, 1.0, 1), (1, 1, 1.0, 1)])
    found = paired(baseline, other, ())
    assert list(zip(found.launch_N.tolist(), found.round_N.tolist(), strict=True)) == [(0, 1), (1, 0)]
    assert found.dropped == 0


@pytest.mark.parametrize("which", ["baseline", "arm"])
def test_a_block_without_time_by_the_clock_has_no_ratio(which: str) -> None:
    blocks = [(0, number, 1.0, 1) for number in range(3)]
    timeless = [(0, 0, 1.0, 1), (0, 1, 0.0, 1), (0, 2, 1.0, 1)]
    found = paired(*(arm(name, timeless if name == which else blocks) for name in ("baseline", "arm")), ())
    assert found.round_N.tolist() == [0, 2]


def test_nothing_gives_nothing() -> None:
    found = paired(arm("base", []), arm("other", []), [window(0, 5, steal_share=1.0)])
    assert (len(found.log_ratio_N), found.dropped, found.dropped_share, found.disturbance) == (0, 0, 0.0, None)
    assert found.by_launch() == found.estimates() == {}


def test_pairs_of_a_launch_and_their_estimate() -> None:
    baseline = arm("base", [(3, 0, 1.0, 1), (3, 1, 2.0, 1), (3, 2, 64.0, 1), (1, 0, 4.0, 1)])
    other = arm("other", [(3, 0, 1.0, 1), (3, 1, 1.0, 1), (3, 2, 1.0, 1), (1, 0, 1.0, 1)])
    found = paired(baseline, other, ())
    assert {launch: values.tolist() for launch, values in found.by_launch().items()} == {
        1: [math.log(4)],
        3: [0.0, math.log(2), math.log(64)],
    }
    # of 0, 1 and 6 octaves the averages of two are 0, 0.5, 1, 3, 3.5 and 6
    assert found.estimates() == {1: math.log(4), 3: pytest.approx(2 * math.log(2), rel=1e-15)}


@given(
    st.lists(st.tuples(POWERS, POWERS), min_size=1, max_size=30),
    st.integers(1, 3),
)
@settings(deadline=None)
def test_swapping_the_arms_turns_every_sign(seconds: list[tuple[float, float]], launches: int) -> None:
    one = arm("one", [(index % launches, index, taken, 1) for index, (taken, _) in enumerate(seconds)])
    other = arm("other", [(index % launches, index, taken, 1) for index, (_, taken) in enumerate(seconds)])
    there, back = paired(one, other, ()), paired(other, one, ())
    assert there.log_ratio_N.tolist() == (-back.log_ratio_N).tolist()
    assert there.estimates() == {launch: -value for launch, value in back.estimates().items()}


@given(st.permutations(range(8)), st.permutations(range(8)))
@settings(deadline=None)
def test_the_order_of_the_blocks_in_the_record_does_not_matter(ours: list[int], theirs: list[int]) -> None:
    def made(name: str, seed: int, order: list[int]) -> ArmMeasurement:
        random = np.random.default_rng(seed)
        taken_N = random.uniform(1, 2, 8)
        return arm(name, [(index // 4, index % 4, float(taken_N[index]), 1) for index in order])

    windows = [window(1, 2, steal_share=0.5)]
    found = paired(made("base", 0, theirs), made("other", 1, ours), windows)
    want = paired(made("base", 0, list(range(8))), made("other", 1, list(range(8))), windows)
    assert found.estimates() == want.estimates()
    assert found.dropped == want.dropped == 2


# ---- what is left out ----


def test_disturbed_rounds_are_left_out_with_what_most_were_left_out_for() -> None:
    windows = [
        window(0, 1, steal_share=0.11),
        window(2, 4, throttled_seconds=0.03),
        window(5, 5),
        window(6, 9, launch=1, steal_share=0.9),  # rounds that there are not
        window(0, 5, launch=1),
    ]
    found = paired(even("base", 2.0, launches=2), even("other", 1.0, launches=2), windows)
    assert found.launch_N.tolist() == [0] + [1] * 6
    assert found.round_N.tolist() == [5, 0, 1, 2, 3, 4, 5]
    assert found.dropped == 5
    assert found.dropped_share == 5 / 12
    assert found.disturbance == HELD_BACK


def test_the_last_round_of_a_window_belongs_to_it() -> None:
    found = paired(even("base", 2.0), even("other", 1.0), [window(2, 3, steal_share=0.5)])
    assert found.round_N.tolist() == [0, 1, 4, 5]


def test_windows_of_another_group_do_not_count() -> None:
    windows = [window(0, 5, group=0, steal_share=1.0)]
    assert paired(even("base", 2.0, group=1), even("other", 1.0, group=1), windows).dropped == 0
    assert paired(even("base", 2.0, group=0), even("other", 1.0, group=0), windows).dropped == 6


@pytest.mark.parametrize("which", ["baseline", "arm", "both"])
def test_a_turn_without_rest_is_left_out_whichever_of_the_two_it_was(which: str) -> None:
    baseline = even("base", 2.0, restless=(1, 4) if which != "arm" else ())
    other = even("other", 1.0, restless=(1, 4) if which != "baseline" else ())
    found = paired(baseline, other, ())
    assert found.round_N.tolist() == [0, 2, 3, 5]
    assert (found.dropped, found.disturbance) == (2, RESTLESS)


def test_a_round_that_is_disturbed_twice_is_left_out_once() -> None:
    found = paired(even("base", 2.0, restless=(0, 1)), even("other", 1.0), [window(0, 0, steal_share=0.5)])
    assert found.dropped == 2
    assert len(found.log_ratio_N) == 4


def test_with_as_many_of_two_disturbances_always_the_same_is_named() -> None:
    windows = [
        window(0, 0, steal_share=0.5),
        window(1, 1, throttled_seconds=0.5),
        window(2, 2, foreign_cpus=4.0),
    ]
    named = {paired(even("base", 2.0), even("other", 1.0), order).disturbance for order in permutations(windows)}
    assert named == {STOLEN}  # the last by the alphabet: not by a set's order, which is another in every process


@given(st.lists(st.tuples(st.floats(1e-6, 1e3), st.floats(1e-6, 1e3)), min_size=6, max_size=6))
@settings(deadline=None)
def test_no_pair_is_left_out_for_its_time(seconds: list[tuple[float, float]]) -> None:
    baseline = arm("base", [(0, number, taken, 1) for number, (taken, _) in enumerate(seconds)])
    other = arm("other", [(0, number, taken, 1) for number, (_, taken) in enumerate(seconds)])
    found = paired(baseline, other, [window(0, 2), window(3, 5, steal_share=0.5)])
    assert found.round_N.tolist() == [0, 1, 2]


# ---- disturbances ----


@pytest.mark.parametrize(
    ("figures", "reason"),
    [
        ({}, None),
        ({"steal_share": 0.10}, None),
        ({"steal_share": 0.1001}, STOLEN),
        ({"throttled_seconds": 0.02}, None),
        ({"throttled_seconds": 0.0201}, HELD_BACK),
        ({"throttled_seconds": 0.03, "seconds": 2.0}, None),
        ({"throttled_seconds": 0.05, "seconds": 2.0}, HELD_BACK),
        ({"steal_share": None, "throttled_seconds": None, "foreign_cpus": None}, None),
        ({"steal_share": 1.0, "throttled_seconds": 1.0, "foreign_cpus": 4.0}, STOLEN),
    ],
)
def test_what_disturbs(figures: dict[str, float | None], reason: str | None) -> None:
    assert disturbance(replace(QUIET, **figures), cpus=1) == reason


@pytest.mark.parametrize(
    ("cpus", "foreign", "reason"),
    [
        (1, 3.5, None),  # of four, so that half of the one that is needed is left
        (1, 3.51, CROWDED),
        (4, 0.5, None),
        (4, 0.51, CROWDED),
        (2, 2.5, None),
        (2, 2.51, CROWDED),
    ],
)
def test_others_may_use_what_is_not_needed_and_half_a_cpu(cpus: int, foreign: float, reason: str | None) -> None:
    assert disturbance(replace(QUIET, foreign_cpus=foreign), cpus) == reason


def test_a_pair_needs_as_many_cpus_as_the_larger_of_its_arms() -> None:
    windows = [window(0, 5, foreign_cpus=2.0)]
    for base, other in ((1, 4), (4, 1), (4, 4)):
        assert paired(even("base", 2.0, cpus=base), even("other", 1.0, cpus=other), windows).dropped == 6
    assert paired(even("base", 2.0, cpus=1), even("other", 1.0, cpus=2), windows).dropped == 0


def test_an_arm_that_wants_more_cpus_than_there_are_is_not_disturbed_by_itself() -> None:
    assert disturbance(replace(QUIET, foreign_cpus=0.0, usable_cpus=2), cpus=4) is None


# ---- rare slow calls ----


def test_how_far_the_mean_call_is_above_the_median_block() -> None:
    # nine calls of a second and one of eleven: the mean is two seconds
    assert slow_call_excesses(arm("a", [(0, number, 1.0, 1) for number in range(9)] + [(0, 9, 11.0, 1)])) == {0: 1.0}


def test_blocks_count_by_their_calls() -> None:
    # the median of 1, 1 and 2 seconds a call is 1; the mean of 4 + 4 + 2 seconds over 9 calls is 10 / 9
    found = slow_call_excesses(arm("a", [(0, 0, 4.0, 4), (0, 1, 4.0, 4), (0, 2, 2.0, 1)]))[0]
    assert found == pytest.approx(1 / 9, rel=1e-12)


def test_launches_count_by_themselves() -> None:
    def launch(number: int, slow: float) -> list[Block]:
        return [(number, at, 1.0 + 7 * number, 1) for at in range(9)] + [(number, 9, (1.0 + 7 * number) * slow, 1)]

    found = slow_call_excesses(arm("a", launch(0, 2.0) + launch(1, 6.0) + launch(2, 1.0)))
    assert found == pytest.approx({0: 0.1, 1: 0.5, 2: 0.0}, rel=1e-12)  # what differs between launches is no slow call


def test_without_blocks_or_time_there_is_no_excess() -> None:
    assert slow_call_excesses(arm("a", [])) == {}
    assert slow_call_excesses(arm("a", [(0, 0, 0.0, 1), (0, 1, 0.0, 1)])) == {0: 0.0}


def test_only_the_rounds_that_count_may_be_asked_for() -> None:
    found = arm("a", [(0, 0, 1.0, 1), (0, 1, 1.0, 1), (0, 2, 7.0, 1), (1, 0, 1.0, 1), (1, 1, 4.0, 1)])
    assert slow_call_excesses(found, {0: np.array([0, 1])}) == {0: 0.0}
    assert slow_call_excesses(found, {0: np.array([0, 1, 2])}) == {0: 2.0}
    assert slow_call_excesses(found, {}) == {}


@given(st.lists(POWERS, min_size=1, max_size=20), POWERS)
@settings(deadline=None)
def test_the_excess_has_no_unit(seconds: list[float], factor: float) -> None:
    one = slow_call_excesses(arm("a", [(0, number, taken, 1) for number, taken in enumerate(seconds)]))[0]
    other = slow_call_excesses(arm("a", [(0, number, factor * taken, 1) for number, taken in enumerate(seconds)]))[0]
    assert one == other


def test_what_one_launch_shows_and_the_next_does_not_is_chance() -> None:
    assert significant_mean([0.15, -0.02, 0.03, -0.05, 0.09], 0.02, 0.01) == 0.0
    assert significant_mean([0.9, 1.1, 1.0], 0.02, 0.01) == pytest.approx(1.0)
    assert significant_mean([-0.9, -1.1, -1.0], 0.02, 0.01) == pytest.approx(-1.0)
    assert significant_mean([0.011, 0.010, 0.0105, 0.0102], 0.02, 0.01) == 0.0  # certain, and too small to matter
    assert significant_mean([5.0], 0.02, 0.01) == 0.0
    assert significant_mean([], 0.02, 0.01) == 0.0

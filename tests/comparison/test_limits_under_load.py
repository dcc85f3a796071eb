"""A limit that was measured while others used the CPUs is too low: nothing is held against it, and that is said."""

from dataclasses import replace

import pytest

from tests.made_comparison import LAUNCHES, ROUNDS, comparison_of
from vecml.comparison.comparison import Comparison, figures, measured_limits
from vecml.measure.records import Window
from vecml.report.chart_limits import limits_chart
from vecml.report.comparison import as_text, note
from vecml.report.content import content_of


def loaded(foreign: list[float]) -> Comparison:
    """A comparison in which others used so many of the two CPUs, launch by launch."""
    made = comparison_of({"numpy": 0.02, "torch": 0.01})
    assert len(foreign) == LAUNCHES
    windows = tuple(Window(launch, 0, 0, ROUNDS - 1, 1.5, 0.0, None, used, 2) for launch, used in enumerate(foreign))
    return replace(made, measured=replace(made.measured, windows=windows))


@pytest.mark.parametrize("foreign", [0.4, 1.0])
def test_a_limit_under_load_is_not_told(foreign: float) -> None:
    made = loaded([foreign] * LAUNCHES)
    assert {arm.fraction_of_limit for arm in figures(made)} == {None}
    assert f"limit: not told where it was measured while others used {foreign} of 2 CPUs" in as_text(made)
    assert "limit: not told where" in note(made)
    assert limits_chart(content_of(made), 700) is None
    assert measured_limits(made.measured, min).gemm_flops_per_s == {}


def test_a_quiet_limit_is_told_without_a_word() -> None:
    made = loaded([0.05] * LAUNCHES)
    assert all(arm.fraction_of_limit for arm in figures(made))
    assert "limit: not told" not in as_text(made)


def test_the_quiet_blocks_alone_make_the_limit() -> None:
    """In the launches with others a limit takes three times as long."""
    made = loaded([1.0, 0.0, 0.0, 1.0, 1.0])
    quiet = loaded([0.0] * LAUNCHES)
    arms = []
    for arm in made.measured.arms:
        pairs = zip(arm.blocks.launch, arm.blocks.seconds, strict=True)
        taken = tuple(value * (3 if launch in (0, 3, 4) else 1) for launch, value in pairs)
        arms.append(replace(arm, blocks=replace(arm.blocks, seconds=taken)) if arm.role == "limit" else arm)
    slowed = replace(made, measured=replace(made.measured, arms=tuple(arms)))
    ours, theirs = (measured_limits(one.measured, min).gemm("float32", 2) for one in (slowed, quiet))
    assert ours == pytest.approx(theirs, rel=0.05)
    assert "limit: not told" not in as_text(slowed)

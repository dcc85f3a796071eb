"""The pictures: what they say is what the record says, nothing is left out, and no name gets out of its text."""

import dataclasses
import re
import struct
from collections.abc import Callable, Iterator
from itertools import pairwise
from xml.etree import ElementTree

import pytest

from tests.made_comparison import comparison_of
from tests.report.made_reports import HOSTILE, functions, hostile, latency, made_arm, many, quick, usual
from vecml.comparison.comparison import Comparison
from vecml.foreign_text import clean
from vecml.report.chart_accuracy import accuracy_chart
from vecml.report.chart_blocks import block_groups, blocks_chart
from vecml.report.chart_limits import byte_rate, flop_rate, limits_chart, standings
from vecml.report.chart_ratio import ratio_chart
from vecml.report.chart_speed import speed_chart
from vecml.report.charts import NARROW, WIDE, charts, drawers, pictures
from vecml.report.content import content_of
from vecml.report.drawing import (
    AnyMark,
    Dots,
    Drawing,
    Group,
    Line,
    Mark,
    Rect,
    Scale,
    Text,
    apart,
    fitted,
    round_factors,
    round_steps,
    text_width,
)
from vecml.report.pareto import trades
from vecml.report.svg import svg

ALL: dict[str, Callable[[], Comparison]] = {
    "usual": usual,
    "quick": quick,
    "functions": functions,
    "latency": latency,
    "hostile": hostile,
}


def flat(marks: tuple[AnyMark, ...]) -> Iterator[AnyMark]:
    for mark in marks:
        if isinstance(mark, Group):
            yield from flat(mark.marks)
        else:
            yield mark


def texts(drawing: Drawing) -> list[str]:
    return [mark.text for mark in flat(drawing.marks) if isinstance(mark, Text)]


def drawn(drawing: Drawing | None) -> Drawing:
    assert drawing is not None
    return drawing


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_a_picture_is_well_formed_stays_within_its_frame_and_says_itself_in_words(kind: str, width: float) -> None:
    content = content_of(ALL[kind]())
    for name, draw in drawers(content).items():
        drawing = draw(width)
        if drawing is None:
            continue
        root = ElementTree.fromstring(svg(drawing, f"{name}-x", "wide"))  # noqa: S314 -- our own
        assert root.get("role") == "img"
        assert len(root.get("aria-label") or "") > 20
        assert not [element for element in root.iter() if element.get("style")]
        assert {element.tag for element in root.iter()} <= {
            *("svg", "g", "title", "text", "path", "rect", "circle", "defs", "pattern", "line")
        }
        for mark in flat(drawing.marks):
            xs = {
                Rect: lambda m: (m.x, m.x + m.width),
                Line: lambda m: tuple(x for x, _ in m.points),
                Dots: lambda m: tuple(x for x, _ in m.points),
                Mark: lambda m: (m.x,),
                Text: _text_ends,
            }[type(mark)](mark)
            assert all(-4 <= x <= width + 4 for x in xs), (name, mark)


def _text_ends(mark: Text) -> tuple[float, float]:
    wide = text_width(mark.text, mark.size)
    start = {"start": mark.x, "middle": mark.x - wide / 2, "end": mark.x - wide}[mark.anchor]
    return start, start + wide


def test_bars_are_as_long_as_the_rates_are_high() -> None:
    content = content_of(usual())
    drawing = drawn(speed_chart(content, WIDE))
    bars = [mark for mark in flat(drawing.marks) if isinstance(mark, Rect) and mark.height == 20]
    rates = sorted((arm.rows_per_s or 0 for arm in content.arms.values()), reverse=True)
    assert len(bars) == 5
    assert [bar.width / bars[0].width for bar in bars] == pytest.approx([rate / rates[0] for rate in rates])
    assert {bar.x for bar in bars} == {bars[0].x}
    assert [bar.hatched for bar in bars] == [False, True, False, False, False]  # the second has wrong labels
    assert [bar.role for bar in bars] == ["accent", "muted", "bar", "bar", "bar"]


def test_a_whisker_lies_where_the_interval_does() -> None:
    content = content_of(comparison_of({"numpy": 0.02, "torch": 0.01}))
    drawing = drawn(speed_chart(content, WIDE))
    fastest = next(mark for mark in drawing.marks if isinstance(mark, Group) and mark.title.startswith("torch"))
    bar = next(mark for mark in fastest.marks if isinstance(mark, Rect))
    line = next(mark for mark in fastest.marks if isinstance(mark, Line) and mark.role == "ink")
    arm = content.arms["torch"]
    scale = bar.width / (arm.rows_per_s or 0)
    assert line.points[0][0] - bar.x == pytest.approx(scale * (arm.rows_per_s_low or 0))
    assert line.points[1][0] - bar.x == pytest.approx(scale * (arm.rows_per_s_high or 0))


def test_without_intervals_there_are_no_whiskers_and_no_word_of_them() -> None:
    content = content_of(quick())
    assert "95 % interval, by launches" not in texts(drawn(speed_chart(content, WIDE)))
    ratios = drawn(ratio_chart(content, WIDE))
    assert [text for text in texts(ratios) if " to " in text] == []


def test_nothing_valid_and_nothing_measured_draws_what_there_is() -> None:
    found = comparison_of({"numpy": 0.02, "torch": 0.01})
    arms = tuple(
        dataclasses.replace(made_arm(arm.name, arm.role, 0.01, launches=0), failure="its worker died: signal 9")
        for arm in found.measured.arms
        if arm.role != "limit"
    )
    content = content_of(dataclasses.replace(found, measured=dataclasses.replace(found.measured, arms=arms)))
    assert charts(content) == {}
    one = (*arms[:1], *(made_arm("torch", "arm", 0.01),))
    content = content_of(dataclasses.replace(found, measured=dataclasses.replace(found.measured, arms=one)))
    assert "its worker died: signal 9" in texts(drawn(speed_chart(content, WIDE)))


def test_every_block_is_drawn_once() -> None:
    content = content_of(usual())
    drawing = drawn(blocks_chart(content, 0, WIDE))
    arms = [arm for arm in content.comparison.measured.arms if arm.role != "limit"]
    dots = sum(len(mark.points) for mark in flat(drawing.marks) if isinstance(mark, Dots))
    edges = sum(isinstance(mark, Mark) for mark in flat(drawing.marks))
    assert dots - 1 + edges - 1 == sum(len(arm.blocks) for arm in arms)  # less one of each in the legend
    hatched = [mark for mark in flat(drawing.marks) if isinstance(mark, Rect) and mark.hatched]
    assert len(hatched) == 1 + len(arms)  # the legend's, and the disturbed window of every arm


def test_a_drift_and_a_slow_launch_can_be_seen() -> None:
    """A launch that is 20 % slower has its median 20 % above the line; on an axis that reaches so far."""
    found = comparison_of({"numpy": 0.02, "torch": 0.01})
    arm = next(arm for arm in found.measured.arms if arm.name == "torch")
    slow = tuple(
        seconds * (1.2 if launch == 2 else 1.0)
        for seconds, launch in zip(arm.blocks.seconds, arm.blocks.launch, strict=True)
    )
    changed = dataclasses.replace(arm, blocks=dataclasses.replace(arm.blocks, seconds=slow))
    arms = tuple(changed if one is arm else one for one in found.measured.arms)
    content = content_of(dataclasses.replace(found, measured=dataclasses.replace(found.measured, arms=arms)))
    drawing = drawn(blocks_chart(content, 0, WIDE))
    assert {"+30 %", "-5 %"} <= set(texts(drawing))
    lines = [mark for mark in flat(drawing.marks) if isinstance(mark, Line) and mark.role == "accent"][1:]
    heights = [line.points[0][1] for line in lines[-5:]]  # the last panel's, launch by launch
    others = [height for place, height in enumerate(heights) if place != 2]
    axis = 54.0  # pixels for 35 per cent
    assert (sum(others) / 4 - heights[2]) / axis * 0.35 == pytest.approx(0.2, abs=0.02)


def test_groups_are_drawn_apart() -> None:
    content = content_of(many(12))
    assert block_groups(content) == (0, 1, 2)
    assert {"blocks", "blocks-2", "blocks-3"} <= set(charts(content))


def test_the_ratio_stands_beside_what_counts_as_a_difference() -> None:
    content = content_of(usual())
    drawing = drawn(ratio_chart(content, WIDE))
    assert "the same: within 3.0 %" in texts(drawing)
    assert "A/A gate: 5.0 %" in texts(drawing)
    assert "null arm" in texts(drawing)
    ticks = [text for text in texts(drawing) if text.endswith("×")]
    assert "1×" in ticks
    assert "torch threads=2: 2.4" in drawing.description
    assert "numpy threads=1 (null arm): 1.0" in drawing.description


def test_latency_shows_percentiles_by_size_of_request() -> None:
    drawing = drawn(speed_chart(content_of(latency()), WIDE))
    said = texts(drawing)
    assert "1 row a call" in said
    assert "32 rows a call" in said
    assert {"median", "p90"} <= set(said)


def test_a_standing_is_the_fraction_of_its_roof() -> None:
    """What the roofline shows is `fraction_of_limit` seen another way: achieved over what the roof allows there."""
    content = content_of(comparison_of({"numpy": 0.02, "torch": 0.01}))
    found = standings(content)
    assert [one.name for one in found] == ["torch", "numpy"]
    flops, bytes_per_row, fixed = 2 * (10 * 32 + 32), 10 * 4 + 8, (11 * 32 + 33) * 4
    for one in found:
        assert one.flops_per_byte == pytest.approx(flops * 1_000 / (bytes_per_row * 1_000 + fixed))
        assert one.flops_per_s == pytest.approx(flops * (content.arms[one.name].rows_per_s or 0))
        allowed = min(one.roof.flops_per_s, one.flops_per_byte * one.roof.bytes_per_s)
        assert one.fraction == pytest.approx(one.flops_per_s / allowed)


def test_no_limits_no_roofline() -> None:
    for made in (functions(), latency()):
        assert limits_chart(content_of(made), WIDE) is None
    own = usual()
    own = dataclasses.replace(own, subject=dataclasses.replace(own.subject, widths=(10,)))
    assert limits_chart(content_of(own), WIDE) is None


def on_the_set(comparison: Comparison) -> dict[str, str | None]:
    content = content_of(comparison)
    return {trade.name: trade.beaten_by for trade in trades(content, content.families[0])}


def rights(comparison: Comparison, right: dict[str, int]) -> Comparison:
    """The same with so many right labels."""
    arms = tuple(
        dataclasses.replace(
            arm,
            launches=tuple(
                dataclasses.replace(launch, facts={**launch.facts, "right": right[arm.name]})
                if arm.name in right
                else launch
                for launch in arm.launches
            ),
        )
        for arm in comparison.measured.arms
    )
    return dataclasses.replace(comparison, measured=dataclasses.replace(comparison.measured, arms=arms))


def test_only_a_certain_difference_takes_a_setting_off_the_set() -> None:
    same = {"numpy": 0.0100, "torch": 0.0050, "halide": 0.00505}
    assert on_the_set(comparison_of(same)) == {"torch": None, "halide": None, "numpy": "torch"}


def test_the_more_accurate_setting_stays_however_slow() -> None:
    found = comparison_of({"numpy": 0.0100, "torch": 0.0050, "halide": 0.0080})
    assert on_the_set(rights(found, {"numpy": 971, "torch": 970, "halide": 969})) == {
        "torch": None,
        "halide": "torch",
        "numpy": None,
    }


def test_invalid_and_quick_settings_beat_nobody() -> None:
    faulty = comparison_of({"numpy": 0.02, "torch": 0.01}, faults={"torch": "12 labels are wrong"})
    assert on_the_set(faulty) == {"numpy": None}
    assert on_the_set(quick()) == {"torch": None, "numpy": None}


def test_an_arm_is_held_to_an_arm_by_the_launches_that_both_have() -> None:
    """The baseline is the slowest; of the two others one is certainly faster, and only that one stays with numpy."""
    found = comparison_of({"numpy": 0.02, "torch": 0.010, "halide": 0.008})
    assert on_the_set(found) == {"halide": None, "torch": "halide", "numpy": "halide"}


def test_the_set_is_told_by_shape_as_well() -> None:
    content = content_of(usual())
    drawing = drawn(accuracy_chart(content, content.families[0], WIDE))
    points = [mark for mark in flat(drawing.marks) if isinstance(mark, Mark) and mark.size == 11]
    assert [point.hollow for point in points] == [False, True, True, True]
    assert accuracy_chart(content_of(functions()), content_of(functions()).families[0], WIDE) is None


def test_pictures_are_the_same_ones_as_png() -> None:
    comparison = usual()
    found = pictures(comparison)
    assert set(found) == {f"{name}.png" for name in charts(content_of(comparison))}
    assert set(found) == {"speed.png", "ratio.png", "limits.png", "accuracy.png", "blocks.png"}
    for content in found.values():
        assert content.startswith(b"\x89PNG\r\n\x1a\n")
        width, height = struct.unpack(">II", content[16:24])
        assert width == pytest.approx(2 * (WIDE + 32), abs=2)
        assert height > 300


def test_hostile_names_can_be_drawn_as_png_without_a_word() -> None:
    """No font has all of them, and matplotlib would take a dollar for mathematics: warnings are errors here."""
    assert pictures(hostile())["speed.png"]
    assert pictures(comparison_of({"a $x^2$ b": 0.02, "雪 🦜": 0.01}))["ratio.png"]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_stays_text(name: str) -> None:
    drawing = Drawing(100, 20, (Text(0, 10, name), Group((Mark(1, 1, "up", "ink"),), name)), name, name)
    root = ElementTree.fromstring(svg(drawing, "x", "wide"))  # noqa: S314 -- our own
    assert [element.tag for element in root.iter()] == ["svg", "text", "g", "title", "path"]
    assert root[0].text == clean(name)


def test_what_turns_or_hides_text_is_replaced() -> None:
    assert clean("a\u202eb") == "a□b"
    assert clean("a\nb\tc") == "a b c"
    assert clean("\x00\x1b\ud800") == "□□□"
    assert clean("👩\u200d🚀 naïve שלום") == "👩\u200d🚀 naïve שלום"


def test_names_are_cut_to_their_room() -> None:
    assert fitted("short", 200, 13) == "short"
    cut = fitted("a very long name of a setting", 60, 13)
    assert cut.endswith("…")
    assert text_width(cut, 13) <= 60
    assert text_width("雪雪", 10) > text_width("xx", 10)


def test_places_apart() -> None:
    assert apart([], 10, 0, 100) == []
    assert apart([50, 50, 50], 10, 0, 100) == [40, 50, 60]
    assert apart([95, 20, 99], 10, 0, 100) == [90, 20, 100]
    assert apart([1, 5, 80], 10, 0, 100) == [0, 10, 80]
    assert apart([40, 42, 55], 10, 0, 100) == pytest.approx([35.67, 45.67, 55.67], abs=0.01)
    tight = apart([1, 2, 3, 4, 5], 50, 0, 100)
    assert [right - left for left, right in pairwise(tight)] == pytest.approx([25] * 4)


def test_round_values() -> None:
    assert round_steps(0, 10, 5) == (0, 2, 4, 6, 8, 10)
    assert round_steps(0.9699, 0.9711, 4) == pytest.approx((0.9700, 0.9705, 0.9710))
    assert round_steps(3, 3, 4) == (3,)
    assert round_factors(1, 1000, 5) == (1, 10, 100, 1000)
    assert round_factors(1, 12, 7) == (1, 2, 5, 10)
    assert round_factors(3, 4, 7) == (3, 4)


def test_a_scale_ends_at_its_ends() -> None:
    line = Scale(0, 10, 100, 0)
    assert (line.at(0), line.at(5), line.at(10), line.at(99)) == (100, 50, 0, 0)
    log = Scale(1, 100, 0, 10, log=True)
    assert log.at(10) == pytest.approx(5)
    assert log.holds(100)
    assert not log.holds(101)
    assert Scale(2, 2, 0, 10).at(2) == 5


def test_rates_of_a_machine() -> None:
    assert flop_rate(61.23e9) == "61.2 GFLOP/s"
    assert flop_rate(3.2e12) == "3.2 TFLOP/s"
    assert flop_rate(12) == "12 FLOP/s"
    assert byte_rate(9.81e9) == "9.81 GB/s"


def test_the_words_of_a_picture_tell_its_figures() -> None:
    picture = charts(content_of(usual()))["speed"]
    label = re.search(r'aria-label="([^"]*)"', picture.wide)
    assert label is not None
    assert "torch threads=2: " in label[1]
    assert "openvino threads=2" in label[1]
    assert label[1].count(" krow/s (") == 5

"""The picture of a profile: rows, bars, and names that are not ours."""

import dataclasses
import json

import pytest

from vecml.optimize.profile import HotLoop, Line, Profile
from vecml.report.chart_profile import picture_of_document, profile_chart, profile_picture, profile_png
from vecml.report.drawing import Group, Rect, Text
from vecml.report.page import About, Report, page_of_run

LINES = (
    Line(20, 20_001, 0.083, "for i in range(len(x)):", 8),
    Line(
        21, 20_000, 0.9, "out[i] = x[i] * x[i] + self.w[i]  # <b>\x1b[31m\u202e & a long comment that does not fit", 12
    ),
    Line(30, 1, 0.017, "return out", 8),
)
PROFILE = Profile(LINES, (HotLoop(20, 21, 0.983, "for"),), 0.983)


@pytest.mark.parametrize("width", [760.0, 342.0])
def test_each_line_has_a_bar_as_long_as_its_share(width: float) -> None:
    drawing = profile_chart(PROFILE, "Model.step", width)
    assert drawing is not None
    rows = [one for one in drawing.marks if isinstance(one, Group)]
    assert [one.title.partition(":")[0] for one in rows] == ["line 20", "line 21", "line 30"]
    lengths = []
    for row, line in zip(rows, LINES, strict=True):
        band, bar = (one for one in row.marks if isinstance(one, Rect))
        assert bar.x + bar.width <= band.x + band.width + 1e-9 < width
        lengths.append((bar.width / band.width, line.share))
        texts = [one for one in row.marks if isinstance(one, Text)]
        assert all(0 <= one.x <= width for one in texts)
    assert [round(found, 3) for found, _ in lengths[:2]] == [0.083, 0.9]
    assert sum(isinstance(one, Text) and one.text == "⋯" for one in drawing.marks) == 1  # between lines 21 and 30
    assert drawing.description.startswith("line 20, 8.3 %: for i in")


def test_without_a_line_there_is_no_picture() -> None:
    assert profile_chart(Profile((), (), 0.0), "f", 760.0) is None
    assert profile_picture(Profile((), (), 0.0), "f") is None
    assert profile_png(Profile((), (), 0.0), "f") is None


def test_as_an_image() -> None:
    content = profile_png(PROFILE, "Model.step")
    assert content is not None
    assert content.startswith(b"\x89PNG")


def test_the_page_shows_it_first_with_foreign_text_escaped() -> None:
    document = json.dumps({"profile": dataclasses.asdict(PROFILE), "place": {"name": "<i>f"}})
    drawn = picture_of_document(document)
    text = page_of_run(
        About("run", "id"), "optimization", {}, {}, {}, report=Report(drawn, "a < b\x1b\u202e\nsecond\n")
    )
    assert "<b>" not in text.partition("</style>")[2].replace("<bdi>", "")
    assert not set("\x1b\u202e") & set(text)
    assert "Where &lt;i&gt;f spends its time" in text
    assert "a &lt; b\N{WHITE SQUARE}\N{WHITE SQUARE}\nsecond\n" in text
    assert text.index('id="profile-wide"') < text.index("a &lt; b") < text.index("Metrics")


@pytest.mark.parametrize("document", ["", "[]", "{}", '{"profile": {"lines": 3}, "place": {"name": "f"}}'])
def test_a_record_that_is_damaged_has_no_picture(document: str) -> None:
    assert picture_of_document(document) is None

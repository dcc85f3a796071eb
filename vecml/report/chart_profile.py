"""The picture of a function's profile: its hot lines as they are written, each with its share of the time as a bar."""

import json
from collections.abc import Sequence

from pydantic import TypeAdapter, ValidationError

from vecml.foreign_text import clean
from vecml.numbers import percent
from vecml.optimize.profile import Line, Profile
from vecml.report.charts import NARROW, WIDE, Picture
from vecml.report.drawing import AnyMark, Drawing, Group, Mark, OneMark, Rect, Text, fitted, text_width
from vecml.report.png import png
from vecml.report.svg import svg

ROW, GAP, SIZE, SMALL = 26.0, 14.0, 13.0, 12.0
INDENT = 5.0  # pixels a column
MOST_COLUMNS = 24  # of indentation: what is deeper is no further to the right
SHARE_WIDTH = text_width("100.00 %", SMALL)


def profile_chart(profile: Profile, name: str, width: float) -> Drawing | None:
    """Draw the lines that take most of the time; None where no line was seen.

    Args:
        profile: of the function.
        name: the function's, as it is shown.
        width: of the picture in pixels.
    """
    if not profile.lines:
        return None
    hottest = max(profile.lines, key=lambda one: one.share)
    left = text_width(str(profile.lines[-1].number), SMALL) + 14
    bar = left + (0.55 if width > NARROW else 0.63) * (width - left)  # where bars begin
    outermost = min(one.indent for one in profile.lines)
    marks: list[AnyMark] = []
    y = 0.0
    for before, line in zip((None, *profile.lines), profile.lines, strict=False):
        if before is not None and line.number > before.number + 1:
            marks += [Text(left + 2, y + GAP - 4, "⋯", "faint", SMALL)]
            y += GAP
        x = left + INDENT * min(line.indent - outermost, MOST_COLUMNS)
        marks += [_row(line, y, (left, x, bar, width), is_hottest=line is hottest)]
        y += ROW
    title = f"Where {name} spends its time"
    return Drawing(width, y + 4, tuple(marks), title, _description(profile.lines))


def profile_picture(profile: Profile, name: str) -> Picture | None:
    """The picture for a page, in its two widths."""
    wide, narrow = profile_chart(profile, name, WIDE), profile_chart(profile, name, NARROW)
    if wide is None or narrow is None:
        return None
    return Picture("profile", wide.title, svg(wide, "profile-wide", "wide"), svg(narrow, "profile-narrow", "narrow"))


def profile_png(profile: Profile, name: str) -> bytes | None:
    """The picture as PNG bytes; None where there is nothing to show."""
    drawing = profile_chart(profile, name, WIDE)
    return None if drawing is None else png(drawing)


def picture_of_document(document: str | bytes) -> Picture | None:
    """The picture of a stored `optimize.json`; None where that holds no profile."""
    try:
        content = json.loads(document)
        profile = TypeAdapter(Profile).validate_python(content["profile"])
        return profile_picture(profile, str(content["place"]["name"]))
    except (ValueError, KeyError, TypeError, ValidationError):
        return None


def _row(line: Line, y: float, places: tuple[float, float, float, float], *, is_hottest: bool) -> Group:
    left, x, bar, right = places
    base = y + 17
    longest = right - bar - SHARE_WIDTH - 10
    length = max(1.5, longest * line.share)
    code = fitted(clean(line.text), bar - x - 16, SIZE * (1.1 if is_hottest else 1.0))  # bold is wider
    share = percent(line.share)
    marks: list[OneMark] = [
        Text(left - 10, base, str(line.number), "faint", SMALL, "end"),
        Text(x, base, code, "ink", SIZE, bold=is_hottest),
        Rect(bar, y + 5, longest, ROW - 10, "band", 2),
        Rect(bar, y + 5, length, ROW - 10, "accent" if is_hottest else "bar", 2),
        Text(right, base, share, "ink" if is_hottest else "muted", SMALL, "end", bold=is_hottest),
    ]
    if is_hottest:
        marks.append(Mark(bar - 7, y + ROW / 2, "diamond", "accent", 7))
    return Group(tuple(marks), f"line {line.number}: {share} of the time, {line.hits:,} times: {clean(line.text)}")


def _description(lines: Sequence[Line]) -> str:
    return "; ".join(f"line {one.number}, {percent(one.share)}: {clean(one.text)}" for one in lines)

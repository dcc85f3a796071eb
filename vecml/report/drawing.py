"""A picture as a list of marks in pixels, which `svg` and `png` turn into files; its axes; and how text fits into it.

A mark names the role of its colour, not the colour: the style sheet of the page has a light and a dark colour for each
role. Every difference that a colour shows is also shown by a shape, a hatching or a word.
"""

import math
import unicodedata
from dataclasses import dataclass
from typing import Literal

from vecml.foreign_text import JOINERS

Role = Literal["ink", "muted", "faint", "grid", "band", "bar", "accent", "paper"]
Anchor = Literal["start", "middle", "end"]
Shape = Literal["circle", "square", "diamond", "up", "down", "cross"]
Point = tuple[float, float]

CHARACTER = 0.55  # width of a letter as a share of the font's size, on average, in the fonts that are used
WIDE = 1.05  # of a Chinese, Japanese or Korean character, and of most emoji
ELLIPSIS = "…"


@dataclass(frozen=True)
class Rect:
    """An area; `hatched`: drawn as an outline filled with slanted lines."""

    x: float
    y: float
    width: float
    height: float
    role: Role
    radius: float = 0.0
    hatched: bool = False


@dataclass(frozen=True)
class Line:
    """A straight or broken line through `points`."""

    points: tuple[Point, ...]
    role: Role
    width: float = 1.0
    dashed: bool = False


@dataclass(frozen=True)
class Mark:
    """A point; `size` is its width."""

    x: float
    y: float
    shape: Shape
    role: Role
    size: float = 9.0
    hollow: bool = False


@dataclass(frozen=True)
class Dots:
    """Many small points of one kind."""

    points: tuple[Point, ...]
    role: Role
    size: float = 3.0


@dataclass(frozen=True)
class Text:
    """One line of text; (x, y) is its base line's beginning, middle or end."""

    x: float
    y: float
    text: str
    role: Role = "ink"
    size: float = 13.0
    anchor: Anchor = "start"
    bold: bool = False


OneMark = Rect | Line | Mark | Dots | Text


@dataclass(frozen=True)
class Group:
    """Marks that belong together; the page shows `title` when the pointer rests on one of them."""

    marks: tuple[OneMark, ...]
    title: str


AnyMark = OneMark | Group


@dataclass(frozen=True)
class Drawing:
    """A picture.

    Attributes:
        width, height: pixels.
        marks: in the order of drawing, so that later marks cover earlier ones.
        title: what it shows, in a few words.
        description: its content in words, for readers who cannot see it.
    """

    width: float
    height: float
    marks: tuple[AnyMark, ...]
    title: str
    description: str


def text_width(text: str, size: float) -> float:
    """Estimate the width of a line of text in pixels, for a font of `size` pixels."""
    units = 0.0
    for character in text:
        if unicodedata.combining(character) or character in JOINERS:
            continue
        units += WIDE if unicodedata.east_asian_width(character) in ("W", "F") else CHARACTER
    return units * size


def fitted(text: str, width: float, size: float) -> str:
    """Shorten the text to `width` pixels, with an ellipsis at its end if anything was cut."""
    used, kept = 0.0, 0
    for place, character in enumerate(text, 1):
        used += text_width(character, size)
        if used > width:
            return text[:kept].rstrip() + ELLIPSIS
        if used <= width - text_width(ELLIPSIS, size):
            kept = place
    return text


def centred(x: float, y: float, text: str, size: float, low: float, high: float) -> Text:
    """A muted `text` of this `size`, centred at (x, y), or moved so that it stays between `low` and `high`."""
    half = text_width(text, size) / 2
    return Text(max(min(x, high - half), low + half), y, text, "muted", size, "middle")


def apart(wanted: list[float], least: float, low: float, high: float) -> list[float]:
    """Move the wanted places as little as possible so that they are at least `least` apart, between `low` and `high`.

    If there is not enough room, the places are spread evenly. The order of `wanted` may be any.
    """
    if not wanted:
        return []
    order = sorted(range(len(wanted)), key=lambda index: wanted[index])
    step = min(least, (high - low) / max(1, len(wanted) - 1))
    # Neighbours that are too near become a cluster, whose places lie evenly round the mean of those wanted.
    clusters: list[tuple[float, list[int]]] = []  # where the first one lies, and the members
    for index in order:
        members = [index]
        start = _start(members, wanted, step, low, high)
        while clusters and clusters[-1][0] + len(clusters[-1][1]) * step > start:
            members = clusters.pop()[1] + members
            start = _start(members, wanted, step, low, high)
        clusters.append((start, members))
    found = [0.0] * len(wanted)
    for start, members in clusters:
        for place, index in enumerate(members):
            found[index] = start + place * step
    return found


def _start(members: list[int], wanted: list[float], step: float, low: float, high: float) -> float:
    length = (len(members) - 1) * step
    start = sum(wanted[index] for index in members) / len(members) - length / 2
    return max(low, min(start, high - length))


@dataclass(frozen=True)
class Scale:
    """The mapping of an axis from values to pixels.

    Attributes:
        low, high: the values at the ends; on a logarithmic axis both are above 0.
        start, end: the pixels at the ends; for an axis that goes up, `end` is the smaller one.
        log: whether the axis is logarithmic.
    """

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def at(self, value: float) -> float:
        """The pixel of a value; a value outside the axis gets the pixel of the nearer end."""
        value = min(max(value, self.low), self.high)
        low, high = (math.log(self.low), math.log(self.high)) if self.log else (self.low, self.high)
        place = math.log(value) if self.log else value
        share = (place - low) / (high - low) if high > low else 0.5
        return self.start + share * (self.end - self.start)

    def holds(self, value: float) -> bool:
        """Whether a value lies on the axis."""
        return self.low <= value <= self.high


def round_steps(low: float, high: float, count: int) -> tuple[float, ...]:
    """About `count` round values (steps of 1, 2 or 5 times a power of ten) from `low` to `high`, both included."""
    if not high > low:
        return (low,)
    raw = (high - low) / max(1, count)
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return tuple(index * step for index in range(first, last + 1))


def round_factors(low: float, high: float, count: int) -> tuple[float, ...]:
    """List at most `count` powers of ten from `low` to `high` for a log axis, with 2 and 5 times them if all fit."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for factors in ((1, 2, 5), (1,)):
        found = [factor * 10.0**power for power in decades for factor in factors if low <= factor * 10.0**power <= high]
        if len(found) <= count and found:
            return tuple(found)
    every = -(-len(found) // count)
    return tuple(found[::every]) if found else (low, high)

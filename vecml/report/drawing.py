"""A picture as a list of marks in pixels: drawn once, then written as SVG for the page and as PNG for MLflow.

A mark names the role of its colour, never the colour: the page's style sheet gives each role one in light and another
in dark. What a reader without colour needs (a shape, a hatching, a word) is a mark too.
"""

import unicodedata
from dataclasses import dataclass
from typing import Literal

Role = Literal["ink", "muted", "faint", "grid", "band", "bar", "accent", "paper"]
Anchor = Literal["start", "middle", "end"]
Shape = Literal["circle", "square", "diamond", "up", "down", "cross"]
Point = tuple[float, float]

CHARACTER = 0.55  # width of a letter as a share of the font's size, on average, in the fonts that are used
WIDE = 1.05  # of a Chinese, Japanese or Korean character, and of most emoji
ELLIPSIS = "…"
PLACEHOLDER = "\N{WHITE SQUARE}"  # where a character cannot be shown, or would change how others are
JOINERS = "\u200c\u200d"  # of Arabic and Indic scripts, and of emoji made of several


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
    """Marks that belong together; `title` is shown when the pointer rests on them."""

    marks: tuple[OneMark, ...]
    title: str


AnyMark = OneMark | Group


@dataclass(frozen=True)
class Drawing:
    """A picture.

    Attributes:
        width, height: pixels.
        marks: what is drawn first lies below.
        title: what it shows, in a few words.
        description: the same in words, for those who do not see it.
    """

    width: float
    height: float
    marks: tuple[AnyMark, ...]
    title: str
    description: str


def clean(text: str) -> str:
    """Text from anywhere on one line, without characters that are invisible, broken, or turn the direction of others.

    Line breaks and tabs become spaces, the joiners of scripts and emoji stay, the rest becomes a white square.
    """
    return "".join(
        character if character.isprintable() or character in JOINERS else " " if character.isspace() else PLACEHOLDER
        for character in text
    )


def text_width(text: str, size: float) -> float:
    """About how wide a line of text is, in pixels, at a font of `size` pixels."""
    units = 0.0
    for character in text:
        if unicodedata.combining(character) or character in JOINERS:
            continue
        units += WIDE if unicodedata.east_asian_width(character) in ("W", "F") else CHARACTER
    return units * size


def fitted(text: str, width: float, size: float) -> str:
    """The text, or as much of its beginning as fits into `width` pixels, with an ellipsis."""
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
    """Places as near as can be to those wanted (in any order), `least` apart and between `low` and `high`.

    Where there is no room for all of them they are as far apart as the room allows.
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

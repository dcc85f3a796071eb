"""The pictures of a comparison, as SVG for the page and as PNG for MLflow; no file is written here."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from vecml.comparison.comparison import Comparison
from vecml.report.chart_accuracy import accuracy_chart
from vecml.report.chart_blocks import block_groups, blocks_chart
from vecml.report.chart_limits import limits_chart
from vecml.report.chart_ratio import ratio_chart
from vecml.report.chart_speed import speed_chart
from vecml.report.content import Content, content_of
from vecml.report.drawing import Drawing
from vecml.report.png import png
from vecml.report.svg import svg

WIDE, NARROW = 760.0, 342.0  # pixels: a column of a page, and a phone's


@dataclass(frozen=True)
class Picture:
    """A picture in two widths as SVG text: the style sheet shows the one that fits.

    Attributes:
        name: `speed`, `ratio`, `accuracy`, `limits`, `blocks`; a second of a kind is `blocks-2`.
        title: what it shows.
        wide, narrow: `<svg>` elements.
    """

    name: str
    title: str
    wide: str
    narrow: str


def drawers(content: Content) -> Mapping[str, Callable[[float], Drawing | None]]:
    """The functions that draw each picture, by name; given a width, they return None if there is nothing to show."""
    found: dict[str, Callable[[float], Drawing | None]] = {
        "speed": partial(speed_chart, content),
        "ratio": partial(ratio_chart, content),
        "limits": partial(limits_chart, content),
    }
    for place, family in enumerate(content.families, 1):
        found[_numbered("accuracy", place)] = partial(accuracy_chart, content, family)
    for place, group in enumerate(block_groups(content), 1):
        found[_numbered("blocks", place)] = partial(blocks_chart, content, group)
    return found


def charts(content: Content) -> Mapping[str, Picture]:
    """The pictures of the page by name, without those that have nothing to show."""
    found = {}
    for name, draw in drawers(content).items():
        wide, narrow = draw(WIDE), draw(NARROW)
        if wide is not None and narrow is not None:
            found[name] = Picture(
                name, wide.title, svg(wide, f"{name}-wide", "wide"), svg(narrow, f"{name}-narrow", "narrow")
            )
    return found


def pictures(comparison: Comparison) -> dict[str, bytes]:
    """The comparison's pictures as PNG bytes, by file name: `speed.png`, `ratio.png` ..."""
    drawn = {name: draw(WIDE) for name, draw in drawers(content_of(comparison)).items()}
    return {f"{name}.png": png(drawing) for name, drawing in drawn.items() if drawing is not None}


def _numbered(name: str, place: int) -> str:
    return name if place == 1 else f"{name}-{place}"

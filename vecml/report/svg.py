"""Renders a `Drawing` as SVG text for a page; its colours are classes of the page's style sheet."""

from collections.abc import Iterable
from html import escape

from vecml.foreign_text import clean
from vecml.report.drawing import AnyMark, Dots, Drawing, Group, Line, Mark, Point, Rect, Shape, Text


def svg(drawing: Drawing, name: str, kind: str) -> str:
    """Write a drawing as an `<svg>` element for use within HTML.

    Args:
        drawing: what it shows.
        name: unique in the page, of letters, digits and hyphens.
        kind: a further class: the style sheet shows one kind on wide screens and another on narrow ones.
    """
    told = escape(clean(f"{drawing.title}. {drawing.description}"), quote=True)
    size = f'viewBox="0 0 {_number(drawing.width)} {_number(drawing.height)}" width="{_number(drawing.width)}"'
    size += f' height="{_number(drawing.height)}"'
    body = "".join(_element(mark, name) for mark in drawing.marks)
    hatch = (
        f'<defs><pattern id="{name}-hatch" width="6" height="6" patternUnits="userSpaceOnUse"'
        ' patternTransform="rotate(45)"><line x1="0" y1="0" x2="0" y2="6" class="s-faint" stroke-width="1.6"/>'
        "</pattern></defs>"
        if any(_is_hatched(mark) for mark in drawing.marks)
        else ""
    )
    return f'<svg id="{name}" class="picture {kind}" role="img" aria-label="{told}" {size}>{hatch}{body}</svg>'


def _element(mark: AnyMark, name: str) -> str:
    match mark:
        case Rect():
            box = f'x="{_number(mark.x)}" y="{_number(mark.y)}" width="{_number(mark.width)}"'
            box += f' height="{_number(mark.height)}"' + (f' rx="{_number(mark.radius)}"' if mark.radius else "")
            if mark.hatched:
                return f'<rect {box} fill="url(#{name}-hatch)" class="o-{mark.role}"/>'
            return f'<rect {box} class="f-{mark.role}"/>'
        case Line():
            dashes = ' stroke-dasharray="4 4"' if mark.dashed else ""
            width = "" if mark.width == 1 else f' stroke-width="{_number(mark.width)}"'
            return f'<path d="{_path(mark.points)}" class="s-{mark.role}"{width}{dashes}/>'
        case Dots():
            places = "".join(f"M{_number(x)} {_number(y)}h0" for x, y in mark.points)
            return f'<path d="{places}" class="s-{mark.role} dots" stroke-width="{_number(mark.size)}"/>'
        case Mark():
            style = f"h-{mark.role}" if mark.hollow or mark.shape == "cross" else f"f-{mark.role}"
            if mark.shape == "circle":
                radius = _number(mark.size / 2)
                return f'<circle cx="{_number(mark.x)}" cy="{_number(mark.y)}" r="{radius}" class="{style}"/>'
            return f'<path d="{_shape(mark)}" class="{style}"/>'
        case Text():
            anchor = "" if mark.anchor == "start" else f' text-anchor="{mark.anchor}"'
            bold = ' font-weight="600"' if mark.bold else ""
            place = f'x="{_number(mark.x)}" y="{_number(mark.y)}" font-size="{_number(mark.size)}"'
            return f'<text {place} class="f-{mark.role}"{anchor}{bold}>{escape(clean(mark.text))}</text>'
        case Group():
            body = "".join(_element(inner, name) for inner in mark.marks)
            return f"<g><title>{escape(clean(mark.title))}</title>{body}</g>"


def outline(shape: Shape, x: float, y: float, size: float) -> tuple[tuple[Point, ...], ...]:
    """The strokes of a `shape` other than a circle, of this `size` round (x, y); only a cross has open ones."""
    half = size / 2
    match shape:
        case "square":
            return (((x - half, y - half), (x + half, y - half), (x + half, y + half), (x - half, y + half)),)
        case "diamond":
            wide = 1.2 * half
            return (((x, y - wide), (x + wide, y), (x, y + wide), (x - wide, y)),)
        case "up":
            return (((x, y - half), (x + half, y + half), (x - half, y + half)),)
        case "down":
            return (((x, y + half), (x + half, y - half), (x - half, y - half)),)
        case _:
            return (
                ((x - half, y - half), (x + half, y + half)),
                ((x - half, y + half), (x + half, y - half)),
            )


def _shape(mark: Mark) -> str:
    end = "" if mark.shape == "cross" else "Z"
    return "".join(_path(stroke) + end for stroke in outline(mark.shape, mark.x, mark.y, mark.size))


def _path(points: Iterable[Point]) -> str:
    return "".join(f"{'L' if place else 'M'}{_number(x)} {_number(y)}" for place, (x, y) in enumerate(points))


def _number(value: float) -> str:
    """Write a length in pixels with at most one decimal."""
    return f"{value:.1f}".removesuffix(".0")


def _is_hatched(mark: AnyMark) -> bool:
    if isinstance(mark, Group):
        return any(_is_hatched(inner) for inner in mark.marks)
    return isinstance(mark, Rect) and mark.hatched

"""Renders a `Drawing` as PNG bytes with matplotlib."""

from typing import TYPE_CHECKING, Any, Literal

from vecml.foreign_text import clean
from vecml.report.drawing import Anchor, AnyMark, Dots, Drawing, Group, Line, Mark, Rect, Role, Text
from vecml.report.figure import PLAIN, drawable, png_bytes
from vecml.report.svg import outline

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.figure import Figure

SCALE = 2  # pixels of the image for one of the drawing's
MARGIN = 16.0
ALIGNED: dict[Anchor, Literal["left", "center", "right"]] = {"start": "left", "middle": "center", "end": "right"}
COLOURS: dict[Role, str] = {
    "ink": "#1d2127",
    "muted": "#59616b",
    "faint": "#868e98",
    "grid": "#e3e5e8",
    "band": "#eceef1",
    "bar": "#9aa5b1",
    "accent": "#1f5fd0",
    "paper": "#ffffff",
}


def png(drawing: Drawing) -> bytes:
    """Render the drawing in light colours with its title above, at two image pixels for each pixel of the drawing."""
    from matplotlib.figure import Figure  # noqa: PLC0415 -- slow to import

    head = 30.0
    width, height = drawing.width + 2 * MARGIN, drawing.height + 2 * MARGIN + head
    figure = Figure(figsize=(width / 100, height / 100), dpi=100 * SCALE, facecolor=COLOURS["paper"])
    _Canvas(figure, width, height).draw(Text(MARGIN, MARGIN + 14, drawing.title, "ink", 15, bold=True))
    _Canvas(figure, width, height, MARGIN, MARGIN + head).draw(*drawing.marks)
    return png_bytes(figure)


class _Canvas:
    """Puts the marks of a drawing on a figure, moved by (left, top) pixels; y grows downwards."""

    def __init__(self, figure: "Figure", width: float, height: float, left: float = 0.0, top: float = 0.0) -> None:
        from matplotlib.transforms import Affine2D  # noqa: PLC0415 -- slow to import

        self._figure = figure
        self._order = len(figure.get_children())  # matplotlib draws by kind, where a drawing goes by order
        self._transform = (
            Affine2D().translate(left, top).scale(1 / width, -1 / height).translate(0, 1) + figure.transFigure
        )

    def draw(self, *marks: AnyMark) -> None:
        for mark in marks:
            match mark:
                case Group():
                    self.draw(*mark.marks)
                case Rect():
                    self._rect(mark)
                case Line():
                    self._stroke(mark.points, mark.role, mark.width, dashed=mark.dashed)
                case Dots():
                    self._dots(mark)
                case Mark():
                    self._mark(mark)
                case Text():
                    self._text(mark)

    def _add(self, artist: "Artist") -> None:
        self._order += 1
        artist.set_zorder(self._order)
        self._figure.add_artist(artist)

    def _rect(self, mark: Rect) -> None:
        from matplotlib.patches import Rectangle  # noqa: PLC0415

        colour = COLOURS[mark.role]
        style: dict[str, Any] = (
            {"facecolor": "none", "edgecolor": COLOURS["faint"], "hatch": "////", "linewidth": 0.6}
            if mark.hatched
            else {"facecolor": colour, "linewidth": 0}
        )
        self._add(Rectangle((mark.x, mark.y), mark.width, mark.height, transform=self._transform, **style))

    def _stroke(self, points: Any, role: Role, width: float, *, dashed: bool = False) -> None:
        from matplotlib.lines import Line2D  # noqa: PLC0415

        line = Line2D(
            [x for x, _ in points],
            [y for _, y in points],
            color=COLOURS[role],
            linewidth=_points(width),
            linestyle=(0, (3, 3)) if dashed else "-",
            transform=self._transform,
        )
        self._add(line)

    def _dots(self, mark: Dots) -> None:
        from matplotlib.lines import Line2D  # noqa: PLC0415

        line = Line2D(
            [x for x, _ in mark.points],
            [y for _, y in mark.points],
            color=COLOURS[mark.role],
            linestyle="none",
            marker="o",
            markersize=_points(mark.size),
            markeredgewidth=0,
            transform=self._transform,
        )
        self._add(line)

    def _mark(self, mark: Mark) -> None:
        from matplotlib.patches import Ellipse, Polygon  # noqa: PLC0415

        colour = COLOURS[mark.role]
        if mark.shape == "cross":
            for stroke in outline(mark.shape, mark.x, mark.y, mark.size):
                self._stroke(stroke, mark.role, 1.8)
            return
        style: dict[str, Any] = {
            "facecolor": COLOURS["paper"] if mark.hollow else colour,
            "edgecolor": colour,
            "linewidth": _points(1.6) if mark.hollow else 0,
            "transform": self._transform,
        }
        if mark.shape == "circle":
            self._add(Ellipse((mark.x, mark.y), mark.size, mark.size, **style))
        else:
            self._add(Polygon(outline(mark.shape, mark.x, mark.y, mark.size)[0], closed=True, **style))

    def _text(self, mark: Text) -> None:
        from matplotlib.text import Text as Label  # noqa: PLC0415

        (words,), fonts = drawable([clean(mark.text)])
        label = Label(
            mark.x,
            mark.y,
            words,
            color=COLOURS[mark.role],
            fontsize=_points(mark.size * 0.92),  # DejaVu is a wide face
            fontfamily=fonts,
            fontweight="bold" if mark.bold else "normal",
            horizontalalignment=ALIGNED[mark.anchor],
            verticalalignment="baseline",
            **PLAIN,
            transform=self._transform,
        )
        self._add(label)


def _points(pixels: float) -> float:
    """Turn pixels (100 an inch) into points (72 an inch)."""
    return pixels * 0.72

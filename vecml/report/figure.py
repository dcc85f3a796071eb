"""Matplotlib figures without pyplot: no window opens, no global state changes, and nothing is written to disk.

Matplotlib is slow to import, so these functions import it when they are called.
"""

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DPI = 120
BLUE = "#0072B2"  # of the palette of Okabe and Ito, whose colours people with any colour blindness can tell apart
VERMILLION = "#D55E00"  # of the same palette
PLAIN: dict[str, Any] = {"parse_math": False, "usetex": False}  # a dollar sign in a name is no mathematics
# Fonts with characters that DejaVu lacks (Chinese, Japanese, Korean); each is used where it is installed.
WIDE_FONTS = ("Noto Sans CJK JP", "Noto Sans CJK SC", "WenQuanYi Zen Hei", "Hiragino Sans", "Apple SD Gothic Neo")


def new_figure(width: float, height: float) -> "Figure":
    """Make an empty figure of `width` by `height` inches with a margin of a tenth of an inch."""
    from matplotlib.figure import Figure  # noqa: PLC0415
    from matplotlib.layout_engine import ConstrainedLayoutEngine  # noqa: PLC0415

    return Figure(figsize=(width, height), dpi=DPI, layout=ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.1))


def png_bytes(figure: "Figure") -> bytes:
    """Render the figure as a PNG at its own resolution."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415

    FigureCanvasAgg(figure)
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=figure.dpi)
    return content.getvalue()


def drawable(names: Sequence[str]) -> tuple[list[str], list[str]]:
    """Replace every character that no installed font has by a white square.

    Returns:
        The names, and the fonts to draw them with.
    """
    from matplotlib.font_manager import findfont, fontManager, get_font  # noqa: PLC0415

    fonts = ["DejaVu Sans"]  # comes with matplotlib
    missing = {ord(character) for name in names for character in name if not character.isascii()}
    if missing:
        installed = {entry.name for entry in fontManager.ttflist}
        fonts += [font for font in WIDE_FONTS if font in installed]
        for font in fonts:
            missing -= set(get_font(findfont(font)).get_charmap())
    squares = dict.fromkeys(missing, "\N{WHITE SQUARE}")
    return [name.translate(squares) for name in names], fonts

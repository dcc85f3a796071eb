"""The ladder's picture as PNG bytes: a bar for each rung on a log scale, its figures beside it.

It can be read without colour: rungs stand in order, each bar says its rate and what it won, and a rung that did not
pay, or is invalid, is hatched and says so. matplotlib is imported when a picture is drawn.
"""

import io
from typing import TYPE_CHECKING, Any

from vecml.errors import DataError
from vecml.lab.ladder import Ladder, RungFigures, figures
from vecml.lab.words import sentence
from vecml.numbers import number, percent, times

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DPI = 120
BLUE, QUIET = "#0072B2", "#e4e4e4"
PLAIN: dict[str, Any] = {
    "parse_math": False,
    "usetex": False,
}  # no mathematics and no TeX, whatever the user's matplotlibrc says


def picture(ladder: Ladder) -> bytes:
    """Rows a second of every rung, log scale, as a PNG; raises DataError where no rung was measured."""
    found = [rung for rung in figures(ladder) if rung.rows_per_s]
    if not found:
        raise DataError("no rung of the ladder was measured: there is nothing to draw")
    figure = new_figure(8.6, 1.5 + 0.52 * len(found))
    axes = figure.add_subplot()
    rates = [rung.rows_per_s or 1.0 for rung in found]
    left = min(rates) / 3
    for place, (rung, rate) in enumerate(zip(found, rates, strict=True)):
        idle = rung.stopped_paying or rung.failure is not None
        axes.barh(
            place,
            rate - left,
            left=left,
            height=0.66,
            color=QUIET if idle else BLUE,
            edgecolor=BLUE,
            hatch="///" if idle else None,
        )
        axes.text(rate * 1.12, place, _beside(rung), va="center", fontsize=8.5, **PLAIN)
    axes.set_xscale("log")
    axes.set_xlim(left, max(rates) * 1_000)  # room for the figures beside the longest bar
    axes.set_yticks(range(len(found)), labels=[f"{rung.name}\n{rung.idea}" for rung in found], fontsize=8, **PLAIN)
    axes.invert_yaxis()
    axes.set_xlabel("rows a second (log scale)", **PLAIN)
    shape = "-".join(map(str, ladder.widths))
    figure.suptitle(f"{shape}: {sentence(ladder)}", fontsize=9.5, **PLAIN)
    axes.grid(axis="x", color="#dddddd", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    return png(figure)


def _beside(rung: RungFigures) -> str:
    """The bar's figures: rate, what was won over the rung before, and the share of the limit."""
    told = number(rung.rows_per_s or 0.0)
    if rung.failure:
        return f"{told}, invalid"
    if rung.before is not None and rung.before.ratio is not None:
        told += f", {times(rung.before.ratio)} times"
    if rung.stopped_paying:
        told += f" ({rung.word})"
    if rung.fraction_of_limit is not None and rung.fraction_of_limit >= 0.01:
        told += f", {percent(rung.fraction_of_limit)} of the limit"
    return told


def new_figure(width: float, height: float) -> "Figure":
    """An empty figure, inches by inches, whose drawing keeps a tenth of an inch from the edge."""
    from matplotlib.figure import Figure  # noqa: PLC0415 -- heavy, see above
    from matplotlib.layout_engine import ConstrainedLayoutEngine  # noqa: PLC0415

    return Figure(figsize=(width, height), dpi=DPI, layout=ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.1))


def png(figure: "Figure") -> bytes:
    """The figure's PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415 -- heavy, see above

    FigureCanvasAgg(figure)
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=DPI)
    return content.getvalue()

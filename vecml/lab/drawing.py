"""An experiment's picture as PNG bytes: curves where its points have a place on an axis, bars for what stands beside.

It can be read without colour: curves differ in their markers and dashes, bars in their hatching, and each has its name.
"""

from typing import TYPE_CHECKING

from vecml.errors import DataError
from vecml.lab.experiment import Cell, Outcome
from vecml.lab.picture import PLAIN, new_figure, png
from vecml.numbers import seconds, times

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9")  # Okabe and Ito's, told apart by everyone
MARKERS, DASHES, HATCHES = "osD^v", ("-", "--", "-.", ":", (0, (1, 1))), ("", "///", "xxx", "...", "\\\\\\")


def drawn(outcome: Outcome) -> bytes:
    """The time of a call, log scale, as a PNG; raises DataError where nothing was measured."""
    curve = [cell for cell in outcome.of(curve=True) if cell.seconds]
    bars = [cell for cell in outcome.of(curve=False) if cell.seconds]
    if not curve and not bars:
        raise DataError(f"lab {outcome.name}: nothing was measured, so there is nothing to draw")
    panels = (len(curve) > 0) + (len(bars) > 0)
    figure = new_figure(8.4, 3.6 if not bars else 1.0 + 0.3 * len(bars) + (3.4 if curve else 0.6))
    heights = [3.4, 0.6 + 0.3 * len(bars)] if panels == 2 else [1]
    all_axes = figure.subplots(panels, 1, squeeze=False, gridspec_kw={"height_ratios": heights})[:, 0]
    if curve:
        _curves(all_axes[0], outcome, curve)
    if bars:
        _bars(all_axes[-1], outcome, bars)
    figure.suptitle(outcome.title, fontsize=11, **PLAIN)
    for axes in all_axes:
        axes.grid(color="#dddddd", linewidth=0.8)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
    return png(figure)


def _curves(axes: "Axes", outcome: Outcome, curve: list[Cell]) -> None:
    for place, way in enumerate(outcome.ways()):
        own = [cell for cell in curve if cell.way == way]
        if own:
            style = place % len(COLOURS)
            axes.plot(
                [cell.x or 1.0 for cell in own],
                [(cell.seconds or 0.0) / (cell.x or 1.0) * 1e9 for cell in own],
                color=COLOURS[style],
                marker=MARKERS[style],
                linestyle=DASHES[style],
                label=way,
            )
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel(outcome.axis, **PLAIN)
    axes.set_ylabel(f"ns for each of the {outcome.axis.split()[0]}", fontsize=8, **PLAIN)
    axes.legend(frameon=False)


def _bars(axes: "Axes", outcome: Outcome, bars: list[Cell]) -> None:
    ways = outcome.ways()
    lengths = [cell.seconds or 0.0 for cell in bars]
    left = min(lengths) / 3
    for place, (cell, length) in enumerate(zip(bars, lengths, strict=True)):
        style = ways.index(cell.way) % len(COLOURS)
        axes.barh(
            place,
            length - left,
            left=left,
            height=0.7,
            color="white" if HATCHES[style] else COLOURS[style],
            edgecolor=COLOURS[style],
            hatch=HATCHES[style],
        )
        told = seconds(cell.seconds)
        if cell.failure:
            told += ", invalid"
        elif not cell.plain and cell.ratio is not None:
            told += f", {times(cell.ratio)} times as fast"
        axes.text(length * 1.1, place, told, va="center", fontsize=8, **PLAIN)
    axes.set_xscale("log")
    axes.xaxis.set_minor_formatter("")  # within a decade its labels would touch; every bar has its figure beside it
    axes.set_xlim(left, max(lengths) * 12)
    axes.set_yticks(range(len(bars)), labels=[f"{cell.point}: {cell.way}" for cell in bars], fontsize=8, **PLAIN)
    axes.invert_yaxis()
    axes.set_xlabel("time of a call (log scale), seconds", **PLAIN)

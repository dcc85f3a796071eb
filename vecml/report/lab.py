"""The report of lab experiments: tables, remarks, pictures, JSON, and one HTML page that loads nothing else."""

import base64
import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from vecml.errors import DataError
from vecml.lab.experiment import Cell, Outcome
from vecml.numbers import finite_values, number, percent, seconds, size, times
from vecml.report.figure import BLUE, PLAIN, new_figure, png_bytes
from vecml.report.ladder import interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes

HEADINGS = ("point", "way", "time", "x plain", "interval", "of limit", "verdict")
COLOURS = (BLUE, "#D55E00", "#009E73", "#CC79A7", "#56B4E9")  # the palette of Okabe and Ito
MARKERS, DASHES, HATCHES = "osD^v", ("-", "--", "-.", ":", (0, (1, 1))), ("", "///", "xxx", "...", "\\\\\\")


def table(outcome: Outcome) -> list[list[str]]:
    """A row for each cell, under `HEADINGS`."""
    return [_row(cell) for cell in outcome.cells]


def _row(cell: Cell) -> list[str]:
    return [
        cell.point,
        cell.way,
        seconds(cell.seconds),
        "1" if cell.plain else times(cell.ratio),
        interval(cell.verdict),
        percent(cell.fraction_of_limit),
        cell.word or "-",
    ]


def remarks(outcome: Outcome) -> list[str]:
    """Remarks below the table: the limits, allocated memory, invalid ways, and points that were left out."""
    told = []
    copy, gemm = outcome.limits.copy(1), outcome.limits.gemm("float32", 1)
    if copy and gemm and outcome.of():
        limit = f"{number(copy)}B/s copied, {number(gemm)} float32 operations a second"
        told.append(f"of limit: of one thread's {limit}; above 100 %, the data fits into the caches.")
    allocated = [cell for cell in outcome.of() if cell.allocated_bytes is not None]
    if allocated:
        last = [cell for cell in allocated if cell.point == allocated[-1].point]
        each = ", ".join(f"{cell.way} {size(cell.allocated_bytes or 0)}" for cell in last)
        told.append(f"Allocated by a call over {last[0].point}: {each}.")
    reasons: dict[str, list[str]] = {}
    for cell in outcome.cells:
        if cell.failure:
            reasons.setdefault(cell.failure, []).append(f"{cell.way} over {cell.point}")
    told += [f"Invalid ({reason}): {'; '.join(names)}." for reason, names in reasons.items()]
    told += [f"{name} is left out: {reason}." for name, reason in outcome.skipped.items()]
    return told


def page(outcomes: Sequence[Outcome], pictures: Mapping[str, bytes]) -> str:
    """One page for all, pictures inside; everything that it shows is escaped.

    Args:
        outcomes: in order.
        pictures: PNG by experiment; one that is not there is not shown.
    """
    from vecml.report.page import template  # noqa: PLC0415 -- only when a page is made

    shown = [
        {
            "name": outcome.name,
            "title": outcome.title,
            "idea": outcome.idea,
            "sentences": outcome.sentences,
            "lines": remarks(outcome),
            "rows": table(outcome),
            "picture": base64.b64encode(pictures[outcome.name]).decode() if outcome.name in pictures else "",
        }
        for outcome in outcomes
    ]
    facts = outcomes[0].environment if outcomes else {}
    host = f"{facts.get('cpu_model') or 'An unknown CPU'}, {facts.get('usable_cpus') or 'unknown'} CPUs"
    return template("lab").render(outcomes=shown, headings=HEADINGS, host=host) + "\n"


def to_json_dict(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """The outcomes for programs: `version` 1, and by experiment what was seen, cell by cell."""
    return {
        "version": 1,
        "kind": "lab",
        "experiments": {
            outcome.name: {
                "title": outcome.title,
                "idea": outcome.idea,
                "created": outcome.created,
                "quick": outcome.quick,
                "launches": outcome.launches,
                "sentences": list(outcome.sentences),
                "skipped": dict(outcome.skipped),
                "limits": dataclasses.asdict(outcome.limits),
                "cells": [_cell_dict(cell) for cell in outcome.cells],
                "environment": dict(outcome.environment),
                "load_before": outcome.load_before and dataclasses.asdict(outcome.load_before),
                "load_after": outcome.load_after and dataclasses.asdict(outcome.load_after),
            }
            for outcome in outcomes
        },
    }


def _cell_dict(cell: Cell) -> dict[str, Any]:
    verdict = None if cell.verdict is None else finite_values(dataclasses.asdict(cell.verdict))
    return {**finite_values(dataclasses.asdict(cell)), "verdict": verdict, "word": cell.word, "ratio": cell.ratio}


def picture(outcome: Outcome) -> bytes:
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
    return png_bytes(figure)


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

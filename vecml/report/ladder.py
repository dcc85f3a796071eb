"""The report of a ladder: its sentence, table and remarks in text, and its picture as PNG bytes."""

from collections.abc import Sequence

from vecml.errors import DataError
from vecml.lab.ladder import Ladder, RungFigures, best, claim, figures
from vecml.measure.verdict import Verdict
from vecml.numbers import number, percent, times
from vecml.report.figure import BLUE, PLAIN, new_figure, png_bytes

QUIET = "#e4e4e4"  # fill of the bar of a rung that did not pay
HEADINGS = ("rung", "rows/s", "x before", "interval", "x first", "flips", "B/row", "limit", "verdict")


def sentence(ladder: Ladder) -> str:
    """How much faster the best rung is than the first, as far as verdicts show it."""
    found, said = figures(ladder), claim(ladder)
    first, top = found[0], best(found, said)
    if top is not None:
        return f"From the {first.name} to {top.name}: {_more(top, first)}."
    if said.kind == "unsurpassed" or said.fastest == first.name:
        return f"No rung is shown to be faster than the {first.name}."
    if said.kind == "quick":
        led = next((rung for rung in found if rung.name == said.best and rung is not first), None)
        told = f"no rung ran faster than the {first.name}" if led is None else f"{led.name} ran {_more(led, first)}"
        return f"No verdict from a quick look: {told}."
    if said.kind == "busy":
        return f"No verdict that holds on a quiet machine: {said.reason}."
    advice = f" {said.advice[:1].upper()}{said.advice[1:]}." if said.advice else ""
    return f"No answer: {said.reason}.{advice}"


def _more(rung: RungFigures, first: RungFigures) -> str:
    ratio = None if rung.first is None else rung.first.ratio
    rates = f"{number(rung.rows_per_s or 0)} against {number(first.rows_per_s or 0)}"
    return f"{times(ratio)} times as many rows a second, {rates}"


def table(ladder: Ladder) -> list[list[str]]:
    """A row for each rung, under `HEADINGS`."""
    return [_row(rung) for rung in figures(ladder)]


def _row(rung: RungFigures) -> list[str]:
    before = rung.before
    return [
        rung.name,
        number(rung.rows_per_s),
        "-" if before is None else times(before.ratio),
        interval(before),
        "1" if rung.first is None else times(rung.first.ratio),
        f"{rung.flips:,}",
        f"{rung.memory_bytes:,}",
        percent(rung.fraction_of_limit),
        "-" if rung.word is None else rung.word,
    ]


def interval(verdict: Verdict | None) -> str:
    """The interval of a verdict's ratio: `1.9-2.1`."""
    if verdict is None or verdict.ratio_low is None:
        return "-"
    return f"{times(verdict.ratio_low)}-{times(verdict.ratio_high)}"


def remarks(ladder: Ladder) -> list[str]:
    """Remarks below the table: rows and units, then the rungs that did not pay, are invalid, or were left out."""
    found = figures(ladder)
    shape = "-".join(map(str, ladder.widths))
    lines = [f"Network {shape} over {ladder.n_rows:,} rows of {ladder.data_source}; every rate is per row."]
    fewer = [f"{rung.name} {rung.rows:,}" for rung in found if rung.rows < ladder.n_rows]
    if fewer:
        lines.append(f"Slow rungs label fewer rows a call: {', '.join(fewer)}.")
    lines.append("B/row: bytes that a row moves to or from memory. limit: of all CPUs in float32.")
    lines += [_stopped(rung) for rung in found if rung.stopped_paying]
    lines += [f"{', '.join(names)}: invalid: {reason}." for reason, names in _invalid(found).items()]
    if all(rung.word is None for rung in found):
        lines.append("Quick: one launch can give figures, but no verdict.")
    lines += [f"{name} is left out: {reason}." for name, reason in ladder.skipped.items()]
    return lines


def _invalid(found: Sequence[RungFigures]) -> dict[str, list[str]]:
    """Names of the invalid rungs, by the reason."""
    named: dict[str, list[str]] = {}
    for rung in found:
        if rung.failure is not None:
            named.setdefault(rung.failure, []).append(rung.name)
    return named


def _stopped(rung: RungFigures) -> str:
    told = {"undetected": "it showed no certain gain here", "equivalent": "it made no difference here"}
    reason = "" if rung.before is None else f": {rung.before.reason}"
    return f"{rung.name}: {told.get(rung.word or '', 'it did not pay here')} ({rung.word}){reason}."


def note(ladder: Ladder) -> str:
    """The description of the tracked run, in Markdown."""
    lines: Sequence[Sequence[str]] = [HEADINGS, ["---"] * len(HEADINGS), *table(ladder)]
    rows = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    told = "\n".join(f"- {line}" for line in remarks(ladder))
    return f"{sentence(ladder)}\n\n{rows}\n\n{told}\n"


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
    return png_bytes(figure)


def _beside(rung: RungFigures) -> str:
    """The text beside a bar: its rate, the gain over the rung before, and the share of the limit."""
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

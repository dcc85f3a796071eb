"""The picture of each setting below the machine's limits: a roofline.

The least operations and bytes that the network needs (`minimal_work`) give a setting its place. The roofs are the
matrix product and the copy, which were measured in the same launches.
S. Williams, A. Waterman and D. Patterson, "Roofline", Communications of the ACM 52 (2009), 65-76.
"""

import statistics
from dataclasses import dataclass

from vecml.comparison.comparison import measured_limits
from vecml.measure.limits import CEILING_WRONG, minimal_work
from vecml.numbers import count, percent
from vecml.report.chart_speed import SMALL
from vecml.report.content import SHAPES, Content, word
from vecml.report.drawing import (
    AnyMark,
    Drawing,
    Group,
    Line,
    Mark,
    OneMark,
    Role,
    Scale,
    Text,
    apart,
    centred,
    fitted,
    round_factors,
    text_width,
)

HEIGHT = 300.0
LABELLED = 14  # settings whose names stand beside their points


@dataclass(frozen=True)
class Roof:
    """The limits of one precision and number of threads.

    Attributes:
        precision, threads: of the matrix product; the copy of memory ran with as many threads.
        flops_per_s, bytes_per_s: the measured rates of the matrix product and of the copy.
    """

    precision: str
    threads: int
    flops_per_s: float
    bytes_per_s: float


@dataclass(frozen=True)
class Standing:
    """The point of one setting in the roofline chart.

    Attributes:
        name: the name of the setting.
        flops_per_byte: arithmetic intensity of the least work that the inference needs.
        flops_per_s: floating-point operations of that work that the setting does in a second.
        fraction: rate of the setting as a share of the rate that the roof allows, 0 to 1.
        roof: the limits of its precision and number of threads.
    """

    name: str
    flops_per_byte: float
    flops_per_s: float
    fraction: float
    roof: Roof


def standings(content: Content) -> tuple[Standing, ...]:
    """List the points of the settings with a rate and a roof, the fastest first; none for a subject without layers."""
    comparison = content.comparison
    subject = comparison.subject
    if len(subject.widths) < 2:
        return ()
    limits = measured_limits(comparison.measured, statistics.median)
    flops, bytes_per_row, fixed = minimal_work(subject.widths, subject.value_bytes)
    found = []
    for arm in content.arms.values():
        if arm.setting is None or not arm.rows_per_s or arm.fraction_of_limit is None:
            continue
        gemm = limits.gemm(arm.setting.precision, arm.setting.threads)
        copy = limits.copy(arm.setting.threads)
        rows = arm.setting.request_rows or subject.n_rows
        if gemm is None or copy is None:
            continue
        roof = Roof(arm.setting.precision, arm.setting.threads, gemm, copy)
        intensity = flops * rows / (bytes_per_row * rows + fixed)
        found.append(Standing(arm.name, intensity, flops * arm.rows_per_s, arm.fraction_of_limit, roof))
    return tuple(sorted(found, key=lambda one: -one.flops_per_s))


def limits_chart(content: Content, width: float) -> Drawing | None:
    """Draw the roofline; None if no limit was measured for any setting."""
    found = standings(content)
    if not found:
        return None
    roofs = list(dict.fromkeys(one.roof for one in found))
    ridges = [roof.flops_per_s / roof.bytes_per_s for roof in roofs]
    places = [one.flops_per_byte for one in found]
    heights = [one.flops_per_s for one in found]
    left, top = 80.0, 40.0
    across = Scale(min(*places, *ridges) / 5, max(*places, *ridges) * 6, left, width - 4, log=True)
    most = max(roof.flops_per_s for roof in roofs)
    floor = min(*heights, across.low * min(roof.bytes_per_s for roof in roofs))
    up = Scale(max(floor / 1.6, min(heights) / 4), max(most, *heights) * 1.8, top + HEIGHT, top, log=True)
    marks: list[AnyMark] = [Text(0, 14, "↑ operations a second", "muted", SMALL)]
    for tick in round_factors(up.low, up.high, 7):
        marks.append(Line(((left, up.at(tick)), (width - 4, up.at(tick))), "grid"))
        marks.append(Text(left - 8, up.at(tick) + 4, flop_rate(tick), "muted", SMALL, "end"))
    for tick in round_factors(across.low, across.high, 7 if width >= 600 else 5):
        marks.append(Line(((across.at(tick), top), (across.at(tick), top + HEIGHT)), "grid"))
        marks.append(centred(across.at(tick), top + HEIGHT + 17, f"{tick:g}", SMALL, 0.0, width))
    marks.append(Text(width - 4, top + HEIGHT + 34, "operations a byte →", "muted", SMALL, "end"))
    marks += _roofs(roofs, across, up, width)
    right = places[0] > (across.low * across.high) ** 0.5
    end = top + HEIGHT + 42
    if width >= 600:
        marks += _points(content, found, across, up)
        marks += _names(content, found, across, up, left_side=right)
    else:
        marks += _points(content, found, across, up, numbered=True)
        legend, end = _legend(content, found, width, end + 6)
        marks += legend
    told = "; ".join(
        f"{one.name}: {flop_rate(one.flops_per_s)} at {one.flops_per_byte:.3g} operations a byte,"
        f" {percent(one.fraction)} of its limit"
        for one in found
    )
    roof_words = "; ".join(_roof_words(roof) for roof in roofs)
    return Drawing(
        width,
        end,
        tuple(marks),
        "Under the machine's limits",
        f"Limits: {roof_words}. Settings: {told}.",
    )


def _roofs(roofs: list[Roof], across: Scale, up: Scale, width: float) -> list[AnyMark]:
    marks: list[AnyMark] = []
    wanted = [up.at(roof.flops_per_s) - 7 for roof in roofs]
    for roof, y in zip(roofs, apart(wanted, 15.0, up.end - 2, up.start), strict=True):
        ridge = roof.flops_per_s / roof.bytes_per_s
        begin = max(across.low, up.low / roof.bytes_per_s)
        line = (
            (across.at(begin), up.at(begin * roof.bytes_per_s)),
            (across.at(ridge), up.at(roof.flops_per_s)),
            (across.end, up.at(roof.flops_per_s)),
        )
        words = fitted(
            f"{roof.precision}, {count(roof.threads, 'thread')}: {flop_rate(roof.flops_per_s)}", width * 0.6, SMALL
        )
        marks.append(
            Group(
                (Line(line, "ink", 1.6), Text(across.end - 4, y, words, "muted", SMALL, "end")),
                _roof_words(roof),
            )
        )
    return marks


def _points(
    content: Content, found: tuple[Standing, ...], across: Scale, up: Scale, *, numbered: bool = False
) -> list[AnyMark]:
    """The points of the settings; with `numbered`, each has its rank by speed beside it."""
    marks: list[AnyMark] = []
    tied = content.leading
    numbers = apart([up.at(one.flops_per_s) + 4 for one in found], 12.0, up.end + 10, up.start - 4)
    for place, (one, y) in enumerate(zip(found, numbers, strict=True), 1):
        shape, hollow, _ = SHAPES[word(content.arms[one.name])]
        x, role = across.at(one.flops_per_byte), _role(one, tied)
        drawn: list[OneMark] = [Mark(x, up.at(one.flops_per_s), shape, role, 10, hollow=hollow)]
        if numbered and len(found) <= LABELLED:
            drawn.append(Line(((x + 7, up.at(one.flops_per_s)), (x + 13, y - 4)), "faint", 0.8))
            drawn.append(Text(x + 16, y, str(place), "ink", SMALL, bold=one.name in tied))
        told = f"{one.name}: {flop_rate(one.flops_per_s)}, {percent(one.fraction)} of its limit"
        marks.append(Group(tuple(drawn), told))
    return marks


def _names(
    content: Content, found: tuple[Standing, ...], across: Scale, up: Scale, *, left_side: bool
) -> list[AnyMark]:
    """Names beside the points; if there are too many settings, only the baselines and the fastest ones have names."""
    named = list(found)
    if len(found) > LABELLED:
        baselines = {family.baseline for family in content.families}
        named = [one for place, one in enumerate(found) if place < LABELLED - 3 or one.name in baselines]
    wanted = [up.at(one.flops_per_s) + 4 for one in named]
    marks: list[AnyMark] = []
    tied = content.leading
    side = -1 if left_side else 1
    for one, y in zip(named, apart(wanted, 14.0, up.end + 10, up.start - 4), strict=True):
        x, point = across.at(one.flops_per_byte), up.at(one.flops_per_s)
        share = _share(one)
        room = (x - across.start if left_side else across.end - x) - text_width(f" · {share}", SMALL) - 26
        words = f"{fitted(one.name, max(room, 40.0), SMALL)} · {share}"
        marks.append(Line(((x + side * 7, point), (x + side * 16, y - 4)), "faint", 0.8))
        marks.append(
            Text(x + side * 20, y, words, "ink", SMALL, "end" if left_side else "start", bold=one.name in tied)
        )
    return marks


def _legend(content: Content, found: tuple[Standing, ...], width: float, top: float) -> tuple[list[AnyMark], float]:
    """Draw the legend below the plot, a line for each setting; return its marks and the y in pixels where it ends."""
    marks: list[AnyMark] = []
    tied = content.leading
    for place, one in enumerate(found):
        y = top + place * 19.0 + 10
        shape, hollow, _ = SHAPES[word(content.arms[one.name])]
        share = _share(one)
        marks.append(Mark(5, y - 4, shape, _role(one, tied), 8, hollow=hollow))
        marks.append(Text(30, y, str(place + 1), "ink", SMALL, "end", bold=one.name in tied))
        name = fitted(one.name, width - 50 - text_width(share, SMALL), SMALL)
        marks.append(Text(37, y, name, "ink", SMALL, bold=one.name in tied))
        marks.append(Text(width, y, share, "muted", SMALL, "end"))
    return marks, top + len(found) * 19.0 + 6


def _role(one: Standing, tied: set[str]) -> Role:
    return "accent" if one.name in tied else "muted"


def _share(one: Standing) -> str:
    return percent(one.fraction) + (" (ceiling wrong)" if one.fraction > CEILING_WRONG else "")


def flop_rate(value: float) -> str:
    """Write operations a second: `61.2 GFLOP/s`."""
    for factor, unit in ((1e12, "TFLOP/s"), (1e9, "GFLOP/s"), (1e6, "MFLOP/s"), (1e3, "kFLOP/s")):
        if value >= factor:
            return f"{value / factor:.3g} {unit}"
    return f"{value:.3g} FLOP/s"


def byte_rate(value: float) -> str:
    """Write bytes a second: `9.81 GB/s`."""
    return f"{value / 1e9:.3g} GB/s"


def _roof_words(roof: Roof) -> str:
    return (
        f"{roof.precision} with {count(roof.threads, 'thread')}: matrix product {flop_rate(roof.flops_per_s)},"
        f" copy {byte_rate(roof.bytes_per_s)}"
    )

"""The picture of each setting's speed relative to its baseline, with intervals and the bounds of the rules."""

import math

from vecml.measure.verdict import Family, Verdict
from vecml.numbers import percent
from vecml.report.chart_speed import LONGEST_NAME, NAME_SIZE, SMALL, whisker
from vecml.report.content import SHAPES, Content, word
from vecml.report.drawing import (
    AnyMark,
    Drawing,
    Group,
    Line,
    Mark,
    OneMark,
    Rect,
    Role,
    Scale,
    Text,
    centred,
    fitted,
    text_width,
)

WIDEST = 1e4  # a larger ratio is drawn at the end of the axis


def ratio_chart(content: Content, width: float) -> Drawing | None:
    """Draw each arm's rate over that of its baseline, null arms included; None if there is no ratio."""
    rules = content.comparison.rules
    ratios = [
        value
        for family in content.families
        for verdict in (*family.verdicts, *family.null_verdicts)
        for value in (verdict.ratio, verdict.ratio_low, verdict.ratio_high)
        if value is not None and value > 0
    ]
    if not ratios:
        return None
    names = [verdict.arm for family in content.families for verdict in family.verdicts]
    longest = max((text_width(name, NAME_SIZE) for name in names), default=0.0)  # beside a null arm alone there is none
    beside = width >= 600 and longest <= LONGEST_NAME
    left = max(longest + 16, 130.0) if beside else 8.0
    right = 128.0 if beside else 8.0
    edge = 1 + 1.6 * max(rules.gate, rules.equivalence)
    low = max(min(*ratios, 1 / edge) / 1.02, 1 / WIDEST)
    high = min(max(*ratios, edge) * 1.02, WIDEST)
    scale = Scale(low, high, left, width - right, log=True)
    height, top = 30.0 if beside else 48.0, 56.0 if width >= 600 else 74.0
    several = len(content.families) > 1
    rows: list[AnyMark] = []
    y, told = top, []
    for family in content.families:
        if several:
            rows.append(Text(0, y + 18, f"against {fitted(family.baseline, width - 90, NAME_SIZE)}", "ink", NAME_SIZE))
            y += 28
        for verdict, null in _ordered(family):
            if verdict.ratio is None:
                continue
            rows.append(_row(content, verdict, y, scale, width, beside=beside, null=null))
            told.append(_told(verdict, null=null))
            y += height
    same = (scale.at(1 / (1 + rules.equivalence)), scale.at(1 + rules.equivalence))
    gate = (scale.at(1 / (1 + rules.gate)), scale.at(1 + rules.gate))
    marks: list[AnyMark] = [Rect(same[0], top, same[1] - same[0], y - top, "band")]
    ticks = _thinned(ratio_ticks(low, high), scale, 40.0)
    for tick in ticks:
        marks.append(Line(((scale.at(tick), top), (scale.at(tick), y)), "grid"))
        marks.append(centred(scale.at(tick), y + 16, f"{tick:g}×", SMALL, 0.0, width))
    marks += [Line(((place, top), (place, y)), "muted", dashed=True) for place in gate]
    marks.append(Line(((scale.at(1), top), (scale.at(1), y)), "ink", 1.4))
    _legend(marks, f"the same: within {percent(rules.equivalence)}", f"A/A gate: {percent(rules.gate)}", width)
    marks.append(centred(scale.at(1), top - 8, "◂ slower · faster ▸", SMALL, 0.0, width))
    title = "Speed against the baseline, with intervals"
    return Drawing(width, y + 24, (*marks, *rows), title, "; ".join(told) + ".")


def _ordered(family: Family) -> list[tuple[Verdict, bool]]:
    arms = sorted(family.verdicts, key=lambda verdict: -(verdict.ratio or 0.0))
    return [*((verdict, False) for verdict in arms), *((verdict, True) for verdict in family.null_verdicts)]


def _row(
    content: Content, verdict: Verdict, top: float, scale: Scale, width: float, *, beside: bool, null: bool
) -> Group:
    told = "no verdict" if null else word(content.arms[verdict.arm])
    shape, hollow, _ = SHAPES[told]
    role: Role = "muted" if null or told == "invalid" else "ink" if told != "faster" else "accent"
    middle = top + 15 if beside else top + 34
    name = "null arm" if null else verdict.arm
    numbers = f"{verdict.ratio or 0:.2f}"
    if verdict.ratio_low is not None and verdict.ratio_high is not None:
        numbers += f" ({verdict.ratio_low:.2f} to {verdict.ratio_high:.2f})"
    room = scale.start - 14 if beside else width - text_width(numbers, SMALL) - 14
    line = middle + 4.5 if beside else top + 18
    shown = fitted(name, room, NAME_SIZE)
    marks: list[OneMark] = [
        Rect(0, line - 12, text_width(shown, NAME_SIZE), 16, "paper"),
        Text(0, line, shown, "muted" if null else "ink", NAME_SIZE),
        Text(width, line, numbers, "muted", SMALL, "end"),
    ]
    if verdict.ratio_low is not None and verdict.ratio_high is not None:
        marks += whisker(scale.at(verdict.ratio_low), scale.at(verdict.ratio_high), middle, 8)
    marks.append(Mark(scale.at(verdict.ratio or 1.0), middle, shape, role, 10, hollow=hollow or null))
    return Group(tuple(marks), _told(verdict, null=null))


def _told(verdict: Verdict, *, null: bool) -> str:
    interval = ""
    if verdict.ratio_low is not None and verdict.ratio_high is not None:
        interval = f" ({verdict.ratio_low:.3f} to {verdict.ratio_high:.3f})"
    told = "null arm" if null else verdict.verdict or "no verdict"
    return f"{verdict.arm}: {verdict.ratio or 0:.3f} times as fast{interval}, {told}"


def _legend(marks: list[AnyMark], same: str, gate: str, width: float) -> None:
    """Add the legend of the band and the dashed lines."""
    x = 22.0
    marks += [Rect(0, 4, 14, 12, "band"), Text(x, 14, same, "muted", SMALL)]
    x += text_width(same, SMALL) + 20
    y = 14.0
    if width < 600:
        x, y = 0.0, 34.0
    marks += [Line(((x, y - 4), (x + 14, y - 4)), "muted", dashed=True), Text(x + 22, y, gate, "muted", SMALL)]


def _thinned(ticks: list[float], scale: Scale, least: float) -> list[float]:
    """Keep 1 and the ticks that are at least `least` pixels from each other."""
    kept = [1.0] if any(tick == 1 for tick in ticks) else []
    for tick in sorted(ticks, key=lambda value: abs(math.log(value))):
        if all(abs(scale.at(tick) - scale.at(other)) >= least for other in kept):
            kept.append(tick)
    return sorted(kept)


def ratio_ticks(low: float, high: float) -> list[float]:
    """Choose round ratios between `low` and `high`; the shorter the axis, the closer they are."""
    spans = (
        (1.3, (0.8, 0.85, 0.9, 0.95, 1, 1.05, 1.1, 1.15, 1.2, 1.25)),
        (4.0, (0.25, 0.5, 0.6, 0.7, 0.8, 0.9, 1, 1.1, 1.25, 1.5, 1.75, 2, 2.5, 3, 4)),
        (12.0, (0.1, 0.2, 0.25, 0.5, 0.75, 1, 1.5, 2, 3, 4, 5, 7, 10)),
        (60.0, (0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50)),
    )
    span = high / low
    for most, ticks in spans:
        if span <= most:
            return [tick for tick in ticks if low <= tick <= high]
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    return [10.0**power for power in decades if low <= 10.0**power <= high]

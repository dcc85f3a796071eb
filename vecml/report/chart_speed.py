"""The picture of speed: bars of rows a second with their intervals, or the percentiles of single calls."""

from collections.abc import Sequence

from vecml.comparison.comparison import ArmFigures
from vecml.measure.verdict import Family
from vecml.numbers import count, plural, rate, seconds
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
    Shape,
    Text,
    centred,
    fitted,
    round_factors,
    round_steps,
    text_width,
)

NAME_SIZE, SMALL = 13.0, 11.0
LONGEST_NAME = 250.0  # pixels beside a bar; longer names stand above theirs
PERCENTILES: tuple[Shape, ...] = ("circle", "square", "diamond", "up", "down")
HATCHED = ("busy", "invalid")  # verdicts that give a bar no colour
LOG_FROM = 15.0  # times as long: from here on the axis of times is logarithmic


def speed_chart(content: Content, width: float) -> Drawing | None:
    """Draw the rows a second of every setting, or the percentiles of its calls; None if nothing was measured."""
    if not any(arm.rows_per_s for arm in content.arms.values()):
        return None
    return _latency(content, width) if content.is_latency else _throughput(content, width)


def _throughput(content: Content, width: float) -> Drawing:
    arms = _by_speed([content.arms[name] for family in content.families for name in content.names(family)])
    beside = width >= 600 and max(text_width(arm.name, NAME_SIZE) for arm in arms) <= LONGEST_NAME
    left = max(text_width(arm.name, NAME_SIZE) for arm in arms) + 16 if beside else 0.0
    left = max(left, 110.0) if beside else left
    right, height, top = 92.0, 40.0 if beside else 50.0, 34.0
    most = max((arm.rows_per_s_high or 0.0, arm.rows_per_s or 0.0)[arm.rows_per_s_high is None] for arm in arms)
    scale = Scale(0.0, most or 1.0, left, width - right)
    end = top + height * len(arms)
    marks: list[AnyMark] = [*_speed_legend(content, arms, width)]
    for tick in round_steps(0.0, scale.high, 5 if width >= 600 else 3):
        marks.append(Line(((scale.at(tick), top), (scale.at(tick), end)), "grid"))
        marks.append(centred(scale.at(tick), end + 16, plain_rate(tick, content.unit), SMALL, scale.start, width))
    for place, arm in enumerate(arms):
        marks.append(_bar(arm, content, top + place * height, scale, width, beside=beside))
    told = "; ".join(_told(arm, content.unit) for arm in arms)
    title = f"{plural(content.unit).capitalize()} a second, with 95 % intervals"
    return Drawing(width, end + 24, tuple(marks), title, f"{told}.")


def _bar(arm: ArmFigures, content: Content, top: float, scale: Scale, width: float, *, beside: bool) -> Group:
    verdict, tied = word(arm), arm.name in content.leading
    shape, hollow, _ = SHAPES[verdict]
    middle, thick = (top + 20, 20.0) if beside else (top + 34, 16.0)
    marks: list[OneMark] = []
    room = scale.start - 12 if beside else width - 104
    marks.append(Text(0, middle - 3 if beside else top + 18, fitted(arm.name, room, NAME_SIZE), "ink", NAME_SIZE))
    place = (0.0, middle + 13) if beside else (width - 92, top + 18)
    marks.append(Mark(place[0] + 4, place[1] - 4, shape, "muted", 7.5, hollow=hollow))
    marks.append(Text(place[0] + 13, place[1], verdict, "muted", SMALL))
    if arm.rows_per_s is None:
        reason = fitted(arm.failure or "nothing was measured", width - scale.start - 4, SMALL)
        marks.append(Text(scale.start + 2, middle + 4, reason, "muted", SMALL))
        return Group(tuple(marks), _told(arm, content.unit))
    end = scale.at(arm.rows_per_s)
    bar = Rect(scale.start, middle - thick / 2, max(end - scale.start, 1.5), thick, "accent" if tied else "bar", 2)
    if verdict in HATCHED:
        bar = Rect(bar.x, bar.y, bar.width, bar.height, "muted", 2, hatched=True)
    marks.append(bar)
    last = end
    if arm.rows_per_s_low is not None and arm.rows_per_s_high is not None:
        marks += whisker(scale.at(arm.rows_per_s_low), scale.at(arm.rows_per_s_high), middle, 9)
        last = max(end, scale.at(arm.rows_per_s_high))
    marks.append(Text(last + 8, middle + 4.5, rate(arm.rows_per_s, content.unit), "ink", NAME_SIZE, bold=tied))
    return Group(tuple(marks), _told(arm, content.unit))


def whisker(low: float, high: float, y: float, size: float) -> list[OneMark]:
    """The marks of an interval from `low` to `high` at height `y`: a line with ends of this `size`, in pixels."""
    half = size / 2
    return [
        Line(((low, y), (high, y)), "paper", 4.0),
        Line(((low, y), (high, y)), "ink", 1.5),
        Line(((low, y - half), (low, y + half)), "ink", 1.5),
        Line(((high, y - half), (high, y + half)), "ink", 1.5),
    ]


def _speed_legend(content: Content, arms: Sequence[ArmFigures], width: float) -> list[AnyMark]:
    tied, first = content.leading, leading_words(content, short=width < 600)
    marks: list[AnyMark] = []
    x = 0.0
    if first:
        marks += [Rect(0, 4, 12, 12, "accent", 2), Text(18, 14, first, "muted", SMALL)]
        x = 18 + text_width(first, SMALL) + 20
    hatched = [verdict for verdict in HATCHED if any(word(arm) == verdict for arm in arms)]
    if any(arm.name not in tied and word(arm) not in HATCHED for arm in arms):
        others = "others" if first else "no verdict"
        marks += [Rect(x, 4, 12, 12, "bar", 2), Text(x + 18, 14, others, "muted", SMALL)]
        x += 18 + text_width(others, SMALL) + 20
    if hatched:
        words = " or ".join(hatched)
        marks += [Rect(x, 4, 12, 12, "muted", 2, hatched=True), Text(x + 18, 14, words, "muted", SMALL)]
        x += 18 + text_width(words, SMALL) + 20
    if any(arm.rows_per_s_low is not None for arm in arms):
        words = "95 % interval, by launches" if width >= 600 else "95 %"
        marks += [*whisker(x, x + 22, 10, 8), Text(x + 29, 14, words, "muted", SMALL)]
    return marks


def leading_words(content: Content, *, short: bool = False) -> str:
    """Say what the accent colour means in the pictures of this comparison; empty where no verdict gives it one."""
    kinds = {claim.kind for claim in content.claims if claim.shown}
    if not kinds:
        return ""
    if "unsurpassed" in kinds:
        return "none is faster" if short else "nothing is shown to be faster"
    if kinds == {"fastest"}:
        return "fastest"
    return "fastest or tied" if short else "fastest, or not told from it"


def _told(arm: ArmFigures, unit: str) -> str:
    if arm.rows_per_s is None:
        return f"{arm.name}: {arm.failure or 'nothing was measured'}"
    interval = ""
    if arm.rows_per_s_low is not None and arm.rows_per_s_high is not None:
        interval = f" ({rate(arm.rows_per_s_low, unit)} to {rate(arm.rows_per_s_high, unit)})"
    return f"{arm.name}: {rate(arm.rows_per_s, unit)}{interval}, {word(arm)}"


def _by_speed(arms: Sequence[ArmFigures]) -> list[ArmFigures]:
    return sorted(arms, key=lambda arm: -(arm.rows_per_s or -1.0))


def plain_rate(value: float, unit: str = "row") -> str:
    """Rows a second, or other things, without needless zeros, for an axis: `2 Mrow/s`."""
    return "0" if value == 0 else rate(value, unit).replace(".00 ", " ").replace(".0 ", " ")


def _latency(content: Content, width: float) -> Drawing:
    """Draw the percentiles of each setting on an axis of time, grouped by the size of the requests."""
    arms = list(content.arms.values())
    times = [value for arm in arms for value in arm.percentile_seconds.values() if value > 0]
    low, high = min(times), max(times)
    log = high / low > LOG_FROM
    shares = sorted({share for arm in arms for share in arm.percentile_seconds})
    beside = width >= 600 and max(text_width(arm.name, NAME_SIZE) for arm in arms) <= LONGEST_NAME
    left = max(max(text_width(arm.name, NAME_SIZE) for arm in arms) + 16, 110.0) if beside else 8.0
    scale = Scale(low / 1.15 if log else 0.0, high * (1.15 if log else 1.02), left, width - 130, log)
    height, top = 40.0 if beside else 52.0, 34.0
    marks: list[AnyMark] = []
    told = []
    y = top
    for family in content.families:
        marks.append(Text(0, y + 18, _size(content, family), "ink", NAME_SIZE, bold=True))
        y += 26
        for arm in _by_speed([content.arms[name] for name in content.names(family)]):
            marks.append(_times(arm, shares, y, scale, width, beside=beside))
            told.append(_told_times(arm))
            y += height
    grid: list[AnyMark] = []
    few = width < 600
    for tick in round_factors(low, high, 4 if few else 6) if log else round_steps(0.0, scale.high, 3 if few else 5):
        grid.append(Line(((scale.at(tick), top), (scale.at(tick), y)), "grid"))
        label = "0" if tick == 0 else seconds(tick)
        grid.append(centred(scale.at(tick), y + 16, label, SMALL, 0.0, width))
    legend: list[AnyMark] = []
    x = 4.0
    for share, shape in zip(shares, PERCENTILES, strict=False):
        legend += [Mark(x + 4, 10, shape, "accent" if share == 0.5 else "muted", 9, hollow=share != 0.5)]
        words = "median" if share == 0.5 else f"p{share * 100:g}"
        legend.append(Text(x + 14, 14, words, "muted", SMALL))
        x += 14 + text_width(words, SMALL) + 22
    axis = " (each step of the axis is a factor)" if log else ""
    title = f"Seconds a call, by percentile{axis}"
    return Drawing(width, y + 24, (*grid, *legend, *marks), title, "; ".join(told) + ".")


def _times(arm: ArmFigures, shares: Sequence[float], top: float, scale: Scale, width: float, *, beside: bool) -> Group:
    verdict = word(arm)
    shape, hollow, _ = SHAPES[verdict]
    middle = top + 20 if beside else top + 38
    room = scale.start - 12 if beside else width - 104
    place = (0.0, middle + 13) if beside else (width - 92, top + 18)
    marks: list[OneMark] = [
        Text(0, middle - 3 if beside else top + 18, fitted(arm.name, room, NAME_SIZE), "ink", NAME_SIZE),
        Mark(place[0] + 4, place[1] - 4, shape, "muted", 7.5, hollow=hollow),
        Text(place[0] + 13, place[1], verdict, "muted", SMALL),
    ]
    if not arm.percentile_seconds:
        reason = fitted(arm.failure or "nothing was measured", width - scale.start - 4, SMALL)
        return Group((*marks, Text(scale.start + 2, middle + 4, reason, "muted", SMALL)), _told_times(arm))
    places = [scale.at(value) for value in arm.percentile_seconds.values()]
    marks.append(Line(((min(places), middle), (max(places), middle)), "faint", 2.0))
    for share, kind in reversed(list(zip(shares, PERCENTILES, strict=False))):
        if share in arm.percentile_seconds:
            x = scale.at(arm.percentile_seconds[share])
            role: Role = "accent" if share == 0.5 else "muted"
            marks.append(Mark(x, middle, kind, role, 10, hollow=share != 0.5))
    median = arm.percentile_seconds.get(0.5)
    label = "" if median is None else f"median {seconds(median)}"
    marks.append(Text(max(places) + 10, middle + 4.5, label, "ink", NAME_SIZE))
    return Group(tuple(marks), _told_times(arm))


def _told_times(arm: ArmFigures) -> str:
    if not arm.percentile_seconds:
        return f"{arm.name}: {arm.failure or 'nothing was measured'}"
    told = ", ".join(f"p{share * 100:g} {seconds(value)}" for share, value in arm.percentile_seconds.items())
    return f"{arm.name}: {told}, {word(arm)}"


def _size(content: Content, family: Family) -> str:
    setting = content.arms[family.baseline].setting
    rows = None if setting is None else setting.request_rows
    return "all rows at once" if rows is None else f"{count(rows, 'row')} a call"

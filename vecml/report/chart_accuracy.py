"""The picture of accuracy against speed, which shows the settings on the Pareto set (`vecml.report.pareto`)."""

from vecml.measure.verdict import Family
from vecml.numbers import percent, rate
from vecml.report.chart_speed import SMALL, plain_rate
from vecml.report.content import Content
from vecml.report.drawing import (
    AnyMark,
    Drawing,
    Group,
    Line,
    Mark,
    OneMark,
    Scale,
    Text,
    centred,
    fitted,
    round_factors,
    round_steps,
    text_width,
)
from vecml.report.pareto import Trade, knows_truth, trades

HEIGHT = 250.0  # of the plot
LOG_FROM = 6.0
CLOSE = 17.0  # pixels: numbers nearer than this stand above each other
LEGEND_LINE = 19.0


def accuracy_chart(content: Content, family: Family, width: float) -> Drawing | None:
    """Draw the valid settings of a family; None if no labels were counted (functions, or no setting is valid)."""
    found = trades(content, family)
    if not found:
        return None
    truth = knows_truth(content)
    rates = [
        value
        for trade in found
        for value in (trade.rows_per_s, trade.rows_per_s_low, trade.rows_per_s_high)
        if value is not None
    ]
    left, top = 62.0, 40.0
    log = max(rates) / min(rates) > LOG_FROM
    across = (
        Scale(min(rates) / 1.25, max(rates) * 1.25, left, width - 12, log=True)
        if log
        else Scale(0.0, max(rates) * 1.08, left, width - 12)
    )
    shares = [trade.share for trade in found]
    room = max((max(shares) - min(shares)) * 0.25, 0.0005)
    up = Scale(min(shares) - room, max(shares) + room, top + HEIGHT, top)
    marks: list[AnyMark] = []
    for tick in round_steps(up.low, up.high, 5):
        if tick > 1 + 1e-12:
            continue
        marks.append(Line(((left, up.at(tick)), (width - 12, up.at(tick))), "grid"))
        digits = 1 if up.high - up.low > 0.02 else 2
        marks.append(Text(left - 8, up.at(tick) + 4, percent(tick, digits), "muted", SMALL, "end"))
    ticks = round_factors(across.low, across.high, 6 if width >= 600 else 3) if log else ()
    for tick in ticks or round_steps(0.0, across.high, 5 if width >= 600 else 3):
        marks.append(Line(((across.at(tick), top), (across.at(tick), top + HEIGHT)), "grid"))
        marks.append(centred(across.at(tick), top + HEIGHT + 17, plain_rate(tick), SMALL, 0.0, width))
    y_title = "labels that are right" if truth else "labels that are the float64 reference's"
    marks.append(Text(0, 14, f"↑ {y_title}", "muted", SMALL))
    marks.append(Text(width - 12, top + HEIGHT + 34, "faster →", "muted", SMALL, "end"))
    on = [trade for trade in found if trade.beaten_by is None]
    if len(on) > 1:
        line = tuple((across.at(trade.rows_per_s), up.at(trade.share)) for trade in on)
        marks.append(Line(line, "accent", 1.2, dashed=True))
    for trade in found:
        if trade.rows_per_s_low is not None and trade.rows_per_s_high is not None:
            y = up.at(trade.share)
            marks.append(
                Line(((across.at(trade.rows_per_s_low), y), (across.at(trade.rows_per_s_high), y)), "bar", 1.5)
            )
    taken: list[tuple[float, float]] = []
    for number, trade in enumerate(found, 1):
        marks.append(_point(number, trade, across, up, taken))
    legend, end = _legend(found, width, top + HEIGHT + 52)
    told = "; ".join(
        f"{number} {trade.name}: {rate(trade.rows_per_s)}, {percent(trade.share, 3)}, "
        + ("on the set" if trade.beaten_by is None else f"off the set for {trade.beaten_by}")
        for number, trade in enumerate(found, 1)
    )
    title = "Accuracy against speed" if truth else "Agreement with the reference against speed"
    return Drawing(width, end, (*marks, *legend), title, f"{told}.")


def _point(number: int, trade: Trade, across: Scale, up: Scale, taken: list[tuple[float, float]]) -> Group:
    x, y = across.at(trade.rows_per_s), up.at(trade.share)
    on = trade.beaten_by is None
    marks: list[OneMark] = [Mark(x, y, "circle", "accent" if on else "muted", 11, hollow=not on)]
    at = y - 11
    while any(abs(x - other_x) < CLOSE and abs(at - other_y) < 13 for other_x, other_y in taken):
        at -= 13
    taken.append((x, at))
    marks.append(Text(x, at, str(number), "ink", SMALL, "middle", bold=on))
    told = "on the set" if on else f"off the set: {trade.beaten_by} is faster and not less accurate"
    return Group(tuple(marks), f"{trade.name}: {rate(trade.rows_per_s)}, {percent(trade.share, 3)}; {told}")


def _legend(found: tuple[Trade, ...], width: float, top: float) -> tuple[list[AnyMark], float]:
    """The legend below the plot, in as many columns as fit, and the y at which it ends."""
    longest = max(text_width(trade.name, SMALL) for trade in found) + 48
    columns = max(1, min(3, int(width // min(longest, width)), len(found)))
    lines = -(-len(found) // columns)
    column = width / columns
    marks: list[AnyMark] = []
    for place, trade in enumerate(found):
        x, y = (place // lines) * column, top + (place % lines) * LEGEND_LINE + 10
        on = trade.beaten_by is None
        marks.append(Mark(x + 5, y - 4, "circle", "accent" if on else "muted", 8, hollow=not on))
        marks.append(Text(x + 30, y, str(place + 1), "ink", SMALL, "end", bold=on))
        name = fitted(trade.name, column - 46, SMALL)
        marks.append(Text(x + 37, y, name, "ink" if on else "muted", SMALL, bold=on))
    return marks, top + lines * LEGEND_LINE + 6

"""The picture of all timed blocks in the order of measuring: it shows drift, steps between launches, disturbances."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from vecml.comparison.comparison import call_seconds, launch_medians
from vecml.measure.claim import BUSY
from vecml.measure.pairs import disturbance
from vecml.measure.records import ArmMeasurement
from vecml.numbers import percent, seconds
from vecml.report.chart_speed import NAME_SIZE, SMALL
from vecml.report.content import Content
from vecml.report.drawing import AnyMark, Dots, Drawing, Line, Mark, Point, Rect, Scale, Text, fitted, text_width

PANEL = 62.0
LABEL = 24.0
REACHES = (0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.6, 0.8, 1.0, 1.5, 2.0, 3.0)  # of the axis, as shares of the median
INSIDE = 0.97  # of all blocks lie within the axis, and so do the launches' medians


@dataclass(frozen=True)
class _Frame:
    """The measures that all panels of the picture share.

    Attributes:
        across: for each launch, the pixels at which it begins and ends.
        rounds: how many rounds each launch has.
        down, up: how far the axis reaches below and above the median, as shares of it.
        left, width: where the panels begin and end, in pixels.
    """

    across: Mapping[int, tuple[float, float]]
    rounds: Mapping[int, int]
    down: float
    up: float
    left: float
    width: float


def block_groups(content: Content) -> tuple[int, ...]:
    """The numbers of the groups of arms that took turns; each group gets a picture of its own."""
    measured = content.comparison.measured
    return tuple(dict.fromkeys(arm.group for arm in measured.arms if arm.role != "limit" and len(arm.blocks)))


def blocks_chart(content: Content, group: int, width: float) -> Drawing | None:
    """Draw a panel for each arm of a group and its null arm: the time of every block relative to the arm's median.

    Returns None if the group has no block.
    """
    measured = content.comparison.measured
    arms = [arm for arm in measured.arms if arm.group == group and arm.role != "limit" and len(arm.blocks)]
    if not arms:
        return None
    order = {"baseline": 0, "null": 1}
    arms.sort(key=lambda arm: order.get(arm.role, 2))
    medians = [statistics.median(call_seconds(arm)) for arm in arms]
    changes = [[value / median - 1 for value in call_seconds(arm)] for arm, median in zip(arms, medians, strict=True)]
    launches = sorted({launch for arm in arms for launch in arm.blocks.launch})
    rounds = {launch: 1 + max(number for arm in arms for number in _rounds(arm, launch)) for launch in launches}
    left, top = 44.0, 44.0 if width >= 600 else 62.0
    across = _places(launches, rounds, left, width)
    below = [-change for found in changes for change in found if change < 0]
    above = [change for found in changes for change in found if change > 0]
    steps = [value for arm, change in zip(arms, changes, strict=True) for value in launch_medians(arm, change).values()]
    down, up = _reach(below, -min(steps)), _reach(above, max(steps))
    frame = _Frame(across, rounds, min(down, 1.0), up, left, width)
    busy = any(one.verdict == BUSY for family in content.families for one in family.verdicts)
    marks: list[AnyMark] = _legend(width, "counts for busy verdicts alone" if busy else "does not count")
    end = top + (PANEL + LABEL) * len(arms)
    for launch in launches:
        start, stop = across[launch]
        words = f"launch {launch + 1}" if stop - start > text_width("launch 10", SMALL) else str(launch + 1)
        marks.append(Text((start + stop) / 2, end + 14, words, "muted", SMALL, "middle"))
    told = []
    for place, (arm, median, change) in enumerate(zip(arms, medians, changes, strict=True)):
        y = top + place * (PANEL + LABEL)
        marks += _panel(content, arm, median, change, frame, y)
        told.append(
            f"{arm.name}: {len(change):,} blocks, median {seconds(median)} a call,"
            f" from {percent(min(change), 0)} to +{percent(max(change), 0)} of it"
        )
    title = "Every block in the order of measuring"
    return Drawing(width, end + 24, tuple(marks), title, "; ".join(told) + ".")


def _panel(
    content: Content,
    arm: ArmMeasurement,
    median: float,
    change: Sequence[float],
    frame: _Frame,
    top: float,
) -> list[AnyMark]:
    across, rounds, left, width = frame.across, frame.rounds, frame.left, frame.width
    up = Scale(-frame.down, frame.up, top + LABEL + PANEL - 6, top + LABEL + 2)
    time = f"{seconds(median)} a call"
    room = width - left - text_width(time, SMALL) - 16
    marks: list[AnyMark] = [
        Text(left, top + 15, fitted(arm.name, room, NAME_SIZE), "ink", NAME_SIZE),
        Text(width, top + 15, time, "muted", SMALL, "end"),
    ]
    for launch, first, last in _disturbed(content, arm):
        if launch in across:
            begin, step = across[launch][0], (across[launch][1] - across[launch][0]) / rounds[launch]
            after = min(last + 1, rounds[launch])
            box = (begin + first * step, (after - first) * step)
            marks.append(Rect(box[0], up.end, max(box[1], 1.0), up.start - up.end, "grid", hatched=True))
    for start, stop in across.values():
        marks.append(Line(((start, up.at(0)), (stop, up.at(0))), "grid"))
        marks.append(Line(((start, up.end), (start, up.start)), "grid"))
    marks += [
        Text(left - 6, up.end + 6, f"+{percent(frame.up, 0)}", "muted", 10, "end"),
        Text(left - 6, up.start + 2, f"-{percent(frame.down, 0)}", "muted", 10, "end"),
    ]
    inside: list[Point] = []
    restless: list[Point] = []
    blocks = arm.blocks
    for launch, number, value, idle in zip(blocks.launch, blocks.round, change, blocks.idle, strict=True):
        start, stop = across[launch]
        x = start + (number + 0.5) * (stop - start) / rounds[launch]
        if not up.holds(value):
            marks.append(Mark(x, up.at(value), "up" if value > 0 else "down", "muted", 6))
        else:
            (inside if idle else restless).append((x, up.at(value)))
    if inside:
        marks.append(Dots(tuple(inside), "muted" if arm.role == "null" else "ink", 3.0))
    marks += [Mark(x, y, "cross", "muted", 5) for x, y in restless]
    for launch, value in launch_medians(arm, change).items():
        start, stop = across[launch]
        y = up.at(value)
        marks.append(Line(((start + 1, y), (stop - 1, y)), "accent", 1.8))
    return marks


def _disturbed(content: Content, arm: ArmMeasurement) -> list[tuple[int, int, int]]:
    """The rounds that do not count for this arm, as (launch, first round, last round); adjacent windows are merged."""
    found: list[tuple[int, int, int]] = []
    windows = [
        (seen.launch, seen.first_round, seen.last_round)
        for seen in content.comparison.measured.windows
        if seen.group == arm.group and disturbance(seen, arm.cpus)
    ]
    for launch, first, last in sorted(windows):
        if found and found[-1][0] == launch and first <= found[-1][2] + 1:
            found[-1] = (launch, found[-1][1], max(last, found[-1][2]))
        else:
            found.append((launch, first, last))
    return found


def _rounds(arm: ArmMeasurement, launch: int) -> list[int]:
    return [number for found, number in zip(arm.blocks.launch, arm.blocks.round, strict=True) if found == launch] or [0]


def _places(
    launches: Sequence[int], rounds: dict[int, int], left: float, width: float
) -> dict[int, tuple[float, float]]:
    """Compute the pixels at which each launch begins and ends; its width is in proportion to its number of rounds."""
    gap = 6.0 if len(launches) <= 12 else 2.0
    room = width - left - gap * (len(launches) - 1)
    total = sum(rounds.values())
    places, x = {}, left
    for launch in launches:
        share = room * rounds[launch] / total
        places[launch] = (x, x + share)
        x += share + gap
    return places


def _reach(far: Sequence[float], least: float) -> float:
    """Compute how far the axis reaches on one side of the median, so that nearly all blocks are on it.

    Args:
        far: distances of this side's blocks from the median, as shares of it.
        least: the axis reaches at least this far.
    """
    ordered = sorted(far) or [0.0]
    wanted = max(ordered[min(len(ordered) - 1, int(INSIDE * len(ordered)))], least) * 1.1
    return next((reach for reach in REACHES if wanted <= reach), REACHES[-1])


def _legend(width: float, disturbed: str) -> list[AnyMark]:
    marks: list[AnyMark] = []
    x, y = 2.0, 14.0
    keys: tuple[tuple[str, Dots | Line | Mark | Rect], ...] = (
        ("a block", Dots(((5.0, -4.0),), "ink", 4.0)),
        ("median of a launch", Line(((-2.0, -4.0), (12.0, -4.0)), "accent", 1.8)),
        ("off the axis", Mark(5.0, -4.0, "up", "muted", 6)),
        (f"disturbed: {disturbed}", Rect(-2.0, -10.0, 14.0, 12.0, "faint", hatched=True)),
    )
    for words, mark in keys:
        wide = 20 + text_width(words, SMALL) + 16
        if x + wide > width and x > 2:
            x, y = 2.0, y + 20
        marks.append(_moved(mark, x, y))
        marks.append(Text(x + 20, y, words, "muted", SMALL))
        x += wide
    return marks


def _moved(mark: Dots | Line | Mark | Rect, x: float, y: float) -> AnyMark:
    match mark:
        case Dots() | Line():
            return replace(mark, points=tuple((left + x, top + y) for left, top in mark.points))
        case _:
            return replace(mark, x=mark.x + x, y=mark.y + y)

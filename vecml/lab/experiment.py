"""What a lab experiment is, and what comes of it: ways of doing the same work, at some points, as frozen records.

The first way of a point is the plain twin; the others are held to it. What is verified are the results of the timed
calls themselves: samples of them, point by point.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from vecml.numbers import times

if TYPE_CHECKING:  # workers import this module, and need none of these
    from vecml.comparison.comparison import Load
    from vecml.measure.limits import Limits
    from vecml.measure.verdict import Verdict

Call = Callable[[], Any]


@dataclass(frozen=True)
class Way:
    """One way of doing a point's work.

    Attributes:
        name: for people; the same at every point.
        payload: JSON, for the experiment's `prepare`.
        threads: that the native libraries of its worker may use, and CPUs that it keeps busy.
        environment: variables set before its worker imports anything.
        tolerance: how far its results may be from the plain twin's, relative to the largest of them.
        bytes_per_call: that it must read and write at least; None: the point's.
    """

    name: str
    payload: Mapping[str, Any] = field(default_factory=dict)
    threads: int = 1
    environment: Mapping[str, str] = field(default_factory=dict)
    tolerance: float = 1e-9
    bytes_per_call: int | None = None


@dataclass(frozen=True)
class Point:
    """One amount or kind of work, done in several ways.

    Attributes:
        label: for people; each of an experiment's points has another.
        x: its place on the axis of a curve; None for one beside it.
        ways: the plain twin first.
        bytes_per_call: that the work must read and write at least.
        flops_per_call: floating-point operations of it.
    """

    label: str
    x: float | None
    ways: tuple[Way, ...]
    bytes_per_call: int = 0
    flops_per_call: int = 0


@dataclass(frozen=True)
class Plan:
    """The points of an experiment on this machine.

    Attributes:
        points: measured; empty where the machine lacks what it takes.
        skipped: what is left out, each with the reason.
    """

    points: tuple[Point, ...]
    skipped: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Cell:
    """What came of one way at one point.

    Attributes:
        point, x: the point's.
        way: its name.
        plain: whether it is the plain twin.
        seconds: of a call, at the median block; None where there is none.
        verdict: against the plain twin; None for that itself.
        failure: why it is invalid; None when all is well.
        bytes_per_call, flops_per_call: the work's.
        fraction_of_limit: the least time that the work could take from main memory, over the time that it took; above
            1 where the caches hold it; None where the work has neither bytes nor operations.
        allocated_bytes: the most that a call has allocated at once; None where it was not asked.
        error: how far its results are from the plain twin's, relative to the largest of them.
    """

    point: str
    x: float | None
    way: str
    plain: bool
    seconds: float | None
    verdict: "Verdict | None"
    failure: str | None
    bytes_per_call: int
    flops_per_call: int
    fraction_of_limit: float | None
    allocated_bytes: int | None
    error: float | None

    @property
    def ratio(self) -> float | None:
        """How many times as fast as the plain twin; 1 for that itself."""
        return 1.0 if self.plain else None if self.verdict is None else self.verdict.ratio

    @property
    def word(self) -> str | None:
        """The verdict's word; `invalid` where it is wrong or failed, None without verdict."""
        return "invalid" if self.failure else None if self.verdict is None else self.verdict.verdict

    @property
    def bytes_per_s(self) -> float | None:
        """Of the work's own bytes."""
        return self.bytes_per_call / self.seconds if self.seconds and self.bytes_per_call else None


@dataclass(frozen=True)
class Outcome:
    """An experiment as it was measured.

    Attributes:
        name, title, idea, axis: the experiment's.
        created: when it began: ISO 8601, UTC.
        quick: whether it was measured with `--quick`.
        cells: in the order of the points and their ways.
        skipped: what was left out, each with the reason.
        limits: of this machine.
        launches: complete ones.
        environment: the machine and the libraries.
        load_before, load_after: how busy other programs kept the machine; None where nothing was measured.
        sentences: three that say what one sees, and why; fewer where nothing was measured, or no result counts.
    """

    name: str
    title: str
    idea: str
    axis: str
    created: str
    quick: bool
    cells: tuple[Cell, ...]
    skipped: Mapping[str, str]
    limits: "Limits"
    launches: int
    environment: Mapping[str, Any] = field(repr=False)
    load_before: "Load | None" = None
    load_after: "Load | None" = None
    sentences: tuple[str, ...] = ()

    def ways(self) -> tuple[str, ...]:
        """Their names, in order, each once."""
        return tuple(dict.fromkeys(cell.way for cell in self.cells))

    def of(self, way: str | None = None, *, curve: bool | None = None) -> list[Cell]:
        """Cells of a way that were measured, on the curve or beside it."""
        return [
            cell
            for cell in self.cells
            if cell.seconds is not None
            and (way is None or cell.way == way)
            and (curve is None or (cell.x is not None) == curve)
        ]

    def cell(self, point: str, way: str) -> Cell | None:
        """What came of a way at a point; None where it was not measured."""
        return next((cell for cell in self.of(way) if cell.point == point), None)


@dataclass(frozen=True)
class Experiment:
    """One idea, as an experiment.

    Attributes:
        name: of the command line, and of its module in `vecml.lab.experiments`.
        title: for people.
        idea: the claim that is put to the test, in one sentence.
        axis: what the points' x is.
        plan: the points; `quick` asks for fewer.
        prepare: a way's payload to the call that is timed; it runs in the worker.
        tell: the three sentences, from what was measured alone.
        allocations: whether the memory that a call allocates is asked.
    """

    name: str
    title: str
    idea: str
    axis: str
    plan: Callable[[bool], Plan]
    prepare: Callable[[Mapping[str, Any]], Call]
    tell: Callable[[Outcome], tuple[str, str, str]]
    allocations: bool = False


def crossing(xs: Sequence[float], ratios: Sequence[float]) -> float | None:
    """The x at which a ratio passes 1 for the last time, from below, on logarithmic axes; None where it does not."""
    found = None
    for index in range(1, len(xs)):
        before, after = math.log(ratios[index - 1]), math.log(ratios[index])
        if before < 0 <= after:
            share = -before / (after - before)
            found = math.exp(math.log(xs[index - 1]) + share * (math.log(xs[index]) - math.log(xs[index - 1])))
    return found


def against(cell: Cell | None) -> str:
    """`7.9 times as fast (faster)`: a ratio with its verdict's word, or that there is none."""
    if cell is None:
        return "not measured"
    if cell.ratio is None:
        return f"not to be told ({cell.failure or 'no pairs'})"
    return f"{times(cell.ratio)} times as fast ({cell.word or 'no verdict'})"

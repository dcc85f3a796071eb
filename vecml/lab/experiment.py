"""The records of a lab experiment: ways to do the same work, the points at which they are measured, and the outcome.

The first way of a point is the plain twin, and the other ways are compared with it, their times and their results. The
results that are compared are samples of what the timed calls gave.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vecml.numbers import times

if TYPE_CHECKING:  # workers import this module, and need none of these
    from vecml.comparison.comparison import Load
    from vecml.measure.limits import Limits
    from vecml.measure.verdict import Verdict

Call = Callable[[], Any]


@dataclass(frozen=True)
class Way:
    """One way to do a point's work.

    Attributes:
        name: shown to people; the same at every point.
        payload: the argument of the experiment's `prepare`, of types that JSON has.
        threads: number of threads that its worker's native libraries may use, and of CPUs that it keeps busy.
        environment: environment variables that are set before its worker imports anything.
        tolerance: allowed difference from the results of the first way, relative to the largest of those.
        bytes_per_call: least number of bytes that it must read and write; None: that of the point.
    """

    name: str
    payload: Mapping[str, Any] = field(default_factory=dict)
    threads: int = 1
    environment: Mapping[str, str] = field(default_factory=dict)
    tolerance: float = 1e-9
    bytes_per_call: int | None = None


@dataclass(frozen=True)
class Point:
    """One amount or kind of work, which is done in several ways.

    Attributes:
        label: shown to people; no two points of an experiment have the same.
        x: its place on the axis of the experiment's curve; None where it is not on the curve.
        ways: the plain twin first.
        bytes_per_call: bytes that the work must read and write at least.
        flops_per_call: floating-point operations of the work.
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
        points: to be measured; empty where the machine lacks something that the experiment needs.
        skipped: by the name of each way or point that is left out, the reason.
    """

    points: tuple[Point, ...]
    skipped: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Cell:
    """The figures of one way at one point.

    Attributes:
        point, x: the point's label, and its place on the axis.
        way: the way's name.
        plain: whether the way is the plain twin.
        seconds: of a call, at the median block; None where it was not measured.
        verdict: against the plain twin; None for the plain twin itself.
        failure: why it is invalid; None where it is valid.
        bytes_per_call, flops_per_call: of the work.
        fraction_of_limit: the least time that the work could take with its data in main memory, over the time that it
            took; above 1 where a cache holds the data; None where the work has neither bytes nor operations.
        allocated_bytes: the most memory that a call had allocated at once; None where it was not measured.
        error: largest difference of its results from the plain twin's, relative to the largest of those.
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
        """How many times as fast as the plain twin it is; 1 for the plain twin itself."""
        return 1.0 if self.plain else None if self.verdict is None else self.verdict.ratio

    @property
    def word(self) -> str | None:
        """The verdict's word; `invalid` where it failed or its results are wrong, None where there is no verdict."""
        return "invalid" if self.failure else None if self.verdict is None else self.verdict.verdict

    @property
    def bytes_per_s(self) -> float | None:
        """The rate at which the work's own bytes were read and written."""
        return self.bytes_per_call / self.seconds if self.seconds and self.bytes_per_call else None


@dataclass(frozen=True)
class Outcome:
    """The outcome of an experiment on this machine.

    Attributes:
        name, title, idea, axis: of the experiment.
        created: when it began: ISO 8601, UTC.
        quick: whether it was measured with `--quick`.
        cells: in the order of the points and their ways.
        skipped: by the name of each way or point that was left out, the reason.
        limits: of this machine.
        launches: number of complete launches.
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
        """The names of all ways, in order."""
        return tuple(dict.fromkeys(cell.way for cell in self.cells))

    def of(self, way: str | None = None, *, curve: bool | None = None) -> list[Cell]:
        """The cells that were measured.

        Args:
            way: the name of a way; None: the cells of all ways.
            curve: only the cells on the curve, or only the others; None: both.
        """
        return [
            cell
            for cell in self.cells
            if cell.seconds is not None
            and (way is None or cell.way == way)
            and (curve is None or (cell.x is not None) == curve)
        ]

    def cell(self, point: str, way: str) -> Cell | None:
        """The cell of a way at a point; None where it was not measured."""
        return next((cell for cell in self.of(way) if cell.point == point), None)


@dataclass(frozen=True)
class Experiment:
    """An experiment that tests one idea.

    Attributes:
        name: on the command line, and of its module in `vecml.lab.experiments`.
        title: shown to people.
        idea: the claim that is tested, in one sentence.
        plan: gives the points; its argument says whether to be quick, with fewer of them.
        prepare: makes the call that is timed from a way's payload; it runs in the worker.
        tell: writes the three sentences, only from what was measured.
        axis: what the points' `x` counts; empty where none is on a curve.
        allocations: whether the memory that a call allocates is measured.
    """

    name: str
    title: str
    idea: str
    plan: Callable[[bool], Plan]
    prepare: Callable[[Mapping[str, Any]], Call]
    tell: Callable[[Outcome], tuple[str, str, str]]
    axis: str = ""
    allocations: bool = False


class LazyArray:
    """A result that becomes an array only when somebody looks at it, after the timing."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        del copy
        return np.asarray(self._make(), dtype)


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
    """A cell's ratio with its verdict, `7.9 times as fast (faster)`, or why there is none."""
    if cell is None:
        return "not measured"
    if cell.ratio is None:
        return f"without a ratio ({cell.failure or 'no pairs'})"
    return f"{times(cell.ratio)} times as fast ({cell.word or 'no verdict'})"

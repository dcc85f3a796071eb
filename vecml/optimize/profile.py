"""Step 1, the bottleneck: a line profile, the loops with their share of the time, and Amdahl's bound."""

import ast
import copy
import inspect
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from vecml.errors import SettingError
from vecml.optimize.finding import definition
from vecml.optimize.target import Place, Say, load, make_inputs

TASK = "vecml.optimize.profile:profile_task"
HOT_SHARE = 0.02
MOST_LINES = 8
INSTALL = "pip install 'vecml[optimize]'"


@dataclass(frozen=True)
class Line:
    """A line of the target.

    Attributes:
        number: its number in the file, from 1.
        hits: how many times it ran.
        share: its share of the target's time, 0 to 1.
        text: its code without the indentation.
        indent: the columns that it is indented by; a tab counts as four.
    """

    number: int
    hits: int
    share: float
    text: str
    indent: int = 0


@dataclass(frozen=True)
class HotLoop:
    """A loop of the target that is in no other.

    Attributes:
        first, last: numbers of its first and last line.
        share: its share of the target's time, 0 to 1, with the functions that it calls.
        text: its first line.
    """

    first: int
    last: int
    share: float
    text: str


@dataclass(frozen=True)
class Profile:
    """The shares of the target's time, by lines and by loops.

    Attributes:
        lines: the lines that take most time, in the file's order.
        loops: the loops that are in no other loop, in the file's order.
        loop_share: share of the time that all `loops` take together, 0 to 1.
    """

    lines: tuple[Line, ...]
    loops: tuple[HotLoop, ...]
    loop_share: float

    @property
    def bound(self) -> float:
        """The speedup if the loops took no time (Amdahl's law); inf if the function spends all its time in them."""
        return amdahl(self.loop_share)


def amdahl(share: float) -> float:
    """Return 1 / (1 - share), the speedup if this share of the time is saved completely; inf for a share of 1."""
    return 1 / (1 - share) if share < 1 else float("inf")


def profile(target: Place, source: str, inputs: Place, limit_seconds: float) -> Profile:
    """Profile the target line by line over the user's inputs, in a worker process.

    Args:
        target: the function.
        source: the text of its file.
        inputs: the user's input maker.
        limit_seconds: of each stage of the worker.

    Raises:
        SettingError: line_profiler is not installed.
        OutOfTimeError: the call does not end under the profiler.
    """
    from vecml.optimize.worker import ask  # noqa: PLC0415 -- the worker imports this module

    if find_spec("line_profiler") is None:
        raise SettingError("vecml optimize needs line_profiler, which is not installed", INSTALL)
    found = ask(TASK, {"target": vars(target), "inputs": vars(inputs)}, limit_seconds)
    return profile_of(source, definition(ast.parse(source), target.name), [tuple(row) for row in found["lines"]])


def profile_task(payload: Mapping[str, Any], say: Say) -> dict[str, Any]:
    """Profile the target in the worker process: `lines` has [number, hits, ticks] for each line that ran."""
    from line_profiler import LineProfiler  # noqa: PLC0415 -- an extra

    target, inputs = Place(**payload["target"]), Place(**payload["inputs"])
    function, args = load(target), make_inputs(inputs)
    profiler: Any = LineProfiler()
    # What is called is what the user calls, its decorators included; what is looked into is the function itself.
    profiler.add_function(inspect.unwrap(function))
    say(f"{target.text} under the line profiler")
    profiler.runcall(function, *copy.deepcopy(args))
    timings = profiler.get_stats().timings
    name = target.name.rpartition(".")[2]
    return {"lines": [row for (_, _, known), rows in timings.items() for row in rows if known.endswith(name)]}


def profile_of(source: str, function: ast.FunctionDef, rows: Iterable[tuple[int, int, float]]) -> Profile:
    """Make the profile from rows of (line number, times that it ran, time in any unit) for the lines of `source`."""
    rows = list(rows)
    text = source.split("\n")
    total = sum(ticks for _, _, ticks in rows) or 1.0
    hot = sorted((row for row in rows if row[2] / total >= HOT_SHARE), key=lambda row: -row[2])[:MOST_LINES]
    lines = tuple(
        Line(number, hits, ticks / total, text[number - 1].strip(), _indent(text[number - 1]))
        for number, hits, ticks in sorted(hot)
    )
    loops = tuple(
        HotLoop(
            loop.lineno,
            loop.end_lineno or loop.lineno,
            sum(ticks for number, _, ticks in rows if loop.lineno <= number <= (loop.end_lineno or loop.lineno))
            / total,
            text[loop.lineno - 1].strip(),
        )
        for loop in outer_loops(function.body)
    )
    return Profile(lines, loops, min(1.0, sum(loop.share for loop in loops)))


def _indent(line: str) -> int:
    return sum(4 if one == "\t" else 1 for one in line[: len(line) - len(line.lstrip())])


def outer_loops(body: list[ast.stmt]) -> list[ast.stmt]:
    """List the statements that loop and are in no other loop: `for`, `while`, and those with a comprehension."""
    found: list[ast.stmt] = []
    for statement in body:
        if isinstance(statement, ast.For | ast.While):
            found.append(statement)
        elif isinstance(statement, ast.If | ast.With | ast.Try):
            for name in ("body", "orelse", "finalbody"):
                found += outer_loops(getattr(statement, name, []))
        elif not isinstance(statement, ast.FunctionDef) and any(map(_implies_loop, ast.walk(statement))):
            found.append(statement)
    return found


def _implies_loop(node: ast.AST) -> bool:
    """Whether Python runs code once for each element there: a comprehension, or a function that is applied to all."""
    if isinstance(node, ast.Call):
        called = ast.unparse(node.func)
        if isinstance(node.func, ast.Attribute) and node.func.attr in ("apply", "map", "transform", "agg"):
            return any(isinstance(one, ast.Lambda | ast.Name) for one in node.args)
        return called in ("map", "np.apply_along_axis") or called.startswith("np.vectorize(")
    return isinstance(node, ast.ListComp | ast.GeneratorExp | ast.DictComp)

"""Step 2, a suggested rewrite in NumPy for loops of four forms: map, reduce, masked update, outer (pairwise).

Only what is recognised is rewritten, and what is not is said to be so, with the reason. A rewrite is a candidate: it is
validated like any other before it counts.
"""

import ast
from collections.abc import Mapping
from dataclasses import dataclass

from vecml.optimize.loops import rewrite_nest
from vecml.optimize.nest import Form
from vecml.optimize.profile import outer_loops
from vecml.optimize.ranks import ranks_before
from vecml.optimize.syntax import lines_of, names_in
from vecml.optimize.values import NotRecognisedError, simplify


@dataclass(frozen=True)
class LoopReading:
    """The result for one loop.

    Attributes:
        line: the loop's first line in the file.
        form: one of the four forms; None where it has none of them.
        reason: why it has none of them; empty where it has one.
    """

    line: int
    form: Form | None
    reason: str = ""


@dataclass(frozen=True)
class Rewrite:
    """A function with its recognised loops in NumPy.

    Attributes:
        source: the whole file's new text; None where no loop was recognised.
        loops: every loop that was looked at.
    """

    source: str | None
    loops: tuple[LoopReading, ...]


@dataclass(frozen=True)
class _Edit:
    first: int
    last: int
    lines: tuple[str, ...]


def rewrite_loops(source: str, name: str, ranks: Mapping[str, int], lists: frozenset[str] = frozenset()) -> Rewrite:
    """The file's text with the loops of function `name` rewritten where they are recognised; pure.

    Args:
        source: of the whole file.
        name: of a function at its top level.
        ranks: axes of its arguments: 0 for a number; an argument that is missing is not known.
        lists: arguments that are lists: arrays are made of them before a loop uses them.
    """
    tree = ast.parse(source)
    function = next(part for part in reversed(tree.body) if isinstance(part, ast.FunctionDef) and part.name == name)
    readings: list[LoopReading] = []
    edits: list[_Edit] = []
    for loop in outer_loops(function.body):
        _read(loop, function, ranks, lists, readings, edits)
    if not edits:
        return Rewrite(None, tuple(readings))
    lines = lines_of(source)
    for edit in sorted(edits, key=lambda one: -one.first):
        indent = lines[edit.first - 1][: len(lines[edit.first - 1]) - len(lines[edit.first - 1].lstrip())]
        lines[edit.first - 1 : edit.last] = [f"{indent}{line}\n" for line in edit.lines]
    text = _with_numpy("".join(lines))
    ast.parse(text)
    return Rewrite(text, tuple(readings))


def _read(
    loop: ast.stmt,
    function: ast.FunctionDef,
    ranks: Mapping[str, int],
    lists: frozenset[str],
    readings: list[LoopReading],
    edits: list[_Edit],
) -> None:
    """Rewrite a loop, or where that cannot be the loops in it."""
    try:
        if not isinstance(loop, ast.For):
            what = "a while loop ends when the data say so" if isinstance(loop, ast.While) else "it is a comprehension"
            raise NotRecognisedError(what)
        lines, form = rewrite_nest(function, loop, ranks_before(function.body, ranks, loop))
    except NotRecognisedError as error:
        readings.append(LoopReading(loop.lineno, None, str(error)))
        if isinstance(loop, ast.For | ast.While):
            for inner in outer_loops(loop.body):
                _read(inner, function, ranks, lists, readings, edits)
        return
    arrays = [f"{one} = np.asarray({one})" for one in sorted(lists & names_in(loop))]
    edits.append(_Edit(loop.lineno, loop.end_lineno or loop.lineno, (*arrays, *map(simplify, lines))))
    readings.append(LoopReading(loop.lineno, form))


def _with_numpy(text: str) -> str:
    """The text with `import numpy as np`, after its docstring and its `__future__` imports."""
    tree = ast.parse(text)
    for part in tree.body:
        if isinstance(part, ast.Import) and any(one.name == "numpy" and one.asname == "np" for one in part.names):
            return text
    after = 0
    for part in tree.body:
        is_text = isinstance(part, ast.Expr) and isinstance(part.value, ast.Constant)
        if (is_text and after == 0) or (isinstance(part, ast.ImportFrom) and part.module == "__future__"):
            after = part.end_lineno or part.lineno
        else:
            break
    lines = lines_of(text)
    gap = ["\n"] if after else []
    rest = [] if after < len(lines) and not lines[after].strip() else ["\n"]
    return "".join([*lines[:after], *gap, "import numpy as np\n", *rest, *lines[after:]])

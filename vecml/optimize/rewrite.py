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
    """Whether a loop can be rewritten.

    Attributes:
        line: number of the loop's first line in the file.
        form: map, reduce, masked update or outer; None if the loop cannot be rewritten.
        reason: why it cannot be rewritten; empty if it can.
    """

    line: int
    form: Form | None
    reason: str = ""


@dataclass(frozen=True)
class Rewrite:
    """A function with its recognised loops in NumPy.

    Attributes:
        source: the new text of the whole file; None if no loop can be rewritten.
        loops: one entry for each loop that was tried.
    """

    source: str | None
    loops: tuple[LoopReading, ...]


@dataclass(frozen=True)
class _Edit:
    first: int
    last: int
    lines: tuple[str, ...]


def rewrite_loops(source: str, name: str, ranks: Mapping[str, int], lists: frozenset[str] = frozenset()) -> Rewrite:
    """Rewrite the loops of function `name` in NumPy, as far as they have one of the four forms.

    Args:
        source: the text of the whole file.
        name: a function at its top level.
        ranks: number of axes of each argument, 0 for a number, as far as it is known.
        lists: the arguments that are lists; the new code makes arrays of them before a loop uses them.
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
    """Try to rewrite a loop, and if that fails the loops inside it; add the results to `readings` and `edits`."""
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
    """Add `import numpy as np` to a file's text, after its docstring and `__future__` imports, if it is missing."""
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

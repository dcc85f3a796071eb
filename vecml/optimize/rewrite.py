"""Step 2, a suggested rewrite in NumPy for loops of four forms: map, reduce, masked update, outer (pairwise).

Only what is recognised is rewritten, and what is not is said to be so, with the reason. A rewrite is a candidate: it is
validated like any other before it counts.
"""

import ast
from collections.abc import Mapping
from dataclasses import dataclass, field

from vecml.optimize.implied import Called, implied_loop
from vecml.optimize.loops import rewrite_nest
from vecml.optimize.nest import Form
from vecml.optimize.nests import callable_from, rewrite_turns
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


@dataclass
class _Reading:
    """A function whose loops are read, and what was found so far.

    Attributes:
        function: the function.
        functions: those that it may call and that may be put in their place.
        ranks: the number of axes of its arguments.
        lists: the arguments that are lists.
        readings, edits, imports: what was found.
    """

    function: ast.FunctionDef
    functions: dict[str, Called]
    ranks: Mapping[str, int]
    lists: frozenset[str]
    readings: list[LoopReading] = field(default_factory=list)
    edits: list[_Edit] = field(default_factory=list)
    imports: set[str] = field(default_factory=set)


def rewrite_loops(source: str, name: str, ranks: Mapping[str, int], lists: frozenset[str] = frozenset()) -> Rewrite:
    """Rewrite the loops of function `name` in NumPy, as far as they are understood.

    Args:
        source: the text of the whole file.
        name: a function at its top level.
        ranks: number of axes of each argument, 0 for a number, as far as it is known.
        lists: the arguments that are lists; the new code makes arrays of them before a loop uses them.
    """
    tree = ast.parse(source)
    function = next(part for part in reversed(tree.body) if isinstance(part, ast.FunctionDef) and part.name == name)
    found = _Reading(function, callable_from(function, tree), ranks, lists)
    for loop in outer_loops(function.body):
        _read(loop, found)
    readings = tuple(found.readings)
    if not found.edits:
        return Rewrite(None, readings)
    lines = lines_of(source)
    for edit in sorted(found.edits, key=lambda one: -one.first):
        indent = lines[edit.first - 1][: len(lines[edit.first - 1]) - len(lines[edit.first - 1].lstrip())]
        lines[edit.first - 1 : edit.last] = [f"{indent}{line}\n" for line in edit.lines]
    text = "".join(lines)
    for one in sorted(found.imports):
        text = with_import(text, one)
    text = with_import(text, "import numpy as np")
    ast.parse(text)
    return Rewrite(text, readings)


def _read(loop: ast.stmt, found: _Reading) -> None:
    """Try to rewrite a loop, and if that fails the loops inside it; add the results to what was found."""
    try:
        lines, form = _rewritten(loop, found)
    except NotRecognisedError as error:
        found.readings.append(LoopReading(loop.lineno, None, str(error)))
        if isinstance(loop, ast.For | ast.While):
            for inner in outer_loops(loop.body):
                _read(inner, found)
        return
    arrays = [f"{one} = np.asarray({one})" for one in sorted(found.lists & names_in(loop))]
    found.edits.append(_Edit(loop.lineno, loop.end_lineno or loop.lineno, (*arrays, *lines)))
    found.readings.append(LoopReading(loop.lineno, form))


def _rewritten(loop: ast.stmt, found: _Reading) -> tuple[list[str], Form]:
    function, functions = found.function, found.functions
    first: tuple[str, ...] = ()
    rest: list[ast.stmt] = []
    if isinstance(loop, ast.While):
        raise NotRecognisedError("a while loop ends when the data say so")
    ranks = ranks_before(function.body, found.ranks, loop)
    if not isinstance(loop, ast.For):
        made = implied_loop(function, loop, ranks, functions)
        function, loop, functions, first, rest = made.function, made.loop, made.functions, made.first, [made.rest]
    try:
        text, form, imports = rewrite_turns(function, loop, ranks_before(function.body, found.ranks, loop), functions)
    except NotRecognisedError:
        if rest:
            raise
        lines, form = rewrite_nest(function, loop, ranks)
        return list(map(simplify, lines)), form
    found.imports |= imports
    whole = "\n".join([*first, text, *map(ast.unparse, rest)])
    return simplify(whole).split("\n"), form


def with_import(text: str, statement: str) -> str:
    """Add an import to a file's text, after its docstring and `__future__` imports, if it is missing."""
    tree = ast.parse(text)
    if statement in [ast.unparse(part) for part in tree.body]:
        return text
    if statement == "import numpy as np" and _has_numpy(tree):
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
    return "".join([*lines[:after], *gap, f"{statement}\n", *rest, *lines[after:]])


def _has_numpy(tree: ast.Module) -> bool:
    return any(
        isinstance(part, ast.Import) and any(one.name == "numpy" and one.asname == "np" for one in part.names)
        for part in tree.body
    )

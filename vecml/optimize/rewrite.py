"""Step 2, a suggested rewrite in NumPy: of loops, of what implies a loop, and of those over tables of pandas.

Only what is recognised is rewritten, and what is not is said to be so, with the reason. A rewrite is a candidate: it is
validated like any other before it counts.
"""

import ast
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, field

from vecml.optimize.frames import rows_loop, tables_before
from vecml.optimize.groups import groups_loop
from vecml.optimize.implied import Called, Implied, counted_loop, implied_loop
from vecml.optimize.nest import Form
from vecml.optimize.nests import callable_from, empty_before, rewrite_turns
from vecml.optimize.profile import outer_loops
from vecml.optimize.ranks import ranks_before
from vecml.optimize.syntax import lines_of, names_in
from vecml.optimize.values import NotRecognisedError, simplify
from vecml.optimize.words import applied_to_column, grown_from_column
from vecml.optimize.written_out import with_values_in_place


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
        tables: the arguments that are tables of pandas, with their columns' dtypes.
        readings, edits, imports: what was found.
    """

    function: ast.FunctionDef
    functions: dict[str, Called]
    ranks: Mapping[str, int]
    lists: frozenset[str]
    tables: Mapping[str, Mapping[str, str]]
    readings: list[LoopReading] = field(default_factory=list)
    edits: list[_Edit] = field(default_factory=list)
    imports: set[str] = field(default_factory=set)


def rewrite_loops(
    source: str,
    name: str,
    ranks: Mapping[str, int],
    lists: frozenset[str] = frozenset(),
    tables: Mapping[str, Mapping[str, str]] | None = None,
) -> Rewrite:
    """Rewrite the loops of function `name` in NumPy, as far as they are understood.

    Args:
        source: the text of the whole file.
        name: a function at its top level.
        ranks: number of axes of each argument, 0 for a number, as far as it is known.
        lists: the arguments that are lists; the new code makes arrays of them before a loop uses them.
        tables: the arguments that are DataFrames, each with the dtypes of its columns by their names.
    """
    tree = ast.parse(source)
    function = next(part for part in reversed(tree.body) if isinstance(part, ast.FunctionDef) and part.name == name)
    function = with_values_in_place(function, tree)
    found = _Reading(function, callable_from(function, tree), ranks, lists, tables or {})
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
    if isinstance(loop, ast.While):
        counted = counted_loop(found.function, loop)
        if counted is None:
            raise NotRecognisedError("a while loop ends when the data say so")
        counted.functions.update(found.functions)
        return _rewritten_as(counted, loop, found)
    ranks = ranks_before(found.function.body, found.ranks, loop)
    tables = tables_before(found.function.body, found.tables, loop)
    if tables and (whole := _of_tables(loop, tables, found)) is not None:
        return simplify(whole).split("\n"), "reduce"
    made = rows_loop(found.function, loop, tables, found.functions) if tables else None
    if made is None and not isinstance(loop, ast.For):
        made = implied_loop(found.function, loop, ranks, found.functions)
    if made is not None:
        return _rewritten_as(made, loop, found)
    if not isinstance(loop, ast.For):
        raise NotRecognisedError("it is a comprehension")
    text, form, imports = rewrite_turns(found.function, loop, ranks, found.functions)
    found.imports |= imports
    return simplify(text).split("\n"), form


def _of_tables(loop: ast.stmt, tables: Mapping[str, Mapping[str, str]], found: _Reading) -> str | None:
    """Return a statement about a table's groups, or about the text of a column, by pandas' own; None for another."""
    if isinstance(loop, ast.For):
        return groups_loop(loop, tables, empty_before(found.function, loop)) or grown_from_column(loop, tables)
    return applied_to_column(loop, tables, found.functions)


def _rewritten_as(made: Implied, statement: ast.stmt, found: _Reading) -> tuple[list[str], Form]:
    """Rewrite the loop that stands for a statement; under its conditions, and else the statement as it was."""
    ranks = ranks_before(made.function.body, found.ranks, made.loop)
    text, form, imports = rewrite_turns(made.function, made.loop, ranks, made.functions)
    lists = made.lists if text.startswith("if ") else ()
    whole = "\n".join([*made.first, *lists, text, *map(ast.unparse, made.rest)])
    if made.needs:
        blocks = [textwrap.indent(one, "    ") for one in (whole, ast.unparse(statement))]
        whole = f"if {' and '.join(made.needs)}:\n{blocks[0]}\nelse:\n{blocks[1]}"
    found.imports |= imports | ({"import pandas as pd"} if made.pandas and "pd." in whole else set())
    return simplify(whole).split("\n"), form


def with_import(text: str, statement: str) -> str:
    """Add an import to a file's text, after its docstring and `__future__` imports, if it is missing."""
    tree = ast.parse(text)
    if statement in [ast.unparse(part) for part in tree.body]:
        return text
    if statement == "import numpy as np" and _has(tree, "numpy", "np"):
        return text
    if statement == "import pandas as pd" and _has(tree, "pandas", "pd"):
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


def _has(tree: ast.Module, module: str, name: str) -> bool:
    return any(
        isinstance(part, ast.Import) and any(one.name == module and one.asname == name for one in part.names)
        for part in tree.body
    )

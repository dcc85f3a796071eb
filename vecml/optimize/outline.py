"""Part of a function, or all of it, as a function of its own: parameters for what it reads, results for what it sets.

A dataclass's fields and a dict's entries that it reads go in one by one, and lists of numbers as arrays; so do arrays
of the module, which compiling would freeze.
"""

import ast
import textwrap
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial

from vecml.optimize.edit import Edits
from vecml.optimize.flow import Flow, defined_at, flow, leaves, reads, stored_in, walk_all
from vecml.optimize.kinds import Kind, Kinds

PLAIN = ("array", "int", "float", "complex", "bool", "str", "tuple", "NoneType", "list", "function", "range")
LISTED = {"int": "np.int64", "float": "np.float64", "bool": "np.bool_"}
READERS = {"len", "sum", "min", "max", "enumerate", "zip", "range", "sorted", "reversed"}
CONVERTERS = {"int", "float", "bool", "abs", "round"}
SIMPLE = (ast.Assign, ast.AnnAssign, ast.AugAssign)


class NotOutlinedError(Exception):
    """The statements cannot stand in a function of their own; the text says why."""


@dataclass(frozen=True)
class Outline:
    """A function made of statements of the user's.

    Attributes:
        name: of the new function.
        parameters: its parameters.
        arguments: the expressions that they get, as text.
        kinds: of what they get; None where it was not seen.
        results: the names that it gives back.
        whole: whether it is the whole body, with its own `return`.
        first, last: numbers of the first and the last line that it takes.
        span: a node that stands where the statements are.
        body: gives its lines, indented by 4, as they are after all edits.
    """

    name: str
    parameters: tuple[str, ...]
    arguments: tuple[str, ...]
    kinds: tuple[Kind | None, ...]
    results: tuple[str, ...]
    whole: bool
    first: int
    last: int
    span: ast.AST
    body: Callable[[], str]

    def text(self) -> str:
        """The function's text, without decorators."""
        end = f"    return {', '.join(self.results)}\n" if self.results else ""
        return f"def {self.name}({', '.join(self.parameters)}):\n{self.body()}{end}"

    def call(self) -> str:
        """The statement that stands in the place of what was taken."""
        called = f"{self.name}({', '.join(self.arguments)})"
        if self.whole:
            return f"return {called}"
        return f"{', '.join(self.results)} = {called}" if self.results else called


@dataclass(frozen=True)
class Frame:
    """The function that statements are taken from.

    Attributes:
        function: its definition.
        edits: of its file.
        kinds: of its expressions.
        changeable: names of the module that may change between calls.
        taken: names of the file.
    """

    function: ast.FunctionDef
    edits: Edits
    kinds: Kinds
    changeable: frozenset[str]
    taken: frozenset[str]


def regions(function: ast.FunctionDef, loops: Iterable[tuple[int, int]]) -> list[list[ast.stmt]]:
    """List what may be taken out, the largest first: all, the hottest loop with what prepares it, it, loops in it.

    Args:
        function: the function.
        loops: first and last lines of its outer loops, the hottest first.
    """
    body = function.body[1:] if ast.get_docstring(function, clean=False) is not None else function.body
    found = [list(body)]
    for first, _ in list(loops)[:1]:
        block = _block_of(function, first)
        at = next((number for number, one in enumerate(block) if one.lineno == first), None)
        if at is None or not isinstance(block[at], ast.For | ast.While):
            continue
        start = at
        while start and _is_simple(block[start - 1]):
            start -= 1
        found += [block[start : at + 1], [block[at]]]
        inner = [one for one in getattr(block[at], "body", []) if isinstance(one, ast.For | ast.While)]
        found += [[one] for one in inner[:1]]
    return [one for number, one in enumerate(found) if one and one not in found[:number]]


def outline(statements: Sequence[ast.stmt], frame: Frame, *, whole: bool) -> Outline:
    """Take statements out into a function of their own, and edit what they read of objects.

    Raises NotOutlinedError with the reason.
    """
    function = frame.function
    _whole_lines(statements, frame)
    if not whole and (word := leaves(statements)):
        raise NotOutlinedError(f"the loop is left by a {word}")
    if not whole and any(isinstance(one, ast.FunctionDef | ast.Lambda) for one in walk_all(statements)):
        raise NotOutlinedError("there is a function inside of the loop")
    arguments = function.args
    if whole and (arguments.vararg or arguments.kwarg):
        raise NotOutlinedError("it takes any number of arguments")
    before = defined_at(function, statements[0])
    try:
        found = flow(statements)
    except ValueError as error:
        raise NotOutlinedError(str(error)) from None
    results = [] if whole else sorted(found.stored & _live(statements, function, found))
    unset = [name for name in results if name not in (found.defined or frozenset())]
    own = stored_in(function.body) | before
    wanted = sorted((found.exposed & own) | set(unset))
    if missing := [name for name in wanted if name not in before]:
        raise NotOutlinedError(f"{missing[0]} may not be set before")
    wanted += sorted((found.exposed & frame.changeable) - own)
    given = [one.arg for one in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)]
    wanted.sort(key=lambda name: given.index(name) if name in given else len(given))
    lifted = _lift(statements, wanted, frame, set(results) | found.stored)
    name = _unused(f"{function.name}_{'compiled' if whole else 'loop'}", frame.taken)
    last = statements[-1].end_lineno or statements[-1].lineno
    span = _span(statements)
    return Outline(
        name,
        tuple(one.parameter for one in lifted),
        tuple(one.argument for one in lifted),
        tuple(one.kind for one in lifted),
        tuple(results),
        whole,
        statements[0].lineno,
        last,
        span,
        lambda: _indented(" " * statements[0].col_offset + frame.edits.of_inside(span)),
    )


@dataclass(frozen=True)
class _Lifted:
    """A parameter, what it gets, and of which kind that is."""

    parameter: str
    argument: str
    kind: Kind | None


def _lift(statements: Sequence[ast.stmt], wanted: Sequence[str], frame: Frame, written: set[str]) -> list[_Lifted]:
    """The parameters, with edits where a field or an entry becomes a parameter of its own."""
    lifted: list[_Lifted] = []
    taken = set(frame.taken)
    for name in wanted:
        uses = [one for one in walk_all(statements) if isinstance(one, ast.Name) and one.id == name]
        kind = next((found for one in uses if (found := frame.kinds.of(one)) is not None), None)
        if kind is None or kind.type in PLAIN:
            lifted.append(_whole_argument(name, kind, statements))
            continue
        parts: dict[str, str] = {}
        for node in _chains(name, kind, statements, frame, written):
            text = frame.edits.of_inside(node)
            if text not in parts:
                parts[text] = _unused("_".join(_words(node)), taken)
                taken.add(parts[text])
                lifted.append(_Lifted(parts[text], text, frame.kinds.of(node)))
            frame.edits.replace(node, partial(str, parts[text]))
    return lifted


def _chains(name: str, kind: Kind, statements: Sequence[ast.stmt], frame: Frame, written: set[str]) -> list[ast.expr]:
    """Every read of a field or an entry of the object `name`: `p.x`, `p["x"]`; raises where more is done with it."""
    parents = {id(part): one for one in walk_all(statements) for part in ast.iter_child_nodes(one)}
    found: list[ast.expr] = []
    for one in walk_all(statements):
        if not isinstance(one, ast.Name) or one.id != name:
            continue
        node: ast.AST = one
        while True:
            parent = parents.get(id(node))
            is_entry = isinstance(parent, ast.Subscript) and parent.value is node and _is_text(parent.slice)
            if not (isinstance(parent, ast.Attribute) or is_entry) or parent is None:
                break
            node = parent
            kind_now = frame.kinds.of(node)
            if kind_now is not None and kind_now.type in PLAIN:
                break
        seen = frame.kinds.of(node)
        is_read = isinstance(getattr(node, "ctx", None), ast.Load)
        if node is one or not is_read or seen is None or seen.type not in PLAIN or name in written:
            raise NotOutlinedError(
                f"{name} is a {kind.type}, and more is done with it than reading its numbers and arrays"
            )
        found.append(node)  # type: ignore[arg-type]
    return sorted(found, key=lambda node: (node.lineno, node.col_offset))


def _whole_argument(name: str, kind: Kind | None, statements: Sequence[ast.stmt]) -> _Lifted:
    """The parameter of a name: a list of numbers that is only read goes in as an array."""
    if kind is None or kind.type != "list" or kind.dtype not in LISTED or not _only_read(name, statements):
        return _Lifted(name, name, kind)
    dtype = LISTED[kind.dtype]
    as_array = Kind("array", dtype.removeprefix("np.").rstrip("_"), kind.ndim)
    return _Lifted(name, f"np.array({name}, dtype={dtype})", as_array)


def _only_read(name: str, statements: Sequence[ast.stmt]) -> bool:
    """Whether a list is indexed with whole numbers, gone through and counted only."""
    parents = {id(part): one for one in walk_all(statements) for part in ast.iter_child_nodes(one)}
    for one in walk_all(statements):
        if not isinstance(one, ast.Name) or one.id != name:
            continue
        node: ast.AST = one
        parent = parents.get(id(node))
        while isinstance(parent, ast.Subscript) and parent.value is node:
            if not isinstance(parent.ctx, ast.Load) or isinstance(parent.slice, ast.Slice):
                return False
            node, parent = parent, parents.get(id(parent))
        if node is not one:
            continue
        called = isinstance(parent, ast.Call) and node in parent.args and ast.unparse(parent.func)
        is_reader = called and (called in READERS or called.startswith("np."))
        is_gone_through = isinstance(parent, ast.For | ast.comprehension) and parent.iter is node
        if not is_reader and not is_gone_through:
            return False
    return True


def _live(statements: Sequence[ast.stmt], function: ast.FunctionDef, found: Flow) -> set[str]:
    """The names that may be read once the statements have run."""
    inside = {id(one) for one in walk_all(statements)}
    last = statements[-1].end_lineno or 0
    live: set[str] = set()
    loops = [
        one
        for one in ast.walk(function)
        if isinstance(one, ast.For | ast.While) and statements[0] in list(ast.walk(one))
    ]
    round_it = {id(part) for loop in loops for part in ast.walk(loop)}
    for one in ast.walk(function):
        if isinstance(one, ast.Lambda | ast.FunctionDef) and one is not function and id(one) not in inside:
            live |= reads(one)
        if isinstance(one, ast.Name) and id(one) not in inside and not isinstance(one.ctx, ast.Store):
            live |= {one.id} if one.lineno > last or id(one) in round_it else set()
        if isinstance(one, ast.AugAssign) and isinstance(one.target, ast.Name) and id(one) not in inside:
            live.add(one.target.id)
    return live | (set(found.exposed) if loops else set())


def _whole_lines(statements: Sequence[ast.stmt], frame: Frame) -> None:
    first, last = statements[0], statements[-1]
    whole = frame.edits.original(first.lineno, last.end_lineno or last.lineno)
    head = whole.encode()[: first.col_offset].decode()
    lines = whole.split("\n")
    tail = lines[-1].encode()[last.end_col_offset :].decode().strip()
    if head.strip() or (tail and not tail.startswith("#")):
        raise NotOutlinedError("it shares a line with something else")
    if any(
        isinstance(one, ast.Constant | ast.JoinedStr) and one.lineno != one.end_lineno for one in walk_all(statements)
    ):
        raise NotOutlinedError("it has a text of several lines")


def _is_simple(one: ast.stmt) -> bool:
    """Whether a statement sets names from numbers and arrays, with NumPy and what counts and converts alone."""
    calls = [ast.unparse(part.func) for part in ast.walk(one) if isinstance(part, ast.Call)]
    return isinstance(one, SIMPLE) and all(name.startswith("np.") or name in READERS | CONVERTERS for name in calls)


def _block_of(function: ast.FunctionDef, line: int) -> list[ast.stmt]:
    for one in ast.walk(function):
        for name in ("body", "orelse"):
            block = getattr(one, name, None)
            if isinstance(block, list) and any(isinstance(part, ast.stmt) and part.lineno == line for part in block):
                return block
    return []


def _span(statements: Sequence[ast.stmt]) -> ast.AST:
    first, last = statements[0], statements[-1]
    return ast.Pass(
        lineno=first.lineno,
        col_offset=first.col_offset,
        end_lineno=last.end_lineno,
        end_col_offset=last.end_col_offset,
    )


def _indented(text: str) -> str:
    return textwrap.indent(textwrap.dedent(text), "    ").rstrip() + "\n"


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def _words(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Name):
        return [node.id]
    if isinstance(node, ast.Attribute):
        return [*_words(node.value), node.attr]
    if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
        return [*_words(node.value), "".join(one if one.isalnum() else "_" for one in str(node.slice.value))]
    return []


def _unused(name: str, taken: Iterable[str]) -> str:
    while name in taken:
        name += "_"
    return name

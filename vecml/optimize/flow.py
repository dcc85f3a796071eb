"""What a run of statements reads from before it, what it sets, and what it may be cut out with."""

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

REFUSED = {
    ast.Try: "try",
    ast.With: "with",
    ast.Delete: "del",
    ast.Global: "global",
    ast.Nonlocal: "nonlocal",
    ast.Yield: "yield",
    ast.YieldFrom: "yield",
    ast.Await: "await",
    ast.AsyncFor: "async for",
    ast.AsyncWith: "async with",
    ast.Match: "match",
    ast.NamedExpr: ":=",
    ast.Import: "import",
    ast.ImportFrom: "import",
    ast.ClassDef: "a class",
}
Names = frozenset[str]


@dataclass(frozen=True)
class Flow:
    """The names that statements read and set.

    Attributes:
        exposed: may be read before the statements set them.
        stored: set anywhere in them.
        defined: certainly set once they have run to their end; None where they never come to it.
    """

    exposed: Names
    stored: Names
    defined: Names | None


class _ReachedError(Exception):
    def __init__(self, defined: Names | None) -> None:
        super().__init__()
        self.defined = defined


def flow(statements: Sequence[ast.stmt], defined: Names = frozenset()) -> Flow:
    """Follow the statements, with the names that are set before them.

    Raises ValueError, with the construct, where they have one that is not followed.
    """
    for part in walk_all(statements):
        if (word := REFUSED.get(type(part))) is not None:
            raise ValueError(f"line {getattr(part, 'lineno', statements[0].lineno)}: it has {word}")
    walker = _Walker(None)
    end = walker.block(statements, defined)
    return Flow(frozenset(walker.exposed), frozenset(stored_in(statements)), end)


def defined_at(function: ast.FunctionDef, statement: ast.stmt) -> Names:
    """The names that are certainly set when a statement of the function begins."""
    arguments = function.args
    given = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
    names = frozenset(one.arg for one in given if one is not None)
    try:
        _Walker(statement).block(function.body, names)
    except _ReachedError as reached:
        return reached.defined or frozenset()
    return frozenset()


def stored_in(statements: Sequence[ast.stmt]) -> set[str]:
    """The names that the statements set, but for those of comprehensions and inner functions, which are their own."""
    found: set[str] = set()
    for part in _own_scope(statements):
        if isinstance(part, ast.Name) and not isinstance(part.ctx, ast.Load):
            found.add(part.id)
        elif isinstance(part, ast.FunctionDef):
            found.add(part.name)
    return found


def reads(node: ast.AST, own: Names = frozenset()) -> set[str]:
    """The names that an expression or an inner function reads from round it."""
    if isinstance(node, ast.Name):
        return {node.id} - own if isinstance(node.ctx, ast.Load) else set()
    if isinstance(node, ast.Lambda | ast.FunctionDef):
        mine = {one.arg for one in ast.walk(node.args) if isinstance(one, ast.arg)}
        body = [node.body] if isinstance(node, ast.Lambda) else node.body
        if isinstance(node, ast.FunctionDef):
            mine |= stored_in(node.body)
        found = {name for part in body for name in reads(part, own | mine)}
        defaults = [*node.args.defaults, *filter(None, node.args.kw_defaults)]
        return found | {name for part in defaults for name in reads(part, own)}
    if isinstance(node, ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp):
        mine = {one.id for part in node.generators for one in ast.walk(part.target) if isinstance(one, ast.Name)}
        return {name for part in ast.iter_child_nodes(node) for name in reads(part, own | mine)}
    return {name for part in ast.iter_child_nodes(node) for name in reads(part, own)}


def walk_all(statements: Sequence[ast.AST]) -> Iterator[ast.AST]:
    """All nodes of the statements."""
    for statement in statements:
        yield from ast.walk(statement)


def leaves(statements: Sequence[ast.stmt], *, loops: int = 0) -> str | None:
    """The word that leads out of the statements: `return`, or `break` and `continue` of a loop round them."""
    for one in statements:
        if isinstance(one, ast.Return):
            return "return"
        if isinstance(one, ast.Break | ast.Continue) and not loops:
            return "break" if isinstance(one, ast.Break) else "continue"
        inside = isinstance(one, ast.For | ast.While)
        for name in ("body", "orelse"):
            inner = [] if isinstance(one, ast.FunctionDef) else getattr(one, name, [])
            if word := leaves(inner, loops=loops + (inside and name == "body")):
                return word
    return None


def _own_scope(nodes: Sequence[ast.AST]) -> Iterator[ast.AST]:
    for node in nodes:
        yield node
        if isinstance(
            node, ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp | ast.Lambda | ast.FunctionDef
        ):
            continue
        yield from _own_scope(list(ast.iter_child_nodes(node)))


class _Walker:
    """Follows statements in their order; `exposed` gathers what is read before it is certainly set."""

    def __init__(self, until: ast.stmt | None) -> None:
        self._until = until
        self.exposed: set[str] = set()

    def block(self, statements: Sequence[ast.stmt], defined: Names | None) -> Names | None:
        """Follow them; gives what is set at their end, None where that is never reached."""
        for one in statements:
            if one is self._until:
                raise _ReachedError(defined)
            defined = self._one(one, defined)
        return defined

    def _read(self, node: ast.AST | None, defined: Names | None) -> None:
        if node is not None and defined is not None:
            self.exposed |= reads(node) - defined

    def _one(self, one: ast.stmt, defined: Names | None) -> Names | None:
        if defined is None:
            return None
        if isinstance(one, ast.Return | ast.Raise | ast.Break | ast.Continue):
            self._read(one, defined)
            return None
        if isinstance(one, ast.If):
            self._read(one.test, defined)
            return _both(self.block(one.body, defined), self.block(one.orelse, defined))
        if isinstance(one, ast.For | ast.While):
            return self._loop(one, defined)
        if isinstance(one, ast.With | ast.Try):
            for name in ("items", "body", "handlers", "orelse", "finalbody"):
                for part in getattr(one, name, []):
                    if isinstance(part, ast.ExceptHandler):
                        self.block(part.body, defined)
                    elif isinstance(part, ast.stmt):
                        self.block([part], defined)
                    else:
                        self._read(part, defined)
            return defined
        self._read(one, defined)
        if isinstance(one, ast.AugAssign) and isinstance(one.target, ast.Name) and one.target.id not in defined:
            self.exposed.add(one.target.id)
        return defined | frozenset(stored_in([one]))

    def _loop(self, one: ast.For | ast.While, defined: Names) -> Names:
        self._read(one.iter if isinstance(one, ast.For) else one.test, defined)
        inside = defined
        if isinstance(one, ast.For):
            self._read(one.target, defined)  # `x[i]` as a target reads x and i
            inside = defined | {part.id for part in ast.walk(one.target) if isinstance(part, ast.Name)}
        self.block(one.body, inside)
        self.block(one.orelse, defined)
        return defined


def _both(one: Names | None, other: Names | None) -> Names | None:
    if one is None or other is None:
        return other if one is None else one
    return one & other

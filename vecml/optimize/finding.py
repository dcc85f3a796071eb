"""The functions of a module by their names (`f`, `Class.method`), found in its syntax tree without running it."""

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

BLOCKS = ("body", "orelse", "finalbody")
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


@dataclass(frozen=True)
class Found:
    """A function that a module defines when it is imported.

    Attributes:
        name: as it is reached from the module: `f`, `Class.method`.
        function: its definition.
        top: the statement of the module that it is in; the definition itself at the top level.
        conditional: whether it is in an `if`, a `try` or the like, so that another may take its place.
        in_class: whether it is in the body of a class.
    """

    name: str
    function: ast.FunctionDef | ast.AsyncFunctionDef
    top: ast.stmt
    conditional: bool
    in_class: bool


def functions_in(tree: ast.Module) -> list[Found]:
    """The functions of a module and of its classes, those in an `if`, a `try` or a `with` too, in the file's order."""
    return [one for top in tree.body for one in _within([top], top, "", conditional=False)]


def definition(tree: ast.Module, name: str) -> ast.FunctionDef:
    """The last definition of `name`, which is the one that counts; raises KeyError without one."""
    return found(tree, name)[0]


def found(tree: ast.Module, name: str) -> tuple[ast.FunctionDef, Found]:
    """The last definition of `name`, and where it stands; raises KeyError without one."""
    for one in reversed(functions_in(tree)):
        if one.name == name and isinstance(one.function, ast.FunctionDef):
            return one.function, one
    raise KeyError(name)


def closures_in(tree: ast.Module) -> dict[str, str]:
    """The functions that are defined inside others, by their own name and by the dotted one: the name of the outer."""
    inner: dict[str, str] = {}
    for outer in functions_in(tree):
        for part in ast.walk(outer.function):
            if isinstance(part, FUNCTIONS) and part is not outer.function:
                inner.setdefault(part.name, outer.name)
                inner.setdefault(f"{outer.name}.{part.name}", outer.name)
    return inner


def _within(body: Sequence[ast.AST], top: ast.stmt, prefix: str, *, conditional: bool) -> Iterator[Found]:
    for part in body:
        if isinstance(part, FUNCTIONS):
            yield Found(f"{prefix}{part.name}", part, top, conditional, bool(prefix))
        elif isinstance(part, ast.ClassDef):
            yield from _within(part.body, top, f"{prefix}{part.name}.", conditional=conditional)
        elif isinstance(part, ast.stmt | ast.ExceptHandler | ast.match_case):
            for name in (*BLOCKS, "handlers", "cases"):
                yield from _within(getattr(part, name, []), top, prefix, conditional=True)

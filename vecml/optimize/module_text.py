"""Places in a module's text where something is put: imports, functions, decorators."""

import ast
from collections.abc import Mapping

from vecml.optimize.edit import Edits
from vecml.optimize.syntax import names_in


def first_line(function: ast.FunctionDef) -> int:
    """The number of a function's first line, its decorators included."""
    return min([function.lineno, *(one.lineno for one in function.decorator_list)])


def first_function(tree: ast.Module) -> int:
    """The number of the first line of the first function at the top level."""
    return min(first_line(part) for part in tree.body if isinstance(part, ast.FunctionDef))


def functions_of(tree: ast.Module) -> dict[str, ast.FunctionDef]:
    """The functions at the top level, by name."""
    return {part.name: part for part in tree.body if isinstance(part, ast.FunctionDef)}


def names_of(tree: ast.Module) -> frozenset[str]:
    """Every name that the module uses for anything."""
    named = {one.name for one in ast.walk(tree) if isinstance(one, ast.FunctionDef | ast.ClassDef)}
    arguments = {one.arg for one in ast.walk(tree) if isinstance(one, ast.arg)}
    return frozenset(names_in(tree) | named | arguments)


def add_imports(tree: ast.Module, edits: Edits, lines: Mapping[str, str]) -> None:
    """Put imports before the module's first import, or before its first function.

    Args:
        tree, edits: of the module.
        lines: by the name that an import sets; those that the module has already are left out.
    """
    known = {one.asname or one.name for part in tree.body if isinstance(part, ast.Import) for one in part.names}
    wanted = "".join(f"{line}\n" for name, line in lines.items() if name not in known)
    if not wanted:
        return
    imports = [
        part.lineno
        for part in tree.body
        if isinstance(part, ast.Import | ast.ImportFrom) and getattr(part, "module", None) != "__future__"
    ]
    line, end = (imports[0], "") if imports else (first_function(tree), "\n\n")
    edits.insert_first(line, lambda: wanted + end)

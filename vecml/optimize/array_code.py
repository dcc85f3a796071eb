"""Where a function computes with whole arrays and no loop of Python's: all of it, or the turns of its hottest loop."""

import ast
from collections.abc import Iterable, Sequence

from vecml.optimize.flow import walk_all
from vecml.optimize.kinds import called_functions

FEW_TURNS = 16  # a loop with so many is written out turn by turn
LOOPS = (ast.For, ast.While, ast.ListComp, ast.GeneratorExp, ast.DictComp, ast.SetComp)


def array_statements(
    tree: ast.Module, name: str, loops: Iterable[tuple[int, int]]
) -> tuple[list[ast.stmt], bool] | None:
    """The statements of a function that compute with whole arrays, and whether these are all; None for none.

    Args:
        tree: the module.
        name: of the function.
        loops: first and last lines of its outer loops, the hottest first.
    """
    functions = {one.name: one for one in called_functions(tree, name)}
    function = functions[name]
    body = function.body[1:] if ast.get_docstring(function, clean=False) is not None else function.body
    if _is_array_code(body, functions):
        return list(body), True
    for first, _ in list(loops)[:1]:
        for one in ast.walk(function):
            if isinstance(one, ast.For | ast.While) and one.lineno == first and _is_array_code(one.body, functions):
                return list(one.body), False
    return None


def _is_array_code(statements: Sequence[ast.stmt], functions: dict[str, ast.FunctionDef]) -> bool:
    names = {one.id for one in walk_all(statements) if isinstance(one, ast.Name)}
    called = [one for name in names & functions.keys() for one in functions[name].body]
    parts = list(walk_all([*statements, *called]))
    computes = any(isinstance(one, ast.BinOp) or _is_numpys(one) for one in parts)
    return computes and not any(isinstance(one, LOOPS) and not _is_short(one) for one in parts)


def _is_numpys(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and ast.unparse(node.func).startswith("np.")


def _is_short(loop: ast.AST) -> bool:
    if not isinstance(loop, ast.For):
        return False
    if isinstance(loop.iter, ast.Tuple | ast.List):
        return len(loop.iter.elts) <= FEW_TURNS
    is_range = isinstance(loop.iter, ast.Call) and ast.unparse(loop.iter.func) == "range"
    last = loop.iter.args[-1] if isinstance(loop.iter, ast.Call) and is_range and loop.iter.args else None
    return isinstance(last, ast.Constant) and isinstance(last.value, int) and last.value <= FEW_TURNS

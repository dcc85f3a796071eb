"""An element that an inner loop reads and writes in all of its turns, held in a name of its own meanwhile."""

import ast
from collections.abc import Callable

from vecml.optimize.syntax import index_parts, names_in, names_set_in, size_reads

GATHERING = ast.Add | ast.Sub | ast.Mult


def with_elements_held(loop: ast.For, fresh: Callable[[str], str]) -> tuple[list[ast.stmt], ast.For, list[ast.stmt]]:
    """Return the loop with such elements as names, and what goes before and after it: `x = a[i]`, `a[i] = x`.

    Elements that are only added to, or multiplied, are left: that has a form of its own.

    Args:
        loop: an inner loop.
        fresh: gives a name that is not used yet.
    """
    changing = names_set_in([loop])
    before: list[ast.stmt] = []
    after: list[ast.stmt] = []
    for array, index in _held(loop, changing):
        name = fresh(f"{array}_here")
        element = ast.parse(f"{array}[{index}]", mode="eval").body
        loop = _named(loop, ast.unparse(element), name)
        before += ast.parse(f"{name} = {array}[{index}]").body
        after += ast.parse(f"{array}[{index}] = {name}").body
    return before, loop, after


def _held(loop: ast.For, changing: set[str]) -> list[tuple[str, str]]:
    """List the arrays that are read and written at one element only, the same in every turn, with its index."""
    written: dict[str, set[str]] = {}
    gathered: dict[str, bool] = {}
    for part in ast.walk(loop):
        if isinstance(part, ast.Assign | ast.AugAssign):
            for target in part.targets if isinstance(part, ast.Assign) else [part.target]:
                for one in ast.walk(target):
                    if isinstance(one, ast.Subscript) and isinstance(one.ctx, ast.Store):
                        name = ast.unparse(index_parts(one)[0])
                        written.setdefault(name, set()).add(ast.unparse(one))
                        only = isinstance(part, ast.AugAssign) and isinstance(part.op, GATHERING)
                        gathered[name] = gathered.get(name, True) and only
    found = []
    for name, texts in written.items():
        text = min(texts)
        node = ast.parse(text, mode="eval").body
        if len(texts) > 1 or not isinstance(node, ast.Subscript) or not name.isidentifier():
            continue
        index = index_parts(node)[1]
        if any(isinstance(part, ast.Slice) or names_in(part) & changing for part in index) or name in changing:
            continue
        reads = _other_uses(loop, name, text)
        if reads is None or (gathered[name] and not reads):
            continue
        found.append((name, ", ".join(map(ast.unparse, index))))
    return found


def _other_uses(loop: ast.For, name: str, text: str) -> int | None:
    """Count the reads of the element; None where the array is used in another way, but for its size."""
    passed = size_reads(loop)
    reads = 0
    for part in ast.walk(loop):
        if isinstance(part, ast.Subscript) and ast.unparse(part) == text:
            passed |= {id(one) for one in ast.walk(part)}
            reads += isinstance(part.ctx, ast.Load)
    stray = any(isinstance(one, ast.Name) and one.id == name and id(one) not in passed for one in ast.walk(loop))
    return None if stray else reads


def _named(loop: ast.For, text: str, name: str) -> ast.For:
    class _Name(ast.NodeTransformer):
        def visit_Subscript(self, node: ast.Subscript) -> ast.expr:
            if ast.unparse(node) == text:
                return ast.copy_location(ast.Name(name, node.ctx), node)
            self.generic_visit(node)
            return node

    copy = ast.parse(ast.unparse(loop)).body[0]
    found: ast.For = _Name().visit(copy)
    return found

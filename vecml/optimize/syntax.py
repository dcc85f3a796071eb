"""Questions about a function's syntax tree: which names a loop sets or reads, and what an expression certainly is."""

import ast
import io
from collections.abc import Sequence


def lines_of(text: str) -> list[str]:
    """The text's lines with their ends, as `ast`, git and editors count them: a form feed, say, does not end a line."""
    return list(io.StringIO(text))


def names_in(node: ast.AST) -> set[str]:
    """The names that are read or set anywhere in the node."""
    return {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}


def names_set_in(body: Sequence[ast.AST]) -> set[str]:
    """The names that the statements set."""
    parts = (part for statement in body for part in ast.walk(statement))
    return {part.id for part in parts if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store)}


def written_in(body: Sequence[ast.AST]) -> set[str]:
    """The names that the statements set, and the arrays whose elements they write."""
    parts = (part for statement in body for part in ast.walk(statement))
    bases = [_base(part) for part in parts if isinstance(part, ast.Subscript) and isinstance(part.ctx, ast.Store)]
    return names_set_in(body) | {base.id for base in bases if isinstance(base, ast.Name)}


def index_parts(target: ast.Subscript) -> tuple[ast.expr, list[ast.expr]]:
    """The indexed expression, and all indices in order: `x` and `[i, j]` for both `x[i, j]` and `x[i][j]`."""
    base: ast.expr = target
    parts: list[ast.expr] = []
    while isinstance(base, ast.Subscript):
        parts = [*elements(base.slice), *parts]
        base = base.value
    return base, parts


def elements(node: ast.expr) -> list[ast.expr]:
    """List the elements of a tuple; the list of any other expression holds only itself."""
    return list(node.elts) if isinstance(node, ast.Tuple) else [node]


def shown_index(node: ast.expr) -> str:
    """An index as it is written between the brackets."""
    return ", ".join(map(ast.unparse, elements(node)))


def size_reads(node: ast.AST) -> set[int]:
    """The `id()` of each node that is read for its size only: inside `len(x)`, `x.shape`, `x.size`, `x.ndim`."""
    return {
        id(inner)
        for part in ast.walk(node)
        if (isinstance(part, ast.Attribute) and part.attr in ("shape", "size", "ndim"))
        or (isinstance(part, ast.Call) and ast.unparse(part.func) == "len")
        for inner in ast.walk(part)
    }


def sign(op: ast.operator | ast.cmpop) -> str:
    """An operator as it is written, with a space on both sides: ` + `, ` < `."""
    left, right = ast.Name("a"), ast.Name("b")
    node = ast.Compare(left, [op], [right]) if isinstance(op, ast.cmpop) else ast.BinOp(left, op, right)
    return ast.unparse(node)[1:-1]


def shorten(node: ast.AST) -> str:
    """The first line of the node's code, cut after 40 characters."""
    text = ast.unparse(node).partition("\n")[0]
    return text if len(text) <= 40 else f"{text[:37]}..."


def _base(node: ast.expr) -> ast.expr:
    return index_parts(node)[0] if isinstance(node, ast.Subscript) else node


def outlives(name: str, function: ast.FunctionDef, loop: ast.For, *, nested: bool) -> bool:
    """Whether a value that the loop leaves in `name` may be read elsewhere in the function.

    Another loop that sets the name before it reads it does not count.

    Args:
        name: set in the loop.
        function: contains the loop.
        loop: the loop in question.
        nested: whether the loop stands in another block, whose next turn may read the name above the loop.
    """
    skipped = {id(part) for part in ast.walk(loop)}
    for other in ast.walk(function):
        if isinstance(other, ast.For) and id(other) not in skipped and loop not in list(ast.walk(other)):
            if _sets_first(name, other):
                skipped |= {id(part) for part in ast.walk(other)}
        elif isinstance(other, ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp) and any(
            name in names_in(one.target) for one in other.generators
        ):  # its own name, but where it goes through something first
            first = {id(part) for part in ast.walk(other.generators[0].iter)}
            skipped |= {id(part) for part in ast.walk(other)} - first
    end = loop.end_lineno or loop.lineno
    return any(
        isinstance(part, ast.Name)
        and part.id == name
        and isinstance(part.ctx, ast.Load)
        and id(part) not in skipped
        and (nested or part.lineno > end)
        for part in ast.walk(function)
    )


def _sets_first(name: str, loop: ast.For) -> bool:
    """Whether the loop sets the name in each turn before it reads it."""
    if name in names_in(loop.target):
        return name not in names_in(loop.iter)
    found = [part for part in ast.walk(loop) if isinstance(part, ast.Name) and part.id == name]
    stores = [
        part
        for part in loop.body
        if isinstance(part, ast.Assign) and name in {one.id for one in part.targets if isinstance(one, ast.Name)}
    ]
    if not found or not stores:
        return False
    return name not in names_in(stores[0].value) and stores[0].lineno == min(part.lineno for part in found)


def is_size(node: ast.expr, function: ast.FunctionDef) -> bool:
    """Whether the expression is certainly a whole number from 0 up: a length, or an expression of lengths."""
    match node:
        case ast.Constant(value=int() as number):
            return number >= 0
        case ast.Call(func=ast.Name(id="len")) | ast.Attribute(attr="size" | "ndim"):
            return True
        case ast.Subscript(value=ast.Attribute(attr="shape")):
            return True
        case ast.BinOp(op=ast.Add() | ast.Mult()):
            return is_size(node.left, function) and is_size(node.right, function)
        case ast.BinOp(op=ast.FloorDiv(), left=left, right=ast.Constant(value=int() as number)):
            return number > 0 and is_size(left, function)
        case ast.Name(id=name):
            return _is_size_name(name, function)
    return False


def _is_size_name(name: str, function: ast.FunctionDef) -> bool:
    """Whether the name is no argument and each value that the function assigns to it is a length."""
    arguments = {part.arg for part in ast.walk(function.args) if isinstance(part, ast.arg)}
    written = [
        part
        for part in ast.walk(function)
        if isinstance(part, ast.Name) and part.id == name and not isinstance(part.ctx, ast.Load)
    ]
    sizes = 0
    for part in ast.walk(function):
        match part:
            case ast.Assign(targets=[ast.Name(id=one)], value=value) if one == name:
                sizes += name not in names_in(value) and is_size(value, function)
            case ast.Assign(targets=[ast.Tuple(elts=targets)], value=ast.Attribute(attr="shape")):
                sizes += name in [one.id for one in targets if isinstance(one, ast.Name)]
            case ast.Assign(targets=[ast.Tuple(elts=targets)], value=ast.Tuple(elts=values)) if len(targets) == len(
                values
            ):
                sizes += sum(
                    isinstance(one, ast.Name)
                    and one.id == name
                    and not names_in(value) & {name}
                    and is_size(value, function)
                    for one, value in zip(targets, values, strict=True)
                )
    return name not in arguments and 0 < len(written) == sizes


def is_read(name: str, loop: ast.For) -> bool:
    """Whether the loop reads values of the array `name`; if it reads only the size, or only writes, it does not."""
    passed = size_reads(loop)
    for part in ast.walk(loop):
        if isinstance(part, ast.Subscript) and isinstance(part.ctx, ast.Store):
            passed.add(id(_base(part)))
    return any(isinstance(part, ast.Name) and part.id == name and id(part) not in passed for part in ast.walk(loop))


def takes_slice(code: str) -> bool:
    """Whether the code is an array with a slice in its index, as `y[1:n]`: a view, where index arrays give a copy."""
    node = ast.parse(code, mode="eval").body
    parts = elements(node.slice) if isinstance(node, ast.Subscript) else []
    return any(isinstance(part, ast.Slice) for part in parts)


def used_only_as_array(name: str, function: ast.FunctionDef, loop: ast.For) -> bool:
    """Whether the name is used after the loop, and only as the argument of `np.array` or `np.asarray`."""
    wrapped = {
        id(part.args[0])
        for part in ast.walk(function)
        if isinstance(part, ast.Call) and ast.unparse(part.func) in ("np.array", "np.asarray") and part.args
    }
    later = [
        part
        for part in ast.walk(function)
        if isinstance(part, ast.Name) and part.id == name and part.lineno > (loop.end_lineno or loop.lineno)
    ]
    return bool(later) and all(id(part) in wrapped for part in later)


def unused(name: str, taken: set[str]) -> str:
    """Give the name, with a number behind it where it is taken, and add it to those that are."""
    found, number = name, 1
    while found in taken:
        number += 1
        found = f"{name}_{number}"
    taken.add(found)
    return found

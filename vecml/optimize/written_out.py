"""Loops over a few values that are written out, `for dx in (-1, 0, 1)`, and what is certain of constants."""

import ast
import itertools
import math
from collections.abc import Sequence, Set
from typing import Any

from vecml.optimize.values import NotRecognisedError

MOST = 32  # values of one such loop
PLAIN = int | float | complex | str | bool | None
FOLDED = (ast.BinOp, ast.UnaryOp, ast.Compare, ast.BoolOp, ast.IfExp, ast.Tuple)


def written_out(node: ast.expr) -> list[ast.expr] | None:
    """List what a loop over an expression gives, where that is written out: a tuple, a list, a product of them.

    A range is, where it begins below 0 with a constant, as in `range(-1, 2)`: that is for the neighbours of a place.
    """
    values = _values(node)
    if values is None or len(values) > MOST or (_is_range(node) and not (values and values[0] < 0)):
        return None
    return [_node(one) for one in values]


def named(target: ast.expr, value: ast.expr) -> list[tuple[str, ast.expr]]:
    """Return the names of a loop's target with what each is in a turn."""
    if isinstance(target, ast.Name):
        return [(target.id, value)]
    if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple) and len(target.elts) == len(value.elts):
        return [pair for one, part in zip(target.elts, value.elts, strict=True) for pair in named(one, part)]
    raise NotRecognisedError(f"`for {ast.unparse(target)} in ...` is none of the forms")


def folded(node: ast.expr, whole: Set[str] = frozenset()) -> ast.expr:
    """Return the expression with what is made of constants only computed, and choices between them made.

    Args:
        node: the expression.
        whole: names of whole numbers: these stay what they are when 0 is added.
    """
    found: ast.expr = _Fold(whole).visit(node)  # type: ignore[assignment]
    return found


def with_values_in_place(function: ast.FunctionDef, module: ast.Module) -> ast.FunctionDef:
    """Write out, in place, the values of names that loops of the function go over and that never change."""
    known: dict[str, ast.expr] = {}
    for scope in (module, function):
        known |= {name: value for name, value in _set_once(scope) if written_out(value) is not None}
    own = {one.arg for one in ast.walk(function.args) if isinstance(one, ast.arg)}
    set_here = own | {
        one.id for one in ast.walk(function) if isinstance(one, ast.Name) and not isinstance(one.ctx, ast.Load)
    }
    inside = {name for name, _ in _set_once(function)}
    for loop in [one for one in ast.walk(function) if isinstance(one, ast.For)]:
        if isinstance(loop.iter, ast.Name) and loop.iter.id in known:
            name = loop.iter.id
            if name in inside or name not in set_here:
                loop.iter = ast.copy_location(known[name], loop.iter)
    return function


def _set_once(scope: ast.Module | ast.FunctionDef) -> list[tuple[str, ast.expr]]:
    """List names that a scope's own statements set once, and that are gone through or measured only."""
    stores = [one.id for one in ast.walk(scope) if isinstance(one, ast.Name) and not isinstance(one.ctx, ast.Load)]
    stores += [one.arg for one in ast.walk(scope) if isinstance(one, ast.arg)]
    loads = [one.id for one in ast.walk(scope) if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Load)]
    harmless = [name for one in ast.walk(scope) if (name := _only_read(one))]
    found: list[tuple[str, ast.expr]] = []
    for part in scope.body:
        match part:
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Tuple() | ast.List() as value):
                if stores.count(name) == 1 and loads.count(name) == harmless.count(name):
                    found.append((name, value))
    return found


def _only_read(node: ast.AST) -> str | None:
    """The name that a node goes through, or takes the length of."""
    match node:
        case ast.For(iter=ast.Name(id=name)) | ast.comprehension(iter=ast.Name(id=name)):
            return name
        case ast.Call(func=ast.Name(id="len" | "enumerate"), args=[ast.Name(id=name)]):
            return name
    return None


def _is_range(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and ast.unparse(node.func) == "range"


def _values(node: ast.expr) -> Sequence[Any] | None:
    match node:
        case ast.Tuple() | ast.List():
            try:
                found = ast.literal_eval(node)
            except (ValueError, TypeError):
                return None
            return list(found) if all(map(_is_plain, found)) else None
        case ast.Call(func=ast.Name(id="range"), args=args, keywords=[]):
            bounds = [_whole(one) for one in args]
            if not 1 <= len(bounds) <= 3 or None in bounds or (len(bounds) == 3 and not bounds[2]):
                return None
            made = range(*[one for one in bounds if one is not None])
            return list(made) if len(made) <= MOST else None
        case ast.Call(func=ast.Name(id="enumerate"), args=[inside], keywords=[]):
            parts = _values(inside)
            return None if parts is None else list(enumerate(parts))
        case ast.Call(func=called, args=args) if ast.unparse(called) in ("product", "itertools.product"):
            return _product(node, [_values(one) for one in args])
    return None


def _product(node: ast.Call, parts: list[Sequence[Any] | None]) -> list[Any] | None:
    times = 1
    for word in node.keywords:
        if word.arg != "repeat" or (found := _whole(word.value)) is None or not 1 <= found <= MOST:
            return None
        times = found
    known = [one for one in parts if one is not None]
    if len(known) < len(parts) or not known or math.prod(map(len, known)) ** times > MOST:
        return None
    return list(itertools.product(*known, repeat=times))


def _is_plain(value: Any) -> bool:
    return all(map(_is_plain, value)) if isinstance(value, tuple) else isinstance(value, PLAIN)


def _whole(node: ast.expr) -> int | None:
    try:
        found = ast.literal_eval(node)
    except (ValueError, TypeError):
        return None
    return found if type(found) is int else None


def _node(value: Any) -> ast.expr:
    """A constant as it is written: a minus sign is an operator, which binds less than a power."""
    if isinstance(value, tuple):
        return ast.Tuple([_node(one) for one in value], ast.Load())
    if isinstance(value, int | float) and not isinstance(value, bool) and math.copysign(1, value) < 0:
        return ast.UnaryOp(ast.USub(), ast.Constant(-value))
    return ast.Constant(value)


def _constant(node: ast.expr) -> tuple[Any] | None:
    """The value of an expression of constants, in a tuple; None for any other, and for what raises or is huge."""
    if any(
        not isinstance(one, (*FOLDED, ast.Constant, ast.operator, ast.unaryop, ast.cmpop, ast.boolop, ast.Load))
        or isinstance(one, ast.Pow | ast.LShift)
        for one in ast.walk(node)
    ):
        return None
    if any(isinstance(one, ast.Constant) and not isinstance(one.value, int | float) for one in ast.walk(node)):
        return None
    try:
        found = eval(compile(ast.fix_missing_locations(ast.Expression(node)), "", "eval"), {"__builtins__": {}})  # noqa: S307 -- constants
    except ArithmeticError:
        return None
    return (found,) if isinstance(found, int | float) and math.isfinite(found) else None


class _Fold(ast.NodeTransformer):
    def __init__(self, whole: Set[str]) -> None:
        self.whole = whole

    def visit(self, node: ast.AST) -> ast.AST:
        if isinstance(node, FOLDED) and (found := _constant(node)) is not None:
            return ast.copy_location(_node(found[0]), node)
        inner: ast.AST = super().visit(node)
        return inner

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        """`i + -1` is `i - 1`, `i + 0` is `i`."""
        self.generic_visit(node)
        match node:
            case ast.BinOp(
                left=ast.Name(id=name), op=ast.Add() | ast.Sub(), right=ast.Constant(value=int() as number)
            ) if name in self.whole and not number and not isinstance(number, bool):
                return node.left
            case ast.BinOp(op=ast.Add(), right=ast.UnaryOp(op=ast.USub(), operand=ast.Constant() as number)):
                return ast.copy_location(ast.BinOp(node.left, ast.Sub(), number), node)
            case ast.BinOp(op=ast.Sub(), right=ast.UnaryOp(op=ast.USub(), operand=ast.Constant() as number)):
                return ast.copy_location(ast.BinOp(node.left, ast.Add(), number), node)
        return node

    def visit_BoolOp(self, node: ast.BoolOp) -> ast.AST:
        """Drop truth values that decide nothing, and what stands behind one that does."""
        self.generic_visit(node)
        decides = isinstance(node.op, ast.Or)
        if not all(map(_is_test, node.values)):
            return node
        left = [one for one in node.values if not isinstance(one, ast.Constant) or one.value is decides]
        if any(isinstance(one, ast.Constant) for one in left):
            return ast.Constant(decides)
        if not left:
            return ast.Constant(not decides)
        return left[0] if len(left) == 1 else ast.BoolOp(node.op, left)

    def visit_IfExp(self, node: ast.IfExp) -> ast.AST:
        self.generic_visit(node)
        if isinstance(node.test, ast.Constant) and isinstance(node.test.value, bool):
            return node.body if node.test.value else node.orelse
        return node


def _is_test(node: ast.expr) -> bool:
    """Whether an expression is a truth value: any other, `and` and `or` would hand on as it is."""
    if isinstance(node, ast.Constant):
        return isinstance(node.value, bool)
    return isinstance(node, ast.Compare | ast.BoolOp) or (
        isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not)
    )

"""What a name that goes from turn to turn becomes: a running sum, product or extreme, the last value that was set."""

import ast
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from vecml.optimize.syntax import names_in
from vecml.optimize.turns import conjunction, inverse
from vecml.optimize.values import NotRecognisedError

Kind = Literal["sum", "prod", "max", "min", "all", "last", "linear", "reset", "value"]
ONE, ZERO = ast.Constant(1), ast.Constant(0)
SKIPPING = {"max": "max", "min": "min"}
KEEPING = {"maximum": "max", "minimum": "min"}


@dataclass
class Recurrence:
    """How a value follows from that of the turn before.

    Attributes:
        kind: `sum`: s + node; `prod`: s * node; `max`, `min`; `all`: s and node; `last`: node where `test` holds, else
            s; `linear`: factor * s + node; `reset`: `factor` where `test` holds, else s + node; `value`: node.
        node: see above.
        test: a condition, or None: always.
        factor: see above.
        keeps_nan: whether an extreme hands on every NaN, as `np.maximum`, and does not pass over it, as `>`.
    """

    kind: Kind
    node: ast.expr
    test: ast.expr | None = None
    factor: ast.expr | None = None
    keeps_nan: bool = False


def recognise(node: ast.expr, name: str, invariant: Callable[[ast.expr], bool]) -> Recurrence | None:
    """Return the recurrence of `name = node` in each turn; None where it is none of them.

    Args:
        node: the value at a turn's end, by `name`, the value at its start.
        name: see above.
        invariant: whether an expression is the same in every turn.

    Raises:
        NotRecognisedError: it is certainly another one; the text says which.
    """
    if name not in names_in(node):
        return Recurrence("value", node)
    for rule in (_every, _extreme, _last, _linear, _reset):
        if (found := rule(node, name, invariant)) is not None:
            return found
    return None


def _is(node: ast.expr, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name


def _every(node: ast.expr, name: str, _invariant: Callable[[ast.expr], bool]) -> Recurrence | None:
    if isinstance(node, ast.BoolOp) and isinstance(node.op, ast.And) and _is(node.values[0], name):
        rest = conjunction(*node.values[1:])
        if rest is not None and name not in names_in(rest):
            return Recurrence("all", rest)
    return None


def _extreme(node: ast.expr, name: str, _invariant: Callable[[ast.expr], bool]) -> Recurrence | None:
    match node:
        case ast.Call(func=function, args=[one, other], keywords=[]):
            called = ast.unparse(function).rpartition(".")[2]
            if called in KEEPING and name not in names_in(other if _is(one, name) else one):
                value = other if _is(one, name) else one
                if _is(one, name) or _is(other, name):
                    return Recurrence(_which(called), value, keeps_nan=True)
            if isinstance(function, ast.Name) and called in SKIPPING:
                if _is(one, name) and name not in names_in(other):
                    return Recurrence(_which(called), other)
                if _is(other, name) and name not in names_in(one):
                    raise NotRecognisedError(
                        f"{name} begins again after a NaN in {called}(..., {name}); {called}({name}, ...) does not"
                    )
        case ast.IfExp(test=test, body=body, orelse=orelse) if _is(orelse, name):
            inner = body
            conditions = test.values if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.And) else [test]
            free = [part for part in conditions if name not in names_in(part)]
            bound = [part for part in conditions if name in names_in(part)]
            if len(bound) == 1 and name not in names_in(inner) and (which := _compared(bound[0], inner, name)):
                return Recurrence(which, inner, conjunction(*free))
            if not bound and (found := _extreme(body, name, _invariant)) is not None:
                found.test = conjunction(test, found.test)
                return found
    return None


def _which(called: str) -> Kind:
    return "max" if called.startswith("max") else "min"


def _compared(test: ast.expr, value: ast.expr, name: str) -> Kind | None:
    """Return which extreme `if test: name = value` gathers."""
    match test:
        case ast.Compare(left=left, ops=[op], comparators=[right]):
            text = ast.unparse(value)
            if ast.unparse(left) == text and _is(right, name):
                return (
                    "max" if isinstance(op, ast.Gt | ast.GtE) else "min" if isinstance(op, ast.Lt | ast.LtE) else None
                )
            if _is(left, name) and ast.unparse(right) == text:
                return (
                    "max" if isinstance(op, ast.Lt | ast.LtE) else "min" if isinstance(op, ast.Gt | ast.GtE) else None
                )
    return None


def _last(node: ast.expr, name: str, _invariant: Callable[[ast.expr], bool]) -> Recurrence | None:
    """Read `node if test else name`, choices in it or in place of `name` included."""
    found = _set_where(node, name)
    if found is None:
        return None
    test, value = found
    if value is None or name in names_in(value) or (test is not None and name in names_in(test)):
        return None
    return Recurrence("last", value, test)


def _set_where(node: ast.expr, name: str) -> tuple[ast.expr | None, ast.expr | None] | None:
    """Return where the name is set (None: everywhere) and to what (None: nowhere set)."""
    if _is(node, name):
        return None, None
    if name not in names_in(node):
        return None, node
    if not isinstance(node, ast.IfExp) or name in names_in(node.test):
        return None
    one, other = _set_where(node.body, name), _set_where(node.orelse, name)
    if one is None or other is None:
        return None
    if one[1] is None:
        return conjunction(inverse(node.test), other[0]), other[1]
    if other[1] is None:
        return conjunction(node.test, one[0]), one[1]
    sides = [conjunction(node.test, one[0]) or ONE, conjunction(inverse(node.test), other[0]) or ONE]
    return ast.BoolOp(ast.Or(), sides), ast.IfExp(node.test, one[1], other[1])


def _linear(node: ast.expr, name: str, invariant: Callable[[ast.expr], bool]) -> Recurrence | None:
    found = linear_in(node, name)
    if found is None:
        return None
    factor, rest = found
    if _one(factor):
        return Recurrence("sum", rest or ZERO)
    if rest is None:
        return Recurrence("prod", factor)
    if invariant(factor):
        return Recurrence("linear", rest, factor=factor)
    return None


def _reset(node: ast.expr, name: str, invariant: Callable[[ast.expr], bool]) -> Recurrence | None:
    """Read `first if test else name + number`: a count that begins again. Sums of other than whole numbers cancel."""
    if not isinstance(node, ast.IfExp) or name in names_in(node.test):
        return None
    for test, one, other in ((node.test, node.body, node.orelse), (inverse(node.test), node.orelse, node.body)):
        found = None if name in names_in(one) or not invariant(one) else linear_in(other, name)
        if found is not None and _one(found[0]) and found[1] is not None and _whole(found[1]) and _whole(one):
            return Recurrence("reset", found[1], test, one)
    return None


def _whole(node: ast.expr) -> bool:
    """Whether it is certainly a whole number or a boolean."""
    match node:
        case ast.Constant(value=int()) | ast.Compare():
            return True
        case ast.IfExp(body=body, orelse=orelse):
            return _whole(body) and _whole(orelse)
        case ast.BinOp(op=ast.Add() | ast.Sub() | ast.Mult(), left=left, right=right):
            return _whole(left) and _whole(right)
    return False


def _one(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value == 1


def linear_in(node: ast.expr, name: str) -> tuple[ast.expr, ast.expr | None] | None:
    """Return the factor of the name and the rest (None: 0), if the expression is `factor * name + rest`."""
    if _is(node, name):
        return ONE, None
    match node:
        case ast.UnaryOp(op=ast.USub(), operand=operand) if found := linear_in(operand, name):
            return _minus(found[0]), None if found[1] is None else _minus(found[1])
        case ast.BinOp(left=left, op=op, right=right):
            inside = name in names_in(left), name in names_in(right)
            if inside == (True, False) and (found := linear_in(left, name)) is not None:
                return _with_right(found, op, right)
            if inside == (False, True) and (found := linear_in(right, name)) is not None:
                return _with_left(left, op, found)
        case ast.IfExp(test=test, body=body, orelse=orelse) if name not in names_in(test):
            one, other = linear_in(body, name), linear_in(orelse, name)
            if one is None or other is None:
                return None
            if _one(one[0]) and _one(other[0]):
                return ONE, ast.IfExp(test, one[1] or ZERO, other[1] or ZERO)
            if one[1] is None and other[1] is None:
                return ast.IfExp(test, one[0], other[0]), None
    return None


def _with_right(
    found: tuple[ast.expr, ast.expr | None], op: ast.operator, right: ast.expr
) -> tuple[ast.expr, ast.expr | None] | None:
    factor, rest = found
    match op:
        case ast.Add():
            return factor, right if rest is None else ast.BinOp(rest, op, right)
        case ast.Sub():
            return factor, _minus(right) if rest is None else ast.BinOp(rest, op, right)
        case ast.Mult() | ast.Div():
            scaled = right if _one(factor) and isinstance(op, ast.Mult) else ast.BinOp(factor, op, right)
            return scaled, None if rest is None else ast.BinOp(rest, op, right)
    return None


def _with_left(
    left: ast.expr, op: ast.operator, found: tuple[ast.expr, ast.expr | None]
) -> tuple[ast.expr, ast.expr | None] | None:
    factor, rest = found
    match op:
        case ast.Add():
            return factor, left if rest is None else ast.BinOp(left, op, rest)
        case ast.Sub():
            return _minus(factor), left if rest is None else ast.BinOp(left, op, rest)
        case ast.Mult():
            scaled = left if _one(factor) else ast.BinOp(left, op, factor)
            return scaled, None if rest is None else ast.BinOp(left, op, rest)
    return None


def _minus(node: ast.expr) -> ast.expr:
    return ast.UnaryOp(ast.USub(), node)

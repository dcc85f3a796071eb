"""Sums, products and extremes that a loop gathers in a name: `s += x[i]`, `best = max(best, x[i])`."""

import ast

from vecml.optimize.expressions import vectorise
from vecml.optimize.nest import SUMS, Nest, masked_or, sum_axes
from vecml.optimize.syntax import names_in
from vecml.optimize.values import NotRecognisedError, Value, align, value_like

EXTREMES = {"max": ("np.max", "np.fmax"), "min": ("np.min", "np.fmin")}


def rewrite_guarded_extreme(nest: Nest, statement: ast.If, mask: Value | None) -> bool:
    """Rewrite `if value > best: best = value`; return False and do nothing if the statement has another form."""
    match statement:
        case ast.If(
            test=ast.Compare(left=left, ops=[ast.Gt() | ast.Lt() as op], comparators=[ast.Name(id=name)]),
            body=[ast.Assign(targets=[ast.Name(id=stored)], value=value)],
            orelse=[],
        ) if name == stored and name in nest.scope.carried and ast.unparse(left) == ast.unparse(value):
            _extreme(nest, name, "max" if isinstance(op, ast.Gt) else "min", value, mask)
            return True
    return False


def rewrite_gathering(nest: Nest, name: str, node: ast.expr, mask: Value | None) -> bool:
    """Rewrite `name = name + value` or `name = max(name, value)`.

    Args:
        nest: the loops, and the lines written so far.
        name: the name that the statement sets.
        node: the right side of the statement.
        mask: the condition under which the statement runs; None: in every turn.

    Returns:
        Whether the right side has such a form; if not, nothing is done.
    """
    match node:
        case ast.BinOp(left=ast.Name(id=left), op=op, right=right) if left == name and type(op) in SUMS:
            accumulate(nest, name, op, right, mask)
            return True
        case ast.Call(func=ast.Name(id=function), args=[ast.Name(id=one), other], keywords=[]) if (
            function in EXTREMES and one == name
        ):
            _extreme(nest, name, function, other, mask)
            return True
        case ast.Call(func=ast.Name(id=function), args=[_, ast.Name(id=other)], keywords=[]) if (
            function in EXTREMES and other == name
        ):
            raise NotRecognisedError(
                f"{name} begins again after a NaN in {function}(..., {name}); {function}({name}, ...) does not"
            )
    return False


def accumulate(nest: Nest, name: str, op: ast.operator, node: ast.expr, mask: Value | None) -> None:
    """Rewrite `name op= node`, a sum or a product, in `nest`; it runs where `mask` is true, or with None always.

    Raises NotRecognisedError with the reason if it cannot be rewritten.
    """
    if type(op) not in SUMS:
        raise NotRecognisedError(f"{name} is carried from one turn of the loop to the next")
    function, sign = SUMS[type(op)]
    value = masked_or(mask, vectorise(node, nest.scope), 1 if function == "np.prod" else 0)
    outer, total = _over_inner(nest, name, value, function)
    nest.gather(name, function, outer.depth if outer else 0)
    nest.reduced = True
    start = nest.initial.get(name)
    if outer and start in ("0", "0.0") and sign == "+":
        code = total.code
        _drop(nest, f"{name} = {start}", name)
    else:
        codes, layout = align([outer or Value(name, rank=nest.scope.ranks.get(name, 0)), total])
        code, total = f"{codes[0]} {sign} {codes[1]}", layout
    _finish(nest, name, value_like(total, code), outer)


def _extreme(nest: Nest, name: str, which: str, node: ast.expr, mask: Value | None) -> None:
    value = vectorise(node, nest.scope)
    if mask is not None:
        raise NotRecognisedError(f"{name} is a {which} of some turns only")
    initial = nest.initial.get(name, name)
    # A comparison with NaN is false, so a NaN is passed over, but one that it begins with stays.
    function, pairwise = EXTREMES[which]
    outer, total = _over_inner(nest, name, value_like(value, f"{pairwise}({value.code}, {initial})"), function, initial)
    nest.gather(name, function, outer.depth if outer else 0)
    if outer is not None and name not in nest.initial:
        raise NotRecognisedError(f"{name} begins with another value in every turn")
    nest.reduced = True
    if outer is not None:
        _drop(nest, f"{name} = {initial}", name)
    _finish(nest, name, total, outer)


def _drop(nest: Nest, line: str, name: str) -> None:
    """Remove `line`, which sets the first value of `name`, from `nest.lines`, unless a later one reads the name."""
    at = len(nest.lines) - 1 - nest.lines[::-1].index(line)
    if not any(name in names_in(ast.parse(later)) for later in nest.lines[at + 1 :]):
        del nest.lines[at]


def _over_inner(
    nest: Nest, name: str, value: Value, function: str, initial: str | None = None
) -> tuple[Value | None, Value]:
    """Return the value that an outer loop gave the name (or None), and `value` reduced over the loops inside that."""
    outer = nest.scope.values.get(name) if name in nest.scope.carried else None
    depth = outer.depth if outer else 0
    inner = [loop for loop in nest.scope.loops.values() if loop.depth > depth]
    axis = sum_axes(name, value, inner)
    rest = value.deps - {loop.name for loop in inner}
    code = value.at(nest.scope.depth)
    first = "" if initial is None else f", initial={initial}"
    if not rest and not value.rank:
        return outer, Value(f"{function}({code}{first})", frozenset(), depth)
    return outer, Value(f"{function}({code}, axis={axis}{first})", rest, depth, value.rank)


def _finish(nest: Nest, name: str, value: Value, outer: Value | None) -> None:
    nest.lines.append(f"{name} = {value.code}")
    nest.initial.pop(name, None)
    if outer is not None:
        nest.scope.values[name] = Value(name, value.deps | outer.deps, outer.depth, value.rank)

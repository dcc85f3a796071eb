"""A Python expression inside a loop as a NumPy expression over the whole loop."""

import ast
import contextlib
import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from vecml.optimize.linear import Sizes
from vecml.optimize.ranks import rank_of
from vecml.optimize.syntax import elements, shorten, shown_index, sign
from vecml.optimize.turns import substitute
from vecml.optimize.values import NotRecognisedError, Scope, Value, align, value_like

RENAMED = {"fabs": "abs", "asin": "arcsin", "acos": "arccos", "atan": "arctan", "atan2": "arctan2", "pow": "power"}
WHOLE = {"floor", "ceil"}  # of math: they give an int, NumPy's a float
REDUCED = {"sum", "mean", "prod", "min", "max", "any", "all", "argmin", "argmax", "var", "std"}
PAIRS = {"min": "<", "max": ">"}
TRUTHS = {"isnan", "isinf", "isfinite", "any", "all"}


def vectorise(node: ast.expr, scope: Scope) -> Value:
    """Rewrite `node` as an expression of its values in all turns; raises NotRecognisedError with the reason."""
    if not _depends(node, scope):
        return Value(_same_code(node, scope), rank=_known_rank(node, scope))
    match node:
        case ast.Name():
            return _name(node.id, scope)
        case ast.BinOp():
            left, right = vectorise(node.left, scope), vectorise(node.right, scope)
            codes, layout = align([left, right])
            if isinstance(node.op, ast.MatMult):
                raise NotRecognisedError("it has a matrix product in each turn")
            return _moved(node, left, right, value_like(layout, codes[0] + sign(node.op) + codes[1]))
        case ast.UnaryOp(op=ast.Not()):
            return negate(truth(node.operand, scope))
        case ast.UnaryOp():
            value = vectorise(node.operand, scope)
            symbol = {ast.USub: "-", ast.UAdd: "+", ast.Invert: "~"}[type(node.op)]
            return value_like(value, f"{symbol}({value.code})")
        case ast.BoolOp():
            first = _boolean_operand(node.values[0], scope)
            with guarded(scope):
                rest = [_boolean_operand(part, scope) for part in node.values[1:]]
            codes, layout = align([first, *rest])
            return value_like(layout, (" & " if isinstance(node.op, ast.And) else " | ").join(codes))
        case ast.Compare():
            return _compare(node, scope)
        case ast.IfExp():
            return _choice(node, scope)
        case ast.Subscript():
            return _load(node, scope)
        case ast.Call():
            return _call(node, scope)
    raise NotRecognisedError(f"{shorten(node)} has no form over whole arrays here")


def truth(node: ast.expr, scope: Scope) -> Value:
    """Vectorise a condition: a boolean in each turn, also where Python would test a number for being 0."""
    value = vectorise(node, scope)
    if value.rank:
        raise NotRecognisedError(f"{shorten(node)} is an array in each turn, and no condition")
    if not value.deps:
        return value_like(value, f"bool({value.code})")
    if _is_boolean(node, scope):
        return value
    return value_like(value, f"({value.code}) != 0")


def _is_boolean(node: ast.expr, scope: Scope) -> bool:
    match node:
        case ast.Compare() | ast.BoolOp() | ast.UnaryOp(op=ast.Not()):
            return True
        case ast.Name(id=name):
            return name in scope.conditions
        case ast.Call(func=ast.Attribute(attr=name)):
            return name in TRUTHS
    return False


@contextlib.contextmanager
def guarded(scope: Scope, *, when: bool = True) -> Iterator[None]:
    """Let what is vectorised inside count as needed in some turns only."""
    before, scope.guarded = scope.guarded, scope.guarded or when
    try:
        yield
    finally:
        scope.guarded = before


def _choice(node: ast.IfExp, scope: Scope) -> Value:
    """Vectorise a choice, and those in its `else`, by `np.where`, or by `np.select` where there are more than two."""
    tests, values, last = [], [], node
    with guarded(scope):
        while True:
            tests.append(truth(last.test, scope))
            values.append(vectorise(last.body, scope))
            if not isinstance(last.orelse, ast.IfExp):
                break
            last = last.orelse
        values.append(vectorise(last.orelse, scope))
    if len(tests) > 2 and all(test.deps for test in tests) and not any(value.rank for value in values):
        codes, layout = align([*tests, *values])
        cut = len(tests)
        return value_like(layout, f"np.select([{', '.join(codes[:cut])}], [{', '.join(codes[cut:-1])}], {codes[-1]})")
    found = values[-1]
    for test, value in zip(reversed(tests), reversed(values[:-1]), strict=True):
        codes, layout = align([test, value, found])
        found = value_like(layout, f"np.where({', '.join(codes)})")
    return found


def _moved(node: ast.BinOp, left: Value, right: Value, value: Value) -> Value:
    """Keep that a value is a loop's variable plus a whole number."""
    match node:
        case ast.BinOp(op=ast.Add() | ast.Sub() as op, right=ast.Constant(value=int() as number)) if left.loop:
            offset = left.offset + (number if isinstance(op, ast.Add) else -number)
            return replace(value, loop=left.loop, offset=offset)
        case ast.BinOp(op=ast.Add(), left=ast.Constant(value=int() as number)) if right.loop:
            return replace(value, loop=right.loop, offset=right.offset + number)
    return value


def negate(test: Value) -> Value:
    """Negate a condition; one that is the same in every turn is a Python bool and needs `not`, since ~True is -2."""
    return value_like(test, f"~({test.code})" if test.deps else f"not ({test.code})")


def index_values(node: ast.expr, scope: Scope) -> list[Value]:
    """Vectorise each part of an index but for `:` at its end; a part must be a single number in each turn."""
    parts = elements(node)
    while parts and isinstance(parts[-1], ast.Slice) and ast.unparse(parts[-1]) == ":":
        parts.pop()
    if any(isinstance(part, ast.Slice | ast.Starred) for part in parts):
        raise NotRecognisedError(f"the slice [{shown_index(node)}] moves with the loop")
    values = [vectorise(part, scope) for part in parts]
    if any(value.rank for value in values):
        raise NotRecognisedError(f"the index [{shown_index(node)}] is an array in each turn")
    return values


def subscript(base: str, values: list[Value], scope: Scope) -> Value:
    """Index `base`: with slices if the indices are loop variables from outer to inner loops, else with arrays."""
    if scope.guarded:
        values = [_within(base, axis, value, scope) for axis, value in enumerate(values)]
    moved = [value for value in values if value.deps]
    deps = frozenset().union(*(value.deps for value in values))
    if all(value.loop is not None for value in moved):
        depths = [scope.loops[value.loop].depth for value in moved if value.loop]
        reached = all(scope.loops[value.loop].reaches(value.offset) for value in moved if value.loop)
        if depths == sorted(set(depths)) and reached:
            return Value(f"{base}[{_slices(base, values, scope)}]", deps, max(depths, default=0))
    depth = max((value.depth for value in values if value.deps), default=0)
    return Value(f"{base}[{', '.join(value.at(depth) for value in values)}]", deps, depth)


def _slices(base: str, values: list[Value], scope: Scope) -> str:
    parts: list[str] = []
    previous = None
    for axis, value in enumerate(values):
        if value.loop is None:
            parts.append(value.code)
            continue
        loop = scope.loops[value.loop]
        if previous is not None:
            parts += ["None"] * (loop.depth - previous - 1)
        length = scope.sizes.length(base, axis) if scope.sizes is not None and base.isidentifier() else None
        cut = loop.slice(value.offset, length, scope.sizes)
        whole = cut in (f":{base}.shape[{axis}]", f":len({base})" if axis == 0 else "")
        parts.append(":" if whole else cut)
        previous = loop.depth
    return ", ".join(parts)


def _within(base: str, axis: int, value: Value, scope: Scope) -> Value:
    """Keep an index inside the array in turns that do not need it; indices below 0 count from the end as they did."""
    loop = None if value.loop is None else scope.loops[value.loop]
    if not value.deps or (
        loop is not None and (value.offset in (-1, 0) or (value.offset < 0 and loop.reaches(value.offset)))
    ):
        return value
    if value.loop is not None and value.offset > 0 and scope.sizes is not None and base.isidentifier():
        end = scope.sizes.linear(ast.parse(scope.loops[value.loop].stop, mode="eval").body)
        apart = (end - scope.sizes.length(base, axis)).number
        if apart is not None and apart + value.offset <= 0:
            return value
    return value_like(value, f"({value.code}) % {base}.shape[{axis}]")


def _depends(node: ast.expr, scope: Scope) -> bool:
    changing = {name for name, value in scope.values.items() if value.deps} | set(scope.loops)
    for part in ast.walk(node):
        if isinstance(part, ast.Name) and part.id in changing:
            return True
        if isinstance(part, ast.Call) and not _is_pure(part):
            raise NotRecognisedError(f"what {ast.unparse(part.func)}() does in each turn is not known")
        if isinstance(part, ast.NamedExpr | ast.Await | ast.Yield | ast.YieldFrom):
            raise NotRecognisedError(f"{shorten(part)} has an effect in each turn")
    return False


def _is_pure(node: ast.Call) -> bool:
    module, name = _called(node)
    if _method(node) is not None:
        return True
    if module in ("np", "numpy"):
        return hasattr(np, name.rpartition(".")[2]) and "random" not in name
    if module == "math":
        return hasattr(math, name)
    return module is None and name in ("len", "int", "float", "bool", "abs", "min", "max", "sum", "range", "complex")


def _method(node: ast.Call) -> str | None:
    """Return the name of an array's method that takes no arguments and gives a number: `row.max()`."""
    match node:
        case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr=attr), args=[], keywords=[]) if (
            name not in ("np", "numpy", "math") and attr in REDUCED
        ):
            return attr
        case ast.Call(func=ast.Attribute(value=ast.Subscript() | ast.BinOp(), attr=attr), args=[], keywords=[]):
            return attr if attr in REDUCED else None
    return None


def _called(node: ast.Call) -> tuple[str | None, str]:
    """Split the called function into module and name: (`np`, `linalg.norm`), (None, `len`)."""
    text = ast.unparse(node.func)
    module, dot, name = text.partition(".")
    return (module, name) if dot else (None, text)


def _same_code(node: ast.expr, scope: Scope) -> str:
    """The code of what is the same in every turn; a name may stand for other code."""
    codes = {name: value.code for name, value in scope.values.items() if not value.deps and value.code != name}
    if not codes.keys() & {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}:
        return ast.unparse(node)
    return ast.unparse(substitute(node, {name: ast.parse(code, mode="eval").body for name, code in codes.items()}))


def _known_rank(node: ast.expr, scope: Scope) -> int:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return 0
    ranks = {**scope.ranks, **{name: value.rank for name, value in scope.values.items()}}
    rank = rank_of(node, ranks)
    if rank is None:
        raise NotRecognisedError(f"how many axes {shorten(node)} has is not known")
    return rank


def _name(name: str, scope: Scope) -> Value:
    return scope.values[name]


def _boolean_operand(node: ast.expr, scope: Scope) -> Value:
    """Vectorise an operand of `and` or `or`; refuse one that may be no boolean, as `a or 1` returns `a` itself."""
    inner = node.operand if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not) else node
    if not _is_boolean(inner, scope):
        raise NotRecognisedError(f"{shorten(node)} is not a comparison")
    return vectorise(node, scope)


def _compare(node: ast.Compare, scope: Scope) -> Value:
    match node:
        case ast.Compare(ops=[ast.In() | ast.NotIn() as op], comparators=[among]) if _among(among, scope):
            value = vectorise(node.left, scope)
            if value.rank:
                raise NotRecognisedError(f"{shorten(node.left)} is an array in each turn, and no condition")
            sign_of = "~" if isinstance(op, ast.NotIn) else ""
            return value_like(value, f"{sign_of}np.isin({value.code}, {ast.unparse(among)})")
    if any(isinstance(op, ast.In | ast.NotIn | ast.Is | ast.IsNot) for op in node.ops):
        raise NotRecognisedError(f"{shorten(node)} has no form over whole arrays here")
    codes, layout = align([vectorise(part, scope) for part in (node.left, *node.comparators)])
    pairs = [f"({left}{sign(op)}{right})" for left, op, right in zip(codes, node.ops, codes[1:], strict=False)]
    return value_like(layout, " & ".join(pairs))


def _among(node: ast.expr, scope: Scope) -> bool:
    """Whether `x in node` asks for one of a few whole numbers that are written out, or of an array's elements."""
    if isinstance(node, ast.Tuple | ast.List):
        return bool(node.elts) and all(isinstance(one, ast.Constant) and type(one.value) is int for one in node.elts)
    return isinstance(node, ast.Name) and not _depends(node, scope) and scope.ranks.get(node.id) == 1


def _load(node: ast.Subscript, scope: Scope) -> Value:
    if not isinstance(node.value, ast.Name):
        return _nested(node, scope)
    name = node.value.id
    if name in scope.dicts and scope.before is not None:
        return _looked_up(name, vectorise(node.slice, scope), scope)
    if name in scope.values and scope.values[name].deps:
        return _nested(node, scope)
    rank = scope.values[name].rank if name in scope.values else scope.ranks.get(name)
    if rank is None:
        raise NotRecognisedError(f"how many axes {name} has is not known")
    if isinstance(node.slice, ast.Slice):
        return _window(name, node.slice, rank, scope)
    if isinstance(node.slice, ast.Tuple) and rank == 2 and ast.unparse(node.slice.elts[0]) == ":":
        values, base = index_values(node.slice.elts[1], scope), f"{name}.T"
    else:
        values, base = index_values(node.slice, scope), name
    if len(values) > rank:
        raise NotRecognisedError(f"{shorten(node)} has more indices than {name} has axes")
    found = subscript(base, values, scope)
    code = base if found.code == f"{base}[:]" else found.code
    return value_like(found, code, rank - len(values))


def _nested(node: ast.Subscript, scope: Scope) -> Value:
    """Vectorise an index of a value that has another one: `x[i][j]`, or `row[0]` where each turn has another row."""
    if isinstance(node.value, ast.Subscript) and not isinstance(node.slice, ast.Slice):
        outer, inner = node.value.slice, node.slice
        parts = [*elements(outer), *elements(inner)]
        if not any(isinstance(part, ast.Slice) for part in parts):
            return _load(ast.Subscript(node.value.value, ast.Tuple(parts, ast.Load()), node.ctx), scope)
    base = vectorise(node.value, scope)
    values = index_values(node.slice, scope)
    if len(values) == 1 and (found := _each_of(base, values[0], scope)) is not None:
        return found
    if any(value.deps for value in values) or len(values) > base.rank:
        raise NotRecognisedError(f"{shorten(node)} takes from an array that changes with the loop")
    rest = ", :" * (base.rank - len(values))
    return value_like(
        base, f"({base.code})[..., {', '.join(value.code for value in values)}{rest}]", base.rank - len(values)
    )


def _each_of(base: Value, index: Value, scope: Scope) -> Value | None:
    """The elements of a row that has another value in every turn, where the innermost loop goes through all of it."""
    if index.loop is None or index.offset or not base.rank:
        return None
    loop = scope.loops[index.loop]
    if (loop.start, loop.step, loop.stop) != ("0", "1", _of_row("len", base).code) or base.depth >= loop.depth:
        return None
    return Value(base.at(loop.depth - 1), base.deps | {loop.name}, loop.depth, base.rank - 1)


def _window(name: str, cut: ast.Slice, rank: int, scope: Scope) -> Value:
    """Vectorise `x[i:i + width]` with NumPy's sliding windows; a slice of any other form is refused."""
    sizes = scope.sizes or Sizes.nothing()
    lower, upper = cut.lower, cut.upper
    refused = NotRecognisedError(f"the slice {name}[{ast.unparse(cut)}] has another length in every turn")
    if cut.step is not None or rank != 1 or lower is None or upper is None:
        raise refused
    width = sizes.apart(upper, lower)
    if _depends(ast.parse(width.code, mode="eval").body, scope):
        raise refused
    if scope.before is None:
        raise refused
    # Where nothing says otherwise, a width may be below 1, or more than there is.
    least = [] if width.number is not None and width.number > 0 else [f"{width.code} > 0"]
    scope.needs += [*least, f"len({name}) >= {width.code}"]
    windows = f"np.lib.stride_tricks.sliding_window_view({name}, {width.code})"
    found = subscript(windows, [vectorise(lower, scope)], scope)
    return value_like(found, found.code, 1)


def _looked_up(name: str, key: Value, scope: Scope) -> Value:
    """Vectorise `name[key]` of a dictionary: each key once, and then by its number."""
    if key.rank or not key.deps or scope.before is None:
        raise NotRecognisedError(f"what {name} has for its keys is not known")
    number = sum("return_inverse" in line for line in scope.before)
    keys, at = (f"{name}_{what}{number + 1 if number else ''}" for what in ("keys", "at"))
    scope.before.append(f"{keys}, {at} = np.unique({key.code}, return_inverse=True)")
    return value_like(key, f"np.array([{name}[key] for key in {keys}.tolist()])[{at}]")


def _call(node: ast.Call, scope: Scope) -> Value:
    if (method := _method(node)) is not None and isinstance(node.func, ast.Attribute):
        value = vectorise(node.func.value, scope)
        if scope.guarded and method in ("min", "max", "argmin", "argmax"):  # of nothing, in turns that do not need it
            if not value.code.isidentifier() or scope.before is None or value.code not in scope.ranks:
                raise NotRecognisedError(f"{shorten(node)} may be of an empty row")
            scope.needs.append(f"{value.code}.shape[-1] > 0")
        return _reduced(f"np.{method}", value, node)
    module, name = _called(node)
    if node.keywords or not node.args or not _is_pure(node) or any(isinstance(one, ast.Starred) for one in node.args):
        raise NotRecognisedError(f"what {ast.unparse(node.func)}() does in each turn is not known")
    values = [vectorise(part, scope) for part in node.args]
    own = name.rpartition(".")[2]
    if own in PAIRS and module is None and len(values) == 2:
        (one, other), layout = align(values)  # np.maximum would hand on every NaN: Python compares, in this order
        return value_like(layout, f"np.where({other} {PAIRS[own]} {one}, {other}, {one})")
    if module is None and own in ("len", *PAIRS) and len(values) == 1 and values[0].rank:
        return _of_row(own, values[0])
    if own in REDUCED and len(values) == 1 and module != "math":
        return _reduced(f"np.{own}", values[0], node)
    if name == "linalg.norm" and len(values) == 1 and values[0].rank == 1:
        return _reduced("np.linalg.norm", values[0], node)
    if own == "dot" and len(values) == 2 and [value.rank for value in values] == [1, 1]:
        codes, layout = align(values)
        return _reduced("np.sum", value_like(layout, " * ".join(codes)), node)
    if module is None and own in ("int", "float", "bool") and len(values) == 1 and not values[0].rank:
        dtype = {"int": "np.int64", "float": "np.float64", "bool": "np.bool_"}[own]
        return value_like(values[0], f"np.asarray({values[0].code}).astype({dtype})")
    if own in ("clip", "where") and module != "math" and len(values) == 3:
        codes, layout = align(values)
        return value_like(layout, f"np.{own}({', '.join(codes)})")
    ufunc = RENAMED.get(own, own)
    found: Any = getattr(np, ufunc, None)
    if isinstance(found, np.ufunc) and (found.signature, found.nin, found.nout) == (None, len(values), 1):
        codes, layout = align(values)
        code = f"np.{ufunc}({', '.join(codes)})"
        return value_like(layout, f"{code}.astype(np.int64)" if module == "math" and own in WHOLE else code)
    raise NotRecognisedError(f"{ast.unparse(node.func)}() has no form over whole arrays here")


def _of_row(own: str, value: Value) -> Value:
    """Python's `len`, `max` or `min` of a row; an extreme begins with the first and passes over every NaN behind it."""
    if own == "len":
        return Value(f"({value.code}).shape[{-value.rank}]")
    if value.rank > 1:
        raise NotRecognisedError(f"{own}() of a table in each turn compares its rows")
    code = f"np.f{own}.reduce({value.code}, axis=-1)"
    return value_like(value, f"np.{own}imum({code}, ({value.code})[..., 0])", 0)


def _reduced(function: str, value: Value, node: ast.Call) -> Value:
    """Apply a reduction such as `np.sum` to the axes that the value has in one turn, not to those of the loops."""
    if not value.rank:
        raise NotRecognisedError(f"{shorten(node)} is taken of a single number")
    axis = "-1" if value.rank == 1 else str(tuple(range(-value.rank, 0)))
    return value_like(value, f"{function}({value.code}, axis={axis})", 0)

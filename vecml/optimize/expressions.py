"""A Python expression inside a loop as a NumPy expression over the whole loop."""

import ast
import math
from typing import Any

import numpy as np

from vecml.optimize.ranks import rank_of
from vecml.optimize.syntax import elements, shorten, shown_index, sign, size_reads
from vecml.optimize.values import NotRecognisedError, Scope, Value, align, value_like

RENAMED = {"fabs": "abs", "asin": "arcsin", "acos": "arccos", "atan": "arctan", "atan2": "arctan2", "pow": "power"}
WHOLE = {"floor", "ceil"}  # of math: they give an int, NumPy's a float
REDUCED = {"sum", "mean", "prod", "min", "max", "any", "all", "argmin", "argmax", "var", "std"}
PAIRS = {"min": "<", "max": ">"}


def vectorise(node: ast.expr, scope: Scope) -> Value:
    """Rewrite `node` as an expression of its values in all turns; raises NotRecognisedError with the reason."""
    if not _depends(node, scope):
        return Value(ast.unparse(node), rank=_known_rank(node, scope))
    match node:
        case ast.Name():
            return _name(node.id, scope)
        case ast.BinOp():
            codes, layout = align([vectorise(node.left, scope), vectorise(node.right, scope)])
            if isinstance(node.op, ast.MatMult):
                raise NotRecognisedError("it has a matrix product in each turn")
            return value_like(layout, codes[0] + sign(node.op) + codes[1])
        case ast.UnaryOp(op=ast.Not()):
            return negate(truth(node.operand, scope))
        case ast.UnaryOp():
            value = vectorise(node.operand, scope)
            symbol = {ast.USub: "-", ast.UAdd: "+", ast.Invert: "~"}[type(node.op)]
            return value_like(value, f"{symbol}({value.code})")
        case ast.BoolOp():
            codes, layout = align([_boolean_operand(part, scope) for part in node.values])
            return value_like(layout, (" & " if isinstance(node.op, ast.And) else " | ").join(codes))
        case ast.Compare():
            return _compare(node, scope)
        case ast.IfExp():
            codes, layout = align([vectorise(part, scope) for part in (node.test, node.body, node.orelse)])
            return value_like(layout, f"np.where({', '.join(codes)})")
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
    if isinstance(node, ast.Compare | ast.BoolOp) or (isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not)):
        return value
    return value_like(value, f"({value.code}) != 0")


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
    names = [value.loop for value in values if value.deps]
    deps = frozenset().union(*(value.deps for value in values))
    if all(name is not None for name in names):
        depths = [scope.loops[name].depth for name in names if name]
        if depths == sorted(set(depths)) and all(scope.loops[name].counts_up for name in names if name):
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
        whole = loop.slice in (f":{base}.shape[{axis}]", f":len({base})" if axis == 0 else "")
        parts.append(":" if whole else loop.slice)
        previous = loop.depth
    return ", ".join(parts)


def _depends(node: ast.expr, scope: Scope) -> bool:
    changing = {name for name, value in scope.values.items() if value.deps} | set(scope.loops) | scope.carried
    sized = size_reads(node)
    for part in ast.walk(node):
        if isinstance(part, ast.Name) and (part.id in changing or (part.id in scope.stored and id(part) not in sized)):
            return True
        if isinstance(part, ast.Call) and not _is_pure(part):
            raise NotRecognisedError(f"what {ast.unparse(part.func)}() does in each turn is not known")
        if isinstance(part, ast.NamedExpr | ast.Await | ast.Yield | ast.YieldFrom):
            raise NotRecognisedError(f"{shorten(part)} has an effect in each turn")
    return False


def _is_pure(node: ast.Call) -> bool:
    module, name = _called(node)
    if module in ("np", "numpy"):
        return hasattr(np, name.rpartition(".")[2]) and "random" not in name
    if module == "math":
        return hasattr(math, name)
    return module is None and name in ("len", "int", "float", "bool", "abs", "min", "max", "sum", "range", "complex")


def _called(node: ast.Call) -> tuple[str | None, str]:
    """Split the called function into module and name: (`np`, `linalg.norm`), (None, `len`)."""
    text = ast.unparse(node.func)
    module, dot, name = text.partition(".")
    return (module, name) if dot else (None, text)


def _known_rank(node: ast.expr, scope: Scope) -> int:
    ranks = {**scope.ranks, **{name: value.rank for name, value in scope.values.items()}}
    rank = rank_of(node, ranks)
    if rank is None:
        raise NotRecognisedError(f"how many axes {shorten(node)} has is not known")
    return rank


def _name(name: str, scope: Scope) -> Value:
    if name in scope.carried:
        raise NotRecognisedError(f"{name} is carried from one turn of the loop to the next")
    if name in scope.stored:
        raise NotRecognisedError(f"the whole of {name} is read while the loop writes it")
    return scope.values[name]


def _boolean_operand(node: ast.expr, scope: Scope) -> Value:
    """Vectorise an operand of `and` or `or`; refuse one that may be no boolean, as `a or 1` returns `a` itself."""
    inner = node.operand if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not) else node
    if not isinstance(inner, ast.Compare | ast.BoolOp):
        raise NotRecognisedError(f"{shorten(node)} is not a comparison")
    return vectorise(node, scope)


def _compare(node: ast.Compare, scope: Scope) -> Value:
    if any(isinstance(op, ast.In | ast.NotIn | ast.Is | ast.IsNot) for op in node.ops):
        raise NotRecognisedError(f"{shorten(node)} has no form over whole arrays here")
    codes, layout = align([vectorise(part, scope) for part in (node.left, *node.comparators)])
    pairs = [f"({left}{sign(op)}{right})" for left, op, right in zip(codes, node.ops, codes[1:], strict=False)]
    return value_like(layout, " & ".join(pairs))


def _load(node: ast.Subscript, scope: Scope) -> Value:
    if not isinstance(node.value, ast.Name):
        return _nested(node, scope)
    name = node.value.id
    if name in scope.values and scope.values[name].deps:
        return _nested(node, scope)
    if name in scope.carried:
        raise NotRecognisedError(f"{name} is carried from one turn of the loop to the next")
    if name in scope.stored and scope.stored[name] != shown_index(node.slice):
        raise NotRecognisedError(
            f"{name}[{shown_index(node.slice)}] may be what another turn of the loop writes"
            f" ({name}[{scope.stored[name]}]): a loop-carried dependence"
        )
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
    return value_like(found, found.code, rank - len(values))


def _nested(node: ast.Subscript, scope: Scope) -> Value:
    """Vectorise an index of a value that has another one: `x[i][j]`, or `row[0]` where each turn has another row."""
    if isinstance(node.value, ast.Subscript) and not isinstance(node.slice, ast.Slice):
        outer, inner = node.value.slice, node.slice
        parts = [*elements(outer), *elements(inner)]
        if not any(isinstance(part, ast.Slice) for part in parts):
            return _load(ast.Subscript(node.value.value, ast.Tuple(parts, ast.Load()), node.ctx), scope)
    base = vectorise(node.value, scope)
    values = index_values(node.slice, scope)
    if any(value.deps for value in values) or len(values) > base.rank:
        raise NotRecognisedError(f"{shorten(node)} takes from an array that changes with the loop")
    rest = ", :" * (base.rank - len(values))
    return value_like(
        base, f"({base.code})[..., {', '.join(value.code for value in values)}{rest}]", base.rank - len(values)
    )


def _window(name: str, cut: ast.Slice, rank: int, scope: Scope) -> Value:
    """Vectorise `x[i:i + width]` with NumPy's sliding windows; a slice of any other form is refused."""
    lower, upper = cut.lower, cut.upper
    moves = (
        cut.step is None
        and rank == 1
        and lower is not None
        and isinstance(upper, ast.BinOp)
        and isinstance(upper.op, ast.Add)
        and ast.unparse(upper.left) == ast.unparse(lower)
        and not _depends(upper.right, scope)
    )
    if not moves or lower is None or not isinstance(upper, ast.BinOp):
        raise NotRecognisedError(f"the slice {name}[{ast.unparse(cut)}] has another length in every turn")
    windows = f"np.lib.stride_tricks.sliding_window_view({name}, {ast.unparse(upper.right)})"
    found = subscript(windows, [vectorise(lower, scope)], scope)
    return value_like(found, found.code, 1)


def _call(node: ast.Call, scope: Scope) -> Value:
    module, name = _called(node)
    if node.keywords or not _is_pure(node) or any(isinstance(part, ast.Starred) for part in node.args):
        raise NotRecognisedError(f"what {ast.unparse(node.func)}() does in each turn is not known")
    values = [vectorise(part, scope) for part in node.args]
    if not values:
        raise NotRecognisedError(f"what {ast.unparse(node.func)}() does in each turn is not known")
    own = name.rpartition(".")[2]
    if own in PAIRS and module is None and len(values) == 2:
        (one, other), layout = align(values)  # np.maximum would hand on every NaN: Python compares, in this order
        return value_like(layout, f"np.where({other} {PAIRS[own]} {one}, {other}, {one})")
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
    ufunc = RENAMED.get(own, own)
    found: Any = getattr(np, ufunc, None)
    if isinstance(found, np.ufunc) and len(values) == found.nin:
        codes, layout = align(values)
        code = f"np.{ufunc}({', '.join(codes)})"
        return value_like(layout, f"{code}.astype(np.int64)" if module == "math" and own in WHOLE else code)
    raise NotRecognisedError(f"{ast.unparse(node.func)}() has no form over whole arrays here")


def _reduced(function: str, value: Value, node: ast.Call) -> Value:
    """Apply a reduction such as `np.sum` to the axes that the value has in one turn, not to those of the loops."""
    if not value.rank:
        raise NotRecognisedError(f"{shorten(node)} is taken of a single number")
    axis = "-1" if value.rank == 1 else str(tuple(range(-value.rank, 0)))
    return value_like(value, f"{function}({value.code}, axis={axis})", 0)

"""How many axes a name has where a loop begins, as far as the statements before it and the user's inputs tell."""

import ast
from collections.abc import Mapping

import numpy as np

MAKERS = {"zeros", "ones", "empty", "full"}
LIKE = {"zeros_like", "ones_like", "empty_like", "full_like", "asarray", "array", "ascontiguousarray", "sort", "copy"}
LINES = {"arange", "linspace", "flatnonzero", "ravel"}
KEEPING = {"copy", "astype"}
NUMBERS = {"len", "int", "float", "bool", "round", "complex"}


def ranks_before(body: list[ast.stmt], known: Mapping[str, int], stop: ast.stmt) -> dict[str, int]:
    """Axes of the names that are set when `stop`, a statement of `body` or of a block of it, begins.

    Names that are set in another way than by plain assignments of what is known are missing.
    """
    ranks = dict(known)
    _follow(body, ranks, stop)
    return ranks


def rank_of(node: ast.expr, ranks: Mapping[str, int]) -> int | None:
    """Axes of an expression, 0 for a number; None where it is not known."""
    match node:
        case ast.Constant():
            return None if isinstance(node.value, str | bytes) else 0
        case ast.Name():
            return ranks.get(node.id)
        case ast.BinOp():
            return _most(node.left, node.right, ranks=ranks)
        case ast.UnaryOp():
            return rank_of(node.operand, ranks)
        case ast.Compare():
            return _most(node.left, *node.comparators, ranks=ranks)
        case ast.BoolOp():
            return _most(*node.values, ranks=ranks)
        case ast.IfExp():
            return _most(node.body, node.orelse, ranks=ranks)
        case ast.Attribute():
            return _attribute(node, ranks)
        case ast.Subscript():
            return _subscript(node, ranks)
        case ast.Call():
            return _call(node, ranks)
    return None


def _follow(body: list[ast.stmt], ranks: dict[str, int], stop: ast.stmt) -> bool:
    """Whether `stop` was come to."""
    for statement in body:
        if statement is stop:
            return True
        match statement:
            case ast.Assign(targets=targets):
                for target in targets:
                    _assign(target, statement.value, ranks)
            case ast.AnnAssign(value=ast.expr() as value):
                _assign(statement.target, value, ranks)
            case ast.AugAssign(target=ast.Name(id=name)):
                _set(name, _most(statement.target, statement.value, ranks=ranks), ranks)
            case ast.If() | ast.While() | ast.For() | ast.With():
                if _follow_block(statement, ranks, stop):
                    return True
    return False


def _follow_block(statement: ast.If | ast.While | ast.For | ast.With, ranks: dict[str, int], stop: ast.stmt) -> bool:
    """Follow each part of a block; behind it a name has the axes that it has after each way through it."""
    before = dict(ranks)
    ends = []
    for part in (statement.body, getattr(statement, "orelse", [])):
        inside = dict(before)
        if isinstance(statement, ast.For) and part is statement.body:
            _enter(statement, inside)
        if _follow(part, inside, stop):
            ranks.clear()
            ranks.update(inside)
            return True
        ends.append(inside)
    names = {one.id for one in ast.walk(statement) if isinstance(one, ast.Name) and not isinstance(one.ctx, ast.Load)}
    one, other = ends[0], ends[0] if isinstance(statement, ast.With) else ends[1]
    for name in names:
        first, second = one.get(name), other.get(name)
        unset = name not in before and not isinstance(statement, ast.With)  # else it is read after one way only
        _set(
            name,
            first if first == second or (unset and second is None) else second if unset and first is None else None,
            ranks,
        )
    return False


def _enter(loop: ast.For, ranks: dict[str, int]) -> None:
    """Set what a loop's variables are in its body."""
    if isinstance(loop.target, ast.Name) and _is_range(loop.iter):
        ranks[loop.target.id] = 0
        return
    for name in (one.id for one in ast.walk(loop.target) if isinstance(one, ast.Name)):
        ranks.pop(name, None)


def _is_range(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and ast.unparse(node.func) == "range"


def _assign(target: ast.expr, value: ast.expr, ranks: dict[str, int]) -> None:
    if isinstance(target, ast.Tuple) and all(isinstance(part, ast.Name) for part in target.elts):
        whole = isinstance(value, ast.Attribute) and value.attr == "shape"
        parts = value.elts if isinstance(value, ast.Tuple) and len(value.elts) == len(target.elts) else None
        for number, part in enumerate(target.elts):
            rank = 0 if whole else rank_of(parts[number], ranks) if parts else None
            _set(ast.unparse(part), rank, ranks)
    elif isinstance(target, ast.Name):
        _set(target.id, rank_of(value, ranks), ranks)


def _set(name: str, rank: int | None, ranks: dict[str, int]) -> None:
    if rank is None:
        ranks.pop(name, None)
    else:
        ranks[name] = rank


def _most(*nodes: ast.expr, ranks: Mapping[str, int]) -> int | None:
    found = [rank_of(node, ranks) for node in nodes]
    return None if any(rank is None for rank in found) else max(rank for rank in found if rank is not None)


def _attribute(node: ast.Attribute, ranks: Mapping[str, int]) -> int | None:
    if ast.unparse(node.value) in ("np", "numpy", "math"):
        return 0  # a constant: pi, inf
    if node.attr in ("size", "ndim", "nbytes"):
        return 0
    return rank_of(node.value, ranks) if node.attr in ("T", "real", "imag") else None


def _subscript(node: ast.Subscript, ranks: Mapping[str, int]) -> int | None:
    if isinstance(node.value, ast.Attribute) and node.value.attr == "shape":
        return 0
    base = rank_of(node.value, ranks)
    parts = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
    if base is None or len(parts) > base:
        return None
    taken = 0
    for part in parts:
        if not isinstance(part, ast.Slice):
            if rank_of(part, ranks) != 0:
                return None
            taken += 1
    return base - taken


def _call(node: ast.Call, ranks: Mapping[str, int]) -> int | None:
    if not isinstance(node.func, ast.Attribute):
        numbers = isinstance(node.func, ast.Name) and node.func.id in NUMBERS
        if numbers:
            return 0
        if isinstance(node.func, ast.Name) and node.func.id in ("min", "max", "abs", "sum"):
            found = [rank_of(part, ranks) for part in node.args]
            if node.func.id in ("min", "max", "sum") and len(found) == 1:
                return 0 if found == [1] else None
            return None if None in found else max(rank for rank in found if rank is not None)
        return None
    module, name = ast.unparse(node.func.value), node.func.attr
    if module == "math":
        return 0
    if module in ("np", "numpy"):
        return _numpy(name, node, ranks)
    if name in KEEPING:
        return rank_of(node.func.value, ranks)
    if name == "to_numpy" and ast.unparse(node.func.value).endswith((".index", "]")):
        return 1  # of a column of pandas
    return 0 if name in ("sum", "mean", "min", "max", "item") and not node.args and not node.keywords else None


def _numpy(name: str, node: ast.Call, ranks: Mapping[str, int]) -> int | None:
    if not node.args:
        return None
    first = node.args[0]
    if name in ("array", "asarray") and isinstance(first, ast.List | ast.Tuple):
        inside = {rank_of(part, ranks) for part in first.elts} or {0}
        only = min((one for one in inside if one is not None), default=None)
        return only + 1 if len(inside) == 1 and only is not None else None
    if name in MAKERS:
        if isinstance(first, ast.Tuple):
            return len(first.elts)
        if isinstance(first, ast.Attribute) and first.attr == "shape":
            return rank_of(first.value, ranks)
        return 1 if rank_of(first, ranks) == 0 else None
    if name in LINES:
        return 1
    if name in LIKE:
        return rank_of(first, ranks)
    if name in ("float32", "float64", "int32", "int64"):
        return rank_of(first, ranks)
    if _is_elementwise(name, node):
        return _most(*node.args, ranks=ranks)
    return 0 if name in ("sum", "mean", "min", "max", "prod") and len(node.args) == 1 and not node.keywords else None


def _is_elementwise(name: str, node: ast.Call) -> bool:
    """Whether a call of NumPy's takes its arguments element by element, broadcast, and gives one array."""
    if node.keywords:
        return False
    found = getattr(np, name, None)
    if isinstance(found, np.ufunc):
        return found.signature is None and found.nout == 1 and len(node.args) == found.nin
    return name in ("where", "clip") and len(node.args) == 3

"""Loops whose turns are independent of each other, so that they may run in parallel; what is not certain is left."""

import ast
from collections.abc import Mapping, Sequence

from vecml.optimize.flow import defined_at, flow, leaves, reads, walk_all
from vecml.optimize.syntax import index_parts

NEW = {"zeros", "ones", "empty", "full", "zeros_like", "ones_like", "empty_like", "full_like", "arange", "linspace"}
BUILTINS = {"len", "range", "abs", "min", "max", "int", "float", "complex", "bool", "round", "divmod", "pow", "sum"}
READING = {"sum", "mean", "max", "min", "copy", "dot", "astype", "any", "all", "item", "std", "var", "prod", "ravel"}
WRITING = {"copyto", "put", "place", "fill_diagonal", "putmask", "put_along_axis", "random", "at"}
REDUCED = (ast.Add, ast.Mult)


def independent_loops(function: ast.FunctionDef, functions: Mapping[str, ast.FunctionDef]) -> list[ast.For]:
    """The outermost loops over `range` whose turns are certainly independent.

    Args:
        function: to look through.
        functions: those of its file, by name, which it may call.
    """
    found: list[ast.For] = []
    _look(function.body, function, functions, found)
    return found


def _look(
    body: Sequence[ast.stmt],
    function: ast.FunctionDef,
    functions: Mapping[str, ast.FunctionDef],
    found: list[ast.For],
) -> None:
    for one in body:
        if isinstance(one, ast.For) and _is_independent(one, function, functions):
            found.append(one)
            continue
        for name in ("body", "orelse"):
            inner = [] if isinstance(one, ast.FunctionDef) else getattr(one, name, [])
            _look(inner, function, functions, found)


def _is_independent(loop: ast.For, function: ast.FunctionDef, functions: Mapping[str, ast.FunctionDef]) -> bool:
    is_range = isinstance(loop.iter, ast.Call) and ast.unparse(loop.iter.func) == "range" and len(loop.iter.args) <= 2
    if not is_range or not isinstance(loop.target, ast.Name) or loop.orelse or leaves(loop.body) in ("break", "return"):
        return False
    if any(isinstance(one, ast.Lambda | ast.FunctionDef | ast.While) for one in walk_all(loop.body)):
        return False
    turn = loop.target.id
    try:
        inside = flow(loop.body, frozenset([turn]))
    except ValueError:
        return False
    carried = inside.exposed & inside.stored
    if turn in inside.stored or any(not _is_sum(name, loop) for name in carried):
        return False
    later = _read_after(loop, function)
    if (inside.stored - carried) & later:
        return False
    own = inside.stored - inside.exposed
    new = _new_arrays(function, loop)
    return all(_calls_only_read(one, functions) for one in loop.body) and _writes_apart(loop, turn, own, new)


def _is_sum(name: str, loop: ast.For) -> bool:
    """Whether all that is done with a name in a loop is `s += ...` or `s *= ...`, of one kind, at its own level."""
    adds = [one for one in walk_all(loop.body) if isinstance(one, ast.AugAssign) and _is_name(one.target, name)]
    uses = [one for one in walk_all(loop.body) if _is_name(one, name)]
    kinds = {type(one.op) for one in adds}
    return len(uses) == len(adds) and len(kinds) == 1 and kinds.pop() in REDUCED


def _writes_apart(loop: ast.For, turn: str, own: frozenset[str], new: set[str]) -> bool:
    """Whether each turn writes to its own part of new arrays only, and reads no other part of them."""
    written = {
        base.id
        for one in walk_all(loop.body)
        if isinstance(one, ast.Subscript) and not isinstance(one.ctx, ast.Load)
        if isinstance(base := index_parts(one)[0], ast.Name)
    }
    other_targets = [
        one
        for one in walk_all(loop.body)
        if isinstance(one, ast.Attribute | ast.Subscript) and not isinstance(one.ctx, ast.Load)
        if not isinstance(index_parts(one)[0] if isinstance(one, ast.Subscript) else one, ast.Name)
    ]
    if other_targets or not written - own <= new or any(name not in new for name in written & own - _made_in(loop)):
        return False
    parents = {id(part): one for one in walk_all(loop.body) for part in ast.iter_child_nodes(one)}
    for one in walk_all(loop.body):
        if isinstance(one, ast.Name) and one.id in written - own:
            parent = parents.get(id(one))
            if not isinstance(parent, ast.Subscript) or parent.value is not one:
                return False
            first = parent.slice.elts[0] if isinstance(parent.slice, ast.Tuple) else parent.slice
            if not _is_name(first, turn):
                return False
    return True


def _made_in(loop: ast.For) -> set[str]:
    """Names that are set in the loop, and to new arrays only."""
    return _set_to_new(loop.body)


def _new_arrays(function: ast.FunctionDef, loop: ast.For) -> set[str]:
    """Names of arrays that no other name stands for: set once, to a new array, and until the loop only written to."""
    parents = {id(part): one for one in ast.walk(function) for part in ast.iter_child_nodes(one)}
    found = _set_to_new(function.body) & set(defined_at(function, loop))
    rounds = [one for one in ast.walk(function) if isinstance(one, ast.For | ast.While) and one is not loop]
    first = min([loop.lineno, *(one.lineno for one in rounds if any(part is loop for part in ast.walk(one)))])
    last = max([0, *(one.end_lineno or 0 for one in rounds if any(part is loop for part in ast.walk(one)))])
    inside = {id(part) for part in ast.walk(loop)}
    for one in ast.walk(function):
        if not isinstance(one, ast.Name) or one.id not in found or isinstance(one.ctx, ast.Store) or id(one) in inside:
            continue
        if one.lineno < loop.lineno or first <= one.lineno <= last:
            parent = parents.get(id(one))
            is_written = isinstance(parent, ast.Subscript) and isinstance(parent.ctx, ast.Store)
            is_sized = isinstance(parent, ast.Attribute) and parent.attr in ("shape", "size", "ndim", "dtype")
            is_counted = isinstance(parent, ast.Call) and ast.unparse(parent.func) == "len"
            if not (is_written or is_sized or is_counted):
                found.discard(one.id)
    return found


def _set_to_new(body: Sequence[ast.stmt]) -> set[str]:
    values: dict[str, list[ast.expr | None]] = {}
    for one in walk_all(body):
        if isinstance(one, ast.Assign):
            for target in one.targets:
                pairs = _pairs(target, one.value)
                for name, value in pairs:
                    values.setdefault(name, []).append(value)
        elif isinstance(one, ast.For | ast.AugAssign | ast.AnnAssign):
            for part in ast.walk(one.target):
                if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store):
                    values.setdefault(part.id, []).append(None)
    return {name for name, found in values.items() if len(found) == 1 and found[0] is not None and _is_new(found[0])}


def _pairs(target: ast.expr, value: ast.expr) -> list[tuple[str, ast.expr | None]]:
    if isinstance(target, ast.Name):
        return [(target.id, value)]
    if isinstance(target, ast.Tuple):
        same = isinstance(value, ast.Tuple) and len(value.elts) == len(target.elts)
        inner = value.elts if same and isinstance(value, ast.Tuple) else [None] * len(target.elts)
        return [
            (one.id, part if part is not None else None)
            for one, part in zip(target.elts, inner, strict=True)
            if isinstance(one, ast.Name)
        ]
    return []


def _is_new(value: ast.expr) -> bool:
    if not isinstance(value, ast.Call):
        return False
    name = ast.unparse(value.func)
    return name in {f"np.{one}" for one in NEW} or name.endswith(".copy")


def _calls_only_read(node: ast.AST, functions: Mapping[str, ast.FunctionDef], deep: int = 3) -> bool:
    """Whether everything that is called has no effect on what it is given."""
    for one in ast.walk(node):
        if not isinstance(one, ast.Call):
            continue
        if any(keyword.arg == "out" for keyword in one.keywords):
            return False
        words = ast.unparse(one.func).split(".")
        if words[0] in ("np", "numpy", "math", "cmath"):
            if set(words) & WRITING:
                return False
        elif len(words) == 1 and words[0] in functions:
            called = functions[words[0]]
            if (
                deep == 0
                or _writes_arguments(called)
                or not all(_calls_only_read(part, functions, deep - 1) for part in called.body)
            ):
                return False
        elif not (words[0] in BUILTINS and len(words) == 1) and words[-1] not in READING:
            return False
    return True


def _writes_arguments(function: ast.FunctionDef) -> bool:
    return any(
        (isinstance(one, ast.Subscript | ast.Attribute) and not isinstance(one.ctx, ast.Load))
        or isinstance(one, ast.AugAssign | ast.Global)
        for one in ast.walk(function)
    )


def _read_after(loop: ast.For, function: ast.FunctionDef) -> set[str]:
    """Names that may be read once a loop has ended: below it, and in a loop round it."""
    inside = {id(one) for one in ast.walk(loop)}
    last = loop.end_lineno or loop.lineno
    rounds = [
        one
        for one in ast.walk(function)
        if isinstance(one, ast.For | ast.While) and one is not loop and any(part is loop for part in ast.walk(one))
    ]
    round_it = {id(part) for one in rounds for part in ast.walk(one)}
    return {
        name
        for one in ast.walk(function)
        if id(one) not in inside and isinstance(one, ast.Name) and (one.lineno > last or id(one) in round_it)
        for name in reads(one)
    }


def _is_name(node: ast.AST, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name

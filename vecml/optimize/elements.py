"""Writes of an array's elements in a loop nest: each turn its own element, or sums over inner loops or by bins."""

import ast

from vecml.optimize.expressions import index_values, subscript, vectorise
from vecml.optimize.nest import SUMS, Nest, masked_or, sum_axes
from vecml.optimize.syntax import index_parts, is_read, sign, takes_slice, used_only_as_array
from vecml.optimize.values import NotRecognisedError, Scope, Value


def _place(nest: Nest, target: ast.Subscript) -> tuple[str, list[Value], int]:
    """Return the name of the array that the target writes, the indices, and the number of axes of what they select."""
    base, parts = index_parts(target)
    if not isinstance(base, ast.Name):
        raise NotRecognisedError(f"`{ast.unparse(target)} = ...` is none of the forms")
    rank = nest.scope.ranks.get(base.id)
    if base.id in nest.scope.values or rank is None:
        raise NotRecognisedError(f"how many axes {base.id} has is not known")
    index = parts[0] if len(parts) == 1 else ast.Tuple(parts, ast.Load())
    values = index_values(index, nest.scope)
    return base.id, values, rank - len(values)


def store(nest: Nest, target: ast.Subscript, node: ast.expr, mask: Value | None) -> None:
    """Rewrite `target = node`, an assignment to an element or a row, in the `nest`, where `mask` holds."""
    name, values, rank = _place(nest, target)
    _check_own_places(nest, name, values, target)
    value = vectorise(node, nest.scope)
    place = subscript(name, values, nest.scope).code
    code = _fitting(nest, value, rank)
    if mask is None:
        nest.lines.append(f"{place} = {code}")
    else:
        _store_masked(nest, name, place, code, _fitting(nest, mask, rank))
    nest.pairwise |= len([one for one in values if one.deps]) > 1


def _store_masked(nest: Nest, name: str, place: str, code: str, mask: str) -> None:
    """Add code that assigns where the mask is true and casts only there; np.where alone would cast all elements."""
    if takes_slice(place):
        nest.lines.append(f"np.copyto({place}, {code}, where={mask}, casting='unsafe')")
    else:
        nest.lines.append(f"{place} = np.where({mask}, np.asarray({code}).astype({name}.dtype), {place})")


def add_to_element(nest: Nest, target: ast.Subscript, op: ast.operator, node: ast.expr, mask: Value | None) -> None:
    """Rewrite `target op= node` of an element or a row, which may gather over inner loops or be a bin.

    Args:
        nest: the loops, and the lines written so far.
        target: the element or row.
        op: the operator: a sum, a difference or a product.
        node: the right side.
        mask: the condition under which the statement runs; None: in every turn.

    Raises:
        NotRecognisedError: it cannot be rewritten; the text says why.
    """
    name, values, rank = _place(nest, target)
    value = vectorise(node, nest.scope)
    symbol = sign(op).strip()
    if any(one.deps and one.loop is None for one in values):
        _scatter(nest, name, values, rank, op, value, mask)
        return
    own = frozenset().union(*(one.deps for one in values))
    inner = [loop for loop in nest.scope.loops.values() if loop.name not in own]
    if not inner:
        place, code = subscript(name, values, nest.scope).code, _fitting(nest, value, rank)
        if mask is None:
            nest.lines.append(f"{place} {symbol}= {code}")
        else:
            _store_masked(nest, name, place, f"{place} {symbol} ({code})", _fitting(nest, mask, rank))
        nest.pairwise |= len(own) > 1
        return
    if type(op) not in SUMS or any(loop.depth <= len(own) for loop in inner):
        raise NotRecognisedError(f"several turns write the same element of {name}")
    nest.gather(name, SUMS[type(op)][0], len(own))
    _refuse_reads(name, nest.entered[len(own)])
    value = masked_or(mask, value, 1 if isinstance(op, ast.Mult) else 0)
    axes = sum_axes(name, value, inner)
    total = f"{SUMS[type(op)][0]}({value.at(nest.scope.depth)}, axis={axes})"
    nest.reduced, nest.pairwise = True, True
    depth = len(own)
    if rank and value.rank < rank and value.deps - {loop.name for loop in inner}:
        total = f"({total})[..., {', '.join(['None'] * (rank - value.rank))}]"
    gathered = subscript(name, values, nest.scope).code if depth else f"{name}[{', '.join(v.code for v in values)}]"
    nest.lines.append(f"{gathered} {symbol}= {total}")


def _refuse_reads(name: str, loop: ast.For) -> None:
    """Raise NotRecognisedError if the loop reads the array in which it sums: a turn may read an unfinished sum."""
    if is_read(name, loop):
        raise NotRecognisedError(f"{name} is read in the loop that gathers in it: a loop-carried dependence")


def _scatter(
    nest: Nest, name: str, values: list[Value], rank: int, op: ast.operator, value: Value, mask: Value | None
) -> None:
    """Rewrite `bins[k] += value`, where k depends on the data: a reduction by bins."""
    if not isinstance(op, ast.Add | ast.Sub) or value.rank > rank:
        raise NotRecognisedError(f"the place in {name} that is written depends on the data")
    _refuse_reads(name, nest.loop)
    depth = nest.scope.depth
    reached = frozenset().union(*(one.deps for one in values))
    if len(reached) < depth:
        raise NotRecognisedError(f"several turns write the same element of {name}")
    codes = [one.at(depth) for one in values]
    code = _fitting(nest, value, rank)
    if mask is not None:
        shape = f"({codes[0]}).shape"
        selected = f"np.broadcast_to({mask.at(depth)}, {shape})" if depth > 1 else f"({mask.code})"
        if depth == 1 and not mask.deps:
            raise NotRecognisedError("its condition is the same in every turn")
        codes = [f"({one})[{selected}]" for one in codes] if len(codes) == 1 else codes
        if len(codes) > 1:
            raise NotRecognisedError(f"the place in {name} that is written depends on the data")
        code = f"({code})[{selected}]" if value.deps else code
    index = codes[0] if len(codes) == 1 else f"({', '.join(codes)})"
    nest.reduced = True
    nest.lines.append(f"np.{'add' if isinstance(op, ast.Add) else 'subtract'}.at({name}, {index}, {code})")


def _check_own_places(nest: Nest, name: str, values: list[Value], target: ast.Subscript) -> None:
    """Raise NotRecognisedError unless each turn writes an element of its own: indices such as `i`, `i + 1` and `j`."""
    moved = [value for value in values if value.deps]
    if any(len(value.deps) > 1 for value in moved) or not all(
        _is_shift(part, nest.scope) for part in index_parts(target)[1] if not isinstance(part, ast.Slice)
    ):
        raise NotRecognisedError(f"the place in {name} that is written depends on the data")
    reached = frozenset().union(*(value.deps for value in moved))
    if lacking := [loop for loop in nest.scope.loops if loop not in reached]:
        raise NotRecognisedError(f"every turn of {', '.join(lacking)} writes the same element of {name}")


def _fitting(nest: Nest, value: Value, rank: int) -> str:
    """Return the code of a value with as many axes as an element of rank `rank` needs to broadcast with it."""
    code = value.at(nest.scope.depth)
    if value.deps and value.rank < rank:
        if value.rank:
            raise NotRecognisedError("it combines rows with tables of rows")
        code = f"({code})[..., {', '.join(['None'] * rank)}]"
    return code


def set_list(nest: Nest, name: str, code: str) -> None:
    """Add the code that makes a list of an array, or leaves it one where the function makes an array of the list."""
    if name in nest.grown:
        raise NotRecognisedError(f"{name} grows more than once in a turn")
    nest.grown.add(name)
    constants = (part for part in ast.walk(ast.parse(code)) if isinstance(part, ast.Constant))
    if any(isinstance(part.value, str) for part in constants):
        nest.lines.append(
            f"{name} = ({code}).tolist()"
        )  # Python's own text; an array is as wide as all that it chose of
        return
    if not used_only_as_array(name, nest.function, nest.loop):
        nest.lines.append(f"{name} = list({code})")
        return
    nest.lines.append(f"{name} = {nest.kept(code)}")
    nest.lines.append(f"{name} = {name} if {name}.size else []")  # an empty list has no dtype to hand on


def _is_shift(node: ast.expr, scope: Scope) -> bool:
    """Whether the index is a loop variable, such a variable plus a constant, or the same in every turn."""
    if isinstance(node, ast.Name):
        value = scope.values.get(node.id)
        return value is None or not value.deps or value.loop is not None
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Sub):
        changing = [part for part in (node.left, node.right) if vectorise(part, scope).deps]
        right_negative = isinstance(node.op, ast.Sub) and node.right in changing
        return len(changing) <= 1 and not right_negative and all(_is_shift(part, scope) for part in changing)
    return not vectorise(node, scope).deps

"""Sums of products over a loop as `np.einsum`: a product of matrices is one, and not a table of all products.

It is summed as the loop did, without BLAS: that rounds a product and a sum at once, and so gives -inf where the loop's
products overflow to inf and -inf, whose sum is NaN.
"""

import ast

from vecml.optimize.expressions import vectorise
from vecml.optimize.syntax import names_in
from vecml.optimize.values import Loop, NotRecognisedError, Scope, Value

LETTERS = "ijklmnopqrstuvw"


def contracted(node: ast.expr, scope: Scope, loop: Loop) -> Value | None:
    """Return the sum over the innermost loop of a product of elements, each of some of the loops; None for another.

    Args:
        node: the value of a turn.
        scope: what is known of names.
        loop: the innermost loop.
    """
    factors = _factors(node)
    if len(factors) < 2 or scope.guarded:
        return None
    made = [_alone(one, scope) for one in factors]
    found = [one for one in made if one is not None]
    if len(found) != len(made) or any(value.rank or not value.deps for value in found):
        return None
    deps = frozenset().union(*(value.deps for value in found))
    if loop.name not in deps or all(value.deps == deps for value in found) or len(deps) < 2:
        return None
    names = sorted(deps, key=lambda name: scope.loops[name].depth)
    letters = dict(zip(names, LETTERS, strict=False))
    parts = ["".join(letters[name] for name in names if name in value.deps) for value in found]
    rest = [name for name in names if name != loop.name]
    if [scope.loops[name].depth for name in rest] != list(range(1, len(rest) + 1)):
        return None
    result = "".join(letters[name] for name in rest)
    codes = ", ".join(value.code for value in found)
    code = f"np.einsum('{','.join(parts)}->{result}', {codes})"
    return Value(code, frozenset(rest), len(rest))


def _factors(node: ast.expr) -> list[ast.expr]:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
        return [*_factors(node.left), *_factors(node.right)]
    return [node]


def _alone(node: ast.expr, scope: Scope) -> Value | None:
    """Vectorise an element of an array with axes for those loops only that it depends on."""
    if not isinstance(node, ast.Subscript):
        return None
    own = names_in(node) & scope.loops.keys()
    if not own or any(name in scope.values and name not in scope.loops for name in names_in(node)):
        return None
    ordered = sorted(own, key=lambda name: scope.loops[name].depth)
    loops = {
        name: Loop(name, number + 1, one.start, one.stop, one.step, one.counts_up, one.stop_is_size)
        for number, name in enumerate(ordered)
        for one in [scope.loops[name]]
    }
    values = {name: Value(name, frozenset({name}), loops[name].depth, 0, name) for name in ordered}
    small = Scope(scope.ranks, values, loops, sizes=scope.sizes)
    try:
        return vectorise(node, small)
    except NotRecognisedError:
        return None

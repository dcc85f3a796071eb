"""A loop nest, read statement by statement and rewritten for all turns at once; or the reason why that cannot be."""

import ast

from vecml.optimize import elements, reductions
from vecml.optimize.expressions import guarded, negate, subscript, truth, vectorise
from vecml.optimize.nest import Form, Nest
from vecml.optimize.syntax import (
    is_accumulator,
    is_size,
    names_in,
    names_set_in,
    outlives,
    shorten,
    stores,
    written_in,
)
from vecml.optimize.values import Loop, NotRecognisedError, Scope, Value, align, value_like


def rewrite_nest(function: ast.FunctionDef, loop: ast.For, ranks: dict[str, int]) -> tuple[list[str], Form]:
    """Rewrite a loop, with the loops inside it, as NumPy statements.

    Args:
        function: contains the loop.
        loop: the outermost loop.
        ranks: the number of axes of each name that is set before the loop; 0 for a number.

    Returns:
        The statements that replace the loop, and which of the four forms it has.

    Raises:
        NotRecognisedError: the loop has none of the forms; the text says why.
    """
    nest = Nest(function, loop, Scope(ranks))
    _refuse_names_that_outlive(nest)
    for name, index in stores(loop):
        if nest.scope.stored.setdefault(name, index) != index:
            raise NotRecognisedError(f"{name} is written at [{nest.scope.stored[name]}] and at [{index}]")
    nest.written = set(nest.scope.stored)
    _for(nest, loop, None)
    named = {name for line in nest.lines for name in names_in(ast.parse(line))}
    ranges = [f"{one.name} = {one.arange}" for one in nest.loops if one.name in named]
    return [*ranges, *nest.lines], nest.form


def _refuse_names_that_outlive(nest: Nest) -> None:
    names = names_set_in([nest.loop])
    sums = {name for name in names if is_accumulator(name, nest.loop)}
    nested = nest.loop not in nest.function.body
    for name in sorted(names - sums):
        if outlives(name, nest.function, nest.loop, nested=nested):
            raise NotRecognisedError(f"what the last turn leaves in {name} is used after the loop")


def _for(nest: Nest, loop: ast.For, mask: Value | None) -> None:
    if loop.orelse:
        raise NotRecognisedError("it has an else")
    scope = nest.scope
    names = names_set_in(loop.body)
    outside = dict(scope.values)
    carried = set(scope.carried)
    scope.carried |= names
    _enter_loop(nest, loop)
    nest.entered.append(loop)
    _block(nest, loop.body, mask)
    nest.entered.pop()
    depth = scope.depth
    scope.loops.popitem()
    scope.carried = carried
    for name in list(scope.values):
        value = scope.values[name]
        if name not in outside or (value.depth >= depth and value != outside[name]):
            del scope.values[name]
            scope.carried.add(name)
    scope.carried |= {name for name in names if name not in scope.values and depth > 1}


def _enter_loop(nest: Nest, loop: ast.For) -> None:
    """Add the loop and its variables to the nest; it must be over a range, an array, or enumerate or zip of arrays."""
    match loop:
        case ast.For(target=ast.Name(id=name), iter=ast.Call(func=ast.Name(id="range"), args=bounds, keywords=[])):
            _enter_range(nest, name, bounds)
        case ast.For(
            target=ast.Tuple(elts=[ast.Name(id=index), ast.Name(id=name)]),
            iter=ast.Call(func=ast.Name(id="enumerate"), args=[array], keywords=[]),
        ):
            _enter_arrays(nest, index, [name], [array])
        case ast.For(
            target=ast.Tuple(elts=targets), iter=ast.Call(func=ast.Name(id="zip"), args=[_, *_] as arrays, keywords=[])
        ):
            names = [part.id for part in targets if isinstance(part, ast.Name)]
            if len(names) != len(arrays):
                raise NotRecognisedError(f"what {ast.unparse(loop.iter)} gives in each turn is not known")
            _enter_arrays(nest, f"{names[0]}_at", names, arrays)
        case ast.For(target=ast.Name(id=name), iter=ast.Name() as array):
            _enter_arrays(nest, f"{name}_at", [name], [array])
        case _:
            raise NotRecognisedError(f"what {ast.unparse(loop.iter)} gives in each turn is not known")


def _enter_range(nest: Nest, name: str, parts: list[ast.expr]) -> None:
    bounds = [_invariant(nest, part) for part in parts]
    sizes = [is_size(part, nest.function) for part in parts]
    start, stop = ("0", bounds[0]) if len(bounds) == 1 else (bounds[0], bounds[1])
    counts_up = (len(bounds) == 1 or sizes[0]) and (len(bounds) < 3 or sizes[2])
    step = bounds[2] if len(bounds) == 3 else "1"
    _enter(nest, Loop(name, nest.scope.depth + 1, start, stop, step, counts_up, sizes[0 if len(bounds) == 1 else 1]))


def _enter_arrays(nest: Nest, index: str, names: list[str], nodes: list[ast.expr]) -> None:
    """Add a loop over arrays: each name is its array's element at `index`, the index variable or a new name for it."""
    scope = nest.scope
    arrays = [_array(nest, node) for node in nodes]
    lengths = [f"len({array})" for array in arrays]
    stop = lengths[0] if len(lengths) == 1 else f"min({', '.join(lengths)})"
    _enter(nest, Loop(index, scope.depth + 1, "0", stop))
    for name, array in zip(names, arrays, strict=True):
        element = subscript(array, [scope.values[index]], scope)
        scope.carried.discard(name)
        scope.values[name] = value_like(element, element.code, scope.ranks[array] - 1)


def _invariant(nest: Nest, node: ast.expr) -> str:
    """Return the code of a range's bound; it must not depend on an outer loop."""
    value = vectorise(node, nest.scope)
    if value.deps:
        raise NotRecognisedError(f"the inner loop's range depends on {', '.join(sorted(value.deps))}")
    return value.code


def _array(nest: Nest, node: ast.expr) -> str:
    """Return the code of an array to loop over; it must be known to be an array, the same in every turn."""
    if not isinstance(node, ast.Name):
        raise NotRecognisedError(f"what {ast.unparse(node)} gives in each turn is not known")
    value = vectorise(node, nest.scope)
    if value.deps or not value.rank:
        raise NotRecognisedError(f"how many axes {node.id} has is not known")
    return value.code


def _enter(nest: Nest, loop: Loop) -> None:
    if loop.name in nest.scope.loops or any(one.name == loop.name and one != loop for one in nest.loops):
        raise NotRecognisedError(f"two of its loops call their variable {loop.name}")
    if loop not in nest.loops:
        nest.loops.append(loop)
    nest.scope.carried.discard(loop.name)
    nest.scope.loops[loop.name] = loop
    nest.scope.values[loop.name] = Value(loop.name, frozenset({loop.name}), loop.depth, 0, loop.name)


def _block(nest: Nest, body: list[ast.stmt], mask: Value | None) -> None:  # noqa: PLR0912 -- one branch a kind of statement
    for number, statement in enumerate(body):
        match statement:
            case ast.If(test=test, body=[ast.Continue()], orelse=[]):
                after = body[number + 1 :]
                _block(nest, after, _and(mask, negate(_condition(nest, test, after))))
                nest.masked = True
                return
            case ast.If():
                _if(nest, statement, mask)
            case ast.For():
                _for(nest, statement, mask)
            case ast.Assign(targets=[target]):
                _assign(nest, target, statement.value, mask)
            case ast.AnnAssign(target=target, value=ast.expr() as value):
                _assign(nest, target, value, mask)
            case ast.AugAssign():
                _augment(nest, statement, mask)
            case ast.Expr(value=ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr="append"), args=[value])):
                elements.append(nest, name, value, mask)
            case ast.Pass():
                pass
            case ast.Expr(value=ast.Constant()):
                pass
            case ast.Break() | ast.Return():
                raise NotRecognisedError("it is left early, at a turn that the data decide")
            case ast.While():
                raise NotRecognisedError("a while loop in it ends when the data say so")
            case _:
                raise NotRecognisedError(f"`{shorten(statement)}` is none of the forms")


def _if(nest: Nest, statement: ast.If, mask: Value | None) -> None:
    if any(isinstance(part, ast.Break | ast.Return) for part in ast.walk(statement)):
        raise NotRecognisedError("it is left early, at a turn that the data decide")
    if reductions.rewrite_guarded_extreme(nest, statement, mask):
        return
    nest.masked = True
    test = _condition(nest, statement.test, [*statement.body, *statement.orelse])
    _branch(nest, statement.body, _and(mask, test))
    if statement.orelse:
        _branch(nest, statement.orelse, _and(mask, negate(test)))


def _condition(nest: Nest, node: ast.expr, body: list[ast.stmt]) -> Value:
    """Return the condition under which `body` runs; it gets a new name if `body` writes a name that the test reads."""
    test = truth(node, nest.scope)
    if not names_in(node) & written_in(body):
        return test
    name, number = "holds", 1
    while name in nest.conditions | names_in(nest.function):
        number += 1
        name = f"holds_{number}"
    nest.conditions.add(name)
    nest.lines.append(f"{name} = {test.code}")
    return value_like(test, name)


def _branch(nest: Nest, body: list[ast.stmt], mask: Value) -> None:
    """Rewrite the statements of a branch; a name that only this branch sets is unknown after it."""
    before = set(nest.scope.values)
    with guarded(nest.scope):
        _block(nest, body, mask)
    for name in set(nest.scope.values) - before:
        del nest.scope.values[name]
        nest.scope.carried.add(name)


def _and(mask: Value | None, test: Value) -> Value:
    if mask is None:
        return test
    codes, layout = align([mask, test])
    return value_like(layout, " & ".join(codes))


def _assign(nest: Nest, target: ast.expr, node: ast.expr, mask: Value | None) -> None:
    if isinstance(target, ast.Subscript):
        elements.store(nest, target, node, mask)
        return
    if isinstance(target, ast.Tuple) and isinstance(node, ast.Tuple) and len(target.elts) == len(node.elts):
        _assign_tuple(nest, target, node, mask)
        return
    if not isinstance(target, ast.Name):
        raise NotRecognisedError(f"`{ast.unparse(target)} = ...` is none of the forms")
    name = target.id
    if name in nest.scope.carried and reductions.rewrite_gathering(nest, name, node, mask):
        return
    value = vectorise(node, nest.scope)
    if isinstance(node, ast.Subscript) and not value.rank and names_in(node) & set(nest.scope.stored):
        value = value_like(value, f"np.copy({value.code})")  # a number, which stays when its place is written
    if mask is not None:
        if name not in nest.scope.values:
            _set(nest, name, value)
            return
        if name in nest.scope.carried:
            raise NotRecognisedError(f"{name} keeps an earlier turn's value where the condition does not hold")
        codes, layout = align([mask, value, nest.scope.values[name]])
        value = value_like(layout, f"np.where({', '.join(codes)})")
    _set(nest, name, value)


def _assign_tuple(nest: Nest, target: ast.Tuple, node: ast.Tuple, mask: Value | None) -> None:
    names = {part.id for part in target.elts if isinstance(part, ast.Name)}
    if found := sorted(names & names_in(node)):
        raise NotRecognisedError(f"{', '.join(found)} is carried from one turn to the next")
    written: set[str] = set()
    for one, part in zip(target.elts, node.elts, strict=True):
        if found := sorted(written & names_in(part)):  # Python reads all of the right side first
            raise NotRecognisedError(f"{', '.join(found)} is read in the statement that writes it: an exchange")
        _assign(nest, one, part, mask)
        written |= written_in([one])


def _set(nest: Nest, name: str, value: Value) -> None:
    """Add the code that assigns the values of all turns to the name, as one array."""
    nest.lines.append(f"{name} = {value.code}")
    depth = value.depth if value.deps else nest.scope.depth
    nest.initial.pop(name, None)
    if not value.deps and not value.rank:
        nest.initial[name] = value.code
    nest.scope.values[name] = Value(name, value.deps, depth, value.rank)
    nest.scope.carried.discard(name)


def _augment(nest: Nest, statement: ast.AugAssign, mask: Value | None) -> None:
    target = statement.target
    if isinstance(target, ast.Subscript):
        elements.add_to_element(nest, target, statement.op, statement.value, mask)
    elif isinstance(target, ast.Name) and target.id in nest.scope.carried:
        reductions.accumulate(nest, target.id, statement.op, statement.value, mask)
    elif isinstance(target, ast.Name):
        node = ast.BinOp(ast.Name(target.id, ast.Load()), statement.op, statement.value)
        _assign(nest, target, ast.fix_missing_locations(ast.copy_location(node, statement)), mask)
    else:
        raise NotRecognisedError(f"`{shorten(statement)}` is none of the forms")

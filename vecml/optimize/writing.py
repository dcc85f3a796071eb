"""Lists that grow, dictionaries that are gathered in, and a loop's first `return`, over all turns at once."""

import ast

from vecml.optimize.elements import set_list
from vecml.optimize.expressions import guarded, index_values, truth, vectorise
from vecml.optimize.nest import Nest
from vecml.optimize.running import need_turn
from vecml.optimize.syntax import elements, used_only_as_array
from vecml.optimize.turns import Append, Group, Leave, Store
from vecml.optimize.values import NotRecognisedError, Value


def _shape(nest: Nest) -> str:
    """The turns of all loops, as a shape."""
    from vecml.optimize.scans import turns_of  # noqa: PLC0415

    return f"({', '.join(turns_of(loop) for loop in nest.scope.loops.values())},)"


def _whole(nest: Nest, value: Value) -> str:
    """The value of every turn, in their order, as one axis."""
    depth = nest.scope.depth
    if depth == 1:
        return value.code if value.deps else f"np.full({_shape(nest)}, {value.code})"
    if value.rank:
        raise NotRecognisedError("rows are gathered from two loops")
    need_turn(nest.scope, next(iter(nest.scope.loops.values())))  # without one, a slice may be as long as the array
    return f"np.broadcast_to({value.at(depth)}, {_shape(nest)}).ravel()"


def append_all(nest: Nest, event: Append) -> None:
    """Write `name.append(node)` of all turns, behind what the list holds before the loop."""
    scope = nest.scope
    if event.whole:
        value = vectorise(event.node, scope)
        rank = scope.ranks.get(event.name)
        if scope.depth > 1 or rank != value.rank + 1 or not value.deps:
            raise NotRecognisedError(f"what {event.name} is before the loop is not known")
        nest.lines.append(f"{event.name} = np.concatenate(({event.name}, {value.code}))")
        return
    before = list_before(event.name, nest.function, nest.loop)
    mask = None if event.guard is None else truth(event.guard, scope)
    with guarded(scope, when=mask is not None):
        if isinstance(event.node, ast.Tuple | ast.List):
            columns = [_whole(nest, vectorise(part, scope)) for part in event.node.elts]
            code = f"np.stack(({', '.join(columns)},), axis=1)"
            if not used_only_as_array(event.name, nest.function, nest.loop):
                raise NotRecognisedError(f"{event.name} gets a list in every turn")
        else:
            value = vectorise(event.node, scope)
            if not value.deps and mask is None:
                raise NotRecognisedError(f"{event.name} gets the same in every turn")
            code = _whole(nest, value)
    if mask is not None:
        if not mask.deps:
            raise NotRecognisedError("its condition is the same in every turn")
        code = f"({code})[{_whole(nest, mask)}]"
        nest.masked = True
    if before:
        code = f"np.concatenate(([{', '.join(map(ast.unparse, before))}], {code}))"
    set_list(nest, event.name, code)


def list_before(name: str, function: ast.FunctionDef, loop: ast.For) -> list[ast.expr]:
    """Return the parts of the list when the loop begins; it must be set once before, to a list that is written out."""
    found = [
        part
        for part in ast.walk(function)
        if isinstance(part, ast.Name) and part.id == name and part.lineno < loop.lineno
    ]
    assigned = []
    for part in ast.walk(function):
        if isinstance(part, ast.Assign) and part.lineno < loop.lineno:
            for target in part.targets:
                many = isinstance(target, ast.Tuple) and isinstance(part.value, ast.Tuple)
                parts = elements(part.value) if many else [part.value]
                assigned += [value for one, value in zip(elements(target), parts, strict=False) if one in found]
    if len(found) != 1 or len(assigned) != 1 or loop not in function.body:
        raise NotRecognisedError(f"{name} grows by more than one loop")
    if ast.unparse(assigned[0]) == "list()":
        return []
    if not isinstance(assigned[0], ast.List):
        raise NotRecognisedError(f"what {name} holds before the loop is not known")
    return assigned[0].elts


def scatter(nest: Nest, event: Store) -> None:
    """Write values to places that depend on the data; where one is written twice, the last turn's stays, as it did."""
    scope = nest.scope
    values = index_values(event.target.slice, scope)
    if len(values) != scope.ranks.get(event.array) or scope.loops.keys() - frozenset().union(*(v.deps for v in values)):
        raise NotRecognisedError(f"the place in {event.array} that is written depends on the data")
    mask = None if event.guard is None else truth(event.guard, scope)
    with guarded(scope, when=mask is not None):
        value = vectorise(event.node, scope)
    if value.rank:
        raise NotRecognisedError(f"the place in {event.array} that is written depends on the data")
    code = _whole(nest, value) if value.deps or event.how else value.code
    chosen = [] if mask is None else [_whole(nest, mask)]
    if event.how and not event.keeps_nan:  # a comparison with NaN is false
        chosen.append(f"({code}) == ({code})")
    indices = [_whole(nest, one) for one in values]
    if chosen:
        kept = f"{event.array}_kept"
        nest.lines.append(f"{kept} = {' & '.join(f'({one})' for one in chosen)}")
        indices = [f"({one})[{kept}]" for one in indices]
        code = f"({code})[{kept}]" if value.deps or event.how else code
    nest.masked |= mask is not None
    if event.how:
        nest.reduced = True
        place = indices[0] if len(indices) == 1 else f"({', '.join(indices)})"
        nest.lines.append(f"np.{event.how}.at({event.array}, {place}, {code})")
    else:
        nest.lines.append(f"{event.array}[{', '.join(indices)}] = {code}")


def group_all(nest: Nest, event: Group) -> None:
    """Write what all turns gather in a dictionary, its keys in the order in which they come first."""
    scope = nest.scope
    mask = None if event.guard is None else truth(event.guard, scope)
    with guarded(scope, when=mask is not None):
        key, value = vectorise(event.key, scope), vectorise(event.node, scope)
    if key.rank or value.rank or not key.deps:
        raise NotRecognisedError(f"the keys of {event.name} are no numbers")
    keys, values = _whole(nest, key), _whole(nest, value) if value.deps or event.how != "add" else value.code
    if mask is not None:
        chosen = f"({_whole(nest, mask)})"
        keys, values = f"({keys})[{chosen}]", f"({values})[{chosen}]" if value.deps else values
    names = {what: f"{event.name}_{what}" for what in ("keys", "first", "at", "values", "order")}
    nest.lines.append(
        f"{names['keys']}, {names['first']}, {names['at']} = np.unique({keys}, return_index=True, return_inverse=True)"
    )
    total, at, first = names["values"], names["at"], names["first"]
    match event.how:
        case "add":
            start = ast.unparse(event.first)
            if ast.unparse(event.node) == "1" and start == "0":
                nest.lines.append(f"{total} = np.bincount({at}, minlength=len({names['keys']}))")
            else:
                kind = f"np.asarray({start} + ({values})).dtype"
                nest.lines.append(f"{total} = np.full(len({names['keys']}), {start}, {kind})")
                nest.lines.append(f"np.add.at({total}, {at}, {values})")
        case "last":
            nest.lines.append(f"{total} = np.empty(len({names['keys']}), ({values}).dtype)")
            nest.lines.append(f"{total}[{at}] = {values}")
        case how:
            skipping = {"maximum": "np.fmax", "minimum": "np.fmin"}[how]
            begun = f"({values})[{first}]"
            nest.lines.append(f"{total} = {begun}")
            nest.lines.append(f"{skipping}.at({total}, {at}, {values})")
            nest.lines.append(f"{total} = np.where({begun} == {begun}, {total}, {begun})")
    order = names["order"]
    nest.lines.append(f"{order} = np.argsort({first})")
    nest.lines.append(f"{event.name}.update(zip({names['keys']}[{order}].tolist(), {total}[{order}].tolist()))")
    nest.reduced = True


def leave_first(nest: Nest, event: Leave) -> None:
    """Write `return node` of the first turn whose guard holds."""
    scope = nest.scope
    test = truth(event.guard, scope)
    hits = "hits"
    if not test.deps:
        raise NotRecognisedError("it is left at its first turn or never")
    nest.lines.append(f"{hits} = np.flatnonzero({_whole(nest, test)})")
    parts = event.node.elts if isinstance(event.node, ast.Tuple) else [event.node]
    with guarded(scope):
        codes = [_taken(nest, part, hits) for part in parts]
    value = f"({', '.join(codes)},)" if isinstance(event.node, ast.Tuple) else codes[0]
    nest.lines.append(f"if {hits}.size:\n    return {value}")


def _taken(nest: Nest, node: ast.expr, hits: str) -> str:
    if isinstance(node, ast.Constant):
        return ast.unparse(node)
    value = vectorise(node, nest.scope)
    if not value.deps:
        return value.code
    code = f"({_whole(nest, value)})[{hits}[0]]"
    if value.loop is None:
        return code
    loop = nest.scope.loops[value.loop]
    plain = nest.scope.depth == 1 and (loop.start, loop.step, value.offset) == ("0", "1", 0)
    return f"int({hits}[0])" if plain else f"int({code})"

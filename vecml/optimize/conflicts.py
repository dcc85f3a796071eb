"""Which of a read and a write of one array must come first, once each is done for all turns at once."""

import ast
from collections.abc import Sequence

from vecml.optimize.linear import Linear, Sizes
from vecml.optimize.syntax import elements, index_parts, names_in, size_reads
from vecml.optimize.turns import Event, Store, Turn, nodes_of

UNKNOWN = "unknown"
ANY = "any"


def stores_in(event: Event) -> list[tuple[Store, tuple[Turn, ...]]]:
    """List the writes of an event, each with the loops of the event that are around it."""
    if isinstance(event, Store):
        return [(event, ())]
    if isinstance(event, Turn):
        return [(store, (event, *loops)) for one in event.events for store, loops in stores_in(one)]
    return []


def reads_in(event: Event, arrays: set[str]) -> list[tuple[ast.expr, int, tuple[Turn, ...]]]:
    """List the reads of these arrays: what is read, the number of its statement, and the event's loops around it."""
    if isinstance(event, Turn):
        found = [(node, at, (event, *loops)) for one in event.events for node, at, loops in reads_in(one, arrays)]
        outer = [part for one in (event.start, event.stop, event.step) for part in _loads(one, arrays)]
        firsts = [part for one in event.carried.values() for part in _loads(one.first, arrays)]
        return [*((part, event.at, ()) for part in (*outer, *firsts)), *found]
    return [(part, event.at, ()) for node in nodes_of(event) for part in _loads(node, arrays)]


def _loads(node: ast.expr, arrays: set[str]) -> list[ast.expr]:
    """List the outermost subscripts of these arrays, and their names where they stand alone."""
    sized = size_reads(node)
    found: list[ast.expr] = []

    def visit(one: ast.AST) -> None:
        if isinstance(one, ast.Subscript):
            base, parts = index_parts(one)
            if isinstance(base, ast.Name) and base.id in arrays:
                found.append(one)
                for part in parts:
                    visit(part)
                return
        if isinstance(one, ast.Name) and one.id in arrays and id(one) not in sized:
            found.append(one)
        for child in ast.iter_child_nodes(one):
            visit(child)

    visit(node)
    return found


def distance(
    read: ast.expr, store: ast.Subscript, loops: Sequence[Turn], inner: set[str], sizes: Sizes
) -> int | str | None:
    """Say when what is read is written, in the order of the turns of the loops around both.

    Args:
        read, store: of one array.
        loops: around both, the outermost first.
        inner: the variables of loops around one of them only.
        sizes: what names of lengths stand for.

    Returns:
        Below 0: in an earlier turn. 0: in the same turn. Above 0: in a later turn. None: never. `UNKNOWN`.
    """
    if not isinstance(read, ast.Subscript):
        return UNKNOWN
    if ast.unparse(read.slice) != ast.unparse(store.slice) and not (
        _counts_from_start(read, loops, sizes) and _counts_from_start(store, loops, sizes)
    ):
        return UNKNOWN  # an index below 0 is an element that some other turn reads and writes
    found: dict[str, int] = {}
    names = {loop.name for loop in loops}
    for one, other in zip(index_parts(read)[1], elements(store.slice), strict=False):
        apart = _apart(one, other, names, inner, sizes)
        if apart is None or apart == UNKNOWN:
            return apart
        if isinstance(apart, tuple) and found.setdefault(*apart) != apart[1]:
            return None
    for loop in loops:
        if loop.name not in found:
            return UNKNOWN
        step = sizes.linear(loop.step).number
        if found[loop.name]:
            return UNKNOWN if step not in (1, -1) else found[loop.name] * step
    return 0


def _counts_from_start(node: ast.Subscript, loops: Sequence[Turn], sizes: Sizes) -> bool:
    """Whether no index of a loop's variable is below 0, which would count from the end."""
    least = {loop.name: _least(loop, loops, sizes) for loop in loops}
    for part in index_parts(node)[1]:
        if isinstance(part, ast.Slice):
            continue
        found = sizes.linear(part)
        for name in found.terms.keys() & least.keys():
            low = least[name]
            if low is None or found.terms != {name: 1} or low + found.constant < 0:
                return False
    return True


def _least(loop: Turn, loops: Sequence[Turn], sizes: Sizes) -> int | None:
    """Return a number that the loop's variable is never below; None where none is known."""
    step = sizes.linear(loop.step).number
    if step is None or not step:
        return None
    start = sizes.linear(loop.start) if step > 0 else sizes.linear(loop.stop) + Linear(constant=1)
    least = start.constant
    for name, factor in start.terms.items():
        around = next((one for one in loops if one.name == name), None)
        low = _least(around, loops, sizes) if around is not None and around is not loop else None
        if name.startswith("len(") or ".shape[" in name:
            low = 0
        if low is None or factor < 0:
            return None
        least += factor * low
    return least


def _apart(
    one: ast.expr, other: ast.expr, names: set[str], inner: set[str], sizes: Sizes
) -> tuple[str, int] | str | None:
    """Say how two indices of one axis differ.

    Returns:
        A loop's variable and in how many of its turns' steps; `ANY`, which says nothing; None: they are never the same.
        `UNKNOWN`.
    """
    if isinstance(one, ast.Slice) or isinstance(other, ast.Slice):
        return ANY if ast.unparse(one) == ast.unparse(other) == ":" else UNKNOWN
    left, right = sizes.linear(one), sizes.linear(other)
    apart = (left - right).number
    variables = names | inner
    used = {key for key in (*left.terms, *right.terms) if names_in(ast.parse(key)) & variables}
    if not used <= variables:
        return UNKNOWN
    if apart is None:
        return ANY if used & inner and len(used) <= 2 else UNKNOWN  # another loop's variable: any element of the axis
    if not used:
        if not apart:
            return ANY
        return None if _same_sign(left, right) else UNKNOWN
    if len(used) > 1 or abs(left.terms[min(used)]) != 1:
        return UNKNOWN
    name = min(used)
    return ANY if name in inner else (name, apart * left.terms[name])


def _same_sign(left: Linear, right: Linear) -> bool:
    """Whether two indices that differ count from the same end: constants of one sign, or the same terms."""
    if left.terms or right.terms:
        return left.terms == right.terms
    return (left.constant < 0) == (right.constant < 0)


def must_follow(event: Event, other: Event, loops: Sequence[Turn], sizes: Sizes) -> tuple[bool, ast.expr | None]:
    """Say whether `event` needs what `other` writes, or writes what `other` has to have read before.

    Args:
        event, other: of the innermost loop of `loops`; they may be one.
        loops: around both.
        sizes: what names of lengths stand for.

    Returns:
        Whether it must, and the read that says so.
    """
    for store, own in stores_in(other):
        for read in reads_in(event, {store.array}):
            when = _when(read, store, own, loops, sizes)
            if when == UNKNOWN or (isinstance(when, int) and when < 0):
                return True, read[0]
    if event is other:
        return False, None
    for store, own in stores_in(event):
        for read in reads_in(other, {store.array}):
            when = _when(read, store, own, loops, sizes)
            if when == UNKNOWN or (isinstance(when, int) and when > 0):
                return True, read[0]
        if any(again.array == store.array and again.at < store.at for again, _ in stores_in(other)):
            return True, None
    return False, None


def _when(
    access: tuple[ast.expr, int, tuple[Turn, ...]],
    store: Store,
    own: tuple[Turn, ...],
    loops: Sequence[Turn],
    sizes: Sizes,
) -> int | str | None:
    """Return the distance, with the order of the statements where both are of one turn."""
    read, at, around = access
    shared = [one for one, other in zip(own, around, strict=False) if one is other]
    inner = {one.name for one in (*own, *around)} - {one.name for one in shared}
    when = distance(read, store.target, [*loops, *shared], inner, sizes)
    if when != 0:
        return when
    return 1 if at <= store.at else -1


def overwritten(stores: Sequence[Store], sizes: Sizes) -> str | None:
    """Name an array that several statements write at places of which it is not known whether they are the same."""
    for number, one in enumerate(stores):
        for other in stores[:number]:
            if one.array != other.array:
                continue
            if ast.unparse(one.target) == ast.unparse(other.target):
                if all(isinstance(store.op, ast.Add | ast.Sub) for store in (one, other)) or _is_plain(one, sizes):
                    continue
                return one.array
            pairs = zip(elements(one.target.slice), elements(other.target.slice), strict=False)
            apart = [
                (sizes.linear(first) - sizes.linear(second)).number
                for first, second in pairs
                if not isinstance(first, ast.Slice)
                and not isinstance(second, ast.Slice)
                and not _has_variables(sizes.linear(first), sizes.linear(second))
            ]
            if not any(apart) and not _mirrored(one, other):
                return one.array
    return None


def _is_plain(store: Store, sizes: Sizes) -> bool:
    """Whether no index is more than a name, moved by a constant: of loops, each turn has a place of its own."""
    parts = [part for part in elements(store.target.slice) if not isinstance(part, ast.Slice)]
    return all(all(key.isidentifier() for key in sizes.linear(part).terms) for part in parts)


def _has_variables(left: Linear, right: Linear) -> bool:
    return bool(left.terms or right.terms) or (left.constant < 0) != (right.constant < 0)


def _mirrored(one: Store, other: Store) -> bool:
    """Whether two writes are at `[i, j]` and `[j, i]` where one of the two is above the other, or of one value."""
    ours, theirs = ([ast.unparse(part) for part in elements(store.target.slice)] for store in (one, other))
    if len(ours) != 2 or ours != theirs[::-1]:
        return False
    guards = {ast.unparse(part) for part in _parts(one.guard)} & {ast.unparse(part) for part in _parts(other.guard)}
    first, second = ours
    strict = {f"{second} >= {first} + 1", f"{first} >= {second} + 1", f"{second} < {first}", f"{first} < {second}"}
    wide = {f"{second} >= {first}", f"{first} >= {second}", f"{second} < {first} + 1", f"{first} < {second} + 1"}
    return bool(guards & strict) or (bool(guards & wide) and ast.unparse(one.node) == ast.unparse(other.node))


def _parts(guard: ast.expr | None) -> list[ast.expr]:
    if guard is None:
        return []
    return list(guard.values) if isinstance(guard, ast.BoolOp) and isinstance(guard.op, ast.And) else [guard]

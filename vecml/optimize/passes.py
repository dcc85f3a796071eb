"""What is made of turns before they are written as NumPy: dead names dropped, sums taken out, elements carried."""

import ast
import contextlib
from collections.abc import Callable, Sequence

from vecml.optimize.conflicts import distance, reads_in
from vecml.optimize.linear import Sizes
from vecml.optimize.recurrences import Recurrence, recognise
from vecml.optimize.syntax import index_parts, names_in
from vecml.optimize.turns import (
    Append,
    Carried,
    Define,
    Event,
    Store,
    Sum,
    Turn,
    names_defined,
    nodes_of,
    substitute,
)
from vecml.optimize.values import NotRecognisedError

MOST_NODES = 4000  # of an expression: what is used twice in each of its steps doubles with each
GATHERED = {"sum": ast.Add, "prod": ast.Mult}


def live_names(turn: Turn, wanted: set[str]) -> set[str]:
    """Return the names of the nest that something needs: a write, or a name that is used after the loop."""
    live: set[str] = set()
    size = -1
    while size != len(live):
        size = len(live)
        _mark(turn, live, wanted)
    return live


def _mark(turn: Turn, live: set[str], wanted: set[str]) -> None:
    for one in turn.carried.values():
        if one.start in live or one.after in live or one.name in wanted:
            live |= {one.end, *names_in(one.first)}
    for event in turn.events:
        if isinstance(event, Turn):
            _mark(event, live, set())
            live |= {name for part in (event.start, event.stop, event.step) for name in names_in(part)}
        elif not isinstance(event, Define | Sum) or event.name in live:
            live |= {name for node in nodes_of(event) for name in names_in(node)}


def drop_dead(turn: Turn, live: set[str], wanted: set[str]) -> None:
    """Drop what nothing needs, in the loop and in those inside it."""
    for event in turn.events:
        if isinstance(event, Turn):
            drop_dead(event, live, set())
    for one in turn.carried.values():
        one.after = one.after if one.after in live else ""
    turn.carried = {
        key: one for key, one in turn.carried.items() if one.start in live or one.after in live or one.name in wanted
    }
    turn.events = [event for event in turn.events if _is_live(event, live)]


def _is_live(event: Event, live: set[str]) -> bool:
    if isinstance(event, Define | Sum):
        return event.name in live
    return not isinstance(event, Turn) or bool(event.events or event.carried)


def chain(turn: Turn, name: str, stop: set[str]) -> ast.expr:
    """Return the value of a name with the names of this turn that it is made of put in, but for those in `stop`."""
    made = {event.name: event.node for event in turn.events if isinstance(event, Define) and event.name not in stop}
    node: ast.expr = ast.Name(name, ast.Load())
    for _ in range(len(made) + 1):
        found = names_in(node) & made.keys()
        if not found:
            break
        node = substitute(node, {one: made[one] for one in found})
        if sum(1 for _ in ast.walk(node)) > MOST_NODES:
            raise NotRecognisedError("what a turn does is too much for one expression")
    return node


def dependent(turn: Turn, start: str) -> set[str]:
    """Return the names of a turn whose value depends on `start`."""
    found = {start}
    size = 0
    while size != len(found):
        size = len(found)
        for event in turn.events:
            if any(found & names_in(node) for node in nodes_of(event)):
                found |= names_defined(event)
                if isinstance(event, Turn):
                    found |= {one.start for one in event.carried.values()} & names_in_events(event)
    return found


def names_in_events(turn: Turn) -> set[str]:
    """Return the names that the events of a loop read."""
    return {name for event in turn.events for node in nodes_of(event) for name in names_in(node)}


def recurrence_of(turn: Turn, one: Carried, known: set[str]) -> Recurrence | None:
    """Return how a carried name follows from turn to turn; None where it is none of the known ways.

    Args:
        turn: the loop.
        one: what it carries.
        known: the names that need not be looked through.
    """
    bound = dependent(turn, one.start)
    node = chain(turn, one.end, known - bound)
    others = {other.start for other in turn.carried.values() if other is not one} - known
    unknown = {name for event in turn.events for name in names_defined(event)} - known
    if names_in(node) & (others | unknown):
        return None
    changing = {turn.name, *(name for event in turn.events for name in names_defined(event))}
    changing |= {other.start for other in turn.carried.values()}
    return recognise(node, one.start, lambda part: not names_in(part) & changing)


def take_sums_out(turn: Turn, around: Turn | None = None) -> None:
    """Replace names that an inner loop carries to gather in them by its sum, which the loop around adds."""
    for event in [event for event in turn.events if isinstance(event, Turn)]:
        take_sums_out(event, turn)
    if around is None:
        return
    for key, one in list(turn.carried.items()):
        bound = dependent(turn, one.start)
        made = {event.name for event in turn.events if isinstance(event, Define)}
        free = {name for event in turn.events for name in names_defined(event)} - bound
        others = {other.start for other in turn.carried.values()} - bound
        if not bound <= made | {one.start} or used_otherwise(turn, bound, one):
            continue
        found = recurrence_of(turn, one, free | others)
        if found is None or found.kind not in ("sum", "prod", "max", "min") or found.keeps_nan:
            continue
        _take_out(turn, around, key, one, found, bound)


def used_otherwise(turn: Turn, bound: set[str], one: Carried) -> bool:
    """Whether what depends on a carried name is used for anything but its own next value."""
    users = [event for event in turn.events if not (isinstance(event, Define) and event.name in bound)]
    reads = {name for event in users for node in nodes_of(event) for name in names_in(node)}
    ends = {other.end for other in turn.carried.values() if other is not one}
    return bool(bound & (reads | ends))


def _take_out(turn: Turn, around: Turn, key: str, one: Carried, found: Recurrence, bound: set[str]) -> None:
    node = found.node
    first = _base(one.first, around)
    if found.kind in GATHERED:
        if found.test is not None:
            node = ast.IfExp(found.test, node, ast.Constant(0 if found.kind == "sum" else 1))
    elif found.test is not None:
        node = ast.IfExp(found.test, node, first)
    name = f"{one.after}_of"
    turn.events = [event for event in turn.events if not (isinstance(event, Define) and event.name in bound)]
    turn.events.append(Sum(name, found.kind, node, first, turn.at))
    del turn.carried[key]
    gathered = ast.Name(name, ast.Load())
    if found.kind in GATHERED:
        start = one.first
        plain = isinstance(start, ast.Constant) and start.value == 0 and isinstance(start.value, int)
        value: ast.expr = (
            gathered if plain and found.kind == "sum" else ast.BinOp(start, GATHERED[found.kind](), gathered)
        )
    elif ast.unparse(first) == ast.unparse(one.first):
        value = gathered
    else:
        test = ast.Compare(gathered, [ast.Gt() if found.kind == "max" else ast.Lt()], [one.first])
        value = ast.IfExp(test, gathered, one.first)
    at = next(number for number, event in enumerate(around.events) if event is turn)
    around.events.insert(at + 1, Define(one.after, value, turn.at))


def _base(first: ast.expr, around: Turn) -> ast.expr:
    """Return what a name that goes through two loops began with before the outer one."""
    for one in around.carried.values():
        if isinstance(first, ast.Name) and first.id == one.start:
            return one.first
    return first


def carry_elements(turn: Turn, loops: Sequence[Turn], sizes: Sizes, fresh: Callable[[str], str]) -> bool:
    """Make a carried value of `out[i - 1]` where `out[i]` is made of it; return whether one was made.

    Args:
        turn: of the innermost loop; loops within it are done first.
        loops: the loops around it, and it.
        sizes: what is known of lengths.
        fresh: gives a new name that begins with its argument.
    """
    made = False
    for event in turn.events:
        if isinstance(event, Turn):
            made |= carry_elements(event, [*loops, event], sizes, fresh)
    stores = [event for event in turn.events if isinstance(event, Store)]
    for store in stores:
        inside = [event for event in turn.events if isinstance(event, Turn)]
        if store.op is not None or [one.array for one in stores].count(store.array) > 1:
            continue
        if any(reads_in(event, {store.array}) for event in inside):
            continue
        reads = [
            (event, read)
            for event in turn.events
            for read, at, _ in reads_in(event, {store.array})
            if at <= store.at and distance(read, store.target, loops, set(), sizes) == -1
        ]
        if not reads or any(_far(read, loops) for _, read in reads):
            continue
        _carry(turn, store, [read for _, read in reads], fresh)
        made = True
    return made


def _far(read: ast.expr, loops: Sequence[Turn]) -> bool:
    return not loops or loops[-1].name not in names_in(read)


def _carry(turn: Turn, store: Store, reads: list[ast.expr], fresh: Callable[[str], str]) -> None:
    start, end = fresh(f"{store.array}_before"), fresh(f"{store.array}_now")
    text = {ast.unparse(one) for one in reads}
    first = _folded(substitute(reads[0], {turn.name: turn.start}))

    _replace(turn, text, start)
    value = store.node
    if store.guard is not None:
        here = ast.Subscript(store.target.value, store.target.slice, ast.Load())
        value = ast.IfExp(store.guard, value, here)
        store.guard = None
    at = turn.events.index(store)
    turn.events.insert(at, Define(end, value, store.at))
    store.node = ast.Name(end, ast.Load())
    turn.carried[f"<{store.array}>"] = Carried(f"<{store.array}>", start, end, first)


def _folded(node: ast.expr) -> ast.expr:
    """Return an element with the sums in its indices computed: `x[1 - 1]` is `x[0]`."""
    base, parts = index_parts(node) if isinstance(node, ast.Subscript) else (node, [])
    indices = ", ".join(Sizes.plain(part).code for part in parts)
    return ast.parse(f"{ast.unparse(base)}[{indices}]", mode="eval").body


def extremes_of_elements(turn: Turn) -> None:
    """Make one write of `if value > best[k]: best[k] = value` and of `best[k] = max(best[k], value)`."""
    for event in turn.events:
        if isinstance(event, Turn):
            extremes_of_elements(event)
        if not isinstance(event, Store) or event.op is not None:
            continue
        text, name = ast.unparse(event.target), "element"
        made = {one.name: one.node for one in turn.events if isinstance(one, Define)}
        whole: ast.expr = event.node
        if event.guard is not None:
            whole = ast.IfExp(event.guard, event.node, ast.Name(name, ast.Load()))
        for _ in made:
            read = {one: made[one] for one in names_in(whole) & made.keys() if text in ast.unparse(made[one])}
            whole = substitute(whole, read)
        whole = ast.parse(ast.unparse(whole).replace(text, name), mode="eval").body
        if event.array in names_in(whole) or name not in names_in(whole):
            continue
        with contextlib.suppress(NotRecognisedError):
            found = recognise(whole, name, lambda _part: False)
            if found is not None and found.kind in ("max", "min"):
                event.node, event.guard = found.node, found.test
                event.how = "maximum" if found.kind == "max" else "minimum"
                event.keeps_nan = found.keeps_nan


def growing_arrays(turn: Turn) -> None:
    """Make appends of `out = np.append(out, value)` and its like, which copy the whole array in every turn."""
    for key, one in list(turn.carried.items()):
        at, made = (
            next(
                (number, event)
                for number, event in enumerate(turn.events)
                if isinstance(event, Define) and event.name == one.end
            )
            if any(isinstance(event, Define) and event.name == one.end for event in turn.events)
            else (0, None)
        )
        if made is None or not isinstance(made.node, ast.Call):
            continue
        value = _grown(made.node, one.start)
        if value is None or used_otherwise(turn, {one.start, one.end}, one):
            continue
        turn.events[at] = Append(one.name, value, None, made.at, whole=True)
        del turn.carried[key]


def _grown(node: ast.Call, name: str) -> ast.expr | None:
    """Return the element or row that a call puts behind the array of this name; None where it does anything else."""
    called = ast.unparse(node.func)
    if node.keywords:
        return None
    if called == "np.append" and len(node.args) == 2:
        first, value = node.args
    elif called in ("np.concatenate", "np.hstack", "np.vstack", "np.row_stack") and len(node.args) == 1:
        if not isinstance(node.args[0], ast.Tuple | ast.List) or len(node.args[0].elts) != 2:
            return None
        first, value = node.args[0].elts
        if called != "np.vstack":
            if not isinstance(value, ast.List) or len(value.elts) != 1:
                return None
            value = value.elts[0]
    else:
        return None
    whole = isinstance(first, ast.Name) and first.id == name and name not in names_in(value)
    return value if whole else None


def _replace(turn: Turn, reads: set[str], name: str) -> None:
    """Put a name in place of these elements, given by their text, in the loop's own events."""

    class _Replace(ast.NodeTransformer):
        def visit_Subscript(self, node: ast.Subscript) -> ast.expr:
            if ast.unparse(node) in reads and isinstance(node.ctx, ast.Load):
                return ast.Name(name, ast.Load())
            self.generic_visit(node)
            return node

    for event in turn.events:
        for field in ("node", "guard"):
            value = getattr(event, field, None)
            if isinstance(value, ast.expr):
                setattr(event, field, _Replace().visit(value))


def carry_lists(turn: Turn, before: Callable[[str], list[ast.expr]], fresh: Callable[[str], str]) -> None:
    """Make a carried value of a list's last part, `x[-1]`, where the list grows by what is made of it.

    Args:
        turn: the loop.
        before: gives the parts of a list before the loop.
        fresh: gives a name that is not used yet.
    """
    for event in [event for event in turn.events if isinstance(event, Append)]:
        last = f"{event.name}[-1]"
        if not any(last in ast.unparse(node) for one in turn.events for node in nodes_of(one)):
            continue
        parts = before(event.name)
        if not parts or event.guard is not None:
            raise NotRecognisedError(f"what {event.name} holds before a turn is not known")
        start, end = fresh(f"{event.name}_before"), fresh(f"{event.name}_now")
        _replace(turn, {last}, start)
        at = turn.events.index(event)
        turn.events.insert(at, Define(end, event.node, event.at))
        event.node = ast.Name(end, ast.Load())
        turn.carried[f"<{event.name}>"] = Carried(f"<{event.name}>", start, end, parts[-1])


def inline_once(turn: Turn, kept: set[str], stored: set[str]) -> None:
    """Put a name's value in its place where it is used once.

    Args:
        turn: the loop.
        kept: names that stay.
        stored: arrays that the loop writes: what is read of them is read at its own place.
    """
    uses: dict[str, int] = {}
    for node in nodes_of(turn):
        for part in ast.walk(node):
            if isinstance(part, ast.Name):
                uses[part.id] = uses.get(part.id, 0) + 1
    _inline(turn, uses, kept | _ends(turn), stored)


def _ends(turn: Turn) -> set[str]:
    found = {one.end for one in turn.carried.values()}
    return found.union(*(_ends(event) for event in turn.events if isinstance(event, Turn)))


def _inline(turn: Turn, uses: dict[str, int], kept: set[str], stored: set[str]) -> None:
    for event in turn.events:
        if isinstance(event, Turn):
            _inline(event, uses, kept, stored)
    for event in [event for event in turn.events if isinstance(event, Define)]:
        if event.name in kept or uses.get(event.name, 0) != 1 or names_in(event.node) & stored:
            continue
        users = [one for one in turn.events if any(event.name in names_in(node) for node in nodes_of(one))]
        if len(users) != 1 or isinstance(users[0], Turn):
            continue
        value = {event.name: event.node}
        for field in ("node", "guard", "key"):
            node = getattr(users[0], field, None)
            if isinstance(node, ast.expr):
                setattr(users[0], field, substitute(node, value))
        if isinstance(users[0], Store):
            users[0].target.slice = substitute(users[0].target.slice, value)
        turn.events.remove(event)

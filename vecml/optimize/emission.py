"""Turns written as NumPy: each event for all turns at once, in an order in which nothing is read before it is there."""

import ast
from collections.abc import Sequence

from vecml.optimize import elements, scans
from vecml.optimize.conflicts import must_follow
from vecml.optimize.contraction import contracted
from vecml.optimize.expressions import guarded, index_values, truth, vectorise
from vecml.optimize.linear import Sizes
from vecml.optimize.nest import Nest
from vecml.optimize.passes import dependent, recurrence_of, used_otherwise
from vecml.optimize.ranks import rank_of
from vecml.optimize.recurrences import Recurrence
from vecml.optimize.running import left, need_turn, running
from vecml.optimize.syntax import is_size, names_in
from vecml.optimize.turns import (
    Append,
    Carried,
    Define,
    Event,
    Group,
    Leave,
    Store,
    Sum,
    Turn,
    names_defined,
    nodes_of,
)
from vecml.optimize.values import Loop, NotRecognisedError, Scope, Value, value_like
from vecml.optimize.writing import append_all, group_all, leave_first, scatter


class Emission:
    """The statements that a nest of turns becomes."""

    def __init__(self, function: ast.FunctionDef, turn: Turn, scope: Scope, sizes: Sizes, wanted: set[str]) -> None:
        """Take a nest, what is known of names, and the names whose values are used after the loop."""
        self.nest = Nest(function, turn.loop, scope)
        self.scope = scope
        self.sizes = sizes
        self.wanted = wanted
        self.lines = self.nest.lines
        scope.before = self.lines
        self.aside: dict[str, list[Event]] = {}
        self.stored = self.nest.written = {store.array for store in _stores(turn)}
        self.reads_one_place = _reads_one_place(turn, scope)

    def bind_before(self, name: str, node: ast.expr) -> None:
        """Write a name for an array that the loop goes through, in front of it."""
        rank = rank_of(node, self.scope.ranks)
        if rank is None:
            raise NotRecognisedError(f"what {ast.unparse(node)} gives in each turn is not known")
        self.lines.append(f"{name} = {ast.unparse(node)}")
        self.scope.ranks[name] = rank

    def write(self, turn: Turn, loops: Sequence[Turn] = ()) -> None:
        """Write a loop's events, and what it leaves in names; the loops around are already entered."""
        loops = [*loops, turn]
        self._enter(turn)
        if self.reads_one_place:
            need_turn(self.scope, self.scope.loops[turn.name])
        pending: list[Event] = list(turn.events)
        carried = dict(turn.carried)
        for one in carried.values():
            if one.name.startswith("<") and isinstance(one.first, ast.Subscript):
                need_turn(self.scope, self.scope.loops[turn.name])
        self.aside[turn.name] = self._set_aside(turn, pending, carried, loops)
        while pending:
            event = next((one for one in pending if self._is_ready(one, pending, carried, loops)), None)
            if event is not None:
                self._event(event, loops)
                pending.remove(event)
            elif not self._solve(turn, pending, carried, loops):
                raise self._stuck(turn, pending, carried, loops)
        for one in list(carried.values()):
            if not self._finish(turn, one, loops):
                raise NotRecognisedError(f"{one.name.strip('<>')} is carried from one turn of the loop to the next")
        self._leave(turn)

    def _set_aside(
        self, turn: Turn, pending: list[Event], carried: dict[str, Carried], loops: Sequence[Turn]
    ) -> list[Event]:
        """Drop and return what only makes a carried name's next value: what it is at the end is written last."""
        dropped: list[Event] = []
        for one in carried.values():
            bound = dependent(turn, one.start)
            made = [event for event in pending if isinstance(event, Define) and event.name in bound]
            if {event.name for event in made} | {one.start} != bound or used_otherwise(turn, bound, one):
                continue
            if len(loops) > 1 and not one.after:
                continue
            if any(names_in(event.node) & self.stored for event in made):
                continue
            pending[:] = [event for event in pending if event not in made]
            dropped += made
        return dropped

    def _enter(self, turn: Turn) -> None:
        start, stop, step = (self._bound(part) for part in (turn.start, turn.stop, turn.step))
        counts_up = is_size(turn.start, self.nest.function) and (step.isdecimal())
        size = is_size(turn.stop, self.nest.function)
        loop = Loop(turn.name, self.scope.depth + 1, start, stop, step, counts_up, size)
        self.lines.append(f"{turn.name} = {loop.arange}")
        self.nest.loops.append(loop)
        self.nest.entered.append(turn.loop)
        self.scope.loops[turn.name] = loop
        self.scope.values[turn.name] = Value(turn.name, frozenset({turn.name}), loop.depth, 0, turn.name)

    def _bound(self, node: ast.expr) -> str:
        value = vectorise(node, self.scope)
        if value.deps:
            raise NotRecognisedError(f"the inner loop's range depends on {', '.join(sorted(value.deps))}")
        return value.code

    def _leave(self, turn: Turn) -> None:
        self.nest.entered.pop()
        del self.scope.loops[turn.name]
        depth = self.scope.depth
        for name, value in list(self.scope.values.items()):
            if value.depth > depth and value.deps:
                del self.scope.values[name]

    def _is_ready(self, event: Event, pending: list[Event], carried: dict[str, Carried], loops: Sequence[Turn]) -> bool:
        missing = {name for one in pending if one is not event for name in names_defined(one)}
        missing |= {one.start for one in carried.values()}
        own = {one.start for one in event.carried.values()} if isinstance(event, Turn) else set()
        if any(names_in(node) & (missing - own) for node in nodes_of(event)):
            return False
        return not any(must_follow(event, other, loops, self.sizes)[0] for other in pending)

    def _stuck(
        self, turn: Turn, pending: list[Event], carried: dict[str, Carried], loops: Sequence[Turn]
    ) -> NotRecognisedError:
        for event in pending:
            for other in pending:
                follows, read = must_follow(event, other, loops, self.sizes)
                if follows and read is not None:
                    store = next(one for one in _stores(turn) if one.array in names_in(read))
                    written = ast.unparse(store.target)
                    return NotRecognisedError(
                        f"{ast.unparse(read)} may be what another turn of the loop writes ({written}):"
                        " a loop-carried dependence"
                    )
        name = next((one.name.strip("<>") for one in carried.values()), "it")
        return NotRecognisedError(f"{name} is carried from one turn of the loop to the next")

    def _event(self, event: Event, loops: Sequence[Turn]) -> None:
        match event:
            case Define():
                with guarded(self.scope, when=event.guarded):
                    self._define(event)
            case Store():
                mask = None if event.guard is None else truth(event.guard, self.scope)
                with guarded(self.scope, when=event.guard is not None):
                    if event.op is None and (event.how or not self._has_own_places(event)):
                        scatter(self.nest, event)
                    elif event.op is None:
                        elements.store(self.nest, event.target, event.node, mask)
                    else:
                        elements.add_to_element(self.nest, event.target, event.op, event.node, mask)
                self.nest.masked |= mask is not None
            case Sum():
                self._sum(event, loops)
            case Turn():
                self.write(event, loops)
            case Append():
                append_all(self.nest, event)
            case Group():
                group_all(self.nest, event)
            case Leave():
                leave_first(self.nest, event)

    def _has_own_places(self, event: Store) -> bool:
        """Whether each index is a loop's variable, moved or not, or the same in every turn."""
        values = index_values(event.target.slice, self.scope)
        return all(value.loop is not None or not value.deps for value in values)

    def _define(self, event: Define) -> None:
        if event.name in self.scope.values:
            return  # a running value that is written already
        value = truth(event.node, self.scope) if _is_test(event.node) else vectorise(event.node, self.scope)
        if _is_test(event.node):
            self.scope.conditions.add(event.name)
        code = value.code
        code = self.nest.kept(code)
        if isinstance(event.node, ast.Constant | ast.Name) or (code.isidentifier() and value.deps):
            self.scope.values[event.name] = value
            return
        self.lines.append(f"{event.name} = {code}")
        self.scope.values[event.name] = Value(event.name, value.deps, value.depth if value.deps else 0, value.rank)

    def _sum(self, event: Sum, loops: Sequence[Turn]) -> None:
        loop = self.scope.loops[loops[-1].name]
        self.nest.reduced = True
        if event.how == "sum" and (product := contracted(event.node, self.scope, loop)) is not None:
            total = product
        else:
            value = scans.spread(vectorise(event.node, self.scope), loop, self.scope)
            first = None if event.how in scans.ACCUMULATED else vectorise(event.first, self.scope)
            total = scans.reduced(event.how, value, first, loop)
        self.lines.append(f"{event.name} = {total.code}")
        self.scope.values[event.name] = value_like(total, event.name)

    def _solve(self, turn: Turn, pending: list[Event], carried: dict[str, Carried], loops: Sequence[Turn]) -> bool:
        """Write the running values of a carried name that other statements of the loop read."""
        names = {name for event in pending for name in names_defined(event)}
        known = {name for event in turn.events for name in names_defined(event)} - names
        known |= {one.start for one in turn.carried.values()} - {one.start for one in carried.values()}
        for key, one in carried.items():
            found = self._ready_recurrence(turn, one, known, pending, loops)
            if found is None:
                continue
            value = running(self.nest, found, one, self.scope.loops[turn.name])
            if value is None:
                continue
            self._bind(one, value)
            rest = [event for event in pending if not (isinstance(event, Define) and event.name == one.end)]
            self._drop_unused(turn, pending, one, rest)
            used = self._used(turn, pending)
            others = {other.end for other in carried.values()}
            if one.start in used | others:
                array = one.name[1:-1] if isinstance(one.first, ast.Subscript) and one.name.startswith("<") else ""
                first = vectorise(one.first, self.scope)
                before = scans.before_each(one.end, value_like(value, one.end), first, array)
                self.lines.append(f"{one.start} = {before.code}")
                self.scope.values[one.start] = value_like(before, one.start)
                if one.start.startswith("going"):
                    self.scope.conditions.add(one.start)
            del carried[key]
            self._after(one, value, loops)
            return True
        return False

    def _used(self, turn: Turn, pending: list[Event]) -> set[str]:
        events = [*pending, *self.aside[turn.name]]
        return {name for event in events for node in nodes_of(event) for name in names_in(node)}

    def _drop_unused(self, turn: Turn, pending: list[Event], one: Carried, rest: list[Event]) -> None:
        """Drop the statements that the running value stands for, where nothing else reads what they set."""
        bound = dependent(turn, one.start)
        pending[:] = rest
        while True:
            used = self._used(turn, pending)
            used |= {other.end for other in turn.carried.values() if other is not one}
            dead = [
                event
                for event in pending
                if isinstance(event, Define) and event.name in bound and event.name not in used
            ]
            if not dead:
                return
            pending[:] = [event for event in pending if event not in dead]

    def _ready_recurrence(
        self, turn: Turn, one: Carried, known: set[str], pending: list[Event], loops: Sequence[Turn]
    ) -> Recurrence | None:
        bound = dependent(turn, one.start)
        chained = [event for event in pending if isinstance(event, Define) and event.name in _made_of(turn, one, known)]
        others = [event for event in pending if event not in chained]
        if any(must_follow(event, other, loops, self.sizes)[0] for event in chained for other in others):
            return None
        if names_in(one.first) - {one.first.id if isinstance(one.first, ast.Name) else ""} & bound:
            return None
        return recurrence_of(turn, one, known)

    def _bind(self, one: Carried, value: Value) -> None:
        if value.code != one.end:
            self.lines.append(f"{one.end} = {self.nest.kept(value.code)}")
        self.scope.values[one.end] = value_like(value, one.end)
        if one.end.startswith("going"):
            self.scope.conditions.add(one.end)

    def _after(self, one: Carried, value: Value, loops: Sequence[Turn]) -> None:
        """Write what a running value is after the last turn, if that is used."""
        name = one.after if len(loops) > 1 else one.name
        if not name or (len(loops) == 1 and one.name not in self.wanted):
            return
        if value.depth > 1 or value.rank:
            raise NotRecognisedError(f"what the last turn leaves in {one.name} is used after the loop")
        if value_like(value, "").deps:
            self.lines.append(f"{name} = {one.end}[-1] if len({one.end}) else {ast.unparse(one.first)}")
        self.scope.values[name] = Value(name)

    def _finish(self, turn: Turn, one: Carried, loops: Sequence[Turn]) -> bool:
        """Write what is left in a carried name that nothing in the loop reads."""
        loop = self.scope.loops[loops[-1].name]
        name = one.after if len(loops) > 1 else one.name
        if len(loops) == 1 and one.name not in self.wanted:
            return True
        if isinstance(one.first, ast.Name) and one.first.id == one.name and one.name not in self.scope.ranks:
            raise NotRecognisedError(f"what {one.name} is where the loop has no turn is not known")
        known = {name for event in turn.events for name in names_defined(event)} | {
            other.start for other in turn.carried.values() if other is not one
        }
        found = recurrence_of(turn, one, known - dependent(turn, one.start))
        if found is None:
            return False
        self.nest.reduced = True
        total = left(self.nest, found, one, loop)
        self.lines.append(f"{name} = {total.code}")
        self.scope.values[name] = value_like(total, name)
        return True


def _made_of(turn: Turn, one: Carried, known: set[str]) -> set[str]:
    """Return the names that the end of a carried name is made of."""
    made = {event.name: event.node for event in turn.events if isinstance(event, Define)}
    found, todo = set(), [one.end]
    while todo:
        name = todo.pop()
        if name in made and name not in found and name not in known:
            found.add(name)
            todo += sorted(names_in(made[name]))
    return found


def _reads_one_place(turn: Turn, scope: Scope) -> bool:
    """Whether an element that is the same in every turn is read, as `kernel[0, 2]`: without one it may not be there."""
    changing = _variables(turn)
    for node in _nodes_in(turn):
        for part in ast.walk(node):
            if isinstance(part, ast.Subscript) and isinstance(part.value, ast.Name) and scope.ranks.get(part.value.id):
                sliced = any(isinstance(one, ast.Slice) for one in ast.walk(part.slice))
                if not sliced and not names_in(part.slice) & changing:
                    return True
    return False


def _nodes_in(turn: Turn) -> list[ast.expr]:
    """What the statements of a loop read, and of those in it; not what is read before a turn."""
    return [
        node for event in turn.events for node in (_nodes_in(event) if isinstance(event, Turn) else nodes_of(event))
    ]


def _variables(turn: Turn) -> set[str]:
    """The names of the loops and of all that is set in them."""
    inner = [event for event in turn.events if isinstance(event, Turn)]
    own = {turn.name, *(name for event in turn.events for name in names_defined(event))}
    own |= {one.start for one in turn.carried.values()}
    return own.union(*map(_variables, inner))


def _stores(turn: Turn) -> list[Store]:
    return [
        store
        for event in turn.events
        for store in ([event] if isinstance(event, Store) else _stores(event) if isinstance(event, Turn) else [])
    ]


def _is_test(node: ast.expr) -> bool:
    match node:
        case ast.Compare() | ast.BoolOp() | ast.UnaryOp(op=ast.Not()):
            return True
    return False

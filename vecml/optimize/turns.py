"""One turn of a loop as what it computes: names that are set once, writes with their conditions, loops inside it.

Every assignment gives a name of its own (static single assignment), and an `if` becomes a choice between values. So the
statements have no order but that of what they read: they can be taken one after the other for all turns at once.
"""

import ast
import copy
from dataclasses import dataclass, field

OLD = "what_is_there"  # in a value that is written: what is there already


@dataclass
class Define:
    """A name that is set once in a turn.

    Attributes:
        name: the name.
        node: its value.
        at: the number of its statement, counted over the whole nest.
        guarded: whether the statement runs in some turns only.
    """

    name: str
    node: ast.expr
    at: int
    guarded: bool = False


@dataclass
class Store:
    """A write of an element or a row.

    Attributes:
        array: the name of the array.
        target: what is written, its indices in single-assignment names.
        node: the value.
        guard: the condition under which it is written; None: in every turn.
        op: the operator of `target op= node`; None for `=`.
        at: the number of its statement.
        how: `maximum` or `minimum`, where the larger or smaller of node and element stays; empty without.
        keeps_nan: whether such an extreme hands on every NaN.
    """

    array: str
    target: ast.Subscript
    node: ast.expr
    guard: ast.expr | None
    op: ast.operator | None
    at: int
    how: str = ""
    keeps_nan: bool = False


@dataclass
class Append:
    """`name.append(node)`, under a condition or in every turn; `whole`: on an array, by `np.append` or its like."""

    name: str
    node: ast.expr
    guard: ast.expr | None
    at: int
    whole: bool = False


@dataclass
class Group:
    """`name[key] op= node` on a dictionary that is empty before the loop.

    Attributes:
        name: the dictionary's.
        key, node: the key and the value of a turn.
        how: `add`, `maximum`, `minimum`, or `last`: the last value of a key stays.
        first: what a key begins with, for `add`.
        guard: the condition; None: in every turn.
        at: the number of its statement.
    """

    name: str
    key: ast.expr
    node: ast.expr
    how: str
    first: ast.expr
    guard: ast.expr | None
    at: int


@dataclass
class Leave:
    """`return node` in the first turn whose guard holds."""

    node: ast.expr
    guard: ast.expr
    at: int


@dataclass
class Carried:
    """A name whose value goes from one turn to the next.

    Attributes:
        name: as the function calls it.
        start: its name at the start of a turn.
        end: its name at the end of a turn.
        first: its value before the first turn.
        after: the name of its value after the last turn, in the loop around; empty for the outermost loop.
    """

    name: str
    start: str
    end: str
    first: ast.expr
    after: str = ""


@dataclass
class Turn:
    """A loop and what one turn of it does.

    Attributes:
        loop: the loop's statement.
        name: of its variable, a whole number.
        start, stop, step: the range's ends and its step.
        events: in the order of the statements.
        carried: what goes from turn to turn, by the function's name for it.
        at: the number of its first statement.
    """

    loop: ast.For
    name: str
    start: ast.expr
    stop: ast.expr
    step: ast.expr
    events: list["Event"] = field(default_factory=list)
    carried: dict[str, Carried] = field(default_factory=dict)
    at: int = 0


@dataclass
class Sum:
    """The result of an inner loop that gathers, apart from what it began with: made of a name that it carries.

    Attributes:
        name: of the result, in the loop around.
        how: `sum`, `prod`, `max` or `min`.
        node: the value of a turn.
        first: what an extreme begins with.
        at: the number of its statement.
    """

    name: str
    how: str
    node: ast.expr
    first: ast.expr
    at: int


Event = Define | Store | Append | Group | Leave | Sum | Turn


def substitute(node: ast.expr, values: dict[str, ast.expr]) -> ast.expr:
    """Return a copy of the expression with names replaced by their values."""

    class _Replace(ast.NodeTransformer):
        def visit_Name(self, one: ast.Name) -> ast.expr:
            found = values.get(one.id) if isinstance(one.ctx, ast.Load) else None
            return one if found is None else copied(found)

    replaced: ast.expr = _Replace().visit(copied(node))
    return replaced


def copied(node: ast.expr) -> ast.expr:
    """Return a deep copy of an expression."""
    return copy.deepcopy(node)


def conjunction(*parts: ast.expr | None) -> ast.expr | None:
    """Join conditions by `and`; None stands for one that always holds."""
    given = [part for part in parts if part is not None]
    if not given:
        return None
    flat = [
        one
        for part in given
        for one in (part.values if isinstance(part, ast.BoolOp) and isinstance(part.op, ast.And) else [part])
    ]
    return flat[0] if len(flat) == 1 else ast.BoolOp(ast.And(), flat)


def without(test: ast.expr, name: str) -> ast.expr:
    """Return a condition without the part of it that is this name."""
    if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.And):
        rest = [part for part in test.values if not (isinstance(part, ast.Name) and part.id == name)]
        return conjunction(*rest) or ast.Constant(value=True)
    return ast.Constant(value=True) if isinstance(test, ast.Name) and test.id == name else test


def inverse(test: ast.expr) -> ast.expr:
    """Return the condition's negation."""
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        return test.operand
    return ast.UnaryOp(ast.Not(), test)


def nodes_of(event: Event) -> list[ast.expr]:
    """List the expressions that an event reads; for a loop, those of its range and of all that is in it."""
    match event:
        case Turn():
            inner = [node for one in event.events for node in nodes_of(one)]
            return [event.start, event.stop, event.step, *inner, *(one.first for one in event.carried.values())]
        case Store():
            base = event.target.slice
            return [base, event.node, *([event.guard] if event.guard is not None else [])]
        case Group():
            return [event.key, event.node, event.first, *([event.guard] if event.guard is not None else [])]
        case Append():
            return [event.node, *([event.guard] if event.guard is not None else [])]
        case Leave():
            return [event.node, event.guard]
        case Sum():
            return [event.node, event.first]
    return [event.node]


def names_defined(event: Event) -> set[str]:
    """Return the names that an event sets in the loop that it stands in."""
    match event:
        case Define() | Sum():
            return {event.name}
        case Turn():
            inner = {part.name for part in event.events if isinstance(part, Sum)}
            return {one.after for one in event.carried.values() if one.after} | inner
    return set()

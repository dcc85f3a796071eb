"""What is known on one side of a condition while a turn is read."""

import ast
from collections.abc import Callable
from dataclasses import dataclass, field

from vecml.optimize.syntax import names_in
from vecml.optimize.turns import OLD, conjunction, inverse, substitute

Define = Callable[[str, ast.expr], ast.expr]
Added = Callable[[ast.expr, ast.expr], ast.expr | None]
NEVER = ast.Constant(value=False)


@dataclass
class Branch:
    """The state of the reading on one side of a condition.

    Attributes:
        names: the value of each name that the nest sets.
        guard: the condition under which this is read, from the turn's start; None: always.
        pending: what is written to elements and not yet an event, by array and index.
        parent: the branch around it.
    """

    names: dict[str, ast.expr]
    guard: ast.expr | None = None
    pending: dict[tuple[str, str], tuple[ast.Subscript, ast.expr]] = field(default_factory=dict)
    parent: "Branch | None" = None

    def side(self, test: ast.expr) -> "Branch":
        """Return a branch that is read where `test` holds too."""
        return Branch(dict(self.names), conjunction(self.guard, test), parent=self)


def chain_of(branch: Branch) -> list[Branch]:
    """List a branch and those around it, from the inside out."""
    found = [branch]
    while found[-1].parent is not None:
        found.append(found[-1].parent)
    return found


def join(
    test: ast.expr, one: Branch, other: Branch, branch: Branch, define: Define, added: Added = lambda _one, _other: None
) -> None:
    """Leave in `branch` what is so after either side: a choice by the condition where the two differ.

    Args:
        test: the condition.
        one, other: where it holds, and where it does not.
        branch: around both.
        define: gives a value a name in the turn.
        added: what has been added to a value, of which a name is made; None where it is made otherwise.
    """
    for name in one.names.keys() | other.names.keys():
        first, second = one.names.get(name), other.names.get(name)
        if first is None or second is None:
            branch.names.pop(name, None)  # a loop's variable, of which nothing is known here
        elif first is second or ast.unparse(first) == ast.unparse(second):
            branch.names[name] = first
        elif (more := added(first, second)) is not None:
            branch.names[name] = define(name, ast.BinOp(second, ast.Add(), ast.IfExp(test, more, ast.Constant(0))))
        else:
            branch.names[name] = define(name, ast.IfExp(test, first, second))
    for key in [*one.pending, *(key for key in other.pending if key not in one.pending)]:
        target, _ = one.pending.get(key) or other.pending[key]
        before = branch.pending[key][1] if key in branch.pending else ast.Name(OLD, ast.Load())
        values = [side.pending[key][1] if key in side.pending else before for side in (one, other)]
        values = [substitute(value, {OLD: before}) for value in values]
        branch.pending[key] = target, ast.IfExp(test, *values)


def split(value: ast.expr) -> tuple[ast.expr | None, ast.expr | None]:
    """Split a value that may be what is there already: where it is another, and which (None: nowhere)."""
    if isinstance(value, ast.Name) and value.id == OLD:
        return NEVER, None
    if not isinstance(value, ast.IfExp) or OLD not in names_in(value):
        return None, value
    (first, one), (second, other) = split(value.body), split(value.orelse)
    if one is None:
        return conjunction(inverse(value.test), second), other
    if other is None:
        return conjunction(value.test, first), one
    node = ast.IfExp(value.test, one, other)
    if first is None and second is None:
        return None, node
    sides = [conjunction(value.test, first) or value.test, conjunction(inverse(value.test), second) or value.test]
    return ast.BoolOp(ast.Or(), sides), node


def breaks_in(body: list[ast.stmt]) -> bool:
    """Whether a `break` of this loop's own is among the statements."""
    for one in body:
        if isinstance(one, ast.Break):
            return True
        if isinstance(one, ast.If) and (breaks_in(one.body) or breaks_in(one.orelse)):
            return True
    return False

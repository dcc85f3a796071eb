"""A loop nest read as turns: what each turn computes, in names that are set once."""

import ast
import itertools
from collections.abc import Mapping

from vecml.optimize.branches import NEVER, Branch, breaks_in, chain_of, join, split
from vecml.optimize.grouping import group_of
from vecml.optimize.headers import header_of
from vecml.optimize.holding import with_elements_held
from vecml.optimize.syntax import index_parts, names_in, names_set_in, shorten
from vecml.optimize.turns import (
    OLD,
    Append,
    Carried,
    Define,
    Event,
    Leave,
    Store,
    Turn,
    conjunction,
    inverse,
    substitute,
    without,
)
from vecml.optimize.values import NotRecognisedError
from vecml.optimize.written_out import folded, named, written_out

ALIVE = "<alive>"
APPENDED = "<appended>"  # in place of an index: what a list gets at its end
MOST_INLINED = 5  # functions that call functions
MOST_WRITTEN_OUT = 64  # turns of loops over values that are written out, one in the other


class Reader:
    """Reads the loops of one function; the events of the loop that is read are in `events`."""

    def __init__(
        self,
        function: ast.FunctionDef,
        functions: Mapping[str, ast.FunctionDef | ast.Lambda],
        dicts: Mapping[str, ast.expr | None],
    ) -> None:
        """Take a function, the functions that it may call, and its empty dictionaries with what a key begins with."""
        self.functions = functions
        self.dicts = dicts
        self.firsts: dict[tuple[str, str], ast.expr] = {}
        self.conditions: set[str] = set()
        self.before: list[tuple[str, ast.expr]] = []
        self.events: list[Event] = []
        self._taken = names_in(function) | {part.arg for part in ast.walk(function) if isinstance(part, ast.arg)}
        self._used: set[str] = set()
        self.outside: set[str] = set()
        self.known_as: dict[str, str] = {}
        self._at = itertools.count()
        self._breaks: list[list[ast.expr]] = []
        self._returns: list[list[tuple[ast.expr | None, ast.expr]]] = []
        self._depth = 0
        self._within = False
        self._turns_out = 1
        self._made: dict[str, ast.expr] = {}
        self.active: list[Turn] = []
        self._variables: set[str] = set()

    def count(self) -> int:
        """Return the number of the next statement."""
        return next(self._at)

    def fresh(self, name: str) -> str:
        """Return a name like this one that is not used yet, and is none that has a value before the loop."""
        found, number = name, 1
        if found in self.outside:
            found = name = f"{name}_each"
        while found in self._used or (found in self._taken and number > 1) or found in self.outside:
            number += 1
            found = f"{name}_{number}"
        self._used.add(found)
        self.known_as[found] = self.known_as.get(name, name.removesuffix("_before").removesuffix("_each"))
        return found

    def read(self, loop: ast.For, outer: Branch) -> Turn:
        """Read a loop; `outer` holds the names of what is around it."""
        if loop.orelse:
            raise NotRecognisedError("it has an else")
        header = header_of(loop, self, outer)
        name = header.name
        if name in self._variables:
            raise NotRecognisedError(f"two of its loops call their variable {name}")
        self._variables.add(name)
        self._used.add(name)
        turn = Turn(loop, name, header.start, header.stop, header.step, at=next(self._at))
        self.active.append(turn)
        around, self.events = self.events, turn.events
        inner = Branch(dict(outer.names))
        inner.names.pop(header.name, None)
        assigned = sorted(names_set_in(loop.body))
        starts = {name: self.fresh(f"{name}_before") for name in assigned}
        inner.names |= {name: ast.Name(start, ast.Load()) for name, start in starts.items()}
        for name, node in header.elements:
            inner.names[name] = self.define(name, node)
        inner.names |= header.same
        leaves = breaks_in(loop.body)
        alive = self.fresh("going")
        if leaves:
            self.conditions.add(alive)
        self._breaks.append([])
        going = ast.Name(alive, ast.Load()) if leaves else None
        self._guarded(conjunction(outer.guard, header.guard, going), loop.body, inner)
        self.flush(inner)
        broken = self._breaks.pop()
        self._carry(turn, starts, inner, outer)
        if leaves:
            parts = [ast.Name(alive, ast.Load()), *(inverse(without(test, alive)) for test in broken)]
            end = self.define("going", conjunction(*parts) or NEVER)
            self.conditions.add(end.id)
            turn.carried[ALIVE] = Carried(ALIVE, alive, end.id, ast.Constant(value=True))
        self.events = around
        self.active.pop()
        for name in names_in(loop.target):
            outer.names.pop(name, None)
        return turn

    def _carry(self, turn: Turn, starts: dict[str, str], inner: Branch, outer: Branch) -> None:
        for name, start in starts.items():
            end = inner.names.get(name)
            if end is None or (isinstance(end, ast.Name) and end.id == start):
                continue  # an inner loop's variable, or what no statement that runs has set
            if not isinstance(end, ast.Name):
                end = self.define(name, end)
            first = outer.names.get(name, ast.Name(name, ast.Load()))
            turn.carried[name] = Carried(name, start, end.id, first, self.fresh(f"{name}_after"))
            outer.names[name] = ast.Name(turn.carried[name].after, ast.Load())

    def define(self, name: str, node: ast.expr) -> ast.Name:
        """Add a name for a value; a name needs none."""
        if isinstance(node, ast.Name):
            return node
        own = self.fresh(name)
        self._made[own] = node
        self.events.append(Define(own, node, next(self._at), self._within))
        return ast.Name(own, ast.Load())

    def resolve(self, node: ast.expr, branch: Branch) -> ast.expr:
        """Return the expression with the names that it reads replaced by what they are at this place."""
        self._flush_read(node, branch)
        found = self._inlined(substitute(node, branch.names), branch)
        return folded(found, self._variables) if self._turns_out > 1 else found

    def condition(self, node: ast.expr, branch: Branch) -> ast.expr:
        """Return a condition as a boolean in every turn, where Python would test a number for being 0."""
        match node:
            case ast.Constant(value=bool()):
                return node
            case ast.Compare():
                return self.resolve(node, branch)
            case ast.UnaryOp(op=ast.Not()):
                return inverse(self.condition(node.operand, branch))
            case ast.BoolOp():
                whole = ast.BoolOp(node.op, [self.condition(part, branch) for part in node.values])
                return folded(whole, self._variables) if self._turns_out > 1 else whole
            case ast.Call() if is_truth_call(node):
                return self.resolve(node, branch)
        value = self.resolve(node, branch)
        if isinstance(value, ast.Name) and value.id in self.conditions:
            return value
        if isinstance(value, ast.Compare | ast.BoolOp) or (
            isinstance(value, ast.Constant) and isinstance(value.value, bool)
        ):
            return value
        return ast.Compare(value, [ast.NotEq()], [ast.Constant(0)])

    def _guarded(self, test: ast.expr | None, body: list[ast.stmt], branch: Branch) -> ast.expr | None:
        """Read statements that run where `test` holds, and join what they leave; return where their end is come to."""
        if test is None:
            return self.block(body, branch)
        side = branch.side(test)
        live = self.block(body, side)
        join(test, side, Branch(dict(branch.names)), branch, self.define, self._added)
        return live

    def block(self, body: list[ast.stmt], branch: Branch) -> ast.expr | None:
        """Read statements; return the condition under which their end is come to: None always, `NEVER` never."""
        for number, statement in enumerate(body):
            live = self._statement(statement, branch)
            if live is NEVER:
                return NEVER
            if live is not None:
                rest = self._guarded(live, body[number + 1 :], branch)
                return NEVER if rest is NEVER else conjunction(live, rest)
        return None

    def _statement(self, statement: ast.stmt, branch: Branch) -> ast.expr | None:  # noqa: PLR0912 -- one branch a kind
        self._within = branch.guard is not None
        if (groups := group_of(statement, self, branch)) is not None:
            self.events += groups
            return None
        match statement:
            case ast.Pass() | ast.Expr(value=ast.Constant()):
                return None
            case ast.Continue():
                return NEVER
            case ast.Break():
                self._breaks[-1].append(branch.guard or ast.Constant(value=True))
                return NEVER
            case ast.Return(value=ast.expr() as value):
                return self._leave(value, branch)
            case ast.If():
                return self._if(statement, branch)
            case ast.For():
                if (values := written_out(statement.iter)) is not None:
                    self._written_out(statement, values, branch)
                else:
                    self._inner(statement, branch)
            case ast.Assign(targets=[target]):
                self._assign(target, statement.value, branch)
            case ast.Assign(targets=targets):
                value = self.resolve(statement.value, branch)
                value = value if isinstance(value, ast.Constant) else self.define("both", value)
                for one in targets:
                    self._set(one, value, branch)
            case ast.AnnAssign(target=target, value=ast.expr() as value):
                self._assign(target, value, branch)
            case ast.AugAssign():
                self._augment(statement, branch)
            case ast.Expr(value=ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr="append"), args=[value])):
                self._append(name, self.resolve(value, branch), branch)
            case ast.While():
                raise NotRecognisedError("a while loop in it ends when the data say so")
            case _:
                raise NotRecognisedError(f"`{shorten(statement)}` is none of the forms")
        return None

    def _append(self, name: str, value: ast.expr, branch: Branch) -> None:
        """Keep what a list gets in this turn until the turn's end: on each side of a condition it gets one thing."""
        if any((name, APPENDED) in one.pending for one in chain_of(branch)):
            raise NotRecognisedError(f"{name} grows more than once in a turn")
        place = ast.Subscript(ast.Name(name, ast.Load()), ast.Constant(APPENDED), ast.Store())
        branch.pending[name, APPENDED] = place, value

    def _leave(self, value: ast.expr, branch: Branch) -> ast.expr:
        resolved = self.resolve(value, branch)
        if self._returns:
            self._returns[-1].append((branch.guard, resolved))
        else:
            self.events.append(Leave(resolved, branch.guard or ast.Constant(value=True), next(self._at)))
        return NEVER

    def _if(self, statement: ast.If, branch: Branch) -> ast.expr | None:
        test = self.condition(statement.test, branch)
        if self._turns_out > 1 and isinstance(test, ast.Constant) and isinstance(test.value, bool):
            return self.block(statement.body if test.value else statement.orelse, branch)
        if not isinstance(test, ast.Name):
            test = self.define("holds", test)
            self.conditions.add(test.id)
        one, other = branch.side(test), branch.side(inverse(test))
        lives = self.block(statement.body, one), self.block(statement.orelse, other)
        join(test, one, other, branch, self.define, self._added)
        match lives:
            case (None, None):
                return None
            case (first, second) if first is NEVER and second is NEVER:
                return NEVER
            case (first, second) if first is NEVER:
                return conjunction(inverse(test), second)
            case (first, second) if second is NEVER:
                return conjunction(test, first)
        return ast.BoolOp(
            ast.Or(), [conjunction(test, lives[0]) or test, conjunction(inverse(test), lives[1]) or inverse(test)]
        )

    def _added(self, one: ast.expr, other: ast.expr) -> ast.expr | None:
        """Return what was added to `other` to make `one`, in turns that are read one by one: there, nothing doubles."""
        made = self._made.get(one.id) if isinstance(one, ast.Name) else None
        match made:
            case ast.BinOp(left=ast.Name(id=name), op=ast.Add(), right=more) if self._turns_out > 1:
                return more if isinstance(other, ast.Name) and other.id == name else None
        return None

    def _inner(self, loop: ast.For, branch: Branch) -> None:
        self.flush(branch)
        before, loop, after = with_elements_held(loop, self.fresh)
        for one in before:
            self._statement(one, branch)
        self.flush(branch)
        events = self.events
        events.append(self.read(loop, branch))
        for one in after:
            self._statement(one, branch)

    def _written_out(self, loop: ast.For, values: list[ast.expr], branch: Branch) -> None:
        """Read the turns of a loop over values that are written out one after the other, each with its own value."""
        self._turns_out *= max(1, len(values))
        if loop.orelse or breaks_in(loop.body) or self._turns_out > MOST_WRITTEN_OUT:
            raise NotRecognisedError(f"what {ast.unparse(loop.iter)} gives in each turn is not known")
        for value in values:
            for name, one in named(loop.target, value):
                branch.names[name] = one
            self.block(loop.body, branch)  # a `continue` in it leads to the next value
        self._turns_out //= max(1, len(values))
        for name in names_in(loop.target):
            branch.names.pop(name, None)

    def _assign(self, target: ast.expr, node: ast.expr, branch: Branch) -> None:
        if isinstance(target, ast.Tuple) and isinstance(node, ast.Tuple) and len(target.elts) == len(node.elts):
            values = [
                self.define(self._name_of(one), self.resolve(part, branch))
                if not isinstance(part, ast.Constant)
                else part
                for one, part in zip(target.elts, node.elts, strict=True)
            ]
            for one, value in zip(target.elts, values, strict=True):
                self._set(one, value, branch)
            return
        if isinstance(target, ast.Tuple):
            value = self.define("parts", self.resolve(node, branch))
            for number, one in enumerate(target.elts):
                self._set(one, ast.Subscript(value, ast.Constant(number), ast.Load()), branch)
            return
        waiting = self._waiting(target, node, branch)
        self._set(target, self.resolve(node, branch) if waiting is None else waiting, branch)

    def _waiting(self, target: ast.expr, node: ast.expr, branch: Branch) -> ast.expr | None:
        """Return what waits to be written to the element that is read, to be written to another of the same array.

        The array casts it as its own now as then, so that it needs not be read from there.
        """
        if not isinstance(target, ast.Subscript) or not isinstance(node, ast.Subscript):
            return None
        base, parts = index_parts(node)
        if ast.unparse(base) != ast.unparse(index_parts(target)[0]):
            return None
        if any(isinstance(part, ast.Slice) or names_in(part) & {key[0] for key in branch.pending} for part in parts):
            return None
        indices = [substitute(part, branch.names) for part in parts]
        index = indices[0] if len(indices) == 1 else ast.Tuple(indices, ast.Load())
        key = (ast.unparse(base), ast.unparse(index))
        if key not in branch.pending or OLD in names_in(branch.pending[key][1]):
            return None
        place, value = branch.pending[key]
        value = value if isinstance(value, ast.Constant) else self.define("value", value)
        branch.pending[key] = place, value
        return value

    def _name_of(self, target: ast.expr) -> str:
        return target.id if isinstance(target, ast.Name) else "value"

    def _set(self, target: ast.expr, value: ast.expr, branch: Branch) -> None:
        if isinstance(target, ast.Name):
            keep = isinstance(value, ast.Constant)
            branch.names[target.id] = value if keep else self.define(target.id, value)
        elif isinstance(target, ast.Subscript):
            place, array = self.place(target, branch)
            text = ast.unparse(place.slice)
            own = branch.guard is not None and any(
                array == key[0] and key[1] != text for one in chain_of(branch) for key in one.pending
            )
            if own or any(array == key[0] and key[1] != text for key in branch.pending):
                self.flush(branch, array)
            self._flush_readers(array, branch)
            branch.pending[array, text] = place, value
        else:
            raise NotRecognisedError(f"`{ast.unparse(target)} = ...` is none of the forms")

    def place(self, target: ast.Subscript, branch: Branch) -> tuple[ast.Subscript, str]:
        """Return the element that is written, its indices resolved, and the name of its array."""
        base, parts = index_parts(target)
        if not isinstance(base, ast.Name):
            raise NotRecognisedError(f"`{ast.unparse(target)} = ...` is none of the forms")
        indices = [self.resolve(part, branch) if not isinstance(part, ast.Slice) else part for part in parts]
        index = indices[0] if len(indices) == 1 else ast.Tuple(indices, ast.Load())
        return ast.Subscript(ast.Name(base.id, ast.Load()), index, ast.Store()), base.id

    def _augment(self, statement: ast.AugAssign, branch: Branch) -> None:
        target = statement.target
        if isinstance(target, ast.Name):
            whole = ast.BinOp(ast.Name(target.id, ast.Load()), statement.op, statement.value)
            self._set(target, self.resolve(whole, branch), branch)
            return
        if not isinstance(target, ast.Subscript):
            raise NotRecognisedError(f"`{shorten(statement)}` is none of the forms")
        place, array = self.place(target, branch)
        node = self.resolve(statement.value, branch)
        self.flush(branch, array)
        self._flush_readers(array, branch)
        self.events.append(Store(array, place, node, branch.guard, statement.op, next(self._at)))

    def _flush_read(self, node: ast.expr, branch: Branch) -> None:
        for name in names_in(node):
            if any(key[0] == name for one in chain_of(branch) for key in one.pending):
                self.flush(branch, name)

    def _flush_readers(self, array: str, branch: Branch) -> None:
        """Make events of the writes that wait and read an array that is about to be written."""
        waiting = [
            key[0]
            for one in chain_of(branch)
            for key, (_, value) in one.pending.items()
            if key[0] != array and array in names_in(value)
        ]
        for name in waiting:
            self.flush(branch, name)

    def flush(self, branch: Branch, array: str | None = None) -> None:
        """Make events of the writes that wait, of one array or of all, the outermost branch's first."""
        for one in reversed(chain_of(branch)):
            for key in [key for key in one.pending if array in (None, key[0])]:
                target, value = one.pending.pop(key)
                guard, written = split(value)
                if written is None:
                    continue
                whole = conjunction(one.guard, guard)
                if key[1] == APPENDED:
                    self.events.append(Append(key[0], written, whole, next(self._at)))
                    continue
                self.events.append(Store(key[0], target, written, whole, None, next(self._at)))

    def _inlined(self, node: ast.expr, branch: Branch) -> ast.expr:
        """Replace calls of the file's own functions by what they return."""
        reader = self

        class _Inline(ast.NodeTransformer):
            def visit_Call(self, call: ast.Call) -> ast.expr:
                self.generic_visit(call)
                if isinstance(call.func, ast.Name) and call.func.id in reader.functions:
                    return reader.inline(reader.functions[call.func.id], call, branch)
                return call

        if not any(
            isinstance(part, ast.Call) and isinstance(part.func, ast.Name) and part.func.id in self.functions
            for part in ast.walk(node)
        ):
            return node
        found: ast.expr = _Inline().visit(node)
        return found

    def inline(self, function: ast.FunctionDef | ast.Lambda, call: ast.Call, branch: Branch) -> ast.expr:
        """Return what a function gives for these arguments, as an expression over all of its returns."""
        names = [one.arg for one in function.args.args]
        by_name = [one.arg for one in function.args.kwonlyargs]
        plain = not (function.args.vararg or function.args.kwarg or function.args.posonlyargs)
        if not plain or self._depth >= MOST_INLINED:
            raise NotRecognisedError(f"what {ast.unparse(call.func)}() does in each turn is not known")
        given = dict(zip(names, call.args, strict=False))
        given |= {one.arg: one.value for one in call.keywords if one.arg}
        defaults = dict(zip(names[len(names) - len(function.args.defaults) :], function.args.defaults, strict=True))
        pairs = zip(by_name, function.args.kw_defaults, strict=True)
        defaults |= {name: default for name, default in pairs if default is not None}
        lacking = {*names, *by_name} - {*given, *defaults}
        if lacking or given.keys() - {*names, *by_name} or len(call.args) > len(names):
            raise NotRecognisedError(f"what {ast.unparse(call.func)}() does in each turn is not known")
        values = {name: self._argument(name, given.get(name) or defaults[name]) for name in (*names, *by_name)}
        own = Branch(values, branch.guard)
        if isinstance(function, ast.Lambda):
            return self.resolve(function.body, own)
        if any(isinstance(part, ast.For | ast.While | ast.Global | ast.Nonlocal) for part in ast.walk(function)):
            raise NotRecognisedError(f"what {ast.unparse(call.func)}() does in each turn is not known")
        own.guard = None
        self._returns.append([])
        self._depth += 1
        try:
            live = self.block(function.body, own)
        finally:
            self._depth -= 1
            returns = self._returns.pop()
        if live is not NEVER or not returns or own.pending:
            raise NotRecognisedError(f"what {ast.unparse(call.func)}() returns is not known in every case")
        value: ast.expr = returns[-1][1]
        for guard, one in reversed(returns[:-1]):
            value = ast.IfExp(guard or ast.Constant(value=True), one, value)
        return value

    def _argument(self, name: str, node: ast.expr) -> ast.expr:
        return node if isinstance(node, ast.Constant) else self.define(name, node)


def is_truth_call(node: ast.Call) -> bool:
    """Whether the call gives a boolean: `np.isnan(x)`, `math.isfinite(x)`."""
    return ast.unparse(node.func).rpartition(".")[2] in ("isnan", "isinf", "isfinite", "any", "all", "isclose")

"""A loop nest read statement by statement, each rewritten for all turns at once; or the reason why that cannot be."""

import ast
from collections.abc import Sequence
from typing import Literal

from vecml.optimize.expressions import index_values, negated, shown_index, subscript, truth, vectorised
from vecml.optimize.values import Loop, NotRecognisedError, Scope, Value, combined, made

Form = Literal["map", "reduce", "masked update", "outer"]
SUMS: dict[type[ast.operator], tuple[str, str]] = {
    ast.Add: ("np.sum", "+"),
    ast.Sub: ("np.sum", "-"),
    ast.Mult: ("np.prod", "*"),
}
EXTREMES = {"max": ("np.max", "np.fmax"), "min": ("np.min", "np.fmin")}


class LoopBody:
    """One loop of a function, with those inside it.

    Args:
        function: that it stands in.
        loop: a for loop.
        ranks: axes of the names that are set before it.
    """

    def __init__(self, function: ast.FunctionDef, loop: ast.For, ranks: dict[str, int]) -> None:
        self._function = function
        self._loop = loop
        self._scope = Scope(ranks)
        self._loops: list[Loop] = []
        self._entered: list[ast.For] = []  # the loops that it is in now
        self._gathered: dict[tuple[str, int], str] = {}  # with what a name is gathered over a loop
        self._lines: list[str] = []
        self._conditions: set[str] = set()
        self._initial: dict[str, str] = {}
        self._masked = self._reduced = self._pairwise = False

    @property
    def form(self) -> Form:
        """Which of the four it is, once it is rewritten."""
        if self._pairwise:
            return "outer"
        if self._masked:
            return "masked update"
        return "reduce" if self._reduced else "map"

    def rewrite(self) -> list[str]:
        """The statements that stand for the loop; raises NotRecognisedError with the reason."""
        self._refuse_names_that_outlive()
        for name, index in _stores(self._loop):
            if self._scope.stored.setdefault(name, index) != index:
                raise NotRecognisedError(f"{name} is written at [{self._scope.stored[name]}] and at [{index}]")
        self._for(self._loop, None)
        named = {name for line in self._lines for name in _names(ast.parse(line))}
        ranges = [f"{loop.name} = {loop.arange}" for loop in self._loops if loop.name in named]
        return [*ranges, *self._lines]

    def _refuse_names_that_outlive(self) -> None:
        names = _set_in([self._loop])
        sums = {name for name in names if _is_accumulator(name, self._loop)}
        nested = self._loop not in self._function.body
        for name in sorted(names - sums):
            if _outlives(name, self._function, self._loop, nested=nested):
                raise NotRecognisedError(f"what the last turn leaves in {name} is used after the loop")

    def _for(self, loop: ast.For, mask: Value | None) -> None:
        if loop.orelse:
            raise NotRecognisedError("it has an else")
        scope = self._scope
        names = _set_in(loop.body)
        outside = dict(scope.values)
        carried = set(scope.carried)
        scope.carried |= names
        self._head(loop)
        self._entered.append(loop)
        self._block(loop.body, mask)
        self._entered.pop()
        depth = scope.depth
        scope.loops.popitem()
        scope.carried = carried
        for name in list(scope.values):
            value = scope.values[name]
            if name not in outside or (value.depth >= depth and value != outside[name]):
                del scope.values[name]
                scope.carried.add(name)
        scope.carried |= {name for name in names if name not in scope.values and depth > 1}

    def _head(self, loop: ast.For) -> None:
        """Set the loop's variables."""
        scope, target, over = self._scope, loop.target, loop.iter
        call = ast.unparse(over.func) if isinstance(over, ast.Call) else None
        depth = scope.depth + 1
        if isinstance(over, ast.Call) and call == "range" and isinstance(target, ast.Name) and not over.keywords:
            bounds = [self._invariant(part) for part in over.args]
            start, stop = ("0", bounds[0]) if len(bounds) == 1 else (bounds[0], bounds[1])
            sizes = [_is_size(part, self._function) for part in over.args]
            counts_up = (len(bounds) == 1 or sizes[0]) and (len(bounds) < 3 or sizes[2])
            step = bounds[2] if len(bounds) == 3 else "1"
            self._enter(Loop(target.id, depth, start, stop, step, counts_up, sizes[0 if len(bounds) == 1 else 1]))
            return
        if isinstance(over, ast.Call) and call == "enumerate" and isinstance(target, ast.Tuple) and len(over.args) == 1:
            index, element = target.elts
            if isinstance(index, ast.Name) and isinstance(element, ast.Name):
                array = self._array(over.args[0])
                self._enter(Loop(index.id, depth, "0", f"len({array})"))
                self._element(element.id, array, index.id)
                return
        if isinstance(over, ast.Call) and call == "zip" and isinstance(target, ast.Tuple) and not over.keywords:
            arrays = [self._array(part) for part in over.args]
            shortest = f"min({', '.join(f'len({array})' for array in arrays)})"
            names = [part.id for part in target.elts if isinstance(part, ast.Name)]
            if len(names) == len(arrays):
                index_name = f"{names[0]}_at"
                self._enter(Loop(index_name, depth, "0", shortest))
                for name, array in zip(names, arrays, strict=True):
                    self._element(name, array, index_name)
                return
        if isinstance(over, ast.Name) and isinstance(target, ast.Name):
            array = self._array(over)
            self._enter(Loop(f"{target.id}_at", depth, "0", f"len({array})"))
            self._element(target.id, array, f"{target.id}_at")
            return
        raise NotRecognisedError(f"what {ast.unparse(over)} gives in each turn is not known")

    def _invariant(self, node: ast.expr) -> str:
        value = vectorised(node, self._scope)
        if value.deps:
            raise NotRecognisedError(f"the inner loop's range depends on {', '.join(sorted(value.deps))}")
        return value.code

    def _array(self, node: ast.expr) -> str:
        if not isinstance(node, ast.Name):
            raise NotRecognisedError(f"what {ast.unparse(node)} gives in each turn is not known")
        value = vectorised(node, self._scope)
        if value.deps or not value.rank:
            raise NotRecognisedError(f"how many axes {node.id} has is not known")
        return value.code

    def _enter(self, loop: Loop) -> None:
        if loop.name in self._scope.loops or any(one.name == loop.name and one != loop for one in self._loops):
            raise NotRecognisedError(f"two of its loops call their variable {loop.name}")
        if loop not in self._loops:
            self._loops.append(loop)
        self._scope.carried.discard(loop.name)
        self._scope.loops[loop.name] = loop
        self._scope.values[loop.name] = Value(loop.name, frozenset({loop.name}), loop.depth, 0, loop.name)

    def _element(self, name: str, array: str, index: str) -> None:
        found = subscript(array, [self._scope.values[index]], self._scope)
        self._scope.carried.discard(name)
        self._scope.values[name] = made(found, found.code, self._scope.ranks[array] - 1)

    def _block(self, body: list[ast.stmt], mask: Value | None) -> None:  # noqa: PLR0912 -- one branch a kind of statement
        for number, statement in enumerate(body):
            match statement:
                case ast.If(test=test, body=[ast.Continue()], orelse=[]):
                    after = body[number + 1 :]
                    self._block(after, self._and(mask, negated(self._condition(test, after))))
                    self._masked = True
                    return
                case ast.If():
                    self._if(statement, mask)
                case ast.For():
                    self._for(statement, mask)
                case ast.Assign(targets=[target]):
                    self._assign(target, statement.value, mask)
                case ast.AnnAssign(target=target, value=ast.expr() as value):
                    self._assign(target, value, mask)
                case ast.AugAssign():
                    self._augment(statement, mask)
                case ast.Expr(value=ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr="append"), args=[value])):
                    self._append(name, value, mask)
                case ast.Pass():
                    pass
                case ast.Expr(value=ast.Constant()):
                    pass
                case ast.Break() | ast.Return():
                    raise NotRecognisedError("it is left early, at a turn that the data decide")
                case ast.While():
                    raise NotRecognisedError("a while loop in it ends when the data say so")
                case _:
                    raise NotRecognisedError(f"`{_first_line(statement)}` is none of the forms")

    def _if(self, statement: ast.If, mask: Value | None) -> None:
        if any(isinstance(part, ast.Break | ast.Return) for part in ast.walk(statement)):
            raise NotRecognisedError("it is left early, at a turn that the data decide")
        if self._extreme_by_if(statement, mask):
            return
        self._masked = True
        test = self._condition(statement.test, [*statement.body, *statement.orelse])
        self._branch(statement.body, self._and(mask, test))
        if statement.orelse:
            self._branch(statement.orelse, self._and(mask, negated(test)))

    def _condition(self, node: ast.expr, body: list[ast.stmt]) -> Value:
        """A test of what `body` does; by a name of its own where that writes what the test reads."""
        test = truth(node, self._scope)
        if not _names(node) & _written_in(body):
            return test
        name, number = "holds", 1
        while name in self._conditions | _names(self._function):
            number += 1
            name = f"holds_{number}"
        self._conditions.add(name)
        self._lines.append(f"{name} = {test.code}")
        return made(test, name)

    def _branch(self, body: list[ast.stmt], mask: Value) -> None:
        """A branch's statements; a name that only it sets is known in it only, and holds all turns' values there."""
        before = set(self._scope.values)
        self._block(body, mask)
        for name in set(self._scope.values) - before:
            del self._scope.values[name]
            self._scope.carried.add(name)

    def _extreme_by_if(self, statement: ast.If, mask: Value | None) -> bool:
        """`if value > best: best = value`."""
        match statement:
            case ast.If(
                test=ast.Compare(left=left, ops=[ast.Gt() | ast.Lt() as op], comparators=[ast.Name(id=name)]),
                body=[ast.Assign(targets=[ast.Name(id=stored)], value=value)],
                orelse=[],
            ) if name == stored and name in self._scope.carried and ast.unparse(left) == ast.unparse(value):
                self._extreme(name, "max" if isinstance(op, ast.Gt) else "min", value, mask)
                return True
        return False

    def _and(self, mask: Value | None, test: Value) -> Value:
        if mask is None:
            return test
        codes, layout = combined([mask, test])
        return made(layout, " & ".join(codes))

    def _assign(self, target: ast.expr, node: ast.expr, mask: Value | None) -> None:
        if isinstance(target, ast.Subscript):
            self._store(target, node, mask)
            return
        if isinstance(target, ast.Tuple) and isinstance(node, ast.Tuple) and len(target.elts) == len(node.elts):
            names = {part.id for part in target.elts if isinstance(part, ast.Name)}
            read = {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}
            if names & read:
                raise NotRecognisedError(f"{', '.join(sorted(names & read))} is carried from one turn to the next")
            written: set[str] = set()
            for one, part in zip(target.elts, node.elts, strict=True):
                if found := sorted(written & _names(part)):  # Python reads all of the right side first
                    raise NotRecognisedError(f"{', '.join(found)} is read in the statement that writes it: an exchange")
                self._assign(one, part, mask)
                written |= _written_in([one])
            return
        if not isinstance(target, ast.Name):
            raise NotRecognisedError(f"`{ast.unparse(target)} = ...` is none of the forms")
        name = target.id
        if name in self._scope.carried and self._accumulates(name, node, mask):
            return
        value = vectorised(node, self._scope)
        if isinstance(node, ast.Subscript) and not value.rank and _names(node) & set(self._scope.stored):
            value = made(value, f"np.copy({value.code})")  # a number, which stays when its place is written
        if mask is not None:
            if name not in self._scope.values:
                self._set(name, value)
                return
            if name in self._scope.carried:
                raise NotRecognisedError(f"{name} keeps an earlier turn's value where the condition does not hold")
            codes, layout = combined([mask, value, self._scope.values[name]])
            value = made(layout, f"np.where({', '.join(codes)})")
        self._set(name, value)

    def _set(self, name: str, value: Value) -> None:
        """A temporary: one array for all turns."""
        self._lines.append(f"{name} = {value.code}")
        depth = value.depth if value.deps else self._scope.depth
        self._initial.pop(name, None)
        if not value.deps and not value.rank:
            self._initial[name] = value.code
        self._scope.values[name] = Value(name, value.deps, depth, value.rank)
        self._scope.carried.discard(name)

    def _accumulates(self, name: str, node: ast.expr, mask: Value | None) -> bool:
        """`s = s + value`, `s = max(s, value)`."""
        match node:
            case ast.BinOp(left=ast.Name(id=left), op=op, right=right) if left == name and type(op) in SUMS:
                self._accumulate(name, op, right, mask)
                return True
            case ast.Call(func=ast.Name(id=function), args=[ast.Name(id=one), other], keywords=[]) if (
                function in EXTREMES and one == name
            ):
                self._extreme(name, function, other, mask)
                return True
            case ast.Call(func=ast.Name(id=function), args=[_, ast.Name(id=other)], keywords=[]) if (
                function in EXTREMES and other == name
            ):
                raise NotRecognisedError(
                    f"{name} begins again after a NaN in {function}(..., {name}); {function}({name}, ...) does not"
                )
        return False

    def _augment(self, statement: ast.AugAssign, mask: Value | None) -> None:
        target = statement.target
        if isinstance(target, ast.Subscript):
            self._store_added(target, statement.op, statement.value, mask)
        elif isinstance(target, ast.Name) and target.id in self._scope.carried:
            self._accumulate(target.id, statement.op, statement.value, mask)
        elif isinstance(target, ast.Name):
            node = ast.BinOp(ast.Name(target.id, ast.Load()), statement.op, statement.value)
            self._assign(target, ast.fix_missing_locations(ast.copy_location(node, statement)), mask)
        else:
            raise NotRecognisedError(f"`{_first_line(statement)}` is none of the forms")

    def _accumulate(self, name: str, op: ast.operator, node: ast.expr, mask: Value | None) -> None:
        if type(op) not in SUMS:
            raise NotRecognisedError(f"{name} is carried from one turn of the loop to the next")
        function, sign = SUMS[type(op)]
        value = vectorised(node, self._scope)
        if mask is not None:
            codes, layout = combined([mask, value])
            value = made(layout, f"np.where({codes[0]}, {codes[1]}, {1 if function == 'np.prod' else 0})")
        outer, total = self._over_inner(name, value, function)
        self._gather_once(name, function, outer.depth if outer else 0)
        self._reduced = True
        start = self._initial.get(name)
        if outer and start in ("0", "0.0") and sign == "+":
            code = total.code
            self._drop(f"{name} = {start}", name)
        else:
            codes, layout = combined([outer or Value(name, rank=self._scope.ranks.get(name, 0)), total])
            code, total = f"{codes[0]} {sign} {codes[1]}", layout
        self._finish(name, made(total, code), outer)

    def _extreme(self, name: str, which: str, node: ast.expr, mask: Value | None) -> None:
        value = vectorised(node, self._scope)
        if mask is not None:
            raise NotRecognisedError(f"{name} is a {which} of some turns only")
        initial = self._initial.get(name, name)
        # A comparison with NaN is false, so a NaN is passed over, but one that it begins with stays.
        function, pairwise = EXTREMES[which]
        outer, total = self._over_inner(name, made(value, f"{pairwise}({value.code}, {initial})"), function, initial)
        self._gather_once(name, function, outer.depth if outer else 0)
        if outer is not None and name not in self._initial:
            raise NotRecognisedError(f"{name} begins with another value in every turn")
        self._reduced = True
        if outer is not None:
            self._drop(f"{name} = {initial}", name)
        self._finish(name, total, outer)

    def _gather_once(self, name: str, function: str, depth: int) -> None:
        """Two sums over a loop may follow each other; a sum and a product alternate in its turns."""
        if self._gathered.setdefault((name, id(self._entered[depth])), function) != function:
            raise NotRecognisedError(f"{name} is gathered in two ways, by turns")

    def _drop(self, line: str, name: str) -> None:
        """Take back a first value that nothing has read."""
        at = len(self._lines) - 1 - self._lines[::-1].index(line)
        if not any(
            name in {part.id for part in ast.walk(ast.parse(later)) if isinstance(part, ast.Name)}
            for later in self._lines[at + 1 :]
        ):
            del self._lines[at]

    def _over_inner(
        self, name: str, value: Value, function: str, initial: str | None = None
    ) -> tuple[Value | None, Value]:
        """What the name held before the loops that it is gathered over, if the nest set it, and the total."""
        outer = self._outer.get(name)
        depth = outer.depth if outer else 0
        reduced = [loop for loop in self._scope.loops.values() if loop.depth > depth]
        missing = [loop.name for loop in reduced if loop.name not in value.deps]
        if missing:
            raise NotRecognisedError(f"{name} gathers the same in every turn of {', '.join(missing)}")
        axes = [-value.rank - number - 1 for number in reversed(range(len(reduced)))]
        rest = value.deps - {loop.name for loop in reduced}
        code = value.at(self._scope.depth)
        first = "" if initial is None else f", initial={initial}"
        if not rest and not value.rank:
            return outer, Value(f"{function}({code}{first})", frozenset(), depth)
        axis = str(axes[0]) if len(axes) == 1 else str(tuple(axes))
        return outer, Value(f"{function}({code}, axis={axis}{first})", rest, depth, value.rank)

    @property
    def _outer(self) -> dict[str, Value]:
        """Values of names that were set in an outer turn of the nest, though the inner loops carry them."""
        return {name: value for name, value in self._scope.values.items() if name in self._scope.carried}

    def _finish(self, name: str, value: Value, outer: Value | None) -> None:
        self._lines.append(f"{name} = {value.code}")
        self._initial.pop(name, None)
        if outer is not None:
            self._scope.values[name] = Value(name, value.deps | outer.deps, outer.depth, value.rank)

    def _place(self, target: ast.Subscript) -> tuple[str, list[Value], int]:
        """The array that is written, its indices, and the axes that one element has."""
        base: ast.expr = target
        parts: list[ast.expr] = []
        while isinstance(base, ast.Subscript):
            parts = [*(base.slice.elts if isinstance(base.slice, ast.Tuple) else [base.slice]), *parts]
            base = base.value
        if not isinstance(base, ast.Name):
            raise NotRecognisedError(f"`{ast.unparse(target)} = ...` is none of the forms")
        rank = self._scope.ranks.get(base.id)
        if base.id in self._scope.values or rank is None:
            raise NotRecognisedError(f"how many axes {base.id} has is not known")
        index = parts[0] if len(parts) == 1 else ast.Tuple(parts, ast.Load())
        values = index_values(index, self._scope)
        return base.id, values, rank - len(values)

    def _store(self, target: ast.Subscript, node: ast.expr, mask: Value | None) -> None:
        name, values, rank = self._place(target)
        self._check_own_places(name, values, target)
        value = vectorised(node, self._scope)
        place = self._written(name, values)
        code = self._fitting(value, rank)
        if mask is None:
            self._lines.append(f"{place} = {code}")
        else:
            self._store_masked(name, place, code, self._fitting(mask, rank))
        self._pairwise |= len([one for one in values if one.deps]) > 1

    def _store_masked(self, name: str, place: str, code: str, kept: str) -> None:
        """Cast as an assignment casts; np.where(kept, code, place) would take what stays through another dtype."""
        if _is_view(place):
            self._lines.append(f"np.copyto({place}, {code}, where={kept}, casting='unsafe')")
        else:
            self._lines.append(f"{place} = np.where({kept}, np.asarray({code}).astype({name}.dtype), {place})")

    def _store_added(self, target: ast.Subscript, op: ast.operator, node: ast.expr, mask: Value | None) -> None:
        name, values, rank = self._place(target)
        value = vectorised(node, self._scope)
        sign = _sign(op)
        if any(one.deps and one.loop is None for one in values):
            self._scatter(name, values, rank, op, value, mask)
            return
        own = frozenset().union(*(one.deps for one in values))
        inner = [loop for loop in self._scope.loops.values() if loop.name not in own]
        if not inner:
            place, code = self._written(name, values), self._fitting(value, rank)
            if mask is None:
                self._lines.append(f"{place} {sign}= {code}")
            else:
                self._store_masked(name, place, f"{place} {sign} ({code})", self._fitting(mask, rank))
            self._pairwise |= len(own) > 1
            return
        if type(op) not in SUMS or any(loop.depth <= len(own) for loop in inner):
            raise NotRecognisedError(f"several turns write the same element of {name}")
        self._gather_once(name, SUMS[type(op)][0], len(own))
        self._refuse_reads(name, self._entered[len(own)])
        if mask is not None:
            codes, layout = combined([mask, value])
            value = made(layout, f"np.where({codes[0]}, {codes[1]}, {1 if isinstance(op, ast.Mult) else 0})")
        missing = [loop.name for loop in inner if loop.name not in value.deps]
        if missing:
            raise NotRecognisedError(f"{name} gathers the same in every turn of {', '.join(missing)}")
        axes = tuple(-value.rank - number - 1 for number in reversed(range(len(inner))))
        total = f"{SUMS[type(op)][0]}({value.at(self._scope.depth)}, axis={axes[0] if len(axes) == 1 else axes})"
        self._reduced, self._pairwise = True, True
        depth = len(own)
        if rank and value.rank < rank and value.deps - {loop.name for loop in inner}:
            total = f"({total})[..., {', '.join(['None'] * (rank - value.rank))}]"
        gathered = (
            subscript(name, values, self._scope).code if depth else f"{name}[{', '.join(v.code for v in values)}]"
        )
        self._lines.append(f"{gathered} {sign}= {total}")

    def _refuse_reads(self, name: str, loop: ast.For) -> None:
        """An array that a loop gathers in holds a part of it in each turn."""
        if _is_read(name, loop):
            raise NotRecognisedError(f"{name} is read in the loop that gathers in it: a loop-carried dependence")

    def _scatter(
        self, name: str, values: list[Value], rank: int, op: ast.operator, value: Value, mask: Value | None
    ) -> None:
        """`bins[k] += value`, where k depends on the data: a reduction by bins."""
        if not isinstance(op, ast.Add | ast.Sub) or value.rank > rank:
            raise NotRecognisedError(f"the place in {name} that is written depends on the data")
        self._refuse_reads(name, self._loop)
        depth = self._scope.depth
        reached = frozenset().union(*(one.deps for one in values))
        if len(reached) < depth:
            raise NotRecognisedError(f"several turns write the same element of {name}")
        codes = [one.at(depth) for one in values]
        code = self._fitting(value, rank)
        if mask is not None:
            shape = f"({codes[0]}).shape"
            kept = f"np.broadcast_to({mask.at(depth)}, {shape})" if depth > 1 else f"({mask.code})"
            if depth == 1 and not mask.deps:
                raise NotRecognisedError("its condition is the same in every turn")
            codes = [f"({one})[{kept}]" for one in codes] if len(codes) == 1 else codes
            if len(codes) > 1:
                raise NotRecognisedError(f"the place in {name} that is written depends on the data")
            code = f"({code})[{kept}]" if value.deps else code
        index = codes[0] if len(codes) == 1 else f"({', '.join(codes)})"
        self._reduced = True
        self._lines.append(f"np.{'add' if isinstance(op, ast.Add) else 'subtract'}.at({name}, {index}, {code})")

    def _check_own_places(self, name: str, values: list[Value], target: ast.Subscript) -> None:
        """Every turn writes an element of its own: each loop's variable is an index, or one with a constant added."""
        moved = [value for value in values if value.deps]
        if any(len(value.deps) > 1 for value in moved) or not all(
            _is_shift(part, self._scope) for part in _parts(target)
        ):
            raise NotRecognisedError(f"the place in {name} that is written depends on the data")
        reached = frozenset().union(*(value.deps for value in moved))
        if lacking := [loop for loop in self._scope.loops if loop not in reached]:
            raise NotRecognisedError(f"every turn of {', '.join(lacking)} writes the same element of {name}")

    def _written(self, name: str, values: list[Value]) -> str:
        return subscript(name, values, self._scope).code

    def _fitting(self, value: Value, rank: int) -> str:
        code = value.at(self._scope.depth)
        if value.deps and value.rank < rank:
            if value.rank:
                raise NotRecognisedError("it combines rows with tables of rows")
            code = f"({code})[..., {', '.join(['None'] * rank)}]"
        return code

    def _append(self, name: str, node: ast.expr, mask: Value | None) -> None:
        if self._scope.depth != 1 or not _is_empty_list(name, self._function, self._loop):
            raise NotRecognisedError(f"{name} grows by more than one loop")
        value = vectorised(node, self._scope)
        if not value.deps:
            raise NotRecognisedError(f"{name} gets the same in every turn")
        code = value.code
        if mask is not None:
            if not mask.deps:
                raise NotRecognisedError("its condition is the same in every turn")
            code = f"({code})[{mask.code}]"
        self._lines.append(f"{name} = {code if _only_as_array(name, self._function, self._loop) else f'list({code})'}")


def _set_in(body: list[ast.stmt]) -> set[str]:
    return {
        part.id
        for statement in body
        for part in ast.walk(statement)
        if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store)
    }


def _stores(loop: ast.For) -> list[tuple[str, str]]:
    """The arrays that the loop writes, with the index as text."""
    found = []
    for part in ast.walk(loop):
        targets = (
            part.targets if isinstance(part, ast.Assign) else [part.target] if isinstance(part, ast.AugAssign) else []
        )
        for target in targets:
            for one in target.elts if isinstance(target, ast.Tuple) else [target]:
                if isinstance(one, ast.Subscript):
                    base: ast.expr = one
                    while isinstance(base, ast.Subscript):
                        base = base.value
                    if isinstance(base, ast.Name):
                        found.append((base.id, shown_index(one.slice) if base is one.value else ast.unparse(one)))
    return found


def _outlives(name: str, function: ast.FunctionDef, loop: ast.For, *, nested: bool) -> bool:
    """Whether a value that the loop leaves in `name` may be read elsewhere; another loop that sets it first is none."""
    skipped = {id(part) for part in ast.walk(loop)}
    for other in ast.walk(function):
        if isinstance(other, ast.For) and id(other) not in skipped and loop not in list(ast.walk(other)):
            if _sets_first(name, other):
                skipped |= {id(part) for part in ast.walk(other)}
        elif isinstance(other, ast.comprehension) and name in _names(other.target):
            return True
    end = loop.end_lineno or loop.lineno
    return any(
        isinstance(part, ast.Name)
        and part.id == name
        and isinstance(part.ctx, ast.Load)
        and id(part) not in skipped
        and (nested or part.lineno > end)
        for part in ast.walk(function)
    )


def _sets_first(name: str, loop: ast.For) -> bool:
    if name in _names(loop.target):
        return name not in _names(loop.iter)
    found = [part for part in ast.walk(loop) if isinstance(part, ast.Name) and part.id == name]
    stores = [
        part
        for part in loop.body
        if isinstance(part, ast.Assign) and name in {one.id for one in part.targets if isinstance(one, ast.Name)}
    ]
    if not found or not stores:
        return False
    return name not in _names(stores[0].value) and stores[0].lineno == min(part.lineno for part in found)


def _is_size(node: ast.expr, function: ast.FunctionDef) -> bool:
    """Whether it is certainly a whole number from 0 up: a length, or made of lengths."""
    match node:
        case ast.Constant(value=int() as number):
            return number >= 0
        case ast.Call(func=ast.Name(id="len")) | ast.Attribute(attr="size" | "ndim"):
            return True
        case ast.Subscript(value=ast.Attribute(attr="shape")):
            return True
        case ast.BinOp(op=ast.Add() | ast.Mult()):
            return _is_size(node.left, function) and _is_size(node.right, function)
        case ast.BinOp(op=ast.FloorDiv(), left=left, right=ast.Constant(value=int() as number)):
            return number > 0 and _is_size(left, function)
        case ast.Name(id=name):
            return _is_size_name(name, function)
    return False


def _is_size_name(name: str, function: ast.FunctionDef) -> bool:
    """Whether all that the function puts in the name are lengths; an argument may be anything."""
    arguments = {part.arg for part in ast.walk(function.args) if isinstance(part, ast.arg)}
    written = [
        part
        for part in ast.walk(function)
        if isinstance(part, ast.Name) and part.id == name and not isinstance(part.ctx, ast.Load)
    ]
    sizes = 0
    for part in ast.walk(function):
        match part:
            case ast.Assign(targets=[ast.Name(id=one)], value=value) if one == name:
                sizes += name not in _names(value) and _is_size(value, function)
            case ast.Assign(targets=[ast.Tuple(elts=targets)], value=ast.Attribute(attr="shape")):
                sizes += name in [one.id for one in targets if isinstance(one, ast.Name)]
            case ast.Assign(targets=[ast.Tuple(elts=targets)], value=ast.Tuple(elts=values)) if len(targets) == len(
                values
            ):
                sizes += sum(
                    isinstance(one, ast.Name)
                    and one.id == name
                    and not _names(value) & {name}
                    and _is_size(value, function)
                    for one, value in zip(targets, values, strict=True)
                )
    return name not in arguments and 0 < len(written) == sizes


def _is_read(name: str, loop: ast.For) -> bool:
    """Whether the loop reads an array's values, not only its size, or through the place that it writes."""
    passed = {
        id(inner)
        for part in ast.walk(loop)
        if (isinstance(part, ast.Attribute) and part.attr in ("shape", "size", "ndim"))
        or (isinstance(part, ast.Call) and ast.unparse(part.func) == "len")
        for inner in ast.walk(part)
    }
    for part in ast.walk(loop):
        base: ast.expr | None = part if isinstance(part, ast.Subscript) and isinstance(part.ctx, ast.Store) else None
        while isinstance(base, ast.Subscript):
            base = base.value
        passed.add(id(base))
    return any(isinstance(part, ast.Name) and part.id == name and id(part) not in passed for part in ast.walk(loop))


def _written_in(body: Sequence[ast.AST]) -> set[str]:
    """Names that are set, and arrays that are written."""
    found = set()
    for statement in body:
        for part in ast.walk(statement):
            base: ast.AST = part
            if isinstance(part, ast.Name | ast.Subscript) and isinstance(part.ctx, ast.Store):
                while isinstance(base, ast.Subscript):
                    base = base.value
                found |= {base.id} if isinstance(base, ast.Name) else set()
    return found


def _is_view(place: str) -> bool:
    """Whether it takes slices of an array; by arrays of indices it would be a copy."""
    node = ast.parse(place, mode="eval").body
    parts = _elements(node.slice) if isinstance(node, ast.Subscript) else []
    return any(isinstance(part, ast.Slice) for part in parts)


def _elements(index: ast.expr) -> list[ast.expr]:
    return list(index.elts) if isinstance(index, ast.Tuple) else [index]


def _names(node: ast.AST) -> set[str]:
    return {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}


def _is_accumulator(name: str, loop: ast.For) -> bool:
    """Whether every assignment to the name in the loop adds to it, or takes the larger or the smaller."""
    for part in ast.walk(loop):
        if isinstance(part, ast.For) and name in {one.id for one in ast.walk(part.target) if isinstance(one, ast.Name)}:
            return False
        if isinstance(part, ast.Assign) and any(isinstance(one, ast.Name) and one.id == name for one in part.targets):
            read = {one.id for one in ast.walk(part.value) if isinstance(one, ast.Name)}
            if name not in read and not _is_guarded(name, part, loop):
                return False
        if isinstance(part, ast.Assign) and any(
            isinstance(one, ast.Tuple) and name in {sub.id for sub in ast.walk(one) if isinstance(sub, ast.Name)}
            for one in part.targets
        ):
            return False
    return True


def _is_guarded(name: str, statement: ast.Assign, loop: ast.For) -> bool:
    """`if value > best: best = value`."""
    for part in ast.walk(loop):
        if isinstance(part, ast.If) and part.body == [statement] and isinstance(part.test, ast.Compare):
            return any(isinstance(one, ast.Name) and one.id == name for one in part.test.comparators)
    return False


def _parts(target: ast.Subscript) -> list[ast.expr]:
    parts: list[ast.expr] = []
    base: ast.expr = target
    while isinstance(base, ast.Subscript):
        parts = [*(base.slice.elts if isinstance(base.slice, ast.Tuple) else [base.slice]), *parts]
        base = base.value
    return [part for part in parts if not isinstance(part, ast.Slice)]


def _is_shift(node: ast.expr, scope: Scope) -> bool:
    """A loop's variable, one with something added that does not change, or something that does not change."""
    if isinstance(node, ast.Name):
        value = scope.values.get(node.id)
        return value is None or not value.deps or value.loop is not None
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Sub):
        changing = [part for part in (node.left, node.right) if vectorised(part, scope).deps]
        right_negative = isinstance(node.op, ast.Sub) and node.right in changing
        return len(changing) <= 1 and not right_negative and all(_is_shift(part, scope) for part in changing)
    return not vectorised(node, scope).deps


def _is_empty_list(name: str, function: ast.FunctionDef, loop: ast.For) -> bool:
    """Whether it is an empty list when the loop begins: the last assignment before it, and nothing appended since."""
    before = [
        part
        for part in ast.walk(function)
        if isinstance(part, ast.Name | ast.Assign) and getattr(part, "lineno", 0) < loop.lineno
    ]
    assigned = [
        part
        for part in before
        if isinstance(part, ast.Assign) and any(isinstance(one, ast.Name) and one.id == name for one in part.targets)
    ]
    named = [part for part in before if isinstance(part, ast.Name) and part.id == name]
    return len(assigned) == 1 and len(named) == 1 and ast.unparse(assigned[0].value) in ("[]", "list()")


def _only_as_array(name: str, function: ast.FunctionDef, loop: ast.For) -> bool:
    """Whether an array is made of it whenever it is used after the loop."""
    wrapped = {
        id(part.args[0])
        for part in ast.walk(function)
        if isinstance(part, ast.Call) and ast.unparse(part.func) in ("np.array", "np.asarray") and part.args
    }
    later = [
        part
        for part in ast.walk(function)
        if isinstance(part, ast.Name) and part.id == name and part.lineno > (loop.end_lineno or loop.lineno)
    ]
    return bool(later) and all(id(part) in wrapped for part in later)


def _sign(op: ast.operator) -> str:
    return str(ast.unparse(ast.BinOp(ast.Name("a"), op, ast.Name("b"))))[1:-1].strip()


def _first_line(statement: ast.stmt) -> str:
    text = ast.unparse(statement).partition("\n")[0]
    return text if len(text) <= 40 else f"{text[:37]}..."

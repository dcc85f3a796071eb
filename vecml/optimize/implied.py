"""Loops that an expression implies: a comprehension, `map`, `np.vectorize`, `np.apply_along_axis`; as plain loops.

The function is written anew with the loop in front of the statement, so that one mechanism reads both.
"""

import ast
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from vecml.optimize.syntax import names_in, unused, written_in
from vecml.optimize.values import NotRecognisedError

Called = ast.FunctionDef | ast.Lambda
MARK = "for implied_turn in []: pass"


@dataclass(frozen=True)
class Implied:
    """A statement's loop, as one in front of it.

    Attributes:
        function: a copy of the function, with the loop in it.
        loop: the loop.
        rest: what follows it: the statement, which uses what the loop makes.
        first: statements in front of the loop that the new code needs too.
        functions: the functions that may be called, with those that had no name.
        needs: conditions under which alone it is the same.
        pandas: whether the new code needs pandas by the name `pd`.
        lists: statements that make empty lists, which the new code needs where it sets them under a condition only.
    """

    function: ast.FunctionDef
    loop: ast.For
    rest: tuple[ast.stmt, ...]
    first: tuple[str, ...]
    functions: dict[str, Called]
    needs: tuple[str, ...] = ()
    pandas: bool = False
    lists: tuple[str, ...] = ()


def implied_loop(
    function: ast.FunctionDef, statement: ast.stmt, ranks: Mapping[str, int], functions: Mapping[str, Called]
) -> Implied:
    """Return the loop that a statement implies; raises NotRecognisedError where there is none that is known.

    Args:
        function: the function that has the statement.
        statement: a comprehension, or a call that applies a function to each part.
        ranks: how many axes each name has, where that is known.
        functions: those that the statement may call.
    """
    taken = {part.id for part in ast.walk(function) if isinstance(part, ast.Name)}
    own = dict(functions)
    maker = _Maker(taken, ranks, own)
    replaced = maker.visit(ast.parse(ast.unparse(statement)).body[0])
    if maker.loop is None:
        kinds = ast.ListComp | ast.GeneratorExp | ast.DictComp
        comprehends = any(isinstance(part, kinds) for part in ast.walk(statement))
        raise NotRecognisedError(
            "it is a comprehension" if comprehends else "what it applies to each part is not known"
        )
    made = with_mark(function, statement, [*maker.first, maker.loop, ast.unparse(replaced)])
    loop = next(one for one in ast.walk(made) if isinstance(one, ast.For) and maker.variable in names_in(one.target))
    kept = tuple(line for line in maker.first if not line.endswith("= []"))
    lists = tuple(line for line in maker.first if line.endswith("= []"))
    return Implied(made, loop, (replaced,), kept, own, lists=lists)


def counted_loop(function: ast.FunctionDef, loop: ast.While) -> Implied | None:
    """Return `while i < n: ...; i += 1` as a loop over a range; None where the end is not certain before it begins."""
    match loop:
        case ast.While(
            test=ast.Compare(left=ast.Name(id=name), ops=[ast.Lt() | ast.LtE() as op], comparators=[bound]),
            body=[*body, ast.AugAssign(target=ast.Name(id=counted), op=ast.Add(), value=ast.Constant(value=1))],
            orelse=[],
        ) if name == counted and body and loop in function.body:
            changed = written_in(body) | {
                ast.unparse(part.func.value)
                for one in body
                for part in ast.walk(one)
                if isinstance(part, ast.Call) and isinstance(part.func, ast.Attribute)
            }
            ends = any(isinstance(part, ast.Continue | ast.Break) for one in body for part in ast.walk(one))
            if name in changed or names_in(bound) & changed or ends:
                return None
            end = ast.unparse(bound) if isinstance(op, ast.Lt) else f"{ast.unparse(bound)} + 1"
            turn = f"{name}_at"
            while turn in names_in(function):
                turn += "_"
            body = [_Rename(name, turn).visit(ast.parse(ast.unparse(one)).body[0]) for one in body]
            lines = [f"    {line}" for one in body for line in ast.unparse(one).split("\n")]
            text = "\n".join([f"for {turn} in range({_begun(function, loop, name)}, {end}):", *lines])
            later = f"{name} = max({name}, {end})"
            made = with_mark(function, loop, [text, later])
            whole = next(one for one in ast.walk(made) if isinstance(one, ast.For) and turn in names_in(one.target))
            return Implied(made, whole, (ast.parse(later).body[0],), (), {})
    return None


class _Rename(ast.NodeTransformer):
    def __init__(self, old: str, new: str) -> None:
        self.old, self.new = old, new

    def visit_Name(self, node: ast.Name) -> ast.Name:
        return ast.Name(self.new, node.ctx) if node.id == self.old else node


def _begun(function: ast.FunctionDef, loop: ast.While, name: str) -> str:
    """The number that a name holds when a loop begins, where the statement that set it last says it; else the name."""
    for part in reversed(function.body[: function.body.index(loop)]):
        if name in written_in([part]):
            match part:
                case ast.Assign(targets=[ast.Name()], value=ast.Constant(value=int() as number)):
                    return str(number)
            return name
    return name


def with_mark(function: ast.FunctionDef, statement: ast.stmt, lines: list[str]) -> ast.FunctionDef:
    """Return a copy of the function with other statements, given as text, in place of one."""
    mark = ast.parse(MARK).body[0]

    class _Mark(ast.NodeTransformer):
        def visit(self, node: ast.AST) -> ast.AST:
            return mark if node is statement else self._copied(node)

        def _copied(self, node: ast.AST) -> ast.AST:
            fields: dict[str, Any] = {}
            for name, value in ast.iter_fields(node):
                if isinstance(value, list):
                    fields[name] = [self.visit(one) if isinstance(one, ast.AST) else one for one in value]
                else:
                    fields[name] = self.visit(value) if isinstance(value, ast.AST) else value
            return type(node)(**fields)

    text = ast.unparse(ast.fix_missing_locations(_Mark().visit(function)))
    made = ast.parse(_put(text, lines)).body[0]
    if not isinstance(made, ast.FunctionDef):
        raise NotRecognisedError("it is a comprehension")
    return made


def _put(text: str, lines: list[str]) -> str:
    """Put the lines in place of the mark, indented as it is."""
    out: list[str] = []
    rows = iter(text.split("\n"))
    for row in rows:
        if row.strip() == MARK.partition(":")[0] + ":":
            indent = row[: len(row) - len(row.lstrip())]
            out += [f"{indent}{one}" for line in lines for one in line.split("\n")]
            next(rows)
        else:
            out.append(row)
    return "\n".join(out)


class _Maker(ast.NodeTransformer):
    """Replaces the first loop that an expression implies by the name of what a plain loop makes."""

    def __init__(self, taken: set[str], ranks: Mapping[str, int], functions: dict[str, Called]) -> None:
        self.loop: str | None = None
        self.first: list[str] = []
        self.variable = ""
        self.taken = taken
        self.ranks = ranks
        self.functions = functions

    def fresh(self, name: str) -> str:
        return unused(name, self.taken)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        if self.loop is not None:
            return node
        called = ast.unparse(node.func)
        match node:
            case ast.Call(func=ast.Name(id="sum"), args=[ast.GeneratorExp() | ast.ListComp() as inside], keywords=[]):
                return self._gathered(inside, "total", "0", lambda name, part: f"{name} += {part}")
            case ast.Call(func=ast.Name(id="any"), args=[ast.GeneratorExp() | ast.ListComp() as inside]):
                return self._gathered(inside, "found", "False", lambda name, part: f"if {part}: {name} = True")
            case ast.Call(func=ast.Name(id="all"), args=[ast.GeneratorExp() | ast.ListComp() as inside]):
                return self._gathered(inside, "every", "True", lambda name, part: f"if not ({part}): {name} = False")
            case ast.Call(func=ast.Name(id="map"), args=[ast.Name() | ast.Lambda() as function, *arrays]):
                return self._mapped(function, arrays)
            case ast.Call(func=ast.Name(id="list"), args=[ast.Call(func=ast.Name(id="map"))]):
                inner: ast.AST = self.visit(node.args[0])
                return inner
            case ast.Call(func=ast.Call(func=made, args=[ast.Name() | ast.Lambda() as function]), keywords=[]) if (
                ast.unparse(made) == "np.vectorize"
            ):
                return self._vectorized(function, node.args)
            case ast.Call(args=[ast.Name() | ast.Lambda() as function, axis, array], keywords=[]) if (
                called == "np.apply_along_axis"
            ):
                return self._along(function, axis, array)
            case ast.Call(args=[ast.GeneratorExp() as inside, *rest]) if called == "np.fromiter":
                made_list = self._list(ast.ListComp(inside.elt, inside.generators))
                keywords = [*node.keywords, *(ast.keyword("dtype", one) for one in rest[:1])]
                return ast.Call(_numpy("array", made_list).func, [made_list], keywords)
        return self.generic_visit(node)

    def visit_ListComp(self, node: ast.ListComp) -> ast.AST:
        return node if self.loop is not None else self._list(node)

    def _list(self, node: ast.ListComp) -> ast.expr:
        if isinstance(node.elt, ast.ListComp):
            return self._table(node, node.elt)
        name = self.fresh("parts")
        self.first.append(f"{name} = []")
        self._loops(node, f"{name}.append({ast.unparse(node.elt)})")
        return ast.Name(name, ast.Load())

    def visit_GeneratorExp(self, node: ast.GeneratorExp) -> ast.AST:
        return node

    def visit_Lambda(self, node: ast.Lambda) -> ast.AST:
        return node

    def _table(self, node: ast.ListComp, row: ast.ListComp) -> ast.expr:
        """Make one list of a list of lists, and then its shape; each list has the same length in every turn."""
        both = [*node.generators, *row.generators]
        lengths = [_length(one.iter) for one in both]
        if (
            len(both) != 2
            or any(one.ifs for one in both)
            or names_in(row.generators[0].iter) & names_in(both[0].target)
        ):
            raise NotRecognisedError("it is a comprehension")
        name = self.fresh("parts")
        self.first.append(f"{name} = []")
        self._loops(ast.ListComp(row.elt, both), f"{name}.append({ast.unparse(row.elt)})")
        shape = f"({lengths[0]}, {lengths[1]}) if {lengths[0]} else 0"
        return ast.parse(f"np.reshape(np.array({name}), {shape})", mode="eval").body

    def _gathered(
        self, node: ast.GeneratorExp | ast.ListComp, name: str, start: str, step: Callable[[str, str], str]
    ) -> ast.AST:
        name = self.fresh(name)
        self.first.append(f"{name} = {start}")
        self._loops(node, step(name, ast.unparse(node.elt)))
        return ast.Name(name, ast.Load())

    def _loops(self, node: ast.ListComp | ast.GeneratorExp, body: str) -> None:
        lines = []
        depth = 0
        for one in node.generators:
            lines.append(f"{'    ' * depth}for {ast.unparse(one.target)} in {ast.unparse(one.iter)}:")
            depth += 1
            for test in one.ifs:
                lines.append(f"{'    ' * depth}if {ast.unparse(test)}:")
                depth += 1
        self.loop = "\n".join([*lines, f"{'    ' * depth}{body}"])
        self.variable = sorted(names_in(node.generators[0].target))[0]

    def _named(self, function: ast.expr) -> str:
        if isinstance(function, ast.Name):
            return function.id
        name = self.fresh("applied")
        if isinstance(function, ast.Lambda):
            self.functions[name] = function
        return name

    def _mapped(self, function: ast.expr, arrays: list[ast.expr]) -> ast.AST:
        name, called = self.fresh("parts"), self._named(function)
        over, values = self._over(arrays)
        self.first.append(f"{name} = []")
        self.loop = f"for {', '.join(values)} in {over}:\n    {name}.append({called}({', '.join(values)}))"
        self.variable = values[0]
        return ast.Name(name, ast.Load())

    def _over(self, arrays: list[ast.expr]) -> tuple[str, list[str]]:
        values = [self.fresh("one") for _ in arrays]
        texts = [ast.unparse(one) for one in arrays]
        return (texts[0] if len(texts) == 1 else f"zip({', '.join(texts)})"), values

    def _vectorized(self, function: ast.expr, arguments: list[ast.expr]) -> ast.AST:
        ranks = [self.ranks.get(ast.unparse(one)) for one in arguments]
        if None in ranks or not any(ranks) or len({rank for rank in ranks if rank}) != 1:
            raise NotRecognisedError("np.vectorize is over what is not known to be arrays of one shape")
        arrays = [one for one, rank in zip(arguments, ranks, strict=True) if rank]
        name, called = self.fresh("parts"), self._named(function)
        flat = [one if max(r for r in ranks if r is not None) == 1 else _numpy("ravel", one) for one in arrays]
        over, values = self._over(flat)
        given = iter(values)
        passed = [next(given) if rank else ast.unparse(one) for one, rank in zip(arguments, ranks, strict=True)]
        self.first.append(f"{name} = []")
        self.loop = f"for {', '.join(values)} in {over}:\n    {name}.append({called}({', '.join(passed)}))"
        self.variable = values[0]
        made: ast.expr = _numpy("array", ast.Name(name, ast.Load()))
        if _has_choice(self.functions.get(called)):  # np.vectorize takes the kind of the first result for all of them
            firsts = [
                f"np.ravel({ast.unparse(one)})[0]" if rank else ast.unparse(one)
                for one, rank in zip(arguments, ranks, strict=True)
            ]
            kind = f"np.asarray(({ast.unparse(function)})({', '.join(firsts)})).dtype.char"
            made = ast.parse(f"{ast.unparse(made)}.astype({kind})", mode="eval").body
        if max(r for r in ranks if r is not None) == 1:
            return made
        shape = ast.Attribute(arrays[0], "shape", ast.Load())
        return ast.Call(ast.Attribute(made, "reshape", ast.Load()), [shape], [])

    def _along(self, function: ast.expr, axis: ast.expr, array: ast.expr) -> ast.AST:
        if (
            not isinstance(array, ast.Name)
            or self.ranks.get(array.id) != 2
            or ast.unparse(axis) not in ("0", "1", "-1")
        ):
            raise NotRecognisedError("np.apply_along_axis is over what is not known to be a table")
        name, called, row = self.fresh("parts"), self._named(function), self.fresh("row")
        over = f"{array.id}.T" if ast.unparse(axis) == "0" else array.id
        self.first.append(f"{name} = []")
        self.loop = f"for {row} in {over}:\n    {name}.append({called}({row}))"
        self.variable = row
        return _numpy("array", ast.Name(name, ast.Load()))


def _has_choice(function: Called | None) -> bool:
    """Whether a function may give results of several kinds: it has a choice between them."""
    if function is None:
        return True
    return any(isinstance(part, ast.IfExp | ast.If | ast.BoolOp) for part in ast.walk(function))


def _length(node: ast.expr) -> str:
    match node:
        case ast.Name(id=name):
            return f"len({name})"
        case ast.Call(func=ast.Name(id="range"), args=[stop]):
            return f"len({ast.unparse(node)})" if not isinstance(stop, ast.Name) else f"max(0, {stop.id})"
    raise NotRecognisedError("it is a comprehension")


def _numpy(name: str, argument: ast.expr) -> ast.Call:
    return ast.Call(ast.Attribute(ast.Name("np", ast.Load()), name, ast.Load()), [argument], [])

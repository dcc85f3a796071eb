"""Loops over the rows of a table of pandas, as loops over arrays of its columns.

`iterrows`, `itertuples`, `df.index`, `range(len(df))` with `at`, `loc`, `iloc` and `iat`, and `apply(axis=1)` become
`range(len(df))` with an array for each column that is read or written; that loop is then rewritten as any other.
"""

import ast
from collections.abc import Mapping
from dataclasses import dataclass, field

from vecml.optimize.implied import Called, Implied, with_mark
from vecml.optimize.syntax import names_in, unused
from vecml.optimize.values import NotRecognisedError

NUMBERS = ("float", "int", "uint")
LABELS = ("at", "loc")
PLACES = ("iat", "iloc")


@dataclass
class Rows:
    """The rows that a loop goes through, as far as they are known.

    Attributes:
        table: the table's name.
        dtypes: of its columns, by their names.
        at: the name of a row's number.
        row: the name of a row as a Series or a tuple; empty without.
        label: the name of a row's label; empty without.
        common: the dtype that a row as a Series has, where all columns are numbers; empty where each keeps its own.
        taken: names that are in use.
        arrays: the arrays of columns, by the column's name.
        written: the columns that are written.
        needs: conditions under which alone labels are rows' numbers, or one row's.
        labels: the name of the array of labels, if it is read.
    """

    table: str
    dtypes: Mapping[str, str]
    at: str
    row: str = ""
    label: str = ""
    common: str = ""
    taken: set[str] = field(default_factory=set)
    arrays: dict[str, str] = field(default_factory=dict)
    written: set[str] = field(default_factory=set)
    needs: list[str] = field(default_factory=list)
    labels: str = ""

    def array(self, column: str) -> str:
        """Return the name of the column's array."""
        if column not in self.arrays:
            if column not in self.dtypes and column not in self.written:
                raise NotRecognisedError(f"{self.table} has no column {column!r} before the loop")
            self.arrays[column] = self.fresh(column if column.isidentifier() else "column")
        return self.arrays[column]

    def fresh(self, name: str) -> str:
        """Return a name like this one that is not used yet."""
        return unused(name, self.taken)

    def first(self) -> list[str]:
        """The statements that make the arrays."""
        lines = []
        for column, array in self.arrays.items():
            kind = f"np.{self.common}" if self.common and self.row else ""
            if column not in self.dtypes:
                lines.append(f"{array} = np.full(len({self.table}), np.nan)")
            elif column in self.written:
                lines.append(f"{array} = {self.table}[{column!r}].to_numpy(copy=True)")
            else:
                lines.append(f"{array} = {self.table}[{column!r}].to_numpy({kind})")
        if self.labels:
            lines.append(f"{self.labels} = {self.table}.index.to_numpy()")
        return lines

    def last(self) -> list[str]:
        """The statements that put written columns back."""
        return [f"{self.table}[{column!r}] = {self.arrays[column]}" for column in self.arrays if column in self.written]


def rows_loop(
    function: ast.FunctionDef,
    statement: ast.stmt,
    tables: Mapping[str, Mapping[str, str]],
    functions: Mapping[str, Called],
) -> Implied | None:
    """Return a loop over the rows of a table as one over arrays; None where the statement is no such loop.

    Args:
        function: contains the statement.
        statement: a loop, or a statement that applies a function to rows.
        tables: the tables by their names, with their columns' dtypes where the statement begins.
        functions: those that may be called.

    Raises:
        NotRecognisedError: it is such a loop, and cannot be rewritten; the text says why.
    """
    taken = {part.id for part in ast.walk(function) if isinstance(part, ast.Name)}
    taken |= {part.arg for part in ast.walk(function) if isinstance(part, ast.arg)}
    if isinstance(statement, ast.For):
        rows = _rows_of(statement, tables, taken)
        if rows is None:
            return None
        rows.taken |= {part.id for part in ast.walk(statement) if isinstance(part, ast.Name)}
        body = [_by_columns(part, rows) for part in ast.parse("\n".join(map(ast.unparse, statement.body))).body]
        lines, dicts = _without_dicts(body, rows)
        text = f"for {rows.at} in range(len({rows.table})):\n" + "\n".join(
            f"    {line}" for part in lines for line in ast.unparse(part).split("\n")
        )
        first = [*rows.first(), *dicts.first]
        return _implied(function, statement, functions, rows, first, text, [*rows.last(), *dicts.last])
    return _applied(function, statement, tables, functions, taken)


def tables_before(
    body: list[ast.stmt], tables: Mapping[str, Mapping[str, str]], stop: ast.stmt
) -> dict[str, dict[str, str]]:
    """Return the tables that are known when `stop` begins, a statement of `body`, with their columns' dtypes.

    A dtype that is not known is an empty text.
    """
    known = {name: dict(columns) for name, columns in tables.items()}
    for statement in body:
        if statement is stop:
            return known
        match statement:
            case ast.Assign(
                targets=[ast.Subscript(value=ast.Name(id=name), slice=ast.Constant(value=str() as column))], value=value
            ) if name in known:
                known[name][column] = _dtype_of(value)
            case ast.Assign(
                targets=[ast.Name(id=new)], value=ast.Call(func=ast.Attribute(value=ast.Name(id=old), attr="copy"))
            ) if old in known:
                known[new] = dict(known[old])
            case _:
                for name in known.keys() & {part.id for part in ast.walk(statement) if isinstance(part, ast.Name)}:
                    if not isinstance(statement, ast.Assign | ast.Expr | ast.Return) or _is_set(name, statement):
                        del known[name]
    return {}


def _is_set(name: str, statement: ast.stmt) -> bool:
    """Whether a statement may change the table of this name: it sets it, or calls a method for its effect."""
    sets = any(
        isinstance(part, ast.Name) and part.id == name and isinstance(part.ctx, ast.Store)
        for part in ast.walk(statement)
    )
    places = any(
        isinstance(part, ast.Subscript | ast.Attribute) and isinstance(part.ctx, ast.Store) and name in names_in(part)
        for part in ast.walk(statement)
    )
    return sets or places or isinstance(statement, ast.Expr)


def _dtype_of(value: ast.expr) -> str:
    match value:
        case ast.Constant(value=bool()):
            return "bool"
        case ast.Constant(value=int()):
            return "int64"
        case ast.Constant(value=float()) | ast.Attribute(attr="nan"):
            return "float64"
    return ""


def _rows_of(loop: ast.For, tables: Mapping[str, Mapping[str, str]], taken: set[str]) -> Rows | None:
    """Return the rows that a loop goes through; None where it goes through something else."""
    over, target = loop.iter, loop.target
    at = "row_at"
    while at in taken:
        at += "_"
    match over:
        case ast.Call(func=ast.Attribute(value=ast.Name(id=table), attr="iterrows"), args=[]) if table in tables:
            if isinstance(target, ast.Tuple) and all(isinstance(one, ast.Name) for one in target.elts):
                label, row = (one.id for one in target.elts if isinstance(one, ast.Name))
                return Rows(table, tables[table], at, row, label, _common(tables[table]), taken)
        case ast.Call(func=ast.Attribute(value=ast.Name(id=table), attr="itertuples")) if table in tables:
            if isinstance(target, ast.Name):
                return Rows(table, tables[table], at, target.id, taken=taken)
        case ast.Attribute(value=ast.Name(id=table), attr="index") if table in tables and isinstance(target, ast.Name):
            return Rows(table, tables[table], at, label=target.id, taken=taken)
        case ast.Call(func=ast.Name(id="range"), args=[ast.Call(func=ast.Name(id="len"), args=[ast.Name(id=table)])]):
            if table in tables and isinstance(target, ast.Name):
                return Rows(table, tables[table], target.id, taken=taken)
        case ast.Subscript(value=ast.Name(id=table), slice=ast.Constant(value=str() as column)) if table in tables:
            if isinstance(target, ast.Name) and column in tables[table]:
                rows = Rows(table, tables[table], at, taken=taken)
                name = target.id
                place = ast.parse(f"{rows.array(column)}[{at}]", mode="eval").body
                loop.body[:] = [_put(part, name, place) for part in loop.body]
                return rows
    return None


def _put(statement: ast.stmt, name: str, value: ast.expr) -> ast.stmt:
    class _Put(ast.NodeTransformer):
        def visit_Name(self, node: ast.Name) -> ast.expr:
            return value if node.id == name and isinstance(node.ctx, ast.Load) else node

    found: ast.stmt = _Put().visit(ast.parse(ast.unparse(statement)).body[0])
    return found


def _common(dtypes: Mapping[str, str]) -> str:
    """The dtype of a row as a Series: of all columns if they are numbers, else each value keeps its own."""
    kinds = set(dtypes.values())
    if "" in kinds:
        raise NotRecognisedError("the dtype of a row as a whole is not known")
    if len(kinds) < 2 or not all(kind.startswith(NUMBERS) and kind.islower() for kind in kinds):
        return ""
    import numpy as np  # noqa: PLC0415

    return str(np.result_type(*kinds))


def _by_columns(statement: ast.stmt, rows: Rows) -> ast.stmt:
    """Return the statement with elements of columns in place of a row's and a table's."""
    found: ast.stmt = _Columns(rows).visit(statement)
    if rows.table in names_in(found) or (rows.row and rows.row in names_in(found)):
        raise NotRecognisedError(f"a turn uses {rows.table} or its row as a whole")
    return found


class _Columns(ast.NodeTransformer):
    def __init__(self, rows: Rows) -> None:
        self.rows = rows

    def visit_Subscript(self, node: ast.Subscript) -> ast.expr:
        rows = self.rows
        match node:
            case ast.Subscript(value=ast.Name(id=name), slice=ast.Constant(value=str() as column)) if (
                rows.row and name == rows.row
            ):
                return self._element(column, node.ctx)
            case ast.Subscript(
                value=ast.Attribute(value=ast.Name(id=table), attr=attr),
                slice=ast.Tuple(elts=[ast.Name(id=index), ast.Constant(value=str() as column)]),
            ) if table == rows.table and attr in LABELS and index in (rows.label, rows.at):
                self._label(index)
                return self._element(column, node.ctx)
            case ast.Subscript(
                value=ast.Attribute(
                    value=ast.Subscript(value=ast.Name(id=table), slice=ast.Constant(value=str() as column))
                ),
                slice=ast.Name(id=index),
            ) if table == rows.table and isinstance(node.value, ast.Attribute):
                if node.value.attr in (*PLACES, "values") and index == rows.at and not rows.label:
                    return self._element(column, node.ctx)
                if node.value.attr in LABELS and index in (rows.label, rows.at):
                    self._label(index)
                    return self._element(column, node.ctx)
            case ast.Subscript(
                value=ast.Subscript(value=ast.Attribute(value=ast.Name(id=table), attr=attr), slice=ast.Name(id=index)),
                slice=ast.Constant(value=str() as column),
            ) if table == rows.table and attr in (*LABELS, *PLACES) and isinstance(node.ctx, ast.Load):
                if attr in PLACES and index != rows.at:
                    return node
                if attr in LABELS:
                    self._label(index)
                kind = _common(rows.dtypes)
                rows.row, rows.common = rows.row or "<row>", kind
                return self._element(column, node.ctx)
        self.generic_visit(node)
        return node

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        rows = self.rows
        if isinstance(node.value, ast.Name) and rows.row and node.value.id == rows.row and node.attr in rows.dtypes:
            return self._element(node.attr, node.ctx)
        if isinstance(node.value, ast.Name) and rows.row and node.value.id == rows.row and node.attr == "Index":
            return self._label_of()
        self.generic_visit(node)
        return node

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return self._label_of() if self.rows.label and node.id == self.rows.label else node

    def _label_of(self) -> ast.expr:
        rows = self.rows
        rows.labels = rows.labels or rows.fresh("labels")
        return ast.parse(f"{rows.labels}[{rows.at}]", mode="eval").body

    def _label(self, index: str) -> None:
        """Note what has to be so for a label to be one row's: this turn's."""
        rows = self.rows
        if index == rows.label:
            test = f"{rows.table}.index.is_unique"
        else:
            test = f"{rows.table}.index.equals(pd.RangeIndex(len({rows.table})))"
        if test not in rows.needs:
            rows.needs.append(test)

    def _element(self, column: str, context: ast.expr_context) -> ast.expr:
        if isinstance(context, ast.Store):
            self.rows.written.add(column)
        array = self.rows.array(column)
        return ast.Subscript(ast.Name(array, ast.Load()), ast.Name(self.rows.at, ast.Load()), context)


@dataclass
class _Dicts:
    first: list[str] = field(default_factory=list)
    last: list[str] = field(default_factory=list)


def _without_dicts(body: list[ast.stmt], rows: Rows) -> tuple[list[ast.stmt], _Dicts]:
    """Give each key of `rows.append({...})` a list of its own; after the loop they are columns."""
    dicts = _Dicts()
    lines: list[ast.stmt] = []
    for part in body:
        match part:
            case ast.Expr(
                value=ast.Call(
                    func=ast.Attribute(value=ast.Name(id=name), attr="append"),
                    args=[ast.Dict(keys=keys, values=values)],
                )
            ) if keys and all(isinstance(key, ast.Constant) and isinstance(key.value, str) for key in keys):
                lists = [rows.fresh(f"{name}_{ast.literal_eval(key)}") for key in keys if key is not None]
                dicts.first += [f"{one} = []" for one in lists]
                calls = [f"{one}.append({ast.unparse(value)})" for one, value in zip(lists, values, strict=True)]
                lines += [ast.parse(call).body[0] for call in calls]
                pairs = ", ".join(f"{ast.unparse(key)}: {one}" for key, one in zip(keys, lists, strict=True) if key)
                dicts.last.append(f"{name} = {{{pairs}}} if len({lists[0]}) else []")
            case _:
                lines.append(part)
    return lines, dicts


def _implied(
    function: ast.FunctionDef,
    statement: ast.stmt,
    functions: Mapping[str, Called],
    rows: Rows,
    first: list[str],
    text: str,
    last: list[str],
) -> Implied:
    made = with_mark(function, statement, [*first, text, *last])
    loop = next(
        one
        for one in ast.walk(made)
        if isinstance(one, ast.For) and isinstance(one.target, ast.Name) and one.target.id == rows.at
    )
    kept = tuple(line for line in first if not line.endswith("= []"))
    lists = tuple(line for line in first if line.endswith("= []"))
    rest = tuple(ast.parse("\n".join(last)).body)
    return Implied(made, loop, rest, kept, dict(functions), tuple(rows.needs), pandas=True, lists=lists)


def _applied(
    function: ast.FunctionDef,
    statement: ast.stmt,
    tables: Mapping[str, Mapping[str, str]],
    functions: Mapping[str, Called],
    taken: set[str],
) -> Implied | None:
    """Read `df.apply(f, axis=1)` anywhere in a statement."""
    own = dict(functions)
    found: list[Rows] = []
    loops: list[str] = []
    first: list[str] = []

    class _Apply(ast.NodeTransformer):
        def visit_Call(self, node: ast.Call) -> ast.expr:
            match node:
                case ast.Call(
                    func=ast.Attribute(value=ast.Name(id=table), attr="apply"),
                    args=[ast.Lambda() | ast.Name() as applied],
                    keywords=[ast.keyword(arg="axis", value=ast.Constant(value=1 | "columns"))],
                ) if table in tables and not found:
                    rows = Rows(table, tables[table], "row_at", common=_common(tables[table]), taken=taken)
                    called = applied if isinstance(applied, ast.Lambda) else functions.get(applied.id)
                    if called is None or len(called.args.args) != 1:
                        raise NotRecognisedError(f"what {ast.unparse(applied)} does with a row is not known")
                    name, parts = rows.fresh("of_row"), rows.fresh("parts")
                    rows.row = called.args.args[0].arg
                    own[name] = _of_columns(called, rows)
                    found.append(rows)
                    loops.append(f"for row_at in range(len({table})):\n    {parts}.append({name}(row_at))")
                    first.append(f"{parts} = []")
                    return ast.parse(f"pd.Series(np.array({parts}), index={table}.index)", mode="eval").body
            self.generic_visit(node)
            return node

    replaced = _Apply().visit(ast.parse(ast.unparse(statement)).body[0])
    if not found:
        return None
    rows = found[0]
    rows.needs.append(f"len({rows.table})")
    return _implied(function, statement, own, rows, [*rows.first(), *first], loops[0], [ast.unparse(replaced)])


def _of_columns(called: Called, rows: Rows) -> Called:
    """Return the function of a row as one of a row's number."""
    copy = ast.parse(ast.unparse(called)).body[0]
    made: Called | None = None
    if isinstance(copy, ast.Expr) and isinstance(copy.value, ast.Lambda):
        made = copy.value
        made.body = _Columns(rows).visit(made.body)
    elif isinstance(copy, ast.FunctionDef):
        made = copy
        made.body = [_Columns(rows).visit(part) for part in made.body]
    if made is None or rows.row in names_in(made) or rows.table in names_in(made):
        raise NotRecognisedError("a function of a row uses it as a whole")
    made.args.args[0].arg = rows.at
    return made

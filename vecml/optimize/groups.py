"""Loops over the groups of a table of pandas, as one `groupby`."""

import ast
from collections.abc import Mapping

from vecml.optimize.syntax import names_in
from vecml.optimize.values import NotRecognisedError

MADE = {"mean", "sum", "max", "min", "std", "var", "median", "count", "nunique", "prod", "first", "last"}


def groups_loop(loop: ast.For, tables: Mapping[str, Mapping[str, str]], empty: set[str]) -> str | None:
    """Return a loop over groups as statements; None where the loop goes through something else.

    Args:
        loop: `for key in df["k"].unique():` with `part = df[df["k"] == key]`, or `for key, part in df.groupby("k"):`.
        tables: the tables by their names, with their columns' dtypes.
        empty: the names of lists and dictionaries that are empty when the loop begins.

    Raises NotRecognisedError where it is such a loop, and does what is not known.
    """
    found = _groups(loop, tables)
    if found is None:
        return None
    table, column, key, part, body, ordered = found
    order = "" if ordered else ", sort=False"
    grouped = f"{table}.groupby({column!r}{order})"
    lines = [f"groups = {grouped}"]
    for statement in body:
        match statement:
            case ast.Assign(
                targets=[ast.Subscript(value=ast.Name(id=held), slice=ast.Name(id=index))], value=value
            ) if index == key and held in empty:
                lines.append(f"{held}.update({_of_groups(value, part, key)}.to_dict())")
            case ast.Expr(value=ast.Call(func=ast.Attribute(value=ast.Name(id=held), attr="append"), args=[value])) if (
                held in empty
            ):
                lines += _appended(held, value, part, key)
            case _:
                raise NotRecognisedError(f"`{ast.unparse(statement)}` is no sum over a group")
    return "\n".join(lines)


def _groups(
    loop: ast.For, tables: Mapping[str, Mapping[str, str]]
) -> tuple[str, str, str, str, list[ast.stmt], bool] | None:
    """Return the table, the column, the names of key and part, the statements, and whether keys are sorted."""
    match loop:
        case ast.For(
            target=ast.Name(id=key),
            iter=ast.Call(
                func=ast.Attribute(
                    value=ast.Subscript(value=ast.Name(id=table), slice=ast.Constant(value=str() as column)),
                    attr="unique",
                ),
                args=[],
            ),
            body=[ast.Assign(targets=[ast.Name(id=part)], value=chosen), *body],
        ) if column in tables.get(table, {}):
            wanted = {
                f"{table}[{table}[{column!r}] == {key}]",
                f"{table}.loc[{table}[{column!r}] == {key}]",
                f"{table}[{table}.{column} == {key}]",
            }
            if ast.unparse(chosen) in wanted:
                return table, column, key, part, body, False
        case ast.For(
            target=ast.Tuple(elts=[ast.Name(id=key), ast.Name(id=part)]),
            iter=ast.Call(
                func=ast.Attribute(value=ast.Name(id=table), attr="groupby"),
                args=[ast.Constant(value=str() as column)],
                keywords=[],
            ),
            body=body,
        ) if column in tables.get(table, {}):
            return table, column, key, part, body, True
    return None


def _of_groups(node: ast.expr, part: str, key: str) -> str:
    """Return an expression of one group's sums as one of all groups'."""

    class _Groups(ast.NodeTransformer):
        def visit_Call(self, call: ast.Call) -> ast.expr:
            match call:
                case ast.Call(
                    func=ast.Attribute(
                        value=ast.Subscript(value=ast.Name(id=name), slice=ast.Constant(value=str() as column)),
                        attr=attr,
                    ),
                    args=[],
                    keywords=[],
                ) if name == part and attr in MADE:
                    return ast.parse(f"groups[{column!r}].{attr}()", mode="eval").body
                case ast.Call(func=ast.Name(id="len"), args=[ast.Name(id=name)]) if name == part:
                    return ast.parse("groups.size()", mode="eval").body
            self.generic_visit(call)
            return call

    made = _Groups().visit(ast.parse(ast.unparse(node), mode="eval").body)
    if names_in(made) & {part, key} or "groups" not in names_in(made):
        raise NotRecognisedError(f"{ast.unparse(node)} is no sum over a group")
    return ast.unparse(made)


def _appended(held: str, value: ast.expr, part: str, key: str) -> list[str]:
    match value:
        case ast.Dict(keys=keys, values=values) if all(isinstance(one, ast.Constant) for one in keys):
            columns = [
                f"{ast.unparse(name)}: "
                + ("groups.size().index" if _is(one, key) else _of_groups(one, part, key) + ".to_numpy()")
                for name, one in zip(keys, values, strict=True)
                if name is not None
            ]
            return [f"{held} = {{{', '.join(columns)}}} if groups.ngroups else []"]
        case ast.Tuple(elts=parts):
            columns = [
                "groups.size().index.tolist()" if _is(one, key) else _of_groups(one, part, key) + ".tolist()"
                for one in parts
            ]
            return [f"{held}.extend(zip({', '.join(columns)}))"]
    return [f"{held}.extend({_of_groups(value, part, key)}.tolist())"]


def _keys_or_sums(node: ast.expr, part: str, key: str) -> str:
    """The array of the groups' keys, where the expression is the key, or of their sums."""
    return "groups.size().index" if _is(node, key) else f"{_of_groups(node, part, key)}.to_numpy()"


def _is(node: ast.expr, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name

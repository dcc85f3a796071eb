"""A function of one value of a column of pandas, or of a text in it, as an expression of the whole column."""

import ast
from collections.abc import Mapping

from vecml.optimize.implied import Called
from vecml.optimize.syntax import names_in
from vecml.optimize.values import NotRecognisedError

SAME = {"upper", "lower", "strip", "lstrip", "rstrip", "title", "capitalize", "swapcase", "zfill", "startswith"}
SAME |= {"endswith", "isdigit", "isalpha", "isupper", "islower", "isnumeric", "isalnum", "isspace", "removeprefix"}
SAME |= {"removesuffix", "center", "ljust", "rjust", "split", "find", "casefold"}
WORDS = ("str", "string", "object")


def applied_to_column(
    statement: ast.stmt, tables: Mapping[str, Mapping[str, str]], functions: Mapping[str, Called]
) -> str | None:
    """Return the statement with `df["c"].apply(f)` as an expression of the column; None where there is none.

    Raises NotRecognisedError where there is one, and it cannot be one.
    """
    found: list[bool] = []

    class _Apply(ast.NodeTransformer):
        def visit_Call(self, node: ast.Call) -> ast.expr:
            match node:
                case ast.Call(
                    func=ast.Attribute(
                        value=ast.Subscript(
                            value=ast.Name(id=table), slice=ast.Constant(value=str() as column)
                        ) as series,
                        attr="apply" | "map",
                    ),
                    args=[ast.Lambda() | ast.Name() as applied],
                    keywords=[],
                ) if column in tables.get(table, {}):
                    called = applied if isinstance(applied, ast.Lambda) else functions.get(applied.id)
                    body = _body(called)
                    if called is None or body is None or len(called.args.args) != 1:
                        raise NotRecognisedError(f"what {ast.unparse(applied)} does with a value is not known")
                    found.append(True)
                    return of_column(body, called.args.args[0].arg, series, tables[table][column])
            self.generic_visit(node)
            return node

    replaced = _Apply().visit(ast.parse(ast.unparse(statement)).body[0])
    return ast.unparse(replaced) if found else None


def grown_from_column(loop: ast.For, tables: Mapping[str, Mapping[str, str]]) -> str | None:
    """Return `for s in df["c"]: out.append(f(s))`, of text, as one statement; None for any other loop."""
    match loop:
        case ast.For(
            target=ast.Name(id=name),
            iter=ast.Subscript(value=ast.Name(id=table), slice=ast.Constant(value=str() as column)) as series,
            body=[ast.Expr(value=ast.Call(func=ast.Attribute(value=ast.Name(id=grown), attr="append"), args=[value]))],
            orelse=[],
        ) if tables.get(table, {}).get(column) in WORDS:
            made = of_column(value, name, series, tables[table][column])
            return f"{grown}.extend({ast.unparse(made)}.tolist())"
    return None


def _body(called: Called | None) -> ast.expr | None:
    match called:
        case ast.Lambda(body=body):
            return body
        case ast.FunctionDef(body=[ast.Return(value=ast.expr() as value)]):
            return value
    return None


def of_column(node: ast.expr, name: str, series: ast.expr, dtype: str) -> ast.expr:
    """Return what an expression of one value, `name`, is for a whole column.

    Args:
        node: the expression.
        name: the value's name in it.
        series: the column.
        dtype: the column's.
    """
    if name not in names_in(node):
        raise NotRecognisedError(f"{ast.unparse(node)} is the same for each value")
    if isinstance(node, ast.Name):
        return series
    text = dtype in WORDS

    def inner(part: ast.expr) -> ast.expr:
        return of_column(part, name, series, dtype)

    match node:
        case ast.Call(func=ast.Attribute(value=value, attr=attr), args=args, keywords=[]) if text and attr in SAME:
            if not any(name in names_in(one) for one in args):
                return _call(ast.Attribute(_words(inner(value)), attr, ast.Load()), args)
        case ast.Call(func=ast.Attribute(value=value, attr="replace"), args=[old, new], keywords=[]) if text:
            keywords = [ast.keyword("regex", ast.Constant(value=False))]
            return ast.Call(ast.Attribute(_words(inner(value)), "replace", ast.Load()), [old, new], keywords)
        case ast.Call(func=ast.Name(id="len"), args=[value]) if text:
            return _call(ast.Attribute(_words(inner(value)), "len", ast.Load()), [])
        case ast.Subscript(value=value, slice=index) if text and name not in names_in(index):
            return ast.Subscript(_words(inner(value)), index, ast.Load())
        case ast.Compare(left=ast.Constant(value=str()) as part, ops=[ast.In()], comparators=[value]) if text:
            keywords = [ast.keyword("regex", ast.Constant(value=False))]
            return ast.Call(ast.Attribute(_words(inner(value)), "contains", ast.Load()), [part], keywords)
        case ast.Compare(left=left, ops=[op], comparators=[right]) if not isinstance(
            op, ast.In | ast.NotIn | ast.Is | ast.IsNot
        ):
            if name in names_in(left) and name not in names_in(right):
                return ast.Compare(inner(left), [op], [right])
        case ast.BinOp(left=left, op=op, right=right):
            sides = [inner(one) if name in names_in(one) else one for one in (left, right)]
            return ast.BinOp(sides[0], op, sides[1])
        case ast.Call(func=ast.Name(id="int" | "float" as kind), args=[value]):
            kinds = {"int": "np.int64", "float": "np.float64"}
            return _call(ast.Attribute(inner(value), "astype", ast.Load()), [ast.parse(kinds[kind], mode="eval").body])
    raise NotRecognisedError(f"{ast.unparse(node)} has no form over a whole column here")


def _words(node: ast.expr) -> ast.expr:
    return ast.Attribute(node, "str", ast.Load())


def _call(function: ast.expr, args: list[ast.expr]) -> ast.Call:
    return ast.Call(function, args, [])

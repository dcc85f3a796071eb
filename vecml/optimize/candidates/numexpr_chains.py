"""The candidate `numexpr`: chains of arithmetic over large arrays, block by block in the cache and on all CPUs."""

import ast
import math
from collections.abc import Iterator
from importlib.util import find_spec

from vecml.optimize.candidates.base import Candidate, Subject
from vecml.optimize.edit import Edits
from vecml.optimize.kinds import Kinds, called_functions
from vecml.optimize.module_text import add_imports

PACKAGE = "numexpr"
FUNCTIONS = {
    "sin", "cos", "tan", "arcsin", "arccos", "arctan", "arctan2", "sinh", "cosh", "tanh",
    "arcsinh", "arccosh", "arctanh", "exp", "expm1", "log", "log10", "log1p", "sqrt", "where", "abs",
}  # fmt: skip
SAME = {"absolute": "abs"}
OPERATORS = (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.Pow)
COMPARED = (ast.Lt, ast.LtE, ast.Gt, ast.GtE)
FEWEST = 3  # operations: with fewer, NumPy makes too few arrays on the way
LARGE = 20_000  # elements: below, the arrays on the way stay in the cache


class NumexprChains:
    """NumExpr for chains of ufuncs in float64."""

    name = "numexpr"

    def missing(self) -> str | None:
        """Why it is not there, with what to install."""
        return None if find_spec(PACKAGE) else "NumExpr is not installed: pip install numexpr"

    def make(self, subject: Subject) -> Candidate | str:
        """Make it of the chains over large arrays that the function has as it is."""
        tree, edits = ast.parse(subject.source), Edits(subject.source)
        found = 0
        for function in called_functions(tree, subject.target.name):
            for node in _chains(function, subject.kinds):
                parts = _Parts(subject.kinds, edits)
                text = parts.text(node)
                given = ", ".join(f'"{name}": {code}' for code, name in parts.names.items())
                edits.replace(node, lambda text=text, given=given: f'numexpr.evaluate("{text}", {{{given}}})')  # type: ignore[misc]
                found += 1
        if not found:
            return f"no chain of {FEWEST} operations or more over float64 arrays of {LARGE:,} elements or more"
        add_imports(tree, edits, {PACKAGE: f"import {PACKAGE}"})
        return subject.candidate(self.name, "numexpr", edits.whole(), "chains of arithmetic in blocks, on all CPUs")


def _chains(node: ast.AST, kinds: Kinds) -> Iterator[ast.expr]:
    """The outermost expressions that are chains."""
    if isinstance(node, ast.BinOp | ast.Call | ast.UnaryOp) and _is_chain(node, kinds):
        yield node
        return
    for part in ast.iter_child_nodes(node):
        yield from _chains(part, kinds)


def _is_chain(node: ast.expr, kinds: Kinds) -> bool:
    kind = kinds.of(node)
    if (
        kind is None
        or kind.type != "array"
        or kind.dtype != "float64"
        or math.prod(kind.shape) < LARGE
        or not kind.ndim
    ):
        return False
    leaves: list[ast.expr] = []
    if _operations(node, kinds, leaves) < FEWEST:
        return False
    known = [kinds.of(one) for one in leaves]
    arrays = [one for one in known if one is not None and one.type == "array"]
    numbers = [one for one in known if one is not None and one.type in ("int", "float")]
    return len(arrays) + len(numbers) == len(known) and all(one.dtype == "float64" for one in arrays) and bool(arrays)


def _operations(node: ast.expr, kinds: Kinds, leaves: list[ast.expr]) -> int:
    """How many operations an expression is made of; what is no operation of NumExpr's is one of its leaves."""
    kind = kinds.of(node)
    inside = None if kind is not None and kind.is_number else _operands(node)
    if inside is None:
        leaves.append(node)
        return 0
    return 1 + sum(_operations(one, kinds, leaves) for one in inside)


def _operands(node: ast.expr) -> list[ast.expr] | None:
    if isinstance(node, ast.BinOp) and isinstance(node.op, OPERATORS):
        return [node.left, node.right]
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub) and not isinstance(node.operand, ast.Constant):
        return [node.operand]
    if isinstance(node, ast.Compare) and len(node.ops) == 1 and isinstance(node.ops[0], COMPARED):
        return [node.left, *node.comparators]
    if isinstance(node, ast.Call) and not node.keywords and _function(node) is not None:
        return None if any(isinstance(one, ast.Starred) for one in node.args) else list(node.args)
    return None


def _function(node: ast.Call) -> str | None:
    head, _, name = ast.unparse(node.func).partition(".")
    name = SAME.get(name, name)
    is_where = name == "where" and len(node.args) == 3 and isinstance(node.args[0], ast.Compare)
    usable = name in FUNCTIONS and (name != "where" or is_where)
    return name if head in ("np", "numpy") and usable else None


class _Parts:
    """The text of an expression for NumExpr, and the names that its leaves have in it."""

    def __init__(self, kinds: Kinds, edits: Edits) -> None:
        self._kinds = kinds
        self._edits = edits
        self.names: dict[str, str] = {}  # by the leaf's own text

    def text(self, node: ast.expr) -> str:
        kind = self._kinds.of(node)
        if kind is not None and kind.is_number:
            return self._leaf(node, "float({})" if kind.type == "int" else "{}")  # two whole numbers would stay whole
        if isinstance(node, ast.BinOp) and isinstance(node.op, OPERATORS):
            sign = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.Pow: "**"}[type(node.op)]
            return f"({self.text(node.left)} {sign} {self.text(node.right)})"
        if isinstance(node, ast.UnaryOp) and _operands(node) is not None:
            return f"(-{self.text(node.operand)})"
        if isinstance(node, ast.Compare) and _operands(node) is not None:
            sign = {ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">="}[type(node.ops[0])]
            return f"({self.text(node.left)} {sign} {self.text(node.comparators[0])})"
        if isinstance(node, ast.Call) and _operands(node) is not None:
            return f"{_function(node)}({', '.join(map(self.text, node.args))})"
        return self._leaf(node, "{}")

    def _leaf(self, node: ast.expr, pattern: str) -> str:
        if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
            return repr(float(node.value))
        code = pattern.format(self._edits.of(node))
        if code not in self.names:
            self.names[code] = node.id if isinstance(node, ast.Name) else f"part_{len(self.names) + 1}"
        return self.names[code]

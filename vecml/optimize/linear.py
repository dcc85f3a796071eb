"""Whole numbers as sums: `2*i + n - 1` as the names' factors and a constant, so that two of them can be compared."""

import ast
from collections.abc import Mapping
from dataclasses import dataclass, field

from vecml.optimize.syntax import elements, names_in


@dataclass(frozen=True)
class Linear:
    """A sum of terms, each a factor times an expression's text, and of a constant.

    Attributes:
        terms: the factors by the text of what they multiply; none is 0.
        constant: the constant.
    """

    terms: Mapping[str, int] = field(default_factory=dict)
    constant: int = 0

    def __add__(self, other: "Linear") -> "Linear":
        """Return the sum of the two."""
        keys = {**self.terms, **other.terms}
        terms = {key: self.terms.get(key, 0) + other.terms.get(key, 0) for key in keys}
        return Linear({key: factor for key, factor in terms.items() if factor}, self.constant + other.constant)

    def __mul__(self, factor: int) -> "Linear":
        """Return it times a whole number."""
        return Linear({key: factor * one for key, one in self.terms.items() if factor}, self.constant * factor)

    def __sub__(self, other: "Linear") -> "Linear":
        """Return the difference of the two."""
        return self + other * -1

    @property
    def number(self) -> int | None:
        """The constant, where there are no terms."""
        return None if self.terms else self.constant

    @property
    def code(self) -> str:
        """The sum as Python's text."""
        text = ""
        for key, factor in sorted(self.terms.items(), key=lambda pair: -pair[1]):
            one = key if abs(factor) == 1 else f"{abs(factor)} * {key}"
            text += f" {'-' if factor < 0 else '+'} {one}" if text else f"{'-' if factor < 0 else ''}{one}"
        if not text:
            return str(self.constant)
        return text if not self.constant else f"{text} {'-' if self.constant < 0 else '+'} {abs(self.constant)}"


class Sizes:
    """The lengths that a function tells: `n = len(x)` and `out = np.zeros((n, 3))` make `out.shape[0]` `len(x)`.

    Only names that are assigned once, and are no arguments, are looked through.
    """

    def __init__(self, function: ast.FunctionDef) -> None:
        stored: dict[str, int] = {}
        for part in ast.walk(function):
            if isinstance(part, ast.Name) and not isinstance(part.ctx, ast.Load):
                stored[part.id] = stored.get(part.id, 0) + 1
        arguments = {part.arg for part in ast.walk(function.args) if isinstance(part, ast.arg)}
        self.values: dict[str, ast.expr] = {}
        for part in ast.walk(function):
            if isinstance(part, ast.Assign) and len(part.targets) == 1:
                for name, value in _pairs(part.targets[0], part.value):
                    if stored.get(name) == 1 and name not in arguments:
                        self.values[name] = value
        self._moving = {name for name, count in stored.items() if count > (name not in arguments)}

    @classmethod
    def plain(cls, node: ast.expr) -> Linear:
        """Return a whole number as a sum in which every name stands for itself."""
        return cls.nothing().linear(node)

    @classmethod
    def nothing(cls) -> "Sizes":
        """Return one that knows no names."""
        return cls(ast.FunctionDef("f", ast.arguments([], [], None, [], [], None, []), [], []))

    def apart(self, one: ast.expr, other: ast.expr) -> Linear:
        """Return how much larger the one is than the other; in their own names, where nothing else cancels."""
        plain = Sizes.plain(one) - Sizes.plain(other)
        found = self.linear(one) - self.linear(other)
        return found if found.number is not None else plain

    def linear(self, node: ast.expr, depth: int = 8) -> Linear:
        """Return a whole number as a sum, names of lengths replaced by what they stand for."""
        match node:
            case ast.Constant(value=int() as number) if not isinstance(number, bool):
                return Linear(constant=number)
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return self.linear(operand, depth) * -1
            case ast.BinOp(op=ast.Add(), left=left, right=right):
                return self.linear(left, depth) + self.linear(right, depth)
            case ast.BinOp(op=ast.Sub(), left=left, right=right):
                return self.linear(left, depth) - self.linear(right, depth)
            case ast.BinOp(op=ast.Mult(), left=left, right=right):
                one, other = self.linear(left, depth), self.linear(right, depth)
                if (factor := one.number) is not None:
                    return other * factor
                if (factor := other.number) is not None:
                    return one * factor
            case ast.Name(id=name) if depth and name in self.values and _is_length(self.values[name], self.values):
                if not names_in(self.values[name]) & self._moving:
                    return self.linear(self.values[name], depth - 1)
            case ast.Call(func=ast.Name(id="len"), args=[ast.Name(id=array)]):
                return self.length(array, 0, depth)
            case ast.Subscript(
                value=ast.Attribute(value=ast.Name(id=array), attr="shape"), slice=ast.Constant(value=int() as axis)
            ):
                return self.length(array, axis, depth)
        return Linear({ast.unparse(node): 1})

    def length(self, array: str, axis: int, depth: int = 8) -> Linear:
        """Return the length of an axis of the array of this name."""
        made = self.values.get(array)
        if depth and made is not None and axis >= 0 and not names_in(made) & {array, *self._moving}:
            match made:
                case ast.Call(func=ast.Attribute(value=ast.Name(id="np"), attr="zeros" | "ones" | "empty" | "full")):
                    first = made.args[0] if made.args else None
                    if isinstance(first, ast.Attribute) and first.attr == "shape" and isinstance(first.value, ast.Name):
                        return self.length(first.value.id, axis, depth - 1)
                    if first is not None and axis < len(elements(first)) and self._is_number(elements(first)[axis]):
                        return self.linear(elements(first)[axis], depth - 1)
                case ast.Call(
                    func=ast.Attribute(value=ast.Name(id="np"), attr=maker), args=[ast.Name(id=like), *_]
                ) if maker.endswith("_like") or maker in ("copy", "array", "asarray"):
                    return self.length(like, axis, depth - 1)
                case ast.Call(func=ast.Attribute(value=ast.Subscript(value=ast.Name(id=table)), attr="to_numpy")) if (
                    axis == 0
                ):
                    return Linear({f"len({table})": 1})  # of a column of pandas
                case ast.Call(func=ast.Attribute(value=ast.Name(id=like), attr="copy" | "astype")) if like != "np":
                    return self.length(like, axis, depth - 1)
        return Linear({f"len({array})" if axis == 0 else f"{array}.shape[{axis}]": 1})

    def _is_number(self, node: ast.expr) -> bool:
        """Whether it is no tuple for certain: the only argument of a maker may be a shape by name."""
        return not isinstance(node, ast.Name) or node.id not in self.values or _is_length(self.values[node.id], {})


def _pairs(target: ast.expr, value: ast.expr) -> list[tuple[str, ast.expr]]:
    if isinstance(target, ast.Name):
        return [(target.id, value)]
    if not isinstance(target, ast.Tuple) or not all(isinstance(one, ast.Name) for one in target.elts):
        return []
    names = [one.id for one in target.elts if isinstance(one, ast.Name)]
    if isinstance(value, ast.Tuple) and len(value.elts) == len(names):
        return list(zip(names, value.elts, strict=True))
    if isinstance(value, ast.Attribute) and value.attr == "shape":
        return [
            (name, ast.Subscript(value, ast.Constant(axis), ast.Load()))
            for axis, name in enumerate(names)
            if name != "_"
        ]
    return []


def _is_length(node: ast.expr, values: Mapping[str, ast.expr]) -> bool:
    """Whether it is a sum of lengths and whole numbers, which stay as they are while the function runs."""
    match node:
        case ast.Constant(value=int()):
            return True
        case ast.Call(func=ast.Name(id="len"), args=[ast.Name()]):
            return True
        case ast.Subscript(value=ast.Attribute(value=ast.Name(), attr="shape"), slice=ast.Constant()):
            return True
        case ast.BinOp(op=ast.Add() | ast.Sub() | ast.Mult(), left=left, right=right):
            return _is_length(left, values) and _is_length(right, values)
        case ast.Name(id=name) if name in values:
            return _is_length(values[name], {key: one for key, one in values.items() if key != name})
    return False

"""What a `for` gives in each turn, as a range of whole numbers and the elements of arrays at them."""

import ast
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from vecml.optimize.linear import Linear, Sizes
from vecml.optimize.syntax import names_in
from vecml.optimize.turns import conjunction, substitute
from vecml.optimize.values import NotRecognisedError

if TYPE_CHECKING:
    from vecml.optimize.branches import Branch
    from vecml.optimize.reading import Reader

ZERO, ONE = ast.Constant(0), ast.Constant(1)


@dataclass
class Header:
    """A loop's range.

    Attributes:
        name: of the variable that takes the range's numbers.
        start, stop, step: the range's.
        elements: names that are elements of arrays in each turn, with their value.
        same: names that stand for other values.
        guard: where the turn exists, for a range that is made wider than it is; None: everywhere.
    """

    name: str
    start: ast.expr
    stop: ast.expr
    step: ast.expr = field(default_factory=lambda: ONE)
    elements: list[tuple[str, ast.expr]] = field(default_factory=list)
    same: dict[str, ast.expr] = field(default_factory=dict)
    guard: ast.expr | None = None


def header_of(loop: ast.For, reader: "Reader", outer: "Branch") -> Header:
    """Return the range of a loop over a range, an array, or enumerate or zip of arrays."""
    return _header(loop.target, loop.iter, reader, outer, loop)


def _header(target: ast.expr, over: ast.expr, reader: "Reader", outer: "Branch", loop: ast.For) -> Header:
    unknown = NotRecognisedError(f"what {ast.unparse(loop.iter)} gives in each turn is not known")
    match over:
        case ast.Call(func=ast.Name(id="range"), args=bounds, keywords=[]) if isinstance(target, ast.Name):
            parts = [reader.resolve(one, outer) for one in bounds]
            start, stop = (ZERO, parts[0]) if len(parts) == 1 else (parts[0], parts[1])
            return _wide(Header(target.id, start, stop, parts[2] if len(parts) == 3 else ONE), reader)
        case ast.Call(func=ast.Name(id="reversed"), args=[ast.Call(func=ast.Name(id="range"), args=[bound])]) if (
            isinstance(target, ast.Name)
        ):
            last = ast.BinOp(reader.resolve(bound, outer), ast.Sub(), ONE)
            return Header(target.id, last, ast.UnaryOp(ast.USub(), ONE), ast.UnaryOp(ast.USub(), ONE))
        case ast.Call(func=ast.Name(id="enumerate"), args=[inside, *first], keywords=[]) if (
            isinstance(target, ast.Tuple) and len(target.elts) == 2 and isinstance(target.elts[0], ast.Name)
        ):
            found = _header(target.elts[1], inside, reader, outer, loop)
            index = target.elts[0].id
            if first:
                found.same[index] = ast.BinOp(
                    ast.Name(found.name, ast.Load()), ast.Add(), reader.resolve(first[0], outer)
                )
                return found
            return _renamed(found, index)
        case ast.Call(func=ast.Name(id="zip"), args=[_, *_] as arrays) if isinstance(target, ast.Tuple):
            if len(target.elts) != len(arrays):
                raise unknown
            names = [one for part in target.elts for one in sorted(names_in(part))]
            index = reader.fresh(f"{names[0]}_at")
            made = [_array(one, reader, outer, unknown) for one in arrays]
            found = Header(index, ZERO, _least(made))
            for part, array in zip(target.elts, made, strict=True):
                _element(found, part, array, index, unknown)
            return found
        case _:
            array = _array(over, reader, outer, unknown)
            index = reader.fresh(f"{sorted(names_in(target))[0]}_at")
            found = Header(index, ZERO, _least([array]))
            _element(found, target, array, index, unknown)
            return found


def _wide(found: Header, reader: "Reader") -> Header:
    """Where a bound moves with a loop around, take the widest range, and a guard for the turns that exist."""
    variable = ast.Name(found.name, ast.Load())
    for bound, side in (("start", -1), ("stop", 1)):
        node = getattr(found, bound)
        moving = [turn for turn in reader.active if turn.name in names_in(node)]
        if not moving:
            continue
        if ast.unparse(found.step) != "1" or any(ast.unparse(turn.step) != "1" for turn in moving):
            raise NotRecognisedError(f"the inner loop's range depends on {moving[0].name}")
        test = ast.Compare(variable, [ast.GtE() if bound == "start" else ast.Lt()], [node])
        found.guard = conjunction(found.guard, test)
        for turn in moving:
            factor = Sizes.plain(node).terms.get(turn.name, 0)
            if factor not in (1, -1):
                raise NotRecognisedError(f"the inner loop's range depends on {turn.name}")
            last = Sizes.plain(turn.stop) + Linear(constant=-1)
            end = ast.parse(last.code, mode="eval").body if factor * side > 0 else turn.start
            node = substitute(node, {turn.name: end})
        setattr(found, bound, ast.parse(Sizes.plain(node).code, mode="eval").body)
    return found


def _renamed(found: Header, index: str) -> Header:
    old, found.name = found.name, index
    for _, node in found.elements:
        for part in ast.walk(node):
            if isinstance(part, ast.Name) and part.id == old:
                part.id = index
    return found


def _element(found: Header, target: ast.expr, array: str, index: str, unknown: Exception) -> None:
    place = ast.Subscript(ast.Name(array, ast.Load()), ast.Name(index, ast.Load()), ast.Load())
    if isinstance(target, ast.Name):
        found.elements.append((target.id, place))
        return
    if not isinstance(target, ast.Tuple):
        raise unknown
    for number, one in enumerate(target.elts):
        if not isinstance(one, ast.Name):
            raise unknown
        indices = ast.Tuple([ast.Name(index, ast.Load()), ast.Constant(number)], ast.Load())
        found.elements.append((one.id, ast.Subscript(ast.Name(array, ast.Load()), indices, ast.Load())))


def _array(node: ast.expr, reader: "Reader", outer: "Branch", unknown: Exception) -> str:
    value = reader.resolve(node, outer)
    if isinstance(value, ast.Name):
        return value.id
    if isinstance(value, ast.Call) and ast.unparse(value.func) == "range":
        value = ast.Call(ast.Attribute(ast.Name("np", ast.Load()), "arange", ast.Load()), value.args, [])
    elif not isinstance(value, ast.Subscript | ast.Attribute | ast.BinOp | ast.Call):
        raise unknown
    if isinstance(value, ast.Call) and not ast.unparse(value.func).startswith("np."):
        raise unknown
    base = sorted(names_in(node) - {"np"})
    name = reader.fresh(f"{base[0]}_part" if base else "part")
    reader.before.append((name, value))
    return name


def _least(arrays: list[str]) -> ast.expr:
    lengths: list[ast.expr] = [
        ast.Call(ast.Name("len", ast.Load()), [ast.Name(one, ast.Load())], []) for one in dict.fromkeys(arrays)
    ]
    return lengths[0] if len(lengths) == 1 else ast.Call(ast.Name("min", ast.Load()), lengths, [])

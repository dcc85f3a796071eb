"""What the expressions of a function are over the user's inputs: each name, call and index with its type and shape.

A changed copy of the function is run once, in a worker; it tells what it sees and computes the same.
"""

import ast
import copy
import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from vecml.errors import MeasureError
from vecml.optimize.lifted import Lifted
from vecml.optimize.syntax import names_in
from vecml.optimize.target import Place, Say, load, make_inputs, module_of, parsed

TASK = "vecml.optimize.kinds:kinds_task"
TELL = "__vecml_tell__"
MOST_SEEN = 20  # values of one expression: what it is later is seldom another kind
WATCHED = (ast.Name, ast.Call, ast.Subscript, ast.Attribute, ast.BinOp, ast.UnaryOp, ast.Compare, ast.BoolOp)


@dataclass(frozen=True)
class Kind:
    """The type of a value, and of an array its dtype and axes.

    Attributes:
        type: `array`, `int`, `float`, `complex`, `bool`, `list`, `tuple`, or the type's name.
        dtype: of an array; of a list's numbers (`int`, `float`, `bool`, or empty where they differ).
        ndim: of an array, and of a list as one.
        contiguous: whether an array is in C order without gaps.
        shape: of an array and a list as one.
    """

    type: str
    dtype: str = ""
    ndim: int = 0
    contiguous: bool = True
    shape: tuple[int, ...] = ()

    @property
    def is_number(self) -> bool:
        return self.type in ("int", "float", "complex", "bool")


Position = tuple[int, int, int, int]


@dataclass(frozen=True)
class Kinds:
    """The kinds of the expressions of a file, by their places in it; what was never computed is not there."""

    seen: Mapping[Position, Kind]

    def of(self, node: ast.AST) -> Kind | None:
        """The kind of an expression, None where it is not known or is not the same each time."""
        return kind_of(node.value) if isinstance(node, ast.Constant) else self.seen.get(_position(node))


NOTHING = Kinds({})


def observe_kinds(target: Place, inputs: Place, limit_seconds: float, lifted: Lifted | None = None) -> Kinds:
    """Run the function once in a worker, and see what its expressions are.

    Args:
        target, inputs: the function and the input maker.
        limit_seconds: of each stage of the worker.
        lifted: the text in which the expressions are to be known by their places; None: the file itself.

    Returns:
        What was seen; nothing where the changed copy does not end in its time or cannot be run.
    """
    from vecml.optimize.worker import ask  # noqa: PLC0415 -- the worker imports this module

    try:
        given = {} if lifted is None else {"text": lifted.text, "name": lifted.name}
        found = ask(TASK, {"target": vars(target), "inputs": vars(inputs), **given}, limit_seconds)
    except MeasureError:
        return NOTHING
    return Kinds({tuple(at): Kind(**{**kind, "shape": tuple(kind["shape"])}) for at, kind in found["kinds"]})


def kinds_task(payload: Mapping[str, Any], say: Say) -> dict[str, Any]:
    """Do the work of `observe_kinds` in the worker process."""
    target, inputs = Place(**payload["target"]), Place(**payload["inputs"])
    function = load(target)
    module, args = module_of(target), make_inputs(inputs)
    say(f"{target.text}, each expression watched")
    seen: dict[Position, Kind | None] = {}
    counts: dict[Position, int] = {}
    places: list[Position] = []

    def tell(number: int, value: Any) -> Any:
        at = places[number]
        count = counts.get(at, 0)
        if count < MOST_SEEN:
            counts[at] = count + 1
            kind = kind_of(value)
            known = seen.setdefault(at, kind)
            if known != kind:
                seen[at] = _common(known, kind)
        return value

    tree = ast.parse(payload["text"]) if "text" in payload else parsed(target)
    name = payload.get("name", target.name)
    functions = called_functions(tree, name)
    watched = ast.Module([_Watch(places).visit(one) for one in functions], [])
    for one in functions:
        one.decorator_list = []
    scope = {**module.__dict__, TELL: tell}
    bound = [function.__self__] if inspect.ismethod(function) else []  # of a class method
    try:
        exec(compile(ast.fix_missing_locations(watched), target.file, "exec"), scope)  # noqa: S102 -- the user's function
        scope[name](*bound, *copy.deepcopy(args))
    except Exception:  # noqa: BLE001 -- what was seen until then is kept
        return {"kinds": []}
    return {"kinds": [[list(at), vars(kind)] for at, kind in seen.items() if kind is not None]}


def called_functions(tree: ast.Module, name: str) -> list[ast.FunctionDef]:
    """The function of a file and those of the file that it calls, and they in turn, in the file's order."""
    functions = {part.name: part for part in tree.body if isinstance(part, ast.FunctionDef)}
    wanted, todo = {name}, [name]
    while todo:
        new = (names_in(functions[todo.pop()]) & functions.keys()) - wanted
        wanted |= new
        todo += sorted(new)
    return [part for key, part in functions.items() if key in wanted]


def kind_of(value: Any) -> Kind:
    """Tell the kind of a value."""
    if isinstance(value, np.ndarray):
        return Kind("array", str(value.dtype), value.ndim, bool(value.flags.c_contiguous), value.shape)
    if isinstance(value, bool | np.bool_):
        return Kind("bool")
    for plain, numpys, name in (
        (int, np.integer, "int"),
        (float, np.floating, "float"),
        (complex, np.complexfloating, "complex"),
    ):
        if isinstance(value, plain | numpys):
            return Kind(name, str(value.dtype) if isinstance(value, np.generic) else "")
    if isinstance(value, list):
        return _of_list(value)
    return Kind(type(value).__name__)


def _of_list(value: Sequence[Any]) -> Kind:
    """A list's kind: the type of its numbers, one for all, and its shape where it is as regular as an array."""
    shape: list[int] = []
    level: list[Any] = [value]
    while level and all(isinstance(one, list) for one in level):
        lengths = {len(one) for one in level}
        if len(lengths) != 1:
            return Kind("list")
        shape.append(lengths.pop())
        level = [part for one in level for part in one]
    types = {type(one) for one in level}
    if len(types) == 1 and (only := types.pop()) in (int, float, bool):
        return Kind("list", only.__name__, len(shape), shape=tuple(shape))
    return Kind("list")


def _common(one: Kind | None, other: Kind) -> Kind | None:
    """The kind that two values of one expression have in common; None where they differ in more than their sizes."""
    if one is None or one.type != other.type:
        return None
    if one.is_number:
        return Kind(one.type)
    if (one.dtype, one.ndim) != (other.dtype, other.ndim):
        return None
    return Kind(one.type, one.dtype, one.ndim, contiguous=one.contiguous and other.contiguous)


def _position(node: ast.AST) -> Position:
    return (
        getattr(node, "lineno", 0),
        getattr(node, "col_offset", 0),
        getattr(node, "end_lineno", 0),
        getattr(node, "end_col_offset", 0),
    )


class _Watch(ast.NodeTransformer):
    """Puts `TELL(number, ...)` round each expression that is read; what is called and what is formatted stays."""

    def __init__(self, places: list[Position]) -> None:
        self._places = places

    def visit_Call(self, node: ast.Call) -> ast.AST:
        if isinstance(node.func, ast.Attribute):
            node.func.value = self.visit(node.func.value)
        node.args = [self.visit(one) for one in node.args]
        for one in node.keywords:
            one.value = self.visit(one.value)
        return self._told(node)

    def visit_FormattedValue(self, node: ast.FormattedValue) -> ast.AST:
        return node

    def visit_arguments(self, node: ast.arguments) -> ast.AST:
        return node

    def generic_visit(self, node: ast.AST) -> ast.AST:
        node = super().generic_visit(node)
        is_read = isinstance(getattr(node, "ctx", ast.Load()), ast.Load)
        return self._told(node) if isinstance(node, WATCHED) and is_read else node

    def _told(self, node: ast.expr) -> ast.AST:
        self._places.append(_position(node))
        number = ast.Constant(len(self._places) - 1)
        return ast.copy_location(ast.Call(ast.Name(TELL, ast.Load()), [number, node], []), node)

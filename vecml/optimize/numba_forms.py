"""What Numba does not know, in words that it knows: reductions by axis, outer products, masks, dtypes, lists of arrays.

A form is replaced only where the kinds of its parts were seen, and so its meaning is certain. What takes a loop becomes
a function beside the user's own.
"""

import ast
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from vecml.optimize import numba_known as known
from vecml.optimize.edit import Edits
from vecml.optimize.kinds import Kind, Kinds

DTYPES = {"int": "np.int64", "float": "np.float64", "bool": "np.bool_", "complex": "np.complex128"}
BY_AXIS = {"max", "min", "amax", "amin", "mean", "prod", "std", "var", "any", "all", "median", "ptp"} | {
    f"nan{name}" for name in ("max", "min", "mean", "sum", "std", "var", "median")
}
REDUCED = {
    "add": "sum",
    "multiply": "prod",
    "maximum": "max",
    "minimum": "min",
    "logical_and": "all",
    "logical_or": "any",
}
ACCUMULATED = {"add": "cumsum", "multiply": "cumprod"}
OF_ARRAYS = {"concatenate", "stack", "vstack", "hstack", "column_stack", "dstack"}  # take a list of arrays
NEW_ARRAYS = {"array", "asarray", "ascontiguousarray", "asfortranarray", "copy"}


@dataclass
class Forms:
    """The replacements in one file.

    Attributes:
        edits: what stands in the place of what.
        kinds: of the expressions, as they were seen.
        added: functions that the replacements call, each text by its name.
        taken: names that the file uses already.
    """

    edits: Edits
    kinds: Kinds
    taken: frozenset[str]
    added: dict[str, str] = field(default_factory=dict)

    def add(self, name: str, text: Callable[[str], str]) -> str:
        """Add a function under this name, or under one like it that the file does not use; gives its name."""
        while name in self.taken:
            name += "_"
        self.added[name] = text(name)
        return name

    def array(self, node: ast.AST) -> Kind | None:
        """The kind of an expression that is an array; None for any other."""
        kind = self.kinds.of(node)
        return kind if kind is not None and kind.type == "array" else None


def replace_forms(nodes: Iterable[ast.AST], forms: Forms) -> None:
    """Replace each form below these nodes that Numba does not know."""
    for top in nodes:
        for node in ast.walk(top):
            if isinstance(node, ast.Call):
                _call(node, forms)
            elif isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Load):
                _masked(node, forms)
            elif isinstance(node, ast.Assign | ast.AugAssign):
                _masked_store(node, forms)
                _grid(node, forms)
            elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.MatMult):
                _product(node, forms)


def _call(node: ast.Call, forms: Forms) -> None:
    name = _of_numpy(node.func)
    function = node.func
    if name is not None:
        for form in (_outer, _reduce, _by_axis, _new_array, _of_list, _generator, _linspace):
            if form(node, name, forms):
                return
    elif isinstance(function, ast.Attribute) and forms.array(function.value):
        if function.attr in BY_AXIS | {"sum"} and _by_axis_of(node, function.attr, function.value, node.args, forms):
            return
        if function.attr == "reshape" and not _contiguous(function.value, forms):
            inner = function.value
            forms.edits.replace(inner, _given(inner, forms, "np.ascontiguousarray({})"))
    elif isinstance(function, ast.Name):
        _generator(node, function.id, forms)
        if function.id == "abs" and node.args and forms.array(node.args[0]):
            forms.edits.replace(function, lambda: "np.abs")
    _dtypes(node, forms)


def _dtypes(node: ast.Call, forms: Forms) -> None:
    """`dtype=int` and `.astype(int)`: Numba takes NumPy's names only."""
    is_astype = isinstance(node.func, ast.Attribute) and node.func.attr == "astype"
    places = [one.value for one in node.keywords if one.arg == "dtype"]
    if is_astype or _of_numpy(node.func) in (
        "zeros",
        "ones",
        "empty",
        "array",
        "zeros_like",
        "ones_like",
        "empty_like",
    ):
        places += node.args[:1] if is_astype else node.args[1:2]
    if _of_numpy(node.func) == "ndarray" and {one.arg for one in node.keywords} <= {"dtype"} and len(node.args) <= 2:
        forms.edits.replace(node.func, lambda: "np.empty")  # that is what it is
    if (
        _of_numpy(node.func) in ("zeros", "ones", "empty", "full", "ndarray")
        and node.args
        and isinstance(node.args[0], ast.List)
    ):
        _as_tuple(node.args[0], forms)
    for one in places:
        if isinstance(one, ast.Name) and one.id in DTYPES:
            forms.edits.replace(one, lambda text=DTYPES[one.id]: text)  # type: ignore[misc]


def _outer(node: ast.Call, name: str, forms: Forms) -> bool:
    """`np.add.outer(a, b)`: the ufunc over new axes."""
    ufunc, _, method = name.partition(".")
    if method != "outer" or len(node.args) != 2 or node.keywords:
        return False
    one, other = node.args
    first, second = forms.array(one), forms.array(other)
    if first is None or second is None:
        return False
    left = ", ".join([":"] * first.ndim + ["None"] * second.ndim)
    right = ", ".join(["None"] * first.ndim + [":"] * second.ndim)
    edits = forms.edits
    forms.edits.replace(node, lambda: f"np.{ufunc}({_atom(one, edits)}[{left}], {_atom(other, edits)}[{right}])")
    return True


def _reduce(node: ast.Call, name: str, forms: Forms) -> bool:
    """`np.add.reduce`, `.accumulate` and `.at`: NumPy's functions of that meaning, or a loop."""
    ufunc, _, method = name.partition(".")
    kind = forms.array(node.args[0]) if node.args else None
    if kind is None or node.keywords:
        return False
    edits, args = forms.edits, node.args
    if method == "reduce" and ufunc in REDUCED and len(args) == 1 and kind.ndim == 1:
        edits.replace(node, lambda: f"np.{REDUCED[ufunc]}({edits.of(args[0])})")
    elif method == "accumulate" and len(args) == 1 and kind.ndim == 1:
        if ufunc in ACCUMULATED:
            edits.replace(node, lambda: f"np.{ACCUMULATED[ufunc]}({edits.of(args[0])})")
        else:
            called = forms.add(f"{ufunc}_accumulated", lambda name: known.accumulated(name, ufunc))
            edits.replace(node, lambda: f"{called}({edits.of(args[0])})")
    elif method == "at" and len(args) == 3 and kind.ndim == 1 and (index := forms.array(args[1])) and index.ndim == 1:
        each = forms.array(args[2]) is not None
        called = forms.add(f"{ufunc}_at{'_each' if each else ''}", lambda name: known.at(name, ufunc, each=each))
        edits.replace(node, lambda: f"{called}({', '.join(map(edits.of, args))})")
    else:
        return False
    return True


def _by_axis(node: ast.Call, name: str, forms: Forms) -> bool:
    if name == "linalg.norm" and node.args:
        return _by_axis_of(node, name, node.args[0], node.args[1:][1:], forms)
    return name in BY_AXIS | {"sum"} and bool(node.args) and _by_axis_of(node, name, node.args[0], node.args[1:], forms)


def _by_axis_of(node: ast.Call, name: str, array: ast.expr, rest: list[ast.expr], forms: Forms) -> bool:
    """`np.max(x, axis=0)`: a loop over the other axes, whose result has the dtype that was seen."""
    kind, result = forms.array(array), forms.array(node)
    words = {one.arg: one.value for one in node.keywords}
    axis = _whole(rest[0] if rest else words.get("axis"))
    kept = words.get("keepdims")
    if kind is None or result is None or axis is None or len(rest) > 1 or set(words) - {"axis", "keepdims", "ddof"}:
        return False
    if kept is not None and not (isinstance(kept, ast.Constant) and isinstance(kept.value, bool)):
        return False
    keeps = isinstance(kept, ast.Constant) and kept.value is True
    ddof = _whole(words.get("ddof")) or 0
    if kind.ndim < 2 or not -kind.ndim <= axis < kind.ndim or (name == "sum" and not keeps) or result.dtype == "object":
        return False
    if name == "linalg.norm" and not kind.dtype.startswith("float"):
        return False
    axis %= kind.ndim
    reduction = known.Reduction(name, kind.ndim, axis, result.dtype, keeps=keeps, ddof=ddof)
    called = forms.add(reduction.name, reduction.text)
    forms.edits.replace(node, lambda: f"{called}({forms.edits.of(array)})")
    return True


def _new_array(node: ast.Call, name: str, forms: Forms) -> bool:
    """`np.array(x)` of an array: a copy, in the dtype that was seen."""
    kind, result = forms.array(node.args[0]) if node.args else None, forms.array(node)
    if name not in ("array", "asarray") or kind is None or result is None or kind.dtype == "object":
        return False
    if {one.arg for one in node.keywords} - {"dtype"} or len(node.args) > 2 or kind.ndim != result.ndim:
        return False
    edits, array = forms.edits, node.args[0]
    same = kind.dtype == result.dtype
    if name == "asarray" and same:
        edits.replace(node, _given(array, forms, "{}"))
    elif same:
        edits.replace(node, lambda: f"{_atom(array, edits)}.copy()")
    else:
        edits.replace(node, lambda: f"{_atom(array, edits)}.astype(np.{result.dtype})")
    return True


def _of_list(node: ast.Call, name: str, forms: Forms) -> bool:
    """`np.concatenate([a, b])`: a tuple in the list's place."""
    if name not in OF_ARRAYS or not node.args or not isinstance(node.args[0], ast.List) or not node.args[0].elts:
        return False
    _as_tuple(node.args[0], forms)
    return True


def _as_tuple(listed: ast.List, forms: Forms) -> None:
    forms.edits.replace(listed, lambda: f"({', '.join(map(forms.edits.of, listed.elts))},)")


def _linspace(node: ast.Call, name: str, forms: Forms) -> bool:
    """`np.linspace(a, b, n, dtype=np.float64)`: that is its dtype anyway."""
    if name != "linspace" or [one.arg for one in node.keywords] != ["dtype"] or len(node.args) != 3:
        return False
    if ast.unparse(node.keywords[0].value) not in ("float", "np.float64", "numpy.float64"):
        return False
    forms.edits.replace(node, lambda: f"np.linspace({', '.join(map(forms.edits.of, node.args))})")
    return True


def _grid(node: ast.Assign | ast.AugAssign, forms: Forms) -> None:
    """`i, j = np.mgrid[0:n, 0:m]`: two arrays of whole numbers."""
    value = node.value
    if (
        not isinstance(value, ast.Subscript)
        or _of_numpy(value.value) != "mgrid"
        or not isinstance(value.slice, ast.Tuple)
    ):
        return
    target = node.targets[0] if isinstance(node, ast.Assign) else node.target
    parts = [
        one for one in value.slice.elts if isinstance(one, ast.Slice) and one.step is None and one.upper is not None
    ]
    ends = [one.upper for one in parts if one.upper is not None and _whole(one.lower) == 0]
    whole = [kind for one in ends if (kind := forms.kinds.of(one)) is not None and kind.type == "int"]
    if len(ends) != 2 or len(value.slice.elts) != 2 or len(whole) != 2 or not isinstance(target, ast.Tuple):
        return
    called = forms.add("grid_of_indices", known.grid)
    forms.edits.replace(value, lambda: f"{called}({', '.join(map(forms.edits.of, ends))})")


def _product(node: ast.BinOp, forms: Forms) -> None:
    """`a @ b` with more than two axes on the left: one product of two matrices."""
    left, right = forms.array(node.left), forms.array(node.right)
    if left is None or right is None or left.ndim < 3 or right.ndim != 2 or left.dtype != right.dtype:
        return
    if not left.dtype.startswith(("float", "complex")):
        return
    called = forms.add("product_of_matrices", known.product)
    forms.edits.replace(node, lambda: f"{called}({forms.edits.of(node.left)}, {forms.edits.of(node.right)})")


def _generator(node: ast.Call, name: str, forms: Forms) -> bool:
    """`sum(... for ...)`: a list in the generator's place. `any` and `all`, which end early, are left."""
    if name not in ("sum", "max", "min", "array") or len(node.args) != 1 or node.keywords:
        return False
    if not isinstance(node.args[0], ast.GeneratorExp):
        return False
    made, edits = node.args[0], forms.edits
    function = edits.of(node.func)
    edits.replace(node, lambda: f"{function}([{edits.of(made).strip().removeprefix('(').removesuffix(')')}])")
    return True


def _masked(node: ast.Subscript, forms: Forms) -> None:
    """`x[mask]` where the mask has as many axes as `x`, two or more; and a mask of rows."""
    array, mask = forms.array(node.value), forms.array(node.slice)
    if array is None or mask is None or mask.dtype != "bool":
        return
    edits = forms.edits
    if mask.ndim == array.ndim > 1:
        edits.replace(node, lambda: f"{_atom(node.value, edits)}.ravel()[{_atom(node.slice, edits)}.ravel()]")
    elif mask.ndim == 1 < array.ndim:
        edits.replace(node.slice, lambda: f"np.nonzero({edits.of_inside(node.slice)})[0]")


def _masked_store(node: ast.Assign | ast.AugAssign, forms: Forms) -> None:
    """`x[mask] = v` and `x[mask] += v`, where the mask has as many axes as `x`, two or more."""
    target = node.target if isinstance(node, ast.AugAssign) else node.targets[0]
    if not isinstance(target, ast.Subscript) or (isinstance(node, ast.Assign) and len(node.targets) > 1):
        return
    mask = forms.array(target.slice)
    array = forms.array(target.value)
    if mask is None or array is None or mask.dtype != "bool" or not mask.ndim == array.ndim > 1:
        return
    value, edits = node.value, forms.edits
    kind = forms.kinds.of(value)
    if kind is None or not (kind.is_number or (kind.type == "array" and kind.ndim <= 1)):
        return
    op = "" if isinstance(node, ast.Assign) else known.SIGNS.get(type(node.op), "?")
    if op == "?":
        return
    each = kind.type == "array" and kind.ndim == 1
    name = f"{known.WORDS[op]}_where{'_each' if each else ''}"
    called = forms.add(name, lambda name: known.where(name, op, each=each))
    forms.edits.replace(node, lambda: f"{called}({', '.join(map(edits.of, (target.value, target.slice, value)))})")


def _contiguous(node: ast.expr, forms: Forms) -> bool:
    kind = forms.array(node)
    return kind is None or kind.contiguous


def _given(node: ast.AST, forms: Forms, pattern: str) -> Callable[[], str]:
    return lambda: pattern.format(forms.edits.of_inside(node))


def _atom(node: ast.expr, edits: Edits) -> str:
    """The node's text, in brackets where an index or a method would not belong to the whole of it."""
    text = edits.of(node)
    return text if isinstance(node, ast.Name | ast.Attribute | ast.Call | ast.Subscript) else f"({text})"


def _of_numpy(node: ast.expr) -> str | None:
    """`add.outer` for `np.add.outer`, None for what is not NumPy's by its usual names."""
    head, _, rest = ast.unparse(node).partition(".")
    return rest if head in ("np", "numpy") and rest else None


def _whole(node: ast.expr | None) -> int | None:
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        inner = _whole(node.operand)
        return None if inner is None else -inner
    return node.value if isinstance(node, ast.Constant) and type(node.value) is int else None

"""Loops in the place of NumPy's functions that Numba does not know, as the text of functions; they use `np` alone."""

import ast
from dataclasses import dataclass

SIGNS: dict[type[ast.operator], str] = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/"}
WORDS = {"": "set", "+": "add", "-": "subtract", "*": "multiply", "/": "divide"}
LETTERS = "ijklm"


@dataclass(frozen=True)
class Reduction:
    """A reduction along one axis.

    Attributes:
        function: its name in NumPy.
        ndim: axes of what is reduced, 2 to 5.
        axis: the one that goes, 0 to `ndim` - 1.
        dtype: of the result.
        keeps: whether the axis stays, with the length 1.
        ddof: of a variance or a standard deviation.
    """

    function: str
    ndim: int
    axis: int
    dtype: str
    keeps: bool
    ddof: int

    @property
    def name(self) -> str:
        """The function's name, which says all that it is made for."""
        last = self.function.rpartition(".")[2]
        dof = f"_ddof{self.ddof}" if self.ddof else ""
        return f"{last}_of_axis_{self.axis}_of_{self.ndim}{'_kept' if self.keeps else ''}{dof}_{self.dtype}"

    def text(self, name: str) -> str:
        """The function's text."""
        others = [axis for axis in range(self.ndim) if axis != self.axis]
        lengths = [f"x.shape[{axis}]" for axis in others]
        letters = [LETTERS[axis] for axis in others]
        at = [":" if axis == self.axis else LETTERS[axis] for axis in range(self.ndim)]
        if self.keeps:
            lengths.insert(self.axis, "1")
        into = [
            "0" if axis == self.axis else LETTERS[axis] for axis in range(self.ndim) if self.keeps or axis != self.axis
        ]
        lines = [f"def {name}(x):", f"    out = np.empty(({', '.join(lengths)},), np.{_scalar(self.dtype)})"]
        for depth, (axis, letter) in enumerate(zip(others, letters, strict=True), start=1):
            lines.append(f"{'    ' * depth}for {letter} in range(x.shape[{axis}]):")
        inner, part = "    " * (len(others) + 1), f"x[{', '.join(at)}]"
        lines.append(f"{inner}out[{', '.join(into)}] = {self._one(part)}")
        return "\n".join([*lines, "    return out\n"])

    def _one(self, part: str) -> str:
        if self.function == "linalg.norm":
            return f"np.sqrt(np.sum({part} ** 2))"
        if self.function == "ptp":
            return f"np.max({part}) - np.min({part})"
        length = f"x.shape[{self.axis}]"
        if self.function == "std" and self.ddof:
            return f"np.sqrt(np.var({part}) * {length} / ({length} - {self.ddof}))"
        if self.function == "var" and self.ddof:
            return f"np.var({part}) * {length} / ({length} - {self.ddof})"
        return f"np.{self.function}({part})"


def accumulated(name: str, ufunc: str) -> str:
    """`ufunc.accumulate` of an array of one axis."""
    return f"""def {name}(x):
    out = x.copy()
    for i in range(1, len(x)):
        out[i] = np.{ufunc}(out[i - 1], x[i])
    return out
"""


def at(name: str, ufunc: str, *, each: bool) -> str:
    """`ufunc.at` of an array of one axis; with `each`, there is a value for each index."""
    value = "v[k]" if each else "v"
    return f"""def {name}(x, index, v):
    for k in range(len(index)):
        x[index[k]] = np.{ufunc}(x[index[k]], {value})
"""


def product(name: str) -> str:
    """`a @ b` where `a` has more than two axes and `b` has two."""
    return f"""def {name}(a, b):
    rows = np.ascontiguousarray(a).reshape(-1, a.shape[-1])
    return (rows @ np.ascontiguousarray(b)).reshape(a.shape[:-1] + (b.shape[1],))
"""


def grid(name: str) -> str:
    """`np.mgrid[0:n, 0:m]`, as two arrays."""
    return f"""def {name}(n, m):
    rows = np.empty((n, m), np.int64)
    columns = np.empty((n, m), np.int64)
    for i in range(n):
        for j in range(m):
            rows[i, j] = i
            columns[i, j] = j
    return rows, columns
"""


def where(name: str, op: str, *, each: bool) -> str:
    """`x[mask] = v`, or with an operator before the sign; with `each`, there is a value for each True."""
    start = "    n = 0\n" if each else ""
    value = "v[n]" if each else "v"
    step = "            n += 1\n" if each else ""
    check = (
        "    if len(v) != np.sum(mask):\n        raise ValueError('not as many values as the mask has True')\n"
        if each
        else ""
    )
    return f"""def {name}(x, mask, v):
    if x.shape != mask.shape:
        raise IndexError('the mask has another shape')
{check}{start}    for at in np.ndindex(x.shape):
        if mask[at]:
            x[at] {op}= {value}
{step}"""


def _scalar(dtype: str) -> str:
    return "bool_" if dtype == "bool" else dtype

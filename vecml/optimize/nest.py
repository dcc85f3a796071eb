"""What is known of a loop nest while it is rewritten statement by statement, and the NumPy lines written so far."""

import ast
from dataclasses import dataclass, field
from typing import Literal

from vecml.optimize.syntax import names_in, takes_slice
from vecml.optimize.values import Loop, NotRecognisedError, Scope, Value, align, value_like

Form = Literal["map", "reduce", "masked update", "outer"]
SUMS: dict[type[ast.operator], tuple[str, str]] = {
    ast.Add: ("np.sum", "+"),
    ast.Sub: ("np.sum", "-"),
    ast.Mult: ("np.prod", "*"),
}


@dataclass
class Nest:
    """The outermost loop, and the state of its rewrite.

    Attributes:
        function: the function that contains the loop.
        loop: the outermost loop.
        scope: what is known of the names.
        loops: every loop of the nest whose variable was set so far.
        entered: the loops around the statement that is read now, the outermost first.
        gathered: the NumPy function that gathers a name over a loop, by the name and the loop's id.
        lines: the statements written so far.
        written: the arrays that the nest writes.
        grown: the lists that it has made longer.
        masked, reduced, pairwise: whether it has a condition, a sum or an extreme, two loops over one array.
    """

    function: ast.FunctionDef
    loop: ast.For
    scope: Scope
    loops: list[Loop] = field(default_factory=list)
    entered: list[ast.For] = field(default_factory=list)
    gathered: dict[tuple[str, int], str] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)
    written: set[str] = field(default_factory=set)
    grown: set[str] = field(default_factory=set)
    masked: bool = False
    reduced: bool = False
    pairwise: bool = False

    @property
    def form(self) -> Form:
        """The form that the nest turned out to have, once it is rewritten."""
        if self.pairwise:
            return "outer"
        if self.masked:
            return "masked update"
        return "reduce" if self.reduced else "map"

    def kept(self, code: str) -> str:
        """The code, copied where it is a view of an array that is written: what is read now must stay as it is."""
        node = ast.parse(code, mode="eval").body
        seen = isinstance(node, ast.Name) or takes_slice(code)
        return f"np.copy({code})" if seen and names_in(node) & self.written else code

    def gather(self, name: str, function: str, depth: int) -> None:
        """Note how `name` is gathered over the loop at this depth.

        Raises NotRecognisedError when another function gathers it there already: two sums over a loop may follow each
        other, but a sum and a product alternate in its turns.
        """
        if self.gathered.setdefault((name, id(self.entered[depth])), function) != function:
            raise NotRecognisedError(f"{name} is gathered in two ways, by turns")


def masked_or(mask: Value | None, value: Value, neutral: int) -> Value:
    """The value where the mask holds, and the number `neutral` elsewhere; the value itself without a mask."""
    if mask is None:
        return value
    codes, layout = align([mask, value])
    return value_like(layout, f"np.where({codes[0]}, {codes[1]}, {neutral})")


def sum_axes(name: str, value: Value, loops: list[Loop]) -> str:
    """The axes of these loops, the innermost ones, in the value's array: `-1`, or a tuple, as code.

    Raises NotRecognisedError when the value is the same in every turn of one of them.
    """
    missing = [loop.name for loop in loops if loop.name not in value.deps]
    if missing:
        raise NotRecognisedError(f"{name} gathers the same in every turn of {', '.join(missing)}")
    axes = tuple(-value.rank - number - 1 for number in reversed(range(len(loops))))
    return str(axes[0] if len(axes) == 1 else axes)

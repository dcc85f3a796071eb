"""Values inside a loop nest as NumPy expressions: which loops they depend on, and how their axes line up.

A value at depth D has the axes of the loops 1..D, outermost first, then its own. Its code is an expression whose shape
fits those from the right, so that broadcasting does the rest: a loop that it does not depend on may be missing on the
left, or have length 1.
"""

import ast
from dataclasses import dataclass, field, replace


class NotRecognisedError(Exception):
    """A loop is not of a form that can be rewritten; its text says why, of the loop."""


@dataclass(frozen=True)
class Value:
    """A NumPy expression that stands for a Python value in every turn of the loops.

    Attributes:
        code: the expression.
        deps: names of the loop variables that it depends on; empty: the same in every turn.
        depth: of the loops that its axes are laid out for.
        rank: axes of its own, in one turn.
        loop: for a plain loop variable over a range: its name.
    """

    code: str
    deps: frozenset[str] = frozenset()
    depth: int = 0
    rank: int = 0
    loop: str | None = None

    def at(self, depth: int) -> str:
        """The code, laid out for `depth` loops."""
        missing = depth - self.depth
        if not missing or not self.deps:
            return self.code
        nones = ", ".join(["None"] * missing)
        if self.depth == 1:
            return f"({self.code})[:, {nones}]"
        own = ", :" * self.rank
        return f"({self.code})[..., {nones}{own}]"


@dataclass(frozen=True)
class Loop:
    """A loop of the nest that is being rewritten.

    Attributes:
        name: of its variable; unique in the nest.
        depth: from 1, the outermost.
        start, stop: code, of the range; `0` and the length for a loop over an array.
        step: code.
        counts_up: whether it certainly starts at 0 or above, and steps up; else a slice may count from the end.
        stop_is_size: whether `stop` is certainly 0 or above.
    """

    name: str
    depth: int
    start: str
    stop: str
    step: str = "1"
    counts_up: bool = True
    stop_is_size: bool = True

    @property
    def slice(self) -> str:
        """The loop's range as a slice; a stop below 0 would count from the end, where the range is empty."""
        start = "" if self.start == "0" else self.start
        stop = self.stop if self.stop_is_size else f"max(0, {self.stop})"
        return f"{start}:{stop}" if self.step == "1" else f"{start}:{stop}:{self.step}"

    @property
    def arange(self) -> str:
        """The loop's range as an array of its values."""
        if self.step != "1":
            return f"np.arange({self.start}, {self.stop}, {self.step})"
        return f"np.arange({self.stop})" if self.start == "0" else f"np.arange({self.start}, {self.stop})"


@dataclass
class Scope:
    """The names of a function while a nest of its loops is rewritten.

    Attributes:
        ranks: axes of the names that are set before the nest; a name that is missing is not known.
        values: of the names that the nest sets, so far.
        carried: names that the nest sets, and that hold what an earlier turn left until then.
        loops: by their variable's name, the outermost first.
        stored: of each array that the nest writes, the index as text.
    """

    ranks: dict[str, int]
    values: dict[str, Value] = field(default_factory=dict)
    carried: set[str] = field(default_factory=set)
    loops: dict[str, Loop] = field(default_factory=dict)
    stored: dict[str, str] = field(default_factory=dict)

    @property
    def depth(self) -> int:
        """How many loops deep it is now."""
        return len(self.loops)


def align(values: list[Value]) -> tuple[list[str], Value]:
    """Lay several values out beside each other, so that their axes meet.

    Returns:
        The code of each value, in parentheses; and a value without code, of the layout that a combination of them has.
    """
    depth = max((value.depth for value in values if value.deps), default=0)
    rank = max(value.rank for value in values)
    codes = []
    for value in values:
        code = value.at(depth)
        if value.rank < rank and value.deps:
            if value.rank:
                raise NotRecognisedError("it combines rows with tables of rows")
            code = f"({code})[..., {', '.join(['None'] * rank)}]"
        codes.append(f"({code})")
    deps = frozenset().union(*(value.deps for value in values))
    return codes, Value("", deps, depth, rank)


def value_like(layout: Value, code: str, rank: int | None = None) -> Value:
    """A value with this code and the layout of another; `rank` where it has other axes of its own."""
    return replace(layout, code=code, rank=layout.rank if rank is None else rank, loop=None)


def simplify(code: str) -> str:
    """Remove the parentheses that a statement or an expression does not need."""
    return ast.unparse(ast.parse(code))

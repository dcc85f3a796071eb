"""Values inside a loop nest as NumPy expressions: which loops they depend on, and how their axes line up.

A value at depth D has the axes of the loops 1..D, outermost first, then its own. Its code is an expression whose shape
fits those from the right, so that broadcasting does the rest: a loop that it does not depend on may be missing on the
left, or have length 1.
"""

import ast
from dataclasses import dataclass, field, replace

from vecml.optimize.linear import Linear, Sizes


class NotRecognisedError(Exception):
    """A loop cannot be rewritten; the text says why."""


@dataclass(frozen=True)
class Value:
    """A NumPy expression for all the values that a Python expression takes in the turns of the loops.

    Attributes:
        code: the text of the NumPy expression.
        deps: names of the loop variables that it depends on; empty: it is the same in every turn.
        depth: number of loops, from the outermost, for which the code has axes.
        rank: number of axes that the value has in one turn; they are the last axes of the code.
        loop: the name of the loop variable if the value is just that, or that plus `offset`; else None.
        offset: a whole number.
    """

    code: str
    deps: frozenset[str] = frozenset()
    depth: int = 0
    rank: int = 0
    loop: str | None = None
    offset: int = 0

    def at(self, depth: int) -> str:
        """The code with new axes for the loops below `self.depth`, up to `depth`."""
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
        name: name of its variable; unique in the nest.
        depth: its place in the nest, from 1 for the outermost loop.
        start, stop: code of the range's ends; `0` and the length for a loop over an array.
        step: code of the range's step.
        counts_up: whether it certainly starts at 0 or above and steps up; without that, a slice is not the same.
        stop_is_size: whether `stop` is certainly 0 or above.
    """

    name: str
    depth: int
    start: str
    stop: str
    step: str = "1"
    counts_up: bool = True
    stop_is_size: bool = True

    def reaches(self, offset: int) -> bool:
        """Whether the range moved by the offset certainly starts at 0 or above, as a slice must."""
        return self.counts_up and (offset >= 0 or (self.start.isdecimal() and int(self.start) + offset >= 0))

    def slice(self, offset: int = 0, length: Linear | None = None, sizes: Sizes | None = None) -> str:
        """The loop's range, moved by an offset, as a slice; a stop below 0 becomes 0: a slice would count from the end.

        Args:
            offset: a whole number.
            length: of the axis that is cut, where it is known.
            sizes: what the function's names of lengths stand for.
        """
        start = Linear(constant=int(self.start)) if self.start.isdecimal() else Linear({self.start: 1})
        moved = (start + Linear(constant=offset)).code if offset or self.start.isdecimal() else self.start
        step = "" if self.step == "1" else f":{self.step}"
        node = ast.parse(self.stop, mode="eval").body
        least = length is not None and sizes is not None
        apart = (sizes.linear(node) + Linear(constant=offset) - length).number if least and sizes and length else None
        if apart is not None and apart <= 0:
            return f"{'' if moved == '0' else moved}:{'' if apart == 0 else apart}{step}"
        stop = self.stop if not offset else (Sizes.plain(node) + Linear(constant=offset)).code
        if not self.stop_is_size or offset < 0:
            stop = f"max(0, {stop})"
        return f"{'' if moved == '0' else moved}:{stop}{step}"

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
        ranks: number of axes of each name that is set before the nest, as far as it is known.
        values: the values of the names that the nest has set so far.
        loops: the loops by the name of their variable, the outermost first.
        conditions: names that hold a boolean in each turn.
        dicts: names that hold a dictionary.
        sizes: what names of lengths stand for; None where that is not asked.
        before: statements that an expression needs before its own; None where it may have none.
        needs: conditions under which alone the rewrite is right, as code.
        turns: conditions under which the outermost loop has a turn, where the rewrite needs one.
        guarded: whether what is read now is needed in some turns only, so that its indices may be anything in others.
    """

    ranks: dict[str, int]
    values: dict[str, Value] = field(default_factory=dict)
    loops: dict[str, Loop] = field(default_factory=dict)
    conditions: set[str] = field(default_factory=set)
    dicts: frozenset[str] = frozenset()
    sizes: Sizes | None = None
    before: list[str] | None = None
    needs: list[str] = field(default_factory=list)
    turns: list[str] = field(default_factory=list)
    guarded: bool = False

    @property
    def depth(self) -> int:
        """The number of loops around the statement that is being rewritten."""
        return len(self.loops)


def align(values: list[Value]) -> tuple[list[str], Value]:
    """Add axes to several values so that they broadcast with each other.

    Returns:
        The code of each value, in parentheses; and a value without code, with the axes that their combination has.
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
    """Make a value with this code and the axes of `layout`; `rank` is given if it has another rank."""
    return replace(layout, code=code, rank=layout.rank if rank is None else rank, loop=None, offset=0)


def simplify(code: str) -> str:
    """Remove the parentheses that a statement or an expression does not need."""
    return ast.unparse(ast.parse(code))

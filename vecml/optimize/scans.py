"""Recurrences as NumPy: running values along a loop's axis, and what is left after the last turn."""

import ast
from dataclasses import replace

from vecml.optimize.linear import Sizes
from vecml.optimize.values import Loop, NotRecognisedError, Scope, Value, align, value_like

ACCUMULATED = {"sum": ("np.cumsum", "+"), "prod": ("np.cumprod", "*")}
REDUCED = {"sum": "np.sum", "prod": "np.prod", "max": "np.max", "min": "np.min"}
PAIRWISE = {"max": ("np.fmax", "np.maximum"), "min": ("np.fmin", "np.minimum")}


def turns_of(loop: Loop) -> str:
    """The number of the loop's turns, as code."""
    if loop.step != "1":
        return f"len(range({loop.start}, {loop.stop}, {loop.step}))"
    if loop.start == "0" and loop.stop_is_size:
        return loop.stop
    start, stop = (Sizes.plain(ast.parse(one, mode="eval").body) for one in (loop.start, loop.stop))
    return f"max(0, {(stop - start).code})"


def spread(value: Value, loop: Loop, scope: Scope) -> Value:
    """The value with an axis for the loop, the innermost one, also where it is the same in every turn."""
    if loop.name in value.deps:
        return value
    deps = value.deps | {loop.name}
    if not value.deps:
        if value.rank:
            raise NotRecognisedError("a row is the same in every turn")
        return Value(f"np.full({turns_of(loop)}, {value.code})", deps, scope.depth)
    if value.rank:
        raise NotRecognisedError("a row is the same in every turn")
    return Value(f"np.repeat({value.at(scope.depth)}, {turns_of(loop)}, axis=-1)", deps, scope.depth)


def axis_of(value: Value) -> str:
    """The axis of the innermost loop in a value's array."""
    return str(-1 - value.rank)


def accumulate(kind: str, value: Value, first: Value, *, keeps_nan: bool = False) -> Value:
    """The running sum, product or extreme after each turn.

    Args:
        kind: `sum`, `prod`, `max` or `min`.
        value: of each turn, with an axis for the loop.
        first: before the first turn.
        keeps_nan: whether a NaN stays, as with `np.maximum`.
    """
    axis = "" if value.depth == 1 and not value.rank else f", axis={axis_of(value)}"
    if kind in ACCUMULATED:
        function, sign = ACCUMULATED[kind]
        codes, layout = align([first, value_like(value, f"{function}({value.code}{axis})")])
        neutral = first.code == ("0" if kind == "sum" else "1")
        return value_like(layout, codes[1] if neutral else f"{codes[0]} {sign} {codes[1]}")
    skipping, keeping = PAIRWISE[kind]
    codes, layout = align([first, value])
    code = f"{keeping if keeps_nan else skipping}({codes[1]}, {codes[0]})"
    running = f"{keeping}.accumulate({code}{axis or ''})"
    return value_like(layout, running if keeps_nan else f"{keeping}({running}, {codes[0]})")


def reduced(kind: str, value: Value, first: Value | None, loop: Loop, *, keeps_nan: bool = False) -> Value:
    """Gather a value over all turns of the innermost loop, without that loop's axis.

    Args:
        kind: `sum`, `prod`, `max` or `min`.
        value: of each turn, with an axis for the loop.
        first: what it begins with; None for sums and products that another statement adds to.
        loop: the innermost loop.
        keeps_nan: whether a NaN stays.
    """
    rest = value.deps - {loop.name}
    axis = "" if not rest and not value.rank else f", axis={axis_of(value)}"
    depth = value.depth - 1 if rest else 0
    if kind in ACCUMULATED:
        total = Value(f"{REDUCED[kind]}({value.code}{axis})", rest, depth, value.rank)
        if first is None:
            return total
        codes, layout = align([first, total])
        return value_like(layout, f"{codes[0]} {ACCUMULATED[kind][1]} {codes[1]}")
    if first is None:
        raise NotRecognisedError("what an extreme begins with is not known")
    skipping, keeping = PAIRWISE[kind]
    codes, _ = align([first, value])
    code = codes[1] if keeps_nan else f"{skipping}({codes[1]}, {codes[0]})"
    if not first.deps:
        return Value(f"{REDUCED[kind]}({code}{axis}, initial={first.code})", rest, depth, value.rank)
    total = Value(f"{REDUCED[kind]}({code}{axis})", rest | first.deps, depth, value.rank)
    codes, layout = align([total, replace(first, depth=min(first.depth, depth))])
    return value_like(layout, f"{keeping}({codes[0]}, {codes[1]})")


def latest(value: Value, test: Value, first: Value, loop: Loop, name: str) -> tuple[list[str], Value]:
    """Give the value of the last turn so far in which the test held, and `first` before the first of them.

    Args:
        value, test, first: of each turn, and what the name begins with.
        loop: the innermost loop.
        name: a new name, for the numbers of those turns.

    Returns:
        The statements that find those turns, by this name, and the value after each turn.
    """
    if test.depth == 1 and not value.rank:
        running = "np.logical_or.accumulate"
        if not value.deps:
            codes, layout = align([value_like(test, f"{running}({test.code})"), value, first])
            return [], value_like(layout, f"np.where({', '.join(codes)})")
        line = f"{name} = np.maximum.accumulate(np.where({test.code}, np.arange({turns_of(loop)}), -1))"
        code = f"np.where({name} >= 0, ({value.code})[{name}], {first.code})"
        return [line], value_like(test, code)
    if value.rank:
        raise NotRecognisedError("a row is kept for later turns")
    where = f"np.where({test.code}, np.arange({turns_of(loop)}), -1)"
    line = f"{name} = np.maximum.accumulate({where}, axis=-1)"
    codes, layout = align([test, value, first])
    taken = f"np.take_along_axis(np.broadcast_to({codes[1]}, {name}.shape), {name}, axis=-1)"
    return [line], value_like(layout, f"np.where({name} >= 0, {taken}, {codes[2]})")


def last_of(value: Value, test: Value, first: Value, loop: Loop, name: str) -> tuple[list[str], Value]:
    """Give the value of the last turn in which the test holds, or `first` where there is none.

    Args:
        value, test, first, loop, name: as of `latest`.
    """
    rest = test.deps - {loop.name}
    if not rest:
        if value.rank:
            raise NotRecognisedError("a row is kept for later turns")
        line = f"{name} = np.flatnonzero({test.code})"
        if not value.deps:
            return [line], Value(f"({value.code} if {name}.size else {first.code})")
        found = f"({value.code})[{name}[-1]]"
        if value.loop == loop.name and not value.offset and (loop.start, loop.step) == ("0", "1"):
            found = f"int({name}[-1])"
        return [line], Value(f"({found} if {name}.size else {first.code})")
    if value.rank:
        raise NotRecognisedError("a row is kept for later turns")
    where = f"np.where({test.code}, np.arange({turns_of(loop)}), -1)"
    line = f"{name} = np.max({where}, axis=-1, initial=-1)"
    depth = test.depth - 1
    at = Value(f"{name}", rest, depth)
    if value.loop == loop.name and not value.offset and (loop.start, loop.step) == ("0", "1"):
        value = at
    elif value.deps:
        whole = f"np.broadcast_to({value.at(test.depth)}, ({test.code}).shape)"
        taken = f"np.take_along_axis({whole}, {name}[..., None], axis=-1)"
        value = Value(f"{taken}[..., 0]", rest, depth)
    codes, layout = align([value_like(at, f"{name} >= 0"), value, replace(first, depth=min(first.depth, depth))])
    return [line], value_like(layout, f"np.where({', '.join(codes)})")


def before_each(name: str, value: Value, first: Value, array: str = "") -> Value:
    """The value at the start of each turn: that of the turn before, and `first` at the first.

    Args:
        name: of the value after each turn.
        value: the same, with an axis for the loop.
        first: before the first turn.
        array: where the values are elements of an array, its name: they are cast as it casts them.
    """
    if value.rank:
        raise NotRecognisedError(f"{name} is a row that is carried from turn to turn")
    cast = f".astype({array}.dtype)" if array else ""
    if value.depth == 1:
        start = f"np.full_like({name}[:1], {first.code}, np.result_type({name}, {first.code}))"
        return value_like(value, f"np.concatenate(({start}, {name}[:-1])){cast}")
    code = first.at(value.depth)
    start = f"np.full_like({name}[..., :1], {code}, np.result_type({name}, {code}))"
    return value_like(value, f"np.concatenate(({start}, {name}[..., :-1]), axis=-1){cast}")

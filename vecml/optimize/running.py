"""What a loop carries from turn to turn, written as NumPy: after each turn, and after the last."""

import ast

from vecml.optimize import scans
from vecml.optimize.contraction import contracted
from vecml.optimize.expressions import guarded, truth, vectorise
from vecml.optimize.nest import Nest
from vecml.optimize.recurrences import Recurrence
from vecml.optimize.turns import Carried
from vecml.optimize.values import Loop, NotRecognisedError, Scope, Value, align, value_like

GATHERED = ("sum", "prod", "max", "min")
NEUTRAL = {"sum": "0", "prod": "1"}


def running(nest: Nest, found: Recurrence, one: Carried, loop: Loop) -> Value | None:
    """Return a carried name's value after each turn of the innermost loop; None where that has no form.

    Args:
        nest: the loops, and the lines written so far.
        found: how the value follows from that of the turn before.
        one: the name.
        loop: the innermost loop.
    """
    scope = nest.scope
    _refuse_none(one)
    first = vectorise(one.first, scope)
    nest.reduced = True
    if found.kind == "all":
        test = scans.spread(truth(found.node, scope), loop, scope)
        return value_like(test, f"np.logical_and.accumulate({test.code}, axis=-1)")
    value, mask = _parts(nest, found, loop)
    if found.kind in GATHERED:
        value = scans.spread(_masked(nest, found, value, mask, first), loop, scope)
        return scans.accumulate(found.kind, value, first, keeps_nan=found.keeps_nan)
    if found.kind == "value" or (found.kind == "last" and mask is None):
        return scans.spread(value, loop, scope)
    if found.kind == "last" and mask is not None:
        lines, latest = scans.latest(value, mask, first, loop, f"{one.end}_at")
        nest.lines += lines
        return latest
    if scope.depth > 1 or value.rank:
        return None
    value = scans.spread(value, loop, scope)
    if found.kind == "reset" and mask is not None:
        return _reset(nest, found, value, mask, first, loop, one)
    return _linear(nest, found, value, first, loop, one)


def left(nest: Nest, found: Recurrence, one: Carried, loop: Loop) -> Value:
    """Return what is in a carried name after the last turn of the innermost loop.

    Args:
        nest, found, one, loop: as of `running`.

    Raises NotRecognisedError where that has no form.
    """
    scope = nest.scope
    if found.kind != "last":
        _refuse_none(one)
    first = Value(ast.unparse(one.first)) if isinstance(one.first, ast.Constant) else vectorise(one.first, scope)
    if found.kind == "all":
        test = scans.spread(truth(found.node, scope), loop, scope)
        return Value(f"bool(np.all({test.code}))")
    value, mask = _parts(nest, found, loop)
    if found.kind in GATHERED:
        if found.kind == "sum" and mask is None and (product := contracted(found.node, scope, loop)) is not None:
            codes, layout = align([first, product])
            return value_like(layout, f"{codes[0]} + {codes[1]}")
        value = scans.spread(_masked(nest, found, value, mask, first), loop, scope)
        return scans.reduced(found.kind, value, first, loop, keeps_nan=found.keeps_nan)
    if found.kind == "last" and mask is not None:
        lines, last = scans.last_of(value, mask, first, loop, f"{one.end}_at")
        nest.lines += lines
        return last
    if found.kind in ("value", "last"):
        raise NotRecognisedError(f"what the last turn leaves in {one.name} is used after the loop")
    after = running(nest, found, one, loop)
    if after is None or after.depth > 1:
        raise NotRecognisedError(f"{one.name} is carried from one turn of the loop to the next")
    need_turn(scope, loop)
    return Value(f"({after.code})[-1]")


def need_turn(scope: Scope, loop: Loop) -> None:
    """Note that what is written is right only where the loop has a turn."""
    test = f"{loop.stop} > {loop.start}" if loop.step == "1" else f"{scans.turns_of(loop)} > 0"
    (scope.turns if loop.depth == 1 else scope.needs).append(test)


def _refuse_none(one: Carried) -> None:
    if isinstance(one.first, ast.Constant) and one.first.value is None:
        raise NotRecognisedError(f"{one.name} begins with None")


def _parts(nest: Nest, found: Recurrence, loop: Loop) -> tuple[Value, Value | None]:
    nest.masked |= isinstance(found.node, ast.IfExp)
    with guarded(nest.scope, when=found.test is not None):
        value = vectorise(found.node, nest.scope)
    if found.test is None:
        return value, None
    return value, scans.spread(truth(found.test, nest.scope), loop, nest.scope)


def _masked(nest: Nest, found: Recurrence, value: Value, mask: Value | None, first: Value) -> Value:
    """The value where the mask holds, else what changes nothing: an extreme may take what it begins with again."""
    if mask is None:
        return value
    nest.masked = True
    neutral = NEUTRAL.get(found.kind)
    codes, layout = align([mask, value, Value(neutral) if neutral else first])
    return value_like(layout, f"np.where({', '.join(codes)})")


def _reset(nest: Nest, found: Recurrence, value: Value, mask: Value, first: Value, loop: Loop, one: Carried) -> Value:
    factor = vectorise(found.factor or ast.Constant(0), nest.scope).code
    total, at = f"{one.end}_total", f"{one.end}_at"
    nest.lines.append(f"{total} = np.cumsum(np.where({mask.code}, 0, {value.code}))")
    places = f"np.where({mask.code}, np.arange({scans.turns_of(loop)}), -1)"
    nest.lines.append(f"{at} = np.maximum.accumulate({places})")
    return value_like(value, f"np.where({at} >= 0, {factor} + {total} - {total}[{at}], {first.code} + {total})")


def _linear(nest: Nest, found: Recurrence, value: Value, first: Value, loop: Loop, one: Carried) -> Value | None:
    """`s = a * s + x[i]`; lfilter's own numbers are float64, and a loop's of the kind that its operands have."""
    if found.kind != "linear" or found.factor is None:
        return None
    factor = vectorise(found.factor, nest.scope).code
    need_turn(nest.scope, loop)
    start = f"[({factor}) * ({first.code})]"
    given = value.code
    if not given.isidentifier():
        given = f"{one.end}_given"
        nest.lines.append(f"{given} = {value.code}")
    made = f"lfilter([1.0], [1.0, -({factor})], {given}, zi={start})[0]"
    # With float16 beside them whole numbers become float64, as lfilter gives: above 2**53 they would be wrong as such.
    dtype = f"np.result_type({given}, {factor}, {first.code}, np.float16)"
    return value_like(value, f"{made}.astype({dtype}, copy=False)")

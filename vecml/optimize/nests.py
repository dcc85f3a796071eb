"""A loop nest through its stages: read as turns, simplified, and written as NumPy."""

import ast
import re
from collections.abc import Mapping

from vecml.optimize.branches import Branch
from vecml.optimize.conflicts import overwritten, reads_in, stores_in
from vecml.optimize.emission import Emission
from vecml.optimize.implied import Called
from vecml.optimize.linear import Sizes
from vecml.optimize.nest import Form
from vecml.optimize.passes import (
    carry_elements,
    carry_lists,
    drop_dead,
    extremes_of_elements,
    growing_arrays,
    inline_once,
    live_names,
    take_sums_out,
)
from vecml.optimize.reading import Reader
from vecml.optimize.syntax import names_in, names_set_in, outlives
from vecml.optimize.turns import Append, Leave, Store, Turn
from vecml.optimize.values import NotRecognisedError, Scope
from vecml.optimize.writing import list_before

WORD = re.compile(r"[^\W\d]\w*")
FILLED = ast.Constant("filled")  # a dictionary that is not empty before the loop


def rewrite_turns(
    function: ast.FunctionDef,
    loop: ast.For,
    ranks: dict[str, int],
    functions: Mapping[str, Called],
) -> tuple[str, Form, set[str]]:
    """Rewrite a loop, with the loops inside it, as NumPy statements, whatever is carried from turn to turn.

    Args:
        function: contains the loop.
        loop: the outermost loop.
        ranks: the number of axes of each name that is set before the loop; 0 for a number.
        functions: the functions that the loop may call, by name.

    Returns:
        The statements that replace the loop, which form it has, and what has to be imported.

    Raises:
        NotRecognisedError: the loop cannot be rewritten; the text says why.
    """
    dicts = _dicts_in(function)
    reader = Reader(function, functions, {name: first for name, first in dicts.items() if first is not FILLED})
    reader.outside = _set_outside(function, loop)
    try:
        return _rewritten(reader, function, loop, ranks)
    except NotRecognisedError as error:  # in the names that the function has
        raise NotRecognisedError(WORD.sub(lambda word: reader.known_as.get(word[0], word[0]), str(error))) from error


def _rewritten(
    reader: Reader, function: ast.FunctionDef, loop: ast.For, ranks: dict[str, int]
) -> tuple[str, Form, set[str]]:
    turn = reader.read(loop, Branch({}))
    wanted = _wanted(function, loop)
    growing_arrays(turn)
    wanted -= {event.name for event in turn.events if isinstance(event, Append) and event.whole}
    if loose := (wanted & _variables(loop)):
        raise NotRecognisedError(f"what the last turn leaves in {min(loose)} is used after the loop")
    if lacking := sorted(wanted - {one.name for one in turn.carried.values()}):
        raise NotRecognisedError(f"what the last turn leaves in {lacking[0]} is used after the loop")
    sizes = Sizes(function)
    effects = list(_events(turn))
    _refuse_conflicts(effects, sizes)
    scope = Scope(dict(ranks), conditions=reader.conditions, sizes=sizes, dicts=frozenset(_dicts_in(function)))
    scope.needs += _apart_in_memory(function, turn, ranks)
    extremes_of_elements(turn)
    carry_elements(turn, [turn], sizes, reader.fresh)
    carry_lists(turn, lambda name: list_before(name, function, loop), reader.fresh)
    if loop not in function.body:  # what it leaves in a name may be what it begins with the next time
        live = live_names(turn, wanted)
        wanted |= {one.name for one in turn.carried.values() if one.start in live and one.name.isidentifier()}
    drop_dead(turn, live_names(turn, wanted), wanted)
    take_sums_out(turn)
    drop_dead(turn, live_names(turn, wanted), wanted)
    stored = {one.array for one in effects if isinstance(one, Store)}
    inline_once(turn, wanted, stored)
    for _, node in reader.before:
        if names_in(node) & stored:
            raise NotRecognisedError(f"what {ast.unparse(node)} gives in each turn is not known")
    written = Emission(function, turn, scope, sizes, wanted)
    for name, node in reader.before:
        written.bind_before(name, node)
    written.write(turn)
    if len(written.lines) == len(reader.before) + len(written.nest.loops):
        raise NotRecognisedError("nothing that it does is used")
    imports = {"from scipy.signal import lfilter"} if "lfilter" in _words(written.lines) else set()
    return _text(written, loop, len(reader.before)), written.nest.form, imports


def _refuse_conflicts(effects: list[object], sizes: Sizes) -> None:
    """Raise NotRecognisedError where a turn's effects have an order that cannot be kept for all turns at once."""
    if (name := overwritten([one for one in effects if isinstance(one, Store)], sizes)) is not None:
        raise NotRecognisedError(f"{name} is written at several places in a turn")
    grown = [one.name for one in effects if isinstance(one, Append)]
    if twice := {name for name in grown if grown.count(name) > 1}:
        raise NotRecognisedError(f"{min(twice)} grows more than once in a turn")
    leaves = [one for one in effects if isinstance(one, Leave)]
    if leaves and (len(leaves) > 1 or len(effects) > 1):
        raise NotRecognisedError("it is left early, and has effects before")


def _apart_in_memory(function: ast.FunctionDef, turn: Turn, ranks: Mapping[str, int]) -> list[str]:
    """Conditions under which no argument that the loop writes is one that it reads at other places.

    Turn by turn, the loop would read there what it has written.
    """
    given = {part.arg for part in ast.walk(function.args) if isinstance(part, ast.arg)}
    set_here = {one.id for one in ast.walk(function) if isinstance(one, ast.Name) and not isinstance(one.ctx, ast.Load)}
    arrays = {name for name in given - set_here if ranks.get(name, 0)}
    found: dict[str, None] = {}
    for store, _ in stores_in(turn):
        for other in sorted(arrays - {store.array}) if store.array in arrays else ():
            places = {
                ast.unparse(one.slice) if isinstance(one, ast.Subscript) else ""
                for one, _, _ in reads_in(turn, {other})
            }
            if places - {ast.unparse(store.target.slice)}:
                found[f"not np.may_share_memory({store.array}, {other})"] = None
    return list(found)


def _set_outside(function: ast.FunctionDef, loop: ast.For) -> set[str]:
    """Return the names that the function sets elsewhere, its arguments included."""
    inside = {id(part) for part in ast.walk(loop)}
    names = {part.arg for part in ast.walk(function.args) if isinstance(part, ast.arg)}
    for part in ast.walk(function):
        if isinstance(part, ast.Name) and not isinstance(part.ctx, ast.Load) and id(part) not in inside:
            names.add(part.id)
    return names


def _wanted(function: ast.FunctionDef, loop: ast.For) -> set[str]:
    nested = loop not in function.body
    names = names_set_in([loop])
    return {name for name in names if outlives(name, function, loop, nested=nested)}


def _variables(loop: ast.For) -> set[str]:
    return {name for part in ast.walk(loop) if isinstance(part, ast.For) for name in names_in(part.target)}


def _events(turn: Turn) -> list[object]:
    """List the effects of a nest: everything but names, sums and loops."""
    from vecml.optimize.turns import Define, Sum  # noqa: PLC0415

    found: list[object] = []
    for event in turn.events:
        if isinstance(event, Turn):
            found += _events(event)
        elif not isinstance(event, Define | Sum):
            found.append(event)
    return found


def _dicts_in(function: ast.FunctionDef) -> dict[str, ast.expr | None]:
    """Return the names that are set once, to a dictionary: FILLED, or what a new key begins with (None: not said)."""
    found: dict[str, ast.expr | None] = {}
    starts = {"int": ast.Constant(0), "float": ast.Constant(0.0)}
    for part in ast.walk(function):
        match part:
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Dict(keys=[])):
                found[name] = None
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Dict() | ast.DictComp()):
                found[name] = FILLED
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Call(func=called, args=args, keywords=[])):
                kind = ast.unparse(called).rpartition(".")[2]
                if kind in ("dict", "Counter"):
                    found[name] = FILLED if args else starts["int"] if kind == "Counter" else None
                elif kind == "defaultdict" and len(args) == 1:
                    found[name] = starts.get(ast.unparse(args[0]), FILLED)
    counts = [
        part.id for part in ast.walk(function) if isinstance(part, ast.Name) and not isinstance(part.ctx, ast.Load)
    ]
    return {name: first for name, first in found.items() if counts.count(name) == 1}


def empty_before(function: ast.FunctionDef, loop: ast.For) -> set[str]:
    """Return the names of lists and dictionaries that are empty when a loop begins, and not used before."""
    found = set()
    for part in ast.walk(function):
        match part:
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.List(elts=[]) | ast.Dict(keys=[])):
                if part.lineno < loop.lineno:
                    found.add(name)
    used = [
        part.id
        for part in ast.walk(function)
        if isinstance(part, ast.Name) and part.id in found and part.lineno < loop.lineno
    ]
    return {name for name in found if used.count(name) == 1}


def callable_from(function: ast.FunctionDef, tree: ast.Module) -> dict[str, Called]:
    """Return the functions that may stand in place of their calls: those in the function, and of its file."""
    found: dict[str, Called] = {}
    own = {part.id for part in ast.walk(function) if isinstance(part, ast.Name) and not isinstance(part.ctx, ast.Load)}
    own |= {part.arg for part in ast.walk(function.args) if isinstance(part, ast.arg)}
    for part in tree.body:
        if isinstance(part, ast.FunctionDef) and part is not function and not part.decorator_list:
            inside = {one.arg for one in ast.walk(part.args) if isinstance(one, ast.arg)} | names_set_in([part])
            if part.name not in own and not (names_in(part) - inside) & own:
                found[part.name] = part
    for inner in ast.walk(function):
        if isinstance(inner, ast.FunctionDef) and inner is not function and not inner.decorator_list:
            found[inner.name] = inner
        match inner:
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Lambda() as made):
                found[name] = made
    return found


def _words(lines: list[str]) -> set[str]:
    return {name for line in lines for name in names_in(ast.parse(line))}


def _text(written: Emission, loop: ast.For, before: int) -> str:
    """Join the statements; those that make a range that nothing reads are dropped, conditions put in front.

    In front of these are the statements that name what the loop goes through, so many of the first: they may be read.
    """
    names, lines = written.lines[:before], written.lines[before:]
    for one in written.nest.loops:
        own = f"{one.name} = {one.arange}"
        rest = [line for line in lines if line != own]
        if one.name not in _words(rest):
            lines = rest
    text = "\n".join(lines)
    needs = list(dict.fromkeys(written.scope.needs))
    turns = list(dict.fromkeys(written.scope.turns))
    if not needs and not turns:
        return "\n".join([*names, text])
    inside = "\n".join(f"    {line}" for line in text.split("\n"))
    made = "\n".join([*names, f"if {' and '.join([*turns, *needs])}:\n{inside}"])
    if not needs:
        return made
    original = "\n".join(f"    {line}" for line in ast.unparse(loop).split("\n"))
    return f"{made}\nelse:\n{original}"

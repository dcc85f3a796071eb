"""The candidate `sets`: `x in names` of a list, which walks through it in every turn of a loop, asked of a set."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from vecml.optimize.candidates.base import Candidate, Subject
from vecml.optimize.edit import Edits
from vecml.optimize.finding import definition
from vecml.optimize.profile import outer_loops
from vecml.optimize.syntax import lines_of, unused

CHANGING = ("append", "appendleft", "extend", "extendleft", "insert", "remove", "pop", "clear", "sort", "reverse")
NEW = (ast.List, ast.Dict, ast.Set, ast.ListComp, ast.DictComp, ast.SetComp, ast.Constant, ast.Tuple)
MAKERS = ("list", "dict", "set", "deque", "defaultdict", "Counter", "collections.deque", "collections.defaultdict")
NOTHING = "no loop asks in each turn whether something is in a list"


@dataclass(frozen=True)
class _Asked:
    """A list that a loop asks for members.

    Attributes:
        name: the list's.
        places: where it is asked.
        grows: the statements that append to it; empty: it stays as it is.
    """

    name: str
    places: tuple[ast.expr, ...]
    grows: tuple[ast.stmt, ...]


class PythonSets:
    """Sets beside the lists that are asked for members."""

    name = "sets"

    def missing(self) -> str | None:
        """Nothing: it is plain Python."""
        return None

    def make(self, subject: Subject) -> Candidate | str:
        """Make it of the lists that stay as they are in a loop, or that only grow by `append` from nothing."""
        tree, edits = ast.parse(subject.source), Edits(subject.source)
        function = definition(tree, subject.target.name)
        taken = {part.id for part in ast.walk(tree) if isinstance(part, ast.Name)}
        lines = lines_of(subject.source)
        names = []
        for loop in outer_loops(function.body):
            for asked in _asked(loop, function, subject, lines):
                made = unused(f"{asked.name}_set", taken)
                names.append(asked.name)
                start = "" if asked.grows else asked.name
                _insert(edits, loop.lineno, _indent(lines, loop), f"{made} = set({start})")
                for one in asked.places:
                    edits.replace(one, lambda made=made: made)  # type: ignore[misc]
                for grown in asked.grows:
                    value = ast.unparse(grown.value.args[0])  # type: ignore[attr-defined]
                    _insert(edits, (grown.end_lineno or 0) + 1, _indent(lines, grown), f"{made}.add({value})")
        if not names:
            return NOTHING
        said = f"what is in {', '.join(dict.fromkeys(names))} is asked of a set: a list is walked through in every turn"
        return subject.candidate(self.name, "rewrite", edits.whole(), said)


def _insert(edits: Edits, line: int, indent: str, text: str) -> None:
    edits.insert(line, lambda: f"{indent}{text}\n")


def _indent(lines: list[str], statement: ast.stmt) -> str:
    return lines[statement.lineno - 1][: statement.col_offset]


def _asked(loop: ast.stmt, function: ast.FunctionDef, subject: Subject, lines: list[str]) -> Iterator[_Asked]:
    """Yield the lists that a loop asks for members and that a set can stand beside."""
    places: dict[str, list[ast.expr]] = {}
    for node in ast.walk(loop):
        match node:
            case ast.Compare(ops=[ast.In() | ast.NotIn()], comparators=[ast.Name(id=name) as place]):
                kind = subject.kinds.of(place)
                listed = kind is not None and kind.type in ("list", "tuple")
                if listed or (kind is None and _is_empty(name, loop, function)):  # what it holds is not always alike
                    places.setdefault(name, []).append(place)
    for name, found in places.items():
        grows = [one for one in ast.walk(loop) if isinstance(one, ast.stmt) and _appends(one, name)]
        harmless = {id(one) for one in found} | _read_only(loop, name)
        harmless |= {id(one.value.func.value) for one in grows}  # type: ignore[attr-defined]
        uses = [one for one in ast.walk(loop) if isinstance(one, ast.Name) and one.id == name]
        alone = all(not lines[one.lineno - 1][: one.col_offset].strip() for one in (loop, *grows))
        if any(id(one) not in harmless for one in uses) or not alone or _changes_another(loop, name, function, subject):
            continue
        if not grows or _is_empty(name, loop, function):
            yield _Asked(name, tuple(found), tuple(grows))


def _changes_another(loop: ast.stmt, name: str, function: ast.FunctionDef, subject: Subject) -> bool:
    """Whether the loop changes something in place that may be the list by another name: an argument, say.

    What the function has made new itself is none of its arguments, unless that name was given something else as well.
    """
    new: dict[str, bool] = {}
    for part in ast.walk(function):
        for target in part.targets if isinstance(part, ast.Assign) else ():
            if isinstance(target, ast.Name):
                new[target.id] = new.get(target.id, True) and _is_new(part.value)  # type: ignore[attr-defined]
    for node in ast.walk(loop):
        match node:
            case ast.Call(func=ast.Attribute(value=base, attr=attribute)) if attribute in CHANGING:
                pass
            case ast.Subscript(value=base, ctx=ast.Store() | ast.Del()) | ast.AugAssign(target=base):
                pass
            case _:
                continue
        kind = subject.kinds.of(base)
        is_list = kind is None or kind.type == "list"
        if is_list and not (isinstance(base, ast.Name) and (base.id == name or new.get(base.id, False))):
            return True
    return False


def _is_new(value: ast.expr) -> bool:
    """Whether an expression is a number or text, or makes a collection that nothing else refers to."""
    made = isinstance(value, ast.Call) and ast.unparse(value.func) in MAKERS
    return made or isinstance(value, NEW)


def _appends(statement: ast.stmt, name: str) -> bool:
    """Whether a statement appends a name or a constant to a list, which can be read once more."""
    match statement:
        case ast.Expr(
            value=ast.Call(
                func=ast.Attribute(value=ast.Name(id=found), attr="append"), args=[ast.Name() | ast.Constant()]
            )
        ):
            return found == name
    return False


def _read_only(loop: ast.stmt, name: str) -> set[int]:
    """The places at which a list is gone through, measured or indexed."""
    found: list[ast.expr] = []
    for node in ast.walk(loop):
        match node:
            case ast.For(iter=ast.Name(id=one) as place) | ast.comprehension(iter=ast.Name(id=one) as place):
                found += [place] * (one == name)
            case ast.Call(func=ast.Name(id="len" | "enumerate" | "sum"), args=[ast.Name(id=one) as place]):
                found += [place] * (one == name)
            case ast.Subscript(value=ast.Name(id=one) as place, ctx=ast.Load()):
                found += [place] * (one == name)
    return {id(one) for one in found}


def _is_empty(name: str, loop: ast.stmt, function: ast.FunctionDef) -> bool:
    """Whether a list is made empty in the function's own block and not used until a loop of that block begins."""
    if loop not in function.body:
        return False
    before = function.body[: function.body.index(loop)]
    uses = [one for part in before for one in ast.walk(part) if isinstance(one, ast.Name) and one.id == name]
    made = [part for part in before if isinstance(part, ast.Assign) and ast.unparse(part.value) in ("[]", "list()")]
    return len(uses) == 1 and any(uses[0] in part.targets for part in made)

"""The candidate `numba`: the function compiled as it is; else with what Numba does not know in words that it does.

Else its numbers and arrays go into a function of their own, which is compiled; else its hot loop alone.
"""

import ast
import contextlib
import dataclasses
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

from vecml.optimize.candidates.base import Candidate, Subject
from vecml.optimize.edit import Edits
from vecml.optimize.finding import definition
from vecml.optimize.flow import walk_all
from vecml.optimize.kinds import called_functions
from vecml.optimize.lifted import NotPlacedError
from vecml.optimize.module_text import add_imports, first_function, first_line, functions_of, names_of
from vecml.optimize.numba_forms import Forms, replace_forms
from vecml.optimize.outline import Frame, NotOutlinedError, Outline, outline, regions
from vecml.optimize.profile import INSTALL
from vecml.optimize.syntax import names_in

NUMBA = '@numba.njit(error_model="numpy")'
IMPORT = {"numba": "import numba"}
JITABLE = 'numba.extending.register_jitable(error_model="numpy")'


class Numba:
    """Numba on the whole function, or on as much of it as can be."""

    name = "numba"

    def missing(self) -> str | None:
        """Why it is not there, with what to install."""
        return f"Numba is not installed: {INSTALL}" if find_spec("numba") is None else None

    def make(self, subject: Subject) -> Candidate | str:
        """Make it, unless a function that the target calls reads what of its module may change: that would freeze."""
        texts: dict[str, str] = {}
        for text, how in _texts(subject):
            texts.setdefault(text, how)
        if not texts:
            read = ", ".join(subject.observation.changeable)
            return f"it reads {read} of its module, which Numba would freeze when it compiles; pass it in"
        made = list(_placed(self.name, texts, subject))
        if not made:
            return "it would change another cell than the function's own"
        return dataclasses.replace(made[0], otherwise=tuple(made[1:]))


def _placed(name: str, texts: Mapping[str, str], subject: Subject) -> Iterator[Candidate]:
    """The candidates of these texts, without those that would change what cannot be changed."""
    for number, (text, how) in enumerate(texts.items()):
        with contextlib.suppress(NotPlacedError):
            yield subject.candidate(name, "numba", text, how, f"numba_{number}")


def with_numba(source: str, name: str) -> str:
    """The file's text with `@numba.njit` on the function, and on those of the file that it calls; pure.

    It divides by zero as NumPy does, and not as Python.
    """
    tree, edits = ast.parse(source), Edits(source)
    _decorate(called_functions(tree, name), edits)
    add_imports(tree, edits, IMPORT)
    return edits.whole()


def _texts(subject: Subject) -> Iterator[tuple[str, str]]:
    """Texts of the file, each with what was done, the least change first."""
    source, name = subject.source, subject.target.name
    packages = _of_the_package(subject)
    if not subject.changeable:
        tree, edits = ast.parse(source), Edits(source)
        called = called_functions(tree, name)
        _decorate(called, edits)
        _jitable(packages, tree, edits)
        add_imports(tree, edits, IMPORT)
        yield edits.whole(), ""
        forms = Forms(edits, subject.kinds, names_of(tree))
        replace_forms(called, forms)
        _define(forms, tree, edits)
        yield edits.whole(), "what Numba does not know is written in other words"
    tree = ast.parse(source)
    function = definition(tree, name)
    hottest = sorted(subject.profile.loops, key=lambda loop: -loop.share)
    for number, statements in enumerate(regions(function, [(loop.first, loop.last) for loop in hottest])):
        try:
            yield _outlined(subject, tree, statements, whole=number == 0)
        except NotOutlinedError:
            continue


def _outlined(subject: Subject, tree: ast.Module, statements: Sequence[ast.stmt], *, whole: bool) -> tuple[str, str]:
    edits = Edits(subject.source)
    function = definition(tree, subject.target.name)
    taken = names_of(tree)
    made = outline(statements, Frame(function, edits, subject.kinds, subject.changeable, taken), whole=whole)
    functions = functions_of(tree)
    inside = {part.id for part in walk_all(statements) if isinstance(part, ast.Name)}
    called = {one.name: one for name in sorted(inside & functions.keys()) for one in called_functions(tree, name)}
    if function.name in called:
        raise NotOutlinedError("it calls itself")
    if {name for one in called.values() for name in names_in(one)} & subject.changeable:
        raise NotOutlinedError("a function that it calls reads what of the module may change")
    forms = Forms(edits, subject.kinds, taken)
    replace_forms([*statements, *called.values()], forms)
    _decorate(called.values(), edits)
    _jitable(_of_the_package(subject), tree, edits)
    _define(forms, tree, edits)
    edits.insert(first_line(function), lambda: f"{NUMBA}\n{made.text()}\n\n")
    needs_numpy = bool(forms.added) or any(one.startswith("np.") for one in made.arguments)
    add_imports(tree, edits, IMPORT | ({"np": "import numpy as np"} if needs_numpy else {}))
    edits.replace(made.span, made.call)
    return edits.whole(), _how(made)


def _how(made: Outline) -> str:
    if made.whole:
        return "its numbers and arrays go into a function of their own, which is compiled"
    lines = f"line {made.first}" if made.first == made.last else f"lines {made.first}-{made.last}"
    return f"its loop, {lines}, is compiled as a function of its own; the rest stays Python"


def _decorate(functions: Iterable[ast.FunctionDef], edits: Edits) -> None:
    for one in functions:
        edits.insert(one.lineno, lambda: f"{NUMBA}\n")


def _define(forms: Forms, tree: ast.Module, edits: Edits) -> None:
    """Put the functions that the replacements call before the file's first function."""
    if not forms.added:
        return
    edits.insert_first(first_function(tree), lambda: "".join(f"{NUMBA}\n{text}\n\n" for text in forms.added.values()))


def _of_the_package(subject: Subject) -> tuple[str, ...]:
    """Expressions for the functions of the user's other files that the target calls, and for those that they call."""
    tree = ast.parse(subject.source)
    used = {name for one in called_functions(tree, subject.target.name) for name in names_in(one)}
    found: list[str] = []
    for part in tree.body:
        if not isinstance(part, ast.ImportFrom) or not part.module:
            continue
        file = _file_of(part, subject)
        inner = None if file is None else ast.parse(file.read_text(encoding="utf-8"))
        for one in part.names:
            name = one.asname or one.name
            defined = {each.name for each in inner.body if isinstance(each, ast.FunctionDef)} if inner else set()
            if inner is not None and name in used and one.name in defined:
                others = [each.name for each in called_functions(inner, one.name) if each.name != one.name]
                found += [*(f'{name}.__globals__["{other}"]' for other in others), name]
    return tuple(found)


def _file_of(part: ast.ImportFrom, subject: Subject) -> Path | None:
    """The user's own file that an import is from; None for the standard library and what is installed."""
    folder = Path(subject.target.folder)
    for _ in range(part.level - 1):
        folder = folder.parent
    words = (part.module or "").split(".")
    if words[0] in sys.stdlib_module_names and not part.level:
        return None
    file = folder.joinpath(*words).with_suffix(".py")
    return file if file.is_file() else None


def _jitable(functions: Sequence[str], tree: ast.Module, edits: Edits) -> None:
    """Let compiled code call functions of other files, which stay as they are."""
    if not functions:
        return
    text = "".join(f"{JITABLE}({one})\n" for one in functions)
    edits.insert_first(first_function(tree), lambda: f"{text}\n\n")
    imports = [part.lineno for part in tree.body if isinstance(part, ast.Import | ast.ImportFrom)]
    edits.insert_first(imports[0], lambda: "import numba.extending\n")

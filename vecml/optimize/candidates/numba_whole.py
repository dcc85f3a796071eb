"""The candidate `numba`: `@numba.njit` on the function and on those of the file that it calls."""

import ast
from importlib.util import find_spec

from vecml.optimize.candidates.base import Candidate, Subject
from vecml.optimize.profile import INSTALL
from vecml.optimize.syntax import lines_of, names_in

NUMBA = '@numba.njit(error_model="numpy")'


class NumbaWhole:
    """Numba on the whole function."""

    name = "numba"

    def missing(self) -> str | None:
        """Why it is not there, with what to install."""
        return f"Numba is not installed: {INSTALL}" if find_spec("numba") is None else None

    def make(self, subject: Subject) -> Candidate | str:
        """Make it, unless the function reads what of its module may change, which compiling would freeze."""
        if subject.observation.changeable:
            read = ", ".join(subject.observation.changeable)
            return f"it reads {read} of its module, which Numba would freeze when it compiles; pass it in"
        return subject.candidate(self.name, "numba", with_numba(subject.source, subject.target.name))


def with_numba(source: str, name: str) -> str:
    """The file's text with `@numba.njit` on the function, and on those of the file that it calls; pure.

    It divides by zero as NumPy does, and not as Python.
    """
    tree = ast.parse(source)
    functions = {part.name: part for part in tree.body if isinstance(part, ast.FunctionDef)}
    wanted, todo = {name}, [name]
    while todo:
        new = (names_in(functions[todo.pop()]) & functions.keys()) - wanted
        wanted |= new
        todo += sorted(new)
    lines = lines_of(source)
    for one in sorted((functions[called] for called in wanted), key=lambda part: -part.lineno):
        lines.insert(one.lineno - 1, f"{NUMBA}\n")
    if any(isinstance(part, ast.Import) and any(one.name == "numba" for one in part.names) for part in tree.body):
        return "".join(lines)
    after = next(
        (
            part.lineno - 1
            for part in tree.body
            if isinstance(part, ast.Import | ast.ImportFrom) and getattr(part, "module", None) != "__future__"
        ),
        None,
    )
    if after is None:
        first = min(one.lineno for one in functions.values())
        decorators = [one.lineno for part in functions.values() for one in part.decorator_list]
        after = min([first, *decorators]) - 1
        lines.insert(after, "import numba\n\n\n")
    else:
        lines.insert(after, "import numba\n")
    return "".join(lines)

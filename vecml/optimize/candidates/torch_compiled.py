"""The candidate `torch.compile`: NumPy code that torch fuses and compiles with a C++ compiler.

It is made of the rewrite in NumPy where that leaves no loop, else of the function as it is.
"""

import ast
import math
from collections.abc import Sequence

from vecml.engines.torch_compile import missing_compiler
from vecml.optimize.array_code import array_statements
from vecml.optimize.candidates.base import Candidate, Subject
from vecml.optimize.edit import Edits
from vecml.optimize.flow import walk_all
from vecml.optimize.kinds import NOTHING, Kinds
from vecml.optimize.module_text import add_imports, first_line, functions_of, names_of
from vecml.optimize.outline import Frame, NotOutlinedError, outline

TORCH = "@torch.compile(fullgraph=True, dynamic=True)"
LARGE = 10_000  # elements: with fewer, a call's own time is most of it
SCALARS = ("float64", "int64", "float32", "int32", "bool")  # NumPy's numbers, of which torch makes arrays without axes


class TorchCompiled:
    """torch.compile of NumPy code."""

    name = "torch.compile"

    def missing(self) -> str | None:
        """Why no C++ compiler works; torch itself is always there."""
        return missing_compiler()

    def make(self, subject: Subject) -> Candidate | str:
        """Make it where whole arrays are computed with: a loop of Python's would be written out turn by turn."""
        if _largest(subject) < LARGE:
            return f"no array of it has {LARGE:,} elements: calling what is compiled would take longer"
        rewritten = subject.rewrite.source
        hottest = sorted(subject.profile.loops, key=lambda loop: -loop.share)
        places = [(loop.first, loop.last) for loop in hottest]
        name = subject.target.name
        for source in filter(None, (rewritten, subject.source)):
            tree = ast.parse(source)
            found = array_statements(tree, name, places if source is subject.source else ())
            if found is None:
                continue
            if not found[1] and (source is rewritten or not _has_arrays(found[0], subject.kinds)):
                continue  # a turn with single numbers: torch would compile anew for each of them
            try:
                return self._made(subject, source, tree, found)
            except NotOutlinedError as error:
                return str(error)
        return "it goes through its arrays one by one, and torch would write out each turn"

    def _made(self, subject: Subject, source: str, tree: ast.Module, found: tuple[list[ast.stmt], bool]) -> Candidate:
        statements, whole = found
        edits = Edits(source)
        function = functions_of(tree)[subject.target.name]
        kinds = subject.kinds if source is subject.source else NOTHING
        made = outline(statements, Frame(function, edits, kinds, subject.changeable, names_of(tree)), whole=whole)
        edits.insert(first_line(function), lambda: f"{TORCH}\n{made.text()}\n\n")
        scalar = whole and subject.observation.result in SCALARS
        edits.replace(made.span, lambda: f"{made.call()}[()]" if scalar else made.call())
        add_imports(tree, edits, {"torch": "import torch"})
        of = "" if source is subject.source else "the rewrite in NumPy, "
        part = "" if whole else f"the turns of its loop, lines {made.first}-{made.last}, "
        return subject.candidate(self.name, "torch", edits.whole(), f"{of}{part}fused by torch, on all CPUs", "torch")


def _largest(subject: Subject) -> int:
    """The elements of the largest array that goes in or comes up."""
    shapes = [one.shape for one in subject.observation.arguments] + [one.shape for one in subject.kinds.seen.values()]
    return max((math.prod(shape) for shape in shapes if shape), default=0)


def _has_arrays(statements: Sequence[ast.stmt], kinds: Kinds) -> bool:
    """Whether something is computed of arrays in these statements of the user's own source."""
    seen = (kinds.of(one) for one in walk_all(statements) if isinstance(one, ast.BinOp | ast.UnaryOp | ast.Call))
    return any(kind is not None and kind.type == "array" and kind.ndim > 0 for kind in seen)

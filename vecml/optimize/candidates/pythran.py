"""The candidate `pythran`: a module of its own, which Pythran makes C++ of ahead of time.

The module is plain Python too: until it is built, what imports it runs as before.
"""

import ast
import dataclasses
import subprocess
import sys
import sysconfig
import time
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from vecml.engines.torch_compile import missing_compiler
from vecml.foreign_text import clean
from vecml.numbers import seconds
from vecml.optimize.candidates.base import Candidate, Subject
from vecml.optimize.compiling import COMPILE_SECONDS
from vecml.optimize.edit import Edits
from vecml.optimize.finding import definition
from vecml.optimize.flow import walk_all
from vecml.optimize.kinds import Kind, called_functions
from vecml.optimize.module_text import add_imports, functions_of, names_of
from vecml.optimize.outline import Frame, NotOutlinedError, Outline, outline, regions
from vecml.optimize.patch import new_file_diff
from vecml.optimize.syntax import names_in

PACKAGE = "pythran"
ATTEMPTS = 2  # each takes many seconds
NUMBERS = {"int": "int", "float": "float64", "bool": "bool", "complex": "complex128"}
IMPORTS = {"np": "import numpy as np", "math": "import math"}


class Pythran:
    """Pythran on the whole function, or on its hot loop."""

    name = "pythran"

    def missing(self) -> str | None:
        """Why it is not there, with what to install; or why no C++ compiler works."""
        if find_spec(PACKAGE) is None:
            return "Pythran is not installed: pip install pythran"
        reason = missing_compiler()
        return None if reason is None else reason.replace("torch.compile", "Pythran", 1)

    def make(self, subject: Subject) -> Candidate | str:
        """Make and build it; where it cannot be built, say which line Pythran does not know."""
        tree = ast.parse(subject.source)
        hottest = sorted(subject.profile.loops, key=lambda loop: -loop.share)
        taken = regions(definition(tree, subject.target.name), [(loop.first, loop.last) for loop in hottest])
        reason = "nothing of it can stand in a module of its own"
        attempts = 0
        for number, statements in enumerate(taken):
            try:
                found = self._built(subject, tree, statements, whole=number == 0)
            except NotOutlinedError as error:
                reason = str(error)
                continue
            if isinstance(found, Candidate):
                return found
            reason, attempts = found, attempts + 1
            if attempts == ATTEMPTS:
                break
        return reason

    def _built(
        self, subject: Subject, tree: ast.Module, statements: Sequence[ast.stmt], *, whole: bool
    ) -> Candidate | str:
        edits = Edits(subject.source)
        function = definition(tree, subject.target.name)
        frame = Frame(function, edits, subject.kinds, subject.changeable, names_of(tree))
        made = outline(statements, frame, whole=whole)
        module = f"{Path(subject.target.file).stem}_{function.name}_pythran"
        text = _module(made, tree, statements, subject)
        needs_numpy = any(one.startswith("np.") for one in made.arguments)
        lines = {made.name: f"from {module} import {made.name}"} | ({"np": IMPORTS["np"]} if needs_numpy else {})
        add_imports(tree, edits, lines)
        edits.replace(made.span, made.call)
        candidate = subject.candidate(self.name, "pythran", edits.whole(), "", f"pythran_{made.first}_{made.last}")
        folder = Path(candidate.place.file).parent
        (folder / f"{module}.py").write_text(text, encoding="utf-8")
        start = time.perf_counter()
        if fault := _build(folder / f"{module}.py"):
            return f"Pythran cannot compile it: {fault}"
        lasted = seconds(time.perf_counter() - start)
        part = "the function" if whole else f"its loop, lines {made.first}-{made.last},"
        return dataclasses.replace(
            candidate,
            place=dataclasses.replace(candidate.place, folder=str(folder)),
            how=f"{part} in {module}.py, which `pythran {module}.py` builds ({lasted}); until then it is plain Python",
            beside={f"{module}.py": text},
            diff=candidate.diff + new_file_diff(text, f"{module}.py"),
        )


def _module(made: Outline, tree: ast.Module, statements: Sequence[ast.stmt], subject: Subject) -> str:
    """The new module: what the function needs of the user's file, and the types of its parameters."""
    functions = functions_of(tree)
    used = {one.id for one in walk_all(statements) if isinstance(one, ast.Name)}
    called = [one for name in sorted(used & functions.keys()) for one in called_functions(tree, name)]
    if any(one.name == subject.target.name for one in called):
        raise NotOutlinedError("it calls itself")
    theirs = {name for one in called for name in names_in(one)}
    if theirs & subject.changeable:
        raise NotOutlinedError("a function that it calls reads what of the module may change")
    used = (used - set(made.parameters)) | theirs
    constants = [
        ast.unparse(part)
        for part in tree.body
        if isinstance(part, ast.Assign) and used & {one.id for one in part.targets if isinstance(one, ast.Name)}
    ]
    others = {ast.unparse(one) for one in called}
    imports = [line for name, line in IMPORTS.items() if name in used]
    types = ", ".join(map(_type, made.kinds))
    parts = [
        "\n".join(
            ['"""Built by `pythran` with the name of this file; until then it is plain Python."""', *imports, ""]
        ),
        *(f"{one}\n" for one in constants),
        *(f"\n{one}\n" for one in sorted(others)),
        f"\n# pythran export {made.name}({types})\n{made.text()}",
    ]
    return "\n".join(parts)


def _type(kind: Kind | None) -> str:
    """A parameter's type in Pythran's words."""
    if kind is not None and kind.type in NUMBERS:
        return NUMBERS[kind.type]
    if kind is None or kind.type != "array" or not kind.ndim or (not kind.contiguous and kind.ndim > 1):
        raise NotOutlinedError("what goes into it has no type that Pythran knows")
    return f"{kind.dtype}[{', '.join(':' * kind.ndim)}]"


def _build(file: Path) -> str | None:
    """Build a module beside its text; gives what Pythran says where it cannot."""
    suffix = sysconfig.get_config_var("EXT_SUFFIX") or ".so"
    command = [sys.executable, "-m", "pythran.run", str(file), "-o", str(file.with_name(file.stem + suffix))]
    try:
        done = subprocess.run(command, capture_output=True, check=False, timeout=COMPILE_SECONDS, cwd=file.parent)
    except subprocess.TimeoutExpired:
        return f"it does not end within {COMPILE_SECONDS:g} s"
    if done.returncode == 0:
        return None
    lines = [line.strip() for line in done.stderr.decode(errors="replace").splitlines() if line.strip()]
    said = [line for line in lines if "error" in line.lower() or line.startswith("E:")] or lines
    return clean(said[-1])[:200] if said else f"it ended with {done.returncode}"

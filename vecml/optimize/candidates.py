"""Step 2, what is tried in the target's place: the user's own functions, the suggested rewrite, and Numba.

A candidate is a module's text and a function in it. What vecml makes is the target's own module with that function
changed, written to a folder of its own: the user's file stays as it is.
"""

import ast
import difflib
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from vecml.atomic import write_bytes
from vecml.errors import SettingError
from vecml.numbers import percent
from vecml.optimize.observe import Observation
from vecml.optimize.profile import INSTALL, Profile
from vecml.optimize.rewrite import LoopReading, Rewrite, rewrite_loops
from vecml.optimize.syntax import lines_of, names_in
from vecml.optimize.target import Place, source_of

Kind = Literal["own", "rewrite", "numba"]
NUMBA = '@numba.njit(error_model="numpy")'
WORTH = 0.05  # of the time: loops with less are not worth a rewrite


@dataclass(frozen=True)
class Candidate:
    """Something to try in the target's place.

    Attributes:
        name: `numpy`, `numba`, or the user's `file.py:function`.
        kind: whether it is the user's `own`, the suggested `rewrite`, or `numba`.
        place: where it is loaded from.
        source: the target's file with it in the target's place; empty for the user's own.
        diff: from the target's file, unified; empty for the user's own.
    """

    name: str
    kind: Kind
    place: Place
    source: str = ""
    diff: str = ""


@dataclass(frozen=True)
class Suggestions:
    """The candidates that vecml makes of the target.

    Attributes:
        candidates: what is tried.
        left_out: by a candidate's name: why it is not tried.
        loops: what was recognised in every loop.
    """

    candidates: tuple[Candidate, ...]
    left_out: dict[str, str]
    loops: tuple[LoopReading, ...]


def suggest(target: Place, source: str, observation: Observation, profile: Profile, folder: Path) -> Suggestions:
    """Make candidates of the target: its loops in NumPy, and Numba on the function.

    Args:
        target: the function.
        source: the text of its file.
        observation: what the target does with the user's inputs.
        profile: the share of the time that each loop takes.
        folder: where the candidates' modules are written.
    """
    made = _rewrite(source, target, observation)
    found: list[Candidate] = []
    left_out: dict[str, str] = {}
    if made.source is None:
        left_out["numpy"] = "no loop of the four forms" if made.loops else "it has no loop"
    elif (share := _recognised_share(made, profile)) < WORTH:
        left_out["numpy"] = f"the loops that can be rewritten take {percent(share)} of the time: nothing to gain"
    else:
        found.append(_candidate("numpy", "rewrite", source, made.source, target, folder))
    if find_spec("numba") is None:
        left_out["numba"] = f"Numba is not installed: {INSTALL}"
    elif observation.changeable:
        read = ", ".join(observation.changeable)
        left_out["numba"] = f"it reads {read} of its module, which Numba would freeze when it compiles; pass it in"
    else:
        found.append(_candidate("numba", "numba", source, with_numba(source, target.name), target, folder))
    return Suggestions(tuple(found), left_out, made.loops)


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


def unified_diff(old: str, new: str, name: str) -> str:
    """The unified diff of a file's two texts, as `git apply` and `patch -p1` take it; empty where they are equal."""
    lines = difflib.unified_diff(lines_of(old), lines_of(new), f"a/{name}", f"b/{name}")
    return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)


def apply(target: Place, old: str, new: str) -> None:
    """Replace the text of the target's file; this is the only function that writes to a file of the user's.

    Args:
        target: stands in the file.
        old: the file's text when it was measured.
        new: the text to write.

    Raises:
        SettingError: the file's text is no longer `old`; the file is left as it is.
        StoreError: the file cannot be written; it is left as it is.
    """
    if source_of(target) != old:
        raise SettingError(
            f"{target.file} was changed meanwhile, and is left as it is",
            "run vecml optimize again, over what it is now",
        )
    path = Path(target.file)
    mode = path.stat().st_mode
    write_bytes(path, new.encode())
    path.chmod(mode)


def _rewrite(source: str, target: Place, observation: Observation) -> Rewrite:
    arguments = observation.arguments
    known = {"number": 0}
    ranks = {
        one.name: known.get(one.kind, len(one.shape)) for one in arguments if one.kind in ("array", "list", "number")
    }
    lists = frozenset(one.name for one in arguments if one.kind == "list")
    return rewrite_loops(source, target.name, ranks, lists)


def _recognised_share(made: Rewrite, profile: Profile) -> float:
    """Sum the shares of the time (0 to 1) of the outer loops that are recognised or contain a recognised loop."""
    lines = {loop.line for loop in made.loops if loop.form is not None}
    whole = sum(loop.share for loop in profile.loops if loop.first in lines)
    inner = {line for line in lines if not any(loop.first == line for loop in profile.loops)}
    return whole + sum(loop.share for loop in profile.loops if any(loop.first < line <= loop.last for line in inner))


def _candidate(name: str, kind: Kind, old: str, new: str, target: Place, folder: Path) -> Candidate:
    file = folder / name / Path(target.file).name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(new, encoding="utf-8")
    diff = unified_diff(old, new, Path(target.file).name)
    return Candidate(name, kind, Place(str(file), target.name, target.folder, target.file), new, diff)

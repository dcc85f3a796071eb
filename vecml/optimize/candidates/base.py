"""A candidate, what it is made of, and what every way of making one answers."""

import ast
import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Literal, Protocol

from vecml.optimize.kinds import NOTHING, Kinds
from vecml.optimize.module_text import functions_of
from vecml.optimize.observe import Observation
from vecml.optimize.origin import Origin
from vecml.optimize.patch import unified_diff
from vecml.optimize.profile import Profile
from vecml.optimize.rewrite import Rewrite, rewrite_loops
from vecml.optimize.target import Place
from vecml.optimize.validate import SEARCH_SECONDS

Kind = Literal["own", "rewrite", "numba", "torch", "numexpr", "pythran"]


@dataclass(frozen=True)
class Candidate:
    """Something to try in the target's place.

    Attributes:
        name: `numpy`, `numba`, or the user's `file.py:function`.
        kind: whether it is the user's `own`, the suggested `rewrite`, or what it is compiled with.
        place: where it is loaded from.
        source: the text that it was made of, with it in the target's place; empty for the user's own.
        written: what the target's file becomes, with its own ends of lines; empty for the user's own.
        encoding: of the target's file, and so of the diff as a file.
        diff: from the target's file, unified; empty for the user's own.
        how: what is done to the function, in words; empty where the name says it.
        otherwise: what is tried in its place, one after the other, where it cannot be compiled or raises.
        beside: new files beside the target's, their texts by name.
    """

    name: str
    kind: Kind
    place: Place
    source: str = ""
    diff: str = ""
    how: str = ""
    otherwise: tuple["Candidate", ...] = ()
    beside: Mapping[str, str] = field(default_factory=dict)
    written: str = ""
    encoding: str = "utf-8"

    @property
    def parallel(self) -> bool:
        """Whether it keeps all CPUs busy."""
        return self.kind in ("torch", "numexpr") or self.name.endswith(" parallel")

    @property
    def search_seconds(self) -> float:
        """How long generated inputs are tried: longer where each new shape is compiled for, less for a variant."""
        return 12.0 if self.kind == "torch" else 4.0 if " " in self.name and self.kind == "numba" else SEARCH_SECONDS

    @property
    def compiled(self) -> bool:
        """Whether it is compiled for each dtype and layout."""
        return self.kind not in ("own", "rewrite")


@dataclass(frozen=True)
class Subject:
    """The function that candidates are made of, and what is known of it.

    Attributes:
        target: where it stands.
        source: the text of its file.
        observation: what it does with the user's inputs.
        profile: the share of the time that each of its loops takes.
        folder: where the candidates' modules are written.
        kinds: what its expressions are over the user's inputs.
        origin: the user's file, and the way from `source` back into it; None where `source` is all of it.
    """

    target: Place
    source: str
    observation: Observation
    profile: Profile
    folder: Path
    kinds: Kinds = NOTHING
    origin: Origin | None = None

    @cached_property
    def rewrite(self) -> Rewrite:
        """Rewrite its loops in NumPy, as far as they are of the known forms."""
        arguments = self.observation.arguments
        known = {"number": 0}
        ranks = dict.fromkeys(_numbers_by_default(self.source, self.target.name), 0)
        ranks |= {
            one.name: known.get(one.kind, len(one.shape))
            for one in arguments
            if one.kind in ("array", "list", "number")
        }
        lists = frozenset(one.name for one in arguments if one.kind == "list")
        tables = {one.name: json.loads(one.text) for one in arguments if one.kind == "DataFrame"}
        return rewrite_loops(self.source, self.target.name, ranks, lists, tables)

    @property
    def changeable(self) -> frozenset[str]:
        """Give the names that the function reads of its module and that may change between calls."""
        return frozenset(one.partition(" ")[0] for one in self.observation.changeable)

    def candidate(self, name: str, kind: Kind, text: str, how: str = "", folder: str = "") -> Candidate:
        """Write the text of a changed copy of the target's file into a folder of its own, as a candidate.

        Args:
            name, kind: of the candidate.
            text: the whole file.
            how: a sentence on how the candidate works; empty for none.
            folder: the folder's name; empty takes the candidate's.
        """
        file = self.folder / (folder or name) / f"{Path(self.target.file).stem}.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        origin = self.origin
        if origin is None:
            file.write_text(text, encoding="utf-8")
            diff = unified_diff(self.source, text, file.name)
            place = dataclasses.replace(self.target, file=str(file), classes_of=self.target.file)
            return Candidate(name, kind, place, text, diff, how, written=text)
        made = origin.put_back(text)
        file.write_bytes(origin.stored.encode(made.module))
        diff = unified_diff(origin.stored.text, made.whole, origin.file_name)
        place = dataclasses.replace(origin.place, file=str(file), classes_of=self.target.file)
        return Candidate(name, kind, place, text, diff, how, written=made.whole, encoding=origin.stored.encoding)


class Way(Protocol):
    """One way to make a candidate: one file, and one line in the registry."""

    name: str

    def missing(self) -> str | None:
        """Why it cannot be had on this machine, in one line with what to install; None where it can."""

    def make(self, subject: Subject) -> Candidate | str:
        """Make the candidate, or say in one line why it does not apply to this function."""


class Variant(Protocol):
    """A way to make a candidate of another one that is right: one file, and one line in the registry."""

    name: str

    def make(self, subject: Subject, right: Candidate, rtol: float) -> Candidate | str:
        """Make it of the candidate `right`, or say in one line why it does not apply to this function."""


def _numbers_by_default(source: str, name: str) -> list[str]:
    """The parameters of a function whose defaults are numbers written out: `lat0=52.5`."""
    function = functions_of(ast.parse(source)).get(name)
    if function is None:
        return []
    taken = function.args
    plain = [*taken.posonlyargs, *taken.args]
    pairs = [
        *zip(plain[len(plain) - len(taken.defaults) :], taken.defaults, strict=True),
        *zip(taken.kwonlyargs, taken.kw_defaults, strict=True),
    ]
    return [one.arg for one, default in pairs if _is_number(default)]


def _is_number(node: ast.expr | None) -> bool:
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
        node = node.operand
    return isinstance(node, ast.Constant) and isinstance(node.value, int | float)

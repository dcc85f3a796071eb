"""The target at the top level of a text that candidates are made of, and the way back into the file as it is written.

Candidates know functions at the top level, indented by four spaces. A method, or a function in an `if`, is lifted out
of its block for them, each of its lines under the number that it has in the user's file. What a candidate changes goes
back line by line, so every other line stays what it is, to the byte: comments, layout, tabs, ends of lines. A syntax
tree that keeps all this (libcst's) is not needed, for what changes is whole lines.
"""

import ast
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher

from vecml.optimize.finding import Found, definition, found
from vecml.optimize.module_text import first_line, names_of
from vecml.optimize.syntax import lines_of, names_in

STEP = "    "
FILLER = "#~"  # the lines of a block that the target was lifted from; no line of the user's is the same


class NotPlacedError(Exception):
    """A candidate changes what cannot be changed in the user's file; the text says what."""


@dataclass(frozen=True)
class Changed:
    """A line of the module after a change.

    Attributes:
        text: the line with its end.
        at: where it stood before, counted from 0; None for a new line.
    """

    text: str
    at: int | None


@dataclass(frozen=True)
class Lifted:
    """A module's text with the target at the top level.

    Attributes:
        text: what candidates are made of.
        name: the target's name in it.
        own: the lines of the user's file, each with its own end.
        places: for each line of `text`, the number of its line in `own`, from 0; None for a line that was put there.
        own_name: the target's name in its block.
        prefix: what its first line is indented by in the file.
        step: what a block of it is indented by there.
    """

    text: str
    name: str
    own: tuple[str, ...] = field(repr=False)
    places: tuple[int | None, ...] = field(repr=False)
    own_name: str
    prefix: str = ""
    step: str = STEP

    def put_back(self, text: str) -> list[Changed]:
        """The lines of the user's module, after a candidate changed `self.text` to `text`.

        Raises NotPlacedError where the candidate has changed the block that the target was lifted from.
        """
        old, new = self._parts(self.text), self._parts(text)
        starts = (0, len(old[0]), len(old[0]) + len(old[1]))
        before, _, after = (list(self._mapped(*parts)) for parts in zip(old, new, starts, strict=True))
        before = _above_comments(before)
        function = list(self._indented(old[1], new[1], starts[1]))
        if not self.prefix:
            return _ended([*before, *function, *after], self.own)
        stands = [at for at, one in enumerate(after) if one.text.rstrip().endswith(f"pass  {FILLER}")]
        if len(stands) != 1:
            raise NotPlacedError(f"it changes the block that {self.own_name} is in")
        return _ended([*before, *after[: stands[0]], *function, *after[stands[0] + 1 :]], self.own)

    def _parts(self, text: str) -> tuple[list[str], list[str], list[str]]:
        """The lines before the target, its own and those after it."""
        lines = lines_of(text)
        try:
            function = definition(ast.parse(text), self.name)
        except (KeyError, SyntaxError):
            raise NotPlacedError(f"{self.own_name} is no longer in it") from None
        first, last = first_line(function) - 1, function.end_lineno or function.lineno
        return lines[:first], lines[first:last], lines[last:]

    def _mapped(self, old: Sequence[str], new: Sequence[str], start: int) -> Iterator[Changed]:
        """The lines after a change; those that are as before are the user's own. Fillers are left out."""
        for kind, one, _, begin, end in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
            for number in range(begin, end):
                at = self.places[start + one + number - begin] if kind == "equal" else None
                if at is not None:
                    yield Changed(self.own[at], at)
                elif not new[number].startswith(FILLER):
                    yield Changed(new[number], None)

    def _indented(self, old: Sequence[str], new: Sequence[str], start: int) -> Iterator[Changed]:
        """The lines of the target after a change, new ones indented as it is in the user's file."""
        inside = _inside_texts("".join(new))
        for number, one in enumerate(self._mapped(old, new, start)):
            if one.at is not None:
                yield one
                continue
            line = one.text if self.name == self.own_name else _renamed(one.text, self.name, self.own_name)
            yield Changed(line if number in inside else self._one_indented(line), None)

    def _one_indented(self, line: str) -> str:
        if not line.strip():
            return line
        bare = line.lstrip(" ")
        steps, rest = divmod(len(line) - len(bare), len(STEP))
        return f"{self.prefix}{self.step * steps}{' ' * rest}{bare}"


def lift(module: str, own: Sequence[str], name: str) -> Lifted:
    """Lift a function out of the block that it is in.

    Args:
        module: the text of the module, each line ended by a line feed.
        own: the lines as they are in the user's file, one for each line of `module`.
        name: of the function: `f`, `Class.method`.
    """
    tree = ast.parse(module)
    function, place = found(tree, name)
    lines = lines_of(module)
    first, last = first_line(function) - 1, function.end_lineno or function.lineno
    prefix = lines[first][: len(lines[first]) - len(lines[first].lstrip())]
    step = _step(function, lines, prefix)
    if not prefix and step == STEP:
        return Lifted(module, function.name, tuple(own), tuple(range(len(own))), function.name)
    top, inner = _first_of(place.top) - 1, _free_name(tree, place, name)
    whole = [line if line.endswith("\n") else f"{line}\n" for line in lines]
    filler = [f"{FILLER} {number}\n" for number in range(first - top)] if prefix else []
    stand_in = [f"{prefix}pass  {FILLER}\n"] if prefix else []
    head = range(top, first) if prefix else range(0)
    places = (*range(top), *(None for _ in filler), *range(first, last), *head, *(None for _ in stand_in))
    if not prefix:
        places = (*range(first), *range(first, last))
    places = (*places, *range(last, len(lines)))
    for used in dict.fromkeys((step, STEP)):
        body = _dedented(whole[first:last], prefix, used)
        body = [_renamed(line, function.name, inner) for line in body]
        text = "".join(
            [*whole[: top if prefix else first], *filler, *body, *(whole[at] for at in head), *stand_in, *whole[last:]]
        )
        made = Lifted(text, inner, tuple(own), places, function.name, prefix, used)
        if _parses(text):
            return made
    raise NotPlacedError(f"{name} cannot be taken out of the block that it is in")


def _above_comments(before: Sequence[Changed]) -> list[Changed]:
    """The lines before the target, new functions put above the comment that stands right above the target's block."""
    added = len(before)
    while added and before[added - 1].at is None:
        added -= 1
    if not any(re.match(r"def\s", one.text) for one in before[added:]):
        return list(before)
    start = added
    while start > 1 and re.match(r"#(?!\s*%%)", before[start - 1].text):
        start -= 1
    return [*before[:start], *before[added:], *before[start:added]]


def _free_name(tree: ast.Module, place: Found, name: str) -> str:
    """The name of a lifted function: its own, unless it is a method's and means something else in the module."""
    own = place.function.name
    if not place.in_class:
        return own
    taken = names_in(tree) | {part.name for part in tree.body if isinstance(part, ast.FunctionDef | ast.ClassDef)}
    if own not in taken and not own.startswith("__"):
        return own
    free = re.sub(r"_{2,}", "_", name.replace(".", "_")).strip("_")
    while free in names_of(tree):
        free += "_"
    return free


def _first_of(statement: ast.stmt) -> int:
    decorators: list[ast.expr] = getattr(statement, "decorator_list", [])
    return min([statement.lineno, *(one.lineno for one in decorators)])


def _step(function: ast.FunctionDef, lines: Sequence[str], prefix: str) -> str:
    """What one block of the function is indented by, in its own file."""
    first = function.body[0]
    if first.lineno == function.lineno:
        return STEP
    line = lines[first.lineno - 1]
    step = line[len(prefix) : len(line) - len(line.lstrip())]
    return step if line.startswith(prefix) and step in ("\t", "  ", "   ", " " * 8) else STEP


def _dedented(lines: Sequence[str], prefix: str, step: str) -> list[str]:
    """The lines of a function at the top level, a block of it indented by four spaces; texts of several lines stay."""
    inside = _inside_texts("if 1:\n" + "".join(lines) if prefix else "".join(lines), 1 if prefix else 0)
    return [line if number in inside else _one_dedented(line, prefix, step) for number, line in enumerate(lines)]


def _one_dedented(line: str, prefix: str, step: str) -> str:
    line = line.removeprefix(prefix)
    if step == STEP:
        return line
    steps = 0
    while line.startswith(step):
        steps, line = steps + 1, line.removeprefix(step)
    return f"{STEP * steps}{line}"


def _inside_texts(text: str, skipped: int = 0) -> set[int]:
    """The numbers, from 0, of the lines that begin inside of a text; `skipped` lines at the start are not counted."""
    try:
        tree = ast.parse(text)
    except SyntaxError:
        return set()
    nodes = [one for one in ast.walk(tree) if isinstance(one, ast.JoinedStr | ast.Constant)]
    texts = [one for one in nodes if isinstance(one, ast.JoinedStr) or isinstance(one.value, str | bytes)]
    return {
        number - 1 - skipped for one in texts for number in range(one.lineno + 1, (one.end_lineno or one.lineno) + 1)
    }


def _renamed(line: str, old: str, new: str) -> str:
    return re.sub(rf"^(\s*def\s+){old}\b", rf"\g<1>{new}", line)


def _parses(text: str) -> bool:
    try:
        ast.parse(text)
    except SyntaxError:
        return False
    return True


def _ended(lines: Sequence[Changed], own: Sequence[str]) -> list[Changed]:
    """The lines, new ones ended as the file's are; the last is without an end where the file's was."""
    end = next((found for line in own for found in ("\r\n", "\n", "\r") if line.endswith(found)), "\n")
    made = [Changed(one.text.rstrip("\r\n") + _end_of(one, end), one.at) for one in lines]
    if made and own and not own[-1].endswith(("\n", "\r")):
        made[-1] = Changed(made[-1].text.rstrip("\r\n"), made[-1].at)
    return made


def _end_of(one: Changed, end: str) -> str:
    if one.at is None:
        return end
    return one.text[len(one.text.rstrip("\r\n")) :] or end

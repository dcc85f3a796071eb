"""Notebooks: their code cells as one module, and a cell with another source, every other byte as it was."""

import ast
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from vecml.errors import SettingError
from vecml.optimize.finding import functions_in
from vecml.optimize.syntax import lines_of

LEFT_OUT = "# not run: "
RUN_INSIDE = ("%%time", "%%timeit", "%%capture", "%%prun")  # what is below their line is Python
_FOREIGN = re.compile(r"^(\s*)([%!?]|[\w.]+\s*=\s*[%!]|.*\?\s*$)")
_SPACE = re.compile(r"[ \t\r\n]*")
_READ = json.JSONDecoder()


@dataclass(frozen=True)
class Cell:
    """A code cell.

    Attributes:
        number: counted from 1, among the code cells alone.
        at: where it is among all cells, from 0.
        key: its own id; empty in older notebooks.
        source: what is written in it.
    """

    number: int
    at: int
    key: str
    source: str


@dataclass(frozen=True)
class Cells:
    """Code cells as the text of a module.

    Attributes:
        text: Python; lines that only IPython knows are comments.
        own: the lines as they are in the cells.
        spans: for each cell's number, its first line in `text` and the line after its last, from 0.
        left_out: for each such cell's number, what of it does not run.
    """

    text: str
    own: tuple[str, ...] = field(repr=False)
    spans: dict[int, tuple[int, int]]
    left_out: dict[int, str]


def code_cells(text: str, file: str) -> list[Cell]:
    """The code cells of a notebook; raises SettingError for what is none."""
    try:
        cells = [(at, one) for at, one in enumerate(json.loads(text)["cells"]) if one["cell_type"] == "code"]
        return [
            Cell(number, at, str(one.get("id", "")), "".join(one["source"]))
            for number, (at, one) in enumerate(cells, 1)
        ]
    except (ValueError, KeyError, TypeError, AttributeError):
        raise SettingError(f"{file} is no notebook of format 4", "open it in Jupyter and save it") from None


def as_module(cells: Sequence[Cell], file: str) -> Cells:
    """Put cells one below the other, as they are run; raises SettingError for one that is no Python."""
    lines: list[str] = []
    own: list[str] = []
    spans: dict[int, tuple[int, int]] = {}
    left_out: dict[int, str] = {}
    for cell in cells:
        written = [one if one.endswith("\n") else f"{one}\n" for one in lines_of(cell.source)]
        runs, foreign = _runnable(written, f"{file}, cell {cell.number}")
        spans[cell.number] = (len(lines), len(lines) + len(runs))
        lines += runs
        own += written
        if foreign:
            left_out[cell.number] = foreign
    return Cells("".join(lines), tuple(own), spans, left_out)


def cell_of(cells: Sequence[Cell], asked: str, name: str, named: str) -> Cell:
    """The cell that is asked for, by its number or its id; without either, the last one that defines `name`.

    Args:
        cells: of the notebook, those of code.
        asked: number or id; empty: neither was given.
        name: of the function, with its class.
        named: what an error calls the target.

    Raises SettingError where there is none, or it does not define `name`.
    """
    exact = [one for one in cells if name in _functions(one)]
    defining = exact or [one for one in cells if _defines(one, name)]
    where = f"cell {defining[-1].number} defines it" if defining else "define it with def in a cell"
    if not asked:
        if defining:
            return defining[-1]
        raise SettingError(f"{named}: no cell defines {name.partition('.')[0]}", where)
    found = next((one for one in cells if asked in (str(one.number), one.key)), None)
    if found is None:
        raise SettingError(f"{named}: there is no code cell {asked}, but 1 to {len(cells)}", where)
    if found not in defining:
        raise SettingError(f"{named}: cell {found.number} does not define {name}", where)
    return found


def with_source(text: str, at: int, source: str) -> str:
    """The notebook's text with another source in a cell; all else is as it was, to the byte.

    Args:
        text: of the notebook.
        at: where the cell is among all cells, from 0.
        source: the cell's new source.
    """
    start, end = _span(text, ("cells", at, "source"))
    old = text[start:end]
    escapes = re.search(r"\\u[0-9a-fA-F]{4}", old) is not None
    if old.startswith('"'):
        made = json.dumps(source, ensure_ascii=escapes)
    else:
        parts = list(_elements(old))
        known = {json.loads(old[one:other]): old[one:other] for one, other in parts}
        opening = old[1 : parts[0][0]] if parts else ""
        between = old[parts[0][1] : parts[1][0]] if len(parts) > 1 else f",{opening or ' '}"
        closing = old[parts[-1][1] : -1] if parts else ""
        written = [known.get(line) or json.dumps(line, ensure_ascii=escapes) for line in lines_of(source)]
        made = f"[{opening}{between.join(written)}{closing}]" if written else "[]"
    return f"{text[:start]}{made}{text[end:]}"


def _tree(cell: Cell) -> ast.Module:
    """The cell as Python; an empty module where it is none."""
    try:
        runs, _ = _runnable([one if one.endswith("\n") else f"{one}\n" for one in lines_of(cell.source)], "")
    except SettingError:
        return ast.Module([], [])
    return ast.parse("".join(runs))


def _functions(cell: Cell) -> set[str]:
    """The names that the cell's functions are asked for by, a method's with its class."""
    return {one.name for one in functions_in(_tree(cell))}


def _defines(cell: Cell, name: str) -> bool:
    """Whether the cell has something of that name anywhere, or the class that the name begins with."""
    tree = _tree(cell)
    classes = [f"{part.name}." for part in tree.body if isinstance(part, ast.ClassDef)]
    defined = {part.name for part in ast.walk(tree) if isinstance(part, ast.FunctionDef)}
    return name in defined or any(name.startswith(one) for one in classes)


def _runnable(lines: Sequence[str], named: str) -> tuple[list[str], str]:
    """The lines as Python, and what of them does not run."""
    first = next((one.strip() for one in lines if one.strip()), "")
    if first.startswith("%%") and first.partition(" ")[0] not in RUN_INSIDE:
        return [f"{LEFT_OUT}{one}" for one in lines], first
    # Only a line that Python cannot read is left out: one that ends in a question mark may be a comment or a text.
    made, foreign = list(lines), dict[int, str]()
    while (fault := _fault(made)) is not None:
        at = (fault.lineno or 0) - 1
        found = _FOREIGN.match(lines[at]) if 0 <= at < len(lines) and at not in foreign else None
        if found is None:
            raise SettingError(
                f"{named}, line {fault.lineno}: {fault.msg}", "the cells up to it must run from top to end"
            )
        foreign[at] = lines[at].strip()
        made[at] = f"{found.group(1)}pass  {LEFT_OUT}{foreign[at]}\n"
    return made, ", ".join(foreign[at] for at in sorted(foreign))


def _fault(lines: Sequence[str]) -> SyntaxError | None:
    try:
        ast.parse("".join(lines))
    except SyntaxError as error:
        return error
    return None


def _span(text: str, path: tuple[str | int, ...]) -> tuple[int, int]:
    """Where the value that a path of keys and numbers leads to begins and ends in a text of JSON."""
    start, end = _value(text, _after_space(text, 0))
    for key in path:
        for name, (one, other) in _members(text, start):
            if name == key:
                start, end = one, other
                break
        else:
            raise KeyError(key)
    return start, end


def _elements(text: str) -> Iterator[tuple[int, int]]:
    for _, span in _members(text, 0):
        yield span


def _members(text: str, at: int) -> Iterator[tuple[str | int, tuple[int, int]]]:
    """The members of the object or the list that begins at `at`: a key or a number, and where its value is."""
    is_object, at, number = text[at] == "{", _after_space(text, at + 1), 0
    while text[at] not in "]}":
        name: str | int = number
        if is_object:
            name, at = _READ.raw_decode(text, at)
            at = _after_space(text, _after_space(text, at) + 1)
        span = _value(text, at)
        yield name, span
        at, number = _after_space(text, span[1]), number + 1
        if text[at] == ",":
            at = _after_space(text, at + 1)


def _value(text: str, at: int) -> tuple[int, int]:
    """Where the value that begins at `at` begins and ends."""
    return at, _READ.raw_decode(text, at)[1]


def _after_space(text: str, at: int) -> int:
    found: Any = _SPACE.match(text, at)
    return int(found.end())

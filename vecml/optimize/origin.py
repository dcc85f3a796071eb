"""The user's file that the target is in, a module or a notebook, and what a candidate makes of it."""

import ast
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vecml.errors import SettingError
from vecml.optimize.finding import definition
from vecml.optimize.lifted import Changed, Lifted, NotPlacedError, lift
from vecml.optimize.notebook import Cells, code_cells, with_source
from vecml.optimize.stored import Stored, lines_with_ends, read_stored
from vecml.optimize.syntax import lines_of
from vecml.optimize.target import Place, cells_of


@dataclass(frozen=True)
class Made:
    """A file of the user's after a change.

    Attributes:
        module: the module's text, which runs.
        whole: the file's text, with its own ends of lines.
    """

    module: str
    whole: str


@dataclass(frozen=True)
class Origin:
    """The file of the target.

    Attributes:
        place: of the target.
        stored: the file as it is.
        lifted: the text that candidates are made of.
        cells: of a notebook; None for a module.
    """

    place: Place
    stored: Stored
    lifted: Lifted
    cells: Cells | None = None

    @property
    def file_name(self) -> str:
        return Path(self.place.file).name

    @property
    def source(self) -> str:
        """Return the module's text, each line ended by a line feed."""
        return self.stored.plain if self.cells is None else self.cells.text

    @property
    def remarks(self) -> tuple[str, ...]:
        """List what the user should know of how a notebook is run, a sentence each."""
        if self.cells is None:
            return ()
        first = self.cells.spans[self.place.cell][0] + 1
        said = [f"cells 1 to {self.place.last_cell} are run; line {first} is the first of cell {self.place.cell}"]
        said += [f"of cell {number}, this is left out: {what}" for number, what in self.cells.left_out.items()]
        return tuple(said)

    def put_back(self, text: str) -> Made:
        """The file after a candidate changed the text that it was made of; raises NotPlacedError where it cannot be."""
        lines = self.lifted.put_back(text)
        if self.cells is not None:
            return _in_cell(lines, self, self.cells)
        new = self.stored.mark + "".join(one.text for one in lines)
        return Made(new, new)


def origin_of(target: Place) -> Origin:
    """Read the target's file, and lift the target out of the block that it is in.

    Raises SettingError where a later cell of the notebook, which is run for the inputs, defines the target anew.
    """
    stored = read_stored(target.file)
    if not target.cell:
        return Origin(target, stored, lift(stored.plain, lines_with_ends(stored), target.name))
    cells = cells_of(target)
    first, last = cells.spans[target.cell]
    line = definition(ast.parse(cells.text), target.name).lineno
    if not first < line <= last:
        later = next(number for number, (one, other) in cells.spans.items() if one < line <= other)
        raise SettingError(
            f"{target.text}: a later cell, which is run for the inputs, defines it again",
            f"name that one: {Path(target.file).name}#{later}:{target.name}",
        )
    return Origin(target, stored, lift(cells.text, lines_of(cells.text), target.name), cells)


def _in_cell(lines: Sequence[Changed], origin: Origin, cells: Cells) -> Made:
    """Put all that is new into the target's own cell: imports and functions at its top."""
    span = first, last = cells.spans[origin.place.cell]
    moved, inside = _sorted_out(lines, span, cells)
    head = next(
        (
            at
            for at, one in enumerate(inside)
            if not one.text.lstrip().startswith(("# not run: %%", "pass  # not run: %%"))
        ),
        0,
    )
    cell = [*inside[:head], *_spaced(moved, inside[head:]), *inside[head:]]
    written = [one.text if one.at is None else cells.own[one.at] for one in cell]
    source = "".join(written)
    old = next(one for one in code_cells(origin.stored.text, origin.file_name) if one.number == origin.place.cell)
    if not old.source.endswith("\n"):
        source = source.removesuffix("\n")
    whole = lines_of(cells.text)
    module = "".join([*whole[:first], *(one.text for one in cell), *whole[last:]])
    return Made(module, with_source(origin.stored.text, old.at, source))


def _sorted_out(lines: Sequence[Changed], span: tuple[int, int], cells: Cells) -> tuple[list[Changed], list[Changed]]:
    """New lines above the cell, and the lines of the cell; raises NotPlacedError where another cell would change."""
    first, last = span
    above: list[Changed] = []
    inside: list[Changed] = []
    before, chunk = -1, [Changed("", None)]
    for one in [*lines, Changed("", len(cells.own))]:
        if one.at is not None:
            above += _whole_statements(chunk[1:], cells, one.at)
            chunk = chunk[:1]
            before = one.at
            inside += [one] if first <= one.at < last else []
        elif first <= before < last:
            inside.append(one)
        elif before < first:
            chunk.append(one)
        else:
            raise NotPlacedError(f"it changes cell {_cell_at(cells, before)}, which is not the function's own")
    kept = {one.at for one in lines}
    if gone := next((at for at in range(len(cells.own)) if at not in kept and not first <= at < last), None):
        raise NotPlacedError(f"it changes cell {_cell_at(cells, gone)}, which is not the function's own")
    return above, inside


def _whole_statements(chunk: Sequence[Changed], cells: Cells, following: int) -> Sequence[Changed]:
    """New lines that stand for themselves, and so may be put in another cell: no decorator of what comes after."""
    try:
        ast.parse("".join(one.text for one in chunk))
    except SyntaxError:
        number = _cell_at(cells, following)
        raise NotPlacedError(f"it changes cell {number}, which is not the function's own") from None
    return chunk


def _spaced(moved: Sequence[Changed], rest: Sequence[Changed]) -> list[Changed]:
    """New lines for the top of a cell, with space between imports and what is no import."""
    if not moved or not moved[-1].text.startswith(("import ", "from ")) or not rest:
        return list(moved)
    after = rest[0].text
    blank = 0 if not after.strip() or after.startswith(("import ", "from ")) else 2
    return [*moved, *[Changed("\n", None)] * blank]


def _cell_at(cells: Cells, line: int) -> int:
    return next((number for number, (first, last) in cells.spans.items() if first <= line < last), max(cells.spans))

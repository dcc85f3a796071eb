"""Reading a unit: the rows of its pieces in order, in tables of equal size, with the Hive folders as columns."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from vecml.batch.inputs import Input, check_unchanged
from vecml.batch.plan import Piece, Share, Unit
from vecml.batch.schemas import Wanted, without_constants
from vecml.data.data_file import DataFile
from vecml.data.encoding import Encoding
from vecml.data.files import Say
from vecml.data.filled import Filled
from vecml.data.lines import ROW, name_lines
from vecml.data.memory_limit import MemoryLimit
from vecml.data.places import Place, local_file, naming, of_address, place_errors
from vecml.data.read_ahead import rebatch
from vecml.data.stream import is_parquet, open_file, tables_of
from vecml.errors import DataError


@dataclass(frozen=True)
class Span:
    """The rows of a unit that come from one piece.

    Attributes:
        first_row: number of the piece's first row in the unit, from 0.
        piece: where they come from.
        address: of the file.
    """

    first_row: int
    piece: Piece
    address: str


@dataclass(frozen=True)
class Rows:
    """Consecutive rows of a unit as they were read.

    Attributes:
        unit: which unit.
        first_row: number of the first of them in the unit, from 0.
        table: the encoding's columns, then the carried ones.
        spans: where the unit's rows come from, as far as it was read.
    """

    unit: Unit
    first_row: int
    table: "pa.Table" = field(repr=False)
    spans: list[Span] = field(repr=False)


@dataclass(frozen=True)
class Reader:
    """Reads units.

    Attributes:
        plan: to which the units belong.
        wanted: what is read of every file.
        say: hears what was found by looking at text files.
        limit: of this process's memory.
    """

    plan: Share
    wanted: Wanted
    say: Say = field(repr=False)
    limit: MemoryLimit = field(repr=False)

    def rows(self, unit: Unit, filled: Filled) -> Iterator[Rows]:
        """Read the unit's rows in tables of `read_rows` rows, the last one shorter.

        `filled` counts the markers of missing values that a text file has, which reading turns into numbers.

        Raises DataError, which names the file, for one that cannot be read, has changed or is gone, also while it is
        read: every file is looked at before and after.
        """
        spans: list[Span] = []
        first_row = 0
        for table in rebatch(self._tables(unit, spans, filled), self.plan.way.read_rows):
            self.limit.check(so_far=f"{first_row:,} rows of part {unit.number:,} were read")
            yield Rows(unit, first_row, table, spans)
            first_row += table.num_rows

    def _tables(self, unit: Unit, spans: list[Span], filled: Filled) -> "Iterator[pa.Table]":
        done = 0
        for piece in unit.pieces:
            file = self.plan.files[piece.file]
            place = of_address(file.address, self.plan.options)
            check_unchanged(file, self.plan.options, place)
            spans.append(Span(done, piece, file.address))
            try:
                with self._opened(piece, file, place) as opened, _with_lines(opened):
                    data = replace(opened, filled=filled)
                    for table in tables_of(data, self.plan.way.read_rows):
                        done += table.num_rows
                        yield _with_constants(table, data, file, self.wanted)
            except DataError as error:
                check_unchanged(file, self.plan.options, place)  # then that is the cause
                raise naming(error, file.address) from None
            check_unchanged(file, self.plan.options, place)
            if piece.n_rows not in (None, done - spans[-1].first_row):
                raise DataError(f"{file.address} has other rows than its footer says", "write it again")

    @contextmanager
    def _opened(self, piece: Piece, file: Input, place: Place) -> Iterator[DataFile]:
        """The piece as a file of which the rest is not read."""
        encoding = without_constants(self.wanted.encoding, file)
        if not is_parquet(Path(file.address)):
            with local_file(place) as here:
                yield open_file(here, encoding, self.wanted.carried, self.wanted.asked, self.say, piece.span)
            return
        groups = range(piece.first_group or 0, piece.stop_group or 0)
        source = None if place.is_local else lambda: place.system.open_input_file(place.path)
        with place_errors(place, "read"):
            yield DataFile(
                Path(file.address), encoding, self.wanted.carried, {}, (), piece.n_rows, groups=groups, source=source
            )


@contextmanager
def _with_lines(data: DataFile) -> Iterator[None]:
    """Let an error of the `with` block that names a row of a text file name its line too."""
    try:
        yield
    except DataError as error:
        if data.dialect is not None:
            name_lines(error, data.path, data.dialect)
        raise


def _with_constants(table: "pa.Table", data: DataFile, file: Input, wanted: Wanted) -> "pa.Table":
    """The table with the values of the Hive folders among the encoding's columns, in the encoding's order."""
    held = file.constants
    if not held:
        return table
    read = data.block_columns
    columns: list[Any] = []
    for column in wanted.encoding.columns:
        if column.name in held:
            columns.append(pa.repeat(pa.scalar(held[column.name], pa.string()), table.num_rows))
        else:
            columns.append(table.column(read.index(column.name)))
    columns += table.columns[len(data.encoding.columns) :]
    return pa.table(columns, names=[*(column.name for column in wanted.encoding.columns), *data.carried])


def name_place(error: DataError, rows: Rows, wanted: Wanted, options: str) -> DataError:
    """The error for a value of some rows, with its file, and the number of its row there instead of among these rows.

    Args:
        error: counts rows from 1, from the first of `rows`.
        rows: in which the value stands.
        wanted, options: as of the plan; a text file is looked at again, for the line.
    """
    found = ROW.search(error.message)
    if found is None:
        return naming(error, rows.spans[-1].address) if len(rows.spans) == 1 else error
    row = rows.first_row + int(found[1]) - 1
    span = next(one for one in reversed(rows.spans) if one.first_row <= row)
    number = span.piece.first_row + row - span.first_row + 1
    message = f"{error.message[: found.start()]}in row {number}{error.message[found.end() :]}"
    named = DataError(f"{span.address}: {message}", error.hint)
    where = of_address(span.address, options)
    if not is_parquet(Path(span.address)) and where.is_local:
        part = None if span.piece.first_row else span.piece.span  # rows before it may not be counted
        data = open_file(Path(span.address), Encoding(()), (), wanted.asked, lambda *_: None, part)
        if data.dialect is not None:
            name_lines(named, data.path, data.dialect)
    return named

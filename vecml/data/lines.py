"""The line of a text file at which a row begins: what an editor goes to. A row may hold line breaks, or be empty."""

import codecs
import csv
import itertools
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

from vecml.data.dialect import Dialect, Span
from vecml.data.text_stream import arrow_separator, arrow_stream
from vecml.errors import DataError

ROW = re.compile(r"\bin row (\d+)\b(?!, line)")
MOST_ROWS = 1_000_000  # a refusal must come soon: of rows beyond, the line is not looked for


def place_of_row(path: Path, dialect: Dialect, row: int) -> str:
    """The place of a row for a message: `row 3, line 5`; without the line where it is not found soon.

    Args:
        path: of the text file.
        dialect: how it writes its table.
        row: its number among the rows below the header, from 1.
    """
    span = dialect.span
    if span is not None:
        before = _rows_in(path, replace(dialect, span=Span(span.above, span.above, span.first)))
        if before is None:
            return f"row {row} after byte {span.first:,}"
        row, dialect = row + before, replace(dialect, span=None)
    line = line_of_row(path, dialect, row)
    return f"row {row}" if line is None else f"row {row}, line {line}"


def _rows_in(path: Path, dialect: Dialect) -> int | None:
    """Count the rows of a part; None where there are more than are looked at for a message."""
    found = 0
    try:
        with arrow_stream(path, dialect) as stream:
            for values in _reader(stream, dialect):
                found += bool(values)
                if found > MOST_ROWS:
                    return None
    except (csv.Error, DataError):
        return None
    return found - (dialect.names is None)


def name_lines(error: DataError, path: Path, dialect: Dialect) -> None:
    """Let the message of an error name the line beside each row of a text file.

    Args:
        error: is changed.
        path, dialect: as for `place_of_row`.
    """
    if names_row(error):
        error.message = ROW.sub(lambda found: f"in {place_of_row(path, dialect, int(found[1]))}", error.message)
        error.args = (error.message,)


def names_row(error: DataError) -> bool:
    """Whether the message names a row, and no line beside it."""
    return ROW.search(error.message) is not None


def line_of_row(path: Path, dialect: Dialect, row: int) -> int | None:
    """The line, from 1, at which a row begins; None where it is not found soon. The arguments are `place_of_row`'s."""
    if row > MOST_ROWS:
        return None
    wanted = row + (dialect.names is None)
    try:
        with arrow_stream(path, dialect) as stream:
            reader = _reader(stream, dialect)
            begins = 1
            for values in reader:
                wanted -= bool(values)
                if not wanted:
                    return dialect.skipped + begins
                begins = reader.line_num + 1
    except (csv.Error, DataError):  # a value of more than 128 KB, or a file that cannot be read any more
        return None
    return None


def _reader(stream: Any, dialect: Dialect) -> Any:
    """Python's reader of the rows below the lines that are skipped."""
    lines = itertools.islice(codecs.getreader("utf-8")(stream, "replace"), dialect.skipped, None)
    return csv.reader(lines, delimiter=arrow_separator(dialect), quotechar=dialect.quote, escapechar=dialect.escape)

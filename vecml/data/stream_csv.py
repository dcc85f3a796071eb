"""A CSV a block of rows at a time; its number columns are parsed as float64 while they are read.

Where a value is no number, the file is read again from its start with such columns as text. That takes longer, but can
name the row, and knows dates and truth values by the rules of Arrow's own inference (`csv_typing`).
"""

from collections.abc import Iterator, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import csv

from vecml.data.csv_typing import Typing
from vecml.data.data_file import DataFile
from vecml.data.delimited import (
    LONGEST_ROW_BYTES,
    arrow_error,
    check_closed,
    check_delimiter,
    check_not_utf16,
    not_utf8,
)
from vecml.data.files import DELIMITERS, suffix_of

CSV_BLOCK_BYTES = 1 << 22
BUFFER_BYTES = 1 << 20


def csv_names(path: Path) -> list[str]:
    """The column names in the header; raises DataError as `read_delimited` does."""
    check_not_utf16(path)
    delimiter = DELIMITERS[suffix_of(path)]
    names = _header_in_words(path, delimiter)
    check_delimiter(path, names, delimiter)
    return names


class _TextNeeded(Exception):  # noqa: N818 -- no error: the file is read in another way
    """A value of a number column is no number."""


def csv_tables(file: DataFile, block_rows: int) -> "Iterator[pa.Table]":  # noqa: ARG001 -- the file's own blocks
    """The tables of a CSV; once a number column holds a value that is no number, the columns are read as text."""
    carried = set(file.carried)
    numbers = [one.name for one in file.encoding.columns if one.kind == "number" and one.name not in carried]
    done, typing = 0, Typing(file)
    try:
        for table in _read_tables(file, numbers):
            done += table.num_rows
            yield typing.typed(table)
        return
    except _TextNeeded:
        pass
    for given in _read_tables(file, ()):
        known = min(done, given.num_rows)  # rows that were given already
        done -= known
        if known < given.num_rows:
            yield typing.typed(given.slice(known))


def _read_tables(file: DataFile, numbers: Sequence[str]) -> "Iterator[pa.Table]":
    """The wanted columns, `numbers` as float64 and the others as text; a row of any length up to 64 MB."""
    path, done = file.path, 0
    for block_bytes, threads in ((CSV_BLOCK_BYTES, True), (LONGEST_ROW_BYTES, True), (LONGEST_ROW_BYTES, False)):
        skip = done
        try:
            reader = _csv_reader(path, file.read_columns, numbers, block_bytes, threads=threads)
            last, end = None, _header(path, DELIMITERS[suffix_of(path)])[-1]
            for batch in reader:
                table = pa.Table.from_batches([batch])
                last = table.column(end) if table.num_rows else last
                if skip >= table.num_rows:
                    skip -= table.num_rows
                    continue
                rest, skip = table.slice(skip), 0
                done += rest.num_rows
                yield rest.select(file.block_columns)
            check_closed(path, last, done)
            return
        except pa.ArrowException as error:
            reason = str(error)
            if "CSV conversion error to" in reason:
                raise _TextNeeded from None
            again = "straddling" in reason or "increase block size" in reason or "Expected" in reason
            if not (again and threads):
                raise arrow_error(path, reason) from None


def _csv_reader(path: Path, wanted: list[str], numbers: Sequence[str], block_bytes: int, *, threads: bool) -> Any:
    """Arrow's reader in blocks; beside the wanted columns it gives the file's last one, as text."""
    delimiter = DELIMITERS[suffix_of(path)]
    names = _header_in_words(path, delimiter)
    # Last, so that it is found: where the file ends inside a quoted value, Arrow takes the rest for that value.
    kinds = {name: pa.string() for name in names} | {name: pa.float64() for name in numbers}
    return csv.open_csv(
        path,
        read_options=csv.ReadOptions(block_size=block_bytes, use_threads=threads),
        parse_options=csv.ParseOptions(
            delimiter=delimiter,
            newlines_in_values=True,
            ignore_empty_lines=len(names) > 1,  # where there is but one column, it is a missing value
        ),
        convert_options=csv.ConvertOptions(
            strings_can_be_null=True, column_types=kinds, include_columns=list(dict.fromkeys([*wanted, names[-1]]))
        ),
    )


def _header_in_words(path: Path, delimiter: str) -> list[str]:
    """The column names; raises DataError where there are none to be had."""
    try:
        return _header(path, delimiter)
    except UnicodeDecodeError as error:
        raise not_utf8(path, "its header", error.object[error.start : error.start + 1]) from None
    except (pa.ArrowException, OSError) as error:
        raise arrow_error(path, str(error)) from None


def _header(path: Path, delimiter: str) -> list[str]:
    """The column names, as Arrow reads them."""
    start = b""
    with pa.input_stream(path) as stream:
        while chunk := stream.read(BUFFER_BYTES):
            start += chunk
            end = _line_end(start)
            if end is not None:
                start = start[:end]
                break
            if len(start) > LONGEST_ROW_BYTES:
                break
    if not start.strip(b"\xef\xbb\xbf\r\n "):
        raise pa.ArrowInvalid("Empty CSV file")
    table = csv.read_csv(
        BytesIO(start if start.endswith(b"\n") else start + b"\n"),
        read_options=csv.ReadOptions(block_size=len(start) + 16, use_threads=False),
        parse_options=csv.ParseOptions(delimiter=delimiter, newlines_in_values=True),
    )
    names: list[str] = table.column_names
    return names


def _line_end(start: bytes) -> int | None:
    """Just after the first line that is not empty and whose quotes are closed; None where it goes on."""
    at = 0
    while (end := start.find(b"\n", at)) >= 0:
        line = start[: end + 1]
        if line.strip(b"\xef\xbb\xbf\r\n") and line.count(b'"') % 2 == 0:
            return end + 1
        at = end + 1
    return None

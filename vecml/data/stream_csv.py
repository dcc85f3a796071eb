"""A CSV a block of rows at a time; its number columns are parsed as float64 while they are read.

Where a value is no number, the file is read again from its start with such columns as text. That takes longer, but can
name the row, and knows dates and truth values by the rules of Arrow's own inference (`csv_typing`).
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import csv

from vecml.data.column_names import typeable_names
from vecml.data.csv_typing import Typing
from vecml.data.data_file import DataFile
from vecml.data.delimited import (
    LONGEST_ROW_BYTES,
    arrow_error,
    check_closed,
    check_delimiter,
    check_utf8,
    fallback_encoding,
    parse_options,
    read_options,
    undecodable,
)
from vecml.data.dialect import COMMA, Dialect, in_encoding
from vecml.data.encoding import Encoding
from vecml.data.files import tell, warn_of
from vecml.data.na_words import BUT_NA
from vecml.data.raw import read_as_text, word_names
from vecml.data.read_ahead import rebatch
from vecml.data.text_stream import arrow_stream

CSV_BLOCK_BYTES = 1 << 22
BUFFER_BYTES = 1 << 20


def csv_names(path: Path, dialect: Dialect) -> list[str]:
    """The column names, from the header or from the dialect; raises DataError as `read_delimited` does."""
    if dialect.names is not None:
        return list(dialect.names)
    names = _header_in_words(path, dialect)
    check_delimiter(path, names, dialect.separator)
    return names


def with_typeable_names(path: Path, dialect: Dialect) -> Dialect:
    """The dialect with names for columns that have none, or that of another, as in training."""
    names = csv_names(path, dialect)
    typeable = tuple(typeable_names(names))
    if typeable == tuple(names):
        return dialect
    above = 0 if dialect.names is not None else _start(path, dialect).count(b"\n")
    return replace(dialect, names=typeable, skipped=max(dialect.skipped, above))


class _TextNeeded(Exception):  # noqa: N818 -- no error: the file is read in another way
    """A value of a number column is no number."""


def csv_tables(file: DataFile, block_rows: int) -> "Iterator[pa.Table]":
    """The tables of a CSV; columns in which `NA` is a word are read beside the others: Arrow has one rule for all."""
    words = word_names(file.encoding)
    if not words:
        yield from _typed_tables(file)
        return
    entries = tuple(entry for entry in file.encoding.columns if entry.name in words)
    alone = replace(file, encoding=Encoding(entries), carried=())
    others, written = _typed_tables(file), _read_tables(alone, (), BUT_NA)
    for table, beside in zip(rebatch(others, block_rows), rebatch(written, block_rows), strict=True):
        whole = table
        for place, name in enumerate(file.block_columns):
            if name in words:
                whole = whole.set_column(place, name, beside.column(name))
        yield whole


def _typed_tables(file: DataFile) -> "Iterator[pa.Table]":
    """The tables; once a number column holds a value that is no number, the columns are read as text."""
    as_text = {*read_as_text(file.encoding), *file.carried}
    numbers = [one.name for one in file.encoding.columns if one.name not in as_text]
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


def _read_tables(file: DataFile, numbers: Sequence[str], nulls: Sequence[str] | None = None) -> "Iterator[pa.Table]":
    """The wanted columns, `numbers` as float64 and the others as text; a row of any length up to 64 MB.

    `nulls` are missing values unless they are in quotes; None: what Arrow knows.
    """
    path, dialect, done = file.path, file.dialect or COMMA, 0
    names = csv_names(path, dialect)
    ways = [(CSV_BLOCK_BYTES, True), (LONGEST_ROW_BYTES, True), (LONGEST_ROW_BYTES, False)]
    while ways:
        block_bytes, threads = ways.pop(0)
        skip = done
        try:
            with arrow_stream(path, dialect) as stream:
                last = None
                for batch in _csv_reader(stream, file, dialect, (names, numbers, nulls), block_bytes, threads=threads):
                    table = pa.Table.from_batches([batch])
                    last = table.column(names[-1]) if table.num_rows else last
                    if skip >= table.num_rows:
                        skip -= table.num_rows
                        continue
                    rest, skip = table.slice(skip), 0
                    done += rest.num_rows
                    yield rest.select(file.block_columns)
            check_closed(path, last, done, dialect)
            return
        except UnicodeDecodeError as error:
            raise undecodable(path, error, dialect) from None
        except pa.ArrowException as error:
            reason = str(error)
            if "invalid UTF8" in reason and dialect.encoding == "utf-8" and not dialect.is_encoding_asked:
                dialect = in_encoding(dialect, fallback_encoding(path))  # of which its beginning gave no sign
                tell(path, dialect, warn_of)
                ways.insert(0, (block_bytes, threads))
                continue
            if "CSV conversion error to" in reason and "invalid UTF8" not in reason:
                raise _TextNeeded from None
            if "invalid UTF8" in reason:
                _find_wrong_text(file, dialect, names)
            again = "straddling" in reason or "increase block size" in reason or "Expected" in reason
            if not (again and threads):
                raise arrow_error(path, reason, dialect) from None


def _find_wrong_text(file: DataFile, dialect: Dialect, names: list[str]) -> None:
    """Raise NotDecodedError for the first value of the wanted columns that is no UTF-8: Arrow's error knows no row."""
    row = 0
    with arrow_stream(file.path, dialect) as stream:
        reader = csv.open_csv(
            stream,
            read_options=read_options(dialect, LONGEST_ROW_BYTES, use_threads=True),
            parse_options=parse_options(dialect, skip_empty=len(names) > 1),
            convert_options=csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.binary()),
                include_columns=list(dict.fromkeys([*file.read_columns, names[-1]])),
            ),
        )
        for batch in reader:
            check_utf8(file.path, pa.Table.from_batches([batch]), row)
            row += batch.num_rows


def _csv_reader(
    stream: "pa.NativeFile",
    file: DataFile,
    dialect: Dialect,
    columns: tuple[Sequence[str], Sequence[str], Sequence[str] | None],
    block_bytes: int,
    *,
    threads: bool,
) -> Any:
    """Arrow's reader in blocks; beside the wanted columns it gives the file's last one, as text.

    `columns` are the names of all columns, of those that are numbers, and what is missing (`_read_tables`).
    """
    names, numbers, nulls = columns
    # Last, so that it is found: where the file ends inside a quoted value, Arrow takes the rest for that value.
    kinds = {name: pa.string() for name in names} | {name: pa.float64() for name in numbers}
    return csv.open_csv(
        stream,
        read_options=read_options(dialect, block_bytes, use_threads=threads),
        # Where there is but one column, an empty line is a missing value.
        parse_options=parse_options(dialect, skip_empty=len(names) > 1),
        convert_options=csv.ConvertOptions(
            strings_can_be_null=True,
            null_values=None if nulls is None else list(nulls),
            quoted_strings_can_be_null=len(numbers) == len(file.read_columns),
            column_types=kinds,
            include_columns=list(dict.fromkeys([*file.read_columns, names[-1]])),
        ),
    )


def _header_in_words(path: Path, dialect: Dialect) -> list[str]:
    """The column names; raises DataError where there are none to be had."""
    try:
        return _header(path, dialect)
    except UnicodeDecodeError as error:
        raise undecodable(path, error, dialect) from None
    except (pa.ArrowException, OSError) as error:
        raise arrow_error(path, str(error), dialect) from None


def _header(path: Path, dialect: Dialect) -> list[str]:
    """The column names, as Arrow reads them."""
    start = _start(path, dialect)
    table = csv.read_csv(
        BytesIO(start if start.endswith(b"\n") else start + b"\n"),
        read_options=read_options(dialect, len(start) + 16, use_threads=False),
        parse_options=parse_options(dialect, skip_empty=True),
    )
    names: list[str] = table.column_names
    return names


def _start(path: Path, dialect: Dialect) -> bytes:
    """The file's text up to the end of its header."""
    start = b""
    with arrow_stream(path, dialect) as stream:
        while chunk := stream.read(BUFFER_BYTES):
            start += chunk
            end = _line_end(start, dialect)
            if end is not None:
                start = start[:end]
                break
            if len(start) > LONGEST_ROW_BYTES:
                break
    if not start.strip(b"\xef\xbb\xbf\r\n "):
        raise pa.ArrowInvalid("Empty CSV file")
    return start


def _line_end(start: bytes, dialect: Dialect) -> int | None:
    """Just after the first line that is not empty and whose quotes are closed; None where it goes on."""
    quote, at, first, skipped = dialect.quote.encode(), 0, 0, dialect.skipped
    while (end := start.find(b"\n", at)) >= 0:
        at = end + 1
        if skipped:
            skipped, first = skipped - 1, at
            continue
        line = start[first:at]
        if line.strip(b"\xef\xbb\xbf\r\n") and line.count(quote) % 2 == 0:
            return at
    return None

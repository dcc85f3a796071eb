"""CSV and TSV through Arrow's multithreaded reader, its errors in words that name the file, the row and the column.

Arrow's one-shot reader widens a column's type when a later block contradicts the first (its streaming reader does not),
so that types follow from the whole file; the tests hold it to that with tiny blocks.
"""

import codecs
import re
from collections.abc import Collection, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from vecml.data.arrow_types import FLOAT64_INTEGERS, all_exact
from vecml.data.column_names import typeable_names
from vecml.data.dialect import COMMA, NAMED, SEPARATORS, Dialect, count_characters, damaged, is_damaged
from vecml.data.leading_zeros import has_leading_zeros, number_columns
from vecml.data.lines import place_of_row
from vecml.data.na_words import BUT_NA, may_be_word, with_words
from vecml.data.number_text import with_leading_zeros
from vecml.data.reading import Words
from vecml.data.remedy import SettingHelpsError, flags
from vecml.data.selection import shortened
from vecml.data.text_stream import DAMAGED, arrow_separator, arrow_stream, opened
from vecml.errors import DataError
from vecml.numbers import count

BLOCK_BYTES = 1 << 20
LONGEST_ROW_BYTES = 1 << 26
MOST_DICTIONARY_VALUES = 10_000


def read_delimited(
    path: Path,
    dialect: Dialect = COMMA,
    text: Collection[str] = (),
    block_bytes: int = BLOCK_BYTES,
    words: Words = None,
) -> "pa.Table":
    """Read the whole file into an Arrow table.

    An empty value and NA, NaN, NULL and the like are missing, in text too, unless they stand in quotes. A value in
    quotes may hold line breaks. A column with integers that float64 does not hold is text, and `NA` may be a word
    (`vecml.data.na_words`).

    Args:
        path: of the file.
        dialect: how it writes its table.
        text: names of columns to read as text; the types of the others are inferred.
        block_bytes: several threads read blocks of this size; the result does not depend on it.
        words: the columns in which `NA` without quotes is a word; None: that is found by looking.

    Raises:
        DataError: the file is empty, a row has too few or too many values, or bytes are not in the encoding.
    """
    table = _read(path, dialect, text, block_bytes)
    if table.num_columns == 1:
        check_delimiter(path, table.column_names, dialect.separator)
        # An empty line is a missing value where there is but one column; elsewhere it is no row at all.
        table = _read(path, dialect, text, block_bytes, skip_empty=False)
    again = _misread(table, text)
    skip_empty = table.num_columns > 1
    if again:
        table = _read(path, dialect, {*text, *again}, block_bytes, skip_empty=skip_empty)
    if len(set(table.column_names)) == table.num_columns:  # a second look is at columns by their names
        codes = _word_columns(table, words)
        if codes:
            written = _read(path, dialect, codes, block_bytes, skip_empty=skip_empty, nulls=BUT_NA, only=codes)
            table = with_words(table, written)
        whole = number_columns(table)
        if whole and has_leading_zeros(path, dialect):
            written = _read(path, dialect, whole, block_bytes, skip_empty=skip_empty, only=whole)
            table = _with_zeros(table, written)
    check_utf8(path, table)
    check_closed(path, table.column(table.num_columns - 1), table.num_rows, dialect)
    return table


def _word_columns(table: "pa.Table", words: Words) -> list[str]:
    """The columns in which `NA` is a word, or may be one where nobody says it."""
    if words is None:
        return [name for name, column in zip(table.column_names, table.columns, strict=True) if may_be_word(column)]
    names = table.column_names
    return [name for name, typed in zip(names, typeable_names(names), strict=True) if {name, typed} & set(words)]


def _with_zeros(table: "pa.Table", written: "pa.Table") -> "pa.Table":
    """The table with the columns of `written`, as text, that hold whole numbers with zeros before them."""
    for name, column in zip(written.column_names, written.columns, strict=True):
        values = pc.unique(column.cast(pa.string())).drop_null()
        if len(with_leading_zeros(pc.utf8_trim_whitespace(values))):
            table = table.set_column(table.column_names.index(name), name, column)
    return table


def fallback_encoding(path: Path) -> str:
    """The encoding of a file that is not UTF-8, of which its beginning gave no sign: cp1252, or latin-1.

    Raises DataError where it is UTF-8 with a few wrong bytes.
    """
    decoder, is_cp1252 = codecs.getincrementaldecoder("cp1252")(), True
    good = bad = lines = 0
    place: tuple[bytes, int] | None = None
    rest = b""
    with arrow_stream(path, COMMA) as stream:
        while chunk := stream.read(BLOCK_BYTES):
            try:
                decoder.decode(chunk)
            except UnicodeDecodeError:
                is_cp1252 = False
            # Whole lines, so that no character is cut; a chunk without a line break is taken as it is.
            whole, mark, after = (rest + chunk).rpartition(b"\n")
            content, rest = (whole + mark, after) if mark else (rest + chunk, b"")
            more_good, more_bad = count_characters(content)
            if more_bad and place is None:
                place = _first_wrong(content, lines)
            good, bad, lines = good + more_good, bad + more_bad, lines + content.count(b"\n")
    more_good, more_bad = count_characters(rest)
    if more_bad and place is None:
        place = _first_wrong(rest, lines)
    if place is not None and is_damaged(good + more_good, bad + more_bad):
        raise damaged(path.name, *place)
    return "cp1252" if is_cp1252 else "latin-1"


def _first_wrong(content: bytes, lines: int) -> tuple[bytes, int]:
    """The first bytes of the content that are no UTF-8, and the number of their line after `lines` others."""
    try:
        content.decode()
    except UnicodeDecodeError as error:
        return content[error.start : error.end], lines + content.count(b"\n", 0, error.start) + 1
    return b"", lines


def check_delimiter(path: Path, names: Sequence[str], separator: str) -> None:
    """Raise DataError when a file with a single column seems to be separated by another character."""
    other = [mark for mark in SEPARATORS if mark != separator and mark in names[0]]
    names_of = {mark: word for word, mark in reversed(NAMED.items())}
    if len(names) == 1 and other:
        raise SettingHelpsError(
            f"{path.name} has a single column, called {shortened(names[0])}",
            f"it was read with the separator {separator!r}; this one seems to use {other[0]!r}:",
            {"separator": names_of[other[0]]},
            f"--separator {names_of[other[0]]}",
        )


def check_closed(path: Path, last: "pa.ChunkedArray | None", n_rows: int, dialect: Dialect) -> None:
    """Raise DataError when the file ends inside a quoted value: Arrow takes the rest of the file for that value.

    Args:
        path: of the file.
        last: the last column, or its last block; None for a file without rows.
        n_rows: rows of the file.
        dialect: how it writes its table.
    """
    value = last[-1].as_py() if last is not None and len(last) else None
    if not isinstance(value, str) or "\n" not in value:
        return
    tail = b""
    with arrow_stream(path, dialect) as stream:
        while chunk := stream.read(BLOCK_BYTES):
            tail = (tail + chunk)[-1024:]
    if not tail.rstrip().endswith(dialect.quote.encode()):
        raise DataError(
            f"{path.name} ends inside a quoted value, which begins in {place_of_row(path, dialect, n_rows)}:"
            f" {shortened(value)}",
            "close the quotation mark, or double it where it belongs to the value",
        )


def _misread(table: "pa.Table", text: Collection[str]) -> list[str]:
    """The columns to read again as text: for their integers, and those of `text` that the file calls otherwise."""
    names = table.column_names
    found = [name for name, column in zip(names, table.columns, strict=True) if _may_be_inexact(column)]
    if not set(text) <= set(names):
        found += [name for name, typeable in zip(names, typeable_names(names), strict=True) if typeable in text]
    return [name for name in found if name not in text]


def _may_be_inexact(column: "pa.ChunkedArray") -> bool:
    """Whether float64 does not hold the integers of a column, or Arrow took them for floats since int64 does not.

    Such a column is read as text: its digits are what it says, and `text_column` decides.
    """
    if not pa.types.is_float64(column.type):
        return not all_exact(column)
    low, high = pc.min_max(column).as_py().values()
    return low is not None and max(-low, high) >= FLOAT64_INTEGERS


def parse_options(dialect: Dialect, *, skip_empty: bool) -> "csv.ParseOptions":
    """Arrow's options for how values are told apart; `skip_empty`: whether an empty line is no row."""
    return csv.ParseOptions(
        delimiter=arrow_separator(dialect),
        quote_char=dialect.quote,
        escape_char=dialect.escape or False,
        newlines_in_values=True,
        ignore_empty_lines=skip_empty,
    )


def read_options(dialect: Dialect, block_bytes: int, *, use_threads: bool) -> "csv.ReadOptions":
    """Arrow's options for where the rows begin and what the columns are called."""
    return csv.ReadOptions(
        block_size=block_bytes,
        use_threads=use_threads,
        skip_rows=dialect.skipped,
        column_names=None if dialect.names is None else list(dialect.names),
    )


def _read(
    path: Path,
    dialect: Dialect,
    text: Collection[str],
    block_bytes: int,
    *,
    skip_empty: bool = True,
    nulls: list[str] | None = None,
    only: Sequence[str] = (),
) -> "pa.Table":
    """Arrow's reader; `nulls`: what is missing, None: what Arrow knows; `only`: read these columns alone."""
    parse = parse_options(dialect, skip_empty=skip_empty)
    convert = csv.ConvertOptions(
        strings_can_be_null=True,
        quoted_strings_can_be_null=False,
        column_types={name: pa.string() for name in text},
        null_values=nulls,
        include_columns=list(only),
        auto_dict_encode=True,
        auto_dict_max_cardinality=MOST_DICTIONARY_VALUES,
    )

    def attempt(block_size: int, *, use_threads: bool) -> "pa.Table":
        read = read_options(dialect, block_size, use_threads=use_threads)
        with arrow_stream(path, dialect) as stream:
            table = csv.read_csv(stream, read_options=read, parse_options=parse, convert_options=convert)
        _ = table.column_names  # the header is decoded only when it is asked for
        return table

    try:
        try:
            return attempt(block_bytes, use_threads=True)
        except pa.ArrowInvalid as error:
            if not re.search("straddling|Empty CSV file|try to increase block size", str(error)):
                raise
            # A row, or the header, longer than a block.
            return attempt(LONGEST_ROW_BYTES, use_threads=True)
    except UnicodeDecodeError as error:
        raise undecodable(path, error, dialect) from None
    except (pa.ArrowException, OSError) as error:
        reason = str(error)
        if "Expected" in reason:
            try:
                attempt(LONGEST_ROW_BYTES, use_threads=False)  # only one thread alone can count rows
            except pa.ArrowInvalid as counted:
                reason = str(counted)
        raise arrow_error(path, reason, dialect) from None


def arrow_error(path: Path, reason: str, dialect: Dialect) -> DataError:
    """The DataError for what Arrow says of a CSV: one line that names the file, and the row or the column."""
    if "Empty CSV file" in reason:
        return DataError(f"{path.name} is empty", "its first line must name the columns")
    ragged = re.search(r"(?:Row #(\d+): )?Expected (\d+) columns, got (\d+)(?:: (.*))?", reason)
    if ragged:
        row, expected, got, content = ragged.groups()
        before = dialect.skipped + (dialect.names is None)  # Arrow counts lines before the rows as well
        where = place_of_row(path, dialect, int(row) - before) if row else "a row"
        named = "the header names" if dialect.names is None else "others have"
        title = "if the first line is a title, remove it; " if expected == "1" and dialect.names is None else ""
        return DataError(
            f"{path.name}: {where} has {count(int(got), 'value')}, {named} {count(int(expected), 'column')}",
            f"{title}the row reads {shortened(content or '')}; a value that holds a separator must be in quotes",
        )
    utf8 = re.search(r"CSV column #(\d+).*invalid UTF8", reason)
    if utf8:
        return not_decoded(path, f"column {int(utf8[1]) + 1}")
    if "straddling" in reason:
        return DataError(
            f"{path.name} has a row of more than {LONGEST_ROW_BYTES >> 20} MB", "is a quotation mark not closed?"
        )
    return DataError(f"{path.name} cannot be read as CSV: {(reason.splitlines() or ['no reason given'])[0]}", DAMAGED)


def check_utf8(path: Path, table: "pa.Table", first_row: int = 0) -> None:
    """Raise NotDecodedError for the first value that is no UTF-8, which Arrow takes for binary.

    `first_row` is the number of the table's first row in the file, from 0.
    """
    for name, column in zip(table.column_names, table.columns, strict=True):
        kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
        if not pa.types.is_binary(kind):
            continue
        row = first_row
        for chunk in column.cast(pa.binary()).chunks:
            for value in chunk.to_pylist():
                row += 1
                try:
                    (value or b"").decode()
                except UnicodeDecodeError:
                    raise not_decoded(path, f"column {name!r} in row {row}", value) from None


class NotDecodedError(SettingHelpsError):
    """Bytes that are not in the encoding that was taken for the file's."""


def undecodable(path: Path, error: UnicodeDecodeError, dialect: Dialect) -> NotDecodedError:
    """The error for bytes that are not in the file's encoding; Arrow's own error knows no line."""
    wrong = error.object[error.start : error.start + 1]
    if dialect.encoding == "utf-8":
        return not_decoded(path, "its header", wrong)
    decoder, line = codecs.getincrementaldecoder(dialect.encoding)(), 1
    with opened(path) as stream:
        while chunk := stream.read(BLOCK_BYTES):
            before = decoder.getstate()
            try:
                line += decoder.decode(chunk).count("\n")
                continue
            except UnicodeDecodeError:
                decoder.setstate(before)
            for at in range(len(chunk)):
                try:
                    line += decoder.decode(chunk[at : at + 1]).count("\n")
                except UnicodeDecodeError as found:
                    wrong = found.object[found.start : found.end]
                    return not_decoded(path, f"line {line:,}", wrong, dialect.encoding)
    return not_decoded(path, "its end", wrong, dialect.encoding)


def not_decoded(path: Path, where: str, value: bytes | None = None, encoding: str = "utf-8") -> NotDecodedError:
    """The error for a `value` that is not in the `encoding`, with its place (`where`) in the file at `path`."""
    shown = "" if value is None else f": {shortened(value)}"
    name = "UTF-8" if encoding == "utf-8" else encoding
    changes = {"encoding": "cp1252" if encoding == "utf-8" else None}
    words = "name its encoding:" if encoding == "utf-8" else "let vecml find it, without --encoding:"
    return NotDecodedError(f"{path.name}: {where} is not {name}{shown}", words, changes, flags(changes))

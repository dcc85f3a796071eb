"""ARFF, the format of Weka and OpenML: a header that declares the columns, then the rows as in a CSV.

scipy's reader knows neither text columns nor most ways to quote; so the header is read here, the rows by Arrow.
"""

import re
from collections.abc import Collection, Iterable, Iterator
from io import BytesIO
from itertools import chain, islice
from pathlib import Path

import pyarrow as pa
from pyarrow import csv

from vecml.data.dialect import encoding_of
from vecml.data.memory_limit import MemoryLimit, Watched
from vecml.data.selection import shortened
from vecml.data.text_stream import opened
from vecml.errors import DataError, one_line
from vecml.numbers import count

ROWS_AT_ONCE, CHARACTERS_AT_ONCE, BLOCK_BYTES = 10_000, 1 << 20, 1 << 24
COPIES = 4  # of the file, at most: its text, the text of its rows, without blanks, and in bytes
NUMERIC = ("numeric", "real", "integer")
_ATTRIBUTE = re.compile(r"""@attribute\s+('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|[^\s{]+)\s*(.+)""", re.IGNORECASE)


def read_arff(path: Path, text: Collection[str] = ()) -> "pa.Table":
    """The rows of an ARFF file: numeric columns as float64, all others, and those named in `text`, as text.

    A `?` is missing. Raises DataError for a header that is none, sparse rows, and rows that do not fit the header.
    """
    text_of_file = _decoded(path)
    lines = enumerate(_lines(text_of_file), 1)
    kinds: dict[str, str] = {}
    for number, given in lines:
        line = given.strip()
        if line.lower().startswith("@data"):
            break
        if line.lower().startswith("@attribute"):
            name, kind = _attribute(path, line, number)
            if name in kinds:
                raise DataError(f"{path.name} has more than one column called {name!r}", "give every column its own")
            kinds[name] = kind
    else:
        raise DataError(f"{path.name} has no line @data", "an ARFF file declares its columns, then has @data and rows")
    if not kinds:
        raise DataError(f"{path.name} declares no column", "a line reads: @attribute age numeric")
    rows = (line for _, line in _rows(lines))
    first = list(islice(rows, ROWS_AT_ONCE))
    if not first:
        return pa.table({name: pa.array([], pa.string()) for name in kinds})
    if first[0].startswith("{"):
        raise DataError(f"{path.name} has sparse rows, which are not read", "write it as a CSV or with all values")
    try:
        return _table(path, chain(first, rows), first, kinds, text)
    except pa.ArrowInvalid as error:
        ragged = re.search(r"Row #(\d+): Expected (\d+) columns, got (\d+)", str(error))
        if ragged:
            row, expected, got = map(int, ragged.groups())
            places = (place for place, _ in _rows(enumerate(islice(_lines(text_of_file), number, None), number + 1)))
            for place in islice(places, row):  # the last line where a value of several lines made fewer rows
                line_number = place
            raise DataError(
                f"{path.name}: row {row}, line {line_number}, has {count(got, 'value')},"
                f" the header declares {count(expected, 'column')}",
                "a value that holds a comma must be in quotes",
            ) from None
        raise DataError(f"{path.name} cannot be read as ARFF: {one_line(error)}", "mend that value") from None


def _decoded(path: Path) -> str:
    """The file's text; raises DataError where it takes more memory than a table may."""
    with opened(path) as stream:
        watched = Watched(stream, path.name)
        try:
            content = watched.read()
        finally:
            watched.close()
    MemoryLimit(path.name).check(expected=COPIES * len(content))
    # Of a text that is UTF-16 by its zero bytes alone, a part may be none.
    return content.decode(encoding_of(content, complete=True), "replace").removeprefix("\ufeff")


def _lines(text: str) -> Iterator[str]:
    """The lines of a text, of which only a part is held once more."""
    start = 0
    while start < len(text):
        end = text.find("\n", start + CHARACTERS_AT_ONCE) + 1 or len(text)
        yield from text[start:end].splitlines()
        start = end


def _rows(lines: Iterable[tuple[int, str]]) -> Iterator[tuple[int, str]]:
    """The lines after `@data` that are rows, each with its number."""
    return ((place, line.strip()) for place, line in lines if line.strip() and not line.lstrip().startswith("%"))


def _attribute(path: Path, line: str, number: int) -> tuple[str, str]:
    found = _ATTRIBUTE.fullmatch(line)
    if found is None:
        raise DataError(
            f"{path.name}: line {number} declares no column: {shortened(line)}",
            "it reads @attribute, a name and a kind",
        )
    name = found[1]
    if name[0] in "'\"":
        name = re.sub(r"\\(.)", r"\1", name[1:-1])
    return name, "number" if found[2].strip().lower() in NUMERIC else "text"


def _tight(rows: list[str], quote: str) -> str:
    """The rows without a comment at their end and without blanks around commas; in quotes all stays as it is."""
    quoted = rf"({quote}(?:[^{quote}\\]|\\.)*{quote})"
    if any("%" in row for row in rows):
        rows = [re.sub(rf"{quoted}|\s+%.*", lambda found: found[1] or "", row) if "%" in row else row for row in rows]
    return "\n".join(rows)


def _table(
    path: Path, rows: Iterator[str], first: list[str], kinds: dict[str, str], text: Collection[str]
) -> "pa.Table":
    """The table of the rows, whose way to write is seen in the `first` ones."""
    quote = "'" if sum(row.count("'") for row in first[:1000]) >= sum(row.count('"') for row in first[:1000]) else '"'
    limit, longest = MemoryLimit(path.name), 0
    parts: list[str] = []
    while some := list(islice(rows, ROWS_AT_ONCE)):
        limit.check(so_far=f"{count(len(parts) * ROWS_AT_ONCE, 'row')} were read so far")
        longest = max(longest, *map(len, some))
        parts.append(_tight(some, quote))
    content = "\n".join(parts) + "\n"
    del parts
    if re.search(r"[ \t],|,[ \t]", content):
        quoted = rf"({quote}(?:[^{quote}\\]|\\.)*{quote})"
        content = re.sub(rf"{quoted}|[ \t]*,[ \t]*", lambda found: found[1] or ",", content)
    stream = Watched(BytesIO(content.encode()), path.name)
    del content
    types = {
        name: pa.float64() if kind == "number" and name not in text else pa.string() for name, kind in kinds.items()
    }
    return csv.read_csv(
        pa.PythonFile(stream, mode="r"),
        read_options=csv.ReadOptions(
            column_names=list(kinds), use_threads=False, block_size=max(BLOCK_BYTES, 16 * longest)
        ),
        parse_options=csv.ParseOptions(
            delimiter="," if "," in first[0] else "\t" if "\t" in first[0] else ",",
            quote_char=quote,
            escape_char="\\",
            newlines_in_values=True,
            ignore_empty_lines=len(kinds) > 1,
        ),
        convert_options=csv.ConvertOptions(
            column_types=types, null_values=["?"], strings_can_be_null=True, quoted_strings_can_be_null=False
        ),
    )

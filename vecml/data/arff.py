"""ARFF, the format of Weka and OpenML: a header that declares the columns, then the rows as in a CSV.

scipy's reader knows neither text columns nor most ways to quote; so the header is read here, the rows by Arrow.
"""

import re
from collections.abc import Collection
from io import BytesIO
from pathlib import Path

import pyarrow as pa
from pyarrow import csv

from vecml.data.dialect import encoding_of
from vecml.data.selection import shortened
from vecml.data.text_stream import opened
from vecml.errors import DataError, one_line
from vecml.numbers import count

NUMERIC = ("numeric", "real", "integer")
_ATTRIBUTE = re.compile(r"""@attribute\s+('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|[^\s{]+)\s*(.+)""", re.IGNORECASE)


def read_arff(path: Path, text: Collection[str] = ()) -> "pa.Table":
    """The rows of an ARFF file: numeric columns as float64, all others, and those named in `text`, as text.

    A `?` is missing. Raises DataError for a header that is none, sparse rows, and rows that do not fit the header.
    """
    with opened(path) as stream:
        content = stream.read()
    # Of a text that is UTF-16 by its zero bytes alone, a part may be none.
    lines = content.decode(encoding_of(content, complete=True), "replace").removeprefix("\ufeff").splitlines()
    kinds: dict[str, str] = {}
    for number, given in enumerate(lines):
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
    rows = [
        (place, line.strip())
        for place, line in enumerate(lines[number + 1 :], number + 2)
        if line.strip() and not line.lstrip().startswith("%")
    ]
    if rows and rows[0][1].startswith("{"):
        raise DataError(f"{path.name} has sparse rows, which are not read", "write it as a CSV or with all values")
    return _rows(path, rows, kinds, text)


def _attribute(path: Path, line: str, number: int) -> tuple[str, str]:
    found = _ATTRIBUTE.fullmatch(line)
    if found is None:
        raise DataError(
            f"{path.name}: line {number + 1} declares no column: {shortened(line)}",
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
    return re.sub(rf"{quoted}|[ \t]*,[ \t]*", lambda found: found[1] or ",", "\n".join(rows)) + "\n"


def _rows(path: Path, numbered: list[tuple[int, str]], kinds: dict[str, str], text: Collection[str]) -> "pa.Table":
    """The table of the rows, each with its line in the file."""
    if not numbered:
        return pa.table({name: pa.array([], pa.string()) for name in kinds})
    rows = [row for _, row in numbered]
    quote = "'" if sum(row.count("'") for row in rows[:1000]) >= sum(row.count('"') for row in rows[:1000]) else '"'
    content = _tight(rows, quote)
    types = {
        name: pa.float64() if kind == "number" and name not in text else pa.string() for name, kind in kinds.items()
    }
    try:
        return csv.read_csv(
            BytesIO(content.encode()),
            read_options=csv.ReadOptions(column_names=list(kinds), use_threads=False, block_size=len(content) * 4 + 16),
            parse_options=csv.ParseOptions(
                delimiter="," if "," in rows[0] else "\t" if "\t" in rows[0] else ",",
                quote_char=quote,
                escape_char="\\",
                newlines_in_values=True,
                ignore_empty_lines=len(kinds) > 1,
            ),
            convert_options=csv.ConvertOptions(
                column_types=types, null_values=["?"], strings_can_be_null=True, quoted_strings_can_be_null=False
            ),
        )
    except pa.ArrowInvalid as error:
        ragged = re.search(r"Row #(\d+): Expected (\d+) columns, got (\d+)", str(error))
        if ragged:
            row, expected, got = ragged.groups()
            place, columns = numbered[min(int(row), len(numbered)) - 1][0], count(int(expected), "column")
            raise DataError(
                f"{path.name}: row {row}, line {place}, has {count(int(got), 'value')}, the header declares {columns}",
                "a value that holds a comma must be in quotes",
            ) from None
        raise DataError(f"{path.name} cannot be read as ARFF: {one_line(error)}", "mend that value") from None

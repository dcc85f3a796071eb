"""Whole numbers with zeros before them, `007`, in a text file: Arrow takes them for numbers, and the zeros are gone.

They may be codes, so that the column has to be told of. Hardly a file has any: its bytes are looked at first.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from vecml.data.dialect import Dialect
from vecml.data.text_stream import arrow_separator, arrow_stream

CHUNK_BYTES = 1 << 22
MOST_TRIED = 1_000  # of the places in a chunk that look so
ZERO, NINE, PLUS, MINUS = ord("0"), ord("9"), ord("+"), ord("-")


def has_leading_zeros(path: Path, dialect: Dialect) -> bool:
    """Whether a value of the text file is a whole number with a zero before it, as far as its bytes show."""
    separator = arrow_separator(dialect).encode()
    begins = np.zeros(256, np.bool_)
    begins[[*separator, *b'\n\r" ', *dialect.quote.encode()]] = True
    ends = begins.copy()
    ends[ZERO : NINE + 1] = True
    whole = re.compile(rb"[0-9]+ *(?:[" + re.escape(separator + b'\n\r"' + dialect.quote.encode()) + rb"]|$)")
    for chunk in _chunks(path, dialect):
        byte_B = np.frombuffer(chunk, np.uint8)
        digit_B = (byte_B >= ZERO) & (byte_B <= NINE)
        before_B = begins[byte_B]
        before_B[1:] |= before_B[:-1] & ((byte_B[1:] == PLUS) | (byte_B[1:] == MINUS))  # not that of a date
        looks_B = (byte_B[1:-2] == ZERO) & digit_B[2:-1] & before_B[:-3] & ends[byte_B[3:]]
        for place in np.flatnonzero(looks_B)[:MOST_TRIED]:
            if whole.match(chunk, int(place) + 1):
                return True
    return False


def _chunks(path: Path, dialect: Dialect) -> Iterator[bytes]:
    """The text in pieces that overlap by a few bytes, with a line break before the first and after the last."""
    rest = b"\n"
    with arrow_stream(path, dialect) as stream:
        while chunk := stream.read(CHUNK_BYTES):
            yield rest + chunk
            rest = (rest + chunk)[-32:]
    yield rest + b"\n\n"


def number_columns(table: pa.Table) -> list[str]:
    """The columns that Arrow took for numbers; `+007` is no whole number to it, but one with a point."""
    return [
        name
        for name, column in zip(table.column_names, table.columns, strict=True)
        if pa.types.is_integer(column.type) or pa.types.is_floating(column.type)
    ]

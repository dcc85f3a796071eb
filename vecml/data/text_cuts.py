"""Where a large text file can be cut: between rows, and never inside a value in quotes.

A line break ends a row where as many quotation marks stand before it as close each other. So the file is looked through
once, by threads, for quotation marks and nothing else; each part is told how many there are, and where its first row
would begin if it began outside of a value or inside one, and then the parts are put together. Quotation marks must all
stand where they open a value, close one, or are doubled in one: a mark within a value that is not in quotes (5" pipes)
would be counted as one of these, and such a file is not cut.
"""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vecml.data.dialect import COMPRESSIONS, Dialect, Span

THREADS = 4
SLICE_BYTES = 1 << 22
FIRST_BYTES = 1 << 20  # in which the header must end
PLAIN = ("utf-8", "ascii", "cp1252", "latin-1", "iso-8859-1")  # in which a line break and a mark are one byte each


@dataclass(frozen=True)
class _Looked:
    """What a part of a file holds.

    Attributes:
        marks: quotation marks.
        regular: whether each mark opens, closes or is doubled, if the part begins outside of a value, and inside one.
        row: where the first row begins in it, in the same two cases; None where none does.
    """

    marks: int
    regular: tuple[bool, bool]
    row: tuple[int | None, int | None]


def cut_text(path: Path, dialect: Dialect, n_bytes: int) -> tuple[Span, ...]:
    """Cut a text file into parts of about `n_bytes`, which are whole rows; nothing where that cannot be.

    Args:
        path: of the file.
        dialect: how it writes its table, without names that were made for columns.
        n_bytes: of a part, without what stands above the rows.
    """
    size = path.stat().st_size
    plain = dialect.encoding.lower() in PLAIN and dialect.escape is None and not dialect.is_rewritten
    above = _above(path, dialect) if plain and path.suffix.lower() not in COMPRESSIONS else None
    if above is None or size - above <= n_bytes:
        return ()
    bounds = [*range(above, size, n_bytes), size]
    marks = (dialect.quote.encode(), dialect.separator.encode())
    with ThreadPoolExecutor(THREADS) as pool:
        parts = list(pool.map(lambda bound: _look(path, bound[0], bound[1], marks), pairwise(bounds)))
    firsts = _row_starts(parts)
    if firsts is None:
        return ()
    starts = [above, *(first for first in firsts[1:] if first is not None), size]
    return tuple(Span(above, first, stop) for first, stop in pairwise(starts) if first < stop)


def _row_starts(parts: Sequence[_Looked]) -> list[int | None] | None:
    """Where the first row of each part begins; None where a quotation mark is where it has no meaning."""
    inside, found = 0, []
    for part in parts:
        if not part.regular[inside]:
            return None
        found.append(part.row[inside])
        inside = (inside + part.marks) % 2
    return None if inside else found


def _above(path: Path, dialect: Dialect) -> int | None:
    """The bytes above the first row: lines that are skipped and the header; None where no end of it is seen."""
    with path.open("rb") as file:
        start = file.read(FIRST_BYTES)
    quote, at, skipped = dialect.quote.encode(), 0, dialect.skipped
    first, header = 0, dialect.names is None
    while skipped or header:
        end = start.find(b"\n", at)
        if end < 0:
            return None
        at = end + 1
        if skipped:
            skipped, first = skipped - 1, at
            continue
        line = start[first:at]
        header = not line.strip(b"\xef\xbb\xbf\r\n") or line.count(quote) % 2 != 0
    return at


def _look(path: Path, first: int, stop: int, marks: tuple[bytes, bytes]) -> _Looked:
    """Look through the bytes from `first` to `stop`; `marks` are the quotation mark and the separator."""
    quote, separator = marks[0][0], marks[1][0]
    count, regular = 0, [True, True]
    row: list[int | None] = [None, None]
    with path.open("rb", buffering=0) as file:
        for begin in range(first, stop, SLICE_BYTES):
            end = min(begin + SLICE_BYTES, stop)
            before = max(begin - 1, 0)
            content = np.frombuffer(os.pread(file.fileno(), end + 1 - before, before), np.uint8)
            # One byte before and one behind, which say what a mark at an end is.
            known = np.concatenate(([ord("\n")], content)) if before == begin else content
            known = known if len(known) == end - begin + 2 else np.append(known, ord("\n"))
            place_Q = np.flatnonzero(known[1:-1] == quote) + 1
            regular = [
                one and _is_regular(known, place_Q, (count + case) % 2, quote, separator)
                for case, one in enumerate(regular)
            ]
            for case in (0, 1):
                if row[case] is None:
                    found = _first_break(known, place_Q, (count + case) % 2)
                    row[case] = None if found is None else begin + found
            count += len(place_Q)
    return _Looked(count, (regular[0], regular[1]), (row[0], row[1]))


def _is_regular(known: NDArray[np.uint8], place_Q: NDArray[np.int64], inside: int, quote: int, separator: int) -> bool:
    """Whether each of the marks at place_Q (int64) opens a value, closes one or is one of two; `inside`: 1 or 0."""
    openers, closers = place_Q[inside::2], place_Q[1 - inside :: 2]
    before, after = known[openers - 1], known[closers + 1]
    opens = (before == separator) | (before == ord("\n")) | (before == quote)
    closes = (after == separator) | (after == ord("\n")) | (after == ord("\r")) | (after == quote)
    return bool(opens.all() and closes.all())


def _first_break(known: NDArray[np.uint8], place_Q: NDArray[np.int64], inside: int) -> int | None:
    """How many bytes of the slice end with its first line break outside of quotes; None where there is none."""
    break_B = np.flatnonzero(known[1:-1] == ord("\n")) + 1
    if not len(break_B):
        return None
    outside_B = (np.searchsorted(place_Q, break_B) + inside) % 2 == 0
    return int(break_B[int(outside_B.argmax())]) if outside_B.any() else None

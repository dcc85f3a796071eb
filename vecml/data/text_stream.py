"""A text file as bytes that Arrow's CSV reader understands: decompressed, UTF-8, with one character between values.

Arrow reads `.gz`, `.bz2` and `.zst` by itself, and it transcodes. What it does not know is rewritten in memory: runs of
blanks between values, and blanks before a quotation mark.
"""

import lzma
import re
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa

from vecml.data.dialect import SAMPLE_BYTES, WHITESPACE, AskedFormat, Dialect, Span, dialect_of, text_suffix
from vecml.data.memory_limit import Watched
from vecml.data.selection import listed
from vecml.data.zipped import ZIP_DAMAGES
from vecml.errors import DataError, one_line

REWRITTEN = "\t"  # the separator of a text that was rewritten
# A value in quotes, in which a quotation mark is doubled, or stands after a backslash.
_QUOTED = {None: rb'("(?:[^"]|"")*")', "\\": rb'("(?:[^"\\]|\\.|"")*")'}
DAMAGED = "is it complete? Copy or write it again"


def find_dialect(path: Path, asked: AskedFormat) -> Dialect:
    """Find how the file at `path` writes its table, by its first bytes; raises DataError where it cannot be read."""
    with opened(path) as stream:
        start = stream.read(SAMPLE_BYTES)
        complete = len(start) < SAMPLE_BYTES
    return dialect_of(start, complete, text_suffix(path) or ".csv", asked, path.name)


@contextmanager
def opened(path: Path) -> "Iterator[pa.NativeFile]":
    """The file's bytes, decompressed; what cannot be decompressed raises DataError."""
    try:
        suffix = path.suffix.lower()
        if suffix == ".zip":
            with ExitStack() as stack:
                try:
                    archive = stack.enter_context(zipfile.ZipFile(path))
                    member = stack.enter_context(archive.open(_only_member(archive, path)))
                except ZIP_DAMAGES as error:
                    raise DataError(f"{path.name} cannot be read as CSV: {one_line(error)}", DAMAGED) from None
                yield pa.PythonFile(member, mode="r")
        elif suffix == ".xz":
            with lzma.open(path) as file:
                yield pa.PythonFile(file, mode="r")
        else:
            with pa.input_stream(str(path)) as stream:
                yield stream
    except (OSError, EOFError, lzma.LZMAError, zipfile.BadZipFile, zlib.error, NotImplementedError) as error:
        raise DataError(f"{path.name} cannot be read as CSV: {one_line(error)}", DAMAGED) from None


class _Parts:
    """The bytes of two parts of a file as one stream; Arrow takes it for a file."""

    def __init__(self, file: Any, span: Span) -> None:
        self._file = file
        self._parts = [(0, span.above), (span.first, span.stop)]
        self.closed = False

    def read(self, n_bytes: int = -1) -> bytes:
        """The next bytes, at most `n_bytes`, or all."""
        found = b""
        while self._parts and (n_bytes < 0 or len(found) < n_bytes):
            first, stop = self._parts[0]
            if first >= stop:
                self._parts.pop(0)
                continue
            self._file.seek(first)
            more = self._file.read(stop - first if n_bytes < 0 else min(stop - first, n_bytes - len(found)))
            if not more:
                self._parts.clear()
                break
            self._parts[0] = (first + len(more), stop)
            found += more
        return found

    def close(self) -> None:
        self.closed = True

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return False

    def seekable(self) -> bool:
        return False


@contextmanager
def _opened_span(path: Path, span: Span) -> "Iterator[pa.NativeFile]":
    try:
        with path.open("rb") as file:
            yield pa.PythonFile(_Parts(file, span), mode="r")
    except OSError as error:
        raise DataError(f"{path.name} cannot be read as CSV: {one_line(error)}", DAMAGED) from None


@contextmanager
def arrow_stream(path: Path, dialect: Dialect) -> "Iterator[pa.NativeFile]":
    """The file's text for Arrow's reader, with the separator `arrow_separator(dialect)`."""
    with opened(path) if dialect.span is None else _opened_span(path, dialect.span) as stream:
        text: Any = stream
        if dialect.encoding != "utf-8":
            text = pa.transcoding_input_stream(stream, dialect.encoding, "utf-8")
        watched = Watched(text, path.name)
        try:
            if dialect.is_rewritten:
                yield pa.BufferReader(_rewritten(watched.read(), dialect))
            else:
                yield pa.PythonFile(watched, mode="r")
        finally:
            watched.close()


def arrow_separator(dialect: Dialect) -> str:
    """The separator of the text that `arrow_stream` gives."""
    return REWRITTEN if dialect.separator == WHITESPACE else dialect.separator


def _rewritten(text: bytes, dialect: Dialect) -> bytes:
    """Runs of blanks as one tab, or no blanks beside a separator; what stands in quotes stays as it is."""
    text = text.removeprefix(b"\xef\xbb\xbf")
    if dialect.separator == WHITESPACE:
        text = re.sub(rb"(?m)^[ \t]+|[ \t]+(?=\r?$)", b"", text)
        if b'"' not in text:
            return re.sub(rb"[ \t]+", REWRITTEN.encode(), text)
        return re.sub(_QUOTED[dialect.escape] + rb"|[ \t]+", lambda found: found[1] or REWRITTEN.encode(), text)
    separator = dialect.separator.encode()
    beside = rb"| *" + re.escape(separator) + rb" *"
    return re.sub(_QUOTED[dialect.escape] + beside, lambda found: found[1] or separator, text)


def _only_member(archive: zipfile.ZipFile, path: Path) -> str:
    names = [name for name in archive.namelist() if not name.endswith("/") and "__MACOSX" not in name]
    if len(names) != 1:
        raise DataError(
            f"{path.name} holds {len(names)} files" + (f": {listed(names)}" if names else ""),
            "unpack it, and name one of them" if names else None,
        )
    if archive.getinfo(names[0]).flag_bits & 1:
        raise DataError(f"{path.name} is encrypted", "unpack it first")
    return names[0]

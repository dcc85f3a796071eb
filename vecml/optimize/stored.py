"""A file of the user's as it is stored: its encoding, its byte order mark and its ends of lines are kept."""

import codecs
import io
import re
import tokenize
from dataclasses import dataclass
from pathlib import Path

from vecml.errors import SettingError

MARK = "\ufeff"  # the byte order mark, as a character


@dataclass(frozen=True)
class Stored:
    """A text file.

    Attributes:
        text: all of it: with its own line ends, and with the byte order mark as its first character where it has one.
        encoding: what the file itself says (`# -*- coding: latin-1 -*-`), and else UTF-8.
    """

    text: str
    encoding: str = "utf-8"

    @property
    def plain(self) -> str:
        """Return the text as Python reads it: without the mark, each line ended by a line feed."""
        return self.text.removeprefix(MARK).replace("\r\n", "\n").replace("\r", "\n")

    @property
    def mark(self) -> str:
        """Return the byte order mark where it begins with one, and else nothing."""
        return MARK if self.text.startswith(MARK) else ""

    def encode(self, text: str) -> bytes:
        """Encode a changed text of the file as the file is encoded."""
        return text.encode(self.encoding)


def lines_with_ends(stored: Stored) -> list[str]:
    """The lines of `stored.plain` as they are in the file, each with its own end."""
    return re.findall(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+", stored.text.removeprefix(MARK))


def read_stored(file: str | Path) -> Stored:
    """Read a file of Python's, or a notebook; raises SettingError where its bytes are not what its encoding has."""
    try:
        content = Path(file).read_bytes()
        encoding = "utf-8"
        if not str(file).endswith(".ipynb"):
            found = tokenize.detect_encoding(io.BytesIO(content).readline)[0]
            encoding = "utf-8" if found == "utf-8-sig" else codecs.lookup(found).name
        return Stored(content.decode(encoding), encoding)
    except (OSError, UnicodeDecodeError, SyntaxError, LookupError) as error:
        raise SettingError(f"{file} cannot be read: {error}", "save it as UTF-8") from None

"""What Python's zipfile raises for a damaged archive: more kinds than the one that it documents."""

import lzma
import struct
import zipfile
import zlib
from pathlib import Path

# BadZipFile is for what it looks for. Flipped bits also ask for another version of the format or a password, give names
# that are no text, lengths that no memory holds, and streams that no decompressor takes.
ZIP_DAMAGES = (
    zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error,
    NotImplementedError, RuntimeError, EOFError, OSError, ValueError, OverflowError,
)  # fmt: skip


def unpacked_bytes(path: Path) -> int:
    """The bytes that a zip archive says its members have, unpacked. Raises one of ZIP_DAMAGES."""
    with zipfile.ZipFile(path) as packed:
        return sum(member.file_size for member in packed.infolist())

"""Reading a file that somebody else may have made: a pipe never answers, and a device never ends."""

import os
import stat
from pathlib import Path

import psutil


def read_regular(path: Path) -> bytes:
    """Read a file whole.

    Raises OSError, with the path and the reason, where it cannot be opened, is no regular file (a pipe, a device, a
    folder), or is larger than the memory that is free. Links are followed.
    """
    # Without a writer, a pipe would wait to be opened.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        found = os.fstat(descriptor)  # of what was opened, whatever has the name by now
        if not stat.S_ISREG(found.st_mode):
            raise OSError(0, "it is no regular file", str(path))
        if found.st_size > (free := psutil.virtual_memory().available):
            raise OSError(0, f"it has {found.st_size:,} bytes, and {free:,} bytes of memory are free", str(path))
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            return file.read(found.st_size)
    finally:
        os.close(descriptor)

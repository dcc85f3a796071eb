"""Reading a file that somebody else may have made: a pipe never answers, and a device never ends."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import psutil


@contextmanager
def open_regular(path: Path) -> Iterator[BinaryIO]:
    """Open a file for reading.

    Raises OSError, with the path and the reason, where it cannot be opened or is no regular file (a pipe, a device, a
    folder). Links are followed.
    """
    # Without a writer, a pipe would wait to be opened.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):  # of what was opened, whatever has the name by now
            raise OSError(0, "it is no regular file", str(path))
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            yield file
    finally:
        os.close(descriptor)


def read_regular(path: Path) -> bytes:
    """Read a file whole.

    Raises OSError as `open_regular` does, and where the file is larger than the memory that is free.
    """
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size > (free := psutil.virtual_memory().available):
            raise OSError(0, f"it has {size:,} bytes, and {free:,} bytes of memory are free", str(path))
        return file.read(size)

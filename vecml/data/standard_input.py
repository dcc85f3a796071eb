"""A table on standard input, `--data -`, which is written to a temporary file: its beginning is looked at first."""

import atexit
import shutil
import sys
from pathlib import Path

from vecml.errors import DataError
from vecml.leftovers import make_scratch, naming_scratch

STANDARD_INPUT = "-"
NAME = "standard-input"
SUFFIXES = {b"PAR1": ".parquet", b"ARROW1": ".arrow", b"\x93NUMPY": ".npy", b"\x1f\x8b": ".csv.gz", b"BZh": ".csv.bz2"}
MORE = {b"\x28\xb5\x2f\xfd": ".csv.zst", b"\xfd7zXZ": ".csv.xz", b"@relation": ".arff", b"@RELATION": ".arff"}


def check_standard_input() -> None:
    """Raise DataError when standard input is a terminal, or closed."""
    if sys.stdin is None or sys.stdin.closed or sys.stdin.isatty():
        raise DataError(
            "--data -: nothing is piped in", "for example: zcat table.csv.gz | vecml run --data - --target y"
        )


def spooled() -> Path:
    """Write standard input to a temporary file, whose suffix says what it is; the file ends with the process.

    Raises DataError when nothing is piped in.
    """
    check_standard_input()
    folder = make_scratch()
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    start = sys.stdin.buffer.read(16)
    found = (suffix for mark, suffix in (SUFFIXES | MORE).items() if start.startswith(mark))
    path = folder / (NAME + next(found, ".csv"))
    with naming_scratch(folder), path.open("wb") as file:
        file.write(start)
        shutil.copyfileobj(sys.stdin.buffer, file, 1 << 20)
    return path

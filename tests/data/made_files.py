"""What writes data files that are refused, and the check that each is refused with its message and hint."""

import shlex
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from vecml.config import make_config
from vecml.data.sources import load_table
from vecml.errors import DataError

Write = Callable[[Path], object]


def text(content: str | bytes) -> Write:
    return lambda path: path.write_bytes(content if isinstance(content, bytes) else content.encode())


def parquet(**columns: object) -> Write:
    return lambda path: pa.parquet.write_table(pa.table(columns), path)


def rows(header: str, *lines: str) -> Write:
    return text("\n".join([header, *lines]) + "\n")


def numbered(n: int, line: Callable[[int], str], header: str = "a,label") -> Write:
    return rows(header, *(line(i) for i in range(n)))


def save(array: np.ndarray, allow_pickle: bool = False) -> Write:
    def write(path: Path) -> None:
        with path.open("wb") as file:
            np.save(file, array, allow_pickle=allow_pickle)

    return write


def save_all(**arrays: np.ndarray) -> Write:
    return lambda path: np.savez(path, **arrays)


def cut(write: Write, n_bytes: int) -> Write:
    """What `write` writes, without its last bytes."""

    def write_and_cut(path: Path) -> None:
        write(path)
        path.write_bytes(path.read_bytes()[:-n_bytes])

    return write_and_cut


# file name, what writes it, further settings, message, hint
Case = tuple[str, Write, dict[str, object], str, str | None]


def check_refused(case: Case, folder: Path) -> None:
    """The file is refused with this message and hint, word for word; after `…` a library's own reason follows.

    `{run}` in the hint is the command that was given, without further settings; `{data}` the file.
    """
    name, write, settings, message, hint = case
    write(folder / name)
    config = make_config({"data": str(folder / name), "target": "label", **settings})
    with pytest.raises(DataError) as caught:
        load_table(config)
    words = caught.value.message
    if message.endswith("…"):  # what follows is a library's own reason
        assert len(words) >= len(message)
        words = words[: len(message) - 1] + "…"
    assert words == message
    hint = hint and hint.replace("{run}", "vecml run --data {data} --target label")
    assert caught.value.hint == (hint and hint.replace("{data}", shlex.quote(str(folder / name))))
    assert "\n" not in caught.value.message + (hint or "")

"""How much memory reading a table may take, so that a small file that unpacks to a huge one does not take the machine.

The limit is for the whole process: what `--max-memory` says, by VECML_MAX_MEMORY, which children inherit, or four
fifths of what is free when reading begins, in this process's control groups too.
"""

import os
import re
from contextlib import ExitStack
from contextvars import copy_context
from pathlib import Path
from typing import Any

import psutil

from vecml.errors import DataError, SettingError
from vecml.numbers import size
from vecml.progress import stage

VARIABLE = "VECML_MAX_MEMORY"
SHARE = 0.8
UNITS = {"K": 1, "M": 2, "G": 3, "T": 4}
FIRST_SAID = 1 << 30  # bytes of text from which on the size is said as it grows


def bytes_of(text: str, flag: str = "--max-memory") -> int:
    """The bytes that a text such as `4GB`, `500 MiB` or `1.5G` names; raises SettingError for another.

    `flag` is what the user gave it to.
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMGT])(i?)B?\s*", text, re.IGNORECASE)
    if found is None or float(found[1]) <= 0:
        raise SettingError(f"{flag} {text}: not an amount of memory", f"for example {flag} 4GB")
    return int(float(found[1]) * (1024 if found[3] else 1000) ** UNITS[found[2].upper()])


def free_bytes(root: Path = Path("/")) -> int:
    """Memory that this process may still take: what is free here, or less where its control group allows less.

    `root` holds `proc` and `sys`.
    """
    free = psutil.virtual_memory().available
    for line in (_text(root / "proc/self/cgroup") or "0::/").splitlines():
        _, controllers, own = line.split(":", 2)
        if controllers and "memory" not in controllers.split(","):
            continue
        mount = root / "sys/fs/cgroup" / ("memory" if controllers else "")
        names = ("memory.limit_in_bytes", "memory.usage_in_bytes") if controllers else ("memory.max", "memory.current")
        group = mount / own.lstrip("/")
        for folder in (group, *group.parents):
            if not folder.is_relative_to(mount):
                break
            most, used = (_text(folder / name) or "" for name in names)
            if most.isdigit() and used.isdigit():
                free = min(free, int(most) - int(used) + _reclaimable(folder))
    return max(free, 0)


def _reclaimable(folder: Path) -> int:
    """Bytes of files that the system keeps in memory for this group, and gives up when memory is wanted."""
    found = re.search(r"^(?:total_)?inactive_file (\d+)$", _text(folder / "memory.stat") or "", re.MULTILINE)
    return int(found[1]) if found else 0


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return None


def used_bytes() -> int:
    """Memory of this process: what it has resident, without pages of files that are mapped, where that is known."""
    told = psutil.Process().memory_info()
    return int(told.rss - getattr(told, "shared", 0))


class MemoryLimit:
    """The limit of one reading.

    >>> limit = MemoryLimit("table.parquet")
    >>> limit.check(expected=10**9)        # before; without an amount, as reading goes on
    """

    def __init__(self, name: str) -> None:
        """`name` is the source's, for people. Raises SettingError for an amount in VECML_MAX_MEMORY that is none."""
        self.name = name
        named = os.environ.get(VARIABLE)
        self.allowed = bytes_of(named) if named else int(SHARE * (free_bytes() + used_bytes()))

    def check(self, expected: float = 0, so_far: str = "") -> None:
        """Raise DataError where the process, with the `expected` bytes, takes more than is allowed.

        `so_far` says how far reading came.
        """
        needed = used_bytes() + int(expected)
        if needed <= self.allowed:
            return
        how = f"; {so_far}" if so_far else f", and takes {size(needed)}"
        more = -(-needed * 2 // 10**9)
        raise DataError(
            f"{self.name} needs more than the {size(self.allowed)} of memory that a table may take here{how}",
            f"a part of its rows or columns, a machine with more memory, or allow more: --max-memory {more}GB",
        )


class Watched:
    """A stream that is read with an eye on the process's memory; Arrow's readers take it for a file."""

    def __init__(self, stream: Any, name: str) -> None:
        """`stream` has `read`; `name` is the source's, for people."""
        self._stream, self._limit = stream, MemoryLimit(name)
        self._read, self._next = 0, FIRST_SAID
        self._context, self._said = copy_context(), ExitStack()  # Arrow reads in threads of its own
        self.closed = False

    def read(self, n_bytes: int = -1) -> bytes:
        """The next bytes, at most `n_bytes`, or all; raises DataError beyond the limit."""
        if n_bytes is None or n_bytes < 0:
            parts = []
            while part := self.read(1 << 22):
                parts.append(part)
            return b"".join(parts)
        found: bytes = self._stream.read(n_bytes)
        self._read += len(found)
        self._limit.check(so_far=f"{size(self._read)} of text were read so far")
        if self._read >= self._next:
            self._next *= 2
            self._context.run(self._say)
        return found

    def _say(self) -> None:
        self._said.close()
        self._said.enter_context(stage(f"reading {self._limit.name}: more than {size(self._next // 2)} of text so far"))

    def close(self) -> None:
        self.closed = True
        self._said.close()

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return False

    def seekable(self) -> bool:
        return False

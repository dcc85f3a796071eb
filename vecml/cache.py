"""What can be found out again, kept between runs: small JSON files under the user's cache folder, one an entry.

An entry is there whole or not at all, and two processes that change it at once lose nothing. A cache never fails a run:
what cannot be read is as good as absent, and what cannot be written is found out anew the next time.
"""

import json
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import platformdirs

from vecml.atomic import write_bytes
from vecml.errors import StoreError

FORMAT = 1  # of the files; one of another format is as good as absent
LOCK_SECONDS = 10.0  # an entry is written in milliseconds: whoever holds its lock for longer hangs

_NAME = re.compile(r"[A-Za-z0-9._-]+")


def folder() -> Path:
    """The folder of the entries: the one that VECML_CACHE names, else the system's place for the user's caches."""
    named = os.environ.get("VECML_CACHE")
    return Path(named) if named else platformdirs.user_cache_path("vecml", appauthor=False)


def read(kind: str, key: str) -> dict[str, Any] | None:
    """The entry's content; None where there is none, or none that can be read.

    `kind` and `key` are names of letters, digits, dots, dashes and underscores; another raises ValueError.
    """
    return _content(_path(kind, key))


def write(kind: str, key: str, value: Mapping[str, Any]) -> bool:
    """Make `value`, in types that JSON has, the entry's content; False where the folder cannot be written."""
    return update(kind, key, lambda _: dict(value))


def update(kind: str, key: str, change: Callable[[dict[str, Any]], dict[str, Any]]) -> bool:
    """Make the entry's content what `change` makes of it, with no other process changing it in between.

    Args:
        kind, key: as for `read`.
        change: takes the content, {} where there is none, and returns the new one; what it raises passes through. It
            must not change the same entry in another way, which would wait for itself.

    Returns False where the folder cannot be written or another process does not let go of the entry.
    """
    from filelock import FileLock  # noqa: PLC0415 -- 60 ms, and most runs only read

    path = _path(kind, key)
    lock = FileLock(path.with_name(f".{key}.lock"), timeout=LOCK_SECONDS)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except (OSError, NotImplementedError):  # a time-out is an OSError, a file system without locks the other
        return False
    try:
        value = change(_content(path) or {})
        write_bytes(path, json.dumps({"format": FORMAT, "value": value}, allow_nan=False).encode())
    except StoreError:
        return False
    finally:
        lock.release()
    return True


def _path(kind: str, key: str) -> Path:
    for name in (kind, key):
        if not _NAME.fullmatch(name) or not name.strip("."):  # dots alone lead out of the folder
            raise ValueError(f"{name!r} cannot name a cache entry: letters, digits, dots, dashes and underscores only")
    return folder() / kind / f"{key}.json"


def _content(path: Path) -> dict[str, Any] | None:
    """The value in the file, where it is an entry of this format."""
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        return None
    value = found.get("value")
    return value if isinstance(value, dict) else None

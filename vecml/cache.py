"""A cache of results that can be measured again: small JSON files in the user's cache folder, one for each entry.

An entry is written whole or not at all, and two processes that change it at once lose nothing. The cache never fails a
run: an entry that cannot be read counts as absent, and one that cannot be written is measured again the next time.
"""

import json
import os
import re
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import platformdirs

from vecml.atomic import write_bytes
from vecml.errors import StoreError

FORMAT = 1  # of the files; a file of another format counts as absent
LOCK_SECONDS = 10.0  # an entry is written in milliseconds: a process that holds its lock for longer hangs

_NAME = re.compile(r"[A-Za-z0-9._-]+")


def folder() -> Path:
    """Give the folder of the entries: the one that VECML_CACHE names, else the system's folder for user caches."""
    named = os.environ.get("VECML_CACHE")
    return Path(named) if named else platformdirs.user_cache_path("vecml", appauthor=False)


def make(place: Path) -> None:
    """Make a folder within the cache's; raises StoreError where it cannot be."""
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(
            f"the cache folder {place} cannot be made: {error.strerror or error}",
            "name another with VECML_CACHE=/other/folder",
        ) from None


def read(kind: str, key: str) -> dict[str, Any] | None:
    """Read the entry's content; None where there is no readable entry.

    `kind` and `key` are names of letters, digits, dots, dashes and underscores; others raise ValueError.
    """
    return _content(_path(kind, key))


def write(kind: str, key: str, value: Mapping[str, Any]) -> bool:
    """Write `value`, in types that JSON has, as the entry's content; False where the folder cannot be written."""
    return update(kind, key, lambda _: dict(value))


def update(kind: str, key: str, change: Callable[[dict[str, Any]], dict[str, Any]]) -> bool:
    """Replace the entry's content by what `change` returns, under a lock, so that no other process changes it.

    Args:
        kind, key: as for `read`.
        change: takes the content ({} where there is none) and returns the new content; its exceptions pass through. It
            must not write the same entry itself: that would wait for the lock.

    Returns False where the folder cannot be written or another process does not release the lock.
    """
    from vecml.locks import locked  # noqa: PLC0415 -- 60 ms, and most runs only read

    path = _path(kind, key)
    with ExitStack() as held:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            held.enter_context(locked(path.with_name(f".{key}.lock"), LOCK_SECONDS))
        except (OSError, StoreError):  # Timeout is an OSError
            return False
        value = change(_content(path) or {})
        try:
            write_bytes(path, json.dumps({"format": FORMAT, "value": value}, allow_nan=False).encode())
        except StoreError:
            return False
    return True


def _path(kind: str, key: str) -> Path:
    for name in (kind, key):
        if not _NAME.fullmatch(name) or not name.strip("."):  # dots alone lead out of the folder
            raise ValueError(f"{name!r} cannot name a cache entry: letters, digits, dots, dashes and underscores only")
    return folder() / kind / f"{key}.json"


def _content(path: Path) -> dict[str, Any] | None:
    """Read the value in the file; None unless it is an entry of this format."""
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(found, dict) or type(found.get("format")) is not int or found["format"] != FORMAT:
        return None
    value = found.get("value")
    return value if isinstance(value, dict) else None

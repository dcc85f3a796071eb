"""Writing a file so that it is the old one or the whole new one: a full disk or a kill never leaves half of it."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vecml.errors import SettingError, StoreError


def check_folder(path: Path, named: str) -> None:
    """Raise SettingError, which begins with `named`, where the folder that `path` is to be made in does not exist."""
    if not path.resolve().parent.is_dir():
        raise SettingError(f"{named}: there is no folder {path.parent}", "make it, or name another")


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file as a whole or, on an error, leave the old one as it was. Raises StoreError if it cannot write."""
    with published(path) as temporary:
        temporary.write_bytes(content)


@contextmanager
def published(path: Path) -> Iterator[Path]:
    """Yield the path of a temporary file to write; after the block it is synced to disk and renamed to `path`.

    Raises StoreError with the path and the cause if it cannot be written; the old file then stays as it was.
    """
    temporary: Path | None = None
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=path.suffix)
        os.close(handle)
        temporary = Path(name)
        yield temporary
        _sync(temporary, os.O_RDWR)
        temporary.chmod(0o644)
        temporary.replace(path)
        temporary = None
        _sync(path.parent, os.O_RDONLY)  # the new name itself is only on the disk then
    except OSError as error:
        raise StoreError(
            f"cannot write {path}: {error.strerror or error}", "make room or name another folder"
        ) from None
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def _sync(place: Path, flags: int) -> None:
    descriptor = os.open(place, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

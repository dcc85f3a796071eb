"""Writing a file so that it is the old one or the whole new one: a full disk or a kill never leaves half of it."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vecml.errors import StoreError


def write_bytes(path: Path, content: bytes) -> None:
    """Put `content` at `path`; raises StoreError as `published` does."""
    with published(path) as temporary:
        temporary.write_bytes(content)


@contextmanager
def published(path: Path) -> Iterator[Path]:
    """Give a temporary file beside `path` to the block; when the block ends, it is synced and takes the name.

    Raises StoreError, naming the path and the cause, when it cannot be written; what was there is then untouched.
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

"""Writing a file so that it is the old one or the whole new one: a full disk or a kill never leaves half of it."""

import os
import tempfile
from pathlib import Path

from vecml.errors import StoreError


def write_bytes(path: Path, content: bytes) -> None:
    """Put `content` at `path` by way of a sibling temporary file, synced before it takes the name.

    Raises StoreError, naming the path and the cause, when it cannot be written; what was there is then untouched.
    """
    temporary: str | None = None
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
        temporary = None
        _sync_folder(path.parent)
    except OSError as error:
        raise StoreError(
            f"cannot write {path}: {error.strerror or error}", "make room or name another folder"
        ) from None
    finally:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """The new name itself is only on the disk once the folder is synced."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

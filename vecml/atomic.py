"""Writing a file so that it is the old one or the whole new one: a full disk or a kill never leaves half of it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from vecml.errors import SettingError, StoreError
from vecml.leftovers import hidden_name, noted, sweep_beside


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
    sweep_beside(path)
    temporary = hidden_name(path)
    with noted(temporary):
        try:
            os.close(os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
            yield temporary
            _sync(temporary, os.O_RDWR)
            temporary.chmod(0o644)
            temporary.replace(path)
            _sync(path.parent, os.O_RDONLY)  # the new name itself is only on the disk then
        except OSError as error:
            raise StoreError(
                f"cannot write {path}: {error.strerror or error}", "make room or name another folder"
            ) from None
        finally:
            with suppress(OSError):  # it has its name now, or was never made
                temporary.unlink()


def _sync(place: Path, flags: int) -> None:
    descriptor = os.open(place, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

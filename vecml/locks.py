"""Locks on files, which the system takes back from a process that ends, however it ends."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from vecml.errors import StoreError


@contextmanager
def locked(place: Path, seconds: float) -> Iterator[None]:
    """Hold the lock on a file during the block, alone among the processes of this machine.

    Raises Timeout where another process holds it for `seconds`, and StoreError where the file cannot be made or locked:
    on a full disk, without the permission, on a file system that knows no locks.
    """
    lock = FileLock(place)
    try:
        lock.acquire(timeout=seconds)
    except Timeout:  # an OSError, too
        raise
    except (OSError, NotImplementedError) as error:
        raise StoreError(
            f"cannot lock {place}: {getattr(error, 'strerror', None) or error}",
            f"see that {place.parent} has room and can be written",
        ) from None
    try:
        yield
    finally:
        lock.release()

"""A lock, so that only one measurement runs on a machine: two would disturb each other. The second one waits."""

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from vecml.errors import MeasureError

WAIT_SECONDS = 3_600.0
STILL_SECONDS = 30.0  # of waiting, between two words that it still waits


def lock_path() -> Path:
    """The lock file of this user, in the folder for temporary files, which no two machines share."""
    owner = os.getuid() if hasattr(os, "getuid") else os.environ.get("USERNAME", "user")
    return Path(tempfile.gettempdir()) / f"vecml-measuring-{owner}.lock"


@contextmanager
def only_measurement(
    waiting: Callable[[], None], wait_seconds: float = WAIT_SECONDS, still: Callable[[], None] = lambda: None
) -> Iterator[None]:
    """Let no other measurement of vecml's run on this machine during the `with` block; the lock goes with its process.

    `waiting` is called once if another measurement runs, and `still` now and then as long as it does. Raises
    MeasureError when that has not ended after `wait_seconds`, and where the file cannot be locked.
    """
    lock = FileLock(lock_path())
    try:
        lock.acquire(timeout=0)
    except Timeout:
        waiting()
        if not _acquired(lock, wait_seconds, still):
            raise MeasureError(
                f"another measurement has held {lock_path()} for {wait_seconds:.0f} s",
                "see whether a vecml hangs; the lock goes with its process",
            ) from None
    except (OSError, NotImplementedError) as error:  # the latter: a file system without locks
        raise MeasureError(
            f"cannot lock {lock_path()}: {getattr(error, 'strerror', None) or error}",
            "set TMPDIR to a folder of your own",
        ) from None
    try:
        yield
    finally:
        lock.release()


def _acquired(lock: FileLock, wait_seconds: float, still: Callable[[], None]) -> bool:
    """Wait for the lock, and call `still` now and then; whether it was there in time."""
    limit = time.monotonic() + wait_seconds
    while (left := limit - time.monotonic()) > 0:
        try:
            lock.acquire(timeout=min(left, STILL_SECONDS), poll_interval=0.5)
            return True
        except Timeout:
            still()
    return False

"""One BLAS thread while an engine holds it: the block loop divides the work, and BLAS must not divide it again.

BLAS has one thread count for the whole process, so the holders are counted: the first sets it, the last gives it back.
"""

import threading
from collections.abc import Callable
from functools import lru_cache
from typing import Any


class BlasHold:
    """The process's BLAS on one thread, from the first `hold` until all that it gave have been called."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._holders: set[object] = set()
        self._limits: Any = None

    def hold(self) -> Callable[[], None]:
        """Make BLAS compute on the calling thread alone, until the returned function is called.

        When several callers hold it, the last release restores the threads that BLAS had; a second call of the same
        release does nothing.
        """
        from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # noqa: PLC0415 -- only when held

        holder = object()
        with self._lock:
            if not self._holders:
                self._limits = threadpool_limits(limits=1, user_api="blas")
            self._holders.add(holder)
        return lambda: self._release(holder)

    def _release(self, holder: object) -> None:
        with self._lock:
            if holder not in self._holders:
                return
            self._holders.remove(holder)
            if not self._holders:
                self._limits.restore_original_limits()
                self._limits = None


@lru_cache(maxsize=1)
def one_blas_thread() -> BlasHold:
    """The hold on BLAS that this whole process shares."""
    return BlasHold()

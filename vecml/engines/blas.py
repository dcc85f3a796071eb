"""One BLAS thread while an engine holds it: the block loop divides the work, and BLAS must not divide it again.

BLAS has one thread count for the whole process, so the holders are counted: the first sets it, the last gives it back.
"""

import threading
from functools import lru_cache
from typing import Any


class BlasHold:
    """The process's BLAS on one thread, from the first `hold` to the last `release`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._holders = 0
        self._limits: Any = None

    def hold(self) -> None:
        """From now on BLAS computes on the calling thread alone."""
        from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # noqa: PLC0415 -- only when held

        with self._lock:
            self._holders += 1
            if self._holders == 1:
                self._limits = threadpool_limits(limits=1, user_api="blas")

    def release(self) -> None:
        """The last holder gives BLAS the threads that it had."""
        with self._lock:
            self._holders -= 1
            if self._holders == 0:
                self._limits.restore_original_limits()
                self._limits = None


@lru_cache(maxsize=1)
def one_blas_thread() -> BlasHold:
    """The one of this process."""
    return BlasHold()

"""The one block loop: rows in blocks about the size of a core's own cache, each one thread's from input to label.

Locality beats everything else here: a whole array writes the hidden layer to memory and reads it back. And where a
library splits every single operation between its threads, the cores hand each other the hidden layer at each step.
"""

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path

from vecml.hardware import ROOT, cache
from vecml.model.network import Architecture, OwnArchitecture

DEFAULT_CACHE_BYTES = 1 << 20
# A block's widest pair of layers takes two to four times a core's level-2 cache. Measured with 2 threads, 1 MiB each:
# 10-32-2 is fastest at 16 384 rows (2.6 MiB), 64-32-10 at 8 192 to 16 384 (3 to 6 MiB), 100-256-10 at 2 048 to 4 096
# (2.8 to 5.6 MiB). One cache's worth is too small: a block costs some ten calls into the library whatever its size, its
# input is read once and need not stay, and a layer that spills a little is still found in level 3.
CACHES_PER_BLOCK = 4


class Blocks:
    """Runs a function over consecutive blocks of rows on some threads; the calling thread is one of them.

    Attributes:
        block_rows: rows of a block; the last one may be shorter.
        threads: threads that work at the same time.
    """

    def __init__(self, block_rows: int, threads: int) -> None:
        self.block_rows = block_rows
        self.threads = threads
        self._pool = ThreadPoolExecutor(threads - 1, thread_name_prefix="vecml-block") if threads > 1 else None

    def run(self, n_rows: int, work: Callable[[int, slice], None], begin: Callable[[], None] | None = None) -> None:
        """Call `work(thread, rows)` once for every block of `n_rows` rows; return when all are done.

        Args:
            n_rows: none is no call.
            work: takes the number of its thread (0 to threads - 1; two blocks never run under the same number at the
                same time) and the block's rows.
            begin: called first on every thread that takes part.

        Raises what `work` or `begin` raises; after that, on whichever thread it was, no block begins any more, and
        those that have begun are finished first, so nothing is written afterwards.
        """
        # Whoever is free takes the next block: a neighbour on one core then costs no more than its share.
        starts = iter(range(0, n_rows, self.block_rows))

        def drain(thread: int) -> None:
            try:
                if begin is not None:
                    begin()
                for start in starts:
                    work(thread, slice(start, min(start + self.block_rows, n_rows)))
            except BaseException:
                deque(starts, maxlen=0)  # leaves none to begin: the other threads end with the block that they are at
                raise

        threads = min(self.threads, -(-n_rows // self.block_rows))
        others: list[Future[None]] = []
        try:
            if self._pool is not None:
                others.extend(self._pool.submit(drain, thread) for thread in range(1, threads))
            drain(0)
        finally:
            deque(starts, maxlen=0)  # a thread that could not be started, or an interrupt between two blocks
            wait(others)
        for other in others:
            other.result()

    def close(self) -> None:
        if self._pool is not None:
            self._pool.shutdown()


def choose_block_rows(
    architecture: Architecture | OwnArchitecture, value_bytes: int = 4, cache_bytes: int | None = None
) -> int:
    """Rows of a block for one CPU thread: a power of two, from the model's shape and the cache alone.

    Args:
        architecture: its widest pair of adjacent layers is what a block keeps at once.
        value_bytes: bytes of a value in the precision that is computed in.
        cache_bytes: the level-2 cache of a core; None asks this machine.
    """
    if cache_bytes is None:
        cache_bytes = level2_bytes()
    fitting = max(1, CACHES_PER_BLOCK * cache_bytes // (architecture.values_per_row * value_bytes))
    return min(65_536, max(256, 1 << (fitting.bit_length() - 1)))


def level2_bytes(root: Path = ROOT) -> int:
    """Bytes of level-2 cache that one CPU has to itself (a cache shared by two counts half); 1 MiB where unknown."""
    found = cache(2, root)
    return DEFAULT_CACHE_BYTES if found is None else max(1, found.size_bytes // found.sharers)

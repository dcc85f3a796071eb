"""The one block loop: rows in blocks about the size of a core's own cache, each one thread's from input to label.

Locality beats everything else here: a whole array writes the hidden layer to memory and reads it back. And where a
library splits every single operation between its threads, the cores hand each other the hidden layer at each step.
"""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

from vecml.model.network import Architecture

DEFAULT_CACHE_BYTES = 1 << 20
# A block's widest pair of layers takes two to four times a core's level-2 cache. Measured with 2 threads, 1 MiB each:
# 10-32-2 is fastest at 16 384 rows (2.6 MiB), 64-32-10 at 8 192 to 16 384 (3 to 6 MiB), 100-256-10 at 2 048 to 4 096
# (2.8 to 5.6 MiB). One cache's worth is too small: a block costs some ten calls into the library whatever its size, its
# input is read once and need not stay, and a layer that spills a little is still found in level 3.
CACHES_PER_BLOCK = 4
_CACHE = Path("/sys/devices/system/cpu/cpu0/cache")


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

        Raises what `work` raises; blocks that have begun are finished first, so nothing is written afterwards.
        """
        # Whoever is free takes the next block: a neighbour on one core then costs no more than its share.
        starts = iter(range(0, n_rows, self.block_rows))

        def drain(thread: int) -> None:
            if begin is not None:
                begin()
            for start in starts:
                work(thread, slice(start, min(start + self.block_rows, n_rows)))

        threads = min(self.threads, -(-n_rows // self.block_rows))
        others = [self._pool.submit(drain, thread) for thread in range(1, threads)] if self._pool is not None else []
        try:
            drain(0)
        finally:
            for _ in starts:
                pass  # after a failure or an interrupt nobody begins another block
            wait(others)
        for other in others:
            other.result()

    def close(self) -> None:
        """End the threads."""
        if self._pool is not None:
            self._pool.shutdown()


def choose_block_rows(architecture: Architecture, value_bytes: int = 4, cache_bytes: int | None = None) -> int:
    """Rows of a block for one CPU thread: a power of two, from the model's shape and the cache alone.

    Args:
        architecture: its widest pair of adjacent layers is what a block keeps at once.
        value_bytes: bytes of a value in the precision that is computed in.
        cache_bytes: the level-2 cache of a core; None asks this machine.
    """
    cache = level2_bytes() if cache_bytes is None else cache_bytes
    fitting = max(1, CACHES_PER_BLOCK * cache // (values_per_row(architecture) * value_bytes))
    return min(65_536, max(256, 1 << (fitting.bit_length() - 1)))


def values_per_row(architecture: Architecture) -> int:
    """What a row keeps at once: the inputs and outputs of the layer that has most of them."""
    widths = architecture.widths
    return max(a + b for a, b in pairwise(widths))


@lru_cache(maxsize=1)
def level2_bytes() -> int:
    """Bytes of level-2 cache that one CPU has to itself (a cache shared by two counts half); 1 MiB where unknown."""
    for index in sorted(_CACHE.glob("index*")):
        try:
            if (index / "level").read_text(encoding="ascii").strip() != "2":
                continue
            size = (index / "size").read_text(encoding="ascii").strip()
            sharing = (index / "shared_cpu_list").read_text(encoding="ascii").strip()
        except OSError:
            continue
        if size.endswith("K") and size[:-1].isdigit():
            return max(1, int(size[:-1]) * 1024 // count_cpus(sharing))
    try:
        known = os.sysconf("SC_LEVEL2_CACHE_SIZE")
    except (AttributeError, ValueError, OSError):
        known = 0
    return known if known > 0 else DEFAULT_CACHE_BYTES


def count_cpus(cpu_list: str) -> int:
    """How many CPUs the kernel's list names: "0-3,8" is 5; at least 1."""
    count = 0
    for part in filter(None, cpu_list.split(",")):
        first, _, last = part.partition("-")
        count += int(last or first) - int(first) + 1
    return max(1, count)

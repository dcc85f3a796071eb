"""What the kernel counts of a process's memory: page faults of each block, and huge pages.

A fresh array's pages are not there until they are touched: 4 KiB each, or 2 MiB where the kernel has a huge one.
Whether it has is luck, and makes an arm slow in one launch and fast in the next.
"""

import re
from typing import Any

from vecml.hardware import ROOT, read_text

ENABLED = "sys/kernel/mm/transparent_hugepage/enabled"


class PageFaults:
    """Page faults of this process without a read from a disk, block by block.

    Attributes:
        by_block: for each block the faults since the block before it ended; None for the first, which has those of
            the warm-up, and where the system does not count them.
    """

    def __init__(self) -> None:
        self.by_block: list[int | None] = []
        self._before: int | None = None

    def block_ended(self) -> None:
        """Read the count at the end of a block."""
        now = _minor_faults()
        self.by_block.append(None if now is None or self._before is None else now - self._before)
        self._before = now


def huge_page_facts() -> dict[str, Any]:
    """Bytes of this process that lie in huge pages, and the system's setting for them; None where it is unknown."""
    found = re.search(r"AnonHugePages:\s+(\d+) kB", read_text(ROOT / "proc/self/smaps_rollup") or "")
    setting = re.search(r"\[(\w+)\]", read_text(ROOT / ENABLED) or "")
    return {
        "huge_page_bytes": int(found[1]) * 1024 if found else None,
        "huge_pages": setting[1] if setting else None,
    }


def _minor_faults() -> int | None:
    try:
        import resource
    except ImportError:  # Windows has none
        return None
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

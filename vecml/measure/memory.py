"""The most memory that this process has had resident; every system counts it in another place or unit."""

import re
import sys
from pathlib import Path

from vecml.hardware import ROOT, read_text


def peak_rss_bytes(root: Path = ROOT) -> int | None:
    """The most resident memory that this process had since its own program began, in bytes; None where it is unknown.

    Where there is /proc, getrusage's ru_maxrss is not used: Linux copies it from the process that started this one, so
    that a small worker of a large parent would show the parent's memory. VmHWM of proc_pid_status(5) is of the program.
    """
    match = re.search(r"^VmHWM:\s+([0-9]+) kB", read_text(root / "proc/self/status") or "", re.MULTILINE)
    if match:
        return int(match[1]) * 1024
    try:
        import resource  # noqa: PLC0415 -- Windows has none
    except ImportError:
        return _windows_peak()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return (peak if sys.platform == "darwin" else peak * 1024) or None


def _windows_peak() -> int | None:
    import psutil  # noqa: PLC0415 -- only where there is no resource module

    try:
        peak = getattr(psutil.Process().memory_info(), "peak_wset", None)
    except psutil.Error:
        return None
    return None if peak is None else int(peak)

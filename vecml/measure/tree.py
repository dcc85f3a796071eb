"""The processes that a process has started, and what those have started: which they are, how large, and their end.

Where /proc lists the children of a process they are read there, which takes microseconds; elsewhere psutil looks.
"""

import contextlib
import ctypes
import os
import re
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from vecml.hardware import ROOT, read_text

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36  # prctl(2)


def descendants(pid: int, root: Path = ROOT) -> list[int]:
    """The process ids of everything that a process has started and that still is there, the youngest last."""
    tasks = root / f"proc/{os.getpid()}/task/{os.getpid()}/children"
    if not tasks.exists():
        return _by_psutil(pid)
    found, open_ids = [], [pid]
    while open_ids:
        children = _children(open_ids.pop(0), root)
        found += children
        open_ids += children
    return found


def end(pids: Sequence[int]) -> None:
    """Kill these processes, as far as they are there."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)


def reap() -> int:
    """Take note of all children of this process that have ended, and return their number."""
    number = 0
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            number += 1
    return number


def memory(pid: int, root: Path = ROOT) -> int:
    """Bytes that a process has resident now; 0 where that is unknown."""
    found = re.search(r"^VmRSS:\s+([0-9]+) kB", read_text(root / f"proc/{pid}/status") or "", re.MULTILINE)
    return int(found[1]) * 1024 if found else 0


def keep_the_tree_together() -> None:
    """Make this process the parent of whatever its children leave behind, and end all of them when its parent ends.

    Linux only. Elsewhere what leaves the session of this process outlives it.
    """
    if sys.platform != "linux":
        return
    signal.signal(signal.SIGTERM, _end_all)
    with contextlib.suppress(OSError, AttributeError):
        prctl = ctypes.CDLL(None, use_errno=True).prctl
        prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)


def _end_all(number: int, frame: object) -> None:  # noqa: ARG001 -- as a signal handler has it
    end(descendants(os.getpid()))
    os.killpg(0, signal.SIGKILL)


def _children(pid: int, root: Path) -> list[int]:
    found: list[int] = []
    with contextlib.suppress(OSError):
        for task in (root / f"proc/{pid}/task").iterdir():
            found += map(int, (read_text(task / "children") or "").split())
    return found


def _by_psutil(pid: int) -> list[int]:
    import psutil  # noqa: PLC0415 -- where the kernel does not list children

    with contextlib.suppress(psutil.Error):
        return [one.pid for one in psutil.Process(pid).children(recursive=True)]
    return []

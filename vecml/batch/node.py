"""The process on a node of a cluster, as Ray starts it there. It is sent as it stands, to nodes without vecml as well.

So nothing but Python's own modules is imported before the node has said what it has.
"""

import os
import platform
import socket
import sys
from collections.abc import Mapping, Sequence
from importlib import metadata
from typing import Any


class Node:
    """An actor that holds all cores of its node, and has compiled the engine once."""

    def __init__(self) -> None:
        """Do nothing yet."""
        self._work: Any = None

    def facts(self) -> dict[str, str | None]:
        """The versions of what is here, None for what is missing, and the names of the machine and the process."""
        found: dict[str, str | None] = {
            "host": socket.gethostname(),
            "pid": str(os.getpid()),
            "python": ".".join(map(str, sys.version_info[:2])),
            "machine": f"{platform.system()} {platform.machine()}",
        }
        try:
            import vecml  # noqa: PLC0415

            found["vecml"] = vecml.__version__
        except ImportError:
            found["vecml"] = None
        for name in ("pyarrow", "numpy"):
            try:
                found[name] = metadata.version(name)
            except metadata.PackageNotFoundError:
                found[name] = None
        return found

    def begin(
        self, files: Mapping[str, bytes], threads: int, samples: Sequence[Sequence[Any]], beacons: tuple[str, str]
    ) -> dict[str, Any]:
        """Load the model, compile the engine, and look whether input and output are in reach.

        `files`, `threads`, `samples`, `beacons` and what is returned are those of `vecml.batch.node_work.begin`.
        """
        from vecml.batch import node_work  # noqa: PLC0415

        self._work, told = node_work.begin(files, threads, samples, beacons)
        return told

    def exchange(self, lines: Sequence[str], wait_seconds: float) -> dict[str, Any]:
        """Take more units, and tell what was done since the last call, waiting for something for at most so long."""
        told: dict[str, Any] = self._work.exchange(lines, wait_seconds)
        return told

    def stop(self, wait_seconds: float) -> bool:
        """Give up what is being labelled, so that nothing of it stays; whether that was possible in the time."""
        return self._work is None or bool(self._work.stop(wait_seconds))

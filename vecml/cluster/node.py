"""The process on a node of a cluster, as Ray starts it there. It is sent as it stands, to nodes without vecml as well.

So nothing but Python's own modules is imported before the node has said what it has.
"""

import os
import platform
import socket
import sys
from importlib import import_module, metadata
from typing import Any


class Node:
    """An actor, which holds all cores of its node while it works."""

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

    def begin(self, work: str, *values: Any) -> Any:
        """Begin the work that `work` names, `module:function`: what that makes of the values goes on, and is told of.

        It returns what the other methods ask, and what is returned here. That needs vecml on this node.
        """
        module, _, name = work.partition(":")
        self._work, told = getattr(import_module(module), name)(*values)
        return told

    def exchange(self, *values: Any) -> Any:
        """Give the work more, and tell what was done since the last call; both are the work's own."""
        return self._work.exchange(*values)

    def stop(self, wait_seconds: float) -> bool:
        """Give up what is being done, so that nothing of it stays; whether that was possible in the time."""
        return self._work is None or bool(self._work.stop(wait_seconds))

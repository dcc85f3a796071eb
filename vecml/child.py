"""How vecml starts a Python of its own: its own modules, whatever lies in the folder that the user is in."""

import os
import sys
from pathlib import Path

ROOT = str(Path(__file__).resolve().parents[1])


def python(module: str, *arguments: str) -> list[str]:
    """The command that runs a module in this interpreter, without the current folder on its path (`-P`)."""
    return [sys.executable, "-P", "-m", module, *arguments]


def environment(**extra: str) -> dict[str, str]:
    """This process's environment for such a child, with the place that vecml itself was imported from first."""
    path = os.pathsep.join(part for part in (ROOT, os.environ.get("PYTHONPATH")) if part)
    return {**os.environ, "PYTHONPATH": path, **extra}

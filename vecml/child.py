"""How vecml starts a Python of its own, and hears of its end: its own modules, wherever the user is."""

import os
import re
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


def cause(said: str) -> str:
    """The line of a process's last words that names an error, else its last line (300 characters at most)."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    errors = [line for line in lines if re.match(r"[\w.]*(Error|Exception)\b", line)]
    return (errors or lines or ["nothing"])[-1][:300]

"""Modules of a user's, written into a test's folder."""

from pathlib import Path

from vecml.optimize.target import Place, find_place

SLOW = '''"""A user's module."""
import numpy as np


def squares(x):
    out = np.zeros(len(x))
    for i in range(len(x)):
        out[i] = x[i] * x[i]
    return out


def make_inputs():
    return (np.arange(2000.0),)
'''


def places(folder: Path, text: str, name: str = "f") -> tuple[Place, Place]:
    """The function `name` and `make_inputs` of a module with this text."""
    file = folder / "module.py"
    file.write_text(text)
    return find_place(f"{file}:{name}", "TARGET"), find_place(f"{file}:make_inputs", "--inputs")

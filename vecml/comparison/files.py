"""The files that a comparison's workers read: the model, the input in each layout, reference labels, true labels.

Every worker maps the input into its memory, so that eight workers hold it once. Nothing is pickled.
"""

import json
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vecml.config import Layout
from vecml.errors import StoreError
from vecml.leftovers import SHARED_MEMORY, scratch_folder
from vecml.model.find import MAIN, running_script
from vecml.model.network import AnyModel
from vecml.model.store import DESCRIPTION, WEIGHTS, rebuild

ERRORS = "errors"  # of a module of the user's own, what its float32 logits are off by; see `reference.float32_errors`
ROOM = 2.0  # times the input that must be free: half of it stays free


@contextmanager
def shared_folder(n_bytes: int) -> Iterator[Path]:
    """A folder for `n_bytes` of input, which is removed afterwards: in memory where there is room, else on the disk."""
    in_memory = SHARED_MEMORY.is_dir() and shutil.disk_usage(SHARED_MEMORY).free > ROOM * n_bytes
    with scratch_folder(SHARED_MEMORY if in_memory else None) as folder:
        yield folder


def save_model(model: AnyModel, folder: Path) -> None:
    """Write the model for the workers, and where they find the class of a module of the user's own."""
    weights, architecture = model.serialise()
    _save(folder / WEIGHTS, lambda path: path.write_bytes(weights))
    description = {
        "architecture": architecture,
        "classes": model.classes,
        # Paths and name are this process's own, who asked for the comparison: its workers may import by them.
        "path": [entry or str(Path.cwd()) for entry in sys.path],
        "script": running_script() if str(model.architecture).startswith(f"{MAIN}:") else None,
    }
    _save(folder / DESCRIPTION, lambda path: path.write_text(json.dumps(description), encoding="utf-8"))


def load_model(folder: Path) -> AnyModel:
    """The model that `save_model` wrote, in this process or another; see there."""
    description = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
    sys.path.extend(entry for entry in description["path"] if entry not in sys.path)
    weights, classes = (folder / WEIGHTS).read_bytes(), tuple(description["classes"])
    return rebuild(description["architecture"], weights, classes, folder, description["script"])


def save_input(x_FN: NDArray[np.floating], layout: Layout, folder: Path) -> None:
    """Write features (F, N; float32 or float64) in `layout`; they are transposed in blocks of rows."""

    def write(path: Path) -> None:
        if layout == "columns":
            np.save(path, x_FN)
            return
        by_row = np.lib.format.open_memmap(path, mode="w+", dtype=x_FN.dtype, shape=x_FN.shape[::-1])
        for start in range(0, x_FN.shape[1], 65_536):
            by_row[start : start + 65_536] = x_FN[:, start : start + 65_536].T
        by_row.flush()

    _save(folder / f"{layout}.npy", write)


def save_array(array: NDArray[Any], name: str, folder: Path) -> None:
    """Write an array of any shape and dtype as `NAME.npy` for the workers."""
    _save(folder / f"{name}.npy", lambda path: np.save(path, array))


def _save(path: Path, write: Callable[[Path], object]) -> None:
    try:
        write(path)
    except OSError as error:
        raise StoreError(
            f"cannot write the comparison's input to {path.parent}: {error.strerror or error}",
            "make room there, or give it fewer rows",
        ) from None

"""The files that a comparison's workers share: model, input by layout, reference labels, true labels. No pickle.

Inputs are memory-mapped by every worker, so that eight of them over one input hold it once.
"""

import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vecml.config import Layout
from vecml.environment import is_alive, process_identity
from vecml.errors import StoreError
from vecml.hardware import read_text
from vecml.model.network import Architecture, Layer, Model

SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 -- a file of random name in it, below
PREFIX = "vecml-compare-"
OWNER = "owner"
ROOM = 2.0  # times the input that must be free: half of it stays free


@contextmanager
def shared_folder(n_bytes: int) -> Iterator[Path]:
    """A folder for `n_bytes` of input, removed afterwards: in memory where there is room, else on the disk."""
    for place in (SHARED_MEMORY, Path(tempfile.gettempdir())):
        _sweep(place)
    parent = Path(tempfile.gettempdir())
    if SHARED_MEMORY.is_dir() and shutil.disk_usage(SHARED_MEMORY).free > ROOM * n_bytes:
        parent = SHARED_MEMORY
    with tempfile.TemporaryDirectory(prefix=PREFIX, dir=parent, ignore_cleanup_errors=True) as name:
        (Path(name) / OWNER).write_text(process_identity(), encoding="utf-8")
        yield Path(name)


def _sweep(parent: Path) -> None:
    """Remove what comparisons left whose processes were killed: in memory it would stay until the next boot."""
    for folder in parent.glob(f"{PREFIX}*"):
        identity = read_text(folder / OWNER)
        if identity is not None and is_alive(identity) is False:
            shutil.rmtree(folder, ignore_errors=True)


def save_model(model: Model, folder: Path) -> None:
    """Write the model for the workers."""
    arrays = {}
    for index, layer in enumerate(model.layers):
        arrays[f"weight_{index}"], arrays[f"bias_{index}"] = layer.weight_OI, layer.bias_O
    _save(folder / "model.npz", lambda path: np.savez(path, **arrays))  # type: ignore[arg-type]
    shape = model.architecture
    description = {
        "n_features": shape.n_features,
        "hidden": shape.hidden,
        "n_classes": shape.n_classes,
        "activation": shape.activation,
        "classes": model.classes,
    }
    _save(folder / "model.json", lambda path: path.write_text(json.dumps(description), encoding="utf-8"))


def load_model(folder: Path) -> Model:
    """The model that `save_model` wrote."""
    told = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    architecture = Architecture(told["n_features"], tuple(told["hidden"]), told["n_classes"], told["activation"])
    with np.load(folder / "model.npz", allow_pickle=False) as arrays:
        layers = tuple(
            Layer(arrays[f"weight_{index}"], arrays[f"bias_{index}"]) for index in range(len(architecture.widths) - 1)
        )
    return Model(architecture, layers, tuple(told["classes"]))


def save_input(x_FN: NDArray[np.floating], layout: Layout, folder: Path) -> None:
    """Write features (F, N) for the workers that take `layout`, a block at a time where they are transposed."""

    def write(path: Path) -> None:
        if layout == "columns":
            np.save(path, x_FN)
            return
        by_row = np.lib.format.open_memmap(path, mode="w+", dtype=x_FN.dtype, shape=x_FN.shape[::-1])
        for start in range(0, x_FN.shape[1], 65_536):
            by_row[start : start + 65_536] = x_FN[:, start : start + 65_536].T
        by_row.flush()

    _save(folder / f"{layout}.npy", write)


def save_labels(label_N: NDArray[np.int64], name: str, folder: Path) -> None:
    """Write labels (int64, N) as `NAME.npy`."""
    _save(folder / f"{name}.npy", lambda path: np.save(path, label_N))


def _save(path: Path, write: Callable[[Path], object]) -> None:
    try:
        write(path)
    except OSError as error:
        raise StoreError(
            f"cannot write the comparison's input to {path.parent}: {error.strerror or error}",
            "make room there, or give it fewer rows",
        ) from None

"""The files that a comparison's workers read: the model, the input in each layout, reference labels, true labels.

Every worker maps the input into its memory, so that eight workers hold it once. Nothing is pickled.
"""

import json
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vecml.config import Layout
from vecml.environment import is_alive, process_identity
from vecml.errors import ModelError, SettingError, StoreError
from vecml.hardware import read_text
from vecml.model.find import MAIN, SCRIPT
from vecml.model.network import AnyModel, Architecture, Layer, Model, OwnModel

SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 -- a file of random name in it, below
PREFIX = "vecml-compare-"
OWNER = "owner"
STATE = "model.safetensors"
ERRORS = "errors"  # of a module of the user's own, what its float32 logits are off by; see `reference.float32_errors`
ROOM = 2.0  # times the input that must be free: half of it stays free


@contextmanager
def shared_folder(n_bytes: int) -> Iterator[Path]:
    """A folder for `n_bytes` of input, which is removed afterwards: in memory where there is room, else on the disk."""
    for place in (SHARED_MEMORY, Path(tempfile.gettempdir())):
        _sweep(place)
    parent = Path(tempfile.gettempdir())
    if SHARED_MEMORY.is_dir() and shutil.disk_usage(SHARED_MEMORY).free > ROOM * n_bytes:
        parent = SHARED_MEMORY
    with tempfile.TemporaryDirectory(prefix=PREFIX, dir=parent, ignore_cleanup_errors=True) as name:
        (Path(name) / OWNER).write_text(process_identity(), encoding="utf-8")
        yield Path(name)


def _sweep(parent: Path) -> None:
    """Remove the folders of comparisons whose process was killed; in memory they would stay until the next boot."""
    for folder in parent.glob(f"{PREFIX}*"):
        identity = read_text(folder / OWNER)
        if identity is not None and is_alive(identity) is False:
            shutil.rmtree(folder, ignore_errors=True)


def save_model(model: AnyModel, folder: Path) -> None:
    """Write the model for the workers; of a module of the user's own, its state and the place of its class."""
    if isinstance(model, OwnModel):
        _save_own(model, folder)
        return
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


def load_model(folder: Path) -> AnyModel:
    """The model that `save_model` wrote into the folder."""
    told = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    if "own" in told:
        return _load_own(told, folder)
    architecture = Architecture(told["n_features"], tuple(told["hidden"]), told["n_classes"], told["activation"])
    with np.load(folder / "model.npz", allow_pickle=False) as arrays:
        layers = tuple(
            Layer(arrays[f"weight_{index}"], arrays[f"bias_{index}"]) for index in range(len(architecture.widths) - 1)
        )
    return Model(architecture, layers, tuple(told["classes"]))


def _save_own(model: OwnModel, folder: Path) -> None:
    from vecml.model.own_module import description_of, state_bytes  # noqa: PLC0415 -- torch, which a plain model need not

    state, name = state_bytes(model), model.architecture.name
    _save(folder / STATE, lambda path: path.write_bytes(state))
    description = {
        "own": description_of(model),
        "classes": model.classes,
        # Paths and name are this process's own, who asked for the comparison: its workers may import by them.
        "path": [entry or str(Path.cwd()) for entry in sys.path],
        "script": running_script() if name.startswith(f"{MAIN}:") else None,
    }
    _save(folder / "model.json", lambda path: path.write_text(json.dumps(description), encoding="utf-8"))


def _load_own(told: dict[str, Any], folder: Path) -> OwnModel:
    from vecml.model.own_module import rebuilt  # noqa: PLC0415

    sys.path.extend(entry for entry in told["path"] if entry not in sys.path)
    state = (folder / STATE).read_bytes()
    return rebuilt(told["own"], state, tuple(told["classes"]), STATE, told["script"])


def check_rebuildable(model: OwnModel) -> None:
    """Raise SettingError when a worker process could not make the model of a module in memory anew, saying why."""
    from vecml.model.own_module import description_of, rebuilt, state_bytes  # noqa: PLC0415

    name = model.architecture.name
    module, _, qualified = name.partition(":")
    hint = (
        "a worker calls the class with (n_features, n_classes); define it in a module (in Jupyter: %%writefile, import)"
    )
    script = running_script() if module == MAIN else None
    if module == SCRIPT:
        raise SettingError(
            "the script compares again when a worker reads it", 'put the call under if __name__ == "__main__":'
        )
    if module == MAIN and script is None:
        raise SettingError(f"module {qualified} was typed in: a worker process could not find its class", hint)
    if "<" in qualified:
        raise SettingError(f"module {qualified} has a class that a worker process could not find by its name", hint)
    try:
        rebuilt(description_of(model), state_bytes(model), model.classes, "the module", script)
    except (SettingError, ModelError) as error:
        if module == MAIN and "compares again" in error.message:
            raise
        said = error.message.removeprefix(f"--architecture {name}: ")
        raise SettingError(f"module {name} cannot be made anew in a worker process: {said}", hint) from error


def running_script() -> str | None:
    """The path of the script that runs as `__main__`; None in a notebook or where code was typed in."""
    script = getattr(sys.modules[MAIN], "__file__", None)
    return None if script is None else str(Path(script).resolve())


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

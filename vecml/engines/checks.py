"""What every engine asks of a setting and of the arrays of a call, and how it refuses them: one line each.

Without these checks a transposed table of a square shape, or labels of another dtype, would give wrong answers quietly.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from vecml.config import Layout, Setting
from vecml.engines.base import Engine
from vecml.errors import DataError
from vecml.model.network import AnyModel

_SHAPES: dict[Layout, str] = {"columns": "(features, rows)", "rows": "(rows, features)"}


def unsupported(engine: Engine, setting: Setting) -> str | None:
    """Why no machine could run `engine` under `setting`, in words for the user, or None; asks no library.

    It may not know the layout, the device or the precision, or compute in another precision on that device.
    """
    for field, known in (("layout", engine.layouts), ("device", engine.devices), ("precision", engine.precisions)):
        value = getattr(setting, field)
        if value not in known:
            return f"{field} {value} is not one of its own: {', '.join(known)}"
    there = engine.devices[setting.device]
    if setting.precision not in there:
        return f"on {setting.device} it computes in {', '.join(there)}, not in {setting.precision}"
    if setting.isa not in engine.isas:
        if engine.isas == ("native",):
            return f"it cannot choose an instruction set ({setting.isa})"
        return f"instruction set {setting.isa} is not one of its own: {', '.join(engine.isas)}"
    return None


def other_model(engine: Engine, model: AnyModel) -> str | None:
    """Why `engine` runs no such model whatever the machine, in words for the user, or None."""
    obstacle = model.architecture.obstacle
    if obstacle is None or engine.own_models:
        return None
    return f"it runs chains of linear layers, and {model.architecture} has {obstacle}"


def count_rows(x: NDArray[Any], n_features: int, layout: Layout) -> int:
    """The rows of `x`, which has `n_features` features in `layout`.

    Raises DataError when it is no float32 or float64 array of that shape with ascending strides.
    """
    _ascending("features", x)
    if x.dtype not in (np.float32, np.float64):
        raise DataError(f"features of dtype {x.dtype}: float32 or float64 is needed", "x.astype(numpy.float32)")
    axis = 0 if layout == "columns" else 1
    if x.ndim != 2 or x.shape[axis] != n_features:
        hint = None
        if x.ndim == 2 and x.shape[1 - axis] == n_features:
            hint = "the table lies the other way: transpose it, or choose the other layout"
        raise DataError(
            f"features of shape {x.shape}: layout {layout} is {_SHAPES[layout]}, and the model takes {n_features} "
            f"feature{'s' if n_features != 1 else ''}",
            hint,
        )
    return int(x.shape[1 - axis])


def check_labels(out_N: NDArray[Any], n_rows: int) -> None:
    """Raise DataError when `out_N` cannot hold the labels of `n_rows` rows: int64 (N,), writeable."""
    _ascending("labels", out_N)
    if out_N.dtype != np.int64:
        raise DataError(f"labels of dtype {out_N.dtype}: int64 is needed", "numpy.empty(n_rows, dtype=numpy.int64)")
    if out_N.shape != (n_rows,):
        raise DataError(f"labels of shape {out_N.shape}: the features have {n_rows} rows, so ({n_rows},) is needed")
    if not out_N.flags.writeable:
        raise DataError("labels are written in place, and this array is read-only")


def _ascending(what: str, array: object) -> None:
    if not isinstance(array, np.ndarray):
        raise DataError(f"{what} of type {type(array).__name__}: a numpy array is needed")
    if isinstance(array, np.matrix):
        raise DataError(f"{what} of type matrix: a plain array is needed", "numpy.asarray(x)")
    if any(stride < 0 for stride in array.strides):
        raise DataError(f"{what} with negative strides (a reversed view)", "x.copy()")
    if not array.flags.aligned or any(stride % array.itemsize for stride in array.strides):
        raise DataError(
            f"{what} whose values do not lie at whole places (a field of packed records)",
            "x.copy()",
        )

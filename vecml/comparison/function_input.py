"""The one argument of functions that are compared: how it comes into worker processes, and what cannot come there.

An array is a file that all workers map, anything else is JSON. What is neither is refused with an expression of `x`, or
with the way that any argument can go: each worker makes it.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vecml.data.tensors import from_device, is_tensor
from vecml.errors import SettingError

MAKE_IT = "let each worker make it: inputs=make_inputs in place of x, with def make_inputs(): return (x,) that makes x"


def write_input(x: Any, folder: Path) -> None:
    """Write the argument `x` into `folder`; raises SettingError, with a next step, for what a worker would not get."""
    if isinstance(x, np.ma.MaskedArray) and not np.ma.is_masked(x):
        x = np.asarray(x.data)
    if isinstance(x, np.ndarray):
        _check_plain(x)
        np.save(folder / "x.npy", x, allow_pickle=False)
        return
    try:
        text = json.dumps(x)
    except (TypeError, ValueError, RecursionError):
        raise SettingError(
            f"x is a {type(x).__name__}: a worker can be given an array or what JSON holds", as_plain(x)
        ) from None
    for key in _keys_of_another_kind(x):
        raise SettingError(f"x has the key {key!r}, which is text in JSON and so in a worker", MAKE_IT)
    (folder / "x.json").write_text(text, encoding="utf-8")


def as_plain(x: Any) -> str:
    """An expression of `x` that makes what a worker can be given, or how each worker makes it."""
    if is_tensor(x):
        return f"x{_steps(x)}.numpy(force=True)"
    if isinstance(x, set | frozenset | Iterator):
        return "list(x)" if isinstance(x, Iterator) or _is_json(list(x)) else MAKE_IT
    if isinstance(x, bytes | bytearray):
        return "numpy.frombuffer(x, numpy.uint8)"
    if isinstance(x, list | tuple) and x:
        return _of_parts(x)
    for name in ("toarray", "to_numpy"):
        if callable(getattr(x, name, None)):
            return f"x.{name}()" if _has_plain_values(getattr(x, name)) else MAKE_IT
    if (on_host := from_device(x)) is not None:
        return on_host
    return "numpy.asarray(x)" if _has_plain_values(lambda: np.asarray(x)) else MAKE_IT


def _of_parts(x: list[Any] | tuple[Any, ...]) -> str:
    """The expression for a list of tensors, arrays or numbers that have one shape; else each worker makes it."""
    if any(np.ma.is_masked(one) for one in x):
        return MAKE_IT
    if all(is_tensor(one) for one in x):
        alike = len({tuple(one.shape) for one in x}) == len({str(one.dtype) for one in x}) == 1
        return f"numpy.stack([one{_steps(x[0])}.numpy(force=True) for one in x])" if alike else MAKE_IT
    if len({from_device(one) for one in x}) == 1 and (on_host := from_device(x[0])) is not None:
        return f"numpy.stack([one{on_host.removeprefix('x')} for one in x])"
    return "numpy.asarray(x)" if _has_plain_values(lambda: np.asarray(x)) else MAKE_IT


def _has_plain_values(make: Any) -> bool:
    """Whether it makes an array of numbers, truth values, texts or times."""
    try:
        array = make()
    except Exception:  # noqa: BLE001 -- whatever a library's own protocol raises
        return False
    return isinstance(array, np.ndarray) and not array.dtype.hasobject


def _is_json(x: Any) -> bool:
    try:
        json.dumps(x)
    except (TypeError, ValueError, RecursionError):
        return False
    return True


def _steps(x: Any) -> str:
    """What comes before a tensor's `.numpy(force=True)`."""
    torch = sys.modules["torch"]
    steps = [".to_dense()"] if x.layout != torch.strided else [".dequantize()"] if x.is_quantized else []
    return "".join([*steps, ".float()"] if x.dtype == torch.bfloat16 else steps)


def _keys_of_another_kind(x: Any) -> Iterator[Any]:
    """The keys inside `x` that are no texts."""
    todo = [x]
    while todo:
        one = todo.pop()
        if isinstance(one, dict):
            yield from (key for key in one if not isinstance(key, str))
            todo += one.values()
        elif isinstance(one, list | tuple):
            todo += one


def _check_plain(x: NDArray[Any]) -> None:
    """Raise SettingError, with an expression that makes a plain one, for an array that a file cannot keep as it is."""
    what, hint = "", ""
    if isinstance(x, np.ma.MaskedArray):
        what, hint = "whose mask a worker would not get", "x.filled(0.0), or x.data without its mask"
    elif type(x) not in (np.ndarray, np.memmap):
        what, hint = "of which a worker would get the plain array", "numpy.array(x, subok=False)"
    elif x.dtype.hasobject:
        what, hint = "of Python's objects, which are not written to a file", MAKE_IT
        if _has_plain_values(lambda: np.array(x.tolist(), dtype=float)):
            hint = "numpy.array(x.tolist(), dtype=float)"
        elif _has_plain_values(lambda: np.array(x.tolist())):
            hint = "numpy.array(x.tolist())"
    if what:
        raise SettingError(f"x is a {type(x).__name__} {what}", hint)


def read_input(folder: Path) -> Any:
    """Read what `write_input` has written: an array, which all workers map and may change for themselves, or JSON."""
    path = folder / "x.npy"
    if path.exists():
        return np.asarray(np.load(path, mmap_mode="c"))
    return json.loads((folder / "x.json").read_text(encoding="utf-8"))


def changed(fresh: Any, x: Any) -> Any:
    """Exchange up to a thousand values of the array `x` in place and return it; return `fresh` if `x` is no array."""
    if not isinstance(x, np.ndarray) or x.size < 2:
        return fresh
    flat, source = x.ravel(order="K"), fresh.ravel(order="K")  # views of what is contiguous in either order
    step = max(100, x.size // 1_000)  # each may be a page of the mapping that becomes this worker's own
    flat[::step] = source[::-1][::step]
    return x

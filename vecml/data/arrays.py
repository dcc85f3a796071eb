"""numpy's own files as columns: `.npy` with one table of numbers or records, `.npz` with arrays by name.

Nothing is ever unpickled: an array of Python objects is refused.
"""

import tokenize
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from vecml.data.memory_limit import MemoryLimit
from vecml.data.remedy import flags
from vecml.data.zipped import ZIP_DAMAGES, unpacked_bytes
from vecml.errors import DataError, one_line

COMPLETE = "is it complete? Copy or write it again"
# What numpy raises for a damaged header: of no syntax, or of a shape that no memory holds.
_DAMAGES = (ValueError, EOFError, OSError, SyntaxError, TypeError, MemoryError, OverflowError, tokenize.TokenError)


def read_npy(path: Path) -> "pa.Table":
    """A `.npy` file: a 2-D array (N, F) gives columns "0", "1", ...; a 1-D array of records gives its fields.

    Raises DataError when it is damaged, has another shape, or would have to be unpickled.
    """
    MemoryLimit(path.name).check(expected=path.stat().st_size)
    try:
        with path.open("rb") as file:
            array = np.lib.format.read_array(file, allow_pickle=False)
    except _DAMAGES as error:
        raise _unreadable(path, "npy", error) from None
    if array.dtype.names is not None and array.ndim == 1:
        return arrow_table(((name, array[name]) for name in array.dtype.names), path.name)
    if array.ndim != 2:
        raise DataError(
            f"{path.name} holds an array of shape {array.shape}; rows by columns are needed",
            "save a 2-D array (N, F), or a 1-D array of records",
        )
    return arrow_table(_by_column(array), path.name)


def read_npz(path: Path) -> "pa.Table":
    """A `.npz` file: a 1-D array is a column of its name; a 2-D array `X` (N, F) gives `X_0`, `X_1`, ...

    Raises DataError when it is damaged, arrays differ in length or have another shape, or one holds Python objects.
    """
    columns: list[tuple[str, NDArray[Any]]] = []
    try:
        if not zipfile.is_zipfile(path):
            raise DataError(f"{path.name} cannot be read as npz: it is no zip archive", COMPLETE)
        MemoryLimit(path.name).check(expected=unpacked_bytes(path))
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except (*_DAMAGES, *ZIP_DAMAGES, KeyError) as error:
        raise _unreadable(path, "npz", error) from None
    for name, array in arrays.items():
        if not isinstance(array, np.ndarray) or array.ndim not in (1, 2):
            shape = getattr(array, "shape", "unknown")
            raise DataError(
                f"array {name!r} in {path.name} has shape {shape}; a column is 1-D, a table 2-D",
                "save the file without it",
            )
        if array.ndim == 1:
            columns.append((name, array))
        else:
            columns += [(f"{name}_{i}", x_N) for i, x_N in _by_column(array)]
    if not arrays:
        raise DataError(f"{path.name} holds no array", "save one with numpy.savez")
    first, *others = arrays
    for name in others:
        if len(arrays[name]) != len(arrays[first]):
            raise DataError(
                f"arrays in {path.name} differ in length: {first!r} has {len(arrays[first]):,} rows, "
                f"{name!r} has {len(arrays[name]):,}",
                "save arrays that have a row for a row",
            )
    return arrow_table(columns, path.name)


def arrow_table(columns: Iterable[tuple[str, NDArray[Any]]], source: str) -> "pa.Table":
    """numpy arrays (N,) of any dtype (or what numpy takes for one) as an Arrow table.

    Raises DataError for an array that Arrow has no type for, naming its column.
    """
    names, arrays = [], []
    for name, values in columns:
        names.append(name)
        arrays.append(arrow_array(name, values, source))
    return pa.table(arrays, names=names)


def arrow_array(name: str, values: Any, source: str) -> "pa.Array":
    """One column of values as an Arrow array; None, NaN and NaT are missing. Raises DataError where it cannot be."""
    try:
        if isinstance(values, np.ndarray):
            if values.ndim != 1:
                raise DataError(f"column {name!r} in {source} has shape {values.shape}; a column has one dimension")
            # Arrow knows this machine's byte order only, and no long double.
            native = np.dtype(np.float64) if values.dtype.char == "g" else values.dtype.newbyteorder("=")
            values = values.astype(native, copy=False)
            if values.dtype.kind == "c":  # read as a pair, so that the column is refused, and can be dropped
                return pa.StructArray.from_arrays([values.real.copy(), values.imag.copy()], ["real", "imaginary"])
        return pa.array(values, from_pandas=True)
    except (pa.ArrowException, TypeError, OverflowError, UnicodeDecodeError) as error:
        kind = getattr(values, "dtype", type(values).__name__)
        raise DataError(
            f"column {name!r} in {source} cannot be used ({kind}): {one_line(error)}",
            f"make its values alike, or leave it out with {flags({'drop': (name,)})}",
        ) from None


def _by_column(array: NDArray[Any]) -> Iterable[tuple[str, NDArray[Any]]]:
    return ((str(i), x_N) for i, x_N in enumerate(np.ascontiguousarray(array.T)))


def _unreadable(path: Path, kind: str, error: Exception) -> DataError:
    reason = one_line(error)
    if "allow_pickle" in reason and "Object arrays" in reason:
        return DataError(
            f"{path.name} holds Python objects, which vecml does not unpickle",
            "save numbers or text: array.astype(float) or array.astype(str)",
        )
    return DataError(f"{path.name} cannot be read as {kind}: {reason}", COMPLETE)

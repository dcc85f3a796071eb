"""Features for a bare model, from whatever people have as an array: its values, or one line that says no.

Each refusal has an expression as its hint, in which `x` is what was given; what it gives is taken.
"""

import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vecml.data.tensors import from_device, is_tensor, plain_array
from vecml.errors import DataError, one_line

NEEDS = "a bare model takes float32 or float64 (rows, features)"
AS_FLOAT = "numpy.asarray(x, dtype=numpy.float32)"


def features_of(x: Any) -> NDArray[np.floating]:
    """The features by column, x_FN (F, N): float32 or float64, contiguous, in the machine's order of bytes.

    Args:
        x: (N, F): a NumPy array, a tensor of torch or JAX, a table of pandas, Polars or Arrow with numbers alone, lists
            of numbers, or what gives an array by NumPy's, Python's or DLPack's protocol. Half precision becomes
            float32.

    Raises:
        DataError: what it is cannot be taken; the hint is an expression of `x` that can.
    """
    x_NF = plain_array(x, "x") if is_tensor(x) else _from_array(x)
    if x_NF.dtype.kind == "O" and x_NF.ndim:
        x_NF = _from_objects(x_NF)
    if x_NF.dtype == np.float16:
        x_NF = x_NF.astype(np.float32)
    _check(x_NF)
    x_FN = np.ascontiguousarray(x_NF.T, dtype=x_NF.dtype.newbyteorder("="))
    # An axis of length 1 keeps any stride, a negative one too, in what NumPy calls contiguous.
    plain = x_FN.strides == (x_FN.shape[1] * x_FN.itemsize, x_FN.itemsize) and x_FN.flags.aligned
    return x_FN if plain else x_FN.copy()


def _from_array(x: Any) -> NDArray[Any]:
    if isinstance(x, np.ma.MaskedArray):
        _refuse_masked(x, "x.filled(0.0)")
        return np.asarray(x.data)
    _refuse_nulls(x)
    if isinstance(x, str | Path):
        raise DataError(f"x is text, {str(x)[:60]!r}: {NEEDS}", "a classifier from vecml.load reads files")
    if isinstance(x, Mapping):
        raise DataError(f"x is a {type(x).__name__}: {NEEDS}", _of_columns(x))
    if isinstance(x, Iterator):
        raise DataError(f"x is a {type(x).__name__}, which can be read once: {NEEDS}", "numpy.asarray(list(x))")
    for name in ("toarray", "collect"):  # SciPy's sparse matrices, Polars' lazy frames
        if not isinstance(x, np.ndarray) and not hasattr(x, "__array__") and callable(getattr(x, name, None)):
            raise DataError(f"x is a {type(x).__name__}: {NEEDS}", f"x.{name}()")
    if isinstance(x, list | tuple):
        x = _plain_rows(x)
    if (on_host := from_device(x)) is not None:
        raise DataError(f"x is a {type(x).__name__} on a device: {NEEDS}", on_host)
    try:
        if hasattr(x, "__dlpack__") and not hasattr(x, "__array__"):
            return np.from_dlpack(x)
        return np.asarray(x)
    except Exception as error:  # whatever a library's own protocol raises
        raise DataError(
            f"x is a {type(x).__name__}, which gives no array: {one_line(error, named=True)}",
            "rows of equal length: a list of lists, or numpy.asarray of them",
        ) from error


def _refuse_masked(x: Any, hint: str) -> None:
    """Raise DataError for masked values, the first of them with its place; `hint` gives numbers in their place."""
    masked = np.argwhere(np.ma.getmaskarray(x))
    if len(masked):
        where = ", ".join(map(str, masked[0]))
        raise DataError(
            f"x has {len(masked):,} masked values, the first at [{where}]: a bare model takes no missing values",
            f"{hint}, or another number in their place",
        )


def _refuse_nulls(x: Any) -> None:
    """Raise DataError for a table of Arrow or Polars with a missing value, which would become NaN."""
    arrow, polars = sys.modules.get("pyarrow"), sys.modules.get("polars")
    if arrow is not None and isinstance(x, arrow.Table | arrow.RecordBatch):
        null_FN, hint = [np.asarray(column.is_null()) for column in x.columns], "x.to_pandas().fillna(0.0)"
    elif polars is not None and isinstance(x, polars.DataFrame):
        null_FN, hint = [column.is_null().to_numpy() for column in x.get_columns()], "x.fill_null(0.0)"
    else:
        return
    for at, null_N in enumerate(null_FN):
        if null_N.any():
            raise DataError(
                f"x has null at [{null_N.argmax()}, {at}]: a bare model takes no missing values",
                f"{hint}, or another number in its place",
            )


def _plain_rows(x: list[Any] | tuple[Any, ...]) -> list[Any]:
    """Rows of a list without what NumPy would drop or not take: masks, which are refused, and tensors' gradients."""
    rows: list[Any] = []
    for at, row in enumerate(x):
        if (where := _first_masked(row)) is not None:
            place = ", ".join(map(str, (at, *where)))
            filled = "numpy.ma.array(x).filled(0.0)"
            if isinstance(row, list | tuple):
                filled = "[[0.0 if one is numpy.ma.masked else one for one in row] for row in x]"
            raise DataError(
                f"x has masked values, the first at [{place}]: a bare model takes no missing values",
                f"{filled}, or another number in their place",
            )
        if (on_host := from_device(row)) is not None:
            hint = f"numpy.stack([row{on_host.removeprefix('x')} for row in x])"
            raise DataError(f"x[{at}] is a {type(row).__name__} on a device: {NEEDS}", hint)
        try:
            if isinstance(row, list | tuple):
                rows.append([plain_array(one, f"x[{at}]") if is_tensor(one) else one for one in row])
            else:
                rows.append(plain_array(row, f"x[{at}]") if is_tensor(row) else row)
        except DataError as error:
            expression = re.sub(r"\bx\b", "row", str(error.hint))
            raise DataError(error.message, f"[{expression} for row in x]") from None
    return rows


def _first_masked(row: Any) -> tuple[int, ...] | None:
    """The place of the first masked value of a row; None where there is none."""
    if isinstance(row, list | tuple):
        return next(((at,) for at, one in enumerate(row) if one is np.ma.masked), None)
    return tuple(np.argwhere(np.ma.getmaskarray(row))[0].tolist()) if np.ma.is_masked(row) else None


def _of_columns(x: Mapping[Any, Any]) -> str:
    """The expression of `x`, columns by name, that makes an array of them, and drops no mask."""
    columns = list(x.values())
    if any(np.ma.is_masked(one) for one in columns):
        return "numpy.ma.column_stack(list(x.values())).filled(0.0), or another number in the masked values' place"
    if columns and all(is_tensor(one) for one in columns):
        return "torch.stack(list(x.values()), dim=1)"
    if columns and from_device(columns[0]) is not None:
        return f"numpy.column_stack([column{str(from_device(columns[0])).removeprefix('x')} for column in x.values()])"
    return "numpy.column_stack(list(x.values()))"


def _from_objects(x_NF: NDArray[Any]) -> NDArray[Any]:
    """Numbers that are Python's objects as an array of numbers; raises DataError for a missing value."""
    for at, value in np.ndenumerate(x_NF):
        if value is None or type(value).__name__ in ("NAType", "NaTType"):
            where = ", ".join(map(str, at))
            raise DataError(
                f"x has {type(value).__name__.removesuffix('Type')} at [{where}]: a bare model takes no missing values",
                "x.fillna(0.0) of a data frame, or another number in its place",
            )
    try:
        return np.array(x_NF.tolist())
    except ValueError:  # rows of unequal length
        return x_NF


def _check(x_NF: NDArray[Any]) -> None:
    """Raise DataError for an array that is not (rows, features) of floats, with an expression that makes it."""
    said = f"x is {x_NF.dtype} of shape {x_NF.shape}: {NEEDS}"
    if x_NF.dtype.names:
        raise DataError(f"x has the fields {', '.join(x_NF.dtype.names)}: {NEEDS}", "numpy.asarray(x.tolist())")
    if x_NF.ndim == 1 and x_NF.dtype.kind == "f":
        raise DataError(said, "numpy.asarray(x)[None, :] for one row, numpy.asarray(x)[:, None] for one feature")
    if x_NF.ndim > 2:
        raise DataError(said, "numpy.asarray(x).reshape(len(x), -1)")
    if x_NF.ndim < 2:
        raise DataError(said, "numpy.asarray([[1.0, 2.0]]) is one row of two features")
    if x_NF.dtype.newbyteorder("=") not in (np.float32, np.float64):
        try:
            with np.errstate(all="ignore"):
                convertible = x_NF.dtype.kind not in "cMm" and x_NF.astype(np.float32).ndim == 2
        except (TypeError, ValueError):
            convertible = False
        raise DataError(said, AS_FLOAT if convertible else "encode what is no number as numbers first")

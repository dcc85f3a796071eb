"""From Arrow's columns to raw `Column`s: three kinds only, so that everything after reading needs to know only three.

Numbers and times become float64 with NaN where missing (float32 stays), booleans int8, text int32 codes into its sorted
distinct values. Everything is vectorised, one column at a time; what cannot be a feature is refused by name and row.
"""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from vecml.data.categories import category_column
from vecml.data.findings import Findings
from vecml.data.selection import drop_flag, shortened
from vecml.data.table import MISSING_CODE, Column
from vecml.errors import DataError
from vecml.progress import stage

FLOAT32_LARGEST = float(np.finfo(np.float32).max)
FLOAT64_INTEGERS = 2**53  # float64 holds every integer up to this one
UNITS_PER_SECOND = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}


def columns_from_arrow(
    table: "pa.Table", max_categories: int | None = None, findings: Findings | None = None
) -> tuple[Column, ...]:
    """Every column of an Arrow table as a raw `Column`.

    A column is refused for a type that is no number, text, time or boolean, an infinite value, a value that float32
    cannot hold, an integer that float64 cannot hold to the last digit, and text with more than `max_categories`
    distinct values (None: any number of them). Then `findings` notes it and it is left out of the result; without
    `findings` it raises DataError.
    """
    with stage("checking columns", table.num_columns) as advance:
        columns = []
        for name, column in zip(table.column_names, table.columns, strict=True):
            try:
                columns.append(column_from_arrow(name, column, max_categories))
            except DataError as error:
                if findings is None:
                    raise
                findings.refused(name, error.message.removeprefix(f"column {name!r} "))
            advance(1)
        return tuple(columns)


def column_from_arrow(name: str, column: "pa.ChunkedArray", max_categories: int | None = None) -> Column:
    """One Arrow column as a raw `Column`; raises DataError as `columns_from_arrow` does.

    A dictionary counts as the values it stands for. Arrow's null type is a number that is missing everywhere.
    """
    column = plain(column)
    if is_text(column.type):
        return category_column(name, column, max_categories)
    if pa.types.is_boolean(column.type):
        return Column(name, "boolean", column.cast(pa.int8()).fill_null(MISSING_CODE).to_numpy())
    if not is_numeric(column.type):
        raise DataError(
            f"column {name!r} holds {shortened_type(column.type)}, which is no number, text, time or boolean",
            f"leave it out with {drop_flag(name)}",
        )
    check_exact(name, column)
    values_N = numbers(column)
    check_range(name, values_N)
    return Column(name, "number", values_N)


def plain(column: "pa.ChunkedArray") -> "pa.ChunkedArray":
    """The column without a dictionary of anything but text, and text as Arrow's compute functions know it."""
    kind = column.type
    if pa.types.is_dictionary(kind) and not is_text(kind):
        return column.cast(kind.value_type)
    if pa.types.is_string_view(kind):
        return column.cast(pa.large_string())
    return column


def is_text(kind: "pa.DataType") -> bool:
    """Whether an Arrow type is text, or a dictionary of text."""
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def is_numeric(kind: "pa.DataType") -> bool:
    """Whether an Arrow type is a number, a time (seconds), or null."""
    t = pa.types
    return bool(
        t.is_integer(kind) or t.is_floating(kind) or t.is_decimal(kind) or t.is_null(kind) or _units(kind) is not None
    )


def numbers(column: "pa.ChunkedArray") -> NDArray[np.floating]:
    """A numeric Arrow column as float64 (float32 stays float32), NaN where missing.

    Dates and timestamps are seconds since 1970-01-01 UTC, a timestamp without a zone counting as UTC; times of day and
    durations are seconds.
    """
    units = _units(column.type)
    if units is not None:
        return _seconds(column, units)
    float32 = pa.types.is_float32(column.type) or pa.types.is_float16(column.type)
    values_N: NDArray[np.floating] = column.cast(pa.float32() if float32 else pa.float64(), safe=False).to_numpy()
    return values_N


def _units(kind: "pa.DataType") -> float | None:
    """How many of the type's units make a second; None for a type that is no time."""
    t = pa.types
    if t.is_date32(kind):
        return 1 / 86_400
    if t.is_date64(kind):
        return 1_000
    if t.is_timestamp(kind) or t.is_time(kind) or t.is_duration(kind):
        return UNITS_PER_SECOND[kind.unit]
    return None


def _seconds(column: "pa.ChunkedArray", units: float) -> NDArray[np.float64]:
    narrow = pa.int32() if column.type.bit_width == 32 else pa.int64()
    whole_N = column.cast(narrow).cast(pa.int64()).fill_null(0).to_numpy()
    if units < 1:
        seconds_N: NDArray[np.float64] = whole_N * np.float64(86_400)
    else:
        # Whole seconds and the rest apart: a 64-bit count of nanoseconds has more digits than a float64, and the same
        # instant must give the same number whatever unit its file keeps.
        whole_N, rest_N = np.divmod(whole_N, int(units))
        seconds_N = whole_N + rest_N / units
    if column.null_count:
        seconds_N[column.is_null().to_numpy()] = np.nan
    return seconds_N


def check_exact(name: str, column: "pa.ChunkedArray") -> None:
    """Raise DataError when an integer is none of float64's: another one would take its place, and the same digest.

    Every integer up to 2**53 is one of them, and some of those beyond; columns of other types pass.
    """
    if not (pa.types.is_int64(column.type) or pa.types.is_uint64(column.type)):
        return
    low, high = pc.min_max(column).as_py().values()
    if low is None or max(-low, high) <= FLOAT64_INTEGERS:
        return
    whole_N = column.fill_null(0).to_numpy()
    near_N = whole_N.astype(np.float64)
    # The type's largest values round to the first that it does not have, which cannot be cast back; 0 is none of them.
    fits_N = near_N <= np.nextafter(float(np.iinfo(whole_N.dtype).max), 0)
    exact_N = np.where(fits_N, near_N, 0).astype(whole_N.dtype) == whole_N
    if not exact_N.all():
        row = int(exact_N.argmin())
        raise DataError(
            f"column {name!r} has integers that float64 cannot hold: {whole_N[row]} in row {row + 1}",
            f"leave it out with {drop_flag(name)}; numbers that only name things are better written as text",
        )


def check_range(name: str, values_N: NDArray[np.floating]) -> None:
    """Raise DataError when a number is infinite or too large for float32, in which features are kept."""
    if not len(values_N):
        return
    low, high = np.fmin.reduce(values_N), np.fmax.reduce(values_N)
    if np.isnan(low) or max(-low, high) <= FLOAT32_LARGEST:
        return
    infinite_N = np.isinf(values_N)
    if infinite_N.any():
        message = f"column {name!r} has an infinite value in row {int(infinite_N.argmax()) + 1}"
    else:
        row = int((np.abs(values_N) > FLOAT32_LARGEST).argmax())
        message = f"column {name!r} has {shortened(float(values_N[row]))} in row {row + 1}, more than float32 can hold"
    raise DataError(message, f"mend it, or leave the column out with {drop_flag(name)}")


def shortened_type(kind: "pa.DataType") -> str:
    """Arrow's name of a type, cut so that an error stays one line."""
    text = str(kind)
    return text if len(text) <= 60 else text[:57] + "..."

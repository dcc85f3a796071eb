"""What Arrow's types are to vecml: text, numbers and times, truth values; and typed columns as numpy's numbers."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

FLOAT64_INTEGERS = 2**53  # float64 holds every integer up to this one
UNITS_PER_SECOND = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}


def plain(column: "pa.ChunkedArray") -> "pa.ChunkedArray":
    """The column without a dictionary of anything but text, and text as Arrow's compute functions know it.

    Bytes that are valid UTF-8 are text, and narrow numbers and decimals, which Arrow cannot encode, are wider.
    """
    if pa.types.is_dictionary(column.type) and not is_text(column.type):
        column = column.cast(column.type.value_type)
    kind = column.type
    if pa.types.is_float16(kind):
        return column.cast(pa.float32())
    if pa.types.is_decimal32(kind) or pa.types.is_decimal64(kind):
        return column.cast(pa.decimal128(kind.precision, kind.scale))
    if pa.types.is_binary_view(kind):
        column, kind = column.cast(pa.binary()), pa.binary()
    if pa.types.is_string_view(kind):
        return column.cast(pa.large_string())
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind):
        try:
            return column.cast(pa.large_binary()).cast(pa.large_string())
        except pa.ArrowInvalid:
            return column  # it is no text, and will be refused as what it is
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
        t.is_integer(kind)
        or t.is_floating(kind)
        or t.is_decimal(kind)
        or t.is_null(kind)
        or units_per_second(kind) is not None
    )


def is_date(kind: "pa.DataType") -> bool:
    """Whether an Arrow type is a date, a timestamp or a time of day."""
    return units_per_second(kind) is not None and not pa.types.is_duration(kind)


def numbers(column: "pa.ChunkedArray") -> NDArray[np.floating]:
    """A numeric Arrow column as float64 (float32 stays float32), NaN where missing.

    Dates and timestamps are seconds since 1970-01-01 UTC, a timestamp without a zone counting as UTC; times of day and
    durations are seconds.
    """
    units = units_per_second(column.type)
    if units is not None:
        return _seconds(column, units)
    if pa.types.is_decimal(column.type):
        return _decimals(column)
    float32 = pa.types.is_float32(column.type) or pa.types.is_float16(column.type)
    values_N: NDArray[np.floating] = column.cast(pa.float32() if float32 else pa.float64(), safe=False).to_numpy()
    return values_N


def _decimals(column: "pa.ChunkedArray") -> NDArray[np.float64]:
    """Decimals as the nearest float64, as the same digits in a CSV are: Arrow's own cast may miss it by one place."""
    if not len(column):  # Arrow cannot combine a dictionary without a chunk
        return np.empty(0)
    encoded = column.dictionary_encode().combine_chunks()
    values_D = encoded.dictionary.cast(pa.large_string()).cast(pa.float64()).to_numpy(zero_copy_only=False)
    values_N: NDArray[np.float64] = np.append(values_D, np.nan)[encoded.indices.fill_null(-1).to_numpy()]
    return values_N


def units_per_second(kind: "pa.DataType") -> float | None:
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


def all_exact(column: "pa.ChunkedArray") -> bool:
    """Whether float64 holds each integer of the column: otherwise another one would take its place, with one digest.

    Every integer up to 2**53 is one of float64's, and some of those beyond. Decimals that are whole count as integers,
    as a database and Arrow keep those of more than 64 bits; columns of other types pass.
    """
    if pa.types.is_decimal(column.type):
        return _all_exact_decimals(column)
    if not (pa.types.is_int64(column.type) or pa.types.is_uint64(column.type)):
        return True
    low, high = pc.min_max(column).as_py().values()
    if low is None or max(-low, high) <= FLOAT64_INTEGERS:
        return True
    whole_N = column.fill_null(0).to_numpy()
    near_N = whole_N.astype(np.float64)
    # The type's largest values round to the first that it does not have, which cannot be cast back; 0 is none of them.
    fits_N = near_N <= np.nextafter(float(np.iinfo(whole_N.dtype).max), 0)
    return bool((np.where(fits_N, near_N, 0).astype(whole_N.dtype) == whole_N).all())


def _all_exact_decimals(column: "pa.ChunkedArray") -> bool:
    low, high = pc.min_max(column).as_py().values()
    if low is None or max(-low, high) <= FLOAT64_INTEGERS:
        return True
    distinct = column.drop_null().unique().to_pylist()
    return all(value != int(value) or int(float(value)) == value for value in distinct)


def shortened_type(kind: "pa.DataType") -> str:
    """Arrow's name of a type, cut so that an error stays one line."""
    text = str(kind)
    return text if len(text) <= 60 else text[:57] + "..."

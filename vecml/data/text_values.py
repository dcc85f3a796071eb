"""What distinct texts say by a column's `Reading`: numbers, seconds or truth values as float64."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from vecml.data.arrow_types import is_date, is_numeric, is_text
from vecml.data.date_text import parse_dates
from vecml.data.number_text import WHOLE_NUMBER, parse_numbers
from vecml.data.reading import ISO, PLAIN, TIME_OF_DAY, UNKNOWN, Reading
from vecml.data.table import Kind

TRUTH = {"true": 1.0, "1": 1.0, "false": 0.0, "0": 0.0}
# Written for a missing value: by hand, by R, SAS, Stata, Excel, MySQL, Eurostat and others. In lower case.
MARKERS = frozenset(
    {
        "?",
        "??",
        ".",
        "..",
        "...",
        "-",
        "--",
        "---",
        "–",
        "—",
        "*",
        "**",
        ":",
        "_",
        "#",
        "na",
        "n/a",
        "n.a.",
        "n.a",
        "nan",
    }
    | {"-nan", "null", "none", "nil", "<null>", "<na>", "<none>", "(null)", "[null]", "(missing)", "missing", "unknown"}
    | {"undefined", "n.d.", "nd", "not available", "not applicable", "not known", "#n/a", "#na", "#null!", "#div/0!"}
    | {"#value!", "#ref!", "#num!", "#name?", "\\n", "tba", "tbd", "nat", "0000-00-00", "0000-00-00 00:00:00"}
    | {"00/00/0000", "1.#ind", "1.#qnan", "-1.#ind", "-1.#qnan", "#n/a n/a", "not a number"}
)
# What Arrow takes for a missing value of a CSV.
SILENT_MARKERS = (
    *("", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN"),
    *("N/A", "NA", "NULL", "NaN", "n/a", "nan", "null"),
)


def read_texts(kind: Kind, reading: Reading, texts: "pa.Array") -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Read distinct texts (D,) of a number or boolean column.

    Returns:
        float64 (D,), NaN where missing; and bool (D,): which of them say nothing.

    A text that says nothing is no number (or date, or truth value) and stands for no missing value either.
    """
    texts = pc.utf8_trim_whitespace(texts)
    missing_D = stands_for_missing(texts, reading.missing) | is_marker(texts)
    if kind == "boolean":
        known = pa.array(list(TRUTH), pa.large_string())
        place_D = pc.index_in(pc.utf8_lower(texts), known).fill_null(len(TRUTH)).to_numpy(zero_copy_only=False)
        values_D = np.array([*TRUTH.values(), np.nan])[place_D]
    elif reading.date and reading.date != UNKNOWN:
        values_D = parse_dates(texts, reading.date)[0]
    else:
        values_D = parse_numbers(texts, reading.number)
        whole = pc.match_substring_regex(texts, WHOLE_NUMBER).fill_null(True).to_numpy(zero_copy_only=False)
        if (whole | missing_D).all():
            values_D += 0.0  # an integer has no negative zero
        for name in (ISO, TIME_OF_DAY) if reading.date and np.isnan(values_D).all() else ():
            values_D = np.where(np.isnan(values_D), parse_dates(texts, name)[0], values_D)
    infinite_D = np.isinf(values_D)
    if infinite_D.any():  # `Infinity` and `inf` are one number, whichever is declared
        missing_D |= infinite_D & np.isnan(missing_numbers(values_D, reading.missing))
    values_D[missing_D] = np.nan
    return values_D, np.isnan(values_D) & ~missing_D


def is_marker(texts: "pa.Array") -> NDArray[np.bool_]:
    """Whether each of the texts (D,) without blanks around them is null, empty or a known marker of a missing value."""
    marked = pc.or_(pc.equal(texts, ""), pc.is_in(pc.utf8_lower(texts), pa.array(sorted(MARKERS), texts.type)))
    flags_D: NDArray[np.bool_] = marked.fill_null(True).to_numpy(zero_copy_only=False)
    return flags_D


def is_silent_marker(texts: "pa.Array") -> NDArray[np.bool_]:
    """Whether each of the texts (D,) is missing in every CSV, as `NA` and `null` are, so that nobody need be told."""
    return stands_for_missing(texts, SILENT_MARKERS)


def stands_for_missing(texts: "pa.Array", missing: tuple[str, ...]) -> NDArray[np.bool_]:
    """Whether each of the texts (D,) without blanks around them is null or one of `missing`."""
    marked = pc.is_in(texts, pa.array(missing, texts.type))
    flags_D: NDArray[np.bool_] = pc.or_(marked, pc.is_null(texts)).to_numpy(zero_copy_only=False)
    return flags_D


def without_declared(column: "pa.ChunkedArray", missing: tuple[str, ...]) -> "pa.ChunkedArray":
    """The column, of any type, with null for each value that a text of `missing` says."""
    if not missing:
        return column
    kind = column.type
    if pa.types.is_dictionary(kind):
        column, kind = column.cast(kind.value_type), kind.value_type
    if is_text(kind):
        declared = pc.is_in(
            pc.utf8_trim_whitespace(column.cast(pa.large_string())), pa.array(missing, pa.large_string())
        )
    elif is_numeric(kind) and not is_date(kind):
        said = parse_numbers(pa.array(missing, pa.large_string()), PLAIN)
        declared = pc.is_in(column.cast(pa.float64(), safe=False), pa.array(said[~np.isnan(said)]))
    else:
        return column
    return pc.if_else(declared, pa.scalar(None, kind), column)


def missing_numbers(values_N: NDArray[np.floating], missing: tuple[str, ...]) -> NDArray[np.floating]:
    """Typed numbers (N,) with NaN for those that a text of `missing` says; a copy only where there is one."""
    said = parse_numbers(pa.array(missing, pa.large_string()), PLAIN)
    said = said[~np.isnan(said)]
    if not len(said):
        return values_N
    found_N = np.isin(values_N, said.astype(values_N.dtype))
    return np.where(found_N, values_N.dtype.type(np.nan), values_N) if found_N.any() else values_N

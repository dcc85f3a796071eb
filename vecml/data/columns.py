"""From Arrow's columns to raw `Column`s: three kinds only, so that everything after reading needs to know only three.

Numbers and times become float64 with NaN where missing (float32 stays), booleans int8, text int32 codes into its sorted
distinct values. Everything is vectorised, one column at a time; what cannot be a feature is refused by name and row.
"""

from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from vecml.data.arrow_types import all_exact, is_date, is_numeric, is_text, numbers, plain, shortened_type
from vecml.data.disk import Disk, placed
from vecml.data.distinct import distinct_values, value_names
from vecml.data.findings import Findings
from vecml.data.reading import ISO, TIME_OF_DAY, Reading
from vecml.data.remedy import flags
from vecml.data.selection import shortened
from vecml.data.table import MISSING_CODE, Column
from vecml.data.text_column import EVERYTHING, ColumnRules, text_column
from vecml.data.text_values import missing_numbers
from vecml.errors import DataError
from vecml.progress import stage

FLOAT32_LARGEST = float(np.finfo(np.float32).max)


class OutOfRangeError(DataError):
    """A number that is infinite, or too large for float32.

    Attributes:
        mend: the setting with which the column can be used; None where there is none.
    """

    def __init__(self, message: str, mend: dict[str, tuple[str, ...]] | None, hint: str) -> None:
        super().__init__(message, hint)
        self.mend = mend

    def __reduce__(self) -> Any:
        return type(self), (self.message, self.mend, self.hint)


def columns_from_arrow(
    table: "pa.Table",
    rules: ColumnRules = EVERYTHING,
    findings: Findings | None = None,
    disk: Disk | None = None,
) -> tuple[Column, ...]:
    """The columns of an Arrow table as raw `Column`s; what text says is found by the rules of `text_column`.

    A column is refused for a type that is no number, text, time or boolean, an infinite value, and a value that float32
    cannot hold. Then `findings` notes it and it is left out of the result, as is text that only names its rows; without
    `findings` what is refused raises DataError. With a `disk` the columns lie there.
    """
    noted = findings if findings is not None else Findings()
    with stage("checking columns", table.num_columns) as advance:
        columns = []
        for name, column in zip(table.column_names, table.columns, strict=True):
            try:
                made = column_from_arrow(name, column, rules, noted)
            except DataError as error:
                if findings is None:
                    raise
                mend = error.mend if isinstance(error, OutOfRangeError) else None
                findings.refused(name, error.message.removeprefix(f"column {name!r} "), mend)
            else:
                if made is not None:
                    columns.append(replace(made, values_N=placed(disk, made.values_N)))
            advance(1)
        return tuple(columns)


def column_from_arrow(
    name: str, column: "pa.ChunkedArray", rules: ColumnRules = EVERYTHING, findings: Findings | None = None
) -> Column | None:
    """One Arrow column as a raw `Column`, None where it is left out; raises DataError for what is refused.

    Args:
        name: of the column.
        column: its values, of any type.
        rules: what was asked for of all columns.
        findings: is told what was decided.

    A dictionary counts as the values it stands for. Arrow's null type is a number that is missing everywhere. Integers
    that float64 does not hold are text, and so is whatever `rules.categorical` names.
    """
    findings = findings if findings is not None else Findings()
    column = plain(column)
    if not is_text(column.type) and (name in rules.categorical or not all_exact(column)):
        column = written(column)
    if is_text(column.type):
        made = text_column(name, column, rules, findings)
    elif pa.types.is_boolean(column.type):
        value_N = column.cast(pa.int8()).fill_null(MISSING_CODE).to_numpy()
        made = Column(name, "boolean", value_N, (), Reading(missing=rules.missing))
    elif not is_numeric(column.type):
        raise DataError(
            f"column {name!r} holds {shortened_type(column.type)}, which is no number, text, time or boolean",
            f"leave it out with {flags({'drop': (name,)})}",
        )
    else:
        values_N = missing_numbers(numbers(column), rules.missing)
        made = Column(name, "number", values_N, (), _typed_reading(column.type, rules.missing))
    if made is not None and made.kind == "number":
        check_range(name, np.asarray(made.values_N, made.values_N.dtype))
    return made


def _typed_reading(kind: "pa.DataType", missing: tuple[str, ...]) -> Reading:
    """How text is read that stands for values of this numeric type."""
    date = TIME_OF_DAY if pa.types.is_time(kind) else ISO if is_date(kind) else ""
    return Reading(date=date, missing=missing)


def written(column: "pa.ChunkedArray") -> "pa.ChunkedArray":
    """Numbers, times or booleans as the text that a person would write."""
    if pa.types.is_decimal(column.type) and not all_exact(column):
        return column.cast(pa.large_string())  # its own digits, as in a CSV
    code_N, values = distinct_values(column)
    codes = pa.array(code_N, pa.int32(), mask=code_N == MISSING_CODE)
    return pa.chunked_array([pa.DictionaryArray.from_arrays(codes, pa.array(value_names(values), pa.string()))])


def check_range(name: str, values_N: NDArray[np.floating]) -> None:
    """Raise DataError when a number is infinite or too large for float32, in which features are kept."""
    if not len(values_N):
        return
    low, high = np.fmin.reduce(values_N), np.fmax.reduce(values_N)
    if np.isnan(low) or max(-low, high) <= FLOAT32_LARGEST:
        return
    infinite_N, mend = np.isinf(values_N), None
    if infinite_N.any():
        mend = {"missing": tuple(sign for sign, there in (("inf", high == np.inf), ("-inf", low == -np.inf)) if there)}
        message = f"column {name!r} has an infinite value in row {int(infinite_N.argmax()) + 1}"
    else:
        row = int((np.abs(values_N) > FLOAT32_LARGEST).argmax())
        message = f"column {name!r} has {shortened(float(values_N[row]))} in row {row + 1}, more than float32 can hold"
    raise OutOfRangeError(message, mend, f"mend it, or leave the column out with {flags({'drop': (name,)})}")

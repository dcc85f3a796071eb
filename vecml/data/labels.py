"""From the target column to class indices: any type, as long as it takes few distinct values.

Classes are sorted by value, not by spelling, and named as a person would write them: "3", "0.5", "true", "2024-05-01".
"""

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from vecml.data.advice import Advice
from vecml.data.arrow_types import is_numeric, is_text, plain, shortened_type
from vecml.data.bins import cut
from vecml.data.categories import category_codes
from vecml.data.distinct import distinct_values, value_names
from vecml.data.findings import Findings
from vecml.data.number_text import parse_numbers
from vecml.data.reading import PLAIN
from vecml.data.table import MISSING_CODE
from vecml.errors import DataError
from vecml.numbers import count

MOST_NUMBERS = 100
DEFAULT_BINS = 4


def labels_from_arrow(
    target: str,
    column: "pa.ChunkedArray",
    bins: int | None = None,
    findings: Findings | None = None,
    advice: Advice | None = None,
) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Class indices (int64, -1 where the label is missing) and the class names that occur, sorted.

    Text that says numbers or booleans throughout is that: "1.0" and "1" are one class. A number that is infinite counts
    as missing.

    Args:
        target: name of the column.
        column: its values, of any type.
        bins: cut numbers into so many classes at most; None: each number is a class.
        findings: is told what was decided.
        advice: for the hint of a refusal.

    Raises:
        DataError: it looks like regression (more than 100 distinct numbers), is of a type that cannot be a label, or is
            to be cut but holds no numbers.
    """
    findings, advice = findings or Findings(), advice or Advice()
    column = plain(column)
    if not (is_text(column.type) or is_numeric(column.type) or pa.types.is_boolean(column.type)):
        raise DataError(
            f"target {target!r} holds {shortened_type(column.type)}, which is no number, text, time or boolean",
            advice.another_target(unusable=True),
        )
    code_N, distinct = _said_values(column)
    is_number = distinct.dtype.kind in "iuf"
    unlabelled = int((code_N == MISSING_CODE).sum())
    if unlabelled:
        findings.decided("VML002", None, f"{count(unlabelled, 'row')} without a label in {target!r} dropped")
    if is_number:
        code_N, distinct = _without_infinite(target, code_N, distinct, findings)
    if bins is not None:
        return _binned(target, code_N, distinct, bins, findings, advice)
    if is_number and len(distinct) > MOST_NUMBERS:
        raise DataError(
            f"target {target!r} looks like regression: it has {len(distinct):,} distinct numbers",
            f"vecml trains classifiers; to cut it into classes: {advice.command({'bins': DEFAULT_BINS})}",
        )
    names = value_names(distinct, utc=getattr(column.type, "tz", None) is not None)
    return code_N, names


def _said_values(column: "pa.ChunkedArray") -> tuple[NDArray[np.int64], NDArray[Any]]:
    """Codes (int64, -1 where missing) and the sorted distinct values, whatever type says them."""
    if not is_text(column.type):
        return distinct_values(column)
    text_N, texts = category_codes(column)
    code_N, values = text_N.astype(np.int64), np.array(texts.to_pylist(), dtype=object)
    stripped = [text.strip() for text in values]
    said: NDArray[Any] = parse_numbers(pa.array(stripped, pa.large_string()), PLAIN)
    if len(texts) and not np.isnan(said).any():
        said += 0.0  # so that there is one zero
    elif len(texts) and all(text.lower() in ("true", "false") for text in stripped):
        said = np.array([text.lower() == "true" for text in stripped])
    else:
        return code_N, values
    distinct, recode_D = np.unique(said, return_inverse=True)
    return np.append(recode_D, MISSING_CODE)[code_N], distinct


def _without_infinite(
    target: str, code_N: NDArray[np.int64], distinct: NDArray[Any], findings: Findings
) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """The codes and the distinct numbers without infinite ones, which are at both ends."""
    finite = np.isfinite(distinct.astype(np.float64))
    if finite.all():
        return code_N, distinct
    below = int(finite.argmax()) if finite.any() else 0
    finite_N = (code_N != MISSING_CODE) & np.append(finite, False)[code_N]
    rows = count(int((code_N != MISSING_CODE).sum() - finite_N.sum()), "row")
    findings.decided("VML002", None, f"{rows} with an infinite number as the label in {target!r} dropped")
    return np.where(finite_N, code_N - below, MISSING_CODE), distinct[finite]


def _binned(
    target: str,
    code_N: NDArray[np.int64],
    distinct: NDArray[Any],
    bins: int,
    findings: Findings,
    advice: Advice,
) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """The classes of the numbers or times cut at their quantiles."""
    is_time = distinct.dtype.kind == "M"
    if distinct.dtype.kind not in "iufM":
        raise DataError(
            f"--bins {bins}: target {target!r} holds no numbers",
            f"its values are classes as they are: {advice.command({'bins': None})}",
        )
    seconds = distinct.astype("datetime64[us]").astype(np.int64) / 1e6 if is_time else distinct.astype(np.float64)
    labelled = code_N != MISSING_CODE
    if not labelled.any():
        return code_N, ()
    class_N = np.full(len(code_N), MISSING_CODE, np.int64)
    class_N[labelled], names = cut(seconds[code_N[labelled]], bins, time=is_time)
    if len(names) < bins:
        findings.decided(
            "VML045", None, f"--bins {bins} makes {len(names)} classes of {target!r}: equal numbers stay in one", {}
        )
    return class_N, names

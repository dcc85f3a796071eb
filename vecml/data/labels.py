"""From the target column to class indices: any type, as long as it takes few distinct values.

Classes are sorted by value, not by spelling, and named as a person would write them: "3", "0.5", "true", "2024-05-01".
"""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from vecml.data.advice import OFFERED_BINS, Advice
from vecml.data.arrow_types import all_exact, is_numeric, is_text, plain, shortened_type
from vecml.data.bins import cut
from vecml.data.categories import category_codes
from vecml.data.distinct import distinct_values, value_names
from vecml.data.findings import Findings, Step
from vecml.data.na_words import NA
from vecml.data.reading import Reading
from vecml.data.remedy import flags
from vecml.data.selection import listed
from vecml.data.table import MISSING_CODE, Column
from vecml.data.text_column import EVERYTHING, ColumnRules, Said, category, steps_for, tell_alike, what_it_says
from vecml.data.text_values import MARKERS, read_texts
from vecml.errors import DataError
from vecml.numbers import count

MOST_NUMBERS = 100
FEWEST_OTHERS = 2
NAMES_OF_CLASSES = frozenset({"none", "nil"})  # markers among numbers, but common names of a class
AS_WRITTEN = Said("category", Reading(missing=("",)))


def labels_from_arrow(
    target: str,
    column: "pa.ChunkedArray",
    bins: int | None = None,
    findings: Findings | None = None,
    advice: Advice | None = None,
    rules: ColumnRules = EVERYTHING,
) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Class indices (int64, -1 where the label is missing) and the class names that occur, sorted.

    Text that says numbers or booleans is that: "1.0" and "1" are one class. A number that is infinite counts
    as missing.

    Args:
        target: name of the column.
        column: its values, of any type.
        bins: cut numbers into so many classes at most; None: each number is a class.
        findings: is told what was decided.
        advice: for the hint of a refusal.
        rules: what was asked for of all columns.

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
    code_N, distinct = _said_values(target, column, bins=bins is not None, rules=rules, findings=findings)
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
            f"vecml trains classifiers; to cut it into classes: {advice.command({'bins': OFFERED_BINS})}",
        )
    names = value_names(distinct, utc=getattr(column.type, "tz", None) is not None)
    return code_N, names


def _said_values(
    target: str, column: "pa.ChunkedArray", *, bins: bool, rules: ColumnRules, findings: Findings
) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """Codes (int64, -1 where missing) and the sorted distinct values, whatever type says them.

    Text is numbers or truth values by the rules for features, with two exceptions. Words among numbers are missing only
    where they are known markers, since a row without a label is dropped. And `$5` is the name of a class, unless the
    numbers are to be cut into `bins` or are too many to be classes.
    """
    if pa.types.is_decimal(column.type) and not bins and not all_exact(column):
        column = column.cast(pa.large_string())
    if not is_text(column.type):
        return distinct_values(column)
    text_N, values = category_codes(column)
    count_D = np.bincount(text_N + 1, minlength=len(values) + 1)[1:]
    texts = pc.utf8_trim_whitespace(values.cast(pa.large_string()))
    said = AS_WRITTEN if target in rules.categorical else what_it_says(texts, count_D, day_first=rules.day_first)
    needed = bins or len(texts) > MOST_NUMBERS
    is_number = said.kind != "category" and (bins or not said.reading.date)
    if not is_number or ((said.odd or not said.reading.number.is_plain) and not needed):
        if said.code in ("VML034", "VML037"):
            findings.decided(said.code, target, said.what, {"categorical": (target,)}, steps_for(target, said))
        words = category(target, text_N, values, AS_WRITTEN.reading)
        if target not in rules.categorical:
            _tell_markers(target, words, findings, is_na_word=target in rules.words)
            tell_alike(words, findings)
        return words.values_N.astype(np.int64), np.array(words.categories, dtype=object)
    if said.code:
        findings.decided(said.code, target, said.what, None, steps_for(target, said))
    values_D, _ = read_texts(said.kind, said.reading, texts)
    present_D = ~np.isnan(values_D)
    found = values_D[present_D] + 0.0  # so that there is one zero
    distinct, place = np.unique(found == 1 if said.kind == "boolean" else found, return_inverse=True)
    recode_D = np.full(len(values_D) + 1, MISSING_CODE, np.int64)
    recode_D[:-1][present_D] = place
    if said.reading.date:
        distinct = (distinct * 1e6).astype(np.int64).astype("datetime64[us]")
    return recode_D[text_N], distinct


def _tell_markers(target: str, words: Column, findings: Findings, *, is_na_word: bool) -> None:
    """Say which classes are called as a missing value often is, where there are two others of letters or digits.

    So `+` and `-` are two classes, and so are `yes` and `.`: without the second there would be nothing to learn.
    """
    known = {NA.lower()} if is_na_word else set()
    markers = [name for name in words.categories if name.lower() in MARKERS - NAMES_OF_CLASSES - known]
    others = [name for name in words.categories if name not in markers and any(map(str.isalnum, name))]
    if not markers or len(others) < FEWEST_OTHERS:
        return
    codes = [words.categories.index(name) for name in markers]
    rows = count(int(np.isin(words.values_N, codes).sum()), "row")
    classes = f"the class {markers[0]!r}" if len(markers) == 1 else f"the classes {listed(markers)}"
    findings.decided(
        "VML038",
        target,
        f"has {classes}, in {rows}: is that a missing label?",
        {"categorical": (target,)},
        (Step({"missing": tuple(markers)}, "leaves these rows out"),),
    )


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
            f"{flags({'bins': bins})}: target {target!r} holds no numbers",
            f"its values are classes as they are: {advice.command({'bins': None})}",
        )
    seconds = distinct.astype("datetime64[us]").astype(np.int64) / 1e6 if is_time else distinct.astype(np.float64)
    labelled = code_N != MISSING_CODE
    if not labelled.any():
        return code_N, ()
    class_N = np.full(len(code_N), MISSING_CODE, np.int64)
    class_N[labelled], names = cut(seconds[code_N[labelled]], bins, time=is_time)
    if len(names) < bins:
        asked = flags({"bins": bins})
        what = f"{asked} makes {count(len(names), 'class')} of {target!r}: equal numbers stay in one"
        findings.decided("VML045", None, what, {})
    return class_N, names

"""What a text column is: numbers, dates, truth values, categories, or text that only names its rows.

The rules look at distinct values and at how many rows have each, never at rows one by one:

- Numbers, dates and truth values are told by what the text says. All values keep one way of writing; what cannot be
  told apart (`01/02/2019`) is decided for the column and said.
- A column of which half the rows say numbers (or dates), more than 10 different ones, and too many others something
  else to count as missing, is text like any other; that is said. So it is where 95 % say a few numbers.
- A known marker (`?`, `n/a`, `-`) among numbers or dates is a missing value. Other words are so too where there are
  more than 10 distinct numbers and the words are few: at most 20 and at most a tenth as many as the distinct numbers,
  in at most 5 % of the rows (or one row). A single word may fill half of the rows (`never` in a column of years): that
  the value is missing is a feature too, which says as much as the word. So `1`, `2`, `A` stay categories, and one
  `207a` among house numbers does not make categories of them.
- An integer that float64 does not hold only names something: such a column is text.
- Text of which more than half of the rows have a value of their own is left out, where there are more than 10 values.
- All other text is categories; of more than `max_categories` the commonest are kept and the others are one.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from vecml.data.categories import category_codes
from vecml.data.date_text import TURN, date_format, has_short_year
from vecml.data.findings import Findings, Step
from vecml.data.number_text import (
    number_format,
    parse_numbers,
    sample_places,
    whole_numbers_beyond_float64,
    with_leading_zeros,
)
from vecml.data.reading import PLAIN, NumberFormat, Reading
from vecml.data.selection import shortened
from vecml.data.table import MISSING_CODE, Column, Kind
from vecml.data.text_values import TRUTH, is_marker, is_silent_marker, read_texts, stands_for_missing
from vecml.numbers import count

MOST_ODD_ROWS = 0.05
MOST_ODD_ROWS_OF_ONE = 0.5
MOST_ODD_SHARE = 0.1
MOST_ODD_VALUES = 20
FEW_VALUES = 10
NEARLY_UNIQUE = 0.5
SHOWN_VALUES = 5
# A fraction, a range, a value with its error, a place: numbers with something between them that is no part of one.
TWO_NUMBERS = r"^[(\[]?[+-]?\d+(\.\d+)?\s*(/|-|–|—|:|x|×|±|\+/-|\(|,\s|;|\||\bto\b|\.\.+)\s*[+-]?\d+(\.\d+)?[)\]]?$"
MOST_CATEGORIES = 10_000  # the largest --max-categories


@dataclass(frozen=True)
class ColumnRules:
    """The user's word on how columns are read.

    Attributes:
        max_categories: the commonest values of a text column that become categories; None keeps all.
        categorical: columns that are categories whatever they say.
        missing: texts that stand for a missing value.
        words: columns of a text file in which `NA` is a word.
        day_first: whether dates that fit both have the day first.
    """

    max_categories: int | None = None
    categorical: frozenset[str] = frozenset()
    missing: tuple[str, ...] = ()
    words: frozenset[str] = frozenset()
    day_first: bool = False


EVERYTHING = ColumnRules()


@dataclass(frozen=True)
class Said:
    """The meaning of a column's distinct values.

    Attributes:
        kind: what the column is.
        reading: how they are read.
        odd: words that count as missing although they are no known markers; of text that is mostly numbers, all others.
        code: of the warning that tells it; empty where there is nothing to tell.
        what: the predicate of the warning.
        instead: the settings that say the same openly; None where there are none.
        zeros: whether numbers had zeros before them, which they do not keep.
        steps: what the user can do about it, where that names no column.
    """

    kind: Kind
    reading: Reading
    odd: tuple[str, ...] = ()
    code: str = ""
    what: str = ""
    instead: Mapping[str, Any] | None = None
    zeros: bool = False
    steps: tuple[Step, ...] = ()


def text_column(name: str, column: "pa.ChunkedArray", rules: ColumnRules, findings: Findings) -> Column | None:
    """A text column as a raw column of the kind that it says; None where it is left out.

    Args:
        name: of the column.
        column: its texts, or a dictionary of texts.
        rules: what was asked for of all columns.
        findings: is told what was decided.

    Decisions go into `findings`: VML030 (left out), VML031 (values pooled), VML032 (words are missing), VML033 (dates
    that fit two formats, or have years of two digits), VML034 (integers that float64 does not hold), VML035 (numbers
    with units or separators, or without their leading zeros), VML037 (mostly numbers or dates, but text).
    """
    code_N, values = category_codes(column)
    count_D = np.bincount(code_N + 1, minlength=len(values) + 1)[1:]
    texts = pc.utf8_trim_whitespace(values.cast(pa.large_string()))
    if name in rules.categorical:
        said = Said("category", Reading(missing=("", *rules.missing)))
    else:
        said = what_it_says(texts, count_D, rules.missing, day_first=rules.day_first)
    reading, all_D = said.reading, count_D
    if said.kind == "category":
        count_D = count_D[~stands_for_missing(texts, reading.missing)]
    dropped = said.kind == "category" and name not in rules.categorical and is_nearly_unique(count_D)
    if said.code:
        as_text = {"drop": (name,)} if dropped else {"categorical": (name,)}
        instead = as_text if said.kind == "category" else said.instead
        findings.decided(said.code, name, said.what, instead, steps_for(name, said, dropped=dropped))
    if said.kind == "category":
        if name not in rules.categorical and not said.code:
            _tell_pairs(name, texts, all_D, findings)
        if dropped:
            rows = count(int(count_D.sum()), "row")
            why = f"text that is nearly unique, with {len(count_D):,} distinct values in {rows}"
            findings.dropped("VML030", name, why)
            return None
        _tell_pooled(name, count_D, rules.max_categories, findings)
        if name in rules.words:
            reading = replace(reading, na_is_word=True)
        made = category(name, code_N, values, reading, rules.max_categories)
        if name not in rules.categorical:
            tell_alike(made, findings)
        return made
    values_D, _ = read_texts(said.kind, reading, texts)
    values_N = np.append(values_D, np.nan)[code_N]
    if said.kind == "boolean":
        return Column(
            name, "boolean", np.where(np.isnan(values_N), MISSING_CODE, values_N).astype(np.int8), (), reading
        )
    return Column(name, "number", values_N, (), reading)


def _tell_pairs(name: str, texts: "pa.Array", count_D: NDArray[np.int64], findings: Findings) -> None:
    """Say with VML037 that nearly all of many texts (D,) hold two numbers each: `1/2`, `10-20`, `5.1 ± 0.3`."""
    pair_D = pc.match_substring_regex(texts, TWO_NUMBERS).fill_null(False).to_numpy(zero_copy_only=False)
    rows = int(count_D[pair_D].sum())
    if int((pair_D & (count_D > 0)).sum()) <= FEW_VALUES or rows < (1 - MOST_ODD_ROWS) * int(count_D.sum()):
        return
    example = shortened(texts[int(np.where(pair_D, count_D, 0).argmax())].as_py())
    what = f"holds two numbers in each text, such as {example}, and is read as text: give each a column of its own"
    findings.decided("VML037", name, what, {})


def tell_alike(column: Column, findings: Findings) -> None:
    """Say which values of a category column (or of a label) differ in capital letters only, with VML039."""
    first: dict[str, str] = {}
    found = [(first.setdefault(value.casefold(), value), value) for value in column.categories]
    pairs = [(one, other) for one, other in found if one != other]
    if pairs:
        shown = ", ".join(f"{shortened(one)} and {shortened(other)}" for one, other in pairs[:SHOWN_VALUES])
        more = f" and {len(pairs) - SHOWN_VALUES:,} more" if len(pairs) > SHOWN_VALUES else ""
        what = f"has values that differ in capital letters only, and count as different: {shown}{more}"
        findings.decided("VML039", column.name, what, {"categorical": (column.name,)})


def steps_for(name: str, said: Said, *, dropped: bool = False) -> tuple[Step, ...]:
    """Give what the user can do about how the column of this name was read; `dropped`: it is left out as it is."""
    as_text = Step({"categorical": (name,)}, "keeps it as text")
    if said.code == "VML037":
        few = len(said.odd) <= MOST_ODD_VALUES
        made = Step({"missing": said.odd}, "lets them count as missing, and makes numbers of the rest")
        if dropped:
            return (made,) if few else ()
        return (made if few else Step({"drop": (name,)}, "leaves it out"), as_text)
    return (as_text,) if said.zeros else said.steps


def category(
    name: str,
    code_N: NDArray[np.int32],
    values: "pa.Array",
    reading: Reading,
    max_categories: int | None = None,
) -> Column:
    """A category column, without the texts that stand for a missing value.

    Args:
        name: of the column.
        code_N: int32 (N,), a place of `values` for each row, -1 where missing.
        values: sorted distinct texts.
        reading: names the texts that are missing values.
        max_categories: as in `Column`.
    """
    missing_D = stands_for_missing(pc.utf8_trim_whitespace(values.cast(pa.large_string())), reading.missing)
    if missing_D.any():
        recode_D = np.full(len(values) + 1, MISSING_CODE, np.int32)
        recode_D[:-1][~missing_D] = np.arange((~missing_D).sum(), dtype=np.int32)
        code_N, values = recode_D[code_N], values.filter(pa.array(~missing_D))
    return Column(name, "category", code_N, tuple(values.to_pylist()), reading, max_categories)


def what_it_says(
    texts: "pa.Array", count_D: NDArray[np.int64], missing: tuple[str, ...] = (), *, day_first: bool = False
) -> Said:
    """Decide how a column is read, by the rules above.

    Args:
        texts: its distinct values (D,) without blanks around them, as large strings.
        count_D: rows of each.
        missing: texts that were declared to stand for a missing value.
        day_first: whether dates that fit both have the day first.
    """
    declared_D = stands_for_missing(texts, ("", *missing))
    marker_D = declared_D | is_marker(texts)
    plain_text = Said("category", Reading(missing=("", *missing)))
    if marker_D.all():
        return Said("number", Reading(missing=missing)) if declared_D.all() else plain_text
    said, count_S = texts.filter(pa.array(~marker_D)), count_D[~marker_D]
    if _are_truth_values(said):
        found = Said("boolean", Reading(missing=missing))
    elif _rows_with(said, "[0-9]|^[+-]?(?i:inf|infinity)$", count_S) < 1 - _odd_share(count_S, single=True):
        return plain_text
    else:
        found = _numbers_or_dates(said, count_S, missing, day_first=day_first)
    if found.kind == "category":
        return found
    told_D = marker_D & ~declared_D & ~is_silent_marker(texts)
    if found.odd:
        told_D |= stands_for_missing(texts, found.odd)
    if not told_D.any():
        return found
    words = tuple(texts.filter(pa.array(told_D)).to_pylist())
    word, rows = "counts" if len(words) == 1 else "count", count(int(count_D[told_D].sum()), "row")
    what = f"{found.what or _as(found)}; {', '.join(map(shortened, words))} {word} as missing, in {rows}"
    return replace(found, code="VML032", what=what, instead=None if found.what else {"missing": words})


def _numbers_or_dates(
    said: "pa.Array", count_S: NDArray[np.int64], missing: tuple[str, ...], *, day_first: bool
) -> Said:
    """What texts (S,) that are no markers say; with what is told of it."""
    sample = said.take(pa.array(sample_places(count_S)))
    plainly = not np.isnan(parse_numbers(sample, PLAIN)).any() and not np.isnan(parse_numbers(said, PLAIN)).any()
    if plainly:
        if (as_text := _beyond_float64(said, None, missing)) is not None:
            return as_text
        zeros = with_leading_zeros(said)
        if len(zeros):
            what = f"read as numbers, without the leading zeros of values such as {shortened(zeros[0].as_py())}"
            return Said("number", Reading(missing=missing), (), "VML035", what, zeros=True)
        return Said("number", Reading(missing=missing))
    share = 1 - _odd_share(count_S, single=True)
    number = number_format(said, share, count_S)
    date = date_format(said, share, count_S, day_first=day_first)
    found: list[tuple[NDArray[np.bool_], Said]] = []
    if number is not None:
        style, other, values_S = number
        if (as_text := _beyond_float64(said, style, missing)) is not None:
            return as_text
        code = "" if style.is_plain else "VML035"
        what = f"read as {style.described()}" + (f"; {other}" if other else "")
        read_S = ~np.isnan(values_S)
        found.append((read_S, Said("number", Reading(style, missing=missing), (), code, what)))
    if date is not None:
        name, other, values_S = date
        found.append((~np.isnan(values_S), _dates(name, other, missing)))
    found.sort(key=lambda one: -int(count_S[one[0]].sum()))
    for read_S, made in found:
        if _few_are_odd(read_S, count_S):
            odd = tuple(said.filter(pa.array(~read_S)).to_pylist())
            return replace(made, odd=odd, reading=replace(made.reading, missing=(*missing, *odd), odd=odd))
    plain_text = Said("category", Reading(missing=("", *missing)))
    if not found:
        return plain_text
    read_S, made = found[0]
    rare = int(count_S[~read_S].sum()) <= MOST_ODD_ROWS * int(count_S.sum())
    if read_S.sum() <= FEW_VALUES and not (rare and read_S.sum() > 1):
        return plain_text
    odd = tuple(said.filter(pa.array(~read_S)).to_pylist())
    return replace(plain_text, odd=odd, code="VML037", what=_mostly(made, said, read_S, count_S))


def _beyond_float64(said: "pa.Array", style: NumberFormat | None, missing: tuple[str, ...]) -> Said | None:
    """That the column is text, because integers in it, written in this style, would be equal numbers; else None."""
    beyond = whole_numbers_beyond_float64(said, style)
    if not len(beyond):
        return None
    value = said[int(beyond[0])].as_py()
    what = f"read as text: it has integers that float64 cannot hold, such as {shortened_digits(value)}"
    return Said("category", Reading(missing=("", *missing)), (), "VML034", what)


def _dates(name: str, other: str, missing: tuple[str, ...]) -> Said:
    """Dates of this format, which may be of the `other` one as well ("": they may not); with what is told of it."""
    doubts = [f"though they may be {other} as well"] if other else []
    if has_short_year(name):
        doubts.append(f"with the years {TURN} to 99 before 2000 and 00 to {TURN - 1} after")
    what = ", ".join([f"read as dates written {name}", *doubts])
    turns = other.startswith("DD") and len(doubts) == 1
    if doubts and not turns:
        what += "; write them as YYYY-MM-DD where that is wrong"
    openly = {"day_first": True} if other and name.startswith("DD") and len(doubts) == 1 else None
    steps = (Step({"day_first": True}, "reads the day first"),) if other.startswith("DD") else ()
    code = "VML033" if doubts else ""
    return Said("number", Reading(date=name, missing=missing), (), code, what, openly, steps=steps)


def _mostly(made: Said, said: "pa.Array", read_S: NDArray[np.bool_], count_S: NDArray[np.int64]) -> str:
    """The predicate for texts (S,) of which most say numbers or dates, those of `read_S`."""
    sort = f"dates written {made.reading.date}" if made.reading.date else made.reading.number.described()
    odd_rows = np.where(read_S, 0, count_S)
    commonest = np.argsort(-odd_rows, kind="stable")[: min(SHOWN_VALUES, int((~read_S).sum()))]
    examples = ", ".join(shortened(said[int(place)].as_py()) for place in commonest)
    rows = f"{int(odd_rows.sum()):,} of {count(int(count_S.sum()), 'row')}"
    return f"is mostly {sort}, but read as text: {rows} say something else, such as {examples}"


def shortened_digits(digits: str) -> str:
    """Digits as they stand, cut so that a warning stays one line."""
    return digits if len(digits) <= 30 else digits[:27] + "..."


def _as(found: Said) -> str:
    return "read as " + ("truth values" if found.kind == "boolean" else "dates" if found.reading.date else "numbers")


def _odd_share(count_S: NDArray[np.int64], *, single: bool) -> float:
    """The share of rows that may say something else: 5 % or one row; half of them in a single word."""
    return MOST_ODD_ROWS_OF_ONE if single else max(MOST_ODD_ROWS, 1 / float(count_S.sum()))


def _few_are_odd(read_S: NDArray[np.bool_], count_S: NDArray[np.int64]) -> bool:
    odd, read = int((~read_S).sum()), int(read_S.sum())
    if not odd:
        return True
    few_rows = int(count_S[~read_S].sum()) <= _odd_share(count_S, single=odd == 1) * int(count_S.sum())
    return few_rows and read > FEW_VALUES and odd <= min(MOST_ODD_VALUES, max(1, MOST_ODD_SHARE * read))


def _rows_with(texts: "pa.Array", pattern: str, count_S: NDArray[np.int64]) -> float:
    matched_S = pc.match_substring_regex(texts, pattern).to_numpy(zero_copy_only=False)
    return float(count_S[matched_S].sum()) / float(count_S.sum())


def _are_truth_values(texts: "pa.Array") -> bool:
    """Whether all texts are truth values and one of them a word: 0 and 1 alone are numbers."""
    if len(texts) > 4 * len(TRUTH):
        return False
    words = {text.lower() for text in texts.to_pylist()}
    return words <= TRUTH.keys() and not words <= {"0", "1"}


def is_nearly_unique(count_D: NDArray[np.int64]) -> bool:
    """Whether most rows have a text of their own, given the rows of each distinct one (D,)."""
    return len(count_D) > FEW_VALUES and int((count_D == 1).sum()) > NEARLY_UNIQUE * int(count_D.sum())


def _tell_pooled(name: str, count_D: NDArray[np.int64], kept: int | None, findings: Findings) -> None:
    distinct = len(count_D)
    if kept is None or distinct <= kept:
        return
    pooled = int(np.sort(count_D)[: distinct - kept].sum())
    what = (
        f"is text of {distinct:,} distinct values: the {kept:,} commonest are categories,"
        f" and the others, in {count(pooled, 'row')}, are one"
    )
    most = max([distinct, *((one.instead or {}).get("max_categories", 0) for one in findings.decisions)])
    findings.decided("VML031", name, what, {"max_categories": most} if most <= MOST_CATEGORIES else None)

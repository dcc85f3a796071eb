"""Numbers as people write them: with a unit, thousands separators, a decimal comma, a bound such as `<0.5` or `90+`.

A column keeps one way of writing (`NumberFormat`). It is found from the commonest distinct values, then tried on all.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from vecml.data.reading import NumberFormat

EXPONENT = r"(?:[eE][+-]?[0-9]+)?"
PLAIN_NUMBER = rf"^[+-]?(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+){EXPONENT}|(?i:inf|infinity))$"
WHOLE_NUMBER = r"^[+-]?(?:[0-9]+|0[xX][0-9a-fA-F]{1,15})$"
HEXADECIMAL = r"^-?0[xX][0-9a-fA-F]{1,15}$"  # Arrow takes it for an integer in a CSV
NEGATIVE = r"^\(([^()]*[0-9][^()]*)\)$|^([^-]*[0-9])-$"  # (12), 12-
BLANKS = " \u00a0\u2009\u202f"
MARKS = {"": "", ".": r"\.", ",": ",", " ": f"[{BLANKS}]", "'": "['’]", "_": "_"}
# Decimal mark and thousands mark, in the order of preference where several fit.
STYLES = ((".", ""), (".", ","), (",", ""), (",", "."), (".", " "), (",", " "), (".", "'"), (",", "'"), (".", "_"))
BOUND = r"^(?:[<>≤≥]=?|[~≈])\s*|\+$"
WORD = re.compile(r"[^\W\d_]{2,}(?: [^\W\d_]+)*")
IRREGULAR = {"feet": "foot"}
CURRENCIES = frozenset(
    {"AUD", "BRL", "CAD", "CHF", "CNY", "CZK", "DKK", "EUR", "GBP", "HKD", "ILS", "INR", "JPY", "KRW", "MXN", "NOK"}
    | {"NZD", "PLN", "RUB", "SEK", "SGD", "THB", "TRY", "USD", "ZAR"}
)
UNIT_SIGNS = frozenset({"%", "‰", "°", "°C", "°F", "′", "″", "'", '"'})
LETTER_UNIT = re.compile(r"(?:[^\W\d_]{1,10} )?[^\W\d_][^\W\d_²³°/·^%]{0,9}(?:[²³23]|/[^\W\d_]{1,6}[²³23]?)?")
AFFIXES = re.compile(
    r"\(?[-+−]?\s*(?P<before>[^\d\s.,()+−-]{0,4})\s*[-+−]?\s*"
    r"[.,]?\d(?:[\d.,'’_ \u00a0\u2009\u202f]*\d)?(?:[eE][+-]?\d+)?"
    r"\s*(?P<after>[^\d\s.,()+−-](?:[^.,()+−-]*[^\s.,()+−-])?)?\)?-?"
)
FEW_NUMBERS = 10
SAMPLE = 200
NEAR = 0.1  # between shares of a sample: what is less near to the best will not be better on all


def parse_numbers(texts: "pa.Array", style: NumberFormat) -> NDArray[np.float64]:
    """The numbers that texts (D,) without blanks around them say in this style: float64 (D,), NaN where they do not."""
    texts = _signed(texts)
    if style.bounds:
        texts = pc.replace_substring_regex(texts, BOUND, "")
    if replace(style, bounds=False).is_plain:
        return _plain(texts)
    found, number = _plainly_written(texts, style)
    values_D = _plain(number.filter(found.is_valid()))
    made_D = np.full(len(texts), np.nan)
    matched_D = found.is_valid().to_numpy(zero_copy_only=False)
    negative = pc.match_substring(found.field("s"), "-").filter(found.is_valid())
    made_D[matched_D] = np.where(negative.to_numpy(zero_copy_only=False), -values_D, values_D)
    return made_D


def _plainly_written(texts: "pa.Array", style: NumberFormat) -> tuple["pa.Array", "pa.Array"]:
    """The parts of texts in a style, and their numbers without its unit and marks; null where they are not in it."""
    found = pc.extract_regex(texts, _pattern(style))
    number = found.field("n")
    if style.thousands:
        number = pc.replace_substring_regex(number, MARKS[style.thousands], "")
    if style.decimal != ".":
        number = pc.replace_substring(number, style.decimal, ".")
    return found, pc.if_else(found.is_valid(), number, None)


def number_format(
    texts: "pa.Array", share_needed: float, count_D: NDArray[np.int64]
) -> tuple[NumberFormat, str, NDArray[np.float64]] | None:
    """Find the one way in which most of the texts write numbers, what else it could be ("": nothing), and the numbers.

    Args:
        texts: distinct values (D,) without blanks around them, markers of missing values left out.
        share_needed: of the rows that must be numbers.
        count_D: rows of each text.

    Returns:
        None where they are no numbers.

    The unit is the one that most values of a sample have; others may have none, and `1 year` stands beside `2 years`.
    A unit of letters (`kg`) counts where there are more than 10 distinct numbers, or some have a decimal mark, or it
    has a singular and a plural, and none begins with a zero: `1A` and `007B` are codes. Of marks for decimals and
    thousands those are taken that fit most rows. `1,234` alone fits two ways: it is a thousand, unless some value shows
    otherwise.
    """
    places = sample_places(count_D)
    sample = texts.take(pa.array(places))
    before, after, is_word = _unit(sample, count_D[places])
    styles = [
        NumberFormat(decimal, thousands, before, after, bounds)
        for bounds in (False, True)
        for decimal, thousands in STYLES
    ]
    # More than half without a bound: `<=50` and `>50` alone are two categories, and not one number.
    sampled = [
        share_read(parse_numbers(sample, style), count_D[places])
        if share_read(parse_numbers(sample, replace(style, bounds=False)), count_D[places]) > 0.5
        else 0.0
        for style in styles
    ]
    near = [style for style, share in zip(styles, sampled, strict=True) if share > max(0.5, max(sampled) - NEAR)]
    values = [parse_numbers(texts, style) for style in near]
    shares = [share_read(values_D, count_D) for values_D in values]
    if not shares or max(shares) < share_needed:
        return None
    best = shares.index(max(shares))
    codes = _has_leading_zeros(sample) or (_are_few_codes(values[best]) and not is_word)
    if after and not _is_sign(after) and codes:
        return None
    tied = [style for style, share in zip(near, shares, strict=True) if share == max(shares)]
    return near[best], _other_reading(near[best], tied), values[best]


def sample_places(count_D: NDArray[np.int64]) -> NDArray[np.intp]:
    """Places (intp) of the commonest of D distinct values, and of some from everywhere: the values are sorted.

    `count_D` (int64) are the rows of each.
    """
    if len(count_D) <= SAMPLE:
        return np.arange(len(count_D))
    spread = np.linspace(0, len(count_D) - 1, SAMPLE).astype(np.intp)
    return np.union1d(spread, np.argsort(-count_D, kind="stable")[: SAMPLE // 4])


def share_read(values_D: NDArray[np.float64], count_D: NDArray[np.int64]) -> float:
    """The share of the rows whose text says something: values_D (float64) is no NaN; count_D (int64) are its rows."""
    return float(count_D[~np.isnan(values_D)].sum()) / max(1, float(count_D.sum()))


def _are_few_codes(values_D: NDArray[np.float64]) -> bool:
    """Whether the numbers are whole and so few that they may be codes as well."""
    values_D = values_D[~np.isnan(values_D)]
    return len(values_D) <= FEW_NUMBERS and bool((values_D == np.round(values_D)).all())


def _has_leading_zeros(texts: "pa.Array") -> bool:
    return bool(pc.any(pc.match_substring_regex(texts, "^[+-]?0[0-9]")).as_py())


def with_leading_zeros(texts: "pa.Array") -> "pa.Array":
    """Those of the texts that are whole numbers with zeros before them, which a number does not keep: `007`."""
    return texts.filter(pc.match_substring_regex(texts, r"^[+-]?0[0-9]+$").fill_null(False))


def whole_numbers_beyond_float64(texts: "pa.Array", style: NumberFormat | None = None) -> NDArray[np.intp]:
    """Places of the texts that are integers which float64 does not hold; at most the first one is named.

    Where a style is given, they may have its unit and marks: `10,000,000,000,000,000,001`. `10000000000000000001.00` is
    an integer, too.
    """
    texts = _signed(texts)
    if style is not None:
        texts = pc.replace_substring_regex(texts, BOUND, "")
        texts = texts if replace(style, bounds=False).is_plain else _plainly_written(texts, style)[1]
    texts = pc.replace_substring_regex(texts, r"\.0*$", "")
    long = pc.and_(pc.match_substring_regex(texts, r"^[+-]?[0-9]+$"), pc.greater(pc.binary_length(texts), 15))
    for place in np.flatnonzero(long.fill_null(False).to_numpy(zero_copy_only=False)):
        whole = int(texts[int(place)].as_py())
        if abs(whole) > 2**1023 or int(float(whole)) != whole:
            return np.array([place])
    return np.array([], np.intp)


def _signed(texts: "pa.Array") -> "pa.Array":
    """The texts with an ordinary minus in front, where they write a negative number as `−12`, `(12)` or `12-`."""
    if not pc.any(pc.match_substring_regex(texts, r"−|^\(|-$")).as_py():
        return texts
    return pc.replace_substring_regex(pc.replace_substring(texts, "−", "-"), NEGATIVE, r"-\1\2")


def _plain(texts: "pa.Array") -> NDArray[np.float64]:
    is_number = pc.match_substring_regex(texts, PLAIN_NUMBER).fill_null(False)
    values_D = np.full(len(texts), np.nan)
    number_D = is_number.to_numpy(zero_copy_only=False)
    bare = pc.utf8_ltrim(texts.filter(is_number), characters="+")  # Arrow parses no leading plus
    values_D[number_D] = bare.cast(pa.float64()).to_numpy(zero_copy_only=False)
    if not number_D.all():
        hexadecimal = pc.match_substring_regex(texts, HEXADECIMAL).fill_null(False)
        if pc.any(hexadecimal).as_py():
            made = [float(int(text, 16)) for text in texts.filter(hexadecimal).to_pylist()]
            values_D[hexadecimal.to_numpy(zero_copy_only=False)] = made
    return values_D


def _pattern(style: NumberFormat) -> str:
    decimal, thousands = MARKS[style.decimal], MARKS[style.thousands]
    whole = None
    if thousands:
        indian = rf"|[1-9][0-9]?(?:{thousands}[0-9]{{2}})+{thousands}[0-9]{{3}}" if style.thousands == "," else ""
        whole = rf"(?:[1-9][0-9]{{0,2}}(?:{thousands}[0-9]{{3}})+{indian})"
    grouped = "" if whole is None else rf"{whole}(?:{decimal}[0-9]+)?|"
    number = rf"(?:{grouped}(?:[0-9]+(?:{decimal}[0-9]+)?|{decimal}[0-9]+){EXPONENT})"
    before = rf"(?:{re.escape(style.before)})?" if style.before else ""
    after = rf"(?:{_unit_pattern(style.after)})?" if style.after else ""
    blank = f"[{BLANKS}]*"
    return rf"^(?P<s>[+-]?{blank}{before}{blank}[+-]?){blank}(?P<n>{number}){blank}{after}$"


def _unit(texts: "pa.Array", count_D: NDArray[np.int64]) -> tuple[str, str, bool]:
    """The commonest unit before and after the numbers of a sample, where it may be one.

    And whether the one after them is a word that has a singular and a plural here.
    """
    units: Counter[tuple[str, str]] = Counter()
    spelled: dict[tuple[str, str], Counter[str]] = {}
    for text, rows in zip(texts.to_pylist(), count_D, strict=True):
        found = AFFIXES.fullmatch(text)
        if found:
            unit = found["before"] or "", _singular(found["after"] or "")
            units[unit] += int(rows)
            spelled.setdefault(unit, Counter())[found["after"] or ""] += int(rows)
    unit, rows = (units.most_common(1) or [(("", ""), 0)])[0]
    spellings = spelled.get(unit, Counter([""]))
    before, after = unit[0], spellings.most_common(1)[0][0]
    may_be = (not before or _is_money(before)) and (not after or _is_sign(after) or LETTER_UNIT.fullmatch(after))
    common = 2 * rows >= units.total()  # one `207a` among numbers is no unit
    return (before, after, len(spellings) > 1) if may_be and common else ("", "", False)


def _singular(unit: str) -> str:
    """A unit that is a word without the plural's ending: `year`, `inch`; two letters are left at least."""
    if not WORD.fullmatch(unit):
        return unit
    if unit in IRREGULAR:
        return IRREGULAR[unit]
    for ending, length in (("ches", 2), ("shes", 2), ("xes", 2), ("s", 1)):
        if unit.endswith(ending) and len(unit) > length + 1 and not unit.endswith("ss"):
            return unit[:-length]
    return unit


def _unit_pattern(unit: str) -> str:
    """A unit after a number as a regular expression; a word in the singular and in the plural."""
    if not WORD.fullmatch(unit):
        return re.escape(unit)
    singular = _singular(unit)
    forms = (singular, *(plural for plural, one in IRREGULAR.items() if one == singular))
    return "(?:" + "|".join(map(re.escape, forms)) + ")(?:e?s)?"


def _is_money(unit: str) -> bool:
    return unit.upper() in CURRENCIES or any(unicodedata.category(letter) == "Sc" for letter in unit)


def _is_sign(unit: str) -> bool:
    return unit in UNIT_SIGNS or _is_money(unit)


def _other_reading(style: NumberFormat, tied: Sequence[NumberFormat]) -> str:
    """What the numbers could be as well, where a mark for thousands could be one for decimals."""
    if style.thousands and NumberFormat(style.thousands, "", style.before, style.after, style.bounds) in tied:
        return f"{style.thousands!r} could be a decimal mark as well"
    return ""

"""A column's `Reading` as plain JSON, a part of a saved model's preprocessing.json, and back."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from vecml.data.date_formats import FORMATS
from vecml.data.reading import UNKNOWN, NumberFormat, Reading
from vecml.data.selection import shortened
from vecml.data.table import Kind

DECIMALS, THOUSANDS = (".", ","), ("", ",", ".", "'", "_", " ")


def reading_to_json(reading: Reading) -> dict[str, Any]:
    """The format of a column's numbers and of its dates, and the texts that are missing values, in JSON's own types."""
    return {"number": asdict(reading.number), "date": reading.date, "missing": list(reading.missing)} | (
        ({"odd": list(reading.odd)} if reading.odd else {}) | ({"na_is_word": True} if reading.na_is_word else {})
    )


def reading_from_json(content: object, kind: Kind) -> Reading:
    """Read what `reading_to_json` gave for a column of this kind; raises ValueError, which says what is malformed."""
    if not isinstance(content, Mapping):
        raise ValueError(f"the reading {shortened(content)}")
    date, missing = content.get("date"), content.get("missing")
    if date not in ("", UNKNOWN, *FORMATS) or (date and kind != "number"):
        raise ValueError(f"the date format {shortened(date)}")
    if not isinstance(missing, list) or not all(isinstance(text, str) for text in missing):
        raise ValueError(f"the missing texts {shortened(missing)}")
    odd = content.get("odd", [])
    if not isinstance(odd, list) or not all(isinstance(text, str) and text in missing for text in odd):
        raise ValueError(f"the odd texts {shortened(odd)}")
    na_is_word = content.get("na_is_word", False)
    if not isinstance(na_is_word, bool) or (na_is_word and kind != "category"):
        raise ValueError(f"{shortened(na_is_word)} for whether NA is a word")
    return Reading(_number(content.get("number")), date, tuple(missing), tuple(odd), na_is_word)


def reading_before_format_2(kind: Kind) -> Reading:
    """Give what is known of a column's text where a model did not keep it."""
    return Reading(date=UNKNOWN if kind == "number" else "")


def _number(content: object) -> NumberFormat:
    if not isinstance(content, Mapping):
        raise ValueError(f"the number format {shortened(content)}")
    decimal, thousands, bounds = content.get("decimal"), content.get("thousands"), content.get("bounds")
    before, after = content.get("before"), content.get("after")
    if decimal not in DECIMALS or thousands not in THOUSANDS or decimal == thousands:
        raise ValueError(f"the decimal mark {shortened(decimal)} and the thousands mark {shortened(thousands)}")
    if not isinstance(before, str) or not isinstance(after, str) or not isinstance(bounds, bool):
        raise ValueError(f"the unit {shortened(before)}, {shortened(after)} and the bounds {shortened(bounds)}")
    return NumberFormat(decimal, thousands, before, after, bounds)

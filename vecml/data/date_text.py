"""Dates and times as people write them: one format for a whole column, never a guess for each value.

The day and the month are told apart by the column: some value shows a day beyond 12.
"""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from vecml.data.date_formats import FORMATS, TIME_AND_ZONE, WITHOUT_TIME
from vecml.data.number_text import sample_places, share_read
from vecml.data.reading import TIME_OF_DAY

TURN = 69  # as in POSIX and in Python's strptime
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")


def parse_dates(texts: "pa.Array", name: str) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Read texts (D,) without blanks around them as dates of a format of `FORMATS`.

    Returns:
        Seconds since 1970-01-01 UTC, of a time of day since midnight: float64 (D,), NaN where a text says no date of
        this format, such as the 31st of April. And whether each names a zone; without one it counts as UTC.
    """
    pattern = FORMATS[name] if name in WITHOUT_TIME else FORMATS[name] + TIME_AND_ZONE
    found = pc.extract_regex(texts, f"^(?:{pattern})$")
    matched_D = found.is_valid().to_numpy(zero_copy_only=False)
    if not matched_D.any():
        return np.full(len(texts), np.nan), np.zeros(len(texts), np.bool_)
    fields = found.filter(found.is_valid())
    seconds, good = _clock(fields, most_hours=1_000 if name == TIME_OF_DAY else 24)
    if name != TIME_OF_DAY:
        days, valid = _days(fields, short_year=has_short_year(name))
        seconds, good = days * 86_400.0 + seconds, good & valid
    offset, zoned = _zone(fields)
    seconds_D = np.full(len(texts), np.nan)
    seconds_D[matched_D] = np.where(good, seconds - offset, np.nan)
    zoned_D = np.zeros(len(texts), np.bool_)
    zoned_D[matched_D] = zoned & good
    return seconds_D, zoned_D


def has_short_year(name: str) -> bool:
    """Whether years have two digits in the format of this name."""
    return name.endswith("YY") and not name.endswith("YYYY")


def date_format(
    texts: "pa.Array", share_needed: float, count_D: NDArray[np.int64], *, day_first: bool = False
) -> tuple[str, str, NDArray[np.float64]] | None:
    """Find the one format in which most of the texts are dates, another that fits as well ("": none), and the seconds.

    Args:
        texts: distinct values (D,) without blanks around them, markers of missing values left out.
        share_needed: of the rows that must be dates.
        count_D: rows of each text.
        day_first: of two formats that fit all rows, the one with the day first is taken, and no other is named.

    Returns:
        None where they are no dates, and where some name a zone and others none: they cannot be compared.
    """
    places = sample_places(count_D)
    sample = texts.take(pa.array(places))
    found = {}
    for name in FORMATS:
        if share_read(parse_dates(sample, name)[0], count_D[places]) > 0.5:
            seconds_D, zoned_D = parse_dates(texts, name)
            if not zoned_D.any() or zoned_D[~np.isnan(seconds_D)].all():
                found[name] = (share_read(seconds_D, count_D), seconds_D)
    most = max((share for share, _ in found.values()), default=0.0)
    if most < share_needed or not found:
        return None
    best, *others = [name for name, (share, _) in found.items() if share == most]
    if day_first and others:
        best, others = next((name for name in (best, *others) if name.startswith("DD")), best), []
    return best, others[0] if others else "", found[best][1]


def _field(fields: "pa.StructArray", name: str, empty: str = "0") -> "pa.Array":
    """A group's texts, `empty` where it matched nothing or the format has no such group."""
    if fields.type.get_field_index(name) < 0:
        return pa.array([empty] * len(fields), pa.large_string())
    texts = fields.field(name).cast(pa.large_string()).fill_null("")
    return pc.if_else(pc.equal(texts, ""), empty, texts)


def _whole(fields: "pa.StructArray", name: str, empty: str = "0") -> NDArray[np.int64]:
    whole: NDArray[np.int64] = _field(fields, name, empty).cast(pa.int64()).to_numpy()
    return whole


def _days(fields: "pa.StructArray", *, short_year: bool) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Days since 1970, and whether there is such a day; short years from `TURN` on are of the last century."""
    year = _whole(fields, "y")
    if short_year:
        year = year + np.where(year < TURN, 2000, 1900)
    names = pc.utf8_lower(pc.utf8_slice_codeunits(_field(fields, "m"), 0, 3))
    named = pc.index_in(names, pa.array(MONTHS, pa.large_string())).cast(pa.int64()).fill_null(-1).to_numpy()
    digits = pc.if_else(pc.match_substring_regex(names, "^[0-9]+$"), names, "0").cast(pa.int64()).to_numpy()
    quarter, day = _whole(fields, "q"), _whole(fields, "d", "1")
    month = np.where(quarter > 0, 3 * quarter - 2, np.where(named >= 0, named + 1, digits))
    valid = (month >= 1) & (month <= 12) & (day >= 1)
    first = ((year - 1970) * 12 + np.clip(month, 1, 12) - 1).astype("datetime64[M]")
    days = first.astype("datetime64[D]").astype(np.int64) + day - 1
    valid &= days < (first + 1).astype("datetime64[D]").astype(np.int64)
    return days, valid


def _clock(fields: "pa.StructArray", most_hours: int) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Seconds since midnight, and whether there is such a time."""
    hour = _whole(fields, "H") + _whole(fields, "h")
    minute, second = _whole(fields, "M"), _whole(fields, "S")
    fraction = pc.replace_substring_regex(_field(fields, "f"), "^", "0.")
    half = pc.utf8_lower(pc.utf8_slice_codeunits(_field(fields, "p", ""), 0, 1)).to_numpy(zero_copy_only=False)
    before_noon, after_noon = half == "a", half == "p"
    valid = (minute < 60) & (second < 60) & (hour < most_hours)
    valid &= ~(before_noon | after_noon) | ((hour >= 1) & (hour <= 12))
    hour = np.where(before_noon | after_noon, hour % 12, hour) + 12 * after_noon
    seconds = hour * 3_600.0 + minute * 60.0 + second + fraction.cast(pa.float64()).to_numpy()
    return seconds, valid


def _zone(fields: "pa.StructArray") -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Seconds to subtract for UTC, and whether a zone is named."""
    texts = _field(fields, "z", "")
    found = pc.extract_regex(texts, "^(?P<s>[+-])(?P<H>[0-9]{2}):?(?P<M>[0-9]{2})?$")
    offset_D = np.zeros(len(texts))
    valid_D = found.is_valid().to_numpy(zero_copy_only=False)
    given = found.filter(found.is_valid())
    seconds = _whole(given, "H") * 3_600.0 + _whole(given, "M") * 60.0
    offset_D[valid_D] = np.where(pc.equal(given.field("s"), "-").to_numpy(zero_copy_only=False), -seconds, seconds)
    return offset_D, pc.not_equal(texts, "").to_numpy(zero_copy_only=False)

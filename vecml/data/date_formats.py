"""The formats in which dates are read, by name, as regular expressions (RE2's) with named groups.

A format is named as it is written, `DD/MM/YYYY`; MON stands for an English month name, short or long. Nearly each may
go on with a time of day and a zone; `HH:MM:SS` may be more than a day, a duration. Groups: y m d q (year, month, day,
quarter), H M S f p (clock, with the fraction of a second and am or pm), h (an hour alone), z (zone).
"""

from collections.abc import Mapping

from vecml.data.reading import TIME_OF_DAY

YEAR, SHORT_YEAR = "(?P<y>[0-9]{4})", "(?P<y>[0-9]{2})"
QUARTER = "(?i:q)(?P<q>[1-4])"
MONTH, DAY = "(?P<m>[0-9]{1,2})", "(?P<d>[0-9]{1,2})"
NAME = (
    "(?P<m>(?i:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)(?i:uary|ruary|ch|il|e|y|ust|t|tember|ober|ember)?)\\.?"
)
WEEKDAY = "(?:(?i:mon|tue|wed|thu|fri|sat|sun)[a-z]*\\.?,? +)?"
GAP = "[ ,/-]*"
CLOCK = "(?P<H>[0-9]{1,3}):(?P<M>[0-9]{2})(?::(?P<S>[0-9]{2})(?:[.,](?P<f>[0-9]{1,12}))?)? *(?P<p>[AaPp]\\.?[Mm]\\.?)?"
TIME_AND_ZONE = f"(?:(?:T|,? +|:)(?:{CLOCK}|(?P<h>[0-9]{{2}})) *(?P<z>Z|UTC|GMT|[+-][0-9]{{2}}(?::?[0-9]{{2}})?)?)?"
CTIME = f"{NAME} +{DAY} +{CLOCK} *(?P<z>UTC|GMT)? +{YEAR}"


def _numeric(mark: str) -> dict[str, str]:
    """The formats of numbers with this mark between them."""
    plain = mark.replace("\\", "")
    orders = {
        "DD{0}MM{0}YYYY": (DAY, MONTH, YEAR),
        "MM{0}DD{0}YYYY": (MONTH, DAY, YEAR),
        "YYYY{0}MM{0}DD": (YEAR, MONTH, DAY),
        "DD{0}MM{0}YY": (DAY, MONTH, SHORT_YEAR),
        "MM{0}DD{0}YY": (MONTH, DAY, SHORT_YEAR),
    }
    return {name.format(plain): mark.join(parts) for name, parts in orders.items()}


# In the order of preference where two fit all rows: after a slash Americans write the month first, others the day.
FORMATS: Mapping[str, str] = {
    "YYYY-MM-DD": f"{YEAR}-{MONTH}-{DAY}",
    "MM/DD/YYYY": f"{MONTH}/{DAY}/{YEAR}",
    "MM/DD/YY": f"{MONTH}/{DAY}/{SHORT_YEAR}",
    **_numeric("/"),
    **_numeric("\\."),
    **_numeric("-"),
    "MON DD YYYY": f"{WEEKDAY}{NAME}{GAP}{DAY}(?i:st|nd|rd|th)?[ ,/-]+{YEAR}",
    "DD MON YYYY": f"{WEEKDAY}{DAY}(?i:st|nd|rd|th)?{GAP}{NAME}{GAP}{YEAR}",
    "DD MON YY": f"{WEEKDAY}{DAY}{GAP}{NAME}{GAP}'?{SHORT_YEAR}",
    "YYYY MON DD": f"{YEAR}{GAP}{NAME}{GAP}{DAY}",
    "MON DD TIME YYYY": f"{WEEKDAY}{CTIME}",
    "YYYY-MM": f"{YEAR}-(?P<m>[0-9]{{2}})",
    "YYYY/MM": f"{YEAR}/(?P<m>[0-9]{{2}})",
    "MM/YYYY": f"{MONTH}/{YEAR}",
    "MM-YYYY": f"{MONTH}-{YEAR}",
    "YYYY Qn": f"{YEAR}[ -]?{QUARTER}",
    "Qn YYYY": f"{QUARTER}[ -]?{YEAR}",
    "MON YYYY": f"{NAME}{GAP}{YEAR}",
    TIME_OF_DAY: CLOCK,
}
MONTHS_ALONE = frozenset({"YYYY-MM", "YYYY/MM", "MM/YYYY", "MM-YYYY", "MON YYYY", "YYYY Qn", "Qn YYYY"})
WITHOUT_TIME = MONTHS_ALONE | {"MON DD TIME YYYY", TIME_OF_DAY}

"""What the text of a column says, and what is told of it: the rules on columns of every sort."""

import numpy as np
import pyarrow as pa
import pytest

from vecml.data.columns import column_from_arrow
from vecml.data.findings import Findings
from vecml.data.table import Column
from vecml.data.text_column import ColumnRules

NAN = np.nan
DAY = 86_400.0


def read(values: list[str | None], **rules: object) -> tuple[Column | None, list[str]]:
    findings = Findings()
    column = pa.chunked_array([pa.array(values, pa.string())])
    made = column_from_arrow("a", column, ColumnRules(**rules), findings)  # type: ignore[arg-type]
    return made, [f"{one.code} {one.what}" for one in findings.decisions]


def seconds(*dates: str) -> list[float]:
    return list(np.array(dates, "datetime64[s]").astype(np.float64))


AGES = [str(age) for age in range(20, 80)] * 5
NUMBERS: dict[str, tuple[list[str], list[float], str]] = {
    "plain": (["1", "+2.5", " 3 ", "", "-1e3", "NA"], [1, 2.5, 3, NAN, -1000, NAN], ""),
    "leading zeros": (
        ["08001", "1", "010"],
        [8001, 1, 10],
        "numbers, without the leading zeros of values such as '010'",
    ),
    "dollars": (["$1,200.50", "$3", "-$7"], [1200.5, 3, -7], "numbers with the unit '$' and ',' between thousands"),
    "percent": (["5%", "12.5 %", "0%"], [5, 12.5, 0], "numbers with the unit '%'"),
    "decimal comma": (["1,5", "-0,25", "3"], [1.5, -0.25, 3], "numbers with a decimal comma"),
    "european": (
        ["1.234,5", "12,5", "7"],
        [1234.5, 12.5, 7],
        "numbers with '.' between thousands and a decimal comma",
    ),
    "english": (["1,234.5", "2,000", "7"], [1234.5, 2000, 7], "numbers with ',' between thousands"),
    "either": (
        ["1,234", "5,678"],
        [1234, 5678],
        "numbers with ',' between thousands; ',' could be a decimal mark as well",
    ),
    "not either": (["0,125", "1,250"], [0.125, 1.25], "numbers with a decimal comma"),
    "blanks": (["1 234", "12 345 678"], [1234, 12345678], "numbers with ' ' between thousands"),
    "indian": (["12,34,567", "1,23,456.5"], [1234567, 123456.5], "numbers with ',' between thousands"),
    "accounting": (["(1,000.5)", "2,500"], [-1000.5, 2500], "numbers with ',' between thousands"),
    "kilograms": ([f"{i}.5 kg" for i in range(4)], [0.5, 1.5, 2.5, 3.5], "numbers with the unit 'kg'"),
    "pounds and euros": (["£1.5", "£2"], [1.5, 2], "numbers with the unit '£'"),
    "swiss": (["1'234.50", "99"], [1234.5, 99], 'numbers with "\'" between thousands'),
    "negative": (["(12.5)", "7-", "−3", "4"], [-12.5, -7, -3, 4], ""),
    "exponent": (["1,5e2", "7e-1"], [150, 0.7], "numbers with a decimal comma"),
    "two words": ([f"{i} sq ft" for i in range(12)], list(range(12)), "numbers with the unit 'sq ft'"),
    "bounds": (
        [*AGES, "90+", "<1"],
        [*map(float, AGES), 90, 1],
        "numbers with bounds such as '<5' or '5+', which count as the number itself",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", NUMBERS)
def test_numbers(case: str) -> None:
    texts, expected, told = NUMBERS[case]
    made, said = read(list(texts))
    assert made is not None
    assert made.kind == "number"
    np.testing.assert_array_equal(made.values_N, expected)
    assert said == ([f"VML035 read as {told}"] if told else [])


SHORT_YEARS = (
    "VML033 read as dates written MM/DD/YY, with the years 69 to 99 before 2000 and 00 to 68 after; write them as"
    " YYYY-MM-DD where that is wrong"
)
DATES: dict[str, tuple[list[str], list[str], str]] = {
    "ISO": (["2019-01-31", "2020-02-29"], ["2019-01-31", "2020-02-29"], ""),
    "ISO, some with times": (["2019-01-31", "2020-02-29 10:30"], ["2019-01-31", "2020-02-29T10:30"], ""),
    "zones": (
        ["2019-01-31T10:00Z", "2019-01-31T10:00:00+01:00"],
        ["2019-01-31T10:00", "2019-01-31T09:00"],
        "",
    ),
    "slashes, year first": (["2012/01/01", "2012/12/31"], ["2012-01-01", "2012-12-31"], ""),
    "month first": (["01/31/2019", "2/1/2019 5:30 PM"], ["2019-01-31", "2019-02-01T17:30"], ""),
    "day first": (["31/01/2019", "1/2/2019"], ["2019-01-31", "2019-02-01"], ""),
    "dots": (["31.12.2019", "01.02.2019"], ["2019-12-31", "2019-02-01"], ""),
    "either": (
        ["01/02/2019", "03/04/2019"],
        ["2019-01-02", "2019-03-04"],
        "VML033 read as dates written MM/DD/YYYY, though they may be DD/MM/YYYY as well",
    ),
    "month's name": (["Jan 1 2000", "February 28, 2001"], ["2000-01-01", "2001-02-28"], ""),
    "day, month's name": (["1 January 2000", "31-DEC-1999"], ["2000-01-01", "1999-12-31"], ""),
    "SAS": (["31JAN2000:10:00:00", "01FEB2001:00:00:01"], ["2000-01-31T10:00", "2001-02-01T00:00:01"], ""),
    "short year": (["12/31/69", "12/25/05"], ["1969-12-31", "2005-12-25"], SHORT_YEARS),
    "ctime": (
        ["Mon Jan  3 12:00:00 2000", "Tue Jan 14 12:00:05 2020"],
        ["2000-01-03T12:00", "2020-01-14T12:00:05"],
        "",
    ),
    "quarters": (["2001Q4", "1999 Q1"], ["2001-10-01", "1999-01-01"], ""),
    "months": (["Jan 2000", "Sept 2001"], ["2000-01-01", "2001-09-01"], ""),
}  # fmt: skip


@pytest.mark.parametrize("case", DATES)
def test_dates(case: str) -> None:
    texts, expected, told = DATES[case]
    made, said = read(list(texts))
    assert made is not None
    assert made.kind == "number"
    np.testing.assert_array_equal(made.values_N, seconds(*expected))
    assert said == ([told] if told else [])


def test_durations_are_seconds() -> None:
    made, said = read(["36:15:00", "0:30", "12:00:00.5"])
    assert made is not None
    np.testing.assert_array_equal(made.values_N, [130_500, 1_800, 43_200.5])
    assert said == []


def test_a_day_that_no_month_has_is_no_date() -> None:
    made, said = read(["30/02/2000"] + [f"{i % 28 + 1:02}/01/20{i:02}" for i in range(40)])
    assert made is not None
    assert np.isnan(made.values_N[0])
    assert said == ["VML032 read as dates written DD/MM/YYYY; '30/02/2000' counts as missing, in 1 row"]


@pytest.mark.parametrize("marker", ["?", ".", "-", "n/a", "<null>", "207a", "Unknown"])
def test_one_marker_among_numbers_is_missing_and_named(marker: str) -> None:
    made, said = read([*AGES, marker])
    assert made is not None
    assert made.kind == "number"
    np.testing.assert_array_equal(made.values_N, [*map(float, AGES), NAN])
    silent = marker == "n/a"  # every CSV reader knows it
    assert said == ([] if silent else [f"VML032 read as numbers; {marker!r} counts as missing, in 1 row"])


@pytest.mark.parametrize(
    "values",
    [
        ["1", "2", "A"] * 20,
        ["1A", "2A", "3A"] * 5,
        ["<=50K", ">50K"] * 5,
        ["yes", "no", "?"] * 5,
        ["none", "unknown"] * 5,
        ["10-20", "20-30", "30+"] * 5,
        ["1/2", "3/4"] * 5,
        ["2018-19", "2019-20"] * 5,
        ["192.168.1.1", "10.0.0.1"] * 5,
        ["2019-01-31T10:00Z", "2019-01-31T10:00"] * 5,
    ],
)
def test_what_stays_categories(values: list[str]) -> None:
    made, said = read(values)
    assert made is not None
    assert (made.kind, made.categories) == ("category", tuple(sorted(set(values))))
    assert said == []


@pytest.mark.parametrize("values", [["true", "false"], ["True", "False", ""], ["TRUE", "0", "1"]])
def test_truth_values(values: list[str]) -> None:
    made, _ = read(values)
    assert made is not None
    assert made.kind == "boolean"
    assert made.values_N.tolist() == [{"t": 1, "1": 1, "f": 0, "0": 0}.get(value[:1].lower(), -1) for value in values]


def test_nearly_unique_text_is_left_out() -> None:
    made, said = read([f"name {i}" for i in range(300)])
    assert made is None
    assert said == ["VML030 dropped: text that is nearly unique, with 300 distinct values in 300 rows"]
    kept, said = read([f"name {i}" for i in range(300)], categorical=frozenset("a"))
    assert kept is not None
    assert len(kept.categories) == 300
    assert said == []


def test_rare_values_are_pooled_and_counted() -> None:
    made, said = read([f"v{i % 7}" for i in range(700)] + [f"rare {i}" for i in range(5)] * 2, max_categories=4)
    assert made is not None
    assert (len(made.categories), made.max_categories) == (12, 4)
    assert said == [
        "VML031 is text of 12 distinct values: the 4 commonest are categories, and the others, in 310 rows, are one"
    ]


def test_integers_that_float64_cannot_hold_are_text() -> None:
    made, said = read(["12345678901234567890", "12345678901234567891"] * 3)
    assert made is not None
    assert made.categories == ("12345678901234567890", "12345678901234567891")
    assert said == ["VML034 read as text: it has integers that float64 cannot hold, such as 12345678901234567890"]


@pytest.mark.parametrize(
    "written",
    [
        "12,345,678,901,234,567,89{}",
        "12.345.678.901.234.567.89{}",
        "12 345 678 901 234 567 89{}",
        "-12,345,678,901,234,567,89{}",
        "(1234567890123456789{})",
        "$1234567890123456789{}",
        "1234567890123456789{} kg",
        "£12,345,678,901,234,567,89{}",
        "1234567890123456789{}.0",
        "-12.345.678.901.234.567.89{},00",
        "1234567890123456789{}.",
    ],
)
def test_however_they_are_written(written: str) -> None:
    """Equal as numbers, they would be one value, and their column constant."""
    texts = [written.format(digit) for digit in range(10)] * 3
    made, said = read(texts)
    assert made is not None
    assert set(made.categories) == set(texts)
    told = "VML034 read as text: it has integers that float64 cannot hold, such as "
    assert all(one.startswith(told) for one in said)  # none where they are taken for codes
    made, _ = read([*texts, *["unknown"] * 2])
    assert made is not None
    assert set(made.categories) >= set(texts)


def test_whole_numbers_with_marks_that_float64_holds_are_numbers() -> None:
    made, said = read([f"1,234,567,890,12{digit}" for digit in range(10)] * 3)
    assert made is not None
    assert made.kind == "number"
    assert said == ["VML035 read as numbers with ',' between thousands"]


def test_declared_markers_are_missing_in_every_column() -> None:
    made, said = read(["1", "2", "-99", "x"] * 5, missing=("-99",))
    assert made is not None
    assert made.categories == ("1", "2", "x")
    made, said = read(["1", "2", "-99", "?"] * 5, missing=("-99", "?"))
    assert made is not None
    np.testing.assert_array_equal(made.values_N, [1, 2, NAN, NAN] * 5)
    assert said == []
    typed = column_from_arrow("a", pa.chunked_array([[1, -99, 3]]), ColumnRules(missing=("-99",)))
    assert typed is not None
    np.testing.assert_array_equal(typed.values_N, [1, NAN, 3])


def test_forced_text_keeps_leading_zeros() -> None:
    made, said = read(["007", "07", "007", "7"], categorical=frozenset("a"))
    assert made is not None
    assert made.categories == ("007", "07", "7")
    assert said == []


def test_the_day_may_be_first() -> None:
    made, said = read(["01/02/2019", "03/04/2019"], day_first=True)
    assert made is not None
    np.testing.assert_array_equal(made.values_N, seconds("2019-02-01", "2019-04-03"))
    assert said == []
    made, said = read(["01/31/2019", "03/04/2019"], day_first=True)  # the column itself decides it
    assert made is not None
    np.testing.assert_array_equal(made.values_N, seconds("2019-01-31", "2019-03-04"))
    assert said == []

"""From Arrow's types to the three kinds."""

import datetime
import decimal
from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pytest

from vecml.data.columns import column_from_arrow, columns_from_arrow
from vecml.data.findings import Findings
from vecml.data.labels import labels_from_arrow
from vecml.data.table import Column, is_constant, is_missing, take_rows


def column(*values: object, type: pa.DataType | None = None) -> Column:
    made = column_from_arrow("a", pa.chunked_array([pa.array(values, type)]))
    assert made is not None
    return made


@pytest.mark.parametrize(
    ("type", "dtype"),
    [
        (pa.int8(), np.float64),
        (pa.uint64(), np.float64),
        (pa.int64(), np.float64),
        (pa.float64(), np.float64),
        (pa.float32(), np.float32),
        (pa.float16(), np.float32),
    ],
)
def test_numbers_are_float64_but_float32_stays(type: pa.DataType, dtype: type) -> None:
    values = [np.float16(1), None, np.float16(3)] if type == pa.float16() else [1, None, 3]
    made = column(*values, type=type)
    assert made.kind == "number"
    assert made.values_N.dtype == dtype
    np.testing.assert_array_equal(made.values_N, np.array([1, np.nan, 3], dtype))


def test_nan_and_null_are_both_missing() -> None:
    np.testing.assert_array_equal(np.isnan(column(1.0, float("nan"), None).values_N), [False, True, True])


def test_decimals() -> None:
    np.testing.assert_array_equal(column(decimal.Decimal("1.25"), None).values_N, [1.25, np.nan])


def test_times_are_seconds() -> None:
    date = datetime.date(2024, 5, 1)
    moment = datetime.datetime(2024, 5, 1, 12, 30, 0, 250_000, tzinfo=datetime.UTC)
    assert column(date, None).values_N[0] == 1714521600.0
    assert np.isnan(column(date, None).values_N[1])
    assert column(date, type=pa.date64()).values_N[0] == 1714521600.0
    assert column(datetime.date(1969, 12, 31)).values_N[0] == -86_400.0
    assert column(moment).values_N[0] == moment.timestamp()
    assert column(datetime.time(1, 0, 30)).values_N[0] == 3630.0
    assert column(datetime.timedelta(minutes=2, milliseconds=5)).values_N[0] == 120.005


@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
def test_an_instant_is_the_same_number_in_every_unit(unit: str) -> None:
    early = np.arange(1000).astype("datetime64[ms]")  # so near 1970 that the last bit of a millisecond shows
    moments = np.append(np.array(["2024-05-01T12:30:00.123", "1901-02-03T04:05:06.789"], "datetime64[ms]"), early)
    made = column_from_arrow("a", pa.chunked_array([pa.array(moments.astype(f"datetime64[{unit}]"))]))
    expected = moments.astype(np.int64) / 1000  # of few digits: one rounding
    np.testing.assert_array_equal(made.values_N, expected)


def test_a_zone_does_not_move_the_instant() -> None:
    naive = pa.array(["2024-05-01T12:00"]).cast(pa.timestamp("s"))
    zoned = pa.compute.assume_timezone(naive, "Europe/Berlin")
    assert column_from_arrow("a", pa.chunked_array([zoned])).values_N[0] == 1714557600.0


def test_booleans() -> None:
    made = column(True, None, False)
    assert (made.kind, made.values_N.dtype) == ("boolean", np.int8)
    np.testing.assert_array_equal(made.values_N, [1, -1, 0])


def test_categories_are_sorted_by_code_point() -> None:
    values = ["é", "Z", "a", "\U0001f600", "\uffff", "z"]
    assert column(*values).categories == tuple(sorted(values))


def test_no_rows() -> None:
    schema = pa.schema([("a", pa.float64()), ("b", pa.string()), ("c", pa.bool_()), ("d", pa.date32())])
    made = columns_from_arrow(schema.empty_table())
    assert [(c.kind, len(c.values_N)) for c in made] == [
        ("number", 0),
        ("number", 0),  # of text that is missing everywhere nothing is known
        ("boolean", 0),
        ("number", 0),
    ]


def test_all_null_has_no_value() -> None:
    assert is_missing(column(None, None))
    assert is_missing(column(None, None, type=pa.string()))
    assert is_missing(column(None, None, type=pa.bool_()))
    assert not is_constant(column(None, None))


@pytest.mark.parametrize("value", [3.5, True, "x"])
def test_missing_values_do_not_make_a_column_vary(value: object) -> None:
    assert is_constant(column(value, None, value))
    assert not is_missing(column(value, None))


@pytest.mark.parametrize("values", [(1.0, 2.0, None), (True, False, None), ("x", "y", None)])
def test_two_values_vary(values: tuple[object, ...]) -> None:
    assert not is_constant(column(*values))


def test_rows_taken_leave_only_the_categories_among_them() -> None:
    made = take_rows(column("c", "a", None, "b", "a"), np.array([0, 2, 4]))
    assert made.categories == ("a", "c")
    np.testing.assert_array_equal(made.values_N, [1, -1, 0])
    np.testing.assert_array_equal(take_rows(column(1.0, 2.0, 3.0), np.array([2, 0])).values_N, [3.0, 1.0])


def test_decimals_are_the_nearest_numbers() -> None:
    rng = np.random.default_rng(7)
    texts = [f"{whole / 10**4:.4f}" for whole in rng.integers(-(10**9), 10**9, 500)]
    column = pa.chunked_array([pa.array([*map(decimal.Decimal, texts), None], pa.decimal128(20, 4))])
    made = column_from_arrow("a", column)
    assert made is not None
    np.testing.assert_array_equal(made.values_N, [*map(float, texts), np.nan])
    none = column_from_arrow("a", pa.chunked_array([], column.type))
    assert none is not None
    assert len(none.values_N) == 0


@pytest.mark.parametrize("scale", [0, 2])
@pytest.mark.parametrize("kind", [pa.decimal128, pa.decimal256])
def test_whole_decimals_that_float64_does_not_hold_are_text(
    kind: Callable[[int, int], pa.DataType], scale: int
) -> None:
    """So a database and Parquet keep ids of 20 digits; equal as numbers, they would be one value."""
    texts = [f"{sign}{10**19 + place % 7}{'.00' if scale else ''}" for place in range(30) for sign in ("", "-")]
    column = pa.chunked_array([pa.array([*map(decimal.Decimal, texts), None], kind(38, scale))])
    findings = Findings()
    made = column_from_arrow("a", column, findings=findings)
    as_text = column_from_arrow("a", pa.chunked_array([pa.array([*texts, None])]))
    assert made is not None
    assert as_text is not None
    assert "VML034" in [one.code for one in findings.decisions]
    assert set(made.categories) == set(texts)
    assert made.categories == as_text.categories
    np.testing.assert_array_equal(made.values_N, as_text.values_N)
    assert labels_from_arrow("a", column)[1] == labels_from_arrow("a", pa.chunked_array([texts]))[1]


def test_decimals_with_a_fraction_stay_numbers() -> None:
    values = [decimal.Decimal(f"{10**17}.25"), decimal.Decimal("0.50"), decimal.Decimal(2**53)]
    made = column_from_arrow("a", pa.chunked_array([pa.array(values, pa.decimal128(38, 2))]))
    assert made is not None
    np.testing.assert_array_equal(made.values_N, [1e17, 0.5, 2.0**53])

"""Class indices and class names, whatever the target's type."""

import datetime

import numpy as np
import pyarrow as pa
import pytest

from vecml.data.columns import columns_from_arrow
from vecml.data.findings import Findings
from vecml.data.labels import labels_from_arrow
from vecml.data.text_column import ColumnRules


@pytest.mark.parametrize(
    ("values", "type", "classes", "labels"),
    [
        (["b", "a", None, "b"], None, ("a", "b"), [1, 0, -1, 1]),
        ([10, 9, None, -1], None, ("-1", "9", "10"), [2, 1, -1, 0]),
        ([2**62 + 1, 2**62], None, (str(2**62), str(2**62 + 1)), [1, 0]),
        ([10.0, 9.0, float("nan"), None], None, ("9", "10"), [1, 0, -1, -1]),
        ([0.5, -0.0, 0.0], None, ("0", "0.5"), [1, 0, 0]),
        ([0.1, 2.0], pa.float32(), ("0.1", "2"), [0, 1]),
        ([True, None, False], None, ("false", "true"), [1, -1, 0]),
        ([datetime.date(2024, 5, 1), datetime.date(2023, 1, 2)], None, ("2023-01-02", "2024-05-01"), [1, 0]),
        (
            [datetime.datetime(2024, 5, 1, 12), datetime.datetime(2024, 5, 1, 11, 0, 0, 500_000)],
            None,
            ("2024-05-01T11:00:00.5", "2024-05-01T12:00:00"),
            [1, 0],
        ),
        ([datetime.datetime(2024, 5, 1, 12, tzinfo=datetime.UTC)], None, ("2024-05-01T12:00:00Z",), [0]),
        (["b", "a"], pa.dictionary(pa.int8(), pa.string()), ("a", "b"), [1, 0]),
    ],
)
def test_classes_by_value_and_their_names(
    values: list[object], type: pa.DataType | None, classes: tuple[str, ...], labels: list[int]
) -> None:
    label_N, names = labels_from_arrow("y", pa.chunked_array([pa.array(values, type)]))
    assert names == classes
    assert label_N.dtype == np.int64
    np.testing.assert_array_equal(label_N, labels)


def test_labels_in_chunks_agree() -> None:
    values = np.random.default_rng(0).integers(0, 7, 1000)
    whole, names = labels_from_arrow("y", pa.chunked_array([pa.array(values)]))
    parts, part_names = labels_from_arrow("y", pa.chunked_array([pa.array(values[i::3]) for i in range(3)]))
    np.testing.assert_array_equal(np.concatenate([whole[i::3] for i in range(3)]), parts)
    assert names == part_names == tuple("0123456")


def test_a_hundred_numbers_are_classes() -> None:
    assert len(labels_from_arrow("y", pa.chunked_array([pa.array(np.arange(100) / 3)]))[1]) == 100
    assert len(labels_from_arrow("y", pa.chunked_array([pa.array([f"c{i}" for i in range(1000)])]))[1]) == 1000


@pytest.mark.parametrize(
    ("values", "classes", "told"),
    [
        (["10", "9", "9.0", " 10"], ("9", "10"), []),
        (["True", "false", "1"], ("false", "true"), []),
        (["1", "2", "?"], ("1", "2"), ["VML032 read as numbers; '?' counts as missing, in 1 row"]),
        (["$5", "$10"], ("$10", "$5"), []),
        (["yes", "no", ""], ("no", "yes"), []),
        (["2024-01-02", "2024-01-01"], ("2024-01-01", "2024-01-02"), []),
        ([*map(str, range(20)), "many"], tuple(sorted([*map(str, range(20)), "many"])), []),
        (
            ["12345678901234567890", "12345678901234567891"],
            ("12345678901234567890", "12345678901234567891"),
            ["VML034 read as text: it has integers that float64 cannot hold, such as 12345678901234567890"],
        ),
    ],
)
def test_text_as_a_label(values: list[str], classes: tuple[str, ...], told: list[str]) -> None:
    findings = Findings()
    code_N, names = labels_from_arrow("y", pa.chunked_array([values]), findings=findings)
    assert names == classes
    assert [f"{one.code} {one.what}" for one in findings.decisions if one.code != "VML002"] == told
    assert {names[code] for code in code_N if code >= 0} == set(classes)


def test_forced_labels_keep_their_zeros() -> None:
    rules = ColumnRules(categorical=frozenset("y"))
    assert labels_from_arrow("y", pa.chunked_array([["01", "1", "01"]]), rules=rules)[1] == ("01", "1")


def test_text_dates_are_cut_as_dates_are() -> None:
    days = [f"{day}.01.2024" for day in range(1, 31)]
    typed = pa.array(np.arange("2024-01-01", "2024-01-31", dtype="datetime64[D]"))
    text_N, classes = labels_from_arrow("y", pa.chunked_array([days]), bins=3)
    typed_N, expected = labels_from_arrow("y", pa.chunked_array([typed]), bins=3)
    assert classes == expected
    np.testing.assert_array_equal(text_N, typed_N)


def test_money_is_cut_into_bins() -> None:
    column = pa.chunked_array([[f"${i},000" for i in range(1, 41)]])
    code_N, classes = labels_from_arrow("y", column, bins=4)
    assert len(classes) == 4
    assert np.bincount(code_N).tolist() == [10, 10, 10, 10]


@pytest.mark.parametrize(
    "kind", [pa.float16(), pa.dictionary(pa.int8(), pa.float16()), pa.decimal32(4, 1), pa.decimal64(9, 1)]
)
def test_types_that_arrow_cannot_encode(kind: pa.DataType) -> None:
    wide = pa.chunked_array([pa.array([1, 2, None, 1, 1.5])])
    if pa.types.is_dictionary(kind):
        values = pa.array([1, 2, 1.5], pa.float16())
        column = pa.chunked_array([pa.DictionaryArray.from_arrays(pa.array([0, 1, None, 0, 2], pa.int8()), values)])
    else:
        column = wide.cast(kind)
    label_N, classes = labels_from_arrow("label", column)
    assert classes == ("1", "1.5", "2")
    assert label_N.tolist() == [0, 2, -1, 0, 1]
    (feature,) = columns_from_arrow(pa.table({"a": column}))
    np.testing.assert_array_equal(feature.values_N, wide.to_numpy())

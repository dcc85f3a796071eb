"""Class indices and class names, whatever the target's type."""

import datetime

import numpy as np
import pyarrow as pa
import pytest

from vecml.data.labels import labels_from_arrow


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

"""What the digest sees and what it must not see."""

from dataclasses import replace

import numpy as np
import pytest

from vecml.data.digest import SLICE_ROWS, table_digest
from vecml.data.table import Column

LABEL_N = np.array([0, 1, 0])
COLUMNS = (
    Column("a", "number", np.array([1.0, np.nan, 0.0])),
    Column("b", "boolean", np.array([1, -1, 0], np.int8)),
    Column("c", "category", np.array([1, -1, 0], np.int32), ("x", "y")),
)


def digest(
    columns: tuple[Column, ...] = COLUMNS,
    label_N: np.ndarray = LABEL_N,
    classes: tuple[str, ...] = ("n", "y"),
    target: str = "t",
) -> str:
    return table_digest(columns, label_N, classes, target)


def test_it_is_32_hex_digits_and_stays_the_same_between_versions() -> None:
    assert digest() == "c56acf13eda026e253f198b41271c3b8"


@pytest.mark.parametrize("width", [np.float32, np.float64, ">f8"])
def test_the_width_of_a_number_does_not_count(width: object) -> None:
    assert digest((replace(COLUMNS[0], values_N=COLUMNS[0].values_N.astype(width)), *COLUMNS[1:])) == digest()


def test_every_nan_is_the_same() -> None:
    other = np.array([0x7FF8000000000001], np.uint64).view(np.float64)[0]
    assert np.isnan(other)
    assert digest((replace(COLUMNS[0], values_N=np.array([1.0, other, 0.0])), *COLUMNS[1:])) == digest()


def changed() -> dict[str, str]:
    number, boolean, category = COLUMNS
    one_bit = np.array([np.nextafter(1.0, 2.0), np.nan, 0.0])
    return {
        "the last bit of a value": digest((replace(number, values_N=one_bit), boolean, category)),
        "the sign of zero": digest((replace(number, values_N=np.array([1.0, np.nan, -0.0])), boolean, category)),
        "a boolean": digest((number, replace(boolean, values_N=np.array([0, -1, 0], np.int8)), category)),
        "a code": digest((number, boolean, replace(category, values_N=np.array([0, -1, 0], np.int32)))),
        "a vocabulary": digest((number, boolean, replace(category, categories=("x", "z")))),
        "a name": digest((replace(number, name="A"), boolean, category)),
        "where one name ends": digest((replace(number, name="an"), boolean, category)),
        "the order": digest((boolean, number, category)),
        "a column less": digest((number, boolean)),
        "a label": digest(label_N=np.array([0, 1, 1])),
        "a class": digest(classes=("n", "Y")),
        "the target": digest(target="T"),
    }


def test_everything_else_counts() -> None:
    digests = changed()
    assert len({digest(), *digests.values()}) == len(digests) + 1


def test_slices_leave_no_seam(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(0).standard_normal(1000)
    column, label_N = Column("a", "number", values), np.zeros(1000, np.int64)
    whole = digest((column,), label_N)
    monkeypatch.setattr("vecml.data.digest.SLICE_ROWS", 7)
    assert SLICE_ROWS > 1000
    assert digest((column,), label_N) == whole
    assert digest((replace(column, values_N=np.repeat(values, 2)[::2]),), label_N) == whole  # not contiguous

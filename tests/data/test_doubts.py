"""Numbers that may mean something else are told, and nothing else is."""

import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.data.pasted import parsed
from vecml.config import make_config
from vecml.data.doubts import may_be_thousands, stand_ins
from vecml.data.handed import handing_over
from vecml.data.sources import load_table
from vecml.warnings import VecmlWarning

RNG = np.random.default_rng(0)
AGES = RNG.integers(18, 91, 100).astype(float)
KIDS = np.arange(100) % 4.0


def with_some(values_N: np.ndarray, *others: float) -> np.ndarray:
    """The values, of which three each are one of the others."""
    made = values_N.copy()
    for place, other in enumerate(others):
        made[3 * place : 3 * place + 3] = other
    return made


@pytest.mark.parametrize(
    ("values", "found"),
    [
        (with_some(AGES, 999), [999]),
        (with_some(AGES, -1), [-1]),
        (with_some(AGES, -9), [-9]),
        (with_some(AGES, -1, 9999), [-1, 9999]),
        (with_some(AGES, -99, np.nan), [-99]),
        (with_some(RNG.normal(size=100), -9999), [-9999]),
        (with_some(RNG.normal(size=100).astype(np.float32), -9999), [-9999]),
        (with_some(KIDS, -1), [-1]),
        (with_some(np.arange(100) % 2.0, 99), [99]),
        (with_some(RNG.random(100), -1), [-1]),
    ],
)
def test_a_number_that_may_stand_for_a_missing_value_is_found(values: np.ndarray, found: list[float]) -> None:
    assert [value for value, _, _ in stand_ins(values)] == found
    assert {rows for _, rows, _ in stand_ins(values)} == {3}


@pytest.mark.parametrize(
    "values",
    [
        AGES,
        with_some(AGES, 99),
        np.append(AGES, 999),  # a single row may be anything
        np.arange(100) % 3 - 1.0,
        np.where(np.arange(100) % 2, 1.0, -1.0),
        RNG.normal(size=100).clip(-1, 1),
        np.arange(-9.0, 91),
        with_some(RNG.lognormal(7, 2, 100), 999),
        np.full(100, 999.0),
        np.full(100, np.nan),
        np.empty(0),
    ],
)
def test_other_numbers_are_not(values: np.ndarray) -> None:
    assert stand_ins(values) == []


def saved(folder: Path, **columns: object) -> Path:
    frame = pd.DataFrame(
        {"b": np.sin(np.arange(100.0)), **columns, "label": np.where(np.arange(100) * 7 % 5 < 2, 1, 0)}
    )
    frame.to_csv(folder / "a.csv", index=False)
    return folder / "a.csv"


def told(config: object) -> list[str]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", VecmlWarning)
        load_table(config)  # type: ignore[arg-type]
    return [str(one.message) for one in caught]


def test_it_is_told_with_a_setting_and_then_it_is_missing(tmp_path: Path) -> None:
    path = saved(tmp_path, age=with_some(AGES, 999), kids=with_some(KIDS, -1))
    said = told(make_config({"data": str(path), "target": "label", "strict": True}))
    assert said == [
        "VML046 column 'age' has 999 in 3 rows, far from its other values: is that a missing value? (--missing 999 lets"
        " it count as missing, in every column)",
        "VML046 column 'kids' has -1 in 3 rows, and nothing else below 0: is that a missing value? (--missing=-1 lets"
        " it count as missing, in every column)",
    ]
    config = parsed(f"vecml run --data {path} --target label --missing 999 --missing=-1")
    assert told(config) == []
    numbers = {column.name: column.values_N for column in load_table(config).columns}
    assert np.flatnonzero(np.isnan(numbers["age"])).tolist() == [0, 1, 2]


def test_a_data_frame_is_told_the_keyword() -> None:
    frame = pd.DataFrame({"kids": with_some(KIDS, -1), "label": np.where(np.arange(100) * 7 % 5 < 2, "x", "y")})
    with handing_over(frame):
        said = told(make_config({"data": "python:pandas.DataFrame", "target": "label"}))
    assert said[0].endswith("(missing=['-1'] lets it count as missing, in every column)")


def test_what_is_a_class_too_cannot_be_declared(tmp_path: Path) -> None:
    path = saved(tmp_path, kids=with_some(KIDS, -1))
    path.write_text(path.read_text().replace(",0\n", ",-1\n"))
    (said,) = told(make_config({"data": str(path), "target": "label"}))
    assert said.endswith("is that a missing value?")


def test_points_beside_a_column_with_decimal_commas_are_told(tmp_path: Path) -> None:
    rows = [f"{i % 9},{i % 7}5;{1 + i % 9}.{100 + i * 37 % 800};{980 + i};{'xy'[i * 7 % 5 < 2]}" for i in range(100)]
    path = tmp_path / "a.csv"
    path.write_text("\n".join(["a;b;c;label", *rows]) + "\n")
    said = told(make_config({"data": str(path), "target": "label"}))
    assert said[2:] == [
        "VML035 column 'b' read as numbers with a decimal point, though 'a' has a decimal comma: remove the points from"
        " the file where they stand between thousands"
    ]


@pytest.mark.parametrize("values", [[0.037, 1.5], [1.5, 2.25], [1037.0, 12.0], [1.0375, 2.5], [np.nan]])
def test_other_decimals_are_no_thousands(values: list[float]) -> None:
    assert not may_be_thousands(np.array(values))
    assert may_be_thousands(np.array([1.037, 12.4, 980.0, 3.771]))

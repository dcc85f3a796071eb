"""Columns of data frames for which Arrow has no plain type: they are what a CSV of the frame would say."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from vecml.config import make_config
from vecml.data.encoding import Encoding
from vecml.data.frames import arrow_of
from vecml.data.raw import raw_columns
from vecml.data.sources import table_from_arrow
from vecml.data.table import Column, Table
from vecml.errors import DataError
from vecml.warnings import VecmlWarning

N = 60
X = np.random.default_rng(0).standard_normal(N)
CUT = pd.cut(X, 3)


def read(data: object, target: str = "y") -> Table:
    return table_from_arrow(arrow_of(data), "made", make_config({"data": "made.csv", "target": target}))


def column(values: object) -> Column:
    table = read(
        {"x": X, "values": values, "y": (X > 0).astype(int)}
        if not isinstance(values, pd.Series)
        else pd.DataFrame({"x": X, "values": values, "y": (X > 0).astype(int)})
    )
    return next(one for one in table.columns if one.name == "values")


@pytest.mark.parametrize("kind", ["category", "interval"])
def test_intervals_are_categories(kind: str) -> None:
    values = pd.Series(CUT).astype(kind)
    values = values.where(values.index != 3)
    found = column(values)
    assert found.kind == "category"
    assert set(found.categories) == {str(one) for one in CUT.categories}
    assert found.values_N[3] == -1
    assert [found.categories[code] for code in found.values_N if code >= 0] == [str(one) for one in values.dropna()]


def test_intervals_are_classes() -> None:
    assert set(read(pd.DataFrame({"x": X, "label": CUT}), "label").classes) == {str(one) for one in CUT.categories}


def test_periods_are_dates() -> None:
    found = column(pd.Series(pd.period_range("2020-01", periods=N, freq="M")))
    assert found.kind == "number"
    assert found.values_N[1] - found.values_N[0] == 31 * 86_400


@pytest.mark.parametrize("values", [np.array([b"red", b"blue"] * (N // 2)), [b"red", b"blue"] * (N // 2)])
def test_bytes_that_are_text_are_text(values: object) -> None:
    assert column(values).categories == ("blue", "red")


def test_bytes_that_are_no_text_are_refused() -> None:
    with pytest.raises(DataError, match=r"^column 'values' holds binary, which is no number, text, time or boolean$"):
        column([b"\xff\xfe", b"red"] * (N // 2))


def test_integers_of_any_size_are_told_apart() -> None:
    with pytest.warns(VecmlWarning, match="^VML034 column 'values' read as text"):
        found = column([10**25 + index % 3 for index in range(N)])
    assert found.categories == tuple(str(10**25 + index) for index in range(3))


def test_a_series_is_no_table() -> None:
    with pytest.raises(DataError, match=r"^a pandas Series cannot be read: it is one column, 'x'$") as caught:
        arrow_of(pd.Series(X, name="x"))
    assert caught.value.hint == "give a data frame: series.to_frame() for one column, series.to_frame().T for one row"


def test_decimals_are_what_they_say_in_a_csv() -> None:
    said = [f"{index}.{index % 100:02d}" for index in range(100, 100 + N)]
    decimals = pa.array(said).cast(pa.decimal128(10, 2))
    label = pa.array([said[index % 3] for index in range(N)]).cast(pa.decimal128(10, 2))
    table = read(pa.table({"x": decimals, "label": label}), "label")
    assert table.classes == ("100", "101.01", "102.02")
    assert table.columns[0].values_N.tolist() == [float(one) for one in said]


def test_blanks_at_the_ends_tell_nothing_apart() -> None:
    colours = ["red", " red", "red  ", "\tblue", "blue", "  ", None, " blue "] * 10
    labels = ["yes", " yes", "no", "no "] * 20
    table = read(pa.table({"colour": colours, "x": np.arange(80) % 7, "label": labels}), "label")
    assert table.classes == ("no", "yes")
    assert table.label_N.tolist() == [1, 1, 0, 0] * 20
    assert table.columns[0].categories == ("blue", "red")
    assert table.columns[0].values_N.tolist() == [1, 1, 1, 0, 0, -1, -1, 0] * 10
    encoding = Encoding.fit(table.columns, None, "label", table.classes)
    new = raw_columns(pa.table({"colour": [" red ", "blue\n"], "x": [1, 2]}), encoding)
    assert encoding.transform(new)[0][:2].tolist() == [[0, 1], [1, 0]]

"""Settings that say openly what a hint or a warning asks: infinities, the order of day and month, in both languages."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import parquet

from tests.data.pasted import command_in, parsed
from vecml.config import make_config
from vecml.data.encoding import Encoding
from vecml.data.handed import handing_over
from vecml.data.raw import raw_columns
from vecml.data.sources import load_table
from vecml.errors import DataError
from vecml.estimator import TabularClassifier
from vecml.warnings import VecmlWarning

LABELS = ["xy"[i * 7919 // 13 % 2] for i in range(40)]


def write(folder: Path, header: str, values: list[str]) -> Path:
    path = folder / "a.csv"
    path.write_text("\n".join([header, *(f"{v},{label}" for v, label in zip(values, LABELS, strict=True))]) + "\n")
    return path


def refused(path: Path, **settings: object) -> DataError:
    with pytest.raises(DataError) as caught:
        load_table(make_config({"data": str(path), "target": "label", **settings}))
    return caught.value


def test_infinities_may_count_as_missing(tmp_path: Path) -> None:
    values = [f"{('inf', '-inf')[i % 2] if i < 4 else i % 9},{i * i % 7}" for i in range(40)]
    path = write(tmp_path, "a,b,label", values)
    hint = refused(path).hint
    line = f"vecml run --data {path} --target label --missing inf,-inf"
    assert hint == f"count infinite values as missing (or leave it out with --drop a): {line}"
    table = load_table(parsed(line))
    assert np.isnan(table.columns[0].values_N).sum() == 4
    encoding = Encoding.from_json_dict(Encoding.fit(table.columns).to_json_dict())
    np.testing.assert_array_equal(raw_columns(path, encoding)[0].values_N, table.columns[0].values_N)
    dropped = load_table(make_config({"data": str(path), "target": "label", "drop": ("a",)}))
    assert [one.name for one in dropped.columns] == ["b"]


def test_however_they_are_written(tmp_path: Path) -> None:
    texts = [("Infinity" if i == 3 else f"{i % 9}.5") for i in range(40)]
    parquet.write_table(
        pa.table({"a": texts, "b": [i * i % 7 for i in range(40)], "label": LABELS}), tmp_path / "a.parquet"
    )
    line = command_in(str(refused(tmp_path / "a.parquet").hint))
    assert line is not None
    table = load_table(parsed(line))
    assert (table.columns[0].kind, np.isnan(table.columns[0].values_N).sum()) == ("number", 1)


def test_what_cannot_be_counted_as_missing_is_left_out_beside_it(tmp_path: Path) -> None:
    path = write(tmp_path, "a,b,c,label", [f"{'inf' if i == 3 else i % 9},{i * i % 7},1e300" for i in range(40)])
    assert refused(path).hint == (
        "count infinite values as missing, and leave out what stays bad:"
        f" vecml run --data {path} --target label --drop c --missing inf"
    )


def test_a_data_frame_gets_keywords() -> None:
    frame = pd.DataFrame({"a": [np.inf, *range(39)], "b": [i * i % 7 for i in range(40)], "label": LABELS})
    with handing_over(frame), pytest.raises(DataError) as caught:
        load_table(make_config({"data": "python:pandas.DataFrame", "target": "label"}))
    assert caught.value.hint == "count infinite values as missing (or leave it out with drop=['a']): missing=['inf']"


DAYS = [f"{i % 12 + 1:02}/{i * 5 % 12 + 1:02}/2023" for i in range(40)]


def test_the_order_of_day_and_month_can_be_said(tmp_path: Path) -> None:
    path = write(tmp_path, "when,b,label", [f"{day},{i * i % 7}" for i, day in enumerate(DAYS)])
    config = make_config({"data": str(path), "target": "label"})
    with pytest.warns(VecmlWarning) as caught:
        month_first = load_table(config)
    assert [str(one.message) for one in caught] == [
        "VML033 column 'when' read as dates written MM/DD/YYYY, though they may be DD/MM/YYYY as well"
        " (--day-first reads the day first)"
    ]
    day_first = load_table(parsed(f"vecml run --data {path} --target label --day-first"))
    expected = pd.to_datetime(pd.Series(DAYS), dayfirst=True).astype("datetime64[s]").astype(np.int64)
    np.testing.assert_array_equal(day_first.columns[0].values_N, expected)
    assert day_first.digest != month_first.digest


def test_it_is_said_where_the_day_comes_first_anyway(tmp_path: Path) -> None:
    days = [day.replace("/", ".") for day in DAYS]
    path = write(tmp_path, "when,b,label", [f"{day},{i * i % 7}" for i, day in enumerate(days)])
    hint = refused(path, strict=True).hint
    assert hint == f"say it: vecml run --data {path} --target label --day-first --strict"
    assert load_table(parsed(str(hint).removeprefix("say it: "))).columns[0].kind == "number"


def test_the_estimator_takes_it_and_its_warnings_are_keywords() -> None:
    frame = pd.DataFrame({"when": DAYS, "b": [i * i % 7 for i in range(40)]})
    with pytest.warns(VecmlWarning, match="VML033") as caught:
        TabularClassifier(epochs=1).fit(frame, LABELS)
    assert "(day_first=True reads the day first)" in str(caught[0].message)
    TabularClassifier(epochs=1, day_first=True).fit(frame, LABELS)
    with pytest.raises(ValueError, match="infinite") as raised:
        TabularClassifier(epochs=1).fit(frame.assign(b=np.inf, c=frame["b"]), LABELS)
    assert raised.value.hint == (  # type: ignore[attr-defined]
        "count infinite values as missing (or leave it out with drop=['b']):"
        " TabularClassifier(missing=('inf',), epochs=1)"
    )

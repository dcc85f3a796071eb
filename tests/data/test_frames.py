"""Tables in Python's memory: the same rules, columns and digest as a file, in training and in `predict`."""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from vecml.config import PipelineConfig
from vecml.data.encoding import Encoding
from vecml.data.handed import handing_over, with_settings
from vecml.data.raw import raw_columns
from vecml.data.sources import check_source, load_table
from vecml.data.split import split_table
from vecml.data.table import Table
from vecml.errors import DataError, SettingError, VecmlError
from vecml.warnings import VecmlWarning


def frame(n: int = 80) -> pd.DataFrame:
    rng = np.random.default_rng(3)
    gone = rng.random(n) < 0.1
    table = pd.DataFrame(
        {
            "whole": rng.integers(-5, 5, n),
            "real": np.where(gone, np.nan, rng.standard_normal(n)),
            "yes": rng.random(n) < 0.5,
            "colour": np.array(["red", "grün", "blue, dark"])[rng.integers(0, 3, n)],
            "price": [f"{value} €" for value in rng.integers(1, 9, n)],
            "day": pd.date_range("2024-01-01", periods=n).date,
            "label": np.array(["no", "yes"])[rng.integers(0, 2, n)],
        }
    )
    table.loc[gone, "colour"] = None
    return table


HELD: dict[str, Callable[[pd.DataFrame], Any]] = {
    "pandas": lambda table: table,
    "pandas with Arrow's types": lambda table: table.convert_dtypes(dtype_backend="pyarrow"),
    "pandas with categories and an index": lambda table: table.astype({"colour": "category"}).set_index(
        np.arange(len(table))[::-1]
    ),
    "Polars": pl.from_pandas,
    "Polars with categories": lambda table: pl.from_pandas(table).with_columns(pl.col("colour").cast(pl.Categorical)),
    "Arrow": pa.Table.from_pandas,
    "record batch": pa.RecordBatch.from_pandas,
    "arrays": lambda table: {name: table[name].to_numpy() for name in table},
    "lists": lambda table: {name: table[name].tolist() for name in table},
}


def load(data: object, **settings: Any) -> Table:
    config = with_settings(PipelineConfig(), data, {"target": "label", **settings})
    with handing_over(data):
        return load_table(config)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Table:
    path = tmp_path_factory.mktemp("frames") / "table.csv"
    frame().to_csv(path, index=False)
    return load_table(PipelineConfig(data=str(path), target="label"))


pytestmark = pytest.mark.filterwarnings("ignore:VML0[34]:UserWarning")


@pytest.mark.parametrize("kind", HELD)
def test_a_table_in_memory_is_the_csv(kind: str, written: Table) -> None:
    data = HELD[kind](frame())
    table = load(data)
    assert [column.kind for column in table.columns] == ["number", "number", "boolean", "category", "number", "number"]
    assert table.digest == written.digest
    assert table.classes == ("no", "yes")
    np.testing.assert_array_equal(table.label_N, written.label_N)
    assert table.source.startswith("python:")
    encoding = Encoding.fit(written.columns, np.arange(written.n_rows), written.target, written.classes)
    np.testing.assert_array_equal(
        encoding.transform(raw_columns(data, encoding))[0], encoding.transform(written.columns)[0]
    )


@pytest.mark.parametrize(
    ("kind", "name"),
    [("pandas", "python:pandas.DataFrame"), ("Polars", "python:polars.DataFrame"), ("arrays", "python:dict")],
)
def test_the_recorded_name_is_the_type(kind: str, name: str) -> None:
    assert load(HELD[kind](frame())).source == name


def test_values_of_several_kinds_are_what_a_csv_says(tmp_path: Path) -> None:
    table = pd.DataFrame({"mixed": [1, "x", 2.5, True, None] * 8, "label": ["a", "b"] * 20})
    mixed = load(table).columns[0]
    assert mixed.kind == "category"
    assert mixed.categories == ("1", "2.5", "true", "x")


def test_what_is_not_used_need_not_be_a_column() -> None:
    table = frame().assign(thing=[{"a": 1}, [1], "x", 2] * 20)
    with pytest.raises(DataError, match="column 'thing' in the data frame cannot be used"):
        load(table)
    assert "thing" not in {column.name for column in load(table, drop=("thing",)).columns}
    assert [column.name for column in load(table, keep=("whole", "real")).columns] == ["whole", "real"]


def test_columns_of_different_length() -> None:
    with pytest.raises(DataError, match="columns of the mapping differ in length: 'a' 3, 'label' 2"):
        load({"a": [1, 2, 3], "label": ["x", "y"]})


def test_what_is_no_table() -> None:
    with pytest.raises(DataError, match="data of type int cannot be read"):
        load(5)


def test_outside_its_run_the_table_is_gone() -> None:
    config = with_settings(PipelineConfig(), frame(), {"target": "label"})
    for ask in (lambda: load_table(config), lambda: check_source(config.data)):
        with pytest.raises(DataError, match="was a table in Python's memory, which is not kept") as caught:
            ask()
    assert caught.value.hint == "write it to a file, df.to_parquet('table.parquet'), and name that with --data"


def test_settings_are_laid_over_the_config() -> None:
    config = with_settings(PipelineConfig(seed=4, data="a.csv", target="x"), None, {"target": "y"})
    assert (config.seed, config.data, config.target) == (4, "a.csv", "y")
    same = PipelineConfig(seed=4)
    assert with_settings(same, None, {}) is same
    with pytest.raises(SettingError, match="unknown setting 'epoch'"):
        with_settings(same, None, {"epoch": 3})


def test_without_a_target_the_columns_are_named() -> None:
    config = with_settings(PipelineConfig(), frame(), {})
    with handing_over(frame()), pytest.raises(DataError, match=r"^python:pandas.DataFrame needs a target") as caught:
        load_table(config)
    assert "for example: target=" in str(caught.value.hint)


@pytest.mark.parametrize(
    ("settings", "message", "hint"),
    [
        ({"target": "labl"}, "there is no column 'labl'", "target='label'"),
        ({"target": "label", "drop": ["siz"]}, "there is no column 'siz'", "drop=['size']"),
        ({"target": "label", "drop": ["size", "word"]}, "no feature column is left", "drop=[]"),
        ({"target": "label", "bins": 3}, "bins=3: target 'label' holds no numbers", "bins=None"),
        ({"target": "label", "min_class_rows": 999}, "min_class_rows=999: no class", "min_class_rows=20"),
        ({"target": "label", "test_fraction": 0.001}, "test_fraction=0.001: a test part", "test_fraction=0.05"),
        ({"target": "label", "tune": 4, "epochs": 3}, "tune 4: leave out epochs:", None),
        ({"target": "label", "query": "x"}, "query needs a database: data with", None),
        ({"target": 4}, "target 4: not a text", 'target = "4"'),
    ],
)
def test_a_refusal_of_a_data_frame_has_python_s_names_and_its_hint_helps(
    settings: dict[str, Any], message: str, hint: str | None
) -> None:
    data = pd.DataFrame({"size": np.sin(np.arange(40)), "word": ["a", "b"] * 20, "label": list("xxyy") * 10})
    with pytest.raises(VecmlError) as caught:
        training_rows(data, settings)
    assert caught.value.message.startswith(message)
    assert "--" not in f"{caught.value.message} {caught.value.hint}"
    if hint is None or " = " in hint:
        assert caught.value.hint is None or str(caught.value.hint).endswith(str(hint))
        return
    assert str(caught.value.hint).endswith(hint)
    mended = {**settings, **eval(f"dict({hint})")}  # noqa: S307 -- what a person would paste
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", VecmlWarning)
        assert training_rows(data, mended) > 0


def training_rows(data: object, settings: dict[str, Any]) -> int:
    config = with_settings(PipelineConfig(), data, settings)
    with handing_over(data):
        return split_table(load_table(config), config.test_fraction, config.seed).train.n_rows

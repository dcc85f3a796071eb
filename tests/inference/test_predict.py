"""`vecml.predict`: a raw table in, names out, in every form that people have a table in."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import vecml
from vecml.config import make_config
from vecml.data.sources import load_table
from vecml.data.split import split_table
from vecml.errors import DataError, SettingError
from vecml.model.store import Classifier, save
from vecml.model.train import train
from vecml.warnings import VecmlWarning


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    rng = np.random.default_rng(1)
    size = rng.normal(size=400)
    colour = rng.choice(["red", "green"], 400)
    return pd.DataFrame(
        {"size": size, "colour": colour, "label": np.where(size + (colour == "red") > 0.5, "big", "small")}
    )


@pytest.fixture(scope="module")
def classifier(frame: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Classifier:
    folder = tmp_path_factory.mktemp("model")
    frame.to_csv(folder / "table.csv", index=False)
    config = make_config({"data": str(folder / "table.csv"), "target": "label", "epochs": 60})
    split = split_table(load_table(config), config.test_fraction, config.seed)
    save(Classifier(train(split, config).model, split.encoding), folder)
    return vecml.load(folder)


def test_it_is_right(classifier: Classifier, frame: pd.DataFrame) -> None:
    assert (vecml.predict(classifier, frame) == frame["label"]).mean() > 0.95


@pytest.mark.parametrize(
    "form",
    [
        lambda frame, _: pa.Table.from_pandas(frame),
        lambda frame, _: {name: frame[name].to_numpy() for name in frame},
        lambda frame, folder: (frame.to_csv(folder / "a.csv", index=False), folder / "a.csv")[1],
        lambda frame, folder: (frame.to_parquet(folder / "a.parquet"), str(folder / "a.parquet"))[1],
        lambda frame, _: frame[["colour", "size"]],
    ],
    ids=["arrow", "dict", "csv", "parquet", "other order"],
)
def test_every_form_gives_the_same(classifier: Classifier, frame: pd.DataFrame, tmp_path: Path, form: Any) -> None:
    expected = vecml.predict(classifier, frame)
    np.testing.assert_array_equal(vecml.predict(classifier, form(frame, tmp_path)), expected)


@pytest.mark.parametrize("engine", ["row_loop", "numpy", "torch"])
def test_every_engine_gives_the_same(classifier: Classifier, frame: pd.DataFrame, engine: str) -> None:
    expected = vecml.predict(classifier, frame)
    np.testing.assert_array_equal(vecml.predict(classifier, frame, engine=engine), expected)


def test_unseen_categories_are_counted(classifier: Classifier, frame: pd.DataFrame) -> None:
    rows = frame.iloc[:3].assign(colour=["mauve", "red", "puce"])
    with pytest.warns(VecmlWarning) as caught:
        vecml.predict(classifier, rows)
    assert [str(warning.message) for warning in caught] == [
        "VML003 in the data, 2 values of a category that the training part has not: encoded as zeros"
    ]


def test_no_rows_no_labels(classifier: Classifier, frame: pd.DataFrame) -> None:
    assert vecml.predict(classifier, frame.iloc[:0]).shape == (0,)


def test_a_missing_column_is_named(classifier: Classifier, frame: pd.DataFrame) -> None:
    with pytest.raises(DataError, match="'colour'"):
        vecml.predict(classifier, frame.rename(columns={"colour": "color"}))


def test_an_unknown_engine_is_named(classifier: Classifier, frame: pd.DataFrame) -> None:
    with pytest.raises(SettingError, match="there is no such engine"):
        vecml.predict(classifier, frame, engine="tensorflow")


@pytest.mark.parametrize(
    ("value", "said"), [("wide", "'wide' in row 5, line 7 is not one"), ("1e39", "in row 5, line 7, ")]
)
@pytest.mark.parametrize("judge", [vecml.predict, vecml.compare])
def test_a_value_of_a_text_file_that_cannot_be_is_named_with_its_line(
    classifier: Classifier, tmp_path: Path, judge: Any, value: str, said: str
) -> None:
    path = tmp_path / "new.csv"
    path.write_text("size,colour\n1,red\n2,red\n3,red\n4,red\n\n" + f"{value},red\n")
    with pytest.raises(DataError, match=said):
        judge(classifier, path)

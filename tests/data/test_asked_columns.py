"""--categorical and --missing: what the user says of columns holds for every reader, at training and later."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from vecml.config import make_config
from vecml.data.encoding import Encoding
from vecml.data.raw import raw_columns
from vecml.data.sources import load_table
from vecml.data.stream import blocks, open_file
from vecml.data.table import Table
from vecml.errors import DataError, SettingError

N = 60
CODES = [("08001", "8001", "08001", "7")[i * 7 % 4] for i in range(N)]
AGES = [("20", "35", "-99", "?", "61.5")[i * 3 % 5] for i in range(N)]
LABELS = [("no", "yes", "-99")[i * 7919 // 13 % 3] for i in range(N)]


def saved(folder: Path) -> dict[str, Path]:
    paths = {"csv": folder / "a.csv", "parquet": folder / "a.parquet"}
    rows = [",".join(row) for row in zip(CODES, AGES, LABELS, strict=True)]
    paths["csv"].write_text("\n".join(["code,age,label", *rows]) + "\n")
    pq.write_table(pa.table({"code": CODES, "age": AGES, "label": LABELS}), paths["parquet"], row_group_size=7)
    return paths


def table(path: Path, **settings: object) -> Table:
    return load_table(make_config({"data": str(path), "target": "label", **settings}))


@pytest.mark.filterwarnings("ignore::vecml.warnings.VecmlWarning")
def test_the_same_for_every_reader(tmp_path: Path) -> None:
    paths = saved(tmp_path)
    asked = {"categorical": ("code",), "missing": ("-99", "?")}
    first, second = (table(path, **asked) for path in paths.values())
    assert first.digest == second.digest
    assert first.classes == ("no", "yes")
    assert first.columns[0].categories == ("08001", "7", "8001")
    missing = [age in ("-99", "?") for age, label in zip(AGES, LABELS, strict=True) if label != "-99"]
    np.testing.assert_array_equal(np.isnan(first.columns[1].values_N), missing)
    encoding = Encoding.fit(first.columns, None, "label", first.classes)
    encoding = Encoding.from_json_dict(encoding.to_json_dict())
    assert encoding.feature_names == ("code=08001", "code=7", "code=8001", "age", "age is missing")
    expected, _ = encoding.transform(raw_columns(paths["csv"], encoding))
    assert expected[4].sum() == sum(age in ("-99", "?") for age in AGES)
    frame = pd.DataFrame({"code": CODES, "age": AGES})
    typed = pd.DataFrame({"code": CODES, "age": [np.nan if age == "?" else float(age) for age in AGES]})
    for data in (paths["parquet"], frame, typed):
        np.testing.assert_array_equal(encoding.transform(raw_columns(data, encoding))[0], expected)
    for path in paths.values():
        parts = [encoding.transform(one.columns)[0] for one in blocks(open_file(path, encoding), 13)]
        np.testing.assert_array_equal(np.hstack(parts), expected)


@pytest.mark.filterwarnings("ignore::vecml.warnings.VecmlWarning")
def test_without_a_word_the_codes_are_numbers_in_every_format(tmp_path: Path) -> None:
    first, second = (table(path) for path in saved(tmp_path).values())
    assert first.digest == second.digest
    np.testing.assert_array_equal(np.unique(first.columns[0].values_N), [7, 8001])


def test_columns_are_named_as_for_drop(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"^there is no column 'cod' in a\.csv$") as caught:
        table(saved(tmp_path)["csv"], categorical=("cod",))
    assert "--categorical code" in str(caught.value.hint)
    with pytest.raises(SettingError, match="--categorical"):
        make_config({"categorical": ("a",)})


def test_an_unnamed_column_can_be_forced(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(
        "\n".join([",x,label", *(f"{code},{i * i % 7},{'xy'[i * 5 % 3 % 2]}" for i, code in enumerate(CODES))]) + "\n"
    )
    with pytest.warns(UserWarning, match="VML040"):
        made = table(path, categorical=("unnamed_1",))
    assert made.columns[0].categories == ("08001", "7", "8001")

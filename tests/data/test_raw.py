"""New data for a saved model: kinds come from the encoding, not from what the data looks like."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest

from vecml.config import make_config
from vecml.data.encoding import Encoding
from vecml.data.raw import raw_columns
from vecml.data.sources import load_table
from vecml.errors import DataError

CSV = "code,age,member,label\n1,10,true,a\n2,20.5,false,b\nx,30,true,a\n007,,,b\n"


@pytest.fixture
def encoding(tmp_path: Path) -> Encoding:
    path = tmp_path / "training.csv"
    path.write_text(CSV)
    table = load_table(make_config({"data": str(path), "target": "label"}))
    return Encoding.fit(table.columns, target=table.target, classes=table.classes)


def features(data: object, encoding: Encoding) -> tuple[np.ndarray, int]:
    return encoding.transform(raw_columns(data, encoding))


EXPECTED = [
    [0, 0, 1],  # 007
    [1, 0, 0],  # 1
    [0, 1, 0],  # 2
    [0, 0, 0],  # x
    [5, 6, 20.5],
    [0, 1, 1],
]


def as_csv(folder: Path) -> Path:
    path = folder / "new.csv"
    path.write_text("age,extra,code,member\n5,9,1,0\n6,9,2,1\n,9,007,\n")
    return path


def as_parquet(folder: Path) -> str:
    path = folder / "new.parquet"
    pa.parquet.write_table(as_arrow(folder), path)
    return str(path)


def as_arrow(folder: Path) -> pa.Table:
    return pa.table(
        {"code": ["1", "2", "007"], "age": pa.array([5, 6, None], pa.int8()), "member": [False, True, None]}
    )


def as_pandas(folder: Path) -> pd.DataFrame:
    frame = pd.DataFrame({"code": [1, 2, "007"], "age": ["5", " +6.0", None], "member": [0.0, 1.0, None]})
    frame["code"] = frame["code"].astype(str)
    frame["unusable"] = [1, "x", [2]]
    return frame


def as_mapping(folder: Path) -> dict[str, object]:
    return {"code": ["1", "2", "007"], "age": np.array([5.0, 6.0, np.nan]), "member": ["False", "1", None]}


@pytest.mark.parametrize("make", [as_csv, as_parquet, as_arrow, as_pandas, as_mapping])
def test_the_same_rows_from_everywhere(make: object, encoding: Encoding, tmp_path: Path) -> None:
    x_FN, unseen = features(make(tmp_path), encoding)  # type: ignore[operator]
    np.testing.assert_array_equal(x_FN, EXPECTED)
    assert unseen == 0


def test_a_table_s_columns_are_taken_as_they_are(encoding: Encoding, tmp_path: Path) -> None:
    table = load_table(make_config({"data": str(tmp_path / "training.csv"), "target": "label"}))
    assert raw_columns(table, encoding) == table.columns


def test_digits_in_a_category_column_are_categories(encoding: Encoding) -> None:
    rest = {"age": [1.0, 2.0, 3.0], "member": [True, False, None]}
    for codes in ([2, 1, 5], [2.0, 1.0, 5.0], np.array([2, 1, 5], np.uint8)):
        x_FN, unseen = features({"code": codes, **rest}, encoding)
        np.testing.assert_array_equal(x_FN[:4], [[0, 0, 0], [0, 1, 0], [1, 0, 0], [0, 0, 0]])
        assert unseen == 1


def test_any_number_of_new_texts(encoding: Encoding) -> None:
    n = 20_000
    data = {"code": [f"new {i}" for i in range(n)], "age": np.ones(n), "member": [True] * n}
    assert features(data, encoding)[1] == n


def test_no_rows(encoding: Encoding, tmp_path: Path) -> None:
    path = tmp_path / "none.csv"
    path.write_text("code,age,member\n")
    assert features(path, encoding)[0].shape == (6, 0)


def test_a_column_without_a_value_is_imputed(encoding: Encoding) -> None:
    x_FN, unseen = features({"code": [None], "age": [None], "member": [None]}, encoding)
    np.testing.assert_array_equal(x_FN[:, 0], [1, 0, 0, 0, 20.5, 1])
    assert unseen == 0


def test_dates_are_seconds_again(tmp_path: Path) -> None:
    path = tmp_path / "dates.csv"
    path.write_text("day,label\n2024-01-01,a\n2024-03-01,b\n2024-02-01,a\n")
    table = load_table(make_config({"data": str(path), "target": "label"}))
    encoding = Encoding.fit(table.columns)
    frame = pd.DataFrame({"day": pd.to_datetime(["2024-02-02"])})
    np.testing.assert_array_equal(features(frame, encoding)[0], [[86_400]])


GOOD = {"code": ["1", "x"], "age": [1.0, 2.0], "member": [True, False]}


@pytest.mark.parametrize(
    ("change", "message", "hint"),
    [
        (
            {"age": ["5", "abc"]},
            "column 'age' was a number in training: 'abc' in row 2 is not one",
            "mend it, or leave it empty",
        ),
        (
            {"age": [True, False]},
            "column 'age' is a boolean, but was a number in training",
            "give it values of the kind that the model was trained on",
        ),
        (
            {"member": [1, 2]},
            "column 'member' was a boolean in training: '2' in row 2 is not one",
            "write true or false, or leave it empty",
        ),
        (
            {"member": ["no", "true"]},
            "column 'member' was a boolean in training: 'no' in row 1 is not one",
            "write true or false, or leave it empty",
        ),
        (
            {"age": [[1], [2]]},
            "column 'age' holds list<item: int64>, but was a number in training",
            "give it values of the kind that the model was trained on",
        ),
        (
            {"code": [b"\xff", b"x"]},
            "column 'code' holds binary, but was a category in training",
            "give it values of the kind that the model was trained on",
        ),
        (
            {"age": [1.0]},
            "columns of the mapping differ in length: 'code' 2, 'age' 1, 'member' 2",
            "give every column a value for every row",
        ),
        (
            {"age": np.zeros((2, 2))},
            "column 'age' in the mapping has shape (2, 2); a column has one dimension",
            None,
        ),
    ],
)
def test_what_does_not_fit(change: dict[str, object], message: str, hint: str | None, encoding: Encoding) -> None:
    with pytest.raises(DataError) as caught:
        raw_columns(GOOD | change, encoding)
    assert (caught.value.message, caught.value.hint) == (message, hint)


def test_text_in_a_number_column_of_a_file(encoding: Encoding, tmp_path: Path) -> None:
    path = tmp_path / "new.csv"
    path.write_text("code,age,member\n1,5,true\n2,abc,true\n")
    with pytest.raises(DataError, match=r"^column 'age' was a number in training: 'abc' in row 2 is not one$"):
        raw_columns(str(path), encoding)


def test_missing_column_of_new_data(encoding: Encoding) -> None:
    data = pd.DataFrame({"code": ["1"], "Age": [1.0], "member": [True]})
    with pytest.raises(DataError) as caught:
        raw_columns(data, encoding)
    assert caught.value.message == "there is no column 'age' in the data frame"
    assert caught.value.hint == "did you mean 'Age'? columns: 'code', 'Age', 'member'"


def test_columns_that_mix_values_are_refused_where_they_matter(encoding: Encoding) -> None:
    data = pd.DataFrame({"code": ["1", "2"], "age": [1, "x"], "member": [True, False]})
    with pytest.raises(DataError, match=r"^column 'age' was a number in training: 'x' in row 2 is not one"):
        raw_columns(data, encoding)
    with pytest.raises(DataError, match=r"^column 'age' in the data frame cannot be used \(object\): "):
        raw_columns(data.assign(age=[1, [2]]), encoding)


def test_an_infinite_value_is_refused_when_it_is_encoded(encoding: Encoding) -> None:
    with pytest.raises(DataError) as caught:
        features(GOOD | {"age": [1.0, np.inf]}, encoding)
    assert caught.value.message == "column 'age' has an infinite value in row 2"
    assert caught.value.hint == "mend it, or leave it empty"


def test_data_of_no_use(encoding: Encoding) -> None:
    with pytest.raises(DataError) as caught:
        raw_columns(3, encoding)
    assert caught.value.message == "data of type int cannot be read"

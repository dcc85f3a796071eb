"""`NA` in a text file: a word where it is quoted, or where the column holds codes of its form; else a missing value."""

from pathlib import Path

import numpy as np
import pytest

from vecml.config import make_config
from vecml.data.encoding import Encoding
from vecml.data.raw import raw_columns
from vecml.data.sources import load_table
from vecml.data.stream import blocks, open_file
from vecml.data.table import Table
from vecml.warnings import VecmlWarning

COUNTRIES = ["DE", "NA", "US", "FR"]


def label(i: int) -> str:
    """A label that nothing else says."""
    return "xy"[i * 7919 // 13 % 2]


def saved(folder: Path, rows: list[str], name: str = "a.csv") -> Path:
    path = folder / name
    path.write_text("\n".join(rows) + "\n")
    return path


def table(path: Path, **settings: object) -> Table:
    return load_table(make_config({"data": str(path), "target": "label", **settings}))


def test_among_codes_of_two_letters_it_is_a_word_of_a_column_and_of_the_label(tmp_path: Path) -> None:
    rows = [f"{COUNTRIES[i % 4]},{i % 7},{COUNTRIES[i % 4] if i % 3 else 'DE'}" for i in range(80)]
    path = saved(tmp_path, ["land,x,label", *rows, ",1,US"])
    with pytest.warns(VecmlWarning, match=r"^VML036 columns 'land', 'label' hold"):
        made = table(path)
    assert made.classes == ("DE", "FR", "NA", "US")
    assert (made.columns[0].categories, made.n_rows) == (("DE", "FR", "NA", "US"), 81)
    assert made.columns[0].values_N[-1] == -1


def test_it_stays_the_word_later_and_is_missing_elsewhere(tmp_path: Path) -> None:
    rows = [f"{COUNTRIES[i % 4]},{i % 7 or 'NA'},{('red', 'blue', 'NA')[i % 3]},{label(i)}" for i in range(80)]
    path = saved(tmp_path, ["land,x,colour,label", *rows])
    with pytest.warns(VecmlWarning, match="VML036"):
        made = table(path)
    encoding = Encoding.fit(made.columns, None, made.target, made.classes)
    encoding = Encoding.from_json_dict(encoding.to_json_dict())
    assert [name for name in encoding.feature_names if name.startswith("land")] == [
        f"land={c}" for c in sorted(COUNTRIES)
    ]
    expected, _ = encoding.transform(made.columns)
    later = saved(tmp_path, ["land,x,colour", *(",".join(row.split(",")[:3]) for row in rows)], "later.csv")
    np.testing.assert_array_equal(encoding.transform(raw_columns(later, encoding))[0], expected)
    for block_rows in (7, 100):
        parts = [encoding.transform(one.columns)[0] for one in blocks(open_file(later, encoding), block_rows)]
        np.testing.assert_array_equal(np.hstack(parts), expected)
    one = saved(tmp_path, ["land,x,colour", "NA,NA,NA"], "one.csv")
    (row,) = encoding.transform(raw_columns(one, encoding))[0].T
    named = dict(zip(encoding.feature_names, row, strict=True))
    assert (named["land=NA"], named["x is missing"], named["colour is missing"]) == (1, 1, 1)


@pytest.mark.parametrize("others", [["M", "F"], ["YES", "NO"], ["USA", "GBR"], ["de", "us"], ["DE"]])
def test_among_other_words_it_is_missing(tmp_path: Path, others: list[str]) -> None:
    values = [*others, "NA"] * 10
    made = table(saved(tmp_path, ["a,b,label", *(f"{v},{i * i % 7},{label(i)}" for i, v in enumerate(values))]))
    assert made.columns[0].categories == tuple(sorted(others))
    assert (made.columns[0].values_N == -1).sum() == 10


def test_in_quotes_it_is_a_word_and_declared_it_is_missing(tmp_path: Path) -> None:
    rows = [f"{('Asia', 'Europe', chr(34) + 'NA' + chr(34))[i % 3]},{i * i % 7},{label(i)}" for i in range(30)]
    path = saved(tmp_path, ["a,b,label", *rows])
    assert table(path).columns[0].categories == ("Asia", "Europe", "NA")
    assert table(path, missing=("NA",)).columns[0].categories == ("Asia", "Europe")
    codes = saved(tmp_path, ["a,b,label", *(f"{COUNTRIES[i % 4]},{i * i % 7},{label(i)}" for i in range(40))])
    assert table(codes, missing=("NA",)).columns[0].categories == ("DE", "FR", "US")


def test_none_is_a_word_among_words_and_missing_among_numbers(tmp_path: Path) -> None:
    rows = [f"{('None', 'some', 'much')[i % 3]},{i % 20 or 'None'},{label(i)}" for i in range(60)]
    path = saved(tmp_path, ["a,b,label", *rows])
    with pytest.warns(VecmlWarning, match="^VML032 column 'b' read as numbers; 'None' counts as missing, in 3 rows$"):
        made = table(path)
    assert made.columns[0].categories == ("None", "much", "some")
    assert np.isnan(made.columns[1].values_N).sum() == 3


def rows_of(n: int) -> list[str]:
    """Countries as codes, a colour with NA in quotes and without, and numbers; R writes such colours."""
    colours = ['"red"', '"NA"', "NA", '"blue"']
    return [f"{COUNTRIES[i % 4]},{colours[i // 4 % 4]},{i % 7 or 'NA'},{label(i)}" for i in range(n)]


def test_in_quotes_and_without_in_one_column_it_is_both_also_beside_a_column_of_codes(tmp_path: Path) -> None:
    path = saved(tmp_path, ["land,colour,x,label", *rows_of(160)])
    with pytest.warns(VecmlWarning, match="^VML036 column 'land' holds"):
        made = table(path)
    assert [one.categories for one in made.columns] == [("DE", "FR", "NA", "US"), ("NA", "blue", "red"), ()]
    assert (made.columns[1].values_N == -1).sum() == 40
    encoding = Encoding.from_json_dict(Encoding.fit(made.columns, None, made.target, made.classes).to_json_dict())
    expected, _ = encoding.transform(made.columns)
    np.testing.assert_array_equal(encoding.transform(raw_columns(path, encoding))[0], expected)
    for block_rows in (7, 1_000):
        parts = [encoding.transform(one.columns)[0] for one in blocks(open_file(path, encoding), block_rows)]
        np.testing.assert_array_equal(np.hstack(parts), expected)


def test_codes_of_which_NA_is_quoted_tell_both_apart(tmp_path: Path) -> None:
    values = ['"DE"', '"NA"', "NA", '"US"']
    path = saved(tmp_path, ["a,b,label", *(f"{values[i % 4]},{i * i % 7},{label(i)}" for i in range(80))])
    made = table(path)
    assert made.columns[0].categories == ("DE", "NA", "US")
    assert (made.columns[0].values_N == -1).sum() == 20


def test_another_marker_among_codes_is_missing(tmp_path: Path) -> None:
    values = [*COUNTRIES, "NULL", "N/A"]
    path = saved(tmp_path, ["a,b,label", *(f"{values[i % 6]},{i * i % 7},{label(i)}" for i in range(120))])
    with pytest.warns(VecmlWarning, match="VML036"):
        made = table(path)
    assert made.columns[0].categories == ("DE", "FR", "NA", "US")
    encoding = Encoding.fit(made.columns)
    for read in (raw_columns(path, encoding), next(blocks(open_file(path, encoding), 200)).columns):
        assert (read[0].values_N == -1).sum() == 40


def test_the_carried_columns_of_a_stream_are_those_of_the_rows(tmp_path: Path) -> None:
    path = saved(tmp_path, ["land,colour,x,label", *rows_of(60)])
    with pytest.warns(VecmlWarning, match="VML036"):
        encoding = Encoding.fit(table(path).columns)
    carried = [one.carried for one in blocks(open_file(path, encoding, ["land", "label"]), 7)]
    assert [value for part in carried for value in part["land"].to_pylist()] == [COUNTRIES[i % 4] for i in range(60)]
    assert [value for part in carried for value in part["label"].to_pylist()] == list(map(label, range(60)))

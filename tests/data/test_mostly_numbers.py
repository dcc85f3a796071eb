"""Columns that hold nearly only numbers, units in the singular, zeros before numbers, and labels that say nothing."""

import shlex
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from tests.data.pasted import parsed
from vecml.config import make_config
from vecml.data.columns import column_from_arrow
from vecml.data.dialect import asked_of, dialect_of
from vecml.data.encoding import Encoding
from vecml.data.findings import Findings
from vecml.data.handed import handing_over
from vecml.data.leading_zeros import has_leading_zeros
from vecml.data.raw import raw_columns
from vecml.data.sources import load_table
from vecml.data.table import Column, Table
from vecml.data.text_column import ColumnRules
from vecml.errors import DataError
from vecml.warnings import VecmlWarning


def label(i: int) -> str:
    """A label that nothing else says."""
    return "xy"[i * 7919 // 13 % 2]


def column(values: list[str]) -> tuple[Column, list[str]]:
    findings = Findings()
    made = column_from_arrow("a", pa.chunked_array([values]), ColumnRules(), findings)
    assert made is not None
    return made, [f"{one.code} {one.what}" for one in findings.decisions]


def saved(folder: Path, values: list[str]) -> Path:
    path = folder / "a.csv"
    path.write_text("\n".join(["a,b,label", *(f"{v},{i * i % 7},{label(i)}" for i, v in enumerate(values))]) + "\n")
    return path


def loaded(path: Path, **settings: object) -> tuple[Table, list[str]]:
    with pytest.warns(VecmlWarning) as caught:
        table = load_table(make_config({"data": str(path), "target": "label", **settings}))
    return table, [str(one.message) for one in caught]


FOOTNOTES = [f"{20 + i % 40}{'*' if i % 10 == 0 else ''}" for i in range(200)]


def test_numbers_with_a_footnote_in_a_tenth_of_the_rows_are_text_and_it_is_said(tmp_path: Path) -> None:
    path = saved(tmp_path, FOOTNOTES)
    table, said = loaded(path)
    assert table.columns[0].kind == "category"
    assert said == [
        "VML037 column 'a' is mostly numbers, but read as text: 20 of 200 rows say something else, such as '20*',"
        " '30*', '40*', '50*' (--missing '20*,30*,40*,50*' lets them count as missing, and makes numbers of the rest;"
        " --categorical a keeps it as text)"
    ]
    pasted = f"vecml run --data {path} --target label --missing '20*,30*,40*,50*'"
    table = load_table(parsed(pasted))
    assert table.columns[0].kind == "number"
    assert np.isnan(table.columns[0].values_N).sum() == 20
    assert load_table(parsed(f"vecml run --data {path} --target label --categorical a")).columns[0].kind == "category"


@pytest.mark.parametrize(
    ("values", "what"),
    [
        (
            [f"{i % 40}.5 kg" if i % 8 else f"{i} lb" for i in range(160)],
            "is mostly numbers with the unit 'kg', but read as text: 20 of 160 rows say something else, such as"
            " '0 lb', '104 lb', '112 lb', '120 lb', '128 lb'",
        ),
        (
            [f"{i % 28 + 1}.07.2023" if i % 5 else f"about {i}" for i in range(100)],
            "is mostly dates written DD.MM.YYYY, but read as text: 20 of 100 rows say something else, such as"
            " 'about 0', 'about 10', 'about 15', 'about 20', 'about 25'",
        ),
    ],
)
def test_other_units_and_dates_as_well(values: list[str], what: str) -> None:
    made, said = column(values)
    assert made.kind == "category"
    assert said == [f"VML037 {what}"]


def test_with_many_other_values_it_is_kept_or_left_out(tmp_path: Path) -> None:
    path = saved(tmp_path, [f"{i % 60}{'*' if i % 240 // 60 == 1 else ''}" for i in range(480)])
    _, said = loaded(path)
    assert said[0].endswith("(--drop a leaves it out; --categorical a keeps it as text)")


def test_strict_refuses_it_and_its_command_keeps_the_text(tmp_path: Path) -> None:
    path = saved(tmp_path, FOOTNOTES)
    with pytest.raises(DataError) as caught:
        load_table(make_config({"data": str(path), "target": "label", "strict": True}))
    line = f"vecml run --data {path} --target label --categorical a --strict"
    assert caught.value.hint == f"say it: {line}"
    assert load_table(parsed(line)).columns[0].kind == "category"


def test_for_a_data_frame_the_next_step_is_a_keyword() -> None:
    frame = pd.DataFrame({"a": FOOTNOTES, "b": [i * i % 7 for i in range(200)], "label": list(map(label, range(200)))})
    config = make_config({"data": "python:pandas.DataFrame", "target": "label"})
    with handing_over(frame), pytest.warns(VecmlWarning, match="VML037") as caught:
        load_table(config)
    assert str(caught[0].message).endswith(
        "(missing=['20*', '30*', '40*', '50*'] lets them count as missing, and makes numbers of the rest;"
        " categorical=['a'] keeps it as text)"
    )


@pytest.mark.parametrize(
    ("values", "numbers", "unit"),
    [
        (["1 year", "2 years", "3 years"], [1, 2, 3], "years"),
        (["1 year"] * 5 + [f"{i} years" for i in range(2, 30)], [1.0] * 5 + [*range(2, 30)], "years"),
        (["1 inch", "2 inches", "12 inches"], [1, 2, 12], "inches"),
        (["1 foot", "6 feet", "7 feet"], [1, 6, 7], "feet"),
        (["1.5 hr", "2 hrs", "3 hrs"], [1.5, 2, 3], "hrs"),
    ],
)
def test_a_unit_has_a_singular(values: list[str], numbers: list[float], unit: str) -> None:
    made, said = column(values)
    assert made.kind == "number"
    np.testing.assert_array_equal(made.values_N, numbers)
    assert said == [f"VML035 read as numbers with the unit {unit!r}"]
    encoding = Encoding.from_json_dict(Encoding.fit((made,)).to_json_dict())
    (later,) = raw_columns({"a": [values[0], values[-1]]}, encoding)
    np.testing.assert_array_equal(later.values_N, [numbers[0], numbers[-1]])


def test_metres_and_milliseconds_are_two_units() -> None:
    made, _ = column([f"{i % 30}.5 ms" if i % 4 else f"{i % 10} m" for i in range(200)])
    assert made.kind == "category"


CODES = ["08001", "08002", "10115"] * 20


def test_leading_zeros_that_are_lost_are_said(tmp_path: Path) -> None:
    path = saved(tmp_path, CODES)
    table, said = loaded(path)
    assert (table.columns[0].kind, table.columns[0].values_N[0]) == ("number", 8001)
    assert said == [
        "VML035 column 'a' read as numbers, without the leading zeros of values such as '08001' (--categorical a keeps"
        " it as text)"
    ]
    kept = load_table(parsed(f"vecml run --data {path} --target label --categorical a"))
    assert kept.columns[0].categories == ("08001", "08002", "10115")
    assert kept.digest != table.digest
    encoding = Encoding.fit(table.columns)
    np.testing.assert_array_equal(raw_columns(path, encoding)[0].values_N, table.columns[0].values_N)


@pytest.mark.parametrize("values", [["0", "10", "100"], ["0.5", "0.25", "0"], ["00:10", "08:30", "12:00"]])
def test_other_zeros_are_not(tmp_path: Path, values: list[str]) -> None:
    table = load_table(make_config({"data": str(saved(tmp_path, values * 20)), "target": "label"}))
    assert table.columns[0].kind == "number"


def test_zeros_of_a_label_are_said(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("a,label\n" + "".join(f"{i * i % 7},0{i % 2 + 1}\n" for i in range(40)))
    table, said = loaded(path)
    assert (table.classes, len(said)) == (("1", "2"), 1)
    kept = load_table(parsed(f"vecml run --data {path} --target label --categorical label"))
    assert kept.classes == ("01", "02")


@pytest.mark.parametrize("marker", ["?", "-", "n/a ", "unknown", "."])
def test_a_class_called_as_a_missing_value_is_said(tmp_path: Path, marker: str) -> None:
    path = tmp_path / "a.csv"
    classes = ["red", "blue", f'"{marker}"']
    path.write_text("a,label\n" + "".join(f"{i * i % 7},{classes[i % 3]}\n" for i in range(60)))
    table, said = loaded(path)
    name = marker.strip()
    assert table.classes == tuple(sorted(["red", "blue", name]))
    flag = f"--missing {shlex.quote(name)}" if name != "-" else "--missing=-"
    assert said == [
        f"VML038 column 'label' has the class {name!r}, in 20 rows: is that a missing label? ({flag} leaves these"
        " rows out)"
    ]
    with pytest.warns(VecmlWarning, match="^VML002 20 rows without a label"):
        left = load_table(parsed(f"vecml run --data {path} --target label {flag}"))
    assert (left.classes, left.n_rows) == (("blue", "red"), 40)
    assert load_table(parsed(f"vecml run --data {path} --target label --categorical label")).classes == table.classes


@pytest.mark.parametrize("classes", [["+", "-"], ["yes", "-"], ["none", "mild", "severe"], ["A", "A-", "B"]])
def test_signs_that_are_classes_are_not(tmp_path: Path, classes: list[str]) -> None:
    path = tmp_path / "a.csv"
    n = len(classes)
    path.write_text("a,label\n" + "".join(f"{i * i % 7},{classes[i * 7919 // 13 % n]}\n" for i in range(60)))
    assert load_table(make_config({"data": str(path), "target": "label"})).classes == tuple(sorted(classes))


def test_values_that_differ_in_capital_letters_only_are_said(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    smoker, classes = ["Yes", "no", "yes", "No"], ["good", "bad", "GOOD"]
    rows = [f"{smoker[i % 4]},{i * i % 7},{classes[i * 7919 // 13 % 3]}" for i in range(60)]
    path.write_text("\n".join(["smoker,b,label", *rows]) + "\n")
    table, said = loaded(path)
    assert table.classes == ("GOOD", "bad", "good")
    assert said == [
        "VML039 column 'smoker' has values that differ in capital letters only, and count as different: 'No' and 'no',"
        " 'Yes' and 'yes'",
        "VML039 column 'label' has values that differ in capital letters only, and count as different: 'GOOD' and"
        " 'good'",
    ]
    openly = {"data": str(path), "target": "label", "categorical": ("smoker", "label"), "strict": True}
    assert load_table(make_config(openly)).digest == table.digest


def test_a_word_in_one_row_beside_a_few_numbers_is_said(tmp_path: Path) -> None:
    _, said = loaded(saved(tmp_path, ["cm", *(str(i % 5) for i in range(99))]))
    assert said == [
        "VML037 column 'a' is mostly numbers, but read as text: 1 of 100 rows say something else, such as 'cm'"
        " (--missing cm lets them count as missing, and makes numbers of the rest; --categorical a keeps it as text)"
    ]
    made, told = column(["1", "2", "3", "A"] * 9)
    assert (made.kind, told) == ("category", [])


@pytest.mark.parametrize(
    ("value", "has"),
    [
        ("007", True),
        ("+007", True),
        ("-01", True),
        ("2024-01-05", False),
        ("0.5", False),
        ("-0", False),
        ("100", False),
    ],
)
def test_zeros_before_a_whole_number_are_found_in_the_bytes(tmp_path: Path, value: str, has: bool) -> None:
    file = tmp_path / "a.csv"
    file.write_text("a,label\n" + "".join(f"{value},{'xy'[i % 2]}\n" for i in range(60)))
    asked = asked_of(make_config({"data": str(file), "target": "label"}))
    dialect = dialect_of(file.read_bytes(), True, ".csv", asked, "a.csv")
    assert has_leading_zeros(file, dialect) is has


@pytest.mark.parametrize(
    "pattern", ["{0}/{1}", "{0}-1{1}", "{0}.5 ± 0.{1}", "({0}, {1})", "{0} to {1}", "{0} x {1}", "{0} ({1})"]
)
def test_two_numbers_in_each_text_are_told_and_stay_text(pattern: str) -> None:
    values = [pattern.format(i % 13 + 1, i * i % 7 + 2) for i in range(200)]
    made, said = column(values)
    assert (made.kind, len(made.categories)) == ("category", len(set(values)))
    assert [one.split(", such as")[0] for one in said] == ["VML037 holds two numbers in each text"]


@pytest.mark.parametrize("pattern", ["10.0.{0}.{1}", "{0}.{1}.2", "v{0}-{1}", "{0}-W{1}", "+49 {0} {1}", "{0}/{1}/x"])
def test_other_texts_with_numbers_are_not(pattern: str) -> None:
    assert column([pattern.format(i % 13 + 1, i * i % 7 + 2) for i in range(200)])[1] == []


def test_a_few_ranges_are_categories_and_nothing_is_told() -> None:
    assert column([["1-10", "11-50", "51-200"][i % 3] for i in range(200)])[1] == []

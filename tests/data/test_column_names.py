"""Whatever columns are called: each has a name that can be typed, and a hint that names it means it."""

import shlex
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from tests.data.pasted import parsed
from vecml.config import make_config
from vecml.data.column_names import find_column, is_unnamed, typeable_names
from vecml.data.encoding import Encoding
from vecml.data.handed import handing_over
from vecml.data.raw import raw_columns
from vecml.data.remedy import command
from vecml.data.selection import nearest
from vecml.data.sources import load_table
from vecml.data.split import split_table
from vecml.errors import DataError
from vecml.warnings import VecmlWarning

FILES = ("a.csv", "a.parquet", "b.csv")
HARD = [
    "Unnamed: 0",
    "",
    " ",
    "  ",
    "a",
    " a",
    "a ",
    "a,b",
    '"a"',
    'a"b',
    "--a",
    "-",
    "a\nb",
    "a b",
    "a\r\nb",
    "é",
    "e\u0301",
    "$x",
    "'",
    "\\",
]
names = st.one_of(
    st.sampled_from(HARD), st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=8)
)


@given(st.lists(names, min_size=1, max_size=8))
def test_every_column_has_a_name_of_its_own_and_is_found_by_it(given_names: list[str]) -> None:
    made = typeable_names(given_names)
    assert len(set(made)) == len(made) == len(given_names)
    assert all(
        new == old
        for new, old in zip(made, given_names, strict=True)
        if given_names.count(old) == 1 and not is_unnamed(old)
    )
    assert typeable_names(made) == made
    assert [find_column(name, made) for name in made] == made


@given(st.lists(names, min_size=2, max_size=8), st.randoms())
def test_the_columns_of_a_pasted_command_are_those_that_were_meant(given_names: list[str], random: object) -> None:
    made = typeable_names(given_names)
    target, *drop = random.sample(made, random.randint(1, len(made)))  # type: ignore[attr-defined]
    config = make_config({"data": "a.csv", "target": target})
    read = parsed(command(config, {"drop": tuple(drop)}, made))
    assert find_column(str(read.target), made) == target
    assert [find_column(name, made) for name in read.drop] == drop


@pytest.mark.parametrize(
    ("typed", "columns", "meant"),
    [
        ("a", ["a", " a"], "a"),
        (" a", ["a", " a"], " a"),
        ("a", [" a", "b"], " a"),
        ("a", [" a", "a "], None),
        ("in come", ["in\ncome", "b"], "in\ncome"),
        ("e\u0301", ["é"], "é"),
        ("", ["a", "unnamed_1"], "unnamed_1"),
        ("Unnamed: 0", ["a", "unnamed_1"], "unnamed_1"),
        ("", ["a"], None),
        ("A", ["a"], None),
    ],
)
def test_the_column_that_is_meant(typed: str, columns: list[str], meant: str | None) -> None:
    assert find_column(typed, columns) == meant


@pytest.mark.parametrize(("typed", "near"), [("AGE", "age"), ("agee", "age"), ("zzz", None), ("EUR", "income, EUR")])
def test_the_column_that_is_near(typed: str, near: str | None) -> None:
    assert nearest(typed, ["age", "income, EUR", "label"]) == near


def test_unnamed_and_repeated_columns_get_names(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(",a,,a,label\n" + "".join(f"{i * i},{i % 3},{i % 5},{-i % 7},{'xy'[i % 2]}\n" for i in range(20)))
    with pytest.warns(VecmlWarning) as caught:
        table = load_table(make_config({"data": str(path), "target": "label", "drop": ("unnamed_2",)}))
    assert [str(one.message) for one in caught] == [
        "VML040 column 'unnamed_1' is column 1 of the file, which has no name",
        "VML040 column 'a.1' is column 4 of the file, another one called 'a'",
    ]
    assert [column.name for column in table.columns] == ["unnamed_1", "a", "a.1"]
    assert table.columns[2].values_N[:4].tolist() == [0, 6, 5, 4]


@pytest.mark.filterwarnings("ignore::vecml.warnings.VecmlWarning")
def test_predict_finds_unnamed_columns_where_the_label_is_missing(tmp_path: Path) -> None:
    arrays = [[1.0, 2.0, 4.0, 9.0] * 5, [3, 1, 2, 5] * 5, ["x", "y"] * 10]
    parquet.write_table(pa.table(arrays, names=["", "", "label"]), tmp_path / "a.parquet")
    table = load_table(make_config({"data": str(tmp_path / "a.parquet"), "target": "label"}))
    split = split_table(table, 0.2, 0)
    parquet.write_table(pa.table(arrays[:2], names=["", ""]), tmp_path / "new.parquet")
    first, second = raw_columns(tmp_path / "new.parquet", split.encoding)
    assert first.values_N[:4].tolist() == [1, 2, 4, 9]
    assert second.values_N[:4].tolist() == [3, 1, 2, 5]


@pytest.mark.parametrize(
    ("header", "settings", "command_end"),
    [
        ("age,lable", {"target": "label"}, "--target lable"),
        ("age,b,c,label", {"target": "label", "drop": ("agee", "B")}, "--target label --drop age,b"),
        ("age,b,label", {"target": "LABEL", "keep": ("ageing", "agee")}, "--target label --keep age"),
        ("age,b,label", {"target": "label", "keep": ("zzz",)}, "--target label"),
        ("age,b,label", {"target": "zzz"}, "--target label"),
        ('"a, b",c,label', {"target": "label", "drop": ("a",)}, "--target label --drop '\"a, b\"'"),
        ("--a,c,label", {"target": "label", "drop": ("-a",)}, "--target label --drop=--a"),
        (" a,c, label", {"target": "lable"}, "--target ' label'"),
    ],
)
def test_a_wrong_name_gets_a_command_that_works(
    tmp_path: Path, header: str, settings: dict[str, object], command_end: str
) -> None:
    n_columns = header.count(",") + 1 - ("a, b" in header)
    rows = [",".join([*(str((i * 7 + k) % 11) for k in range(n_columns - 1)), "xy"[i % 2]]) for i in range(30)]
    (tmp_path / "a.csv").write_text("\n".join([header, *rows]) + "\n")
    with pytest.raises(DataError) as caught:
        load_table(make_config({"data": str(tmp_path / "a.csv"), **settings}))
    start = f"vecml run --data {tmp_path}/a.csv "
    assert str(caught.value.hint).endswith(start + command_end)
    load_table(parsed(start + command_end))
    assert len(shlex.split(start + command_end)) >= 6


@pytest.mark.filterwarnings("ignore::vecml.warnings.VecmlWarning")
def test_a_file_and_what_pandas_reads_of_it_say_the_same(tmp_path: Path) -> None:
    rows = "".join(f"{i * i},{i % 3},{i % 5},{-i % 7},{'xy'[i % 2]}\n" for i in range(20))
    (tmp_path / "a.csv").write_text(",a,,a,label\n" + rows)
    frame = pd.read_csv(tmp_path / "a.csv")
    assert list(frame) == ["Unnamed: 0", "a", "Unnamed: 2", "a.1", "label"]
    frame.to_parquet(tmp_path / "a.parquet")
    frame.to_csv(tmp_path / "b.csv", index=False)
    tables = [load_table(make_config({"data": str(tmp_path / name), "target": "label"})) for name in FILES]
    with handing_over(frame):
        tables.append(load_table(make_config({"data": "python:pandas.DataFrame", "target": "label"})))
    assert len({table.digest for table in tables}) == 1
    encoding = Encoding.fit(tables[0].columns)
    for data in (frame, tmp_path / "a.csv", tmp_path / "b.csv"):
        np.testing.assert_array_equal(
            encoding.transform(raw_columns(data, encoding))[0], encoding.transform(tables[0].columns)[0]
        )

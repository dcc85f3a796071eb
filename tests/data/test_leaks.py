"""Columns that give the label away are dropped or named, and strong features of one's own stay."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.data.pasted import command_in, parsed
from vecml.config import make_config
from vecml.data.findings import Findings
from vecml.data.leaks import counts_rows, without_leaks
from vecml.data.sources import load_table
from vecml.data.table import Column
from vecml.errors import DataError
from vecml.warnings import VecmlWarning

N = 200
RNG = np.random.default_rng(0)
LABEL = np.repeat([0, 1, 2, 3], N // 4)


def number(values: Any, name: str = "a") -> Column:
    return Column(name, "number", np.asarray(values, np.float64))


def category(codes: Any, name: str = "a") -> Column:
    codes = np.asarray(codes, np.int32)
    return Column(name, "category", codes, tuple(f"c{i:03}" for i in range(int(codes.max()) + 1)))


def told(*columns: Column, label_N: Any = LABEL, keep: tuple[str, ...] = ()) -> tuple[list[str], list[tuple[str, Any]]]:
    """The names of the columns that are left, and code and column of what was told."""
    findings = Findings()
    left = without_leaks(columns, np.asarray(label_N), int(np.max(label_N)) + 1, keep, findings)
    return [column.name for column in left], [(one.code, one.column) for one in findings.decisions]


OWN = number(RNG.normal(size=N), "own")
OWN_300 = number(np.sin(np.arange(300) ** 2.0), "own")


@given(st.integers(0, 1), st.floats(0, 0.4), st.integers(0, 99))
@settings(deadline=None)
def test_a_count_of_the_rows_is_found_also_where_rows_were_left_out(first: int, left_out: float, seed: int) -> None:
    kept = np.random.default_rng(seed).random(N) >= left_out
    rows = np.arange(first, first + N, dtype=np.float64)[kept]
    assume((np.diff(rows) == 1).mean() > 0.5)  # else too many are left out to tell
    assert counts_rows(number(rows))
    assert not counts_rows(number(rows[::-1]))
    assert not counts_rows(number(np.random.default_rng(seed).permutation(rows)))
    assert not counts_rows(number(np.append(rows, np.nan)))


@pytest.mark.parametrize(
    "values",
    [
        np.arange(1900, 1900 + N),  # years
        np.arange(N) * 10,
        np.arange(N) * 86_400.0,  # days as seconds
        np.arange(N) / 2,
        np.repeat(np.arange(N // 2), 2),  # a count of groups
        np.cumsum(RNG.integers(1, 9, N)),
        -np.arange(N),
    ],
)
def test_what_rises_is_no_count_of_the_rows(values: Any) -> None:
    assert not counts_rows(number(values))


def test_a_count_is_dropped_and_a_copy_of_the_label_as_well() -> None:
    columns = OWN, number(np.arange(N), "id"), category([3, 0, 2, 1] @ np.eye(4, dtype=int)[LABEL].T, "species")
    assert told(*columns) == (["own"], [("VML041", "id"), ("VML041", "species")])


def test_a_missing_value_is_a_value_of_a_copy() -> None:
    assert told(OWN, number(np.where(LABEL == 3, np.nan, LABEL))) == (["own"], [("VML041", "a")])


def test_columns_of_distinct_values_are_no_copies_of_each_other() -> None:
    assert told(OWN, category(np.arange(N)[::-1]), label_N=np.arange(N)) == (["own", "a"], [])


def test_what_is_kept_by_name_stays_and_is_told() -> None:
    assert told(OWN, number(np.arange(N), "id"), keep=("id",)) == (["own", "id"], [("VML042", "id")])


def test_the_only_column_stays_and_is_told() -> None:
    assert told(number(np.arange(N), "id")) == (["id"], [("VML042", "id")])


@pytest.mark.parametrize(
    "column",
    [
        category(LABEL * 5 + RNG.integers(0, 5, N)),  # a group whose rows share the label
        number(LABEL * 5 + RNG.integers(0, 5, N)),
        number(LABEL + RNG.uniform(0, 0.9, N)),  # the number of which the label was made
        category(np.where(np.arange(N) == 77, 0, LABEL)),  # a copy with an error
        category((LABEL == 2).astype(int)),  # says less than the label, but follows from it
    ],
)
def test_what_gives_the_label_away_is_told_and_stays(column: Column) -> None:
    assert told(column, OWN) == (["a", "own"], [("VML042", "a")])


@pytest.mark.parametrize(
    "column",
    [
        number(LABEL + RNG.normal(size=N) * 0.4),  # a strong feature
        category(np.where(RNG.random(N) < 0.05, RNG.integers(0, 4, N), LABEL)),  # 95 % right
        category(np.arange(N)),  # each value once
        number(RNG.permutation(N)),
        category(np.arange(N) // 2),  # each value twice
        number(np.where(RNG.random(N) < 0.5, np.nan, RNG.normal(size=N))),
        category((np.arange(N) == 3).astype(int)),
    ],
)
def test_what_is_no_leak_is_not_told(column: Column) -> None:
    label_N = np.random.default_rng(1).permutation(LABEL) if len(column.categories) > 50 else LABEL
    assert told(column, OWN, label_N=label_N) == (["a", "own"], [])


def test_a_rare_class_makes_no_column_suspicious() -> None:
    label_N = (np.arange(N) < 3).astype(int)
    assert told(OWN, category(RNG.integers(0, 3, N)), label_N=label_N)[1] == []


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", ["iris", "wine", "breast_cancer"])
def test_built_in_sets_have_no_leaks(name: str) -> None:
    load_table(make_config({"data": f"sklearn:{name}"}))


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "a.csv"
    rows = pd.DataFrame({"": np.arange(1, N + 1), "own": OWN.values_N.round(3), "group": LABEL * 10, "label": LABEL})
    rows["label"] = rows["label"].map(dict(enumerate("wxyz")))
    rows.to_csv(path, index=False)
    return path


def test_what_it_would_have_given_is_said(table: Path) -> None:
    with pytest.warns(VecmlWarning) as caught:
        read = load_table(make_config({"data": str(table), "target": "label"}))
    said, copied = (str(one.message) for one in caught)
    assert said.startswith("VML041 column 'unnamed_1' dropped: it counts the rows; by it alone 100.0 %")
    assert said.endswith("% of held-out rows are right (guessing the commonest class: 25.0 %)")
    assert copied.startswith("VML041 column 'group' dropped: a copy of the label; by it alone 100.0 %")
    assert [column.name for column in read.columns] == ["own"]


def test_strict_refuses_a_leak_and_its_command_works(table: Path) -> None:
    with pytest.raises(DataError) as caught:
        load_table(make_config({"data": str(table), "target": "label", "strict": True}))
    line = command_in(str(caught.value.hint))
    assert line == f"vecml run --data {table} --target label --drop unnamed_1,group --strict"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert [column.name for column in load_table(parsed(line)).columns] == ["own"]


def test_columns_that_a_model_has_stay(table: Path) -> None:
    with pytest.warns(VecmlWarning, match="VML04"):
        read = load_table(make_config({"data": str(table), "target": "label"}), needed=["unnamed_1", "own"])
    assert [column.name for column in read.columns] == ["unnamed_1", "own"]


@pytest.mark.parametrize("seed", range(3))
def test_a_number_that_is_zero_in_one_class_alone_is_told_though_its_other_values_are_rare(seed: int) -> None:
    rng = np.random.default_rng(seed)
    label_N = (rng.random(300) < 0.4).astype(int)
    refund = number(np.where(label_N == 1, rng.integers(1, 70, 300), 0), "refund")
    assert told(OWN_300, refund, label_N=label_N) == (["own", "refund"], [("VML042", "refund")])

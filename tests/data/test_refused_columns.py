"""Every column, value and label that is refused, with the message and the hint, word for word."""

from pathlib import Path

import numpy as np
import pytest

from tests.data.made_files import Case, check_refused, numbered, parquet, rows

LABELS = ["x", "y", "x", "y"]

REFUSED: dict[str, Case] = {
    "unknown target": (
        "data.csv",
        rows("a,b,lable", "1,2,x"),
        {},
        "there is no column 'label' in data.csv",
        "columns: 'a', 'b', 'lable'; did you mean 'lable'? vecml run --data {data} --target lable",
    ),
    "unknown drop": (
        "data.csv",
        rows("age,label", "1,x"),
        {"drop": ("agee",)},
        "there is no column 'agee' in data.csv",
        "columns: 'age', 'label'; did you mean 'age'? {run} --drop age",
    ),
    "unknown keep, nothing near": (
        "data.csv",
        rows("age,label", "1,x"),
        {"keep": ("zzz",)},
        "there is no column 'zzz' in data.csv",
        "columns: 'age', 'label'; without it: {run}",
    ),
    "unknown drop, half of a name with a comma": (
        "data.csv",
        rows('"income, EUR",label', "1,x"),
        {"drop": ("EUR",)},
        "there is no column 'EUR' in data.csv",
        "columns: 'income, EUR', 'label'; did you mean 'income, EUR'? {run} --drop '\"income, EUR\"'",
    ),
    "unknown target, many columns": (
        "data.csv",
        rows(",".join(f"c{i}" for i in range(15)), ",".join("1" * 15)),
        {"target": "0"},
        "there is no column '0' in data.csv",
        "columns: 'c0', 'c1', 'c2', 'c3', 'c4', 'c5', 'c6', 'c7', 'c8', 'c9' and 5 more; did you mean 'c0'?"
        " vecml run --data {data} --target c0",
    ),
    "nothing left": (
        "data.csv",
        rows("a,label", "1,x"),
        {"drop": ("a",)},
        "no feature column is left of data.csv",
        "beside the target, --drop and --keep must leave one; with all columns: {run}",
    ),
    "every column constant": (
        "data.csv",
        rows("a,b,label", "1,5,x", "1,5,y"),
        {},
        "no feature column is left: columns 'a', 'b' dropped: constant",
        "columns: 'a', 'b', 'label'; none of them says anything beside the target",
    ),
    "infinite value": (
        "data.csv",
        numbered(20, lambda i: f"{'inf' if i == 16 else i},{'xy'[i % 2]}"),
        {},
        "column 'a' has an infinite value in row 17, line 18",
        "count infinite values as missing: {run} --missing inf",
    ),
    "minus infinity": (
        "data.parquet",
        parquet(a=[1.0, None, -np.inf, 3.0] * 5, label=LABELS * 5),
        {},
        "column 'a' has an infinite value in row 3",
        "count infinite values as missing: {run} --missing=-inf",
    ),
    "beyond float32": (
        "data.parquet",
        parquet(a=[1.0, -1e300, 2.0, 3.0], label=LABELS),
        {},
        "column 'a' has -1e+300 in row 2, more than float32 can hold",
        "mend it: no other column is left",
    ),
    "list": (
        "data.parquet",
        parquet(**{"a b": [[1], [2], [3], [4]], "label": LABELS}),
        {},
        "column 'a b' holds list<element: int64>, which is no number, text, time or boolean",
        "mend it: no other column is left",
    ),
    "struct": (
        "data.parquet",
        parquet(a=[{"x": 1}] * 4, label=LABELS),
        {},
        "column 'a' holds struct<x: int64>, which is no number, text, time or boolean",
        "mend it: no other column is left",
    ),
    "binary": (
        "data.parquet",
        parquet(a=[b"\xff"] * 4, label=LABELS),
        {},
        "column 'a' holds binary, which is no number, text, time or boolean",
        "mend it: no other column is left",
    ),
    "regression": (
        "data.csv",
        numbered(101, lambda i: f"{i},{i / 3}"),
        {},
        "target 'label' looks like regression: it has 101 distinct numbers",
        "vecml trains classifiers; to cut it into classes: {run} --bins 4",
    ),
    "too many classes": (
        "data.csv",
        numbered(1001, lambda i: f"{i},name {i}"),
        {},
        "target 'label' has 1,001 distinct values; a classifier takes at most 1,000 classes",
        "name another column as the target: one with a few values that repeat",
    ),
    "list as label": (
        "data.parquet",
        parquet(a=[1, 2], label=[[1], [2]]),
        {},
        "target 'label' holds list<element: int64>, which is no number, text, time or boolean",
        "name another column as the target: one with a few values that repeat",
    ),
    "no label at all": (
        "data.csv",
        rows("a,label", "1,", "2,"),
        {},
        "target 'label' has no value in any row of data.csv",
        "name another column as the target: one with a few values that repeat",
    ),
    "one class": (
        "data.csv",
        rows("a,label", "1,x", "2,x", "3,"),
        {},
        "target 'label' has one class only: 'x' in all 2 rows",
        "name another column as the target: one with a few values that repeat",
    ),
}


@pytest.mark.filterwarnings("ignore::vecml.warnings.VecmlWarning")
@pytest.mark.parametrize("case", REFUSED)
def test_refused_in_these_words(case: str, tmp_path: Path) -> None:
    check_refused(REFUSED[case], tmp_path)

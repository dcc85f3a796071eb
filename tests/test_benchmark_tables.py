"""The rules by which `make bench-tables` takes tables and labels, on small tables of our own."""

import io
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks import table_sources
from benchmarks.table_report import Result, report
from benchmarks.table_sources import TableFile, fingerprint, has_header, is_counter, label_column, read


@pytest.mark.parametrize(
    ("columns", "label"),
    [
        ({"class": [2, 0, 1], "size": [1, 2, 2]}, "class"),
        ({"a": ["x", "y", "y"], "is_spam": [1, 0, 1], "b": [1, 1, 2]}, "is_spam"),
        ({"a": ["x", "y", "y"], "b": [1.5, 1.5, 2]}, "a"),
        ({"a": [3, 5, 5], "b": [1, 1, 2]}, "b"),
        ({"a": [3, 5, 5], "b": [1, 2, 3]}, "a"),
        ({"a": [1, 1, 1], "b": [0, 1, 2]}, None),
        ({"sex": ["m", "f", None], "target": [0, None, None]}, "sex"),
        ({" ": ["m", "f", "f"], "Unnamed: 0": ["m", "f", "m"], "k": [4, 4, 1]}, "k"),
    ],
)
def test_the_label_is_found_by_name_kind_and_place(columns: dict[str, list[object]], label: str | None) -> None:
    assert label_column(pd.DataFrame(columns)) == label


def test_many_values_are_no_label() -> None:
    assert label_column(pd.DataFrame({"y": np.arange(21)[::-1] * 2, "z": np.arange(21) % 20})) == "z"


def test_what_counts_the_rows() -> None:
    assert is_counter(pd.Series([4, 5, 6]))
    assert is_counter(pd.Series([0.0, 1.0]))
    assert not is_counter(pd.Series([1, 2, 2]))
    assert not is_counter(pd.Series(["1", "2"]))
    assert not is_counter(pd.Series([1, None, 3]))


def test_a_copy_is_known_whatever_its_names_order_and_counter_are() -> None:
    one = pd.DataFrame({"a": [1, 5, 5], "b": ["x", None, "z"]})
    copy = pd.DataFrame({"": [1, 2, 3], "B": ["x", None, "z"], "A": [1.0, 5.0, 5.0]})
    assert fingerprint(one) == fingerprint(copy)
    assert fingerprint(one) != fingerprint(one.assign(a=[1, 5, 6]))
    assert fingerprint(one) != fingerprint(one[::-1])


@pytest.mark.parametrize(
    ("names", "known"),
    [
        (["a", "b", "1"], True),
        (["1.5", "2", "0.5", "x"], False),
        (["state", "1990", "1991", "1992"], True),
        (["5", "7"], False),
    ],
)
def test_whether_the_first_row_is_a_header(names: list[str], known: bool) -> None:
    assert has_header(names) is known


def test_a_declared_label_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "a.dat"
    path.write_text(
        "@relation r\n@attribute x real [0, 1]\n@attribute kind {a, b}\n@outputs kind\n@data\n0.5, a\n?, b\n"
    )
    frame, label = read(str(path))
    assert label == "kind"
    assert frame["kind"].tolist() == ["a", "b"]
    assert np.isnan(frame["x"][1])


def test_only_tables_come_out_of_a_wheel_and_none_leaves_the_folder() -> None:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as wheel:
        for name in ("p/data/a.csv", "p/code.py", "../../etc/b.csv", "p/tests/c.csv", "p/big.parquet"):
            wheel.writestr(name, name)
    found = dict(table_sources._members(content.getvalue(), "p-1-py3-none-any.whl"))
    assert found == {"p/a.csv": b"p/data/a.csv", "etc/b.csv": b"../../etc/b.csv", "p/big.parquet": b"p/big.parquet"}


def test_the_report_counts_refusals_and_compares() -> None:
    def result(name: str, accuracy: float | None, logistic: float) -> Result:
        table = TableFile(name, name, "y", 500, 3, 2, 50)
        if accuracy is None:
            return Result(table, {"outcome": "refused"}, {}, ["logistic"])
        own = {"outcome": "trained", "accuracy": accuracy, "majority": 0.6, "to_majority_se": 0.05, "cpu_s": 1.0}
        return Result(table, own, {"logistic": logistic}, ["logistic"])

    names = [name for name in map(str, range(40)) if TableFile(name, "", "", 1, 1, 2, 1).half == "dev"][:4]
    text = report(
        [result(names[0], 0.9, 0.8), result(names[1], 0.5, 0.6), result(names[2], 0.7, 0.7), result(names[3], None, 0)]
    )
    assert "| **dev** | 4 | 3 | 0.600 | 0.700 | 0.700 | - | - | +0.0000 ± 0.0577 (n 3) |" in text
    assert "of 4 tables with 10 rows a class or more, 1 (25.0 %) refused" in text
    assert "dev: 1 (33.3 %) below the majority by more than one standard error." in text

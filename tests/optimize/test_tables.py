"""Tables as inputs and results: the index, dtypes and missing values of a candidate's are the original's."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from vecml.optimize.observe import describe, refuse_trivial
from vecml.optimize.target import Place
from vecml.optimize.validate import check, search

TABLE = pd.DataFrame(
    {"a": np.arange(20.0) - 3, "n": np.arange(20), "word": ["x", "yy"] * 10, "when": pd.date_range("2026", periods=20)}
)


def doubled(df: Any) -> Any:
    out = [row["a"] * 2 for _, row in df.iterrows()]
    return pd.Series(out, index=df.index, name="b", dtype=np.float64)


WRONG = {
    "its index": lambda df: pd.Series(df["a"].to_numpy() * 2, name="b"),
    "its name": lambda df: df["a"] * 2,
    "its dtype": lambda df: (df["a"] * 2).astype(np.float32).rename("b"),
    "its missing values": lambda df: (df["a"] * 2).fillna(0.0).rename("b"),
    "its rows' order": lambda df: (df["a"] * 2).sort_values(kind="stable").rename("b"),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_table_is_found(what: str) -> None:
    fault, _, _, _ = search(doubled, WRONG[what], (TABLE,), ("df",), 1e-6, examples=60)
    assert fault is not None


def test_a_right_table_is_found_right() -> None:
    fault, smallest, tried, _ = search(
        doubled, lambda df: (df["a"] * 2).rename("b"), (TABLE,), ("df",), 1e-6, examples=60
    )
    assert (fault, smallest) == (None, "")
    assert tried > 20


def test_a_column_too_many_and_a_changed_input() -> None:
    def kept(df: Any) -> Any:
        return df[["a"]].copy()

    def both(df: Any) -> Any:
        return df[["a", "n"]].copy()

    def changed(df: Any) -> Any:
        df["a"] = df["a"] + 0.0
        df["more"] = 1
        return df[["a"]].copy()

    for wrong in (both, changed):
        with pytest.raises(Exception, match=r"shape|changes its input df"):
            check(kept, wrong, (TABLE,), ("df",), 1e-6)


def test_a_table_is_described_by_its_columns() -> None:
    place = Place("f.py", "doubled", ".")
    (found,) = describe(doubled, (TABLE,), place)
    assert (found.kind, found.shape) == ("DataFrame", (20, 4))
    assert found.text.startswith('{"a": "float64", "n": "int64", "word": ')
    assert refuse_trivial((found,), place, place) == []

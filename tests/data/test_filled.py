"""Markers of a missing value in new data are counted and told, in a file, in blocks and in a data frame."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from vecml.config import make_config
from vecml.data.encoding import Encoding
from vecml.data.filled import Filled
from vecml.data.raw import raw_columns
from vecml.data.sources import load_table
from vecml.data.stream import blocks, open_file
from vecml.warnings import VecmlWarning

NEW = ["age,tax,open,colour", "?,5,true,?", "20,-99,-,red", "207a,-,false,red", "NA,?,,blue", "30,?,true,"]
EXPECTED = {("age", "?"): 1, ("age", "207a"): 1, ("tax", "-"): 1, ("tax", "?"): 2, ("open", "-"): 1}


@pytest.fixture
def encoding(tmp_path: Path) -> Encoding:
    rows = []
    for i in range(120):
        age, open_, colour = 20 + i % 60 if i else "207a", ("false", "true")[i % 2], "red" if i % 3 else "blue"
        rows.append(f"{age},{i % 9},{open_},{colour},{'xy'[i * 7 % 11 % 2]}")
    (tmp_path / "train.csv").write_text("\n".join(["age,tax,open,colour,label", *rows]) + "\n")
    config = make_config({"data": str(tmp_path / "train.csv"), "target": "label", "missing": ("-99",)})
    with pytest.warns(VecmlWarning, match="VML032"):
        table = load_table(config)
    return Encoding.from_json_dict(Encoding.fit(table.columns).to_json_dict())


def test_they_are_counted_in_a_file_and_in_blocks_of_it(tmp_path: Path, encoding: Encoding) -> None:
    new = tmp_path / "new.csv"
    new.write_text("\n".join(NEW) + "\n")
    filled = Filled()
    columns = raw_columns(new, encoding, filled)
    assert dict(filled.rows) == EXPECTED
    assert filled.total == 6
    np.testing.assert_array_equal(columns[1].values_N, [5, np.nan, np.nan, np.nan, np.nan])
    for block_rows in (2, 100):
        file = open_file(new, encoding)
        assert sum(one.n_rows for one in blocks(file, block_rows)) == 5
        assert dict(file.filled.rows) == EXPECTED


def test_they_are_told(encoding: Encoding) -> None:
    rows = [line.split(",") for line in NEW]
    frame = pd.DataFrame(rows[1:], columns=rows[0])
    filled = Filled()
    raw_columns(frame, encoding, filled)
    with pytest.warns(VecmlWarning) as caught:
        filled.tell()
    assert [str(one.message) for one in caught] == [
        "VML032 column 'age' has '207a', '?' in 2 rows: a missing value, which is filled in",
        "VML032 column 'tax' has '-', '?' in 3 rows: a missing value, which is filled in",
        "VML032 column 'open' has '-' in 1 row: a missing value, which is filled in",
    ]


def test_nothing_is_told_of_what_has_none(encoding: Encoding) -> None:
    filled = Filled()
    raw_columns({"age": [1, 2], "tax": ["NA", ""], "open": [True, None], "colour": ["?", "-"]}, encoding, filled)
    filled.tell()
    assert filled.total == 0

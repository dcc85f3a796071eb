"""Classes as people write them, and those that have too few rows."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from tests.data.pasted import command_in, parsed
from vecml.config import make_config
from vecml.data.labels import labels_from_arrow
from vecml.data.sources import load_table
from vecml.data.split import split_table
from vecml.data.table import Table
from vecml.errors import DataError
from vecml.warnings import VecmlWarning

pytestmark = pytest.mark.filterwarnings("ignore:VML005")


def load(tmp_path: Path, labels: list[Any], **settings: Any) -> Table:
    rows = "".join(f"{(7 * i) % 31},{(5 * i) % 13},{label}\n" for i, label in enumerate(labels))
    (tmp_path / "a.csv").write_text("a,b,label\n" + rows)
    return load_table(make_config({"data": str(tmp_path / "a.csv"), "target": "label", **settings}))


@pytest.mark.parametrize(
    ("written", "classes"),
    [
        (["0.0", "1.0"], ("0", "1")),
        (["true", "false"], ("false", "true")),
        (["True", "False"], ("false", "true")),
        (["Y", "N"], ("N", "Y")),
        (["yes", "no"], ("no", "yes")),
        (["1", "2"], ("1", "2")),
        (["10", "9"], ("9", "10")),
    ],
)
def test_two_classes_as_people_write_them(tmp_path: Path, written: list[str], classes: tuple[str, ...]) -> None:
    table = load(tmp_path, written * 10)
    assert table.classes == classes
    first = classes.index({"0.0": "0", "True": "true"}.get(written[0], written[0]))
    np.testing.assert_array_equal(table.label_N, [first, 1 - first] * 10)
    text = pa.table({**{name: [column * 1.0 for column in range(20)] for name in "ab"}, "label": written * 10})
    parquet.write_table(text, tmp_path / "a.parquet")
    again, _ = labels_from_arrow("label", text["label"])
    np.testing.assert_array_equal(again, table.label_N)


def test_infinite_labels_are_missing_ones(tmp_path: Path) -> None:
    with pytest.warns(VecmlWarning) as caught:
        table = load(tmp_path, [0.5, 1, "inf", 1, 0.5, "-inf", ""])
    assert [str(one.message) for one in caught] == [
        "VML002 1 row without a label in 'label' dropped",
        "VML002 2 rows with an infinite number as the label in 'label' dropped",
    ]
    assert table.classes == ("0.5", "1")
    assert table.row_N.tolist() == [0, 1, 3, 4]


RARE = ["x"] * 10 + ["y"] * 9 + ["z"] * 2 + ["u", "v", "w"]


def test_rare_classes_are_dropped(tmp_path: Path) -> None:
    with pytest.warns(VecmlWarning) as caught:
        table = load(tmp_path, RARE, min_class_rows=3)
    assert [str(one.message) for one in caught] == [
        "VML044 classes 'u', 'v', 'w', 'z' of 'label' with fewer than 3 rows dropped: 5 rows"
    ]
    assert table.classes == ("x", "y")
    assert table.label_N.tolist() == [0] * 10 + [1] * 9


def test_rare_classes_are_merged(tmp_path: Path) -> None:
    with pytest.warns(VecmlWarning, match="with fewer than 3 rows merged into 'other': 5 rows$"):
        table = load(tmp_path, RARE, min_class_rows=3, rare_classes="merge")
    assert table.classes == ("x", "y", "other")
    assert table.label_N.tolist() == [0] * 10 + [1] * 9 + [2] * 5


def test_merged_classes_do_not_take_the_name_of_another(tmp_path: Path) -> None:
    with pytest.warns(VecmlWarning, match="merged into 'other classes'"):
        table = load(tmp_path, ["other"] * 5 + ["x"] * 5 + ["u", "v"], min_class_rows=2, rare_classes="merge")
    assert table.classes == ("other", "x", "other classes")


def test_a_single_rare_row_is_not_merged_into_a_class_of_one_row(tmp_path: Path) -> None:
    with pytest.warns(VecmlWarning, match="VML044 class 'u' of 'label' with fewer than 2 rows dropped: 1 row$"):
        table = load(tmp_path, ["y"] * 5 + ["x"] * 5 + ["u"], min_class_rows=2, rare_classes="merge")
    assert table.classes == ("x", "y")


@pytest.mark.parametrize(
    ("labels", "settings", "end"),
    [
        (RARE, {}, "--min-class-rows 2"),
        ([*RARE[:-1], "z"], {"test_fraction": 0.1}, "--min-class-rows 2 --test-fraction 0.14"),
        ([i / 3 for i in range(30)], {}, "--bins 4"),
        (list("aabbccdd"), {"test_fraction": 0.9}, "--test-fraction 0.5"),
        (list("aabbccddeeff") * 2, {}, "--test-fraction 0.25"),
    ],
)
@pytest.mark.filterwarnings("ignore:VML044")
def test_what_cannot_be_split_gets_a_command_that_splits_it(
    tmp_path: Path, labels: list[Any], settings: dict[str, Any], end: str
) -> None:
    table = load(tmp_path, labels, **settings)
    config = make_config({"data": "a", "target": "b", **settings})
    with pytest.raises(DataError) as caught:
        split_table(table, config.test_fraction, 0)
    line = command_in(str(caught.value.hint))
    assert line == f"vecml run --data {tmp_path}/a.csv --target label {end}"
    pasted = parsed(line)
    split = split_table(load_table(pasted), pasted.test_fraction, 0)
    assert set(split.test.label_N) == set(split.train.label_N) == set(range(len(split.classes)))


def test_too_many_classes_of_which_some_are_common(tmp_path: Path) -> None:
    labels = [f"city {i}" for i in range(1_100)] + ["north"] * 30 + ["south"] * 40
    with pytest.raises(DataError) as caught:
        load(tmp_path, labels)
    assert caught.value.message == (
        "target 'label' has 1,102 distinct values; a classifier takes at most 1,000 classes"
    )
    line = str(command_in(str(caught.value.hint)))
    assert line.endswith("--min-class-rows 10")
    with pytest.warns(VecmlWarning, match="VML044 .* and 1,090 more of 'label' .*: 1,100 rows"):
        assert load_table(parsed(line)).classes == ("north", "south")

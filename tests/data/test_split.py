"""Properties of the draw, the oracle being scikit-learn's own stratified split, and what is said when it cannot be."""

import weakref
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn.model_selection import train_test_split

from vecml.config import make_config
from vecml.data.digest import table_digest
from vecml.data.encoding import Encoding
from vecml.data.sources import load_table
from vecml.data.split import split_columns, split_rows, split_table
from vecml.data.table import Column, Table
from vecml.errors import DataError
from vecml.warnings import VecmlWarning


def table_of(*columns: Column, label_N: np.ndarray) -> Table:
    classes = tuple(f"c{i}" for i in range(int(label_N.max()) + 1))
    digest = table_digest(columns, label_N, classes, "y")
    return Table("test", columns, label_N, classes, "y", digest, np.arange(len(label_N)))


def draw(counts: list[int], fraction: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    label_N = np.random.default_rng(1).permutation(np.repeat(np.arange(len(counts)), counts))
    classes = tuple(f"c{i}" for i in range(len(counts)))
    return label_N, *split_rows(label_N, classes, fraction, seed)


CASES = st.tuples(
    st.lists(st.integers(2, 80), min_size=2, max_size=12), st.floats(0.01, 0.99), st.integers(0, 2**32 - 1)
)


@settings(deadline=None)
@given(CASES)
def test_every_row_is_in_one_part_and_every_class_in_both(case: tuple[list[int], float, int]) -> None:
    counts, fraction, seed = case
    n_rows, n_test = sum(counts), round(sum(counts) * fraction)
    assume(len(counts) <= n_test <= n_rows - len(counts))
    label_N, train_N, test_N = draw(counts, fraction, seed)
    assert len(test_N) == n_test
    np.testing.assert_array_equal(np.sort(np.concatenate([train_N, test_N])), np.arange(n_rows))
    for row_N in (train_N, test_N):
        assert row_N.dtype == np.int64
        assert (np.diff(row_N) > 0).all()
        assert set(label_N[row_N]) == set(range(len(counts)))
    for again, first in zip(draw(counts, fraction, seed)[1:], (train_N, test_N), strict=True):
        np.testing.assert_array_equal(again, first)


@settings(deadline=None)
@given(CASES)
def test_every_class_keeps_its_share_to_within_a_row(case: tuple[list[int], float, int]) -> None:
    counts, fraction, seed = case
    n_rows, n_test = sum(counts), round(sum(counts) * fraction)
    share_C = np.array(counts) * n_test / n_rows
    assume(share_C.min() >= 1)  # below, a class takes its one row from the others' share
    assume((np.array(counts) - share_C).min() >= 1)
    label_N, _, test_N = draw(counts, fraction, seed)
    assert (np.abs(np.bincount(label_N[test_N]) - share_C) < 1).all()


@pytest.mark.parametrize("counts", [[50, 50], [10, 990], [8, 5, 7, 11, 200]])
@pytest.mark.parametrize("fraction", [0.2, 0.25, 0.5])
def test_as_many_of_each_class_as_scikit_learn_takes(counts: list[int], fraction: float) -> None:
    label_N = np.repeat(np.arange(len(counts)), counts)
    n_test = round(len(label_N) * fraction)
    shuffled_N, _, test_N = draw(counts, fraction)
    ours = np.bincount(shuffled_N[test_N])
    theirs = np.bincount(train_test_split(label_N, test_size=n_test, stratify=label_N, random_state=0)[1])
    assert np.abs(ours - theirs).max() <= 1  # of two equal remainders either may be rounded up


def test_the_seed_decides() -> None:
    first, other = draw([100, 100], 0.3, 0)[2], draw([100, 100], 0.3, 1)[2]
    assert not np.array_equal(first, other)


def test_every_row_is_drawn_as_often() -> None:
    times = np.zeros(40)
    for seed in range(500):
        times[draw([20, 20], 0.25, seed)[2]] += 1
    # Binomial with n = 500, p = 1/4: deviation 9.7, and none of 40 rows is 5 deviations off.
    assert np.abs(times - 125).max() < 49


@pytest.mark.parametrize(
    ("counts", "fraction", "message", "hint"),
    [
        (
            [1, 5],
            0.2,
            "class 'c0' has 1 row; the split needs at least 2",
            "name another column as the target: one with a few values that repeat",
        ),
        (
            [1, 5, 0, 9, 1, 1, 1, 1],
            0.2,
            "classes with fewer than 2 rows cannot be split: "
            "'c0' has 1, 'c2' has 0, 'c4' has 1, 'c5' has 1, 'c6' has 1 and 1 more",
            "to leave them out, 5 of 19 rows: --min-class-rows 2",
        ),
        (
            [10, 10, 10],
            0.05,
            "--test-fraction 0.05: a test part of 2 rows cannot hold 3 classes",
            "use at least 0.1: --test-fraction 0.1",
        ),
        (
            [4, 4, 4],
            0.9,
            "--test-fraction 0.9: a training part of 1 row cannot hold 3 classes",
            "use at most 0.75: --test-fraction 0.75",
        ),
        (
            [1780] * 5,
            0.0001,
            "--test-fraction 0.0001: a test part of 1 row cannot hold 5 classes",
            "use at least 0.0006: --test-fraction 0.0006",
        ),
        (
            [50_000, 50_000],
            0.00001,
            "--test-fraction 1e-05: a test part of 1 row cannot hold 2 classes",
            "use at least 2e-05: --test-fraction 2e-05",
        ),
    ],
)
def test_what_cannot_be_split(counts: list[int], fraction: float, message: str, hint: str) -> None:
    with pytest.raises(DataError) as caught:
        draw(counts, fraction)
    assert (caught.value.message, caught.value.hint) == (message, hint)


@settings(deadline=None)
@given(st.lists(st.integers(2, 300), min_size=2, max_size=30), st.floats(0.0001, 0.9999))
def test_the_fraction_that_is_offered_does(counts: list[int], fraction: float) -> None:
    hint = None
    try:
        draw(counts, fraction)
    except DataError as error:
        hint = str(error.hint)
    if hint is not None:
        draw(counts, float(hint.rsplit(" ", 1)[1]))


def test_parts_hold_the_rows_that_they_name() -> None:
    table = load_table(make_config({"rows": 1000, "features": 3}))
    split = split_table(table, 0.2, 0)
    x_FN = np.stack([column.values_N for column in table.columns])
    for part, n_rows in ((split.train, 800), (split.test, 200)):
        assert part.n_rows == n_rows
        assert part.x_FN.dtype == np.float32
        assert part.x_FN.flags.c_contiguous
        np.testing.assert_array_equal(part.x_FN, x_FN[:, part.row_N])
        np.testing.assert_array_equal(part.label_N, table.label_N[part.row_N])
    assert split.classes == table.classes
    assert split.encoding.classes == table.classes
    assert split.encoding.target == "label"


def test_small_test_part_is_warned_of() -> None:
    table = load_table(make_config({"rows": 100}))
    with pytest.warns(VecmlWarning) as caught:
        split_table(table, 0.29, 0)
    assert [str(warning.message) for warning in caught] == [
        "VML005 the test part has 29 rows: too few to say much about the accuracy"
    ]
    split_table(table, 0.3, 0)


def test_the_encoding_sees_the_training_part_alone() -> None:
    label_N = np.tile([0, 1], 100)
    _, test_N = split_rows(label_N, ("c0", "c1"), 0.2, 0)
    number_N = np.arange(200.0)
    number_N[test_N] = 1e6  # would move the median
    code_N = np.arange(200, dtype=np.int32) % 2
    code_N[test_N[:3]] = 2  # a category that only the test part has
    columns = (
        Column("a", "number", number_N),
        Column("c", "category", code_N, ("x", "y", "z")),
    )
    with pytest.warns(VecmlWarning) as caught:
        split = split_table(table_of(*columns, label_N=label_N), 0.2, 0)
    assert [str(warning.message) for warning in caught] == [
        "VML003 in the test part, 3 values of a category that the training part has not: encoded as zeros"
    ]
    assert split.encoding.columns[0].impute == np.median(number_N[split.train.row_N])
    assert split.encoding.feature_names == ("a", "c=x", "c=y")
    assert (split.train.unseen_categories, split.test.unseen_categories) == (0, 3)
    np.testing.assert_array_equal(split.test.x_FN[1:, :3], 0)
    np.testing.assert_array_equal(split.test.x_FN[1:, 3:].sum(axis=0), 1)


def made(rows: int) -> tuple[list[Column], np.ndarray]:
    random = np.random.default_rng(0)
    label_N = random.integers(0, 2, rows)
    numbers = [Column(f"n{index}", "number", random.standard_normal(rows)) for index in range(3)]
    text = Column("t", "category", random.integers(-1, 3, rows).astype(np.int32), ("a", "b", "c"))
    return [*numbers, text], label_N


def test_columns_that_are_given_up_make_the_same_parts() -> None:
    columns, label_N = made(400)
    table = table_of(*columns, label_N=label_N)
    expected = split_table(table, 0.25, 3)
    given_up = list(columns)
    found = split_columns(replace(table, columns=()), given_up, 0.25, 3)
    assert given_up == []
    assert found.encoding == expected.encoding
    for part, other in ((found.train, expected.train), (found.test, expected.test)):
        np.testing.assert_array_equal(part.x_FN, other.x_FN)
        np.testing.assert_array_equal(part.label_N, other.label_N)
        np.testing.assert_array_equal(part.row_N, other.row_N)
    assert len(table.columns) == 4  # split_table leaves the table as it is


def test_a_column_is_free_once_its_features_are_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten million rows would need raw columns and features in memory together else."""
    columns, label_N = made(200)
    encoding = Encoding.fit(columns, None)
    alive = [weakref.ref(column.values_N) for column in columns]
    counts = []
    from vecml.data import encoding as module

    encode = module.encode_column

    def counted(*arguments: object) -> int:
        counts.append(sum(one() is not None for one in alive))
        return encode(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "encode_column", counted)
    rows = np.arange(len(label_N))
    encoding.transform_parts(columns, [rows[:150], rows[150:]])
    assert counts == [4, 4, 3, 3, 2, 2, 1, 1]


@pytest.mark.filterwarnings("ignore:VML005", "ignore:VML042")
def test_row_numbers_are_those_of_the_file(tmp_path: Path) -> None:
    """Rows without a label are dropped; the others keep their numbers."""
    labels = [("", "x", "y")[i % 3] for i in range(60)]
    (tmp_path / "a.csv").write_text("a,label\n" + "".join(f"{i},{label}\n" for i, label in enumerate(labels)))
    with pytest.warns(VecmlWarning, match="VML002 20 rows"):
        table = load_table(make_config({"data": str(tmp_path / "a.csv"), "target": "label"}))
    assert table.row_N.dtype == np.int64
    np.testing.assert_array_equal(table.row_N, [i for i in range(60) if i % 3])
    split = split_table(table, 0.25, 0)
    for part in (split.train, split.test):
        assert part.row_N.dtype == np.int64
        assert (np.diff(part.row_N) > 0).all()
        np.testing.assert_array_equal(part.x_FN[0], part.row_N)  # the column counts the file's rows
        assert [table.classes[label] for label in part.label_N] == [labels[row] for row in part.row_N]
    np.testing.assert_array_equal(np.sort(np.append(split.train.row_N, split.test.row_N)), table.row_N)


@pytest.mark.filterwarnings("ignore:VML005")
def test_a_row_that_cannot_be_encoded_is_named_as_in_the_file() -> None:
    """Each part meets a value far beyond the other's; the table's rows are 10, 12, 14, ... of a file."""
    value_N = np.arange(40) * 1e-40
    label_N = np.arange(40) % 2
    _, test_N = split_rows(label_N, ("a", "b"), 0.25, 0)
    value_N[test_N[3]] = 1.0
    columns = (Column("v", "number", value_N),)
    table = Table("test", columns, label_N, ("a", "b"), "y", "", 10 + 2 * np.arange(40))
    with pytest.raises(DataError) as caught:
        split_table(table, 0.25, 0)
    row = 10 + 2 * test_N[3] + 1
    assert caught.value.message == f"column 'v' has 1.0 in row {row}, too far from the training part's values"

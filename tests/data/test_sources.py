"""load_table: what is generated, built in, dropped and warned of."""

from pathlib import Path

import numpy as np
import pytest
from sklearn import datasets

from vecml import progress
from vecml.config import make_config
from vecml.data.column_encoding import ColumnEncoding
from vecml.data.encoding import Encoding
from vecml.data.sources import check_source, load_table
from vecml.data.stream import open_data
from vecml.errors import DataError
from vecml.warnings import VecmlWarning


def test_generated_data_is_what_the_notebook_makes() -> None:
    table = load_table(make_config({"rows": 500, "features": 4, "seed": 3}))
    x_FN = np.random.default_rng(3).standard_normal((4, 500), dtype=np.float32)
    assert table.source == "synthetic"
    assert table.target == "label"
    assert table.classes == ("0", "1")
    assert [column.name for column in table.columns] == ["feature_0", "feature_1", "feature_2", "feature_3"]
    for column, x_N in zip(table.columns, x_FN, strict=True):
        assert (column.kind, column.values_N.dtype) == ("number", np.float32)
        np.testing.assert_array_equal(column.values_N, x_N)
    np.testing.assert_array_equal(table.label_N, x_FN.astype(np.float64).sum(axis=0) > 0)


def test_the_seed_decides_generated_data() -> None:
    digests = [load_table(make_config({"rows": 50, "seed": seed})).digest for seed in (0, 0, 1)]
    assert digests[0] == digests[1] != digests[2]


@pytest.mark.filterwarnings("ignore::vecml.warnings.VecmlWarning")
@pytest.mark.parametrize("name", ["iris", "wine", "breast_cancer", "digits"])
def test_built_in_sets_are_scikit_learn_s(name: str) -> None:
    table = load_table(make_config({"data": f"sklearn:{name}"}))
    bunch = getattr(datasets, f"load_{name}")()
    names = [str(value) for value in bunch.target_names]
    assert table.classes == tuple(sorted(names))
    assert [table.classes[label] for label in table.label_N] == [names[label] for label in bunch.target]
    position = {str(feature): i for i, feature in enumerate(bunch.feature_names)}
    for column in table.columns:
        np.testing.assert_array_equal(column.values_N, bunch.data[:, position[column.name]])
    varying = [str(f) for f, x_N in zip(bunch.feature_names, bunch.data.T, strict=True) if np.ptp(x_N) > 0]
    assert [column.name for column in table.columns] == varying


def test_constant_pixels_of_digits_are_warned_of_once() -> None:
    with pytest.warns(VecmlWarning) as caught:
        load_table(make_config({"data": "sklearn:digits"}))
    (warning,) = caught
    assert str(warning.message) == ("VML001 columns 'pixel_0_0', 'pixel_4_0', 'pixel_4_7' dropped: constant")


def test_feature_of_a_built_in_set_as_target() -> None:
    table = load_table(make_config({"data": "sklearn:wine", "target": "ash", "keep": ("alcohol", "hue")}))
    assert table.target == "ash"
    assert table.classes[0] == "1.36"
    assert [column.name for column in table.columns] == ["alcohol", "hue"]


def test_the_set_s_own_target_is_no_feature_of_another() -> None:
    table = load_table(make_config({"data": "sklearn:iris", "target": "petal width (cm)"}))
    assert [column.name for column in table.columns] == [
        "sepal length (cm)",
        "sepal width (cm)",
        "petal length (cm)",
    ]


@pytest.fixture
def people(tmp_path: Path) -> Path:
    path = tmp_path / "people.csv"
    path.write_text("id,age,colour,same,label\n1,20,red,5,yes\n2,30,blue,,no\n3,40,green,5,\n4,50,red,5,no\n")
    return path


def test_rows_without_a_label_and_constant_columns_go_with_a_warning(people: Path) -> None:
    with pytest.warns(VecmlWarning) as caught:
        table = load_table(make_config({"data": str(people), "target": "label", "drop": ("id",)}))
    assert [str(warning.message) for warning in caught] == [
        "VML002 1 row without a label in 'label' dropped",
        "VML001 column 'same' dropped: constant",
    ]
    assert table.source == "people.csv"
    assert table.n_rows == 3
    assert [column.name for column in table.columns] == ["age", "colour"]
    assert table.columns[1].categories == ("blue", "red")  # green was in the row without a label
    np.testing.assert_array_equal(table.columns[0].values_N, [20, 30, 50])
    assert [table.classes[label] for label in table.label_N] == ["yes", "no", "no"]


@pytest.mark.filterwarnings("ignore::vecml.warnings.VecmlWarning")
def test_the_digest_covers_constant_columns_and_no_dropped_ones(people: Path) -> None:
    def digest(**values: object) -> str:
        return load_table(make_config({"data": str(people), "target": "label", **values})).digest

    assert digest(drop=("id", "same")) != digest(drop=("id",))
    assert digest(drop=("id",)) == digest(keep=("age", "colour", "same"))


def test_keep_may_name_the_target(people: Path) -> None:
    with pytest.warns(VecmlWarning, match="VML002"):
        table = load_table(make_config({"data": str(people), "target": "label", "keep": ("age", "label")}))
    assert [column.name for column in table.columns] == ["age"]


def test_as_many_categories_as_allowed(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("a,label\n" + "".join(f"name {i % 5},{i % 2}\n" for i in range(20)))
    table = load_table(make_config({"data": str(path), "target": "label", "max_categories": 5}))
    assert len(table.columns[0].categories) == 5


class Heard:
    """A listener that keeps the names of stages."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.ended = 0

    def begin(self, name: str, total: float | None) -> object:
        self.begun.append(name)
        return name

    def advance(self, stage: object, amount: float) -> None:
        pass

    def end(self, stage: object) -> None:
        self.ended += 1


def test_progress_is_told(people: Path) -> None:
    heard = Heard()
    with progress.listening(heard), pytest.warns(VecmlWarning):
        load_table(make_config({"data": str(people), "target": "label"}))
    assert heard.begun == ["reading people.csv", "checking columns", "hashing"]
    assert heard.ended == 3


@pytest.mark.parametrize(
    ("address", "said", "hint"),
    [
        ("https://u:secret@host/a.csv?token=x", "https://host/a.csv: there is no reader", "files of this machine"),
        ("ftp://host/a.csv", "ftp://host/a.csv: there is no reader", "files of this machine"),
        ("file:/tmp/a.csv", "file:/tmp/a.csv: an address is no path", "--data /tmp/a.csv"),
    ],
)
def test_an_address_that_is_not_read_is_named_with_its_slashes(address: str, said: str, hint: str) -> None:
    encoding = Encoding((ColumnEncoding("a", "number", 0.0),), "label", ("x", "y"))
    for read in (
        lambda: load_table(make_config({"data": address, "target": "label"})),
        lambda: check_source(address),
        lambda: open_data(address, encoding),
    ):
        with pytest.raises(DataError) as caught:
            read()
        assert caught.value.message.startswith(f"--data {said}")
        assert str(caught.value.hint).startswith(hint)

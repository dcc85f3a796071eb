"""Raw columns to features: imputation, one-hot, shifting, and what is refused."""

import json
import math
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import OneHotEncoder

from vecml.data.encoding import Encoding
from vecml.data.table import Column
from vecml.errors import DataError, ModelError
from vecml.warnings import VecmlWarning

NAN = np.nan


def number(name: str, *values: float, dtype: type = np.float64) -> Column:
    return Column(name, "number", np.array(values, dtype))


def category(name: str, *values: str | None) -> Column:
    known = tuple(sorted({value for value in values if value is not None}))
    codes = [-1 if value is None else known.index(value) for value in values]
    return Column(name, "category", np.array(codes, np.int32), known)


def boolean(name: str, *values: int) -> Column:
    return Column(name, "boolean", np.array(values, np.int8))


COLUMNS = (
    number("age", 1.0, NAN, 3.0, 8.0),
    boolean("member", 1, -1, 0, 1),
    category("colour", "red", "blue", None, "red"),
)


def test_features_of_every_kind() -> None:
    encoding = Encoding.fit(COLUMNS)
    assert encoding.feature_names == ("age", "member", "colour=blue", "colour=red")
    assert encoding.n_features == 4
    x_FN, unseen = encoding.transform(COLUMNS)
    assert unseen == 0
    assert x_FN.dtype == np.float32
    assert x_FN.flags.c_contiguous
    np.testing.assert_array_equal(
        x_FN,
        [
            [1, 3, 3, 8],  # the median of 1, 3, 8
            [1, 1, 0, 1],  # true is more frequent
            [0, 1, 0, 0],
            [1, 0, 1, 1],  # red is more frequent
        ],
    )


def test_imputation_and_one_hot_are_scikit_learn_s() -> None:
    rng = np.random.default_rng(0)
    for n in (200, 201):
        value_N = rng.standard_normal(n)
        value_N[rng.random(n) < 0.3] = NAN
        text_N = np.array(["a", "b", "c"])[rng.integers(0, 3, n)]
        columns = (Column("v", "number", value_N), category("t", *text_N))
        encoding = Encoding.fit(columns)
        assert encoding.feature_names == ("v", "v is missing", "t=a", "t=b", "t=c")
        x_FN, _ = encoding.transform(columns)
        imputed = SimpleImputer(strategy="median", add_indicator=True).fit_transform(value_N[:, None])
        np.testing.assert_array_equal(x_FN[:2], imputed.T.astype(np.float32))
        np.testing.assert_array_equal(x_FN[2:], OneHotEncoder().fit_transform(text_N[:, None]).toarray().T)


def test_of_equally_frequent_values_the_first_is_imputed() -> None:
    encoding = Encoding.fit((boolean("b", 1, 0, -1), category("c", "y", "x", None)))
    assert [column.impute for column in encoding.columns] == [0.0, 0.0]
    assert encoding.columns[1].categories[0] == "x"


def test_only_the_rows_given_are_learnt_from() -> None:
    columns = (number("a", 1, 2, 3, 1000, 2000), category("c", "x", "y", "x", "z", "z"))
    encoding = Encoding.fit(columns, np.array([0, 1, 2]))
    assert encoding.columns[0].impute == 2.0
    assert encoding.columns[1].categories == ("x", "y")
    x_FN, unseen = encoding.transform(columns, np.array([1, 3, 4]))
    assert unseen == 2
    np.testing.assert_array_equal(x_FN, [[2, 1000, 2000], [0, 0, 0], [1, 0, 0]])


def test_unseen_category_is_zeros_and_missing_is_not_unseen() -> None:
    encoding = Encoding.fit((category("c", "x", "y", "x"),))
    x_FN, unseen = encoding.transform((category("c", "a", "y", None, "z"),))
    assert unseen == 2
    np.testing.assert_array_equal(x_FN, [[0, 0, 1, 0], [0, 1, 0, 0]])


def test_columns_are_found_by_name_in_any_order() -> None:
    encoding = Encoding.fit(COLUMNS)
    x_FN, _ = encoding.transform((boolean("other", 1, 1, 1, 1), *reversed(COLUMNS)))
    np.testing.assert_array_equal(x_FN, encoding.transform(COLUMNS)[0])


def test_timestamps_keep_their_variation_in_float32() -> None:
    second_N = 1.7e9 + np.arange(100.0)
    column = Column("when", "number", second_N)
    assert len(np.unique(second_N.astype(np.float32))) < 3  # what would happen without
    encoding = Encoding.fit((column,))
    assert encoding.columns[0].offset == encoding.columns[0].impute == np.median(second_N)
    x_FN, _ = encoding.transform((column, number("x", *second_N)))
    np.testing.assert_array_equal(x_FN[0], np.arange(100) - 49.5)
    missing, _ = encoding.transform((number("when", NAN, 1.7e9),))
    np.testing.assert_array_equal(missing, [[0.0, -49.5]])


@pytest.mark.parametrize(("mean", "offset"), [(99.0, 0.0), (101.0, 101.0), (-101.0, -101.0)])
def test_only_a_mean_of_a_hundred_deviations_is_shifted(mean: float, offset: float) -> None:
    column = number("a", mean - 1, mean - 1, mean + 1, mean + 1, mean)
    deviation = column.values_N.std()
    assert Encoding.fit((number("a", *(column.values_N - mean) / deviation + mean),)).columns[0].offset == offset


@pytest.mark.parametrize("size", [5e-324, 1e-320, 1e-200, 1e-50, 1e-39, 1e-31, 1e31, 1e37])
def test_numbers_too_small_or_too_large_for_float32_are_scaled(size: float) -> None:
    value_N = np.array([-4.0, 1.0, NAN, 2.0, 9.0]) * size
    (column,) = Encoding.fit(columns := (Column("a", "number", value_N),)).columns
    assert column.offset == 0.0
    assert math.frexp(column.scale)[0] == 0.5  # a power of two
    assert 1 <= (value_N[4] - value_N[0]) / column.scale < 2
    x_FN, _ = Encoding((column,)).transform(columns)
    value_N[2] = column.impute
    np.testing.assert_array_equal(x_FN[0], (value_N / column.scale).astype(np.float32))
    assert len(set(x_FN[0])) == len(set(value_N))


def test_a_float32_column_below_its_normal_range_is_scaled() -> None:
    value_N = np.random.default_rng(0).standard_normal(1000).astype(np.float32) * np.float32(1e-39)
    x_FN, _ = Encoding.fit(columns := (Column("a", "number", value_N),)).transform(columns)
    assert 0.01 < x_FN.std() < 1


def test_numbers_are_shifted_and_scaled_at_once() -> None:
    column = number("a", 1e-20, 1e-20 + 1e-33, 1e-20 - 1e-33, NAN)
    (encoding,) = Encoding.fit((column,)).columns
    assert (encoding.offset, encoding.scale) == (1e-20, 2.0**-109)
    x_FN, _ = Encoding((encoding,)).transform((column,))
    np.testing.assert_allclose(x_FN[0], [0, 1e-33 * 2.0**109, -1e-33 * 2.0**109, 0], rtol=1e-3)


@pytest.mark.parametrize("size", [1.01e-30, 1.0, 0.99e30])
def test_other_numbers_are_not_scaled(size: float) -> None:
    assert Encoding.fit((number("a", -size, size),)).columns[0].scale == 1.0


def test_what_lies_too_far_from_a_scaled_column_is_named() -> None:
    encoding = Encoding.fit((number("a", 1e-40, 2e-40),))
    with pytest.raises(DataError) as caught:
        encoding.transform((number("a", 1e-40, 1.0),))
    assert caught.value.message == "column 'a' has 1.0 in row 2, too far from the training part's values"
    assert caught.value.hint == "mend it, or leave it empty"


def test_float32_columns_are_fitted_in_float64() -> None:
    values_N = np.random.default_rng(0).random(1000, np.float32)
    (column,) = Encoding.fit((Column("a", "number", values_N),)).columns
    assert column.impute == np.median(values_N.astype(np.float64))


def test_fit_and_transform_leave_the_columns_alone() -> None:
    values_N = np.array([3.0, NAN, 1.0, 2.0])
    values_N.flags.writeable = False
    columns = (Column("a", "number", values_N),)
    Encoding.fit(columns).transform(columns)
    np.testing.assert_array_equal(values_N, [3.0, NAN, 1.0, 2.0])


def test_no_rows_give_no_features_of_the_right_shape() -> None:
    encoding = Encoding.fit(COLUMNS)
    x_FN, unseen = encoding.transform((number("age"), boolean("member"), category("colour")))
    assert x_FN.shape == (4, 0)
    assert unseen == 0


def test_what_says_nothing_in_training_is_left_out_with_a_warning() -> None:
    columns = (
        number("a", 1, 2, 9),
        number("empty", NAN, NAN, 5),
        category("constant", "x", None, "y"),
        boolean("flat", 1, 1, 0),
        category("none", None, None, "x"),
    )
    with pytest.warns(VecmlWarning) as caught:
        encoding = Encoding.fit(columns, np.array([0, 1]))
    assert [str(warning.message) for warning in caught] == [
        "VML004 columns 'empty', 'none' dropped: no value in the training part",
        "VML001 columns 'constant', 'flat' dropped: constant in the training part",
    ]
    assert encoding.feature_names == ("a",)
    with pytest.raises(DataError) as refused:
        Encoding.fit(columns[1:], np.array([0, 1]))
    assert refused.value.message == "no feature column is left: in the training part each is constant or has no value"
    assert refused.value.hint == "columns: 'empty', 'none', 'constant', 'flat'"


@pytest.mark.parametrize(
    ("columns", "message", "hint"),
    [
        (COLUMNS[1:], "there is no column 'age' in the data", "columns: 'member', 'colour'"),
        (
            (number("agee", 1.0), *COLUMNS[1:]),
            "there is no column 'age' in the data",
            "did you mean 'agee'? columns: 'agee', 'member', 'colour'",
        ),
        (
            (category("age", "1"), *COLUMNS[1:]),
            "column 'age' is a category, but was a number in training",
            "give it values of the kind that the model was trained on",
        ),
        (
            (COLUMNS[0], number("member", 1.0), COLUMNS[2]),
            "column 'member' is a number, but was a boolean in training",
            "give it values of the kind that the model was trained on",
        ),
        (
            (number("age", 1, 2, -np.inf, 4), *COLUMNS[1:]),
            "column 'age' has an infinite value in row 3",
            "mend it, or leave it empty",
        ),
        (
            (number("age", 1, 1e39, NAN, 4), *COLUMNS[1:]),
            "column 'age' has 1e+39 in row 2, more than float32 can hold",
            "mend it, or leave it empty",
        ),
    ],
)
def test_what_cannot_be_encoded(columns: tuple[Column, ...], message: str, hint: str) -> None:
    with pytest.raises(DataError) as caught:
        Encoding.fit(COLUMNS).transform(columns)
    assert (caught.value.message, caught.value.hint) == (message, hint)


def test_the_row_named_is_the_table_s() -> None:
    encoding = Encoding.fit((number("a", 1, 2, 3),))
    with pytest.raises(DataError, match=r"infinite value in row 3$"):
        encoding.transform((number("a", 1, 2, np.inf),), np.array([0, 2]))


FLOATS = st.one_of(st.just(NAN), st.floats(min_value=-1e38, max_value=1e38))
TEXTS = st.one_of(st.none(), st.text(st.characters(codec="utf-8"), max_size=4))
ROWS = st.lists(st.tuples(FLOATS, st.sampled_from([-1, 0, 1]), TEXTS), min_size=1, max_size=30)


@pytest.mark.filterwarnings("ignore::vecml.warnings.VecmlWarning")
@settings(deadline=None)
@given(ROWS, ROWS)
def test_an_encoding_survives_json_to_the_last_bit(
    training: list[tuple[float, int, str | None]], later: list[tuple[float, int, str | None]]
) -> None:
    def columns(rows: list[tuple[float, int, str | None]]) -> tuple[Column, ...]:
        floats, booleans, texts = zip(*rows, strict=True)
        return number("f", *floats), boolean("b", *booleans), category("t", *texts)

    try:
        encoding = Encoding.fit(columns(training), target="y", classes=("n", "ü"))
    except DataError:  # nothing varies in these rows
        return
    written = json.dumps(encoding.to_json_dict(), allow_nan=False)
    read = Encoding.from_json_dict(json.loads(written))
    assert read == encoding
    try:
        x_FN, unseen = encoding.transform(columns(later))
    except DataError as error:  # a value too far from the training part's: the one that was read says the same
        with pytest.raises(DataError, match=f"^{re.escape(error.message)}$"):
            read.transform(columns(later))
        return
    again_FN, again = read.transform(columns(later))
    assert x_FN.tobytes() == again_FN.tobytes()
    assert unseen == again
    assert np.isfinite(x_FN).all()
    one_hot = [i for i, name in enumerate(encoding.feature_names) if name.startswith("t=")]
    if one_hot:  # each row has one category, or an unseen one
        assert np.count_nonzero(x_FN[one_hot].sum(axis=0) == 0) == unseen
        assert x_FN[one_hot].sum(axis=0).max() <= 1


NUMBER_FORMAT = {"decimal": ".", "thousands": "", "before": "", "after": "", "bounds": False}
READING = {"number": NUMBER_FORMAT, "date": "", "missing": []}
NEW = {"indicator": False, "constant": False, "reading": READING}  # since format 2


def test_json_is_of_plain_types() -> None:
    assert Encoding.fit(COLUMNS, target="y", classes=("a", "b")).to_json_dict() == {
        "format": 2,
        "target": "y",
        "classes": ["a", "b"],
        "columns": [
            {"name": "age", "kind": "number", "impute": 3.0, "offset": 0.0, "scale": 1.0} | NEW,
            {"name": "member", "kind": "boolean", "impute": True} | NEW,
            {"name": "colour", "kind": "category", "impute": "red", "categories": ["blue", "red"], "other": ""} | NEW,
        ],
    }


def column_with(**values: object) -> dict[str, object]:
    good: dict[str, object] = {"name": "a", "kind": "number", "impute": 1.0, "offset": 0.0, "scale": 1.0} | NEW
    return {"columns": [good | values]}


COLOUR = {"kind": "category", "impute": "x", "categories": ["x", "y"]}


MALFORMED_SINCE_2 = [
    (column_with(indicator=1), "preprocessing.json is malformed: column 'a' has the indicator 1"),
    (column_with(constant=True), "preprocessing.json is malformed: column 'a' has True for a constant"),
    (column_with(constant=None), "preprocessing.json is malformed: column 'a' has None for a constant"),
    (column_with(other="x"), "preprocessing.json is malformed: column 'a' has 'x' for its other values"),
    (column_with(**COLOUR, other="x"), "preprocessing.json is malformed: column 'a' has 'x' for its other values"),
    (column_with(reading=None), "preprocessing.json is malformed: column 'a' has the reading None"),
    (
        column_with(reading=READING | {"date": "YYYY"}),
        "preprocessing.json is malformed: column 'a' has the date format 'YYYY'",
    ),
    (
        column_with(**COLOUR, reading=READING | {"date": "YYYY-MM-DD"}),
        "preprocessing.json is malformed: column 'a' has the date format 'YYYY-MM-DD'",
    ),
    (
        column_with(reading=READING | {"missing": [1]}),
        "preprocessing.json is malformed: column 'a' has the missing texts [1]",
    ),
    (
        column_with(reading=READING | {"number": NUMBER_FORMAT | {"decimal": ",", "thousands": ","}}),
        "preprocessing.json is malformed: column 'a' has the decimal mark ',' and the thousands mark ','",
    ),
    (
        column_with(reading=READING | {"number": NUMBER_FORMAT | {"bounds": 0}}),
        "preprocessing.json is malformed: column 'a' has the unit '', '' and the bounds 0",
    ),
]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 3}, "preprocessing.json has format 3; this vecml reads up to 2"),
        ({"format": True}, "preprocessing.json has format True; this vecml reads up to 2"),
        ({"target": None}, "preprocessing.json is malformed: target is None"),
        ({"classes": "ab"}, "preprocessing.json is malformed: classes is 'ab'"),
        ({"classes": ["a", 1]}, "preprocessing.json is malformed: classes is ['a', 1]"),
        ({"classes": ["a", "a"]}, "preprocessing.json is malformed: classes holds a value twice"),
        ({"columns": {}}, "preprocessing.json is malformed: columns is {}"),
        ({"columns": []}, "preprocessing.json is malformed: columns is []"),
        ({"columns": [3]}, "preprocessing.json is malformed: a column is 3"),
        (column_with(name=3), "preprocessing.json is malformed: name is 3"),
        (column_with(kind="date"), "preprocessing.json is malformed: column 'a' has the kind 'date'"),
        (column_with(kind=[]), "preprocessing.json is malformed: column 'a' has the kind []"),
        (column_with(impute="1"), "preprocessing.json is malformed: column 'a' has '1' for a number"),
        (column_with(impute=True), "preprocessing.json is malformed: column 'a' has True for a number"),
        (column_with(offset=NAN), "preprocessing.json is malformed: column 'a' has nan for a number"),
        (
            column_with(offset=10**400),
            "preprocessing.json is malformed: column 'a' has 1" + "0" * 36 + "... for a number",
        ),
        (column_with(scale=0.0), "preprocessing.json is malformed: column 'a' has the scale 0.0"),
        (column_with(scale=-1.0), "preprocessing.json is malformed: column 'a' has the scale -1.0"),
        (column_with(scale=None), "preprocessing.json is malformed: column 'a' has None for a number"),
        (column_with(kind="boolean"), "preprocessing.json is malformed: column 'a' has 1.0 for a boolean"),
        (column_with(**COLOUR | {"impute": "z"}), "preprocessing.json is malformed: column 'a' has no category 'z'"),
        (column_with(**COLOUR | {"impute": []}), "preprocessing.json is malformed: column 'a' has no category []"),
        (column_with(**COLOUR | {"categories": None}), "preprocessing.json is malformed: categories is None"),
        *MALFORMED_SINCE_2,
    ],
)
def test_malformed_json(change: dict[str, object], message: str) -> None:
    with pytest.raises(ModelError) as caught:
        Encoding.from_json_dict(Encoding.fit(COLUMNS, target="y", classes=("a", "b")).to_json_dict() | change)
    assert caught.value.message == message


def test_malformed_as_a_whole() -> None:
    with pytest.raises(ModelError, match=r"^preprocessing.json is malformed: it is no JSON object$"):
        Encoding.from_json_dict([])
    twice = Encoding.fit(COLUMNS).to_json_dict()
    twice["columns"] *= 2
    with pytest.raises(ModelError, match=r"^preprocessing.json is malformed: a column occurs twice$"):
        Encoding.from_json_dict(twice)


def test_where_values_are_missing_is_a_feature() -> None:
    values_N = np.arange(500.0)
    values_N[::100] = NAN
    columns = (
        Column("often", "number", np.where(np.arange(500) % 3, 1.0 * np.arange(500), NAN)),
        Column("at times", "number", values_N),
        Column("hardly ever", "number", np.where(np.arange(500) < 4, NAN, np.arange(500.0))),
        Column("ticked", "category", np.where(np.arange(500) % 2, 0, -1).astype(np.int32), ("x",)),
        Column("seven", "number", np.where(np.arange(500) % 5, 7.0, NAN)),
    )
    encoding = Encoding.fit(columns)
    assert encoding.feature_names == (
        *("often", "often is missing", "at times", "at times is missing", "hardly ever"),
        *("ticked is missing", "seven is missing"),
    )
    assert encoding.n_features == 7
    encoding = Encoding.from_json_dict(encoding.to_json_dict())
    x_FN, _ = encoding.transform(columns, np.array([0, 1, 3]))
    np.testing.assert_array_equal(x_FN[[1, 3, 5, 6]], [[1, 0, 1], [1, 0, 0], [1, 0, 0], [1, 0, 0]])
    assert np.isfinite(x_FN).all()


def test_the_commonest_values_are_kept_and_all_others_are_one() -> None:
    values = ["a"] * 3 + ["other"] * 4 + ["b"] * 2 + ["c", "d"]
    column = category("t", *values)
    with_most = Column("t", "category", column.values_N, column.categories, max_categories=2)
    encoding = Encoding.fit((with_most,))
    assert encoding.feature_names == ("t=a", "t=other", "t=other (2)")
    assert Encoding.from_json_dict(encoding.to_json_dict()) == encoding
    x_FN, unseen = encoding.transform((category("t", "a", "other", "b", "never seen", None),))
    np.testing.assert_array_equal(x_FN, [[1, 0, 0, 0, 0], [0, 1, 0, 0, 1], [0, 0, 1, 1, 0]])
    assert unseen == 0


def test_format_1_is_read() -> None:
    entries = [
        {"name": "age", "kind": "number", "impute": 3.0, "offset": 0.0, "scale": 1.0},
        {"name": "member", "kind": "boolean", "impute": True},
        {"name": "colour", "kind": "category", "impute": "red", "categories": ["blue", "red"]},
    ]
    read = Encoding.from_json_dict({"format": 1, "target": "y", "classes": ["a", "b"], "columns": entries})
    assert read.feature_names == ("age", "member", "colour=blue", "colour=red")
    np.testing.assert_array_equal(read.transform(COLUMNS)[0], Encoding.fit(COLUMNS).transform(COLUMNS)[0])

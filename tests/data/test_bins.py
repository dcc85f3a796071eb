"""Numbers cut into classes: pandas.qcut is the oracle where no two are equal, and the names say what is in them."""

import re

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vecml.data.bins import cut
from vecml.data.findings import Findings
from vecml.data.labels import labels_from_arrow
from vecml.errors import DataError

FINITE = st.floats(-1e12, 1e12, allow_nan=False)


@settings(deadline=None)
@given(st.lists(FINITE, min_size=2, max_size=60), st.integers(2, 10))
def test_classes_keep_the_order_and_their_names_say_what_is_in_them(values: list[float], bins: int) -> None:
    values_N = np.array(values)
    class_N, names = cut(values_N, bins)
    assert 1 <= len(names) <= bins
    assert len(set(names)) == len(names)
    assert set(class_N) == set(range(len(names)))
    for value, own in zip(values, class_N, strict=True):
        name = names[own]
        if below := re.fullmatch(r"below (\S+)", name):
            assert value < float(below[1])
        elif up_to := re.fullmatch(r"up to (\S+)", name):
            assert value <= float(up_to[1])
        elif more := re.fullmatch(r"(\S+) and more", name):
            assert value >= float(more[1])
        elif between := re.fullmatch(r"(\S+) to (\S+)", name):
            assert float(between[1]) <= value <= float(between[2])
        else:
            assert value == float(name)
    order = np.argsort(values_N, kind="stable")
    assert (np.diff(class_N[order]) >= 0).all()


@pytest.mark.parametrize("bins", [2, 3, 4, 10])
def test_as_pandas_cuts_distinct_numbers(bins: int) -> None:
    values_N = np.random.default_rng(0).normal(size=1000)
    theirs = pd.qcut(values_N, bins, labels=False)
    class_N, names = cut(values_N, bins)
    assert len(names) == bins
    assert (class_N != theirs).sum() <= bins  # a number at a quantile may be on either side
    assert np.ptp(np.bincount(class_N)) <= 2


@pytest.mark.parametrize(
    ("values", "bins", "names"),
    [
        ([1.0, 2.0, 2.61, 4.0, 7.1, 8.0, 9.9, 12.0], 4, ("below 2.6", "2.6 to 7", "7 to 9", "9 and more")),
        ([1, 2, 3, 4, 5, 6, 7, 8, 9], 3, ("up to 3", "4 to 6", "7 and more")),
        ([0, 0, 0, 0, 0, 0, 3, 4], 2, ("0", "3 and more")),
        ([0, 0, 1, 1], 4, ("0", "1")),
        ([5, 5], 3, ("5",)),
        ([-1e-9, 3e-9], 2, ("-1e-09", "3e-09")),
    ],
)
def test_names_that_a_person_would_give(values: list[float], bins: int, names: tuple[str, ...]) -> None:
    assert cut(np.array(values, np.float64), bins)[1] == names


def test_dates_are_cut_at_midnight() -> None:
    days = pa.array(np.arange("2020-01-01", "2020-05-01", dtype="datetime64[D]"))
    for column in (days, days.cast(pa.timestamp("ns")), days.cast(pa.timestamp("ms", "UTC"))):
        class_N, names = labels_from_arrow("y", pa.chunked_array([column]), bins=2)
        assert names == ("below 2020-03-01", "2020-03-01 and more")
        assert np.bincount(class_N).tolist() == [60, 61]


def test_fewer_classes_than_asked_for_are_said() -> None:
    findings = Findings()
    class_N, names = labels_from_arrow("y", pa.chunked_array([[0.0, 0.0, 1.0, None]]), 4, findings)
    assert names == ("0", "1")
    assert class_N.tolist() == [0, 0, 1, -1]
    assert [one.what for one in findings.decisions[1:]] == [
        "--bins 4 makes 2 classes of 'y': equal numbers stay in one"
    ]


def test_text_that_says_numbers_is_cut_and_other_text_is_not() -> None:
    assert labels_from_arrow("y", pa.chunked_array([["1", "2", " 3", "4.0"]]), 2)[1] == ("up to 2", "3 and more")
    with pytest.raises(DataError) as caught:
        labels_from_arrow("y", pa.chunked_array([["a", "b"]]), 2)
    assert caught.value.message == "--bins 2: target 'y' holds no numbers"

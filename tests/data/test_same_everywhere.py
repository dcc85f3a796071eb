"""The same text says the same as CSV, Parquet, Feather and data frame, read at once or in blocks, then and later."""

import csv
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pyarrow import feather

from vecml.config import make_config
from vecml.data import stream_csv
from vecml.data.encoding import Encoding
from vecml.data.handed import handing_over
from vecml.data.raw import raw_columns
from vecml.data.sources import load_table
from vecml.data.stream import blocks, open_file
from vecml.data.table import Table
from vecml.errors import DataError

N = 60
WHOLE = st.integers(-9999, 9999)
FLOATS = st.floats(-1e6, 1e6, width=32)
WORDS = st.sampled_from(["red", "green", "blue", "NaN", "007", "7", "1e3", "other", "", "?", " red", "a,b", 'c"d', "é"])
DAYS = st.dates()
MARKERS = st.sampled_from(["", "NA", "?", "-", "n/a"])
MONTHS = ["Jan", "feb", "March", "April", "MAY", "Jun.", "July", "Aug", "Sept", "Oct", "November", "Dec"]
SORTS = {
    "whole": WHOLE.map(str),
    "zeros": WHOLE.map(lambda value: f"{value:+06}"),
    "float": FLOATS.map(repr),
    "marked": st.one_of(WHOLE.map(str), WHOLE.map(str), WHOLE.map(str), MARKERS),
    "dollars": st.floats(-1e6, 1e6).map(lambda value: f"${value:,.2f}"),
    "european": st.floats(-1e6, 1e6).map(lambda value: f"{value:,.2f}".translate(str.maketrans(",.", ".,"))),
    "percent": WHOLE.map(lambda value: f"{value}%"),
    "iso": DAYS.map(str),
    "american": DAYS.map(lambda day: f"{day.month}/{day.day}/{day.year:04}"),
    "german": DAYS.map(lambda day: f"{day.day:02}.{day.month:02}.{day.year:04}"),
    "named": DAYS.map(lambda day: f"{day.day} {MONTHS[day.month - 1]} {day.year:04}"),
    "moment": st.datetimes().map(lambda moment: moment.isoformat(" ")),
    "clock": st.times().map(lambda time: time.isoformat("seconds")),
    "boolean": st.sampled_from(["true", "false", "True", "FALSE", ""]),
    "zero or one": st.sampled_from(["0", "1", "true", ""]),
    "words": WORDS,
    "digits": st.sampled_from(["1", "2", "A", "01"]),
    "long": st.integers(2**63, 2**66).map(str),
    "hexadecimal": st.sampled_from(["0x1f", "0xAB", "7"]),
}  # fmt: skip


# As it was reported: 8 features as CSV and 48 as Parquet, because only one of them was read for what its texts say.
REPORTED = {
    "zip": [f"{8001 + row % 40:05}" for row in range(N)],
    "number": [str(row % 5 + 1) for row in range(N)],
    "flag": ["true" if row % 3 else "false" for row in range(N)],
    "label": ["x", "y"] * (N // 2),
}


@st.composite
def texts(draw: st.DrawFn) -> dict[str, list[str]]:
    """Some columns of one sort each, and a label."""
    chosen = draw(st.lists(st.sampled_from(sorted(SORTS)), min_size=1, max_size=4, unique=True))
    columns = {}
    for sort in chosen:
        few = draw(st.lists(SORTS[sort], min_size=1, max_size=12))
        columns[sort] = [few[i] for i in draw(st.lists(st.integers(0, len(few) - 1), min_size=N, max_size=N))]
    return {**columns, "label": ["x", "y"] * (N // 2)}


def written(columns: dict[str, list[str]], folder: Path) -> dict[str, Path]:
    """The columns of text in every format: an empty text is missing, and NA is so in a CSV."""
    absent = {"", *(word for word in ("NA", "n/a", "NaN"))}
    nulls = {name: [None if text in absent else text for text in values] for name, values in columns.items()}
    table = pa.table({name: pa.array(values, pa.string()) for name, values in nulls.items()})
    paths = {suffix: folder / f"a.{suffix}" for suffix in ("csv", "parquet", "feather")}
    with paths["csv"].open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))
    pq.write_table(table, paths["parquet"], row_group_size=7)
    feather.write_feather(table, str(paths["feather"]))
    return paths


def loaded(path: Path) -> Table | str:
    try:
        return load_table(make_config({"data": str(path), "target": "label"}))
    except DataError as error:
        return error.message.replace(path.name, "it")


def framed(frame: pd.DataFrame) -> Table | str:
    try:
        with handing_over(frame):
            return load_table(make_config({"data": "python:pandas.DataFrame", "target": "label"}))
    except DataError as error:
        return error.message.replace("python:pandas.DataFrame", "it")


@pytest.mark.filterwarnings("ignore::vecml.warnings.VecmlWarning")
@settings(deadline=None, max_examples=10, suppress_health_check=[HealthCheck.too_slow])
@given(columns=texts(), block_rows=st.integers(1, N), csv_bytes=st.integers(200, 2000))
@example(columns=REPORTED, block_rows=7, csv_bytes=200)
def test_the_same_text_gives_the_same_features(columns: dict[str, list[str]], block_rows: int, csv_bytes: int) -> None:
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(stream_csv, "CSV_BLOCK_BYTES", csv_bytes)
        paths = written(columns, Path(folder))
        tables = {suffix: loaded(path) for suffix, path in paths.items()}
        frame = pq.read_table(paths["parquet"]).to_pandas()
        tables["frame"] = framed(frame)
        first = tables["csv"]
        if isinstance(first, str):
            assert set(tables.values()) == {first}
            return
        for table in tables.values():
            assert isinstance(table, Table)
            assert table.digest == first.digest, (table.columns, first.columns)
        try:
            encoding = Encoding.fit(first.columns, None, first.target, first.classes)
        except DataError:
            return
        encoding = Encoding.from_json_dict(encoding.to_json_dict())
        expected, _ = encoding.transform(first.columns)
        for path in paths.values():
            np.testing.assert_array_equal(encoding.transform(raw_columns(path, encoding))[0], expected)
            parts = [encoding.transform(one.columns)[0] for one in blocks(open_file(path, encoding), block_rows)]
            np.testing.assert_array_equal(np.hstack(parts), expected)
        np.testing.assert_array_equal(encoding.transform(raw_columns(frame, encoding))[0], expected)


@pytest.mark.filterwarnings("ignore::vecml.warnings.VecmlWarning")
@pytest.mark.parametrize("names", [["zip"], ["number"], ["flag"], ["zip", "number", "flag"]])
def test_one_data_frame_of_texts_has_one_digest_as_csv_and_as_parquet(tmp_path: Path, names: list[str]) -> None:
    frame = pd.DataFrame({name: REPORTED[name] for name in [*names, "label"]})
    assert all(kind.kind != "i" for kind in frame.dtypes)  # texts
    frame.to_csv(tmp_path / "a.csv", index=False)
    frame.to_parquet(tmp_path / "a.parquet")
    as_csv, as_parquet, as_frame = loaded(tmp_path / "a.csv"), loaded(tmp_path / "a.parquet"), framed(frame)
    assert isinstance(as_csv, Table)
    assert isinstance(as_parquet, Table)
    assert isinstance(as_frame, Table)
    assert as_csv.digest == as_parquet.digest == as_frame.digest
    made = [
        Encoding.fit(one.columns, None, one.target, one.classes).transform(one.columns)[0]
        for one in (as_csv, as_parquet, as_frame)
    ]
    assert len({len(features_FN) for features_FN in made}) == 1
    for features_FN in made[1:]:
        np.testing.assert_array_equal(features_FN, made[0])

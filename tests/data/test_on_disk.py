"""A table on the disk is the table in memory: the same digest, split, encoding and features, in any format."""

import csv as python_csv
import errno
import random
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import csv, feather

from vecml.config import make_config
from vecml.data import parquet, several, split
from vecml.data.disk import Disk
from vecml.data.fitting import disk_for
from vecml.data.row_hash import drawn_by_hash, row_hash
from vecml.data.sources import load_table
from vecml.data.split import Split, sampled_rows, split_table
from vecml.data.table import Table
from vecml.errors import DataError, ScratchError, SettingError

pytestmark = pytest.mark.filterwarnings("ignore::vecml.warnings.VecmlWarning")
N = 1_200


def made(n: int = N) -> pa.Table:
    draw = np.random.default_rng(5)
    size = draw.normal(size=n)
    words = np.array(["red", "a, b", 'the "one"', "two\nlines", "NA", ""])[draw.integers(0, 6, n)]
    odd = ["?" if value > 2.2 else f"{value:.4f}" for value in draw.normal(size=n)]
    return pa.table(
        {
            "size": size,
            "narrow": draw.normal(size=n).astype(np.float32),
            "whole": [None if i % 50 == 7 else int(value) for i, value in enumerate(draw.integers(0, 1_000, n))],
            "late": [0.5 if i > n - 40 else i % 9 for i in range(n)],  # whole numbers in nearly all parts
            "words": pa.array(words),
            "odd": odd,
            "codes": [f"{value:03}" for value in draw.integers(0, 40, n)],
            "open": draw.integers(0, 2, n).astype(bool),
            "day": pa.array(draw.integers(10_000, 20_000, n).astype("datetime64[D]")),
            "comment": [f"text {i} of {value}" for i, value in enumerate(draw.integers(0, 10**6, n))],
            "y": np.where(size + draw.normal(size=n) > 0.3, "yes", "no"),
        }
    )


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(several, "TEXT_BYTES", 20_000)
    monkeypatch.setattr(parquet, "PIECE_BYTES", 1 << 14)
    monkeypatch.setattr(parquet, "FEWEST_ROWS", 64)


def write(table: pa.Table, path: Path) -> None:
    if path.suffix == ".parquet":
        pq.write_table(table, path, row_group_size=700)
    elif path.suffix == ".feather":
        feather.write_feather(table, path)
    else:
        csv.write_csv(table, path)


def both(data: Path | str, **settings: Any) -> tuple[tuple[Table, Split], tuple[Table, Split]]:
    """The table and its split, read in memory and on the disk."""
    found = []
    for on_disk in (False, True):
        config = make_config({"data": str(data), "target": "y", "on_disk": on_disk, **settings})
        table = load_table(config)
        found.append((table, split_table(table, config.test_fraction, config.seed, config.sample)))
    return found[0], found[1]


def check_same(here: tuple[Table, Split], there: tuple[Table, Split]) -> None:
    assert here[0].disk is None
    assert there[0].disk is not None
    assert here[0].digest == there[0].digest
    assert here[0].classes == there[0].classes
    assert [str(one) for one in here[0].decisions] == [str(one) for one in there[0].decisions]
    assert here[1].encoding.to_json_dict() == there[1].encoding.to_json_dict()
    assert here[1].seen_rows == there[1].seen_rows
    for one, other in ((here[1].train, there[1].train), (here[1].test, there[1].test)):
        for name in ("x_FN", "label_N", "row_N"):
            np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


@pytest.mark.parametrize("suffix", [".parquet", ".feather", ".csv"])
def test_a_file_gives_the_same_on_the_disk(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    write(made(), path)
    check_same(*both(path))
    check_same(*both(path, sample=400, seed=3, drop=("words",)))


@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
def test_how_the_rows_are_cut_into_files_does_not_matter(tmp_path: Path, suffix: str) -> None:
    table, digests = made(), []
    for number, cuts in enumerate(([0, N], [0, 7, 500, N], [0, 400, 401, 1_199, N])):
        folder = tmp_path / str(number)
        folder.mkdir()
        for place, (first, last) in enumerate(pairwise(cuts)):
            write(table.slice(first, last - first), folder / f"{place}{suffix}")
        here, there = both(folder, sample=300)
        check_same(here, there)
        digests.append((here[0].digest, here[1].train.row_N.tolist(), there[1].encoding.to_json_dict()))
    assert digests[0] == digests[1] == digests[2]


VALUES: tuple[Callable[[random.Random], object], ...] = (
    lambda draw: draw.randrange(100),
    lambda draw: round(draw.gauss(0, 1), 3),
    lambda draw: draw.choice(["true", "false"]),
    lambda draw: draw.choice(["0", "1"]),
    lambda draw: draw.choice(["red", "a, b", 'q "x"', "two\nlines"]),
    lambda draw: f"2020-01-{draw.randrange(1, 29):02}",
    lambda draw: draw.choice(["NA", "NL", "DE"]),
    lambda draw: f"{draw.randrange(1_000):04}",
    lambda draw: draw.choice(["?", "5", "6", "7"]),
    lambda draw: 2**60 + draw.randrange(2**40),
    lambda draw: "",
)


@pytest.mark.parametrize("seed", range(4))
def test_what_a_part_of_a_text_says_is_decided_by_all_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    monkeypatch.setattr(several, "TEXT_BYTES", 300)
    draw, n, path = random.Random(seed), 150, tmp_path / "a.csv"
    kinds = [(draw.choice(VALUES), draw.choice(VALUES), draw.choice([0, 0, 3, n // 2, n - 3])) for _ in range(4)]
    with path.open("w", newline="") as file:
        writer = python_csv.writer(file, lineterminator="\n")
        writer.writerow(["a", "b", "c", "d", "y"])
        for row in range(n):
            values = [(first if row < cut else later)(draw) for first, later, cut in kinds]
            writer.writerow([*("" if draw.random() < 0.03 else value for value in values), draw.choice("pq")])
    found = []
    for on_disk in (False, True):
        config = make_config({"data": str(path), "target": "y", "on_disk": on_disk})
        try:
            table = load_table(config)
            encoding = split_table(table, 0.2, 0).encoding.to_json_dict()
            found.append((table.digest, encoding, [str(one) for one in table.decisions]))
        except DataError as error:
            found.append(error.message)
    assert found[0] == found[1]


def test_partitions_and_missing_labels(tmp_path: Path) -> None:
    table = made()
    label = [None if i % 11 == 0 else value for i, value in enumerate(table["y"].to_pylist())]
    table = table.set_column(table.column_names.index("y"), "y", [label])
    for place in range(4):
        (tmp_path / f"part={place % 2}").mkdir(exist_ok=True)
        write(table.slice(place * 300, 300), tmp_path / f"part={place % 2}" / f"{place}.parquet")
    here, there = both(tmp_path)
    check_same(here, there)
    assert "part" in {column.name for column in there[0].columns}


def test_many_rows_are_drawn_by_a_hash_in_both_ways(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(split, "MANY_ROWS", 500)
    write(made(), tmp_path / "a.parquet")
    here, there = both(tmp_path / "a.parquet")
    check_same(here, there)
    assert abs(here[1].test.n_rows - 0.2 * N) < 4 * np.sqrt(0.16 * N)
    check_same(*both(tmp_path / "a.parquet", sample=550))


def test_a_hash_draws_evenly_and_from_every_class() -> None:
    label_N = np.repeat(np.arange(5), [100_000, 50_000, 3, 2, 1])
    np.random.default_rng(0).shuffle(label_N)
    drawn = [drawn_by_hash(label_N, 5, 0.2, seed) for seed in range(10)]
    for is_drawn_N in drawn:
        count_C = np.bincount(label_N[is_drawn_N], minlength=5)
        assert all(1 <= count < all_of for count, all_of in zip(count_C[:4], (100_000, 50_000, 3, 2), strict=True))
        assert abs(count_C[0] - 20_000) < 5 * np.sqrt(16_000)
    assert not np.array_equal(drawn[0], drawn[1])
    assert len(np.unique(np.concatenate([row_hash(0, 10_000, 1), row_hash(10_000, 20_000, 1)]))) == 20_000


def test_a_sample_has_each_class_by_its_share_and_one_row_at_least() -> None:
    label_N = np.repeat(np.arange(3), [900, 99, 1])
    train_N = np.arange(0, 1_000)
    drawn_N = sampled_rows(label_N, train_N, ("a", "b", "c"), 100, 0)
    assert np.bincount(label_N[drawn_N]).tolist() == [90, 9, 1]
    assert (np.diff(drawn_N) > 0).all()
    assert sampled_rows(label_N, train_N, ("a", "b", "c"), 5_000, 0) is train_N
    with pytest.raises(SettingError, match=r"^--sample 2: so few rows cannot hold 3 classes$"):
        sampled_rows(label_N, train_N, ("a", "b", "c"), 2, 0)


def test_a_table_that_does_not_fit_goes_to_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"a": np.random.default_rng(0).normal(size=200_000), "y": [0, 1] * 100_000}), path)
    config = make_config({"data": str(path), "target": "y"})
    assert disk_for(config) is None
    monkeypatch.setattr("vecml.data.fitting.SMALL_BYTES", 1 << 20)
    monkeypatch.setattr("vecml.data.fitting.used_bytes", lambda: 0)
    monkeypatch.setenv("VECML_MAX_MEMORY", "5MB")
    assert disk_for(config) is not None
    monkeypatch.setattr("vecml.data.disk.shutil.disk_usage", lambda _: type("U", (), {"free": 1_000}))
    with pytest.raises(ScratchError, match=r" does not fit in memory, and needs about .* of room in ") as caught:
        disk_for(config)
    assert "TMPDIR=" in str(caught.value.hint)


def test_arrays_on_the_disk_stay_when_memory_is_given_back(tmp_path: Path) -> None:
    disk = Disk(tmp_path)
    values_N = np.random.default_rng(0).normal(size=100_000)
    kept_N, table = disk.kept(values_N), disk.table(pa.table({"a": values_N, "b": ["x"] * 100_000}))
    assert list(tmp_path.iterdir()) == []  # without a name, nothing is left of it
    for _ in range(2):
        np.testing.assert_array_equal(kept_N, values_N)
        np.testing.assert_array_equal(table["a"].to_numpy(), values_N)
        disk.forget()
    assert disk.empty((0, 3), np.float32).shape == (0, 3)
    assert disk.table(table.slice(0, 0)).num_rows == 0


def test_a_full_disk_is_said_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    disk = Disk(tmp_path)
    monkeypatch.setattr("vecml.data.disk.os.posix_fallocate", full)
    with pytest.raises(ScratchError, match=rf"^cannot write temporary files in {tmp_path}: No space left") as caught:
        disk.empty((1_000,), np.float64)
    assert "TMPDIR=" in str(caught.value.hint)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ScratchError, match=r"^cannot write temporary files in .*/none: No such file or directory$"):
        Disk(tmp_path / "none").empty((1,), np.int8)

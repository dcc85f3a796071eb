"""The arguments of a call as files: what comes back is what went in, no code runs, and the rest is refused."""

import collections
import datetime
import decimal
import enum
import importlib
import random
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest

from vecml.optimize.agreement import difference
from vecml.optimize.call_files import CALL, CannotRecordError, capture, read, write


@dataclass
class Mesh:
    points: Any
    name: str = "mesh"
    holes: list[Any] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Scale:
    by: float


class Pair(NamedTuple):
    first: Any
    second: Any


class Colour(enum.Enum):
    RED = 1


class Plain:
    def __init__(self) -> None:
        self.x = np.arange(3)


def find(module: str, name: str, file: str) -> Any:
    found: Any = importlib.import_module(module)
    for part in name.split("."):
        found = getattr(found, part)
    return found


def again(folder: Path, *args: Any) -> tuple[Any, ...]:
    captured = capture([(f"x{number}", one) for number, one in enumerate(args)], 10**8)
    write(captured, folder / "call")
    return read(folder / "call", find)


VALUES: list[Any] = [
    None, True, 3, -(10**30), 1.5, float("inf"), "text \ud800", 2 + 1j, b"\x00\xff", bytearray(b"x"), range(2, 9, 3),
    slice(None, 3), np.float32(1.5), np.int8(-3), np.datetime64("2024-01-02"), np.dtype("f4"), decimal.Decimal("1.10"),
    datetime.date(2024, 2, 29), datetime.datetime(2024, 1, 1, 1, 1, tzinfo=datetime.UTC), datetime.timedelta(1, 2, 3),
    Path("/a/b"), [1, 2.5, "a", [None]], (1, (2,)), {1, 2}, frozenset("ab"), {"a": 1, (1, 2): [3], None: 4},
    collections.OrderedDict(b=1, a=2), collections.Counter("aab"), collections.deque([1, 2], 5),
    list(range(20_000)), [0.5] * 20_000, Scale(2.0), Mesh(np.ones((2, 3)), holes=[np.arange(2)]), Pair(1, np.zeros(2)),
    Colour.RED, re.I, re.I | re.M, re.RegexFlag(0), len, np.sin, np.float64, find,
    {"arrays": {"x": np.arange(3), "y": np.ones(2, bool)}},
]  # fmt: skip


@pytest.mark.parametrize("value", VALUES, ids=lambda one: type(one).__name__)
def test_it_comes_back_as_it_was(value: Any, tmp_path: Path) -> None:
    (found,) = again(tmp_path, value)
    assert type(found) is type(value)
    assert difference(value, found, 0.0) is None
    if isinstance(value, str | bytes | range | Path | decimal.Decimal | datetime.date):
        assert found == value


def test_arrays_keep_dtype_layout_and_order(tmp_path: Path) -> None:
    base = np.arange(24.0).reshape(4, 6)
    record = np.array([(1, 2.0)], [("a", "i4"), ("b", "f8")])
    frozen = np.arange(3)
    frozen.flags.writeable = False
    given = (base, base.T, base[:, ::2], base[::-1], base.astype(">f4"), record, np.array(3.0), base[:0], frozen)
    for number, old in enumerate(given):
        (new,) = again(tmp_path / str(number), old)
        assert (old.dtype, old.shape) == (new.dtype, new.shape)
        assert np.array_equal(old, new)
        assert old.flags.c_contiguous == new.flags.c_contiguous
        assert old.flags.f_contiguous == new.flags.f_contiguous
        assert [one < 0 for one in old.strides] == [one < 0 for one in new.strides]
        assert old.flags.writeable == new.flags.writeable


def test_one_object_in_two_places_stays_one(tmp_path: Path) -> None:
    x = np.arange(3)
    one, other, held = again(tmp_path, x, x, [x, Pair(x, 1)])
    assert one is other is held[0] is held[1].first


def test_arrays_that_share_memory_are_refused() -> None:
    x = np.arange(6)
    for given, said in (
        ([x[1:], x[:-1]], "x1 shares memory with x0, and each array is copied by itself"),
        ([x, [1, Mesh(x[::2])]], "x1[1].points shares memory with x0"),
        ([x[:], x[:]], "x1 shares memory with x0"),
    ):
        with pytest.raises(CannotRecordError) as caught:
            capture([(f"x{number}", one) for number, one in enumerate(given)], 10**8)
        assert str(caught.value).startswith(said)
        assert "an array of its own for each" in caught.value.hint


def test_arrays_beside_each_other_in_one_memory_are_recorded(tmp_path: Path) -> None:
    x = np.arange(6)
    for number, given in enumerate(((x, x), (x[:3], x[3:]), (x[::2], x[1::2]), (x[:0], x))):
        for old, new in zip(given, again(tmp_path / str(number), *given), strict=True):
            assert np.array_equal(old, new)


def test_classes_are_found_by_name_and_their_init_does_not_run(tmp_path: Path) -> None:
    default: Any = collections.defaultdict(list, a=[1])
    plain, back, again_default = again(tmp_path, Plain(), Mesh(np.ones(2)), default)
    assert plain.x.tolist() == [0, 1, 2]
    assert back.name == "mesh"
    assert again_default["new"] == []


def test_random_generators_draw_on(tmp_path: Path) -> None:
    old, new = np.random.RandomState(3), np.random.default_rng(3)
    old.normal(size=3)
    new.normal(size=3)
    again_old, again_new, philox = again(tmp_path, old, new, np.random.Generator(np.random.Philox(5)))
    assert old.normal(size=4).tolist() == again_old.normal(size=4).tolist()
    assert new.normal(size=4).tolist() == again_new.normal(size=4).tolist()
    assert philox.integers(99) == np.random.Generator(np.random.Philox(5)).integers(99)


TABLES: list[Callable[[], Any]] = [
    lambda: pd.DataFrame({"a": [1, 2], "b": [0.5, np.nan], "c": ["x", None]}),
    lambda: pd.DataFrame({"a": [1, 2], "b": ["x", "y"]}, index=pd.Index([5, 3], name="key")),
    lambda: pd.DataFrame({"t": pd.to_datetime(["2024-01-01", None]), "c": pd.Categorical(["u", "v"])}),
    lambda: pd.DataFrame({"o": pd.Series(["x", float("nan")], dtype=object)}),
    lambda: pd.DataFrame({"o": pd.Series(["x", None], dtype=object)}),
    lambda: pd.DataFrame(np.arange(6).reshape(2, 3)),
    lambda: pd.DataFrame({"a": pd.Series([], dtype="int8")}),
    lambda: pd.Series([1.0, 2.0], index=["p", "q"], name="values"),
    lambda: pd.Series([1, 2], name=("a", 1)),
    lambda: pd.DataFrame({"a": [1, 2]}, index=pd.MultiIndex.from_tuples([("x", 1), ("y", 2)])),
    lambda: pd.DataFrame({"o": pd.Series([datetime.date(2020, 1, 1), None], dtype=object)}),
    lambda: pd.DataFrame({"a": [1, 2, 3]}, index=pd.date_range("2020", periods=3, freq="D")),
    lambda: pd.Series([1, 2, 3], index=pd.timedelta_range("1h", periods=3, freq="2h")),
]


@pytest.mark.parametrize("make", TABLES)
def test_tables_go_by_arrow(make: Callable[[], Any], tmp_path: Path) -> None:
    table = make()
    (found,) = again(tmp_path, table)
    assert difference(table, found, 0.0) is None
    if table.ndim == 2 and "o" in table:
        assert list(map(type, found["o"])) == list(map(type, table["o"]))
    assert getattr(found.index, "freq", None) == getattr(table.index, "freq", None)


@pytest.mark.parametrize(
    "cells",
    [
        [1, 2.5],
        [datetime.datetime(2020, 1, 1)],
        [datetime.timedelta(1)],
        [decimal.Decimal("1.0"), decimal.Decimal("2.00")],
        [np.int64(1)],
    ],
    ids=lambda cells: f"{type(cells[0]).__name__} {cells[-1]}",
)
def test_cells_that_arrow_gives_another_type_are_refused(cells: list[Any]) -> None:
    column = pd.Series(cells, dtype=object)
    for table in (pd.DataFrame({"o": column}), pd.Series(range(len(cells)), index=pd.Index(cells, dtype=object))):
        with pytest.raises(CannotRecordError, match="x is a table that Arrow does not hold as it is"):
            capture([("x", table)], 10**8)


def held() -> list[Any]:
    made: list[Any] = [1]
    made.append(made)
    return made


def local() -> Any:
    class Here:
        pass

    return Here()


REFUSED: list[tuple[Any, str, str]] = [
    ((one for one in "ab"), "x0 is a generator, which one call uses up", "give a list of what it yields: list(...)"),
    ({"k": iter([1])}, "x0['k'] is a list_iterator, which one call uses up", "give a list"),
    ([threading.Lock()], "x0[0] is a lock", "make it at the top of its file"),
    (Mesh(1, holes=[map(abs, [1])]), "x0.holes[0] is a map, which one call uses up", "give a list"),
    (np.array([{}, 1], object), "x0 is an array of Python objects (dtype object)", "--inputs FILE.py:make_inputs"),
    (np.ma.array([1, 2]), "x0 is a MaskedArray, which is more than an array", "--inputs"),
    (pd.DataFrame({"a": [[1], [2, 3]]}), "x0 is a table that Arrow does not hold as it is", "--inputs"),
    (pd.DataFrame({"a": [1, "x"]}), "x0 is a table that Arrow does not hold", "--inputs"),
    (lambda: 1, "x0 is the function <lambda>, which has no place at the top of a module", "--inputs"),
    (local(), "x0 is of the class local.<locals>.Here, which has no place", "--inputs"),
    (random.Random(0), "x0 is a random.Random", "--inputs"),
    (held(), "x0[1] holds itself", "--inputs"),
    (np.zeros(20_000_000), "x0 makes the arguments larger than the 100 MB that are recorded", "call it with less"),
]


@pytest.mark.parametrize(("value", "said", "hint"), REFUSED)
def test_the_rest_is_refused_with_its_place(value: Any, said: str, hint: str) -> None:
    with pytest.raises(CannotRecordError) as caught:
        capture([("x0", value)], 10**8)
    assert str(caught.value).startswith(said)
    assert hint in caught.value.hint


def test_a_list_that_is_nested_too_deeply_is_refused() -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(CannotRecordError, match="x is nested too deeply to be recorded"):
        capture([("x", deep)], 10**8)


def test_what_is_read_runs_no_code(tmp_path: Path) -> None:
    write(capture([("x", np.arange(3))], 10**8), tmp_path / "call")
    np.save(tmp_path / "call" / "0.npy", np.array([{}], object), allow_pickle=True)
    with pytest.raises(ValueError, match="allow_pickle=False"):
        read(tmp_path / "call", find)
    assert (tmp_path / "call" / CALL).read_text().startswith("[")

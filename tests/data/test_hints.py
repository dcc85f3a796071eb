"""Every refusal of a table has a hint whose command, pasted, leads to a run, or a reason why no command can.

The refusals are read off the source, so that a new one without either fails here.
"""

import ast
import contextlib
import csv
import functools
import random
import re
import sqlite3
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.data.made_files import Write, numbered, parquet, save_all, text
from tests.data.pasted import command_in, parsed
from vecml.config import PipelineConfig, make_config
from vecml.data import sources
from vecml.data.remedy import whole_commands
from vecml.data.sources import check_source, load_table
from vecml.data.split import Split, split_table
from vecml.errors import DataError, SettingError
from vecml.model.train import train

SOURCES = Path(__file__).parents[2] / "vecml" / "data"
RAISED = {"DataError", "SettingHelpsError", "NotDecodedError", "OutOfRangeError"}
XY = ["x", "y"] * 10
NUMBERS = [float(i * 7 % 20) for i in range(20)]


def table(line: str = "{0},{1},{2}", n: int = 40, header: str = "a,b,label") -> Write:
    return numbered(n, lambda i: line.format(i * 7 % 11, i * 5 % 13, "xy"[i % 2], i), header)


def sqlite_table(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute('CREATE TABLE "my ""rows" (a, b, label)')
        rows = [(i * 7 % 11, i * 5 % 13, "xy"[i % 2]) for i in range(40)]
        connection.executemany('INSERT INTO "my ""rows" VALUES (?, ?, ?)', rows)
        connection.commit()


# name of the file, what writes it, further settings
CASES: dict[str, tuple[str, Write, dict[str, Any]]] = {
    "unknown target": ("a.csv", table(header="a,b,lable"), {}),
    "no target": ("a.csv", table(), {"target": None}),
    "no target, and bad columns": ("a.csv", table("{0},{1},{2},inf", header="a,b,label,d"), {"target": None}),
    "unknown target, none near": ("a.csv", table(), {"target": "zzz"}),
    "unknown drop": ("a.csv", table(), {"drop": ("B",)}),
    "unknown drop, none near": ("a.csv", table(), {"drop": ("zzz",)}),
    "unknown keep": ("a.csv", table(header="a,b c,label"), {"keep": ("b_c",)}),
    "several unknown, some near": ("a.csv", table(header='"a,1","b 1",label'), {"drop": ("a",), "keep": ("b1", "q")}),
    "unknown, and bad columns": ("a.csv", table("{0},{1},{2},inf", header="a,b,label,d"), {"target": "lable"}),
    "bad columns": ("a.csv", table("{0},{1},{2},inf,-inf", header='a,b,label,"d, e"," f"'), {}),
    "bad column with a name of many lines": ("a.csv", table("{0},{1},{2},inf", header='a,b,label,"d\ne"'), {}),
    "bad column that begins with dashes": ("a.csv", table("{0},{1},{2},inf", header="a,b,label,--d"), {}),
    "bad column without a name": ("a.csv", table("inf,{0},{1},{2}", header=",a,b,label"), {}),
    "bad column that is kept": ("a.csv", table("{0},{1},{2},inf", header="a,b,label,d"), {"keep": ("a", "d")}),
    "beyond float32": ("a.csv", table("{0},{1},{2},1e300", header="a,b,label,d"), {}),
    "list": ("a.parquet", parquet(a=NUMBERS, b=[[1]] * 20, label=XY), {}),
    "complex": ("a.npz", save_all(a=np.arange(20) * 1j, b=np.array(NUMBERS), label=np.arange(20) % 2), {}),
    "strict": ("a.csv", table("{3},{1},{2},5", header=",b,label,d"), {"strict": True}),
    "strict, nothing to say": ("a.csv", text("a,b,label\n" + "1,2,x\n5,2.5,y\n3,1,\n" * 9), {"strict": True}),
    "nothing left": ("a.csv", table(), {"drop": ("a", "b")}),
    "nothing kept": ("a.csv", table(), {"keep": ("label",)}),
    "nothing but text": ("a.csv", numbered(60, lambda i: f"we {i} are,5,{'xy'[i % 2]}", "a,b,label"), {}),
    "regression": ("a.csv", numbered(300, lambda i: f"{i * 7 % 11},{i / 3}"), {}),
    "regression, and bad columns": ("a.csv", numbered(300, lambda i: f"{i * 7 % 11},inf,{i / 3}", "a,b,label"), {}),
    "cut text": ("a.csv", table(), {"bins": 4}),
    "too many classes, some common": (
        "a.csv",
        numbered(1_500, lambda i: f"{i % 7},{i if i < 1_200 else i % 2 + 0.5}x"),
        {},
    ),
    "too many classes": ("a.csv", numbered(1_500, lambda i: f"{i % 7},{i % 3},x{i}", "a,b,label"), {}),
    "type of target": ("a.parquet", parquet(a=NUMBERS, b=XY, label=[[1]] * 20), {}),
    "no label": ("a.csv", table("{0},{2},", header="a,b,label"), {}),
    "one class": ("a.csv", table("{0},{2},same", header="a,b,label"), {}),
    "no class with so many rows": ("a.csv", table(), {"min_class_rows": 21}),
    "one row of a class": ("a.csv", numbered(41, lambda i: f"{i * 7 % 11},{'xyz'[i % 2 + (i == 40) * 2]}"), {}),
    "every class has one row": ("a.csv", numbered(40, lambda i: f"{i * 7 % 11},{i % 2},w{i}", "a,b,label"), {}),
    "many numbers with one row": ("a.csv", numbered(40, lambda i: f"{i * 7 % 11},{i}"), {}),
    "test part too small": ("a.csv", numbered(40, lambda i: f"{i * 7 % 11},{'abcdefghij'[i % 10]}"), {}),
    "training part too small": ("a.csv", table(), {"test_fraction": 0.99}),
    "another separator": ("a.csv", table("{0};{1};{2}", header="a;b;label"), {"separator": ","}),
    "a tab as the separator": ("a.csv", table("{0}\t{1}\t{2}", header="a\tb\tlabel"), {"separator": ","}),
    "another encoding": ("a.csv", text("a,b,label\n" + "1,2,ä\n5,1,y\n3,9,ä\n2,7,y\n" * 9), {"encoding": "ascii"}),
    "a byte of another encoding, late": (
        "a.csv",
        text(b"a,b,label\n" + b"1,2,x\n5,1,y\n3,9,x\n2,7,y\n" * 60_000 + "1,2,ä\n5,1,ä\n".encode("cp1252")),
        {"encoding": "utf-8"},
    ),
    "a few wrong bytes in UTF-8": (
        "a.csv",
        text(b"a,b,label\n" + "1,2,ä\n5,1,y\n3,9,ä\n2,7,y\n".encode() * 9 + b"1,2,y\n5,\xe4,y\n"),
        {},
    ),
    "no such file": ("table.csv", table(), {"data": "tabel.csv"}),
    "no such file, and one there": ("table.csv", table(), {"data": "zzzz.parquet"}),
    "JSON by lines": ("it's a.jsonl", text('{"a": 1, "b": 2, "label": "x"}\n{"a": 2, "b": 1, "label": "y"}\n' * 9), {}),
    "an SQLite database": ("a.db", sqlite_table, {}),
    "no such set": ("a.csv", table(), {"data": "sklearn:digit", "target": None}),
    "no such set, none near": ("a.csv", table(), {"data": "sklearn:zzz", "target": None}),
    "a set for regression": ("a.csv", table(), {"data": "sklearn:diabetes"}),
}

# Refusals for which no command can help, by the reason.
WITHOUT: dict[str, tuple[str, ...]] = {
    "what is wrong is in the file, and has to be mended there": (
        "arff: {} has no line @data",
        "arff: {} declares no column",
        "arff: {} has sparse rows, which are not read",
        "arff: {} has more than one column called {}",
        "arff: {}: line {} declares no column: {}",
        "arff: {} cannot be read as ARFF: {}",
        "arff: {}: row {}, line {}, has {}, the header declares {}",
        "arrays: {} holds an array of shape {}; rows by columns are needed",
        "arrays: {} cannot be read as npz: it is no zip archive",
        "arrays: {} holds no array",
        "arrays: array {} in {} has shape {}; a column is 1-D, a table 2-D",
        "arrays: arrays in {} differ in length: {} has {} rows, {} has {}",
        "arrays: {} cannot be read as {}: {}",
        "arrays: {} holds Python objects, which vecml does not unpickle",
        "arrays: column {} in {} cannot be used ({}): {}",
        "delimited: {} ends inside a quoted value, which begins in {}: {}",
        "delimited: {} cannot be read as CSV: {}",
        "delimited: {} is empty",
        "delimited: {}: {} has {}, {} {}",
        "delimited: {} has a row of more than {} MB",
        "excel: {} has no sheet with a header and rows",
        "excel: {} cannot be read as Excel: {}",
        "files: {} cannot be read as {}: {}",
        "files: {}: its suffix does not say what kind of file it is",
        "not_text: {} is no text: it begins as {} does",
        "not_text: {} is no text: it holds zero bytes",
        "several: {} has a column {}, which {} has not",
        "several: {} has no column {}, which {} has",
        "several: {}: column {} is {}, but in {} it is {}",
        "several: {} has a column {}, and lies in a folder {}={}",
        "sources: {} has no rows",
        "text_stream: {} cannot be read as CSV: {}",
        "text_stream: {} holds {} files{}",
        "text_stream: {} is encrypted",
    ),
    "the file system or the installation has to be changed first, and the hint says how": (
        "memory_limit: {} needs more than the {} of memory that a table may take here{}",
        "excel: {}: reading an Excel file needs python-calamine",
        "files: {} is a folder, not a file",
        "files: {} may not be read by this user",
        "files: {} cannot be opened: {}",
        "origin: --data {}: there is no reader for such an address",
        "origin: --data {}: an address is no path",
        "several: {} is a folder without a data file{}",
        "several: no file matches {}",
        "several: no such files: {}, {} of {}",
        "standard_input: --data -: nothing is piped in",
    ),
    "what an object store says, or its address, and the hint says how": (
        "places: there is no bucket {}: {}",
        "places: {} cannot be {}: {}",
        "places: {} is a file, and no folder",
        "places: {} is not there",
        "places: {} is not there any more",
        "places: {} may not be {} by this user",
        "places: {} may not be {} with the credentials of the environment",
        "places: {} {}",
        "several: {}: {}",
        "remote: there is no bucket {}: {}",
        "remote: {} holds no data file",
        "remote: {} is not there",
        "remote: {}: {} has a '?', which begins the options of an address",
    ),
    "what a database says, or its driver, and the hint says how": (
        "database: there is no database {}",
        "database: {}: {}",
        "database: the query gives no rows",
        "database: the query is no single SELECT, and the database is read-only here",
        "database: reading PostgreSQL needs adbc-driver-postgresql",
        "database: reading DuckDB needs duckdb",
    ),
    "the data that is given to a model has to fit it: nothing is trained": (
        "column_encoding: column {} has an infinite value in row {}",
        "column_encoding: column {} has {} in row {}, too far from the training part's values",
        "column_encoding: column {} has {} in row {}, more than float32 can hold",
        "csv_typing: column {} was {} in training: row {} has a number, and rows before it dates or times, or the"
        " reverse",
        "data_file: {}in row {} is not one",
        "encoding: column {} is {}, but was {} in training",
        "files: {} has more than one column called {}",
        "raw: columns of {} differ in length: {}",
        "raw: column {} holds {}, but was {} in training",
        "raw: column {} holds dates, but was a number in training",
        "raw: column {} was {} in training: {} in row {} is not one",
        "selection: there is no column {} in {}",
        "stream: there {} no {} in {}",
        "stream: column {} is {}, but was {} in training",
    ),
    "the table is in Python's memory": (
        "arrays: column {} in {} has shape {}; a column has one dimension",
        "frames: a pandas Series cannot be read: it is one column, {}",
        "frames: data of type {} cannot be read",
        "frames: a {} cannot be read: it is one column",
        "frames: {} is one value, {}",
        "tensors: {} is a masked tensor, and its mask would be lost",
        "tensors: {} is a nested tensor, whose rows differ",
        "tensors: {} is a {} tensor, not a dense one",
        "tensors: {} is a tensor on device meta, which has no values",
        "tensors: {} is a quantised tensor ({}), not one of numbers",
        "frames: columns of {} differ in length: {}",
        "handed: {} was a table in Python's memory, which is not kept",
    ),
    "no column says anything, whatever is left out": (
        "encoding: no feature column is left: in the training part each is constant or has no value",
    ),
    "the reason why a column is refused, which is listed where it is given": ("columns: {}",),
}


COLUMNS: dict[str, Callable[[random.Random, int], object]] = {
    "number": lambda draw, _: round(draw.gauss(0, 1), 3),
    "whole": lambda draw, _: draw.randrange(20),
    "count": lambda _, row: row,
    "infinite": lambda draw, _: draw.choice([1, 2, "inf"]),
    "huge": lambda draw, _: draw.choice(["1e300", 1]),
    "constant": lambda _draw, _row: 5,
    "empty": lambda _draw, _row: "",
    "text": lambda draw, row: f"w{row} {draw.random()}",
    "category": lambda draw, _: draw.choice("abc"),
}
LABELS: dict[str, Callable[[random.Random, int], object]] = {
    "two": lambda _, row: "xy"[row % 2],
    "numbers": lambda draw, _: round(draw.gauss(0, 1), 4),
    "names": lambda _, row: f"n{row}",
    "one": lambda _draw, _row: "s",
    "none": lambda _draw, _row: "",
    "a single row": lambda _, row: "z" if row == 0 else "xy"[row % 2],
    "rare": lambda draw, _: draw.choice("aaaabbbbcdefghijklmnop"),
    "missing": lambda draw, _: draw.choice(["x", "y", "", "NA"]),
    "infinite": lambda draw, _: draw.choice([0, 1, "inf"]),
}
NAMES = ("", "a", " a", "a,b", '"q"', "--a", "-", "a\nb", "é", "$x", "'", "\\", "a\tb", "[x]")


def faulty(draw: random.Random, path: Path) -> dict[str, Any]:
    """Write a table with several faults, and give settings with some more."""
    rows, width = draw.choice([12, 30, 60, 200]), draw.randrange(2, 6)
    kinds = [*(COLUMNS[draw.choice(list(COLUMNS))] for _ in range(width)), LABELS[draw.choice(list(LABELS))]]
    names = [*(draw.choice(NAMES) for _ in range(width)), draw.choice(["label", " y", "--t", "l,m"])]
    with path.open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(
            [names, *([one(draw, row) for one in kinds] for row in range(rows))]
        )
    seldom: dict[str, Any] = {
        "strict": True,
        "test_fraction": draw.choice([0.01, 0.5, 0.99]),
        "drop": (draw.choice([*names[:-1], "zzz", "A"]),),
        "keep": (draw.choice([*names[:-1], "zzz", "B"]),),
        "bins": draw.choice([2, 5]),
        "min_class_rows": draw.choice([2, 5]),
    }
    chosen = {name: value for name, value in seldom.items() if draw.random() < 0.15}
    return {"data": str(path), "target": draw.choice([*[names[-1]] * 3, "lable", names[-1].upper()]), **chosen}


def pastes(config: PipelineConfig) -> int | None:
    """How many commands are pasted until the table can be used; None where it never can."""
    for pasted in range(6):
        try:
            read_and_split(config)
        except DataError as error:
            line = command_in(str(error.hint))
            if line is None:
                return None
            config = parsed(line)
        else:
            return pasted
    return None


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hints are followed to their end on a busy machine too, where they would be cut short so that a refusal comes."""
    monkeypatch.setattr(sources, "FOLLOWED_SECONDS", 60.0)


@pytest.mark.filterwarnings("ignore::vecml.warnings.VecmlWarning")
def test_one_paste_is_enough_however_many_faults_there_are(tmp_path: Path) -> None:
    needed: dict[int, int | None] = {}
    for seed in range(75):
        settings = faulty(random.Random(seed), tmp_path / "a.csv")
        with contextlib.suppress(SettingError):  # two settings that cannot be together
            needed[seed] = pastes(make_config(settings))
    assert [seed for seed, pasted in needed.items() if pasted is not None and pasted > 1] == []
    assert list(needed.values()).count(1) > 30


@functools.cache
def refusals() -> list[str]:
    """Module and template of each message with which a table is refused; `{}` stands for a value."""
    trees = {path.stem: ast.parse(path.read_text(encoding="utf-8")) for path in sorted(SOURCES.glob("*.py"))}
    functions = [
        (stem, one) for stem, tree in trees.items() for one in ast.walk(tree) if isinstance(one, ast.FunctionDef)
    ]
    found = []
    for stem, function in functions:
        for node in ast.walk(function):
            if not isinstance(node, ast.Call):
                continue
            if getattr(node.func, "id", "") in RAISED:
                told = messages(node.args[0], function, [one for _, one in functions])
            elif getattr(node.func, "attr", "") == "refused":
                told = messages(node.args[1], function, [one for _, one in functions])
            else:
                continue
            found += [f"{stem}: {one}" for one in told]
    return list(dict.fromkeys(found))


def messages(node: ast.expr, function: ast.FunctionDef, functions: list[ast.FunctionDef]) -> list[str]:
    """The templates that an expression can be: a text, a local variable, or what a function returns."""
    if isinstance(node, ast.Name):
        given = [value for one in ast.walk(function) if isinstance(one, ast.Assign) for value in assigned(one, node.id)]
        return [found for value in given for found in messages(value, function, functions)]
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        made = [one for one in functions if one.name == node.func.id]
        returned = [(one.value, maker) for maker in made for one in ast.walk(maker) if isinstance(one, ast.Return)]
        return [found for value, maker in returned if value for found in messages(value, maker, functions)]
    return [template(node)]


def assigned(node: ast.Assign, name: str) -> Iterator[ast.expr]:
    """The values that an assignment gives the variable `name`."""
    target = node.targets[0]
    if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
        yield from (value for one, value in zip(target.elts, node.value.elts, strict=True) if ast.unparse(one) == name)
    elif ast.unparse(target) == name:
        yield node.value


def template(node: ast.expr) -> str:
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(template(part) for part in node.values)
    if isinstance(node, ast.BinOp):
        return template(node.left) + template(node.right)
    return "{}"


def refusal_of(case: str, folder: Path) -> tuple[DataError, set[str]]:
    """How the case is refused, and the modules in which that was decided."""
    name, write, settings = CASES[case]
    write(folder / name)
    data = str(settings.get("data", name))
    path = data if data.startswith("sklearn:") else str(folder / data)
    config = make_config({"target": "label", **settings, "data": path})
    with pytest.raises(DataError) as caught:
        read_and_split(config)
    modules: set[str] = set()
    error: BaseException | None = caught.value
    while error is not None:
        modules |= {Path(frame.filename).stem for frame in traceback.extract_tb(error.__traceback__)}
        error = error.__context__
    return caught.value, modules | ({"columns"} if "findings" in modules else set())  # it says there why


def read_and_split(config: PipelineConfig) -> Split:
    """What a run does before it trains."""
    with whole_commands(config):
        check_source(config.data)
    return split_table(load_table(config), config.test_fraction, config.seed)


def covered(message: str, modules: set[str]) -> set[str]:
    """The templates of which the message may be made."""
    return {
        one
        for one in refusals()
        if one.split(": ")[0] in modules
        and re.fullmatch(re.escape(one.split(": ", 1)[1]).replace(r"\{\}", ".+"), message, re.S)
    }


@pytest.mark.filterwarnings("ignore::vecml.warnings.VecmlWarning")
@pytest.mark.parametrize("case", CASES)
def test_the_command_of_a_hint_leads_to_a_run(case: str, tmp_path: Path) -> None:
    error, modules = refusal_of(case, tmp_path)
    line = command_in(str(error.hint))
    assert line is not None, error.hint
    config = parsed(line)
    trained = train(read_and_split(config), config.model_copy(update={"epochs": 1}))
    assert trained.losses
    assert covered(error.message, modules), (error.message, modules)


@pytest.mark.filterwarnings("ignore::vecml.warnings.VecmlWarning")
def test_every_refusal_has_a_command_or_a_reason_why_there_is_none(tmp_path: Path) -> None:
    known = {one for listed in WITHOUT.values() for one in listed}
    helped: set[str] = set()
    for case in CASES:
        folder = tmp_path / re.sub(r"\W", "_", case)
        folder.mkdir()
        error, modules = refusal_of(case, folder)
        helped |= covered(error.message, modules)
    assert [one for one in refusals() if one not in known | helped] == []
    assert sorted(known - set(refusals())) == []
    assert len(helped) > 20

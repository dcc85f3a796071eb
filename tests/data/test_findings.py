"""Decisions and refusals are told once, with every column, and with a command that can be pasted."""

import shlex
from pathlib import Path

import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st
from typer.main import get_command

from tests.data.pasted import parsed
from vecml.cli.app import app
from vecml.cli.options import columns
from vecml.config import PipelineConfig, TrainingConfig, make_config
from vecml.data.findings import Findings
from vecml.data.name_list import read_names, write_names
from vecml.data.remedy import command
from vecml.data.sources import load_table
from vecml.errors import DataError, SettingError
from vecml.warnings import VecmlWarning

names = st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=12)


@given(st.lists(names, min_size=1, max_size=5))
def test_a_list_of_names_is_read_as_it_was_written(listed: list[str]) -> None:
    assert read_names(write_names(listed)) == tuple(listed)
    assert columns([write_names(listed)]) == tuple(listed)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("a,b", ("a", "b")),
        ("a, b", ("a", "b")),
        ('"a, b",c', ("a, b", "c")),
        ('" a"', (" a",)),
        ('5" pipe', ('5" pipe',)),
        ('"5"" pipe"', ('5" pipe',)),
        ("", ("",)),
        ('""', ("",)),
        ('"a', ('"a',)),
    ],
)
def test_a_list_of_names_as_people_type_it(typed: str, meant: tuple[str, ...]) -> None:
    assert read_names(typed) == meant


@settings(deadline=None)
@given(st.sets(names, min_size=2, max_size=5), names.filter(bool))
def test_the_command_of_a_hint_is_read_as_it_was_meant(listed: set[str], target: str) -> None:
    drop = tuple(sorted(listed - {target}))
    config = make_config({"data": "my table.csv", "target": target, "epochs": 7, "hidden": (64, 32)})
    made = parsed(command(config, {"drop": drop, "strict": True}))
    assert made == config.model_copy(update={"drop": drop, "strict": True})


def test_a_kept_column_is_dropped_by_not_keeping_it() -> None:
    config = make_config({"data": "a.csv", "target": "y", "keep": ("a", "b")})
    assert command(config, {"drop": ("a",)}) == "vecml run --data a.csv --target y --keep b"


def test_all_refused_columns_are_named_with_one_command() -> None:
    findings = Findings()
    for i in range(7):
        findings.refused(f"c{i}", f"has an infinite value in row {i}")
    config = make_config({"data": "a.csv", "target": "y", "drop": ("id",)})
    with pytest.raises(DataError) as caught:
        findings.settle(remedy=lambda changes: command(config, changes))
    assert caught.value.message == (
        "7 columns cannot be used: 'c0', 'c1', 'c2', 'c3', 'c4', 'c5', 'c6': column 'c0' has an infinite value in row"
        " 0; column 'c1' has an infinite value in row 1; column 'c2' has an infinite value in row 2; column 'c3' has an"
        " infinite value in row 3; column 'c4' has an infinite value in row 4; and 2 more"
    )
    assert caught.value.hint == ("leave them out: vecml run --data a.csv --target y --drop id,c0,c1,c2,c3,c4,c5,c6")


def test_decisions_are_warned_of_by_kind() -> None:
    findings = Findings()
    findings.dropped("VML001", "a", "constant")
    findings.decided("VML002", None, "3 rows dropped")
    findings.dropped("VML001", "b", "constant")
    with pytest.warns(VecmlWarning) as caught:
        findings.settle()
    assert [str(one.message) for one in caught] == [
        "VML001 columns 'a', 'b' dropped: constant",
        "VML002 3 rows dropped",
    ]


def test_strict_refuses_what_would_be_decided_and_its_command_decides_it(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a,b,c,label\n1,5,,x\n2,5,,y\n3,5,,x\n")
    config = make_config({"data": str(tmp_path / "a.csv"), "target": "label", "strict": True})
    with pytest.raises(DataError) as caught:
        load_table(config)
    assert caught.value.message == (
        "--strict: vecml would decide this: column 'c' dropped: no value in any row; column 'b' dropped: constant"
    )
    line = f"vecml run --data {tmp_path}/a.csv --target label --drop c,b --strict"
    assert caught.value.hint == f"say it: {line}"
    assert [column.name for column in load_table(parsed(line)).columns] == ["a"]


def test_an_empty_column_is_dropped_and_its_type_does_not_matter_to_the_digest(tmp_path: Path) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    (tmp_path / "a.csv").write_text("a,b,label\n1,,x\n2,,y\n")
    text = pa.array([None, None], pa.string())
    parquet.write_table(pa.table({"a": [1, 2], "b": text, "label": ["x", "y"]}), tmp_path / "a.parquet")
    tables = []
    for name in ("a.csv", "a.parquet"):
        with pytest.warns(VecmlWarning, match="VML004 column 'b' dropped: no value in any row"):
            tables.append(load_table(make_config({"data": str(tmp_path / name), "target": "label"})))
    assert tables[0].digest == tables[1].digest
    assert [decision.column for decision in tables[0].decisions] == ["b"]


WORDS = st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), min_size=1, max_size=8)
SETTINGS = st.fixed_dictionaries(
    {},
    optional={
        "drop": st.lists(names, max_size=3).map(tuple),
        "missing": st.lists(WORDS, max_size=3, unique=True).map(tuple),
        "categorical": st.lists(names, max_size=2, unique=True).map(tuple),
        "max_categories": st.integers(2, 10_000),
        "bins": st.none() | st.integers(2, 100),
        "min_class_rows": st.integers(1, 10**9),
        "rare_classes": st.sampled_from(["drop", "merge"]),
        "test_fraction": st.floats(1e-9, 0.999),
        "strict": st.booleans(),
        "hidden": st.lists(st.integers(1, 65_536), min_size=1, max_size=8).map(tuple),
        "activation": st.sampled_from(["relu", "gelu", "tanh", "sigmoid"]),
        "epochs": st.none() | st.integers(1, 10**9),
        "batch_size": st.none() | st.integers(1, 10**9),
        "learning_rate": st.none() | st.floats(1e-12, 10),
        "seed": st.integers(0, 2**32 - 1),
        "replicas": st.integers(1, 1_024),
        "engine": st.sampled_from(["auto", "numpy", "torch"]),
        "block_rows": st.none() | st.integers(1, 10**6),
        "threads": st.none() | st.integers(1, 64),
    },
)


@given(SETTINGS, names, WORDS.filter(lambda data: not data.startswith("python:")))
def test_the_command_has_all_that_was_asked_for(settings: dict[str, object], target: str, data: str) -> None:
    drop = tuple(dict.fromkeys(name for name in settings.get("drop", ()) if name != target))  # type: ignore[attr-defined]
    try:
        config = make_config({**settings, "drop": drop, "target": target, "data": data})
    except SettingError:  # two settings that do not go together
        reject()
    assert parsed(command(config, {})) == config


def test_the_command_of_a_comparison_is_one() -> None:
    config = TrainingConfig(data="a.csv", target="y", epochs=3)
    words = shlex.split(command(config, {"drop": ("--b",)}))
    assert words == ["vecml", "compare", "--data", "a.csv", "--target", "y", "--drop=--b", "--epochs", "3"]
    get_command(app).commands["compare"].make_context("compare", words[2:])


def test_of_a_table_in_memory_the_hint_names_the_arguments() -> None:
    config = PipelineConfig(data="python:pandas.DataFrame", target="y", drop=("a",))
    assert command(config, {"drop": ("b",), "bins": 4}) == "drop=['a', 'b'], bins=4"

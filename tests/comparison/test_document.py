"""A comparison through its JSON document: the same verdicts to the last bit, and every kind of damage is refused."""

import contextlib
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from tests.made_comparison import comparison_of
from vecml.comparison.comparison import families, figures
from vecml.comparison.document import Document, from_json, to_json
from vecml.errors import MeasureError
from vecml.first_fault import reader
from vecml.report.comparison import as_text
from vecml.report.page import About, page

MADE = comparison_of({"numpy": 0.02, "torch": 0.0101, "row_loop": 0.5}, {"row_loop": "12 of 1,000 labels are wrong"})
TEXT = to_json(MADE)


def leaves(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    """Every value of a document that holds no others, with its place."""
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from leaves(inner, (*path, key))
    else:
        yield path, value


# One place of each kind: blocks are alike.
PLACES = {tuple("*" if isinstance(key, int) else key for key in path): path for path, _ in leaves(json.loads(TEXT))}
LATER = {"finals", "alone", "waited_seconds"}  # keys that documents of earlier versions do not have
NUMBERS = (0, -1, 1e308, [])


@pytest.mark.parametrize("kind", [kind for kind in PLACES if kind[0] != "families"], ids=".".join)
def test_a_number_that_cannot_be_is_refused_or_shown(kind: tuple[str, ...]) -> None:
    """Whatever is put in a number's place, the document is refused in one line, or its page can be made."""
    for number in NUMBERS:
        content = json.loads(TEXT)
        inner = content
        for key in PLACES[kind][:-1]:
            inner = inner[key]
        if isinstance(inner[PLACES[kind][-1]], str | bool):
            continue
        inner[PLACES[kind][-1]] = number
        with contextlib.suppress(MeasureError):
            made = from_json(json.dumps(content).encode(), "file.json")
            assert page(made, About("run", "0" * 32))
            assert as_text(made)


def damaged(change: Callable[[dict[str, Any]], object]) -> MeasureError:
    """The error for the document after `change`."""
    content = json.loads(TEXT)
    change(content)
    with pytest.raises(MeasureError) as caught:
        from_json(json.dumps(content).encode(), "file.json")
    return caught.value


def test_the_same_bytes_and_the_same_verdicts_come_back() -> None:
    again = from_json(TEXT.encode(), "file.json")
    assert to_json(again) == TEXT
    assert families(again) == families(MADE)
    assert figures(again) == figures(MADE)


def test_what_a_program_finds_in_it() -> None:
    content = json.loads(TEXT)
    assert (content["version"], content["kind"]) == (1, "comparison")
    assert [arm["name"] for arm in content["arms"]] == ["numpy", "torch", "row_loop"]
    assert content["null_arm"]["name"] == "numpy (null arm)"
    assert len(content["null_arm"]["blocks"]["seconds"]) == 30
    assert content["further_null_arms"] == []
    verdicts = {verdict["arm"]: verdict["verdict"] for verdict in content["families"][0]["verdicts"]}
    assert verdicts == {"torch": "faster", "row_loop": "invalid"}


def test_a_hundred_settings_stay_small() -> None:
    """Raw blocks of a long comparison of eight settings stay under 5 MB: 30 launches of 40 rounds are 1,200 blocks."""
    blocks = json.loads(TEXT)["arms"][1]["blocks"]
    per_block = len(json.dumps(blocks, separators=(",", ":"))) / 30
    assert 10 * 1_200 * per_block < 5e6


@pytest.mark.parametrize("content", ["", "{", "[1, 2", "\x00\xff", '{"version": 1'])
def test_what_is_no_json(content: str) -> None:
    with pytest.raises(MeasureError, match=r"^file.json is damaged: it is no JSON \("):
        from_json(content.encode("latin-1"), "file.json")


@pytest.mark.parametrize(
    ("content", "kind"), [("[]", "list"), ("3", "int"), ("{}", "None"), ('{"kind": "pipeline"}', "'pipeline'")]
)
def test_what_is_no_comparison(content: str, kind: str) -> None:
    with pytest.raises(MeasureError) as caught:
        from_json(content.encode(), "file.json")
    assert kind in caught.value.message
    assert caught.value.message.startswith("file.json is no comparison: its kind is ")


@pytest.mark.parametrize("version", [0, 2, "1", None, True, 1.5])
def test_another_schema_version(version: object) -> None:
    error = damaged(lambda content: content.update(version=version))
    assert error.message == f"file.json has schema version {version!r}; this vecml reads 1"
    assert error.hint == "read it with the vecml that wrote it"


@pytest.mark.parametrize("key", sorted(json.loads(TEXT).keys() - LATER))
def test_a_key_that_is_missing(key: str) -> None:
    error = damaged(lambda content: content.pop(key))
    if key not in ("version", "kind"):
        assert error.message == f"file.json is damaged: {key}: Field required"


def test_a_key_too_many() -> None:
    error = damaged(lambda content: content.update(extra=1))
    assert error.message == "file.json is damaged: extra: Unexpected keyword argument"


@pytest.mark.parametrize("value", ["fast", None, [1], float("nan"), float("inf")])
def test_a_time_that_is_no_number(value: object) -> None:
    error = damaged(lambda content: content["arms"][0]["blocks"]["seconds"].__setitem__(3, value))
    assert error.message.startswith("file.json is damaged: ")


@pytest.mark.parametrize(("value", "said"), [(0.0, "block 3 took 0.0 s"), (-1.0, "block 3 took -1.0 s")])
def test_a_time_that_cannot_be(value: float, said: str) -> None:
    error = damaged(lambda content: content["null_arm"]["blocks"]["seconds"].__setitem__(3, value))
    assert error.message == f"file.json is damaged: null_arm, 'numpy (null arm)': {said}"


@pytest.mark.parametrize("key", ["skipped", "settings", "faults", "simplest", "windows", "arms", "families"])
def test_a_million_bad_entries_are_one_fault(key: str) -> None:
    """Pydantic alone makes an error of each entry and of each key that it lacks: gigabytes of a small file."""
    content = json.loads(TEXT)
    one = {} if key in ("settings", "windows", "arms", "families") else 1
    content[key] = dict.fromkeys(map(str, range(100_000)), one) if isinstance(content[key], dict) else [one] * 100_000
    with pytest.raises(ValidationError) as caught:
        reader(Document).validate_json(json.dumps(content), strict=True)
    assert caught.value.error_count() < 20
    with pytest.raises(MeasureError) as refused:
        from_json(json.dumps(content).encode(), "file.json")
    assert refused.value.message.startswith(f"file.json is damaged: {key}.0")
    assert len(refused.value.message) < 200


def test_columns_of_unlike_length() -> None:
    error = damaged(lambda content: content["arms"][1]["blocks"]["calls"].pop())
    assert error.message.startswith(
        "file.json is damaged: arms, 'torch': its columns are not of one length: launch 30,"
    )


def test_a_block_that_is_there_twice() -> None:
    def double(content: dict[str, Any]) -> None:
        content["arms"][1]["blocks"]["round"][1] = 0

    assert damaged(double).message == (
        "file.json is damaged: arms, 'torch': two of its blocks are of the same launch and round"
    )


def test_an_arm_without_a_baseline() -> None:
    error = damaged(lambda content: content["arms"][1].update(group=4))
    assert error.message == "file.json is damaged: 'torch' is of group 4, which has no baseline"


def test_a_role_in_the_wrong_place() -> None:
    error = damaged(lambda content: content["arms"][1].update(role="null"))
    assert error.message == "file.json is damaged: arms, 'torch' has the role 'null'"


@pytest.mark.parametrize(("fact", "value"), [("rows", "x"), ("flips", []), ("latency", {"a": 1}), ("right", "many")])
def test_facts_that_give_no_figures(fact: str, value: object) -> None:
    error = damaged(lambda content: content["arms"][0]["launches"][-1]["facts"].update({fact: value}))
    assert error.message.startswith("file.json is damaged: its facts give no figures (")


def test_an_arm_that_is_no_setting() -> None:
    error = damaged(lambda content: content.update(settings={}))
    assert error.message == "file.json is damaged: 'numpy' is no setting of it"


def test_blocks_that_were_altered_do_not_give_the_stored_verdicts() -> None:
    def slower(content: dict[str, Any]) -> None:
        blocks = content["arms"][1]["blocks"]
        blocks["seconds"] = [2 * seconds for seconds in blocks["seconds"]]

    error = damaged(slower)
    assert error.message == "file.json is damaged: the verdict of 'torch', faster, is not what its blocks give"


def test_a_verdict_that_was_altered() -> None:
    error = damaged(lambda content: content["families"][0]["verdicts"][0].update(verdict="slower"))
    assert error.message == "file.json is damaged: the verdict of 'torch', slower, is not what its blocks give"


@given(st.integers(0, len(TEXT) - 2))  # the last character is only the line break
@settings(max_examples=60, deadline=None)
def test_a_file_that_was_cut_is_never_taken(length: int) -> None:
    with pytest.raises(MeasureError):
        from_json(TEXT[:length].encode(), "file.json")

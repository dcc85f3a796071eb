"""What a difference between two environments means: every field has its effect, and the page lists them alike."""

import dataclasses
import re
from pathlib import Path

import pytest

from vecml.environment import EFFECTS, Environment, changes, describe

PAGE = (Path(__file__).parent.parent / "docs" / "comparison.md").read_text(encoding="utf-8")
HERE = describe()


def test_every_field_has_an_effect() -> None:
    assert set(EFFECTS) == {field.name for field in dataclasses.fields(Environment)}


@pytest.mark.parametrize("effect", ["blocks", "invalidates", "warns"])
def test_the_page_lists_them(effect: str) -> None:
    (line,) = re.findall(rf"^\| {effect}[^|]*\|([^|]*)\|$", PAGE, flags=re.MULTILINE)
    listed = {name.strip() for name in line.split(",")} - {"and all that blocks"}
    assert listed == {name for name, found in EFFECTS.items() if found == effect}


@pytest.mark.parametrize("name", sorted(EFFECTS))
def test_a_change_is_named_with_both_values(name: str) -> None:
    other = dataclasses.replace(HERE, **{name: "something else"})
    said = [f"{name}: {getattr(HERE, name)}, now something else"]
    assert changes(HERE, other) == (said if EFFECTS[name] != "warns" else [])
    assert changes(HERE, other, ("warns",)) == (said if EFFECTS[name] == "warns" else [])
    assert changes(HERE, HERE) == []

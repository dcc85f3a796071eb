"""`in` of a list in a loop: a set beside it gives the same, and where it might not there is none."""

from pathlib import Path
from typing import Any

import pytest

from tests.optimize.made_modules import places
from vecml.optimize.candidates.base import Candidate, Subject
from vecml.optimize.candidates.python_sets import NOTHING, PythonSets
from vecml.optimize.kinds import Kind, Kinds, kinds_task
from vecml.optimize.observe import Observation, describe
from vecml.optimize.profile import Profile
from vecml.optimize.target import load, make_inputs
from vecml.optimize.validate import check, search

NAMES = "[f'u{(7 * i) % 50}' for i in range(90)], [f'u{i}' for i in range(30)]"


def made(folder: Path, body: str, inputs: str = NAMES) -> tuple[Candidate | str, Any, tuple[Any, ...]]:
    text = f"def f(x, y, z=None):\n{body}\n\n\ndef make_inputs():\n    return {inputs}\n"
    target, maker = places(folder, text)
    args = make_inputs(maker)
    told = kinds_task({"target": vars(target), "inputs": vars(maker)}, lambda *_: None)
    kinds = Kinds({tuple(at): Kind(**{**kind, "shape": tuple(kind["shape"])}) for at, kind in told["kinds"]})
    seen = Observation(0.01, 1.0, describe(load(target), args, target), (), (), 0.0, "", ())
    subject = Subject(target, text, seen, Profile((), (), 1.0), folder / "scratch", kinds)
    return PythonSets().make(subject), load(target), args


@pytest.mark.parametrize(
    ("body", "has"),
    [
        (
            "    out = []\n    for one in x:\n        if one in y and one not in out:\n            out.append(one)\n"
            "    return out",
            "    out_set = set()\n    for one in x:\n        if one in y_set and one not in out_set:\n"
            "            out.append(one)\n            out_set.add(one)\n    return out",
        ),
        (
            "    return [one for one in x if one not in y]",
            "    y_set = set(y)\n    return [one for one in x if one not in y_set]",
        ),
        (
            "    n = 0\n    for i in range(len(x)):\n"
            "        for j in range(i):\n            n += x[j] in y\n    return n",
            "n += x[j] in y_set",
        ),
    ],
)
def test_a_set_gives_the_same(tmp_path: Path, body: str, has: str) -> None:
    candidate, function, args = made(tmp_path, body)
    assert isinstance(candidate, Candidate)
    assert has in candidate.source
    new = load(candidate.place)
    assert check(function, new, args, ("x", "y"), 0.0)
    assert search(function, new, args, ("x", "y"), 0.0, examples=60)[:2] == (None, "")


@pytest.mark.parametrize(
    "body",
    [
        "    for one in x:\n        if one in y:\n            y.remove(one)\n    return y",
        "    for one in x:\n        y = y[1:]\n        if one in y:\n            return one",
        "    out = list(y)\n    for one in x:\n        if one not in out:\n            out.append(one)\n    return out",
        "    out = []\n    for one in x:\n"
        "        if one not in out:\n            out.append(one.upper())\n    return out",
        "    for one in x:\n        if one in y:\n            change(y)\n    return y\n\n\ndef change(y):\n    y.pop()",
        "    return sum('u' in one for one in x)",
        "    return x[0] in y",
        "    for one in x:\n        if one not in y:\n            z.append(one)\n    return z",  # z may be y
        "    z = y\n    for one in x:\n        if one not in y:\n            z.append(one)\n    return z",
        "    for one in x:\n        if one not in y:\n            z[0] = one\n    return z",
        "    n = 0; n += sum(one in y for one in x)\n    return n",  # what is before it would be there twice
    ],
)
def test_a_list_that_changes_otherwise_has_none(tmp_path: Path, body: str) -> None:
    assert made(tmp_path, body)[0] == NOTHING


def test_a_list_of_numbers_that_is_empty_at_first(tmp_path: Path) -> None:
    body = "    out = []\n    for one in x:\n        if one not in out:\n            out.append(one)\n    return out"
    candidate, function, args = made(tmp_path, body, "[(7 * i) % 50 for i in range(90)], 2")
    assert isinstance(candidate, Candidate)
    assert "if one not in out_set:" in candidate.source
    assert check(function, load(candidate.place), args, ("x", "y"), 0.0)


def test_text_is_asked_for_parts_of_it(tmp_path: Path) -> None:
    assert made(tmp_path, "    return [one for one in x if one in y]", "['a', 'bc'], 'abcd'")[0] == NOTHING


def test_what_has_no_hash_is_found(tmp_path: Path) -> None:
    candidate, function, args = made(
        tmp_path, "    return [one for one in x if one in y]", "[[1], [2, 3], []], [[2, 3], []]"
    )
    assert isinstance(candidate, Candidate)
    assert search(function, load(candidate.place), args, ("x", "y"), 0.0, examples=60)[0] is not None

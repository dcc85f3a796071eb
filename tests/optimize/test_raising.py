"""Where the original raises, what its candidates do is looked at, in processes of their own."""

from pathlib import Path

import numpy as np
import pytest

from tests.optimize.made_modules import places
from vecml.optimize.raising import Raised, changed, raising_task, where_it_raises
from vecml.optimize.target import Place

TEXT = """import os
import signal

import numpy as np


def take(x, at, k):
    out = np.zeros(len(at))
    for i in range(len(at)):
        out[i] = x[at[i]] * int(x[0]) // k
    return out


def clipped(x, at, k):
    return np.take(x, at, mode="clip")


def ends(x, at, k):
    if at.max() >= len(x):
        os.kill(os.getpid(), signal.SIGSEGV)
    return take(x, at, k)


def make_inputs():
    return np.arange(1.0, 40.0), np.arange(39), 2
"""


def test_what_may_raise_is_made_of_the_users_own() -> None:
    said = [change for change, _ in changed((np.arange(3.0), [1, 2], 4), ("x", "k", "n"))]
    assert said == [
        *(f"x {how}" for how in ("is one shorter", "has a NaN", "has an infinity", "is all 0", "is empty")),
        *(f"k {how}" for how in ("has an element 5", "is one shorter", "is empty")),
        "n is 5",
        "n is 0",
    ]
    for _, made in changed((np.arange(3), 1.0), ("x", "y")):
        assert len(made) == 2


def test_inputs_at_which_the_original_raises(tmp_path: Path) -> None:
    target, inputs = places(tmp_path, TEXT, "take")
    found = raising_task({"target": vars(target), "inputs": vars(inputs)}, lambda *_: None)["raised"]
    errors = {error.partition(":")[0] for _, _, error in found}
    assert {"IndexError", "ValueError", "OverflowError"} <= errors
    assert all(change and isinstance(number, int) for number, change, _ in found)


def test_what_candidates_do_there(tmp_path: Path) -> None:
    target, inputs = places(tmp_path, TEXT, "take")
    candidates = {name: Place(target.file, name, target.folder) for name in ("clipped", "ends")}
    found = where_it_raises(target, inputs, candidates, 60.0)
    (beyond,) = [one for one in found if one.change.startswith("at has an element")]
    assert beyond.answers["clipped"] == "gives a result without a word"
    assert beyond.answers["ends"].startswith("ends the process (")
    assert beyond.unchecked == ("clipped", "ends")
    others = [one for one in found if one is not beyond and one.error.startswith("ValueError")]
    assert all(one.answers["ends"] == "raises ValueError" for one in others)


@pytest.mark.parametrize(("error", "unchecked"), [("IndexError: x", ("a",)), ("ValueError: x", ())])
def test_only_an_index_has_bounds(error: str, unchecked: tuple[str, ...]) -> None:
    assert (
        Raised(0, "x", error, {"a": "gives a result without a word", "b": "raises IndexError"}).unchecked == unchecked
    )

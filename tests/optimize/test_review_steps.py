"""What a review of the steps found, each as it is now: lost edits, results in place, shared buffers, frozen globals."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import TypeAdapter

from tests.optimize.made_modules import SLOW, places
from vecml.errors import DataError, SettingError
from vecml.optimize import steps
from vecml.optimize.candidates.base import Candidate
from vecml.optimize.candidates.numba import NUMBA, with_numba
from vecml.optimize.candidates.registry import Suggestions, suggest
from vecml.optimize.dtype import dtypes_of
from vecml.optimize.finding import definition
from vecml.optimize.observe import Observation, observe_task
from vecml.optimize.patch import apply, unified_diff
from vecml.optimize.profile import HotLoop, Line, Profile, profile, profile_of
from vecml.optimize.steps import Request, Tried, optimize
from vecml.optimize.syntax import lines_of
from vecml.optimize.target import parsed
from vecml.optimize.validate import REUSED, USERS, Validation, search, validate_task
from vecml.report.optimize import _dtype, _verdict

INPUTS = "import numpy as np\n\n\ndef make_inputs():\n    return (np.linspace(1.0, 300.0, 50),)\n\n\n"
PROFILE = Profile((Line(1, 1, 1.0, "x"),), (HotLoop(1, 2, 1.0, "for"),), 1.0)


def seen(folder: Path, text: str) -> Observation:
    target, inputs = places(folder, INPUTS + text)
    payload = {"target": vars(target), "inputs": vars(inputs), "rtol": 1e-6}
    return TypeAdapter(Observation).validate_python(observe_task(payload, lambda stage: None))


def test_an_edit_during_the_measurement_is_not_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target, inputs = places(tmp_path, SLOW, "squares")
    monkeypatch.setattr(steps, "suggest", lambda *_: Suggestions((), {}, ()))
    edited = f"{SLOW}# edited\n"

    def edit(text: str) -> None:
        if text.startswith("3"):
            Path(target.file).write_text(edited)

    found = optimize(Request(f"{target.file}:squares", f"{inputs.file}:make_inputs", budget="quick"), edit)
    assert found.source == SLOW
    with pytest.raises(SettingError, match=r"module\.py was changed meanwhile, and is left as it is$"):
        apply(found.place, found.source, SLOW.replace("x[i] * x[i]", "x[i] ** 2"))
    assert Path(target.file).read_text() == edited


def test_the_dtype_of_a_function_that_writes_in_place() -> None:
    def squares(x: Any) -> None:
        x *= x

    x = np.linspace(1, 300, 1_000)
    with np.errstate(all="ignore"):
        whole, single, half = dtypes_of(squares, (x,), 1e-6)
    assert (whole.error, whole.within) == (0.0, True)
    assert single.error is not None
    assert 0 < single.error < 1e-6
    assert single.within
    assert (half.error, half.within) == (float("inf"), False)


def test_an_argument_that_is_only_read_is_no_result() -> None:
    found = dtypes_of(lambda x: int(x.size), (np.linspace(0.1, 1, 10),), 0.0)
    assert [(one.error, one.within) for one in found] == [(0.0, True)] * 3


def test_a_dtype_with_nothing_to_compare() -> None:
    found = dtypes_of(lambda x: None, (np.ones(3),), 1e-6)
    assert [(one.error, one.reason) for one in found] == [(None, "")] * 3
    made: Any = type("Made", (), {"dtypes": found, "dtypes_of": "f"})
    assert all(line.split()[1:3] == ["-", "-"] for line in _dtype(made)[3:])


def test_noise_that_is_written_in_place_is_seen(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"^module\.py:f is not deterministic: "):
        seen(tmp_path, "def f(x):\n    x[:] = np.random.default_rng().random(len(x))\n")
    assert seen(tmp_path, "def f(x):\n    x[:] = x * 2\n").spread == 0.0


def test_no_generated_input_that_could_be_tried() -> None:
    def only_these(x: Any) -> Any:
        if len(x) != 50:
            raise ValueError
        return x * 2

    fault, _, tried, outside = search(only_these, only_these, (np.ones(50),), ("x",), 1e-6, examples=20)
    assert (fault, tried) == (None, 0)
    one = Tried(Candidate("numpy", "rewrite", None), Validation(None, "", 0, outside, 1.0), None)  # type: ignore[arg-type]
    said = " ".join(" ".join(_verdict(one)).split())
    assert said == (
        "numpy: right over your inputs; none of the generated inputs could be tried: "
        f"the original raises at all {outside}"
    )
    checked = dataclasses.replace(one, validation=Validation(None, "", 3, 0, 1.0))
    assert _verdict(checked) == ["   numpy: right over your inputs and 3 generated inputs"]


BUFFER = np.zeros(1_000)


def twice(x: Any) -> Any:
    return x * 2


def buffered(x: Any) -> Any:
    return np.multiply(x, 2, out=BUFFER[: len(x)])


def test_one_buffer_for_every_result() -> None:
    args = (np.arange(10.0),)
    fault, *_ = search(twice, lambda x: (buffered(x),)[0], args, ("x",), 1e-6, layouts=False)
    assert fault == REUSED
    kept: list[Any] = []

    def refilled(x: Any) -> Any:
        kept[:] = [value * 2 for value in x]
        return kept

    numbers = ([1.0, 2.0, 3.0],)
    fault, *_ = search(lambda x: [value * 2 for value in x], refilled, numbers, ("x",), 1e-6)
    assert fault == REUSED
    assert search(buffered, buffered, args, ("x",), 1e-6, layouts=False, examples=50)[0] is None
    assert search(twice, twice, args, ("x",), 1e-6, examples=50)[0] is None


def test_a_buffer_that_only_the_users_inputs_fill(tmp_path: Path) -> None:
    text = f"{INPUTS}def f(x):\n    return x * 2\n\n\nB = np.zeros(50)\n\n\n"
    text += "def g(x):\n    return np.multiply(x, 2, out=B) if len(x) == 50 else x * 2\n"
    target, inputs = places(tmp_path, text)
    other, _ = places(tmp_path, text, "g")
    payload = {"target": vars(target), "candidate": vars(other), "inputs": vars(inputs), "rtol": 1e-6}
    found = validate_task({**payload, "compiled": False}, lambda stage: None)
    assert (found["fault"], found["smallest"]) == (REUSED, USERS)


def test_globals_that_numba_would_freeze(tmp_path: Path) -> None:
    pytest.importorskip("numba")
    text = "import math\nSCALE, NAME, SHAPE = 2.0, 'a', (1, 2)\nTABLE = np.ones(3)\nROWS = [1]\nCOUNT = 0\n\n\n"
    text += "def g(v):\n    return [TABLE[0] + COUNT for _ in range(1)][0]\n\n\n"
    text += "def count():\n    global COUNT\n    COUNT += 1\n\n\n"
    plain = "def f(x):\n    return math.sin(SCALE) * x + len(NAME) + SHAPE[0]\n"
    assert seen(tmp_path, text + plain).changeable == ()
    reading = f"{text}def f(x):\n    return g(x) * x + ROWS[0]\n"
    found = seen(tmp_path, reading)
    assert found.changeable == ("COUNT (int)", "ROWS (list)", "TABLE (ndarray)")
    target, _ = places(tmp_path, INPUTS + text + plain)
    made = suggest(target, INPUTS + reading, found, PROFILE, tmp_path / "made")
    assert made.left_out["numba"] == (
        "it reads COUNT (int), ROWS (list), TABLE (ndarray) of its module, which Numba would freeze when it compiles; "
        "pass it in"
    )
    made = suggest(target, INPUTS + text + plain, seen(tmp_path, text + plain), PROFILE, tmp_path / "made")
    assert "numba" in [one.name for one in made.candidates]


def test_a_form_feed_ends_no_line(tmp_path: Path) -> None:
    text = SLOW.replace("def squares", "\f\ndef squares")
    assert lines_of("a\f\u2028b\r\nc") == ["a\f\u2028b\r\n", "c"]
    made = with_numba(text, "squares")
    assert f"\f\n{NUMBA}\ndef squares" in made
    compile(made, "made", "exec")
    target, _ = places(tmp_path, text, "squares")
    found = profile_of(text, definition(parsed(target), "squares"), [(9, 1, 1.0)])
    assert found.lines[0].text == "out[i] = x[i] * x[i]"
    diff = unified_diff(text, text.replace("x[i] * x[i]", "x[i] ** 2"), "module.py")
    assert diff.startswith("--- a/module.py\n+++ b/module.py\n@@ -6,7 +6,7 @@\n")


def test_a_decorated_function_is_profiled_itself(tmp_path: Path) -> None:
    text = "import functools\n\n\ndef plain(function):\n    @functools.wraps(function)\n    def wrapper(*args):\n"
    text += "        return function(*args)\n    return wrapper\n\n\n"
    target, inputs = places(tmp_path, SLOW.replace("def squares", f"{text}@plain\ndef squares"), "squares")
    found = profile(target, Path(target.file).read_text(), inputs, 60.0)
    (loop,) = found.loops
    assert loop.text == "for i in range(len(x)):"
    assert loop.share > 0.5
    assert 2_000 in {line.hits for line in found.lines}

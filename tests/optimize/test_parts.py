"""Profile, Numba's source, dtypes, the patch and the plan: each by itself."""

import ast
from pathlib import Path

import numpy as np
import pytest

from tests.optimize.made_modules import SLOW, places
from vecml.errors import SettingError
from vecml.optimize.candidates.numba import NUMBA, with_numba
from vecml.optimize.dtype import dtypes_of
from vecml.optimize.finding import definition
from vecml.optimize.measure import make_plan
from vecml.optimize.patch import apply, unified_diff
from vecml.optimize.profile import amdahl, profile, profile_of


def test_shares_and_amdahl() -> None:
    text = "def f(x):\n    s = x.copy()\n    for v in x:\n        s += v\n    return [v for v in s]\n"
    rows = [(2, 1, 10.0), (3, 9, 30.0), (4, 8, 50.0), (5, 1, 10.0)]
    found = profile_of(text, definition(ast.parse(text), "f"), rows)
    assert [(loop.first, loop.last, loop.share) for loop in found.loops] == [(3, 4, 0.8), (5, 5, 0.1)]
    assert found.loop_share == pytest.approx(0.9)
    assert found.bound == pytest.approx(10.0)
    assert [(line.number, line.share) for line in found.lines] == [(2, 0.1), (3, 0.3), (4, 0.5), (5, 0.1)]
    assert amdahl(1.0) == float("inf")


def test_a_real_profile(tmp_path: Path) -> None:
    target, inputs = places(tmp_path, SLOW, "squares")
    found = profile(target, SLOW, inputs, 60.0)
    (loop,) = found.loops
    assert (loop.first, loop.last) == (7, 8)
    assert loop.share > 0.5
    assert 2_000 in {line.hits for line in found.lines}


def test_numba_on_what_is_called() -> None:
    text = "import math\n\n\ndef g(v):\n    return math.sin(v)\n\n\n"
    text += "def h(v):\n    return v\n\n\ndef f(x):\n    return g(x)\n"
    made = with_numba(text, "f")
    assert made.startswith("import numba\nimport math\n")
    assert made.count(NUMBA) == 2
    assert f"{NUMBA}\ndef f" in made
    assert f"{NUMBA}\ndef h" not in made
    ast.parse(with_numba('"""Text."""\n\n\ndef f(x):\n    return x\n', "f"))


def test_dtypes() -> None:
    with np.errstate(all="ignore"):
        found = dtypes_of(lambda x, k: x * x + k, (np.linspace(1, 300, 1_000), 1), 1e-6)
    assert [(one.dtype, one.within, one.bytes, one.saved) for one in found] == [
        ("float64", True, 8_000, 0),
        ("float32", True, 4_000, 4_000),
        ("float16", False, 2_000, 6_000),
    ]
    assert found[2].error == float("inf")  # 300 squared is beyond it
    assert dtypes_of(lambda k: k, (1,), 1e-6) == ()


def test_a_patch_and_its_application(tmp_path: Path) -> None:
    target, _ = places(tmp_path, SLOW, "squares")
    new = SLOW.replace("x[i] * x[i]", "x[i] ** 2")
    diff = unified_diff(SLOW, new, "module.py")
    assert diff.startswith("--- a/module.py\n+++ b/module.py\n@@ ")
    assert Path(target.file).read_text() == SLOW
    apply(target, SLOW, new)
    assert Path(target.file).read_text() == new
    with pytest.raises(SettingError, match=r"module\.py was changed meanwhile, and is left as it is$"):
        apply(target, SLOW, "")
    assert Path(target.file).read_text() == new


def test_plans() -> None:
    plan = make_plan("60s", 0.01, [0.001])
    assert (plan.launches, plan.budget_seconds) == (5, 60.0)
    slow = make_plan("60s", 1.0, [0.01])
    assert 3 <= slow.launches <= 5
    assert slow.warm_calls == 1
    with pytest.raises(SettingError) as caught:
        make_plan("20s", 1.0, [0.01])
    assert caught.value.message == "--budget 20s: too short for a verdict on a function that takes 1 s a call"
    assert make_plan("quick", 1.0, []).launches == 1

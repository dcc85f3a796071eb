"""What Numba does not know, in other words, and parts of functions as functions of their own: they compute the same.

The texts are run as Python, without Numba: what is changed is the text.
"""

import ast
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.optimize.made_modules import places
from vecml.optimize.candidates.base import Candidate, Subject
from vecml.optimize.candidates.numba import JITABLE, NUMBA, Numba
from vecml.optimize.finding import definition
from vecml.optimize.kinds import Kind, Kinds, kinds_task
from vecml.optimize.observe import Observation, changeable, describe
from vecml.optimize.profile import HotLoop, Profile, outer_loops
from vecml.optimize.target import Place, load, make_inputs

HEAD = "import math\nfrom dataclasses import dataclass\nimport numpy as np\n\nTABLE = np.arange(5.0)\n\n\n"
HEAD += "@dataclass\nclass Point:\n    x: float = 2.0\n    y: int = 3\n\n\ndef twice(v, by=2):\n    return v * by\n\n\n"
X = "(np.arange(12.0).reshape(3, 4) - 5,)"


def forms_of(folder: Path, body: str, inputs: str, head: str = "x") -> tuple[Place, tuple[Any, ...], list[Candidate]]:
    """The function `f` of a module, its inputs, and every form of its Numba candidate but the first."""
    text = f"{HEAD}def f({head}):\n{body}\n\n\ndef make_inputs():\n    return {inputs}\n"
    target, made = places(folder, text)
    args = make_inputs(made)
    told = kinds_task({"target": vars(target), "inputs": vars(made)}, lambda *_: None)
    kinds = Kinds({tuple(at): Kind(**{**kind, "shape": tuple(kind["shape"])}) for at, kind in told["kinds"]})
    function = load(target)
    seen = Observation(0.1, 1.0, describe(function, args, target), (), (), 0.0, "", (), tuple(changeable(function)))
    loops = outer_loops(definition(ast.parse(text), "f").body)
    hot = Profile((), tuple(HotLoop(one.lineno, one.end_lineno or 0, 0.9, "") for one in loops), 0.9)
    found = Numba().make(Subject(target, text, seen, hot, folder / "made", kinds))
    if isinstance(found, str):
        return target, args, []
    return target, args, [one for one in (found, *found.otherwise) if one.how]


def as_python(candidate: Candidate) -> Callable[..., Any]:
    """The candidate without Numba, as the text has it."""
    text = candidate.source.replace(f"{NUMBA}\n", "").replace("import numba\n", "")
    scope: dict[str, Any] = {"__name__": "a"}
    exec(compile(text, "a.py", "exec", dont_inherit=True), scope)  # noqa: S102 -- what vecml wrote
    made: Callable[..., Any] = scope[candidate.place.name]
    return made


def same(one: Any, other: Any) -> bool:
    if isinstance(one, tuple | list):
        return len(one) == len(other) and all(map(same, one, other))
    return np.allclose(one, other, equal_nan=True) and np.asarray(one).dtype == np.asarray(other).dtype


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("    return np.max(x, axis=0)", "max_of_axis_0_of_2_float64(x)"),
        ("    return x.mean(axis=-1)", "mean_of_axis_1_of_2_float64(x)"),
        ("    return x - np.sum(x, axis=1, keepdims=True)", "x - sum_of_axis_1_of_2_kept_float64(x)"),
        ("    return np.std(x, axis=0, ddof=1)", "std_of_axis_0_of_2_ddof1_float64(x)"),
        ("    return np.any(x > 0, 1)", "any_of_axis_1_of_2_bool(x > 0)"),
        ("    return np.linalg.norm(x, axis=1)", "norm_of_axis_1_of_2_float64(x)"),
        ("    return np.add.outer(x[0], x[:, 1])", "np.add(x[0][:, None], x[:, 1][None, :])"),
        ("    return np.subtract.outer(x, x[0] * 2)", "np.subtract(x[:, :, None], (x[0] * 2)[None, None, :])"),
        ("    return np.maximum.accumulate(x[0])", "maximum_accumulated(x[0])"),
        ("    return np.add.reduce(x[0])", "np.sum(x[0])"),
        (
            "    k = np.array([0, 0, 2])\n    y = np.zeros(4)\n    np.add.at(y, k, x[:, 0])\n    return y",
            "add_at_each(",
        ),
        (
            "    k = np.array([0, 0, 2])\n    y = np.ones(4)\n    np.multiply.at(y, k, 3.0)\n    return y",
            "multiply_at(",
        ),
        ("    y = x.copy()\n    y[y > 0] = 1\n    return y", "set_where(y, y > 0, 1)"),
        ("    y = x.copy()\n    y[y > 0] += 1.5\n    return y", "add_where(y, y > 0, 1.5)"),
        ("    y = x.copy()\n    y[y > 0] = x[x > 0] * 2\n    return y", "set_where_each(y, y > 0, x.ravel()["),
        ("    return x[x > 0]", "x.ravel()[(x > 0).ravel()]"),
        ("    return x[x[:, 0] > -3]", "x[np.nonzero(x[:, 0] > -3)[0]]"),
        ("    return np.array(x, dtype=int)", "x.astype(np.int64)"),
        ("    return np.array(x)", "x.copy()"),
        ("    return np.asarray(x[::2] > 1, dtype=float)", "(x[::2] > 1).astype(np.float64)"),
        ("    return np.zeros(3, dtype=int) + x.astype(bool).sum()", "np.zeros(3, dtype=np.int64)"),
        ("    return np.concatenate([x[0], x[1]])", "np.concatenate((x[0], x[1],))"),
        ("    return np.zeros([2, 3]) + x[0, 0]", "np.zeros((2, 3,))"),
        ("    return np.linspace(x[0, 0], 2.0, 5, dtype=np.float64)", "np.linspace(x[0, 0], 2.0, 5)"),
        ("    return x.reshape(3, 2, 2) @ x[:2, :2]", "product_of_matrices(x.reshape(3, 2, 2), x[:2, :2])"),
        ("    i, j = np.mgrid[0:3, 0:len(x)]\n    return i - j", "i, j = grid_of_indices(3, len(x))"),
        ("    y = np.ndarray((2, 3), dtype=x.dtype)\n    y[:] = 1\n    return y", "np.empty((2, 3), dtype=x.dtype)"),
        ("    return abs(x) + abs(x[0, 0])", "np.abs(x) + abs(x[0, 0])"),
        ("    return sum(v * v for v in x[0])", "sum([v * v for v in x[0]])"),
        ("    return x.T.reshape(-1)", "np.ascontiguousarray(x.T).reshape(-1)"),
        (
            "    return np.max(np.array(x, dtype=float)[x[:, 0] > -2], axis=0)",
            "max_of_axis_0_of_2_float64(x.copy()[np.non",
        ),
    ],
)
def test_what_numba_does_not_know_in_other_words(tmp_path: Path, body: str, says: str) -> None:
    target, args, forms = forms_of(tmp_path, body, X)
    assert says in forms[0].source
    assert same(load(target)(*args), as_python(forms[0])(*args))


@pytest.mark.parametrize(
    ("head", "body", "inputs", "says"),
    [
        ("x, p", "s += v * p['a'] + p['b'][0]", "(np.ones(3), {'a': 2.0, 'b': np.ones(2)})", "(x, p['a'], p['b'])"),
        ("x, p", "s += v * p.x + p.y", "(np.ones(3), Point())", "(x, p.x, p.y)"),
        ("x, *, k=2", "s += twice(v, by=k)", "(np.ones(3),)", "(x, k)"),
        ("x", "s += v * TABLE[1]", "(np.ones(3),)", "(x, TABLE)"),
        ("x, k", "s += sum(k) * v * k[1]", "(np.ones(3), [1, 2])", "(x, np.array(k, dtype=np.int64))"),
        ("x, k", "s += k[1][0] * v", "(np.ones(3), [[1, 2], [3, 4]])", "(x, np.array(k, dtype=np.int64))"),
    ],
)
def test_numbers_and_arrays_go_into_a_function_of_their_own(
    tmp_path: Path, head: str, body: str, inputs: str, says: str
) -> None:
    whole = f"    s = 0.0\n    for v in x:\n        {body}\n    return s"
    target, args, forms = forms_of(tmp_path, whole, inputs, head)
    (form,) = [one for one in forms if one.how.startswith("its numbers and arrays")]
    assert f"return f_compiled{says}" in form.source
    assert same(load(target)(*args), as_python(form)(*args))


LOOPS = [
    ("s = 0.0\nfor i in range(len(x)):\n    s += x[i]\nreturn f'{s:.1f}'", "s = f_loop(x)"),
    ("s, t = 0.0, print\nfor v in x:\n    s += v\n    w = v\nreturn s, w", "w may not be set before"),
    ("s, n = 1.0, str(x)\nfor v in x:\n    s *= v + 1\nreturn s, n", "s = f_loop(x, s)"),
    (
        "s = str(x)\nm = []\nfor r in range(2):\n    for v in x:\n        t = v * r\n        m.append(t)\nreturn m, s",
        "f_loop(x, m, r)",
    ),
    ("n = str(1)\nfor v in x:\n    if v > 5:\n        return n\nreturn n, 2", "the loop is left by a return"),
    ("n = str(1)\nk = 0\nwhile k < 3:\n    if x[k] > 5:\n        break\n    k += 1\nreturn n, k", "k = f_loop(x)"),
    (
        "n, k = str(1), 0\nfor r in range(2):\n    n += 'a'\n    for v in x:\n        k += v\nreturn n, k",
        "k = f_loop(x, k)",
    ),
]


@pytest.mark.parametrize(("body", "says"), LOOPS)
def test_a_loop_goes_into_a_function_of_its_own(tmp_path: Path, body: str, says: str) -> None:
    indented = "".join(f"    {line}\n" for line in body.split("\n"))
    target, args, forms = forms_of(tmp_path, indented, "(np.arange(4.0),)")
    loops = [one for one in forms if one.how.startswith("its loop")]
    if "(" not in says:
        assert not loops
        return
    assert any(says in one.source for one in loops)
    for one in loops:
        expected, found = load(target)(*args), as_python(one)(*args)
        assert expected == found


@pytest.mark.parametrize(
    ("head", "body", "inputs"),
    [
        ("x, p", "    for i in range(3):\n        p.x += x[i]\n    return p.x", "(np.ones(3), Point())"),
        ("x, p", "    for i in range(3):\n        x[i] = len(p)\n    return x", "(np.ones(3), {'a': 1})"),
        (
            "x, p",
            "    for i in range(3):\n        p = {'a': p['a'] + 1}\n    return x * p['a']",
            "(np.ones(3), {'a': 1})",
        ),
    ],
)
def test_an_object_with_which_more_is_done_stays(tmp_path: Path, head: str, body: str, inputs: str) -> None:
    _, _, forms = forms_of(tmp_path, body, inputs, head)
    assert not [one for one in forms if "p_" in one.source]


def test_functions_of_the_users_package_are_compiled_along(tmp_path: Path) -> None:
    (tmp_path / "geometry.py").write_text(
        "def _square(a):\n    return a * a\n\n\ndef size(a):\n    return _square(a) ** 0.5\n"
    )
    text = "from geometry import size\nimport numpy as np\n\n\ndef f(x):\n    return size(x[0])\n"
    target, _ = places(tmp_path, f"{text}\n\ndef make_inputs():\n    return (np.ones(3),)\n")
    seen = Observation(0.1, 1.0, (), (), (), 0.0, "", ())
    found = Numba().make(Subject(target, text, seen, Profile((), (), 1.0), tmp_path / "made"))
    assert isinstance(found, Candidate)
    assert f'{JITABLE}(size.__globals__["_square"])\n{JITABLE}(size)\n' in found.source

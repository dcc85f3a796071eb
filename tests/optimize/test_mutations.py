"""Mutants of what vecml writes for compilers are found wrong: none of them passes for right.

They are run as Python; what a compiler makes of a right text is held to the original in the same way.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.optimize.test_numba_forms import X, as_python, forms_of
from vecml.optimize.candidates.base import Candidate
from vecml.optimize.target import load
from vecml.optimize.validate import search

pytestmark = pytest.mark.long

SOFTMAX = (
    "    e = np.exp(x - np.max(x, axis=1, keepdims=True))\n    return np.max(e, axis=0) + np.std(e, axis=0, ddof=1)"
)
MASKS = (
    "    y = x.copy()\n    y[y > 0] += 1.5\n    y[x > 2] = x[x > 2] * 2\n    return y, np.subtract.outer(x[0], x[:, 1])"
)
SCATTER = "    y, k = np.zeros(4), np.array([0, 0, 2])\n    np.add.at(y, k, x[:3, 0])\n"
SCATTER += "    return y, np.maximum.accumulate(x[0])"
TURNS = """    total, most, n, said = 1.0, 0.0, 0, str(x.ndim)
    for v in x[0]:
        total += v
        if v > most:
            most = v
            n += 1
    return said, total, most, n"""
FIELDS = "    s = 0.0\n    for v in x:\n        s += v * p['a'] - p['b'][1]\n    return s"


def mutated(candidate: Candidate, old: str, new: str) -> Any:
    assert old in candidate.source, candidate.source
    source = candidate.source.replace(old, new, 1)
    return as_python(Candidate(candidate.name, candidate.kind, candidate.place, source))


def fault(original: Any, candidate: Any, args: tuple[Any, ...], names: tuple[str, ...]) -> str | None:
    with np.errstate(all="ignore"):
        found, _, tried, _ = search(original, candidate, args, names, 1e-6, layouts=False, examples=200, seconds=30.0)
    assert tried or found
    return found


@pytest.mark.parametrize(
    ("body", "mutations"),
    [
        (
            SOFTMAX,
            [
                ("np.max(x[i, :])", "np.max(x[:, 0])"),  # another axis
                ("out[j] = np.max(x[:, j])", "out[j] = np.max(x[1:, j])"),  # off by one
                ("x.shape[0] - 1)", "x.shape[0])"),  # another number of degrees of freedom
                ("out[i, 0] = np.max(x[i, :])", "out[i, 0] = np.max(np.abs(x[i, :]))"),
            ],
        ),
        (
            MASKS,
            [
                ("x[at] += v", "x[at] = v"),
                ("n += 1", "n += 0"),  # the first value for all
                ("np.subtract(x[0][:, None], x[:, 1][None, :])", "np.subtract(x[0][None, :], x[:, 1][:, None])"),
                ("np.subtract(x[0][:, None]", "np.subtract(x[:, 1][:, None]"),
                ("set_where_each(y, x > 2", "set_where_each(x, x > 2"),  # it writes to its input
                ("y = x.copy()", "y = x"),
                ("(x > 2).ravel()", "(x > 1).ravel()"),
            ],
        ),
        (
            SCATTER,
            [
                ("np.add(x[index[k]], v[k])", "v[k]"),  # the last one wins
                ("range(len(index))", "range(1, len(index))"),
                ("np.maximum(out[i - 1], x[i])", "np.maximum(x[i - 1], x[i])"),
                ("np.maximum(out[i - 1], x[i])", "np.fmax(out[i - 1], x[i])"),  # other than NumPy's at NaN
                ("out = x.copy()\n", "out = x\n"),
            ],
        ),
    ],
)  # fmt: skip
def test_mutants_of_forms(tmp_path: Path, body: str, mutations: list[tuple[str, str]]) -> None:
    target, args, forms = forms_of(tmp_path, body, X)
    original = load(target)
    assert fault(original, as_python(forms[0]), args, ("x",)) is None
    for old, new in mutations:
        assert fault(original, mutated(forms[0], old, new), args, ("x",)) is not None, (old, new)


def test_mutants_of_a_loop_in_a_function_of_its_own(tmp_path: Path) -> None:
    target, args, forms = forms_of(tmp_path, TURNS, X)
    original = load(target)
    (loop,) = [one for one in forms if "most, n, total = f_loop(" in one.source]
    assert fault(original, as_python(loop), args, ("x",)) is None
    for old, new in [
        ("most, n, total = f_loop", "total, n, most = f_loop"),  # swapped results
        ("return most, n, total", "return most, n, v"),
        ("= f_loop(x, most, n, total)", "= f_loop(x, most, n, most)"),
        ("total += v", "total = v"),
    ]:
        if old in loop.source:
            assert fault(original, mutated(loop, old, new), args, ("x",)) is not None, (old, new)


def test_mutants_of_fields_that_are_parameters(tmp_path: Path) -> None:
    inputs = "(np.arange(5.0), {'a': 2.0, 'b': np.array([1.0, 3.0])})"
    target, args, forms = forms_of(tmp_path, FIELDS, inputs, "x, p")
    (form,) = [one for one in forms if one.how.startswith("its numbers")]
    original = load(target)
    assert fault(original, as_python(form), args, ("x", "p")) is None
    for old, new in [
        ("f_compiled(x, p['a'], p['b'])", "f_compiled(x, p['b'][0], p['b'])"),
        ("f_compiled(x, p['a'], p['b'])", "f_compiled(x[1:], p['a'], p['b'])"),
        ("p_b[1]", "p_b[0]"),
    ]:
        assert fault(original, mutated(form, old, new), args, ("x", "p")) is not None, (old, new)

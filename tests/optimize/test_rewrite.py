"""The four forms: what is rewritten gives what the loop gave, and what is not is said to be so, with the reason."""

from typing import Any

import numpy as np
import pytest

from vecml.optimize.rewrite import rewrite_loops
from vecml.optimize.validate import search

HEAD = "import math\nimport numpy as np\n\n\n"
N, TABLE = np.arange(8.0) - 3, np.arange(12.0).reshape(4, 3)

RIGHT: dict[str, tuple[str, str, tuple[Any, ...]]] = {
    "map": (
        "map",
        "def f(x):\n    out = np.zeros(len(x))\n    for i in range(len(x)):\n"
        "        y = x[i] + 1\n        out[i] = math.sin(y) * abs(y)\n    return out\n",
        (N,),
    ),
    "append": (
        "masked update",
        "def f(x):\n    out = []\n    for v in x:\n        if v > 0:\n            out.append(v * 2)\n"
        "    return np.array(out, dtype=np.float64)\n",
        (N,),
    ),
    "reduce": (
        "reduce",
        "def f(x, y):\n    s = 0.0\n    big = -np.inf\n    for a, b in zip(x, y):\n        s += a * b\n"
        "        big = max(big, a)\n    return s, big\n",
        (N, N),
    ),
    "bins": (
        "reduce",
        "def f(x, k):\n    out = np.zeros(k, dtype=np.int64)\n    for i in range(len(x)):\n        out[x[i]] += 1\n"
        "    return out\n",
        (np.array([0, 1, 1, 2]), 3),
    ),
    "masked": (
        "outer",
        "def f(x):\n    out = x.copy()\n    for i in range(x.shape[0]):\n        for j in range(x.shape[1]):\n"
        "            if x[i, j] > 3 and x[i, j] < 9:\n                out[i, j] = 0.0\n"
        "            elif i == j:\n                out[i, j] += 1\n    return out\n",
        (TABLE,),
    ),
    "continue": (
        "masked update",
        "def f(x):\n    s = 0.0\n    for i in range(len(x)):\n        if x[i] < 0:\n            continue\n"
        "        s += x[i]\n    return s\n",
        (N,),
    ),
    "pairs": (
        "outer",
        "def f(x, y):\n    out = np.zeros((len(x), len(y)))\n    for i in range(len(x)):\n"
        "        for j in range(len(y)):\n            out[i, j] = np.sum((x[i] - y[j]) ** 2)\n    return out\n",
        (TABLE, TABLE[:3]),
    ),
    "counted": (
        "reduce",
        "def f(x, k):\n    s = 0.0\n    i = 1\n    while i < len(x):\n        s += x[i] * x[i - 1]\n"
        "        i += 1\n    return s, i\n",
        (N, 3),
    ),
    "largest": (
        "map",
        "def f(x):\n    out = np.zeros(len(x))\n    for i in range(len(x)):\n"
        "        out[i] = max(x[i])\n    return out\n",
        (TABLE,),
    ),
    "transposed": (
        "outer",
        "def f(x):\n    out = np.zeros((x.shape[1], x.shape[0]))\n    for i in range(x.shape[0]):\n"
        "        for j in range(x.shape[1]):\n            out[j, i] = x[i, j] + i\n    return out\n",
        (TABLE,),
    ),
}


@pytest.mark.parametrize("name", RIGHT)
def test_a_form_gives_what_its_loop_gave(name: str) -> None:
    form, text, args = RIGHT[name]
    names = text[text.index("(") + 1 : text.index(")")].split(", ")
    made = rewrite_loops(HEAD + text, "f", {one: np.ndim(value) for one, value in zip(names, args, strict=True)})
    assert [loop.form for loop in made.loops] == [form]
    assert made.source is not None
    assert "for " not in made.source
    old: dict[str, Any] = {}
    new: dict[str, Any] = {}
    exec(HEAD + text, old)  # noqa: S102 -- the test's own
    exec(made.source, new)  # noqa: S102
    with np.errstate(all="ignore"):
        fault, smallest, tried, _ = search(old["f"], new["f"], args, names, 1e-9, layouts=False, examples=100)
    assert (fault, smallest) == (None, "")
    assert tried > 20


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (
            "for i in range(1, len(x)):\n        x[i] = x[i - 1] ** 2 + 1",
            "x is carried from one turn of the loop to the next",
        ),
        (
            "s = 0.0\n    for v in x:\n        s = s * s + v\n    return s",
            "s is carried from one turn of the loop to the next",
        ),
        (
            "s = 0.0\n    for v in x:\n        s = s * v + 1\n    return s",
            "s is carried from one turn of the loop to the next",
        ),
        ("while x[0] > 0:\n        x[0] -= 1", "a while loop ends when the data say so"),
        ("for v in x:\n        print(v)", "`print(v)` is none of the forms"),
        ("for i in range(len(x)):\n        x[i] = other(x[i])", "what other() does in each turn is not known"),
        ("for i in range(len(x)):\n        x[0] = 1.0", "every turn of i writes the same element of x"),
        (
            "for i in range(len(x)):\n        for j in range(i * i):\n            x[i] += j",
            "the inner loop's range depends on i",
        ),
        ("for v in x:\n        t = v\n    return t", "what t is where the loop has no turn is not known"),
        ("for k in range(3):\n        y[k] = 1.0", "how many axes y has is not known"),
        ("z = {v: 1 for v in x}", "it is a comprehension"),
    ],
)
def test_what_is_none_of_the_forms_is_said(body: str, reason: str) -> None:
    made = rewrite_loops(f"{HEAD}def f(x):\n    {body}\n", "f", {"x": 1})
    assert made.loops[0].form is None
    assert made.loops[0].reason == reason


def test_numpy_is_imported_where_it_is_not() -> None:
    text = '"""A module."""\n\n\ndef f(x):\n    s = 0.0\n    for v in x:\n        s += v\n    return s\n'
    made = rewrite_loops(text, "f", {"x": 1}, frozenset({"x"}))
    assert made.source is not None
    assert made.source.startswith('"""A module."""\n\nimport numpy as np\n')
    space: dict[str, Any] = {}
    exec(made.source, space)  # noqa: S102
    assert space["f"]([1.0, 2.0]) == 3.0


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64])
def test_a_recurrence_has_the_dtype_of_what_it_is_made_of(dtype: Any) -> None:
    loop = "for v in x[1:]:\n        out.append(0.5 * v + 0.25 * out[-1])"
    text = f"{HEAD}def f(x):\n    out = [x[0]]\n    {loop}\n    return np.array(out)\n"
    made = rewrite_loops(text, "f", {"x": 1})
    assert made.source is not None
    results = []
    for source in (text, made.source):
        space: dict[str, Any] = {}
        exec(source, space)  # noqa: S102
        results.append(space["f"](np.arange(9).astype(dtype)))
    assert results[0].dtype == results[1].dtype
    assert np.allclose(*results)


def test_whole_numbers_that_follow_from_each_other_are_not_rounded() -> None:
    made = rewrite_loops(
        f"{HEAD}def f(x):\n    h = 0\n    for v in x:\n        h = h * 31 + v\n    return h\n", "f", {"x": 1}
    )
    assert made.source is not None
    space: dict[str, Any] = {}
    exec(made.source, space)  # noqa: S102
    assert isinstance(space["f"](np.arange(20)), np.floating), "no whole number: so the comparison finds it wrong"

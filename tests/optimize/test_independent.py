"""Which loops may run in parallel: those of which it is certain, and no other."""

import ast

import pytest

from vecml.optimize.independent import independent_loops

HELPERS = "def g(v):\n    return v + 1\n\n\ndef h(v):\n    v[0] = 1\n    return v\n\n\n"


def loops(text: str) -> list[str]:
    body = "".join(f"    {line}\n" for line in text.split("\n"))
    tree = ast.parse(f"{HELPERS}def f(x, y, n):\n{body}")
    functions = {one.name: one for one in tree.body if isinstance(one, ast.FunctionDef)}
    return [ast.unparse(one).partition("\n")[0] for one in independent_loops(functions["f"], functions)]


@pytest.mark.parametrize(
    "text",
    [
        "out = np.zeros(n)\nfor i in range(n):\n    out[i] = x[i] + x[i - 1]\nreturn out",
        "out = np.zeros((n, 3))\nfor i in range(n):\n    for j in range(3):\n        out[i, j] += g(x[j])\nreturn out",
        "s = 0.0\nfor i in range(n):\n    d = x[i] - y[i]\n    s += d * d\nreturn s",
        "out = np.zeros(n)\nfor i in range(n):\n    t = np.ones(3)\n    t[0] = x[i]\n    out[i] = t.max()\nreturn out",
        "v, s = np.empty(n), 1\nfor i in range(n):\n    if x[i] > 0:\n        v[i] = x[i]\n        s *= i\nreturn v, s",
        "k = 0\nwhile k < 3:\n    out = np.zeros(n)\n    for i in range(n):\n        out[i] = k\n    k += 1\nreturn k",
    ],
)
def test_turns_that_are_independent(text: str) -> None:
    assert len(loops(text)) == 1


@pytest.mark.parametrize(
    "text",
    [
        "for i in range(n):\n    x[i] = y[i]",  # x and y may be one array
        "out = np.zeros(n)\nfor i in range(1, n):\n    out[i] = out[i - 1] + x[i]\nreturn out",
        "out = np.zeros(n)\nfor i in range(n):\n    out[x[i]] += 1\nreturn out",
        "out = np.zeros(n)\nv = out\nfor i in range(n):\n    out[i] = v[i - 1]\nreturn out",
        "out = np.zeros(n)\nv = out[1:]\nfor i in range(n):\n    out[i] = v[i]\nreturn out",
        "out = np.zeros(n)\nv = out.T\nfor i in range(n):\n    out[i] = v[i - 1]\nreturn out",
        "out = np.asarray(x)\nfor i in range(n):\n    out[i] = x[i - 1]\nreturn out",
        "out = np.zeros((n, 3))\nfor i in range(n):\n    row = out[i]\n    row[0] = x[i]\nreturn out",
        "out = np.zeros(n)\nfor i in range(n):\n    out[i] = len(out[:i])\nreturn out",
        "out = np.zeros(n)\nfor i in range(n):\n    out[i] = np.sum(out)\nreturn out",
        "out = np.zeros(n)\nfor i in range(n):\n    if x[i] > 3:\n        break\n    out[i] = 1\nreturn out",
        "out = np.zeros(n)\nfor i in range(n):\n    if x[i] > 3:\n        return i\n    out[i] = 1\nreturn out",
        "s = 0.0\nfor i in range(n):\n    s = s * 0.5 + x[i]\nreturn s",
        "s = 0.0\nout = np.zeros(n)\nfor i in range(n):\n    s += x[i]\n    out[i] = s\nreturn out",
        "s = 0.0\nfor i in range(n):\n    s += x[i]\n    s *= 2\nreturn s",
        "s = 0.0\nfor i in range(n):\n    t = x[i]\n    s += t\nreturn s, t",
        "m = []\nfor i in range(n):\n    m.append(x[i])\nreturn m",
        "out = np.zeros(n)\nfor i in range(n):\n    out[i] = h(y)[0]\nreturn out",
        "out = np.zeros(n)\nfor i in range(n):\n    out[i] = np.random.rand()\nreturn out",
        "out = np.zeros(n)\nfor i in range(n):\n    np.add(x, 1, out=out)\nreturn out",
        "out = np.zeros(n)\nfor i in range(0, n, 2):\n    out[i] = 1\nreturn out",
        "out = np.zeros(n)\nfor i in range(n):\n    x.v = i\n    out[i] = 1\nreturn out",
        "out = np.zeros(n)\nfor i in range(n):\n    out[i] = u\n    u = x[i]\nreturn out",
        "out = np.zeros(n)\nwhile n < 3:\n    v = out\n    for i in range(n):\n        out[i] = v[i - 1]\nreturn n",
    ],
)
def test_turns_that_may_see_each_other(text: str) -> None:
    assert loops(text) == []

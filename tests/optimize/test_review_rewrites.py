"""What a review found: NaN, ranges that are empty, masks over int64, exchanges, conditions; each against its loop."""

import inspect
import warnings
from typing import Any

import numpy as np
import pytest

from vecml.optimize.rewrite import Rewrite, rewrite_loops

HEAD = "import numpy as np\n\n\n"
NAN = float("nan")
BIG = 9007199254740993  # not a float64
SERIES = [
    np.array(values)
    for values in (
        [1.0, NAN, 3.0],
        [NAN, 1.0, 2.0],
        [3.0, 1.0, NAN],
        [-2.0, -1.0, -3.0],
        [NAN, NAN, NAN],
        [5.0, 0.5, -0.5],
    )
]


def rewrite(text: str, *args: Any) -> Rewrite:
    space: dict[str, Any] = {}
    exec(HEAD + text, space)  # noqa: S102 -- the test's own
    names = inspect.signature(space["f"]).parameters
    return rewrite_loops(HEAD + text, "f", {one: np.ndim(value) for one, value in zip(names, args, strict=True)})


def same(text: str, *args: Any) -> str:
    """That the rewrite does what its loop did, bit by bit, in the result and in the arguments."""
    made = rewrite(text, *args)
    assert made.source is not None, made.loops
    assert "for " not in made.source.partition("\n    else:\n        for ")[0]
    results = []
    for source in (HEAD + text, made.source):
        space: dict[str, Any] = {}
        exec(source, space)  # noqa: S102
        own = [np.copy(one) if isinstance(one, np.ndarray) else one for one in args]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            results.append((space["f"](*own), *own))
    for old, new in zip(*results, strict=True):
        np.testing.assert_array_equal(new, old, strict=isinstance(old, np.ndarray))
    return made.source


def refused(text: str, *args: Any) -> str:
    made = rewrite(text, *args)
    assert made.source is None
    return made.loops[0].reason


@pytest.mark.parametrize("series", SERIES)
@pytest.mark.parametrize("first", ["-np.inf", "0.0", "x[0]", "np.nan"])
@pytest.mark.parametrize(("compared", "function"), [(">", "max"), ("<", "min")])
def test_an_extreme_passes_over_nan_as_its_loop_does(series: Any, first: str, compared: str, function: str) -> None:
    loop = f"def f(x):\n    best = {first}\n    for i in range(len(x)):\n"
    same(f"{loop}        if x[i] {compared} best:\n            best = x[i]\n    return best\n", series)
    same(f"{loop}        best = {function}(best, x[i])\n    return best\n", series)
    reason = refused(f"{loop}        best = {function}(x[i], best)\n    return best\n", series)
    assert reason == f"best begins again after a NaN in {function}(..., best); {function}(best, ...) does not"


def test_an_extreme_of_each_row() -> None:
    text = (
        "def f(x):\n    out = np.zeros(len(x))\n    for i in range(len(x)):\n        best = 0.0\n"
        "        for j in range(x.shape[1]):\n            best = max(best, x[i, j])\n        out[i] = best\n"
        "    return out\n"
    )
    same(text, np.array(SERIES))


@pytest.mark.parametrize("series", SERIES)
@pytest.mark.parametrize("call", ["max(0.0, x[i])", "max(x[i], 0.0)", "min(1.0, x[i])", "max(-1, min(x[i], x[i] * 2))"])
def test_max_and_min_of_two_keep_pythons_order(series: Any, call: str) -> None:
    same(f"def f(x):\n    out = np.zeros(3)\n    for i in range(3):\n        out[i] = {call}\n    return out\n", series)


@pytest.mark.parametrize("length", [0, 1, 40, 50, 53])
@pytest.mark.parametrize(
    "over",
    [
        "range(len(x) - 50)",
        "range(1, len(x) - 50)",
        "range(0, len(x) - 50, 2)",
        "range(len(x) - 50, len(x))",
        "range(k)",
    ],
)
def test_a_range_that_is_empty_writes_nothing(over: str, length: int) -> None:
    text = f"def f(x, out, k):\n    for i in {over}:\n        out[i] = x[i] + 1.0\n"
    for k in (-3, 0, min(length, 3)):
        if not over.startswith("range(len(x) - 50, ") or length >= 25:  # else the loop raises
            same(text, np.arange(float(length)), np.zeros(length), k)


def test_plain_sizes_are_not_clamped() -> None:
    text = (
        "def f(x):\n    n, m = x.shape\n    k = len(x)\n    out = np.zeros((k, m))\n    for i in range(n):\n"
        "        for j in range(m):\n            out[i, j] = x[i, j] + 1\n    return out\n"
    )
    assert "max(" not in same(text, np.ones((2, 3)))
    text = text.replace("    out =", "    n -= 1\n    out =")  # no longer a plain size
    assert "max(0, n)" in same(text, np.ones((2, 3)))


@pytest.mark.parametrize("place", ["i", "i + 1"])
def test_a_masked_store_keeps_what_it_leaves(place: str) -> None:
    ids = np.array([BIG, 1, BIG, 3, BIG])
    text = (
        "def f(ids, flag, x):\n    for i in range(len(flag)):\n        if flag[i] > 0:\n"
        f"            ids[{place}] = x[i] * 2.0\n"
    )
    same(text, ids, np.array([0, 1, 0, 1]), np.array([1.5, 2.25, 3.5, 4.75]))
    same(text.replace(" = x[i] * 2.0", " += x[i]"), ids, np.array([0, 1, 0, 1]), np.array([1, 2, 3, 4]))


def test_a_masked_store_in_a_table_written_across() -> None:
    text = (
        "def f(x, ids):\n    for i in range(x.shape[0]):\n        for j in range(x.shape[1]):\n"
        "            if x[i, j] > 2:\n                ids[j, i] = x[i, j] * 1.5\n"
    )
    same(text, np.arange(6.0).reshape(2, 3), np.full((3, 2), BIG))


@pytest.mark.parametrize("op", ["+", "-", "*", "/", "//", "%", "**"])
def test_a_masked_update_has_no_neutral_element(op: str) -> None:
    text = f"def f(x, y):\n    for i in range(len(x)):\n        if x[i] > 0:\n            y[i] {op}= 2.0\n"
    same(text, np.array([1.0, -1.0, 2.0]), np.array([3.0, -0.0, 7.0]))


@pytest.mark.parametrize("op", ["&", "|", "^", "<<", ">>"])
def test_a_masked_update_of_bits(op: str) -> None:
    text = f"def f(x, y):\n    for i in range(len(x)):\n        if x[i] > 0:\n            y[i] {op}= 2\n"
    same(text, np.array([1.0, -1.0, 2.0]), np.array([3, 7, 6]))


def test_an_exchange() -> None:
    a, b = np.arange(3.0), np.arange(3.0) + 5
    loop = "def f(a, b):\n    for i in range(len(a)):\n        "
    same(f"{loop}a[i], b[i] = b[i], a[i]\n", a, b)
    same(f"{loop}t = a[i]\n        a[i] = b[i]\n        b[i] = t\n", a, b)
    same(f"{loop}a[i], b[i] = b[i] + i, b[i] * 2\n", a, b)


def test_a_loop_over_an_array_that_it_writes() -> None:
    text = "def f(x):\n    for i, v in enumerate(x[:-1]):\n        x[i + 1] = v\n"
    assert refused(text, np.arange(3.0)) == "what x[:-1] gives in each turn is not known"
    text = "def f(x):\n    for i in range(len(x) - 1):\n        x[i + 1] = x[i]\n"
    same(text, np.arange(3.0))
    same(text.replace("x[i + 1] = x[i]", "x[i] = x[i + 1]"), np.arange(3.0))


@pytest.mark.parametrize("test", ["x[i] % 2", "not x[i] % 2", "-x[i]", "not x[i]", "k", "not k", "k > 1", "not k > 1"])
@pytest.mark.parametrize("k", [0, 1, 2])
def test_a_number_as_a_condition(test: str, k: int) -> None:
    loop = f"def f(x, k):\n    out = np.zeros(len(x))\n    for i in range(len(x)):\n        if {test}:\n            "
    end = "    return out\n"
    same(f"{loop}continue\n        out[i] = 1.0\n{end}", np.array([0, 1, 2, 3]), k)
    same(f"{loop}out[i] = 2.0\n        else:\n            out[i] = 3.0\n{end}", np.array([0, 1, 2, 3]), k)
    same(f"{loop}pass\n        out[i] = not x[i]\n{end}", np.array([0, 1, 2, 3]), k)


def test_a_condition_on_what_its_branch_writes() -> None:
    x, y = np.array([5.0, 0.0, 1.0, 4.0]), np.zeros(4)
    loop = "def f(x, y):\n    for i in range(len(x)):\n        "
    same(
        f"{loop}if x[i] > 3:\n            x[i] = 0.0\n            y[i] = 1.0\n"
        "        elif x[i] == 0:\n            x[i] = 9.0\n",
        x,
        y,
    )
    same(f"{loop}t = x[i]\n        if t > 3:\n            t = -t\n            y[i] = t\n", x, y)
    same(f"{loop}if x[i] > 3:\n            continue\n        x[i] += 5.0\n        y[i] = 2.0\n", x, y)


@pytest.mark.parametrize(
    ("first", "second"), [("s *= x[i]", "s += y[i]"), ("s += x[i]", "s = max(s, y[i])"), ("s += x[i]", "s *= y[i]")]
)
def test_two_kinds_of_gathering_by_turns(first: str, second: str) -> None:
    x, y = np.array([2.0, 3.0]), np.array([1.0, 5.0])
    text = f"def f(x, y):\n    s = 1.0\n    for i in range(len(x)):\n        {first}\n        {second}\n    return s\n"
    assert refused(text, x, y) == "s is carried from one turn of the loop to the next"
    same(text.replace(second, "s -= y[i]").replace(first, "s += x[i]"), x, y)


def test_an_array_that_is_read_while_it_is_gathered_in() -> None:
    x, k, table = np.array([1.0, 2.0, 4.0]), np.array([0, 0, 1]), np.arange(6.0).reshape(2, 3)
    reason = "bins[k[i]] may be what another turn of the loop writes (bins[k[i]]): a loop-carried dependence"
    loop = "def f(x, k, bins):\n    for i in range(len(x)):\n        "
    assert refused(f"{loop}bins[k[i]] += 0.1 * (x[i] - bins[k[i]])\n", x, k, np.zeros(2)) == reason
    same(f"{loop}bins[k[i]] += 0.5 * x[i]\n", x, k, np.zeros(2))
    loop = "def f(x, y, bins):\n    for i in range(x.shape[0]):\n        for j in range(x.shape[1]):\n            "
    text = f"{loop}bins[i] += x[i, j]\n            y[i, j] = bins[i]\n"
    assert reason.replace("k[i]", "i") in [one.reason for one in rewrite(text, table, table, np.zeros(2)).loops]
    text = f"{loop}bins[i] += x[i, j]\n            bins[i] *= y[i, j]\n"
    assert rewrite(text, table, table, np.zeros(2)).source is None


@pytest.mark.parametrize("mark", ["\f", "\v", "\x1c", "\u2028"])
def test_only_a_line_feed_ends_a_line(mark: str) -> None:
    before = f'"""A{mark}module."""\n# {mark}\n'
    text = "def f(x):\n    s = 0.0\n    for v in x:\n        s += v\n    return s\n"
    made = rewrite_loops(before + text, "f", {"x": 1})
    assert made.source is not None
    assert made.source.startswith(f'"""A{mark}module."""\n\nimport numpy as np\n')
    space: dict[str, Any] = {}
    exec(made.source, space)  # noqa: S102
    assert space["f"](np.array([1.0, 2.0])) == 3.0
    assert rewrite_loops(f"import numpy as np\n\f\n{text}", "f", {"x": 1}).source is not None


def test_large_counts_wrap_as_the_manual_says() -> None:
    text = "def f(n):\n    s = 0\n    for i in range(n):\n        s += i**3\n    return s\n"
    source = same(text, 1000)
    space: dict[str, Any] = {}
    exec(source, space)  # noqa: S102
    assert space["f"](100_000) != sum(i**3 for i in range(100_000))


@pytest.mark.parametrize("length", [0, 1, 4])
def test_a_comprehension_under_a_condition_has_its_list_elsewhere(length: int) -> None:
    x = np.arange(float(length))
    for text in (
        "def f(x, w):\n    return np.array([np.mean(x[i : i + w]) for i in range(len(x) - w + 1)])\n",
        "def f(x, w):\n    return np.array([[a * b for b in range(w)] for a in x])\n",
    ):
        made = rewrite(text, x, 2)
        assert made.source is not None
        results = []
        for source in (HEAD + text, made.source):
            space: dict[str, Any] = {}
            exec(source, space)  # noqa: S102
            results.append(space["f"](x, 2))
        np.testing.assert_array_equal(results[1], results[0], strict=True)


def test_what_only_a_turn_reads_is_not_read_without_one() -> None:
    text = "def f(x, w):\n    s = 0.0\n    for i in range(1, len(x)):\n        s += x[i] * w[2]\n    return s\n"
    same(text, np.ones(3), np.arange(4.0))
    same(text, np.ones(1), np.ones(1))

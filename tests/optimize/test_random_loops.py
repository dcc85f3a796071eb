"""Loops that are made at random: what is rewritten of them gives what they give, in values and in every array."""

import random
import warnings
from typing import Any

import numpy as np
import pytest

from vecml.optimize.agreement import difference
from vecml.optimize.rewrite import rewrite_loops

HEAD = "import numpy as np\n\n\n"
BEFORE = """def f(x, y, k, t, u, c):
    n, m = t.shape
    out = np.zeros(n + 2)
    z = y.copy()
    s = 0.0
    q = 1.0
    a = 0.25
    got = []
"""


class Maker:
    """Makes the text of a function with one loop, of arrays that are read and written beside and behind each turn."""

    def __init__(self, seed: int) -> None:
        self.pick = random.Random(seed)

    def load(self, loops: list[str]) -> str:
        v = self.pick.choice(loops)
        if len(loops) == 2 and self.pick.random() < 0.4:
            i, j = loops
            return f"{self.pick.choice('tu')}[{self.pick.choice([f'{i}, {j}', f'{j}, {i}', f'{i}, {j} - 1'])}]"
        index = self.pick.choice([v, v, v, f"{v} - 1", f"{v} + 1", f"{v} - 2", f"k[{v}]"])
        return f"{self.pick.choice(['x', 'y', 'out', 'z'])}[{index}]"

    def expression(self, names: list[str], loops: list[str], depth: int = 0) -> str:
        r = self.pick.random()
        if depth > 2 or r < 0.4:
            return self.load(loops)
        if r < 0.55:
            return self.pick.choice([*names, "2.0", "0.5", "c"])
        left, right = (self.expression(names, loops, depth + 1) for _ in range(2))
        return f"({left} {self.pick.choice('+-*')} {right})" if r < 0.95 else f"max({left}, {right})"

    def condition(self, names: list[str], loops: list[str]) -> str:
        sides = [self.expression(names, loops, 2) for _ in range(2)]
        more = self.pick.choice([" and ", " or "]) + f"{self.load(loops)} > 0" if self.pick.random() < 0.2 else ""
        return f"{sides[0]} {self.pick.choice(['>', '<', '>=', '=='])} {sides[1]}{more}"

    def statement(self, names: list[str], loops: list[str], indent: int) -> str:
        r, pad = self.pick.random(), "    " * indent
        if r < 0.15:
            return f"{pad}a = {self.expression(names, loops)}\n"
        if r < 0.4:
            s = self.pick.choice("sq")
            e = self.expression([one for one in names if one != s], loops, 1)
            how = ["{s} += {e}", "{s} -= {e}", "{s} = max({s}, {e})", "{s} = {e}", "{s} = 0.5 * {s} + {e}", "{s} = 0.0"]
            return pad + self.pick.choice(how).format(s=s, e=e) + "\n"
        if r < 0.7:
            v = self.pick.choice(loops)
            target = f"{self.pick.choice(['out', 'z', 'x'])}[{self.pick.choice([v, v, f'{v} + 1', f'k[{v}]'])}]"
            if len(loops) == 2 and self.pick.random() < 0.5:
                target = f"t[{self.pick.choice([', '.join(loops), ', '.join(loops[::-1])])}]"
            return f"{pad}{target} {self.pick.choice(['=', '=', '+='])} {self.expression(names, loops)}\n"
        if r < 0.88 and indent < 5:
            text = f"{pad}if {self.condition(names, loops)}:\n{self.statement(names, loops, indent + 1)}"
            text += self.pick.choice(["", "", "", f"{pad}    continue\n", f"{pad}    break\n"])
            return text + (
                f"{pad}else:\n{self.statement(names, loops, indent + 1)}" if self.pick.random() < 0.4 else ""
            )
        if len(loops) == 1 and r < 0.95:
            over = self.pick.choice(["range(m)", "range(1, m)", "range(i)", "range(i + 1, m)"])
            return f"{pad}for j in {over}:\n" + self.statement(names, ["i", "j"], indent + 1)
        return f"{pad}got.append({self.expression(names, loops)})\n"

    def function(self) -> str:
        over = self.pick.choice(["range(n)", "range(1, n - 1)", "range(2, n)", "range(n - 2)", "range(n - 2, 0, -1)"])
        body = "".join(self.statement(["s", "q", "a"], ["i"], 2) for _ in range(self.pick.choice([1, 2, 2, 3])))
        result = self.pick.choice(["out, z, s, q, np.array(got)", "out, z, np.array(got)", "s, q", "out, s, z"])
        return f"{BEFORE}    for i in {over}:\n{body}    return {result}\n"


def arguments(seed: int, n: int) -> tuple[Any, ...]:
    rng = np.random.default_rng(seed)
    x, y = rng.integers(-8, 8, n + 2) / 4, rng.integers(-8, 8, n + 2) / 8
    return x, y, rng.integers(0, n, n + 2), rng.integers(-8, 8, (n, n)) / 4, rng.integers(-8, 8, (n, n)) / 2, 1.5


@pytest.mark.parametrize("seed", range(0, 150, 30))
def test_what_is_rewritten_gives_what_its_loop_gave(seed: int) -> None:
    rewritten = 0
    for number in range(seed, seed + 30):
        text = HEAD + Maker(number).function()
        made = rewrite_loops(text, "f", {"x": 1, "y": 1, "k": 1, "t": 2, "u": 2, "c": 0})
        if made.source is None:
            continue
        rewritten += 1
        old: dict[str, Any] = {}
        new: dict[str, Any] = {}
        exec(text, old)  # noqa: S102 -- the test's own
        exec(made.source, new)  # noqa: S102
        for n in (3, 5, 8):
            args = arguments(number, n)
            ours, theirs = ([np.copy(one) if isinstance(one, np.ndarray) else one for one in args] for _ in range(2))
            with warnings.catch_warnings(), np.errstate(all="ignore"):
                warnings.simplefilter("ignore")
                try:
                    expected = old["f"](*ours)
                except IndexError:
                    continue
                found = new["f"](*theirs)
            reason = difference((expected, ours), (found, theirs), 1e-6, 10.0)
            assert reason is None, f"{reason}\n{text}\n{made.source}"
    assert rewritten > 8

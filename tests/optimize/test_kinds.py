"""What a function's expressions are over the user's inputs."""

import ast
from pathlib import Path

from tests.optimize.made_modules import places
from vecml.optimize.kinds import Kind, Kinds, kind_of, kinds_task

TEXT = """import numpy as np


def g(row):
    return row.sum()


def f(x, ks, p):
    out = []
    for row in x:
        y = row[row > 0] if p["on"] else row
        out.append(g(y) * ks[0])
    v = 1 if x[0, 0] > 9 else x[0]
    return out, v, f"{x.size}"


def make_inputs():
    return np.asfortranarray(np.eye(3)), [1, 2], {"on": True}
"""


def test_each_expression_has_its_kind(tmp_path: Path) -> None:
    target, inputs = places(tmp_path, TEXT)
    told = kinds_task({"target": vars(target), "inputs": vars(inputs)}, lambda *_: None)
    kinds = Kinds({tuple(at): Kind(**kind) for at, kind in told["kinds"]})
    nodes = [one for one in ast.walk(ast.parse(TEXT)) if hasattr(one, "lineno")]
    seen = {ast.unparse(one): kind for one in nodes if (kind := kinds.of(one)) is not None}
    assert seen["x"] == Kind("array", "float64", 2, False, (3, 3))
    assert seen["row > 0"] == Kind("array", "bool", 1, True, (3,))
    assert seen["row.sum()"] == Kind("float", "float64")
    assert seen["ks"] == Kind("list", "int", 1, True, (2,))
    assert seen["p"] == Kind("dict")
    assert seen["p['on']"] == Kind("bool")
    assert seen["9"] == Kind("int")
    assert seen["out"] == Kind("list")  # of one shape at first, and of another later


def test_lists_that_are_as_regular_as_arrays() -> None:
    assert kind_of([[1, 2], [3, 4]]) == Kind("list", "int", 2, True, (2, 2))
    assert kind_of([[1], [3, 4]]) == kind_of([1, 2.0]) == kind_of([[], 1]) == Kind("list")
    assert kind_of([True]) == Kind("list", "bool", 1, True, (1,))

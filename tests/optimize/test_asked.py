"""What people ask about loops: the NumPy rewrite of the functions in `asked` gives what they give."""

import inspect
import json
from pathlib import Path
from types import FunctionType
from typing import Any

import numpy as np
import pytest

from vecml.optimize.rewrite import rewrite_loops
from vecml.optimize.tables import dtypes_as_text, is_table
from vecml.optimize.validate import check, search

FOLDER = Path(__file__).parent / "asked"


def functions(name: str) -> dict[str, tuple[str, FunctionType, tuple[Any, ...]]]:
    """The text, the function and the inputs of each function of a file."""
    text = (FOLDER / name).read_text()
    space: dict[str, Any] = {}
    exec(text, space)  # noqa: S102 -- the test's own
    return {one: (text, space[one], space[f"{one}_inputs"]()) for one in space if f"{one}_inputs" in space}


LOOPS = functions("seen.py") | functions("apart.py") | functions("later.py") | functions("reviewed.py")
TABLES = functions("frames.py") | functions("frames_apart.py")


def rewritten(text: str, function: FunctionType, args: tuple[Any, ...]) -> Any:
    names = list(inspect.signature(function).parameters)
    tables = {one: arg for one, arg in zip(names, args, strict=True) if is_table(arg)}
    ranks = {one: np.ndim(arg) for one, arg in zip(names, args, strict=True) if one not in tables}
    columns = {one: json.loads(dtypes_as_text(table)) for one, table in tables.items()}
    made = rewrite_loops(text, function.__name__, ranks, tables=columns)
    assert made.source is not None, made.loops
    space: dict[str, Any] = {}
    exec(made.source, space)  # noqa: S102
    return space[function.__name__]


@pytest.mark.parametrize("name", LOOPS | TABLES)
def test_what_people_ask(name: str) -> None:
    text, function, args = (LOOPS | TABLES)[name]
    names = list(inspect.signature(function).parameters)
    new = rewritten(text, function, args)
    with np.errstate(all="ignore"):
        assert check(function, new, args, names, 1e-6)
        fault, smallest, _, _ = search(function, new, args, names, 1e-6, examples=10)
    assert (fault, smallest) == (None, "")

"""Each promise on the page names a test, and each test that it names exists."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "promises.md").read_text(encoding="utf-8")
ROWS = [line for line in PAGE.splitlines() if line.startswith("| ") and not line.startswith("| promise")]


def exists(test: str) -> bool:
    """Whether a test is where the name says."""
    file, _, name = test.partition("::")
    if not (ROOT / file).is_file():
        return False
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    return any(isinstance(node, ast.FunctionDef) and node.name == name for node in tree.body)


def test_there_are_promises() -> None:
    assert len(ROWS) > 20


@pytest.mark.parametrize("line", ROWS, ids=[line[2:50] for line in ROWS])
def test_each_promise_has_its_tests(line: str) -> None:
    promise, shown = line.strip("| ").split(" | ")
    assert promise.endswith(".")
    tests = re.findall(r"`(tests/[^`]+)`", shown)
    assert tests
    assert [test for test in tests if not exists(test)] == []


def test_the_check_itself() -> None:
    assert exists("tests/docs/test_promises.py::test_the_check_itself")
    assert not exists("tests/docs/test_promises.py::test_of_nothing")
    assert not exists("tests/docs/nothing.py::test_of_nothing")

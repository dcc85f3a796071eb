"""Everything public says what it is; what takes or gives arrays names shape or dtype; what raises says so.

The source is read, not imported. The checker is itself checked on samples, good and bad.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from vecml import errors

ROOT = Path(__file__).parents[1]
FILES = sorted(path for package in ("vecml", "tasks", "flows") for path in (ROOT / package).rglob("*.py"))

ERRORS = {name for name, value in vars(errors).items() if isinstance(value, type)}
ARRAY = re.compile(r"\b(NDArray|ndarray|Tensor)\b")
DTYPE = r"\b(dtype|bool|integers?|floating|bfloat16|(float|int|uint)(8|16|32|64))\b"
SHAPE = r"\bshapes?\b|\b\w+_[A-Z]{1,4}\b|\([A-Z], ?([A-Z](, ?[A-Z])*)?\)"  # in words, x_FN, (F, N)
SHAPE_OR_DTYPE = re.compile(f"{DTYPE}|{SHAPE}")

Function = ast.FunctionDef | ast.AsyncFunctionDef


def complaints(source: str, contracts: bool) -> Iterator[str]:
    """What is missing, with its line; `contracts`: also shapes and errors of functions."""
    module = ast.parse(source)
    if not ast.get_docstring(module):
        yield "1: the module has no docstring"
    yield from _members(module.body, "", contracts)


def _members(body: list[ast.stmt], prefix: str, contracts: bool) -> Iterator[str]:
    for node in _statements(body):
        if not isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) or node.name.startswith("_"):
            continue
        name = f"{node.lineno}: {prefix}{node.name}"
        text = ast.get_docstring(node)
        if isinstance(node, ast.ClassDef):
            yield from [] if text else [f"{name} has no docstring"]
            yield from _members(node.body, f"{prefix}{node.name}.", contracts)
        elif _inherits_its_docstring(node):
            continue
        elif not text:
            yield f"{name} has no docstring"
        elif contracts:
            yield from _contract(node, name, text)


def _statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements, also those below `if` and `try`."""
    for node in body:
        yield node
        for part in ("body", "orelse", "finalbody") if isinstance(node, ast.If | ast.Try) else ():
            yield from _statements(getattr(node, part, []))
        for handler in getattr(node, "handlers", []):
            yield from _statements(handler.body)


def _inherits_its_docstring(node: Function) -> bool:
    """An overload is documented by the function, a setter by the property, an override by what it overrides."""
    names = {ast.unparse(decorator).rpartition(".")[2] for decorator in node.decorator_list}
    return bool(names & {"overload", "setter", "deleter", "override"})


def _contract(node: Function, name: str, text: str) -> Iterator[str]:
    arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs, node.args.vararg, node.args.kwarg]
    annotations = [argument.annotation for argument in arguments if argument is not None] + [node.returns]
    arrays = any(ARRAY.search(ast.unparse(annotation)) for annotation in annotations if annotation is not None)
    if arrays and not SHAPE_OR_DTYPE.search(text):
        yield f"{name} takes or gives arrays and names neither shape nor dtype"
    for error in sorted(set(_raised(node.body)) & ERRORS):
        if error not in text and "Raises" not in text:
            yield f"{name} raises {error} and does not say so"


def _raised(body: list[ast.stmt]) -> Iterator[str]:
    """The names of what is raised in the function itself, not in one that is defined in it."""
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            continue
        if isinstance(node, ast.Raise) and node.exc is not None:
            raised = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
            yield ast.unparse(raised).rpartition(".")[2]
        for part in ("body", "orelse", "finalbody", "handlers", "cases"):
            yield from _raised(getattr(node, part, []))


@pytest.mark.parametrize("path", FILES, ids=[str(path.relative_to(ROOT)) for path in FILES])
def test_everything_public_is_documented(path: Path) -> None:
    contracts = path.is_relative_to(ROOT / "vecml") and not path.is_relative_to(ROOT / "vecml" / "cli")
    found = list(complaints(path.read_text(encoding="utf-8"), contracts))
    assert not found, "\n".join(found)


def test_the_files_are_found() -> None:
    assert ROOT / "vecml" / "errors.py" in FILES
    assert {"VecmlError", "DataError"} <= ERRORS


GOOD = '''
"""Module."""

from numpy.typing import NDArray

def shaped(x_FN: NDArray) -> None:
    """Takes x_FN."""

def typed() -> "NDArray":
    """Gives int64 labels."""

def tupled(x: np.ndarray | None) -> None:
    """x is (F, N)."""

def raising() -> None:
    """Raises DataError when it must."""
    for _ in range(3):
        if True:
            raise DataError("x")

def described(a):
    """One line.

    Raises:
        What it has to.
    """
    raise errors.ModelError("x") from None

def passes_on():
    """Its inner function raises, not itself; and a ValueError is not ours."""
    def inner():
        raise DataError("x")
    raise ValueError

class Public:
    """Class."""

    def method(self):
        """Method."""

    @property
    def value(self):
        """Value."""

    @value.setter
    def value(self, value): ...

    @override
    def inherited(self): ...

    def _private(self): ...
    def __len__(self): ...

class _Private:
    def method(self): ...

def _private(x: NDArray): ...
'''

F = '"""M."""\ndef f():\n    """F."""\n'

BAD = {
    "def f(): ...": "1: the module has no docstring",
    '"""M."""\nclass A: ...': "2: A has no docstring",
    '"""M."""\nasync def f(): ...': "2: f has no docstring",
    '"""M."""\nclass A:\n    """A."""\n    def f(self): ...': "4: A.f has no docstring",
    '"""M."""\nclass A:\n    """A."""\n    class B:\n        """B."""\n        def f(self): ...': "6: A.B.f has no",
    '"""M."""\ntry:\n    import x\nexcept ImportError:\n    def f(): ...': "5: f has no docstring",
    '"""M."""\nif x:\n    pass\nelse:\n    def f(): ...': "5: f has no docstring",
    '"""M."""\ndef f(x: NDArray[np.float32]):\n    """Takes x."""': "names neither shape nor dtype",
    '"""M."""\ndef f(*, x: "np.ndarray | None" = None):\n    """Takes x."""': "names neither shape nor dtype",
    '"""M."""\ndef f(*x: torch.Tensor):\n    """Takes x."""': "names neither shape nor dtype",
    '"""M."""\ndef f() -> tuple[int, NDArray[np.int64]]:\n    """Gives two."""': "names neither shape nor dtype",
    '"""M."""\nclass A:\n    """A."""\n    def f(self, x: NDArray):\n        """F."""': "4: A.f takes or gives arrays",
    F + '    raise DataError("x")': "2: f raises DataError and does not say so",
    F + '    raise errors.StoreError("x") from e': "raises StoreError",
    F + "    raise ModelError": "raises ModelError",
    F + '    try:\n        g()\n    except E:\n        raise DataError("x")': "raises DataError",
    F + '    match x:\n        case 1:\n            raise DataError("x")': "raises DataError",
    F + '    with g():\n        while h:\n            raise DataError("x")': "raises DataError",
}


def test_the_checker_passes_a_good_sample() -> None:
    assert list(complaints(GOOD.lstrip(), contracts=True)) == []


@pytest.mark.parametrize(("source", "complaint"), BAD.items())
def test_the_checker_fails_a_bad_sample(source: str, complaint: str) -> None:
    assert any(complaint in found for found in complaints(source, contracts=True))


def test_shapes_and_errors_are_asked_for_in_the_library_only() -> None:
    source = '"""M."""\ndef f(x: NDArray):\n    """F."""\n    raise DataError("x")'
    assert list(complaints(source, contracts=False)) == []

"""What others use says what it is, in a sentence; arrays have shapes or dtypes; what raises says so.

A public function or class needs a docstring. A method needs none when it overrides a documented one, or when its body
is a single statement. A docstring begins with a sentence of three words or more that stands without the name above it:
"Of the series.", "It is." and "As `watch`." help nobody. A function of four parameters or more has Args, an example, or
names every parameter in the text. The source is read, not imported. The checker is itself checked on samples.
"""

import ast
import re
from collections.abc import Iterator
from functools import cache
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

FRAGMENT = re.compile(
    r"(Of|As|Where|Whose|Which|What|That|From|For|By|It|Its|See|Round|Within|In the worker|The one|The same) "
)
FEWEST_WORDS = 3
MANY_PARAMETERS = 4

# Rooms whose docstrings still begin with fragments. The list only gets shorter: a test fails when one is clean.
ROOMS_WITH_FRAGMENTS: set[str] = set()

Function = ast.FunctionDef | ast.AsyncFunctionDef
# By a class's name: its bases' names, and its documented methods. Protocol's are those of all protocols, with their
# parameters: what has such a method implements the protocol, whether it says so or not.
Bases = dict[str, tuple[list[str], set[str]]]


def complaints(source: str, contracts: bool, bases: Bases | None = None) -> Iterator[str]:
    """Each complaint, with its line; `contracts`: also about shapes, errors and parameters of functions."""
    module = ast.parse(source)
    if not ast.get_docstring(module):
        yield "1: the module has no docstring"
    yield from _members(module.body, "", contracts, bases or classes_of(source))


def fragments(source: str) -> Iterator[str]:
    """Each public docstring whose first sentence is too short, or begins in the middle of a thought."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and not node.name.startswith("_"):
            text = ast.get_docstring(node)
            if text and (FRAGMENT.match(text) or len(text.split()) < FEWEST_WORDS):
                yield f"{node.lineno}: {node.name}: {text.splitlines()[0]}"


def classes_of(*sources: str) -> Bases:
    """The classes of these sources, by name."""
    found: Bases = {"Protocol": ([], set())}
    nodes = [node for source in sources for node in ast.walk(ast.parse(source)) if isinstance(node, ast.ClassDef)]
    for node in nodes:
        bases = [ast.unparse(base).partition("[")[0].rpartition(".")[2] for base in node.bases]
        documented = [part for part in node.body if isinstance(part, Function) and ast.get_docstring(part)]
        found[node.name] = bases, {part.name for part in documented}
        if "Protocol" in bases:
            found["Protocol"][1].update(_signature(part) for part in documented)
    return found


def _signature(node: Function) -> str:
    return f"{node.name}({', '.join(one.arg for one in [*node.args.args, *node.args.kwonlyargs])})"


def _overrides(kind: str, method: str, bases: Bases) -> bool:
    """Whether a base of the class, or a base of that, has a documented method of this name."""
    above = bases.get(kind, ([], set()))[0]
    return any(method in bases[base][1] or _overrides(base, method, bases) for base in above if base in bases)


def _members(body: list[ast.stmt], prefix: str, contracts: bool, bases: Bases) -> Iterator[str]:
    for node in _statements(body):
        if not isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) or node.name.startswith("_"):
            continue
        name = f"{node.lineno}: {prefix}{node.name}"
        text = ast.get_docstring(node)
        if isinstance(node, ast.ClassDef):
            yield from [] if text else [f"{name} has no docstring"]
            yield from _members(node.body, f"{prefix}{node.name}.", contracts, bases)
        elif _inherits_its_docstring(node) or (
            prefix and (_signature(node) in bases["Protocol"][1] or _overrides(prefix.split(".")[-2], node.name, bases))
        ):
            continue
        elif not text:
            yield from [] if prefix and len(node.body) == 1 else [f"{name} has no docstring"]
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
    named = [argument.arg for argument in arguments if argument is not None and argument.arg not in ("self", "cls")]
    unnamed = [one for one in named if not re.search(rf"\b{one}\b", text)]
    if len(named) >= MANY_PARAMETERS and unnamed and "Args:" not in text and ">>>" not in text:
        yield f"{name} has {len(named)} parameters and does not say what {', '.join(unnamed)} is"
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


@cache
def bases_here() -> Bases:
    """The classes of the whole tree; not as the file is imported, which every worker of a test run does."""
    return classes_of(*(path.read_text(encoding="utf-8") for path in FILES))


@pytest.mark.parametrize("path", FILES, ids=[str(path.relative_to(ROOT)) for path in FILES])
def test_everything_public_is_documented(path: Path) -> None:
    contracts = path.is_relative_to(ROOT / "vecml") and not path.is_relative_to(ROOT / "vecml" / "cli")
    found = list(complaints(path.read_text(encoding="utf-8"), contracts, bases_here()))
    assert not found, "\n".join(found)


def test_docstrings_begin_with_a_sentence() -> None:
    found: dict[str, list[str]] = {}
    for path in FILES:
        room = str(path.relative_to(ROOT).parent)
        found.setdefault(room, []).extend(f"{path.name} {one}" for one in fragments(path.read_text(encoding="utf-8")))
    assert {room for room, bad in found.items() if bad} == ROOMS_WITH_FRAGMENTS, "\n".join(
        one for room, bad in found.items() if room not in ROOMS_WITH_FRAGMENTS for one in bad
    )


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

def many(x, y, z, w):
    """Adds `x` and `y` to z and w."""

def more(x, y, z, w):
    """Add.

    Args:
        x, y, z, w: numbers.
    """

class Base(Protocol):
    """Base."""

    def documented(self):
        """Method."""

class Middle(Base):
    """Middle."""


class Implementing:
    """It has the protocol's method, with its parameters."""

    def documented(self):
        a = 1
        return a

class Public(elsewhere.Middle):
    """Class."""

    def method(self):
        """Method."""

    def short(self):
        return 1

    def documented(self):
        a = 1
        return a

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
    '"""M."""\nclass A:\n    """A."""\n    def f(self):\n        g()\n        h()': "4: A.f has no docstring",
    '"""M."""\nclass A:\n    """A."""\n    class B:\n        """B."""'
    "\n        def f(self):\n            g()\n            h()": "6: A.B.f has no",
    '"""M."""\ndef f(a, b, c, d):\n    """Adds a to b and c."""': "f has 4 parameters and does not say what d is",
    '"""M."""\nclass A(B):\n    """A."""\n    def f(self):\n        g()\n        h()'
    '\nclass B:\n    """B."""': "4: A.f has no",
    '"""M."""\nclass B(Protocol):\n    """B."""\n    def f(self, a):\n        """F."""\nclass A:\n    """A."""'
    "\n    def f(self, b):\n        g()\n        h()": "8: A.f has no",
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


def test_fragments_are_found() -> None:
    source = 'def f():\n    """%s"""\n'
    for text in ("It is.", "Of the series.", "What the series is of.", "As `watch`, but later.", "Close it."):
        assert list(fragments(source % text)), text
    for text in ("Close the engine's threads.", "The rows of the table, as int64.", "Whether the worker has started."):
        assert not list(fragments(source % text)), text
    assert not list(fragments('def _f():\n    """It is."""'))

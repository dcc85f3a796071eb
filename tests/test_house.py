"""The size and the shape of the house: short files, short functions, no import circle, one caller of what must be one.

The source is read, not imported. Each checker is itself checked on a planted sample that it must find.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("vecml", "tasks", "flows")
MOST_LINES_OF_A_FILE = 500
MOST_LINES_OF_A_FUNCTION = 60
MOST_FILES_THAT_ASK_FOR_OWN_MODELS = 3

# What offends today. These lists only get shorter: a test fails when an entry no longer offends.
LONG_FILES: set[str] = set()
LONG_FUNCTIONS: set[str] = set()
CIRCLES: list[set[str]] = []
OWN_MODELS: set[str] = set()
CALLERS: dict[str, set[str]] = {}

Graph = dict[str, set[str]]


def python_files(*folders: str) -> list[Path]:
    """All Python files below these folders of the repository, in order."""
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def long_functions(source: str) -> Iterator[tuple[str, int]]:
    """Name and lines of each function that is too long, from its first decorator to its last line."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
            lines = (node.end_lineno or node.lineno) - first + 1
            if lines > MOST_LINES_OF_A_FUNCTION:
                yield node.name, lines


def sources(root: Path, *packages: str) -> dict[str, str]:
    """The source of each module of these packages below `root`, by the module's dotted name."""
    found = {}
    for package in packages:
        for path in sorted((root / package).rglob("*.py")):
            parts = path.relative_to(root).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path.read_text(encoding="utf-8")
    return found


def import_graph(modules: dict[str, str]) -> Graph:
    """Which of these modules imports which, at its top or inside a function, but not for type checking only."""
    return {
        name: {module for module in _imported(ast.parse(text), name, modules) if module in modules and module != name}
        for name, text in modules.items()
    }


def _imported(node: ast.AST, module: str, modules: dict[str, str]) -> Iterator[str]:
    if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
        for statement in node.orelse:
            yield from _imported(statement, module, modules)
    elif isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        assert not node.level, f"{module} imports relatively, which this checker does not read"
        for alias in node.names:
            submodule = f"{node.module}.{alias.name}"
            yield submodule if submodule in modules else str(node.module)
    else:
        for child in ast.iter_child_nodes(node):
            yield from _imported(child, module, modules)


def circles(graph: Graph) -> list[set[str]]:
    """The groups of two or more modules that reach each other (strongly connected components, after Tarjan)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[set[str]] = []

    def visit(name: str) -> None:
        index[name] = low[name] = len(index)
        stack.append(name)
        for other in sorted(graph[name]):
            if other not in index:
                visit(other)
                low[name] = min(low[name], low[other])
            elif other in stack:
                low[name] = min(low[name], index[other])
        if low[name] == index[name]:
            component = set(stack[stack.index(name) :])
            del stack[stack.index(name) :]
            found.extend([component] if len(component) > 1 else [])

    for name in sorted(graph):
        if name not in index:
            visit(name)
    return sorted(found, key=sorted)


def callers(modules: dict[str, str], function: str) -> set[str]:
    """The modules that call a function or method of this name."""
    return {
        name
        for name, text in modules.items()
        if function in text
        and any(isinstance(node, ast.Call) and _name(node.func) == function for node in ast.walk(ast.parse(text)))
    }


def asking(modules: dict[str, str], kind: str) -> set[str]:
    """The modules with an `isinstance` that names this class."""
    return {
        name
        for name, text in modules.items()
        if kind in text
        and any(
            isinstance(node, ast.Call) and _name(node.func) == "isinstance" and kind in ast.unparse(node.args[1])
            for node in ast.walk(ast.parse(text))
        )
    }


def _name(function: ast.expr) -> str | None:
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else None


def test_no_file_is_too_long() -> None:
    lines = {
        str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines())
        for path in python_files(*PACKAGES, "benchmarks", "tests")
    }
    assert {path for path, count in lines.items() if count > MOST_LINES_OF_A_FILE} == LONG_FILES


def test_no_function_is_too_long() -> None:
    found = {
        f"{path.relative_to(ROOT)}: {name}"
        for path in python_files(*PACKAGES, "benchmarks", "tests")
        for name, _ in long_functions(path.read_text(encoding="utf-8"))
    }
    assert found == LONG_FUNCTIONS


def test_no_modules_import_each_other() -> None:
    assert circles(import_graph(sources(ROOT, *PACKAGES, "benchmarks"))) == CIRCLES


@pytest.mark.parametrize("kind", ["OwnModel", "OwnArchitecture"])
def test_models_answer_for_themselves(kind: str) -> None:
    found = asking(sources(ROOT, *PACKAGES), kind)
    assert found == OWN_MODELS if OWN_MODELS else len(found) <= MOST_FILES_THAT_ASK_FOR_OWN_MODELS, sorted(found)


@pytest.mark.parametrize("function", ["only_measurement", "ProcessSource", "search_runs"])
def test_there_is_one_caller(function: str) -> None:
    found = callers(sources(ROOT, *PACKAGES), function)
    assert found == CALLERS[function] if function in CALLERS else len(found) == 1, sorted(found)


def test_a_long_function_is_found() -> None:
    body = "    pass\n"
    assert list(long_functions("def f():\n" + body * 59)) == []
    assert list(long_functions("@once\ndef f():\n" + body * 59)) == [("f", 61)]
    assert list(long_functions("class A:\n  async def g(self):\n" + body * 60)) == [("g", 61)]


PLANTED = {
    "two modules": ({"vecml.a": "import vecml.b", "vecml.b": "from vecml.a import f"}, [{"vecml.a", "vecml.b"}]),
    "a module of a package": (
        {"vecml": "", "vecml.a": "from vecml import b", "vecml.b": "from vecml import a"},
        [{"vecml.a", "vecml.b"}],
    ),
    "an import in a function": (
        {"vecml.a": "import vecml.b", "vecml.b": "class A:\n def f():\n  import vecml.a"},
        [{"vecml.a", "vecml.b"}],
    ),
    "a way round": (
        {
            "vecml.a": "import vecml.b",
            "vecml.b": "import tasks.c",
            "tasks.c": "import vecml.a",
            "flows.d": "import vecml.a",
        },
        [{"vecml.a", "vecml.b", "tasks.c"}],
    ),
    "two circles": (
        {
            "vecml.a": "import vecml.b",
            "vecml.b": "import vecml.a, vecml.c",
            "vecml.c": "import vecml.d",
            "vecml.d": "import vecml.c",
        },
        [{"vecml.a", "vecml.b"}, {"vecml.c", "vecml.d"}],
    ),
    "none: one way": (
        {"vecml.a": "import vecml.b, vecml.c", "vecml.b": "import vecml.c", "vecml.c": "import numpy"},
        [],
    ),
    "none: for types": ({"vecml.a": "import vecml.b", "vecml.b": "if TYPE_CHECKING:\n import vecml.a"}, []),
    "otherwise": (
        {"vecml.a": "import vecml.b", "vecml.b": "if TYPE_CHECKING: pass\nelse: import vecml.a"},
        [{"vecml.a", "vecml.b"}],
    ),
}


@pytest.mark.parametrize(("modules", "expected"), PLANTED.values(), ids=PLANTED)
def test_a_planted_circle_is_found(modules: dict[str, str], expected: list[set[str]]) -> None:
    assert circles(import_graph(modules)) == expected


def test_a_planted_circle_in_the_tree_is_found() -> None:
    modules = sources(ROOT, *PACKAGES)
    modules["vecml.errors"] += "\ndef late():\n    from vecml.data.split import split_rows\n"
    found = circles(import_graph(modules))
    assert any({"vecml.errors", "vecml.data.split"} <= circle for circle in found)


def test_a_caller_and_a_question_are_found() -> None:
    modules = {
        "vecml.a": "lock.only_measurement(1)",
        "vecml.b": "only_measurement()",
        "vecml.c": "def only_measurement(): ...",
        "vecml.d": "x = isinstance(model, Model | OwnModel)",
        "vecml.e": "OwnModel(isinstance)",
    }
    assert callers(modules, "only_measurement") == {"vecml.a", "vecml.b"}
    assert asking(modules, "OwnModel") == {"vecml.d"}

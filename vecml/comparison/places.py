"""Where a worker finds a function: in a module, or in a file that it reads. Functions are never pickled."""

import ast
import difflib
import importlib.util
import inspect
import runpy
import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from vecml.errors import SettingError
from vecml.measure.work import ArmError
from vecml.model.find import SCRIPT

EXAMPLE = "for example bench.py:fast, or package.module:fast"
TOP_LEVEL = "define it at the top level of a module or a script (in Jupyter: %%writefile functions.py, then import it)"

Place = dict[str, str]
NO_ARGUMENTS: Place = {"module": "vecml.comparison.places", "qualified": "no_arguments"}  # as what makes the inputs


def place_of(name: str, function: Callable[..., Any]) -> Place:
    """A function's module or script, and qualified name; raises SettingError where a worker could not find it."""
    if not callable(function):
        raise SettingError(f"function {name!r} is a {type(function).__name__}, which cannot be called")
    if (kind := _lazy(function)) is not None:
        raise SettingError(f"function {name!r} is {kind}: a call of it does no work yet", _whole(kind))
    module, qualified = getattr(function, "__module__", None), getattr(function, "__qualname__", None)
    if not module or not qualified or "<" in qualified:
        raise SettingError(
            f"function {name!r} ({qualified or type(function).__name__}) has no name that a worker could find it by",
            TOP_LEVEL,
        )
    if module == SCRIPT:
        raise SettingError(
            "the script compares again when a worker reads it", 'put the call under if __name__ == "__main__":'
        )
    if module == "__main__":
        script = getattr(sys.modules["__main__"], "__file__", None)
        if script is None:
            raise SettingError(f"function {name!r} was typed in: a worker process could not find it", TOP_LEVEL)
        if qualified.partition(".")[0] not in _top_level(_parsed(Path(script), name)):
            raise SettingError(f"function {name!r} is not at the top level of {Path(script).name}", TOP_LEVEL)
        return {"script": str(Path(script).resolve()), "qualified": qualified}
    return {"module": module, "qualified": qualified}


def no_arguments() -> tuple[()]:
    """Make the arguments of a function that takes none."""
    return ()


def named_place(text: str, flag: str) -> Place:
    """The place that `text` names: `path/file.py:function` or `package.module:function`. Nothing of it is run.

    Raises SettingError for another form, a file that is not there, is no Python or has no such name, and for a function
    whose call does no work yet. A module is looked for by the worker.
    """
    where, colon, qualified = text.rpartition(":")
    if not colon or not where or not all(part.isidentifier() for part in qualified.split(".")):
        raise SettingError(f"{flag} {text}: not of the form FILE.py:FUNCTION", EXAMPLE)
    if not where.endswith(".py"):
        return {"module": where, "qualified": qualified}
    file = Path(where).expanduser()
    if not file.is_file():
        raise SettingError(f"{flag} {text}: there is no file {where}", EXAMPLE)
    known = _top_level(_parsed(file, f"{flag} {text}"))
    first = qualified.partition(".")[0]
    if first not in known:
        close = difflib.get_close_matches(first, known, n=1) or list(known)[:3]
        hint = f"it has {', '.join(close)}" if close else "define it with def at the top level of the file"
        raise SettingError(f"{flag} {text}: {file.name} has no function {first}", hint)
    if first == qualified and (kind := _lazy_definition(known[first])) is not None:
        raise SettingError(f"{flag} {text} is {kind}: a call of it does no work yet", _whole(kind))
    return {"script": str(file.resolve()), "qualified": qualified}


def found(place: Mapping[str, str]) -> Callable[..., Any]:
    """Import the function of a place. Only in a worker: it is the user's code that runs.

    Raises ArmError for what is no function, or one whose call does no work yet.
    """
    first, *rest = place["qualified"].split(".")
    function = (
        _names_of(place["script"])[first] if "script" in place else getattr(import_module(place["module"]), first)
    )
    for name in rest:
        function = getattr(function, name)
    if not callable(function):
        raise ArmError(f"it is a {type(function).__name__}, which cannot be called")
    if (kind := _lazy(function)) is not None:
        raise ArmError(f"it is {kind}: a call of it does no work yet")
    return function  # type: ignore[no-any-return]


def _names_of(script: str) -> Mapping[str, Any]:
    """What a file defines. It is imported by its own name where others would find it by that, and read once."""
    if script not in _read:
        path = Path(script)
        if str(path.parent) not in sys.path:
            sys.path.append(str(path.parent))
        spec = importlib.util.find_spec(path.stem) if path.stem.isidentifier() else None
        if spec is not None and spec.origin == script:
            _read[script] = vars(import_module(path.stem))
        else:
            _read[script] = runpy.run_path(script, run_name=SCRIPT)
    return _read[script]


def _lazy(function: Callable[..., Any]) -> str | None:
    """What kind of function it is whose call only begins the work; None for any other."""
    if inspect.iscoroutinefunction(function):
        return "an async function"
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        return "a generator function"
    return None


def _lazy_definition(part: ast.AST) -> str | None:
    if isinstance(part, ast.AsyncFunctionDef):
        return "an async function"
    if isinstance(part, ast.FunctionDef) and any(isinstance(one, ast.Yield | ast.YieldFrom) for one in _own(part)):
        return "a generator function"
    return None


def _own(function: ast.FunctionDef) -> list[ast.AST]:
    """The nodes of a function's body, without those of functions within it."""
    nodes: list[ast.AST] = list(function.body)
    for node in nodes:
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef):
            nodes.extend(ast.iter_child_nodes(node))
    return nodes


def _whole(kind: str) -> str:
    does = "asyncio.run(...)" if "async" in kind else "list(...)"
    return f"compare a function that does all of it: return {does}"


def _top_level(tree: ast.Module) -> dict[str, ast.AST]:
    """What a file's top level gives a name to: functions, classes, imports and assignments."""
    names: dict[str, ast.AST] = {}
    for part in tree.body:
        if isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names[part.name] = part
        elif isinstance(part, ast.Import | ast.ImportFrom):
            names |= {alias.asname or alias.name.partition(".")[0]: part for alias in part.names}
        elif isinstance(part, ast.Assign):
            names |= {one.id: part for target in part.targets for one in ast.walk(target) if isinstance(one, ast.Name)}
    return names


def _parsed(file: Path, told: str) -> ast.Module:
    try:
        return ast.parse(file.read_bytes())
    except (SyntaxError, ValueError, OSError) as error:
        line = f", line {error.lineno}" if isinstance(error, SyntaxError) else ""
        why = error.msg if isinstance(error, SyntaxError) else str(error)
        raise SettingError(f"{told}: {file.name}{line}: {why}", "it must be Python that imports") from None


_read: dict[str, Mapping[str, Any]] = {}

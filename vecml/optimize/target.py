"""Functions of the user's own, named `path/module.py:function`: found without running them, and loaded in a worker."""

import ast
import difflib
import importlib.util
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vecml.errors import DataError, SettingError, one_line

EXAMPLE = "for example examples/optimize/moving_average.py:moving_average"
MODULE = "vecml_target_"  # before a file's name: none of the user's own modules is called so


@dataclass(frozen=True)
class Place:
    """A function's file and name.

    Attributes:
        file: the absolute path of its module.
        name: the function's name, at the module's top level.
        folder: added to the path before the module is imported: the file's own folder.
    """

    file: str
    name: str
    folder: str

    @property
    def text(self) -> str:
        return f"{Path(self.file).name}:{self.name}"


def find_place(text: str, flag: str) -> Place:
    """The place that `text` names, its module read but not run.

    Args:
        text: `path/module.py:function`.
        flag: what the user typed it after, for messages: `TARGET`, `--inputs`, `--candidate`.

    Raises SettingError for another form, a file that is not there or is no Python, and a function that it has not.
    """
    path, colon, name = text.rpartition(":")
    if not colon or not path.endswith(".py") or not name.isidentifier():
        raise SettingError(f"{flag} {text}: not of the form path/module.py:function", EXAMPLE)
    file = Path(path).expanduser()
    if not file.is_file():
        raise SettingError(f"{flag} {text}: there is no file {path}", EXAMPLE)
    place = Place(str(file.resolve()), name, str(file.resolve().parent))
    names = [part.name for part in parsed(place).body if isinstance(part, ast.FunctionDef)]
    if name not in names:
        close = difflib.get_close_matches(name, names, n=1) or names[:3]
        hint = f"it has {', '.join(close)}" if close else "define it with def at the top level of the file"
        raise SettingError(f"{flag} {text}: {file.name} has no function {name}", hint)
    return place


def source_of(place: Place) -> str:
    """The module's text; raises SettingError when it cannot be read as UTF-8."""
    try:
        return Path(place.file).read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingError(f"{place.file} cannot be read: {error}", "save it as UTF-8") from None


def parsed(place: Place) -> ast.Module:
    """The module's syntax tree; raises SettingError, with the line, where it is no Python."""
    try:
        return ast.parse(source_of(place))
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None)
        where = f", line {line}" if line else ""
        raise SettingError(
            f"{place.file}{where}: {getattr(error, 'msg', error)}", "it must be Python that imports"
        ) from None


def definition(tree: ast.Module, name: str) -> ast.FunctionDef:
    """The last definition of `name` at the top level, which is the one that counts; raises KeyError without one."""
    for part in reversed(tree.body):
        if isinstance(part, ast.FunctionDef) and part.name == name:
            return part
    raise KeyError(name)


def load(place: Place) -> Callable[..., Any]:
    """Import the module and give the function. Only in a worker: it is the user's code that runs.

    Raises DataError with what the import raised.
    """
    if place.folder not in sys.path:
        sys.path.insert(0, place.folder)
    name = MODULE + Path(place.file).stem
    spec = importlib.util.spec_from_file_location(name, place.file)
    if spec is None or spec.loader is None:
        raise DataError(f"{place.file} cannot be imported")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:  # whatever the user's module raises is told with its name
        raise DataError(f"importing {Path(place.file).name} raised {one_line(error, named=True)}") from error
    found = getattr(module, place.name, None)
    if not callable(found):
        raise DataError(f"{place.text} is a {type(found).__name__} once the module is imported, and no function")
    return found  # type: ignore[no-any-return]


def make_inputs(inputs: Place) -> tuple[Any, ...]:
    """Call the user's input maker; raises DataError when it raises, or gives anything but a tuple of arguments."""
    function = load(inputs)
    try:
        made = function()
    except (Exception, SystemExit) as error:
        raise DataError(f"{inputs.text} raised {one_line(error, named=True)}") from error
    if not isinstance(made, tuple):
        raise DataError(
            f"{inputs.text} gave a {type(made).__name__}, not the tuple of arguments",
            "return (x,) for a single argument",
        )
    return made

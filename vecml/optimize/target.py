"""Functions of the user's own, named `path/module.py:function`: found without running them, and loaded in a worker."""

import ast
import difflib
import importlib.util
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

from vecml.errors import DataError, SettingError, one_line

EXAMPLE = "for example examples/optimize/moving_average.py:moving_average"
MODULE = "vecml_target_"  # before a file's name: none of the user's own modules is called so
SHARED = "__vecml_shared__"  # in a changed copy: the names of the file that it is a copy of

_imported: dict[tuple[str, str, str], ModuleType] = {}  # by file, the file whose classes it takes, and its text


class Say(Protocol):
    """Tells the stage of a worker's task that begins now, and its time limit in seconds where it has one of its own."""

    def __call__(self, stage: str, limit: float | None = None, /) -> None: ...


@dataclass(frozen=True)
class Place:
    """A function's file and name.

    Attributes:
        file: the absolute path of its module.
        name: the function's name, at the module's top level.
        folder: added to the path before the module is imported: the file's own folder.
        classes_of: another file, of which this one is a changed copy: it takes that file's classes, so that it knows
            the inputs' ones; empty: it has its own.
    """

    file: str
    name: str
    folder: str
    classes_of: str = ""

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

    A file is imported once in a process, also where others of the user's import it by its own name: so the classes of
    the inputs are those that the function knows.

    Raises DataError with what the import raised.
    """
    return _function(_module(place), place)


def make_inputs(inputs: Place, *, anew: bool = False) -> tuple[Any, ...]:
    """Call the user's input maker.

    Args:
        inputs: the function without arguments.
        anew: whether its file is imported once more, as another process will; its classes are then others, of the same
            names.

    Raises DataError when it raises, or gives anything but a tuple of arguments.
    """
    function = _function(_run(inputs), inputs) if anew else load(inputs)
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


def _function(module: ModuleType, place: Place) -> Callable[..., Any]:
    found = getattr(module, place.name, None)
    if not callable(found):
        raise DataError(f"{place.text} is a {type(found).__name__} once the module is imported, and no function")
    return found  # type: ignore[no-any-return]


def _module(place: Place) -> ModuleType:
    """The module of a place: the one that was imported from that file before, by its own name too, or a new one."""
    if place.folder not in sys.path:
        sys.path.insert(0, place.folder)
    key = (place.file, place.classes_of, source_of(place))
    if key in _imported:
        return _imported[key]
    stem = Path(place.file).stem
    known = sys.modules.get(stem)
    is_ours = known is not None and known.__name__.startswith(MODULE)
    if not (is_ours or place.classes_of) and getattr(known, "__file__", None) == place.file:
        module = _imported[key] = sys.modules[stem]
        return module
    module = _imported[key] = _run(place)
    if not place.classes_of and (is_ours or (known is None and _own_file(stem) == place.file)):
        sys.modules[stem] = module
    return module


def _run(place: Place) -> ModuleType:
    """A new module of a place's file, with the classes of `place.classes_of` where it names a file."""
    name = MODULE + Path(place.file).stem
    base = _module(Place(place.classes_of, place.name, place.folder)) if place.classes_of else None
    tree = parsed(place) if base is None else _with_classes_of(base, parsed(place))
    spec = importlib.util.spec_from_file_location(name, place.file)
    if spec is None:
        raise DataError(f"{place.file} cannot be imported")
    module = importlib.util.module_from_spec(spec)
    module.__dict__[SHARED] = base.__dict__ if base else {}
    sys.modules[name] = module
    try:
        exec(compile(tree, place.file, "exec", dont_inherit=True), module.__dict__)  # noqa: S102 -- as an import does
    except (Exception, SystemExit) as error:  # whatever the user's module raises is told with its name
        raise DataError(f"importing {Path(place.file).name} raised {one_line(error, named=True)}") from error
    return module


def _with_classes_of(base: ModuleType, tree: ast.Module) -> ast.Module:
    """The tree of a file in which what defines a class that `base` has too takes that one instead."""
    for at, part in enumerate(tree.body):
        named = [part.name] if isinstance(part, ast.ClassDef) else []
        if isinstance(part, ast.Assign):
            named = [one.id for one in part.targets if isinstance(one, ast.Name)]
        known = next((one for name in named if isinstance(one := base.__dict__.get(name), type)), None)
        if known is not None and known.__module__ == base.__name__:
            taken = ast.parse(f"{' = '.join(named)} = {SHARED}[{named[0]!r}]").body[0]
            tree.body[at] = ast.fix_missing_locations(ast.copy_location(taken, part))
    return tree


def _own_file(name: str) -> str | None:
    """The file that `import name` would find; None where it would find none."""
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return None
    return None if spec is None or spec.origin is None else str(Path(spec.origin).resolve())

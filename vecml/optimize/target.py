"""Functions of the user's own, named `path/module.py:function`: found without running them, and loaded in a worker."""

import ast
import contextlib
import dataclasses
import difflib
import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from importlib.util import spec_from_file_location
from pathlib import Path
from types import FunctionType, MethodType, ModuleType
from typing import Any, Protocol

from vecml.errors import DataError, SettingError, one_line
from vecml.optimize.call_files import CALL, read
from vecml.optimize.finding import closures_in, functions_in
from vecml.optimize.notebook import Cells, as_module, cell_of, code_cells
from vecml.optimize.stored import read_stored

EXAMPLE = "for example examples/optimize/moving_average.py:moving_average"
MODULE = "vecml_target_"  # before a file's name: none of the user's own modules is called so
SHARED = "__vecml_shared__"  # in a changed copy: the names of the file that it is a copy of
CHANGED = "__vecml_changed__"  # in a changed copy: the class that the target is a method of, as it is there

_imported: dict[tuple[str, str, str], ModuleType] = {}  # by file, the file whose classes it takes, and its text
_by_file: dict[str, ModuleType] = {}  # those that are no changed copy of another file


class Say(Protocol):
    """Tells the stage of a worker's task that begins now, and its time limit in seconds where it has one of its own."""

    def __call__(self, stage: str, limit: float | None = None, /) -> None: ...


@dataclass(frozen=True)
class Place:
    """A function's file and name.

    Attributes:
        file: the absolute path of its module; of inputs that were recorded, of the file `call.json` of a call.
        name: the function's name in the module: `f`, `Class.method`; of a recorded call, what messages call it.
        folder: added to the path before the module is imported: the file's own folder.
        classes_of: another file, of which this one is a changed copy: it takes that file's classes, so that it knows
            the inputs' ones; empty: it has its own.
        cell: the code cell of a notebook that defines it, from 1; 0: the file is no notebook.
        last_cell: the last cell of the notebook that is run.
    """

    file: str
    name: str
    folder: str
    classes_of: str = ""
    cell: int = 0
    last_cell: int = 0

    @property
    def text(self) -> str:
        """The place as the user names it, without the file's folder."""
        cell = f"#{self.cell}" if self.cell else ""
        return self.name if self.is_recorded else f"{Path(self.file).name}{cell}:{self.name}"

    @property
    def is_recorded(self) -> bool:
        """Whether it is the arguments of a real call, and no function."""
        return Path(self.file).name == CALL

    @property
    def original(self) -> "Place":
        """Return the place in the file that this one is a changed copy of."""
        return dataclasses.replace(self, file=self.classes_of, classes_of="")


def find_place(text: str, flag: str) -> Place:
    """The place that `text` names, its module read but not run.

    Args:
        text: `path/module.py:function`, `path/notebook.ipynb#3:function` or `path/notebook.ipynb:function`.
        flag: what the user typed it after, for messages: `TARGET`, `--inputs`, `--candidate`.

    Raises SettingError for another form, a file that is not there or is no Python, and a function that it has not.
    """
    path, colon, name = text.rpartition(":")
    is_name = bool(name) and all(part.isidentifier() for part in name.split("."))
    path, asked = _notebook(path)
    if not colon or not path.endswith((".py", ".ipynb")) or not is_name:
        raise SettingError(f"{flag} {text}: not of the form path/module.py:function", EXAMPLE)
    file = Path(path).expanduser()
    if not file.is_file():
        raise SettingError(f"{flag} {text}: there is no file {path}", EXAMPLE)
    place = Place(str(file.resolve()), name, str(file.resolve().parent))
    if path.endswith(".ipynb"):
        cell = cell_of(code_cells(read_stored(file).text, file.name), asked, name, f"{flag} {text}").number
        place = dataclasses.replace(place, cell=cell, last_cell=cell)
    _refuse_unreachable(parsed(place), name, f"{flag} {text}", file.name)
    return place


def _refuse_unreachable(tree: ast.Module, name: str, named: str, file: str) -> None:
    """Raise SettingError where a module has no such function, or not one that a worker can call."""
    there = functions_in(tree)
    same = [one for one in there if one.name == name]
    if not same:
        if outer := closures_in(tree).get(name):
            raise SettingError(
                f"{named}: it is defined inside {outer}, where no worker can reach it",
                "move it to the top level of the file, with what it takes from there as arguments",
            )
        names = [one.name for one in there]
        close = difflib.get_close_matches(name, names, n=1) or [one for one in names if one.endswith(f".{name}")][:3]
        close = close or names[:3]
        hint = f"it has {', '.join(close)}" if close else "define it with def at the top level of the file"
        raise SettingError(f"{named}: {file} has no function {name}", hint)
    if isinstance(same[-1].function, ast.AsyncFunctionDef):
        raise SettingError(
            f"{named}: it is async: its calls wait for others, which no rewrite makes shorter",
            "put its loop into a function without async, and name that one",
        )
    if len(same) > 1 and any(one.conditional for one in same):
        lines = " and ".join(str(one.function.lineno) for one in same)
        raise SettingError(
            f"{named}: it is defined at lines {lines}, and a condition decides which one counts",
            "give them names of their own, and name one",
        )


def source_of(place: Place) -> str:
    """The module's text, each line ended by a line feed; raises SettingError when it is not in its own encoding."""
    return read_stored(place.file).plain if not place.file.endswith(".ipynb") else cells_of(place).text


def cells_of(place: Place) -> Cells:
    """The cells of a notebook that are run for a place in it."""
    name = Path(place.file).name
    return as_module(code_cells(read_stored(place.file).text, name)[: place.last_cell], name)


def together(*places: Place) -> tuple[Place, ...]:
    """The places, those in one notebook with the same cells run: their classes are the same then."""
    last = {one.file: max(other.last_cell for other in places if other.file == one.file) for one in places}
    return tuple(dataclasses.replace(one, last_cell=last[one.file]) for one in places)


def _notebook(path: str) -> tuple[str, str]:
    """The path of a notebook, and its cell that is named after a `#`; of another file, the path."""
    file, mark, cell = path.rpartition("#")
    return (file, cell) if mark and file.endswith(".ipynb") else (path, "")


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


def load(place: Place) -> Callable[..., Any]:
    """Import the module and give the function. Only in a worker: it is the user's code that runs.

    A file is imported once in a process, also where others of the user's import it by its own name: so the classes of
    the inputs are those that the function knows.

    Raises DataError with what the import raised.
    """
    return _function(_module(place), place)


def module_of(place: Place) -> ModuleType:
    """Import the module of a place, once in a process. Only in a worker: it is the user's code that runs."""
    return _module(place)


def make_inputs(inputs: Place, *, anew: bool = False) -> tuple[Any, ...]:
    """Call the user's input maker, or read the arguments of a recorded call.

    Args:
        inputs: the function without arguments, or the recorded call.
        anew: whether its file is imported once more, as another process will; its classes are then others, of the same
            names.

    Raises DataError when it raises, or gives anything but a tuple of arguments.
    """
    if inputs.is_recorded:
        return _recorded(Path(inputs.file).parent, inputs.text)
    module = _module(inputs)
    try:
        function = _function(_run(inputs, module.__name__) if anew else module, inputs)
        try:
            made = function()
        except (Exception, SystemExit) as error:
            raise DataError(f"{inputs.text} raised {one_line(error, named=True)}") from error
    finally:
        if anew:
            sys.modules[module.__name__] = module
    if not isinstance(made, tuple):
        raise DataError(
            f"{inputs.text} gave a {type(made).__name__}, not the tuple of arguments",
            "return (x,) for a single argument",
        )
    return made


def further_inputs(inputs: Place) -> list[tuple[str, tuple[Any, ...]]]:
    """Read the other recorded calls, each with what it is called in messages; none where the user makes the inputs."""
    if not inputs.is_recorded:
        return []
    own = Path(inputs.file).parent
    others = sorted(one for one in own.parent.iterdir() if one != own)
    named = [(one, one.name.partition(" ")[2]) for one in others]
    return [(text, _recorded(one, text)) for one, text in named]


def _recorded(folder: Path, text: str) -> tuple[Any, ...]:
    """Read the arguments of a recorded call; raises DataError where a class or function of theirs is not found."""
    try:
        return read(folder, _find)
    except (ImportError, AttributeError, KeyError) as error:
        raise DataError(
            f"{text} cannot be read back: {one_line(error, named=True)}",
            "define the class at the top of its file, outside of if __name__, or give --inputs FILE.py:make_inputs",
        ) from error


def _find(module: str, name: str, file: str) -> Any:
    """The class or function that a recorded argument names: of the one module that its file has in this process."""
    if not file.endswith(".py") or (module != "__main__" and _origin(module) == file):
        found: Any = importlib.import_module(module)
    else:
        found = _module(Place(file, name, str(Path(file).parent)))
    for part in name.split("."):
        found = getattr(found, part)
    return found


def _origin(module: str) -> str | None:
    """The file that an import of this name gives; None where it fails."""
    if module in sys.modules:
        return _resolved(getattr(sys.modules[module], "__file__", None))
    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, ValueError):
        return None
    return None if spec is None else _resolved(spec.origin)


def _function(module: ModuleType, place: Place) -> Callable[..., Any]:
    found = _reached(module, place.name)
    changed = module.__dict__.get(CHANGED)
    if changed is not None:
        inner = _reached(changed, place.name.partition(".")[2])
        found = _of_class(inner, _reached(module, place.name.rpartition(".")[0]))
    if not callable(found):
        raise DataError(f"{place.text} is a {type(found).__name__} once the module is imported, and no function")
    return found  # type: ignore[no-any-return]


def _module(place: Place) -> ModuleType:
    """The module of a place: the one that was imported from that file before, by whatever name, or a new one."""
    of_copied = str(Path(place.classes_of).parent) if place.classes_of else place.folder
    for folder in (of_copied, place.folder):
        if folder not in sys.path:
            sys.path.insert(0, folder)
    key = (place.file, place.classes_of, source_of(place))
    if key in _imported:
        return _imported[key]
    if place.classes_of:
        return _imported.setdefault(key, _run(place))
    _import_package(place)
    module = _imported_by_others(place.file)
    if module is None:
        ran = _run(place)
        module = _imported_by_others(place.file) or ran  # what it imports may import it in its turn
    before = _by_file.get(place.file)
    _imported[key] = _by_file[place.file] = module
    for name in [name for name, one in sys.modules.items() if one is before and not name.startswith(MODULE)]:
        sys.modules[name] = module  # of another text of the file
    if not any(isinstance(one, _OneOfEachFile) for one in sys.meta_path):
        sys.meta_path.insert(0, _OneOfEachFile())
    return module


class _OneOfEachFile(MetaPathFinder, Loader):
    """Gives imports of a file that a place names the module that is there, whatever its name in a package."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        last = fullname.rpartition(".")[2]
        if not any(Path(file).stem == last for file in _by_file):
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is None or _resolved(spec.origin) not in _by_file:
            return None
        return spec_from_file_location(fullname, spec.origin, loader=self)

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return _by_file[str(_resolved(spec.origin))]

    def exec_module(self, module: ModuleType) -> None:
        """Do nothing: the module was run when it was made."""


def _imported_by_others(file: str) -> ModuleType | None:
    """The module that code of the user's has imported from a file; None where there is none."""
    stem = Path(file).stem
    for name, module in list(sys.modules.items()):
        is_ours = getattr(module, "__name__", MODULE).startswith(MODULE)
        if name.rpartition(".")[2] == stem and not is_ours and _resolved(getattr(module, "__file__", None)) == file:
            return module
    return None


def _import_package(place: Place) -> None:
    """Import the package of a file that takes something from it (`from .shapes import Point`), as Python does first.

    The file may be run by that; run once more by itself, it would register what it registers twice.
    """
    package, root = _package(place.file)
    if not package or package.partition(".")[0] not in _packages_taken(parsed(place), package):
        return
    if root not in sys.path:
        sys.path.append(root)
    with contextlib.suppress(Exception, SystemExit):  # what it raises is told when the file itself is run
        importlib.import_module(package)


def _packages_taken(tree: ast.Module, own: str) -> set[str]:
    """The first names of what a module imports; `own`'s for what it takes by a relative import."""
    names: set[str] = set()
    for one in ast.walk(tree):
        if isinstance(one, ast.Import):
            names |= {alias.name for alias in one.names}
        elif isinstance(one, ast.ImportFrom):
            names.add(own if one.level else one.module or "")
    return {name.partition(".")[0] for name in names}


def _package(file: str) -> tuple[str, str]:
    """The dotted name of the package that a file is in, empty for none, and the folder that the package is in."""
    folder = Path(file).parent
    names: list[str] = []
    while (folder / "__init__.py").is_file() and folder.name.isidentifier():
        names.insert(0, folder.name)
        folder = folder.parent
    return ".".join(names), str(folder)


def _run(place: Place, name: str = "") -> ModuleType:
    """A new module of a place's file, with the classes of `place.classes_of` where it names a file."""
    name = name or MODULE + Path(place.file).stem
    base = _module(place.original) if place.classes_of else None
    tree = parsed(place) if base is None else _with_classes_of(base, parsed(place), place.name)
    spec = spec_from_file_location(name, place.file, loader=SourceFileLoader(name, place.file))
    if spec is None:
        raise DataError(f"{place.file} cannot be imported")
    module = importlib.util.module_from_spec(spec)
    module.__package__ = _package(place.classes_of or place.file)[0]
    module.__spec__ = None  # or the package would have to be the one of its name
    module.__dict__[SHARED] = base.__dict__ if base else {}
    sys.modules[name] = module
    try:
        exec(compile(tree, place.file, "exec", dont_inherit=True), module.__dict__)  # noqa: S102 -- as an import does
    except (Exception, SystemExit) as error:  # whatever the user's module raises is told with its name
        raise DataError(f"importing {Path(place.file).name} raised {one_line(error, named=True)}") from error
    return module


def _with_classes_of(base: ModuleType, tree: ast.Module, name: str) -> ast.Module:
    """The tree of a file in which what defines a class that `base` has too takes that one instead.

    The class of the method `name` is defined as well, under the name CHANGED.
    """
    body: list[ast.stmt] = []
    for part in tree.body:
        named = [part.name] if isinstance(part, ast.ClassDef) else []
        if isinstance(part, ast.Assign):
            named = [one.id for one in part.targets if isinstance(one, ast.Name)]
        known = next((one for name in named if isinstance(one := base.__dict__.get(name), type)), None)
        if known is None or known.__module__ != base.__name__:
            body.append(part)
            continue
        lines = [f"{' = '.join(named)} = {SHARED}[{named[0]!r}]"]
        if isinstance(part, ast.ClassDef) and name.startswith(f"{part.name}."):
            body.append(part)
            lines.insert(0, f"{CHANGED} = {part.name}")
        taken = [ast.copy_location(one, part) for one in ast.parse("\n".join(lines)).body]
        body += [ast.fix_missing_locations(one) for one in taken]
    tree.body = body
    return tree


def _reached(start: Any, name: str) -> Any:
    """What a dotted name reaches from a module or a class; None where there is nothing."""
    for part in name.split("."):
        start = getattr(start, part, None)
    return start


def _of_class(function: Any, owner: Any) -> Any:
    """A function of a changed class as one of the class that it is a copy of: for `super()`, and for class methods."""
    inner = inspect.unwrap(getattr(function, "__func__", function)) if callable(function) else None
    if isinstance(inner, FunctionType):
        for name, cell in zip(inner.__code__.co_freevars, inner.__closure__ or (), strict=True):
            if name == "__class__":
                cell.cell_contents = owner
    return MethodType(function.__func__, owner) if isinstance(function, MethodType) else function


def _resolved(file: str | None) -> str | None:
    return None if file is None else str(Path(file).resolve())

"""A module class of the user's own, found by its name `package.module:Class`: in the current folder too.

Only a name that the user gave is looked up. Nothing is imported because a file names it.
"""

import difflib
import inspect
import runpy
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from types import MethodType
from typing import TYPE_CHECKING, Any, TypeGuard

from vecml.errors import ModelError, SettingError, one_line

if TYPE_CHECKING:
    from torch import nn

EXAMPLE = "for example --architecture examples.own_model:ConvClassifier"
SCRIPT = "__vecml_script__"  # what a script is called while a worker reads it
MAIN = "__main__"


def parts_of(name: str) -> tuple[str, str]:
    """Module and class of `package.module:Class`; raises SettingError when it is no such name. Imports nothing."""
    module, colon, qualified = name.partition(":")
    if not colon or not all(part.isidentifier() for part in (*module.split("."), *qualified.split("."))):
        raise SettingError(f"--architecture {name}: not of the form package.module:Class", EXAMPLE)
    return module, qualified


def find_class(name: str, script: str | None = None) -> "type[nn.Module]":
    """The torch.nn.Module class that `name` means, its module imported.

    Args:
        name: `package.module:Class`; the current folder is looked through first, as `python -m` does.
        script: for a class of the running script, `__main__:Class`: the script's path, which is read anew.

    Raises SettingError with one line: no such form, module or class, an import that fails, or no torch.nn.Module.
    """
    module_name, qualified = parts_of(name)
    found: Any
    try:
        with _current_folder_first():
            if script is not None:
                names: Mapping[str, Any] = runpy.run_path(script, run_name=SCRIPT)
            else:
                names = vars(import_module(module_name))
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise _import_failed(name, module_name, error) from error
        raise SettingError(
            f"--architecture {name}: there is no module {error.name}",
            f"it is looked for in {Path.cwd()} first, then where Python's packages are",
        ) from None
    except SettingError:  # a script that compares when it is read says it better
        raise
    except (Exception, SystemExit) as error:  # whatever the user's code raises
        raise _import_failed(name, module_name, error) from error
    first, *rest = qualified.split(".")
    found = names.get(first)
    for part in rest:
        found = getattr(found, part, None)
    if found is None:
        raise SettingError(f"--architecture {name}: {module_name} has no {qualified}", _nearest(qualified, names))
    from torch import nn  # noqa: PLC0415 -- seconds, which a wrong name need not wait for

    if not isinstance(found, type) or not issubclass(found, nn.Module):
        kind = "a class" if isinstance(found, type) else f"a {type(found).__name__}"
        raise SettingError(f"--architecture {name}: {qualified} is {kind}, not a class of torch.nn.Module", EXAMPLE)
    return found


def make(name: str, n_features: int, n_classes: int, script: str | None = None) -> "nn.Module":
    """Call the class that `name` means (in `script`, or importable) with `n_features`, `n_classes`, by place or name.

    Raises SettingError as `find_class` does, and with the error when the constructor fails.
    """
    made = find_class(name, script)
    short = made.__qualname__
    try:
        inspect.signature(made).bind(n_features, n_classes)
        by_place = True
    except (TypeError, ValueError):
        by_place = False
    try:
        if by_place:
            return made(n_features, n_classes)
        return made(n_features=n_features, n_classes=n_classes)
    except (Exception, SystemExit) as error:
        raise SettingError(
            f"--architecture {name}: {short}({n_features}, {n_classes}) failed: {one_line(error, named=True)}",
            "it is called with the number of encoded features and the number of classes",
        ) from error


def check_there(weights: str | None) -> None:
    """Raise ModelError when there is no such file of weights; None is fine. Reads nothing."""
    if weights is not None and not Path(weights).expanduser().is_file():
        hint = "name a safetensors file of this machine" if ":/" in weights else "name a safetensors file"
        raise ModelError(f"--weights {weights}: there is no such file", hint)


def is_module(value: object) -> "TypeGuard[nn.Module]":
    """Whether it is a torch.nn.Module; torch is not imported for it, since whoever has one has imported it."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.nn.Module)


def module_of(value: object) -> "nn.Module | None":
    """The module itself, or the one whose `forward` a method or a function of torch.compile is; None without one.

    torch.compile makes a function of what it has compiled before.
    """
    if hasattr(value, "_torchdynamo_orig_callable"):
        value = inspect.unwrap(value._torchdynamo_orig_callable)
    if isinstance(value, MethodType) and value.__name__ in ("forward", "__call__", "_wrapped_call_impl"):
        value = value.__self__
    return value if is_module(value) else None


def running_script() -> str | None:
    """The path of the script that runs as `__main__`; None in a notebook or where code was typed in."""
    script = getattr(sys.modules[MAIN], "__file__", None)
    return None if script is None else str(Path(script).resolve())


@contextmanager
def _current_folder_first() -> Iterator[None]:
    """The current folder first on the path while the user's module is imported, and last from then on.

    Last, because a file of the user's (`random.py`) must not stand in for a library's that is imported later.
    """
    here = str(Path.cwd())
    sys.path.insert(0, here)
    try:
        yield
    finally:
        sys.path.remove(here)
        if here not in sys.path:
            sys.path.append(here)


def _import_failed(name: str, module: str, error: BaseException) -> SettingError:
    return SettingError(f"--architecture {name}: importing {module} failed: {one_line(error, named=True)}")


def _nearest(qualified: str, names: Mapping[str, Any]) -> str | None:
    classes = [key for key, value in names.items() if isinstance(value, type) and not key.startswith("_")]
    close = difflib.get_close_matches(qualified, classes, n=3)
    return f"did you mean {', '.join(close)}?" if close else None

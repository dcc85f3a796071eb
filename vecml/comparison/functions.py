"""A comparison of any functions: each runs in worker processes of its own, and its results must be the baseline's.

A worker imports a function from its module, or from the script that defines it at its top level, as multiprocessing
does with "spawn". Nothing is pickled.
"""

import ast
import json
import runpy
import sys
import zlib
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vecml.comparison.arms import make_group
from vecml.comparison.budget import make_budget
from vecml.comparison.comparison import Comparison, Subject
from vecml.comparison.files import shared_folder
from vecml.comparison.sitting import sit
from vecml.device import usable_cpus
from vecml.environment import describe
from vecml.errors import SettingError
from vecml.measure.records import Arm, Measured, Role
from vecml.measure.work import Work
from vecml.model.find import SCRIPT

OPENER = "vecml.comparison.functions:FunctionWork"
FROM_MEMORY = "it answers from memory: its input was changed, and its result stayed"
CHANGING = "its result changed from call to call over the same input"
RELATIVE = 1e-5
ABSOLUTE = 1e-8


class FunctionWork(Work):
    """A function over one input as an arm; see `vecml.measure.work.Work`."""

    def __init__(self, payload: Mapping[str, Any]) -> None:
        self._folder = Path(payload["folder"])
        self._number = payload["number"]
        sys.path.extend(entry for entry in payload["path"] if entry not in sys.path)
        self._function = _found(payload)
        self._x: Any = None
        self._result: Any = None

    def open(self) -> None:
        """Take the input: an array of its own, mapped from the file, or what JSON gives."""
        self._x = _read_input(self._folder)

    def call(self) -> None:
        self._result = self._function(self._x)

    def answer(self) -> int:
        return _checksum(self._result)

    def finish(self) -> dict[str, Any]:
        """Write the last timed call's result, and that of a changed input, for the comparison with the baseline's."""
        _write_result(self._result, self._folder / f"result-{self._number}")
        changed = _changed(_read_input(self._folder), self._x)
        _write_result(self._function(changed), self._folder / f"changed-{self._number}")
        return {}


def compare_functions(
    functions: Mapping[str, Callable[[Any], Any]], x: Any, *, budget: str = "60s", baseline: str | None = None
) -> Comparison:
    """Measure functions of one argument over the same `x`, and see that their results are the baseline's.

    Args:
        functions: by name, two or more, each defined at the top level of a module or of the script that runs.
        x: an array of any shape and dtype but object (every worker maps the same file), or what JSON can hold.
        budget: `60s`, `5m`, `auto`, or `quick`.
        baseline: a name; None: the first.

    Results must be equal; floating-point ones within 1e-5 of each other. Raises SettingError for a function that a
    worker could not find again, and for a budget that is too short.
    """
    if len(functions) < 2:
        raise SettingError(f"{len(functions)} function(s): a comparison needs two or more")
    first = baseline or next(iter(functions))
    if first not in functions:
        raise SettingError(f"baseline {first!r} is none of the functions", f"choose from {', '.join(functions)}")
    names = [first, *(name for name in functions if name != first)]
    places = {name: _place(name, functions[name]) for name in names}
    key = describe().machine_key
    plan = make_budget(budget, [(len(names) + 1, 0)], len(names) - 1, key)
    with shared_folder(2 * getattr(x, "nbytes", 0)) as folder:
        _write_input(x, folder)

        def arm(name: str, role: Role, label: str) -> Arm:
            payload = {
                **places[name],
                "folder": str(folder),
                "number": len(names) if role == "null" else names.index(name),
                "path": [entry or str(Path.cwd()) for entry in sys.path],
            }
            return Arm(label, OPENER, payload, role, cpus=usable_cpus())

        def check(measured: Measured) -> dict[str, str]:
            changing = [one.name for one in measured.arms if one.role != "null" and len(set(one.blocks.answer)) > 1]
            return dict.fromkeys(changing, CHANGING) | _faults(folder, names)

        sitting = sit([make_group(names, arm)], plan, check=check)
        faults = sitting.faults(names, sitting.checked(check))
    return Comparison(
        **sitting.recorded(),
        rules=sitting.rules,
        budget=budget,
        subject=Subject("functions", len(x) if hasattr(x, "__len__") else 1),
        simplest=tuple(names),
        faults=faults,
        finals=sitting.finals,
        alone=sitting.alone,
    )


def _place(name: str, function: Callable[..., Any]) -> dict[str, str]:
    """A function's module or script, and qualified name; raises SettingError where a worker could not find it."""
    if not callable(function):
        raise SettingError(f"function {name!r} is a {type(function).__name__}, which cannot be called")
    module, qualified = getattr(function, "__module__", None), getattr(function, "__qualname__", None)
    hint = "define it at the top level of a module or a script (in Jupyter: %%writefile functions.py, then import it)"
    if not module or not qualified or "<" in qualified:
        raise SettingError(
            f"function {name!r} ({qualified or type(function).__name__}) has no name that a worker could find it by",
            hint,
        )
    if module == SCRIPT:
        raise SettingError(
            "the script compares again when a worker reads it", 'put the call under if __name__ == "__main__":'
        )
    if module == "__main__":
        script = getattr(sys.modules["__main__"], "__file__", None)
        if script is None:
            raise SettingError(f"function {name!r} was typed in: a worker process could not find it", hint)
        if qualified.partition(".")[0] not in _top_level(Path(script)):
            raise SettingError(f"function {name!r} is not at the top level of {Path(script).name}", hint)
        return {"script": str(Path(script).resolve()), "qualified": qualified}
    return {"module": module, "qualified": qualified}


def _top_level(script: Path) -> set[str]:
    """The names of the functions and classes at a script's top level."""
    body = ast.parse(script.read_text(encoding="utf-8")).body
    return {part.name for part in body if isinstance(part, ast.FunctionDef | ast.ClassDef)}


def _found(payload: Mapping[str, Any]) -> Callable[[Any], Any]:
    first, *rest = payload["qualified"].split(".")
    if "script" in payload:
        found = runpy.run_path(payload["script"], run_name=SCRIPT)[first]
    else:
        found = getattr(import_module(payload["module"]), first)
    for name in rest:
        found = getattr(found, name)
    return found  # type: ignore[no-any-return]


def _write_input(x: Any, folder: Path) -> None:
    if isinstance(x, np.ndarray):
        _check_plain(x)
        np.save(folder / "x.npy", x, allow_pickle=False)
        return
    try:
        (folder / "x.json").write_text(json.dumps(x), encoding="utf-8")
    except (TypeError, ValueError):
        raise SettingError(
            f"x is a {type(x).__name__}: a worker can be given an array or what JSON holds", _as_plain(x)
        ) from None


def _check_plain(x: NDArray[Any]) -> None:
    """Raise SettingError, with an expression that makes a plain one, for an array that a file cannot keep as it is."""
    what, hint = "", ""
    if isinstance(x, np.ma.MaskedArray):
        what, hint = "whose mask a worker would not get", "x.filled(0.0), or x.data without its mask"
    elif type(x) not in (np.ndarray, np.memmap):
        what, hint = "of which a worker would get the plain array", "numpy.array(x, subok=False)"
    elif x.dtype.hasobject:
        what, hint = "of Python's objects, which are not written to a file", "numpy.array(x.tolist(), dtype=float)"
    if what:
        raise SettingError(f"x is a {type(x).__name__} {what}", hint)


def _as_plain(x: Any) -> str:
    """An expression of `x` that makes a plain array of what is none."""
    torch = sys.modules.get("torch")  # a tensor of it means that it is loaded already
    if torch is None or not isinstance(x, torch.Tensor):
        return next((f"x.{name}()" for name in ("toarray", "to_numpy") if hasattr(x, name)), "numpy.asarray(x)")
    steps = [".to_dense()"] if x.layout != torch.strided else [".dequantize()"] if x.is_quantized else []
    steps += [".float()"] if x.dtype == torch.bfloat16 else []
    return f"x{''.join(steps)}.numpy(force=True)"


def _read_input(folder: Path) -> Any:
    path = folder / "x.npy"
    if path.exists():
        return np.asarray(np.load(path, mmap_mode="c"))
    return json.loads((folder / "x.json").read_text(encoding="utf-8"))


def _changed(fresh: Any, x: Any) -> Any:
    """Exchange up to a thousand values of the array `x` in place and return it; return `fresh` if `x` is no array."""
    if not isinstance(x, np.ndarray) or x.size < 2:
        return fresh
    flat, source = x.ravel(order="K"), fresh.ravel(order="K")  # views of what is contiguous in either order
    step = max(100, x.size // 1_000)  # each may be a page of the mapping that becomes this worker's own
    flat[::step] = source[::-1][::step]
    return x


def _checksum(result: Any) -> int:
    array = _as_array(result)
    return zlib.crc32(repr(result).encode() if array is None else np.ascontiguousarray(array).tobytes())


def _as_array(result: Any) -> NDArray[Any] | None:
    """The result as an array of numbers, booleans or text; None where it cannot be one."""
    try:
        array = np.asarray(result)
    except (TypeError, ValueError, RuntimeError):
        return None
    return None if array.dtype.kind in "OV" else array


def _write_result(result: Any, path: Path) -> None:
    array = _as_array(result)
    if array is None:
        path.with_suffix(".txt").write_text(repr(result), encoding="utf-8")
    else:
        np.save(path.with_suffix(".npy"), array)


def _read_result(path: Path) -> NDArray[Any] | str | None:
    if path.with_suffix(".npy").exists():
        loaded: NDArray[Any] = np.load(path.with_suffix(".npy"), allow_pickle=False)
        return loaded
    text = path.with_suffix(".txt")
    return text.read_text(encoding="utf-8") if text.exists() else None


def _faults(folder: Path, names: list[str]) -> dict[str, str]:
    """Return what is wrong with the results of functions, by their names; the first of `names` is the baseline."""
    if _keeps_its_answer(folder, 0) and any(_keeps_its_answer(folder, at) is False for at in range(1, len(names))):
        return {names[0]: FROM_MEMORY}
    return {name: reason for number, name in enumerate(names) if (reason := _fault(folder, number))}


def _keeps_its_answer(folder: Path, number: int) -> bool | None:
    """Whether a function gave the same result over the changed input; None where a result is missing."""
    first, changed = _read_result(folder / f"result-{number}"), _read_result(folder / f"changed-{number}")
    return None if first is None or changed is None else not _differs(first, changed)


def _fault(folder: Path, number: int) -> str | None:
    """Say how the results of function `number` differ from those of function 0; None if not, or if one is missing."""
    expected, found = _read_result(folder / "result-0"), _read_result(folder / f"result-{number}")
    if expected is None or found is None:
        return None
    if reason := _differs(expected, found):
        return reason
    changed, expected_changed = _read_result(folder / f"changed-{number}"), _read_result(folder / "changed-0")
    if changed is None or expected_changed is None or not _differs(expected_changed, changed):
        return None
    if not _differs(found, changed):
        return FROM_MEMORY
    return f"over a changed input {_differs(expected_changed, changed)}"


def _differs(expected: NDArray[Any] | str, found: NDArray[Any] | str) -> str | None:
    if isinstance(expected, str) or isinstance(found, str):
        same = isinstance(expected, str) and isinstance(found, str) and expected == found
        return None if same else "its result is not the baseline's"
    if expected.shape != found.shape:
        return f"its result has the shape {found.shape}, the baseline's {expected.shape}"
    if expected.dtype.kind in "fc" or found.dtype.kind in "fc":
        if expected.dtype.kind not in "fciub" or found.dtype.kind not in "fciub":
            return f"its result is {found.dtype}, the baseline's {expected.dtype}"
        close = np.isclose(found, expected, RELATIVE, ABSOLUTE, equal_nan=True)
    else:
        close = np.asarray(expected == found)
    different = int(close.size - np.count_nonzero(close))
    return f"{different:,} of {close.size:,} values are not the baseline's" if different else None

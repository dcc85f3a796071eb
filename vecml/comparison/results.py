"""The results of functions that are compared: written by the workers, read by who compares, part by part.

A result that is a tuple, a list of arrays or a dict is compared by its parts, each under its place: `[0]`, `['mean']`.
"""

import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import AsyncGeneratorType, CoroutineType, GeneratorType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vecml.measure.work import ArmError

FROM_MEMORY = "it answers from memory: its input was changed, and its result stayed"
RELATIVE = 1e-5
ABSOLUTE = 1e-8
LAZY = (GeneratorType, AsyncGeneratorType, CoroutineType, map, filter, zip, enumerate, reversed)
TEXT = "text of "  # before the place of a part that is no array

Parts = dict[str, NDArray[Any]]


def check_done(result: Any) -> None:
    """Raise ArmError for a result whose work is still to be done: that of a generator, a coroutine, of `map`."""
    if isinstance(result, LAZY):
        raise ArmError(f"it returns a {type(result).__name__}, whose work is done later: return list(...) of it")


def checksum(result: Any) -> int:
    """A checksum of all parts."""
    check_done(result)
    found = 0
    for name, part in _parts(result):
        found = zlib.crc32(np.ascontiguousarray(part).tobytes(), zlib.crc32(name.encode(), found))
    return found


def write_result(result: Any, path: Path) -> None:
    """Write a result's parts as `path`, whose suffix is .npz."""
    np.savez(path, allow_pickle=False, **{f"part {name}": part for name, part in _parts(result)})


def faults(folder: Path, names: Sequence[str], prefix: str = "") -> dict[str, str]:
    """Return what is wrong with the results of functions, by their names; the first of `names` is the baseline.

    In the folder are `result-N.npz` and, over a changed input, `changed-N.npz` of each function, N with the `prefix`;
    the number of the baseline's copy is that of the names.
    """
    numbers = [f"{prefix}{number}" for number in range(len(names) + 1)]
    copies = [_read(folder / f"result-{number}.npz") for number in (numbers[0], numbers[-1])]
    if copies[0] is not None and copies[1] is not None and differs(copies[0], copies[1]):
        return {names[0]: "its own copy gives another result: it, or what makes its inputs, draws without a seed"}
    if _keeps_its_answer(folder, numbers[0]) and any(_keeps_its_answer(folder, one) is False for one in numbers[1:-1]):
        return {names[0]: FROM_MEMORY}
    return {
        name: reason
        for name, number in zip(names, numbers, strict=False)
        if (reason := _fault(folder, numbers[0], number))
    }


def differs(expected: Parts, found: Parts) -> str | None:
    """Say how a result differs from the baseline's; None if it does not."""
    if expected.keys() != found.keys():
        if any(name.startswith(TEXT) for name in (*expected, *found)):
            return "its result is not the baseline's"
        one = next(name for name in (*expected, *found) if (name in expected) != (name in found))
        return f"its result has {'no ' if one in expected else 'a '}part {one}, unlike the baseline's"
    for name, part in found.items():
        if (reason := _difference(expected[name], part, name)) is not None:
            return reason
    return None


def _parts(result: Any, name: str = "") -> Iterator[tuple[str, NDArray[Any]]]:
    array = _as_array(result)
    if array is not None:
        yield name, array
    elif isinstance(result, tuple | list):
        for number, part in enumerate(result):
            yield from _parts(part, f"{name}[{number}]")
    elif isinstance(result, Mapping):
        for key, part in result.items():
            yield from _parts(part, f"{name}[{key!r}]")
    else:
        yield f"{TEXT}{name}", np.asarray(repr(result))


def _as_array(result: Any) -> NDArray[Any] | None:
    """The result as an array of numbers, booleans or text; None where it cannot be one."""
    try:
        array = np.asarray(result)
    except (TypeError, ValueError, RuntimeError):
        return None
    return None if array.dtype.kind in "OV" else array


def _read(path: Path) -> Parts | None:
    if not path.exists():
        return None
    with np.load(path, allow_pickle=False) as content:
        return {name.removeprefix("part "): content[name] for name in content.files}


def _keeps_its_answer(folder: Path, number: str) -> bool | None:
    """Whether a function gave the same result over the changed input; None where a result is missing."""
    first, changed = _read(folder / f"result-{number}.npz"), _read(folder / f"changed-{number}.npz")
    return None if first is None or changed is None else not differs(first, changed)


def _fault(folder: Path, baseline: str, number: str) -> str | None:
    """Say how the results of function `number` differ from the baseline's; None if not, or if one is missing."""
    expected, found = _read(folder / f"result-{baseline}.npz"), _read(folder / f"result-{number}.npz")
    if expected is None or found is None:
        return None
    if reason := differs(expected, found):
        return reason
    changed, expected_changed = (_read(folder / f"changed-{one}.npz") for one in (number, baseline))
    if changed is None or expected_changed is None or not differs(expected_changed, changed):
        return None
    if not differs(found, changed):
        return FROM_MEMORY
    return f"over a changed input {differs(expected_changed, changed)}"


def _difference(expected: NDArray[Any], found: NDArray[Any], name: str) -> str | None:
    its, where = f"its result{name}", f" in {name}" if name else ""
    if name.startswith(TEXT):
        return None if str(expected) == str(found) else "its result is not the baseline's"
    if expected.shape != found.shape:
        return f"{its} has the shape {found.shape}, the baseline's {expected.shape}"
    if expected.dtype.kind in "fc" or found.dtype.kind in "fc":
        if expected.dtype.kind not in "fciub" or found.dtype.kind not in "fciub":
            return f"{its} is {found.dtype}, the baseline's {expected.dtype}"
        close = np.isclose(found, expected, RELATIVE, ABSOLUTE, equal_nan=True)
    else:
        close = np.asarray(expected == found)
    different = int(close.size - np.count_nonzero(close))
    return f"{different:,} of {close.size:,} values{where} are not the baseline's" if different else None

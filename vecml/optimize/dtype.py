"""Step 4, the dtype: what float32 and lighter ones cost in accuracy on the user's inputs, and the bytes they save."""

import copy
import itertools
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from vecml.errors import one_line
from vecml.optimize.agreement import difference, largest_error
from vecml.optimize.compiling import COMPILE_SECONDS, is_compiled
from vecml.optimize.target import Place, Say, load, make_inputs

TASK = "vecml.optimize.dtype:dtype_task"
LIGHTER = ("float32", "float16")


@dataclass(frozen=True)
class DtypeChoice:
    """A dtype of the floating arrays that go in.

    Attributes:
        dtype: its name.
        error: of the result and of the arguments that are changed in place, the largest difference relative to the
            largest value; inf where it overflows; None where it raises, or gives no numbers to compare.
        within: whether that is within the user's bound.
        bytes: of the arrays that go in.
        saved: bytes less than as they are given.
        seconds: of the fastest of three calls; None where it fails.
        reason: what it raised; empty otherwise.
    """

    dtype: str
    error: float | None
    within: bool
    bytes: int
    saved: int
    seconds: float | None
    reason: str = ""


def choose_dtypes(target: Place, inputs: Place, rtol: float, limit_seconds: float) -> tuple[DtypeChoice, ...]:
    """Run a function with its floating arrays as they are, in float32 and in float16, in a worker.

    Args:
        target: the function: the target, or the candidate that is to replace it.
        inputs: the user's input maker.
        rtol: the largest relative difference of floating values, 0 to 1.
        limit_seconds: of each stage of the worker.

    Returns:
        A record for each dtype; empty where the inputs have no floating array.

    Raises:
        OutOfTimeError, WorkerDiedError, DataError: as `vecml.optimize.worker.ask`.
    """
    from vecml.optimize.worker import ask  # noqa: PLC0415 -- the worker imports this module

    found = ask(TASK, {"target": vars(target), "inputs": vars(inputs), "rtol": rtol}, limit_seconds)
    return tuple(DtypeChoice(**one) for one in found["dtypes"])


def dtype_task(payload: Mapping[str, Any], say: Say) -> dict[str, Any]:
    """Do the work of `choose_dtypes`; a worker process calls it."""
    target, inputs = Place(**payload["target"]), Place(**payload["inputs"])
    function, args = load(target), make_inputs(inputs)
    say(f"{target.text} in lighter dtypes", COMPILE_SECONDS if is_compiled(function) else None)
    return {"dtypes": [vars(one) for one in dtypes_of(function, args, payload["rtol"])]}


def dtypes_of(function: Callable[..., Any], args: Sequence[Any], rtol: float) -> tuple[DtypeChoice, ...]:
    """Do the work of `choose_dtypes` in this process, with the arguments `args`."""
    floating = [value for value in args if isinstance(value, np.ndarray) and value.dtype.kind == "f"]
    if not floating:
        return ()
    widest = max((value.dtype for value in floating), key=lambda dtype: dtype.itemsize)
    size = sum(value.nbytes for value in args if isinstance(value, np.ndarray))
    result, left, seconds, reason = _call(function, args)
    changed = [not reason and difference(old, new, 0.0) is not None for old, new in zip(args, left, strict=True)]
    expected = [result, *itertools.compress(left, changed)]
    comparable = any(map(_has_numbers, expected))
    error = 0.0 if comparable or reason else None
    found = [DtypeChoice(str(widest), error, within=True, bytes=size, saved=0, seconds=seconds, reason=reason)]
    for name in LIGHTER:
        if np.dtype(name).itemsize >= widest.itemsize or reason:
            continue
        with np.errstate(over="ignore"):
            lighter = [_lighter(value, name) for value in args]
        bytes_now = sum(value.nbytes for value in lighter if isinstance(value, np.ndarray))
        result, left, taken, failed = _call(function, lighter)
        gives = [result, *itertools.compress(left, changed)]
        # One by one: side by side, numbers would be held to the largest of them all.
        errors = (largest_error(one, other) for one, other in zip(expected, gives, strict=True))
        error = max(errors) if comparable and not failed else None
        within = error is not None and error <= rtol
        found.append(DtypeChoice(name, error, within, bytes_now, size - bytes_now, taken, failed))
    return tuple(found)


def _lighter(value: Any, name: str) -> Any:
    is_floating = isinstance(value, np.ndarray) and value.dtype.kind == "f"
    return value.astype(name) if is_floating and value.dtype.itemsize > np.dtype(name).itemsize else value


def _has_numbers(value: Any) -> bool:
    if isinstance(value, np.ndarray):
        return value.dtype.kind in "fciub" and value.size > 0
    if isinstance(value, tuple | list | dict):
        return any(map(_has_numbers, value.values() if isinstance(value, dict) else value))
    return isinstance(value, int | float | complex | np.number | np.bool_)


def _call(function: Callable[..., Any], args: Sequence[Any]) -> tuple[Any, Sequence[Any], float | None, str]:
    """The result, the arguments as they are left, the fastest of three calls (of one that takes a second), and what
    it raised.
    """
    fastest, result, given = float("inf"), None, tuple(args)
    for number in range(3):
        given = copy.deepcopy(tuple(args))
        start = time.perf_counter()
        try:
            result = function(*given)
        except Exception as error:  # noqa: BLE001 -- a dtype that the function cannot take is a finding
            return None, given, None, one_line(error, named=True)
        taken = time.perf_counter() - start
        fastest = taken if number <= 1 else min(fastest, taken)  # the first may compile
        if taken > 1.0 and number:
            break
    return result, given, fastest, ""
